"""What tried to break the runners: bytes that arrive while nobody runs, bugs at any moment."""

import asyncio
import os
import socket
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.address import parse_address
from minewatch_drivers.modbus_line.line import Turn
from minewatch_drivers.runners import serial_runner
from minewatch_drivers.runners.serial_runner import SerialRunner
from minewatch_drivers.runners.tcp_runner import TcpRunner

from minewatch.controller.clock import SystemClock

SERIAL_URL = "rtu:///dev/ttyTEST?baud=9600&parity=E"


class Listener:
    """A line that only looks whether everything was heard before it is asked what to say."""

    bus = SimpleNamespace(id="line")
    fresh = False
    missing_bytes = 0
    answered_since_open = False

    def __init__(self) -> None:
        self.heard = 0
        self.polls: list[tuple[int, int]] = []

    def connected(self, now_us: int) -> None:
        """Take no note."""

    def lost(self, now_us: int, why: str) -> None:
        """Take no note."""

    def feed(self, data: bytes, now_us: int) -> None:
        """Count."""
        self.heard += len(data)

    def poll(self, now_us: int) -> Turn:
        """Note what was heard by the time that is told; end after a while."""
        self.polls.append((now_us, self.heard))
        return Turn(None, now_us + 50, reconnect=len(self.polls) >= 200)


def test_a_serial_port_is_read_empty_as_of_the_time_that_the_line_is_told() -> None:
    """However late its thread runs again, no byte from before a question waits unread behind it."""
    ours, far = socket.socketpair()
    written: dict[int, int] = {}

    class Clock:
        """Bytes arrive each time before somebody looks at it."""

        now = 0

        def now_us(self) -> int:
            """Return the time, after a byte has come."""
            self.now += 7
            far.send(b"x")
            written[self.now] = len(written) + 1
            return self.now

    line: Any = Listener()
    clock: Any = Clock()
    runner = SerialRunner(line, parse_address(SERIAL_URL), clock, lambda: None, lambda _: 0.0)
    runner._bell, runner._hammer = os.pipe()
    with ours, far:
        runner._serve(ours.fileno())
    os.close(runner._bell)
    os.close(runner._hammer)

    assert len(line.polls) == 200
    assert all(heard >= written[now_us] for now_us, heard in line.polls)


async def test_a_stream_is_read_empty_before_a_line_behind_it_is_asked() -> None:
    """A late answer that lies in the socket is heard before the loop lets a question leave."""
    accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    server = await asyncio.start_server(lambda _, w: accepted.put_nowait(w), "127.0.0.1", 0)
    address = parse_address(f"rtu+tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    line: Any = Listener()
    runner = TcpRunner(line, address, SystemClock(), lambda: None, lambda _: 1.0)
    await runner.start()
    writer = await asyncio.wait_for(accepted.get(), 5)
    while not runner._open:
        await asyncio.sleep(0.001)
    os.write(writer.get_extra_info("socket").fileno(), b"late")
    line.polls.clear()

    runner.ring()

    assert line.polls[0][1] == 4
    await runner.stop()
    writer.close()
    server.close()


async def test_a_serial_lines_owner_outlives_a_bug_at_any_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever a line raises, also while its port is away, its thread goes on."""
    monkeypatch.setattr(serial_runner, "WAIT_MAX_S", 0.01)
    calls = []

    class Broken(Listener):
        def lost(self, now_us: int, why: str) -> None:
            calls.append(why)
            raise RuntimeError("a bug")

        def poll(self, now_us: int) -> Turn:
            raise RuntimeError("a bug")

    line: Any = Broken()
    address = parse_address("rtu:///nowhere/tty?baud=9600")
    runner = SerialRunner(line, address, SystemClock(), lambda: None, lambda _: 0.0)
    await runner.start()
    for _ in range(500):
        if len(calls) >= 3:
            break
        await asyncio.sleep(0.01)
    await runner.stop()
    assert len(calls) >= 3
