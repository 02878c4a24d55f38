"""Personnel readers that keep a memory of records: until acknowledged, or until they are read."""

import random
from collections import deque
from collections.abc import Iterable

from minewatch_drivers.device_files.device_model import Table
from minewatch_drivers.device_files.reader_model import Drain, Queue

from minewatch_sim.badge_record import Record, record_words
from minewatch_sim.people import Heard, Lies

LOG_MAX = 20_000
"""Records of the log that some readers keep over a restart, and may give again."""

Registers = dict[Table, dict[int, int]]


class _Memory:
    """At most `lies.capacity` records; a full memory drops its oldest record and raises a flag."""

    def __init__(self, form: Queue | Drain, lies: Lies) -> None:
        self._form = form
        self._lies = lies
        self._rng = random.Random(form.records)
        self._records: deque[Record] = deque()
        self._log: deque[Record] = deque(maxlen=LOG_MAX)
        self._sequence = 0
        self._boot = 1
        self._seen = (lies.restarts, lies.replays)
        self.overflowed = False
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._records)

    @property
    def _keeps_log(self) -> bool:
        return isinstance(self._form, Queue) and self._form.log_kept

    def tick(self, heard: Iterable[Heard], now_ms: int) -> None:
        """Append whom the reader has heard; restart, or give the old log again, when told to."""
        del now_ms
        asked = (self._lies.restarts, self._lies.replays)
        if asked != self._seen:
            replays = asked[1] - self._seen[1]
            self._seen = asked
            self.restart()
            if replays:
                self._records.clear()
                self._append(list(self._log))
        self.push(heard)

    def push(self, heard: Iterable[Heard]) -> None:
        """Append records; each that does not fit costs the oldest one."""
        for each in heard:
            self._sequence = (self._sequence + 1) & 0xFFFF
            record = Record(self._sequence, each, self._boot)
            if self._keeps_log:
                self._log.append(record)
            self._append([record])
            if len(self._records) > 1 and self._rng.random() < self._lies.shuffled:
                self._records[-1], self._records[-2] = self._records[-2], self._records[-1]

    def _append(self, records: list[Record]) -> None:
        for record in records:
            if len(self._records) >= self._lies.capacity:
                self._records.popleft()
                self.overflowed = True
                self.dropped += 1
            self._records.append(record)

    def restart(self) -> None:
        """Count the boot and count anew; a reader without a log loses everything.

        A log whose records do not say their restart goes on with its numbers.
        """
        self._boot = (self._boot + 1) & 0xFFFF
        if not self._keeps_log or self._form.fields.boot is not None:
            self._sequence = 0
        if self._keeps_log:
            return
        self._records.clear()
        self.overflowed = False

    def registers(self) -> Registers:
        """Return the whole window; places without a record are 0."""
        form = self._form
        size = form.record_size
        words = dict.fromkeys(range(form.records, form.records + form.records_max * size), 0)
        for position in range(min(len(self._records), form.records_max)):
            record = record_words(form.fields, size, self._records[position], self._lies.clock_s)
            words.update(enumerate(record, form.records + position * size))
        state = (
            (form.count, min(len(self._records), 0xFFFF)),
            (form.overflow, self._overflow()),
            (form.boot, self._boot),
        )
        words.update({at: value for at, value in state if at is not None})
        return {form.table: words}

    def _overflow(self) -> int:
        """Return what the overflow register shows."""
        return int(self.overflowed)


class BadgeQueue(_Memory):
    """Records stand at their place until their sequence is written back."""

    def __init__(self, form: Queue, lies: Lies) -> None:
        super().__init__(form, lies)
        self._acknowledge_at = form.acknowledge

    def was_read(self, table: Table, address: int, count: int) -> None:
        """Reading changes nothing."""

    def write(self, table: Table, address: int, value: int) -> bool:
        """Take an acknowledgement."""
        if table is not Table.HOLDING or address != self._acknowledge_at:
            return False
        self.acknowledge(value)
        return True

    def acknowledge(self, sequence: int) -> None:
        """Drop all records up to `sequence` and clear the flag; unknown numbers change nothing."""
        if all(each.sequence != sequence for each in self._records):
            return
        kept = [each for each in self._records if 0 < (each.sequence - sequence) & 0xFFFF < 0x8000]
        self._records = deque(kept)
        self.overflowed = False


class BadgeDrain(_Memory):
    """Records are gone once their registers were read, whether or not the answer arrives."""

    def was_read(self, table: Table, address: int, count: int) -> None:
        """Forget the records that the answer holds whole."""
        form = self._form
        if table is form.table and address == form.records:
            for _ in range(min(count // form.record_size, len(self._records))):
                self._records.popleft()

    def write(self, table: Table, address: int, value: int) -> bool:
        """Such a reader takes no writes."""
        del table, address, value
        return False

    def _overflow(self) -> int:
        """Count what found no room."""
        return self.dropped & 0xFFFF
