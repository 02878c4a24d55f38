"""Plants one mutant: into a function that already runs, or into a module before it is imported.

Within a function the code object alone is exchanged, which costs a hundredth of a second; what a
module binds when it is imported (limits, tables, defaults) needs a fresh interpreter.
"""

import ast
import gc
import importlib.abc
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from sites import Site, sites


def mutant(path: Path, number: int) -> tuple[ast.Module, Site, str]:
    """Return the mutated tree of the file, the site, and its text after the change."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    site = sites(tree)[number]
    return tree, site, ast.unparse(site.change())


def plant_in_function(path: Path, number: int) -> bool:
    """Exchange the code of the one function that the mutant lies in; say whether it was found."""
    tree, site, _ = mutant(path, number)
    fresh = list(_codes(compile(tree, str(path), "exec")))
    found = False
    for each in gc.get_objects():
        if not isinstance(each, FunctionType) or each.__code__.co_filename != str(path):
            continue
        old = each.__code__
        if not old.co_firstlineno <= site.line <= _last_line(old):
            continue
        for new in fresh:
            if (new.co_qualname, new.co_firstlineno) == (old.co_qualname, old.co_firstlineno):
                each.__code__ = new
                found = True
    return found


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes(each)


def _last_line(code: CodeType) -> int:
    return max(line or 0 for each in _codes(code) for _, _, line in each.co_lines())


class Planter(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from the mutated tree, everything else as ever."""

    def __init__(self, name: str, path: Path, number: int) -> None:
        self.name, self.path = name, path
        self.tree = mutant(path, number)[0]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Claim the one module."""
        del path, target
        if fullname != self.name:
            return None
        package = [str(self.path.parent)] if self.path.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(
            fullname, self.path, loader=self, submodule_search_locations=package
        )

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutated module."""
        exec(compile(self.tree, str(self.path), "exec"), module.__dict__)


def plant_before_import(name: str, path: Path, number: int) -> None:
    """Let the next import of the module meet the mutant."""
    sys.meta_path.insert(0, Planter(name, path, number))
