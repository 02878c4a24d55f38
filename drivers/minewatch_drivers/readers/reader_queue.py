"""A personnel reader's queue: read → deliver → acknowledge by sequence.

Records stand in the reader until their sequence is written back; read again before that, they are
recognised and dropped. Nobody is lost between reader and record, whatever the wire does.
"""

from collections.abc import Collection

from minewatch_drivers.device_files.reader_model import Queue
from minewatch_drivers.readers.reader_header import Header
from minewatch_drivers.readers.reader_numbers import Numbers
from minewatch_drivers.readers.reader_record import is_empty, read_record
from minewatch_drivers.readers.reader_scan import (
    DELIVERED_US,
    NEVER_US,
    ReaderScan,
    ReaderWrite,
    Site,
)
from minewatch_drivers.tasks.plan import read_exchange
from minewatch_drivers.wire import modbus
from minewatch_drivers.wire.exchange import write_exchange

UNKNOWN = -1
"""Stands for how many delivered records the reader still holds where that is not known."""


class QueueScan(ReaderScan):
    """Scans one queue."""

    def __init__(self, site: Site, form: Queue) -> None:
        header = Header(site.device, site.model, form)
        super().__init__(site, header, header.exchange)
        self._form = form
        self._numbers = Numbers()
        self._boot: int | None = None
        self._owed: int | None = None
        self._more = False
        self._held = self._kept = 0
        self._asked_us = 0

    def _state_read(self, header: Header, first_us: int, now_us: int) -> None:
        form = self._form
        overflowed = header.at(form.overflow) != 0 or self._has_lost_its_log(header)
        self._say_state(overflowed=overflowed, first_us=first_us, now_us=now_us)
        waiting = header.at(form.count)
        count = min(waiting, form.records_max)
        self._more = waiting > count
        self._asked_us = first_us
        if waiting in (0, self._held):
            self._clear_us = first_us
        if count and self.acknowledge_us == NEVER_US and not self._outbox.full:
            size = count * form.record_size
            self._ask(read_exchange(self._site.device.unit, form.table, form.records, size))
        else:
            self._finish(now_us)

    def _has_lost_its_log(self, header: Header) -> bool:
        """Follow the restarts; True at the first look after one that emptied the queue."""
        form = self._form
        boot = None if form.boot is None else header.at(form.boot)
        before, self._boot = self._boot, boot
        if boot == before or before is None or form.log_kept:
            return False
        self._numbers.restarted()
        self.acknowledge_us = NEVER_US
        self._held = UNKNOWN
        return True

    def _page_read(self, block: tuple[int, ...], first_us: int, now_us: int) -> None:
        size = self._form.record_size
        shown: dict[int, int] = {}
        for start in range(0, len(block), size):
            self._record(block[start : start + size], first_us, shown)
        run = _first_run(shown)
        self._owed = shown[run[-1]] if run else None
        self._held, self._kept = len(shown), len(shown) - len(run)
        if not self._more:
            self._clear_us = self._asked_us
        if self._owed is not None:
            self.acknowledge_us = now_us + DELIVERED_US
        self._mark = self._outbox.sightings_put
        self._finish(now_us)

    def _record(self, record: tuple[int, ...], first_us: int, shown: dict[int, int]) -> None:
        if is_empty(record):
            return
        heard = read_record(record, self._form.fields, directed=self._site.reader.directed)
        assert heard.sequence is not None
        number = self._numbers.number(heard.sequence, heard.boot)
        shown[number] = heard.sequence
        if self._numbers.is_new(number):
            self._sight(heard, first_us, number)

    def _write(self) -> ReaderWrite | None:
        if self._owed is None:
            return None
        pdu = modbus.write_register_pdu(self._form.acknowledge, self._owed)
        return ReaderWrite(self, write_exchange(self._site.device.unit, pdu))

    def unwritten(self, now_us: int) -> None:
        """The reader may have dropped what was delivered, or not."""
        super().unwritten(now_us)
        self._held = UNKNOWN

    def written(self, now_us: int) -> None:
        """The reader has dropped what was delivered; what waits behind it is read at once."""
        super().written(now_us)
        self._held = self._kept
        if self._more:
            self.due_us = now_us


def _first_run(shown: Collection[int]) -> range:
    """Return the lowest unbroken run of numbers.

    What lies behind a gap stays: the missing record may stand out of order behind this page, and
    an acknowledgement drops everything up to it.
    """
    if not shown:
        return range(0)
    first = last = min(shown)
    while last + 1 in shown:
        last += 1
    return range(first, last + 1)
