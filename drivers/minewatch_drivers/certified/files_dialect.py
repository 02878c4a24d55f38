"""How a platform writes the regulator's files: dialects/<name>.toml → frozen data.

A dialect says separators, encodings, field order, units, state codes and how often a file comes.
To read another platform's files add a data file; `like` names one from which it differs. Every
fault of such a file is a `DeviceFileError` that names file, key and reason.
"""

import tomllib
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib import resources
from typing import Any

from minewatch.model.kind import UNITS, Kind
from minewatch.model.quality import WIRE_QUALITIES, Quality
from minewatch_drivers.device_files.device_fields import DeviceFileError, Fields

GAS_MODEL, PEOPLE_MODEL = "certified-cdss", "certified-ryss"
"""What `[[device]] model` names on a files line: realtime values, or the people underground."""

MODELS = (GAS_MODEL, PEOPLE_MODEL)

MINE_SIGNAL = "mine"
"""The signal of a `PEOPLE_MODEL` that counts the whole mine; every other one is an area code."""

_LIKE_MAX = 3
_GAS_FIELDS = ("point", "sensor", "value", "unit", "state", "time")
_PEOPLE_FIELDS = ("card", "flag", "area", "area_time", "reader_time")


@dataclass(frozen=True, slots=True)
class Form:
    """One type of file. `fields` and `header` are names in order; `stale_ms` is its age limit."""

    type: str
    header: tuple[str, ...]
    fields: tuple[str, ...]
    period_ms: int
    stale_ms: int

    def at(self, name: str) -> int:
        """Return the place of a field in a record; ValueError where the form has none."""
        return self.fields.index(name)


@dataclass(frozen=True, slots=True)
class Quantity:
    """Units of a kind with their factors, and what can be measured at all, in smallest units."""

    units: dict[str, Fraction]
    low: int
    high: int


@dataclass(frozen=True)
class Dialect:
    """One way of writing the files; `states` are bits of the state code."""

    name: str
    source: str
    maturity: str
    encodings: tuple[str, ...]
    field: str
    record: str
    end: str
    refused: str
    breaks_after_marks: bool
    utc_offset_ms: int
    gas: Form
    people: Form
    row_time_is_sample: bool
    inside: frozenset[str]
    outside: frozenset[str]
    states: dict[int, Quality]
    quantities: dict[Kind, Quantity]
    kind_of_code: dict[str, Kind]
    kind_of_name: dict[str, Kind]


def dialects() -> tuple[str, ...]:
    """Return the names of all dialects, sorted."""
    return tuple(sorted(_texts()))


@cache
def load_dialect(name: str) -> Dialect:
    """Return the dialect called `name`.

    Raises:
        DeviceFileError: there is no such file, or something in it is wrong.
    """
    return build_dialect(name, _tree(name, 0))


def form_of(dialect: Dialect, model: str) -> Form:
    """Return the type of file that a device of `model` reads; KeyError for no such model."""
    return {GAS_MODEL: dialect.gas, PEOPLE_MODEL: dialect.people}[model]


def build_dialect(name: str, tree: dict[str, Any]) -> Dialect:
    """Build the dialect that a parsed file describes.

    Raises:
        DeviceFileError: an unknown or missing key, or a value that cannot be.
    """
    top = Fields(f"dialects/{name}.toml", "", tree)
    head, text = top.table("dialect"), top.table("text")
    gas, people = top.table("gas"), top.table("people")
    flags = people.table("flags")
    sensors = [_sensor(each) for each in top.list_of_tables("sensor")]
    made = Dialect(
        name=name,
        source=head.text("source"),
        maturity=head.choice("maturity", ("stable", "beta", "experimental")),
        encodings=_encodings(text),
        field=text.text("field"),
        record=text.text("record"),
        end=text.text("end"),
        refused=text.text("refused", ""),
        breaks_after_marks=text.choice("line_breaks", ("refused", "after_marks")) == "after_marks",
        utc_offset_ms=text.integer("utc_offset_minutes", -720, 840) * 60_000,
        gas=_form(gas, _GAS_FIELDS),
        people=_form(people, _PEOPLE_FIELDS),
        row_time_is_sample=gas.choice("row_time", ("sample", "change")) == "sample",
        inside=frozenset(flags.texts("inside")),
        outside=frozenset(flags.texts("outside")),
        states=_states(top),
        quantities=dict(_quantity(each) for each in top.list_of_tables("quantity")),
        kind_of_code={code: kind for code, _, kind in sensors},
        kind_of_name={word: kind for _, word, kind in sensors},
    )
    for fields in (head, text, flags, gas, people, top):
        fields.done()
    _check(top, made)
    return made


@cache
def _texts() -> dict[str, str]:
    folder = resources.files("minewatch_drivers").joinpath("dialects")
    return {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }


def _tree(name: str, depth: int) -> dict[str, Any]:
    """Return the keys of a dialect over those of the one that it is like."""
    text = _texts().get(name)
    if text is None:
        raise DeviceFileError(f"dialects/{name}.toml", "", "no dialect has this name")
    try:
        tree = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DeviceFileError(f"dialects/{name}.toml", "", f"not TOML: {error}") from error
    like = tree.get("dialect", {}).pop("like", None)
    if like is None:
        return tree
    if depth >= _LIKE_MAX:
        raise DeviceFileError(f"dialects/{name}.toml", "dialect.like", "too long a chain")
    return _over(_tree(str(like), depth + 1), tree)


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        both = isinstance(value, dict) and isinstance(under, dict)
        merged[key] = _over(under, value) if both and under is not None else value
    return merged


def _encodings(text: Fields) -> tuple[str, ...]:
    names = text.texts("encodings")
    if not names or not set(names) <= {"utf-8", "gbk", "gb18030"}:
        raise text.wrong("encodings", "must be some of utf-8, gbk, gb18030")
    return names


def _form(fields: Fields, needed: tuple[str, ...]) -> Form:
    made = Form(
        type=fields.text("type"),
        header=fields.texts("header"),
        fields=fields.texts("fields"),
        period_ms=fields.integer("period_s", 1, 3_600) * 1000,
        stale_ms=fields.integer("stale_s", 2, 7_200) * 1000,
    )
    missing = (set(needed) - set(made.fields)) | ({"mine", "time"} - set(made.header))
    if missing or len(set(made.fields)) != len(made.fields):
        raise fields.wrong("fields", f"missing or twice: {', '.join(sorted(missing))}")
    if made.stale_ms <= made.period_ms:
        raise fields.wrong("stale_s", "must be longer than period_s")
    return made


def _states(top: Fields) -> dict[int, Quality]:
    names = {each.name.lower(): each for each in WIRE_QUALITIES}
    states = {}
    for key, word in top.pairs("states"):
        bit = top.number(key, 1, 1 << 30)
        if bit & (bit - 1) or word not in names:
            raise top.wrong(f"states.{key}", "must be one bit and the name of a quality")
        states[bit] = names[word]
    return states


def _quantity(fields: Fields) -> tuple[Kind, Quantity]:
    kind = Kind(fields.choice("kind", tuple(Kind)))
    units = {key: fields.as_decimal("units", value) for key, value in fields.pairs("units")}
    bounds = []
    for key in ("low", "high"):
        exact = fields.decimal(key, "") * 10 ** UNITS[kind].decimals
        if exact.denominator != 1:
            raise fields.wrong(key, f"finer than the smallest unit of {kind}")
        bounds.append(int(exact))
    fields.done()
    if not units or any(factor <= 0 for factor in units.values()) or bounds[0] >= bounds[1]:
        raise fields.wrong("units", "needs a unit with a factor above 0, and low < high")
    return kind, Quantity(units, bounds[0], bounds[1])


def _sensor(fields: Fields) -> tuple[str, str, Kind]:
    made = fields.text("code"), fields.text("name"), Kind(fields.choice("kind", tuple(Kind)))
    fields.done()
    return made


def _check(top: Fields, dialect: Dialect) -> None:
    """Refuse marks that could not be told apart and flags that say both."""
    marks = (dialect.field, dialect.record, dialect.end)
    if len(dialect.field) != 1 or len(dialect.record) != 1 or len(set(marks)) != len(marks):
        raise top.wrong("text", "field and record are one mark each, end is another")
    if dialect.field in dialect.end or dialect.record in dialect.end:
        raise top.wrong("text.end", "holds another mark")
    if not dialect.inside or dialect.inside & dialect.outside:
        raise top.wrong("people.flags", "inside and outside must be told apart")
    if dialect.gas.type == dialect.people.type:
        raise top.wrong("people.type", "is that of the gas files")
