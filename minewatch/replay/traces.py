"""Traces: the course of chosen points over a run of any length, in at most `COLUMNS_MAX` columns.

A column holds the least and the greatest GOOD value of its time; nothing between two columns is
made up, so a peak of one sample stays visible.
"""

from collections.abc import Iterable

from minewatch.model.image import Sample
from minewatch.model.quality import Quality

COLUMNS_MAX = 1200
FIRST_WIDTH_MS = 1000

Columns = dict[int, tuple[int, int]]


class Traces:
    """Least and greatest value per column of each chosen point; columns widen as time goes on."""

    def __init__(self, points: Iterable[str]) -> None:
        self.columns: dict[str, Columns] = {point: {} for point in points}
        self.width_ms = FIRST_WIDTH_MS
        self._first_ms: int | None = None

    @property
    def first_ms(self) -> int:
        """Return the time at which the first column begins."""
        return self._first_ms or 0

    def take(self, samples: Iterable[Sample], now_ms: int) -> None:
        """Take one image's samples."""
        if self._first_ms is None:
            self._first_ms = now_ms
        while (now_ms - self._first_ms) // self.width_ms >= COLUMNS_MAX:
            self._widen()
        for sample in samples:
            for point, value, quality in sample.readings:
                columns = self.columns.get(point)
                if columns is not None and quality is Quality.GOOD and value is not None:
                    at = max(0, sample.sampled_ms - self._first_ms) // self.width_ms
                    least, most = columns.get(at, (value, value))
                    columns[at] = (min(least, value), max(most, value))

    def _widen(self) -> None:
        """Join columns two by two."""
        self.width_ms *= 2
        for point, columns in self.columns.items():
            wider: Columns = {}
            for at, (least, most) in columns.items():
                known = wider.get(at // 2, (least, most))
                wider[at // 2] = (min(known[0], least), max(known[1], most))
            self.columns[point] = wider
