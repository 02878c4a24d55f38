"""Vendor serial lines in a configuration: who may stand where, and who may not stand alone."""

from typing import Any

import pytest

from minewatch.mine import Severity

LINE = '\n[[bus]]\nid = "vendor"\nurl = "serial:///dev/serial/by-id/adapter-7?baud=9600&parity=N"\n'


def device(name: str, model: str, bus: str = "vendor", unit: int = 1) -> str:
    """Return a device table."""
    return f'\n[[device]]\nid = "{name}"\nbus = "{bus}"\nunit = {unit}\nmodel = "{model}"\n'


def reader(name: str, on: str, mouth: bool) -> str:
    """Return a reader table."""
    where = 'zone = "mouth"\nouter = "surface"\nmouth = true' if mouth else 'zone = "face_12301"'
    return f'\n[[reader]]\nid = "{name}"\nname = "{name}"\ndevice = "{on}"\n{where}\n'


def test_a_time_receiver_alone_on_its_line_is_welcome(spoiled: Any) -> None:
    """A receiver on a serial line of its own is no fault."""
    spoiled.append("buses.toml", LINE)
    spoiled.append("devices.toml", device("clock", "nmea-receiver"))
    assert spoiled.faults() == set()


@pytest.mark.parametrize("model", ["nmea-receiver", "gsm-modem", "rdm6300-card"])
def test_what_talks_by_itself_stands_alone(spoiled: Any, model: str) -> None:
    """A device that is not asked shares its line with nobody."""
    spoiled.append("buses.toml", LINE)
    spoiled.append("devices.toml", device("talker", model))
    spoiled.append("devices.toml", device("other", "uhfreader18", unit=2))
    assert {code for code, _, _ in spoiled.faults()} == {"not_alone"}


@pytest.mark.parametrize(
    ("model", "bus"), [("nmea-receiver", "line_headings"), ("methane-head-generic", "vendor")]
)
def test_devices_stand_on_lines_that_speak_their_protocol(
    spoiled: Any, model: str, bus: str
) -> None:
    """A vendor's device on a Modbus line, or the other way round, is refused."""
    spoiled.append("buses.toml", LINE)
    spoiled.append("devices.toml", device("stray", model, bus, 99))
    assert ("wrong_line") in {code for code, _, _ in spoiled.faults()}


def test_no_mouth_rests_on_a_reader_that_dies_unseen(spoiled: Any) -> None:
    """A card module that is silent without cards may stand underground, never at the mouth."""
    spoiled.append("buses.toml", LINE)
    spoiled.append("devices.toml", device("card", "rdm6300-card"))
    spoiled.append("devices.toml", reader("reader_card", "card", mouth=False))
    assert spoiled.faults() == set()
    spoiled.replace(
        "devices.toml",
        'device = "card"\nzone = "face_12301"',
        'device = "card"\nzone = "mouth"\nouter = "surface"\nmouth = true',
    )
    assert "silent_mouth_reader" in {code for code, _, _ in spoiled.faults()}


def test_a_port_named_by_the_order_of_plugging_in_is_warned_of(spoiled: Any) -> None:
    """A bare adapter name loads, with a warning that it may be another line tomorrow."""
    spoiled.append("buses.toml", LINE.replace("serial/by-id/adapter-7", "ttyUSB7"))
    spoiled.append("devices.toml", device("clock", "nmea-receiver"))
    loaded = spoiled.load()
    assert loaded.mine is not None
    assert [(each.code, each.severity) for each in loaded.faults] == [
        ("bare_port", Severity.WARNING)
    ]
