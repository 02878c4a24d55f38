"""Local fans: their points say what they are named for, their stop cuts, their start is watched."""

from collections.abc import Iterator

from minewatch.mine import schemes
from minewatch.mine.fault import Faults
from minewatch.mine.schema import LocalFanTable
from minewatch.mine.shape import Row, Shaped
from minewatch.model.kind import Kind
from minewatch.model.mine import Condition, OutputRole, Point, Scheme, ZoneKind


def check(shaped: Shaped, points: tuple[Point, ...], faults: Faults) -> None:
    """Report local fans that would not be seen to stop, would cut nothing, or stand twice."""
    by_id = {point.id: point for point in points}
    taken: dict[tuple[str, str], str] = {}
    for row in shaped.local_fans:
        if row.whole:
            _row(row, shaped, by_id, faults)
            _once(row, taken, faults)
    if shaped.whole("output", "local_fan"):
        _starts(shaped, faults)
    if shaped.whole("zone", "point", "local_fan"):
        _headings(shaped, faults)


def _row(row: Row[LocalFanTable], shaped: Shaped, points: dict[str, Point], faults: Faults) -> None:
    for key, name, kind in _named(row.table):
        point = points.get(name)
        if point is not None and point.place == schemes.CERTIFIED_PLACE:
            faults.add(row.where, key, "certified_decides", point=name)
        elif point is not None and point.kind is not kind:
            faults.add(
                row.where, key, "local_fan_wrong_kind",
                point=name, kind=f"@kind.{point.kind.value}", wanted=f"@kind.{kind.value}",
            )  # fmt: skip
    zones = {each.table.id: each.table.kind for each in shaped.zones}
    if zones.get(row.table.zone, ZoneKind.HEADING) is not ZoneKind.HEADING:
        faults.add(row.where, "zone", "local_fan_zone", id=row.table.id)
    if row.table.start is not None and not row.table.near:
        faults.add(row.where, "start", "fan_start_without_head", id=row.table.id)
    if shaped.whole("interlock") and not _is_wired(row.table, shaped, points):
        faults.add(row.where, "id", "local_fan_without_interlock", id=row.table.id)


def _named(table: LocalFanTable) -> Iterator[tuple[str, str, Kind]]:
    """Yield each key that names a point, the point, and the kind that it must be of."""
    yield "main", table.main, Kind.FAN_RUN
    if table.standby is not None:
        yield "standby", table.standby, Kind.FAN_RUN
    for index, name in enumerate(table.duct):
        yield f"duct.{index}", name, Kind.DUCT_WIND
    for index, name in enumerate(table.near):
        yield f"near.{index}", name, Kind.METHANE


def _is_wired(fans: LocalFanTable, shaped: Shaped, points: dict[str, Point]) -> bool:
    """Say whether a fan-electric interlock is about these fans (see `core/power/layout`).

    A heading without any is refused as such already (`check_safety`).
    """
    row = schemes.local_fan(fans, points)
    watched = {row.main, row.standby, *row.duct}
    offs: set[str] = set()
    for each in shaped.interlocks:
        if each.table.scheme is Scheme.FAN_ELECTRIC and fans.zone in each.table.zones:
            return True
        offs |= {c.point for c in each.table.causes if c.condition is Condition.OFF}
    others = {each for each in offs if each in points and points[each].zone == fans.zone}
    return bool(watched & offs) or not others


def _once(row: Row[LocalFanTable], taken: dict[tuple[str, str], str], faults: Faults) -> None:
    """Refuse a fan, a duct, a start permit or a heading that stands in two places."""
    table = row.table
    names = [(key, "point", name) for key, name, kind in _named(table) if kind is not Kind.METHANE]
    names += [("zone", "zone", table.zone)]
    names += [("start", "output", table.start)] if table.start is not None else []
    for key, target, name in names:
        place = f"{table.id}.{key}"
        other = taken.setdefault((target, name), place)
        if other != place:
            faults.add(row.where, key, "local_fan_shared", got=name, other=other)


def _starts(shaped: Shaped, faults: Faults) -> None:
    """Hold start permits and the fans that name them against each other."""
    roles = {row.table.id: row.table.role for row in shaped.outputs}
    used = {row.table.start for row in shaped.local_fans}
    for output in shaped.outputs:
        if output.table.role is OutputRole.FAN_START and output.table.id not in used:
            faults.add(output.where, "id", "fan_start_unused", id=output.table.id)
    for row in shaped.local_fans:
        role = roles.get(row.table.start or "", OutputRole.FAN_START)
        if role is not OutputRole.FAN_START:
            faults.add(row.where, "start", "fan_start_wrong_role", id=row.table.start)


def _headings(shaped: Shaped, faults: Faults) -> None:
    """Warn of headings whose changeover and restart nobody watches."""
    known = {row.table.zone for row in shaped.local_fans}
    for row in shaped.points:
        is_fan = row.table.place == schemes.LOCAL_FAN_PLACE
        if is_fan and row.table.zone not in known:
            faults.warn(row.where, "id", "fan_not_watched", id=row.table.id)
