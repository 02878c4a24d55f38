"""Air and gas of the plant: methane heads, other quantities, fans, doors, rain.

A methane head follows its emission over the ventilation, with a slow walk and noise on top; it
rises within seconds and falls with the dilution of its airway. With the power of its zone cut the
emission drops, because nobody cuts coal. Numbers here shape a story; they decide nothing.
"""

import math
import random
from dataclasses import dataclass, field

from minewatch.model.kind import UNITS, Kind
from minewatch.model.mine import Mine, Point, Zone
from minewatch_sim.power import Power

STEP_S = 0.1
RISE_S = 4.0
WALK_S = 120.0
IDLE_SHARE = 0.4
UPWIND_SHARE = 0.25
STANDBY_START_S = 10.0
DOOR_EVERY_S = 400.0
DOOR_OPEN_S = 20.0

METHANE_PCT = {
    "face_return_corner": 0.45,
    "face": 0.36,
    "face_return": 0.30,
    "face_intake_high_gas": 0.08,
    "heading": 0.32,
    "heading_return": 0.24,
    "district_return": 0.26,
    "total_return": 0.20,
}
"""Quiet methane at a statutory place, in %CH4."""

QUIET = {
    Kind.CARBON_MONOXIDE: (4.0, 0.8),
    Kind.CARBON_DIOXIDE: (0.15, 0.01),
    Kind.OXYGEN: (20.7, 0.03),
    Kind.TEMPERATURE: (23.5, 0.1),
    Kind.AIR_SPEED: (1.80, 0.05),
    Kind.NEGATIVE_PRESSURE: (1850.0, 12.0),
    Kind.RAIN: (3.2, 0.0),
    Kind.WATER_LEVEL: (1.40, 0.01),
    Kind.HYDROGEN_SULFIDE: (0.4, 0.1),
    Kind.NITROGEN_DIOXIDE: (0.2, 0.05),
    Kind.SULFUR_DIOXIDE: (0.3, 0.05),
    Kind.AMMONIA: (3.0, 0.4),
    Kind.HYDROGEN: (0.05, 0.005),
    Kind.DUST: (4.0, 0.3),
    Kind.COAL_OUTPUT: (0.0, 0.0),
}
"""Quiet value and noise of the other analog kinds, in the unit that people read."""

BLOWN = frozenset({Kind.AIR_SPEED, Kind.NEGATIVE_PRESSURE})


@dataclass(slots=True)
class Ramp:
    """A straight change of an emission from where it stands to `goal` within `left_s`."""

    goal: float
    left_s: float


@dataclass(slots=True)
class Head:
    """One methane head's air: `emission` in %CH4 at full ventilation, `level` what is there."""

    point: Point
    quiet: float
    emission: float
    level: float
    upwind: tuple["Head", ...] = ()
    drivers: tuple[str, ...] = ()
    walk: float = 0.0
    ramp: Ramp | None = None
    shown: float = 0.0


@dataclass(slots=True)
class Bottle:
    """Test gas on a head: pairs of (seconds, value); the head follows within a few seconds."""

    steps: list[tuple[float, float]]
    level: float = 0.0
    past_s: float = 0.0


@dataclass
class Air:
    """Everything that moves with the air; `advance` takes one step of `STEP_S`."""

    mine: Mine
    power: Power
    rng: random.Random
    dilution_s: float = 90.0
    heads: dict[str, Head] = field(init=False)
    analog: dict[str, float] = field(init=False)
    switches: dict[str, bool] = field(init=False)
    forced: dict[str, float] = field(init=False, default_factory=dict)
    bottles: dict[str, Bottle] = field(init=False, default_factory=dict)
    main_draught: float = field(init=False, default=1.0)
    draught: dict[str, float] = field(init=False, default_factory=dict)
    _standby_s: dict[str, float] = field(init=False, default_factory=dict)
    _door_s: float = field(init=False, default=DOOR_EVERY_S)
    _second_s: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        """Set every quantity to its quiet value and link each head to those upwind of it."""
        points = self.mine.points
        self.heads = {p.id: _quiet_head(p) for p in points if p.kind is Kind.METHANE}
        for head in self.heads.values():
            self._link(head)
        self.analog = {p.id: QUIET[p.kind][0] for p in points if p.kind in QUIET}
        self.switches = {p.id: _starts_on(p) for p in points if UNITS[p.kind].switch}
        self._fans = [p for p in points if p.kind is Kind.FAN_RUN]
        self._doors = [p.id for p in points if p.kind is Kind.DOOR]
        self._winds = [p for p in points if p.kind in (Kind.DUCT_WIND, Kind.WIND_DIRECTION)]
        self._measured = [p for p in points if p.kind in QUIET]
        self._blow()
        for head in self.heads.values():
            self._move(head)

    def advance(self) -> None:
        """Take one step: fans, then gas, and once a second the slow quantities and the doors."""
        self._start_standby()
        self._blow()
        for bottle in self.bottles.values():
            _feed_bottle(bottle)
        for head in self.heads.values():
            self._move(head)
        self._second_s += STEP_S
        if self._second_s >= 1.0:
            self._second_s = 0.0
            self._drift()
            self._swing_doors()

    def value(self, point: Point) -> float:
        """Return what the air does at a point, in the unit that people read; a switch is 0 or 1."""
        if point.id in self.forced:
            return self.forced[point.id]
        if point.id in self.bottles:
            return self.bottles[point.id].level
        head = self.heads.get(point.id)
        if head is not None:
            return head.shown
        if point.id in self.analog:
            return self.analog[point.id]
        return float(self.switches.get(point.id, False))

    def ramp(self, point_id: str, goal_pct: float, over_s: float) -> None:
        """Let a head's emission run straight to `goal_pct` within `over_s`."""
        self.heads[point_id].ramp = Ramp(goal_pct, max(over_s, STEP_S))

    def _link(self, head: Head) -> None:
        zone = self.mine.zone(head.point.zone)
        winds = zone.downwind_of
        head.upwind = tuple(h for h in self.heads.values() if h.point.zone in winds)
        head.drivers = (zone.id, *winds)

    def _move(self, head: Head) -> None:
        ramp = head.ramp
        if ramp is not None:
            share = min(1.0, STEP_S / ramp.left_s)
            head.emission += (ramp.goal - head.emission) * share
            ramp.left_s -= STEP_S
            if ramp.left_s <= 0:
                head.ramp = None
        target = head.emission * self._activity(head) / self.draught[head.point.zone]
        if head.upwind:
            excess = sum(each.level - each.quiet for each in head.upwind) / len(head.upwind)
            target = max(0.0, target + UPWIND_SHARE * excess)
        time_s = RISE_S if target > head.level else self.dilution_s
        head.level += (target - head.level) * STEP_S / time_s
        head.walk += -head.walk * STEP_S / WALK_S + 0.003 * math.sqrt(STEP_S) * self.rng.gauss(0, 1)
        head.shown = max(0.0, head.level + head.walk + 0.004 * self.rng.gauss(0, 1))

    def _activity(self, head: Head) -> float:
        states = [s for s in map(self.power.zone_live, head.drivers) if s is not None]
        if not states:
            return 1.0
        running = sum(states) / len(states)
        return IDLE_SHARE + (1.0 - IDLE_SHARE) * running

    def _blow(self) -> None:
        mains = [p for p in self._fans if p.place.startswith("main_fan")]
        wanted = 1.0 if not mains or any(self.switches[p.id] for p in mains) else 0.2
        self.main_draught += (wanted - self.main_draught) * STEP_S / 20.0
        for zone in self.mine.zones:
            ducted = self._ducted(zone)
            if ducted is None:
                self.draught[zone.id] = self.main_draught
                continue
            goal = self.main_draught if ducted else 0.25
            now = self.draught.get(zone.id, goal)
            self.draught[zone.id] = now + (goal - now) * STEP_S / 20.0
        for point in self._winds:
            if point.kind is Kind.DUCT_WIND:
                self.switches[point.id] = bool(self._ducted(self.mine.zone(point.zone)))
            else:
                self.switches[point.id] = self.main_draught > 0.3

    def _ducted(self, zone: Zone) -> bool | None:
        local = [p for p in self._fans if p.zone == zone.id and p.place.startswith("local_fan")]
        return any(self.switches[p.id] for p in local) if local else None

    def _start_standby(self) -> None:
        for point in self._fans:
            if not point.place.endswith("_standby") or point.id in self.forced:
                continue
            place = point.place.removesuffix("_standby")
            mains = [p for p in self._fans if p.zone == point.zone and p.place == place]
            stopped = bool(mains) and not any(self.switches[p.id] for p in mains)
            waited = self._standby_s.get(point.id, 0.0) + STEP_S if stopped else 0.0
            self._standby_s[point.id] = waited
            self.switches[point.id] = waited >= STANDBY_START_S

    def _drift(self) -> None:
        for point in self._measured:
            quiet, noise = QUIET[point.kind]
            if point.kind in BLOWN:
                quiet *= self.draught[point.zone]
            now = self.analog[point.id]
            self.analog[point.id] = now + (quiet - now) / 10.0 + noise * 0.4 * self.rng.gauss(0, 1)

    def _swing_doors(self) -> None:
        if not self._doors:
            return
        self._door_s -= 1.0
        if self._door_s <= 0:
            for door in self._doors:
                self.switches[door] = False
            opened = self.rng.random() < 0.5
            if opened:
                self.switches[self.rng.choice(self._doors)] = True
            self._door_s = DOOR_OPEN_S if opened else DOOR_EVERY_S


def _feed_bottle(bottle: Bottle) -> None:
    bottle.past_s += STEP_S
    begun_s = 0.0
    goal = 0.0
    for length_s, value in bottle.steps:
        if bottle.past_s >= begun_s:
            goal = value
        begun_s += length_s
    bottle.level += (goal - bottle.level) * STEP_S / 1.5


def bottle_empty(bottle: Bottle) -> bool:
    """Return whether every step of the bottle's profile has passed."""
    return bottle.past_s >= sum(length_s for length_s, _ in bottle.steps)


def _quiet_head(point: Point) -> Head:
    quiet = METHANE_PCT.get(point.place, 0.2)
    return Head(point, quiet, quiet, quiet)


def _starts_on(point: Point) -> bool:
    if point.kind is Kind.FAN_RUN:
        return not point.place.endswith("_standby")
    return point.kind in (Kind.DUCT_WIND, Kind.WIND_DIRECTION, Kind.SUPPLY_STATE)
