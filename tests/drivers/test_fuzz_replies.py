"""Answers that nobody would think of: random and bent bytes, at random times, into whole lines.

Bounded by time, not by number. Every round has a seed of its own, which a failure prints:
MINEWATCH_FUZZ="<seed>/<round>" runs that round alone.
"""

import itertools
import os
import random
import resource
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.address import parse_address
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.device_model import DeviceModel
from minewatch_drivers.lines import open_line
from minewatch_drivers.modbus_line.line import Line
from minewatch_drivers.wire import modbus

from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, OutputRole, Point, Reader
from minewatch.model.quality import Quality

URLS = {
    "tcp": "tcp://127.0.0.1:1502",
    "rtu": "rtu:///dev/ttyTEST?baud=19200&parity=E",
    "rtu+tcp": "rtu+tcp://127.0.0.1:1502?baud=19200",
}
LENGTHS = [
    pytest.param(10.0, id="ten seconds"),
    pytest.param(300.0, id="five minutes", marks=[pytest.mark.nightly, pytest.mark.timeout(600)]),
]
TIMEOUT_US = 60_000
QUESTIONS = 40
TURNS_MAX = 200_000
"""More turns than this in one round is a line that spins."""

NUMBERLESS = frozenset(
    {Quality.OVER_RANGE, Quality.UNDER_RANGE, Quality.IMPLAUSIBLE, Quality.COMM_FAULT}
)
HANG_S = 1.0
MEMORY_MAX_KIB = 100 * 1024


def rounds(seconds: float) -> Iterator[tuple[str, random.Random]]:
    """Yield a name and a seeded generator per round until the time is up."""
    named = os.environ.get("MINEWATCH_FUZZ")
    if named:
        yield named, random.Random(named)
        return
    seed, end_s = random.SystemRandom().randrange(1 << 32), time.monotonic() + seconds
    number = 0
    while time.monotonic() < end_s:
        name = f"{seed}/{number}"
        yield name, random.Random(name)
        number += 1


def survive(seconds: float, play: Callable[[random.Random], None]) -> None:
    """Play rounds; what escapes, takes a second of CPU or eats memory fails under its name."""
    memory_kib = played = 0
    for name, rng in rounds(seconds):
        begun_s = time.process_time()
        try:
            play(rng)
        except Exception as error:  # noqa: BLE001 — whatever it is, it escaped
            pytest.fail(f"MINEWATCH_FUZZ={name}: {type(error).__name__}: {error}")
        assert time.process_time() - begun_s < HANG_S, f"MINEWATCH_FUZZ={name} hangs"
        played += 1
        if played == 20:
            memory_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert played > 20 or os.environ.get("MINEWATCH_FUZZ")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory_kib < MEMORY_MAX_KIB


class Fuzzer:
    """Answers through `_bent`; remembers what was asked: sent µs, transaction, unit, address."""

    def __init__(self, rng: random.Random, url: str, answer: Callable[..., bytes]) -> None:
        address = parse_address(url)
        self.rtu = address.serial
        self.questions = 0
        self.asked: list[tuple[int, int, int, int]] = []
        self._rng = rng
        self._answer = answer
        self._byte_us = address.byte_us
        self._old: list[bytes] = [b"\0"]

    def respond(self, data: bytes, now_us: int) -> list[tuple[int, bytes]]:
        """Return what goes back for one question, as (delay after it, bytes)."""
        self.questions += 1
        transaction = 0 if self.rtu else int.from_bytes(data[:2], "big")
        unit, pdu = (data[0], data[1:-2]) if self.rtu else (data[6], data[7:])
        sent_us = now_us - round(len(data) * self._byte_us)
        self.asked.append((sent_us, transaction, unit, int.from_bytes(pdu[1:3], "big")))
        reply = self._answer(unit, pdu, now_us)
        whole = self.wrap(transaction, unit, reply)
        self._old = [*self._old[-8:], whole]
        return self._bent(transaction, unit, reply, whole)

    def wrap(self, transaction: int, unit: int, pdu: bytes) -> bytes:
        """Put a PDU into this line's envelope."""
        if self.rtu:
            return modbus.rtu_frame(unit, pdu)
        return modbus.tcp_frame(transaction, unit, pdu)

    def _bent(
        self, transaction: int, unit: int, pdu: bytes, whole: bytes
    ) -> list[tuple[int, bytes]]:
        rng = self._rng
        way = rng.randrange(10)
        if way < 3:
            return [(rng.choice((300, 2_000, TIMEOUT_US - 5_000)), whole)]
        if way == 3:
            reply = bytearray(pdu)
            reply[rng.randrange(len(reply))] = rng.randrange(256)
            unit = rng.choice((unit, unit ^ 1, 0, 255))
            transaction = (transaction + rng.choice((0, 0, 1, -1))) & 0xFFFF
            return [(1_000, self.wrap(transaction, unit, bytes(reply)))]
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 5)):
            self._spoil(data)
        if way == 9:
            data *= rng.randrange(1, 400 // (len(data) or 1) + 20)
        return self._cut(bytes(data) or b"\0")

    def _spoil(self, data: bytearray) -> None:
        rng = self._rng
        at, junk = rng.randrange(len(data) + 1), rng.randbytes(rng.randrange(1, 12))
        change = rng.randrange(6)
        if change == 0 and data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        elif change == 1:
            data[at:at] = junk
        elif change == 2:
            del data[at : at + rng.randrange(1, 6)]
        elif change == 3:
            data[at:at] = rng.choice(self._old)
        elif change == 4:
            data[:0] = rng.choice(self._old)[: rng.randrange(1, 12)]
        else:
            data += junk

    def _cut(self, data: bytes) -> list[tuple[int, bytes]]:
        """Deliver in up to six pieces, soon, at the timeout or long after."""
        rng = self._rng
        places = sorted({0, len(data), *(rng.randrange(len(data) + 1) for _ in range(5))})
        delay_us, pieces = rng.choice((0, 500, 20_000, TIMEOUT_US)), []
        for first, last in itertools.pairwise(places):
            pieces.append((delay_us, data[first:last]))
            delay_us += rng.choice((0, 0, 200, 5_000, TIMEOUT_US, 3 * TIMEOUT_US))
        return pieces


def turns_bounded(virtual: Any) -> Any:
    """Let a virtual wire fail where its line is polled without end."""
    turns = iter(range(TURNS_MAX))
    virtual.on_turn = lambda _: next(turns)
    return virtual


class Ear:
    """A line that notes what it hears and when; what parts two connections is in no frame."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._heard: list[tuple[int, bytes]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)

    def connected(self, now_us: int) -> None:
        """Pass it on."""
        self._heard.append((now_us, b"\xff" * 300))
        self._line.connected(now_us)

    def feed(self, data: bytes, now_us: int) -> None:
        """Pass it on."""
        self._heard.append((now_us, data))
        self._line.feed(data, now_us)

    def between(self, from_us: int, to_us: int) -> bytes:
        """Return what was heard between two times."""
        return b"".join(data for at_us, data in self._heard if from_us <= at_us <= to_us)


def unexplained(virtual: Any, units: dict[str, tuple[int, int]]) -> list[Any]:
    """Return values whose exact frame did not arrive while a question for it was open.

    On TCP the frame may have begun before its question: the transaction tells whose it is.
    """
    found, fuzzer, ear = [], virtual.slave, virtual.line
    for sample, taken_us in zip(virtual.samples, virtual.taken_us, strict=True):
        for reading in sample.readings:
            if reading.value is None:
                assert reading.quality is not Quality.GOOD
                continue
            unit, address = units[reading.point]
            pdu = bytes((4, 2)) + reading.value.to_bytes(2, "big")
            explained = any(
                fuzzer.wrap(transaction, unit, pdu)
                in ear.between(sent_us if fuzzer.rtu else 0, taken_us)
                for sent_us, transaction, who, where in fuzzer.asked
                if (who, where) == (unit, address)
                and sample.sampled_ms <= sent_us // 1000 <= taken_us // 1000
            )
            if not explained:
                found.append((sample, reading))
    return found


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seconds", LENGTHS)
def test_bent_answers_give_values_only_from_whole_frames(
    kit: SimpleNamespace, seconds: float
) -> None:
    """A value stands in a frame with our unit, function, count and check, while it was asked."""

    def answer(unit: int, pdu: bytes, now_us: int) -> bytes:
        request = modbus.parse_request(unit, pdu)
        return modbus.reply_pdu(request, [kit.truth(unit, request.address, now_us)])

    def play(rng: random.Random) -> None:
        transport = rng.choice(tuple(URLS))
        mine = kit.one_bus(URLS[transport], units=2, scan_ms=50, timeout_ms=TIMEOUT_US // 1000)
        ear = Ear(Line(mine, mine.buses[0], writes=False))
        virtual = turns_bounded(kit.Virtual(ear, Fuzzer(rng, URLS[transport], answer)))
        virtual.run(1 << 60, questions=QUESTIONS)
        assert unexplained(virtual, kit.units) == []

    survive(seconds / 2, play)


def random_unit(rng: random.Random, model: DeviceModel) -> Callable[[str, int], int]:
    """Return a unit of this model: mostly its identity, everything else at random."""
    sentinel = model.sentinel

    def word(table: str, address: int) -> int:
        if sentinel is not None and (table, address) == (sentinel.at.table, sentinel.at.address):
            return sentinel.expected if rng.random() < 0.9 else rng.randrange(65_536)
        if table in ("coil", "discrete"):
            return rng.randrange(2)
        return rng.choice((0, 1, rng.randrange(500), rng.randrange(65_536), 0x3F80, 0x7FC0, 0xFFFF))

    return word


TABLES = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}


def shipped_mine(kit: SimpleNamespace, rng: random.Random, transport: str) -> Any:
    """Return a mine with three shipped models on one line: points, outputs and readers."""
    known = [name for name in device_file.catalogue() if device_file.load(name).serial is None]
    models = {f"d{unit}": device_file.load(rng.choice(known)) for unit in (1, 2, 3)}
    points, outputs, readers = [], [], []
    for device, model in models.items():
        points += [
            Point(f"{device}/{name}", "", signal.kind or Kind.FAN_RUN, "z", device, name, "none")
            for name, signal in model.signals.items()
        ]
        outputs += [
            kit.output(f"{device}/{name}", OutputRole.HORN, device, name) for name in model.channels
        ]
        if model.reader is not None:
            readers.append(Reader(f"{device}/reader", "", "z", device))
    bus = Bus("line", URLS[transport], scan_ms=100, timeout_ms=TIMEOUT_US // 1000)
    devices = tuple(Device(d, "line", int(d[1:]), m.name) for d, m in models.items())
    mine = kit.bare_mine(
        bus, devices, points=tuple(points), outputs=tuple(outputs), readers=tuple(readers)
    )
    return mine, models


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seconds", LENGTHS)
def test_shipped_devices_with_any_registers_are_good_only_within_their_range(
    kit: SimpleNamespace, seconds: float
) -> None:
    """Random registers behind bent answers: GOOD is a number in the file's range, bad is none."""

    def play(rng: random.Random) -> None:
        transport = rng.choice(tuple(URLS))
        mine, models = shipped_mine(kit, rng, transport)
        words = {n: random_unit(rng, models[f"d{n}"]) for n in (1, 2, 3)}

        def answer(unit: int, pdu: bytes, now_us: int) -> bytes:
            try:
                request = modbus.parse_request(unit, pdu)
            except modbus.ModbusError as refusal:  # some relays want what others refuse
                return modbus.exception_pdu(pdu[0], refusal.code)
            if request.values is not None:
                return modbus.reply_pdu(request)
            span = range(request.address, request.address + request.count)
            table = TABLES[request.function]
            return modbus.reply_pdu(request, [words[unit](table, each) for each in span])

        line = Line(mine, mine.buses[0], writes=True)
        virtual = turns_bounded(kit.Virtual(line, Fuzzer(rng, URLS[transport], answer)))
        line.want(dict.fromkeys(line.outputs, True), virtual.now_us)
        virtual.run(1 << 60, questions=QUESTIONS)
        line.status()
        for sample in virtual.samples:
            signals = models[sample.device].signals
            for reading in sample.readings:
                name = reading.point.split("/")[1]
                if name in signals:  # a reader's health comes as a reading too
                    _check(reading, signals[name])

    survive(seconds / 2, play)


def _check(reading: Any, signal: Any) -> None:
    """A number is an integer within the measuring range; qualities without a number have none."""
    if reading.quality is Quality.GOOD:
        assert isinstance(reading.value, int), reading
    if reading.quality in NUMBERLESS:
        assert reading.value is None, reading
    if reading.value is not None and signal.low is not None:
        assert signal.low <= reading.value <= signal.high, reading


@pytest.mark.parametrize("seconds", LENGTHS[1:])
def test_vendor_serial_lines_take_any_bytes(kit: SimpleNamespace, seconds: float) -> None:
    """Readers, receivers and modems whose bytes are bent or made up: nothing escapes or spins."""
    vendors = [name for name in device_file.catalogue() if device_file.load(name).serial]

    def play(rng: random.Random) -> None:
        model = device_file.load(rng.choice(vendors))
        bus = Bus("line", "serial:///dev/none?baud=9600", scan_ms=200, timeout_ms=100)
        mine = kit.bare_mine(
            bus, (Device("d1", "line", 1, model.name),), readers=(Reader("r1", "", "z", "d1"),)
        )
        line: Any = open_line(mine, bus, writes=False)
        frames = [frame.reply for frame in model.frames] or [b"$\r\n"]
        now_us = 1_000_000
        line.connected(now_us)
        for _ in range(300):
            data = bytearray(rng.choice(frames))
            if rng.random() < 0.7:
                data[rng.randrange(len(data))] = rng.randrange(256)
            if rng.random() < 0.2:
                data = bytearray(rng.randbytes(rng.randrange(1, 3_000)))
            line.feed(bytes(data[: rng.randrange(1, len(data) + 1)]), now_us)
            turn = line.poll(now_us)
            line.take()
            line.status()
            now_us = max(now_us + 1, min(turn.wake_us, now_us + rng.randrange(1, 300_000)))

    survive(seconds, play)
