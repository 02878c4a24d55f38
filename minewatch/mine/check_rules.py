"""Rules of practice for single tables: places, bounds, zones, control mode, hazard class."""

from minewatch.mine import schema
from minewatch.mine.fault import Faults
from minewatch.mine.rules import Bound, Rules
from minewatch.mine.shape import Row, Shaped
from minewatch.model.mine import Mode, Role, ZoneKind

ROOT = "mine"
"""The id of the zone that is the whole mine; a withdrawal of everything names it."""

AREAS = (ZoneKind.FACE, ZoneKind.HEADING)


def check(shaped: Shaped, rules: Rules, faults: Faults) -> None:
    """Report what a single table may not say."""
    _places(shaped, rules, faults)
    _zones(shaped, faults)
    _parents(shaped, faults)
    for name, rows in _bounded(shaped).items():
        for row in rows:
            _bounds(name, row, rules, shaped, faults)
    if shaped.mine is not None:
        _control(shaped.mine, shaped, faults)
        _hazard(shaped.mine, faults)


def _places(shaped: Shaped, rules: Rules, faults: Faults) -> None:
    zone_kinds = {row.table.id: row.table.kind for row in shaped.zones}
    for row in shaped.points:
        table = row.table
        place = rules.places.get(table.place)
        if place is None:
            continue
        zone = zone_kinds.get(table.zone)
        if place.legacy:
            faults.add(row.where, "place", "place_legacy", place=place.name, citation=place.source)
        elif table.kind not in place.kinds:
            kinds = ", ".join(kind.value for kind in place.kinds)
            kind = f"@kind.{table.kind.value}"
            faults.add(
                row.where, "place", "place_wrong_kind", place=place.id, kind=kind, kinds=kinds
            )
        elif place.zones and zone is not None and zone not in place.zones:
            zones = ", ".join(each.value for each in place.zones)
            kind = f"@zone_kind.{zone.value}"
            faults.add(
                row.where, "place", "place_wrong_zone", place=place.id, kind=kind, zones=zones
            )


def _zones(shaped: Shaped, faults: Faults) -> None:
    roots = [row for row in shaped.zones if row.table.kind is ZoneKind.MINE]
    if shaped.whole("zone") and not any(row.table.id == ROOT for row in roots):
        faults.add(shaped.main, "zone", "root_zone")
    for row in roots:
        if row.table.id != ROOT or row.table.parent is not None:
            faults.add(row.where, "kind", "root_zone")
    for row in shaped.zones:
        if not row.whole:
            continue
        if row.table.kind is not ZoneKind.MINE and row.table.parent is None:
            faults.add(row.where, "parent", "missing_key", table="zone")
        if row.table.kind in AREAS and row.table.mechanised is None:
            faults.add(row.where, "mechanised", "missing_key", table="zone")


def _parents(shaped: Shaped, faults: Faults) -> None:
    """Refuse a zone that is its own ancestor."""
    parents = {row.table.id: row.table.parent for row in shaped.zones}
    for row in shaped.zones:
        above, steps = row.table.parent, 0
        while above is not None and above != row.table.id and steps <= len(parents):
            above, steps = parents.get(above), steps + 1
        if above == row.table.id:
            faults.add(row.where, "parent", "zone_cycle", id=row.table.id)


def _bounded(shaped: Shaped) -> dict[str, list[Row[schema.Table]]]:
    singles: dict[str, Row[schema.Table] | None] = {
        "mine": shaped.mine,
        "handover": shaped.handover,
        "escalation": shaped.escalation,
        "watch": shaped.watch,
    }
    rows = {name: [row] for name, row in singles.items() if row is not None}
    return {
        **rows,
        "point": [*shaped.points],
        "output": [*shaped.outputs],
        "local_fan": [*shaped.local_fans],
    }


def _bounds(
    name: str, row: Row[schema.Table], rules: Rules, shaped: Shaped, faults: Faults
) -> None:
    for key in type(row.table).model_fields:
        bound = rules.bounds.get(f"{name}.{key}")
        if bound is None:
            continue
        value: int = getattr(row.table, key)
        if value > bound.at_most:
            faults.add(
                row.where, key, "looser_bound",
                value=value, bound=bound.at_most, citation=bound.source,
            )  # fmt: skip
        elif _unsigned(row, value, bound, shaped):
            faults.add(
                row.where, key, "fault_time_unsigned",
                value=value, bound=bound.signed_above, citation=bound.source,
            )  # fmt: skip


def _unsigned(row: Row[schema.Table], value: int, bound: Bound, shaped: Shaped) -> bool:
    if bound.signed_above is None or value <= bound.signed_above:
        return False
    return not _is_chief_engineer(getattr(row.table, "fault_after_signed_by", None), shaped)


def _control(row: Row[schema.MineTable], shaped: Shaped, faults: Faults) -> None:
    table = row.table
    if table.mode is not Mode.CONTROL or not row.whole:
        return
    if not table.certified_system.strip():
        faults.add(row.where, "mode", "control_uncertified")
    if not _is_chief_engineer(table.signed_off_by, shaped):
        key = "signed_off_by" if table.signed_off_by else "mode"
        faults.add(row.where, key, "control_unsigned", got=table.signed_off_by or "—")


def _is_chief_engineer(code: str | None, shaped: Shaped) -> bool:
    """Say whether a code is a chief engineer's; an unknown one is reported as a reference."""
    known = {row.table.code: row.table.role for row in shaped.staff}
    if code and code not in known:
        return True
    return bool(code) and known[str(code)] is Role.CHIEF_ENGINEER


def _hazard(row: Row[schema.MineTable], faults: Faults) -> None:
    if row.table.gas_class in ("high", "outburst") and row.table.hazard_class == "other":
        faults.add(row.where, "hazard_class", "hazard_contradiction", gas=row.table.gas_class)
