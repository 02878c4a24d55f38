"""What a request costs: our line and asyncio runner beside pymodbus's client, in the same run.

A small server in a process of its own answers both. Figures are CPU seconds of the client per
10 000 requests of ten registers. Ours decodes and checks ten values of each answer besides. The
aim is a ratio of at most 0.5 at sixteen connections. The bare protocol, which checks and decodes
nothing, is the floor: where it costs half of pymodbus, so dear are the kernel and asyncio alone.

    python bench/lines.py [seconds per measurement]
"""

import asyncio
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NamedTuple

from minewatch_drivers import device_file, modbus
from minewatch_drivers.device_model import DeviceModel
from minewatch_drivers.line import Line
from minewatch_drivers.runners import open_runner
from pymodbus.client import AsyncModbusTcpClient

from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mine, Mode, Point
from minewatch.ports import WallTime

REGISTERS = 10
UNITS = 8
"""Units per line, all due all the time, so that a question follows each answer at once."""

ROUNDS = 3
WARM_S = 0.5


class Cost(NamedTuple):
    """CPU seconds per 10 000 requests, those of them in the kernel, and requests per second."""

    cpu_s: float
    kernel_s: float
    rate: float


class _Clock:
    def now_us(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000

    def now_ms(self) -> int:
        return self.now_us() // 1_000

    def wall(self) -> WallTime:
        return WallTime(0, trusted=False)


class _Answers(asyncio.Protocol):
    """Answers every question for input registers with zeros."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = bytearray()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (frame := modbus.split_tcp(self._buffer)) is not None:
            transaction, unit, pdu = frame
            body = bytes((pdu[0], 2 * pdu[4])) + bytes(2 * pdu[4])
            self._transport.write(modbus.tcp_frame(transaction, unit, body))


def _serve(port: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Answers, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        while not port.poll():
            await asyncio.sleep(0.2)

    asyncio.run(serve())


def _model() -> DeviceModel:
    signal = {"table": "input", "type": "u16", "kind": "carbon_monoxide", "low": "0", "high": "9"}
    return device_file.build(
        "bench",
        "bench",
        {
            "device": {"identity": "x", "maker": "x", "maturity": "beta", "source": "x"},
            "signals": {f"s{n}": {**signal, "address": n} for n in range(REGISTERS)},
            "frames": [{"source": "x", "request": "01", "reply": "01"}],
        },
    )


def _mine(port: int) -> Mine:
    bus = Bus("line", f"tcp://127.0.0.1:{port}", scan_ms=1, timeout_ms=2000)
    units = range(1, UNITS + 1)
    points = tuple(
        Point(f"p{u}_{n}", "", Kind.CARBON_MONOXIDE, "z", f"d{u}", f"s{n}", "record_only")
        for u in units
        for n in range(REGISTERS)
    )
    return Mine(
        code="0" * 12,
        name="bench",
        county="0" * 6,
        language="en",
        gas_class="low",
        capacity_10kt=1,
        severe=False,
        mode=Mode.MONITOR,
        headcount_limit=1,
        headcount_citation="",
        profile="bench",
        zones=(),
        buses=(bus,),
        devices=tuple(Device(f"d{unit}", "line", unit, "bench") for unit in units),
        points=points,
    )


def _taking(line: Line) -> Callable[[], None]:
    def take() -> None:
        line.take()

    return take


async def _ours(port: int, connections: int, seconds: float) -> Cost:
    """Run that many lines; the cost is taken once they are warm."""
    mine = _mine(port)
    lines = [Line(mine, mine.buses[0], writes=False) for _ in range(connections)]
    runners = [open_runner(line, line.bus, _Clock(), _taking(line)) for line in lines]
    for runner in runners:
        await runner.start()
    cost = await _cost(lambda: sum(line.status().exchanges for line in lines), seconds)
    for runner in runners:
        await runner.stop()
    return cost


async def _theirs(port: int, connections: int, seconds: float) -> Cost:
    """Run that many pymodbus clients; each ends its last exchange before it is closed."""
    clients = [AsyncModbusTcpClient("127.0.0.1", port=port) for _ in range(connections)]
    for client in clients:
        await client.connect()
    counts = [0] * connections
    done = asyncio.Event()

    async def read(number: int, client: AsyncModbusTcpClient) -> None:
        while not done.is_set():
            reply = await client.read_input_registers(0, count=REGISTERS, device_id=1)
            counts[number] += len(reply.registers) == REGISTERS

    tasks = [asyncio.create_task(read(*each)) for each in enumerate(clients)]
    cost = await _cost(lambda: sum(counts), seconds)
    done.set()
    await asyncio.gather(*tasks)
    for client in clients:
        client.close()
    return cost


class _Asker(asyncio.Protocol):
    """Sends the same question after each answer and looks at nothing."""

    question = modbus.tcp_frame(1, 1, modbus.read_pdu(modbus.READ_INPUT, 0, REGISTERS))

    def __init__(self) -> None:
        self.answers = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.question)

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 — asyncio's signature
        self.answers += 1
        self.transport.write(self.question)


async def _bare(port: int, connections: int, seconds: float) -> Cost:
    """Run that many bare protocols."""
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(_Asker, "127.0.0.1", port) for _ in range(connections)]
    cost = await _cost(lambda: sum(asker.answers for _, asker in made), seconds)
    for transport, _ in made:
        transport.abort()
    return cost


async def _cost(answered: Callable[[], int], seconds: float) -> Cost:
    """Return what requests cost from the end of the warming up on."""
    await asyncio.sleep(WARM_S)
    first, before, begun = answered(), os.times(), time.monotonic()
    await asyncio.sleep(seconds)
    requests, after, wall = answered() - first, os.times(), time.monotonic() - begun
    user, system = after.user - before.user, after.system - before.system
    each = 10_000 / requests
    return Cost((user + system) * each, system * each, requests / wall)


WAYS = {"line + runner": _ours, "pymodbus async": _theirs, "bare protocol": _bare}


def main() -> None:
    """Measure one and sixteen connections, ours and theirs in turn."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    made = _model()
    device_file.load = lambda _: made  # type: ignore[assignment]
    near, far = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(far,), daemon=True)
    server.start()
    port = near.recv()
    print(f"{os.cpu_count()} cores, {REGISTERS} registers, {ROUNDS} rounds of {seconds} s")
    for connections in (1, 16):
        costs: dict[str, list[Cost]] = {name: [] for name in WAYS}
        for _ in range(ROUNDS):
            for name, way in WAYS.items():
                costs[name].append(asyncio.run(way(port, connections, seconds)))
        for name, rounds in costs.items():
            cpu, kernel, rate = (statistics.median(column) for column in zip(*rounds, strict=True))
            print(
                f"{connections:3} connections  {name:15} {cpu:6.3f} s/10 000 "
                f"({kernel:.3f} in the kernel)  {rate:7.0f} req/s"
            )
        pairs = list(zip(costs["line + runner"], costs["pymodbus async"], strict=True))
        ratio = statistics.median(ours.cpu_s / theirs.cpu_s for ours, theirs in pairs)
        print(f"{connections:3} connections  ratio {ratio:.2f}")
    near.send(None)
    server.join(5)


if __name__ == "__main__":
    main()
