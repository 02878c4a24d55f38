"""The part of a device file that describes a personnel reader: its style and where records stand.

One of `[queue]`, `[drain]`, `[snapshot]` and `[flag]`; each has a table `fields` with the offsets
within a record. drivers/README.md tells what each style promises.
"""

from collections.abc import Callable

from minewatch_drivers.device_files.device_fields import REGISTERS_MAX, Fields
from minewatch_drivers.device_files.device_model import DeviceModel, Register, Table
from minewatch_drivers.device_files.reader_model import (
    BadgeText,
    BadgeWords,
    Drain,
    Flag,
    Queue,
    ReaderForm,
    RecordFields,
    Snapshot,
)

SPAN_MAX = 64
"""Registers of one record."""

LISTED_MAX = 1024
"""Badges that a snapshot may list; a scan pages through them."""

WORDS_MAX = {BadgeText.DECIMAL: 4, BadgeText.HEX: 16, BadgeText.ASCII: 32}
"""Registers of a card number whose text fits into the 64 letters of a badge."""

REGISTER_TABLES = ("input", "holding")


def read_reader(top: Fields) -> ReaderForm | None:
    """Return the reader that the file describes, None where it is none.

    Raises:
        DeviceFileError: two styles, an unknown or missing key, or a value that cannot be.
    """
    made: ReaderForm | None = None
    for style, build in _STYLES.items():
        fields = top.optional(style)
        if fields is None:
            continue
        if made is not None:
            raise top.wrong(style, f"a reader has one style of {', '.join(_STYLES)}")
        made = build(fields)
        fields.done()
    return made


def check_reader(top: Fields, model: DeviceModel) -> None:
    """Refuse a reader whose parts no question can hold, or whose identity nobody would look at.

    Raises:
        DeviceFileError: what is wrong.
    """
    form = model.reader
    if form is None:
        return
    room = min(model.registers_max, REGISTERS_MAX)
    table, places = header_places(model, form)
    if places and max(places) - min(places) >= room:
        raise top.wrong("", "the state of the reader fits in no single read")
    for name, mark in (("sentinel", model.sentinel), ("heartbeat", model.heartbeat)):
        if mark is not None and mark.at.table is not table:
            raise top.wrong(f"{name}.table", "a reader's marks lie in the table of its state")
    if form.record_size > room:
        raise top.wrong("", "a record fits in no single read")
    if isinstance(form, Queue | Drain) and form.record_size * form.records_max > room:
        raise top.wrong("", "records_max records fit in no single read")
    last = form.records + form.record_size * (1 if isinstance(form, Flag) else form.records_max)
    if last > 0x10000:
        raise top.wrong("", "records lie behind the last address")
    if places and not table.bits and not model.may_read(min(places), max(places)):
        raise top.wrong("read.forbidden", "holds the state of the reader")
    if isinstance(form, Drain):
        _check_drain(top, model, form.records, last - 1)
    elif not model.may_read(form.records, last - 1):
        raise top.wrong("read.forbidden", "holds records of the reader")
    _check_writes(top, model, form)


def _check_drain(top: Fields, model: DeviceModel, first: int, last: int) -> None:
    """Nothing else may read what a read empties: no neighbour's question, no tool."""
    if not any(low <= first and last <= high for low, high in model.forbidden):
        raise top.wrong(
            "read.forbidden", f"[[{first}, {last}]] must stand here: reading them empties them"
        )


def _check_writes(top: Fields, model: DeviceModel, form: ReaderForm) -> None:
    written: list[Register | None] = []
    if isinstance(form, Queue):
        written = [Register(Table.HOLDING, form.acknowledge)]
    elif isinstance(form, Flag):
        written = [form.flag, form.power_on]
    for at in written:
        if at is not None and not model.may_write(at.table, at.address, at.address):
            raise top.wrong("write.never", f"{at.address} is what the reader waits for")


def _queue(fields: Fields) -> Queue:
    size = _size(fields)
    record = _record(fields, size)
    if record.sequence is None:
        raise fields.wrong("fields.sequence", "is missing: without it nothing is acknowledged")
    return Queue(
        table=_table(fields),
        count=_address(fields, "count"),
        overflow=_address(fields, "overflow"),
        boot=fields.integer_or_none("boot", 0, 0xFFFF),
        log_kept=fields.flag("log_kept", default=False),
        records=_address(fields, "records"),
        record_size=size,
        records_max=fields.integer("records_max", 1, REGISTERS_MAX // size),
        acknowledge=_address(fields, "acknowledge"),
        fields=record,
    )


def _drain(fields: Fields) -> Drain:
    size = _size(fields)
    return Drain(
        table=_table(fields),
        count=fields.integer_or_none("count", 0, 0xFFFF),
        overflow=fields.integer_or_none("overflow", 0, 0xFFFF),
        boot=fields.integer_or_none("boot", 0, 0xFFFF),
        records=_address(fields, "records"),
        record_size=size,
        records_max=fields.integer("records_max", 1, REGISTERS_MAX // size),
        fields=_record(fields, size),
    )


def _snapshot(fields: Fields) -> Snapshot:
    size = _size(fields)
    return Snapshot(
        table=_table(fields),
        count=_address(fields, "count"),
        overflow=fields.integer_or_none("overflow", 0, 0xFFFF),
        records=_address(fields, "records"),
        record_size=size,
        records_max=fields.integer("records_max", 1, LISTED_MAX),
        fields=_record(fields, size),
    )


def _flag(fields: Fields) -> Flag:
    size = _size(fields)
    at = Table(fields.choice("flag_table", ("coil", "holding")))
    power_on = fields.integer_or_none("power_on", 0, 0xFFFF)
    return Flag(
        flag=Register(at, _address(fields, "flag")),
        power_on=None if power_on is None else Register(at, power_on),
        table=_table(fields),
        records=_address(fields, "records"),
        record_size=size,
        fields=_record(fields, size),
    )


_STYLES: dict[str, Callable[[Fields], ReaderForm]] = {
    "queue": _queue,
    "drain": _drain,
    "snapshot": _snapshot,
    "flag": _flag,
}


def _table(fields: Fields) -> Table:
    return Table(fields.choice("table", REGISTER_TABLES))


def _address(fields: Fields, key: str) -> int:
    return fields.integer(key, 0, 0xFFFF)


def _size(fields: Fields) -> int:
    return fields.integer("record_size", 1, SPAN_MAX)


def _record(fields: Fields, size: int) -> RecordFields:
    """Return the offsets of `fields`; every part lies within the record."""
    record = fields.table("fields")
    last = size - 1
    flags = record.integer_or_none("flags", 0, last)
    made = RecordFields(
        badge=_badge(record, size),
        sequence=record.integer_or_none("sequence", 0, last),
        direction=record.integer_or_none("direction", 0, last),
        flags=flags,
        battery_bit=_bit(record, "battery_bit", flags, 0),
        sos_bit=_bit(record, "sos_bit", flags, 1),
        time_s=record.integer_or_none("time_s", 0, last - 1),
        boot=record.integer_or_none("boot", 0, last),
    )
    record.done()
    return made


def _bit(record: Fields, key: str, flags: int | None, default: int) -> int | None:
    """Return which bit of `flags` it is; -1 says that the reader has no such bit."""
    bit = record.integer(key, -1, 15, default)
    if flags is None and key in record.raw:
        raise record.wrong(key, "a bit needs the register `flags`")
    return bit if bit >= 0 else None


def _badge(record: Fields, size: int) -> BadgeWords:
    at = record.integer("badge", 0, size - 1)
    words = record.integer("badge_words", 1, size - at, 2)
    default = BadgeText.DECIMAL if words <= WORDS_MAX[BadgeText.DECIMAL] else BadgeText.HEX
    text = BadgeText(record.choice("badge_text", tuple(BadgeText), default))
    order = record.choice("badge_order", ("high_first", "low_first"), "high_first")
    if words > WORDS_MAX[text]:
        raise record.wrong("badge_text", f"{text} has room for {WORDS_MAX[text]} registers at most")
    return BadgeWords(at, words, text, order == "low_first")


def header_places(model: DeviceModel, form: ReaderForm) -> tuple[Table, tuple[int, ...]]:
    """Return the table of the reader's state and the addresses that belong to it, maybe none."""
    table, places = _own_places(form)
    marks = [mark.at for mark in (model.sentinel, model.heartbeat) if mark is not None]
    places += [at.address for at in marks if at.table is table]
    return table, tuple(places)


def _own_places(form: ReaderForm) -> tuple[Table, list[int]]:
    if isinstance(form, Flag):
        bits = [form.flag, *([] if form.power_on is None else [form.power_on])]
        return form.flag.table, [at.address for at in bits]
    maybe: list[int | None] = [form.count, form.overflow]
    if isinstance(form, Queue | Drain):
        maybe.append(form.boot)
    return form.table, [place for place in maybe if place is not None]
