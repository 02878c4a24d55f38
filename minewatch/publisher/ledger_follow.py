"""The ledger as the publisher sees it: perhaps not there yet, read in short transactions."""

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from minewatch.record import RecordError
from minewatch.record.ledger import Entry, Ledger
from minewatch.record.note import Checkpoint

T = TypeVar("T")

_log = logging.getLogger("minewatch.publisher")


class LedgerFollow:
    """Reads a ledger that may appear, be busy or be damaged; says so once and tries again.

    Every method returns its empty answer where nothing can be read now.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self._ledger: Ledger | None = None
        self.fault = ""

    @property
    def origin(self) -> str:
        """Return the ledger's name, empty where there is none yet."""
        ledger = self._open()
        return ledger.origin if ledger is not None else ""

    def size(self) -> int:
        """Return the number of entries."""
        return self._try(lambda ledger: ledger.size, 0)

    def entries(self, start: int, count: int) -> list[Entry]:
        """Return at most `count` entries from index `start`."""
        return self._try(lambda ledger: ledger.entries(start, count), [])

    def checkpoints(self, after_size: int) -> list[Checkpoint]:
        """Return stored checkpoints beyond `after_size`, smallest first, a bounded number."""
        return self._try(lambda ledger: ledger.checkpoints(after_size), [])

    def newest_checkpoint(self) -> Checkpoint | None:
        """Return the newest signed tree head."""
        return self._try(lambda ledger: ledger.newest_checkpoint(), None)

    def inclusion(self, index: int, size: int) -> list[bytes] | None:
        """Return the audit path, None where it cannot be read; ValueError outside the tree."""
        return self._try(lambda ledger: ledger.inclusion(index, size), None)

    def consistency(self, old: int, new: int) -> list[bytes] | None:
        """Return the proof between two sizes; None and ValueError as `inclusion`."""
        return self._try(lambda ledger: ledger.consistency(old, new), None)

    def close(self) -> None:
        """Let go of the file."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    def _open(self) -> Ledger | None:
        if self._ledger is None:
            try:
                self._ledger = Ledger.open(self._state, origin="", writable=False)
            except FileNotFoundError:
                return None
            except (RecordError, sqlite3.Error) as error:
                self._say(str(error))
        return self._ledger

    def _try(self, read: Callable[[Ledger], T], empty: T) -> T:
        ledger = self._open()
        if ledger is None:
            return empty
        try:
            found = read(ledger)
        except (RecordError, sqlite3.Error) as error:
            self._say(str(error))
            self.close()
            return empty
        if self.fault:
            _log.warning("the ledger can be read again")
            self.fault = ""
        return found

    def _say(self, words: str) -> None:
        if not self.fault:
            _log.error("the ledger cannot be read: %s", words)
        self.fault = words
