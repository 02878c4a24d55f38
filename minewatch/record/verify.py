"""Verification of a state folder or a copy of it, against its own and anybody's checkpoints.

The stand-alone `tools/verify.py` does the same from the written format alone, sharing no code.
"""

import sqlite3
from pathlib import Path

from minewatch.record import DATABASE_ERRORS, RecordError
from minewatch.record.findings import Progress, Report, open_evidence
from minewatch.record.ledger import CHECKPOINTS_FILE, VERSION
from minewatch.record.note import (
    PUBLIC_FILE,
    Checkpoint,
    parse_notes,
    parse_verifier_key,
    signature_holds,
)
from minewatch.record.verify_journal import check_journal
from minewatch.record.verify_ledger import LedgerCheck, LedgerFacts


def _silent(_what: str, _done: int, _total: int) -> None:
    """Report no progress."""


def verify(
    state_folder: Path,
    checkpoints: Path | None = None,
    *,
    key: str | None = None,
    progress: Progress = _silent,
) -> Report:
    """Check ledger, checkpoints and journal; every fault is in the report, none is raised.

    `checkpoints` is a file of notes that left the mine earlier, `key` the verifier key that the
    reader already trusts; without it `key.pub` of the folder is taken.

    Raises:
        FileNotFoundError: no ledger there, or no such file of checkpoints.
    """
    folder = state_folder / "ledger"
    if not (folder / "ledger.db").exists():
        raise FileNotFoundError(folder / "ledger.db")
    report = Report(state_folder)
    facts = LedgerFacts()
    try:
        # The text comes first: in a running house the database always has at least as much.
        text = _read(folder / CHECKPOINTS_FILE)
        with open_evidence(folder / "ledger.db") as database:
            stored = _stored_notes(report, database)
            heads = _checked_heads(report, folder, (text, stored), checkpoints, key)
            _check_origin(report, database)
            facts = LedgerCheck(report, database, heads, progress).run()
    except (*DATABASE_ERRORS, OSError) as error:
        report.add("ledger_unreadable", reason=str(error)[:200])
    check_journal(report, state_folder, facts, progress)
    return report


def _stored_notes(report: Report, database: sqlite3.Connection) -> list[bytes]:
    """Return the notes kept in the database."""
    try:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            report.add("ledger_unreadable", reason=f"user_version {version}")
        rows = database.execute(
            "SELECT size, CAST(note AS BLOB) FROM checkpoint ORDER BY size"
        ).fetchall()
    except DATABASE_ERRORS as error:
        report.add("ledger_unreadable", reason=str(error)[:200])
        return []
    for size, note in rows:
        lines = note.split(b"\n") if isinstance(note, bytes) else []
        if lines[1:2] != [str(size).encode()]:
            report.add("checkpoint_malformed", file="ledger.db", size=size)
    return [note for _, note in rows if isinstance(note, bytes)]


def _checked_heads(
    report: Report,
    folder: Path,
    copies: tuple[bytes, list[bytes]],
    outside: Path | None,
    key: str | None,
) -> list[Checkpoint]:
    """Return every checkpoint with a good signature; say what is wrong with the others."""
    try:
        name, public = parse_verifier_key(
            key if key is not None else (folder / PUBLIC_FILE).read_text(encoding="utf-8")
        )
    except (RecordError, OSError, UnicodeDecodeError) as error:
        report.add("key_unreadable", reason=str(error)[:200])
        return []
    report.origin = name
    text, stored = copies
    sources = [(CHECKPOINTS_FILE, text)]
    if outside is not None:
        sources.append((outside.name, outside.read_bytes()))
    sources.append(("ledger.db", b"\n".join(stored)))
    newest = stored[-1] if stored else b""
    heads: dict[str, Checkpoint] = {}
    for file, data in sources:
        for piece in parse_notes(data):
            head = piece.checkpoint
            if head is None:
                if not newest.startswith(data[piece.start : piece.end]):
                    report.add("checkpoint_malformed", file=file, start=piece.start, end=piece.end)
            elif not signature_holds(head, name, public):
                report.add("checkpoint_unsigned", file=file, size=head.size, start=piece.start)
            else:
                heads[head.note] = head
    _compare_copies(report, text, stored)
    report.checkpoints = len(heads)
    return list(heads.values())


def _check_origin(report: Report, database: sqlite3.Connection) -> None:
    row = database.execute("SELECT origin FROM meta").fetchone()
    if report.origin and (row is None or row[0] != report.origin):
        report.add("ledger_unreadable", reason=f"origin {row and row[0]!r}, key {report.origin!r}")


def _compare_copies(report: Report, text: bytes, stored: list[bytes]) -> None:
    """Both copies must be the same; the newest may be in the database alone, for a moment."""
    listed = {p.checkpoint.note.encode() for p in parse_notes(text) if p.checkpoint is not None}
    for note in stored[:-1]:
        if note not in listed:
            report.add("checkpoint_missing", file=CHECKPOINTS_FILE, size=_size(note))
    for note in sorted(listed - set(stored), key=_size):
        report.add("checkpoint_missing", file="ledger.db", size=_size(note))


def _size(note: bytes) -> int:
    line = note.split(b"\n")[1:2]
    return int(line[0]) if line and line[0].isdigit() else -1


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
