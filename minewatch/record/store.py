"""The store: takes every cycle's image and events from the controller and puts them on disk.

One thread of its own writes; the controller only hands over and reads numbers, so that no disk,
however slow or broken, ever holds up a decision. Events are never shed: when the disk fails they
wait in memory, in order, and `durable_index` stands still, which alone keeps releases from acting.
"""

import errno
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from minewatch.model.event import Event
from minewatch.model.image import Notice
from minewatch.record import DATABASE_ERRORS, DamageError, RecordError
from minewatch.record.digest import DecisionDigest
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
class _Item:
    """One cycle on its way to the thread; `shed` are cycles lost before it."""

    image: bytes | None
    now_ms: int
    events: tuple[Event, ...]
    digest: str
    shed: tuple[int, int] | None


class RecordStore:
    """Implements `ports.Store` on SQLite. Made in the controller, which calls everything public.

    `digest` is the run's decision digest: update it before `submit`, so that a sealed chunk
    carries the digest after its last cycle. `urgent` picks the events after which a checkpoint is
    signed at once.
    """

    def __init__(
        self,
        state_folder: Path,
        origin: str,
        *,
        digest: DecisionDigest,
        urgent: Callable[[Event], bool],
        limits: StoreLimits | None = None,
    ) -> None:
        self._folder = state_folder
        self._origin = origin
        self._digest = digest
        self._limits = limits or StoreLimits()
        self._items: deque[_Item] = deque()
        self._taken = self._done = 0
        self._taken_images = self._taken_bytes = 0
        self._written_images = self._written_bytes = 0
        self._taken_events = self._written_events = 0
        self._shed: tuple[int, int] | None = None
        self._events_full = False
        self._wake = threading.Event()
        self._closing = False
        self._notices: deque[Notice] = deque(maxlen=self._limits.notices)
        self._ledger_side = _LedgerSide(state_folder, origin, urgent, self._limits, self._say)
        self._journal_side = _JournalSide(state_folder, self._limits, self._say)
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)
        self._thread.start()

    @property
    def durable_index(self) -> int:
        """Return the number of ledger entries on disk; 0 while the ledger cannot be opened."""
        return self._ledger_side.durable

    @property
    def pending(self) -> int:
        """Return how many cycles the thread has not yet dealt with."""
        return self._taken - self._done

    def start_run(self, start: Start) -> None:
        """Begin a run in the journal; call it once, before the first `submit`."""
        self._journal_side.start(start)

    def submit(self, image: bytes, events: tuple[Event, ...]) -> None:
        """Take one cycle's canonical image and its events; never blocks, never raises.

        When too many images wait, the image is shed and the journal tells the hole. Events wait
        without end up to `StoreLimits.events`; beyond that the record stops until the next start.
        """
        cycle, now_ms, _ = header(image)
        kept: bytes | None = image
        if self._images_full():
            kept = None
            self._shed = (self._shed[0] if self._shed else cycle, cycle)
        events = self._admit(events)
        if kept is None and not events:
            return
        shed = None
        if kept is not None:
            shed, self._shed = self._shed, None
            self._taken_images += 1
            self._taken_bytes += len(kept)
        self._taken += 1
        self._items.append(_Item(kept, now_ms, events, self._digest.hex(), shed))
        if events:
            self._wake.set()

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong now: `disk`, `ledger_damaged`, `journal`, `queue`, `stopped`."""
        found = (
            self._ledger_side.fault,
            self._journal_side.fault,
            "queue" if self._events_full or self._shed else "",
            "" if self._closing or self._thread.is_alive() else "stopped",
        )
        return tuple(each for each in found if each)

    def take_notices(self) -> tuple[Notice, ...]:
        """Return what the record learned since the last call, for the next image."""
        taken: list[Notice] = []
        while self._notices:
            taken.append(self._notices.popleft())
        return tuple(taken)

    def close(self) -> None:
        """Write what waits, sign a last checkpoint and stop; gives up after `close_s`."""
        self._closing = True
        self._wake.set()
        self._thread.join(self._limits.close_s)

    def _images_full(self) -> bool:
        return (
            self._taken_images - self._written_images >= self._limits.images
            or self._taken_bytes - self._written_bytes >= self._limits.image_bytes
        )

    def _admit(self, events: tuple[Event, ...]) -> tuple[Event, ...]:
        """Return the events that still fit. After the first that does not, none ever does again:
        the ledger must stay a prefix of what was decided."""
        if not events or self._events_full:
            return ()
        waiting = self._taken_events - self._written_events
        if waiting + len(events) > self._limits.events:
            self._events_full = True
            return ()
        self._taken_events += len(events)
        return events

    def _say(self, notice: Notice) -> None:
        self._notices.append(notice)

    def _run(self) -> None:
        self._ledger_side.open()
        self._journal_side.open(self._ledger_side.last_sealed)
        while True:
            self._wake.wait(self._limits.idle_s)
            self._wake.clear()
            closing = self._closing
            self._drain()
            if closing:
                break
        self._journal_side.close()
        self._ledger_side.close()

    def _drain(self) -> None:
        items = [self._items.popleft() for _ in range(len(self._items))]
        for item in items:
            self._ledger_side.take(item)
        self._written_events += self._ledger_side.write()
        for item in items:
            self._journal_side.take(item)
            self._journal_side.write()
            if item.image is not None:
                self._written_images += 1
                self._written_bytes += len(item.image)
            self._done += 1


class _LedgerSide:
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

    def take(self, item: _Item) -> None:
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


class _JournalSide:
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

    def take(self, item: _Item) -> None:
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
            self._journal.add(item.image, item.digest)

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
