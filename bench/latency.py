"""From the register at trip value to the coil written: over TCP with 200 heads, and on one RS-485.

Run as `python bench/latency.py [tcp|rtu]`. A page hangs on the event stream and no broker answers,
as in the worst night. Prints one JSON line per wiring: p50, p99 and max in ms of the whole way
(`reaction`), of its floor (`poll_wait`: the register waits to be read) and of what is ours (`own`:
from that read to the coil), beside the bound.
"""

import json
import random
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.generated import TRIP_PCT, write_rtu_mine, write_tcp_mine
from common.house import House, wait_for
from minewatch_drivers.budget import predict

from minewatch.mine import load

TCP_HEADS, TCP_GATEWAYS, TCP_SCAN_MS, RELAY_SCAN_MS = 200, 5, 1000, 500
RTU_HEADS, RTU_SCAN_MS, RTU_BAUD = 16, 2000, 9600
ALLOWED_MS = 50
"""What may come on top of the scan interval on TCP."""

GAP_S = (0.02, 0.10)
"""Time between two trips: long enough to be single ones, short enough to load the house."""

RTU_GAP_S = (0.4, 1.2)
SETTLE_S = 4.0


@dataclass(frozen=True, slots=True)
class Trip:
    """One head that reached its trip value: times on the plant's clock in µs, None = never."""

    point: str
    output: str
    reached_us: int
    read_us: int | None
    coil_us: int | None


@dataclass(frozen=True, slots=True)
class Played:
    """All trips, the last view of the outputs, and the events of the record by kind."""

    trips: tuple[Trip, ...]
    outputs: dict[str, dict[str, Any]]
    alarms: dict[str, dict[str, Any]]
    events: list[dict[str, Any]]
    bound_ms: int


def play_tcp(scratch: Path, heads: int = TCP_HEADS, welded: tuple[str, ...] = ()) -> Played:
    """Trip every head once, heads behind gateways and each relay on an endpoint of its own."""
    mine = write_tcp_mine(scratch / "mine", heads, TCP_GATEWAYS, TCP_SCAN_MS, RELAY_SCAN_MS)
    return _play(scratch, mine, heads, TCP_SCAN_MS + ALLOWED_MS, GAP_S, welded)


def play_rtu(scratch: Path, heads: int = RTU_HEADS) -> Played:
    """Trip every head once, everything on one serial line; the bound is what `check` prints."""
    mine = write_rtu_mine(scratch / "mine", heads, RTU_SCAN_MS, RTU_BAUD)
    loaded = load(mine).mine
    if loaded is None:
        raise ValueError("the generated mine is none")
    (line,) = predict(loaded)
    bound_ms = max(point.reaction_ms for point in line.points) + (line.write_ms or 0)
    return _play(scratch, mine, heads, bound_ms, RTU_GAP_S, ())


def _play(
    scratch: Path,
    mine: Path,
    heads: int,
    bound_ms: int,
    gap_s: tuple[float, float],
    welded: tuple[str, ...],
) -> Played:
    order = list(range(heads))
    chance = random.Random(heads)
    chance.shuffle(order)
    with House(scratch, mine, str(mine / "quiet.toml"), with_broker=False) as house:
        wait_for(lambda: _ready(house), 60, "every head GOOD and every feeder live")
        for output in welded:
            house.do("weld", output=output)
        with _open_page(house):
            for n in order:
                house.do("set_value", point=f"CH4_{n}", value=TRIP_PCT + 0.1)
                time.sleep(chance.uniform(*gap_s))
            time.sleep(SETTLE_S)
            log = house.do("log")
            frame = house.frame()
        events = _events(house)
    return Played(
        tuple(_trip(n, log) for n in range(heads)),
        frame.section("outputs"),
        frame.section("alarms"),
        events,
        bound_ms,
    )


def _ready(house: House) -> bool:
    points = house.frame().section("points")
    good = all(each["quality"] == "GOOD" for each in points.values())
    live = all(each["value"] == 1 for key, each in points.items() if key.startswith("FEED_"))
    return good and live


def _trip(n: int, log: list[dict[str, Any]]) -> Trip:
    point, output = f"CH4_{n}", f"cut_{n}"
    reached_us = next(e["at_us"] for e in log if (e["what"], e["subject"]) == ("reached", point))

    def after(what: str, subject: str) -> int | None:
        times = [e["at_us"] for e in log if (e["what"], e["subject"]) == (what, subject)]
        return next((each for each in times if each >= reached_us), None)

    return Trip(point, output, reached_us, after("read", point), after("coil", output))


def _events(house: House) -> list[dict[str, Any]]:
    from minewatch.record.ledger import Ledger  # noqa: PLC0415 — the record, after the run only

    ledger = Ledger.open(house.folder.root, origin="", writable=False)
    try:
        return [json.loads(entry.leaf) for entry in ledger.all_entries()]
    finally:
        ledger.close()


@contextmanager
def _open_page(house: House) -> Iterator[None]:
    """Hold the event stream of the console open and read it, as a page does."""
    closing = threading.Event()
    url = f"http://127.0.0.1:{house.page_port}/api/v1/stream"
    stream = wait_for(lambda: urllib.request.urlopen(url, timeout=5), 15, "the console")

    def drain() -> None:
        while not closing.is_set():
            if not stream.readline():
                return

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    try:
        yield
        if not reader.is_alive():
            raise ConnectionError("the page lost its stream")
    finally:
        closing.set()
        reader.join(5)
        stream.close()


def spread(values_us: list[int]) -> dict[str, float]:
    """Return p50, p99 and max in ms."""
    ordered = sorted(values_us)
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    named = {"p50_ms": ordered[len(ordered) // 2], "p99_ms": p99, "max_ms": ordered[-1]}
    return {key: round(value / 1000, 1) for key, value in named.items()}


def figures(name: str, played: Played) -> dict[str, Any]:
    """Return what is printed for one wiring."""
    whole = [t for t in played.trips if t.read_us is not None and t.coil_us is not None]
    return {
        "wiring": name,
        "trips": len(played.trips),
        "coils_written": len(whole),
        "bound_ms": played.bound_ms,
        "reaction": spread([t.coil_us - t.reached_us for t in whole]),  # type: ignore[operator]
        "poll_wait": spread([t.read_us - t.reached_us for t in whole]),  # type: ignore[operator]
        "own": spread([t.coil_us - t.read_us for t in whole]),  # type: ignore[operator]
    }


def main() -> None:
    """Measure and print."""
    wanted = sys.argv[1:] or ["tcp", "rtu"]
    for name, play in (("tcp", play_tcp), ("rtu", play_rtu)):
        if name in wanted:
            with tempfile.TemporaryDirectory(prefix="minewatch-bench-") as scratch:
                print(json.dumps(figures(name, play(Path(scratch)))))


if __name__ == "__main__":
    main()
