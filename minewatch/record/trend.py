"""Trends: the journal's readings again, as one packed column per point and one per exchange's time.

Columns are derived from the journal and hold no evidence; a damaged one is left out and said. Pure
standard library, because the controller's store thread writes them.
"""

from __future__ import annotations  # array[int] is a type for checkers only

import operator
import sqlite3
import struct
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from minewatch.model.image import Sample
from minewatch.record import DATABASE_ERRORS, RecordError
from minewatch.record.journal_files import file_numbers, file_path, open_reader

NO_VALUE = 0x80
"""Bit in the quality byte of a sample that has no value."""

CLOCK_STEP_MS = 86_400_000
"""How far a wall clock may have been stepped for the search backwards to still find a file."""

READINGS_MAX = 4_000_000
"""Readings that may wait for their columns to be written."""

_HEAD = struct.Struct("<cqI")


@dataclass(frozen=True, slots=True)
class Curve:
    """A point's samples by wall time, or buckets of them where there are more than asked for.

    `low` and `high` are a bucket's extremes in the kind's smallest unit, None where no sample in
    it had a value; `quality` is the highest quality code in the bucket (0 = all GOOD). `damaged`
    counts columns that could not be read.
    """

    time_ms: list[int]
    low: list[int | None]
    high: list[int | None]
    quality: list[int]
    damaged: int = 0


@dataclass(slots=True)
class _Samples:
    """Samples of one point, in the order of the journal."""

    times: list[int] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    qualities: bytearray = field(default_factory=bytearray)
    damaged: int = 0


@dataclass(slots=True)
class Exchange:
    """The readings of one kind of exchange, row by row: its times, and each point's value and
    quality of each time."""

    times: array[int] = field(default_factory=lambda: array("q"))
    values: array[int] = field(default_factory=lambda: array("q"))
    qualities: bytearray = field(default_factory=bytearray)

    def extend(self, other: Exchange) -> None:
        """Add later rows."""
        self.times.extend(other.times)
        self.values.extend(other.values)
        self.qualities.extend(other.qualities)

    def squeezed(self) -> _Squeezed:
        """Return the rows as little memory; `stretched` is the inverse."""
        values = _narrow(self.values)
        parts = (self.times.tobytes(), values.tobytes(), bytes(self.qualities))
        times, packed, qualities = (zlib.compress(part, 1) for part in parts)
        return _Squeezed(times, values.typecode, packed, qualities)

    def column(self, at: int, width: int) -> tuple[array[int], bytearray]:
        """Return values and qualities of the point at this place among `width`."""
        return self.values[at::width], self.qualities[at::width]


class _Squeezed(NamedTuple):
    """An exchange as zlib streams; `code` says how wide its values are."""

    times: bytes
    code: str
    values: bytes
    qualities: bytes


def stretched(squeezed: _Squeezed) -> Exchange:
    """Return the exchange that was squeezed."""
    times, code, values, qualities = squeezed
    narrow = array(code)
    narrow.frombytes(zlib.decompress(values))
    return Exchange(
        array("q", zlib.decompress(times)),
        array("q", narrow),
        bytearray(zlib.decompress(qualities)),
    )


def _narrow(values: array[int]) -> array[int]:
    """Return the values as 16 or 32 bits each where they fit."""
    for code in ("h", "i"):
        with suppress(OverflowError):
            return array(code, values)
    return values


class Columns:
    """Readings gathered for one block. An exchange is known by its tuple of points."""

    def __init__(self) -> None:
        self._exchanges: dict[tuple[str, ...], Exchange] = {}
        self._count = 0

    def add(self, wall_offset_ms: int, samples: Iterable[Sample]) -> None:
        """Add the readings of an image; `wall_offset_ms` makes wall time of its times.

        Beyond `READINGS_MAX`, reached only where columns cannot be written, curves lose readings;
        the journal does not.
        """
        for _, sampled_ms, readings in samples:
            if not readings or self._count >= READINGS_MAX:
                continue
            points, values, qualities = zip(*readings, strict=True)
            exchange = self._exchanges.get(points)
            if exchange is None:
                exchange = self._exchanges[points] = Exchange()
            if None in values:
                qualities = tuple(
                    quality | NO_VALUE if value is None else quality
                    for value, quality in zip(values, qualities, strict=True)
                )
                values = tuple(value or 0 for value in values)
            exchange.values.extend(array("q", values))
            exchange.qualities.extend(qualities)
            exchange.times.append(sampled_ms + wall_offset_ms)
            self._count += len(points)

    def __bool__(self) -> bool:
        return bool(self._exchanges)

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last wall time in ms of all exchanges; there must be one."""
        times = [each.times for each in self._exchanges.values()]
        return min(map(min, times)), max(map(max, times))

    def exchanges(self) -> Iterable[tuple[tuple[str, ...], Exchange]]:
        """Return each exchange with its points."""
        return self._exchanges.items()


Squeezed = dict[tuple[str, ...], _Squeezed]
"""Columns by their points, waiting for their ten minutes to be over."""


def pack(values: array[int], qualities: bytes | bytearray = b"") -> bytes:
    """Return a column: differences as little-endian planes of equal bytes, then qualities."""
    first = values[0] if values else 0
    steps = array("q", map(operator.sub, values[1:], values))
    narrow = not steps or (min(steps) >= -(2**31) and max(steps) < 2**31)
    code = "i" if narrow else "q"
    raw = array(code, steps).tobytes()
    width = array(code).itemsize
    planes = b"".join(raw[at::width] for at in range(width))
    return _deflated(_HEAD.pack(code.encode(), first, len(values)) + planes + qualities)


def _deflated(data: bytes) -> bytes:
    """Return a zlib stream whose window is no larger than what there is to look back at.

    The usual window costs more to set up than a column of a minute costs to compress.
    """
    window = min(max(len(data).bit_length(), 9), zlib.MAX_WBITS)
    deflate = zlib.compressobj(wbits=window, memLevel=min(window - 6, 8))
    return deflate.compress(data) + deflate.flush()


def unpack(data: bytes) -> tuple[list[int], bytes]:
    """Return (values, qualities) that `pack` wrote; zlib.error or ValueError where damaged."""
    raw = zlib.decompress(data)
    if len(raw) < _HEAD.size:
        raise ValueError("a column without a head")
    code, first, count = _HEAD.unpack_from(raw)
    width = {b"i": 4, b"q": 8}.get(code, 0)
    if not count or not width:
        return [], b""
    steps_end = _HEAD.size + width * (count - 1)
    planes = raw[_HEAD.size : steps_end]
    joined = bytearray(len(planes))
    for at in range(width):
        joined[at::width] = planes[at * (count - 1) : (at + 1) * (count - 1)]
    steps = array(code.decode())
    steps.frombytes(joined)
    return list(accumulate(steps, initial=first)), raw[steps_end:]


def curve(
    state_folder: Path, point: str, from_ms: int, to_ms: int, max_points: int = 2000
) -> Curve:
    """Return a point's samples with from_ms ≤ wall time < to_ms, at most `max_points` of them.

    It ends with the last finished minute of the journal. A file that cannot be read counts as
    damaged; an unknown point has no samples.
    """
    found = _Samples()
    for number in _files_back_to(state_folder, from_ms):
        try:
            database = open_reader(file_path(state_folder, number))
        except (*DATABASE_ERRORS, OSError, RecordError):
            found.damaged += 1
            continue
        try:
            _gather(database, point, (from_ms, to_ms), found)
        except DATABASE_ERRORS:
            found.damaged += 1
        finally:
            database.close()
    return _buckets(_in_range(found, from_ms, to_ms), max_points)


def _files_back_to(state_folder: Path, from_ms: int) -> list[int]:
    """Return the numbers of the files that may hold samples since `from_ms`, oldest first."""
    wanted: list[int] = []
    for number in reversed(file_numbers(state_folder)):
        wanted.append(number)
        try:
            database = open_reader(file_path(state_folder, number))
            (last,) = database.execute("SELECT MAX(last_wall_ms) FROM block").fetchone()
            database.close()
        except (*DATABASE_ERRORS, OSError, RecordError):
            continue
        if last is not None and last < from_ms - CLOCK_STEP_MS:
            break
    return wanted[::-1]


def _gather(
    database: sqlite3.Connection, point: str, span: tuple[int, int], found: _Samples
) -> None:
    rows = database.execute(
        "SELECT times.data, trend.data FROM trend"
        " JOIN block ON block.number = trend.block"
        " JOIN times ON times.block = trend.block AND times.exchange = trend.exchange"
        " WHERE trend.point = ? AND block.last_wall_ms >= ? AND block.first_wall_ms < ?"
        " ORDER BY trend.block, trend.exchange",
        (point, *span),
    ).fetchall()
    for packed_times, packed_values in rows:
        try:
            (times, _), (values, qualities) = unpack(packed_times), unpack(packed_values)
        except (zlib.error, ValueError):
            found.damaged += 1
            continue
        if not len(times) == len(values) == len(qualities):
            found.damaged += 1
            continue
        found.times.extend(times)
        found.values.extend(values)
        found.qualities.extend(qualities)


def _in_range(found: _Samples, from_ms: int, to_ms: int) -> _Samples:
    """Put samples in order of time (a clock may have been stepped) and cut the ends off."""
    times = found.times
    if any(map(operator.gt, times, times[1:])):
        order = sorted(range(len(times)), key=times.__getitem__)
        found = _Samples(
            [times[n] for n in order],
            [found.values[n] for n in order],
            bytearray(found.qualities[n] for n in order),
            found.damaged,
        )
    start, end = bisect_left(found.times, from_ms), bisect_left(found.times, to_ms)
    return _Samples(
        found.times[start:end], found.values[start:end], found.qualities[start:end], found.damaged
    )


def _buckets(found: _Samples, max_points: int) -> Curve:
    times, values, qualities = found.times, found.values, found.qualities
    if len(times) <= max_points:
        pairs = zip(values, qualities, strict=True)
        plain = [None if quality & NO_VALUE else value for value, quality in pairs]
        return Curve(times, plain, plain, [q & ~NO_VALUE for q in qualities], found.damaged)
    curve = Curve([], [], [], [], found.damaged)
    width = -(-(times[-1] - times[0] + 1) // max_points)
    start = 0
    while start < len(times):
        edge = times[0] + ((times[start] - times[0]) // width + 1) * width
        end = bisect_left(times, edge, start)
        quality = qualities[start:end]
        part: Iterable[int] = values[start:end]
        worst = max(quality)
        if worst & NO_VALUE:
            worst = max(each & ~NO_VALUE for each in quality)
            part = [v for v, q in zip(part, quality, strict=True) if not q & NO_VALUE]
        curve.time_ms.append(times[start])
        curve.low.append(min(part, default=None))
        curve.high.append(max(part, default=None))
        curve.quality.append(worst)
        start = end
    return curve
