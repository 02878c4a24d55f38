"""Shared by the tests of the `mine` room: a copy of the demo mine that a test may spoil."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from minewatch.mine import Fault, Loaded, load

DEMO = Path(__file__).parents[2] / "config/demo-mine"


@dataclass(frozen=True)
class Spoiled:
    """A copy of the demo mine in a folder of its own."""

    folder: Path

    def text(self, file: str) -> str:
        """Return a file's text."""
        return (self.folder / file).read_text(encoding="utf-8")

    def write(self, file: str, text: str) -> None:
        """Write a file's text."""
        (self.folder / file).write_text(text, encoding="utf-8")

    def replace(self, file: str, old: str, new: str) -> int:
        """Replace the one place where `old` stands; return its line."""
        text = self.text(file)
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        self.write(file, text.replace(old, new))
        return text[: text.index(old)].count("\n") + 1

    def append(self, file: str, text: str) -> int:
        """Append text; return its first line."""
        before = self.text(file)
        self.write(file, before + text)
        return before.count("\n") + 1

    def load(self) -> Loaded:
        """Load it."""
        return load(self.folder)

    def faults(self) -> set[tuple[str, str, int]]:
        """Return (code, file name, line) of every fault."""
        return {place(fault) for fault in self.load().faults}


def place(fault: Fault) -> tuple[str, str, int]:
    """Return what a test compares of a fault."""
    return fault.code, Path(fault.file).name, fault.line


@pytest.fixture
def spoiled(tmp_path: Path) -> Spoiled:
    """Return a fresh copy of the demo mine."""
    folder = tmp_path / "mine"
    shutil.copytree(DEMO, folder)
    return Spoiled(folder)


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Spoiled]:
    """Return a maker of copies, for tests that need many."""

    def make() -> Spoiled:
        folder = tmp_path_factory.mktemp("mine") / "mine"
        shutil.copytree(DEMO, folder)
        return Spoiled(folder)

    return make


@pytest.fixture(scope="session")
def demo() -> Loaded:
    """Return the demo mine, loaded once."""
    return load(DEMO)
