"""What a request costs: our line and runner beside pymodbus's asyncio client, in the same run.

A small server in a process of its own answers both; every register changes with every reply and
runs through the counts of a twelve-bit head, or through as many as are asked for: more than
`meaning.REMEMBERED_MAX` are decoded anew each time. Figures are CPU seconds of the client per
10 000 requests of ten registers, and the time from question to answer. Ours decodes and checks
ten values of each answer besides. Epoll by hand, which checks and decodes nothing, is the floor.

    python bench/lines.py [seconds per measurement [different counts]]

The aim is a median ratio of at most 0.65 at 16 connections and 0.5 at 200, on the standard loop.
"""

import asyncio
import gc
import itertools
import multiprocessing
import os
import resource
import select
import socket
import statistics
import struct
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import NamedTuple

from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.device_model import DeviceModel
from minewatch_drivers.modbus_line.line import Line
from minewatch_drivers.runners.runners import open_runner
from minewatch_drivers.tasks.jobs import Job
from minewatch_drivers.wire import modbus
from pymodbus.client import AsyncModbusTcpClient

from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mine, Mode, Point
from minewatch.ports import WallTime

REGISTERS = 10
UNITS = {1: 16, 16: 4, 200: 2}
"""Connections → units per line: as many as keep it busy with scans that are due each ms."""

ROUNDS = 5
WARM_S = 0.5
COUNTS = 4_000


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


def _serve(port: Connection, counts: int) -> None:
    """Answer every question for input registers; each reply holds other numbers."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    listener.setblocking(False)
    poller = select.epoll()
    poller.register(listener, select.EPOLLIN)
    peers: dict[int, socket.socket] = {}
    replies = _replies(counts)
    port.send(listener.getsockname()[1])
    while not port.poll():
        for file, _ in poller.poll(0.2):
            if file == listener.fileno():
                peer, _ = listener.accept()
                peer.setblocking(False)
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peers[peer.fileno()] = peer
                poller.register(peer, select.EPOLLIN)
            elif not _answer(peers[file], replies):
                poller.unregister(file)
                peers.pop(file).close()


def _replies(counts: int) -> Callable[[], bytes]:
    """Return what gives the registers of the next reply."""
    pack = struct.Struct(f">{REGISTERS}H").pack
    places = range(REGISTERS)
    bodies = [pack(*((n + place * 397) % counts for place in places)) for n in range(counts)]
    numbers = itertools.count()
    return lambda: bodies[next(numbers) * 7 % counts]


def _answer(peer: socket.socket, body: Callable[[], bytes]) -> bool:
    """Answer what came, question by question; False where the peer has gone."""
    try:
        data = peer.recv(4096)
    except OSError:
        return False
    head = modbus.TCP_HEADER.pack
    for at in range(0, len(data) - 11, 12):
        transaction, _, _, unit = modbus.TCP_HEADER.unpack_from(data, at)
        pdu = bytes((data[at + 7], 2 * REGISTERS)) + body()
        peer.send(head(transaction, 0, len(pdu) + 1, unit) + pdu)
    return bool(data)


def _model() -> DeviceModel:
    signal = {
        "table": "input",
        "type": "u16",
        "kind": "carbon_monoxide",
        "low": "0",
        "high": "60000",
    }
    return device_file.build(
        "bench",
        "bench",
        {
            "device": {"identity": "x", "maker": "x", "maturity": "beta", "source": "x"},
            "signals": {f"s{n}": {**signal, "address": n} for n in range(REGISTERS)},
            "frames": [{"source": "x", "request": "01", "reply": "01"}],
        },
    )


def _mine(port: int, unit_count: int) -> Mine:
    bus = Bus("line", f"tcp://127.0.0.1:{port}", scan_ms=1, timeout_ms=2000)
    units = range(1, unit_count + 1)
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


class _Watched(Line):
    """A line that notes how long each answer took."""

    def __init__(self, mine: Mine, bus: Bus) -> None:
        super().__init__(mine, bus, writes=False)
        self.took_us: list[int] = []

    def _answered(self, job: Job, pdu: bytes, now_us: int) -> None:
        self.took_us.append(now_us - self._start_us)
        super()._answered(job, pdu, now_us)


class _Ours:
    """So many lines with their runners."""

    def __init__(self, port: int, connections: int, made: type[Line] = Line) -> None:
        mine, clock = _mine(port, UNITS[connections]), _Clock()
        bus = mine.buses[0]
        self.good = 0
        self.lines = [
            _Watched(mine, bus) if made is _Watched else Line(mine, bus, writes=False)
            for _ in range(connections)
        ]
        self._runners = [
            open_runner(line, bus, clock, partial(self._take, line)) for line in self.lines
        ]

    def _take(self, line: Line) -> None:
        for sample in line.take().samples:
            self.good += len(sample.readings)

    async def run(self, seconds: float) -> Cost:
        """Return what requests cost."""
        for runner in self._runners:
            await runner.start()
        cost = await _cost(lambda: self.good // REGISTERS, seconds)
        for runner in self._runners:
            await runner.stop()
        return cost


async def _ours(port: int, connections: int, seconds: float) -> Cost:
    return await _Ours(port, connections).run(seconds)


async def _ours_took(port: int, connections: int, seconds: float) -> list[int]:
    """Return how long answers took, in µs."""
    ours = _Ours(port, connections, _Watched)
    await ours.run(seconds)
    return [us for line in ours.lines if isinstance(line, _Watched) for us in line.took_us]


class _Theirs:
    """So many pymodbus clients; each ends its last exchange before it is closed."""

    def __init__(self, port: int, connections: int, took_us: list[int] | None = None) -> None:
        self._clients = [AsyncModbusTcpClient("127.0.0.1", port=port) for _ in range(connections)]
        self._done = asyncio.Event()
        self._counts = [0] * connections
        self._took_us = took_us

    async def run(self, seconds: float) -> Cost:
        """Return what requests cost."""
        for client in self._clients:
            await client.connect()
        read = self._read if self._took_us is None else self._timed
        tasks = [asyncio.create_task(read(*each)) for each in enumerate(self._clients)]
        cost = await _cost(lambda: sum(self._counts), seconds)
        self._done.set()
        await asyncio.gather(*tasks)
        for client in self._clients:
            client.close()
        return cost

    async def _read(self, number: int, client: AsyncModbusTcpClient) -> None:
        while not self._done.is_set():
            reply = await client.read_input_registers(0, count=REGISTERS, device_id=1)
            self._counts[number] += len(reply.registers) == REGISTERS

    async def _timed(self, number: int, client: AsyncModbusTcpClient) -> None:
        assert self._took_us is not None
        while not self._done.is_set():
            begun_ns = time.monotonic_ns()
            await client.read_input_registers(0, count=REGISTERS, device_id=1)
            self._took_us.append((time.monotonic_ns() - begun_ns) // 1000)
            self._counts[number] += 1


async def _theirs(port: int, connections: int, seconds: float) -> Cost:
    return await _Theirs(port, connections).run(seconds)


async def _theirs_took(port: int, connections: int, seconds: float) -> list[int]:
    """Return how long answers took, in µs."""
    took_us: list[int] = []
    await _Theirs(port, connections, took_us).run(seconds)
    return took_us


async def _floor(port: int, connections: int, seconds: float) -> Cost:
    """Send the same question after each answer from one epoll and look at nothing."""
    question = modbus.tcp_frame(1, 1, modbus.read_pdu(modbus.READ_INPUT, 0, REGISTERS))
    peers = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    by_file = {peer.fileno(): peer for peer in peers}
    answers = 0
    poller = select.epoll()
    for peer in peers:
        peer.setblocking(False)
        poller.register(peer, select.EPOLLIN)
        peer.send(question)

    def ready() -> None:
        nonlocal answers
        for file, _ in poller.poll(0):
            peer = by_file[file]
            peer.recv(4096)
            answers += 1
            peer.send(question)

    asyncio.get_running_loop().add_reader(poller.fileno(), ready)
    cost = await _cost(lambda: answers, seconds)
    asyncio.get_running_loop().remove_reader(poller.fileno())
    poller.close()
    for peer in peers:
        peer.close()
    return cost


async def _cost(answered: Callable[[], int], seconds: float) -> Cost:
    """Return what requests cost from the end of the warming up on."""
    await asyncio.sleep(WARM_S)
    gc.freeze()
    first, before, begun = answered(), resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    await asyncio.sleep(seconds)
    requests, wall = answered() - first, time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_SELF)
    gc.unfreeze()
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    each = 10_000 / requests
    return Cost((user + system) * each, system * each, requests / wall)


OURS, THEIRS = "line + runner", "pymodbus async"
WAYS = {OURS: _ours, THEIRS: _theirs, "epoll by hand": _floor}
TIMED = {OURS: _ours_took, THEIRS: _theirs_took}


def _compare(port: int, connections: int, seconds: float) -> None:
    """Print the medians of paired rounds, and how long answers took in a pass of its own."""
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
    ratios = sorted(ours.cpu_s / theirs.cpu_s for ours, theirs in zip(costs[OURS], costs[THEIRS],
                                                                      strict=True))  # fmt: skip
    print(
        f"{connections:3} connections  ratio {statistics.median(ratios):.2f}"
        f" ({ratios[0]:.2f} … {ratios[-1]:.2f})"
    )
    for name, timed in TIMED.items():
        took_us = sorted(asyncio.run(timed(port, connections, seconds)))
        half, most = took_us[len(took_us) // 2], took_us[len(took_us) * 99 // 100]
        print(f"{connections:3} connections  {name:15} answers p50 {half} µs, p99 {most} µs")


def main() -> None:
    """Measure one, sixteen and two hundred connections, ours and theirs in turn."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.5
    counts = int(sys.argv[2]) if len(sys.argv) > 2 else COUNTS
    made = _model()
    device_file.load = lambda _: made  # type: ignore[assignment]
    near, far = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    server = spawn.Process(target=_serve, args=(far, counts), daemon=True)
    server.start()
    port = near.recv()
    print(
        f"{os.cpu_count()} cores, {REGISTERS} registers, {counts} different counts,"
        f" {ROUNDS} rounds of {seconds} s"
    )
    for connections in UNITS:
        _compare(port, connections, seconds)
    near.send(None)
    server.join(5)


if __name__ == "__main__":
    main()
