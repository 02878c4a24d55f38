"""What tried to break a line: chains of failures, ends that never meet, numbers that lie."""

import random
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.device_files import device_file
from minewatch_drivers.lines import open_line
from minewatch_drivers.modbus_line.pipeline import PipelinedLine
from minewatch_drivers.wire import modbus

from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mine, Point
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


def test_who_asks_again_before_the_answer_gets_two(kit: SimpleNamespace) -> None:
    """Where another master asks a slow unit twice, its second answer is not taken for ours."""
    line, now_us, question = ask(kit)
    line.feed(answer_to(question, 5), now_us + 20_000)
    heard_us = now_us + 60_000
    for n, address in enumerate((300, 301)):
        foreign = modbus.rtu_frame(1, modbus.read_pdu(4, address, question[5]))
        line.feed(foreign, heard_us + n * 100_000)
    line.feed(answer_to(question, 9998), heard_us + 130_000)
    assert line.poll(heard_us + 180_000).send is None
    line.feed(answer_to(question, 9999), heard_us + 190_000)
    assert {r.value for s in line.take().samples for r in s.readings} <= {5, None}
    assert line.poll(heard_us + 240_000).send is not None


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
