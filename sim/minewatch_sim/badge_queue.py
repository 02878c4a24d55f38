"""A personnel reader's memory: records with sequence numbers that stand until acknowledged."""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from minewatch_drivers.device_model import Queue

from minewatch_sim.people import Heard

CAPACITY = 256


class Record(NamedTuple):
    """One heard badge with the reader's own sequence number (1…65535, then 0)."""

    sequence: int
    heard: Heard


class BadgeQueue:
    """At most `capacity` records; a full memory drops its oldest record and raises a flag."""

    def __init__(self, queue: Queue, capacity: int = CAPACITY) -> None:
        self._queue = queue
        self._capacity = capacity
        self.acknowledge_at = queue.acknowledge
        self._records: deque[Record] = deque()
        self._sequence = 0
        self._boot = 1
        self.overflowed = False

    def __len__(self) -> int:
        return len(self._records)

    def push(self, heard: Iterable[Heard]) -> None:
        """Append records; each that does not fit costs the oldest one."""
        for each in heard:
            self._sequence = (self._sequence + 1) & 0xFFFF
            if len(self._records) >= self._capacity:
                self._records.popleft()
                self.overflowed = True
            self._records.append(Record(self._sequence, each))

    def acknowledge(self, sequence: int) -> None:
        """Drop all records up to `sequence` and clear the flag; unknown numbers change nothing."""
        known = [each.sequence for each in self._records]
        if sequence not in known:
            return
        for _ in range(known.index(sequence) + 1):
            self._records.popleft()
        self.overflowed = False

    def restart(self) -> None:
        """Lose everything, as at a loss of power, and count the boot."""
        self._records.clear()
        self._sequence = 0
        self._boot = (self._boot + 1) & 0xFFFF
        self.overflowed = False

    def registers(self) -> dict[int, int]:
        """Return address → word of the queue's whole window; places without a record are 0."""
        queue = self._queue
        words = {queue.count: min(len(self._records), 0xFFFF), queue.overflow: int(self.overflowed)}
        if queue.boot is not None:
            words[queue.boot] = self._boot
        for address in range(queue.records, queue.records + queue.records_max * queue.record_size):
            words[address] = 0
        for position in range(min(len(self._records), queue.records_max)):
            self._put(words, queue.records + position * queue.record_size, self._records[position])
        return words

    def _put(self, words: dict[int, int], base: int, record: Record) -> None:
        queue = self._queue
        badge = int(record.heard.badge)
        words[base + queue.badge] = badge >> 16
        words[base + queue.badge + 1] = badge & 0xFFFF
        words[base + queue.sequence] = record.sequence
        if queue.direction is not None:
            words[base + queue.direction] = record.heard.direction & 0xFFFF
        if queue.flags is not None:
            words[base + queue.flags] = record.heard.flags
        if queue.time_s is not None:
            seconds = record.heard.at_ms // 1000
            words[base + queue.time_s] = seconds >> 16
            words[base + queue.time_s + 1] = seconds & 0xFFFF
