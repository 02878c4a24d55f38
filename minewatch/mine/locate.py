"""Where a key stands: key path → line of a TOML text that tomllib has accepted.

tomllib gives values without positions, and a fault without a line costs an engineer an hour. The
scanner below walks the same text once and notes the line of every key, table and array element.
It never judges the text: it runs only after tomllib has parsed it (property-tested against it).
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

Path = tuple[str | int, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_STRINGS = {
    '"""': re.compile(r'"""(?:[^"\\]|\\[\s\S]|"(?!""))*"""(?:""|"(?!"))?'),
    "'''": re.compile(r"'''(?:[^']|'(?!''))*'''(?:''|'(?!'))?"),
    '"': re.compile(r'"(?:[^"\\]|\\.)*"'),
    "'": re.compile(r"'[^']*'"),
}


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a file: a table at `base` of a TOML file, or a row of a CSV file (no lines)."""

    file: str
    start: int = 1
    lines: Mapping[Path, int] = field(default_factory=dict, repr=False)
    base: Path = ()

    def line(self, key: str = "") -> int:
        """Return the line of a dotted key, or of the nearest table around it."""
        path = self.base + tuple(int(part) if part.isdecimal() else part for part in split(key))
        while path not in self.lines and len(path) > len(self.base):
            path = path[:-1]
        return self.lines.get(path, self.start)

    def inside(self, *base: str | int) -> "Where":
        """Return the same file, one table further in."""
        inner = self.base + base
        return Where(self.file, self.lines.get(inner, self.start), self.lines, inner)


def split(key: str) -> list[str]:
    """Return the parts of a dotted key; an empty key has none."""
    return key.split(".") if key else []


def lines_of(text: str) -> dict[Path, int]:
    """Return the line of every key path of a valid TOML text."""
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.run()
    return scanner.lines


class _Scanner:
    """One walk over the text; `pos` only moves forward."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}
        self._breaks = [match.start() for match in re.finditer("\n", text)]

    def run(self) -> None:
        table: Path = ()
        while self._skip(_GAP) < len(self.text):
            if self.text.startswith("[[", self.pos):
                table = self._header(2)
            elif self.text[self.pos] == "[":
                table = self._header(1)
            else:
                self._pair(table)

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.pos)
        if match is None:
            raise ValueError(f"line {self._line()}: not the TOML that was parsed")
        self.pos = match.end()
        return self.pos

    def _line(self) -> int:
        return bisect_right(self._breaks, self.pos - 1) + 1

    def _note(self, path: Path, line: int) -> None:
        self.lines.setdefault(path, line)

    def _header(self, brackets: int) -> Path:
        line = self._line()
        self.pos += brackets
        *outer, last = self._key()
        path = (*self._resolved(outer, line), last)
        self._note(path, line)
        if brackets == 2:
            index = self._counts.get(path, 0)
            self._counts[path] = index + 1
            path += (index,)
            self._note(path, line)
        self.pos += brackets
        return path

    def _resolved(self, parts: list[str], line: int) -> Path:
        path: Path = ()
        for part in parts:
            path += (part,)
            self._note(path, line)
            if path in self._counts:
                path += (self._counts[path] - 1,)
        return path

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._skip(_BLANK)
            start = self.pos
            if self.text[start] in "\"'":
                self._skip(_STRINGS[self.text[start]])
                parts.append(tomllib.loads(f"k = {self.text[start : self.pos]}")["k"])
            else:
                self._skip(_BARE_KEY)
                parts.append(self.text[start : self.pos])
            self._skip(_BLANK)
            if not self.text.startswith(".", self.pos):
                return parts
            self.pos += 1

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for part in self._key():
            path += (part,)
            self._note(path, line)
        self.pos += 1
        self._skip(_BLANK)
        self._value(path)

    def _value(self, path: Path) -> None:
        opening = self.text[self.pos]
        if opening in "\"'":
            triple = self.text[self.pos : self.pos + 3]
            self._skip(_STRINGS.get(triple, _STRINGS[opening]))
        elif opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline(path)
        else:
            self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        self.pos += 1
        index = 0
        while self.text[self._skip(_GAP)] != "]":
            self._note((*path, index), self._line())
            self._value((*path, index))
            index += 1
            if self.text[self._skip(_GAP)] == ",":
                self.pos += 1
        self.pos += 1

    def _inline(self, path: Path) -> None:
        self.pos += 1
        while self.text[self._skip(_GAP)] != "}":
            self._pair(path)
            if self.text[self._skip(_GAP)] == ",":
                self.pos += 1
        self.pos += 1
