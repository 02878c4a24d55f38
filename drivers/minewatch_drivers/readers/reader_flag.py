"""A reader that shows one card and reads no other until its flag is written back to 0.

The flag is written back only after the card was delivered. A write whose answer is lost is never
repeated blindly: it may have been done, and the flag then belongs to another card, which is read
first. While the flag stands the reader is blind: such a reader bounds no headcount by itself.
"""

from minewatch_drivers.device_files.device_model import Register, Table
from minewatch_drivers.device_files.reader_model import Flag
from minewatch_drivers.readers.reader_header import Header
from minewatch_drivers.readers.reader_record import read_record
from minewatch_drivers.readers.reader_scan import DELIVERED_US, ReaderScan, ReaderWrite, Site
from minewatch_drivers.tasks.plan import read_exchange
from minewatch_drivers.wire import modbus
from minewatch_drivers.wire.exchange import Exchange, write_exchange


class FlagScan(ReaderScan):
    """Scans one such reader."""

    def __init__(self, site: Site, form: Flag) -> None:
        header = Header(site.device, site.model, form)
        super().__init__(site, header, header.exchange)
        self._form = form
        unit = site.device.unit
        self._card = read_exchange(unit, form.table, form.records, form.record_size)
        self._unsure: tuple[int, ...] | None = None
        self._owes: Register | None = None
        self._shown: tuple[int, ...] | None = None

    def reset(self, now_us: int) -> None:
        """A new connection: whether the last write was done is not known."""
        self.unwritten(now_us)
        super().reset(now_us)

    def _state_read(self, header: Header, first_us: int, now_us: int) -> None:
        form = self._form
        restarted = form.power_on is not None and header.at(form.power_on.address) != 0
        self._say_state(overflowed=restarted, first_us=first_us, now_us=now_us)
        if not header.at(form.flag.address):
            self._unsure = None
            self._clear_us = first_us
        if header.at(form.flag.address) and self._owes is None and not self._outbox.full:
            self._ask(self._card)
            return
        if restarted and self._owes is None:
            self._owe(form.power_on, now_us)
        self._finish(now_us)

    def _page_read(self, block: tuple[int, ...], first_us: int, now_us: int) -> None:
        if block != self._unsure:
            heard = read_record(block, self._form.fields, directed=self._site.reader.directed)
            self._sight(heard, first_us, None)
        self._unsure, self._shown = None, block
        self._clear_us = first_us
        self._owe(self._form.flag, now_us)
        self._finish(now_us)

    def _owe(self, at: Register | None, now_us: int) -> None:
        self._owes = at
        self._mark = self._outbox.sightings_put
        self.acknowledge_us = now_us + DELIVERED_US

    def _write(self) -> ReaderWrite | None:
        at = self._owes
        return None if at is None else ReaderWrite(self, _cleared(self._site.device.unit, at))

    def written(self, now_us: int) -> None:
        """The reader can read the next card; look for it at once."""
        super().written(now_us)
        self._owes, self._shown = None, None
        self.due_us = now_us

    def unwritten(self, now_us: int) -> None:
        """Look again before the next try: the flag may already belong to another card."""
        super().unwritten(now_us)
        if self._owes == self._form.flag:
            self._unsure = self._shown
        self._owes, self._shown = None, None


def _cleared(unit: int, at: Register) -> Exchange:
    """Return the write of 0 to a coil or holding register."""
    if at.table is Table.COIL:
        return write_exchange(unit, modbus.write_coil_pdu(at.address, False))
    return write_exchange(unit, modbus.write_register_pdu(at.address, 0))
