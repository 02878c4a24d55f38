"""Identity and reference: every id stands once, every name that points somewhere arrives."""

from collections.abc import Iterator

from minewatch.mine.fault import Faults
from minewatch.mine.locate import Where
from minewatch.mine.rules import Rules
from minewatch.mine.schema import Table
from minewatch.mine.shape import Row, Shaped
from minewatch.mine.suggest import nearest


def check(shaped: Shaped, rules: Rules, faults: Faults) -> None:
    """Report duplicate ids, badges and codes, and references to nothing."""
    for table, rows, key in _unique(shaped):
        _once(table, rows, key, faults)
    known = {**shaped.known, "place": set(rules.places), "load": set(rules.loads)}
    for where, key, target, wanted in _references(shaped):
        if wanted not in known[target]:
            faults.add(
                where, key, "unknown_reference",
                target=target, wanted=wanted, suggestion=nearest(wanted, sorted(known[target])),
            )  # fmt: skip


def _unique(shaped: Shaped) -> Iterator[tuple[str, list[Row[Table]], str]]:
    """Yield table, rows and the key that must be unique in it."""
    named: dict[str, list[Row[Table]]] = {
        "zone": [*shaped.zones],
        "bus": [*shaped.buses],
        "device": [*shaped.devices],
        "point": [*shaped.points],
        "output": [*shaped.outputs],
        "interlock": [*shaped.interlocks],
        "reader": [*shaped.readers],
        "mqtt": [*shaped.mqtt],
    }
    for table, rows in named.items():
        yield table, rows, "id"
    yield "staff", [*shaped.staff], "code"
    yield "person", [*shaped.people], "code"
    yield "person", [*shaped.people], "badge"


def _once(table: str, rows: list[Row[Table]], key: str, faults: Faults) -> None:
    first: dict[str, Where] = {}
    for row in rows:
        value = getattr(row.table, key)
        other = first.setdefault(value, row.where)
        if other is not row.where:
            place = f"{other.file}:{other.line(key)}"
            code = "duplicate_badge" if key == "badge" else "duplicate_id"
            faults.add(row.where, key, code, table=table, value=value, other=place)


Reference = tuple[Where, str, str, str]
"""Where it stands, under which key, in which table the name should be, and the name."""


def _references(shaped: Shaped) -> Iterator[Reference]:
    for where, key, target, wanted in (*_plain(shaped), *_lists(shaped)):
        if wanted:
            yield where, key, target, wanted


def _plain(shaped: Shaped) -> Iterator[tuple[Where, str, str, str | None]]:
    if shaped.mine is not None:
        yield shaped.mine.where, "signed_off_by", "staff", shaped.mine.table.signed_off_by
    for zone in shaped.zones:
        yield zone.where, "parent", "zone", zone.table.parent
    for device in shaped.devices:
        yield device.where, "bus", "bus", device.table.bus
    for point in shaped.points:
        yield point.where, "zone", "zone", point.table.zone
        yield point.where, "device", "device", point.table.device
        yield point.where, "place", "place", point.table.place
        yield point.where, "fault_after_signed_by", "staff", point.table.fault_after_signed_by
    for output in shaped.outputs:
        yield output.where, "zone", "zone", output.table.zone
        yield output.where, "device", "device", output.table.device
        yield output.where, "proof", "point", output.table.proof
        yield output.where, "upstream", "output", output.table.upstream
    for reader in shaped.readers:
        yield reader.where, "zone", "zone", reader.table.zone
        yield reader.where, "device", "device", reader.table.device
        yield reader.where, "outer", "zone", reader.table.outer


def _lists(shaped: Shaped) -> Iterator[Reference]:
    for zone in shaped.zones:
        yield from _each(zone.where, "downwind_of", "zone", zone.table.downwind_of)
    for output in shaped.outputs:
        yield from _each(output.where, "covers", "zone", output.table.covers)
        for index, load in enumerate(output.table.cuts):
            yield output.where, f"cuts.{index}.kind", "load", load.kind
    for interlock in shaped.interlocks:
        yield from _each(interlock.where, "outputs", "output", interlock.table.outputs)
        for index, cause in enumerate(interlock.table.causes):
            yield interlock.where, f"causes.{index}.point", "point", cause.point


def _each(where: Where, key: str, target: str, names: list[str]) -> Iterator[Reference]:
    for index, name in enumerate(names):
        yield where, f"{key}.{index}", target, name
