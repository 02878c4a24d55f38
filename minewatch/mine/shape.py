"""Raw tables to typed rows: every fault of shape, type and range of every table, in one pass.

A row that is partly wrong still takes part where it can: its id is known, so that one slip does
not make ten faults. Checks about what is missing skip tables that are not whole.
"""

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from minewatch.mine import schema
from minewatch.mine.fault import Faults
from minewatch.mine.locate import Where
from minewatch.mine.raw import Raw
from minewatch.mine.source import Document
from minewatch.mine.suggest import nearest
from minewatch.model.kind import Kind

T = TypeVar("T", bound=schema.Table)
T_co = TypeVar("T_co", bound=schema.Table, covariant=True)


@dataclass(frozen=True, slots=True)
class Row(Generic[T_co]):
    """A typed table and where it stands; not `whole` where a wrong key was left out."""

    table: T_co
    where: Where
    whole: bool = True


@dataclass(slots=True)
class Shaped:
    """All typed rows of a configuration."""

    main: Where
    mine: Row[schema.MineTable] | None = None
    handover: Row[schema.HandoverTable] | None = None
    escalation: Row[schema.EscalationTable] | None = None
    console: Row[schema.ConsoleTable] | None = None
    watch: Row[schema.WatchTable] | None = None
    zones: list[Row[schema.ZoneTable]] = field(default_factory=list)
    buses: list[Row[schema.BusTable]] = field(default_factory=list)
    devices: list[Row[schema.DeviceTable]] = field(default_factory=list)
    points: list[Row[schema.PointTable]] = field(default_factory=list)
    outputs: list[Row[schema.OutputTable]] = field(default_factory=list)
    interlocks: list[Row[schema.InterlockTable]] = field(default_factory=list)
    local_fans: list[Row[schema.LocalFanTable]] = field(default_factory=list)
    readers: list[Row[schema.ReaderTable]] = field(default_factory=list)
    people: list[Row[schema.PersonTable]] = field(default_factory=list)
    staff: list[Row[schema.StaffTable]] = field(default_factory=list)
    duties: list[Row[schema.DutyTable]] = field(default_factory=list)
    mqtt: list[Row[schema.MqttTable]] = field(default_factory=list)
    known: dict[str, set[str]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    damaged: bool = False

    def whole(self, *tables: str) -> bool:
        """Say whether every row of these tables could be read, so that absence means absence."""
        return not self.damaged and self.broken.isdisjoint(tables)


def shape(document: Document, faults: Faults) -> Shaped:
    """Return the typed rows of a document; what is wrong is in `faults`."""
    shaper = _Shaper(document, faults)
    return shaper.run()


class _Shaper:
    """Fills a `Shaped` table by table."""

    def __init__(self, document: Document, faults: Faults) -> None:
        self._tables = document.tables
        self._faults = faults
        self._shaped = Shaped(document.main, damaged=document.damaged)

    def run(self) -> Shaped:
        self._unknown_tables()
        shaped = self._shaped
        shaped.mine = self._one("mine", schema.MineTable)
        if "mine" not in self._tables and not shaped.damaged:
            self._faults.add(shaped.main, "", "missing_table", table="mine")
        shaped.handover = self._one("handover", schema.HandoverTable)
        shaped.escalation = self._one("escalation", schema.EscalationTable)
        shaped.console = self._one("console", schema.ConsoleTable)
        shaped.watch = self._one("watch", schema.WatchTable)
        shaped.zones = self._many("zone", schema.ZoneTable)
        shaped.buses = self._many("bus", schema.BusTable)
        shaped.devices = self._many("device", schema.DeviceTable)
        shaped.points = self._many("point", schema.PointTable)
        shaped.outputs = self._many("output", schema.OutputTable)
        shaped.interlocks = self._many("interlock", schema.InterlockTable)
        shaped.local_fans = self._many("local_fan", schema.LocalFanTable)
        shaped.readers = self._many("reader", schema.ReaderTable)
        shaped.people = self._many("person", schema.PersonTable)
        shaped.staff = self._many("staff", schema.StaffTable)
        shaped.duties = self._many("duty", schema.DutyTable)
        shaped.mqtt = self._many("mqtt", schema.MqttTable)
        return shaped

    def _unknown_tables(self) -> None:
        tables = [*schema.SINGLE, *schema.MANY]
        for name, raws in self._tables.items():
            if name in tables:
                continue
            known = [*schema.TOP_KEYS, *tables]
            self._faults.add(
                raws[0].where, "", "unknown_table", table=name, suggestion=nearest(name, known)
            )

    def _one(self, name: str, model: type[T]) -> Row[T] | None:
        raws = [raw for raw in self._tables.get(name, ()) if self._fits(name, raw, alone=True)]
        if not raws:
            return None
        row = self._row(name, model, self._merged(raws))
        if row is None:
            self._shaped.broken.add(name)
        return row

    def _merged(self, raws: list[Raw]) -> Raw:
        """Join the pieces of a table that stands in several files; a key may be in one only."""
        first = raws[0]
        values = dict(first.values)
        for other in raws[1:]:
            for key in values.keys() & other.values.keys():
                place = f"{first.where.file}:{first.where.line(key)}"
                self._faults.add(other.where, key, "duplicate_key", other=place)
            values = {**other.values, **values}
        return Raw(values, first.where, alone=True)

    def _many(self, name: str, model: type[T]) -> list[Row[T]]:
        rows: list[Row[T]] = []
        known = self._shaped.known.setdefault(name, set())
        raws = [raw for raw in self._tables.get(name, ()) if self._fits(name, raw, alone=False)]
        if len(raws) > schema.ROWS_MAX[name]:
            limit = schema.ROWS_MAX[name]
            self._faults.add(raws[limit].where, "", "too_many", table=name, limit=limit)
            raws = raws[:limit]
        for raw in raws:
            identity = raw.values.get("code" if "code" in model.model_fields else "id")
            if isinstance(identity, str):
                known.add(identity)
            row = None if raw.torn else self._row(name, model, raw)
            if row is None:
                self._shaped.broken.add(name)
            else:
                rows.append(row)
        return rows

    def _fits(self, name: str, raw: Raw, *, alone: bool) -> bool:
        if raw.loose or raw.alone is not alone:
            form = f"[{name}]" if alone else f"[[{name}]]"
            self._faults.add(raw.where, "", "table_form", table=name, form=form)
            self._shaped.broken.add(name)
            return False
        return True

    def _row(self, name: str, model: type[T], raw: Raw) -> Row[T] | None:
        """Validate; leave wrong keys out and try again, so that the rest of the row is known."""
        values = raw.values
        whole = True
        left_out: set[str] = set()
        for _ in range(2):
            try:
                return Row(model.model_validate(values), raw.where, whole)
            except ValidationError as error:
                details = error.errors(include_url=False)
            for each in details:
                if each["type"] != "missing" or str(each["loc"][0]) not in left_out:
                    self._report(name, model, raw, each)
            if any(each["type"] == "missing" for each in details):
                return None
            whole = whole and all(each["type"] == "extra_forbidden" for each in details)
            for each in details:
                left_out.add(str(each["loc"][0]))
                values = _without(values, each["loc"])
        return None

    def _report(self, name: str, model: type[T], raw: Raw, error: ErrorDetails) -> None:
        key = ".".join(str(part) for part in error["loc"])
        code, fields = _meaning(name, model, raw, error)
        self._faults.add(raw.where, key, code, table=name, **fields)


def _without(values: dict[str, Any], loc: tuple[int | str, ...]) -> dict[str, Any]:
    """Return a copy without the key at `loc`; inside a list, without the list's own key."""
    first, *inner = loc
    if inner and isinstance(inner[-1], str) and isinstance(values.get(str(first)), list):
        kept = [
            _without(each, (inner[-1],)) if index == inner[0] and isinstance(each, dict) else each
            for index, each in enumerate(values[str(first)])
        ]
        return {**values, str(first): kept}
    return {key: value for key, value in values.items() if key != first}


def _meaning(
    name: str, model: type[T], raw: Raw, error: ErrorDetails
) -> tuple[str, dict[str, Any]]:
    """Return the fault code and its fields for one error of pydantic."""
    kind, context = error["type"], error.get("ctx", {})
    got = _shown(error["input"])
    if kind == "extra_forbidden":
        return _extra(name, model, raw, error["loc"])
    if kind == "missing":
        return "missing_key", {}
    if kind in ("enum", "literal_error"):
        words = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        return "bad_choice", {
            "got": got, "choices": words, "suggestion": nearest(got, words.split(", "))
        }  # fmt: skip
    if kind == "string_pattern_mismatch":
        return "bad_form", {"got": got, "form": context["pattern"]}
    if kind in _BOUNDS:
        sign, bound = _BOUNDS[kind]
        return "out_of_bounds", {"got": got, "bound": f"{sign} {context[bound]}"}
    return "wrong_type", {"got": got, "expected": f"@config_type.{_TYPES.get(kind, 'value')}"}


_BOUNDS: dict[str, tuple[str, str]] = {
    "greater_than_equal": ("≥", "ge"),
    "less_than_equal": ("≤", "le"),
    "too_long": ("≤", "max_length"),
    "too_short": ("≥", "min_length"),
}

_TYPES: dict[str, str] = {
    "string_type": "text",
    "int_type": "integer",
    "int_from_float": "integer",
    "int_parsing": "integer",
    "bool_type": "truth",
    "list_type": "list",
    "model_type": "table",
    "model_attributes_type": "table",
    "dict_type": "table",
    "decimal_type": "decimal",
}


def _extra(
    name: str, model: type[T], raw: Raw, loc: tuple[int | str, ...]
) -> tuple[str, dict[str, Any]]:
    word = str(loc[-1])
    if schema.is_secret(word):
        return "secret_inline", {"suggestion": "password_file"}
    if name == "point" and schema.is_delay(word) and raw.values.get("kind") == Kind.METHANE:
        return "delay_on_methane", {}
    inner = schema.INNER.get((name, str(loc[0]))) if len(loc) > 1 else None
    keys = (inner or model).model_fields
    return "unknown_key", {"suggestion": nearest(word, keys)}


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
