"""The mine as the page takes it: plain JSON, names of people only for those logged in."""

from dataclasses import asdict
from typing import Any

from minewatch.model.alarm import PRIORITY, SHELVABLE
from minewatch.model.kind import UNITS
from minewatch.model.mine import Mine, Output, Point, Reader, Zone

OLD_MS = 5_000
"""A value of this age is shown as old; one that comes from a file at half its own age limit."""


def describe(mine: Mine, config: str, *, staff: bool) -> dict[str, Any]:
    """Return what a page needs to draw the mine once; limits in each kind's smallest unit."""
    shown: dict[str, Any] = {
        "config": config,
        "code": mine.code,
        "name": mine.name,
        "language": mine.language,
        "mode": mine.mode.value,
        "headcount_limit": mine.headcount_limit,
        "headcount_citation": mine.headcount_citation,
        "certified_system": mine.certified_system,
        "unaccounted_margin_s": mine.unaccounted_margin_s,
        "handover": {"starts": list(mine.handover.starts), "minutes": mine.handover.minutes},
        "silence_s": mine.escalation.silence_s,
        "priorities": {kind.value: priority for kind, priority in PRIORITY.items()},
        "shelvable": sorted(kind.value for kind in SHELVABLE),
        "works": [each.kind for each in mine.acts.works],
        "zones": [_zone(each) for each in mine.zones],
        "points": [_point(each) for each in mine.points],
        "outputs": [_output(each) for each in mine.outputs],
        "readers": [_reader(each) for each in mine.readers],
        "interlocks": [
            {
                "id": each.id,
                "name": each.name,
                "points": [cause.point for cause in each.causes],
                "outputs": list(each.outputs),
            }
            for each in mine.interlocks
        ],
        "certified": [each.id for each in mine.buses if each.certified],
        "comparisons": [asdict(each) for each in mine.comparisons],
        "staff": {each.code: {"role": each.role.value} for each in mine.staff},
    }
    if staff:
        shown["staff"] = {e.code: {"role": e.role.value, "name": e.name} for e in mine.staff}
        shown["people"] = {
            each.badge: {
                "code": each.code,
                "name": each.name,
                "trade": each.trade,
                "team": each.team,
                "leader": each.leader,
                "visitor": each.visitor,
            }
            for each in mine.people
        }
    return shown


def _zone(zone: Zone) -> dict[str, Any]:
    return {
        "id": zone.id,
        "name": zone.name,
        "kind": zone.kind.value,
        "parent": zone.parent,
        "downwind_of": list(zone.downwind_of),
        "headcount_limit": zone.headcount_limit,
        "headcount_citation": zone.headcount_citation,
        "restricted": zone.restricted,
        "walk_out_s": zone.walk_out_s,
        "declared": zone.declared,
        "path": [list(each) for each in zone.path],
    }


def _point(point: Point) -> dict[str, Any]:
    unit = UNITS[point.kind]
    return {
        "id": point.id,
        "name": point.name,
        "kind": point.kind.value,
        "zone": point.zone,
        "place": point.place,
        "unit": unit.text,
        "decimals": unit.decimals,
        "switch": unit.switch,
        "limits": {k: v for k, v in asdict(point.limits).items() if v is not None},
        "citation": point.citation,
        "at": list(point.at) if point.at else None,
        "old_ms": point.stale_ms // 2 or OLD_MS,
    }


def _output(output: Output) -> dict[str, Any]:
    return {
        "id": output.id,
        "name": output.name,
        "role": output.role.value,
        "zone": output.zone,
        "proof": output.proof,
        "upstream": output.upstream,
        "covers": list(output.covers),
        "cuts": [{"kind": each.kind, "name": each.name} for each in output.cuts],
    }


def _reader(reader: Reader) -> dict[str, Any]:
    return {
        "id": reader.id,
        "name": reader.name,
        "zone": reader.zone,
        "mouth": reader.mouth,
        "at": list(reader.at) if reader.at else None,
    }
