"""Spike c: a day's curve costs what one column per block costs, not a scan of the journal.

`bench/record.py` measures the times (24 h curve, journal of 2 000 points, replay speed); here the
work is counted, so that nothing depends on how busy the machine is.
"""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from minewatch.model.canonical import encode
from minewatch.model.image import Image, Reading, Sample
from minewatch.model.quality import Quality
from minewatch.record.journal import Journal, JournalLimits, Start, curve
from minewatch.record.journal_files import chunk_numbers, file_path, open_reader, read_chunk

POINTS = 20
EVERY_MS = 10_000
DAY_MS = 86_400_000
WALL_MS = 1_790_000_000_000


def _journal_of_a_day(folder: Path) -> None:
    limits = JournalLimits(
        free_bytes=0, part_ms=600_000, chunk_ms=590_000, chunks_per_block=1, chunks_per_file=10_000
    )
    journal = Journal(folder, limits)
    journal.start(Start("run", {}, "0", "c", 0))
    for cycle in range(DAY_MS // EVERY_MS):
        now_ms = cycle * EVERY_MS
        readings = tuple(
            Reading(f"head_{n}", 30 + (cycle + n) % 40, Quality.GOOD) for n in range(POINTS)
        )
        image = Image(
            cycle, now_ms, WALL_MS + now_ms, True, 0, (Sample("gateway", now_ms, readings),)
        )
        journal.add(encode(image.to_row()), "00" * 32, image.samples)
        journal.advance()
    journal.seal()
    journal.close()


def _in_the_images(folder: Path, point: str) -> list[tuple[int, int | None]]:
    """Return (wall time, value) of a point as the images of the journal have it."""
    found = []
    with closing(open_reader(file_path(folder, 1))) as database:
        for chunk in chunk_numbers(database):
            for part in read_chunk(database, chunk):
                for line in part.lines.splitlines():
                    if line.startswith(b"["):
                        image = Image.from_row(json.loads(line))
                        found += _values(image, point)
    return found


def _values(image: Image, point: str) -> list[tuple[int, int | None]]:
    offset_ms = image.wall_ms - image.now_ms
    return [
        (sample.sampled_ms + offset_ms, reading.value)
        for sample in image.samples
        for reading in sample.readings
        if reading.point == point
    ]


def test_a_day_is_a_few_columns(tmp_path: Path) -> None:
    """A 24 h curve is what the images say; it reads one column per ten minutes, by index."""
    _journal_of_a_day(tmp_path)
    found = curve(tmp_path, "head_7", WALL_MS, WALL_MS + DAY_MS, 2000)
    assert 1_000 < len(found.time_ms) <= 2_000
    assert max(each for each in found.high if each is not None) == 69
    whole = curve(tmp_path, "head_7", WALL_MS, WALL_MS + DAY_MS, 100_000)
    assert list(zip(whole.time_ms, whole.low, strict=True)) == _in_the_images(tmp_path, "head_7")
    assert whole.high == whole.low
    assert set(whole.quality) == {0}
    with closing(sqlite3.connect(file_path(tmp_path, 1))) as database:
        (columns,) = database.execute(
            "SELECT COUNT(*) FROM trend WHERE point = 'head_7'"
        ).fetchone()
        plan = database.execute(
            "EXPLAIN QUERY PLAN SELECT data FROM trend WHERE point = 'head_7'"
        ).fetchall()
    assert columns <= 24 * 6 + 10
    assert "trend_by_point" in plan[0][3]
