"""The limits of the house, held by a test: sizes, docstrings, reasons, nothing from outside."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = ("minewatch", "drivers/minewatch_drivers", "sim/minewatch_sim", "tools", "bench")
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 400

PYTHON = sorted(path for room in CODE for path in (ROOT / room).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
STATIC = sorted(
    path
    for suffix in ("*.js", "*.css")
    for path in (ROOT / "minewatch/console/static").rglob(suffix)
    if "vendor" not in path.parts
)


def _functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_the_house_has_rooms() -> None:
    """The walk below finds files at all."""
    assert len(PYTHON) > 40
    assert len(TESTS) > 20


@pytest.mark.parametrize("path", [*PYTHON, *STATIC], ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_is_longer_than_400_lines(path: Path) -> None:
    """A file that outgrows 400 lines holds two ideas."""
    assert path.read_text(encoding="utf-8").count("\n") <= FILE_LINES_MAX


@pytest.mark.parametrize("path", PYTHON, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_function_is_longer_than_60_lines(path: Path) -> None:
    """A function that outgrows 60 lines does two things."""
    long = [
        f"{node.name}:{node.lineno}"
        for node in _functions(path)
        if (node.end_lineno or node.lineno) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]

    assert long == []


@pytest.mark.parametrize("path", TESTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_test_says_what_it_pins(path: Path) -> None:
    """A test without a sentence pins nothing that anybody asked for."""
    silent = [
        node.name
        for node in _functions(path)
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]

    assert silent == []


def test_no_optimised_run_can_drop_assertions() -> None:
    """Assertions stay on: nothing in the house starts Python with -O."""
    pattern = re.compile(r"python3? -O|PYTHONOPTIMIZE")
    guilty = [path for path in PYTHON if pattern.search(path.read_text(encoding="utf-8"))]

    assert guilty == []


def test_broad_excepts_carry_their_reason() -> None:
    """`except Exception` stands only beside a reason on its line."""
    bare = []
    for path in PYTHON:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(r"except (Base)?Exception\b|except:", line) and "#" not in line:
                bare.append(f"{path.relative_to(ROOT)}:{number}")

    assert bare == []


def test_the_page_loads_nothing_from_outside() -> None:
    """No shipped page file names a foreign address to load from."""
    pattern = re.compile(r"""(src|href|url\(|import|fetch\()\s*=?\s*["'(]*https?://""")
    static = ROOT / "minewatch/console/static"
    guilty = [
        str(path.relative_to(ROOT))
        for path in static.rglob("*")
        if path.suffix in {".html", ".js", ".css", ".svg"}
        and pattern.search(path.read_text(encoding="utf-8"))
    ]

    assert guilty == []
