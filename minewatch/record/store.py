"""The store: takes every cycle's image and events from the controller and puts them on disk.

One thread of its own writes; the controller only hands over and reads numbers, so that no disk,
however slow or broken, ever holds up a decision. Events are never shed: when the disk fails they
wait in memory, in order, and `durable_index` stands still, which alone keeps releases from acting.
"""

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from minewatch.model.event import Event
from minewatch.model.image import Notice, Sample
from minewatch.record.digest import DecisionDigest
from minewatch.record.journal import Start, header
from minewatch.record.sides import Item, JournalSide, LedgerSide, StoreLimits

__all__ = ["RecordStore", "StoreLimits"]


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
        self._items: deque[Item] = deque()
        self._taken = self._done = 0
        self._taken_images = self._taken_bytes = 0
        self._written_images = self._written_bytes = 0
        self._taken_events = self._written_events = 0
        self._shed: tuple[int, int] | None = None
        self._events_full = False
        self._wake = threading.Event()
        self._closing = False
        self._notices: deque[Notice] = deque(maxlen=self._limits.notices)
        self._ledger_side = LedgerSide(state_folder, origin, urgent, self._limits, self._say)
        self._journal_side = JournalSide(state_folder, self._limits, self._say)
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

    def submit(self, image: bytes, events: tuple[Event, ...], samples: tuple[Sample, ...]) -> None:
        """Take one cycle's canonical image, its events and its samples; never blocks or raises.

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
        self._items.append(Item(kept, now_ms, events, self._digest.hex(), shed, samples))
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
