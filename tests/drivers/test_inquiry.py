"""Questions of a person through a running line, and the copy of what runs on it."""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.modbus_line.inquiry import PATIENCE_US, TRAFFIC_MAX, WAITING_MAX, Inquiry
from minewatch_drivers.modbus_line.line import Line
from minewatch_drivers.wire import modbus

from minewatch.model.quality import Quality

TCP = "tcp://127.0.0.1:1502"
RTU = "rtu:///dev/ttyTEST?baud=9600&parity=E"
BOTH = pytest.mark.parametrize("url", [TCP, RTU])
READ = modbus.read_pdu(4, 0, 1)


def running(
    kit: SimpleNamespace, url: str, *, units: int = 2, scan_ms: int = 500, writes: bool = False
) -> Any:
    """Return a line that has been reading for a second of virtual time."""
    mine = kit.one_bus(url, units=units, scan_ms=scan_ms, timeout_ms=60)
    slave = kit.Slave(rtu=url != TCP, timeout_us=60_000)
    virtual = kit.Virtual(Line(mine, mine.buses[0], writes=writes), slave)
    virtual.run(virtual.now_us + 1_000_000)
    return virtual


def answer(virtual: Any, inquiry: Inquiry, within_us: int = 5_000_000) -> Any:
    """Ask, let time pass, and return the only reply."""
    assert virtual.line.inquire(inquiry)
    virtual.run(virtual.now_us + within_us)
    (reply,) = virtual.line.replies()
    assert reply.id == inquiry.id
    return reply


@BOTH
def test_an_inquiry_is_answered_beside_the_scans(kit: SimpleNamespace, url: str) -> None:
    """The reply is the PDU of the device, its times lie in order, and no scan is missed."""
    virtual = running(kit, url)
    begun_us = virtual.now_us

    reply = answer(virtual, Inquiry("q", 2, modbus.read_pdu(4, 0, 2)))

    assert (reply.error, reply.pdu[:2]) == ("", b"\x04\x04")
    assert int.from_bytes(reply.pdu[2:4], "big") in kit.allowed(2, 0, reply.start_us, reply.end_us)
    assert begun_us - 1_000_000 <= reply.start_us < reply.end_us <= virtual.now_us
    assert virtual.short_gaps == 0
    assert kit.wrong(virtual.samples, virtual.taken_us, kit.units) == []


@pytest.mark.parametrize("url", [TCP, RTU])
def test_a_busy_line_lets_an_inquiry_wait_two_seconds_at_most(
    kit: SimpleNamespace, url: str
) -> None:
    """Scans that are due go first; after 2 s the inquiry goes before them."""
    virtual = running(kit, url, scan_ms=10)
    virtual.slave.delay_us = 5_000

    reply = answer(virtual, Inquiry("q", 1, READ))

    assert reply.error == ""
    assert PATIENCE_US - 100_000 <= reply.start_us - 2_000_000 <= PATIENCE_US + 200_000


@BOTH
def test_a_stranger_that_does_not_answer_hurts_nobody(kit: SimpleNamespace, url: str) -> None:
    """Asking for a unit that is not there, again and again: timeouts, and values stay good."""
    virtual = running(kit, url)
    virtual.slave.bad, virtual.slave.share = frozenset({9}), 1.0
    virtual.slave.twist = lambda slave, envelope, pdu: []

    errors = [answer(virtual, Inquiry(str(n), 9, READ)).error for n in range(6)]

    assert errors == ["timeout"] * 6
    assert {r.quality for s in virtual.samples for r in s.readings} == {Quality.GOOD}
    status = virtual.line.status()
    assert status.up
    assert status.last_failure == ""


@BOTH
def test_a_failed_inquiry_does_not_make_a_unit_dead(kit: SimpleNamespace, url: str) -> None:
    """A question that one of our devices refuses or leaves unanswered moves no scan of its own."""
    virtual = running(kit, url)
    mute = modbus.read_pdu(1, 5, 1)
    honest = virtual.slave.wrap

    def deaf(slave: Any, envelope: Any, pdu: bytes) -> list[tuple[int, bytes]]:
        return [] if pdu[0] == 1 else [(2_000, honest(envelope.tag, envelope.unit, pdu))]

    virtual.slave.bad, virtual.slave.share, virtual.slave.twist = frozenset({1}), 1.0, deaf
    errors = [answer(virtual, Inquiry(str(n), 1, mute)).error for n in range(4)]

    assert errors == ["timeout"] * 4
    times = [s.sampled_ms for s in virtual.samples if s.readings[0].point == "1_near"]
    assert {r.quality for s in virtual.samples for r in s.readings} == {Quality.GOOD}
    assert max(b - a for a, b in itertools.pairwise(times)) <= 800


@BOTH
@pytest.mark.parametrize(
    ("kind", "errors"),
    [
        ("wrong_unit", {"timeout", "bad_unit", "bad_reply"}),
        ("wrong_function", {"bad_function", "bad_reply", "timeout", "exception_4"}),
        ("wrong_count", {"bad_count", "bad_reply", "timeout"}),
        ("exceptions", {f"exception_{code}" for code in (1, 2, 3, 4, 5, 6, 10, 11)}),
    ],
)
def test_every_check_of_an_exchange_holds_for_inquiries(
    kit: SimpleNamespace, url: str, kind: str, errors: set[str]
) -> None:
    """An answer of another unit, function or size is none."""
    virtual = running(kit, url)
    virtual.slave.bad, virtual.slave.share = frozenset({9}), 1.0
    virtual.slave.twist = kit.twists[kind]

    replies = [answer(virtual, Inquiry(str(n), 9, READ)) for n in range(20)]

    assert all(reply.pdu is None for reply in replies)
    assert {reply.error for reply in replies} <= errors


def test_the_silence_after_a_failure_holds_for_inquiries(kit: SimpleNamespace) -> None:
    """On RTU a unit whose answer is late is left alone, whoever asks: 0 mixed-up answers."""
    virtual = running(kit, RTU, units=3)
    virtual.slave.bad, virtual.slave.share = frozenset({1, 2, 3}), 0.5
    virtual.slave.twist = kit.twists["late"]
    wrong, good = [], 0
    for n in range(300):
        unit, address = 1 + n % 3, 100 * (n % 2)
        reply = answer(virtual, Inquiry(str(n), unit, modbus.read_pdu(4, address, 1)))
        if reply.pdu is not None:
            good += 1
            value = int.from_bytes(reply.pdu[2:4], "big")
            if value not in kit.allowed(unit, address, reply.start_us, reply.end_us):
                wrong.append(reply)

    assert wrong == []
    assert good > 50
    assert virtual.short_gaps == 0
    assert kit.wrong(virtual.samples, virtual.taken_us, kit.units) == []


def test_eight_wait_and_a_ninth_is_told_to_come_later(kit: SimpleNamespace) -> None:
    """The queue is bounded, and says so."""
    line = running(kit, TCP).line

    taken = [line.inquire(Inquiry(str(n), 1, READ)) for n in range(WAITING_MAX + 2)]

    assert taken == [True] * WAITING_MAX + [False, False]


@pytest.mark.parametrize(
    ("pdu", "unit"), [(b"", 1), (b"\x04\x00", 1), (b"\x2b\x0e\x01\x00", 1), (READ, 256), (READ, -1)]
)
def test_what_is_no_question_is_answered_at_once(
    kit: SimpleNamespace, pdu: bytes, unit: int
) -> None:
    """A PDU or unit that cannot be never reaches the wire."""
    virtual = running(kit, TCP)
    sent = len(virtual.sent)

    assert virtual.line.inquire(Inquiry("q", unit, pdu))

    (reply,) = virtual.line.replies()
    assert (reply.pdu, reply.error) == (None, "no_question")
    assert len(virtual.sent) == sent


@pytest.mark.parametrize("writes", [True, False])
def test_a_write_needs_a_line_that_writes(kit: SimpleNamespace, writes: bool) -> None:
    """Where no write path is constructed no inquiry opens one."""
    virtual = running(kit, TCP, writes=writes)

    reply = answer(virtual, Inquiry("w", 1, modbus.write_register_pdu(7, 42)))

    assert (reply.error == "") is writes
    assert virtual.slave.holding == ({7: 42} if writes else {})
    assert writes or reply.error == "no_writes"


def test_inquiries_at_a_lost_line_fail_at_once(kit: SimpleNamespace) -> None:
    """What was under way and what waits are both answered when the connection goes."""
    virtual = running(kit, TCP, scan_ms=60_000)
    for name in "ab":
        virtual.line.inquire(Inquiry(name, 1, READ))
    turn = virtual.line.poll(virtual.now_us)
    assert turn.send is not None

    virtual.line.lost(virtual.now_us, "closed")
    virtual.line.poll(virtual.now_us)

    assert [(r.id, r.error) for r in virtual.line.replies()] == [("a", "closed"), ("b", "not_open")]


def test_an_inquiry_that_noise_keeps_back_is_given_up(kit: SimpleNamespace) -> None:
    """A unit under a silence that never ends costs the person ten seconds, not for ever."""
    virtual = running(kit, RTU)
    virtual.line.inquire(Inquiry("q", 1, READ))
    for now_us in range(virtual.now_us, virtual.now_us + 12_000_000, 3_000):
        virtual.line.feed(b"\xa5", now_us)
        virtual.line.poll(now_us)
    virtual.now_us += 12_000_000
    virtual.run(virtual.now_us + 200_000)

    assert [r.error for r in virtual.line.replies()] == ["no_turn"]


def test_the_tap_shows_both_directions_in_order(kit: SimpleNamespace) -> None:
    """What a watcher gets, put together, is every question and every answer with its time."""
    virtual = running(kit, RTU)
    before = len(virtual.sent)
    virtual.line.tap(on=True)
    virtual.run(virtual.now_us + 2_000_000)

    traffic = virtual.line.tapped()

    sent = [(each.t_us, each.data) for each in traffic if each.sent]
    assert sent == virtual.sent[before:]
    assert len([each for each in traffic if not each.sent]) == len(sent)
    assert all(a.t_us <= b.t_us for a, b in itertools.pairwise(traffic))
    assert virtual.line.tapped() == ()
    virtual.line.tap(on=False)
    virtual.run(virtual.now_us + 1_000_000)
    assert virtual.line.tapped() == ()


def test_a_watcher_that_sleeps_loses_the_oldest_and_is_told(kit: SimpleNamespace) -> None:
    """The copy is bounded; how much is missing is counted."""
    virtual = running(kit, TCP, scan_ms=10)
    virtual.line.tap(on=True)
    begun = len(virtual.sent)
    virtual.run(1 << 60, questions=begun + TRAFFIC_MAX)

    dropped = virtual.line.tap_dropped
    traffic = virtual.line.tapped()

    assert len(traffic) == TRAFFIC_MAX
    assert dropped > 0
    assert virtual.sent[-1][1] in [each.data for each in traffic[-2:]]
