"""How soon a frozen head is found on a real longwall's series, and what was held frozen wrongly.

Run as `python bench/stuck.py [moments]` with MINEWATCH_TEST_DATA set to the folder of the series.
Heads are frozen at random moments of coal cutting, one at a time, none in the last four hours of
cutting. Prints one JSON line.
"""

import json
import random
import statistics
import sys
from collections import Counter
from typing import Any

from common import longwall

from minewatch.model.mine import Mine

SEED = 1
CUTTING_ROWS_LEFT = 480
MINUTES_PER_ROW = longwall.ROW_MS / 60_000


def falsely(series: longwall.Longwall, described: Mine) -> dict[str, int]:
    """Return how often each kind of event came with both heads alive, over the whole series."""
    player = longwall.Player(series, described)
    return Counter(event.kind for _ in range(series.rows) for event in player.turn())


def planted(series: longwall.Longwall, described: Mine, head: str, moments: int) -> dict[str, Any]:
    """Return how long it took to find `head` frozen at random moments of coal cutting."""
    chosen = random.Random(SEED).sample(series.cutting(CUTTING_ROWS_LEFT), moments)
    found = [longwall.plant(series, described, head, row) for row in chosen]
    seen = [each for each in found if each is not None]
    return {
        "planted": moments,
        "found": len(seen),
        "cutting_min": _spread([each.cutting_rows for each in seen]),
        "passed_min": _spread([each.rows for each in seen]),
    }


def _spread(rows: list[int]) -> dict[str, float]:
    return {
        "median": statistics.median(rows) * MINUTES_PER_ROW,
        "worst": max(rows) * MINUTES_PER_ROW,
    }


def main() -> None:
    """Measure and print."""
    path = longwall.find()
    if path is None:
        sys.exit(f"{longwall.SERIES} not found: set MINEWATCH_TEST_DATA")
    moments = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    series = longwall.load(path)
    shown: dict[str, Any] = {"rows": series.rows, "cutting_rows": len(series.cutting())}
    for name, beside_head in (("flag_and_head", True), ("flag", False)):
        described = longwall.mine(beside_head=beside_head)
        shown[name] = {
            "alive": falsely(series, described),
            **{
                head: planted(series, described, head, moments)
                for head in (longwall.COARSE, longwall.FINE)
            },
        }
    print(json.dumps(shown))


if __name__ == "__main__":
    main()
