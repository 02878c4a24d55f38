"""What the simulator pays for an answer: our served mine beside pymodbus's server, in one run.

Each server is a process of its own with 200 devices of 100 registers, one connection each; a bare
client asks them all. Figures are CPU seconds of the server per 10 000 requests of 100 registers.
First at 1 Hz over 200 connections, the rate of a real house, the plant included; then as fast as
16 and 200 connections go. The simulator is no bottleneck where it pays less than the line.

    python bench/simulator.py [seconds per measurement]
"""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import resource
import statistics
import struct
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from common import stations
from minewatch_sim.endpoints import Endpoints
from minewatch_sim.people import Habits
from minewatch_sim.plant import Plant
from minewatch_sim.scenario import Scenario
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from minewatch.mine import load

ROUNDS = 3
CONNECTIONS = 200
ASK = struct.pack(">HHHBBHH", 1, 0, 6, 1, 4, 0, stations.REGISTERS)
ANSWER_BYTES = 9 + 2 * stations.REGISTERS


class Cost(NamedTuple):
    """CPU seconds of a server per 10 000 requests, requests per second, share of a core."""

    cpu_s: float
    rate: float
    core: float


def cpu_s() -> float:
    """Return the CPU time of this process, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _answer_pipe(pipe: Connection) -> None:
    """Tell the CPU time whenever the parent asks; return when it says stop."""
    while True:
        if pipe.poll():
            if pipe.recv() == "stop":
                return
            pipe.send(cpu_s())
        await asyncio.sleep(0.02)


def serve_ours(pipe: Connection) -> None:
    """Serve the plant's 200 stations."""

    async def serve() -> None:
        stations.register()
        with tempfile.TemporaryDirectory() as scratch:
            loaded = load(stations.write_mine(Path(scratch) / "mine", range(20_000, 20_200)))
        assert loaded.mine is not None, loaded.faults[:3]
        plant = Plant(loaded.mine, 1, Scenario("quiet", Habits(underground=0)))
        async with Endpoints(loaded.mine, plant) as endpoints:
            urls = endpoints.addresses().values()
            pipe.send([int(url.rpartition(":")[2]) for url in urls])
            await _answer_pipe(pipe)

    asyncio.run(serve())


def serve_theirs(pipe: Connection) -> None:
    """Serve one device of pymodbus's on one port: all connections go there."""

    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)

    async def serve() -> None:
        registers = SimData(0, values=[7] * stations.REGISTERS, datatype=DataType.REGISTERS)
        server = ModbusTcpServer(SimDevice(1, simdata=[registers]), address=("127.0.0.1", 0))
        await server.serve_forever(background=True)
        assert server.transport is not None
        port = server.transport.sockets[0].getsockname()[1]
        pipe.send([port] * CONNECTIONS)
        await _answer_pipe(pipe)
        await server.shutdown()

    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(serve())


class Asker(asyncio.Protocol):
    """Asks one server: again at once, or once every `every_s`."""

    def __init__(self, every_s: float) -> None:
        self.answers = 0
        self._every_s = every_s
        self._bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Count whole answers and ask again."""
        self._bytes += len(data)
        if self._bytes >= ANSWER_BYTES:
            self._bytes -= ANSWER_BYTES
            self.answers += 1
            if not self._every_s:
                self.transport.write(ASK)

    def _ask(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(ASK)
            if self._every_s:
                asyncio.get_running_loop().call_later(self._every_s, self._ask)


async def measure(ports: list[int], pipe: Connection, seconds: float, every_s: float) -> Cost:
    """Ask for some seconds; return what the server paid."""
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: Asker(every_s), "127.0.0.1", p) for p in ports]
    askers = [asker for _, asker in made]
    await asyncio.sleep(1.0)
    before, counted, begun_s = _cpu_of(pipe), sum(a.answers for a in askers), time.monotonic()
    await asyncio.sleep(seconds)
    requests, wall_s = sum(a.answers for a in askers) - counted, time.monotonic() - begun_s
    used_s = _cpu_of(pipe) - before
    for transport, _ in made:
        transport.abort()
    return Cost(used_s * 10_000 / max(1, requests), requests / wall_s, used_s / wall_s)


def _cpu_of(pipe: Connection) -> float:
    pipe.send("cpu")
    used: float = pipe.recv()
    return used


def main() -> None:
    """Measure both servers in turn at each rate."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    print(f"{os.cpu_count()} cores, {stations.REGISTERS} registers, {ROUNDS} rounds of {seconds} s")
    context = multiprocessing.get_context("spawn")
    served = {}
    for name, serve in (("simulator", serve_ours), ("pymodbus server", serve_theirs)):
        near, far = context.Pipe()
        process = context.Process(target=serve, args=(far,), daemon=True)
        process.start()
        served[name] = (near, process, near.recv())
    for every_s, connections in ((1.0, 200), (0.0, 16), (0.0, 200)):
        for name, (pipe, _, ports) in served.items():
            rounds = [
                asyncio.run(measure(ports[:connections], pipe, seconds, every_s))
                for _ in range(ROUNDS)
            ]
            cost, rate, core = (statistics.median(column) for column in zip(*rounds, strict=True))
            pace = "1 Hz" if every_s else "full"
            print(
                f"{connections:3} connections {pace}  {name:15} {cost:6.3f} s/10 000 "
                f"{rate:7.0f} req/s  {core:5.1%} of a core"
            )
    for pipe, process, _ in served.values():
        pipe.send("stop")
        process.join(5)
        if process.is_alive():
            process.kill()


if __name__ == "__main__":
    main()
