"""The page's files: nothing from outside, nothing inline, every word in the catalogue."""

import ast
import re
from pathlib import Path

import pytest

import minewatch.console
import minewatch.core
from minewatch.core.fold import FOLDS
from minewatch.model.alarm import AlarmKind, AlarmState
from minewatch.model.quality import Quality
from minewatch.text import Catalogue

STATIC = Path(minewatch.console.__file__).parent / "static"
FILES = sorted(path for path in STATIC.rglob("*") if path.is_file())
SCRIPTS = sorted(STATIC.rglob("*.js"))
LINES_MAX = 400


@pytest.fixture(scope="module", params=["zh-CN", "en"])
def words(request: pytest.FixtureRequest) -> Catalogue:
    """Return the catalogue of one language."""
    return Catalogue.load(request.param)


def test_nothing_is_loaded_from_outside() -> None:
    """No shipped file names another host; a namespace is the one address that is no load."""
    for path in FILES:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(https?:)?//[\w-]+\.\w", text), path.name
        assert "@import" not in text, path.name


def test_nothing_is_inline() -> None:
    """The policy forbids inline scripts and styles, so none may stand in the page."""
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)


def test_text_is_only_ever_set_as_text() -> None:
    """No file turns words into markup: names from outside stay words."""
    for path in SCRIPTS:
        found = re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc",
            path.read_text(encoding="utf-8"),
        )
        assert found is None, f"{path.name}: {found}"


def test_files_stay_small() -> None:
    """A file that one person can keep in mind has at most 400 lines."""
    for path in FILES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES_MAX, path.name


def test_every_word_of_the_page_is_in_the_catalogue(words: Catalogue) -> None:
    """Each literal key that the page asks for exists in both languages."""
    keys = set()
    for path in (*SCRIPTS, STATIC / "index.html"):
        text = path.read_text(encoding="utf-8")
        keys |= set(re.findall(r'"((?:page|command|role|switch|alarm_kind)\.[a-z_0-9]+)"', text))
    assert len(keys) > 60
    assert sorted(key for key in keys if key not in words) == []


def test_every_refusal_has_words(words: Catalogue) -> None:
    """Each code that the console refuses with has a sentence."""
    codes: set[str] = set()
    for path in Path(minewatch.console.__file__).parent.glob("*.py"):
        codes |= set(re.findall(r'Refused\(\s*\d+,\s*"(\w+)"', path.read_text(encoding="utf-8")))
    assert {"pin_wrong", "controller_lost"} <= codes
    assert sorted(code for code in codes if f"page.refusal.{code}" not in words) == []


def test_what_the_core_may_say_has_words(words: Catalogue) -> None:
    """Alarm kinds and states, qualities and levels all have labels."""
    keys = [f"alarm_kind.{each}" for each in AlarmKind]
    keys += [f"alarm_state.{each}" for each in AlarmState]
    keys += [f"quality.{each.name.lower()}" for each in Quality]
    keys += [
        f"page.short_quality.{each.name.lower()}" for each in Quality if each is not Quality.GOOD
    ]
    assert [key for key in keys if key not in words] == []


def test_every_reason_for_not_releasing_has_words(words: Catalogue) -> None:
    """Whatever the core holds against an act can be read by the person who asked for it."""
    codes: set[str] = set()
    core = Path(minewatch.core.__file__).parent
    for path in sorted(core.rglob("*.py")):
        if path.name != "rebase.py":  # what it refuses is said at the next start, not to a page
            codes |= reason_codes(path)
    assert {"not_below_restore", "same_person", "unknown_zone"} <= codes
    assert sorted(code for code in codes - set(FOLDS) if f"reason.{code}" not in words) == []


def reason_codes(path: Path) -> set[str]:
    """Return the reason codes of a core module: the texts that its reason functions gather."""
    codes: set[str] = set()
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(function, ast.FunctionDef):
            continue
        returns = ast.unparse(function.returns) if function.returns else ""
        if returns not in ("Reasons", "list[str]"):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Tuple | ast.List):
                codes |= {code for each in node.elts if (code := code_of(each))}
            elif isinstance(node, ast.GeneratorExp | ast.ListComp):
                codes.add(code_of(node.elt))
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".append"):
                codes |= {code for each in node.args if (code := code_of(each))}
    return codes - {""}


def code_of(node: ast.expr) -> str:
    """Return the code that a literal or the head of an f-string spells, "" for anything else."""
    text = ""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
    elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
        text = str(node.values[0].value).partition(":")[0]
    return text if re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", text) else ""
