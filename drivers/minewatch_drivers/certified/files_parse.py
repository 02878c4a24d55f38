"""One file of the certified system → what it says, or why nothing of it is believed. Pure.

A file counts whole or not at all: encoding, end mark, separators, mine code and time are checked
first. Within a good file a row that is not exactly as the dialect says gives its point a quality
and no value. Nothing is ever filled in: no number, no zero, no unit.
"""

import re
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import NamedTuple

from minewatch.model.kind import UNITS, Kind
from minewatch.model.quality import Quality
from minewatch_drivers.certified.files_dialect import MINE_SIGNAL, Dialect, Form, Quantity
from minewatch_drivers.device_files.codec import LOW_ALARM_KINDS, strongest

RECORDS_MAX = 50_000
"""Records in one file; a mine has at most some thousands of points or people."""

ROW_AHEAD_MS = 2_000
"""A row may be stamped this much after its file: the writer's seconds are rounded."""

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,9})?", re.ASCII)
_STATE = re.compile(r"\d{1,9}", re.ASCII)
_BREAK = re.compile(r"\r?\n")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WITH_VALUE = frozenset({Quality.GOOD, Quality.CALIBRATION, Quality.INHIBITED})
_SWITCHED = {"0": 0, "1": 1}


class FileRefusedError(ValueError):
    """Nothing of a file is believed; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Said(NamedTuple):
    """What a row says of a point, and the wall ms at which that was so."""

    value: int | None
    quality: Quality
    wall_ms: int


class GasFile(NamedTuple):
    """Realtime values by point code; a code that was asked for and is absent is COMM_FAULT."""

    written_ms: int
    points: dict[str, Said]


class PeopleFile(NamedTuple):
    """Counts of people underground, by area code and `MINE_SIGNAL` for all of them."""

    written_ms: int
    counts: dict[str, Said]


class _Records(NamedTuple):
    written_ms: int
    rows: list[str]


def parse_gas(dialect: Dialect, data: bytes, mine_code: str, wanted: Mapping[str, Kind]) -> GasFile:
    """Return what a file of realtime values says about the points that are `wanted`.

    Raises:
        FileRefusedError: the file is not whole, not of this mine, or not of this dialect.
    """
    written_ms, rows = _records(dialect, dialect.gas, data, mine_code)
    found: dict[str, Said] = {}
    for row in rows:
        code = row.partition(dialect.field)[0]
        kind = wanted.get(code)
        if kind is None:
            continue
        said = _row(dialect, row.split(dialect.field), kind, written_ms)
        if found.setdefault(code, said) != said:
            found[code] = Said(None, Quality.IMPLAUSIBLE, written_ms)
    absent = Said(None, Quality.COMM_FAULT, written_ms)
    return GasFile(written_ms, {code: found.get(code, absent) for code in wanted})


def parse_people(
    dialect: Dialect, data: bytes, mine_code: str, wanted: Collection[str]
) -> PeopleFile:
    """Return the counts that are `wanted`; a file without rows is legal and counts nobody.

    A card counts once. Where two of its rows contradict each other the newer one counts; where
    neither is newer, every count that they touch is IMPLAUSIBLE.

    Raises:
        FileRefusedError: the file is not whole, not of this mine, or one row of it is torn.
    """
    written_ms, rows = _records(dialect, dialect.people, data, mine_code)
    cards: dict[str, list[_Place]] = {}
    for row in rows:
        card, place = _place(dialect, row.split(dialect.field))
        cards.setdefault(card, []).append(place)
    counts: dict[str, int] = {}
    doubtful: set[str] = set()
    for places in cards.values():
        newest_ms = max(each.seen_ms for each in places)
        areas = {each.area for each in places if each.seen_ms == newest_ms}
        touched = {area for area in areas if area is not None}
        if len(areas) > 1:
            doubtful |= touched
            if None in areas:
                doubtful.add(MINE_SIGNAL)
        for signal in {*touched, MINE_SIGNAL} if touched else ():
            counts[signal] = counts.get(signal, 0) + 1
    return PeopleFile(
        written_ms,
        {
            each: Said(None, Quality.IMPLAUSIBLE, written_ms)
            if each in doubtful
            else Said(counts.get(each, 0), Quality.GOOD, written_ms)
            for each in wanted
        },
    )


def wall_ms_of(dialect: Dialect, text: str) -> int | None:
    """Return the wall ms of a printed local time, None for what is no time."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    zone = timezone(timedelta(milliseconds=dialect.utc_offset_ms))
    try:
        moment = datetime(*map(int, match.groups()), tzinfo=zone)  # type: ignore[misc, arg-type]
    except ValueError:
        return None
    return int(moment.timestamp()) * 1000


def stamp_of(dialect: Dialect, wall_ms: int) -> str:
    """Return a wall time as it stands in the name of a file: fourteen local digits."""
    zone = timezone(timedelta(milliseconds=dialect.utc_offset_ms))
    return datetime.fromtimestamp(wall_ms / 1000, zone).strftime("%Y%m%d%H%M%S")


def exact_units(kind: Kind, quantity: Quantity, unit: str, text: str) -> int | None:
    """Return a printed number in the kind's smallest unit, or None where it is none.

    Nearest unit, ties towards the alarm, as for registers; the way there is exact.
    """
    factor = quantity.units.get(unit)
    if factor is None or not _NUMBER.fullmatch(text):
        return None
    exact = Fraction(text) * factor * 10 ** UNITS[kind].decimals
    top, bottom = exact.numerator, exact.denominator
    down = (2 * top + bottom) // (2 * bottom)
    up = -((-2 * top + bottom) // (2 * bottom))
    value = up if kind in LOW_ALARM_KINDS else down
    return value if quantity.low <= value <= quantity.high else None


def _records(dialect: Dialect, form: Form, data: bytes, mine_code: str) -> _Records:
    """Return a whole file's rows after the checks of everything around them."""
    text = _text(dialect, data)
    body = text.removesuffix(dialect.end)
    if body == text or not body.endswith(dialect.record):
        raise FileRefusedError("unfinished")
    if dialect.end in body:
        raise FileRefusedError("after_end")
    if body.count(dialect.record) > RECORDS_MAX + 1:
        raise FileRefusedError("too_many_records")
    head, *rows = body.removesuffix(dialect.record).split(dialect.record)
    header = dict(zip(form.header, head.split(dialect.field), strict=False))
    if head.count(dialect.field) + 1 != len(form.header):
        raise FileRefusedError("header")
    if header["mine"] != mine_code:
        raise FileRefusedError("wrong_mine")
    written_ms = wall_ms_of(dialect, header["time"])
    if written_ms is None:
        raise FileRefusedError("bad_time")
    return _Records(written_ms, rows)


def _text(dialect: Dialect, data: bytes) -> str:
    for encoding in dialect.encodings:
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise FileRefusedError("encoding")
    text = text.removeprefix("\ufeff")
    if dialect.breaks_after_marks:
        for mark in (dialect.record, dialect.end):
            text = re.sub(f"({re.escape(mark)}){_BREAK.pattern}", r"\1", text)
    if _CONTROL.search(text):
        raise FileRefusedError("control_characters")
    if any(mark in text for mark in dialect.refused):
        raise FileRefusedError("full_width")
    return text


def _row(dialect: Dialect, parts: list[str], kind: Kind, written_ms: int) -> Said:
    """Return what one row says of a point of `kind`."""
    form = dialect.gas
    bad = Said(None, Quality.IMPLAUSIBLE, written_ms)
    if len(parts) != len(form.fields):
        return bad
    named = dialect.kind_of_name.get(parts[form.at("sensor")])
    row_ms = wall_ms_of(dialect, parts[form.at("time")])
    quality = _state(dialect, parts[form.at("state")])
    if (named is not None and named is not kind) or row_ms is None or quality is None:
        return bad
    if row_ms > written_ms + ROW_AHEAD_MS:
        return bad
    at_ms = min(row_ms, written_ms) if dialect.row_time_is_sample else written_ms
    if quality not in _WITH_VALUE:
        return Said(None, quality, at_ms)
    value = _value(dialect, kind, parts[form.at("unit")], parts[form.at("value")])
    return bad if value is None else Said(value, quality, at_ms)


def _value(dialect: Dialect, kind: Kind, unit: str, text: str) -> int | None:
    if UNITS[kind].switch:
        return _SWITCHED.get(text)
    quantity = dialect.quantities.get(kind)
    return None if quantity is None else exact_units(kind, quantity, unit, text)


def _state(dialect: Dialect, text: str) -> Quality | None:
    """Return what a sum of state bits means, None where a bit of it has no meaning."""
    if not _STATE.fullmatch(text):
        return None
    code = int(text)
    known = [quality for bit, quality in dialect.states.items() if code & bit]
    if code & ~sum(dialect.states):
        return None
    return strongest(known)


class _Place(NamedTuple):
    """Where a row has a card: an area, or None where it is not underground; and since when."""

    area: str | None
    seen_ms: int


def _place(dialect: Dialect, parts: list[str]) -> tuple[str, _Place]:
    form = dialect.people
    if len(parts) != len(form.fields):
        raise FileRefusedError("bad_row")
    card, flag = parts[form.at("card")], parts[form.at("flag")]
    if not card or flag not in dialect.inside | dialect.outside:
        raise FileRefusedError("bad_row")
    times = [wall_ms_of(dialect, parts[form.at(each)]) for each in ("area_time", "reader_time")]
    seen_ms = max((each for each in times if each is not None), default=0)
    return card, _Place(parts[form.at("area")] if flag in dialect.inside else None, seen_ms)
