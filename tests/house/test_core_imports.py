"""House rule 1: the core is a function. Its imports are followed, through everything it reaches."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FORBIDDEN = frozenset(
    {
        "asyncio",
        "concurrent",
        "datetime",
        "logging",
        "multiprocessing",
        "numpy",
        "os",
        "pathlib",
        "pydantic",
        "random",
        "secrets",
        "select",
        "selectors",
        "signal",
        "socket",
        "sqlite3",
        "ssl",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "urllib",
        "uuid",
    }
)

FORBIDDEN_CALLS = frozenset({"exec", "eval", "hash", "id", "input", "open", "print"})
"""`hash` and `id` differ from process to process; a decision must not."""


def _file_of(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.exists():
            return path
    return None


def _imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def _reached() -> dict[Path, set[str]]:
    waiting = sorted((ROOT / "minewatch" / "core").rglob("*.py"))
    reached: dict[Path, set[str]] = {}
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached[path] = _imports(path)
        waiting += [found for name in reached[path] if (found := _file_of(name)) is not None]
    return reached


REACHED = _reached()


def test_the_walk_reaches_the_nouns() -> None:
    """A walk that finds nothing would prove nothing: the model is reached through the core."""
    assert ROOT / "minewatch" / "model" / "mine.py" in REACHED
    assert len(REACHED) > 20


@pytest.mark.parametrize("path", sorted(REACHED), ids=lambda path: path.name)
def test_the_core_reaches_no_world(path: Path) -> None:
    """No clock, file, socket, thread, logger or chance is imported by what the core reaches."""
    found = {name for name in REACHED[path] if name.split(".")[0] in FORBIDDEN}
    assert not found


@pytest.mark.parametrize("path", sorted(REACHED), ids=lambda path: path.name)
def test_the_core_imports_only_core_and_model(path: Path) -> None:
    """Of our own rooms the core knows the nouns and itself."""
    ours = {name for name in REACHED[path] if name.startswith("minewatch")}
    allowed = ("minewatch.core", "minewatch.model")
    assert all(name == "minewatch" or name.startswith(allowed) for name in ours)


@pytest.mark.parametrize("path", sorted(REACHED), ids=lambda path: path.name)
def test_the_core_calls_nothing_that_differs_between_processes(path: Path) -> None:
    """`hash()` and `id()` change with the process and `open()` is the world."""
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & FORBIDDEN_CALLS


@pytest.mark.parametrize(
    "path", [p for p in sorted(REACHED) if "core" in p.parts], ids=lambda path: path.name
)
def test_no_loop_of_the_core_runs_over_a_bare_set(path: Path) -> None:
    """The order of a set of texts changes with the hash seed: loops over sets are sorted."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        loops = [node] if isinstance(node, ast.For) else getattr(node, "generators", [])
        for loop in loops:
            made = loop.iter
            named = isinstance(made, ast.Call) and isinstance(made.func, ast.Name)
            is_set = isinstance(made, ast.Set | ast.SetComp) or (
                named and made.func.id in {"set", "frozenset"}
            )
            assert not is_set, f"{path.name}:{made.lineno}"
