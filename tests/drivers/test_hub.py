"""All TCP lines of a loop on one epoll: fair, bounded, whole, and gone when they are stopped."""

import asyncio
import contextlib
import os
import selectors
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.address import parse_address
from minewatch_drivers.modbus_line.line import Line, Turn
from minewatch_drivers.runners import hub as hub_room
from minewatch_drivers.runners import tcp_runner
from minewatch_drivers.runners.hub import HEAP_SPARE, NEVER_US, READ, Hub, hub_of
from minewatch_drivers.runners.tcp_runner import UNSENT_MAX, TcpRunner, numeric

from minewatch.model.quality import Quality


class Script:
    """A line without a protocol: sends what lies in `out`, keeps what comes, may be faulty."""

    def __init__(self, clock: Any) -> None:
        self.bus = SimpleNamespace(id="script")
        self.out: list[bytes] = []
        self.came = bytearray()
        self.events: list[str] = []
        self.faulty = False
        self.fresh = False
        self.answered_since_open = False
        self.missing_bytes = 0
        self._clock = clock

    def connected(self, _now_us: int) -> None:
        """Note it."""
        self.events.append("connected")

    def lost(self, _now_us: int, why: str) -> None:
        """Note why."""
        self.events.append(why)

    def feed(self, data: bytes, _now_us: int) -> None:
        """Keep the bytes, or fail as a bug would."""
        if self.faulty:
            raise ZeroDivisionError
        self.came += data

    def poll(self, now_us: int) -> Turn:
        """Send the next piece."""
        return Turn(self.out.pop(0) if self.out else None, now_us + 5_000, reconnect=False)

    def status(self) -> Any:
        """Say nothing."""
        return SimpleNamespace(error="script")


@pytest.fixture
def port() -> Iterator[socket.socket]:
    """A listening socket that nobody accepts from yet."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@contextlib.asynccontextmanager
async def scripted(
    kit: SimpleNamespace, listener: socket.socket, host: str = "127.0.0.1"
) -> AsyncIterator[tuple[Script, TcpRunner]]:
    """Run a scripted line against `listener`."""
    clock = kit.peers.CLOCK
    line = Script(clock)
    address = parse_address(f"tcp://{host}:{listener.getsockname()[1]}")
    runner = TcpRunner(line, address, clock, lambda: None, lambda _: 0.05)  # type: ignore[arg-type]
    await runner.start()
    yield line, runner
    await runner.stop()


async def accepted(listener: socket.socket, line: Script) -> socket.socket:
    """Return the next connection, once the line knows of it."""
    peer, _ = await asyncio.get_running_loop().sock_accept(listener)
    peer.setblocking(False)
    assert await until(lambda: line.events[-1:] == ["connected"])
    return peer


async def until(done: Callable[[], bool], limit_s: float = 10) -> bool:
    """Wait until `done()`; returns whether it came."""
    end = time.monotonic() + limit_s
    while not done() and time.monotonic() < end:
        await asyncio.sleep(0.005)
    return done()


async def test_what_the_peer_does_not_take_at_once_arrives_whole(
    kit: SimpleNamespace, port: socket.socket
) -> None:
    """A send that the kernel takes in parts reaches the peer complete and in order."""
    data = bytes(range(256)) * 20_000
    async with scripted(kit, port) as (line, runner):
        peer = await accepted(port, line)
        line.out.append(data)
        runner.kick()
        await asyncio.sleep(0.05)
        got = bytearray()
        while len(got) < len(data):
            got += await asyncio.get_running_loop().sock_recv(peer, 1 << 16)

        assert bytes(got) == data
        assert line.events == ["connected"]
        peer.close()


async def test_a_peer_that_reads_nothing_is_left(kit: SimpleNamespace, port: socket.socket) -> None:
    """What waits to be sent is bounded; beyond it the connection is broken."""
    async with scripted(kit, port) as (line, _):
        peer = await accepted(port, line)
        line.out = [bytes(4_000_000), *[bytes(UNSENT_MAX)] * 3]

        assert await until(lambda: "broken" in line.events)
        peer.close()


@pytest.mark.parametrize("abrupt", [True, False])
async def test_the_end_of_a_connection_has_its_name(
    kit: SimpleNamespace, port: socket.socket, abrupt: bool
) -> None:
    """A reset is `broken`, an orderly end `closed`; either way it is opened again."""
    async with scripted(kit, port) as (line, _):
        peer = await accepted(port, line)
        if abrupt:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()

        assert await until(lambda: line.events.count("connected") == 2)
        assert line.events[1] == ("broken" if abrupt else "closed")


async def test_a_connection_that_does_not_come_is_given_up(
    kit: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that answers nothing at all costs the connect limit, not for ever."""
    monkeypatch.setattr(tcp_runner, "CONNECT_LIMIT_US", 200_000)
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # a queue that is full lets further connections hang
            hanging = stack.enter_context(socket.socket())
            hanging.setblocking(False)
            hanging.connect_ex(full.getsockname())
        async with scripted(kit, full) as (line, _):
            begun = time.monotonic()
            assert await until(lambda: "connect" in line.events)
            assert time.monotonic() - begun >= 0.19


async def test_a_host_that_was_silent_is_tried_again(
    kit: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After connections that never came, the host is back: the next try reaches it."""
    monkeypatch.setattr(tcp_runner, "CONNECT_LIMIT_US", 50_000)
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            hanging = stack.enter_context(socket.socket())
            hanging.setblocking(False)
            hanging.connect_ex(full.getsockname())
        full.setblocking(False)
        async with scripted(kit, full) as (line, _):
            assert await until(lambda: line.events.count("connect") >= 3)
            assert await until(lambda: _emptied(full, stack) and "connected" in line.events)


def _emptied(full: socket.socket, stack: contextlib.ExitStack) -> bool:
    """Accept whatever waits; True."""
    with contextlib.suppress(BlockingIOError):
        while True:
            stack.enter_context(full.accept()[0])
    return True


async def test_a_loop_that_was_held_up_loses_no_connection(
    kit: SimpleNamespace, port: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that stand are taken although nobody could look at them within their limit."""
    monkeypatch.setattr(tcp_runner, "CONNECT_LIMIT_US", 20_000)
    monkeypatch.setattr(hub_room, "BATCH_MAX", 1)
    async with contextlib.AsyncExitStack() as stack:
        lines = [(await stack.enter_async_context(scripted(kit, port)))[0] for _ in range(4)]
        held_us = kit.peers.CLOCK.now_us() + 60_000
        while kit.peers.CLOCK.now_us() < held_us:
            pass
        assert await until(lambda: all("connected" in line.events for line in lines))
        assert all("connect" not in line.events for line in lines)


@pytest.mark.parametrize("found", [["127.0.0.9", "127.0.0.1"], ["::1", "127.0.0.1"]])
async def test_every_address_of_a_name_is_tried(
    kit: SimpleNamespace,
    port: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    found: list[str],
) -> None:
    """A name is looked up off the loop; where its first address refuses the next one is taken."""
    number = port.getsockname()[1]

    async def look_up(host: str, asked: int, **_: Any) -> list[Any]:
        assert (host, asked) == ("gateway.mine", number)
        targets = [numeric(each, number) or pytest.fail(each) for each in found]
        return [(family, 1, 6, "", address) for family, address in targets]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    async with scripted(kit, port, "gateway.mine") as (line, _):
        peer = await accepted(port, line)

        assert await until(lambda: line.events == ["connected"])
        peer.close()


async def test_a_name_that_nobody_knows_is_a_failed_connection(
    kit: SimpleNamespace, port: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked up again with every try."""
    asked = []

    async def look_up(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        raise socket.gaierror(-2, "no such name")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    async with scripted(kit, port, "gateway.mine") as (line, _):
        assert await until(lambda: line.events[:2] == ["connect", "connect"])

    assert len(asked) >= 2


async def test_stopping_in_the_middle_of_a_lookup_leaves_nothing(
    kit: SimpleNamespace, port: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver that never answers keeps no task and no file alive."""

    async def look_up(*_: Any, **__: Any) -> list[Any]:
        await asyncio.sleep(3600)
        return []

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    before = len(os.listdir("/proc/self/fd"))
    async with scripted(kit, port, "gateway.mine"):
        await asyncio.sleep(0.02)

    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("line ")] == []
    assert len(os.listdir("/proc/self/fd")) <= before


async def test_a_bug_in_one_line_ends_no_other(kit: SimpleNamespace, port: socket.socket) -> None:
    """What escapes from a line makes that line `runner_fault`; its neighbour goes on."""
    async with scripted(kit, port) as (sick, _):
        sick_peer = await accepted(port, sick)
        async with scripted(kit, port) as (well, _):
            well_peer = await accepted(port, well)
            sick.faulty = True
            sick_peer.send(b"x")
            well_peer.send(b"y")

            assert await until(lambda: "runner_fault" in sick.events and well.came == b"y")
            assert well.events == ["connected"]
            well_peer.close()
        sick_peer.close()


async def test_a_flood_starves_nobody(kit: SimpleNamespace, port: socket.socket) -> None:
    """A peer that sends without end gets its share per turn; a neighbour's line keeps its pace."""
    honest = kit.peers.TcpPeer(kit.Slave(rtu=False, timeout_us=100_000, delay_us=300))
    mine = kit.one_bus(f"tcp://127.0.0.1:{await honest.start()}", scan_ms=20, timeout_ms=200)
    watched = kit.peers.Watched(Line(mine, mine.buses[0], writes=False))
    async with scripted(kit, port) as (line, _):
        peer = await accepted(port, line)
        flooding = asyncio.create_task(_flood(peer))
        assert await until(lambda: len(line.came) > 1 << 20)
        await watched.run(lambda: len(watched.samples) >= 300, limit_s=10)
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        peer.close()
    await honest.stop()

    assert len(line.came) > 1 << 21
    assert len(watched.samples) >= 300
    assert {r.quality for s in watched.samples for r in s.readings} == {Quality.GOOD}


async def _flood(peer: socket.socket) -> None:
    while True:
        await asyncio.get_running_loop().sock_sendall(peer, bytes(1 << 15))


async def test_one_notice_for_all_that_came_in_a_batch(kit: SimpleNamespace) -> None:
    """Twenty lines that have news at once tell the controller once or a few times, not twenty."""
    told = 0

    def notify() -> None:
        nonlocal told
        told += 1

    loop, clock = asyncio.get_running_loop(), kit.peers.CLOCK
    hub = hub_of(loop, clock)
    lines = [Script(clock) for _ in range(20)]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = parse_address(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        made = [TcpRunner(x, address, clock, notify, lambda _: 9.0) for x in lines]  # type: ignore[arg-type]
        for runner in made:
            await runner.start()
        peers = [(await asyncio.get_running_loop().sock_accept(listener))[0] for _ in lines]
        assert await until(lambda: all(line.events for line in lines))
        told = 0
        for line, peer in zip(lines, peers, strict=True):
            line.fresh = True
            peer.send(b"n")
        await asyncio.sleep(0)

        assert await until(lambda: all(line.came for line in lines))
        for line in lines:
            line.fresh = False
        assert 1 <= told <= 4
        for runner in made:
            await runner.stop()
        for peer in peers:
            peer.close()
    assert hub_of(loop, clock) is not hub


def test_any_loop_with_readers_will_do(kit: SimpleNamespace) -> None:
    """The hub asks nothing of a loop but `add_reader` and timers: a poll selector serves it."""

    async def read() -> list[Any]:
        peer = kit.peers.TcpPeer(kit.Slave(rtu=False, timeout_us=100_000))
        mine = kit.one_bus(f"tcp://127.0.0.1:{await peer.start()}", scan_ms=20)
        watched = kit.peers.Watched(Line(mine, mine.buses[0], writes=False))
        await watched.run(lambda: len(watched.samples) >= 20, limit_s=10)
        await peer.stop()
        return list(watched.samples)

    loop = asyncio.SelectorEventLoop(selectors.PollSelector())
    try:
        samples = loop.run_until_complete(read())
    finally:
        loop.close()

    assert len(samples) >= 20


class Sleeper:
    """A member that only wants to be rung."""

    def __init__(self) -> None:
        self.armed_us = NEVER_US
        self.rung = 0

    def ready(self, _events: int, _now_us: int) -> None:
        """Have no socket."""
        raise AssertionError

    def ring(self) -> None:
        """Count."""
        self.rung += 1

    def fail(self) -> None:
        """Never."""
        raise AssertionError


async def test_wakes_that_were_overtaken_do_not_pile_up(kit: SimpleNamespace) -> None:
    """Ever earlier wakes of one member leave a bounded heap, and ring it once."""
    hub, member = Hub(asyncio.get_running_loop(), kit.peers.CLOCK), Sleeper()
    hub.join(member)
    now_us = kit.peers.CLOCK.now_us()
    for n in range(10_000):
        hub.wake_at(member, now_us + 30_000 + 10_000 - n)
    kept = len(hub._wakes)
    hub.settle()

    assert await until(lambda: member.rung > 0)
    await asyncio.sleep(0.03)
    hub.leave(member)
    assert kept <= HEAP_SPARE + 8
    assert member.rung == 1


async def test_kicks_of_one_turn_ring_once(kit: SimpleNamespace) -> None:
    """Being kicked ten times in a turn is being looked at once; who left is not looked at."""
    hub, member, gone = Hub(asyncio.get_running_loop(), kit.peers.CLOCK), Sleeper(), Sleeper()
    hub.join(member)
    hub.join(gone)
    for _ in range(10):
        hub.kick(member)
        hub.kick(gone)
    hub.leave(gone)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert (member.rung, gone.rung) == (1, 0)
    hub.leave(member)


def test_the_open_hubs_of_a_loop_are_found_again(kit: SimpleNamespace) -> None:
    """Lines that live by one clock share a hub; a strange clock has its own."""

    async def look() -> tuple[bool, bool]:
        loop, clock = asyncio.get_running_loop(), kit.peers.CLOCK
        hub, member = hub_of(loop, clock), Sleeper()
        hub.join(member)
        same, other = hub_of(loop, clock) is hub, hub_of(loop, kit.peers.RealClock()) is hub
        hub.leave(member)
        return same, other

    assert asyncio.run(look()) == (True, False)


class Eared:
    """A member that notes what time it is told, and loses some of it before the next one."""

    def __init__(self, near: socket.socket, told_us: list[int]) -> None:
        self.armed_us = NEVER_US
        self.near = near
        self.told_us = told_us

    def ready(self, _events: int, now_us: int) -> None:
        """Take what came, slowly."""
        self.told_us.append(now_us)
        self.near.recv(16)
        sum(range(20_000))

    def ring(self) -> None:
        """Never."""
        raise AssertionError

    def fail(self) -> None:
        """Never."""
        raise AssertionError


async def test_what_is_ready_together_has_one_time(kit: SimpleNamespace) -> None:
    """Members of one batch are told the same moment: when the kernel said that they were ready."""
    hub, told_us = Hub(asyncio.get_running_loop(), kit.peers.CLOCK), list[int]()
    pairs = [socket.socketpair() for _ in range(5)]
    members = [Eared(near, told_us) for near, _ in pairs]
    for member in members:
        hub.join(member)
        hub.watch(member.near.fileno(), member, READ)
    begun_us = kit.peers.CLOCK.now_us()
    for _, far in pairs:
        far.send(b"x")
    while len(told_us) < len(members):
        await asyncio.sleep(0)
    assert len(set(told_us)) == 1
    assert told_us[0] >= begun_us
    for member in members:
        hub.unwatch(member.near.fileno())
        hub.leave(member)
    for pair in pairs:
        for end in pair:
            end.close()
