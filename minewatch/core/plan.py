"""The plan: what one configuration means to the core, looked up once and kept as flat tables.

It holds no knowledge of its own: it is derived from the `Mine` and rebuilt when the mine is
another one. Nothing in it changes after it is built.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from minewatch.core.power import layout
from minewatch.core.power.layout import PowerPlan
from minewatch.model.kind import UNITS, Kind
from minewatch.model.mine import Bus, Condition, Mine, Mode, Output, OutputRole, Point
from minewatch.model.scan import scan_ms, stale_ms
from minewatch.model.wiring import CONTROL_ONLY

K = TypeVar("K", bound=str)

Wired = Mapping[tuple[str, Condition], tuple[str, ...]]

_EVER = 2**62
"""Beyond every value that a register can hold: a limit that nothing reaches."""

_SOUNDERS_AND_GATE = frozenset(
    {
        OutputRole.SIREN,
        OutputRole.BROADCAST,
        OutputRole.HORN,
        OutputRole.SURFACE_HORN,
        OutputRole.GATE,
    }
)
DRIVEN: Mapping[Mode, frozenset[OutputRole]] = {
    Mode.MONITOR: frozenset(),
    Mode.ALARM: _SOUNDERS_AND_GATE,
    Mode.CONTROL: _SOUNDERS_AND_GATE | CONTROL_ONLY,
}
"""Which roles a mode may drive (practice 1)."""


@dataclass(frozen=True, slots=True)
class PointPlan:
    """One point as the core reads it; limits are those of `Limits` in the kind's unit.

    `rises` are (level, limit) from the lowest to the highest; a GOOD value within
    `quiet_low <= value < quiet_high` concerns nobody. `clear` ends every alarm of a rise but the
    pre-alarm, which ends below `pre_clear`.
    """

    point: Point
    id: str
    zone: str
    device: str
    bus: str
    scan_ms: int
    stale_ms: int
    rises: tuple[tuple[int, int], ...]
    clear: int
    pre_clear: int
    restore: int
    low_alarm: int
    low_clear: int
    quiet_low: int
    quiet_high: int
    trips: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    offs: tuple[str, ...] = ()
    votes: tuple[str, ...] = ()
    """Outputs that this head cuts together with its like alone (`power/votes.py`)."""
    breathes: tuple[str, ...] = ()
    """The oxygen points of a catalytic head's zone."""
    companions: tuple[tuple[str, bool], ...] = ()
    """What moves when this should, and whether it is a flag."""
    certified: bool = False
    """Read from the certified system's files: shown and compared, it decides and guards nothing."""

    @property
    def is_methane(self) -> bool:
        """Say whether the point is a methane head of ours."""
        return self.point.kind is Kind.METHANE and not self.certified

    @property
    def is_switch(self) -> bool:
        """Say whether the point is a state and no measured value."""
        return UNITS[self.point.kind].switch

    @property
    def by_hand(self) -> bool:
        """Say whether a checker could measure it in its stead: a value, and a head of ours."""
        return not self.is_switch and not self.certified


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that the core looks up by id."""

    mine: Mine
    points: Mapping[str, PointPlan]
    bus_points: Mapping[str, tuple[str, ...]]
    methane_of_zone: Mapping[str, tuple[str, ...]]
    guards: Mapping[str, tuple[str, ...]]
    driven: Mapping[str, Output] = field(default_factory=dict)
    others: tuple[Output, ...] = ()
    """What is driven and no power cut: its level follows from more than latched causes."""
    home: Mapping[str, str] = field(default_factory=dict)
    """The device of each point: where its entry lies in a table that is copied by devices."""
    stale_ms: Mapping[str, int] = field(default_factory=dict)
    """By device, the age that makes the first of its points stale."""
    watched: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By device, the points that have companions (`readings/stuck.py`)."""
    power: PowerPlan = field(default_factory=PowerPlan)
    by_kind: Mapping[Kind, tuple[str, ...]] = field(default_factory=dict)
    by_place: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Our own points of each kind and of each place of the statutory table."""

    def neighbours(self, point_id: str) -> tuple[str, ...]:
        """Return the other methane heads of the point's zone."""
        heads = self.methane_of_zone.get(self.points[point_id].zone, ())
        return tuple(each for each in heads if each != point_id)


def build(mine: Mine) -> Plan:
    """Return the plan of `mine`."""
    wired = _wired(mine)
    buses = {device.id: (device.id, mine.bus(device.bus)) for device in mine.devices}
    points = {each.id: _point_plan(each, *buses[each.device], wired) for each in mine.points}
    _add_company(mine, points)
    _add_votes(mine, points)
    methane = [p for p in points.values() if p.is_methane]
    by_zone = _grouped((p.zone, p.id) for p in methane)
    driven = [each for each in mine.outputs if each.role in DRIVEN[mine.mode]]
    return Plan(
        mine=mine,
        points=points,
        bus_points=_grouped((p.bus, p.id) for p in points.values()),
        methane_of_zone=by_zone,
        guards={o.id: _guards(methane, by_zone, o) for o in mine.outputs},
        driven={each.id: each for each in driven},
        others=tuple(each for each in driven if each.role is not OutputRole.POWER_CUT),
        home={p.id: p.device for p in points.values()},
        stale_ms=_soonest((p.device, p.stale_ms) for p in points.values()),
        power=layout.build(mine),
        by_kind=_grouped((p.point.kind, p.id) for p in points.values() if not p.certified),
        by_place=_grouped((p.point.place, p.id) for p in points.values() if not p.certified),
        watched=_watched(points),
    )


def _add_company(mine: Mine, points: dict[str, PointPlan]) -> None:
    """Give each point what it is judged beside: companions, and the oxygen of its zone."""
    oxygen = _grouped(
        (p.zone, p.id) for p in points.values() if p.point.kind is Kind.OXYGEN and not p.certified
    )
    for each in mine.points:
        plan = points[each.id]
        breathes = oxygen.get(plan.zone, ()) if plan.is_methane and each.catalytic else ()
        companions = tuple((c, points[c].is_switch) for c in each.companions if c in points)
        quiet_low = plan.quiet_low
        if each.kind is Kind.OXYGEN and not plan.certified:
            quiet_low = max(quiet_low, mine.values.oxygen_clear)
        if breathes or companions or quiet_low != plan.quiet_low:
            points[each.id] = replace(
                plan, breathes=breathes, companions=companions, quiet_low=quiet_low
            )


def _add_votes(mine: Mine, points: dict[str, PointPlan]) -> None:
    for interlock in mine.interlocks:
        for head in layout.voters(interlock):
            votes = _merged(points[head].votes, interlock.outputs)
            points[head] = replace(points[head], votes=votes)


def _watched(points: Mapping[str, PointPlan]) -> dict[str, frozenset[str]]:
    by_device = _grouped((p.device, p.id) for p in points.values() if p.companions)
    return {device: frozenset(names) for device, names in by_device.items()}


def _guards(
    methane: list[PointPlan], by_zone: Mapping[str, tuple[str, ...]], output: Output
) -> tuple[str, ...]:
    """Return the methane heads that guard what an output cuts: wired to it, else of its zone."""
    wired = tuple(p.id for p in methane if output.id in (*p.trips, *p.faults, *p.votes))
    return wired or by_zone.get(output.zone, ())


def _point_plan(point: Point, device: str, bus: Bus, wired: Wired) -> PointPlan:
    limits = point.limits
    trips = wired.get((point.id, Condition.TRIP), ())
    faults = wired.get((point.id, Condition.FAULT), ())
    offs = wired.get((point.id, Condition.OFF), ())
    levels = (limits.pre_alarm, limits.alarm, limits.trip, limits.withdraw)
    rises = tuple((n, limit) for n, limit in enumerate(levels, start=1) if limit is not None)
    clear = _first(limits.clear, limits.alarm, limits.restore, limits.trip, limits.withdraw)
    clear = min(clear, _first(limits.restore))
    pre_clear = limits.pre_alarm * 8 // 10 if limits.pre_alarm is not None else _EVER
    restore = _first(limits.restore, limits.trip)
    low_alarm = -_EVER if limits.low_alarm is None else limits.low_alarm
    low_clear = low_alarm if limits.low_clear is None else limits.low_clear
    lowest = min([limit for _, limit in rises], default=_EVER)
    return PointPlan(
        point=point,
        id=point.id,
        zone=point.zone,
        device=device,
        bus=bus.id,
        scan_ms=scan_ms(point, bus),
        stale_ms=point.stale_ms or stale_ms(scan_ms(point, bus)),
        rises=rises,
        clear=clear,
        pre_clear=pre_clear,
        restore=restore,
        low_alarm=low_alarm,
        low_clear=low_clear,
        quiet_low=max(low_alarm, low_clear, 1 if offs else -_EVER),
        quiet_high=min(lowest, clear, pre_clear, restore),
        trips=trips,
        faults=_merged(trips, faults, offs),
        offs=offs,
        certified=bus.certified,
    )


def _wired(mine: Mine) -> Wired:
    """Return the outputs that each point demands by itself under each condition."""
    wired: dict[tuple[str, Condition], tuple[str, ...]] = {}
    for interlock in mine.interlocks:
        voters = layout.voters(interlock)
        for cause in interlock.causes:
            if cause.point in voters and cause.condition is not Condition.OFF:
                continue
            key = (cause.point, cause.condition)
            wired[key] = _merged(wired.get(key, ()), interlock.outputs)
    return wired


def _merged(*groups: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({each for group in groups for each in group}))


def _first(*values: int | None) -> int:
    return next((value for value in values if value is not None), _EVER)


def _soonest(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    table: dict[str, int] = {}
    for key, value in pairs:
        table[key] = min(value, table.get(key, value))
    return table


def _grouped(pairs: Iterable[tuple[K, str]]) -> dict[K, tuple[str, ...]]:
    table: dict[K, tuple[str, ...]] = {}
    for key, value in pairs:
        table[key] = (*table.get(key, ()), value)
    return table
