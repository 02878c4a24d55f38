"""One schedule from its first to its last second; what it proved is a `Result`."""

import gc
import hashlib
import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from minewatch.core.step import Step
from minewatch.model.image import Image
from minewatch.model.mine import OutputRole
from minewatch_sim.campaign.court import Court, Violation
from minewatch_sim.campaign.happenings import Happenings
from minewatch_sim.campaign.house import House
from minewatch_sim.campaign.invariant import Frame
from minewatch_sim.campaign.mines import mine_of
from minewatch_sim.campaign.people import GoodCrew, People
from minewatch_sim.campaign.reached import Reached
from minewatch_sim.campaign.schedule import Mode, Schedule, draw
from minewatch_sim.campaign.witness import SOUNDERS, Witness

SECOND_MS = 1_000
TWICE_EVERY = 50
"""One seed in so many is run a second time and must give the same bytes."""

STANDING_ALLOWED = frozenset({
    "calibration_overdue", "test_overdue", "over_limit", "maybe_over_limit", "unaccounted",
    "over_time", "sos", "restricted_zone", "hand_check", "head_work_overrun", "calibration_overrun",
    "duty_check_missed", "nobody_reachable", "hand_cover_late", "test_failed", "low",
})  # fmt: skip
"""Alarms that people, not the end of faults, bring to an end."""

Trace = Callable[[str], None]
Safety = list[tuple[int, str, bool]]


@dataclass(frozen=True, slots=True)
class Result:
    """What one schedule gave; `digest` is over every decision and every byte on every wire."""

    seed: int
    mode: Mode
    violations: tuple[Violation, ...]
    digest: str
    reached: Counter[str]
    met: Counter[str]
    faults: int
    crashes: int
    devices: int
    virtual_ms: int
    events: int


def run(seed: int, mode: Mode, trace: Trace | None = None) -> Result:
    """Run the schedule of a seed, its twin where it has one, and some seeds twice."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        schedule = draw(seed, mode)
        result, safety = _Run(schedule, trace).result()
        if schedule.twin:
            _, other = _Run(schedule.without(schedule.twin), None).result()
            result = _compared(result, schedule.twin, safety, other)
        if seed % TWICE_EVERY == 0:
            again, _ = _Run(schedule, None).result()
            if again.digest != result.digest:
                result = _with(result, "I28", "the same seed gave other decisions or other bytes")
    finally:
        if collecting:
            gc.enable()
    return result


def _compared(result: Result, family: str, one: Safety, other: Safety) -> Result:
    """Compare the safety outputs of a schedule and its twin."""
    if one == other:
        return result
    at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), -1)
    code = "I20" if family == "clock" else "I23"
    return _with(result, code, f"without {family}: {one[at:][:1]} became {other[at:][:1]}")


def _with(result: Result, code: str, says: str) -> Result:
    if any(each.code == code for each in result.violations):
        return result
    found = Violation(code, result.virtual_ms, says, ())
    return replace(result, violations=(*result.violations, found))


class _Run:
    """A house, its people, its court and the schedule that happens to them."""

    def __init__(self, schedule: Schedule, trace: Trace | None) -> None:
        self._schedule = schedule
        mine = mine_of(schedule.template)
        self._house = House(mine, schedule.seed)
        self._witness = Witness(self._house)
        self._reached = Reached()
        self._court = Court(self._house, self._witness, self._reached)
        rng = random.Random(f"{schedule.seed}/people")
        self._people = People(self._house, self._witness, rng)
        self._crew = GoodCrew(self._people, self._house, self._witness)
        self._happens = Happenings(self._house, self._witness, self._people, schedule.template)
        self._happens.dark = self._court.dark
        self._safety: Safety = []
        self._trace = trace
        self._last: dict[str, bool] = {}
        self._events = 0
        self._hear(self._listen)
        self._healthy = False
        self._start_ms = self._house.now_ms

    def result(self) -> tuple[Result, Safety]:
        """Run to the end."""
        for planned in self._schedule.planned:
            self._happens.at(planned.at_ms, planned.do, planned.arguments)
        liveness = self._schedule.mode is Mode.LIVENESS
        next_ms = self._happens.now_ms + SECOND_MS
        while next_ms <= self._schedule.end_ms:
            self._to(next_ms)
            if liveness and not self._healthy and next_ms >= self._schedule.faults_end_ms:
                self._healthy = True
                self._happens.end_all()
            self._court.second()
            frame = self._witness.frame() if self._healthy else None
            if frame is not None:
                self._crew.act(frame)
            next_ms += SECOND_MS
        self._close(liveness)
        return self._told(), self._safety

    def _to(self, until_ms: int) -> None:
        """Go on to a second, with all that happens until then."""
        later, house = self._happens.later, self._house
        while True:
            due_ms = min(until_ms, later[0][0]) if later else until_ms
            wait_ms = due_ms - self._happens.now_ms
            if wait_ms > 0:
                house.run_to(house.now_ms + wait_ms)
            if not later or later[0][0] > self._happens.now_ms:
                if self._happens.now_ms >= until_ms:
                    return
                continue
            _, _, name, said = heapq.heappop(later)
            if not (self._healthy and name not in _AFTER):
                if self._trace is not None:
                    self._trace(f"{house.now_ms:>9} * {name} {said}")
                self._happens.do(name, said)

    def _close(self, liveness: bool) -> None:
        """Judge the end: what the disk would give back, and whether all is well again."""
        house = self._house
        if liveness:
            frame = self._witness.frame()
            words = _not_normal(self._witness, frame) if frame is not None else iter(["dead"])
            self._court.note("L1", words)
        if house.controller is not None:
            house.bench.store.failing = False
            house.crash()

    def _told(self) -> Result:
        house = self._house
        both = hashlib.sha256(house.digest.hex().encode() + house.bench.digest().encode())
        if self._happens.met["commands_turned_away"]:
            self._reached.met("commands turned away")
        schedule = self._schedule
        return Result(
            schedule.seed,
            schedule.mode,
            tuple(self._court.violations.values()),
            both.hexdigest(),
            self._reached.states,
            self._happens.met,
            schedule.faults,
            schedule.crashes,
            len(house.plant.mine.devices),
            house.now_ms - self._start_ms - self._happens.slept_ms,
            self._events,
        )

    def _hear(self, listener: Callable[[Step, Image], None]) -> None:
        self._house.listeners.append(listener)
        if self._house.controller is not None:
            self._house.controller.listeners.append(listener)

    def _listen(self, decided: Step, image: Image) -> None:
        """Note what becomes of power and sirens; say each event where somebody wants to hear it."""
        del image
        self._events += len(decided.events)
        now_ms = self._house.now_ms
        if self._trace is not None:
            for event in decided.events:
                self._trace(f"{now_ms:>9}   {event.kind} {event.data}")
        for output, level in (decided.outputs or {}).items():
            if self._last.get(output) is not level:
                self._last[output] = level
                role = self._witness.wiring.driven[output].role
                if role is OutputRole.POWER_CUT or role in SOUNDERS:
                    self._safety.append((now_ms, output, level))


_AFTER = frozenset({"restart", "gas_end", "device_fault_end", "bus_fault_end", "relay_reset_end"})
"""What still happens once faults have ended."""


def _not_normal(w: Witness, frame: Frame) -> Iterator[str]:
    """Yield everything that is not as in a healthy mine."""
    house = w.house
    if frame["causes"]:
        causes = {k: c["reasons"] for k, c in frame["causes"].items()}
        yield f"still latched: {causes}"
    for output, feeder in house.plant.power.feeders.items():
        if not feeder.live:
            yield f"{output} has no power"
    if frame["withdrawals"] or frame["no_descent"]:
        yield f"still ordered out: {sorted(frame['withdrawals'])}, no descent"
    standing = sorted(
        f"{a['kind']}/{a['source']}"
        for a in frame["alarms"].values()
        if a["active"] and a["kind"] not in STANDING_ALLOWED
    )
    if standing:
        yield f"alarms still stand: {standing}"
    bad = sorted(p for p, each in frame["points"].items() if each["quality"] != "GOOD")
    if bad:
        yield f"not GOOD: {bad}"
    if house.controller is not None:
        down = [key for key, line in house.controller.lines.items() if not line.status().up]
        if down:
            yield f"lines down: {down}"
    if house.bench.store.events_waiting():
        yield "events wait for the disk"
    truth, count = house.plant.truth().total, frame["headcount"]
    hi = truth if count["hi"] is None else count["hi"] + w.account.closed
    if not count["lo"] <= truth <= hi:
        yield f"{count['lo']} to {count['hi']} people are shown, {truth} are there"
