"""What a request costs: our line and runner beside pymodbus's asyncio client, in the same run.

A small server in a process of its own answers both; every register changes with every reply and
runs through the counts of a twelve-bit head, or through as many as are asked for: more than
`meaning.REMEMBERED_MAX` are decoded anew each time. Figures are CPU seconds of the client per
10 000 requests of ten registers, and the time from question to answer. Ours decodes and checks
ten values of each answer besides. Epoll by hand, which checks and decodes nothing, is the floor.

Each side is a process of its own that runs as its user runs it: ours with the controller's clock
and garbage settings (all that stands at the start is frozen, `GC_THRESHOLD` for the rest),
pymodbus with Python's defaults. Rounds are paired: one side after the other, again and again.
asyncio receives into 256 KiB that glibc, as it comes, takes from the kernel and gives back almost
each time: that is part of what pymodbus's user pays, and it hangs on how the heap lies. So the
peer runs a second time with glibc told to keep its memory; the aim is held against the first.

    python bench/lines.py [seconds per measurement [different counts [connections …]]]

The aim is a median ratio of at most 0.65 at 16 connections and 0.5 at 200, on the standard loop.
"""

import itertools
import json
import multiprocessing
import os
import select
import socket
import statistics
import struct
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from common.line_cost import REGISTERS, Cost
from minewatch_drivers.wire import modbus

CONNECTIONS = (1, 16, 200)
ROUNDS = 5
COUNTS = 4_000
ROUND_LIMIT_S = 60

OURS, THEIRS, THEIRS_KEPT = "line + runner", "pymodbus async", "pymodbus, kept"
SIDES = {
    OURS: "line_ours.py",
    THEIRS: "line_pymodbus.py",
    THEIRS_KEPT: "line_pymodbus.py",
    "epoll by hand": "line_by_hand.py",
}
KEEP = {"MALLOC_TRIM_THRESHOLD_": str(1 << 27), "MALLOC_MMAP_THRESHOLD_": str(1 << 25)}
"""What makes glibc keep memory that is free for the moment."""


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


def _measured(side: str, port: int, connections: int, seconds: float, what: str) -> list[float]:
    """Return what a side prints of itself: its cost, or p50 and p99 of its answers in µs."""
    script = Path(__file__).parent / "common" / SIDES[side]
    arguments = (str(port), str(connections), str(seconds), what)
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, **(KEEP if side == THEIRS_KEPT else {})},
        timeout=ROUND_LIMIT_S,
    )
    measured: list[float] = json.loads(done.stdout)
    return measured


def _compare(port: int, connections: int, seconds: float) -> None:
    """Print the medians of paired rounds, and how long answers took in a pass of its own."""
    costs: dict[str, list[Cost]] = {name: [] for name in SIDES}
    for _ in range(ROUNDS):
        for name, rounds in costs.items():
            rounds.append(Cost(*_measured(name, port, connections, seconds, "cost")))
    for name, rounds in costs.items():
        cpu, kernel, rate = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(
            f"{connections:3} connections  {name:15} {cpu:6.3f} s/10 000 "
            f"({kernel:.3f} in the kernel)  {rate:7.0f} req/s"
        )
    for peer in (THEIRS, THEIRS_KEPT):
        pairs = zip(costs[OURS], costs[peer], strict=True)
        ratios = sorted(ours.cpu_s / theirs.cpu_s for ours, theirs in pairs)
        print(
            f"{connections:3} connections  ratio to {peer:14} {statistics.median(ratios):.2f}"
            f" ({ratios[0]:.2f} … {ratios[-1]:.2f})"
        )
    for name in (OURS, THEIRS):
        half, most = _measured(name, port, connections, seconds, "took")
        print(f"{connections:3} connections  {name:15} answers p50 {half} µs, p99 {most} µs")


def main() -> None:
    """Measure one, sixteen and two hundred connections, or others, ours and theirs in turn."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.5
    counts = int(sys.argv[2]) if len(sys.argv) > 2 else COUNTS
    near, far = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    server = spawn.Process(target=_serve, args=(far, counts), daemon=True)
    server.start()
    port = near.recv()
    print(
        f"{os.cpu_count()} cores at a load of {os.getloadavg()[0]:.1f}, {REGISTERS} registers,"
        f" {counts} different counts, {ROUNDS} rounds of {seconds} s; each side a process of its"
        " own, ours with the controller's garbage settings, pymodbus with Python's defaults",
        flush=True,
    )
    for connections in [int(each) for each in sys.argv[3:]] or CONNECTIONS:
        _compare(port, connections, seconds)
    near.send(None)
    server.join(5)


if __name__ == "__main__":
    main()
