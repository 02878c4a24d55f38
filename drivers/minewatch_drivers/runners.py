"""Runners move the bytes of a `Line`: asyncio for TCP, a thread for a serial port.

A runner decides nothing. It opens the connection, again and again with a growing wait, hands
bytes and time to the line and sends what the line says. `notify` runs in the loop's thread
whenever `line.take()` has something new.
"""

import asyncio
import random
import socket
from collections.abc import Callable
from typing import Protocol

from minewatch.model.mine import Bus
from minewatch.ports import Clock
from minewatch_drivers.address import Address, parse_address
from minewatch_drivers.files_line import FilesLine
from minewatch_drivers.files_runner import FilesRunner
from minewatch_drivers.lines import AnyLine, ByteLine
from minewatch_drivers.serial_runner import SerialRunner

CONNECT_LIMIT_S = 3.0
BACK_OFF_MIN_S, BACK_OFF_MAX_S = 1.0, 5.0


class Runner(Protocol):
    """What the controller holds of a line that runs."""

    async def start(self) -> None:
        """Begin; returns at once, the connection comes when it comes."""
        ...

    async def stop(self) -> None:
        """End and close; returns when nothing of it is left."""
        ...

    def kick(self) -> None:
        """Look at the line now: new wanted levels or another scan stand there."""
        ...


def open_runner(line: AnyLine, bus: Bus, clock: Clock, notify: Callable[[], None]) -> Runner:
    """Return the runner for the url of `bus`; nothing is opened before `start`.

    Raises:
        ValueError: the url is none that a line can have.
    """
    if isinstance(line, FilesLine):
        return FilesRunner(line, clock, notify)
    address = parse_address(bus.url)
    if not isinstance(line, ByteLine):
        raise ValueError(f"no runner moves bytes for {bus.url!r}")
    if address.transport in ("rtu", "serial"):
        return SerialRunner(line, address, clock, notify, back_off_s)
    return TcpRunner(line, address, clock, notify)


def back_off_s(failures: int) -> float:
    """Return the wait before try `failures` + 1: 1 s doubling to 5 s, with a fifth of jitter."""
    wait: float = min(BACK_OFF_MIN_S * 2 ** min(failures, 8), BACK_OFF_MAX_S)
    return wait * random.uniform(0.8, 1.2)


class TcpRunner:
    """Runs one line on a TCP connection, Modbus TCP or RTU frames alike."""

    def __init__(
        self, line: ByteLine, address: Address, clock: Clock, notify: Callable[[], None]
    ) -> None:
        self._line = line
        self._address = address
        self._now_us = clock.now_us
        self._notify = notify
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_us = 0
        self._closed = asyncio.Event()

    async def start(self) -> None:
        """Begin; returns at once."""
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._keep_open(), name=f"line {self._line.bus.id}")

    async def stop(self) -> None:
        """Close the connection and end."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def kick(self) -> None:
        """Look at the line now."""
        if self._task is not None:
            self.turn()

    def opened(self, transport: asyncio.Transport) -> None:
        """The protocol says that the connection stands."""
        self._transport = transport
        peer = transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._line.connected(self._now_us())
        self.turn()

    def received(self, data: bytes) -> None:
        """The protocol says that bytes came."""
        self._line.feed(data, self._now_us())
        self.turn()

    def closed(self, why: str) -> None:
        """The protocol says that the connection is gone."""
        if self._transport is not None:
            self._transport = None
            self._line.lost(self._now_us(), why)
        self._closed.set()

    def holds(self, transport: asyncio.Transport | None) -> bool:
        """Return whether `transport` is still the connection of this line."""
        return transport is not None and transport is self._transport

    def turn(self) -> None:
        """Do what the line says and sleep until it wants to be asked again."""
        turn = self._line.poll(self._now_us())
        transport = self._transport
        if turn.send is not None and transport is not None:
            transport.write(turn.send)
        if turn.reconnect and transport is not None:
            transport.abort()
            self.closed(self._line.status().error)
            turn = self._line.poll(self._now_us())
        self._wake_at(turn.wake_us)
        if self._line.fresh:
            self._notify()

    def _wake_at(self, wake_us: int) -> None:
        """Arm the timer; one that rings too early only asks again, so it is seldom moved."""
        if self._timer is not None:
            if self._timer_us <= wake_us:
                return
            self._timer.cancel()
        assert self._loop is not None
        self._timer_us = wake_us
        wait_s = max(0, wake_us - self._now_us()) / 1e6
        self._timer = self._loop.call_later(wait_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self.turn()

    async def _keep_open(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            self._closed.clear()
            try:
                async with asyncio.timeout(CONNECT_LIMIT_S):
                    await loop.create_connection(
                        lambda: _Bytes(self), self._address.host, self._address.port
                    )
            except OSError:
                self._line.lost(self._now_us(), "connect")
            else:
                await self._closed.wait()
                if self._line.answered_since_open:
                    failures = 0
            self.turn()
            await asyncio.sleep(back_off_s(failures))
            failures += 1


class _Bytes(asyncio.Protocol):
    """Passes what asyncio says on to the runner, for one connection."""

    def __init__(self, runner: TcpRunner) -> None:
        self._runner = runner
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._runner.opened(transport)

    def data_received(self, data: bytes) -> None:
        if self._runner.holds(self._transport):
            self._runner.received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._runner.holds(self._transport):
            self._runner.closed("closed" if exc is None else "broken")
