"""Ledger and journal as the store's thread sees them: what waits, what failed, when to try again.

Each side lives through its own faults: whatever its disk does, the other side goes on. Only the
store uses this.
"""

import errno
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from minewatch.model.event import Event
from minewatch.model.image import Notice, Sample
from minewatch.record import DATABASE_ERRORS, DamageError, RecordError
from minewatch.record.journal import Journal, JournalLimits, Start, header
from minewatch.record.journal_files import Sealed
from minewatch.record.ledger import Ledger
from minewatch.record.recover import last_sealed_chunk, read_size

RESERVE_FILE = "reserve"
RESERVE_BYTES = 4 << 20
NO_SPACE = ("SQLITE_FULL", "ENOSPC", "EDQUOT")
"""On a full disk the reserve beside the ledger is given up, so that the last events still fit."""


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """What may wait for the disk, and how often things happen."""

    images: int = 600
    image_bytes: int = 32 << 20
    events: int = 50_000
    batch: int = 2000
    notices: int = 4096
    checkpoint_ms: int = 60_000
    retry_s: float = 1.0
    idle_s: float = 0.25
    close_s: float = 10.0
    journal: JournalLimits = field(default_factory=JournalLimits)


@dataclass(frozen=True, slots=True)
class Item:
    """One cycle on its way to the thread; `shed` are cycles lost before it."""

    image: bytes | None
    now_ms: int
    events: tuple[Event, ...]
    digest: str
    shed: tuple[int, int] | None
    samples: tuple[Sample, ...]


class LedgerSide:
    """The ledger as the thread sees it: what waits, what failed, when to try and to sign again."""

    def __init__(
        self,
        folder: Path,
        origin: str,
        urgent: Callable[[Event], bool],
        limits: StoreLimits,
        say: Callable[[Notice], None],
    ) -> None:
        self._folder, self._origin = folder, origin
        self._urgent, self._limits, self._say = urgent, limits, say
        self._ledger: Ledger | None = None
        self._waiting: deque[Event] = deque()
        self._base: int | None = None
        self._retry_at_s = 0.0
        self._signed_size = 0
        self._signed_ms: int | None = None
        self._sign_now = False
        self._now_ms = 0
        self.fault = ""
        self.durable = read_size(folder)
        self.last_sealed = ""

    def open(self) -> None:
        """Open the ledger for the first time."""

        def first() -> None:
            self._open()
            assert self._ledger is not None
            self.last_sealed = last_sealed_chunk(self._ledger)

        self._try(first)

    def take(self, item: Item) -> None:
        """Remember a cycle's events."""
        self._now_ms = item.now_ms
        self._waiting.extend(item.events)

    def write(self) -> int:
        """Write what waits, sign if due; return how many events became durable."""
        before = self.durable
        if self.fault != "ledger_damaged" and time.monotonic() >= self._retry_at_s:
            self._try(self._write)
        return max(0, self.durable - before)

    def close(self) -> None:
        """Sign what is unsigned and close."""
        self._sign_now, self._retry_at_s = True, 0.0
        self.write()
        if self._ledger is not None:
            self._ledger.close()

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except DamageError as error:
            self._fail("ledger_damaged", str(error))
        except (*DATABASE_ERRORS, OSError, RecordError) as error:
            self._fail("disk", _reason(error))
        else:
            if self.fault:
                self.fault = ""
                self._say(Notice("ledger_restored", "ledger", {}))

    def _fail(self, fault: str, reason: str) -> None:
        """Say a fault once, let go of the database and wait before the next try."""
        if self.fault != fault:
            self.fault = fault
            self._say(Notice("ledger_fault", "ledger", {"code": fault, "reason": reason[:200]}))
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None
        if reason in NO_SPACE:
            (self._folder / "ledger" / RESERVE_FILE).unlink(missing_ok=True)
        self._retry_at_s = time.monotonic() + self._limits.retry_s

    def _open(self) -> None:
        """Open the ledger and find out which of the waiting events are in it already."""
        ledger = Ledger.open(self._folder, origin=self._origin, writable=True)
        if self._base is None:
            self._base = self.durable
        done = ledger.size - self._base
        stored = ledger.entries(self._base, max(0, done))
        expected = [each.leaf() for each, _ in zip(self._waiting, stored, strict=False)]
        if done != len(stored) or [each.leaf for each in stored] != expected:
            ledger.close()
            raise DamageError(f"the ledger has {ledger.size} entries, {self._base} were written")
        self._ledger = ledger
        self._advance(done)
        _keep_reserve(self._folder / "ledger" / RESERVE_FILE)
        newest = ledger.newest_checkpoint()
        self._signed_size = newest.size if newest else 0

    def _write(self) -> None:
        if self._ledger is None:
            self._open()
        assert self._ledger is not None
        while self._waiting:
            batch = [
                each for each, _ in zip(self._waiting, range(self._limits.batch), strict=False)
            ]
            self._ledger.append([(each.leaf(), each.text) for each in batch])
            self._sign_now = self._sign_now or any(map(self._urgent, batch))
            self._advance(len(batch))
        self._sign_if_due(self._ledger)

    def _advance(self, count: int) -> None:
        for _ in range(count):
            self._waiting.popleft()
        self._base = (self._base or 0) + count
        self.durable = self._base

    def _sign_if_due(self, ledger: Ledger) -> None:
        if self._signed_ms is None:
            self._signed_ms = self._now_ms
        due = self._now_ms - self._signed_ms >= self._limits.checkpoint_ms
        if (due or self._sign_now) and ledger.size > self._signed_size:
            ledger.sign_checkpoint()
            self._signed_size = ledger.size
            self._signed_ms = self._now_ms
        self._sign_now = False


class JournalSide:
    """The journal as the thread sees it."""

    def __init__(self, folder: Path, limits: StoreLimits, say: Callable[[Notice], None]) -> None:
        self._limits, self._say = limits, say
        self._journal = Journal(folder, limits.journal, self._retired)
        self._starts: deque[Start] = deque()
        self._retry_at_s = 0.0
        self.fault = ""

    def open(self, last_sealed: str) -> None:
        """Seal what the last run left open and tell every chunk the ledger has not heard of."""

        def seal() -> None:
            for each in self._journal.unsealed(last_sealed):
                self._tell(each)

        self._try(seal)

    def start(self, start: Start) -> None:
        """Hand over the start of a run."""
        self._starts.append(start)

    def take(self, item: Item) -> None:
        """Gather a cycle's image, or the hole where it was shed."""
        while self._starts:
            self._journal.start(self._starts.popleft())
        if item.shed is not None:
            self._journal.hole(*item.shed)
        if item.image is None:
            return
        if self._journal.overfull:
            cycle, _, _ = header(item.image)
            self._journal.hole(cycle, cycle)
        else:
            self._journal.add(item.image, item.digest, item.samples)

    def write(self) -> None:
        """Write what is due."""
        if time.monotonic() < self._retry_at_s:
            return
        self._try(self._journal.advance)
        for sealed in self._journal.take_finished():
            self._tell(sealed)

    def close(self) -> None:
        """Write the rest and close."""
        self._try(self._journal.close)

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except (*DATABASE_ERRORS, OSError, DamageError) as error:
            damaged = isinstance(error, DamageError) or (
                isinstance(error, sqlite3.DatabaseError)
                and not isinstance(error, sqlite3.OperationalError)
            )
            self._journal.drop_connection(damaged=damaged)
            self._retry_at_s = time.monotonic() + self._limits.retry_s
            if not self.fault:
                self.fault = "journal"
                self._say(Notice("journal_fault", "journal", {"reason": _reason(error)[:200]}))
        else:
            if self.fault:
                self.fault = ""
                self._say(Notice("journal_restored", "journal", {}))

    def _tell(self, sealed: Sealed) -> None:
        data = {
            "sha256": sealed.sha256,
            "digest": sealed.digest,
            "cycles": sealed.cycles,
            "first_cycle": sealed.first_cycle,
            "last_cycle": sealed.last_cycle,
            "run": sealed.run,
        }
        self._say(Notice("journal_sealed", sealed.name, data))

    def _retired(self, file: str, chunks: int) -> None:
        self._say(Notice("journal_retired", file, {"chunks": chunks}))


def _reason(error: Exception) -> str:
    """Return a short code for what a disk said."""
    name = getattr(error, "sqlite_errorname", "") or errno.errorcode.get(
        getattr(error, "errno", None) or 0, ""
    )
    return name or type(error).__name__


def _keep_reserve(path: Path) -> None:
    """Hold disk space for the ledger's last words; a disk too full for it is no fault yet."""
    if path.exists():
        return
    try:
        path.write_bytes(bytes(RESERVE_BYTES))
    except OSError:
        path.unlink(missing_ok=True)
