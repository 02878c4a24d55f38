"""The reference configuration, the schema and the handbook are what the models say."""

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest

from minewatch.mine import load, reference, schema
from minewatch.mine.handbook import fault_codes
from minewatch.text import Catalogue

ROOT = Path(__file__).parents[2]
ROOM = ROOT / "minewatch/mine"
TABLES = {**schema.SINGLE, **schema.MANY}
INNER: dict[str, type[schema.Table]] = {"load": schema.LoadTable, "cause": schema.CauseTable}


@pytest.mark.parametrize("file", [reference.REFERENCE, reference.SCHEMA, reference.HANDBOOK])
def test_generated_files_are_up_to_date(file: str) -> None:
    """`python -m minewatch.mine.reference` would change nothing."""
    path = ROOT / file

    assert path.read_text(encoding="utf-8") == reference.outputs(ROOT)[path]


def test_the_reference_loads_clean() -> None:
    """The reference configuration is a mine without a fault or a warning."""
    loaded = load(ROOT / reference.REFERENCE)

    assert loaded.faults == ()
    assert loaded.mine is not None


def test_the_reference_shows_every_key() -> None:
    """No key of any table is missing, written out or behind a #."""
    text = reference.reference_toml()
    shown = set(re.findall(r"^#? *([a-z0-9_]+)(?: =|:)", text, re.MULTILINE))
    wanted = {key for model in (*TABLES.values(), *INNER.values()) for key in model.model_fields}

    assert shown >= wanted | set(schema.TOP_KEYS)


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_every_key_and_table_is_explained(language: str) -> None:
    """The catalogue explains exactly the keys that exist."""
    texts = Catalogue.load(language).as_dict()
    wanted = {
        f"config_key.{name}.{key}"
        for name, model in {**TABLES, **INNER}.items()
        for key in model.model_fields
    } | {f"config_key.file.{key}" for key in schema.TOP_KEYS}
    tables = {f"config_table.{name}" for name in (*TABLES, *INNER, "file")}

    assert {key for key in texts if key.startswith("config_key.")} == wanted
    assert {key for key in texts if key.startswith("config_table.")} == tables


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_every_fault_code_of_the_room_has_its_three_sentences(language: str) -> None:
    """A code in the source has texts, and a text has a code in the source."""
    source = "".join(path.read_text(encoding="utf-8") for path in ROOM.glob("*.py"))
    quoted = set(re.findall(r'"([a-z][a-z_]+)"', source))
    used = set(re.findall(r'\.(?:add|warn)\(\s*[^()]+?,\s*[^()]+?,\s*"([a-z_]+)"', source))
    used |= set(re.findall(r'_fault\(\s*\S+,\s*"([a-z_]+)"', source))
    texts = Catalogue.load(language).as_dict()

    assert len(used) > 30
    assert used <= set(fault_codes()) <= quoted
    for code in fault_codes():
        assert all(texts[f"config_fault.{code}.{part}"] for part in ("what", "why", "do"))


@pytest.mark.parametrize(
    "file", ["config/reference.toml", *(f"config/demo-mine/{name}.toml" for name in
             ("mine", "buses", "devices", "outputs", "people"))],
)  # fmt: skip
def test_our_own_files_satisfy_the_schema(file: str) -> None:
    """An editor that follows the schema finds nothing wrong in the files we ship."""
    document = json.loads((ROOT / reference.SCHEMA).read_text(encoding="utf-8"))

    jsonschema.validate(tomllib.loads((ROOT / file).read_text(encoding="utf-8")), document)


def test_the_schema_refuses_an_unknown_key() -> None:
    """Editors underline what the loader would refuse."""
    document = json.loads(reference.json_schema())

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"bus": [{"id": "a", "url": "tcp://h:1", "scan_mss": 1}]}, document)
