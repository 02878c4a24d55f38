"""What the mine's readers and gates mean: which sighting proves what, derived once per run.

Pure lookups over `Mine`. An undirected mouth reader never toggles anybody (practice 21): without a
partner on the other side of the mouth it proves nothing but doubt; with one, the order of the two
gives the direction, so that each proves its own side.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from minewatch.core.people.roster import Side
from minewatch.model.kind import Kind
from minewatch.model.mine import Mine, Reader, ZoneKind

FASTEST_PART = 4
"""Nobody leaves the mine in less than a quarter of his zone's walk-out time [J]."""


@dataclass(frozen=True, slots=True)
class Place:
    """A reader: what a sighting there proves, by direction (+1 in, -1 out, 0 unknown)."""

    id: str
    zone: str
    outer: str | None
    mouth: bool
    surface: bool
    proves: Mapping[int, tuple[Side, str]]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The mine as the people modules read it."""

    mine: Mine
    places: Mapping[str, Place]
    by_device: Mapping[str, tuple[str, ...]]
    boundary: tuple[str, ...]
    by_zone: Mapping[str, tuple[str, ...]]
    beyond: Mapping[str, frozenset[str]]
    gates: Mapping[str, int]
    gate_devices: frozenset[str]
    underground: frozenset[str]
    stand_ins: Mapping[str, str]
    fastest_ms: Mapping[str, int]
    leaders: frozenset[str]


def layout_of(mine: Mine) -> Layout:
    """Derive the layout of `mine`."""
    surface = frozenset(z.id for z in mine.zones if z.kind is ZoneKind.SURFACE)
    root = next((z.id for z in mine.zones if z.kind is ZoneKind.MINE), "mine")
    places = {r.id: _place(r, mine.readers, surface, root) for r in mine.readers}
    gates = {p.id: _sign(p.kind) for p in mine.points if p.kind in (Kind.GATE_IN, Kind.GATE_OUT)}
    return Layout(
        mine=mine,
        places=places,
        by_device=_grouped((r.device, r.id) for r in mine.readers),
        boundary=tuple(p.id for p in places.values() if p.mouth),
        by_zone=_grouped((p.zone, p.id) for p in places.values()),
        beyond=_beyond(mine.readers, surface),
        gates=gates,
        gate_devices=frozenset(mine.point(each).device for each in gates),
        underground=frozenset(z.id for z in mine.zones) - surface,
        stand_ins=_stand_ins(mine.readers, surface),
        fastest_ms={z.id: z.walk_out_s * 1000 // FASTEST_PART for z in mine.zones},
        leaders=frozenset(p.badge for p in mine.people if p.leader),
    )


def _sign(kind: Kind) -> int:
    return 1 if kind is Kind.GATE_IN else -1


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    grouped: dict[str, tuple[str, ...]] = {}
    for key, value in pairs:
        grouped[key] = (*grouped.get(key, ()), value)
    return grouped


def _beyond(readers: tuple[Reader, ...], surface: frozenset[str]) -> dict[str, frozenset[str]]:
    """Return for each zone the zones from which people come into it past its own readers."""
    beyond: dict[str, frozenset[str]] = {}
    for reader in readers:
        if reader.outer is not None and reader.outer not in surface:
            beyond[reader.zone] = beyond.get(reader.zone, frozenset()) | {reader.outer}
    return beyond


def _stand_ins(readers: tuple[Reader, ...], surface: frozenset[str]) -> dict[str, str]:
    """Return for each mouth reader below the one above that alone sees every entry and exit."""
    found = {}
    for reader in readers:
        partner = _partner(reader, readers, surface)
        if partner is not None and partner.zone in surface and partner.directed:
            found[reader.id] = partner.id
    return found


def _place(
    reader: Reader, readers: tuple[Reader, ...], surface: frozenset[str], root: str
) -> Place:
    outside = reader.zone in surface
    mouth = reader.mouth or reader.outer in surface
    partner = _partner(reader, readers, surface) if mouth else None
    inner = reader.zone if not outside else (partner.zone if partner else root)
    if mouth:
        proves = _mouth_proves(reader, outside, partner is not None, inner)
    elif outside:
        proves = dict.fromkeys((1, 0, -1), (Side.OUTSIDE, reader.zone))
    else:
        proves = dict.fromkeys((1, 0, -1), (Side.INSIDE, reader.zone))
        if reader.directed and reader.outer is not None:
            proves[-1] = (Side.INSIDE, reader.outer)
    return Place(reader.id, reader.zone, reader.outer, mouth, outside, proves)


def _mouth_proves(
    reader: Reader, outside: bool, paired: bool, inner: str
) -> dict[int, tuple[Side, str]]:
    """Say what a mouth reader proves; `inner` is the zone that it lets into."""
    if not paired:
        unknown = (Side.EITHER, inner)
    else:
        unknown = (Side.OUTSIDE, reader.zone) if outside else (Side.INSIDE, inner)
    if not reader.directed:
        return dict.fromkeys((1, 0, -1), unknown)
    if outside:
        out = (Side.OUTSIDE, reader.zone)
    else:
        out = (Side.LEAVING, inner) if paired else (Side.OUTSIDE, reader.outer or "")
    return {1: (Side.INSIDE, inner), 0: unknown, -1: out}


def _partner(reader: Reader, readers: tuple[Reader, ...], surface: frozenset[str]) -> Reader | None:
    """Return the mouth reader on the other side of the same mouth, None where there is none."""
    if not (reader.mouth or reader.outer in surface):
        return None
    for other in readers:
        if not (other.mouth or other.outer in surface):
            continue
        outer, inner = (reader, other) if reader.zone in surface else (other, reader)
        if outer.zone in surface and inner.zone not in surface and inner.outer == outer.zone:
            return other
    return None
