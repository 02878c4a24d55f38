"""Columns reach the file a few at a time; whenever one looks, no reading stands there twice."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minewatch.model.image import Reading, Sample
from minewatch.model.quality import Quality
from minewatch.record import trend_blocks
from minewatch.record.journal import Journal, JournalLimits, Start
from minewatch.record.journal_files import file_path
from minewatch.record.trend import Columns, curve
from minewatch.record.trend_blocks import Blocks

PER_BLOCK = 3
POINTS = ("a", "b", "c")
PER_MINUTE = 5


class Flaky:
    """A database of which one statement, counted from the start, fails or only seems to."""

    def __init__(self, database: sqlite3.Connection, at: int, late: bool) -> None:
        self._database = database
        self._at = at
        self._late = late

    @property
    def in_transaction(self) -> bool:
        """As the database says."""
        return self._database.in_transaction

    def execute(self, *given: Any) -> Any:
        """Run a statement."""
        return self._run(self._database.execute, given)

    def executemany(self, *given: Any) -> Any:
        """Run a statement over rows."""
        return self._run(self._database.executemany, given)

    def _run(self, run: Callable[..., Any], given: tuple[Any, ...]) -> Any:
        self._at -= 1
        if self._at == 0 and not self._late:
            raise sqlite3.OperationalError("disk I/O error")
        result = run(*given)
        if self._at == 0:
            raise sqlite3.OperationalError("disk I/O error, after all was written")
        return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a state folder with one empty journal file."""
    found = tmp_path_factory.mktemp("state")
    journal = Journal(found, JournalLimits(free_bytes=0))
    journal.start(Start("run", {}, "0", "c", 0))
    journal.add(b"[0,0,0,true,0,[],[],[],[],[]]", "00" * 32, ())
    journal.close()
    return found


def _emptied(folder: Path) -> sqlite3.Connection:
    database = sqlite3.connect(file_path(folder, 1), isolation_level=None)
    for table in ("block", "times", "trend"):
        database.execute(f"DELETE FROM {table}")
    return database


def _minute(number: int) -> Columns:
    """Return a minute of two exchanges; the second shares no point with the first."""
    columns = Columns()
    for turn in range(PER_MINUTE):
        at_ms = 1 + number * 100 + turn
        for points in (POINTS[:2], POINTS[2:]):
            readings = tuple(Reading(point, at_ms * 3, Quality.GOOD) for point in points)
            columns.add(0, (Sample("d", at_ms, readings),))
    return columns


def _times(folder: Path) -> list[list[int]]:
    shown = [curve(folder, point, 0, 10**9, 10**6) for point in POINTS]
    assert all(each.low == [at_ms * 3 for at_ms in each.time_ms] for each in shown)
    return [each.time_ms for each in shown]


def _of(minutes: int) -> list[int]:
    return [1 + number * 100 + turn for number in range(minutes) for turn in range(PER_MINUTE)]


def test_every_look_shows_whole_minutes_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between any two steps each minute stands there whole and once, or not yet at all."""
    monkeypatch.setattr(trend_blocks, "SAMPLES_PER_STEP", 1)
    monkeypatch.setattr(trend_blocks, "ROWS_PER_STEP", 2)
    blocks = Blocks(PER_BLOCK)
    with closing(_emptied(folder)) as database:
        for number in range(2 * PER_BLOCK + 1):
            blocks.put(_minute(number))
            while blocks.due:
                blocks.step(database)
                whole = _of(number + (not blocks.minutes_wait))
                assert _times(folder) == [whole] * len(POINTS)
        numbers = database.execute("SELECT COUNT(*) FROM block").fetchone()
        columns = database.execute("SELECT COUNT(*) FROM trend").fetchone()
    assert numbers == (3,)
    assert columns == (3 * len(POINTS),)


@given(at=st.integers(1, 60), late=st.booleans())
@settings(max_examples=80, deadline=None)
def test_a_failed_write_leaves_no_reading_twice(folder: Path, at: int, late: bool) -> None:
    """Whatever statement fails, before or after it took effect: begun again, all stands once."""
    blocks = Blocks(PER_BLOCK)
    failures = 0
    with closing(_emptied(folder)) as database:
        flaky: Any = Flaky(database, at, late)
        for number in range(PER_BLOCK + 1):
            blocks.put(_minute(number))
            while blocks.due:
                try:
                    blocks.step(flaky)
                except sqlite3.OperationalError:
                    failures += 1
    assert failures <= 1
    assert _times(folder) == [_of(PER_BLOCK + 1)] * len(POINTS)


def test_what_cannot_be_written_is_bounded() -> None:
    """While nothing can be written, the newest minutes wait and the oldest are lost to curves."""
    blocks = Blocks(PER_BLOCK)
    for number in range(trend_blocks.WAITING_MAX + 4):
        blocks.put(_minute(number))
    assert [each.span[0] for each in blocks._waiting] == [
        1 + 100 * number for number in range(4, trend_blocks.WAITING_MAX + 4)
    ]


def test_a_new_file_takes_the_minute_that_was_half_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute is whole in one file; what the file before has of it does not count."""
    monkeypatch.setattr(trend_blocks, "SAMPLES_PER_STEP", 1)
    blocks = Blocks(PER_BLOCK)
    with closing(_emptied(folder)) as database:
        blocks.put(_minute(0))
        blocks.step(database)
        blocks.new_file()
        assert blocks.minutes_wait
        while blocks.due:
            blocks.step(database)
    assert _times(folder) == [_of(1)] * len(POINTS)
