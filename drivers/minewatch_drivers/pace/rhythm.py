"""How punctual a line's scans are: measured period, reaction and lateness of each scan class.

Counted as answers come, in windows of a minute; `budget` predicts what is held against it. Nothing
here decides anything.
"""

from typing import NamedTuple

WINDOW_US = 60_000_000

STEPS = 20
"""Steps per scan period in which periods are counted: p99 is exact to a twentieth of the period."""

STEPS_MAX = 6 * STEPS
"""Periods beyond six times the class are counted as that."""


class ClassRhythm(NamedTuple):
    """One scan class in the last full minute, or since the start of the first one.

    `scan_ms` is 0 for points scanned fast because they are in pre-alarm. `reaction_ms` is the
    longest time from one sample of a block to the arrival of the next: a change of the register
    waits no longer. `late` counts scans whose answer came more than a period after it was due.
    """

    scan_ms: int
    scans: int
    p99_ms: int
    reaction_ms: int
    late: int


class LineRhythm(NamedTuple):
    """All classes of a line; `urged_ms` is how often points in pre-alarm are scanned, 0 for none.

    `stretched` says that the line has no room for the fast scans that were asked for. `refused`
    are (point, code) that the device refuses to read.
    """

    classes: tuple[ClassRhythm, ...] = ()
    urged_ms: int = 0
    stretched: bool = False
    refused: tuple[tuple[str, str], ...] = ()


class ClassMeter:
    """Counts one scan class of period `every_us`; `scan_ms` is 0 for the urged one."""

    __slots__ = ("_counts", "_full", "_late", "_step_us", "_until_us", "_worst_us", "scan_ms")

    def __init__(self, scan_ms: int, every_us: int) -> None:
        self.scan_ms = scan_ms
        self._step_us = max(1, every_us // STEPS)
        self._until_us = 0
        self._full: ClassRhythm | None = None
        self._counts = [0] * (STEPS_MAX + 1)
        self._worst_us = 0
        self._late = 0

    def note(self, period_us: int, reaction_us: int, late: bool, now_us: int) -> None:
        """Count one scan."""
        if now_us >= self._until_us:
            self._turn(now_us)
        step = period_us // self._step_us
        self._counts[step if step < STEPS_MAX else STEPS_MAX] += 1
        self._worst_us = max(self._worst_us, reaction_us)
        if late:
            self._late += 1

    def rhythm(self) -> ClassRhythm:
        """Return the figures of the last full window, or of the first while it runs.

        The worst reaction is that of both windows, so that it is never told away too soon.
        """
        now = self._now()
        if self._full is None:
            return now
        worst_ms = max(now.reaction_ms, self._full.reaction_ms)
        return self._full._replace(reaction_ms=worst_ms, late=self._full.late + now.late)

    def _now(self) -> ClassRhythm:
        scans = sum(self._counts)
        p99_ms = self._percentile_us(scans) // 1000
        return ClassRhythm(self.scan_ms, scans, p99_ms, -(-self._worst_us // 1000), self._late)

    def _percentile_us(self, scans: int) -> int:
        """Return the upper edge of the step that holds the 99th percentile."""
        above = scans // 100
        for step in range(STEPS_MAX, -1, -1):
            above -= self._counts[step]
            if above < 0:
                return (step + 1) * self._step_us
        return 0

    def _turn(self, now_us: int) -> None:
        if self._until_us:
            self._full = self._now()
        self._until_us = now_us + WINDOW_US
        self._counts = [0] * (STEPS_MAX + 1)
        self._worst_us = 0
        self._late = 0
