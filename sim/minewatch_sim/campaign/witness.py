"""What a bystander sees of a schedule: every turn, every second, every death; and remembers.

`Witness` gathers readings, wanted tables, coils and the ledger's account, tells the judges of each
turn and each second, and keeps every event for whoever reads a violation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from minewatch.core.step import Step
from minewatch.core.view import view
from minewatch.model.event import Event
from minewatch.model.image import Image, Reading, Sample
from minewatch.model.kind import UNITS
from minewatch.model.mine import Condition, Mine, Mode, OutputRole, Point
from minewatch.model.quality import Quality
from minewatch_sim.campaign.account import Account
from minewatch_sim.campaign.house import House
from minewatch_sim.faults import Fault

GAP_MS = 2_000
BLIND_MS = 11_000
"""A lost point is alarmed within 10 s; one more for cycles and the second's look."""

SOUNDERS = frozenset({OutputRole.SIREN, OutputRole.BROADCAST})
DRIVEN: dict[Mode, frozenset[OutputRole]] = {
    Mode.MONITOR: frozenset(),
    Mode.ALARM: frozenset(OutputRole) - {OutputRole.POWER_CUT, OutputRole.FAN_START},
    Mode.CONTROL: frozenset(OutputRole),
}


@dataclass
class Seen:
    """What a point last said, by its newest sample; times are those of the campaign.

    `below_ms` is the first sample of the unbroken run that permits a release.
    """

    value: int | None = None
    quality: Quality = Quality.STALE
    sampled_ms: int = -(10**12)
    good_ms: int = -(10**12)
    below_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One cycle: what came in, what was decided, what is wanted and what was wanted before.

    `gap_ms` is the time since the last turn of the same run, `wall_step_ms` how far the wall clock
    has moved against the monotonic one since then.
    """

    now_ms: int
    image: Image
    events: tuple[Event, ...]
    outputs: Mapping[str, bool] | None
    before: Mapping[str, bool] | None
    gap_ms: int = 0
    wall_step_ms: int = 0

    def event(self, kind: str) -> Event | None:
        """Return the first event of a kind."""
        return next((each for each in self.events if each.kind == kind), None)


class Vote(NamedTuple):
    """Heads that cut together: so many of them must ask for it."""

    needed: int
    heads: tuple[str, ...]
    outputs: frozenset[str]


class Wiring:
    """What a mine's points demand, read from the configuration as a person reads it."""

    def __init__(self, mine: Mine) -> None:
        self.mine = mine
        self.driven = {o.id: o for o in mine.outputs if o.role in DRIVEN[mine.mode]}
        self.votes = [
            Vote(
                each.votes_needed,
                tuple(c.point for c in each.causes if c.condition is Condition.TRIP),
                frozenset(o for o in each.outputs if o in self.driven),
            )
            for each in mine.interlocks
            if each.votes_needed > 1
        ]
        self.trips = self._of(mine, Condition.TRIP)
        self.offs = self._of(mine, Condition.OFF)
        faults = self._of(mine, Condition.FAULT)
        self.faults = {p.id: self.trips[p.id] | self.offs[p.id] | faults[p.id] for p in mine.points}
        self.points = {p.id: p for p in mine.points}
        self.scan_ms = {p.id: p.scan_ms or mine.bus(self.bus(p.id)).scan_ms for p in mine.points}
        self.stale_ms = {
            key: max(2_000, min(3 * scan_ms, 10_000)) for key, scan_ms in self.scan_ms.items()
        }
        self.zones: dict[str, list[str]] = {}
        for point in mine.points:
            if point.kind == "methane":
                self.zones.setdefault(point.zone, []).append(point.id)

    def bus(self, point: str) -> str:
        """Return the line of a point."""
        return self.mine.device(self.mine.point(point).device).bus

    def is_switch(self, point: str) -> bool:
        """Say whether a point is a state that nobody measures by hand."""
        return UNITS[self.points[point].kind].switch

    def permits(self, point: str, value: int) -> bool:
        """Say whether a value speaks for a release."""
        if self.offs[point]:
            return value != 0
        limits = self.points[point].limits
        restore = limits.restore if limits.restore is not None else limits.trip
        return restore is None or value < restore

    def _of(self, mine: Mine, condition: Condition) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {p.id: set() for p in mine.points}
        for interlock in mine.interlocks:
            if interlock.votes_needed > 1:
                continue  # no head of these acts alone
            for cause in interlock.causes:
                if cause.condition is condition:
                    found[cause.point] |= {o for o in interlock.outputs if o in self.driven}
        return {key: frozenset(each) for key, each in found.items()}


_WIRINGS: dict[int, Wiring] = {}


def wiring_of(mine: Mine) -> Wiring:
    """Return the wiring of a mine; mines of the campaign live as long as the process."""
    known = _WIRINGS.get(id(mine))
    if known is None or known.mine is not mine:
        known = _WIRINGS[id(mine)] = Wiring(mine)
    return known


class Witness:
    """Everything that judges may look at, and no judgement."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.wiring = wiring_of(house.mine)
        self.account = Account()
        self.seen: dict[str, Seen] = {}
        self.at_ms: dict[int, int] = {}
        self.outputs: Mapping[str, bool] | None = None
        self.wanted_ms: dict[str, int] = {}
        self.began_ms = 0
        self.turned_ms = 0
        self.proved_ms: int | None = None
        self.prior = "first"
        self.read_backs: dict[str, bool | None] = {}
        self.guarded_ms: dict[str, int] = {}
        self.lied_ms: dict[str, int] = {}
        self.faulty_ms: dict[str, int] = {}
        self.shaken_ms = 0
        self.dead_ms: dict[str, int] = {}
        self._offset_ms: int | None = None
        self._fed_ms: dict[str, int] = {}
        self.history: list[tuple[int, Event]] = []
        self.born("first")

    # ------------------------------------------------------------ lives

    def born(self, prior: str) -> None:
        """A process has begun: what it believes, it believes from now."""
        house = self.house
        self.wiring = wiring_of(house.mine)
        self.prior = prior
        self._offset_ms = None
        self._forget(house.now_ms)
        self.wanted_ms.clear()
        self.outputs = None
        self.account = Account.of(
            (each, self.at_ms.get(id(each), self.turned_ms)) for each in house.bench.store.events
        )

    def _forget(self, now_ms: int) -> None:
        self.began_ms = self.turned_ms = now_ms
        self.proved_ms = None
        self.read_backs.clear()
        self.seen = {each: Seen() for each in self.wiring.points}

    def ledger_holds(self) -> bool:
        """Say whether the disk holds a latched cause: then nothing may be lowered."""
        durable = Account.of((each, 0) for each in self.house.bench.store.events)
        return bool(durable.causes)

    # ------------------------------------------------------------ turns

    def heard(self, decided: Step, image: Image) -> Turn:
        """Take one cycle."""
        now_ms = self.house.now_ms
        gap_ms = now_ms - self.turned_ms
        if gap_ms > GAP_MS:
            self._forget(now_ms)
        self.turned_ms = now_ms
        offset_ms = image.wall_ms - image.now_ms
        step_ms = 0 if self._offset_ms is None else offset_ms - self._offset_ms
        gap_ms = 0 if self._offset_ms is None else gap_ms
        self._offset_ms = offset_ms
        shift_ms = now_ms - image.now_ms
        for sample in image.samples:
            self._read(sample, shift_ms, image)
        for read_back in image.read_backs:
            self.read_backs[read_back.output] = read_back.energised
        for event in decided.events:
            self.at_ms[id(event)] = now_ms
            self.history.append((now_ms, event))
            self.account.take(event, now_ms)
        turn = Turn(now_ms, image, decided.events, decided.outputs, self.outputs, gap_ms, step_ms)
        self._want(turn)
        return turn

    def _want(self, turn: Turn) -> None:
        outputs, before = turn.outputs, self.outputs
        if outputs is None:
            self.outputs = None
            return
        if self.proved_ms is None:
            self.proved_ms = turn.now_ms
        for key, level in outputs.items():
            if before is None or before.get(key) is not level:
                self.wanted_ms[key] = turn.now_ms
        self.outputs = outputs

    def _read(self, sample: Sample, shift_ms: int, image: Image) -> None:
        at_ms = sample.sampled_ms + shift_ms
        for reading in sample.readings:
            seen = self.seen.get(reading.point)
            if seen is not None and at_ms >= seen.sampled_ms:
                self._take(seen, reading, at_ms, image)

    def _take(self, seen: Seen, reading: Reading, at_ms: int, image: Image) -> None:
        point, value, quality = reading
        good = quality == Quality.GOOD and value is not None
        gap = at_ms - seen.sampled_ms > self.wiring.stale_ms[point] + 1_000
        seen.value, seen.quality, seen.sampled_ms = value, Quality(quality), at_ms
        if good:
            seen.good_ms = at_ms
        fit = good and value is not None and self.wiring.permits(point, value)
        if not fit or (self.account.acts and self.out_of_service(point, image)):
            seen.below_ms = None
        elif gap or seen.below_ms is None:
            seen.below_ms = at_ms

    def out_of_service(self, point: str, image: Image) -> bool:
        """Say whether an act that takes a point out of service stands on disk, on a sound one."""
        acts = self.account.acts
        return "ledger" not in self.account.faults and any(
            (kind, point) in acts and acts[kind, point].place < image.durable_index
            for kind in ("calibration", "bypass", "head_work", "warm_up")
        )

    def asks(self, point: str, turn: Turn) -> bool:
        """Say whether a head's newest sample, still young, stands at its trip limit or beyond."""
        seen, limit = self.seen[point], self.wiring.points[point].limits.trip
        young = turn.now_ms - seen.sampled_ms <= self.wiring.stale_ms[point]
        if not young or limit is None or self.account.touched(point):
            return False
        over = seen.quality is Quality.OVER_RANGE
        high = seen.quality is Quality.GOOD and seen.value is not None and seen.value >= limit
        return over or high

    def is_guarded(self, point: str, now_ms: int) -> bool:
        """Say whether another methane head of the place is GOOD."""
        wiring = self.wiring
        return any(
            each != point
            and self.seen[each].quality is Quality.GOOD
            and now_ms - self.seen[each].sampled_ms <= wiring.stale_ms[each]
            and not self.account.touched(each)
            for each in wiring.zones.get(wiring.points[point].zone, ())
        )

    def has_relays(self, bus: str) -> bool:
        """Say whether a line drives outputs."""
        return any(
            self.wiring.mine.device(o.device).bus == bus for o in self.wiring.driven.values()
        )

    def rebooted_since(self, at_ms: int) -> bool:
        """Say whether the box has begun a new clock since a time of the campaign."""
        return self.house.rebooted_ms is not None and self.house.rebooted_ms >= at_ms

    # ------------------------------------------------------------ seconds

    def frame(self) -> dict[str, Any] | None:
        """Return what a watcher is shown now; None while nobody lives, or has not turned yet."""
        controller = self.house.controller
        if controller is None or controller.cycle == 0:
            return None
        return view(controller.mine, controller.state, controller.clock.now_ms())

    def follow(self, now_ms: int) -> None:
        """Note once a second which devices lie, which are disturbed, which heads are guarded."""
        faults, mine = self.house.plant.faults, self.house.mine
        for device in mine.devices:
            if faults.has(device.id, Fault.FROZEN):
                self.lied_ms[device.id] = now_ms
            if faults.any(device.id, device.bus):
                self.faulty_ms[device.id] = now_ms
        for output, feeder in self.house.plant.power.feeders.items():
            if not feeder.live:
                self.dead_ms[output] = now_ms
        for point in self.wiring.zones.values():
            for each in point:
                if self.is_guarded(each, now_ms):
                    self.guarded_ms[each] = now_ms

        self._follow_feeds()

    def disturbed(self, target: str) -> None:
        """Note that a fault of a device or line begins or ends now."""
        for device in self.house.plant.mine.devices:
            if target in (device.id, device.bus):
                self.faulty_ms[device.id] = self.house.now_ms

    def _follow_feeds(self) -> None:
        """Note when each relay was fed last; one that lost its power has forgotten all."""
        clock, now_ms = self.house.bench.clock, self.house.now_ms
        for bus in self.house.bench.buses.values():
            for device in bus.devices.values():
                watchdog = device.watchdog
                if watchdog is None:
                    continue
                if watchdog.armed_us is not None:
                    age_us = clock.now_us() - watchdog.armed_us
                    self._fed_ms[device.device.id] = now_ms - age_us // 1000
                elif not watchdog.expired:
                    self._fed_ms.pop(device.device.id, None)

    def unfed_ms(self, now_ms: int) -> dict[str, int]:
        """Return how long nobody has fed each relay that was ever fed since it has power."""
        return {key: now_ms - at_ms for key, at_ms in self._fed_ms.items()}

    def lies(self, point: Point, now_ms: int) -> bool:
        """Say whether the device of a point has given old registers lately."""
        return now_ms - self.lied_ms.get(point.device, -(10**9)) < 15_000

    def is_blind(self, point: str, now_ms: int) -> bool:
        """Say whether a point is lost, but its loss need not be alarmed: not yet, or not again.

        A line that is back has ended its alarm, and asks its points one by one.
        """
        lost_ms = now_ms - max(self.seen[point].good_ms, self.began_ms)
        back_ms = self.account.restored_ms.get(f"line:{self.wiring.bus(point)}", -(10**9))
        unsaid = lost_ms <= BLIND_MS or now_ms - back_ms <= BLIND_MS
        return self.wiring.scan_ms[point] < lost_ms and unsaid

    def is_calm(self, device: str, now_ms: int, for_ms: int = 6_000) -> bool:
        """Say whether nothing has disturbed a device, its line or the box for a while."""
        return (
            now_ms - self.faulty_ms.get(device, -(10**9)) > for_ms
            and now_ms - self.began_ms > for_ms
            and now_ms - self.shaken_ms > for_ms
        )


__all__ = ["SOUNDERS", "Seen", "Turn", "Wiring", "Witness"]
