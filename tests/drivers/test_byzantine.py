"""Slow, late and lying devices: 0 wrong values, and nobody else is disturbed."""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.line import Line

from minewatch.model.mine import Bus, Device, OutputRole
from minewatch.model.quality import Quality

READS = 10_000
Replies = list[tuple[int, bytes]]


def mute(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Accept and never answer."""
    return []


def late(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Answer between half and three times the timeout."""
    delay_us = int(slave.timeout_us * slave.rng.uniform(0.5, 2.9))
    return [(delay_us, slave.wrap(envelope.tag, envelope.unit, pdu))]


def one_behind(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Answer always a little later than the timeout."""
    return [(int(slave.timeout_us * 1.2), slave.wrap(envelope.tag, envelope.unit, pdu))]


def wrong_transaction(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Answer another transaction."""
    tag = (envelope.tag + slave.rng.choice((-2, -1, 1, 7))) % 0x10000
    return [(slave.delay_us, slave.wrap(tag, envelope.unit, pdu))]


def zero_transaction(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Answer with transaction 0."""
    return [(slave.delay_us, slave.wrap(0, envelope.unit, pdu))]


def wrong_unit(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Answer in the name of another unit."""
    unit = slave.rng.choice((0, 2, 3, 255))
    return [(slave.delay_us, slave.wrap(envelope.tag, unit, pdu))]


def wrong_function(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Answer another function, also as an exception."""
    function = slave.rng.choice((1, 2, 3, 6, 0x83, 0x90))
    return [(slave.delay_us, slave.wrap(envelope.tag, envelope.unit, bytes((function,)) + pdu[1:]))]


def wrong_count(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Answer with none, more, or another number of registers than it says."""
    other = slave.rng.choice(
        (b"\x04\x00", b"\x04\x04\x00\x01\x00\x02", b"\x04\x02\x00", b"\x04\x08\x00\x01")
    )
    return [(slave.delay_us, slave.wrap(envelope.tag, envelope.unit, other))]


def split(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Answer in two parts, the second anywhere up to twice the timeout later."""
    data = slave.wrap(envelope.tag, envelope.unit, pdu)
    at = slave.rng.randrange(1, len(data))
    pause_us = int(slave.timeout_us * slave.rng.uniform(0, 2))
    return [(slave.delay_us, data[:at]), (slave.delay_us + pause_us, data[at:])]


def noise(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Put one to eight bytes before the answer."""
    size = slave.rng.randrange(1, 9)
    front = bytes(slave.rng.choice((0, 0xFF, envelope.unit, 4, 0x84)) for _ in range(size))
    return [(slave.delay_us, front + slave.wrap(envelope.tag, envelope.unit, pdu))]


def damaged(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Flip a bit; on TCP only in the header, where nothing else would show it."""
    data = bytearray(slave.wrap(envelope.tag, envelope.unit, pdu))
    data[slave.rng.randrange(len(data) if slave.rtu else 7)] ^= 1 << slave.rng.randrange(8)
    return [(slave.delay_us, bytes(data))]


def exceptions(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Refuse with the codes that gateways use."""
    code = slave.rng.choice((1, 2, 3, 4, 5, 6, 10, 11))
    reply = bytes((pdu[0] | 0x80, code))
    return [(slave.delay_us, slave.wrap(envelope.tag, envelope.unit, reply))]


def twice(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Answer twice, the second time while the next question may be open."""
    data = slave.wrap(envelope.tag, envelope.unit, pdu)
    return [(slave.delay_us, data), (slave.delay_us + 1_000, data)]


BOTH = (mute, late, one_behind, wrong_unit, wrong_function, wrong_count, split, damaged)
TCP_ONLY = (wrong_transaction, zero_transaction)
TABLE = (
    [("tcp", kind) for kind in (*BOTH, *TCP_ONLY, exceptions, twice)]
    + [("rtu", kind) for kind in (*BOTH, noise, exceptions)]
    + [("rtu+tcp", kind) for kind in (*BOTH, noise, exceptions)]
)
URLS = {
    "tcp": "tcp://127.0.0.1:1502",
    "rtu": "rtu:///dev/ttyTEST?baud=9600&parity=E",
    "rtu+tcp": "rtu+tcp://127.0.0.1:1502?baud=19200",
}
SOMETIMES_RIGHT = (late, split, noise, damaged, twice, wrong_transaction)
NEVER_RIGHT = [row for row in TABLE if row[1] not in SOMETIMES_RIGHT]
NEVER_IDS = [f"{transport}-{kind.__name__}" for transport, kind in NEVER_RIGHT]
IDS = [f"{transport}-{kind.__name__}" for transport, kind in TABLE]


@pytest.mark.parametrize(("transport", "kind"), TABLE, ids=IDS)
def test_no_wrong_value_in_ten_thousand_reads(
    kit: SimpleNamespace, transport: str, kind: Any
) -> None:
    """Whatever one unit does to its answers, no reading holds what its register did not hold."""
    mine = kit.one_bus(URLS[transport], units=2, scan_ms=100, timeout_ms=60)
    line = Line(mine, mine.buses[0], writes=False)
    slave = kit.Slave(rtu=transport != "tcp", timeout_us=60_000, twist=kind)
    virtual = kit.Virtual(line, slave)

    virtual.run(1 << 60, questions=READS)

    assert kit.wrong(virtual.samples, virtual.taken_us, kit.units) == []
    assert virtual.short_gaps == 0
    good = sum(r.quality is Quality.GOOD for s in virtual.samples for r in s.readings)
    assert good > READS / 4


@pytest.mark.parametrize(("transport", "kind"), NEVER_RIGHT, ids=NEVER_IDS)
def test_a_unit_that_always_lies_is_never_good(
    kit: SimpleNamespace, transport: str, kind: Any
) -> None:
    """With every answer twisted the unit shows COMM_FAULT, and its neighbours miss no scan."""
    mine = kit.one_bus(URLS[transport], units=3, scan_ms=1000, timeout_ms=60)
    line = Line(mine, mine.buses[0], writes=False)
    slave = kit.Slave(rtu=transport != "tcp", timeout_us=60_000, twist=kind, share=1.0)
    virtual = kit.Virtual(line, slave)

    virtual.run(120_000_000)

    by_point: dict[str, list[tuple[int, Quality]]] = {}
    for sample in virtual.samples:
        for reading in sample.readings:
            by_point.setdefault(reading.point, []).append((sample.sampled_ms, reading.quality))
    assert {q for _, q in by_point["1_near"]} == {Quality.COMM_FAULT}
    for point in ("2_near", "2_far", "3_near", "3_far"):
        times = [at for at, _ in by_point[point]]
        assert {q for _, q in by_point[point]} == {Quality.GOOD}
        assert max(b - a for a, b in itertools.pairwise(times)) <= 1_400
        assert len(times) >= 115


def test_opposite_echo_is_never_success(kit: SimpleNamespace) -> None:
    """A relay that echoes the opposite of what was written is written again and never believed."""

    def opposite(slave: Any, envelope: Any, pdu: bytes) -> Replies:
        twisted = pdu
        if pdu[0] == 5:
            twisted = pdu[:3] + (b"\x00\x00" if pdu[3] else b"\xff\x00")
        return [(slave.delay_us, slave.wrap(envelope.tag, envelope.unit, twisted))]

    bus = Bus("line", URLS["tcp"], scan_ms=500, timeout_ms=60)
    cut = kit.output("cut", OutputRole.POWER_CUT, "relay", "coil_1")
    mine = kit.bare_mine(bus, (Device("relay", "line", 1, "two-blocks"),), outputs=(cut,))
    line = Line(mine, bus, writes=True)
    slave = kit.Slave(rtu=False, timeout_us=60_000, twist=opposite, share=1.0)
    virtual = kit.Virtual(line, slave)
    virtual.on_turn = lambda now_us: line.want({"cut": False}, now_us)

    virtual.run(20_000_000)

    writes = [data for _, data in virtual.sent if data[7] == 5]
    assert 4 <= len(writes) <= 40
    assert line.status().violations >= len(writes)
