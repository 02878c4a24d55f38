"""Columns on their way into the journal file, a few at a time, so that no event waits for them.

Each minute becomes a block of its own; every ten minutes one block replaces them. A block counts
once its row stands in `block`; columns without one are invisible and are cleared or never seen.
What failed is begun again under another number. Only the journal uses this.
"""

import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from minewatch.record.trend import Columns, Exchange, Squeezed, pack, stretched

SAMPLES_PER_STEP = 60_000
"""So many samples are compressed in one step: about 30 ms."""

ROWS_PER_STEP = 2_000
"""Columns that a larger block replaced are deleted so many at a time."""

WAITING_MAX = 5
"""Minutes that wait while nothing can be written; then curves lose the oldest."""

Points = tuple[str, ...]


class _Row(NamedTuple):
    """A row of `times` (`point` None) or of `trend`."""

    point: str | None
    exchange: int
    data: bytes
    samples: int


@dataclass(frozen=True, slots=True)
class _Minute:
    """A small block that stands in the file: its rows of `trend`, and its columns once more."""

    block: int
    rows: tuple[int, int]
    span: tuple[int, int]
    columns: Squeezed


@dataclass(frozen=True, slots=True)
class _Job:
    """A block being written: of one minute, or in place of those that it `replaces`.

    `before_row` is the last row of `trend` that was there before; `squeezed` fills with a minute's
    columns as they are written.
    """

    block: int
    before_row: int
    rows: Iterator[_Row]
    span: tuple[int, int]
    minute: Columns | None
    squeezed: Squeezed
    replaces: tuple[_Minute, ...]


@dataclass(slots=True)
class Blocks:
    """Writes blocks into the current file. `per_block` minutes are joined to a larger block."""

    per_block: int
    _waiting: deque[Columns] = field(default_factory=deque)
    _minutes: list[_Minute] = field(default_factory=list)
    _job: _Job | None = None
    _number: int | None = None
    _failed: list[int] = field(default_factory=list)
    _cleared: deque[tuple[int, int]] = field(default_factory=deque)

    def put(self, minute: Columns) -> None:
        """A minute is over: its columns are written when there is time."""
        if minute:
            self._waiting.append(minute)
            if len(self._waiting) > WAITING_MAX:
                self._waiting.popleft()

    def new_file(self) -> None:
        """What is not finished goes into the next file; what stands in this one, stays."""
        self._begin_again()
        self._number = None
        self._minutes, self._failed = [], []
        self._cleared.clear()

    @property
    def minutes_wait(self) -> bool:
        """Say whether columns of a finished minute are not in the file yet."""
        return bool(self._waiting) or (self._job is not None and self._job.minute is not None)

    @property
    def due(self) -> bool:
        """Say whether `step` has anything to do."""
        busy = self._job is not None or bool(self._waiting) or bool(self._cleared)
        return busy or len(self._minutes) >= self.per_block

    def step(self, database: sqlite3.Connection) -> None:
        """Do a little of what is due.

        Raises:
            sqlite3.Error: the block is begun again by the next call.
        """
        if self._job is None:
            self._job = self._next_job(database)
        job = self._job
        if job is None:
            self._clear_some(database)
            return
        try:
            rows, finished = _some(job.rows)
            _write(database, job, rows, self._failed if finished else None)
            last_row = _last_row(database)
        except BaseException:  # whatever it was, it is raised again
            self._failed.append(job.block)  # nobody knows whether it stands
            self._begin_again()
            raise
        if finished:
            self._finish(job, last_row)

    def _begin_again(self) -> None:
        if self._job is not None and self._job.minute is not None:
            self._waiting.appendleft(self._job.minute)
        self._job = None

    def _next_job(self, database: sqlite3.Connection) -> _Job | None:
        if not self._waiting and len(self._minutes) < self.per_block:
            return None
        if self._number is None:
            (newest,) = database.execute(
                "SELECT MAX(COALESCE((SELECT MAX(number) FROM block), 0),"
                " COALESCE((SELECT MAX(block) FROM times), 0))"
            ).fetchone()
            self._number = int(newest)
        before_row = _last_row(database)
        self._number += 1
        if self._waiting:
            minute = self._waiting.popleft()
            squeezed: Squeezed = {}
            rows = _rows(_kept(minute, squeezed))
            return _Job(self._number, before_row, rows, minute.span, minute, squeezed, ())
        starts, ends = zip(*(each.span for each in self._minutes), strict=True)
        rows = _rows(_joined([each.columns for each in self._minutes]))
        span = (min(starts), max(ends))
        return _Job(self._number, before_row, rows, span, None, {}, tuple(self._minutes))

    def _finish(self, job: _Job, last_row: int) -> None:
        self._job = None
        self._failed = []
        if job.minute is None:
            self._cleared.extend(each.rows for each in job.replaces)
            self._minutes = self._minutes[len(job.replaces) :]
        else:
            rows = (job.before_row, last_row)
            self._minutes.append(_Minute(job.block, rows, job.span, job.squeezed))

    def _clear_some(self, database: sqlite3.Connection) -> None:
        """Delete a few columns of blocks that do not count any more."""
        if not self._cleared:
            return
        after, last = self._cleared[0]
        end = min(after + ROWS_PER_STEP, last)
        database.execute("DELETE FROM trend WHERE rowid > ? AND rowid <= ?", (after, end))
        if end == last:
            self._cleared.popleft()
        else:
            self._cleared[0] = (end, last)


def _write(
    database: sqlite3.Connection, job: _Job, rows: list[_Row], failed: list[int] | None
) -> None:
    """Write a few rows. The last of a block (`failed` is given) make it count, in place of the
    blocks that it replaces and of those whose fate nobody knows.

    Not synchronous: columns are no evidence, and the journal's next part carries them along.
    """
    database.execute("PRAGMA synchronous = NORMAL")
    try:
        database.execute("BEGIN IMMEDIATE")
        times = [(job.block, row.exchange, row.data) for row in rows if row.point is None]
        columns = [
            (row.point, job.block, row.exchange, row.data) for row in rows if row.point is not None
        ]
        database.executemany("INSERT INTO times VALUES (?, ?, ?)", times)
        database.executemany("INSERT INTO trend VALUES (?, ?, ?, ?)", columns)
        if failed is not None:
            gone = [(number,) for number in (*failed, *(each.block for each in job.replaces))]
            database.executemany("DELETE FROM block WHERE number = ?", gone)
            database.executemany("DELETE FROM times WHERE block = ?", gone)
            database.execute("INSERT INTO block VALUES (?, ?, ?)", (job.block, *job.span))
        database.execute("COMMIT")
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")
        database.execute("PRAGMA synchronous = FULL")


def _kept(minute: Columns, squeezed: Squeezed) -> Iterator[tuple[Points, Exchange]]:
    """Yield the exchanges of a minute and keep each small for the larger block."""
    for points, exchange in minute.exchanges():
        yield points, exchange
        squeezed[points] = exchange.squeezed()


def _rows(exchanges: Iterable[tuple[Points, Exchange]]) -> Iterator[_Row]:
    """Yield the rows of exchanges, each packed when it is asked for."""
    for number, (points, exchange) in enumerate(exchanges):
        count = len(exchange.times)
        yield _Row(None, number, pack(exchange.times), count)
        for at, point in enumerate(points):
            values, qualities = exchange.column(at, len(points))
            yield _Row(point, number, pack(values, qualities), count)


def _joined(minutes: list[Squeezed]) -> Iterator[tuple[Points, Exchange]]:
    """Yield each exchange of several minutes as one, in order of time."""
    for points in dict.fromkeys(points for minute in minutes for points in minute):
        whole = Exchange()
        for minute in minutes:
            if points in minute:
                whole.extend(stretched(minute[points]))
        yield points, whole


def _some(rows: Iterator[_Row]) -> tuple[list[_Row], bool]:
    """Return the next rows, and whether they are the last."""
    taken: list[_Row] = []
    samples = 0
    for row in rows:
        taken.append(row)
        samples += row.samples
        if samples >= SAMPLES_PER_STEP:
            return taken, False
    return taken, True


def _last_row(database: sqlite3.Connection) -> int:
    (last,) = database.execute("SELECT COALESCE(MAX(rowid), 0) FROM trend").fetchone()
    return int(last)
