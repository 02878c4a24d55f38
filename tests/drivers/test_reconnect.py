"""Reconnects by the thousand: descriptors, tasks, threads and memory stay where they were.

The wait between connections is a parameter of the runners and is short here; its real pace is
pinned in `test_runners` and `test_flapping`.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.address import parse_address
from minewatch_drivers.device_files import device_file
from minewatch_drivers.lines import open_line
from minewatch_drivers.runners.serial_runner import SerialRunner
from minewatch_drivers.runners.tcp_runner import TcpRunner
from minewatch_sim.proxy_ends import Adapter

LINES = 50
QUICK_S = 0.005
GROWTH_MAX_KB = 4_096


@pytest.fixture
def war(kit: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The campaign's makers, with their device files known."""
    campaign: ModuleType = kit.campaign
    made = {name: device_file.parse(name, "test", text) for name, text in campaign.MODELS.items()}
    real = device_file.load
    monkeypatch.setattr(device_file, "load", lambda name: made.get(name) or real(name))
    return campaign


class Held:
    """What this process holds now."""

    def __init__(self) -> None:
        self.files = len(os.listdir("/proc/self/fd"))
        self.threads = threading.active_count()
        self.tasks = len(asyncio.all_tasks())
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        self.memory_kb = pages * os.sysconf("SC_PAGE_SIZE") // 1024


class Slamming(asyncio.Protocol):
    """Takes a connection and closes it: at once, or with the first question."""

    count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it; close every other one at once."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        Slamming.count += 1
        if Slamming.count % 2:
            transport.abort()

    def data_received(self, _: bytes) -> None:
        """Close in the middle of an exchange."""
        self._transport.abort()


async def reach(count: Callable[[], int], goal: int, limit_s: float) -> None:
    """Wait until so many reconnects have been."""
    async with asyncio.timeout(limit_s):
        while count() < goal:
            await asyncio.sleep(0.01)


async def slam(war: ModuleType, clock: Any, goal: int, limit_s: float) -> tuple[Held, Held, Held]:
    """Connect that often on sockets; return what was held in the middle, at its end and after."""
    Slamming.count = 0
    server = await asyncio.get_running_loop().create_server(Slamming, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    mine = war.one_bus(f"tcp://127.0.0.1:{port}", units=1, scan_ms=20)
    runners = []
    for _ in range(LINES):
        line = open_line(mine, mine.buses[0], writes=False)
        address = parse_address(line.bus.url)
        runners.append(TcpRunner(line, address, clock, line.take, lambda _: QUICK_S))
    for runner in runners:
        await runner.start()
    await reach(lambda: Slamming.count, goal // 4, limit_s)
    middle = Held()
    await reach(lambda: Slamming.count, goal, limit_s)
    end = Held()
    for runner in runners:
        await runner.stop()
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.05)
    return middle, end, Held()


def judge(before: Held, middle: Held, end: Held, after: Held) -> None:
    """Hold what a run held against what it held before.

    A connection may be open or not, and the peer accepts each in a task of its own.
    """
    assert end.files <= middle.files + 2 * LINES
    assert end.threads == middle.threads
    assert end.tasks <= middle.tasks + LINES
    assert end.memory_kb <= middle.memory_kb + GROWTH_MAX_KB
    assert after.files <= before.files + 2
    assert after.tasks == before.tasks


async def test_two_thousand_reconnects_leave_nothing(war: ModuleType, kit: SimpleNamespace) -> None:
    """Fifty lines at a peer that slams its door: nothing is left of 2 000 connections."""
    await slam(war, kit.peers.CLOCK, 2 * LINES, 20)
    before = Held()
    judge(before, *await slam(war, kit.peers.CLOCK, 2_000, 60))


@pytest.mark.nightly
@pytest.mark.timeout(3600)
async def test_a_hundred_thousand_reconnects_leave_nothing(
    war: ModuleType, kit: SimpleNamespace
) -> None:
    """The full volume on sockets."""
    await slam(war, kit.peers.CLOCK, 2_000, 60)
    before = Held()
    judge(before, *await slam(war, kit.peers.CLOCK, 100_000, 3_000))


async def plug(war: ModuleType, clock: Any, folder: Path, goal: int) -> tuple[Held, Held, Held]:
    """Pull and plug an adapter that often under a running line."""
    adapter = Adapter(folder / "adapter")
    mine = war.one_bus(f"rtu://{adapter.path}?baud=115200&parity=N", units=1, scan_ms=20)
    line = open_line(mine, mine.buses[0], writes=False)
    address = parse_address(line.bus.url)
    heard: list[bytes] = []
    runner = SerialRunner(line, address, clock, line.take, lambda _: QUICK_S)
    await runner.start()
    middle = Held()
    for turn in range(goal):
        heard.clear()
        adapter.plug(heard.append, lambda: None)
        async with asyncio.timeout(10):
            while not heard:
                await asyncio.sleep(0.001)
        adapter.unplug()
        if turn == goal // 4:
            middle = Held()
    end = Held()
    await runner.stop()
    await asyncio.sleep(0.05)
    return middle, end, Held()


async def test_thirty_pulled_adapters_leave_nothing(
    war: ModuleType, kit: SimpleNamespace, tmp_path: Path
) -> None:
    """An adapter that comes and goes thirty times; each time its line asks again."""
    await plug(war, kit.peers.CLOCK, tmp_path, 3)
    before = Held()
    judge(before, *await plug(war, kit.peers.CLOCK, tmp_path, 30))


@pytest.mark.nightly
@pytest.mark.timeout(3600)
async def test_five_thousand_pulled_adapters_leave_nothing(
    war: ModuleType, kit: SimpleNamespace, tmp_path: Path
) -> None:
    """The same by the volume that ptys allow."""
    await plug(war, kit.peers.CLOCK, tmp_path, 3)
    before = Held()
    judge(before, *await plug(war, kit.peers.CLOCK, tmp_path, 5_000))
