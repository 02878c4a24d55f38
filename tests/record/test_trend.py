"""Trends: columns give back exactly the readings of the journal; curves keep every extreme."""

import json
import sqlite3
from array import array
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minewatch.model.canonical import encode
from minewatch.model.image import Image, Reading, Sample
from minewatch.model.quality import Quality
from minewatch.record import trend
from minewatch.record.journal import Journal, JournalLimits, Start, curve
from minewatch.record.journal_files import chunk_numbers, file_path, open_reader, read_chunk
from minewatch.record.trend import Columns, pack, unpack

WALL_MS = 1_790_000_000_000
DIGEST = "00" * 32
LIMITS = JournalLimits(free_bytes=0, part_ms=5_000, chunk_ms=20_000, chunks_per_block=3)

INTEGERS = st.integers(-(2**62), 2**62 - 1)


@given(values=st.lists(INTEGERS, max_size=300), narrow=st.booleans())
def test_columns_round_trip(values: list[int], narrow: bool) -> None:
    """A column gives back its values and qualities, whatever their width."""
    column = array("q", [each >> 40 for each in values] if narrow else [v >> 1 for v in values])
    qualities = bytes(each & 0xFF for each in values)
    found, found_qualities = unpack(pack(column, qualities))
    assert found == list(column)
    assert found_qualities == qualities


READINGS = st.tuples(
    st.one_of(st.none(), st.integers(-500, 40_000), st.integers(-(2**40), 2**40)),
    st.sampled_from([0, 0, 0, 1, 5, 6]),
)
STEPS = st.lists(st.tuples(READINGS, READINGS, st.integers(100, 4_000)), min_size=1, max_size=80)


def _images(steps: list[tuple[tuple[int | None, int], tuple[int | None, int], int]]) -> list[Image]:
    images, now_ms = [], 10_000
    for cycle, (first, second, pause_ms) in enumerate(steps):
        now_ms += pause_ms
        readings = [Reading("a", first[0], Quality(first[1]))]
        if cycle % 3:
            readings.append(Reading("b", second[0], Quality(second[1])))
        sample = Sample("head", now_ms - cycle % 90, tuple(readings))
        images.append(Image(cycle, now_ms, WALL_MS + now_ms, True, 0, (sample,)))
    return images


def _write(folder: Path, images: list[Image]) -> None:
    journal = Journal(folder, LIMITS)
    journal.start(Start("run", {}, "0", "c", 0))
    for image in images:
        journal.add(encode(image.to_row()), DIGEST, image.samples)
        journal.advance()
    journal.seal()
    journal.close()


def _expected(images: list[Image], point: str) -> list[tuple[int, int | None, int]]:
    return sorted(
        (sample.sampled_ms + image.wall_ms - image.now_ms, reading.value, int(reading.quality))
        for image in images
        for sample in image.samples
        for reading in sample.readings
        if reading.point == point
    )


@given(steps=STEPS)
@settings(max_examples=25, deadline=None)
def test_curve_is_the_journal(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[tuple[int | None, int], tuple[int | None, int], int]],
) -> None:
    """An unreduced curve has exactly the readings of the images, in order of time."""
    folder, images = tmp_path_factory.mktemp("journal"), _images(steps)
    _write(folder, images)
    for point in ("a", "b", "nobody"):
        found = curve(folder, point, 0, WALL_MS * 2, 10_000)
        assert found.low == found.high
        rows = list(zip(found.time_ms, found.low, found.quality, strict=True))
        assert rows == _expected(images, point)
        assert found.damaged == 0


@given(steps=STEPS)
@settings(max_examples=15, deadline=None)
def test_a_larger_block_leaves_nothing_of_the_small_ones(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[tuple[int | None, int], tuple[int | None, int], int]],
) -> None:
    """Every column belongs to a block that stands and to a row of times; none stands twice."""
    folder = tmp_path_factory.mktemp("journal")
    _write(folder, _images(steps))
    with closing(sqlite3.connect(file_path(folder, 1))) as database:
        blocks = {row[0] for row in database.execute("SELECT number FROM block")}
        times = database.execute("SELECT block, exchange FROM times").fetchall()
        columns = database.execute("SELECT point, block, exchange FROM trend").fetchall()
        sealed = database.execute("SELECT COUNT(*) FROM chunk").fetchone()[0]
    assert {block for block, _ in times} == blocks
    assert {(block, exchange) for _, block, exchange in columns} == set(times)
    assert len(set(columns)) == len(columns)
    assert len(blocks) <= sealed


def test_columns_that_cannot_be_written_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no block is ever written, memory ends at a limit and the readings before it stay."""
    monkeypatch.setattr(trend, "READINGS_MAX", 200)
    columns = Columns()
    readings = tuple(Reading(f"p{n}", 1, Quality.GOOD) for n in range(10))
    for turn in range(25):
        columns.add(0, (Sample("d", turn, readings),))
    ((_, exchange),) = columns.exchanges()
    assert list(exchange.times) == list(range(20))
    assert len(exchange.values) == 200


@given(steps=STEPS, most=st.integers(1, 20))
@settings(max_examples=25, deadline=None)
def test_buckets_keep_extremes(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[tuple[int | None, int], tuple[int | None, int], int]],
    most: int,
) -> None:
    """A reduced curve is short enough and no exceedance or bad quality is lost in it."""
    folder, images = tmp_path_factory.mktemp("journal"), _images(steps)
    _write(folder, images)
    found = curve(folder, "a", 0, WALL_MS * 2, most)
    rows = _expected(images, "a")
    values = [value for _, value, _ in rows if value is not None]
    assert len(found.time_ms) <= max(most, 1)
    assert max((v for v in found.high if v is not None), default=None) == max(values, default=None)
    assert min((v for v in found.low if v is not None), default=None) == min(values, default=None)
    assert max(found.quality) == max(quality for _, _, quality in rows)
    assert found.time_ms == sorted(found.time_ms)


@given(steps=STEPS)
@settings(max_examples=15, deadline=None)
def test_lines_come_back_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[tuple[int | None, int], tuple[int | None, int], int]],
) -> None:
    """The parts unpack to the canonical images, and these parse to the images themselves."""
    folder, images = tmp_path_factory.mktemp("journal"), _images(steps)
    _write(folder, images)
    lines = [line for line in _lines(folder) if line.startswith(b"[")]
    assert lines == [encode(each.to_row()) for each in images]
    assert [Image.from_row(json.loads(each)) for each in lines] == images


def _lines(folder: Path) -> Iterator[bytes]:
    with closing(open_reader(file_path(folder, 1))) as database:
        for chunk in chunk_numbers(database):
            for part in read_chunk(database, chunk):
                yield from part.lines.splitlines()


def test_range_is_half_open(tmp_path: Path) -> None:
    """A curve holds from_ms ≤ time < to_ms, across several blocks."""
    images = _images([((cycle, 0), (0, 0), 1000) for cycle in range(200)])
    _write(tmp_path, images)
    times = [at for at, _, _ in _expected(images, "a")]
    found = curve(tmp_path, "a", times[50], times[150], 10_000)
    assert found.time_ms == times[50:150]


def test_clock_stepped_back(tmp_path: Path) -> None:
    """After a step of the wall clock the curve is still in order of its labels, and complete."""
    images = _images([((cycle, 0), (0, 0), 1000) for cycle in range(120)])
    stepped = [
        Image(i.cycle, i.now_ms, i.wall_ms - (60_000 if i.cycle > 70 else 0), True, 0, i.samples)
        for i in images
    ]
    _write(tmp_path, stepped)
    found = curve(tmp_path, "a", 0, WALL_MS * 2, 10_000)
    assert found.time_ms == sorted(found.time_ms)
    assert sorted(v for v in found.low if v is not None) == list(range(120))


def test_damaged_column_is_left_out_and_said(tmp_path: Path) -> None:
    """A spoiled column takes its own block away and nothing else; a spoiled file too."""
    _write(tmp_path, _images([((cycle, 0), (0, 0), 1000) for cycle in range(120)]))
    whole = curve(tmp_path, "a", 0, WALL_MS * 2, 10_000)
    with closing(sqlite3.connect(file_path(tmp_path, 1))) as database:
        database.execute(
            "UPDATE trend SET data = CAST(substr(data, 1, 20) || x'FF' || substr(data, 22) AS BLOB)"
            " WHERE point = 'a' AND block = (SELECT MIN(number) FROM block)"
        )
        database.commit()
    found = curve(tmp_path, "a", 0, WALL_MS * 2, 10_000)
    assert found.damaged > 0
    assert 0 < len(found.time_ms) < len(whole.time_ms)
    file_path(tmp_path, 1).write_bytes(b"not a database" * 400)
    for log in tmp_path.glob("journal/*-*"):
        log.unlink()
    assert curve(tmp_path, "a", 0, WALL_MS * 2).damaged == 1


def test_no_journal_no_curve(tmp_path: Path) -> None:
    """An empty folder has an empty curve."""
    assert curve(tmp_path, "a", 0, WALL_MS).time_ms == []
