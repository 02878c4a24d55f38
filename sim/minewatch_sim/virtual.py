"""Virtual twins of the ports: a clock that is moved by hand and a store that forgets at a crash.

Nothing here waits. A campaign moves the clock from event to event; the same seed gives the same
history. Real clocks and disks stand in the controller and the record.
"""

import random
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from minewatch.model.event import Event
from minewatch.model.image import Sample
from minewatch.ports import WallTime

START_US = 1_000_000
START_WALL_MS = 1_200_000_000_000


class VirtualClock:
    """Monotonic time moved by `move_to`; wall time runs with it, may drift, step or lose trust."""

    def __init__(self, start_us: int = START_US, wall_ms: int = START_WALL_MS) -> None:
        self._now_us = start_us
        self._offset_ms = wall_ms - start_us // 1000
        self._drift_from_us = start_us
        self.drift_ppm = 0
        self.trusted = True

    def now_ms(self) -> int:
        """Return monotonic ms."""
        return self._now_us // 1000

    def now_us(self) -> int:
        """Return monotonic µs."""
        return self._now_us

    def wall(self) -> WallTime:
        """Return the wall clock with its trust."""
        drift_ms = (self._now_us - self._drift_from_us) * self.drift_ppm // 1_000_000_000
        return WallTime(self._now_us // 1000 + self._offset_ms + drift_ms, self.trusted)

    def move_to(self, now_us: int) -> None:
        """Let time pass up to `now_us`.

        Raises:
            ValueError: that is in the past.
        """
        if now_us < self._now_us:
            raise ValueError(f"time runs backwards: {now_us} after {self._now_us}")
        self._now_us = now_us

    def begin_anew(self, gone_us: int) -> None:
        """Let monotonic time start again, as at a reboot; wall time goes on."""
        wall_ms = self.wall().ms
        self._now_us -= gone_us
        self._drift_from_us = self._now_us
        self._offset_ms = wall_ms - self._now_us // 1000

    def step_wall(self, by_ms: int) -> None:
        """Set the wall clock by `by_ms` while monotonic time goes on."""
        self._offset_ms += by_ms


@dataclass(frozen=True, slots=True)
class StoreHabits:
    """How slow the virtual disk is: a cycle is durable after a time between the two limits."""

    delay_least_ms: int = 1
    delay_most_ms: int = 20
    queue_max: int = 256


class _Pending(NamedTuple):
    due_ms: int
    image: bytes
    events: tuple[Event, ...]


@dataclass
class VirtualStore:
    """A store in memory. `pump` makes due cycles durable, `crash` forgets everything that is not.

    `failing` keeps everything in the queue, as a full disk does; a queue that is full sheds images
    and keeps events. `slow_ms` is added to the delay of what is submitted from then on.
    """

    rng: random.Random
    habits: StoreHabits = field(default_factory=StoreHabits)
    failing: bool = False
    slow_ms: int = 0
    events: list[Event] = field(default_factory=list)
    images: list[bytes] = field(default_factory=list)
    shed: int = 0
    now_ms: int = 0
    _queue: deque[_Pending] = field(default_factory=deque)

    @property
    def durable_index(self) -> int:
        """Return the number of ledger entries on disk."""
        return len(self.events)

    def submit(
        self, image: bytes, events: tuple[Event, ...], _samples: tuple[Sample, ...] = (), /
    ) -> None:
        """Take one cycle; what was submitted first becomes durable first."""
        if len(self._queue) >= self.habits.queue_max:
            self.shed += 1
            image = b""
            if not events:
                return
        delay_ms = self.rng.randint(self.habits.delay_least_ms, self.habits.delay_most_ms)
        due_ms = self.now_ms + delay_ms + self.slow_ms
        if self._queue:
            due_ms = max(due_ms, self._queue[-1].due_ms)
        self._queue.append(_Pending(due_ms, image, events))

    def faults(self) -> tuple[str, ...]:
        """Return codes of what is wrong now."""
        disk = ("disk",) if self.failing else ()
        queue = ("queue",) if len(self._queue) >= self.habits.queue_max else ()
        return disk + queue

    @property
    def images_waiting(self) -> int:
        """Return how many images wait for the disk."""
        return sum(1 for each in self._queue if each.image)

    def events_waiting(self) -> list[tuple[Event, ...]]:
        """Return the events of each cycle that waits for the disk, in order."""
        return [each.events for each in self._queue if each.events]

    def pump(self, now_ms: int) -> None:
        """Make durable what is due by `now_ms`."""
        self.now_ms = now_ms
        while self._queue and not self.failing and self._queue[0].due_ms <= now_ms:
            pending = self._queue.popleft()
            self.events.extend(pending.events)
            if pending.image:
                self.images.append(pending.image)

    def next_due_ms(self) -> int | None:
        """Return when `pump` has something to do next, None while there is nothing."""
        return self._queue[0].due_ms if self._queue and not self.failing else None

    def crash(self) -> int:
        """Forget what is not durable; return how many events were lost."""
        lost = sum(len(each.events) for each in self._queue)
        self._queue.clear()
        return lost
