"""Fast scans of points in pre-alarm, as fast as the line can bear.

A fast scan must not push another point beyond its deadline: together with the usual scans it takes
at most `LOAD_MAX` of the line's time, measured by what the exchanges took lately. Where there is no
room the fast scans stretch, all alike, and `stretched` says so.
"""

from collections.abc import Sequence

from minewatch_drivers.pace.rhythm import ClassMeter
from minewatch_drivers.readers.reader import ReaderScan
from minewatch_drivers.tasks.jobs import Poll
from minewatch_drivers.tasks.outputs import Bank
from minewatch_drivers.tasks.unit import Unit

LOAD_MAX = 0.9
"""Above this share of its time a line has no room for a retry."""

URGED_MS = 200

REVIEW_US = 2_000_000
"""How often the room for fast scans is measured anew while there are any."""

GRAIN_US = 20_000
"""Steps in which fast scans stretch, so that they do not change at every look."""

BESIDE = 0.02
"""The share of time that a relay or a reader takes beside the scans, roughly."""

NEVER_US = 1 << 62


class Urgency:
    """Which points of one line are scanned fast, and how fast. `every_us` is 0 where none is.

    `gap_us` is the silence between two exchanges of the line.
    """

    def __init__(
        self,
        units: Sequence[Unit],
        readers: Sequence[ReaderScan],
        banks: Sequence[Bank],
        gap_us: int,
    ) -> None:
        self.meter = ClassMeter(0, URGED_MS * 1000)
        self.every_us = 0
        self.stretched = False
        self.review_us = NEVER_US
        self._units = units
        self._gap_us = gap_us
        self._beside = BESIDE * (len(readers) + len(banks))
        self._points: frozenset[str] = frozenset()
        self._wanted_us = 0

    def want(self, now_us: int, points: frozenset[str], period_us: int) -> None:
        """Scan the blocks of `points` every `period_us`, if there is room, the others as usual."""
        self._points, self._wanted_us = points, period_us
        self.renew(now_us)

    def renew(self, now_us: int) -> None:
        """Measure the room and scan accordingly."""
        fast: list[Poll] = []
        load = self._beside
        for unit in self._units:
            for poll in unit.polls:
                if self._points and not self._points.isdisjoint(poll.block.points):
                    fast.append(poll)
                else:
                    load += (poll.cost_us + self._gap_us) / poll.normal_us
                    poll.urge(now_us, poll.normal_us, poll.normal_meter)
        self.review_us = now_us + REVIEW_US if fast else NEVER_US
        self.every_us = self._bearable_us(fast, load) if fast else 0
        self.stretched = self.every_us > self._wanted_us
        for poll in fast:
            every_us = min(self.every_us, poll.normal_us)
            poll.urge(now_us, every_us, self.meter)

    def _bearable_us(self, fast: list[Poll], load: float) -> int:
        """Return the shortest period of the fast scans that leaves the others their time."""
        cost_us = sum(poll.cost_us + self._gap_us for poll in fast)
        slowest_us = max(poll.normal_us for poll in fast)
        room = LOAD_MAX - load
        if cost_us >= room * slowest_us:
            return slowest_us
        return max(self._wanted_us, -(-int(cost_us / room) // GRAIN_US) * GRAIN_US)
