"""Memory and processor time of the three rooms: the demo mine at 1 s scans, one page open.

Run as `python bench/footprint.py [seconds]`. The simulator and the broker run outside and are not
counted. Prints one JSON line: per room the median RSS and PSS in MB and the share of one core, and
their sums beside the limits. Leaves with 1 where a sum is over its limit.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from common.house import ROOMS, House, wait_for

RSS_LIMIT_MB = 220
CPU_LIMIT_PCT = 15
WARM_UP_S = 10.0
SAMPLE_S = 2.0
CONFIG = Path(__file__).resolve().parents[1] / "config" / "demo-mine"
TICKS_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Sample:
    """What the kernel says of one process; `cpu_s` since its start."""

    rss_kb: int
    pss_kb: int
    cpu_s: float


def sample(pid: int) -> Sample:
    """Return the memory and processor time of a process now."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    sizes = {row.split()[0]: int(row.split()[1]) for row in rows[1:]}
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Sample(sizes["Rss:"], sizes["Pss:"], (int(fields[11]) + int(fields[12])) / TICKS_S)


def watch(pids: dict[str, int], seconds: float) -> dict[str, dict[str, float]]:
    """Return per room the medians of memory and the share of one core over `seconds`."""
    begun_s = time.monotonic()
    seen: dict[str, list[Sample]] = {room: [sample(pid)] for room, pid in pids.items()}
    while (past_s := time.monotonic() - begun_s) < seconds:
        time.sleep(min(SAMPLE_S, seconds - past_s))
        for room, pid in pids.items():
            seen[room].append(sample(pid))
    spent_s = time.monotonic() - begun_s
    return {
        room: {
            "rss_mb": statistics.median(each.rss_kb for each in samples) / 1024,
            "pss_mb": statistics.median(each.pss_kb for each in samples) / 1024,
            "cpu_pct": 100 * (samples[-1].cpu_s - samples[0].cpu_s) / spent_s,
        }
        for room, samples in seen.items()
    }


def main() -> None:
    """Measure, print and judge."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    with (
        tempfile.TemporaryDirectory(prefix="minewatch-bench-") as scratch,
        House(Path(scratch), CONFIG, "normal-shift", with_broker=True) as house,
    ):
        pids = wait_for(lambda: len(found := house.pids()) == len(ROOMS) and found, 20, "rooms")
        time.sleep(WARM_UP_S)
        with house.page():
            rooms = watch(pids, seconds)
    total = {
        key: sum(each[key] for each in rooms.values()) for key in ("rss_mb", "pss_mb", "cpu_pct")
    }
    result = {
        room: {key: round(value, 1) for key, value in each.items()} for room, each in rooms.items()
    }
    result["total"] = {key: round(value, 1) for key, value in total.items()}
    limits = {"rss_mb": RSS_LIMIT_MB, "cpu_pct": CPU_LIMIT_PCT}
    print(json.dumps({"seconds": seconds, **result, "limits": limits}))
    sys.exit(any(total[key] > limit for key, limit in limits.items()))


if __name__ == "__main__":
    main()
