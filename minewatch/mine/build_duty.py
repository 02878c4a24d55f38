"""People on duty as nouns of the model: roster rows, the watch, lines that carry messages."""

from typing import Any

from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.device_fields import DeviceFileError
from minewatch_drivers.device_files.serial_model import Says

from minewatch.mine import schema
from minewatch.mine.shape import Shaped
from minewatch.model.mine import Duty, Watch


def parts(shaped: Shaped) -> dict[str, Any]:
    """Return the fields of a `Mine` about people on duty; `check_duty` says what is wrong."""
    return {
        "duties": tuple(duty(row.table) for row in shaped.duties),
        "watch": _watch(shaped),
        "modems": modems(shaped),
    }


def duty(table: schema.DutyTable) -> Duty:
    """Return a row of the roster."""
    return Duty(
        rung=table.rung,
        staff=tuple(table.staff),
        start_minute=_minute(table.start),
        minutes=table.minutes,
        weekdays=tuple(sorted(set(table.weekdays))),
        screen=table.screen or "",
    )


def modems(shaped: Shaped) -> tuple[str, ...]:
    """Return the lines on which a modem stands, by the device files that are known."""
    lines = {row.table.bus for row in shaped.devices if _says_sms(row.table.model)}
    return tuple(
        row.table.id
        for row in shaped.buses
        if row.table.id in lines and row.table.url.startswith("serial:")
    )


def _says_sms(model: str) -> bool:
    """Say whether a device file is a modem's; what is wrong with a file is said elsewhere."""
    try:
        serial = device_file.load(model).serial
    except DeviceFileError:
        return False
    return serial is not None and serial.says is Says.SMS


def _watch(shaped: Shaped) -> Watch:
    """Return how presence is checked; without the table nobody is asked."""
    if shaped.watch is None:
        return Watch()
    table = shaped.watch.table
    begin, end = (_minute(each) for each in table.night)
    return Watch(begin, end, table.every_minutes, table.answer_minutes)


def _minute(clock: str) -> int:
    hour, _, minute = clock.partition(":")
    return int(hour) * 60 + int(minute)
