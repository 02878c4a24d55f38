"""Slow, late and lying devices: 0 wrong values, and nobody else is disturbed."""

import asyncio
import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.address import parse_address
from minewatch_drivers.modbus_line.line import Line
from minewatch_drivers.runners import runners

from minewatch.model.mine import Bus, Device, OutputRole
from minewatch.model.quality import Quality

READS = 10_000
REAL_READS = 500

BOTH = [
    "mute",
    "late",
    "one_behind",
    "wrong_unit",
    "wrong_function",
    "wrong_count",
    "split",
    "damaged",
    "exceptions",
]
TABLE = (
    [("tcp", kind) for kind in (*BOTH, "wrong_transaction", "zero_transaction", "twice")]
    + [("rtu", kind) for kind in (*BOTH, "noise")]
    + [("rtu+tcp", kind) for kind in (*BOTH, "noise")]
)
SOMETIMES_RIGHT = {"late", "split", "noise", "damaged", "twice", "wrong_transaction"}
NEVER_RIGHT = [row for row in TABLE if row[1] not in SOMETIMES_RIGHT]
URLS = {
    "tcp": "tcp://127.0.0.1:1502",
    "rtu": "rtu:///dev/ttyTEST?baud=9600&parity=E",
    "rtu+tcp": "rtu+tcp://127.0.0.1:1502?baud=19200",
}


@pytest.mark.parametrize(("transport", "kind"), TABLE)
def test_no_wrong_value_in_ten_thousand_reads(
    kit: SimpleNamespace, transport: str, kind: str
) -> None:
    """Whatever one unit does to its answers, no reading holds what its register did not hold."""
    mine = kit.one_bus(URLS[transport], units=2, scan_ms=100, timeout_ms=60)
    line = Line(mine, mine.buses[0], writes=False)
    slave = kit.Slave(rtu=transport != "tcp", timeout_us=60_000, twist=kit.twists[kind])
    virtual = kit.Virtual(line, slave)

    virtual.run(1 << 60, questions=READS)

    assert kit.wrong(virtual.samples, virtual.taken_us, kit.units) == []
    assert virtual.short_gaps == 0
    good = sum(r.quality is Quality.GOOD for s in virtual.samples for r in s.readings)
    assert good > READS / 4


@pytest.mark.parametrize(("transport", "kind"), NEVER_RIGHT)
def test_a_unit_that_always_lies_is_never_good(
    kit: SimpleNamespace, transport: str, kind: str
) -> None:
    """With every answer twisted the unit shows COMM_FAULT, and its neighbours miss no scan."""
    mine = kit.one_bus(URLS[transport], units=3, scan_ms=1000, timeout_ms=60)
    line = Line(mine, mine.buses[0], writes=False)
    slave = kit.Slave(rtu=transport != "tcp", timeout_us=60_000, twist=kit.twists[kind], share=1.0)
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

    def opposite(slave: Any, envelope: Any, pdu: bytes) -> list[tuple[int, bytes]]:
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


async def _lie(kit: SimpleNamespace, transport: str, kind: str, reads: int) -> Any:
    """Run one lying slave on a real wire; returns (what the line brought, its slave, the peer)."""
    timeout_us = 20_000
    slave = kit.Slave(
        rtu=transport != "tcp", timeout_us=timeout_us, twist=kit.twists[kind], delay_us=300
    )
    query = "baud=115200&parity=E"
    if transport == "rtu":
        address = parse_address(f"rtu:///x?{query}")
        peer = kit.peers.PtyPeer(slave, address.byte_us, address.silence_us)
        peer.start()
        url = f"rtu://{peer.path}?{query}"
    else:
        peer = kit.peers.TcpPeer(slave)
        url = f"{transport}://127.0.0.1:{await peer.start()}" + (
            "" if slave.rtu is False else f"?{query}"
        )
    mine = kit.one_bus(url, units=2, scan_ms=10, timeout_ms=timeout_us // 1000)
    watched = kit.peers.Watched(Line(mine, mine.buses[0], writes=False))
    await watched.run(lambda: slave.questions >= reads, limit_s=100)
    stopped = peer.stop()
    if stopped is not None:
        await stopped
    return watched, slave, peer


@pytest.mark.parametrize("transport", ["tcp", "rtu", "rtu+tcp"])
async def test_no_wrong_value_on_real_wires(
    kit: SimpleNamespace, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five hundred questions of each kind on sockets and ptys, all kinds side by side."""
    monkeypatch.setattr(runners, "BACK_OFF_MIN_S", 0.02)
    kinds = [kind for each, kind in TABLE if each == transport]

    results = await asyncio.gather(*(_lie(kit, transport, kind, REAL_READS) for kind in kinds))

    for kind, (watched, slave, peer) in zip(kinds, results, strict=True):
        assert kit.wrong(watched.samples, watched.taken_us, kit.units) == [], kind
        assert slave.questions >= REAL_READS, kind
        good = sum(r.quality is Quality.GOOD for s in watched.samples for r in s.readings)
        assert good > REAL_READS / 10, kind
        assert getattr(peer, "short_gaps", 0) == 0, kind
