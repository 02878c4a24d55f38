"""Points of a device → poll blocks: as few questions as the device allows.

A question costs about the same for 1 or 125 registers, so neighbours are merged over small gaps.
A value and its status words always come from one answer; identity and heartbeat ride along where
they are near and get a block of their own (`identity`, `heartbeat`) where they are not. Points
that are scanned seldom ride along with those scanned often where that is free.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from minewatch.model.mine import Device, Point
from minewatch_drivers.device_files.codec import needs
from minewatch_drivers.device_files.device_model import (
    READ_FUNCTION,
    DeviceModel,
    Heartbeat,
    Register,
    Sentinel,
    Signal,
    Table,
)
from minewatch_drivers.device_files.meaning import Meaning, meaning, offsets
from minewatch_drivers.tasks.spans import Span, Window, fewest
from minewatch_drivers.wire import modbus
from minewatch_drivers.wire.exchange import Exchange

BITS_MAX = 256
"""Bits in one question; devices agree on less than the protocol's 2 000."""

RIDE_MAX = 125
"""Registers that a seldom scanned point may add to a block where bytes cost nothing."""


@dataclass(frozen=True, slots=True)
class Block:
    """One question of a scan and how to read its answer; offsets count registers from `address`.

    `words` holds, for each meaning, the offsets of the words that it takes; `scan_ms` is the scan
    class, 0 for a block that reads no point.
    """

    exchange: Exchange
    table: Table
    address: int
    count: int
    points: tuple[str, ...]
    meanings: tuple[Meaning, ...]
    words: tuple[frozenset[int], ...]
    sentinel: tuple[int, int] | None
    heartbeat: int | None
    scan_ms: int = 0


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """All blocks of one device. `identity` must be proven first where it stands alone."""

    device: str
    unit: int
    model: DeviceModel
    identity: Block | None
    blocks: tuple[Block, ...]
    heartbeat: Block | None = None


def plan_device(
    device: Device,
    model: DeviceModel,
    points: Sequence[Point],
    *,
    scan_ms: int = 1000,
    ride_max: int = RIDE_MAX,
) -> DevicePlan:
    """Return the blocks that read `points` of `device`, those scanned most often first.

    `scan_ms` is the pace of the line, for points without a class of their own; `ride_max` is how
    many registers a slower point may add to a faster block instead of a question of its own.

    Raises:
        KeyError: a point names a signal that the model does not have.
    """
    planner = _Planner(device, model, points)
    classes: dict[int, list[Point]] = {}
    for point in points:
        classes.setdefault(point.scan_ms or scan_ms, []).append(point)
    groups: list[tuple[int, list[Span]]] = []
    for every_ms in sorted(classes):
        spans = [planner.span(point) for point in classes[every_ms]]
        left = [span for span in spans if not planner.rides(span, groups, ride_max)]
        groups += [(every_ms, group) for group in planner.grouped(left)]
    return planner.finished(groups, scan_ms)


def parts_of(
    device: Device, model: DeviceModel, points: Sequence[Point], block: Block
) -> tuple[Block, ...]:
    """Return the blocks that read the points of a refused `block` in smaller questions.

    Two halves where it reads several points; one question without anything that rides along where
    it reads one, or the identity; nothing where it cannot be smaller. `points` are all points of
    the device.
    """
    planner = _Planner(device, model, points)
    spans = sorted(planner.span(point) for point in points if point.id in block.points)
    if len(spans) > 1:
        middle = len(spans) // 2
        return tuple(
            planner.block(half, block.scan_ms) for half in (spans[:middle], spans[middle:])
        )
    if spans and block.count > spans[0].last - spans[0].first + 1:
        return (planner.block(spans, block.scan_ms, bare=True),)
    if not spans and block.sentinel is not None and block.count > 1 and model.sentinel:
        return (planner.mark(model.sentinel, bare=True),)
    return ()


def identity_block(device: Device, model: DeviceModel) -> Block | None:
    """Return the question for the identity alone, None for a device without one."""
    return None if model.sentinel is None else _Planner(device, model, ()).mark(model.sentinel)


def heartbeat_block(device: Device, model: DeviceModel) -> Block | None:
    """Return the question for the heartbeat alone, None for a device without one."""
    beats = model.heartbeat
    return None if beats is None else _Planner(device, model, ()).mark(beats, bare=True)


def read_exchange(unit: int, table: Table, address: int, count: int, stride: int = 1) -> Exchange:
    """Return the question for `count` addresses of `table` with `stride` registers behind each."""
    function = READ_FUNCTION[table]
    pdu = modbus.read_pdu(function, address, count)
    told = modbus.reply_length(function, count if table.bits else count * stride)
    return Exchange(unit, pdu, function, told, None)


def window_of(model: DeviceModel, table: Table) -> Window:
    """Return what one question of `table` may span on this device."""
    if table.bits:
        return Window(BITS_MAX, BITS_MAX, model.forbidden)
    return Window(model.registers_max, model.gap_max, model.forbidden)


class _Planner:
    """Makes blocks of one device."""

    def __init__(self, device: Device, model: DeviceModel, points: Iterable[Point]) -> None:
        self._device = device
        self._model = model
        self._points = {point.id: point for point in points}
        self._order = {point: n for n, point in enumerate(self._points)}

    def span(self, point: Point) -> Span:
        """Return the addresses that reading `point` takes."""
        signal = self._signal(point.id)
        addresses = needs(signal)
        return Span(
            signal.at.table, min(addresses), max(addresses), self._order[point.id], point.id
        )

    def grouped(self, spans: list[Span]) -> list[list[Span]]:
        """Return the fewest groups; those that all prove the identity, where they are as few."""
        groups: list[list[Span]] = []
        sentinel = self._model.sentinel
        for table in Table:
            mine = [span for span in spans if span.table is table]
            window = window_of(self._model, table)
            around = None
            if sentinel is not None and sentinel.at.table is table:
                around = sentinel.at.address
            groups += fewest(mine, window, around)
        return groups

    def rides(self, span: Span, groups: list[tuple[int, list[Span]]], ride_max: int) -> bool:
        """Let `span` ride along with a faster group where it fits; says whether it does."""
        window = window_of(self._model, span.table)
        for _, group in groups:
            low = min(each.first for each in group)
            high = max(each.last for each in group)
            added = max(0, low - span.first) + max(0, span.last - high)
            near = span.table is group[0].table and added <= ride_max
            if near and window.holds([*group, span]):
                group.append(span)
                return True
        return False

    def finished(self, groups: list[tuple[int, list[Span]]], scan_ms: int) -> DevicePlan:
        """Return the plan whose blocks read these groups.

        A heartbeat that rides along more seldom than every `scan_ms` has a question of its own.
        """
        device, model = self._device, self._model
        blocks = tuple(self.block(group, every_ms) for every_ms, group in groups)
        identity = heartbeat = None
        if model.sentinel and (not blocks or any(each.sentinel is None for each in blocks)):
            identity = self.mark(model.sentinel)
        often = [each for each in (*blocks, identity) if each and each.scan_ms <= scan_ms]
        if model.heartbeat and all(each.heartbeat is None for each in often):
            heartbeat = self.mark(model.heartbeat)
        return DevicePlan(device.id, device.unit, model, identity, blocks, heartbeat)

    def block(self, spans: Sequence[Span], every_ms: int, *, bare: bool = False) -> Block:
        """Return the question for these spans; identity and heartbeat ride along unless `bare`."""
        spans = sorted(spans)
        table = spans[0].table
        first, last = spans[0].first, max(span.last for span in spans)
        if not bare:
            first, last = self._with_marks(table, first, last)
        return self._made(table, first, last, [span.name for span in spans], every_ms)

    def mark(self, mark: Sentinel | Heartbeat, *, bare: bool = False) -> Block:
        """Return the question for identity or heartbeat, with the other where it is near."""
        at = mark.at
        first = last = at.address
        if not bare:
            first, last = self._with_marks(at.table, first, last)
        return self._made(at.table, first, last, (), 0)

    def _with_marks(self, table: Table, first: int, last: int) -> tuple[int, int]:
        window = window_of(self._model, table)
        for mark in (self._model.heartbeat, self._model.sentinel):
            if mark is not None and mark.at.table is table:
                span = Span(table, first, last, 0, "")
                near = Span(table, mark.at.address, mark.at.address, 0, "")
                if window.holds((span, near)):
                    first, last = min(first, near.first), max(last, near.last)
        return first, last

    def _made(
        self, table: Table, first: int, last: int, names: Sequence[str], every_ms: int
    ) -> Block:
        model, stride = self._model, self._model.stride
        count = last - first + 1
        sentinel = model.sentinel
        marked = None if sentinel is None else self._offset(sentinel.at, table, first, last)
        beats = model.heartbeat
        signals = [self._signal(name) for name in names]
        kinds = [self._points[name].kind for name in names]
        return Block(
            exchange=read_exchange(self._device.unit, table, first, count, stride),
            table=table,
            address=first,
            count=count,
            points=tuple(names),
            meanings=tuple(
                meaning(signal, kind) for signal, kind in zip(signals, kinds, strict=True)
            ),
            words=tuple(offsets(signal, first) for signal in signals),
            sentinel=None if sentinel is None or marked is None else (marked, sentinel.expected),
            heartbeat=None if beats is None else self._offset(beats.at, table, first, last),
            scan_ms=every_ms,
        )

    def _offset(self, at: Register, table: Table, first: int, last: int) -> int | None:
        inside = table is at.table and first <= at.address <= last
        stride = 1 if table.bits else self._model.stride
        return (at.address - first) * stride if inside else None

    def _signal(self, point: str) -> Signal:
        return self._model.signals[self._points[point].signal]
