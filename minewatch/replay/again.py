"""The same inputs, the same configuration: was everything decided as it was recorded?

Equal digests prove that the recorded decisions are those of this program on those inputs, bit for
bit. Where they are not, the first cycle and ledger entry that differ are named.
"""

import json
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minewatch.core.step import step
from minewatch.model.event import Event
from minewatch.model.image import Image
from minewatch.record import RecordError
from minewatch.record.digest import DecisionDigest
from minewatch.record.journal_files import MARK_BYTES
from minewatch.record.ledger import Entry, Ledger
from minewatch.record.recover import SEALED_KIND
from minewatch.replay.recording import (
    Began,
    Ended,
    Missing,
    Progress,
    Recorded,
    Turned,
    chosen,
    configuration,
    readable,
    recorded,
    silent,
)


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


def replay(state_folder: Path, run: str | None = None, progress: Progress = silent) -> Comparison:
    """Replay one run (the newest by default) with the configuration that it had.

    It ends at the end of the run, at a hole, or soon after the first difference.

    Raises:
        RecordError: no such run, its configuration is not kept, or the record is unreadable.
    """
    wanted = chosen(state_folder, run)
    try:
        with readable(), closing(Ledger.open(state_folder, origin="", writable=False)) as ledger:
            return _Replay(ledger, state_folder).through(recorded(state_folder, wanted, progress))
    except FileNotFoundError as error:
        raise RecordError(f"no ledger: {error}") from error


class _Replay:
    """One run on its way through `step`."""

    def __init__(self, ledger: Ledger, state_folder: Path) -> None:
        self._entries = _Entries(ledger)
        self._sealed = _sealed_digests(ledger)
        self._folder = state_folder
        self._digest = DecisionDigest()
        self._found = Comparison("", "", "")
        self._first_ms: int | None = None

    def through(self, inputs: Iterable[Recorded]) -> Comparison:
        """Replay everything."""
        began = time.monotonic()
        found = self._found
        for each in inputs:
            match each:
                case Turned():
                    self._turn(each.image)
                    self._mark(each.mark)
                case Began():
                    self._start(each)
                case Missing():
                    found.hole = (each.first_cycle, each.last_cycle)
                case Ended():
                    self._end_chunk(each.chunk)
                    if found.difference is not None:
                        break
        found.digest = self._digest.hex()
        found.seconds = time.monotonic() - began
        return found

    def _start(self, began: Began) -> None:
        found = self._found
        found.run, found.config, found.version = began.run, began.config, began.version
        self._state = began.state
        self._mine = configuration(self._folder, began.config)

    def _turn(self, image: Image) -> None:
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

    def _end_chunk(self, chunk: str) -> None:
        sealed = self._sealed.get(chunk)
        if sealed is None:
            return
        if sealed == self._digest.hex():
            self._found.chunks += 1
        else:
            self._differ(self._cycle, self._index)

    def _differ(self, cycle: int, index: int, before: str = "", after: str = "") -> None:
        if self._found.difference is None:
            self._found.difference = Difference(cycle, index, before, after)


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
