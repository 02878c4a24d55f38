"""Vendor serial lines on virtual time and on a real pty: readers, time, a modem."""

import asyncio
import os
import select
import threading
import tty
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.serial_model import SerialProtocol
from minewatch_drivers.lines import ByteLine, open_line
from minewatch_drivers.runners.runners import open_runner
from minewatch_drivers.vendor.gsm_line import GsmLine, Message
from minewatch_drivers.vendor.serial_line import SerialLine
from minewatch_sim.endpoints import boottime_us
from minewatch_sim.vendor_devices import CardModule, Modem, TagReader, TimeReceiver, VendorDevice

from minewatch.controller.clock import SystemClock
from minewatch.model.image import Notice, Sample, Sighting
from minewatch.model.mine import Bus, Device, Mine, Mode, Reader
from minewatch.model.quality import Quality

TICK_US = 10_000
BYTE_US = 1_042
"""One byte at 9600 baud, 8N1."""


def mine_of(*models: str, url: str = "serial:///dev/none?baud=9600&parity=N") -> Mine:
    """Return a mine whose only line carries these devices, each with one reader."""
    devices = tuple(Device(f"d{n}", "line", n, model) for n, model in enumerate(models, 1))
    return Mine(
        code="0" * 12,
        name="serial",
        county="0" * 6,
        language="en",
        gas_class="low",
        capacity_10kt=1,
        severe=False,
        mode=Mode.MONITOR,
        headcount_limit=1,
        headcount_citation="",
        profile="test",
        zones=(),
        buses=(Bus("line", url, scan_ms=500, timeout_ms=200),),
        devices=devices,
        points=(),
        readers=tuple(Reader(f"r{each.id}", "", "z", each.id) for each in devices),
    )


def protocol_of(model: str) -> SerialProtocol:
    """Return the protocol of a device file."""
    found = device_file.load(model).serial
    assert found is not None
    return found


@dataclass
class Wire:
    """A line and devices on virtual time; `spoil` bends what devices say."""

    line: ByteLine
    devices: list[VendorDevice]
    spoil: Callable[[bytes], bytes] = lambda data: data
    now_us: int = 1_000_000
    samples: list[Sample] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    _coming: list[tuple[int, bytes]] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        """Let time pass in ticks of 10 ms."""
        end_us = self.now_us + int(seconds * 1e6)
        while self.now_us < end_us:
            self.now_us += TICK_US
            for device in self.devices:
                self._say(device.tick(self.now_us))
            while self._coming and self._coming[0][0] <= self.now_us:
                self.line.feed(self._coming.pop(0)[1], self.now_us)
            turn = self.line.poll(self.now_us)
            if turn.send is not None:
                for device in self.devices:
                    self._say(device.hear(turn.send, self.now_us))
            taken = self.line.take()
            self.samples += taken.samples
            self.sightings += taken.sightings
            self.notices += taken.notices

    def _say(self, data: bytes) -> None:
        if data:
            bent = self.spoil(data)
            self._coming.append((self.now_us + BYTE_US * len(data), bent))
            self._coming.sort(key=lambda each: each[0])


def wire_of(*models: str, devices: list[VendorDevice]) -> Wire:
    """Return an opened line with its devices."""
    mine = mine_of(*models)
    wire = Wire(open_line(mine, mine.buses[0], writes=False), devices)
    wire.line.connected(wire.now_us)
    return wire


def test_a_card_is_told_once_however_often_the_module_repeats_it() -> None:
    """A card held to a repeating module is one sighting, and one more when it comes back later."""
    module = CardModule(protocol_of("rdm6300-card"))
    wire = wire_of("rdm6300-card", devices=[module])
    module.hold("13005D1DA5", wire.now_us)
    wire.run(5)
    module.hold("13005D1DA5", wire.now_us)
    wire.run(5)
    assert [each.badge for each in wire.sightings] == ["13005D1DA5".rjust(24, "0")] * 2
    assert {each.direction for each in wire.sightings} == {0}
    assert {r.quality for s in wire.samples for r in s.readings} == {Quality.GOOD}


def test_a_damaged_card_frame_makes_the_reader_doubtful() -> None:
    """A frame with a wrong checksum is no card, and the reader says that it may have lost one."""
    module = CardModule(protocol_of("rdm6300-card"))
    wire = wire_of("rdm6300-card", devices=[module])
    wire.spoil = lambda data: data.replace(b"5D", b"5E")
    module.hold("13005D1DA5", wire.now_us)
    wire.run(2)
    assert wire.sightings == []
    assert 1 in {r.value for s in wire.samples for r in s.readings}


@pytest.mark.parametrize("count", [0, 1, 12, 30])
def test_an_inventory_brings_every_tag(count: int) -> None:
    """All tags in the field are told, also in several frames; an empty field tells none."""
    reader = TagReader(protocol_of("uhfreader18"), 1)
    wire = wire_of("uhfreader18", devices=[reader])
    tags = [f"E2006810{n:016X}" for n in range(count)]
    for tag in tags:
        reader.hold(tag, wire.now_us)
    wire.run(3)
    assert sorted(each.badge for each in wire.sightings) == tags
    assert {r.quality for s in wire.samples for r in s.readings} == {Quality.GOOD}


def test_a_mute_reader_is_lost_and_costs_its_neighbour_little() -> None:
    """A reader that does not answer is COMM_FAULT; its neighbour is still read."""
    reader = TagReader(protocol_of("uhfreader18"), 2)
    wire = wire_of("uhfreader18", "uhfreader18", devices=[reader])
    wire.run(20)
    told = {n: [s for s in wire.samples if s.device == f"d{n}"] for n in (1, 2)}
    assert {r.quality for s in told[1] for r in s.readings} == {Quality.COMM_FAULT}
    assert {r.quality for s in told[2] for r in s.readings} == {Quality.GOOD}
    gaps = [b.sampled_ms - a.sampled_ms for a, b in zip(told[2], told[2][1:], strict=False)]
    assert max(gaps) <= 2000


@settings(max_examples=60, deadline=None)
@given(
    place=st.integers(0, 400),
    how=st.sampled_from(["flip", "cut", "noise", "unit", "lose"]),
    value=st.integers(0, 255),
)
def test_no_lie_of_the_wire_becomes_a_tag(place: int, how: str, value: int) -> None:
    """Whatever happens to answers, only tags that are in the field are ever told."""
    reader = TagReader(protocol_of("uhfreader18"), 1)
    wire = wire_of("uhfreader18", devices=[reader])
    tags = [f"E2006810{n:016X}" for n in range(5)]
    for tag in tags:
        reader.hold(tag, wire.now_us)

    def spoil(data: bytes) -> bytes:
        at = place % len(data)
        if how == "flip":
            return data[:at] + bytes((data[at] ^ (value or 1),)) + data[at + 1 :]
        if how == "unit":
            return data[:1] + bytes((value,)) + data[2:]
        return {"cut": data[:at], "noise": bytes((value,)) * 3 + data, "lose": b""}[how]

    wire.spoil = spoil
    wire.run(2)
    assert {each.badge for each in wire.sightings} <= set(tags)
    wire.spoil = lambda data: data
    wire.run(8)
    assert wire.line.status().up


def test_only_a_valid_receiver_tells_the_time() -> None:
    """The time of a receiver arrives once it has satellites, is silent while RMC says void."""
    receiver = TimeReceiver(protocol_of("nmea-receiver"))
    wire = wire_of("nmea-receiver", devices=[receiver])
    base_ms = 1_795_000_000_000
    receiver.valid = False
    for _ in range(3):
        receiver.wall_ms = base_ms + wire.now_us // 1000
        wire.run(1)
    assert wire.notices == []
    receiver.valid = True
    for _ in range(300):
        receiver.wall_ms = base_ms + wire.now_us // 1000
        wire.run(0.01)
    assert {each.kind for each in wire.notices} == {"time_received"}
    for each in wire.notices:
        assert abs(each.data["wall_ms"] - base_ms - each.data["at_ms"]) <= 120


def test_a_silent_receiver_is_a_line_that_is_down() -> None:
    """A receiver that says nothing for its time is down with a reason, and up at its next word."""
    receiver = TimeReceiver(protocol_of("nmea-receiver"))
    receiver.wall_ms = 1_795_000_000_000
    wire = wire_of("nmea-receiver", devices=[])
    wire.run(12)
    assert (wire.line.status().up, wire.line.status().error) == (False, "silent")
    wire.devices.append(receiver)
    wire.run(2)
    assert wire.line.status().up


def modem_wire() -> tuple[Wire, GsmLine, Modem]:
    """Return a modem on its line."""
    modem = Modem()
    wire = wire_of("gsm-modem", devices=[modem])
    assert isinstance(wire.line, GsmLine)
    return wire, wire.line, modem


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=200)


@settings(max_examples=25, deadline=None)
@given(text=TEXTS)
def test_a_text_arrives_as_it_was_written(text: str) -> None:
    """Any text in any language arrives whole, in numbered parts where it is long."""
    wire, line, modem = modem_wire()
    assert line.tell(Message("m1", "S004", "+8613800000000", text), wire.now_us)
    wire.run(20)
    assert {number for number, _ in modem.sent} == {"+8613800000000"}
    pieces = [piece for _, piece in modem.sent]
    assert all(len(piece.encode("utf-16-be")) <= 140 for piece in pieces)
    joined = pieces[0] if len(pieces) == 1 else "".join(each.partition(" ")[2] for each in pieces)
    assert joined == text or (joined.endswith("…") and text.startswith(joined[:-1]))
    assert [each.kind for each in wire.notices] == ["message_sent"]


def test_refused_messages_are_tried_again_and_then_told_as_failed() -> None:
    """Two refusals are survived; three end in one `message_failed` with the network's code."""
    wire, line, modem = modem_wire()
    modem.refusals = 2
    line.tell(Message("m1", "S004", "1380", "one"), wire.now_us)
    wire.run(40)
    modem.refusals = 3
    line.tell(Message("m2", "S004", "1380", "two"), wire.now_us)
    wire.run(40)
    line.tell(Message("m3", "S004", "1380", "three"), wire.now_us)
    wire.run(40)
    assert [text for _, text in modem.sent] == ["one", "three"]
    assert [(n.kind, n.data["message"]) for n in wire.notices] == [
        ("message_sent", "m1"),
        ("message_failed", "m2"),
        ("message_sent", "m3"),
    ]
    assert wire.notices[1].data["error"] == "refused_331"


def test_without_a_network_messages_wait_and_grow_too_old() -> None:
    """A modem outside its network is down; its messages fail after ten minutes, and are bounded."""
    wire, line, modem = modem_wire()
    modem.registered = False
    taken = [line.tell(Message(f"m{n}", "S", "1", "x"), wire.now_us) for n in range(40)]
    assert taken.count(True) == 32
    wire.run(30)
    assert (line.status().up, line.status().error) == (False, "not_registered")
    wire.run(620)
    assert [each.data["error"] for each in wire.notices] == ["too_old"] * 32
    modem.registered = True
    wire.run(20)
    assert line.status().up


def test_a_modem_that_loses_its_power_in_a_text_finishes_afterwards() -> None:
    """A port lost within a message is set up anew, and the message goes out once more."""
    wire, line, modem = modem_wire()
    wire.run(2)
    line.tell(Message("m1", "S004", "1380", "hello"), wire.now_us)
    wire.run(0.03)
    line.lost(wire.now_us, "broken")
    modem.__init__()  # type: ignore[misc]
    wire.run(1)
    line.connected(wire.now_us)
    wire.run(15)
    assert [text for _, text in modem.sent] == ["hello"]
    assert [each.kind for each in wire.notices] == ["message_sent"]


async def test_a_tag_reader_and_a_modem_on_real_ptys() -> None:
    """The serial runner opens a pty, reads tags through it and comes back after it was closed."""
    reader = TagReader(protocol_of("uhfreader18"), 1)
    near, far = os.openpty()
    tty.setraw(far)
    mine = mine_of("uhfreader18", url=f"serial://{os.ttyname(far)}?baud=9600&parity=N")
    line = open_line(mine, mine.buses[0], writes=False)
    assert isinstance(line, SerialLine)
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            if select.select([near], [], [], 0.05)[0]:
                os.write(near, reader.hear(os.read(near, 256), boottime_us()))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    reader.hold("E20068100000000000000001", boottime_us())
    seen: list[Sighting] = []
    runner = open_runner(line, mine.buses[0], SystemClock(), lambda: None)
    await runner.start()
    async with asyncio.timeout(10):
        while not seen:
            seen += line.take().sightings
            await asyncio.sleep(0.02)
    await runner.stop()
    stopping.set()
    thread.join(2)
    os.close(near)
    os.close(far)
    assert [each.badge for each in seen] == ["E20068100000000000000001"]
