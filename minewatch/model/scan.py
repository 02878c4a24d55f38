"""How often a point is read and how old its value may grow; the core and the lines agree here.

Nothing but these rules may stand here: they are read by the pure core and by the line machines.
"""

from minewatch.model.mine import Bus, Point

STALE_SCANS = 3
STALE_MS_MIN = 2_000
STALE_MS_MAX = 10_000


def scan_ms(point: Point, bus: Bus) -> int:
    """Return the scan class of `point` in ms: its own, else what its line does."""
    return point.scan_ms or bus.scan_ms


def stale_ms(every_ms: int) -> int:
    """Return the age in ms beyond which a value scanned `every_ms` is no value of now any more."""
    return max(STALE_MS_MIN, min(STALE_SCANS * every_ms, STALE_MS_MAX))


def deadline_ms(point: Point, bus: Bus) -> int:
    """Return how old a reading of `point` may be, in ms, when the next one arrives.

    Beyond it the core holds the value for stale, and beyond `fault_after_ms` the point for lost.
    """
    return min(stale_ms(scan_ms(point, bus)), point.fault_after_ms)
