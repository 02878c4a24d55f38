"""What a start reads back: the events since the newest `state` event, without folding them.

Only the ledger is asked; the journal is never needed to recover. Folding is the core's.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minewatch.model.event import Event
from minewatch.record import DATABASE_ERRORS, DamageError, RecordError
from minewatch.record.ledger import READ_MAX, Entry, Ledger

STATE_KIND = "state"
SEALED_KIND = "journal_sealed"
STOP_KIND = "controller_stopping"
LOOK_BACK_MAX = 200_000
"""Entries searched backwards for a chunk's event: months of a mine."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What survives: `events` start with the newest `state` event where there is one.

    `first_index` is the ledger index of the first of them. `clean` says that the last run ended by
    itself.
    """

    size: int
    first_index: int
    events: tuple[Event, ...]
    clean: bool


def read_state(state_folder: Path) -> Recovered:
    """Read what the next run starts from; a folder without a ledger is an empty, clean start.

    Raises:
        DamageError: an entry is missing or is no event; nothing is guessed.
        RecordError: the ledger cannot be read at all.
    """
    try:
        ledger = Ledger.open(state_folder, origin="", writable=False)
    except FileNotFoundError:
        return Recovered(0, 0, (), clean=True)
    try:
        size = ledger.size
        first = _newest_state(ledger, size)
        events = tuple(event_of(each) for each in _every(ledger, first, size))
    except DATABASE_ERRORS as error:
        raise DamageError(f"{state_folder}: the ledger is unreadable: {error}") from error
    finally:
        ledger.close()
    clean = not events or events[-1].kind == STOP_KIND
    return Recovered(size, first, events, clean)


def read_size(state_folder: Path) -> int:
    """Return the number of entries, 0 where there is no ledger or it cannot be read."""
    try:
        ledger = Ledger.open(state_folder, origin="", writable=False)
    except (FileNotFoundError, RecordError):
        return 0
    try:
        return ledger.size
    except (*DATABASE_ERRORS, RecordError):
        return 0
    finally:
        ledger.close()


def event_of(entry: Entry) -> Event:
    """Return the event of an entry.

    Raises:
        DamageError: its leaf is not the canonical JSON of an event.
    """
    try:
        return Event.from_leaf(json.loads(entry.leaf), entry.text)
    except (ValueError, KeyError, TypeError) as error:
        raise DamageError(f"entry {entry.index} is no event: {error}") from error


def last_sealed_chunk(ledger: Ledger) -> str:
    """Return the name of the newest journal chunk that the ledger knows, or an empty name."""
    for _, body in _backwards(ledger, ledger.size, LOOK_BACK_MAX):
        if body.get("kind") == SEALED_KIND:
            return str(body.get("data", {}).get("subject", ""))
    return ""


def _newest_state(ledger: Ledger, size: int) -> int:
    for index, body in _backwards(ledger, size, size):
        if body.get("kind") == STATE_KIND:
            return index
    return 0


def _backwards(ledger: Ledger, size: int, limit: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (index, parsed leaf) from the newest entry down."""
    end, stop = size, max(0, size - limit)
    while end > stop:
        start = max(stop, end - READ_MAX)
        for entry in reversed(ledger.entries(start, end - start)):
            try:
                body = json.loads(entry.leaf)
            except ValueError as error:
                raise DamageError(f"entry {entry.index} is no event: {error}") from error
            yield entry.index, body
        end = start


def _every(ledger: Ledger, first: int, size: int) -> Iterator[Entry]:
    expected = first
    for entry in ledger.all_entries(first):
        if entry.index >= size:
            break
        if entry.index != expected:
            raise DamageError(f"entry {expected} is missing")
        expected += 1
        yield entry
    if expected != size:
        raise DamageError(f"entries {expected}–{size - 1} are missing")
