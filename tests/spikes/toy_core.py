"""A toy core for the crash spike: latch, acknowledge, headcount; and a process that runs it.

    python toy_core.py STATE_FOLDER SEED

runs it on the real store until it is killed. It prints `<index> <hash of the state>` for what is
durable, and keeps its relay coils in a file, as a relay would keep them.
"""

import hashlib
import os
import random
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from minewatch.model.canonical import encode
from minewatch.model.event import Event
from minewatch.model.image import Image
from minewatch.record.digest import DecisionDigest
from minewatch.record.journal import Start
from minewatch.record.recover import read_state
from minewatch.record.store import RecordStore, StoreLimits

OUTPUTS = 6


@dataclass(frozen=True)
class Toy:
    """What survives: outputs latched open, those acknowledged, people underground."""

    index: int = 0
    latched: frozenset[int] = frozenset()
    acknowledged: frozenset[int] = frozenset()
    people: int = 0

    def hash(self) -> str:
        """Return a short hash of the whole state."""
        words = [self.index, sorted(self.latched), sorted(self.acknowledged), self.people]
        return hashlib.sha256(encode(words)).hexdigest()[:16]


def fold(toy: Toy, event: Event) -> Toy:
    """Return the state after one event."""
    output, kind = event.data.get("output"), event.kind
    if kind in {"tripped", "controller_lost"}:
        toy = replace(toy, latched=toy.latched | {output}, acknowledged=toy.acknowledged - {output})
    elif kind == "released":
        toy = replace(toy, latched=toy.latched - {output})
    elif kind == "acknowledged":
        toy = replace(toy, acknowledged=toy.acknowledged | {output})
    elif kind == "counted":
        toy = replace(toy, people=event.data["people"])
    return replace(toy, index=toy.index + 1)


def fold_all(events: Iterable[Event]) -> Toy:
    """Return what survives of these events."""
    toy = Toy()
    for event in events:
        toy = fold(toy, event)
    return toy


class Core:
    """Decides at random, acts before it records towards safety and after it away from safety."""

    def __init__(self, toy: Toy, open_coils: Iterable[int], chance: random.Random) -> None:
        self.toy = toy
        self.chance = chance
        self.open = set(open_coils)
        self.releasing: dict[int, int] = {}
        self.cycle = 0
        self.lost = sorted(self.open - toy.latched)
        self.open |= toy.latched

    def turn(self, durable_index: int) -> tuple[Event, ...]:
        """Run one cycle: close what a durable release permits, then decide and open."""
        for output, index in list(self.releasing.items()):
            if durable_index > index and output not in self.toy.latched:
                self.open.discard(output)
                del self.releasing[output]
        events = [self._emit("controller_lost", output=each) for each in self.lost]
        self.lost = []
        for _ in range(self.chance.choice((0, 0, 1, 1, 2, 4))):
            events.append(self._decide())
        self.cycle += 1
        return tuple(events)

    def _decide(self) -> Event:
        output = self.chance.randrange(OUTPUTS)
        act = self.chance.random()
        if act < 0.3:
            self.open.add(output)
            self.releasing.pop(output, None)
            return self._emit("tripped", output=output)
        if act < 0.5 and output in self.toy.latched:
            self.releasing[output] = self.toy.index
            return self._emit("released", output=output)
        if act < 0.7 and output in self.toy.latched:
            return self._emit("acknowledged", output=output)
        return self._emit("counted", people=self.chance.randrange(200))

    def _emit(self, kind: str, **data: int) -> Event:
        event = Event(kind, 1, self.cycle, self.cycle * 100, self.cycle * 100, True, dict(data))
        self.toy = fold(self.toy, event)
        return event


def coils_of(folder: Path) -> set[int]:
    """Return the open coils of the relay file."""
    path = folder / "coils"
    state = path.read_bytes() if path.exists() else bytes(OUTPUTS)
    return {number for number, is_open in enumerate(state) if is_open}


def main(folder: Path, seed: int) -> None:
    """Run until killed."""
    core = Core(fold_all(read_state(folder).events), coils_of(folder), random.Random(seed))
    digest = DecisionDigest()
    store = RecordStore(
        folder,
        "toy/mine",
        digest=digest,
        urgent=lambda event: event.kind == "tripped",
        limits=StoreLimits(idle_s=0.001),
    )
    store.start_run(Start(f"run-{seed}", {}, "0", "0", 0))
    coils = os.open(folder / "coils", os.O_RDWR | os.O_CREAT, 0o600)
    hashes = {core.toy.index: core.toy.hash()}
    told = -1
    while True:
        durable = store.durable_index
        events = core.turn(durable)
        os.pwrite(coils, bytes(number in core.open for number in range(OUTPUTS)), 0)
        hashes[core.toy.index] = core.toy.hash()
        image = Image(core.cycle, core.cycle * 100, core.cycle * 100, True, durable)
        digest.update(core.cycle, events, None)
        store.submit(encode(image.to_row()), events, image.samples)
        if durable != told and durable in hashes:
            told = durable
            print(durable, hashes[durable], flush=True)  # noqa: T201  the parent reads it
        time.sleep(0.001)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
