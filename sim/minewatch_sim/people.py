"""The people of the plant: where each one truly is, and which reader hears which badge.

Moves are events on a heap, so that 120 people cost nothing while nobody moves. Truth changes at
the mouth gate; readers may lose or repeat a badge, truth never does.
"""

import heapq
import random
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from minewatch.model.mine import Mine, Reader, ZoneKind
from minewatch_sim.roadways import Roadways

QUEUE_MAX = 4096
SHIFT_PLACES = {ZoneKind.FACE: 22, ZoneKind.HEADING: 15}
"""How many of the first shift work in a face or heading; the rest is spread over the roadways."""
BOTTOM_PLACES = 12
"""How many wait where only a mouth reader stands, which hears nobody who does not pass it."""


class Heard(NamedTuple):
    """One record of a reader, as it would go into its own memory; `at_ms` is plant time."""

    badge: str
    direction: int
    flags: int
    at_ms: int


@dataclass
class Lies:
    """How one reader departs from what truly passed; devices follow these at once.

    `loss` of the badges are not heard at all, `duplicates` come twice, `shuffled` change places
    with the record before. `clock_s` is how far its own clock is off. `restarts` and `replays`
    count how often it was made to lose its power for a moment, and to give its old log again.
    """

    loss: float = 0.0
    duplicates: float = 0.0
    shuffled: float = 0.0
    clock_s: int = 0
    capacity: int = 256
    restarts: int = 0
    replays: int = 0


class Truth(NamedTuple):
    """Who is really underground: in all, and by zone."""

    total: int
    zones: dict[str, int]


@dataclass(slots=True)
class Walker:
    """One person. `way` are the zones still to walk; `riding` is +1 down, -1 up, 0 on foot."""

    badge: str
    zone: str
    work: str
    way: deque[str] = field(default_factory=deque)
    riding: int = 0
    silent: bool = False
    stays: bool = False
    flags: int = 0
    leaving: bool = False
    unread: bool = False
    seen: bool = False
    next_step: int = 0
    next_hearing: int = 0


@dataclass(frozen=True, slots=True)
class Habits:
    """How people and readers behave; times in s of plant time at pace 1.

    `pace` divides walking times and cage rides, so that a story of minutes shows a walk of half an
    hour.
    """

    underground: int = 120
    pace: float = 1.0
    ride_s: float = 60.0
    heard_every_s: float = 60.0
    react_s: float = 5.0
    loss: float = 0.0
    duplicates: float = 0.0


class People:
    """Everybody with a badge. `advance` moves them up to a plant time; `take` empties a reader."""

    def __init__(self, mine: Mine, habits: Habits, rng: random.Random) -> None:
        self._ways = Roadways(mine)
        self._habits = habits
        self._rng = rng
        self._now_ms = 0
        self._serial = 0
        self._due: list[tuple[int, int, str, str]] = []
        self._readers = mine.readers
        self._queues = {r.id: deque[Heard](maxlen=QUEUE_MAX) for r in mine.readers}
        self.lies = {
            r.id: Lies(loss=habits.loss, duplicates=habits.duplicates) for r in mine.readers
        }
        self.gate_in = 0
        self.gate_out = 0
        self.refused = 0
        self.walkers = {p.badge: Walker(p.badge, self._ways.surface, "") for p in mine.people}
        self._settle_shift()

    def truth(self) -> Truth:
        """Return the true count underground, in all and per zone (zones without people too)."""
        zones = dict.fromkeys(self._ways.underground, 0)
        for walker in self.walkers.values():
            if walker.zone in zones:
                zones[walker.zone] += 1
        return Truth(sum(zones.values()), zones)

    def advance(self, now_ms: int) -> None:
        """Let everything happen that is due up to `now_ms`."""
        while self._due and self._due[0][0] <= now_ms:
            self._now_ms, serial, badge, what = heapq.heappop(self._due)
            walker = self.walkers[badge]
            if what == "leave":
                self._leave(walker)
            elif what == "hear" and serial == walker.next_hearing:
                self._heard_again(walker)
            elif what == "come" and walker.zone == self._ways.surface and not walker.riding:
                self._ride_down(walker)
            elif what == "step" and serial == walker.next_step:
                self._step(walker)
        self._now_ms = now_ms

    def take(self, reader_id: str) -> list[Heard]:
        """Return and forget what a reader has heard since the last call, oldest first."""
        queue = self._queues[reader_id]
        heard = list(queue)
        queue.clear()
        return heard

    def cage(self, come: int, go: int, lost: int = 0, shut: bool = False) -> tuple[int, int]:
        """Bring `come` people in and `go` people out; of these, `lost` are read by no mouth reader.

        Who goes down is the oncoming shift, the last of the list, not whoever has just come up.
        A shut gate holds back everybody who comes in; nobody who leaves.
        Returns:
            how many really went in and out: fewer where nobody is left.
        """
        waiting = (w for w in reversed(self.walkers.values()) if not w.riding)
        above = [w for w in waiting if w.zone == self._ways.surface]
        bottom = self._ways.underground[0] if self._ways.underground else ""
        below = [w for w in self.walkers.values() if w.zone == bottom and not w.riding]
        if shut:
            self.refused += come
            come = 0
        for walker in above[:come]:
            walker.work = walker.work or bottom
            self._ride_down(walker)
        for position, walker in enumerate(below[:go]):
            walker.unread = position < lost
            self._ride_up(walker)
        return min(come, len(above)), min(go, len(below))

    def change_shift(self, over_s: float, shut: bool = False) -> tuple[int, int]:
        """Send the shift underground home within `over_s`; as many others come down meanwhile.

        Returns:
            how many set out for home and for work; a shut gate holds back who comes.
        """
        below = [
            w
            for w in self.walkers.values()
            if w.zone in self._ways.underground and not (w.riding or w.leaving or w.stays)
        ]
        above = [w for w in reversed(self.walkers.values()) if w.zone == self._ways.surface]
        for walker in below:
            walker.leaving = True
            self._in_s(walker, "leave", self._rng.uniform(0.0, over_s))
        coming = [] if shut else above[: len(below)]
        for walker, leaves in zip(coming, below, strict=False):
            walker.work = leaves.work
            self._in_s(walker, "come", self._rng.uniform(0.0, over_s))
        return len(below), len(coming)

    def sound(self, zones: frozenset[str]) -> None:
        """Let the people of `zones` leave the mine, each after a short time of his own."""
        for walker in self.walkers.values():
            if walker.zone in zones and not walker.leaving and not walker.stays:
                walker.leaving = True
                self._in_s(walker, "leave", self._rng.uniform(0.2, 1.0) * self._habits.react_s)

    def silence(self, zone: str) -> str | None:
        """Let one badge in `zone` fall silent and its bearer stay; return it, None if empty."""
        for walker in self.walkers.values():
            if walker.zone == zone and not walker.silent and not walker.riding:
                walker.silent = walker.stays = True
                return walker.badge
        return None

    def send(self, badge: str, goal: str) -> bool:
        """Send somebody underground to another zone; False where there is no way or no such one."""
        walker = self.walkers.get(badge)
        if walker is None or walker.riding or walker.zone not in self._ways.underground:
            return False
        way = self._ways.way(walker.zone, goal)
        walker.way = deque(way)
        self._next_leg(walker)
        return bool(way)

    def call_sos(self, badge: str) -> None:
        """Press the SOS button of a badge; its reader hears it at once."""
        walker = self.walkers[badge]
        walker.flags |= 2
        self._heard_in_zone(walker)

    def _settle_shift(self) -> None:
        zones = self._work_zones()
        crew = list(self.walkers.values())[: len(zones)]
        for walker, zone in zip(crew, zones, strict=False):
            walker.zone = walker.work = zone
            self._in_s(walker, "hear", self._rng.uniform(0.0, 2.0))
        self.gate_in = len(crew)

    def _work_zones(self) -> list[str]:
        """Return a working zone for each of the first shift: faces first, the rest in roadways."""
        heard = {r.zone for r in self._readers if not r.mouth}
        mouth = {r.zone for r in self._readers if r.mouth} - heard
        places: list[str] = []
        roadways: list[str] = []
        for zone_id in self._ways.underground:
            if zone_id in mouth:
                places += [zone_id] * BOTTOM_PLACES
            elif zone_id in heard:
                share = SHIFT_PLACES.get(self._ways.kind(zone_id))
                places += [zone_id] * (share or 0)
                roadways += [] if share else [zone_id]
        roadways = roadways or list(self._ways.underground[:1])
        spare = max(0, self._habits.underground - len(places)) if roadways else 0
        return [*places, *(roadways * spare)[:spare]][: self._habits.underground]

    def _in_s(self, walker: Walker, what: str, seconds: float) -> None:
        self._serial += 1
        if what == "step":
            walker.next_step = self._serial
        elif what == "hear":
            walker.next_hearing = self._serial
        due_ms = self._now_ms + max(0, round(seconds * 1000))
        heapq.heappush(self._due, (due_ms, self._serial, walker.badge, what))

    def _ride_down(self, walker: Walker) -> None:
        self.gate_in += 1
        walker.riding = 1
        walker.leaving = False
        self._mouth(walker, surface=True, direction=1)
        walker.zone = self._ways.underground[0]
        self._in_s(walker, "step", self._habits.ride_s / self._habits.pace)

    def _ride_up(self, walker: Walker) -> None:
        walker.riding = -1
        walker.way.clear()
        self._mouth(walker, surface=False, direction=-1)
        self._in_s(walker, "step", self._habits.ride_s / self._habits.pace)

    def _step(self, walker: Walker) -> None:
        if walker.riding > 0:
            walker.riding = 0
            self._mouth(walker, surface=False, direction=1)
            walker.way = deque(self._ways.way(walker.zone, walker.work))
            self._hear_in(walker, self._habits.heard_every_s)
        elif walker.riding < 0:
            walker.riding = 0
            self.gate_out += 1
            walker.zone = self._ways.surface
            walker.leaving = False
            self._mouth(walker, surface=True, direction=-1)
            walker.unread = False
            return
        elif walker.way:
            walker.zone = walker.way.popleft()
            self._heard_in_zone(walker)
        self._next_leg(walker)

    def _next_leg(self, walker: Walker) -> None:
        if not walker.way:
            return
        if walker.way[0] == self._ways.surface:
            self._ride_up(walker)
            return
        legs_s = self._ways.leg_s(walker.zone, walker.way[0]) * self._rng.uniform(0.9, 1.1)
        self._in_s(walker, "step", legs_s / self._habits.pace)

    def _leave(self, walker: Walker) -> None:
        if walker.riding or walker.stays or walker.zone == self._ways.surface:
            return
        walker.way = deque(self._ways.way(walker.zone, self._ways.surface))
        self._next_leg(walker)

    def _heard_again(self, walker: Walker) -> None:
        if walker.zone == self._ways.surface or walker.riding:
            return
        self._heard_in_zone(walker)
        self._hear_in(walker, self._habits.heard_every_s)

    def _hear_in(self, walker: Walker, seconds: float) -> None:
        self._in_s(walker, "hear", seconds * self._rng.uniform(0.8, 1.2))

    def _heard_in_zone(self, walker: Walker) -> None:
        here = [r for r in self._readers if r.zone == walker.zone]
        standing = [r for r in here if not r.mouth]
        for reader in standing[:1]:
            self._record(reader, walker, 0)
        if not standing and not walker.seen:
            self._mouth(walker, surface=False, direction=1)
        walker.seen = True

    def _mouth(self, walker: Walker, surface: bool, direction: int) -> None:
        for reader in self._readers:
            if reader.mouth and (reader.zone == self._ways.surface) == surface:
                self._record(reader, walker, direction if reader.directed else 0)

    def _record(self, reader: Reader, walker: Walker, direction: int) -> None:
        if walker.silent or walker.unread or self._rng.random() < self.lies[reader.id].loss:
            return
        heard = Heard(walker.badge, direction, walker.flags, self._now_ms)
        self._queues[reader.id].append(heard)
        if self._rng.random() < self.lies[reader.id].duplicates:
            self._queues[reader.id].append(heard)
