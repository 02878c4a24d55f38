"""What all styles of personnel readers share: the scan's steps, its failures, its one write.

A scan reads the reader's state, then its records, page by page. What is heard goes into the
outbox; a write that makes a reader forget follows only after the controller has taken it and half
a second has passed, so that it is in the record by then. In every mode, `monitor` too, that write
is the only one (docs/decisions/0004).

A read that is lost for good is a sighting without a badge: somebody passed whom nobody can name.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

from minewatch.model.image import Reading, Sample, Sighting
from minewatch.model.mine import Device, Reader
from minewatch.model.quality import Quality
from minewatch_drivers.device_files.device_model import DeviceModel
from minewatch_drivers.readers.reader_header import Header, registers
from minewatch_drivers.readers.reader_record import Heard
from minewatch_drivers.tasks.jobs import UnitState, next_due
from minewatch_drivers.tasks.outbox import Outbox
from minewatch_drivers.wire.exchange import Exchange

DELIVERED_US = 500_000
NEVER_US = 1 << 62


class Site(NamedTuple):
    """Where a reader stands: the mine's reader, its device and model, its line's memory."""

    reader: Reader
    device: Device
    model: DeviceModel
    state: UnitState
    outbox: Outbox
    period_us: int


class ReaderScan(ABC):
    """Scans one reader. `exchange` is its next question; the write that it owes is `acknowledge`.

    `acknowledge_us` is when that write is due, `NEVER_US` while none is owed.
    """

    gate = False

    def __init__(self, site: Site, header: Header | None, first: Exchange) -> None:
        self.state = site.state
        self.period_us = site.period_us
        self.due_us = 0
        self.first_us: int | None = None
        self.acknowledge_us = NEVER_US
        self.exchange = first
        self._site = site
        self._outbox = site.outbox
        self._header = header
        self._begin = first
        self._mark = 0
        self.writing = False
        """Whether the write is under way."""
        self._clear_us: int | None = None
        """When the reader last held nothing that was not delivered; later records are younger."""

    # What the schedule and the line call.

    def reset(self, now_us: int) -> None:
        """A new connection: start with the state of the reader."""
        self.exchange = self._begin
        self.first_us = None
        self.due_us = now_us
        self.acknowledge_us = NEVER_US
        self.writing = False

    def accept(self, pdu: bytes, first_us: int, now_us: int) -> str:
        """Take the answer to `exchange`."""
        header = self._header
        if header is None or self.exchange is not header.exchange:
            self.state.answered()
            self._page_read(registers(pdu), first_us, now_us)
            return ""
        if not header.read(pdu):
            return "identity"
        self.state.answered()
        header.beat(self.state, now_us)
        self._state_read(header, first_us, now_us)
        return ""

    def retry(self, first_us: int) -> bool:
        """Ask once more unless the unit is known to be dead or this was the second try."""
        if self.first_us is not None or self.state.streak:
            return False
        self.first_us = first_us
        return True

    def refuse(self, now_us: int, first_us: int, unit_dead: bool) -> None:
        """Say that the reader is lost."""
        if unit_dead:
            self.state.failed(now_us, self.period_us)
        self._finish(now_us)
        self._say(None, Quality.COMM_FAULT, first_us)

    def acknowledge(self, now_us: int) -> "ReaderWrite | None":
        """Return the write that this reader needs, once it is due and all was taken."""
        early = now_us < self.acknowledge_us or self._outbox.sightings_taken < self._mark
        if early or self.writing:
            return None
        write = self._write()
        self.writing = write is not None
        return write

    # What a style brings.

    @abstractmethod
    def _state_read(self, header: Header, first_us: int, now_us: int) -> None:
        """Take the reader's state; `_ask` for records or `_finish`."""

    @abstractmethod
    def _page_read(self, block: tuple[int, ...], first_us: int, now_us: int) -> None:
        """Take a page of records; `_ask` for more or `_finish`."""

    def _write(self) -> "ReaderWrite | None":
        """Return the write that makes the reader forget what was delivered."""
        return None

    def written(self, now_us: int) -> None:
        """The write was done."""
        self.acknowledge_us = NEVER_US
        self.due_us = min(self.due_us, now_us + self.period_us)

    def unwritten(self, now_us: int) -> None:
        """The write was perhaps done, perhaps not: look again before the next try."""
        self.acknowledge_us = NEVER_US
        self.due_us = min(self.due_us, now_us + self.period_us)

    # What styles share.

    def _ask(self, exchange: Exchange) -> None:
        """Go on within this scan with another question."""
        self.exchange = exchange
        self.first_us = None

    def _finish(self, now_us: int) -> None:
        """The scan is over; the next begins with the state of the reader."""
        self.exchange = self._begin
        self.first_us = None
        self.due_us = next_due(self.due_us, self.period_us, now_us)

    def _sight(self, heard: Heard, first_us: int, sequence: int | None) -> None:
        """Deliver one record; without a badge it is a read that nobody can name.

        It is stamped with a time at which the reader surely had not made it yet.
        """
        name, time_s = self._site.reader.id, heard.time_s
        at_ms = (first_us if self._clear_us is None else min(first_us, self._clear_us)) // 1000
        self._outbox.sight(
            Sighting(name, heard.badge, at_ms, heard.direction, heard.flags, sequence, time_s)
        )

    def _lose(self, count: int, first_us: int) -> None:
        """Say that so many reads may be lost for good."""
        for _ in range(count):
            self._sight(Heard("", None, 0, 0, None, None), first_us, None)

    def _say(self, overflow: int | None, quality: Quality, first_us: int) -> None:
        reading = Reading(self._site.reader.id, overflow, quality)
        self._outbox.samples.append(Sample(self._site.device.id, first_us // 1000, (reading,)))

    def _say_state(self, *, overflowed: bool, first_us: int, now_us: int) -> None:
        """Say that the reader answers, and whether it has lost records unless it stands still."""
        if self.state.still(now_us):
            self._say(None, Quality.IMPLAUSIBLE, first_us)
        else:
            self._say(int(overflowed), Quality.GOOD, first_us)


class ReaderWrite:
    """The one write that a reader needs; see `ReaderScan.acknowledge`."""

    first_us: int | None = None
    gate = False

    def __init__(self, scan: ReaderScan, exchange: Exchange) -> None:
        self.state = scan.state
        self.exchange = exchange
        self._scan = scan

    def accept(self, _pdu: bytes, _first_us: int, now_us: int) -> str:
        """The reader has done it."""
        self._scan.writing = False
        self._scan.written(now_us)
        return ""

    def retry(self, _first_us: int) -> bool:
        """Never blindly: the reader may have restarted, and then it means somebody else."""
        return False

    def refuse(self, now_us: int, _first_us: int, _unit_dead: bool) -> None:
        """Nobody knows whether it was done."""
        self._scan.writing = False
        self._scan.unwritten(now_us)
