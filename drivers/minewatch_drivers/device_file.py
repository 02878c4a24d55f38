"""Loads devices/<category>/<name>.toml into a `DeviceModel`: plain typed data, no templates.

Every fault of a file is a `DeviceFileError` that names file, key and reason; unknown keys are
faults. drivers/README.md tells how to write such a file.
"""

import tomllib
from fractions import Fraction
from functools import cache
from importlib import resources
from typing import Any

from minewatch.model.kind import UNITS, Kind
from minewatch.model.quality import WIRE_QUALITIES, Quality
from minewatch_drivers.device_fields import REGISTERS_MAX, DeviceFileError, Fields
from minewatch_drivers.device_model import (
    AtLoss,
    Channel,
    DeviceModel,
    Frame,
    Heartbeat,
    RawType,
    Register,
    Sentinel,
    Signal,
    StatusWord,
    Table,
    Watchdog,
)
from minewatch_drivers.reader_file import read_queue
from minewatch_drivers.serial_file import read_serial

__all__ = ["DeviceFileError", "catalogue", "load", "parse"]

MATURITY = ("stable", "beta", "experimental")


def catalogue() -> tuple[str, ...]:
    """Return the names of all device files, sorted."""
    return tuple(sorted(_paths()))


@cache
def load(name: str) -> DeviceModel:
    """Return the model called `name`.

    Raises:
        DeviceFileError: there is no such file, or something in it is wrong.
    """
    path = _paths().get(name)
    if path is None:
        raise DeviceFileError(f"{name}.toml", "", "no device file has this name")
    category, text = path
    return parse(name, category, text)


def parse(name: str, category: str, text: str) -> DeviceModel:
    """Build the model that `text` (TOML) describes.

    Raises:
        DeviceFileError: not TOML, an unknown or missing key, or a value that cannot be.
    """
    try:
        tree = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DeviceFileError(f"{category}/{name}.toml", "", f"not TOML: {error}") from error
    return build(name, category, tree)


def build(name: str, category: str, tree: dict[str, Any]) -> DeviceModel:
    """Build the model that a parsed file describes.

    Raises:
        DeviceFileError: an unknown or missing key, or a value that cannot be.
    """
    top = Fields(f"{category}/{name}.toml", "", tree)
    head = top.table("device")
    read = top.table("read", {})
    status = {key: _status(key, f) for key, f in top.tables("status")}
    signals = {key: _signal(key, f, status) for key, f in top.tables("signals")}
    watchdog = _watchdog(top.optional("watchdog"))
    loss = _default_loss(top)
    channels = {key: _channel(key, f, loss) for key, f in top.tables("channels")}
    model = DeviceModel(
        name=name,
        category=category,
        identity=head.text("identity"),
        maker=head.text("maker"),
        maturity=head.choice("maturity", MATURITY),
        source=head.text("source"),
        traps=head.texts("traps"),
        registers_max=read.integer("registers_max", 1, REGISTERS_MAX, REGISTERS_MAX),
        gap_max=read.integer("gap_max", 0, REGISTERS_MAX, 4),
        turnaround_ms=read.integer("turnaround_ms", 0, 2000, 20),
        write_multiple=read.flag("write_multiple", default=True),
        forbidden=read.ranges("forbidden"),
        sentinel=_sentinel(top.optional("sentinel")),
        heartbeat=_heartbeat(top.optional("heartbeat")),
        signals=signals,
        channels=channels,
        watchdog=watchdog,
        queue=read_queue(top.optional("queue")),
        serial=read_serial(top.optional("serial")),
        frames=tuple(_frame(f, signals) for f in top.list_of_tables("frames")),
    )
    for fields in (head, read, top):
        fields.done()
    _check(top, model)
    return model


@cache
def _paths() -> dict[str, tuple[str, str]]:
    """Return {name: (category, text)}; read once, the files are part of the package."""
    found: dict[str, tuple[str, str]] = {}
    for category in resources.files("minewatch_drivers").joinpath("devices").iterdir():
        if not category.is_dir():
            continue
        for entry in category.iterdir():
            if entry.name.endswith(".toml"):
                text = entry.read_text(encoding="utf-8")
                found[entry.name.removesuffix(".toml")] = (category.name, text)
    return found


def _register(fields: Fields) -> Register:
    table = Table(fields.choice("table", tuple(Table)))
    return Register(table, fields.integer("address", 0, 0xFFFF))


def _quality(fields: Fields, key: str, word: Any) -> Quality:
    names = {q.name.lower(): q for q in WIRE_QUALITIES}
    if not isinstance(word, str) or word not in names:
        raise fields.wrong(key, f"{word!r} is not one of {', '.join(sorted(names))}")
    return names[word]


def _sentinel(fields: Fields | None) -> Sentinel | None:
    if fields is None:
        return None
    made = Sentinel(_register(fields), fields.integer("expected", 0, 0xFFFF))
    fields.done()
    if made.at.table.bits:
        raise fields.wrong("table", "an identity is a register, not a bit")
    return made


def _heartbeat(fields: Fields | None) -> Heartbeat | None:
    if fields is None:
        return None
    made = Heartbeat(_register(fields), fields.integer("every_ms", 10, 600_000))
    fields.done()
    if made.at.table.bits:
        raise fields.wrong("table", "a heartbeat is a counting register, not a bit")
    return made


def _status(name: str, fields: Fields) -> StatusWord:
    at = _register(fields)
    bits = tuple(
        (fields.number(key, 0, 15), _quality(fields, "bits", word))
        for key, word in fields.pairs("bits")
    )
    values = []
    for row in fields.rows("values", 3):
        low, high = (fields.between("values", each, 0, 0xFFFF) for each in row[:2])
        values.append((low, high, _quality(fields, "values", row[2])))
    otherwise = Quality.IMPLAUSIBLE if values else Quality.GOOD
    word = fields.text("otherwise", "")
    if word:
        otherwise = _quality(fields, "otherwise", word)
    fields.done()
    if not bits and not values:
        raise fields.wrong("bits", "a status word needs bits or values")
    return StatusWord(name, at, bits, tuple(values), otherwise)


def _signal(name: str, fields: Fields, status: dict[str, StatusWord]) -> Signal:
    at = _register(fields)
    raw_type = RawType(fields.choice("type", tuple(RawType), "bit" if at.table.bits else None))
    if at.table.bits and raw_type is not RawType.BIT:
        raise fields.wrong("type", "coils and discrete inputs hold bits")
    if raw_type is RawType.BIT and not at.table.bits:
        raise fields.wrong("type", "a bit lies in a coil or discrete input")
    kind_name = fields.choice("kind", tuple(Kind), "")
    kind = Kind(kind_name) if kind_name else None
    words = fields.texts("status")
    for word in words:
        if word not in status:
            raise fields.wrong("status", f"there is no [status.{word}]")
    codes = tuple(
        (fields.number(key, 0, 0xFFFFFFFF), _quality(fields, "codes", word))
        for key, word in fields.pairs("codes")
    )
    made = Signal(
        name=name,
        at=at,
        type=raw_type,
        scale=_positive(fields, "scale", "1"),
        kind=kind,
        low_word_first=fields.choice("word_order", ("high_first", "low_first"), "high_first")
        == "low_first",
        inverted=fields.flag("inverted", default=False),
        low=_bound(fields, "low", kind),
        high=_bound(fields, "high", kind),
        codes=codes,
        status=tuple(status[word] for word in words),
    )
    fields.done()
    _check_signal(fields, made)
    return made


def _check_signal(fields: Fields, signal: Signal) -> None:
    if signal.type is RawType.BIT:
        return
    if signal.kind is None:
        raise fields.wrong("kind", "a measured value needs a kind; only bits take the point's")
    if signal.low is None or signal.high is None or signal.low >= signal.high:
        raise fields.wrong("high", "a measured value needs low < high")
    if any(word.at.table.bits for word in signal.status):
        raise fields.wrong("status", "a status word is a register")


def _positive(fields: Fields, key: str, default: str) -> Fraction:
    value = fields.decimal(key, default)
    if value is None or value <= 0:
        raise fields.wrong(key, "must be a decimal above 0, written as text")
    return value


def _bound(fields: Fields, key: str, kind: Kind | None) -> int | None:
    value = fields.decimal(key, None)
    if value is None:
        return None
    if kind is None:
        raise fields.wrong(key, "a range needs a kind")
    exact = value * 10 ** UNITS[kind].decimals
    if exact.denominator != 1:
        raise fields.wrong(key, f"finer than the smallest unit of {kind}")
    return int(exact)


def _default_loss(top: Fields) -> tuple[AtLoss, ...]:
    """Return what channels do at loss where they do not say so themselves."""
    watchdog = top.raw.get("watchdog")
    if not isinstance(watchdog, dict):
        return (AtLoss.KEEP,)
    return (AtLoss.OPEN,) if watchdog.get("at_loss") == "all_open" else ()


def _channel(name: str, fields: Fields, default: tuple[AtLoss, ...]) -> Channel:
    coil = fields.integer("coil", 0, 0xFFFF)
    words = fields.texts("at_loss")
    for word in words:
        if word not in tuple(AtLoss):
            raise fields.wrong("at_loss", f"{word!r} is not one of open, close, keep")
    fields.done()
    at_loss = tuple(AtLoss(word) for word in words) or default
    if not at_loss:
        raise fields.wrong("at_loss", "say what the channel does at loss of heartbeat")
    if default and at_loss != default:
        raise fields.wrong("at_loss", "contradicts the watchdog of this file")
    return Channel(name, coil, at_loss)


def _watchdog(fields: Fields | None) -> Watchdog | None:
    if fields is None:
        return None
    fields.choice("at_loss", ("all_open", "per_channel"))
    made = Watchdog(
        time_ms=fields.integer("time_ms", 100, 60_000),
        feed=fields.integer_or_none("feed", 0, 0xFFFF),
        time=fields.integer_or_none("time", 0, 0xFFFF),
        time_unit_ms=fields.integer("time_unit_ms", 1, 10_000, 100),
        keep=fields.integer_or_none("keep", 0, 0xFFFF),
        commissioning=fields.texts("commissioning"),
    )
    fields.done()
    listed = [each for each in (made.feed, made.time, made.keep) if each is not None]
    if made.feed is None and listed:
        raise fields.wrong("feed", "settings without a register that is fed are never written")
    if listed and listed != list(range(listed[0], listed[0] + len(listed))):
        raise fields.wrong("feed", "feed, time and keep must follow one another")
    if made.time_ms % made.time_unit_ms:
        raise fields.wrong("time_ms", "no whole number of time_unit_ms")
    return made


def _frame(fields: Fields, signals: dict[str, Signal]) -> Frame:
    expect = []
    for name, row in fields.pairs("expect"):
        if name not in signals or not isinstance(row, list) or len(row) != 2:
            raise fields.wrong("expect", f"{name!r} needs a signal of this file and two words")
        quality = _quality(fields, "expect", row[1])
        value = None
        if row[0] != "":
            kind = signals[name].kind
            exact = fields.as_decimal("expect", row[0]) * 10 ** (
                UNITS[kind].decimals if kind else 0
            )
            if exact.denominator != 1:
                raise fields.wrong("expect", f"{row[0]!r} is finer than the smallest unit")
            value = int(exact)
        expect.append((name, value, quality))
    made = Frame(
        fields.text("source"), fields.octets("request"), fields.octets("reply"), tuple(expect)
    )
    fields.done()
    return made


def _check(top: Fields, model: DeviceModel) -> None:
    """Refuse what fits no device: nothing to read, or words that no block can hold together."""
    if model.serial is not None:
        return
    if not (model.signals or model.channels or model.queue):
        raise top.wrong("signals", "the file has no signal, channel or queue")
    if not model.frames:
        raise top.wrong("frames", "a file carries at least one frame from another source")
    coils = [channel.coil for channel in model.channels.values()]
    if len(set(coils)) != len(coils):
        raise top.wrong("channels", "two channels share a coil")
    if model.watchdog is not None and model.watchdog.keep is not None and len(coils) > 16:
        raise top.wrong("channels", "a keep mask holds 16 channels")
    for signal in model.signals.values():
        parts = [(signal.at.address, signal.at.address + signal.type.width)]
        parts += [(word.at.address, word.at.address + 1) for word in signal.status]
        if any(word.at.table is not signal.at.table for word in signal.status):
            raise top.wrong(f"signals.{signal.name}", "its status lies in another table")
        low, high = min(p[0] for p in parts), max(p[1] for p in parts)
        if high - low > model.registers_max or high > 0x10000:
            raise top.wrong(f"signals.{signal.name}", "value and status fit in no single read")
        if any(low <= last and first < high for first, last in model.forbidden):
            raise top.wrong(f"signals.{signal.name}", "needs an address that must not be read")
