"""From the register at trip value to the coil written: over TCP with 200 heads, and on one RS-485.

Run as `python bench/latency.py [tcp] [standing] [rtu]`. A page hangs on the event stream and no
broker answers, as in the worst night. Prints one JSON line per wiring: p50, p99 and max in ms of
the whole way (`reaction`), of its floor (`poll_wait`: the register waits to be read) and of what
is ours (`own`: from that read to the coil), beside the bound.
"""

import json
import math
import random
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.generated import TRIP_PCT, write_rtu_mine, write_tcp_mine
from common.house import House, wait_for
from minewatch_drivers.forecast.budget import predict

from minewatch.mine import load
from minewatch.record.ledger import Ledger

TCP_HEADS, TCP_GATEWAYS, TCP_SCAN_MS, RELAY_SCAN_MS = 200, 5, 1000, 500
RTU_HEADS, RTU_SCAN_MS, RTU_BAUD = 16, 1000, 19_200
ALLOWED_MS = 50
"""What may come on top of the scan interval on TCP."""

GAP_S = (0.02, 0.10)
"""Time between two trips: long enough to be single ones, short enough to load the house."""

RTU_GAP_S = (0.4, 1.2)
HOLD_S = 2.5
"""How long a head stays at its trip value; longer than any scan here."""

QUIET_PCT = 0.2
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
    outputs: Mapping[str, Any]
    alarms: Mapping[str, Any]
    events: list[dict[str, Any]]
    bound_ms: int


def play_tcp(
    scratch: Path, *, welded: tuple[str, ...] = (), hold_s: float = HOLD_S, heads: int = TCP_HEADS
) -> Played:
    """Trip every head once, heads behind gateways and each relay on an endpoint of its own."""
    mine = write_tcp_mine(scratch / "mine", heads, TCP_GATEWAYS, TCP_SCAN_MS, RELAY_SCAN_MS)
    return _play(scratch, mine, heads, TCP_SCAN_MS + ALLOWED_MS, GAP_S, hold_s, welded)


def play_standing(scratch: Path) -> Played:
    """Trip every head once and let the gas stand: in the end all are scanned every 200 ms."""
    return play_tcp(scratch, hold_s=math.inf)


def play_rtu(scratch: Path, heads: int = RTU_HEADS) -> Played:
    """Trip every head once, everything on one serial line; the bound is what `check` prints."""
    mine = write_rtu_mine(scratch / "mine", heads, RTU_SCAN_MS, RTU_BAUD)
    loaded = load(mine).mine
    if loaded is None:
        raise ValueError("the generated mine is none")
    (line,) = predict(loaded)
    bound_ms = max(point.reaction_ms for point in line.points) + (line.write_ms or 0)
    return _play(scratch, mine, heads, bound_ms, RTU_GAP_S, math.inf, ())


def _play(
    scratch: Path,
    mine: Path,
    heads: int,
    bound_ms: int,
    gap_s: tuple[float, float],
    hold_s: float,
    welded: tuple[str, ...],
) -> Played:
    order = list(range(heads))
    chance = random.Random(heads)
    chance.shuffle(order)
    with House(scratch, mine, str(mine / "quiet.toml"), with_broker=False) as house:
        wait_for(lambda: _ready(house), 60, "every head GOOD and every feeder live")
        for output in welded:
            house.do("weld", output=output)
        with house.page():
            gaps_s = [chance.uniform(*gap_s) for _ in order]
            _trip_all(house, order, gaps_s, hold_s)
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


def _trip_all(house: House, order: list[int], gaps_s: list[float], hold_s: float) -> None:
    """Raise the heads one by one; each falls back after `hold_s`, by when it has been read."""
    raised: deque[tuple[float, int]] = deque()
    for n, gap_s in zip(order, gaps_s, strict=True):
        house.do("set_value", point=f"CH4_{n}", value=TRIP_PCT + 0.1)
        raised.append((time.monotonic() + hold_s, n))
        time.sleep(gap_s)
        while raised and raised[0][0] <= time.monotonic():
            house.do("set_value", point=f"CH4_{raised.popleft()[1]}", value=QUIET_PCT)


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
    ledger = Ledger.open(house.folder.root, origin="", writable=False)
    try:
        return [json.loads(entry.leaf) for entry in ledger.all_entries()]
    finally:
        ledger.close()


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
    plays = {"tcp": play_tcp, "standing": play_standing, "rtu": play_rtu}
    wanted = sys.argv[1:] or list(plays)
    for name, play in plays.items():
        if name in wanted:
            with tempfile.TemporaryDirectory(prefix="minewatch-bench-") as scratch:
                print(json.dumps(figures(name, play(Path(scratch)))))


if __name__ == "__main__":
    main()
