"""The part of a device file that describes outputs: channels, watchdog, settings, forbidden writes.

`device_file` calls these; nobody else reads TOML. What each key means stands in drivers/README.md.
"""

from collections.abc import Collection

from minewatch_drivers.device_files.device_fields import Fields
from minewatch_drivers.device_files.device_model import AtLoss, Channel, Setting, Table, Watchdog
from minewatch_drivers.device_files.signal_file import read_part, read_register

COIL_ON = 0xFF00
TOGGLES = frozenset({0x5500})
"""Values of function 5 that turn a coil over instead of setting it: never written."""


def default_loss(top: Fields) -> tuple[AtLoss, ...]:
    """Return what channels do at loss where they do not say so themselves."""
    watchdog = top.raw.get("watchdog")
    if not isinstance(watchdog, dict):
        return (AtLoss.KEEP,)
    return (AtLoss.OPEN,) if watchdog.get("at_loss") == "all_open" else ()


def read_channel(name: str, fields: Fields, default: tuple[AtLoss, ...]) -> Channel:
    """Return the relay channel that `[channels.<name>]` describes."""
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


def read_watchdog(fields: Fields | None) -> Watchdog | None:
    """Return the watchdog that `[watchdog]` describes, None where there is none."""
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


def read_setting(
    name: str, fields: Fields, channels: Collection[str], *, identity: bool
) -> Setting:
    """Return what `[settings.<name>]` or `[identity.<name>]` demands of a register or bit."""
    at = read_register(fields)
    part = read_part(fields)
    top = 1 if at.table.bits else part.mask if part else 0xFFFF
    exact = fields.integer_or_none("expected", 0, top)
    low = fields.integer("low", 0, top) if exact is None else exact
    high = fields.integer("high", 0, top) if exact is None else exact
    channel = None if identity else fields.text("channel", "") or None
    made = Setting(name, at, low, high, fields.text("needed"), channel, identity, part)
    fields.done()
    if low > high:
        raise fields.wrong("high", "must not lie below low")
    if channel is not None and channel not in channels:
        raise fields.wrong("channel", f"there is no [channels.{channel}]")
    return made


def read_coil_on(fields: Fields) -> int:
    """Return the value of function 5 that closes a coil: FF00, or what an odd board takes."""
    value = fields.integer("coil_on", 1, 0xFFFF, COIL_ON)
    if value in TOGGLES:
        raise fields.wrong("coil_on", "5500 turns a coil over; levels are written, never toggles")
    return value


def read_never_write(fields: Fields) -> tuple[tuple[Table, int, int], ...]:
    """Return the ranges that nobody may write: rows of ["coil" | "holding", first, last]."""
    ranges = []
    for row in fields.rows("never", 3):
        if row[0] not in (Table.COIL, Table.HOLDING):
            raise fields.wrong("never", f"{row[0]!r} is not coil or holding")
        first, last = (fields.between("never", each, 0, 0xFFFF) for each in row[1:])
        if first > last:
            raise fields.wrong("never", "first lies behind last")
        ranges.append((Table(row[0]), first, last))
    return tuple(ranges)
