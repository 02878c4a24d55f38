"""The registry of names knows every kind of event, and every reason has words in both languages."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from minewatch.core.fold import FOLDS

ROOT = Path(__file__).parents[2]
NAMES = (ROOT / "docs" / "names.md").read_text("utf-8")
RELOAD = {
    "kind_changed", "role_changed", "output_latched", "output_sounding", "output_moved",
    "mode_lowered", "point_in_use", "lowered_while_latched", "zone_in_withdrawal",
}  # fmt: skip
"""Reasons against a reload go to the supervisor's log, not to a page."""


@pytest.mark.parametrize("kind", sorted(FOLDS))
def test_every_kind_is_registered(kind: str) -> None:
    """A kind that the ledger may hold stands in docs/names.md."""
    assert f"`{kind}`" in NAMES


def test_every_emitted_kind_can_be_folded() -> None:
    """Each literal kind that the core emits has a fold: recovery understands what was written."""
    emitted: set[str] = set()
    for path in (ROOT / "minewatch" / "core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "emit":
                emitted |= {
                    each.value
                    for each in ast.walk(node.args[0])
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                }
    assert emitted <= set(FOLDS)
    assert len(emitted) > 40


@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_every_registered_reason_has_words(language: str) -> None:
    """What a refused person reads is in the catalogue of each language."""
    table = NAMES.partition("## Reason codes")[2]
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    codes = {each for row in rows for each in re.findall(r"[a-z0-9_]+", row.split("|")[2])}
    words = tomllib.loads((ROOT / "minewatch" / "text" / f"{language}.toml").read_text("utf-8"))
    prose = {"and", "those", "of", "release", "demand"}
    assert codes - prose - RELOAD <= set(words["reason"]) | set(words["headcount_reason"])
