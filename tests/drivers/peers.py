"""Scripted slaves on real wires: an asyncio TCP server and a pty with emulated byte time.

Loaded by path (tests import no neighbours); see `load_kit` in the tests that use it.
"""

import asyncio
import contextlib
import heapq
import os
import select
import threading
import time
import tty
from collections.abc import Callable
from typing import Any

from minewatch_drivers.modbus_line.line import Line
from minewatch_drivers.runners.runners import Runner, open_runner
from minewatch_drivers.wire import modbus

from minewatch.model.image import Sample
from minewatch.ports import WallTime


class RealClock:
    """CLOCK_BOOTTIME, as the controller's clock."""

    def now_us(self) -> int:
        """Return monotonic µs."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000

    def now_ms(self) -> int:
        """Return monotonic ms."""
        return self.now_us() // 1_000

    def wall(self) -> WallTime:
        """Return a wall time that nobody vouches for."""
        return WallTime(0, trusted=False)


CLOCK = RealClock()


BEHIND_US = 10_000
"""An answer whose thread was woken this much too late is lost: a busy machine must not make it
later than its script says."""


class TcpPeer:
    """Serves one scripted slave on a loopback port."""

    def __init__(self, slave: Any) -> None:
        self.slave = slave
        self.connections = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen; returns the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Close everything."""
        assert self._server is not None
        self._server.close()
        self.drop()

    def drop(self) -> None:
        """Close every connection."""
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        buffer = bytearray()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                buffer += data
                while (size := self._size(buffer)) is not None and len(buffer) >= size:
                    question = bytes(buffer[:size])
                    del buffer[:size]
                    self._answer(question, writer)
        self._writers.discard(writer)
        writer.close()

    def _size(self, buffer: bytearray) -> int | None:
        if self.slave.rtu:
            return modbus.rtu_request_length(buffer)
        return 6 + int.from_bytes(buffer[4:6], "big") if len(buffer) >= 6 else None

    def _answer(self, question: bytes, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        for delay_us, reply in self.slave.respond(question, CLOCK.now_us()):
            loop.call_later(delay_us / 1e6, self._write, writer, reply)

    @staticmethod
    def _write(writer: asyncio.StreamWriter, reply: bytes) -> None:
        if not writer.is_closing():
            writer.write(reply)


class PtyPeer:
    """Serves one scripted slave on a pty, byte by byte at the pace of `byte_us`."""

    def __init__(self, slave: Any, byte_us: float, silence_us: int) -> None:
        self.slave = slave
        self.short_gaps = 0
        self._byte_us = byte_us
        self._silence_us = silence_us
        self._master, self._port = os.openpty()
        tty.setraw(self._port)
        self.path = os.ttyname(self._port)
        self._heap: list[tuple[int, int, bytes]] = []
        self._serial = 0
        self._last_us = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """End and close the pty."""
        self._stopping = True
        self._thread.join(5)
        os.close(self._master)
        os.close(self._port)

    def _run(self) -> None:
        buffer = bytearray()
        while not self._stopping:
            due_us = self._heap[0][0] if self._heap else CLOCK.now_us() + 50_000
            wait_s = max(0, due_us - CLOCK.now_us()) / 1e6
            ready, _, _ = select.select([self._master], [], [], min(wait_s, 0.05))
            if ready:
                buffer += self._hear()
                while (size := modbus.rtu_request_length(buffer)) and len(buffer) >= size:
                    question = bytes(buffer[:size])
                    del buffer[:size]
                    self._schedule(question)
            self._speak()

    def _hear(self) -> bytes:
        data = os.read(self._master, 4096)
        now_us = CLOCK.now_us()
        if self._last_us and now_us - self._last_us < self._silence_us:
            self.short_gaps += 1
        self._last_us = now_us + round(len(data) * self._byte_us)
        return data

    def _schedule(self, question: bytes) -> None:
        there_us = self._last_us
        for delay_us, reply in self.slave.respond(question, CLOCK.now_us()):
            for position in range(len(reply)):
                self._serial += 1
                due_us = there_us + delay_us + round((position + 1) * self._byte_us)
                heapq.heappush(self._heap, (due_us, self._serial, reply[position : position + 1]))

    def _speak(self) -> None:
        while self._heap and self._heap[0][0] <= CLOCK.now_us():
            due_us, _, data = heapq.heappop(self._heap)
            if CLOCK.now_us() - due_us > BEHIND_US:
                self._heap.clear()
                return
            self._last_us = max(self._last_us, CLOCK.now_us())
            os.write(self._master, data)


class Watched:
    """A line that runs, with everything it brought and when."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.samples: list[Sample] = []
        self.taken_us: list[int] = []
        self.runner: Runner = open_runner(line, line.bus, CLOCK, self._take)

    def _take(self) -> None:
        for sample in self.line.take().samples:
            self.samples.append(sample)
            self.taken_us.append(CLOCK.now_us())

    async def run(self, done: Callable[[], bool], limit_s: float) -> None:
        """Run until `done` or the limit, whichever comes first."""
        await self.runner.start()
        end_us = CLOCK.now_us() + int(limit_s * 1e6)
        while not done() and CLOCK.now_us() < end_us:
            await asyncio.sleep(0.02)
        await self.runner.stop()
        self._take()
