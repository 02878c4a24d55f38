"""The whole controller at 20 000 values a second: CPU per value, periods, memory, turns.

Run as `python bench/gateway.py [seconds]`. 200 TCP stations of 100 registers, every register
another number each second, 2 000 points with limits; the real controller process with its record.
Three runs: all alive; ten stations dead (five mute, five refused); all alive and one watcher. The
peer beside them is a gateway on pymodbus that polls and decodes the same registers one after the
other, without rules or record. Prints one JSON line each; leaves with 1 where a limit is missed.
"""

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.house import wait_for
from common.stations import HEADS, REGISTERS, STATIONS, register, register_value, write_mine

from minewatch.folder import Folder
from minewatch.mine import load
from minewatch.model.image import Image
from minewatch.model.quality import Quality
from minewatch.record.journal_files import (
    chunk_numbers,
    file_numbers,
    file_path,
    open_reader,
    read_chunk,
)

BENCH = Path(__file__).resolve().parent
SETTLE_S = 6.0
TICKS_S = os.sysconf("SC_CLK_TCK")
CPU_LIMIT_US, RSS_LIMIT_MB, TURN_LIMIT_MS = 10.0, 150.0, 100.0
PERIOD_LIMIT_MS, PERIOD_LIMIT_DEAD_MS = 1050, 1100
PEER_S = 10.0


@dataclass(slots=True)
class Recorded:
    """What the journal holds of a window: sample times by station, values, wrong values, turns."""

    sampled_ms: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    values: int = 0
    wrong: int = 0
    qualities: Counter[str] = field(default_factory=Counter)
    turned_ms: list[int] = field(default_factory=list)


@contextmanager
def stations(alive: int, mute: int, refused: int) -> Iterator[list[int]]:
    """Run the stations in a process of their own and yield their ports."""
    command = [sys.executable, "-m", "common.stations", str(alive), str(mute), str(refused)]
    server = subprocess.Popen(
        command, cwd=BENCH, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    assert server.stdin is not None
    try:
        yield [int(port) for port in server.stdout.readline().split()]
    finally:
        server.stdin.close()
        server.wait(10)


@contextmanager
def controller(folder: Folder, turns: Path) -> Iterator[int]:
    """Run the controller on `folder` and yield its process id; end it in order."""
    command = [sys.executable, "-m", "common.station_controller", str(turns)]
    process = subprocess.Popen(
        [*command, "--state", str(folder.root)], cwd=BENCH, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(folder.socket.exists, 30, "the controller's socket")
        yield process.pid
        if process.poll() is not None:
            raise ChildProcessError("the controller died")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@contextmanager
def watcher(folder: Folder) -> Iterator[None]:
    """Read the watch stream as console and publisher do, and throw it away."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(folder.socket))
        connection.sendall(b'{"do":"watch"}\n')

        def drain() -> None:
            while connection.recv(1 << 20):
                pass

        reader = threading.Thread(target=drain, daemon=True)
        reader.start()
        yield
        connection.shutdown(socket.SHUT_RDWR)
        reader.join(5)


def threads_s(pid: int) -> dict[str, float]:
    """Return CPU seconds of each thread so far; the first one is the loop."""
    found = {}
    for number, task in enumerate(sorted(Path(f"/proc/{pid}/task").iterdir(), key=_number)):
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        name = "loop" if number == 0 else f"thread_{number}"
        found[name] = (int(fields[11]) + int(fields[12])) / TICKS_S
    return found


def _number(path: Path) -> int:
    return int(path.name)


def memory_mb(pid: int) -> dict[str, float]:
    """Return resident memory now and its peak."""
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    sizes = {row.split(":")[0]: row.split()[1] for row in rows if row.startswith("Vm")}
    return {
        "rss_mb": round(int(sizes["VmRSS"]) / 1024, 1),
        "rss_peak_mb": round(int(sizes["VmHWM"]) / 1024, 1),
    }


def read_back(folder: Path, from_ms: int, to_ms: int) -> Recorded:
    """Return what the journal says of the images of a window; each value is looked at."""
    found = Recorded()
    for number in file_numbers(folder):
        database = open_reader(file_path(folder, number))
        for chunk in chunk_numbers(database):
            for part in read_chunk(database, chunk):
                for line in part.lines.splitlines():
                    if line.startswith(b"["):
                        _look_at(Image.from_row(json.loads(line)), from_ms, to_ms, found)
        database.close()
    return found


def _look_at(image: Image, from_ms: int, to_ms: int, found: Recorded) -> None:
    if not from_ms <= image.now_ms < to_ms:
        return
    found.turned_ms.append(image.now_ms)
    for device, sampled_ms, readings in image.samples:
        station = int(device.removeprefix("station_"))
        second = sampled_ms // 1000
        for reading in readings:
            found.qualities[reading.quality.name] += 1
            if reading.quality is Quality.GOOD:
                number = int(reading.point.rpartition("_")[2])
                shown = [register_value(station + 1, number, second + n) for n in (0, 1)]
                found.values += 1
                found.wrong += reading.value not in shown
                # a station stands for each of its points: they are read together
        if readings[0].quality is Quality.GOOD:
            found.sampled_ms[station].append(sampled_ms)


def judge(found: Recorded, turns_us: list[int], seconds: float) -> dict[str, Any]:
    """Return the figures of a window."""
    periods = sorted(
        later - earlier
        for times in found.sampled_ms.values()
        for earlier, later in zip(times, times[1:], strict=False)
    )
    lags = sorted(
        later - earlier - 100
        for earlier, later in zip(found.turned_ms, found.turned_ms[1:], strict=False)
    )
    turns_us = sorted(turns_us)
    return {
        "values_per_s": round(found.values / seconds),
        "wrong": found.wrong,
        "qualities": dict(found.qualities),
        "period_p50_ms": statistics.median(periods),
        "period_p99_ms": periods[len(periods) * 99 // 100],
        "period_max_ms": periods[-1],
        "lag_p99_ms": lags[len(lags) * 99 // 100],
        "lag_max_ms": lags[-1],
        "turn_p50_ms": turns_us[len(turns_us) // 2] / 1000,
        "turn_p99_ms": turns_us[len(turns_us) * 99 // 100] / 1000,
        "turn_max_ms": turns_us[-1] / 1000,
    }


def run(
    seconds: float, *, mute: int = 0, refused: int = 0, watched: bool = False
) -> dict[str, Any]:
    """Run one house of stations and return its figures."""
    with tempfile.TemporaryDirectory(prefix="minewatch-bench-") as scratch, ExitStack() as stack:
        alive = STATIONS - mute - refused
        ports = stack.enter_context(stations(alive, mute, refused))
        loaded = load(write_mine(Path(scratch) / "config", ports))
        assert loaded.mine is not None
        folder = Folder(Path(scratch) / "state")
        folder.activate(loaded.mine)
        del loaded
        turns = Path(scratch) / "turns"
        with controller(folder, turns) as pid:
            with watcher(folder) if watched else ExitStack():
                time.sleep(SETTLE_S)
                before, from_ms = threads_s(pid), _boot_ms()
                time.sleep(seconds)
                after, to_ms = threads_s(pid), _boot_ms()
                memory = memory_mb(pid)
        window_s = (to_ms - from_ms) / 1000
        turns_us = [int(each) for each in turns.read_text().split()][int(SETTLE_S * 10) :]
        figures = judge(read_back(folder.root, from_ms, to_ms), turns_us, window_s)
        spent = {name: after[name] - before.get(name, 0.0) for name in after}
        values = figures["values_per_s"] * window_s
        return {
            "dead": mute + refused,
            "watchers": int(watched),
            "cpu_us_per_value": round(1e6 * sum(spent.values()) / values, 2),
            **{f"{k}_us_per_value": round(1e6 * v / values, 2) for k, v in spent.items() if v},
            **memory,
            **figures,
        }


def _boot_ms() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def peer(port: int, seconds: float) -> None:
    """Poll and decode 200 units of one server a second with pymodbus; print CPU per value."""
    from pymodbus.client import ModbusTcpClient

    client = ModbusTcpClient("127.0.0.1", port=port, timeout=3)
    client.connect()
    table: dict[tuple[int, int], float] = {}
    values = 0
    begun_s, due_s = time.process_time(), time.monotonic()
    end_s = due_s + seconds
    while time.monotonic() < end_s:
        for unit in range(STATIONS):
            reply = client.read_input_registers(0, count=REGISTERS, device_id=unit)
            for n, raw in enumerate(reply.registers):
                table[unit, n] = raw * (0.01 if n < HEADS else 0.1)
                values += 1
        due_s += 1
        time.sleep(max(0, due_s - time.monotonic()))
    spent_s = time.process_time() - begun_s
    client.close()
    figures = {"cpu_us_per_value": round(1e6 * spent_s / values, 2), "values": values}
    print(json.dumps({"peer": "pymodbus, polls and decodes", **figures}))


def run_peer(seconds: float) -> dict[str, Any]:
    """Run the peer in a process of its own beside one station's server."""
    with stations(1, 0, 0) as (port,):
        command = [sys.executable, __file__, "--peer", str(port), str(seconds)]
        return dict(json.loads(subprocess.check_output(command)))


def main() -> None:
    """Measure, print and judge."""
    if sys.argv[1:2] == ["--peer"]:
        peer(int(sys.argv[2]), float(sys.argv[3]))
        return
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    register()
    missed = []
    for options in ({}, {"mute": 5, "refused": 5}, {"watched": True}):
        figures = run(seconds, **options)
        print(json.dumps(figures), flush=True)
    print(json.dumps(run_peer(PEER_S)))


if __name__ == "__main__":
    main()
