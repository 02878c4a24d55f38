"""What a verification found: codes and places, never sentences (those are in the catalogue)."""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfile
from typing import Any

from minewatch.record import DATABASE_ERRORS

Progress = Callable[[str, int, int], None]
"""Called with (what: `ledger` or `journal`, done, total); total 0 where it is not known."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of the record: a code of the catalogue's `[verify]` section and where it is."""

    code: str
    place: dict[str, Any]


@dataclass(slots=True)
class Report:
    """The outcome. `covered` entries lie behind the newest good checkpoint, `size` were read."""

    folder: Path
    origin: str = ""
    size: int = 0
    covered: int = 0
    checkpoints: int = 0
    chunks: int = 0
    unsealed_chunks: int = 0
    retired_files: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Tell whether nothing was found."""
        return not self.findings

    def add(self, code: str, **place: Any) -> None:
        """Note one finding."""
        self.findings.append(Finding(code, place))

    def to_json(self) -> dict[str, Any]:
        """Return the report for `--json`."""
        return {
            "folder": str(self.folder),
            "origin": self.origin,
            "sound": self.sound,
            "size": self.size,
            "covered": self.covered,
            "checkpoints": self.checkpoints,
            "chunks": self.chunks,
            "unsealed_chunks": self.unsealed_chunks,
            "retired_files": self.retired_files,
            "findings": [{"code": each.code, **each.place} for each in self.findings],
        }


@contextmanager
def open_evidence(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database without leaving a trace beside it, as far as SQLite permits.

    A database without a write-ahead log is opened as immutable. One with a log is opened read-only,
    and from a copy where its folder cannot be written.

    Raises:
        sqlite3.Error, OSError: unreadable.
    """
    if not path.exists():
        raise FileNotFoundError(path)
    if not Path(f"{path}-wal").exists():
        with _connected(path, "immutable=1") as database:
            yield database
        return
    try:
        with _connected(path, "mode=ro") as database:
            database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            readable = True
    except sqlite3.OperationalError:
        readable = False
    if readable:
        with _connected(path, "mode=ro") as database:
            yield database
        return
    with tempfile.TemporaryDirectory(prefix="minewatch-verify-") as copies:
        copy = Path(copies) / path.name
        copyfile(path, copy)
        copyfile(f"{path}-wal", f"{copy}-wal")
        with _connected(copy, "mode=rw") as database:
            yield database


@contextmanager
def _connected(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    quoted = path.absolute().as_posix()
    for plain, code in (("%", "%25"), ("?", "%3f"), ("#", "%23")):
        quoted = quoted.replace(plain, code)
    database = sqlite3.connect(f"file:{quoted}?{mode}", uri=True, isolation_level=None, timeout=5)
    try:
        yield database
    finally:
        database.close()


def check_structure(report: Report, database: sqlite3.Connection, name: str) -> None:
    """Add SQLite's own complaints about a file: what a plain scan would not notice."""
    try:
        rows = database.execute("PRAGMA integrity_check(5)").fetchall()
    except DATABASE_ERRORS as error:
        rows = [(str(error),)]
    for (words,) in rows:
        if words != "ok":
            report.add("structure", file=name, reason=str(words)[:200])
