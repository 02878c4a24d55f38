"""A device that refuses an address or a size: everything else is read, and the refused is named."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minewatch_drivers.device_files import device_file
from minewatch_drivers.modbus_line.line import Line
from minewatch_drivers.wire import modbus

from minewatch.model.image import Notice
from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mine, Point
from minewatch.model.quality import Quality

TCP = "tcp://127.0.0.1:1502"
COUNT = 24
"""Signals of the test device, at neighbouring addresses from 10 on."""

HEAD = """
[device]
identity = "Many registers in a row"
maker = "test"
maturity = "experimental"
source = "made for this test"
[read]
registers_max = 60
gap_max = 8
turnaround_ms = 1
"""
SENTINEL = '[sentinel]\ntable = "input"\naddress = 0\nexpected = 77\n'
HEARTBEAT = '[heartbeat]\ntable = "input"\naddress = 5\nevery_ms = 1000\n'
SIGNAL = """
[signals.s{n}]
table = "input"
address = {at}
type = "u16"
kind = "carbon_monoxide"
low = "0"
high = "20000"
"""
FRAME = '[[frames]]\nsource = "none"\nrequest = "01"\nreply = "01"\nexpect = {}\n'


@pytest.fixture(autouse=True)
def rows(monkeypatch: pytest.MonkeyPatch, two_blocks: None) -> None:
    """Let lines know a device of 24 registers, with and without identity and heartbeat."""
    del two_blocks
    signals = "".join(SIGNAL.format(n=n, at=10 + n) for n in range(COUNT)) + FRAME
    made = {
        "row": device_file.parse("row", "test", HEAD + signals),
        "proven-row": device_file.parse(
            "proven-row", "test", HEAD + SENTINEL + HEARTBEAT + signals
        ),
    }
    known = device_file.load
    monkeypatch.setattr(device_file, "load", lambda n: made.get(n) or known(n))


def row_mine(kit: SimpleNamespace, model: str, count: int = COUNT) -> Mine:
    """Return a TCP line with one device of `count` points."""
    bus = Bus("line", TCP, scan_ms=1000, timeout_ms=200)
    points = tuple(
        Point(f"p{n}", "", Kind.CARBON_MONOXIDE, "z", "d", f"s{n}", "no_rule") for n in range(count)
    )
    made: Mine = kit.bare_mine(bus, (Device("d", "line", 1, model),), points=points)
    return made


class Strict:
    """Answers what a strict device does: exception 2 for `closed` addresses, 3 above `most`."""

    def __init__(self, closed: set[int], most: int = 125) -> None:
        self.closed = closed
        self.most = most
        self.questions = 0
        self.beat = 0

    def respond(self, data: bytes, now_us: int) -> list[tuple[int, bytes]]:
        """Return the answer to one TCP question."""
        del now_us
        self.questions += 1
        tag, _, _, unit = modbus.TCP_HEADER.unpack_from(data)
        request = modbus.parse_request(unit, data[7:])
        span = range(request.address, request.address + request.count)
        if request.count > self.most:
            pdu = modbus.exception_pdu(request.function, 3)
        elif self.closed & set(span):
            pdu = modbus.exception_pdu(request.function, 2)
        else:
            self.beat += 1
            known = {0: 77, 5: self.beat}
            pdu = modbus.reply_pdu(request, [known.get(at, 1000 + at) for at in span])
        return [(1_000, modbus.tcp_frame(tag, unit, pdu))]


def bench(kit: SimpleNamespace, slave: Strict, model: str = "row", count: int = COUNT) -> Any:
    """Return the line of such a device on a virtual wire."""
    mine = row_mine(kit, model, count)
    return kit.Virtual(Line(mine, mine.buses[0], writes=False), slave)


def newest(virtual: Any) -> dict[str, tuple[int | None, Quality]]:
    """Return the last value and quality of each point."""
    return {r.point: (r.value, r.quality) for s in virtual.samples for r in s.readings}


def expected(closed: set[int], count: int = COUNT) -> dict[str, tuple[int | None, Quality]]:
    """Return what a device must show: its registers, and COMM_FAULT for those that it refuses."""
    return {
        f"p{n}": (None, Quality.COMM_FAULT) if 10 + n in closed else (1010 + n, Quality.GOOD)
        for n in range(count)
    }


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(8, 36), max_size=4), st.integers(1, 60), st.booleans())
def test_whatever_is_refused_the_rest_is_read(
    kit: SimpleNamespace, closed: set[int], most: int, proven: bool
) -> None:
    """Any closed addresses and any device maximum: the open points are GOOD, the others faulty."""
    virtual = bench(kit, Strict(closed, most), "proven-row" if proven else "row")

    virtual.run(8_000_000)

    assert newest(virtual) == expected(closed)
    good = {s.sampled_ms for s in virtual.samples if any(r.value is not None for r in s.readings)}
    assert not good or max(good) >= 6_900


def test_one_closed_address_is_found_in_few_questions(kit: SimpleNamespace) -> None:
    """Halving 24 points takes at most two questions a step, once; then only good ones are asked."""
    virtual = bench(kit, Strict({17}))
    virtual.run(1_900_000)
    found = virtual.slave.questions
    virtual.run(10_900_000)

    per_scan = (virtual.slave.questions - found) / 9
    assert found <= 1 + 2 * 5 + 6
    assert per_scan <= 7
    bad = [r for s in virtual.samples for r in s.readings if r.value is None]
    assert {r.point for r in bad} == {"p7"}


def test_a_refusal_is_said_once_and_its_end_too(kit: SimpleNamespace) -> None:
    """The point and the code go out as a fault of the device, and shine in the line's figures."""
    slave = Strict({17})
    virtual = bench(kit, slave)
    virtual.run(30_000_000)
    refused = dict(virtual.line.rhythm().refused)
    slave.closed = set()
    virtual.run(40_000_000)

    assert refused == {"p7": "exception_2"}
    assert virtual.notices == [
        Notice("device_fault", "p7", {"code": "exception_2"}),
        Notice("device_restored", "p7", {"code": "exception_2"}),
    ]
    assert virtual.line.rhythm().refused == ()
    assert newest(virtual) == expected(set())


def test_what_was_learnt_lasts_for_the_connection(kit: SimpleNamespace) -> None:
    """A device that accepts all again is asked in parts until the line is opened anew."""
    slave = Strict(set(), most=10)
    virtual = bench(kit, slave)
    virtual.run(5_900_000)
    slave.most = 125
    before = slave.questions
    virtual.run(9_900_000)
    parts = (slave.questions - before) / 4
    virtual.line.lost(virtual.now_us, "closed")
    virtual.line.connected(virtual.now_us)
    before = slave.questions
    virtual.run(13_900_000)

    assert parts == 4
    assert slave.questions - before in (4, 5)


def test_a_part_without_identity_waits_for_the_proof(kit: SimpleNamespace) -> None:
    """Where the parts lie beyond the identity register it is asked alone, before any value."""
    slave = Strict(set(), most=8)
    virtual = bench(kit, slave, "proven-row")
    virtual.run(5_000_000)
    good = newest(virtual)
    slave.respond = lambda data, now_us: []  # type: ignore[method-assign]
    virtual.run(20_000_000)
    impostor = Strict(set(), most=8)
    impostor_words = impostor.respond

    def strange(data: bytes, now_us: int) -> list[tuple[int, bytes]]:
        return [
            (d, reply.replace(b"\x00\x4d", b"\x00\x4e"))
            for d, reply in impostor_words(data, now_us)
        ]

    slave.respond = strange  # type: ignore[method-assign]
    virtual.samples.clear()
    virtual.run(40_000_000)

    assert good == expected(set())
    assert {r.quality for s in virtual.samples for r in s.readings} == {Quality.COMM_FAULT}


def test_another_refusal_divides_nothing(kit: SimpleNamespace) -> None:
    """A busy or failing device is not asked in more questions: that would only make it worse."""
    virtual = bench(kit, Strict(set()))
    for code in (1, 4, 6, 11):
        virtual.slave.respond = lambda data, now_us, code=code: [
            (1_000, data[:4] + bytes((0, 3, data[6], data[7] | 0x80, code)))
        ]
        before = len(virtual.sent)
        virtual.run(virtual.now_us + 5_000_000)
        counts = {data[7:] for _, data in virtual.sent[before:]}
        assert len(counts) == 1
    assert virtual.notices == []
