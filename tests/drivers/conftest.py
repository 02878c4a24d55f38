"""Makers shared by the tests of lines and devices: small mines, scripted slaves, virtual wires.

A scripted slave shows values that are a known function of unit, register and time, so that every
reading can be held against what the register really held while the question was open.
"""

import heapq
import importlib.util
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.address import parse_address
from minewatch_drivers.device_files import device_file
from minewatch_drivers.modbus_line.line import Line
from minewatch_drivers.wire import modbus

from minewatch.model.image import Notice, ReadBack, Sample, Sighting
from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mine, Mode, Output, OutputRole, Point, Reader
from minewatch.model.quality import Quality


def load_neighbour(name: str) -> ModuleType:
    """Return the helper module `name` of this folder; tests import no neighbours by name."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"drivers_tests_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


STEP_US = 50_000
STEPS = 37
START_US = 1_000_000

TWO_BLOCKS = """
[device]
identity = "Two equal blocks without identity: the worst case for mixed-up answers"
maker = "test"
maturity = "experimental"
source = "made for this test"
[read]
registers_max = 4
gap_max = 0
turnaround_ms = 0
[signals.near]
table = "input"
address = 0
type = "u16"
kind = "carbon_monoxide"
low = "0"
high = "20000"
[signals.far]
table = "input"
address = 100
type = "u16"
kind = "carbon_monoxide"
low = "0"
high = "20000"
[channels.coil_1]
coil = 0
at_loss = ["keep"]
[[frames]]
source = "none"
request = "01"
reply = "01"
expect = {}
"""


def truth(unit: int, address: int, now_us: int) -> int:
    """Return what the slave's register holds at `now_us`: it moves every 50 ms."""
    return unit * 1000 + (500 if address >= 100 else 0) + now_us // STEP_US % STEPS


def allowed(unit: int, address: int, first_us: int, last_us: int) -> set[int]:
    """Return every value that the register held between two times."""
    steps = range(first_us // STEP_US, last_us // STEP_US + 1)
    return {truth(unit, address, step * STEP_US) for step in steps}


@dataclass
class Slave:
    """Units that answer honestly, but for those in `bad`, whose replies go through `twist`.

    `twist(slave, envelope, pdu)` returns [(delay_us, bytes)]; `share` of the replies are twisted.
    """

    rtu: bool
    timeout_us: int
    twist: Callable[..., list[tuple[int, bytes]]] | None = None
    bad: frozenset[int] = frozenset({1})
    share: float = 0.3
    seed: int = 1
    delay_us: int = 2_000
    coils: dict[int, int] = field(default_factory=dict)
    holding: dict[int, int] = field(default_factory=dict)
    inputs: dict[int, int] | None = None
    questions: int = 0
    on_write: Callable[..., None] | None = None

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    def respond(self, data: bytes, now_us: int) -> list[tuple[int, bytes]]:
        """Return what goes back for one whole question, as (delay after it, bytes)."""
        self.questions += 1
        if self.rtu:
            assert modbus.crc16(data[:-2]) == int.from_bytes(data[-2:], "little")
            tag, unit, pdu = 0, data[0], data[1:-2]
        else:
            tag, _, _, unit = modbus.TCP_HEADER.unpack_from(data)
            pdu = data[7:]
        reply = self._answer(unit, pdu, now_us)
        if self.twist and unit in self.bad and self.rng.random() < self.share:
            return self.twist(self, SimpleNamespace(tag=tag, unit=unit), reply)
        return [(self.delay_us, self.wrap(tag, unit, reply))]

    def wrap(self, tag: int, unit: int, pdu: bytes) -> bytes:
        """Put a reply into this line's envelope."""
        return modbus.rtu_frame(unit, pdu) if self.rtu else modbus.tcp_frame(tag, unit, pdu)

    def _answer(self, unit: int, pdu: bytes, now_us: int) -> bytes:
        request = modbus.parse_request(unit, pdu)
        if request.function == modbus.READ_INPUT:
            span = range(request.address, request.address + request.count)
            if self.inputs is not None:
                return modbus.reply_pdu(request, [self.inputs.get(each, 0) for each in span])
            return modbus.reply_pdu(request, [truth(unit, each, now_us) for each in span])
        if request.function in (modbus.READ_COILS, modbus.READ_HOLDING):
            held = self.coils if request.function == modbus.READ_COILS else self.holding
            span = range(request.address, request.address + request.count)
            return modbus.reply_pdu(request, [held.get(each, 0) for each in span])
        written = self.coils if request.function in (5, 15) else self.holding
        for n, value in enumerate(request.values or ()):
            written[request.address + n] = value
        if self.on_write:
            self.on_write(self, request)
        return modbus.reply_pdu(request)


@dataclass
class Virtual:
    """One line and one slave on virtual time."""

    line: Line
    slave: Slave
    now_us: int = START_US
    short_gaps: int = 0
    sent: list[tuple[int, bytes]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    taken_us: list[int] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    read_backs: list[ReadBack] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    taking: bool = True
    on_turn: Callable[[int], None] | None = None

    def __post_init__(self) -> None:
        address = parse_address(self.line.bus.url)
        self.byte_us, self.silence_us = address.byte_us, address.silence_us
        self._heap: list[tuple[int, int, bytes]] = []
        self._serial = 0
        self._last_byte_us = 0
        self.line.connected(self.now_us)

    def run(self, until_us: int, questions: int = 1 << 60) -> None:
        """Let time pass until a time or a number of questions."""
        while self.now_us < until_us and self.slave.questions < questions:
            if self.on_turn:
                self.on_turn(self.now_us)
            turn = self.line.poll(self.now_us)
            self._collect()
            if turn.send is not None:
                self._send(turn.send)
                continue
            if turn.reconnect:
                self._heap.clear()
                self.line.lost(self.now_us, "reconnect")
                self.now_us += 1_000
                self.line.connected(self.now_us)
                continue
            self._advance(min(turn.wake_us, until_us))

    def _send(self, data: bytes) -> None:
        if self._last_byte_us and self.now_us - self._last_byte_us < self.silence_us:
            self.short_gaps += 1
        self.sent.append((self.now_us, data))
        there_us = self.now_us + round(len(data) * self.byte_us)
        self._last_byte_us = there_us
        for delay_us, reply in self.slave.respond(data, there_us):
            self._serial += 1
            done_us = there_us + delay_us + round(len(reply) * self.byte_us)
            heapq.heappush(self._heap, (done_us, self._serial, reply))

    def _advance(self, wake_us: int) -> None:
        if self._heap and self._heap[0][0] <= wake_us:
            self.now_us, _, data = heapq.heappop(self._heap)
            self._last_byte_us = self.now_us
            self.line.feed(data, self.now_us)
            self._collect()
        else:
            self.now_us = max(wake_us, self.now_us + 1)

    def _collect(self) -> None:
        if not self.taking:
            return
        taken = self.line.take()
        self.sightings += taken.sightings
        self.read_backs += taken.read_backs
        self.notices += taken.notices
        for sample in taken.samples:
            self.samples.append(sample)
            self.taken_us.append(self.now_us)


def wrong(
    samples: list[Sample], taken_us: list[int], units: dict[str, tuple[int, int]]
) -> list[Any]:
    """Return every reading whose value its register did not hold while the question was open.

    `units` maps point → (unit, address).
    """
    found = []
    for sample, at_us in zip(samples, taken_us, strict=True):
        for reading in sample.readings:
            unit, address = units[reading.point]
            if reading.value is None:
                assert reading.quality is not Quality.GOOD
            elif reading.value not in allowed(unit, address, sample.sampled_ms * 1000, at_us):
                found.append((sample, at_us))
    return found


def one_bus(url: str, units: int = 3, scan_ms: int = 100, timeout_ms: int = 40) -> Mine:
    """Return a mine of `units` devices of two equal blocks; points are `<unit>_near` and `_far`."""
    bus = Bus("line", url, scan_ms=scan_ms, timeout_ms=timeout_ms)
    numbers = range(1, units + 1)
    devices = tuple(Device(f"d{n}", "line", n, "two-blocks") for n in numbers)
    points = tuple(
        Point(f"{n}_{s}", "", Kind.CARBON_MONOXIDE, "z", f"d{n}", s, "record_only")
        for n in numbers
        for s in ("near", "far")
    )
    return bare_mine(bus, devices, points=points)


def bare_mine(
    bus: Bus,
    devices: tuple[Device, ...],
    *,
    points: tuple[Point, ...] = (),
    outputs: tuple[Output, ...] = (),
    readers: tuple[Reader, ...] = (),
    mode: Mode = Mode.CONTROL,
) -> Mine:
    """Return a mine with just these lines and devices."""
    return Mine(
        code="000000000000",
        name="test",
        county="000000",
        language="en",
        gas_class="low",
        capacity_10kt=1,
        severe=False,
        mode=mode,
        headcount_limit=10,
        headcount_citation="",
        profile="test",
        zones=(),
        buses=(bus,),
        devices=devices,
        points=points,
        outputs=outputs,
        readers=readers,
    )


def output(name: str, role: OutputRole, device: str, signal: str) -> Output:
    """Return an output without anything else."""
    return Output(name, "", role, "z", device, signal, None)


@pytest.fixture(autouse=True)
def two_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lines know the device file of this test beside the real ones."""
    real = device_file.load
    made = device_file.parse("two-blocks", "test", TWO_BLOCKS)
    monkeypatch.setattr(device_file, "load", lambda n: made if n == "two-blocks" else real(n))


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """Everything above, for tests that cannot import their neighbours."""
    return SimpleNamespace(
        Slave=Slave,
        TWO_BLOCKS=TWO_BLOCKS,
        Virtual=Virtual,
        allowed=allowed,
        bare_mine=bare_mine,
        one_bus=one_bus,
        output=output,
        truth=truth,
        wrong=wrong,
        campaign=load_neighbour("campaign"),
        peers=load_neighbour("peers"),
        readers=load_neighbour("reader_bench"),
        twists=load_neighbour("twists").TWISTS,
        units={f"{n}_{s}": (n, a) for n in range(1, 20) for s, a in (("near", 0), ("far", 100))},
    )
