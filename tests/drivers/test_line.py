"""The line machine itself: scans, urgency, identity, heartbeat, floods, loss and return."""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minewatch_drivers.device_files import device_file
from minewatch_drivers.modbus_line.line import Line
from minewatch_drivers.wire import modbus
from minewatch_drivers.wire.exchange import (
    BadReplyError,
    DeviceRefusalError,
    Exchange,
    RtuEnvelope,
    StreamError,
    TcpEnvelope,
)

from minewatch.model.image import Reading, Sample
from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Point
from minewatch.model.quality import Quality

TCP = "tcp://127.0.0.1:1502"
RTU = "rtu:///dev/ttyTEST?baud=9600&parity=E"


class Head:
    """The input registers of a generic methane head."""

    def __init__(self) -> None:
        self.identity, self.beating, self.state, self.value = 0x4D48, True, 0, 50
        self._beat = 0

    def get(self, address: int, default: int = 0) -> int:
        """Return one register."""
        if address == 1 and self.beating:
            self._beat = self._beat + 1 & 0xFFFF
        known = (self.identity, self._beat, self.state, self.value)
        return known[address] if address < 4 else default


def head_line(kit: SimpleNamespace, url: str = TCP, scan_ms: int = 1000) -> tuple[Any, Head]:
    """Return a line with one methane head on virtual time, and the head."""
    bus = Bus("line", url, scan_ms=scan_ms, timeout_ms=200)
    point = Point("T1", "", Kind.METHANE, "z", "d1", "methane", "face")
    mine = kit.bare_mine(bus, (Device("d1", "line", 1, "methane-head-generic"),), points=(point,))
    slave = kit.Slave(rtu=url != TCP, timeout_us=200_000)
    head = slave.inputs = Head()
    return kit.Virtual(Line(mine, bus, writes=False), slave), head


def qualities(virtual: Any) -> list[Quality]:
    """Return the quality of each reading, in order."""
    return [sample.readings[0].quality for sample in virtual.samples]


def test_a_head_is_read_in_one_question(kit: SimpleNamespace) -> None:
    """Identity, heartbeat, status and value come in one block, stamped with its start."""
    virtual, _ = head_line(kit)

    virtual.run(3_500_000)

    assert [data[7:] for _, data in virtual.sent] == [modbus.read_pdu(4, 0, 4)] * 3
    good = (Reading("T1", 50, Quality.GOOD),)
    assert virtual.samples == [Sample("d1", at, good) for at in (1000, 2000, 3000)]


def test_an_urged_head_is_scanned_faster_and_slower_again(kit: SimpleNamespace) -> None:
    """Pre-alarm drops the scan to 200 ms at once; without urgency the old pace returns."""
    virtual, _ = head_line(kit)
    virtual.run(5_100_000)
    virtual.line.urge({"T1"}, 200)
    virtual.run(10_000_000)
    virtual.line.urge((), 200)
    virtual.run(20_000_000)

    times = [sample.sampled_ms for sample in virtual.samples]
    steps = [b - a for a, b in itertools.pairwise(times)]
    fast = [b - a for a, b in itertools.pairwise(t for t in times if 5_000 <= t <= 10_000)]
    assert max(fast) <= 300
    assert 23 <= len(fast) <= 26
    assert set(steps[:4]) == set(steps[-8:]) == {1000}


def test_a_slow_scan_is_never_urged_slower(kit: SimpleNamespace) -> None:
    """Urgency may only shorten a scan."""
    virtual, _ = head_line(kit, scan_ms=100)
    virtual.line.urge({"T1"}, 200)

    virtual.run(3_050_000)

    assert len(virtual.samples) >= 20


@pytest.mark.parametrize("url", [TCP, RTU])
def test_a_strange_identity_is_never_good(kit: SimpleNamespace, url: str) -> None:
    """Another device under this unit number gives COMM_FAULT; the right one is taken again."""
    virtual, head = head_line(kit, url)
    head.identity = 0x4548
    virtual.run(20_000_000)
    strange = qualities(virtual)
    head.identity = 0x4D48

    virtual.run(30_000_000)

    assert set(strange) == {Quality.COMM_FAULT}
    assert qualities(virtual)[-1] is Quality.GOOD


def test_a_heartbeat_that_stands_still_spoils_the_value(kit: SimpleNamespace) -> None:
    """A head whose counter stands still for 5 s is IMPLAUSIBLE without a value, then good again."""
    virtual, head = head_line(kit)
    virtual.run(5_000_000)
    head.beating = False
    virtual.run(15_000_000)
    spoiled = virtual.samples[-1].readings[0]
    head.beating = True

    virtual.run(17_500_000)

    first_bad = next(s.sampled_ms for s in virtual.samples if s.readings[0].value is None)
    assert 9_000 <= first_bad <= 11_000
    assert spoiled == Reading("T1", None, Quality.IMPLAUSIBLE)
    assert qualities(virtual)[-1] is Quality.GOOD


def test_identity_far_away_is_proven_before_the_first_value(kit: SimpleNamespace) -> None:
    """Where identity stands in a table of its own it is asked first, and again after a failure."""
    bus = Bus("line", TCP, scan_ms=1000, timeout_ms=200)
    point = Point("F", "", Kind.FAN_RUN, "z", "d1", "input_1", "local_fan")
    mine = kit.bare_mine(bus, (Device("d1", "line", 1, "switch-module-8"),), points=(point,))
    line = Line(mine, bus, writes=False)
    line.connected(1_000_000)
    identity, value = modbus.read_pdu(4, 0, 2), modbus.read_pdu(2, 0, 1)
    now_us = 1_000_000
    asked: list[bytes] = []
    while len(asked) < 60:
        turn = line.poll(now_us)
        if turn.send is None:
            now_us = turn.wake_us
            continue
        asked.append(turn.send[7:])
        if len(asked) in (21, 22):
            now_us = turn.wake_us
            continue
        reply = b"\x02\x01\x01"
        if asked[-1] == identity:
            reply = bytes((4, 4, 0x53, 0x49, 0, len(asked)))
        now_us += 1000
        line.feed(turn.send[:4] + bytes((0, len(reply) + 1, 1)) + reply, now_us)

    assert asked[:2] == [identity, value]
    assert value in asked[2:20]
    assert asked[22:24] == [identity, value]
    seen = {sample.readings[0] for sample in line.take().samples}
    assert seen == {Reading("F", 1, Quality.GOOD)}


def test_the_sample_of_a_retry_carries_the_time_of_the_first_try(kit: SimpleNamespace) -> None:
    """A value that came with the second try may be as old as the first."""
    virtual, _ = head_line(kit)
    lose = iter([True])
    virtual.slave.share = 1.0
    honest = virtual.slave.wrap

    def lose_one(slave: Any, envelope: Any, pdu: bytes) -> list[tuple[int, bytes]]:
        if next(lose, False):
            return []
        return [(2_000, honest(envelope.tag, envelope.unit, pdu))]

    virtual.slave.twist = lose_one

    virtual.run(1_900_000)

    assert [s.sampled_ms for s in virtual.samples] == [1000]
    assert len(virtual.sent) == 2
    assert qualities(virtual) == [Quality.GOOD]


def test_a_line_that_is_down_fails_its_points_at_every_scan(kit: SimpleNamespace) -> None:
    """Lost, refused or never opened: COMM_FAULT with no value, at the configured pace."""
    virtual, _ = head_line(kit)
    virtual.run(2_500_000)
    virtual.line.lost(2_500_000, "closed")
    virtual.samples.clear()

    virtual.run(12_500_000)

    assert set(qualities(virtual)) == {Quality.COMM_FAULT}
    assert len(virtual.samples) == 10
    status = virtual.line.status()
    assert (status.up, status.error, status.since_us) == (False, "closed", 2_500_000)


def test_nothing_is_said_before_the_first_opening(kit: SimpleNamespace) -> None:
    """A line that is just starting has neither values nor faults; a failed opening has faults."""
    mine = kit.one_bus(TCP)
    line = Line(mine, mine.buses[0], writes=False)
    line.poll(1_000_000)
    early = line.take().samples

    line.lost(1_500_000, "connect")
    line.poll(1_500_000)

    assert early == ()
    assert {r.quality for s in line.take().samples for r in s.readings} == {Quality.COMM_FAULT}


def test_a_mute_connection_is_opened_anew(kit: SimpleNamespace) -> None:
    """A half-open TCP connection is given up after three timeouts, and the line says so."""
    virtual, _ = head_line(kit)
    virtual.slave.share = 1.0
    virtual.slave.twist = lambda slave, envelope, pdu: []
    now_us, asked, turn = virtual.now_us, 0, virtual.line.poll(virtual.now_us)
    while not turn.reconnect and now_us < 20_000_000:
        asked += turn.send is not None
        now_us = turn.wake_us
        turn = virtual.line.poll(now_us)

    assert turn.reconnect
    assert asked == 3
    assert virtual.line.status().error == "timeout"


@pytest.mark.parametrize("junk", [b"\x00" * 5000, b"GET / HTTP/1.1\r\n" * 300])
def test_a_flood_drops_the_connection(kit: SimpleNamespace, junk: bytes) -> None:
    """Bytes without end are bounded; a TCP line asks for a new connection."""
    virtual, _ = head_line(kit)
    virtual.run(1_500_000)
    for start in range(0, len(junk), 500):
        virtual.line.feed(junk[start : start + 500], 1_600_000)

    assert virtual.line.poll(1_600_001).reconnect
    assert virtual.line.status().error in ("flood", "framing")


def test_noise_without_end_on_a_serial_line_has_no_values(kit: SimpleNamespace) -> None:
    """A line that never falls silent is not asked over; its points fail within 5 s, then return."""
    virtual, _ = head_line(kit, RTU)
    virtual.run(2_500_000)
    for now_us in range(2_500_000, 12_500_000, 1_000):
        virtual.line.feed(b"\xa5", now_us)
        turn = virtual.line.poll(now_us)
        assert turn.send is None
    noisy = [s.sampled_ms for s in virtual.line.take().samples]
    error = virtual.line.status().error
    virtual.now_us = 12_500_000
    virtual.samples.clear()

    virtual.run(20_000_000)

    assert noisy[0] <= 8_000
    assert error == "noise"
    assert qualities(virtual)[-1] is Quality.GOOD


def test_status_counts_and_load(kit: SimpleNamespace) -> None:
    """Load is the busy share: 2 ms of each 100 ms here."""
    virtual, _ = head_line(kit, scan_ms=100)

    virtual.run(31_000_000)

    status = virtual.line.status()
    assert status.up
    assert status.error == ""
    assert status.exchanges == pytest.approx(300, abs=2)
    assert status.load == pytest.approx(0.02, rel=0.05)
    assert (status.failures, status.violations) == (0, 0)


def test_nothing_is_kept_without_bound(kit: SimpleNamespace) -> None:
    """A controller that never takes loses the oldest samples, not the newest."""
    virtual, _ = head_line(kit, scan_ms=10)
    virtual.taking = False
    virtual.run(301_000_000)
    samples = virtual.line.take().samples

    assert len(samples) == 20_000
    assert samples[-1].sampled_ms > 300_000


READ = Exchange(7, modbus.read_pdu(3, 10, 2), 3, 6, None)
WRITE = Exchange(7, modbus.write_coil_pdu(3, True), 5, 5, modbus.write_coil_pdu(3, True))


@given(st.binary(max_size=300), st.sampled_from([READ, WRITE]), st.booleans())
@settings(max_examples=1500, deadline=None)
def test_random_bytes_are_never_an_answer(data: bytes, exchange: Exchange, rtu: bool) -> None:
    """Whatever arrives is refused, waited on, or ends the stream; nothing else escapes."""
    envelope: RtuEnvelope | TcpEnvelope = RtuEnvelope() if rtu else TcpEnvelope()
    envelope.open(exchange)
    answer = None
    try:
        answer = envelope.receive(data)
    except (BadReplyError, DeviceRefusalError, StreamError):
        answer = None

    assert answer is None


@given(st.binary(max_size=8), st.lists(st.integers(1, 10), max_size=6), st.booleans())
@settings(max_examples=500, deadline=None)
def test_a_right_answer_is_found_in_any_pieces(
    noise: bytes, cuts: list[int], after_noise: bool
) -> None:
    """An RTU reply behind up to eight noise bytes, cut anywhere, gives exactly its own PDU."""
    pdu = bytes((3, 4, 1, 2, 3, 4))
    stream = (noise if after_noise else b"") + modbus.rtu_frame(7, pdu)
    envelope = RtuEnvelope()
    envelope.open(READ)
    found, at = None, 0
    for size in [*cuts, len(stream)]:
        piece, at = stream[at : at + size], at + size
        if piece and found is None:
            found = envelope.receive(piece)

    assert found == pdu


@pytest.mark.parametrize(
    ("unit", "pdu", "why"),
    [
        (8, b"\x03\x04\x00\x01\x00\x02", "unit"),
        (7, b"\x04\x04\x00\x01\x00\x02", "function"),
        (7, b"\x83", "function"),
        (7, b"\x84\x02", "function"),
        (7, b"\x03\x02\x00\x01", "count"),
        (7, b"\x03\x04\x00\x01", "count"),
        (7, b"\x03\x06\x00\x01\x00\x02", "count"),
        (7, b"\x03\x00", "count"),
    ],
)
def test_each_way_to_be_wrong_has_its_name(unit: int, pdu: bytes, why: str) -> None:
    """Unit, function and count are checked, and the count against the bytes as well."""
    with pytest.raises(BadReplyError) as caught:
        READ.check(unit, pdu)

    assert caught.value.why == why


def test_the_worst_case_device_has_no_protection_but_the_line(kit: SimpleNamespace) -> None:
    """The two-block device of these tests has neither identity nor heartbeat to lean on."""
    model = device_file.load("two-blocks")

    assert model.sentinel is None
    assert model.heartbeat is None
