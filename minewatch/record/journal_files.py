"""Numbered journal files: their names, how one is opened, and how its lines are read back.

A line is canonical JSON ended by a newline. `{"run": …}` starts a run, `{"hole": …}` says which
cycles were shed, everything else is the row of an image (`model.image.Image.to_row`).
"""

import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from minewatch.record import DamageError, RecordError

VERSION = 1
MARK_BYTES = 4
PART_BYTES_MAX = 64 << 20
"""No part is ever larger when unpacked; a damaged length never fills the memory."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A finished chunk. `name` is `<file>-<chunk>`, both numbers padded so that names sort."""

    name: str
    run: str
    first_cycle: int
    last_cycle: int
    cycles: int
    sha256: str
    digest: str


@dataclass(frozen=True, slots=True)
class Part:
    """At most 10 s of journal; `lines` is unpacked.

    `marks` has the first 4 bytes of the decision digest after each image, so that a replay finds
    the very cycle that differs; the proof is the whole digest in the ledger.
    """

    number: int
    run: str
    first_cycle: int
    last_cycle: int
    cycles: int
    first_wall_ms: int
    last_wall_ms: int
    sha256: str
    marks: bytes
    lines: bytes


def chunk_name(file_number: int, chunk: int) -> str:
    """Return the name of a chunk."""
    return f"{file_number:06d}-{chunk:06d}"


def parse_chunk_name(name: str) -> tuple[int, int]:
    """Return (file number, chunk number); ValueError for anything else."""
    file_number, _, chunk = name.partition("-")
    return int(file_number), int(chunk)


def file_path(state_folder: Path, number: int) -> Path:
    """Return the path of the journal file with this number."""
    return state_folder / "journal" / f"{number:06d}.db"


def file_numbers(state_folder: Path) -> list[int]:
    """Return the numbers of all journal files, smallest first."""
    return sorted(
        int(path.stem) for path in (state_folder / "journal").glob("*.db") if path.stem.isdigit()
    )


def open_reader(path: Path) -> sqlite3.Connection:
    """Open one journal file for reading.

    Raises:
        FileNotFoundError: no such file.
        RecordError: another version.
        sqlite3.Error: not a database, or unreadable.
    """
    if not path.exists():
        raise FileNotFoundError(path)
    quoted = path.absolute().as_posix()
    for plain, code in (("%", "%25"), ("?", "%3f"), ("#", "%23")):
        quoted = quoted.replace(plain, code)
    database = sqlite3.connect(f"file:{quoted}?mode=ro", uri=True, isolation_level=None, timeout=1)
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version != VERSION:
        database.close()
        raise RecordError(f"{path}: version {version}, this program reads {VERSION}")
    return database


def chunk_numbers(database: sqlite3.Connection) -> list[int]:
    """Return the numbers of all chunks that have a part or were sealed, smallest first."""
    rows = database.execute("SELECT chunk FROM part UNION SELECT number FROM chunk ORDER BY 1")
    return [number for (number,) in rows.fetchall()]


def part_numbers(database: sqlite3.Connection, chunk: int) -> list[int]:
    """Return the numbers of a chunk's parts, smallest first."""
    rows = database.execute("SELECT number FROM part WHERE chunk = ? ORDER BY number", (chunk,))
    return [number for (number,) in rows.fetchall()]


def read_part(database: sqlite3.Connection, number: int) -> Part:
    """Return one part, unpacked.

    Raises:
        DamageError: not there, or its bytes do not unpack.
        sqlite3.Error: the file is unreadable at this place.
    """
    row = database.execute(
        "SELECT run, first_cycle, last_cycle, cycles, first_wall_ms, last_wall_ms, sha256, marks,"
        " lines FROM part WHERE number = ?",
        (number,),
    ).fetchone()
    if row is None:
        raise DamageError(f"part {number} is gone")
    run, first_cycle, last_cycle, cycles, first_wall_ms, last_wall_ms, sha256, marks, packed = row
    try:
        unpacker = zlib.decompressobj()
        lines = unpacker.decompress(packed, PART_BYTES_MAX)
    except zlib.error as error:
        raise DamageError(f"part {number} does not unpack: {error}") from error
    if not unpacker.eof or unpacker.unused_data:
        raise DamageError(f"part {number} does not unpack to its end")
    return Part(
        number=number,
        run=run,
        first_cycle=first_cycle,
        last_cycle=last_cycle,
        cycles=cycles,
        first_wall_ms=first_wall_ms,
        last_wall_ms=last_wall_ms,
        sha256=sha256,
        marks=marks,
        lines=lines,
    )


def read_chunk(database: sqlite3.Connection, chunk: int) -> Iterator[Part]:
    """Yield a chunk's parts in order; errors as `read_part`."""
    for number in part_numbers(database, chunk):
        yield read_part(database, number)


def sealed_chunks(database: sqlite3.Connection, file_number: int) -> list[Sealed]:
    """Return the sealed chunks of a file, oldest first."""
    rows = database.execute(
        "SELECT number, run, first_cycle, last_cycle, cycles, sha256, digest FROM chunk"
        " ORDER BY number"
    ).fetchall()
    return [Sealed(chunk_name(file_number, number), *rest) for number, *rest in rows]
