"""What tried to break vendor serial lines: floods, modems that lie, cards without room."""

import tomllib
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.device_files import device_file
from minewatch_drivers.lines import open_line
from minewatch_drivers.tasks.outbox import SIGHTINGS_MAX
from minewatch_drivers.vendor.gsm_line import GsmLine, Message
from minewatch_drivers.wire.framing import Framer

from minewatch.model.image import Reading
from minewatch.model.mine import Bus, Device, Reader
from minewatch.model.quality import Quality

TIMEOUT_MS = 200


@pytest.mark.parametrize("byte", range(0, 256, 5))
@pytest.mark.parametrize("model", ["uhfreader18", "rdm6300-card", "nmea-receiver"])
def test_a_flood_of_one_byte_is_noise_for_every_framing(model: str, byte: int) -> None:
    """Thousands of like bytes in one piece, as of a broken wire, are no frame and no fault."""
    protocol = device_file.load(model).serial
    assert protocol is not None
    assert protocol.framing is not None
    framer = Framer(protocol.framing)
    for size in (1, 4_096, 4_096):
        assert framer.feed(bytes((byte,)) * size) == []


def a_modem(kit: SimpleNamespace) -> GsmLine:
    """Return a modem's line with one message waiting."""
    bus = Bus("line", "serial:///dev/ttyTEST", scan_ms=1_000, timeout_ms=TIMEOUT_MS)
    line = GsmLine(kit.bare_mine(bus, ()), bus)
    assert line.tell(Message("m", "someone", "+860000", "text"), 0)
    return line


def test_a_modem_left_in_the_middle_of_a_text_is_called_back(kit: SimpleNamespace) -> None:
    """The first byte of every setup ends a text that the modem may wait for since before."""
    line = a_modem(kit)
    for now_us in (0, 100_000_000):
        line.connected(now_us)
        assert line.poll(now_us).send == b"\x1bATE0\r"
        line.lost(now_us + 1, "broken")


def test_a_modem_that_only_says_ok_has_sent_nothing(kit: SimpleNamespace) -> None:
    """A modem that agrees to a message without asking for its text fails it after three tries."""
    line, now_us, asked = a_modem(kit), 0, 0
    line.connected(now_us)
    while now_us < 60_000_000 and not line.fresh:
        turn = line.poll(now_us)
        if turn.send is None:
            now_us = turn.wake_us
            continue
        asked += b"CMGS" in turn.send
        now_us += 10_000
        line.feed(b"+CREG: 0,1\r\n+CPIN: READY\r\nOK\r\n", now_us)
    (notice,) = line.take().notices
    assert (notice.kind, notice.data["error"], asked) == ("message_failed", "no_prompt", 3)


def test_a_card_that_found_no_room_is_said_to_be_lost(kit: SimpleNamespace) -> None:
    """A card told while nobody takes shows as a lost read, although there is room again by then."""
    bus = Bus("line", "serial:///dev/ttyTEST?baud=9600", scan_ms=1_000, timeout_ms=TIMEOUT_MS)
    device, reader = Device("d1", "line", 1, "rdm6300-card"), Reader("r1", "", "z", "d1")
    line: Any = open_line(kit.bare_mine(bus, (device,), readers=(reader,)), bus, writes=False)
    protocol = device_file.load("rdm6300-card").serial
    assert protocol is not None
    line.connected(0)
    line._outbox.sightings.extend(range(SIGHTINGS_MAX))
    line.feed(protocol.examples[0].told, 100_000)
    assert len(line.take().sightings) == SIGHTINGS_MAX
    line.poll(1_000_000)
    (sample,) = line.take().samples
    assert sample.readings == (Reading("r1", 1, Quality.GOOD),)
    line.poll(2_000_000)
    assert line.take().samples[0].readings == (Reading("r1", 0, Quality.GOOD),)


@pytest.mark.parametrize(
    ("key", "value"), [("bytes_max", 4), ("form", "hex"), ("payload", "ff " * 300)]
)
def test_a_question_that_no_frame_can_carry_is_refused_with_its_file(key: str, value: Any) -> None:
    """A device file whose question cannot be framed is wrong before any line is opened with it."""
    category, text = device_file._paths()["uhfreader18"]
    tree = tomllib.loads(text)
    tree["serial"]["ask" if key == "payload" else "frame"][key] = value
    with pytest.raises(device_file.DeviceFileError, match=r"ask\.payload"):
        device_file.build("bent", category, tree)
