"""The ledger: every event as one leaf, appended in full transactions, under a signed Merkle tree.

The controller's store thread is the only writer (`writable=True`); publisher and console read with
`writable=False`, in queries that each end at once, so that no reader holds back the writer.
`ledger.sql` is the schema; it changes only with a new `user_version`.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from minewatch.record import DATABASE_ERRORS, DamageError, RecordError, merkle
from minewatch.record.note import Checkpoint, Signer, check_origin, load_signer, parse_notes

VERSION = 1
READ_MAX = 1000
"""Entries in one answer: keeps every read transaction far below 1 s."""

CHECKPOINTS_FILE = "checkpoints.txt"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as recorded: its index, the leaf's bytes, and the text beside it."""

    index: int
    leaf: bytes
    text: str


class Ledger:
    """An open ledger. A reader sees what was committed when it asks."""

    def __init__(
        self, folder: Path, database: sqlite3.Connection, origin: str, signer: Signer | None
    ) -> None:
        self.folder = folder
        self.origin = origin
        self._database = database
        self._signer = signer
        self._frontier = self._stored_frontier()

    @classmethod
    def open(cls, state_folder: Path, *, origin: str, writable: bool) -> Self:
        """Open the ledger of a state folder; a writer creates it, and its key, the first time.

        An empty `origin` takes the recorded one (readers only).

        Raises:
            FileNotFoundError: a reader found no ledger.
            DamageError: what is stored contradicts itself or a checkpoint.
            RecordError: another origin or version, an exposed key, or the disk refused.
        """
        folder = state_folder / "ledger"
        path = folder / "ledger.db"
        if not writable and not path.exists():
            raise FileNotFoundError(path)
        try:
            return (
                cls._open_writer(folder, path, origin)
                if writable
                else cls._open_reader(folder, path, origin)
            )
        except DATABASE_ERRORS as error:
            raise _as_record_error(path, error) from error
        except OSError as error:
            raise RecordError(f"{path}: {error}") from error

    @classmethod
    def _open_reader(cls, folder: Path, path: Path, origin: str) -> Self:
        database = sqlite3.connect(
            f"file:{_quote(path)}?mode=ro", uri=True, isolation_level=None, timeout=1.0
        )
        try:
            return cls(folder, database, _check_identity(path, database, origin), None)
        except BaseException:  # whatever it was, it is raised again
            database.close()
            raise

    @classmethod
    def _open_writer(cls, folder: Path, path: Path, origin: str) -> Self:
        check_origin(origin)
        folder.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.2)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA journal_size_limit = 16777216")
            _create_if_empty(database, origin)
            _check_identity(path, database, origin)
            (last,) = database.execute("SELECT MAX(idx) FROM entry").fetchone()
            ledger = cls(folder, database, origin, load_signer(folder, origin, create=last is None))
            ledger._check()
            ledger._mend_checkpoint_file()
        except BaseException:  # whatever it was, it is raised again
            database.close()
            raise
        return ledger

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    @property
    def size(self) -> int:
        """Return the number of entries."""
        if self._signer is None:
            self._frontier = self._stored_frontier()
        return self._frontier.size

    def root(self, size: int | None = None) -> bytes:
        """Return the Merkle tree hash of the first `size` entries (all of them by default)."""
        if size is None:
            if self._signer is None:
                self._frontier = self._stored_frontier()
            return self._frontier.root()
        return self._range_frontier(0, size).root()

    def entries(self, start: int, count: int) -> list[Entry]:
        """Return at most `count` entries from `start` (never more than `READ_MAX`)."""
        rows = self._database.execute(
            "SELECT idx, CAST(leaf AS BLOB), CAST(text AS BLOB) FROM entry"
            " WHERE idx >= ? AND idx < ? ORDER BY idx",
            (start, start + min(count, READ_MAX)),
        ).fetchall()
        return [Entry(index, leaf, text.decode()) for index, leaf, text in rows]

    def all_entries(self, start: int = 0) -> Iterator[Entry]:
        """Yield every entry from `start`, read in short transactions."""
        while batch := self.entries(start, READ_MAX):
            yield from batch
            start = batch[-1].index + 1

    def checkpoints(self, after_size: int = -1, count: int = READ_MAX) -> list[Checkpoint]:
        """Return the stored checkpoints whose size is beyond `after_size`, smallest first."""
        rows = self._database.execute(
            "SELECT CAST(note AS BLOB) FROM checkpoint WHERE size > ? ORDER BY size LIMIT ?",
            (after_size, min(count, READ_MAX)),
        ).fetchall()
        return [_parse_one(note) for (note,) in rows]

    def newest_checkpoint(self) -> Checkpoint | None:
        """Return the newest stored checkpoint."""
        row = self._database.execute(
            "SELECT CAST(note AS BLOB) FROM checkpoint ORDER BY size DESC LIMIT 1"
        ).fetchone()
        return _parse_one(row[0]) if row else None

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the audit path of entry `index` in the tree of `size`; ValueError outside it."""
        self._require_size(size)
        return merkle.inclusion_proof(index, size, self._range_root)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the consistency proof between two sizes; ValueError where there is none."""
        self._require_size(new)
        return merkle.consistency_proof(old, new, self._range_root)

    def append(self, entries: Sequence[tuple[bytes, str]]) -> int:
        """Append (leaf, text) pairs in one full transaction; return the new size.

        Raises:
            sqlite3.Error: the disk refused; nothing of the batch may be taken as written.
        """
        frontier = self._frontier.copy()
        rows: list[tuple[int, str, str, bytes]] = []
        tiles: list[tuple[int, bytes]] = []
        for leaf, text in entries:
            hashed = merkle.leaf_hash(leaf)
            rows.append((frontier.size, leaf.decode(), text, hashed))
            tile = frontier.append(hashed)
            if tile is not None:
                tiles.append((frontier.size // merkle.TILE - 1, tile))
        with self._transaction() as database:
            database.executemany("INSERT INTO entry VALUES (?, ?, ?, ?)", rows)
            database.executemany("INSERT INTO tile VALUES (?, ?)", tiles)
            database.execute(
                "UPDATE frontier SET size = ?, hashes = ?",
                (frontier.size, b"".join(frontier.hashes)),
            )
        self._frontier = frontier
        return frontier.size

    def sign_checkpoint(self) -> str:
        """Sign the tree as it stands, store the note and append it to `checkpoints.txt`.

        Raises:
            RecordError: the ledger was opened for reading.
            sqlite3.Error, OSError: the disk refused.
        """
        if self._signer is None:
            raise RecordError(f"{self.folder}: opened for reading, cannot sign")
        note = self._signer.sign(self._frontier.size, self._frontier.root())
        with self._transaction() as database:
            database.execute(
                "INSERT OR REPLACE INTO checkpoint VALUES (?, ?)", (self._frontier.size, note)
            )
        _append_durably(self.folder / CHECKPOINTS_FILE, note.encode() + b"\n")
        return note

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        database = self._database
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
            database.execute("COMMIT")
        except BaseException:  # whatever it was, it is raised again
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise

    def _require_size(self, size: int) -> None:
        if size > self.size:
            raise ValueError(f"the ledger has {self.size} entries, not {size}")

    def _range_root(self, start: int, end: int) -> bytes:
        return self._range_frontier(start, end).root()

    def _range_frontier(self, start: int, end: int) -> merkle.Frontier:
        """Return the frontier of a range that is a subtree: aligned to tiles if it spans one."""
        whole = end // merkle.TILE if end - start >= merkle.TILE else 0
        first = start // merkle.TILE if whole else 0
        tiles = self._database.execute(
            "SELECT root FROM tile WHERE number >= ? AND number < ? ORDER BY number", (first, whole)
        ).fetchall()
        leaves = self._database.execute(
            "SELECT hash FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx",
            (whole * merkle.TILE if whole else start, end),
        ).fetchall()
        found = merkle.frontier_of((t for (t,) in tiles), (h for (h,) in leaves))
        if found.size != end - start:
            raise DamageError(f"{self.folder}: entries {start}–{end - 1} are not all there")
        return found

    def _stored_frontier(self) -> merkle.Frontier:
        row = self._database.execute("SELECT size, hashes FROM frontier").fetchone()
        if row is None:
            raise DamageError(f"{self.folder}: the ledger has lost its frontier")
        size, joined = row
        hashes = [joined[at : at + 32] for at in range(0, len(joined), 32)]
        try:
            return merkle.Frontier(size, hashes)
        except ValueError as error:
            raise DamageError(f"{self.folder}: the frontier is damaged: {error}") from error

    def _check(self) -> None:
        """Compare frontier, entries, tiles and the newest checkpoints before anything is added."""
        size = self._frontier.size
        (last,) = self._database.execute("SELECT MAX(idx) FROM entry").fetchone()
        if (last if last is not None else -1) != size - 1:
            raise DamageError(f"{self.folder}: frontier says {size} entries, the last is {last}")
        if self._range_frontier(0, size).hashes != self._frontier.hashes:
            raise DamageError(f"{self.folder}: entries do not lead to the stored frontier")
        for checkpoint in filter(None, (self.newest_checkpoint(), self._newest_in_file())):
            if checkpoint.size > size:
                raise DamageError(
                    f"{self.folder}: entries {size}–{checkpoint.size - 1} were signed and are gone"
                )
            if self.root(checkpoint.size) != checkpoint.root:
                raise DamageError(
                    f"{self.folder}: the first {checkpoint.size} entries are not those signed"
                )

    def _newest_in_file(self) -> Checkpoint | None:
        path = self.folder / CHECKPOINTS_FILE
        if not path.exists():
            return None
        found = [s.checkpoint for s in parse_notes(_tail(path)) if s.checkpoint is not None]
        return found[-1] if found else None

    def _mend_checkpoint_file(self) -> None:
        """Finish the note that a crash cut short between database and text file."""
        newest = self.newest_checkpoint()
        if newest is None:
            return
        path = self.folder / CHECKPOINTS_FILE
        tail = _tail(path) if path.exists() else b""
        whole = newest.note.encode() + b"\n"
        if tail.endswith(whole):
            return
        torn = next((n for n in range(len(whole) - 1, 0, -1) if tail.endswith(whole[:n])), 0)
        if torn and tail[-torn - 1 : -torn] not in (b"\n", b""):
            torn = 0
        _append_durably(path, whole[torn:])


def _create_if_empty(database: sqlite3.Connection, origin: str) -> None:
    if database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
        return
    schema = Path(__file__).with_name("ledger.sql").read_text(encoding="utf-8")
    quoted = origin.replace("'", "''")
    database.executescript(
        f"BEGIN;\n{schema}\nINSERT INTO frontier VALUES (1, 0, x'');"
        f" INSERT INTO meta VALUES (1, '{quoted}'); COMMIT;"
    )


def _check_identity(path: Path, database: sqlite3.Connection, origin: str) -> str:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version != VERSION:
        raise RecordError(f"{path}: version {version}, this program reads {VERSION}")
    row = database.execute("SELECT origin FROM meta").fetchone()
    if row is None or (origin and row[0] != origin):
        raise RecordError(f"{path}: belongs to {row and row[0]!r}, not to {origin!r}")
    return str(row[0])


def _parse_one(note: bytes) -> Checkpoint:
    found = [each.checkpoint for each in parse_notes(note)]
    if len(found) != 1 or found[0] is None:
        raise DamageError(f"not a checkpoint: {note[:120]!r}")
    return found[0]


def _append_durably(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _tail(path: Path, limit: int = 65_536) -> bytes:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - limit))
        return file.read()


def _quote(path: Path) -> str:
    return path.absolute().as_posix().replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _as_record_error(path: Path, error: Exception) -> RecordError:
    if isinstance(error, sqlite3.OperationalError):
        return RecordError(f"{path}: {error}")
    return DamageError(f"{path}: {error}")
