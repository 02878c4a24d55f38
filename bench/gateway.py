"""The whole controller at 20 000 values a second: CPU per value, periods, memory, turns.

Run as `python bench/gateway.py [seconds]`. 200 TCP stations of 100 registers, every register
another number each second, 2 000 points with limits; the real controller process with its record.
Three runs: all alive; ten stations dead (five mute, five refused); all alive and one watcher.
Periods and values are read back from the journal, which is replayed and verified too. The peer
beside them polls and decodes the same registers with pymodbus, without rules or record. Prints one
JSON line each; leaves with 1 where a limit is missed.
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
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from common.house import wait_for
from common.stations import REGISTERS, STATIONS, register, register_value, write_mine

from minewatch.controller.cycle import CYCLE_MS
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
from minewatch.record.verify import verify
from minewatch.replay.again import replay

BENCH = Path(__file__).resolve().parent
SETTLE_S = 6.0
LATE_S = 3
"""A sample bears the second of its first try; the answer may be that of the second or third."""

TICKS_S = os.sysconf("SC_CLK_TCK")
CPU_LIMIT_US, RSS_LIMIT_MB = 10.0, 150.0
PERIOD_LIMIT_MS, PERIOD_LIMIT_DEAD_MS = 1050, 1100
PEER_S = 10.0


class RunOptions(NamedTuple):
    """What differs between the runs."""

    mute: int = 0
    refused: int = 0
    watched: bool = False


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
                shown = [register_value(station + 1, number, second + n) for n in range(LATE_S)]
                found.values += 1
                found.wrong += reading.value not in shown
                # a station stands for each of its points: they are read together
        if readings[0].quality is Quality.GOOD:
            found.sampled_ms[station].append(sampled_ms)


def figures_of(found: Recorded, seconds: float) -> dict[str, Any]:
    """Return what the journal says of a window of so many seconds."""
    periods = sorted(
        later - earlier for times in found.sampled_ms.values() for earlier, later in pairwise(times)
    )
    lags = sorted(later - earlier - CYCLE_MS for earlier, later in pairwise(found.turned_ms))
    return {
        "values_per_s": round(found.values / seconds),
        "wrong": found.wrong,
        "qualities": dict(found.qualities),
        "period_p50_ms": statistics.median(periods),
        "period_p99_ms": _p99(periods),
        "period_max_ms": periods[-1],
        "lag_p99_ms": _p99(lags),
        "lag_max_ms": lags[-1],
    }


def turns_of(path: Path) -> dict[str, float]:
    """Return how long turns took; the first seconds, when everything is new, are left out."""
    rows = [row.split() for row in path.read_text().splitlines()][int(SETTLE_S * 10) :]
    walls, cpus = (sorted(int(row[at]) / 1000 for row in rows) for at in (0, 1))
    return {
        "turn_p50_ms": round(statistics.median(walls), 2),
        "turn_p99_ms": round(_p99(walls), 2),
        "turn_max_ms": round(walls[-1], 2),
        "turn_cpu_p50_ms": round(statistics.median(cpus), 2),
        "turn_cpu_max_ms": round(cpus[-1], 2),
    }


def run(
    seconds: float, *, mute: int = 0, refused: int = 0, watched: bool = False
) -> dict[str, Any]:
    """Run one house of stations and return its figures."""
    with tempfile.TemporaryDirectory(prefix="minewatch-bench-") as scratch, ExitStack() as stack:
        ports = stack.enter_context(stations(STATIONS - mute - refused, mute, refused))
        mine = load(write_mine(Path(scratch) / "config", ports)).mine
        assert mine is not None
        folder = Folder(Path(scratch) / "state")
        folder.activate(mine)
        turns = Path(scratch) / "turns"
        with controller(folder, turns) as pid, watcher(folder) if watched else ExitStack():
            time.sleep(SETTLE_S)
            before, from_ms = threads_s(pid), _boot_ms()
            time.sleep(seconds)
            after, to_ms = threads_s(pid), _boot_ms()
            memory = memory_mb(pid)
        window_s = (to_ms - from_ms) / 1000
        found = read_back(folder.root, from_ms, to_ms)
        spent_s = {name: after[name] - before.get(name, 0.0) for name in after}
        return {
            "dead": mute + refused,
            "watchers": int(watched),
            "seconds": seconds,
            "cpu_us_per_value": round(1e6 * sum(spent_s.values()) / found.values, 2),
            **{f"{k}_us_per_value": round(1e6 * v / found.values, 2) for k, v in spent_s.items()},
            **memory,
            **figures_of(found, window_s),
            **turns_of(turns),
            "replay_equal": replay(folder.root).equal,
            "record_whole": not verify(folder.root).findings,
        }


def missed(figures: dict[str, Any]) -> list[str]:
    """Return the names of the limits that a run missed."""
    limits = {"cpu_us_per_value": CPU_LIMIT_US, "rss_mb": RSS_LIMIT_MB}
    limits |= {"turn_cpu_max_ms": float(CYCLE_MS), "wrong": 0.0}
    limits["period_p99_ms"] = PERIOD_LIMIT_DEAD_MS if figures["dead"] else PERIOD_LIMIT_MS
    found = [name for name, limit in limits.items() if figures[name] > limit]
    if figures["values_per_s"] < 0.999 * REGISTERS * (STATIONS - figures["dead"]):
        found.append("values_per_s")
    return found + [name for name in ("replay_equal", "record_whole") if not figures[name]]


def run_peer(seconds: float) -> dict[str, Any]:
    """Run the peer in a process of its own beside one station's server."""
    with stations(1, 0, 0) as (port,):
        command = [sys.executable, "-m", "common.pymodbus_gateway", str(port), str(seconds)]
        return dict(json.loads(subprocess.check_output(command, cwd=BENCH)))


def _boot_ms() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def _p99(ordered: list[Any]) -> Any:
    return ordered[len(ordered) * 99 // 100]


def main() -> None:
    """Measure, print and judge."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    register()
    everything_met = True
    for options in (RunOptions(), RunOptions(mute=5, refused=5), RunOptions(watched=True)):
        figures = run(seconds, **options._asdict())
        figures["missed"] = missed(figures)
        everything_met = everything_met and not figures["missed"]
        print(json.dumps(figures), flush=True)
    print(json.dumps({"peer": "pymodbus, polls and decodes", **run_peer(PEER_S)}))
    sys.exit(not everything_met)


if __name__ == "__main__":
    main()
