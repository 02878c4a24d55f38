"""A process of devices that flap: each is there for 1 to 10 s and away for as long.

Run by path from `test_flapping`. Prints the ports in one line of JSON; at the end of its standard
input it prints when each device was connected, in µs since boot, and ends. Away means refusing,
or accepting and closing at once, in turn.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from campaign import respond  # type: ignore[import-not-found]
from minewatch_sim.modbus_server import TcpFraming

AWAY_MIN_S, AWAY_MAX_S = 1.0, 10.0


def now_us() -> int:
    """Return µs since boot."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


class Device:
    """One device on a port of its own; every `steady`-th never flaps."""

    def __init__(self, rng: random.Random, *, flaps: bool) -> None:
        self.connected_us: list[int] = []
        self.answers = False
        self.port = 0
        self._rng = rng
        self._flaps = flaps
        self._server: asyncio.Server | None = None
        self.transports: set[asyncio.Transport] = set()

    async def open(self) -> None:
        """Take connections, on the same port every time."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Session(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def live(self) -> None:
        """Come and go for ever."""
        refuses = self._rng.random() < 0.5
        while self._flaps:
            self.answers = True
            await asyncio.sleep(self._rng.uniform(AWAY_MIN_S, AWAY_MAX_S))
            self.answers = False
            for transport in list(self.transports):
                transport.abort()
            refuses = not refuses
            if refuses and self._server is not None:
                self._server.close()
            await asyncio.sleep(self._rng.uniform(AWAY_MIN_S, AWAY_MAX_S))
            if refuses:
                await self.open()
        self.answers = True


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._framing = TcpFraming()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note when; close it where the device is away."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._device.connected_us.append(now_us())
        self._device.transports.add(transport)
        if not self._device.answers:
            transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        """Forget it."""
        self._device.transports.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Answer with stamped values."""
        for request in self._framing.feed(data):
            self._transport.write(request.frame(respond(request, now_us())))


async def main() -> None:
    """Flap until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--devices", type=int, default=200)
    parser.add_argument("--steady", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    devices = [
        Device(random.Random(f"{given.seed}/{n}"), flaps=n % given.steady > 0)
        for n in range(given.devices)
    ]
    for device in devices:
        await device.open()
    sys.stdout.write(json.dumps([device.port for device in devices]) + "\n")
    sys.stdout.flush()
    tasks = [asyncio.create_task(device.live()) for device in devices]
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    sys.stdout.write(json.dumps([device.connected_us for device in devices]) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
