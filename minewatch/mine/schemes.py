"""Schemes: an engineer names what an interlock is for, the house finds the causes.

Named causes stand in any scheme; a scheme adds those of its zones. Each cause brings the fault of
its point with it: a lost head cuts like a high one (故障闭锁).
"""

from collections.abc import Iterator, Mapping

from minewatch.mine.limits import units
from minewatch.mine.rules.fans import load_restart
from minewatch.mine.schema import InterlockTable, LocalFanTable
from minewatch.mine.shape import Shaped
from minewatch.model.kind import Kind
from minewatch.model.mine import Cause, Condition, Interlock, LocalFan, Point, Scheme

SERIES_PLACES = frozenset({"face_series_intake", "heading_series_intake", "heading_series_fan"})
"""Rows of the statutory table for heads between two areas that are ventilated in series."""

LOCAL_FAN_PLACE = "local_fan"
CERTIFIED_PLACE = "certified"

Points = Mapping[str, Point]


def interlock(table: InterlockTable, shaped: Shaped, points: Points) -> Interlock:
    """Return an interlock with all its causes."""
    causes: list[Cause] = []
    for each in causes_of(table, shaped, points):
        causes += (each, Cause(each.point, Condition.FAULT))
    return Interlock(
        id=table.id,
        name=table.name,
        causes=tuple(dict.fromkeys(causes)),
        outputs=tuple(dict.fromkeys(table.outputs)),
        scheme=table.scheme,
        zones=tuple(table.zones),
        votes_needed=table.votes_needed or 0,
        spread=_spread(table, points),
        permissives=tuple(dict.fromkeys(table.permissives)),
    )


def causes_of(table: InterlockTable, shaped: Shaped, points: Points) -> list[Cause]:
    """Return the named causes and those that the scheme finds, without their faults."""
    named = [Cause(each.point, each.condition) for each in table.causes]
    return list(dict.fromkeys((*named, *_found(table, shaped, points))))


def local_fan(table: LocalFanTable, points: Points) -> LocalFan:
    """Return the local fans of a heading; without a duct of their own they have all of its ducts.

    A single fan has no changeover: its stop cuts at once.
    """
    ducts = [p.id for p in points.values() if p.kind is Kind.DUCT_WIND and p.zone == table.zone]
    limits = load_restart()
    return LocalFan(
        id=table.id,
        zone=table.zone,
        main=table.main,
        standby=table.standby,
        duct=tuple(table.duct or ducts),
        near=tuple(table.near),
        start=table.start,
        changeover_ms=table.changeover_s * 1000 if table.standby else 0,
        block_cpct=limits.block_cpct,
        controlled_cpct=limits.controlled_cpct,
        fan_air_cpct=limits.fan_air_cpct,
        citation=limits.citation,
    )


def _found(table: InterlockTable, shaped: Shaped, points: Points) -> Iterator[Cause]:
    """Yield the causes that the scheme finds in its zones."""
    with_fans = {row.table.zone for row in shaped.local_fans}
    for point in points.values():
        if point.zone not in table.zones or point.place == CERTIFIED_PLACE:
            continue
        trips = point.kind is Kind.METHANE and point.limits.trip is not None
        is_series = point.place in SERIES_PLACES
        match table.scheme:
            case Scheme.METHANE_ELECTRIC if trips and not is_series:
                yield Cause(point.id, Condition.TRIP)
            case Scheme.SERIES if trips and is_series:
                yield Cause(point.id, Condition.TRIP)
            case Scheme.FAULT_LOCK if trips:
                yield Cause(point.id, Condition.FAULT)
            case Scheme.FAN_ELECTRIC if _ventilates(point, with_fans):
                yield Cause(point.id, Condition.OFF)


def _ventilates(point: Point, with_fans: set[str]) -> bool:
    """Say whether a point's 0 cuts by itself: a duct, or a fan that no standby stands behind."""
    if point.kind is Kind.DUCT_WIND:
        return True
    return point.place == LOCAL_FAN_PLACE and point.zone not in with_fans


def _spread(table: InterlockTable, points: Points) -> int | None:
    heads = [points[each.point] for each in table.causes if each.point in points]
    if table.votes_spread is None or not heads:
        return None
    return units(heads[0].kind, table.votes_spread)
