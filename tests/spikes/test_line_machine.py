"""Spike a: one line machine under asyncio TCP, a serial thread on a 9600-baud pty, virtual time.

Late replies are injected everywhere. The machine is the same object in all three.
"""

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from minewatch_drivers.address import parse_address
from minewatch_drivers.device_files import device_file
from minewatch_drivers.modbus_line.line import Line

from minewatch.model.quality import Quality

DRIVERS = Path(__file__).parents[1] / "drivers"
TIMEOUT_US = 60_000


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"line_machine_{name}", DRIVERS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


kit = _load("conftest")
peers = kit.load_neighbour("peers")


@pytest.fixture(autouse=True)
def _two_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = device_file.load, device_file.parse("two-blocks", "test", kit.TWO_BLOCKS)
    monkeypatch.setattr(device_file, "load", lambda n: made if n == "two-blocks" else real(n))


def late(slave: Any, envelope: Any, pdu: bytes) -> list[tuple[int, bytes]]:
    """Answer between half and three times the timeout."""
    delay_us = int(slave.timeout_us * slave.rng.uniform(0.5, 2.9))
    return [(delay_us, slave.wrap(envelope.tag, envelope.unit, pdu))]


def _line(url: str, timeout_us: int = TIMEOUT_US, scan_ms: int = 100) -> Line:
    mine = kit.one_bus(url, units=2, scan_ms=scan_ms, timeout_ms=timeout_us // 1000)
    return Line(mine, mine.buses[0], writes=False)


def _slave(rtu: bool, seed: int = 1, timeout_us: int = TIMEOUT_US) -> Any:
    return kit.Slave(rtu=rtu, timeout_us=timeout_us, twist=late, seed=seed, share=0.3)


UNITS = {f"{n}_{s}": (n, a) for n in (1, 2) for s, a in (("near", 0), ("far", 100))}


def _history(url: str, seed: int) -> tuple[str, Any]:
    virtual = kit.Virtual(_line(url), _slave(not url.startswith("tcp"), seed))
    virtual.run(60_000_000)
    told = repr((virtual.sent, virtual.samples, virtual.line.status()))
    return hashlib.sha256(told.encode()).hexdigest(), virtual


@pytest.mark.parametrize(
    "url", ["rtu:///dev/ttyTEST?baud=9600&parity=E", "tcp://h:1", "rtu+tcp://h:1?baud=19200"]
)
def test_twenty_virtual_runs_give_one_digest(url: str) -> None:
    """The same seed gives the same bytes, times and readings; no value is wrong, no gap short."""
    runs = [_history(url, seed=7) for _ in range(20)]
    other, _ = _history(url, seed=8)

    assert len({digest for digest, _ in runs}) == 1
    assert other != runs[0][0]
    for _, virtual in runs:
        assert kit.wrong(virtual.samples, virtual.taken_us, UNITS) == []
        assert virtual.short_gaps == 0
        assert virtual.line.status().failures > 20


async def test_the_same_machine_on_tcp() -> None:
    """Over a real socket with late replies every value was in its register while it was asked."""
    peer = peers.TcpPeer(_slave(rtu=False))
    port = await peer.start()
    watched = peers.Watched(_line(f"tcp://127.0.0.1:{port}", scan_ms=20))

    await watched.run(lambda: peer.slave.questions >= 300, limit_s=20)

    await peer.stop()
    assert peer.slave.questions >= 300
    assert kit.wrong(watched.samples, watched.taken_us, UNITS) == []
    assert watched.line.status().failures > 10
    assert _good(watched) > 100


async def test_the_same_machine_on_a_slow_serial_line() -> None:
    """On a 9600-baud pty with late replies no value is wrong and every silent interval is kept."""
    address = parse_address("rtu:///x?baud=9600&parity=E")
    peer = peers.PtyPeer(_slave(rtu=True), address.byte_us, address.silence_us)
    watched = peers.Watched(_line(f"rtu://{peer.path}?baud=9600&parity=E"))
    peer.start()

    await watched.run(lambda: peer.slave.questions >= 90, limit_s=20)

    peer.stop()
    assert peer.slave.questions >= 90
    assert kit.wrong(watched.samples, watched.taken_us, UNITS) == []
    assert peer.short_gaps == 0
    assert watched.line.status().failures > 5
    assert _good(watched) > 20


def _good(watched: Any) -> int:
    return sum(r.quality is Quality.GOOD for s in watched.samples for r in s.readings)
