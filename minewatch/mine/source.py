"""Files of a configuration: reads, decodes and merges them into raw tables that know their lines.

TOML files include each other; CSV files hold long lists with the same keys as columns. Nothing
here knows what a table means: `shape.py` does. Every file, row and list has a limit.
"""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minewatch.mine.csv_rows import rows_of
from minewatch.mine.fault import Faults
from minewatch.mine.locate import Where, lines_of
from minewatch.mine.raw import Raw
from minewatch.mine.text_file import read_text

FILES_MAX = 64
MAIN_FILE = "mine.toml"

LIST_FILES: dict[str, str] = {"points": "point", "people": "person"}
"""Top-level keys that name CSV files, and the table that their rows belong to."""


@dataclass(slots=True)
class Document:
    """All raw tables by name, in the order of the files.

    `damaged` says that a whole file could not be read: then nothing is known to be missing.
    """

    main: Where
    damaged: bool = False
    tables: dict[str, list[Raw]] = field(default_factory=dict)

    def add(self, table: str, raw: Raw) -> None:
        """Append a raw table or row."""
        self.tables.setdefault(table, []).append(raw)


def read(path: Path, faults: Faults) -> Document:
    """Read a folder (its `mine.toml`) or a file with everything that it includes."""
    main = path / MAIN_FILE if path.is_dir() else path
    document = Document(Where(str(main)))
    _Reader(document, faults).toml(main, Where(str(main)), "")
    return document


class _Reader:
    """Follows includes; each file is read once."""

    def __init__(self, document: Document, faults: Faults) -> None:
        self._document = document
        self._faults = faults
        self._seen: set[Path] = set()

    def toml(self, path: Path, asked: Where, key: str) -> None:
        text = self._text(path, asked, key)
        if text is None:
            return
        where = Where(str(path))
        try:
            data = tomllib.loads(text)
            where = Where(str(path), lines=lines_of(text))
        except RecursionError:
            self._document.damaged = True
            self._faults.add(where, "", "toml_syntax", detail="nested too deeply")
            return
        except ValueError as error:
            self._syntax(path, error)
            return
        self._take(path, data, where)

    def _text(self, path: Path, asked: Where, key: str) -> str | None:
        real = path.resolve()
        if real in self._seen:
            self._faults.add(asked, key, "include_twice", name=path.name)
            return None
        if len(self._seen) >= FILES_MAX:
            self._faults.add(asked, key, "too_many", table="include", limit=FILES_MAX)
            self._document.damaged = True
            return None
        self._seen.add(real)
        text = read_text(path, asked, key, self._faults)
        self._document.damaged |= text is None
        return text

    def _syntax(self, path: Path, error: ValueError) -> None:
        match = re.search(r"line (\d+), column (\d+)", str(error))
        line = int(match.group(1)) if match else 1
        self._document.damaged = True
        self._faults.add(Where(str(path), line), "", "toml_syntax", detail=str(error))

    def _take(self, path: Path, data: dict[str, Any], where: Where) -> None:
        """Take the file's own tables, then its lists, then what it includes."""
        for name, value in data.items():
            if name != "include" and name not in LIST_FILES:
                self._table(name, value, where)
        for name in (name for name in LIST_FILES if name in data):
            for key, each in self._names(name, data[name], where):
                self._csv(path.parent / each, where, key, LIST_FILES[name])
        for key, each in self._names("include", data.get("include", []), where):
            self.toml(path.parent / each, where, key)

    def _names(self, name: str, value: Any, where: Where) -> list[tuple[str, str]]:
        given = value if isinstance(value, list) else [value]
        if not all(isinstance(each, str) and each for each in given):
            self._faults.add(where, name, "wrong_type", expected="@config_type.files", got=value)
            self._document.damaged = True
            return []
        if isinstance(value, list):
            return [(f"{name}.{index}", each) for index, each in enumerate(given)]
        return [(name, value)]

    def _csv(self, path: Path, asked: Where, key: str, table: str) -> None:
        text = self._text(path, asked, key)
        if text is not None:
            for raw in rows_of(text, str(path), table, self._faults):
                self._document.add(table, raw)

    def _table(self, name: str, value: Any, where: Where) -> None:
        if isinstance(value, dict):
            self._document.add(name, Raw(value, where.inside(name), alone=True))
        elif isinstance(value, list) and all(isinstance(each, dict) for each in value):
            for index, each in enumerate(value):
                self._document.add(name, Raw(each, where.inside(name, index)))
        else:
            self._document.add(name, Raw({}, where.inside(name), loose=True))
