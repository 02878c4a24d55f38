"""The machine of a files line: names and bytes of files go in, samples come out; it opens nothing.

A runner lists the folder and asks `pick` which files are worth a look, `wants` whether one has
changed since it was judged, and feeds what it read. The newest whole file counts. A file that is
refused changes nothing: the values before it stay and grow old, and the core makes them STALE.
A value's sample time is the time that the file gives it, held against our clock; it is never
newer than the moment at which the file was first seen.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from heapq import nlargest
from typing import NamedTuple

from minewatch.model.image import Reading, Sample
from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mine, Point
from minewatch_drivers.certified.files_address import parse_files_address
from minewatch_drivers.certified.files_dialect import GAS_MODEL, Form, form_of, load_dialect
from minewatch_drivers.certified.files_parse import (
    FileRefusedError,
    Said,
    parse_gas,
    parse_people,
    stamp_of,
)
from minewatch_drivers.modbus_line.line import STARTING, LineStatus
from minewatch_drivers.tasks.outbox import Outbox, Taken

BYTES_MAX = 8 * 1024 * 1024
"""A larger file is refused; the people of the largest mine take 2 MB."""

LOOKED_AT_MAX = 3
"""So many of the newest files of a type are looked at: the newest may be half written."""

AHEAD_MAX_MS = 5 * 60_000
"""A file from further in the future than this is refused (access rules, receivers)."""

AHEAD_MS = 2_000
"""Clocks that differ by less are the same clock."""

POLL_MIN_MS = 1_000
"""The folder is not listed more often than this, whatever the bus's `scan_ms`."""

WITNESSED_US = 10_000_000
"""A file that was not there at a listing at most this long ago has come just now."""

Stamp = tuple[int, int, int]
"""Inode, size and modification time in ns: a file that keeps all three is the same file."""


class Moment(NamedTuple):
    """Now on both clocks, taken together."""

    now_us: int
    wall_ms: int


class _Wanted(NamedTuple):
    """A point, and the signal of the file that it shows."""

    device: str
    point: str
    signal: str
    kind: Kind


class _Source:
    """One type of file in the folder, and what is known of it."""

    def __init__(self, model: str, form: Form, mine_code: str, wanted: tuple[_Wanted, ...]) -> None:
        self.model = model
        self.form = form
        self.wanted = wanted
        self.name = re.compile(rf"{re.escape(mine_code)}_{re.escape(form.type)}_(\d{{14}})\.txt")
        self.judged: dict[str, Stamp] = {}
        self.written_ms = 0
        self.until_us = 0
        self.refused = ""

    def is_late(self, now_us: int) -> bool:
        """Say whether the newest file that was believed is too old by now."""
        return now_us > self.until_us


class FilesLine:
    """The machine of one folder. There is nothing to write: it has no outputs in any mode."""

    outputs: tuple[str, ...] = ()

    def __init__(self, mine: Mine, bus: Bus) -> None:
        self.bus = bus
        address = parse_files_address(bus.url)
        self.path = address.path
        self.poll_us = max(bus.scan_ms, POLL_MIN_MS) * 1000
        self._code = address.code or mine.code
        self._dialect = load_dialect(address.dialect)
        self._outbox = Outbox()
        self._sources = self._build(mine)
        self._up, self._error, self._since_us, self._last_us = False, STARTING, 0, 0
        self._read = self._failures = self._refusals = 0
        self._listed_us: int | None = None

    # What the runner calls.

    def pick(self, names: Iterable[str], now: Moment) -> tuple[str, ...]:
        """Return the few files that are worth a look, the newest of each type first."""
        latest = stamp_of(self._dialect, now.wall_ms + AHEAD_MAX_MS)
        found: dict[str, list[tuple[str, str]]] = {each.model: [] for each in self._sources}
        ahead: set[str] = set()
        for name in names:
            for source in self._sources:
                match = source.name.fullmatch(name)
                if match is None:
                    continue
                if match[1] <= latest:
                    found[source.model].append((match[1], name))
                else:
                    ahead.add(source.model)
        picked: list[str] = []
        for source in self._sources:
            kept = [name for _, name in nlargest(LOOKED_AT_MAX, found[source.model])]
            source.judged = {name: source.judged[name] for name in kept if name in source.judged}
            if not kept:
                source.refused = "clock_ahead" if source.model in ahead else "no_file"
            picked += kept
        return tuple(picked)

    def wants(self, name: str, stamp: Stamp) -> bool:
        """Say whether a file has changed since it was judged."""
        source = self._source_of(name)
        return source is not None and source.judged.get(name) != stamp

    def feed_file(self, name: str, stamp: Stamp, data: bytes, now: Moment) -> None:
        """Judge a file that was read; at most `BYTES_MAX` + 1 bytes of it."""
        source = self._source_of(name)
        if source is None:
            return
        source.judged[name] = stamp
        try:
            if len(data) > BYTES_MAX:
                raise FileRefusedError("too_large")
            written_ms, said = self._parse(source, data)
            self._credit(source, written_ms, said, now)
        except FileRefusedError as refused:
            source.refused = refused.code
            self._refusals += 1

    def unread(self, name: str, why: str) -> None:
        """A file changed, vanished or could not be read: it is looked at again next time."""
        source = self._source_of(name)
        if source is not None:
            source.judged.pop(name, None)
            source.refused = why

    def listed(self, now: Moment) -> None:
        """A turn is over: the folder was listed and what was wanted was read."""
        self._listed_us = now.now_us
        late = [source for source in self._sources if source.is_late(now.now_us)]
        if not late:
            self._is(True, "", now.now_us)
        else:
            self._is(False, late[0].refused or "old_file", now.now_us)

    def failed(self, why: str, now_us: int) -> None:
        """The folder could not be listed; `why` is a code."""
        self._failures += 1
        self._listed_us = None
        self._is(False, why, now_us)

    @property
    def fresh(self) -> bool:
        """Whether `take` would return anything."""
        return bool(self._outbox)

    # What the controller calls.

    def want(self, table: Mapping[str, bool], now_us: int) -> None:
        """Do nothing: nothing is ever written to the certified system."""

    def urge(self, points: Collection[str], scan_ms: int) -> None:
        """Do nothing: files come when the certified system writes them."""

    def take(self) -> Taken:
        """Return what was learned since the last call."""
        return self._outbox.take()

    def status(self) -> LineStatus:
        """Return how the line is: up while each type of file has a young one."""
        return LineStatus(
            up=self._up,
            error=self._error,
            since_us=self._since_us,
            exchanges=self._read,
            failures=self._failures + self._refusals,
            violations=self._refusals,
            last_us=self._last_us,
            load=0.0,
        )

    def _build(self, mine: Mine) -> tuple[_Source, ...]:
        devices = {each.id: each for each in mine.devices if each.bus == self.bus.id}
        models = dict.fromkeys(each.model for each in devices.values())
        return tuple(
            _Source(model, form_of(self._dialect, model), self._code, _wanted(mine, devices, model))
            for model in models
        )

    def _source_of(self, name: str) -> _Source | None:
        return next((each for each in self._sources if each.name.fullmatch(name)), None)

    def _parse(self, source: _Source, data: bytes) -> tuple[int, dict[str, Said]]:
        if source.model == GAS_MODEL:
            kinds = {each.signal: each.kind for each in source.wanted}
            return parse_gas(self._dialect, data, self._code, kinds)
        signals = {each.signal for each in source.wanted}
        return parse_people(self._dialect, data, self._code, signals)

    def _credit(self, source: _Source, written_ms: int, said: dict[str, Said], now: Moment) -> None:
        """Take a whole file that is young and newer than all before it.

        Once the source is late the order of before is forgotten: its clock was put back. A file
        whose clock is ahead of ours says nothing about its age: it is believed from the moment at
        which it came, and only where it surely came just now.
        """
        age_ms = now.wall_ms - written_ms
        if age_ms > source.form.stale_ms:
            raise FileRefusedError("old_file")
        if age_ms < -AHEAD_MAX_MS or (age_ms < -AHEAD_MS and not self._has_witnessed(now)):
            raise FileRefusedError("clock_ahead")
        if written_ms <= source.written_ms and not source.is_late(now.now_us):
            return
        source.written_ms = written_ms
        source.until_us = now.now_us + (source.form.stale_ms - max(0, age_ms)) * 1000
        source.refused = ""
        self._read += 1
        self._last_us = now.now_us
        samples: dict[tuple[str, int], list[Reading]] = {}
        for wanted in source.wanted:
            value, quality, wall_ms = said[wanted.signal]
            sampled_ms = now.now_us // 1000 - max(0, now.wall_ms - wall_ms)
            reading = Reading(wanted.point, value, quality)
            samples.setdefault((wanted.device, sampled_ms), []).append(reading)
        for (device, sampled_ms), readings in samples.items():
            self._outbox.samples.append(Sample(device, sampled_ms, tuple(readings)))

    def _has_witnessed(self, now: Moment) -> bool:
        """Say whether what is new in the folder has come within the last seconds."""
        return self._listed_us is not None and now.now_us - self._listed_us <= WITNESSED_US

    def _is(self, up: bool, error: str, now_us: int) -> None:
        if up != self._up or self._error == STARTING:
            self._since_us = now_us
        self._up, self._error = up, error


def _wanted(mine: Mine, devices: Mapping[str, Device], model: str) -> tuple[_Wanted, ...]:
    def shown(point: Point) -> bool:
        return point.device in devices and devices[point.device].model == model

    return tuple(
        _Wanted(point.device, point.id, point.signal, point.kind)
        for point in mine.points
        if shown(point)
    )
