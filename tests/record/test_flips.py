"""Every byte flip that changes a record, or makes it unreadable, is found by both verifiers."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from minewatch.record.verify import verify

FILES = ("ledger/ledger.db", "ledger/checkpoints.txt", "journal/000001.db")


def _flip(path: Path, place: int, mask: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= mask
    path.write_bytes(data)


Contents = Callable[[Path], Any]


def _campaign(
    record: Path, work: Path, file: str, each: int, readers: tuple[Contents, ModuleType]
) -> int:
    """Flip a random bit of every so many bytes of a copy; return how many flips mattered."""
    contents, stand_alone = readers
    chance = random.Random(file)
    size = (record / file).stat().st_size
    whole = contents(record)
    changed = 0
    original = (record / file).read_bytes()
    shutil.copytree(record, work)
    for start in range(0, size, each):
        place, mask = min(size - 1, start + chance.randrange(each)), 1 << chance.randrange(8)
        _flip(work / file, place, mask)
        differs = contents(work) != whole
        changed += differs
        for log in work.glob("*/*.db-*"):
            if not (record / log.relative_to(work)).exists():
                log.unlink()
        where = f"{file} byte {place} ^ {mask:#x}"
        found = bool(verify(work).findings)
        assert stand_alone.main([str(work)]) == found, f"the verifiers disagree on {where}"
        assert found or not differs, f"{where} was not found"
        (work / file).write_bytes(original)
    return changed


@pytest.mark.parametrize("file", FILES)
def test_flips_found(
    sound_record: Path,
    tmp_path: Path,
    file: str,
    contents: Contents,
    stand_alone: ModuleType,
) -> None:
    """A sample of flips over the whole file, seeded: what changes a record never passes."""
    each = (sound_record / file).stat().st_size // (40 if file.endswith("txt") else 150)
    copy = tmp_path / "copy"
    assert _campaign(sound_record, copy, file, each, (contents, stand_alone)) > 10


@pytest.mark.parametrize("file", ["ledger/ledger.db-wal", "journal/000001.db-wal"])
def test_flips_in_a_log_found(
    killed_record: Path, tmp_path: Path, file: str, contents: Contents, stand_alone: ModuleType
) -> None:
    """The same in write-ahead logs that a killed process left beside its files."""
    each = (killed_record / file).stat().st_size // 80
    copy = tmp_path / "copy"
    assert _campaign(killed_record, copy, file, each, (contents, stand_alone)) > 10


@pytest.mark.parametrize(
    ("file", "kept"),
    [
        ("ledger/ledger.db", 0.0),
        ("ledger/ledger.db", 0.3),
        ("ledger/ledger.db", 0.9),
        ("journal/000001.db", 0.0),
        ("journal/000001.db", 0.5),
    ],
)
def test_lost_log_found(
    killed_record: Path, tmp_path: Path, file: str, kept: float, stand_alone: ModuleType
) -> None:
    """A log that was cut short or deleted takes signed entries with it, and that is found."""
    copy = tmp_path / "copy"
    shutil.copytree(killed_record, copy)
    log = copy / f"{file}-wal"
    if kept:
        log.write_bytes(log.read_bytes()[: int(log.stat().st_size * kept)])
    else:
        log.unlink()
    assert verify(copy).findings
    assert stand_alone.main([str(copy)]) == 1


@pytest.mark.parametrize("file", ["ledger/checkpoints.txt", "journal/000001.db"])
def test_lost_file_found(
    sound_record: Path, tmp_path: Path, file: str, stand_alone: ModuleType
) -> None:
    """A file of the record that is gone is found, not taken for an empty one."""
    copy = tmp_path / "copy"
    shutil.copytree(sound_record, copy)
    (copy / file).unlink()
    assert verify(copy).findings
    assert stand_alone.main([str(copy)]) == 1


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("file", FILES)
def test_every_byte_flipped(
    sound_record: Path,
    tmp_path: Path,
    file: str,
    contents: Contents,
    stand_alone: ModuleType,
) -> None:
    """One byte of every sixteen, over the whole of every file."""
    copy = tmp_path / "copy"
    assert _campaign(sound_record, copy, file, 16, (contents, stand_alone)) > 100


def test_sound_record_passes(sound_record: Path, stand_alone: ModuleType) -> None:
    """Nothing is found where nothing was changed, and everything was looked at."""
    report = verify(sound_record)
    assert report.findings == []
    assert report.size == report.covered > 8
    assert report.chunks >= 3
    assert report.checkpoints >= 4
    assert stand_alone.main([str(sound_record)]) == 0
