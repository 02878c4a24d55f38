"""A reader that lists who is there now: a badge in the list is a sighting, its absence is no exit.

A list longer than one answer is paged through. Who is there is told at first sight, when its flags
change, and every 30 s while it stays; who blinks at the edge of hearing is told every 5 s at most.
"""

from typing import NamedTuple

from minewatch_drivers.device_files.reader_model import Snapshot
from minewatch_drivers.readers.reader_header import Header
from minewatch_drivers.readers.reader_record import Heard, is_empty, read_record
from minewatch_drivers.readers.reader_scan import ReaderScan, Site
from minewatch_drivers.tasks.plan import read_exchange

STAYS_US = 30_000_000
"""Whoever stays is told again after this time, so that the core knows that he is still heard."""

BLINKS_US = 5_000_000
"""Whoever comes back sooner than this has not been away."""

REMEMBERED_MAX = 2_048
"""Badges remembered; beyond it those that are not there are forgotten at once."""


class _Told(NamedTuple):
    told_us: int
    flags: int


class SnapshotScan(ReaderScan):
    """Scans one list of badges."""

    def __init__(self, site: Site, form: Snapshot) -> None:
        header = Header(site.device, site.model, form)
        super().__init__(site, header, header.exchange)
        self._form = form
        self._page = site.model.registers_max // form.record_size
        self._told: dict[str, _Told] = {}
        self._here: set[str] = set()
        self._before: frozenset[str] = frozenset()
        self._read = self._count = 0
        self._unreadable = False

    def _state_read(self, header: Header, first_us: int, now_us: int) -> None:
        form = self._form
        listed = header.at(form.count)
        overflowed = header.at(form.overflow) != 0 or listed > form.records_max
        overflowed = overflowed or self._unreadable
        self._say_state(overflowed=overflowed, first_us=first_us, now_us=now_us)
        self._count = min(listed, form.records_max)
        self._read = 0
        self._here = set()
        self._unreadable = False
        self._next_page(now_us)

    def _next_page(self, now_us: int) -> None:
        """Ask for the next page, or end the scan and forget who is no longer there."""
        form, left = self._form, self._count - self._read
        if left > 0:
            address = form.records + self._read * form.record_size
            size = min(left, self._page) * form.record_size
            self._ask(read_exchange(self._site.device.unit, form.table, address, size))
            return
        self._before = frozenset(self._here)
        if len(self._told) > REMEMBERED_MAX:
            self._told = {badge: self._told[badge] for badge in self._here & self._told.keys()}
        self._finish(now_us)

    def _page_read(self, block: tuple[int, ...], first_us: int, now_us: int) -> None:
        size = self._form.record_size
        self._read += len(block) // size
        for start in range(0, len(block), size):
            record = block[start : start + size]
            if is_empty(record):
                continue
            heard = read_record(record, self._form.fields, directed=False)
            if heard.badge:
                self._present(heard, first_us, now_us)
            else:
                self._unreadable = True
        self._next_page(now_us)

    def _present(self, heard: Heard, first_us: int, now_us: int) -> None:
        badge = heard.badge
        self._here.add(badge)
        known = self._told.get(badge)
        if known is not None and known.flags == heard.flags:
            quiet_us = STAYS_US if badge in self._before else BLINKS_US
            if now_us - known.told_us < quiet_us:
                return
        if not self._outbox.full:
            self._told[badge] = _Told(now_us, heard.flags)
            self._sight(heard, first_us, None)
