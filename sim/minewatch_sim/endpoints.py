"""Serves every bus of a mine on real sockets and ptys, and lets the plant live in real time.

One event loop, one protocol object per connection; the plant advances by real time times `speed`.
Everything listens on loopback only and stops with `stop`.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from minewatch.model.mine import Mine
from minewatch_sim.bus import SimulatedBus, pairs
from minewatch_sim.certified import CertifiedFolder, CertifiedSystem
from minewatch_sim.modbus_server import RtuFraming
from minewatch_sim.plant import Plant
from minewatch_sim.pty_line import PtyLine
from minewatch_sim.vendor_port import VendorPort

TICK_S = 0.1
SLEPT_MS_MAX = 5_000
AT_ONCE_US = 4_000
"""A reply that is due within this time is sent at once: a timer would cost more than it shows."""
GAP_US = 200_000
"""An unfinished RTU request that is older than this is forgotten on a socket."""

Now = Callable[[], int]


def boottime_us() -> int:
    """Return µs on the clock that counts suspend."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


class BusConnection(asyncio.Protocol):
    """One accepted connection of a bus."""

    def __init__(self, bus: SimulatedBus, now_us: Now, connections: set["BusConnection"]) -> None:
        self._bus = bus
        self._now_us = now_us
        self._connections = connections
        self._framing = bus.framing()
        self._transport: asyncio.Transport | None = None
        self._heard_us = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, or close it where the gateway is not itself."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)
        if self._bus.closed():
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 — asyncio's signature
        """Forget the connection."""
        self._connections.discard(self)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Answer every whole request in `data`; a stream that is no Modbus is closed."""
        now_us = self._now_us()
        if isinstance(self._framing, RtuFraming) and now_us - self._heard_us > GAP_US:
            self._framing.silence()
        self._heard_us = now_us
        ready = None if self._framing.pending else self._bus.ready(data)
        if ready is not None:
            self._send(ready)
            return
        try:
            requests = self._framing.feed(data)
        except ValueError:
            self.abort()
            return
        for request in requests:
            for delay_us, reply in self._bus.respond(request, now_us):
                self._send_in(delay_us, reply)

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def _send_in(self, delay_us: int, data: bytes) -> None:
        if delay_us <= AT_ONCE_US:
            self._send(data)
        else:
            asyncio.get_running_loop().call_later(delay_us / 1e6, self._send, data)

    def _send(self, data: bytes) -> None:
        if self._transport is not None and not self._bus.closed():
            self._transport.write(data)


class SocketBus:
    """A bus on a TCP port; a rebooting gateway closes the port and takes the same one again."""

    def __init__(self, bus: SimulatedBus, host: str, now_us: Now) -> None:
        self.bus = bus
        self._host = host
        self._now_us = now_us
        self._connections: set[BusConnection] = set()
        self._server: asyncio.Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Return the address that a line connects to."""
        return f"{self.bus.scheme}://{self._host}:{self._port}"

    async def open(self) -> None:
        """Listen; on the port of the first time where there was one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: BusConnection(self.bus, self._now_us, self._connections),
            self._host,
            self._port,
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def follow(self) -> None:
        """Bring the port and its connections into the state that the bus's faults ask for."""
        if self.bus.closed():
            self._drop_connections()
        if self.bus.refuses() and self._server is not None:
            await self.close()
        elif not self.bus.refuses() and self._server is None:
            await self.open()

    async def close(self) -> None:
        """Close the port and all connections."""
        self._drop_connections()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def _drop_connections(self) -> None:
        for connection in list(self._connections):
            connection.abort()


class Endpoints:
    """All buses of a mine, served. `start`, then `addresses`; `stop` ends everything."""

    def __init__(
        self, mine: Mine, plant: Plant, host: str = "127.0.0.1", speed: float = 1.0
    ) -> None:
        self.plant = plant
        self.speed = speed
        self._now_us = boottime_us
        plant.clock_us = boottime_us
        vendor = {e.id for e in mine.buses if e.url.startswith("serial:")}
        self.buses = {
            e.id: SimulatedBus(e, plant)
            for e in mine.buses
            if not e.certified and e.id not in vendor
        }
        self._vendors = {
            e.id: VendorPort(e, plant, boottime_us) for e in mine.buses if e.id in vendor
        }
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._ptys: dict[str, PtyLine] = {}
        self._sockets: dict[str, SocketBus] = {}
        for bus_id, bus in self.buses.items():
            if bus.scheme == "rtu":
                self._ptys[bus_id] = PtyLine(bus, boottime_us, self._adapter_path(bus_id))
            else:
                self._sockets[bus_id] = SocketBus(bus, host, boottime_us)
        for one, other in pairs(self.buses).items():
            self._ptys[one].partner = self._ptys[other]
        self._certified = {
            each.id: CertifiedFolder(
                CertifiedSystem(mine, each, plant), self._adapter_path(each.id)
            )
            for each in mine.buses
            if each.certified
        }
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open every port and pty and start the plant."""
        for line in self._lines().values():
            await line.open()
        for folder in self._certified.values():
            folder.open()
        self._task = asyncio.create_task(self._live(), name="plant")

    def addresses(self) -> dict[str, str]:
        """Return bus id → URL that a line connects to."""
        lines = self._lines()
        folders = {bus_id: each.url for bus_id, each in self._certified.items()}
        return {bus_id: lines[bus_id].url for bus_id in [*self.buses, *self._vendors]} | folders

    def messages(self) -> list[tuple[str, str]]:
        """Return what modems were given to send, as (number, text)."""
        modems = [port.modem for port in self._vendors.values() if port.modem is not None]
        return [each for modem in modems for each in modem.sent]

    def short_gaps(self) -> dict[str, int]:
        """Return for each serial bus how many requests came within t3.5 after the last byte."""
        return {key: line.short_gaps for key, line in self._ptys.items()}

    async def run(self) -> None:
        """Wait until the plant stops: at `stop`, or by the error that ended it."""
        assert self._task is not None
        await self._task

    async def stop(self) -> None:
        """Stop the plant and close everything."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for line in self._lines().values():
            await line.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _lines(self) -> dict[str, SocketBus | PtyLine | VendorPort]:
        return {**self._sockets, **self._ptys, **self._vendors}

    def _adapter_path(self, bus_id: str) -> Path:
        """Return the path of a serial line's adapter, in a folder that goes with the endpoints."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="minewatch-sim-")
        return Path(self._folder.name) / bus_id

    async def __aenter__(self) -> "Endpoints":
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _live(self) -> None:
        before_us = self._now_us()
        while True:
            await asyncio.sleep(TICK_S)
            now_us = self._now_us()
            # A suspended machine must not replay hours of plant time at once.
            past_ms = min((now_us - before_us) // 1000, SLEPT_MS_MAX)
            before_us = max(before_us + past_ms * 1000, now_us - 1000)
            self.plant.advance(round(past_ms * self.speed))
            for bus in self.buses.values():
                bus.tick(now_us)
            for folder in self._certified.values():
                folder.tick(time.time_ns() // 1_000_000)
            for line in self._lines().values():
                await line.follow()
