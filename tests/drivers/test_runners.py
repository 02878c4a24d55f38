"""Runners on real wires: they come back after loss, hold one port alone, and end cleanly."""

import asyncio
import os
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
import serial
from minewatch_drivers.address import parse_address
from minewatch_drivers.modbus_line.line import Line
from minewatch_drivers.runners import runners

from minewatch.model.mine import Bus, Device, OutputRole
from minewatch.model.quality import Quality

QUERY = "baud=115200&parity=E"


@pytest.fixture(autouse=True)
def quick_reconnects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Come back in 50 ms here; the real pace is pinned by its own test."""
    monkeypatch.setattr(runners, "BACK_OFF_MIN_S", 0.05)
    monkeypatch.setattr(runners, "BACK_OFF_MAX_S", 0.1)


def watched(kit: SimpleNamespace, url: str, **line: Any) -> Any:
    """Return a running-to-be line of two units on `url`."""
    mine = kit.one_bus(url, units=2, scan_ms=20, timeout_ms=100)
    return kit.peers.Watched(Line(mine, mine.buses[0], writes=False))


async def until(done: Any, limit_s: float = 10) -> bool:
    """Wait until `done()`; returns whether it came."""
    end = time.monotonic() + limit_s
    while not done() and time.monotonic() < end:
        await asyncio.sleep(0.01)
    return bool(done())


def last_quality(what: Any) -> Quality | None:
    """Return the quality of the newest reading."""
    return what.samples[-1].readings[0].quality if what.samples else None


async def test_tcp_comes_back_after_the_peer_was_away(kit: SimpleNamespace) -> None:
    """Values end with the connection at once and begin again with the next one."""
    peer = kit.peers.TcpPeer(kit.Slave(rtu=False, timeout_us=100_000))
    port = await peer.start()
    line = watched(kit, f"tcp://127.0.0.1:{port}")
    await line.runner.start()
    assert await until(lambda: last_quality(line) is Quality.GOOD)

    dropped_us = kit.peers.CLOCK.now_us()
    peer.drop()

    assert await until(lambda: peer.connections >= 2 and line.line.status().up)
    assert await until(lambda: last_quality(line) is Quality.GOOD)
    assert line.line.status().since_us > dropped_us
    lost = {r.quality for s in line.samples for r in s.readings}
    assert Quality.COMM_FAULT in lost
    await line.runner.stop()
    await peer.stop()


async def test_a_refused_connection_is_tried_again_and_its_points_fail(
    kit: SimpleNamespace,
) -> None:
    """Nobody listens: COMM_FAULT at the pace of the scan, and the error has a name."""
    line = watched(kit, "tcp://127.0.0.1:1")
    await line.runner.start()

    assert await until(lambda: len(line.samples) > 20)
    await line.runner.stop()

    status = line.line.status()
    assert (status.up, status.error) == (False, "connect")
    assert {r.quality for s in line.samples for r in s.readings} == {Quality.COMM_FAULT}


async def test_a_pulled_adapter_is_found_again(kit: SimpleNamespace, tmp_path: Any) -> None:
    """The port's far end closes; a new one under the same name is taken."""
    link = tmp_path / "adapter"
    address = parse_address(f"rtu://{link}?{QUERY}")

    def plug() -> Any:
        made = kit.peers.PtyPeer(
            kit.Slave(rtu=True, timeout_us=100_000), address.byte_us, address.silence_us
        )
        link.unlink(missing_ok=True)
        link.symlink_to(made.path)
        made.start()
        return made

    first = plug()
    line = watched(kit, f"rtu://{link}?{QUERY}")
    await line.runner.start()
    assert await until(lambda: last_quality(line) is Quality.GOOD)
    first.stop()
    assert await until(lambda: not line.line.status().up)
    second = plug()

    assert await until(lambda: last_quality(line) is Quality.GOOD)
    await line.runner.stop()
    second.stop()


async def test_a_serial_port_has_one_owner(kit: SimpleNamespace) -> None:
    """While the line runs nobody else can open its port exclusively; afterwards anybody can."""
    address = parse_address(f"rtu:///x?{QUERY}")
    peer = kit.peers.PtyPeer(
        kit.Slave(rtu=True, timeout_us=100_000), address.byte_us, address.silence_us
    )
    peer.start()
    line = watched(kit, f"rtu://{peer.path}?{QUERY}")
    await line.runner.start()
    assert await until(lambda: last_quality(line) is Quality.GOOD)

    with pytest.raises(serial.SerialException):
        serial.Serial(peer.path, exclusive=True)
    await line.runner.stop()

    serial.Serial(peer.path, exclusive=True).close()
    peer.stop()


@pytest.mark.parametrize("transport", ["tcp", "rtu"])
async def test_a_kick_writes_at_once(kit: SimpleNamespace, transport: str) -> None:
    """A wanted level reaches the wire within ms of the kick, not at the next scan."""
    slave = kit.Slave(rtu=transport == "rtu", timeout_us=200_000, delay_us=500)
    address = parse_address(f"rtu:///x?{QUERY}")
    peer = (
        kit.peers.TcpPeer(slave)
        if transport == "tcp"
        else kit.peers.PtyPeer(slave, address.byte_us, address.silence_us)
    )
    started = peer.start()
    url = f"rtu://{peer.path}?{QUERY}" if transport == "rtu" else ""
    url = url or f"tcp://127.0.0.1:{await started}"
    bus = Bus("line", url, scan_ms=5_000, timeout_ms=200)
    cut = kit.output("cut", OutputRole.POWER_CUT, "relay", "coil_1")
    mine = kit.bare_mine(bus, (Device("relay", "line", 1, "two-blocks"),), outputs=(cut,))
    line = kit.peers.Watched(Line(mine, bus, writes=True))
    await line.runner.start()
    clock = kit.peers.CLOCK
    assert await until(lambda: line.line.status().up)

    async def took_ms(level: bool) -> float:
        begun_us = clock.now_us()
        line.line.want({"cut": level}, begun_us)
        line.runner.kick()
        assert await until(lambda: slave.coils.get(0) == level)
        return float(clock.now_us() - begun_us) / 1000

    times = [await took_ms(n % 2 == 0) for n in range(20)]

    await line.runner.stop()
    stopped = peer.stop()
    if stopped is not None:
        await stopped
    assert sorted(times)[10] < 100


async def test_stopping_leaves_nothing_behind(kit: SimpleNamespace) -> None:
    """Neither thread nor task nor open file remains, in whatever state a line was stopped."""
    before_threads, before_files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    address = parse_address(f"rtu:///x?{QUERY}")
    for _ in range(5):
        peer = kit.peers.PtyPeer(
            kit.Slave(rtu=True, timeout_us=100_000), address.byte_us, address.silence_us
        )
        peer.start()
        for url in (
            f"rtu://{peer.path}?{QUERY}",
            "rtu:///dev/absent?baud=9600",
            "tcp://127.0.0.1:1",
        ):
            line = watched(kit, url)
            await line.runner.start()
            await asyncio.sleep(0.05)
            await line.runner.stop()
            line.runner.kick()
        peer.stop()

    await asyncio.sleep(0.05)
    tasks = [t for t in asyncio.all_tasks() if t.get_name().startswith("line ")]
    assert tasks == []
    assert threading.active_count() <= before_threads + 1
    assert len(os.listdir("/proc/self/fd")) <= before_files


def test_waits_double_to_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """1, 2, 4, 5, 5 … seconds, each up to a fifth longer and never shorter."""
    monkeypatch.undo()

    waits = [[runners.back_off_s(n) for _ in range(200)] for n in (0, 1, 2, 3, 50)]

    for middle, drawn in zip((1, 2, 4, 5, 5), waits, strict=True):
        assert middle <= min(drawn) < max(drawn) <= 1.2 * middle
        assert max(drawn) - min(drawn) > 0.1 * middle


@pytest.mark.parametrize(
    "url",
    [
        "",
        "tcp://",
        "tcp://host",
        "udp://host:1",
        "rtu://dev/ttyS0",
        "rtu:///dev/ttyS0?baud=x",
        "rtu:///dev/ttyS0?baud=1",
        "rtu:///dev/ttyS0?parity=M",
        "rtu:///dev/ttyS0?bauds=9600",
        "tcp://host:99999",
    ],
)
def test_what_is_no_line_is_refused(url: str) -> None:
    """A wrong url is a ValueError, never a default."""
    with pytest.raises(ValueError, match=r".+"):
        parse_address(url)


@pytest.mark.parametrize(
    ("url", "byte_us", "silence_us"),
    [
        ("tcp://h:502", 0, 0),
        ("rtu:///d?baud=9600&parity=E", 1145, 4011),
        ("rtu:///d?baud=9600&parity=N", 1041, 4011),
        ("rtu:///d?baud=9600&parity=N&stop=2", 1145, 4011),
        ("rtu:///d?baud=19200", 572, 2006),
        ("rtu:///d?baud=115200", 95, 1750),
    ],
)
def test_times_of_a_serial_line(url: str, byte_us: int, silence_us: int) -> None:
    """Byte time follows baud and parity; t3.5 is 3.5 × 11 bits, 1.75 ms above 19 200 baud."""
    address = parse_address(url)

    assert int(address.byte_us) == byte_us
    assert address.silence_us == silence_us
