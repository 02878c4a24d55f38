"""Checks the ledger: every entry against its stored hash, the tree against every checkpoint."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from minewatch.record import DATABASE_ERRORS
from minewatch.record.findings import Progress, Report, check_structure
from minewatch.record.merkle import TILE, Frontier, leaf_hash
from minewatch.record.note import Checkpoint

BATCH = 1000
ROW = "SELECT idx, CAST(leaf AS BLOB), CAST(text AS BLOB), hash FROM entry"


@dataclass(frozen=True, slots=True)
class _Row:
    """An entry as it lies in the file; None where a column is not what it should be."""

    index: int
    leaf: bytes | None = None
    text: bytes | None = None
    hash: bytes | None = None


@dataclass(slots=True)
class LedgerFacts:
    """What the rest of the verification needs from the entries."""

    sealed: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    retired: set[str] = field(default_factory=set)


class LedgerCheck:
    """One walk over all entries of an open database."""

    def __init__(
        self,
        report: Report,
        database: sqlite3.Connection,
        checkpoints: list[Checkpoint],
        progress: Progress,
    ) -> None:
        self._report = report
        self._database = database
        self._progress = progress
        self._heads = sorted(checkpoints, key=lambda each: each.size)
        self._bounds = [0, *dict.fromkeys(each.size for each in self._heads)]
        self._tree: Frontier | None = Frontier()
        self._next_head = 0
        self._good_head = 0
        self._near_ms = 0
        self.facts = LedgerFacts()

    def run(self) -> LedgerFacts:
        """Walk; every fault goes into the report."""
        check_structure(self._report, self._database, "ledger.db")
        size, hashes = self._stored_frontier()
        end = max(size, self._bounds[-1])
        self._meet_heads(0)
        expected = 0
        for row in self._rows():
            self._missing(expected, row.index - 1)
            self._check_row(row)
            expected = row.index + 1
            self._meet_heads(expected)
            if expected == size and self._tree is not None and self._tree.hashes != hashes:
                self._report.add("frontier_differs", size=size)
            if expected % BATCH == 0:
                self._progress("ledger", expected, end)
        self._missing(expected, end - 1)
        self._report.size = expected
        self._report.covered = self._good_head
        return self.facts

    def _stored_frontier(self) -> tuple[int, list[bytes]]:
        try:
            size, joined = self._database.execute("SELECT size, hashes FROM frontier").fetchone()
            found = Frontier(size, (joined[at : at + 32] for at in range(0, len(joined), 32)))
        except (*DATABASE_ERRORS, TypeError, ValueError, AttributeError) as error:
            self._report.add("frontier_differs", size=0, reason=str(error)[:200])
            return 0, []
        return found.size, found.hashes

    def _rows(self) -> Iterator[_Row]:
        """Yield every row that can be read; where a batch cannot, its entries one by one."""
        start = 0
        while True:
            try:
                rows = self._database.execute(
                    f"{ROW} WHERE idx >= ? ORDER BY idx LIMIT ?", (start, BATCH)
                ).fetchall()
            except DATABASE_ERRORS:
                end = min(start + BATCH, self._bounds[-1])
                if start >= end:
                    self._report.add("entries_unreadable", first=start, last=None)
                    return
                yield from self._one_by_one(start, end)
                start = end
            else:
                if not rows:
                    return
                yield from (_row(each) for each in rows)
                start = rows[-1][0] + 1

    def _one_by_one(self, start: int, end: int) -> Iterator[_Row]:
        lost: list[int] = []
        for index in range(start, end):
            try:
                row = self._database.execute(f"{ROW} WHERE idx = ?", (index,)).fetchone()
            except DATABASE_ERRORS:
                lost.append(index)
                yield _Row(index)
            else:
                if row is not None:
                    yield _row(row)
        if lost:
            place = {**self._place(lost[0]), "first": lost[0], "last": lost[-1]}
            self._report.add("entries_unreadable", **place)

    def _check_row(self, row: _Row) -> None:
        if row.leaf is None:
            self._grow(row.hash)
            if row.hash is not None:
                self._report.add("entry_altered", **self._place(row.index))
            return
        hashed = leaf_hash(row.leaf)
        if row.hash != hashed:
            self._report.add("entry_altered", **self._place(row.index))
        else:
            self._read_leaf(row)
        self._grow(row.hash if row.hash is not None else hashed)

    def _read_leaf(self, row: _Row) -> None:
        try:
            body = json.loads(row.leaf or b"")
            wanted = body.get("text_sha256")
            kind, data = body["kind"], body["data"]
            self._near_ms = body["wall_ms"]
        except (ValueError, KeyError, TypeError, AttributeError):
            self._report.add("entry_no_event", **self._place(row.index))
            return
        written = row.text
        if written is None or (hashlib.sha256(written).hexdigest() if written else None) != wanted:
            self._report.add("text_altered", **self._place(row.index))
        if kind == "journal_sealed":
            self.facts.sealed[str(data.get("subject"))] = (row.index, data)
        elif kind == "journal_retired":
            self.facts.retired.add(str(data.get("subject")))

    def _grow(self, hashed: bytes | None) -> None:
        if self._tree is None:
            return
        if hashed is None:
            self._tree = None
            return
        tile = self._tree.append(hashed)
        if tile is not None:
            self._check_tile(self._tree.size // TILE - 1, tile)

    def _check_tile(self, number: int, root: bytes) -> None:
        try:
            row = self._database.execute(
                "SELECT root FROM tile WHERE number = ?", (number,)
            ).fetchone()
        except DATABASE_ERRORS:
            row = None
        if row is None or row[0] != root:
            self._report.add("tile_differs", first=number * TILE, last=(number + 1) * TILE - 1)

    def _meet_heads(self, size: int) -> None:
        """Compare the tree with every checkpoint of this size; the first difference is told."""
        while self._next_head < len(self._heads) and self._heads[self._next_head].size <= size:
            head = self._heads[self._next_head]
            self._next_head += 1
            if self._tree is None or head.size != size:
                continue
            if self._tree.root() == head.root:
                self._good_head = size
            else:
                self._report.add("root_differs", after=self._good_head, before=head.size)
                self._tree = None

    def _missing(self, first: int, last: int) -> None:
        if last < first:
            return
        self._report.add("entries_missing", first=first, last=last, near_ms=self._near_ms)
        self._tree = None

    def _place(self, index: int) -> dict[str, Any]:
        before = next((size for size in self._bounds if size > index), None)
        after = max(size for size in self._bounds if size <= index)
        return {"index": index, "after": after, "before": before, "near_ms": self._near_ms}


def _row(columns: tuple[Any, ...]) -> _Row:
    index, *rest = columns
    leaf, text, hashed = (each if isinstance(each, bytes) else None for each in rest)
    return _Row(index, leaf, text, hashed if hashed is not None and len(hashed) == 32 else None)
