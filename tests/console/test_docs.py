"""The interface's description says what the server does, no more and no less."""

import json
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from starlette.routing import Route

from minewatch.client import Client
from minewatch.console.api import KINDS
from minewatch.console.app import build

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    """Return the parsed OpenAPI document: YAML in its JSON form, so that anything reads it."""
    document: dict[str, Any] = json.loads((DOCS / "openapi.yaml").read_text(encoding="utf-8"))
    return document


def test_every_route_is_described(described: dict[str, Any], tmp_path: Path) -> None:
    """Paths and methods of the application are those of the document."""
    guard, _ = build(tmp_path, lambda: Client(tmp_path / "none.sock"))
    routes = guard._app.routes  # type: ignore[attr-defined]
    served = {
        (each.path, method.lower())
        for each in routes
        if isinstance(each, Route)
        for method in each.methods or ()
        if method != "HEAD"
    }
    wanted = {(path, method) for path, item in described["paths"].items() for method in item}
    assert served == wanted


def test_every_act_is_described(described: dict[str, Any]) -> None:
    """The kinds of acts are the same list."""
    body = described["paths"]["/api/v1/command"]["post"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    assert set(schema["properties"]["kind"]["enum"]) == KINDS


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/state",
        "/api/v1/mine",
        "/api/v1/catalogue",
        "/api/v1/session",
        "/healthz",
        "/api/v1/history?point=nobody",
    ],
)
def test_answers_fit_their_schema(path: str, described: dict[str, Any], web: httpx.Client) -> None:
    """What comes back validates against the document."""
    answer = web.get(path)
    response = described["paths"][path.partition("?")[0]]["get"]["responses"][
        str(answer.status_code)
    ]
    while "$ref" in response:
        response = described["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    schema = response["content"]["application/json"]["schema"]
    jsonschema.validate(answer.json(), {**schema, "components": described["components"]})


def test_the_handbook_names_what_it_must(described: dict[str, Any]) -> None:
    """Operators read of the keys, the files and the paths that exist."""
    text = (DOCS / "operator.md").read_text(encoding="utf-8")
    for word in ("users.json", "terminals.json", "/healthz", "/metrics", "openapi.yaml", "按住"):
        assert word in text
