"""A real longwall's series as images: two methane heads and the coal-cutting flag, 30 s a row.

Only the rooms that read points and look for stuck heads are turned, at the series' own pace; the
house, which rightly forgets every value after a gap of 30 s, is not.
"""

import csv
import gzip
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from minewatch.core.draft import Draft
from minewatch.core.readings import points, stuck
from minewatch.core.state import State
from minewatch.model.event import Event
from minewatch.model.image import Image, Reading, Sample
from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Limits, Mine, Mode, Point, Zone, ZoneKind
from minewatch.model.quality import Quality
from minewatch.model.values import Values

SERIES = "polish_longwall_30s.csv.gz"
ROW_MS = 30_000
COARSE, FINE, FLAG = "COARSE", "FINE", "CUTTING"
STUCK_AFTER_MS = {COARSE: 45 * 60_000, FINE: 15 * 60_000}
"""As `mine/rules/values.toml` has it for steps of 0.1 and of 0.01 %CH4."""

_LIMITS = Limits(alarm=100, clear=80)


@dataclass(frozen=True, slots=True)
class Longwall:
    """The three columns: 0.1 %CH4 and 0.01 %CH4 heads in 0.01 %CH4, the flag as 0 or 1."""

    values: Mapping[str, Sequence[int]]

    @property
    def rows(self) -> int:
        """Return how many rows there are."""
        return len(self.values[FLAG])

    def cutting(self, then: int = 0) -> list[int]:
        """Return the rows in which coal is cut and after which it is cut in so many more."""
        rows = [n for n, on in enumerate(self.values[FLAG]) if on]
        return rows[: len(rows) - then]


def find() -> Path | None:
    """Return where the series lies, or None."""
    here = Path(__file__).parents[2]
    roots = [os.environ.get("MINEWATCH_TEST_DATA"), here.parent / "shared" / "data"]
    paths = [Path(root) / SERIES for root in roots if root]
    return next((path for path in paths if path.exists()), None)


def load(path: Path) -> Longwall:
    """Read the series."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return Longwall(
        {
            COARSE: [round(float(row["CH4_MM116_pct"]) * 100) for row in rows],
            FINE: [round(float(row["CH4_MM31_pct"]) * 100) for row in rows],
            FLAG: [int(float(row["PRODUCTION_PD"])) for row in rows],
        }
    )


def mine(*, beside_head: bool = True) -> Mine:
    """Return a mine of the two heads and the flag.

    Each head is judged beside the flag and, with `beside_head`, beside the other head as well.
    """
    return Mine(
        code="220181000000", name="", county="220181", language="en", gas_class="high",
        capacity_10kt=60, severe=True, mode=Mode.MONITOR, headcount_limit=100,
        headcount_citation="", profile="test",
        zones=(Zone("mine", "", ZoneKind.MINE), Zone("face", "", ZoneKind.FACE, "mine")),
        buses=(Bus("bus", "tcp://127.0.0.1:1"),),
        devices=(Device("device", "bus", 1, "m"),),
        points=(
            _head(COARSE, *((FINE, FLAG) if beside_head else (FLAG,))),
            _head(FINE, *((COARSE, FLAG) if beside_head else (FLAG,))),
            Point(FLAG, "", Kind.COAL_CUTTING, "face", "device", "cutting", "", stale_ms=ROW_MS),
        ),
        values=Values(),
    )  # fmt: skip


def _head(point_id: str, *companions: str) -> Point:
    return Point(
        point_id, "", Kind.METHANE, "face", "device", point_id, "", _LIMITS, stale_ms=ROW_MS,
        companions=companions, stuck_after_ms=STUCK_AFTER_MS[point_id],
    )  # fmt: skip


class Player:
    """Turns the rows; `frozen` holds a head at the value that it has."""

    def __init__(self, longwall: Longwall, described: Mine, row: int = 0) -> None:
        self._longwall = longwall
        self._mine = described
        self.row = row
        self.state = State()

    def turn(self, held: Mapping[str, int] | None = None) -> tuple[Event, ...]:
        """Turn one row, with the heads in `held` standing at these values."""
        shown = {each: column[self.row] for each, column in self._longwall.values.items()}
        shown.update(held or {})
        now_ms = 1_000_000 + self.row * ROW_MS
        readings = tuple(Reading(each, value, Quality.GOOD) for each, value in shown.items())
        sample = Sample("device", now_ms, readings)
        image = Image(self.row, now_ms, now_ms, True, 0, (sample,), (), (), (), ())
        draft = Draft(self._mine, self.state, image)
        points.meet(draft)
        points.observe(draft)
        stuck.observe(draft)
        self.state = draft.state()
        self.row += 1
        return tuple(draft.events)


@dataclass(frozen=True, slots=True)
class Found:
    """When a planted freeze was found: rows after it, and rows of them in which coal was cut."""

    rows: int
    cutting_rows: int


def plant(longwall: Longwall, described: Mine, head: str, row: int) -> Found | None:
    """Freeze `head` at its value of `row` and return when that was found, None where never."""
    player = Player(longwall, described, row)
    held = {head: longwall.values[head][row]}
    cutting = 0
    while player.row < longwall.rows:
        cutting += longwall.values[FLAG][player.row]
        events = player.turn(held)
        if any(each.kind == "frozen_found" and each.data["point"] == head for each in events):
            return Found(player.row - row, cutting)
    return None
