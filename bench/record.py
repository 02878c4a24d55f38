"""What the record costs: appends, signatures, journal of 2 000 points, a day's curve, a replay.

Run as `python bench/record.py [seconds of plant time]` (default 600; 3600 for the full hour).
Prints one JSON line. A peer or a limit stands beside each figure: one plain row in the same kind
of commit for the ledger, the journal's own lines for the curve; `_cpu_` is what it costs where
other work takes the processor away. Made up: the day of the curve is written as finished columns
(144 blocks of 2 000 points), not recorded; the replay is of the mine of `step.py`.
"""

import json
import random
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from step import build_mine, image_of

from minewatch.core.snapshot import durable_to_json
from minewatch.core.state import State
from minewatch.core.step import step
from minewatch.folder import Folder
from minewatch.model.canonical import encode
from minewatch.model.image import Image, Reading, Sample
from minewatch.model.quality import Quality
from minewatch.record.digest import DecisionDigest
from minewatch.record.journal import Journal, JournalLimits, Start, curve
from minewatch.record.journal_files import (
    chunk_numbers,
    file_numbers,
    file_path,
    open_reader,
    read_chunk,
)
from minewatch.record.ledger import Ledger
from minewatch.record.store import RecordStore, StoreLimits
from minewatch.record.trend import pack
from minewatch.record.verify import verify
from minewatch.replay.again import replay

POINTS = 2_000
PER_DEVICE = 20
DAY_S = 86_400
REPLAY_S = 180
WALL_MS = 1_790_000_000_000
LEAF = b'{"cycle":1,"data":{"alarm":"a1","limit":100,"value":104},"kind":"alarm_raised"}'


def timed(
    act: Callable[[], object], times: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the median ms of an act; by `time.process_time` what it costs on a busy machine."""
    taken = []
    for _ in range(times):
        began = clock()
        act()
        taken.append((clock() - began) * 1000)
    return round(statistics.median(taken), 3)


def quantiles(name: str, taken_ms: list[float]) -> dict[str, float]:
    """Return median and p99 of some times as figures."""
    ordered = sorted(taken_ms)
    return {
        f"{name}_p50_ms": round(statistics.median(ordered), 4),
        f"{name}_p99_ms": round(ordered[int(len(ordered) * 0.99)], 4),
    }


def each_ms(act: Callable[[], object], times: int) -> list[float]:
    """Return the ms of every call of an act."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def bench_ledger(folder: Path) -> dict[str, float]:
    """Append one and a thousand events, sign, beside plain rows in the same kind of commit."""
    with closing(Ledger.open(folder, origin="bench/mine", writable=True)) as ledger:
        one = each_ms(lambda: ledger.append([(LEAF, "")]), 500)
        many = timed(lambda: ledger.append([(LEAF, "")] * 1000), 20)
        sign = timed(ledger.sign_checkpoint, 20)
        proof = timed(lambda: ledger.inclusion(7, ledger.size), 50)
    with closing(sqlite3.connect(folder / "peer.db", isolation_level=None)) as peer:
        peer.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE e(l)")
        plain = each_ms(lambda: peer.execute("INSERT INTO e VALUES (?)", (LEAF,)), 500)
    return {
        **quantiles("commit", one),
        **quantiles("plain_commit", plain),
        "append_1000_ms": many,
        "sign_ms": sign,
        "inclusion_ms": proof,
    }


def bench_journal(folder: Path, seconds: int) -> dict[str, float]:
    """Write `seconds` of 2 000 points at 1 Hz: CPU per plant second, bytes per reading."""
    chance = random.Random(1)
    values = [chance.randrange(20, 60) for _ in range(POINTS)]
    journal = Journal(folder, JournalLimits(free_bytes=0))
    journal.start(Start("bench", {}, "0", "0", 0))
    used = 0.0
    for cycle in range(seconds):
        now_ms = cycle * 1000
        for _ in range(POINTS // 10):
            values[chance.randrange(POINTS)] += chance.choice((-1, 1))
        samples = _samples(values, now_ms, chance)
        image = encode(Image(cycle, now_ms, WALL_MS + now_ms, True, 0, samples).to_row())
        began = time.process_time()
        journal.add(image, "00" * 32, samples)
        journal.advance()
        used += time.process_time() - began
    journal.close()
    size = sum(path.stat().st_size for path in (folder / "journal").iterdir())
    return {
        "journal_cpu_ms_per_s": round(used * 1000 / seconds, 2),
        "journal_bytes_per_reading": round(size / (seconds * POINTS), 2),
    }


def _samples(values: list[int], now_ms: int, chance: random.Random) -> tuple[Sample, ...]:
    return tuple(
        Sample(
            f"device_{first}",
            now_ms - chance.randrange(300),
            tuple(
                Reading(f"point_{first + n}", values[first + n], Quality.GOOD)
                for n in range(PER_DEVICE)
            ),
        )
        for first in range(0, POINTS, PER_DEVICE)
    )


def bench_curve(folder: Path) -> dict[str, float]:
    """Read a day of one of 2 000 points at 1 Hz, to be held beside `bench_lines`."""
    with closing(sqlite3.connect(_empty_file(folder))) as database:
        _fill_a_day(database)

    def read() -> object:
        return curve(folder, "point_7", WALL_MS, WALL_MS + DAY_S * 1000, 2000)

    day, cpu = timed(read, 15), timed(read, 15, time.process_time)
    assert len(curve(folder, "point_7", 0, WALL_MS * 2, 10**6).time_ms) == DAY_S
    return {"curve_24_h_ms": day, "curve_24_h_cpu_ms": cpu, "curve_24_h_limit_ms": 50}


def _empty_file(folder: Path) -> Path:
    journal = Journal(folder, JournalLimits(free_bytes=0))
    journal.start(Start("bench", {}, "0", "0", 0))
    journal.add(encode(Image(0, 0, 0, False, 0).to_row()), "00" * 32, ())
    journal.close()
    return file_path(folder, 1)


def _fill_a_day(database: sqlite3.Connection) -> None:
    """Write the columns of 144 blocks as the journal would: other points' are copies."""
    chance = random.Random(2)
    for block in range(1, 145):
        first = WALL_MS + (block - 1) * 600_000
        times = array("q", (first + n * 1000 + chance.randrange(300) for n in range(600)))
        walk = array("q", (40 + chance.randrange(-3, 4) for _ in range(600)))
        column, at = pack(walk, bytes(600)), pack(times)
        database.execute("INSERT INTO block VALUES (?, ?, ?)", (block, times[0], times[-1]))
        for exchange in range(POINTS // PER_DEVICE):
            database.execute("INSERT INTO times VALUES (?, ?, ?)", (block, exchange, at))
        database.executemany(
            "INSERT INTO trend VALUES (?, ?, ?, ?)",
            ((f"point_{n}", block, n // PER_DEVICE, column) for n in range(POINTS)),
        )
    database.commit()


def bench_lines(folder: Path) -> float:
    """Return ms to find one point's readings in the lines of the journal: the peer of a curve."""

    def scan() -> int:
        found = 0
        for number in file_numbers(folder):
            with closing(open_reader(file_path(folder, number))) as database:
                for chunk in chunk_numbers(database):
                    for part in read_chunk(database, chunk):
                        found += sum(
                            reading[0] == "point_7"
                            for line in part.lines.splitlines()
                            if line.startswith(b"[")
                            for sample in json.loads(line)[5]
                            for reading in sample[2]
                        )
        return found

    return timed(scan, 1)


def bench_replay(folder: Path, seconds: int) -> dict[str, float]:
    """Record 2 000 points at 10 cycles a second through the store, then replay and verify that."""
    mine, state, digest = build_mine(), State(), DecisionDigest()
    store = RecordStore(
        folder,
        "bench/replay",
        digest=digest,
        urgent=lambda _: False,
        limits=StoreLimits(images=10**6, image_bytes=1 << 40, journal=JournalLimits(free_bytes=0)),
    )
    start = durable_to_json(state.durable)
    store.start_run(Start("bench", start, "0", Folder(folder).activate(mine), 0))
    submitted: list[float] = []
    for cycle in range(seconds * 10):
        image = replace(image_of(cycle, mine, busy=True), durable_index=store.durable_index)
        image = replace(image, notices=(*image.notices, *store.take_notices()))
        decided = step(mine, state, image)
        state = decided.state
        digest.update(cycle, decided.events, decided.outputs)
        row = encode(image.to_row())
        began = time.perf_counter()
        store.submit(row, decided.events, image.samples)
        submitted.append((time.perf_counter() - began) * 1000)
        while store.pending > 500:
            time.sleep(0.001)
    store.close()
    began_cpu_s = time.process_time()
    found = replay(folder)
    cpu_s = time.process_time() - began_cpu_s
    assert found.equal
    assert found.cycles == seconds * 10
    return {
        **quantiles("submit", submitted),
        "replay_times_real_time": round(found.plant_ms / 1000 / found.seconds),
        "replay_times_real_time_cpu": round(found.plant_ms / 1000 / cpu_s),
        "replay_times_real_time_limit": 100,
        "verify_ms": timed(lambda: verify(folder), 3),
    }


def main(seconds: int) -> None:
    """Measure and print."""
    figures: dict[str, float] = {"points": POINTS, "plant_s": seconds}
    with tempfile.TemporaryDirectory(prefix="minewatch-bench-") as home:
        for name in ("ledger", "journal", "curve", "replay"):
            (Path(home) / name).mkdir()
        figures |= bench_ledger(Path(home) / "ledger")
        figures |= bench_journal(Path(home) / "journal", seconds)
        figures["lines_scan_ms"] = bench_lines(Path(home) / "journal")
        figures |= bench_curve(Path(home) / "curve")
        figures |= bench_replay(Path(home) / "replay", min(seconds, REPLAY_S))
    figures["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(figures))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 600)
