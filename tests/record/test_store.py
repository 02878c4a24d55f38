"""The store: it never blocks or raises, keeps every event in order, and says each fault once."""

import os
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from minewatch.record import DamageError
from minewatch.record.journal import Journal, JournalLimits
from minewatch.record.ledger import Ledger
from minewatch.record.recover import read_state
from minewatch.record.store import StoreLimits
from minewatch.record.verify import verify

QUICK = StoreLimits(
    retry_s=0.0,
    idle_s=0.005,
    checkpoint_ms=40_000,
    journal=JournalLimits(free_bytes=0, part_ms=5_000, chunk_ms=20_000, chunks_per_block=2),
)


def _kinds(notices: list[Any]) -> list[str]:
    return [each.kind for each in notices if each.kind != "journal_sealed"]


def test_events_become_durable_in_order(toy_run: Any, tmp_path: Path) -> None:
    """Everything submitted is in the ledger, in order, and the record verifies."""
    run = toy_run()
    run.turns(100)
    assert run.store.durable_index == len(run.events)
    assert run.store.faults() == ()
    run.store.close()
    found = read_state(tmp_path)
    assert [each.leaf() for each in found.events] == [each.leaf() for each in run.events]
    assert [each.text for each in found.events] == [each.text for each in run.events]
    assert verify(tmp_path).findings == []


def test_checkpoint_at_once_after_an_alarm(toy_run: Any, tmp_path: Path) -> None:
    """An alarm is signed with its commit; other events wait for their minute."""
    run = toy_run()
    run.turns(19)
    with_alarm = _newest_size(tmp_path)
    assert with_alarm == run.store.durable_index
    run.turns(6)
    assert run.store.durable_index > with_alarm
    assert _newest_size(tmp_path) == with_alarm
    run.turns(40)
    assert _newest_size(tmp_path) > with_alarm
    run.store.close()
    assert _newest_size(tmp_path) == run.store.durable_index


def _newest_size(folder: Path) -> int:
    ledger = Ledger.open(folder, origin="", writable=False)
    newest = ledger.newest_checkpoint()
    ledger.close()
    return newest.size if newest else 0


class _Failing:
    """Makes a method of the record fail while it is switched on."""

    def __init__(self, owner: type, name: str, patch: pytest.MonkeyPatch) -> None:
        self.on = False
        self.after_the_act = False
        act = getattr(owner, name)

        def guarded(this: Any, *given: Any) -> Any:
            if self.on and self.after_the_act:
                self.on = False
                act(this, *given)
                raise sqlite3.OperationalError("disk I/O error")
            if self.on:
                raise sqlite3.OperationalError("database or disk is full")
            return act(this, *given)

        patch.setattr(owner, name, guarded)


def test_failing_ledger(toy_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing disk stops `durable_index`, loses nothing, and is said once at each end."""
    disk = _Failing(Ledger, "append", monkeypatch)
    run = toy_run()
    run.turns(20)
    held = run.store.durable_index
    disk.on = True
    run.turns(60)
    assert run.store.durable_index == held < len(run.events)
    assert run.store.faults() == ("disk",)
    disk.on = False
    run.turns(2)
    assert run.store.durable_index == len(run.events)
    assert run.store.faults() == ()
    run.turn()
    assert _kinds(run.notices) == ["ledger_fault", "ledger_restored"]
    run.store.close()
    assert verify(tmp_path).findings == []
    assert [e.leaf() for e in read_state(tmp_path).events] == [e.leaf() for e in run.events]


def test_commit_of_unknown_outcome(
    toy_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit that fails after it reached the disk is not written a second time."""
    disk = _Failing(Ledger, "append", monkeypatch)
    run = toy_run()
    run.turns(30)
    disk.after_the_act = disk.on = True
    run.turns(60)
    run.store.close()
    found = read_state(tmp_path).events
    assert [each.leaf() for each in found] == [each.leaf() for each in run.events]
    assert verify(tmp_path).findings == []


def test_failing_journal(toy_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing journal disturbs no event; its images wait, and go to disk when it is back."""
    disk = _Failing(Journal, "flush", monkeypatch)
    run = toy_run()
    run.turns(30)
    disk.on = True
    run.turns(60)
    assert run.store.durable_index == len(run.events)
    assert run.store.faults() == ("journal",)
    disk.on = False
    run.turns(60)
    run.store.close()
    assert _kinds(run.notices) == ["journal_fault", "journal_restored"]
    assert verify(tmp_path).findings == []
    assert _journal_images(tmp_path) == run.images


def _journal_images(folder: Path) -> list[bytes]:
    return [line for line in _journal_lines(folder) if line.startswith(b"[")]


def _journal_lines(folder: Path) -> list[bytes]:
    from minewatch.record.journal_files import chunk_numbers, file_path, open_reader, read_chunk

    database = open_reader(file_path(folder, 1))
    lines = [
        line
        for chunk in chunk_numbers(database)
        for part in read_chunk(database, chunk)
        for line in part.lines.splitlines()
    ]
    database.close()
    return lines


def test_full_memory_sheds_images_and_tells_the_hole(
    toy_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the journal fails for long, images are shed, events are not, and the hole is told."""
    journal = replace(QUICK.journal, waiting_bytes=4_000)
    disk = _Failing(Journal, "flush", monkeypatch)
    run = toy_run(limits=replace(QUICK, journal=journal))
    run.turns(10)
    disk.on = True
    run.turns(60)
    disk.on = False
    run.turns(30)
    run.store.close()
    lines = _journal_lines(tmp_path)
    holes = [line for line in lines if line.startswith(b'{"hole"')]
    assert len(holes) == 1
    assert len(_journal_images(tmp_path)) < len(run.images)
    assert read_state(tmp_path).size == len(run.events)


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Make every append hang until the event is set."""
    released = threading.Event()
    act = Ledger.append

    def hanging(this: Ledger, entries: Any) -> int:
        released.wait(30)
        return act(this, entries)

    monkeypatch.setattr(Ledger, "append", hanging)
    yield released
    released.set()


def test_hung_disk_never_blocks(toy_run: Any, tmp_path: Path, stuck: threading.Event) -> None:
    """With the thread stuck in the disk, submitting goes on; images are shed, then told."""
    run = toy_run(limits=replace(QUICK, images=50))
    for _ in range(200):
        run.turn()
    assert "queue" in run.store.faults()
    assert run.store.durable_index == 0
    assert run.store.pending < 100
    stuck.set()
    run.settle()
    run.turns(2)
    assert run.store.faults() == ()
    run.store.close()
    assert read_state(tmp_path).size == len(run.events) == run.store.durable_index
    assert any(line.startswith(b'{"hole"') for line in _journal_lines(tmp_path))


def test_events_beyond_the_limit_leave_a_prefix(
    toy_run: Any, tmp_path: Path, stuck: threading.Event
) -> None:
    """At the very limit the record stops; what it holds stays a prefix of what was decided."""
    run = toy_run(limits=replace(QUICK, events=5, images=10_000))
    for _ in range(300):
        run.turn()
    stuck.set()
    run.settle()
    run.turns(20)
    assert "queue" in run.store.faults()
    run.store.close()
    found = read_state(tmp_path).events
    assert 5 <= len(found) < len(run.events)
    assert [e.leaf() for e in found] == [e.leaf() for e in run.events[: len(found)]]


def test_chunk_left_open_is_sealed_by_the_next_run(toy_run: Any, tmp_path: Path) -> None:
    """What a stopped run left unsealed gets its hash into the ledger of the next run."""
    first = toy_run()
    first.turns(30)
    first.store.close()
    assert verify(tmp_path).unsealed_chunks == 1
    second = toy_run(run="run-2")
    second.turns(5)
    second.store.close()
    sealed = [e.data for e in second.events if e.kind == "journal_sealed"]
    assert sealed[0]["run"] == "run-1"
    assert sealed[0]["digest"] == first.digest.hex()
    assert verify(tmp_path).findings == []


def test_no_chunk_is_told_twice(toy_run: Any, tmp_path: Path) -> None:
    """A restart tells only the chunks that the ledger has not heard of."""
    for run_id in ("run-1", "run-2", "run-3"):
        run = toy_run(run=run_id)
        run.turns(45)
        run.store.close()
    subjects = [
        e.data["subject"] for e in read_state(tmp_path).events if e.kind == "journal_sealed"
    ]
    assert len(subjects) == len(set(subjects)) > 4


def test_damaged_ledger_is_never_continued(toy_run: Any, tmp_path: Path) -> None:
    """On a ledger that contradicts itself the store writes nothing and says so."""
    run = toy_run()
    run.turns(40)
    run.store.close()
    with sqlite3.connect(tmp_path / "ledger" / "ledger.db") as database:
        database.execute("UPDATE frontier SET hashes = zeroblob(length(hashes))")
    database.close()
    size = read_state(tmp_path).size
    again = toy_run(run="run-2")
    again.turns(40)
    assert again.store.faults() == ("ledger_damaged",)
    assert again.store.durable_index == size
    again.store.close()
    assert read_state(tmp_path).size == size


def test_missing_entry_is_not_guessed_over(toy_run: Any, tmp_path: Path) -> None:
    """Recovery refuses a ledger with a hole instead of folding what is left."""
    run = toy_run()
    run.turns(100)
    run.store.close()
    with sqlite3.connect(tmp_path / "ledger" / "ledger.db") as database:
        database.execute("DELETE FROM entry WHERE idx = 2")
    database.close()
    with pytest.raises(DamageError, match="entry 2"):
        read_state(tmp_path)


def test_rotation_and_quota(toy_run: Any, tmp_path: Path) -> None:
    """Files rotate by number of chunks; beyond the quota the oldest goes, and that is told."""
    journal = replace(QUICK.journal, chunks_per_file=2, total_bytes=150_000)
    run = toy_run(limits=replace(QUICK, journal=journal))
    run.turns(260)
    run.store.close()
    files = sorted(path.name for path in (tmp_path / "journal").glob("*.db"))
    assert files[0] > "000001.db"
    retired = [each.subject for each in run.notices if each.kind == "journal_retired"]
    assert retired[0] == "000001"
    assert len(retired) == int(files[0][:6]) - 1
    report = verify(tmp_path)
    assert report.findings == []
    assert report.retired_files == len(retired)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of 10 MB, where we may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small file system here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_really_full_disk(toy_run: Callable[..., Any], small_disk: Path) -> None:
    """On a full disk turns go on; the reserve carries the ledger; with space all is written."""
    run = toy_run(folder=small_disk)
    run.turns(20)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    for _ in range(60):
        run.turns(20)
        if run.store.faults():
            break
    assert run.store.faults()
    run.turns(100)
    assert not (small_disk / "ledger" / "reserve").exists()
    filler.unlink()
    run.turns(40)
    assert run.store.faults() == ()
    assert run.store.durable_index == len(run.events)
    run.store.close()
    assert verify(small_disk).findings == []
