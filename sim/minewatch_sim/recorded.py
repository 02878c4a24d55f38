"""A recorded series that is played into a head's registers, one row per read or per time."""

import csv
import gzip
import io
from pathlib import Path

from minewatch_sim.scenario import Recorded, ScenarioError

ROWS_MAX = 1_000_000


class Series:
    """Rows of one column; `value` is the row that the head shows now, the last one for ever."""

    def __init__(self, source: Recorded) -> None:
        self.source = source
        values = read_column(source.file, source.column)
        last = None if source.rows is None else source.first + source.rows
        self._values = values[source.first : last]
        if not self._values:
            raise ScenarioError(f"{source.file}: no rows in column {source.column}")
        self.row = 0

    def __len__(self) -> int:
        return len(self._values)

    @property
    def value(self) -> float:
        """Return the value of the present row, in the unit of the file."""
        return self._values[self.row]

    @property
    def ended(self) -> bool:
        """Return whether the last row is shown."""
        return self.row >= len(self._values) - 1

    def advance_to(self, plant_ms: int) -> None:
        """Show the row that belongs to a plant time, where rows go by time."""
        if self.source.advance == "time":
            row = int(plant_ms / 1000 / self.source.every_s)
            self.row = min(row, len(self._values) - 1)

    def was_read(self) -> None:
        """Go on by one row, where rows go by reads."""
        if self.source.advance == "read" and not self.ended:
            self.row += 1


def read_column(file: Path, column: str) -> list[float]:
    """Return one column of a CSV file, plain or gzip, as numbers.

    Raises:
        ScenarioError: no such file or column, a cell that is no number, or too many rows.
    """
    try:
        raw = file.read_bytes()
        text = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode("utf-8-sig")
        rows = csv.DictReader(io.StringIO(text))
        values = [float(row[column]) for row in rows]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ScenarioError(f"{file}: cannot read column {column}: {error!r}") from error
    if len(values) > ROWS_MAX:
        raise ScenarioError(f"{file}: more than {ROWS_MAX} rows")
    return values
