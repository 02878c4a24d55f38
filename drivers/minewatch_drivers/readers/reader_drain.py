"""A reader that forgets its records as they are read: what an answer loses, nobody ever gets.

So no question that empties it is asked twice, none asks for more records than are known to wait,
and none is asked while nobody takes what was heard. When an answer does not come, every record
that it may have held is delivered as a read without a badge: the headcount widens by as many.
A run that begins cannot know what the run before took and did not record: the reader then says
once that it has lost records.
"""

from minewatch_drivers.device_files.reader_model import Drain
from minewatch_drivers.readers.reader_header import Header, header_of
from minewatch_drivers.readers.reader_record import is_empty, read_record
from minewatch_drivers.readers.reader_scan import ReaderScan, Site
from minewatch_drivers.tasks.outbox import SIGHTINGS_MAX
from minewatch_drivers.tasks.plan import read_exchange
from minewatch_drivers.wire.exchange import Exchange


class DrainScan(ReaderScan):
    """Scans one reader that is emptied by reading."""

    def __init__(self, site: Site, form: Drain) -> None:
        header = header_of(site.device, site.model, form)
        self._form = form
        self._unit = site.device.unit
        self._asked = form.records_max
        first = self._drain(form.records_max) if header is None else header.exchange
        super().__init__(site, header, first)
        self._doubt = True
        self._boot: int | None = None
        self._lost_before = 0
        self._more = False
        self._asked_us = 0

    def retry(self, first_us: int) -> bool:
        """Ask again only for the state; records are never asked for twice."""
        return self._asks_for_state() and super().retry(first_us)

    def refuse(self, now_us: int, first_us: int, unit_dead: bool) -> None:
        """Say that the reader is lost, and with it what the answer may have held.

        A scan that fails unasked finds no reason in `state.why` and costs nothing.
        """
        if not self._asks_for_state() and self.state.why:
            self._lose(self._asked, first_us)
            self.state.why = ""
        super().refuse(now_us, first_us, unit_dead)

    def _asks_for_state(self) -> bool:
        return self._header is not None and self.exchange is self._header.exchange

    def _drain(self, count: int) -> Exchange:
        form = self._form
        return read_exchange(self._unit, form.table, form.records, count * form.record_size)

    def _state_read(self, header: Header, first_us: int, now_us: int) -> None:
        form = self._form
        boot = None if form.boot is None else header.at(form.boot)
        restarted = self._boot is not None and boot != self._boot
        self._boot = boot
        lost = header.at(form.overflow)
        overflowed = lost not in (0, self._lost_before) or restarted or self._doubt
        self._lost_before = lost
        self._doubt = False
        self._say_state(overflowed=overflowed, first_us=first_us, now_us=now_us)
        waiting = form.records_max if form.count is None else header.at(form.count)
        room = SIGHTINGS_MAX - len(self._outbox.sightings)
        self._asked = min(waiting, form.records_max, room)
        self._more = form.count is not None and waiting > self._asked > 0
        self._asked_us = first_us
        if waiting == 0:
            self._clear_us = first_us
        if self._asked > 0:
            self._ask(self._drain(self._asked))
        else:
            self._finish(now_us)

    def _page_read(self, block: tuple[int, ...], first_us: int, now_us: int) -> None:
        size = self._form.record_size
        if self._header is None:
            self._say_state(overflowed=self._doubt, first_us=first_us, now_us=now_us)
            self._doubt = False
            self._asked_us = first_us
        places = [block[start : start + size] for start in range(0, len(block), size)]
        records = [record for record in places if not is_empty(record)]
        for record in records:
            heard = read_record(record, self._form.fields, directed=self._site.reader.directed)
            self._sight(heard, first_us, heard.sequence)
        full = self._form.count is None and len(records) == len(places)
        if not (self._more or full):
            self._clear_us = self._asked_us
        self._finish(now_us)
        if self._more:
            self.due_us = now_us
