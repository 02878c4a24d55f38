"""What tried to break a line: chains of failures, ends that never meet, numbers that lie."""

import asyncio
import os
import random
import socket
import tomllib
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers import device_file, modbus, serial_runner
from minewatch_drivers.address import parse_address
from minewatch_drivers.framing import Framer
from minewatch_drivers.gsm_line import GsmLine, Message
from minewatch_drivers.jobs import SIGHTINGS_MAX
from minewatch_drivers.line import Turn
from minewatch_drivers.lines import open_line
from minewatch_drivers.pipeline import PipelinedLine
from minewatch_drivers.serial_runner import SerialRunner
from minewatch_drivers.tcp_runner import TcpRunner

from minewatch.controller.clock import SystemClock
from minewatch.model.image import Reading
from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mine, Point, Reader
from minewatch.model.quality import Quality

TIMEOUT_MS = 200
IDENTITY = 77
REGISTERS = {0: 1, 1: 2, 100: 3, 500: IDENTITY, 600: 0}
SIGNALS = {"near": 0, "mid": 1, "far": 100}
MODEL = """
[device]
identity = "Three values in two blocks; identity and heartbeat far from both"
maker = "test"
maturity = "experimental"
source = "made for this test"
[read]
registers_max = 4
gap_max = 0
turnaround_ms = 0
in_flight_max = {depth}
{marks}
[[frames]]
source = "none"
request = "01"
reply = "01"
expect = {{}}
"""
SIGNAL = """
[signals.{name}]
table = "input"
address = {address}
type = "u16"
kind = "carbon_monoxide"
low = "0"
high = "20000"
"""
SENTINEL = f'[sentinel]\ntable = "input"\naddress = 500\nexpected = {IDENTITY}\n'
HEARTBEAT = '[heartbeat]\ntable = "input"\naddress = 600\nevery_ms = 1000\n'
MARKS = {"plain": "", "gated": SENTINEL, "beating": SENTINEL + HEARTBEAT, "pulse": HEARTBEAT}
URLS = ("tcp://127.0.0.1:1502", "rtu:///dev/ttyTEST?baud=9600&parity=E")


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lines know the devices of this test, alone and with eight questions in flight."""
    signals = "".join(SIGNAL.format(name=name, address=at) for name, at in SIGNALS.items())
    made = {
        f"{name}-{depth}": device_file.parse(
            name, "test", MODEL.format(marks=marks + signals, depth=depth)
        )
        for name, marks in MARKS.items()
        for depth in (1, 8)
    }
    real = device_file.load
    monkeypatch.setattr(device_file, "load", lambda name: made.get(name) or real(name))


def a_mine(kit: SimpleNamespace, url: str, model: str, scan_ms: int, units: int = 2) -> Mine:
    """Return a mine of one bus whose units show all three values."""
    bus = Bus("line", url, scan_ms=scan_ms, timeout_ms=TIMEOUT_MS)
    numbers = range(1, units + 1)
    points = tuple(
        Point(f"{n}_{name}", "", Kind.CARBON_MONOXIDE, "z", f"d{n}", name, "record_only")
        for n in numbers
        for name in SIGNALS
    )
    devices = tuple(Device(f"d{n}", "line", n, model) for n in numbers)
    made: Mine = kit.bare_mine(bus, devices, points=points)
    return made


def several(slave: Any) -> Any:
    """Let a slave on Modbus TCP take several questions that arrive in one piece."""
    one = slave.respond

    def respond(data: bytes, now_us: int) -> list[tuple[int, bytes]]:
        replies = []
        while data:
            size = 6 + int.from_bytes(data[4:6], "big")
            replies += one(data[:size], now_us)
            data = data[size:]
        return replies

    slave.respond = respond
    return slave


def chaos(seed: int, until: int) -> Any:
    """Return a twist that answers at random, up to the answer numbered `until`, then honestly."""
    rng = random.Random(seed)
    count = 0

    def twist(slave: Any, envelope: Any, pdu: bytes) -> list[tuple[int, bytes]]:
        nonlocal count
        count += 1
        honest = [(slave.delay_us, slave.wrap(envelope.tag, envelope.unit, pdu))]
        what = rng.choice(("mute", "refuse", "lie", "honest", "honest")) if count < until else ""
        if what == "mute":
            return []
        if what == "refuse":
            code = rng.choice((1, 2, 3, 4, 6, 11))
            refusal = bytes((pdu[0] | 0x80, code))
            return [(slave.delay_us, slave.wrap(envelope.tag, envelope.unit, refusal))]
        if what == "lie":
            other = pdu[:2] + bytes(byte ^ 0x40 for byte in pdu[2:])
            return [(slave.delay_us, slave.wrap(envelope.tag, envelope.unit, other))]
        return honest

    return twist


@pytest.mark.parametrize("scan_ms", [1_000, 5_000, 10_000])
@pytest.mark.parametrize("model", ["plain-1", "gated-1", "beating-1", "gated-8", "beating-8"])
@pytest.mark.parametrize("url", URLS)
def test_no_chain_of_failures_silences_a_unit_for_ever(
    kit: SimpleNamespace, url: str, model: str, scan_ms: int
) -> None:
    """After any mixture of silence, refusals and lies each point is scanned again and GOOD."""
    for seed in range(3):
        mine = a_mine(kit, url, model, scan_ms)
        line = open_line(mine, mine.buses[0], writes=False)
        inputs = dict(REGISTERS)
        twist = chaos(seed, until=150)
        slave = kit.Slave(
            rtu=url.startswith("rtu"), timeout_us=TIMEOUT_MS * 1000, inputs=inputs, twist=twist,
            share=1.0,
        )  # fmt: skip
        virtual = kit.Virtual(line, slave if slave.rtu else several(slave))
        virtual.on_turn = lambda now_us, inputs=inputs: inputs.update({600: now_us // 500_000})
        virtual.run(1_200_000_000 + 40 * scan_ms * 1_000)
        last = {r.point: (s.sampled_ms, r) for s in virtual.samples for r in s.readings}
        for point, (at_ms, reading) in last.items():
            assert virtual.now_us // 1000 - at_ms < 2 * scan_ms + 1_000, (seed, point, at_ms)
            assert reading.quality is Quality.GOOD, (seed, reading)
        assert len(last) == 2 * len(SIGNALS)


def test_a_heartbeat_that_is_never_read_is_no_heartbeat(kit: SimpleNamespace) -> None:
    """A device that refuses its counter's register is not believed for longer than a still one."""
    mine = a_mine(kit, URLS[0], "pulse-1", 1_000, units=1)
    line = open_line(mine, mine.buses[0], writes=False)

    def refuse_the_counter(slave: Any, envelope: Any, pdu: bytes) -> list[tuple[int, bytes]]:
        counter = slave.inputs[600].to_bytes(2, "big")
        refused = bytes((pdu[0] | 0x80, 2)) if pdu[2:] == counter else pdu
        return [(slave.delay_us, slave.wrap(envelope.tag, envelope.unit, refused))]

    slave = kit.Slave(
        rtu=False, timeout_us=1, inputs={**REGISTERS, 600: 4711}, twist=refuse_the_counter,
        share=1.0,
    )  # fmt: skip
    virtual = kit.Virtual(line, slave)
    virtual.run(60_000_000)

    late = [s for s in virtual.samples if s.sampled_ms > 1_000 + 6_000]
    assert len(late) > 50
    assert {r.quality for s in late for r in s.readings} == {Quality.IMPLAUSIBLE}


def test_a_heartbeat_read_with_a_slow_point_alone_doubts_no_fast_one(kit: SimpleNamespace) -> None:
    """A counter beside a point of the slowest class is looked at as often as the others need."""
    text = MODEL.format(
        marks=SIGNAL.format(name="near", address=0)
        + SIGNAL.format(name="slow", address=601)
        + HEARTBEAT,
        depth=1,
    )
    made, real = device_file.parse("beside", "test", text), device_file.load
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device_file, "load", lambda n: made if n == "beside" else real(n))
        bus = Bus("line", URLS[0], scan_ms=1_000, timeout_ms=TIMEOUT_MS)
        points = tuple(
            Point(name, "", Kind.CARBON_MONOXIDE, "z", "d1", name, "record_only", scan_ms=scan_ms)
            for name, scan_ms in (("near", 0), ("slow", 60_000))
        )
        mine = kit.bare_mine(bus, (Device("d1", "line", 1, "beside"),), points=points)
        line = open_line(mine, bus, writes=False)
        inputs = {0: 1, 601: 2}
        virtual = kit.Virtual(line, kit.Slave(rtu=False, timeout_us=1, inputs=inputs))
        virtual.on_turn = lambda now_us: inputs.update({600: now_us // 500_000})
        virtual.run(180_000_000)

    assert {r.quality for s in virtual.samples for r in s.readings} == {Quality.GOOD}


GLITCHES = [b"", b"\x00", b"\xff\x00", b"\x01\x04", b"\x01"]


def ask(kit: SimpleNamespace) -> tuple[Any, int, bytes]:
    """Return an RTU line whose only unit was just asked, the time, and the question."""
    mine = a_mine(kit, URLS[1], "plain-1", 1_000, units=1)
    line: Any = open_line(mine, mine.buses[0], writes=False)
    now_us = 1_000_000
    line.connected(now_us)
    while (turn := line.poll(now_us)).send is None:
        now_us = turn.wake_us
    return line, now_us, turn.send


def answer_to(question: bytes, value: int) -> bytes:
    """Return an RTU answer of the same size as the one that `question` wants."""
    words = [value] * question[5]
    return modbus.rtu_frame(1, modbus.reply_pdu(modbus.parse_request(1, question[1:-2]), words))


@pytest.mark.parametrize("glitch", GLITCHES)
def test_noise_between_anothers_question_and_its_answer_hides_neither(
    kit: SimpleNamespace, glitch: bytes
) -> None:
    """The answer to a question that fell into ours is not ours, noise between the two or not."""
    line, now_us, question = ask(kit)
    foreign = modbus.rtu_frame(1, modbus.read_pdu(4, 300, question[5]))
    for wait_us, data in ((9_000, foreign), (10_000, glitch), (30_000, answer_to(question, 9999))):
        line.feed(data, now_us + wait_us)
    assert line.take().samples == ()
    assert line.status().last_failure == "bad_foreign"


@pytest.mark.parametrize("glitch", GLITCHES)
@pytest.mark.parametrize("pieces", [1, 3])
def test_noise_behind_anothers_question_does_not_end_the_wait_for_its_answer(
    kit: SimpleNamespace, glitch: bytes, pieces: int
) -> None:
    """Nothing is asked between another master's question and its answer, which may come slowly."""
    line, now_us, question = ask(kit)
    line.feed(answer_to(question, 5), now_us + 20_000)
    heard_us = now_us + 60_000
    line.feed(modbus.rtu_frame(1, modbus.read_pdu(4, 300, question[5])), heard_us)
    line.feed(glitch, heard_us + 1_000)
    assert line.poll(heard_us + 25_000).send is None
    told = answer_to(question, 9999)
    for n in range(pieces):
        part = told[n * len(told) // pieces : (n + 1) * len(told) // pieces]
        line.feed(part, heard_us + 100_000 + n * 30_000)
        if n + 1 < pieces:
            assert line.poll(heard_us + 125_000 + n * 30_000).send is None
    said = {r.value for s in line.take().samples for r in s.readings}
    assert 9999 not in said
    assert line.poll(heard_us + 130_000 + pieces * 30_000).send is not None


def test_anothers_question_during_ours_is_remembered_when_ours_fails(kit: SimpleNamespace) -> None:
    """Whoever answers another master after our own question was given up is not taken for ours."""
    line, now_us, question = ask(kit)
    line.feed(modbus.rtu_frame(1, modbus.read_pdu(4, 300, question[5])), now_us + 190_000)
    ended_us = line.poll(now_us).wake_us
    line.poll(ended_us)
    assert line.poll(ended_us + 150_000).send is None
    line.feed(answer_to(question, 9999), ended_us + 180_000)
    assert line.take().samples == ()


@pytest.mark.parametrize("words", [0, 30])
def test_a_second_masters_words_are_no_late_answers(kit: SimpleNamespace, words: int) -> None:
    """Foreign frames on a line that waits for nothing do not lengthen the silence of a failure."""
    line, now_us, question = ask(kit)
    for _ in range(2):
        line.feed(answer_to(question, 5), now_us + 20_000)
        now_us += 21_000
        while (turn := line.poll(now_us)).send is None:
            now_us = turn.wake_us
        question = turn.send
    line.feed(answer_to(question, 5), now_us + 20_000)
    for n in range(words):
        line.feed(modbus.rtu_frame(9, b"\x03\x02\x00\x05"), now_us + 60_000 + n * 25_000)
    now_us += 60_000 + words * 25_000 + 100_000
    while (turn := line.poll(now_us)).send is None:
        now_us = turn.wake_us
    failed_us = turn.wake_us
    assert line.poll(failed_us).wake_us - failed_us <= TIMEOUT_MS * 1_000 // 2 + 20_000


def test_a_dead_unit_behind_a_pipelined_gateway_costs_no_connection(kit: SimpleNamespace) -> None:
    """Several questions that one mute unit leaves unanswered at once are no mute connection."""
    mine = a_mine(kit, URLS[0], "plain-8", 1_000, units=3)
    points = mine.points + tuple(
        replace(point, id=f"{point.id}_{n}") for n in range(3) for point in mine.points
    )
    opened: list[int] = []

    class Counted(PipelinedLine):
        def connected(self, now_us: int) -> None:
            opened.append(now_us)
            super().connected(now_us)

    line = Counted(replace(mine, points=points), mine.buses[0], writes=False, depth=8)
    slave = kit.Slave(
        rtu=False, timeout_us=1, inputs=dict(REGISTERS), twist=lambda *_: [], share=1.0
    )
    virtual = kit.Virtual(line, several(slave))
    virtual.run(60_000_000)
    assert len(opened) == 1
    heard = {r.point: r.quality for s in virtual.samples for r in s.readings}
    assert {quality for point, quality in heard.items() if point[0] != "1"} == {Quality.GOOD}
    assert {quality for point, quality in heard.items() if point[0] == "1"} == {Quality.COMM_FAULT}
    assert len(heard) == len(points)


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


def test_settings_of_a_device_that_is_not_there_are_not_wrong(kit: SimpleNamespace) -> None:
    """A line that was never open, or is lost in mid-question, says nothing of settings."""
    bus = Bus("line", URLS[0], scan_ms=1_000, timeout_ms=TIMEOUT_MS)
    device = Device("d1", "line", 1, "dettronics-pirecl-methane")
    point = Point("p", "", Kind.METHANE, "z", "d1", "methane", "record_only")
    line: Any = open_line(kit.bare_mine(bus, (device,), points=(point,)), bus, writes=False)
    now_us = 1_000_000
    line.lost(now_us, "connect")
    for _ in range(50):
        now_us = max(now_us + 1, line.poll(now_us).wake_us)
    for _ in range(20):
        line.connected(now_us)
        for _ in range(4):
            now_us = max(now_us + 1, line.poll(now_us).wake_us)
        line.lost(now_us, "closed")
        now_us = max(now_us + 1, line.poll(now_us).wake_us)
    taken = line.take()
    assert taken.notices == ()
    assert {r.quality for s in taken.samples for r in s.readings} == {Quality.COMM_FAULT}


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


class Listener:
    """A line that only looks whether everything was heard before it is asked what to say."""

    bus = SimpleNamespace(id="line")
    fresh = False
    missing_bytes = 0
    answered_since_open = False

    def __init__(self) -> None:
        self.heard = 0
        self.polls: list[tuple[int, int]] = []

    def connected(self, now_us: int) -> None:
        """Take no note."""

    def lost(self, now_us: int, why: str) -> None:
        """Take no note."""

    def feed(self, data: bytes, now_us: int) -> None:
        """Count."""
        self.heard += len(data)

    def poll(self, now_us: int) -> Turn:
        """Note what was heard by the time that is told; end after a while."""
        self.polls.append((now_us, self.heard))
        return Turn(None, now_us + 50, reconnect=len(self.polls) >= 200)


def test_a_serial_port_is_read_empty_as_of_the_time_that_the_line_is_told() -> None:
    """However late its thread runs again, no byte from before a question waits unread behind it."""
    ours, far = socket.socketpair()
    written: dict[int, int] = {}

    class Clock:
        """Bytes arrive each time before somebody looks at it."""

        now = 0

        def now_us(self) -> int:
            """Return the time, after a byte has come."""
            self.now += 7
            far.send(b"x")
            written[self.now] = len(written) + 1
            return self.now

    line: Any = Listener()
    clock: Any = Clock()
    runner = SerialRunner(line, parse_address(URLS[1]), clock, lambda: None, lambda _: 0.0)
    runner._bell, runner._hammer = os.pipe()
    with ours, far:
        runner._serve(ours.fileno())
    os.close(runner._bell)
    os.close(runner._hammer)

    assert len(line.polls) == 200
    assert all(heard >= written[now_us] for now_us, heard in line.polls)


async def test_a_stream_is_read_empty_before_a_line_behind_it_is_asked() -> None:
    """A late answer that lies in the socket is heard before the loop lets a question leave."""
    accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    server = await asyncio.start_server(lambda _, w: accepted.put_nowait(w), "127.0.0.1", 0)
    address = parse_address(f"rtu+tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    line: Any = Listener()
    runner = TcpRunner(line, address, SystemClock(), lambda: None, lambda _: 1.0)
    await runner.start()
    writer = await asyncio.wait_for(accepted.get(), 5)
    while not runner._open:
        await asyncio.sleep(0.001)
    os.write(writer.get_extra_info("socket").fileno(), b"late")
    line.polls.clear()

    runner.ring()

    assert line.polls[0][1] == 4
    await runner.stop()
    writer.close()
    server.close()


async def test_a_serial_lines_owner_outlives_a_bug_at_any_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever a line raises, also while its port is away, its thread goes on."""
    monkeypatch.setattr(serial_runner, "WAIT_MAX_S", 0.01)
    calls = []

    class Broken(Listener):
        def lost(self, now_us: int, why: str) -> None:
            calls.append(why)
            raise RuntimeError("a bug")

        def poll(self, now_us: int) -> Turn:
            raise RuntimeError("a bug")

    line: Any = Broken()
    address = parse_address("rtu:///nowhere/tty?baud=9600")
    runner = SerialRunner(line, address, SystemClock(), lambda: None, lambda _: 0.0)
    await runner.start()
    for _ in range(500):
        if len(calls) >= 3:
            break
        await asyncio.sleep(0.01)
    await runner.stop()
    assert len(calls) >= 3


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
