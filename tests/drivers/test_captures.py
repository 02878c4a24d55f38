"""What real servers once sent, captured by others, as the answers to our questions.

Two captures of Modbus TCP: refusals, identifications, frames that are shorter than they say,
transaction 0 and 1 again and again. Their bytes go into our lines whole, cut at each segment,
split anywhere, shuffled and late, on TCP and where a gateway that should speak RTU does not.
"""

import os
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.device_files import device_file
from minewatch_drivers.modbus_line.line import Line
from minewatch_drivers.wire import modbus

from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Point
from minewatch.model.quality import Quality

CAPTURES = ("iti_modbus_test_data_part1.pcap", "zeek_modbusSmall.pcap")
URLS = {
    "tcp": "tcp://127.0.0.1:1502",
    "rtu+tcp": "rtu+tcp://127.0.0.1:1502?baud=19200",
    "rtu": "rtu:///dev/ttyTEST?baud=19200&parity=E",
}
WAYS = ("whole", "segments", "split", "shuffled", "late")
TIMEOUT_US = 60_000
RECOVERY_US = 8_000_000
"""The longest back-off of a unit, its silence, and a scan."""

MODEL = """
[device]
identity = "What the captured servers were asked for"
maker = "test"
maturity = "experimental"
source = "made for this test"
[signals.coil]
table = "coil"
address = 0
kind = "fan_run"
[signals.first]
table = "holding"
address = 0
type = "u16"
kind = "carbon_monoxide"
low = "0"
high = "65535"
[signals.second]
table = "holding"
address = 1
type = "u16"
kind = "carbon_monoxide"
low = "0"
high = "65535"
[[frames]]
source = "none"
request = "01"
reply = "01"
expect = {}
"""
UNITS = (1, 2, 10)
"""Units 1 and 10 answer in the captures, unit 2 nowhere."""


def segments(name: str) -> list[bytes]:
    """Return what the servers of a capture sent, segment by segment."""
    folder = os.environ.get("MINEWATCH_TEST_DATA")
    root = Path(folder) if folder else Path(__file__).resolve().parents[3] / "shared" / "data"
    path = root / "pcap" / name
    if not path.exists():
        pytest.skip(f"{path} is absent; set MINEWATCH_TEST_DATA")
    return [payload for port, payload in _packets(path.read_bytes()) if port == 502 and payload]


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield source port and payload of each TCP packet of a little-endian Ethernet capture."""
    assert data[:4] == bytes.fromhex("d4c3b2a1")
    at = 24
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at + 8)
        packet = data[at + 16 : at + 16 + size]
        at += 16 + size
        if packet[12:14] != b"\x08\x00" or packet[23] != 6:
            continue
        total = struct.unpack_from(">H", packet, 16)[0]
        tcp = 14 + 4 * (packet[14] & 15)
        payload = tcp + 4 * (packet[tcp + 12] >> 4)
        yield struct.unpack_from(">H", packet, tcp)[0], packet[payload : 14 + total]


class Replay:
    """A server that sends captured bytes beside or instead of its answers until `honest`.

    `allowed` holds for each question when it came, its unit and function, and the payloads that
    are an answer to it: the server's own and those captured under the very same transaction.
    """

    def __init__(self, kit: SimpleNamespace, rtu: bool, way: str, sent: list[bytes]) -> None:
        self.rtu = rtu
        self.questions = 0
        self.honest = False
        self.allowed: list[tuple[int, int, int, set[bytes]]] = []
        self._kit, self._way, self._sent = kit, way, sent
        self._rng = random.Random(f"{way} {len(sent)}")
        self._stream = b"".join(sent)

    def respond(self, data: bytes, now_us: int) -> list[tuple[int, bytes]]:
        """Return what goes back for one question, as (delay after it, bytes)."""
        self.questions += 1
        transaction = 0 if self.rtu else int.from_bytes(data[:2], "big")
        unit, pdu = (data[0], data[1:-2]) if self.rtu else (data[6], data[7:])
        answer = self._answer(unit, pdu, now_us)
        framed = modbus.tcp_frame(transaction, unit, answer)
        captured = set() if self.rtu else self._captured(framed)
        self.allowed.append((now_us, unit, pdu[0], {answer[2:], *captured}))
        own = modbus.rtu_frame(unit, answer) if self.rtu else framed
        if self.honest:
            return [(2_000, own)]
        pieces = self._pieces()
        if self._rng.random() < 0.5:
            pieces.insert(self._rng.randrange(len(pieces) + 1), own)
        step_us = 3 * TIMEOUT_US // len(pieces) if self._way == "late" else 200
        return [(2_000 + n * step_us, piece) for n, piece in enumerate(pieces)]

    def _captured(self, framed: bytes) -> Iterator[bytes]:
        """Yield payloads behind the very header of `framed`, wherever they stand in the capture."""
        head, size = framed[:9], len(framed) - 9
        at = self._stream.find(head)
        while at >= 0:
            yield self._stream[at + 9 : at + 9 + size]
            at = self._stream.find(head, at + 1)

    def _pieces(self) -> list[bytes]:
        """Return a part of the capture as this way sends it."""
        first = self._rng.randrange(len(self._sent))
        part = self._sent[first : first + self._rng.randrange(1, 12)]
        if self._way == "shuffled":
            self._rng.shuffle(part)
        if self._way == "whole":
            return [b"".join(part)]
        if self._way == "split":
            whole = b"".join(part)
            at = self._rng.randrange(len(whole))
            return [whole[:at], whole[at:]] if at else [whole]
        return part

    def _answer(self, unit: int, pdu: bytes, now_us: int) -> bytes:
        request = modbus.parse_request(unit, pdu)
        span = range(request.address, request.address + request.count)
        if request.function == modbus.READ_COILS:
            return modbus.reply_pdu(request, [1 for _ in span])
        return modbus.reply_pdu(request, [self._kit.truth(unit, each, now_us) for each in span])


def unexplained(virtual: Any) -> list[Any]:
    """Return GOOD readings that no allowed payload of a question of their own explains."""
    functions = {"coil": 1, "first": 3, "second": 3}
    found = []
    for sample, taken_us in zip(virtual.samples, virtual.taken_us, strict=True):
        for reading in sample.readings:
            if reading.value is None:
                assert reading.quality is not Quality.GOOD
                continue
            unit, signal = reading.point.split("_")
            payloads = set[bytes]().union(
                *(
                    allowed
                    for at_us, who, function, allowed in virtual.slave.allowed
                    if sample.sampled_ms * 1000 <= at_us <= taken_us
                    and (who, function) == (int(unit), functions[signal])
                )
            )
            if reading.value not in {_value(signal, payload) for payload in payloads}:
                found.append((sample, taken_us))
    return found


def _value(signal: str, payload: bytes) -> int:
    if signal == "coil":
        return payload[0] & 1
    return struct.unpack_from(">H", payload, 2 if signal == "second" else 0)[0]


@pytest.fixture
def captured_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lines know the device file of this test."""
    made = device_file.parse("captured", "test", MODEL)
    monkeypatch.setattr(device_file, "load", lambda _: made)


@pytest.mark.usefixtures("captured_model")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("transport", list(URLS))
@pytest.mark.parametrize("name", CAPTURES)
def test_captured_answers_give_no_wrong_value_and_no_lasting_harm(
    kit: SimpleNamespace, name: str, transport: str, way: str
) -> None:
    """A value comes only from an answer to its own question; afterwards all is well within 8 s."""
    bus = Bus("line", URLS[transport], scan_ms=200, timeout_ms=TIMEOUT_US // 1000)
    devices = tuple(Device(f"d{unit}", "line", unit, "captured") for unit in UNITS)
    kinds = {"coil": Kind.FAN_RUN, "first": Kind.CARBON_MONOXIDE, "second": Kind.CARBON_MONOXIDE}
    points = tuple(
        Point(f"{unit}_{signal}", "", kind, "z", f"d{unit}", signal, "record_only")
        for unit in UNITS
        for signal, kind in kinds.items()
    )
    mine = kit.bare_mine(bus, devices, points=points)
    replay = Replay(kit, transport != "tcp", way, segments(name))
    virtual = kit.Virtual(Line(mine, bus, writes=False), replay)

    virtual.run(1 << 60, questions=1_500)
    replay.honest = True
    virtual.run(virtual.now_us + RECOVERY_US)
    well_ms = virtual.now_us // 1000
    virtual.run(virtual.now_us + 2_000_000)

    assert unexplained(virtual) == []
    assert virtual.short_gaps == 0
    late = [s for s in virtual.samples if s.sampled_ms >= well_ms]
    assert {r.point for s in late for r in s.readings} == {point.id for point in points}
    assert {r.quality for s in late for r in s.readings} == {Quality.GOOD}
