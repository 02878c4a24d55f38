"""Loads devices/<category>/<name>.toml into a `DeviceModel`: plain typed data, no templates.

Every fault of a file is a `DeviceFileError` that names file, key and reason; unknown keys are
faults. drivers/README.md tells how to write such a file.
"""

import tomllib
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from minewatch.model.device_text import DeviceText
from minewatch.model.kind import UNITS
from minewatch_drivers.device_files.codec import needs
from minewatch_drivers.device_files.device_fields import REGISTERS_MAX, DeviceFileError, Fields
from minewatch_drivers.device_files.device_model import (
    Channel,
    DeviceModel,
    Frame,
    Heartbeat,
    Sentinel,
    Setting,
    Signal,
    Table,
)
from minewatch_drivers.device_files.reader_file import check_reader, read_reader
from minewatch_drivers.device_files.relay_file import (
    default_loss,
    read_channel,
    read_coil_on,
    read_never_write,
    read_setting,
    read_watchdog,
)
from minewatch_drivers.device_files.repeat_file import unroll
from minewatch_drivers.device_files.serial_file import read_serial
from minewatch_drivers.device_files.signal_file import (
    read_part,
    read_quality,
    read_register,
    read_require,
    read_signal,
    read_status,
)

__all__ = ["DeviceFileError", "catalogue", "load", "parse", "provide", "shipped"]

MODELS_KEPT = 256
"""Parsed files that are remembered; a configuration has fewer."""

MATURITY = ("stable", "beta", "experimental")
PRINCIPLES = ("catalytic", "infrared", "laser")


def catalogue() -> tuple[str, ...]:
    """Return the names of all device files, sorted."""
    return tuple(sorted({*_paths(), *_own}))


def shipped() -> frozenset[str]:
    """Return the names that no configuration may take for a device file of its own."""
    return frozenset(_paths())


def provide(files: Iterable[DeviceText]) -> None:
    """Let this process know the device files that its configuration brings, and no others.

    The text travels in the `Mine`, so that every process of a house reads the same registers.
    """
    _own.clear()
    _own.update({each.name: (each.category, each.text) for each in files})


_own: dict[str, tuple[str, str]] = {}


def load(name: str) -> DeviceModel:
    """Return the model called `name`.

    Raises:
        DeviceFileError: there is no such file, or something in it is wrong.
    """
    path = _paths().get(name) or _own.get(name)
    if path is None:
        raise DeviceFileError(f"{name}.toml", "", "no device file has this name")
    return _parsed(name, *path)


@lru_cache(MODELS_KEPT)
def _parsed(name: str, category: str, text: str) -> DeviceModel:
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
    file = f"{category}/{name}.toml"
    top = Fields(file, "", unroll(file, tree))
    head, read, write = top.table("device"), top.table("read", {}), top.table("write", {})
    stride = int(read.choice("address_holds", ("16 bits", "32 bits"), "16 bits")[:2]) // 16
    status = {key: read_status(key, f, stride) for key, f in top.tables("status")}
    for key, f in top.tables("require"):
        if key in status:
            raise top.wrong(f"require.{key}", "a status word has this name")
        status[key] = read_require(key, f, stride)
    signals = {key: read_signal(key, f, status, stride) for key, f in top.tables("signals")}
    watchdog = read_watchdog(top.optional("watchdog"))
    loss = default_loss(top)
    channels = {key: read_channel(key, f, loss) for key, f in top.tables("channels")}
    model = DeviceModel(
        name=name,
        category=category,
        identity=head.text("identity"),
        maker=head.text("maker"),
        maturity=head.choice("maturity", MATURITY),
        source=head.text("source"),
        traps=head.texts("traps"),
        registers_max=read.integer("registers_max", 1, REGISTERS_MAX // stride,
                                   REGISTERS_MAX // stride),
        gap_max=read.integer("gap_max", 0, REGISTERS_MAX, 4),
        turnaround_ms=read.integer("turnaround_ms", 0, 2000, 20),
        write_multiple=write.flag("multiple", default=True),
        forbidden=read.ranges("forbidden"),
        sentinel=_sentinel(top.optional("sentinel")),
        heartbeat=_heartbeat(top.optional("heartbeat")),
        signals=signals,
        channels=channels,
        watchdog=watchdog,
        reader=read_reader(top),
        serial=read_serial(top.optional("serial")),
        frames=tuple(_frame(f, signals) for f in top.list_of_tables("frames")),
        in_flight_max=read.integer("in_flight_max", 1, 16, 1),
        pause_ms=read.integer("pause_ms", 0, 1000, 0),
        stride=stride,
        coil_on=read_coil_on(write),
        never_write=read_never_write(write),
        settings=_settings(top, channels),
        principle=head.choice("principle", PRINCIPLES, ""),
    )  # fmt: skip
    for fields in (head, read, write, top):
        fields.done()
    _check(top, model)
    return model


def _settings(top: Fields, channels: dict[str, Channel]) -> tuple[Setting, ...]:
    """Return what must stand in the device when it is connected, identity first."""
    return tuple(
        read_setting(key, f, channels, identity=section == "identity")
        for section in ("identity", "settings")
        for key, f in top.tables(section)
    )


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


def _sentinel(fields: Fields | None) -> Sentinel | None:
    if fields is None:
        return None
    made = Sentinel(read_register(fields), fields.integer("expected", 0, 0xFFFF))
    fields.done()
    if made.at.table.bits:
        raise fields.wrong("table", "an identity is a register, not a bit")
    return made


def _heartbeat(fields: Fields | None) -> Heartbeat | None:
    """Return the heartbeat: a whole counter, or the bits that `field` names."""
    if fields is None:
        return None
    at = read_register(fields)
    every_ms = fields.integer("every_ms", 10, 600_000)
    part = read_part(fields)
    fields.done()
    if at.table.bits:
        raise fields.wrong("table", "a heartbeat is a register, not a bit")
    return Heartbeat(at, every_ms, part.mask << part.shift if part else 0xFFFF)


def _frame(fields: Fields, signals: dict[str, Signal]) -> Frame:
    expect = []
    for name, row in fields.pairs("expect"):
        if name not in signals or not isinstance(row, list) or len(row) != 2:
            raise fields.wrong("expect", f"{name!r} needs a signal of this file and two words")
        quality = read_quality(fields, "expect", row[1])
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
    if not (model.signals or model.channels or model.reader):
        raise top.wrong("signals", "the file has no signal, channel or reader")
    if not model.frames:
        raise top.wrong("frames", "a file carries at least one frame from another source")
    if model.stride != 1 and (model.sentinel or model.heartbeat or model.reader):
        raise top.wrong("read.address_holds", "identity, heartbeat and reader are 16-bit registers")
    _check_channels(top, model)
    check_reader(top, model)
    for signal in model.signals.values():
        _check_reach(top, model, signal)
    for setting in model.settings:
        if not model.may_read(setting.at.address, setting.at.address):
            raise top.wrong(f"settings.{setting.name}", "needs an address that must not be read")


def _check_channels(top: Fields, model: DeviceModel) -> None:
    coils = [channel.coil for channel in model.channels.values()]
    if len(set(coils)) != len(coils):
        raise top.wrong("channels", "two channels share a coil")
    if model.watchdog is not None and model.watchdog.keep is not None and len(coils) > 16:
        raise top.wrong("channels", "a keep mask holds 16 channels")
    for channel in model.channels.values():
        if not model.may_write(Table.COIL, channel.coil, channel.coil):
            raise top.wrong(f"channels.{channel.name}", "its coil must never be written")
    fed = model.watchdog.feed if model.watchdog is not None else None
    if fed is not None and not model.may_write(Table.HOLDING, fed, fed + 2):
        raise top.wrong("watchdog.feed", "must never be written")


def _check_reach(top: Fields, model: DeviceModel, signal: Signal) -> None:
    """Refuse a signal whose words no single question can read."""
    key = f"signals.{signal.name}"
    if any(word.at.table is not signal.at.table for word in signal.status):
        raise top.wrong(key, "its status lies in another table")
    addresses = needs(signal)
    low, high = min(addresses), max(addresses)
    if high - low >= model.registers_max or high >= 0x10000:
        raise top.wrong(key, "value and status fit in no single read")
    if not model.may_read(low, high):
        raise top.wrong(key, "needs an address that must not be read")
