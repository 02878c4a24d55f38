"""A whole house with vendor lines: a tag reader, a time receiver and a modem on ptys."""

import json
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from minewatch.record.ledger import Ledger

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

TABLES = """
[[bus]]
id = "tags"
url = "serial:///dev/ttyUSB1?baud=57600&parity=N"
scan_ms = 500

[[bus]]
id = "time"
url = "serial:///dev/ttyUSB2?baud=9600&parity=N"

[[bus]]
id = "sms"
url = "serial:///dev/ttyUSB3?baud=115200&parity=N"

[[device]]
id = "tag_reader"
bus = "tags"
unit = 1
model = "uhfreader18"

[[device]]
id = "receiver"
bus = "time"
unit = 1
model = "nmea-receiver"

[[device]]
id = "modem"
bus = "sms"
unit = 1
model = "gsm-modem"

[escalation]
horn_s = 1
duty_leader_s = 3
mine_head_s = 60
"""

PHONE = "+8613800000003"


def _configure(house: Any) -> None:
    """Give the demo mine vendor lines and its duty leader a phone."""
    folder = house.scratch / "mine"
    shutil.copytree(house.config, folder)
    house.config = folder
    buses = folder / "buses.toml"
    buses.write_text(buses.read_text(encoding="utf-8") + TABLES, encoding="utf-8")
    people = folder / "people.toml"
    text = people.read_text(encoding="utf-8")
    role = 'role = "duty_leader"'
    people.write_text(text.replace(role, f'{role}\nphone = "{PHONE}"', 1), encoding="utf-8")


def test_an_unanswered_trip_reaches_a_phone(house: Any, waiting: Callable[..., Any]) -> None:
    """A trip that nobody answers is a short message at the duty leader's number, and in the record.

    Meanwhile the receiver vouches for the wall clock, and all vendor lines are up.
    """
    _configure(house)
    house.start_simulator("normal-shift")
    house.start()
    lines = ("tags", "time", "sms")
    waiting(
        lambda: all(house.frame().section("health")["buses"][each]["up"] for each in lines),
        30,
        "every vendor line is up",
    )
    waiting(lambda: house.frame().body["wall_trusted"], 15, "a trusted wall clock")

    house.plant.do("set_value", point="12301_T1", value=1.6)
    waiting(lambda: house.plant.do("messages"), 30, "a short message")

    number, text = house.plant.do("messages")[0]
    assert number == PHONE
    assert "1.6" in text
    assert "超限" in text or "断电" in text
    waiting(lambda: _sent(house), 15, "the message in the record")
    assert {"S003"} == {leaf["data"]["to"] for leaf in _sent(house)}


def _sent(house: Any) -> list[Any]:
    ledger = Ledger.open(house.folder.root, origin="", writable=False)
    try:
        leaves = [json.loads(entry.leaf) for entry in ledger.all_entries()]
    finally:
        ledger.close()
    return [leaf for leaf in leaves if leaf["kind"] == "message_sent"]
