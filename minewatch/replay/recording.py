"""A recorded run, read back in order: its start, its images, and where inputs are missing."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from minewatch.core.snapshot import durable_from_json
from minewatch.core.state import State
from minewatch.model.codec import mine_from_json
from minewatch.model.image import Image
from minewatch.model.mine import Mine
from minewatch.record import DATABASE_ERRORS, DamageError, RecordError
from minewatch.record.journal_files import (
    MARK_BYTES,
    Part,
    chunk_name,
    chunk_numbers,
    file_numbers,
    file_path,
    open_reader,
    read_chunk,
)

Progress = Callable[[int, int], None]
"""Called with (journal chunks done, chunks of the run)."""


class Began(NamedTuple):
    """A run began: with which state, program and configuration."""

    run: str
    config: str
    version: str
    state: State


class Turned(NamedTuple):
    """One cycle's inputs; `mark` are the first bytes of the decision digest after it, or empty."""

    image: Image
    mark: bytes


class Missing(NamedTuple):
    """Inputs of these cycles were not recorded; nothing can be replayed beyond them."""

    first_cycle: int
    last_cycle: int


class Ended(NamedTuple):
    """A journal chunk is at its end."""

    chunk: str


Recorded = Began | Turned | Missing | Ended


def silent(_done: int, _total: int) -> None:
    """Report no progress."""


def runs(state_folder: Path) -> list[str]:
    """Return the ids of the recorded runs, oldest first.

    Raises:
        RecordError: the journal is unreadable.
    """
    found: dict[str, None] = {}
    with readable():
        for number in file_numbers(state_folder):
            with closing(open_reader(file_path(state_folder, number))) as database:
                rows = database.execute("SELECT run FROM part GROUP BY run ORDER BY MIN(number)")
                found.update(dict.fromkeys(run for (run,) in rows.fetchall()))
    return list(found)


def chosen(state_folder: Path, run: str | None) -> str:
    """Return the run that is meant: the newest where none is named.

    Raises:
        RecordError: there is no such run.
    """
    known = runs(state_folder)
    wanted = run if run is not None else (known[-1] if known else "")
    if wanted not in known:
        raise RecordError(f"no run {wanted or '—'} in {state_folder}")
    return wanted


def recorded(state_folder: Path, run: str, progress: Progress = silent) -> Iterator[Recorded]:
    """Yield what was recorded of a run, in order; after a `Missing` comes nothing.

    Raises:
        RecordError: unreadable, damaged, or the beginning of the run is not there.
    """
    with readable():
        places = _places(state_folder, run)
        begun = False
        for done, (number, chunk) in enumerate(places):
            progress(done, len(places))
            with closing(open_reader(file_path(state_folder, number))) as database:
                for part in read_chunk(database, chunk):
                    for each in _of_part(part):
                        if not begun and isinstance(each, Turned):
                            cycle = each.image.cycle
                            raise DamageError(f"the run's start is missing before cycle {cycle}")
                        begun = True
                        yield each
                        if isinstance(each, Missing):
                            return
            yield Ended(chunk_name(number, chunk))
        progress(len(places), len(places))


def configuration(state_folder: Path, config: str) -> Mine:
    """Return a configuration that was active once.

    Raises:
        RecordError: it is not kept, or cannot be read.
    """
    path = state_folder / "config" / f"{config}.json"
    try:
        return mine_from_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RecordError(f"configuration {config[:12]} is not kept: {error}") from error


@contextmanager
def readable() -> Iterator[None]:
    """Turn a database's error into ours."""
    try:
        yield
    except DATABASE_ERRORS as error:
        raise DamageError(f"the record is unreadable: {error}") from error


def _places(state_folder: Path, run: str) -> list[tuple[int, int]]:
    """Return (file, chunk) of everything that belongs to a run, in order."""
    found: list[tuple[int, int]] = []
    for number in file_numbers(state_folder):
        with closing(open_reader(file_path(state_folder, number))) as database:
            found += [(number, chunk) for chunk in _chunks_of(database, run)]
    return found


def _chunks_of(database: sqlite3.Connection, run: str) -> list[int]:
    rows = database.execute("SELECT DISTINCT chunk FROM part WHERE run = ?", (run,)).fetchall()
    ours = {chunk for (chunk,) in rows}
    return [chunk for chunk in chunk_numbers(database) if chunk in ours]


def _of_part(part: Part) -> Iterator[Recorded]:
    done = 0
    for line in part.lines.splitlines():
        if line.startswith(b"["):
            mark = part.marks[done * MARK_BYTES : (done + 1) * MARK_BYTES]
            done += 1
            yield Turned(Image.from_row(json.loads(line)), mark)
            continue
        said: dict[str, Any] = json.loads(line)
        if "hole" in said:
            yield Missing(said["hole"][0], said["hole"][1])
            return
        state = State(durable_from_json(said["state"]))
        yield Began(said["run"], said["config"], said["version"], state)
