"""The ledger on disk: what it takes, what it refuses to go on with, what a reader is told."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from minewatch.record import DamageError, RecordError
from minewatch.record.ledger import READ_MAX, Ledger
from minewatch.record.merkle import consistency_holds, inclusion_holds, leaf_hash
from minewatch.record.note import parse_notes, parse_verifier_key, signature_holds

ORIGIN = "minewatch/v1/140000/140000000001"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return an empty ledger open for writing."""
    opened = Ledger.open(tmp_path, origin=ORIGIN, writable=True)
    yield opened
    opened.close()


def _leaf(number: int) -> bytes:
    return b'{"number":%d}' % number


def _fill(ledger: Ledger, count: int) -> None:
    start = ledger.size
    ledger.append([(_leaf(start + each), "") for each in range(count)])


def _reopen(folder: Path) -> Ledger:
    return Ledger.open(folder, origin=ORIGIN, writable=True)


def test_entries_come_back_verbatim(ledger: Ledger, tmp_path: Path) -> None:
    """Leaves and texts are read as written, in order, also by a reader of another connection."""
    ledger.append([(b'{"a":"\xe7\x93\xa6\xe6\x96\xaf"}', "瓦斯\x00 \"'"), (b"{}", "")])
    with closing(Ledger.open(tmp_path, origin="", writable=False)) as reader:
        found = reader.entries(0, 10)
        assert [(each.index, each.leaf, each.text) for each in found] == [
            (0, '{"a":"瓦斯"}'.encode(), "瓦斯\x00 \"'"),
            (1, b"{}", ""),
        ]
        assert reader.origin == ORIGIN
        _fill(ledger, 3)
        assert reader.size == 5


def test_answers_are_bounded(ledger: Ledger) -> None:
    """A reader never gets more than a bounded batch, however much it asks for."""
    _fill(ledger, READ_MAX + 50)
    assert len(ledger.entries(0, 10**9)) == READ_MAX
    assert len(list(ledger.all_entries(20))) == READ_MAX + 30


@pytest.mark.parametrize(("index", "size"), [(0, 1), (255, 256), (256, 700), (699, 700), (3, 513)])
def test_inclusion_from_disk(ledger: Ledger, index: int, size: int) -> None:
    """Proofs read through stored tiles hold, on both sides of a tile's edge."""
    _fill(ledger, 700)
    proof = ledger.inclusion(index, size)
    assert inclusion_holds(index, size, leaf_hash(_leaf(index)), proof, ledger.root(size))


@pytest.mark.parametrize(("old", "new"), [(1, 700), (255, 257), (256, 512), (300, 699), (700, 700)])
def test_consistency_from_disk(ledger: Ledger, old: int, new: int) -> None:
    """Consistency proofs read through stored tiles hold."""
    _fill(ledger, 700)
    proof = ledger.consistency(old, new)
    assert consistency_holds(old, new, ledger.root(old), ledger.root(new), proof)


def test_no_proof_beyond_the_end(ledger: Ledger) -> None:
    """A size that is not there has no proof."""
    _fill(ledger, 5)
    with pytest.raises(ValueError, match="5 entries"):
        ledger.inclusion(2, 6)
    with pytest.raises(ValueError, match="5 entries"):
        ledger.consistency(2, 6)


def test_checkpoint_is_a_signed_note(ledger: Ledger, tmp_path: Path) -> None:
    """The note has the five lines of C2SP, its signature holds for `key.pub` and nothing else."""
    _fill(ledger, 3)
    note = ledger.sign_checkpoint()
    lines = note.split("\n")
    assert lines[:2] == [ORIGIN, "3"]
    assert lines[3] == ""
    assert lines[4].startswith(f"— {ORIGIN} ")
    assert (tmp_path / "ledger" / "checkpoints.txt").read_text() == note + "\n"
    name, public = parse_verifier_key((tmp_path / "ledger" / "key.pub").read_text())
    stored = ledger.newest_checkpoint()
    assert stored is not None
    assert stored.note == note
    assert signature_holds(stored, name, public)
    assert not signature_holds(stored, name, bytes(32))
    assert not signature_holds(stored, "another", public)


def test_key_is_private(ledger: Ledger, tmp_path: Path) -> None:
    """The key file is 0600 from its birth; an exposed one is refused, a reader never needs it."""
    key = tmp_path / "ledger" / "key"
    assert key.stat().st_mode & 0o777 == 0o600
    _fill(ledger, 1)
    ledger.close()
    key.chmod(0o644)
    with pytest.raises(RecordError, match="0600"):
        _reopen(tmp_path)
    key.unlink()
    with pytest.raises(DamageError, match="gone"):
        _reopen(tmp_path)
    Ledger.open(tmp_path, origin=ORIGIN, writable=False).close()


def test_a_reader_cannot_sign(ledger: Ledger, tmp_path: Path) -> None:
    """Only the writer signs."""
    with (
        closing(Ledger.open(tmp_path, origin="", writable=False)) as reader,
        pytest.raises(RecordError, match="reading"),
    ):
        reader.sign_checkpoint()


@pytest.mark.parametrize("origin", ["", "two words", "a+b", "line\nbreak", "x" * 201])
def test_unfit_origin_refused(tmp_path: Path, origin: str) -> None:
    """A name that a note cannot carry is refused before anything is written."""
    with pytest.raises(RecordError, match="name"):
        Ledger.open(tmp_path, origin=origin, writable=True)
    assert not (tmp_path / "ledger").exists()


def test_another_origin_refused(ledger: Ledger, tmp_path: Path) -> None:
    """A ledger is never continued under another name."""
    ledger.close()
    with pytest.raises(RecordError, match="belongs"):
        Ledger.open(tmp_path, origin="another/mine", writable=True)


def test_no_ledger_is_told(tmp_path: Path) -> None:
    """A reader of an empty folder is told so and creates nothing."""
    with pytest.raises(FileNotFoundError):
        Ledger.open(tmp_path, origin="", writable=False)
    assert list(tmp_path.iterdir()) == []


def test_another_version_refused(ledger: Ledger, tmp_path: Path) -> None:
    """A file of a later version is not touched."""
    ledger.close()
    with closing(sqlite3.connect(tmp_path / "ledger" / "ledger.db")) as database:
        database.execute("PRAGMA user_version = 2")
    for writable in (True, False):
        with pytest.raises(RecordError, match="version 2"):
            Ledger.open(tmp_path, origin=ORIGIN, writable=writable)


def _lose_log(folder: Path) -> None:
    for suffix in ("-wal", "-shm"):
        Path(f"{folder}/ledger/ledger.db{suffix}").unlink()


def _cut_log(folder: Path) -> None:
    path = folder / "ledger" / "ledger.db-wal"
    os.truncate(path, path.stat().st_size // 2)
    Path(f"{folder}/ledger/ledger.db-shm").unlink()


def _lose_database(folder: Path) -> None:
    _lose_log(folder)
    (folder / "ledger" / "ledger.db").unlink()


@pytest.mark.parametrize("harm", [_lose_log, _cut_log, _lose_database])
def test_lost_signed_entries_are_not_hidden(tmp_path: Path, harm: object) -> None:
    """Where signed entries vanished with a log or file, the ledger refuses to go on silently."""
    child = os.fork()
    if child == 0:
        ledger = Ledger.open(tmp_path, origin=ORIGIN, writable=True)
        _fill(ledger, 40)
        ledger.sign_checkpoint()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert callable(harm)
    harm(tmp_path)
    with pytest.raises((DamageError, RecordError)):
        _reopen(tmp_path)


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE entry SET leaf = '{}' WHERE idx = 5; UPDATE entry SET hash = zeroblob(32)"
        " WHERE idx = 5",
        "DELETE FROM entry WHERE idx = 299",
        "DELETE FROM entry WHERE idx = 10",
        "UPDATE tile SET root = zeroblob(32)",
        "UPDATE frontier SET hashes = zeroblob(length(hashes))",
        "UPDATE frontier SET size = 7",
        "DELETE FROM frontier",
    ],
)
def test_contradictions_are_found_at_open(ledger: Ledger, tmp_path: Path, harm: str) -> None:
    """Nothing is appended to a tree that does not fit its own entries or frontier.

    A whole tile answers for its entries, so a change under it waits for `verify`.
    """
    _fill(ledger, 300)
    ledger.sign_checkpoint()
    ledger.close()
    with closing(sqlite3.connect(tmp_path / "ledger" / "ledger.db")) as database:
        database.executescript(harm)
    if "idx = 5" in harm or "idx = 10" in harm:
        _reopen(tmp_path).close()
        return
    with pytest.raises(DamageError):
        _reopen(tmp_path)


@pytest.mark.parametrize("kept", [0, 1, 30, 100, -1])
def test_torn_checkpoint_is_finished(ledger: Ledger, tmp_path: Path, kept: int) -> None:
    """A crash between database and text file leaves a piece of a note; the next start ends it."""
    _fill(ledger, 3)
    ledger.sign_checkpoint()
    _fill(ledger, 3)
    second = ledger.sign_checkpoint().encode() + b"\n"
    ledger.close()
    path = tmp_path / "ledger" / "checkpoints.txt"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - len(second)] + second[:kept])
    _reopen(tmp_path).close()
    assert path.read_bytes() == whole
    assert all(piece.checkpoint is not None for piece in parse_notes(whole))


def test_failed_append_changes_nothing(ledger: Ledger) -> None:
    """A batch that fails half-way leaves size, root and entries as they were."""
    _fill(ledger, 10)
    root = ledger.root()
    ledger._database.execute(
        "CREATE TRIGGER full BEFORE INSERT ON entry WHEN NEW.idx = 12"
        " BEGIN SELECT RAISE(ABORT, 'disk'); END"
    )
    with pytest.raises(sqlite3.Error):
        _fill(ledger, 5)
    assert (ledger.size, ledger.root(), len(ledger.entries(0, 100))) == (10, root, 10)
    ledger._database.execute("DROP TRIGGER full")
    _fill(ledger, 5)
    assert ledger.size == 15
