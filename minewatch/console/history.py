"""A point's past from the journal, read when somebody asks for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from minewatch.console.errors import Refused
from minewatch.record import RecordError
from minewatch.record.trend import curve

POINTS_MAX = 1500
"""As many samples or buckets as a page can draw apart."""

History = Callable[[str, int, int], dict[str, Any]]
"""`(point, from_wall_ms, to_wall_ms)` → columns by wall time; runs in a worker thread."""


def history_of(folder: Path) -> History:
    """Return the history of a state folder's journal: wall times, low, high, quality codes."""

    def history(point: str, from_ms: int, to_ms: int) -> dict[str, Any]:
        try:
            found = curve(folder, point, from_ms, to_ms, POINTS_MAX)
        except (OSError, RecordError) as error:
            raise Refused(503, "no_history", detail=type(error).__name__) from error
        if not found.time_ms:
            raise Refused(503, "no_history")
        return {
            "wall_ms": found.time_ms,
            "low": found.low,
            "high": found.high,
            "quality": found.quality,
            "damaged": found.damaged,
        }

    return history
