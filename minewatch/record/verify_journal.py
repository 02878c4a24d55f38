"""Checks the journal: every chunk that the ledger sealed must be there and hash to what it says."""

import hashlib
import sqlite3
from pathlib import Path
from typing import Any

from minewatch.record import DATABASE_ERRORS, DamageError
from minewatch.record.findings import Progress, Report, check_structure, open_evidence
from minewatch.record.journal import header
from minewatch.record.journal_files import (
    Part,
    chunk_name,
    chunk_numbers,
    file_numbers,
    file_path,
    parse_chunk_name,
    part_numbers,
    read_part,
)
from minewatch.record.verify_ledger import LedgerFacts


def check_journal(
    report: Report, state_folder: Path, facts: LedgerFacts, progress: Progress
) -> None:
    """Check every chunk the ledger knows, and that no other one stands between them."""
    by_file: dict[int, dict[int, tuple[int, dict[str, Any]]]] = {}
    for name, sealed in facts.sealed.items():
        try:
            file_number, chunk = parse_chunk_name(name)
        except ValueError:
            report.add("chunk_missing", chunk=name, index=sealed[0])
            continue
        by_file.setdefault(file_number, {})[chunk] = sealed
    newest = max(facts.sealed, default="")
    present = set(file_numbers(state_folder))
    numbers = sorted(by_file.keys() | present)
    for done, number in enumerate(numbers):
        progress("journal", done, len(numbers))
        if number in present:
            _check_file(report, file_path(state_folder, number), by_file.get(number, {}), newest)
        elif f"{number:06d}" in facts.retired and number < min(present, default=number + 1):
            report.retired_files += 1
        else:
            first, last = (edge(by_file[number].values(), key=_index)[1] for edge in (min, max))
            report.add(
                "file_missing",
                file=f"{number:06d}.db",
                first_cycle=first.get("first_cycle"),
                last_cycle=last.get("last_cycle"),
            )
    progress("journal", len(numbers), len(numbers))


def _index(sealed: tuple[int, dict[str, Any]]) -> int:
    return sealed[0]


def _check_file(
    report: Report, path: Path, sealed: dict[int, tuple[int, dict[str, Any]]], newest: str
) -> None:
    try:
        with open_evidence(path) as database:
            check_structure(report, database, path.name)
            for chunk, (index, data) in sorted(sealed.items()):
                _check_chunk(report, database, chunk_name(int(path.stem), chunk), index, data)
                report.chunks += 1
            for chunk in set(chunk_numbers(database)) - sealed.keys():
                if chunk_name(int(path.stem), chunk) < newest:
                    report.add("chunk_unknown", chunk=chunk_name(int(path.stem), chunk))
                else:
                    report.unsealed_chunks += 1
    except (*DATABASE_ERRORS, OSError, TypeError) as error:
        report.add("file_unreadable", file=path.name, reason=str(error)[:200])


def _check_chunk(
    report: Report, database: sqlite3.Connection, name: str, index: int, data: dict[str, Any]
) -> None:
    hashed = hashlib.sha256()
    faults = len(report.findings)
    _, chunk = parse_chunk_name(name)
    numbers = part_numbers(database, chunk)
    for number in numbers:
        try:
            part = read_part(database, number)
        except (*DATABASE_ERRORS, DamageError, TypeError) as error:
            report.add("part_unreadable", chunk=name, part=number, index=index, reason=str(error))
            continue
        hashed.update(part.lines)
        if hashlib.sha256(part.lines).hexdigest() != part.sha256:
            report.add("part_altered", chunk=name, index=index, **_span(part))
        elif not _describes(part):
            report.add("part_mislabelled", chunk=name, index=index, **_span(part))
    cycles = {"first_cycle": data.get("first_cycle"), "last_cycle": data.get("last_cycle")}
    if not numbers:
        report.add("chunk_missing", chunk=name, index=index, **cycles)
    elif hashed.hexdigest() != data.get("sha256") and len(report.findings) == faults:
        report.add("chunk_altered", chunk=name, index=index, **cycles)
    elif not _row_agrees(database, chunk, data):
        report.add("chunk_mislabelled", chunk=name, index=index, **cycles)


def _span(part: Part) -> dict[str, Any]:
    return {
        "part": part.number,
        "first_cycle": part.first_cycle,
        "last_cycle": part.last_cycle,
        "near_ms": part.first_wall_ms,
    }


def _describes(part: Part) -> bool:
    """Tell whether a part's columns say what its lines say."""
    images = [line for line in part.lines.splitlines() if line.startswith(b"[")]
    if not images:
        return False
    first, last = header(images[0]), header(images[-1])
    return (first[0], last[0], len(images), first[2], last[2]) == (
        part.first_cycle,
        part.last_cycle,
        part.cycles,
        part.first_wall_ms,
        part.last_wall_ms,
    )


def _row_agrees(database: sqlite3.Connection, chunk: int, data: dict[str, Any]) -> bool:
    names = ("run", "first_cycle", "last_cycle", "cycles", "sha256", "digest")
    row = database.execute(
        f"SELECT {', '.join(names)} FROM chunk WHERE number = ?", (chunk,)
    ).fetchone()
    return row is not None and row == tuple(data.get(name) for name in names)
