"""The journal: the exact inputs of `step`, appended in parts of at most 10 s, sealed each minute.

Only the store's thread writes here. An error leaves the gathered lines where they are and the next
call tries again; what no longer fits in memory becomes a hole that the journal itself tells.
Readers: `journal_files` (lines) and `trend` (curves).
"""

import hashlib
import os
import sqlite3
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minewatch.model.canonical import encode
from minewatch.model.image import Sample
from minewatch.record import DATABASE_ERRORS, DamageError
from minewatch.record.journal_files import (
    MARK_BYTES,
    VERSION,
    Sealed,
    chunk_name,
    chunk_numbers,
    file_numbers,
    file_path,
    open_reader,
    read_chunk,
    sealed_chunks,
)
from minewatch.record.trend import Columns, curve
from minewatch.record.trend_blocks import Blocks

__all__ = ["Journal", "JournalLimits", "Start", "curve", "header"]


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """Sizes and times of the journal; its quota is apart from the ledger's."""

    part_ms: int = 10_000
    part_bytes: int = 1 << 20
    chunk_ms: int = 60_000
    chunks_per_block: int = 10
    chunks_per_file: int = 1440
    file_bytes: int = 512 << 20
    total_bytes: int = 64 << 30
    free_bytes: int = 1 << 30
    waiting_bytes: int = 16 << 20


@dataclass(frozen=True, slots=True)
class Start:
    """What a run begins with: enough to replay it. `state` is the recovered state as JSON value."""

    run: str
    state: Any
    version: str
    config: str
    first_cycle: int

    def line(self) -> bytes:
        """Return the canonical line that opens the run in the journal."""
        return encode(
            {
                "config": self.config,
                "first_cycle": self.first_cycle,
                "run": self.run,
                "state": self.state,
                "version": self.version,
            }
        )


def header(image: bytes) -> tuple[int, int, int]:
    """Return (cycle, now_ms, wall_ms) of a canonical image row."""
    cycle, now_ms, wall_ms, _ = image[1:].split(b",", 3)
    return int(cycle), int(now_ms), int(wall_ms)


@dataclass(slots=True)
class _Waiting:
    """Lines that are not yet on disk: the next part."""

    lines: list[bytes]
    size: int = 0
    cycles: int = 0
    first_cycle: int = 0
    last_cycle: int = 0
    first_ms: int = 0
    first_wall_ms: int = 0
    last_wall_ms: int = 0
    digest: str = ""
    marks: bytearray = field(default_factory=bytearray)


class Journal:
    """The writer. What writes may raise sqlite3.Error or OSError; calling it again is safe."""

    def __init__(
        self,
        state_folder: Path,
        limits: JournalLimits,
        on_retired: Callable[[str, int], None] = lambda _file, _chunks: None,
    ) -> None:
        self._folder = state_folder
        self._limits = limits
        self._on_retired = on_retired
        self._database: sqlite3.Connection | None = None
        self._file = 0
        self._numbered = False
        self._part = self._chunk = 0
        self._run = ""
        self._waiting = _Waiting([])
        self._hole: tuple[int, int] | None = None
        self._chunk_start_ms: int | None = None
        self._now_ms = 0
        self._fresh = Columns()
        self._blocks = Blocks(limits.chunks_per_block)
        self._finished: list[Sealed] = []

    def unsealed(self, after: str) -> list[Sealed]:
        """Seal what an earlier run left open; return every chunk named beyond `after`.

        Looks at the two newest files: at most the last chunk before a rotation is older.
        """
        found: list[Sealed] = []
        for number in file_numbers(self._folder)[-2:]:
            with suppress(
                *DATABASE_ERRORS, DamageError
            ):  # `verify` tells what is damaged and where
                found += _seal_leftovers(self._folder, number)
        return [each for each in found if each.name > after]

    def start(self, start: Start) -> None:
        """Begin a run: its first line opens a new chunk."""
        self._run = start.run
        self._waiting.lines.append(start.line())
        self._chunk_start_ms = None

    def hole(self, first_cycle: int, last_cycle: int) -> None:
        """Remember that these cycles were shed; the next part says so."""
        if self._hole is not None:
            first_cycle = min(first_cycle, self._hole[0])
        self._hole = (first_cycle, last_cycle)

    def add(self, image: bytes, digest: str, samples: Sequence[Sample]) -> None:
        """Gather one image and the decision digest after it; memory only, raises nothing.

        `samples` are those of the image, once more, for its columns.
        """
        cycle, now_ms, wall_ms = header(image)
        self._fresh.add(wall_ms - now_ms, samples)
        if self._chunk_start_ms is None:
            self._chunk_start_ms = now_ms
        self._now_ms = now_ms
        waiting = self._waiting
        if self._hole is not None:
            first, last = self._hole
            waiting.lines.append(encode({"hole": [first, last]}))
            self._hole = None
        if not waiting.cycles:
            waiting.first_cycle, waiting.first_ms, waiting.first_wall_ms = cycle, now_ms, wall_ms
        waiting.lines.append(image)
        waiting.size += len(image)
        waiting.cycles += 1
        waiting.last_cycle, waiting.last_wall_ms, waiting.digest = cycle, wall_ms, digest
        waiting.marks += bytes.fromhex(digest[: 2 * MARK_BYTES])

    def advance(self) -> None:
        """Write what is due: at most a part or the end of a chunk, and a few columns."""
        waiting = self._waiting
        if self._chunk_start_ms is not None and waiting.cycles:
            if self._now_ms - self._chunk_start_ms >= self._limits.chunk_ms:
                self.seal()
            elif (
                self._now_ms - waiting.first_ms >= self._limits.part_ms
                or waiting.size >= self._limits.part_bytes
            ):
                self.flush()
        if self._blocks.due:
            self._blocks.step(self._open())

    def take_finished(self) -> list[Sealed]:
        """Return the chunks sealed since the last call, also where what followed failed."""
        finished, self._finished = self._finished, []
        return finished

    @property
    def overfull(self) -> bool:
        """Tell whether so much waits for the disk that images must be shed."""
        return self._waiting.size >= self._limits.waiting_bytes

    def flush(self) -> None:
        """Write the waiting lines as one part."""
        waiting = self._waiting
        if not waiting.cycles:
            return
        lines = b"\n".join(waiting.lines) + b"\n"
        database = self._open()
        row = (
            self._part + 1,
            self._chunk,
            self._run,
            waiting.first_cycle,
            waiting.last_cycle,
            waiting.cycles,
            waiting.first_wall_ms,
            waiting.last_wall_ms,
            waiting.digest,
            hashlib.sha256(lines).hexdigest(),
            bytes(waiting.marks),
            zlib.compress(lines),
        )
        marks = ",".join("?" * len(row))
        database.execute(f"INSERT OR REPLACE INTO part VALUES ({marks})", row)
        self._part += 1
        self._waiting = _Waiting([])

    def seal(self) -> None:
        """Finish the chunk: its hash, its columns to the writer, the next file if this is full."""
        self.flush()
        database = self._open()
        sealed = _seal_chunk(database, self._file, self._chunk)
        if sealed is not None:
            self._finished.append(sealed)
        self._chunk += 1
        self._chunk_start_ms = None
        self._blocks.put(self._fresh)
        self._fresh = Columns()
        if self._file_is_full():
            self._close_file()
            self._next_file()
        self._retire()

    def close(self) -> None:
        """Write what waits and close the file; the chunk stays open for the next start."""
        try:
            self.flush()
            while self._blocks.minutes_wait:
                self._blocks.step(self._open())
        finally:
            self.drop_connection()

    def drop_connection(self, *, damaged: bool = False) -> None:
        """Close the file after an error; the next call opens it, or the next one if damaged."""
        if self._database is not None:
            self._database.close()
            self._database = None
        if damaged:
            self._next_file()

    def _next_file(self) -> None:
        self._file += 1
        self._numbered = False
        self._blocks.new_file()

    def _open(self) -> sqlite3.Connection:
        """Open the current file. Numbers once taken stay: a write that is tried again replaces
        the one of which nobody knows whether it reached the disk."""
        if self._database is None:
            self._file = max([self._file, 1, *file_numbers(self._folder)[-1:]])
            self._database = _open_writer(file_path(self._folder, self._file))
        if not self._numbered:
            (part,) = self._database.execute("SELECT MAX(number) FROM part").fetchone()
            self._part = part or 0
            self._chunk = max(chunk_numbers(self._database), default=0) + 1
            self._numbered = True
        return self._database

    def _file_is_full(self) -> bool:
        return (
            self._chunk > self._limits.chunks_per_file
            or file_path(self._folder, self._file).stat().st_size >= self._limits.file_bytes
        )

    def _close_file(self) -> None:
        """Leave a finished file as one plain file without a log beside it."""
        if self._database is not None:
            with suppress(sqlite3.OperationalError):
                self._database.execute("PRAGMA journal_mode = DELETE")
            self.drop_connection()

    def _retire(self) -> None:
        """Remove the oldest files while the quota is passed; numbers decide, never dates."""
        numbers = file_numbers(self._folder)
        sizes = {number: file_path(self._folder, number).stat().st_size for number in numbers}
        while len(numbers) > 1 and (
            sum(sizes.values()) > self._limits.total_bytes
            or _free_bytes(self._folder) < self._limits.free_bytes
        ):
            oldest = numbers.pop(0)
            chunks = _count_chunks(file_path(self._folder, oldest))
            for suffix in ("", "-wal", "-shm"):
                Path(f"{file_path(self._folder, oldest)}{suffix}").unlink(missing_ok=True)
            del sizes[oldest]
            self._on_retired(f"{oldest:06d}", chunks)


def _open_writer(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.2)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA journal_size_limit = 16777216")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == 0:
            schema = Path(__file__).with_name("journal.sql").read_text(encoding="utf-8")
            database.executescript(f"BEGIN;\n{schema}\nCOMMIT;")
        elif version != VERSION:
            raise sqlite3.NotSupportedError(f"{path}: version {version}")
    except BaseException:  # whatever it was, it is raised again
        database.close()
        raise
    return database


def _seal_chunk(database: sqlite3.Connection, file_number: int, chunk: int) -> Sealed | None:
    """Hash what is on disk of a chunk and write its row; None for a chunk without a part."""
    hashed = hashlib.sha256()
    parts = 0
    for part in read_chunk(database, chunk):
        hashed.update(part.lines)
        parts += 1
    if not parts:
        return None
    first, last, cycles = database.execute(
        "SELECT MIN(first_cycle), MAX(last_cycle), SUM(cycles) FROM part WHERE chunk = ?", (chunk,)
    ).fetchone()
    run, digest = database.execute(
        "SELECT run, digest FROM part WHERE chunk = ? ORDER BY number DESC LIMIT 1", (chunk,)
    ).fetchone()
    row = (chunk, run, first, last, cycles, hashed.hexdigest(), digest)
    database.execute("INSERT OR REPLACE INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    return Sealed(chunk_name(file_number, chunk), *row[1:])


def _seal_leftovers(state_folder: Path, file_number: int) -> list[Sealed]:
    path = file_path(state_folder, file_number)
    database = _open_writer(path)
    try:
        sealed = {each.name for each in sealed_chunks(database, file_number)}
        for chunk in chunk_numbers(database):
            if chunk_name(file_number, chunk) not in sealed:
                _seal_chunk(database, file_number, chunk)
        return sealed_chunks(database, file_number)
    finally:
        database.close()


def _count_chunks(path: Path) -> int:
    try:
        database = open_reader(path)
        (count,) = database.execute("SELECT COUNT(*) FROM chunk").fetchone()
        database.close()
    except (*DATABASE_ERRORS, OSError):
        return 0
    return int(count)


def _free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
