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
    if shaped.damaged:
        return
    known = {**shaped.known, "place": set(rules.places), "load": set(rules.loads)}
    for table, where, key, target, wanted in _references(shaped):
        if wanted not in known[target]:
            shaped.broken.add(table)
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
        "local_fan": [*shaped.local_fans],
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


Reference = tuple[str, Where, str, str, str]
"""The table and place where it stands, its key, the table it should be in, and the name."""


def _references(shaped: Shaped) -> Iterator[Reference]:
    for table, where, key, target, wanted in (*_plain(shaped), *_lists(shaped)):
        if wanted:
            yield table, where, key, target, wanted


def _plain(shaped: Shaped) -> Iterator[tuple[str, Where, str, str, str | None]]:
    if shaped.mine is not None:
        yield "mine", shaped.mine.where, "signed_off_by", "staff", shaped.mine.table.signed_off_by
    for table, rows, keys in _POINTERS:
        for row in getattr(shaped, rows):
            for key, target in keys.items():
                yield table, row.where, key, target, getattr(row.table, key)


_POINTERS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("zone", "zones", {"parent": "zone"}),
    ("device", "devices", {"bus": "bus"}),
    (
        "point",
        "points",
        {
            "zone": "zone",
            "device": "device",
            "place": "place",
            "fault_after_signed_by": "staff",
            "compare_with": "point",
        },
    ),
    (
        "output",
        "outputs",
        {"zone": "zone", "device": "device", "proof": "point", "upstream": "output"},
    ),
    ("reader", "readers", {"zone": "zone", "device": "device", "outer": "zone"}),
    (
        "local_fan",
        "local_fans",
        {"zone": "zone", "main": "point", "standby": "point", "start": "output"},
    ),
)
"""Keys that hold one name: table, its rows in `Shaped`, and the table that each key points to."""


def _lists(shaped: Shaped) -> Iterator[Reference]:
    for zone in shaped.zones:
        yield from _each("zone", zone.where, "downwind_of", "zone", zone.table.downwind_of)
    for output in shaped.outputs:
        yield from _each("output", output.where, "covers", "zone", output.table.covers)
        for index, load in enumerate(output.table.cuts):
            yield "output", output.where, f"cuts.{index}.kind", "load", load.kind
    for point in shaped.points:
        yield from _each("point", point.where, "companions", "point", point.table.companions)
    for fan in shaped.local_fans:
        yield from _each("local_fan", fan.where, "duct", "point", fan.table.duct)
        yield from _each("local_fan", fan.where, "near", "point", fan.table.near)
    for duty in shaped.duties:
        yield from _each("duty", duty.where, "staff", "staff", duty.table.staff)
    for interlock in shaped.interlocks:
        outputs = interlock.table.outputs
        yield from _each("interlock", interlock.where, "outputs", "output", outputs)
        yield from _each("interlock", interlock.where, "zones", "zone", interlock.table.zones)
        named = interlock.table.permissives
        yield from _each("interlock", interlock.where, "permissives", "point", named)
        for index, cause in enumerate(interlock.table.causes):
            yield "interlock", interlock.where, f"causes.{index}.point", "point", cause.point


def _each(table: str, where: Where, key: str, target: str, names: list[str]) -> Iterator[Reference]:
    for index, name in enumerate(names):
        yield table, where, f"{key}.{index}", target, name
