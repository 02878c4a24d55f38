"""Personnel readers without a memory: a list of who is there, or one card behind a flag."""

from collections.abc import Iterable

from minewatch_drivers.device_files.device_model import Table
from minewatch_drivers.device_files.reader_model import Flag, Snapshot

from minewatch_sim.badge_record import Record, record_words
from minewatch_sim.people import Heard, Lies

PRESENT_MS = 5_000
"""A badge stays in the list for so long after it was heard."""

Registers = dict[Table, dict[int, int]]


class BadgeList:
    """The badges heard within `PRESENT_MS`; those that do not fit are left out, which is said."""

    def __init__(self, form: Snapshot, lies: Lies) -> None:
        self._form = form
        self._lies = lies
        self._restarts = lies.restarts
        self._present: dict[str, Heard] = {}

    def tick(self, heard: Iterable[Heard], now_ms: int) -> None:
        """Take whom the reader has heard and drop who was not heard for a while."""
        if self._restarts != self._lies.restarts:
            self._restarts = self._lies.restarts
            self.restart()
        for each in heard:
            self._present[each.badge] = each
        gone_ms = now_ms - PRESENT_MS
        self._present = {b: h for b, h in self._present.items() if h.at_ms >= gone_ms}

    def restart(self) -> None:
        """Forget who is there; they are heard again."""
        self._present.clear()

    def registers(self) -> Registers:
        """Return the list; places without a badge are 0."""
        form = self._form
        size, room = form.record_size, min(form.records_max, self._lies.capacity)
        words = dict.fromkeys(range(form.records, form.records + form.records_max * size), 0)
        for position, heard in enumerate(list(self._present.values())[:room]):
            record = record_words(form.fields, size, Record(0, heard, 0), self._lies.clock_s)
            words.update(enumerate(record, form.records + position * size))
        words[form.count] = min(len(self._present), room)
        if form.overflow is not None:
            words[form.overflow] = int(len(self._present) > room)
        return {form.table: words}

    def was_read(self, table: Table, address: int, count: int) -> None:
        """Reading changes nothing."""

    def write(self, table: Table, address: int, value: int) -> bool:
        """Such a reader takes no writes."""
        del table, address, value
        return False


class CardFlag:
    """One card behind a flag; while the flag stands, whoever passes is not read."""

    def __init__(self, form: Flag, lies: Lies) -> None:
        self._form = form
        self._lies = lies
        self._restarts = lies.restarts
        self._card: Record | None = None
        self._flag = 0
        self._power_on = 1
        self.missed = 0

    def tick(self, heard: Iterable[Heard], now_ms: int) -> None:
        """Read the next card if the flag is free."""
        del now_ms
        if self._restarts != self._lies.restarts:
            self._restarts = self._lies.restarts
            self.restart()
        for each in heard:
            if self._flag:
                self.missed += 1
                continue
            self._card, self._flag = Record(0, each, 0), 1

    def restart(self) -> None:
        """Lose the card and say so."""
        self._card, self._flag, self._power_on = None, 0, 1

    def registers(self) -> Registers:
        """Return flags and card."""
        form = self._form
        size = form.record_size
        card = [0] * size
        if self._card is not None:
            card = record_words(form.fields, size, self._card, self._lies.clock_s)
        shown: Registers = {form.table: dict(enumerate(card, form.records))}
        flags = shown.setdefault(form.flag.table, {})
        flags[form.flag.address] = self._flag
        if form.power_on is not None:
            flags[form.power_on.address] = self._power_on
        return shown

    def was_read(self, table: Table, address: int, count: int) -> None:
        """Reading changes nothing."""

    def write(self, table: Table, address: int, value: int) -> bool:
        """Take a flag back."""
        form = self._form
        if table is form.flag.table and address == form.flag.address:
            self._flag = int(value != 0)
            return True
        if form.power_on is not None and (table, address) == (
            form.power_on.table,
            form.power_on.address,
        ):
            self._power_on = int(value != 0)
            return True
        return False
