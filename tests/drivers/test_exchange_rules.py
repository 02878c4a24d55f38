"""The rules of one exchange: what ends it, how long the line is quiet then, what a refusal does."""

import contextlib
import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.modbus_line.line import QUIET_MARGIN_US, QUIET_MAX_US, Line
from minewatch_drivers.pace.load import WORST_WINDOW_US, WorstReply
from minewatch_drivers.wire import modbus
from minewatch_drivers.wire.exchange import (
    EXCHANGE_BYTES_MAX,
    BadReplyError,
    DeviceRefusalError,
    Exchange,
    RtuEnvelope,
    StreamError,
    TcpEnvelope,
    exchange_of,
)

from minewatch.model.quality import Quality

TCP = "tcp://127.0.0.1:1502"
RTU = "rtu:///dev/ttyTEST?baud=9600&parity=E"
READ = Exchange(7, modbus.read_pdu(3, 10, 2), 3, 6, None)


def line_of(kit: SimpleNamespace, url: str, *, units: int = 2, **bus: int) -> Any:
    """Return a line of honest units on virtual time."""
    mine = kit.one_bus(url, units=units, **bus)
    slave = kit.Slave(rtu=url != TCP, timeout_us=mine.buses[0].timeout_ms * 1000)
    return kit.Virtual(Line(mine, mine.buses[0], writes=False), slave)


def test_transaction_numbers_are_never_zero_and_come_round() -> None:
    """65 535 questions in a row have 65 535 numbers, neighbours far apart; then they come again."""
    envelope = TcpEnvelope()

    numbers = [int.from_bytes(envelope.open(READ)[:2], "big") for _ in range(0x1_0001)]

    assert sorted(numbers[:0xFFFF]) == list(range(1, 0x1_0000))
    assert numbers[0xFFFF:] == numbers[:2]
    assert min(abs(a - b) for a, b in itertools.pairwise(numbers)) > 1_000


@pytest.mark.parametrize("make", [TcpEnvelope, RtuEnvelope])
@pytest.mark.parametrize("piece", [1, 7, 250])
def test_bytes_of_one_exchange_are_bounded(make: Any, piece: int) -> None:
    """However they are cut: more than the bound is a flood, and no more than that is kept."""
    envelope = make()
    envelope.open(READ)
    data = modbus.tcp_frame(9, 7, bytes(piece))
    for _ in range(EXCHANGE_BYTES_MAX // len(data)):
        envelope.receive(data)

    with pytest.raises(StreamError, match="flood"):
        envelope.receive(data)
    assert len(envelope._buffer) <= EXCHANGE_BYTES_MAX


@pytest.mark.parametrize("lie", range(9 * 8))
def test_one_wrong_bit_anywhere_is_no_answer_on_tcp(lie: int) -> None:
    """Every bit of header, function and count is checked by the quick way as by the slow one."""
    envelope, found = TcpEnvelope(), None
    number = int.from_bytes(envelope.open(READ)[:2], "big")
    right = modbus.tcp_frame(number, 7, b"\x03\x04\x00\x01\x00\x02")
    wrong = bytearray(right)
    wrong[lie // 8] ^= 1 << lie % 8
    with contextlib.suppress(BadReplyError, StreamError, DeviceRefusalError):
        found = envelope.receive(bytes(wrong))

    assert found is None
    other = TcpEnvelope()
    other.open(READ)
    assert other.receive(right) == right[7:]


@pytest.mark.parametrize("slowest_us", [2_000, 30_000, 55_000])
def test_after_a_failure_the_line_is_quiet_longer_than_the_worst_reply(
    kit: SimpleNamespace, slowest_us: int
) -> None:
    """On RTU nothing is sent before a reply as late as the slowest one seen would be past."""
    virtual = line_of(kit, RTU, scan_ms=200, timeout_ms=60)
    virtual.slave.delay_us = slowest_us
    virtual.run(2_000_000)
    virtual.slave.delay_us = 1_000
    virtual.run(60_000_000)
    virtual.slave.bad, virtual.slave.share = frozenset({1}), 1.0
    virtual.slave.twist = lambda slave, envelope, pdu: []
    begun = len(virtual.sent)
    virtual.run(90_000_000)

    asked = virtual.sent[begun:]
    lost = [n for n, (_, data) in enumerate(asked[:-1]) if data[0] == 1]
    quiet = [asked[n + 1][0] - asked[n][0] - 60_000 for n in lost]
    assert len(quiet) >= 5
    assert min(quiet) > slowest_us
    assert virtual.short_gaps == 0


def test_the_quiet_time_never_exceeds_two_seconds(kit: SimpleNamespace) -> None:
    """Devices that take 1.9 s cost the line 2 s after a failure, not half as much again."""
    virtual = line_of(kit, RTU, scan_ms=10_000, timeout_ms=2_000)
    virtual.slave.delay_us = 1_900_000
    virtual.run(30_000_000)
    virtual.slave.bad, virtual.slave.share = frozenset({1}), 1.0
    virtual.slave.twist = lambda slave, envelope, pdu: []
    begun = len(virtual.sent)
    virtual.run(200_000_000)

    asked = virtual.sent[begun:]
    steps = [b[0] - a[0] for a, b in itertools.pairwise(asked) if (a[1][0], b[1][0]) == (1, 2)]
    assert len(steps) >= 5
    quiet = min(steps) - 2_000_000
    assert quiet > 1_900_000
    assert quiet <= QUIET_MAX_US + 4 * QUIET_MARGIN_US


def test_the_worst_reply_is_remembered_for_ten_minutes_and_forgotten_after_twenty() -> None:
    """A maximum over two windows: it never falls before ten minutes have passed."""
    worst = WorstReply()
    worst.note(50_000, 1_000_000_000)
    for n in range(1, WORST_WINDOW_US // 1_000_000):
        worst.note(1_000, 1_000_000_000 + n * 1_000_000)
        assert worst.us == 50_000
    for n in range(2 * WORST_WINDOW_US // 1_000_000 + 1):
        worst.note(1_000, 1_000_000_000 + WORST_WINDOW_US + n * 1_000_000)

    assert worst.us == 1_000


@pytest.mark.parametrize("url", [TCP, RTU])
@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 10, 11])
def test_a_refusal_is_no_value_and_its_code_can_be_seen(
    kit: SimpleNamespace, url: str, code: int
) -> None:
    """COMM_FAULT without a number, the line up, the neighbour on time, the code in the status."""
    virtual = line_of(kit, url, scan_ms=500, timeout_ms=60)
    slave = virtual.slave
    slave.bad, slave.share = frozenset({1}), 1.0
    slave.twist = lambda slave, envelope, pdu: [
        (2_000, slave.wrap(envelope.tag, envelope.unit, bytes((pdu[0] | 0x80, code))))
    ]

    virtual.run(60_000_000)

    of_bad = [s for s in virtual.samples if s.device == "d1"]
    assert {r.quality for s in of_bad for r in s.readings} == {Quality.COMM_FAULT}
    times = [s.sampled_ms for s in virtual.samples if s.readings[0].point == "2_near"]
    assert max(b - a for a, b in itertools.pairwise(times)) <= 600
    status = virtual.line.status()
    assert (status.up, status.last_failure, status.last_failure_unit) == (
        True,
        f"exception_{code}",
        1,
    )


@pytest.mark.parametrize("code", [5, 6, 10, 11])
def test_who_is_busy_or_out_of_reach_is_asked_less_often(kit: SimpleNamespace, code: int) -> None:
    """Gateway exceptions back off to 5 s and are never repeated at once, but never end."""
    virtual = line_of(kit, TCP, units=1, scan_ms=100, timeout_ms=60)
    slave = virtual.slave
    slave.bad, slave.share = frozenset({1}), 1.0
    slave.twist = lambda slave, envelope, pdu: [
        (2_000, slave.wrap(envelope.tag, envelope.unit, bytes((pdu[0] | 0x80, code))))
    ]

    virtual.run(61_000_000)

    assert 10 <= len(virtual.sent) <= 120
    assert len(virtual.samples) >= 1000


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        (TCP, "zero_transaction"),
        *itertools.product(
            (TCP, RTU), ("wrong_unit", "wrong_function", "wrong_count", "one_behind")
        ),
    ],
)
def test_three_violations_in_a_row_are_a_fault(kit: SimpleNamespace, url: str, kind: str) -> None:
    """Fault 5: no later than with the third wrong answer the points have no value."""
    virtual = line_of(kit, url, units=1, scan_ms=100, timeout_ms=60)
    virtual.run(1_500_000)
    virtual.slave.bad, virtual.slave.share = frozenset({1}), 1.0
    virtual.slave.twist = kit.twists[kind]
    virtual.samples.clear()
    begun = len(virtual.sent)
    while len(virtual.sent) < begun + 3:
        virtual.run(virtual.now_us + 1_000)
    virtual.run(virtual.now_us + 400_000)

    assert virtual.samples[0].readings[0].quality is Quality.COMM_FAULT
    assert {r.quality for s in virtual.samples for r in s.readings} == {Quality.COMM_FAULT}


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8])
def test_the_bytes_still_missing_are_exact_once_the_function_is_known(size: int) -> None:
    """A serial runner sleeps until the last byte: never past it, and not short of it."""
    reply = modbus.rtu_frame(7, b"\x03\x04\x00\x01\x00\x02")
    refusal = modbus.rtu_frame(7, b"\x83\x06")
    for frame in (reply, refusal):
        envelope = RtuEnvelope()
        envelope.open(READ)
        if size < len(frame):
            envelope.receive(frame[:size])
            missing = len(frame) - size
            assert envelope.missing == missing if size > 1 else 0 < envelope.missing <= missing


@pytest.mark.parametrize(
    ("pdu", "reply_size", "echo"),
    [
        (modbus.read_pdu(1, 0, 9), 4, None),
        (modbus.read_pdu(4, 0, 125), 252, None),
        (modbus.write_coil_pdu(3, True), 5, modbus.write_coil_pdu(3, True)),
        (modbus.write_registers_pdu(3, [1, 2]), 5, b"\x10\x00\x03\x00\x02"),
    ],
)
def test_a_question_knows_its_answer(pdu: bytes, reply_size: int, echo: bytes | None) -> None:
    """Size and echo follow from the question alone."""
    exchange = exchange_of(1, pdu)

    assert (exchange.function, exchange.reply_size, exchange.echo) == (pdu[0], reply_size, echo)
