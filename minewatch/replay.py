"""Replay: the recorded inputs of a run through `step` again, compared with what was decided then.

Equal digests prove that the recorded decisions are those of this program on those inputs, bit for
bit. With another configuration it says at which cycle that one would first have decided otherwise.
"""

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minewatch.core.snapshot import durable_from_json
from minewatch.core.state import State
from minewatch.core.step import step
from minewatch.model.codec import mine_from_json
from minewatch.model.event import Event
from minewatch.model.image import Image
from minewatch.model.mine import Mine
from minewatch.record import DATABASE_ERRORS, DamageError, RecordError
from minewatch.record.digest import DecisionDigest
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
from minewatch.record.ledger import Entry, Ledger
from minewatch.record.recover import SEALED_KIND

Progress = Callable[[int, int], None]
"""Called with (cycles replayed, ms of plant time replayed)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where decisions part. `recorded` and `replayed` are leaves, empty where only outputs do."""

    cycle: int
    index: int
    recorded: str = ""
    replayed: str = ""


@dataclass(slots=True)
class Comparison:
    """What a replay found. `chunks` had equal digests; `hole` is where the inputs are missing."""

    run: str
    config: str
    version: str
    cycles: int = 0
    events: int = 0
    chunks: int = 0
    plant_ms: int = 0
    seconds: float = 0.0
    digest: str = ""
    difference: Difference | None = None
    hole: tuple[int, int] | None = None
    recorded_kinds: Counter[str] = field(default_factory=Counter)
    replayed_kinds: Counter[str] = field(default_factory=Counter)

    @property
    def equal(self) -> bool:
        """Tell whether every decision that could be compared is the recorded one."""
        return self.difference is None

    def to_json(self) -> dict[str, Any]:
        """Return the comparison for `--json`."""
        apart = self.difference
        return {
            "run": self.run,
            "config": self.config,
            "version": self.version,
            "equal": self.equal,
            "cycles": self.cycles,
            "events": self.events,
            "chunks": self.chunks,
            "plant_ms": self.plant_ms,
            "digest": self.digest,
            "hole": self.hole,
            "difference": None
            if apart is None
            else {
                "cycle": apart.cycle,
                "index": apart.index,
                "recorded": apart.recorded,
                "replayed": apart.replayed,
            },
            "recorded_kinds": dict(self.recorded_kinds),
            "replayed_kinds": dict(self.replayed_kinds),
        }


def _silent(_cycles: int, _plant_ms: int) -> None:
    """Report no progress."""


def runs(state_folder: Path) -> list[str]:
    """Return the ids of the recorded runs, oldest first."""
    found: dict[str, None] = {}
    for number in file_numbers(state_folder):
        with closing(open_reader(file_path(state_folder, number))) as database:
            rows = database.execute("SELECT run FROM part GROUP BY run ORDER BY MIN(number)")
            found.update(dict.fromkeys(run for (run,) in rows.fetchall()))
    return list(found)


def replay(
    state_folder: Path,
    run: str | None = None,
    other: Mine | None = None,
    progress: Progress = _silent,
) -> Comparison:
    """Replay one run (the newest by default), with its own configuration or with `other`.

    It ends at the end of the run, at a hole, or soon after the first difference where its own
    configuration was used; with `other` it goes on to the end to count what both would decide.

    Raises:
        RecordError: no such run, its configuration is not kept, or the record is unreadable.
    """
    with _readable():
        known = runs(state_folder)
    wanted = run if run is not None else (known[-1] if known else "")
    if wanted not in known:
        raise RecordError(f"no run {wanted or '—'} in {state_folder}")
    try:
        with _readable(), closing(Ledger.open(state_folder, origin="", writable=False)) as ledger:
            turning = _Replay(ledger, state_folder, other, progress)
            return turning.through(_parts(state_folder, wanted))
    except FileNotFoundError as error:
        raise RecordError(f"no ledger: {error}") from error


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except DATABASE_ERRORS as error:
        raise DamageError(f"the record is unreadable: {error}") from error


def _parts(state_folder: Path, run: str) -> Iterator[tuple[str, Part]]:
    """Yield (chunk name, part) of a run, in order."""
    for number in file_numbers(state_folder):
        with closing(open_reader(file_path(state_folder, number))) as database:
            for chunk in _chunks_of(database, run):
                for part in read_chunk(database, chunk):
                    yield chunk_name(number, chunk), part


def _chunks_of(database: sqlite3.Connection, run: str) -> list[int]:
    rows = database.execute("SELECT DISTINCT chunk FROM part WHERE run = ?", (run,)).fetchall()
    ours = {chunk for (chunk,) in rows}
    return [chunk for chunk in chunk_numbers(database) if chunk in ours]


class _Replay:
    """One run on its way through `step`."""

    def __init__(
        self, ledger: Ledger, state_folder: Path, other: Mine | None, progress: Progress
    ) -> None:
        self._entries = _Entries(ledger)
        self._sealed = _sealed_digests(ledger)
        self._folder = state_folder
        self._other = other
        self._progress = progress
        self._digest = DecisionDigest()
        self._found = Comparison("", "", "")
        self._first_ms: int | None = None
        self._chunk = ""

    def through(self, parts: Iterator[tuple[str, Part]]) -> Comparison:
        """Replay every part."""
        began = time.monotonic()
        for name, part in parts:
            if self._chunk and name != self._chunk:
                self._end_chunk()
            self._chunk = name
            if not self._part(part) or (self._found.difference and self._other is None):
                break
        else:
            self._end_chunk()
        self._found.digest = self._digest.hex()
        self._found.seconds = time.monotonic() - began
        return self._found

    def _part(self, part: Part) -> bool:
        """Replay one part; False where inputs are missing from here on."""
        done = 0
        for line in part.lines.splitlines():
            if line.startswith(b"["):
                self._turn(Image.from_row(json.loads(line)))
                self._mark(part.marks[done * MARK_BYTES : (done + 1) * MARK_BYTES])
                done += 1
                continue
            said = json.loads(line)
            if "hole" in said:
                self._found.hole = (said["hole"][0], said["hole"][1])
                return False
            self._start(said)
        self._progress(self._found.cycles, self._found.plant_ms)
        return True

    def _start(self, said: dict[str, Any]) -> None:
        found = self._found
        found.run, found.config, found.version = said["run"], said["config"], said["version"]
        self._state = State(durable_from_json(said["state"]))
        self._mine = self._other or _configuration(self._folder, found.config)

    def _turn(self, image: Image) -> None:
        if not self._found.run:
            raise DamageError(f"the run's start is missing before cycle {image.cycle}")
        index = self._state.durable.index
        decided = step(self._mine, self._state, image)
        self._state = decided.state
        self._digest.update(image.cycle, decided.events, decided.outputs)
        self._cycle, self._index = image.cycle, index
        self._compare(decided.events)
        found = self._found
        found.cycles += 1
        found.events += len(decided.events)
        self._first_ms = image.now_ms if self._first_ms is None else self._first_ms
        found.plant_ms = image.now_ms - self._first_ms

    def _compare(self, events: tuple[Event, ...]) -> None:
        """Compare events with the ledger; entries it does not hold were never durable."""
        for place, event in enumerate(events, self._index):
            self._found.replayed_kinds[event.kind] += 1
            entry = self._entries.at(place)
            if entry is None:
                continue
            body = json.loads(entry.leaf)
            self._found.recorded_kinds[body["kind"]] += 1
            leaf = event.leaf()
            if leaf != entry.leaf:
                cycle = min(self._cycle, body["cycle"])
                self._differ(cycle, place, entry.leaf.decode(), leaf.decode())

    def _mark(self, mark: bytes) -> None:
        if mark and bytes.fromhex(self._digest.hex())[:MARK_BYTES] != mark:
            self._differ(self._cycle, self._index)

    def _end_chunk(self) -> None:
        recorded = self._sealed.get(self._chunk)
        if recorded is None:
            return
        if recorded == self._digest.hex():
            self._found.chunks += 1
        elif self._found.hole is None:
            self._differ(self._cycle, self._index)

    def _differ(self, cycle: int, index: int, recorded: str = "", replayed: str = "") -> None:
        if self._found.difference is None:
            self._found.difference = Difference(cycle, index, recorded, replayed)


class _Entries:
    """Ledger entries by index, read ahead in batches."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._batch: dict[int, Entry] = {}

    def at(self, index: int) -> Entry | None:
        """Return the entry, None beyond the end."""
        if index not in self._batch:
            self._batch = {each.index: each for each in self._ledger.entries(index, 1000)}
        return self._batch.get(index)


def _sealed_digests(ledger: Ledger) -> dict[str, str]:
    """Return the recorded decision digest of every sealed chunk."""
    found: dict[str, str] = {}
    for entry in ledger.all_entries():
        if SEALED_KIND.encode() in entry.leaf:
            body = json.loads(entry.leaf)
            if body["kind"] == SEALED_KIND:
                found[body["data"]["subject"]] = body["data"].get("digest", "")
    return found


def _configuration(state_folder: Path, config: str) -> Mine:
    path = state_folder / "config" / f"{config}.json"
    try:
        return mine_from_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RecordError(f"configuration {config[:12]} is not kept: {error}") from error
