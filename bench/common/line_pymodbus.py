"""The peer of `lines.py`: pymodbus's asyncio client, one task for each connection.

It runs with Python's own defaults, as a program runs that says nothing about garbage.
"""

import asyncio
import time

from line_cost import REGISTERS, main
from pymodbus.client import AsyncModbusTcpClient


class Pymodbus:
    """So many clients; each ends its last exchange before it is closed."""

    def __init__(self, port: int, connections: int, timed: bool) -> None:
        self.answered = 0
        self.took_us: list[int] = []
        self._clients = [AsyncModbusTcpClient("127.0.0.1", port=port) for _ in range(connections)]
        self._read = self._timed if timed else self._untimed
        self._tasks: list[asyncio.Task[None]] = []
        self._ended = False

    async def start(self) -> None:
        """Connect, then let each client ask without a pause."""
        for client in self._clients:
            await client.connect()
        self._tasks = [asyncio.create_task(self._read(client)) for client in self._clients]

    async def stop(self) -> None:
        """Wait for the last answers and close."""
        self._ended = True
        await asyncio.gather(*self._tasks)
        for client in self._clients:
            client.close()

    async def _untimed(self, client: AsyncModbusTcpClient) -> None:
        while not self._ended:
            reply = await client.read_input_registers(0, count=REGISTERS, device_id=1)
            self.answered += len(reply.registers) == REGISTERS

    async def _timed(self, client: AsyncModbusTcpClient) -> None:
        while not self._ended:
            begun_ns = time.monotonic_ns()
            await client.read_input_registers(0, count=REGISTERS, device_id=1)
            self.took_us.append((time.monotonic_ns() - begun_ns) // 1000)
            self.answered += 1


if __name__ == "__main__":
    main(Pymodbus)
