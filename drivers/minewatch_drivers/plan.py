"""Points of a device → poll blocks: as few questions as the device allows.

A question costs about the same for 1 or 125 registers, so neighbours are merged over small gaps.
A value and its status words always come from one answer; identity and heartbeat ride along where
they are near and get a block of their own (`identity`) where they are not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from minewatch.model.mine import Device, Point
from minewatch_drivers import modbus
from minewatch_drivers.codec import Decoder, decoder, needs
from minewatch_drivers.device_model import READ_FUNCTION, DeviceModel, Register, Signal, Table
from minewatch_drivers.exchange import Exchange

BITS_MAX = 256
"""Bits in one question; devices agree on less than the protocol's 2 000."""


@dataclass(frozen=True, slots=True)
class Block:
    """One question of a scan and how to read its answer; offsets count from `address`.

    `words` holds, for each decoder, the offsets that it looks at.
    """

    exchange: Exchange
    table: Table
    address: int
    count: int
    points: tuple[str, ...]
    decoders: tuple[Decoder, ...]
    words: tuple[frozenset[int], ...]
    sentinel: tuple[int, int] | None
    heartbeat: int | None


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """All blocks of one device. `identity` must be proven first where it stands alone."""

    device: str
    unit: int
    model: DeviceModel
    identity: Block | None
    blocks: tuple[Block, ...]


@dataclass(slots=True)
class _Span:
    table: Table
    first: int
    last: int
    points: list[tuple[str, Signal, Point]]


def plan_device(device: Device, model: DeviceModel, points: Sequence[Point]) -> DevicePlan:
    """Return the blocks that read `points` of `device`.

    Raises:
        KeyError: a point names a signal that the model does not have.
    """
    spans = _merged(model, [_span_of(point, model.signals[point.signal]) for point in points])
    blocks = tuple(_block(device, model, span) for span in spans)
    identity = None
    unproved = model.sentinel is not None and any(block.sentinel is None for block in blocks)
    unbeaten = model.heartbeat is not None and all(block.heartbeat is None for block in blocks)
    if (unproved or unbeaten or not blocks) and (model.sentinel or model.heartbeat):
        identity = _block(device, model, _identity_span(model))
    return DevicePlan(device.id, device.unit, model, identity, blocks)


def read_exchange(unit: int, table: Table, address: int, count: int) -> Exchange:
    """Return the question for `count` addresses of `table`."""
    function = READ_FUNCTION[table]
    pdu = modbus.read_pdu(function, address, count)
    return Exchange(unit, pdu, function, modbus.reply_length(function, count), None)


def _span_of(point: Point, signal: Signal) -> _Span:
    addresses = needs(signal)
    return _Span(signal.at.table, min(addresses), max(addresses), [(point.id, signal, point)])


def _merged(model: DeviceModel, spans: list[_Span]) -> list[_Span]:
    """Merge neighbours, then let identity and heartbeat ride along where they are near."""
    merged: list[_Span] = []
    for span in sorted(spans, key=lambda each: (each.table, each.first)):
        if merged and _fits(model, merged[-1], span.table, span.first, span.last):
            last = merged[-1]
            last.last = max(last.last, span.last)
            last.points += span.points
        else:
            merged.append(span)
    for extra in (model.heartbeat, model.sentinel):
        for span in merged if extra else ():
            assert extra is not None
            at = extra.at
            if _fits(model, span, at.table, at.address, at.address):
                span.first = min(span.first, at.address)
                span.last = max(span.last, at.address)
    return merged


def _fits(model: DeviceModel, span: _Span, table: Table, first: int, last: int) -> bool:
    if span.table is not table:
        return False
    low, high = min(span.first, first), max(span.last, last)
    if table.bits:
        return high - low < BITS_MAX
    gap = max(first - span.last, span.first - last) - 1
    clear = not any(low <= b and a <= high for a, b in model.forbidden)
    return gap <= model.gap_max and high - low < model.registers_max and clear


def _identity_span(model: DeviceModel) -> _Span:
    marks = [mark.at for mark in (model.sentinel, model.heartbeat) if mark is not None]
    span = _Span(marks[0].table, marks[0].address, marks[0].address, [])
    for at in marks[1:]:
        if _fits(model, span, at.table, at.address, at.address):
            span.first = min(span.first, at.address)
            span.last = max(span.last, at.address)
    return span


def _block(device: Device, model: DeviceModel, span: _Span) -> Block:
    count = span.last - span.first + 1
    sentinel, heartbeat = model.sentinel, model.heartbeat
    marked = _offset(span, sentinel.at) if sentinel is not None else None
    return Block(
        exchange=read_exchange(device.unit, span.table, span.first, count),
        table=span.table,
        address=span.first,
        count=count,
        points=tuple(name for name, _, _ in span.points),
        decoders=tuple(decoder(s, span.table, span.first, p.kind) for _, s, p in span.points),
        words=tuple(frozenset(a - span.first for a in needs(s)) for _, s, _ in span.points),
        sentinel=None if sentinel is None or marked is None else (marked, sentinel.expected),
        heartbeat=_offset(span, heartbeat.at) if heartbeat is not None else None,
    )


def _offset(span: _Span, at: Register) -> int | None:
    inside = span.table is at.table and span.first <= at.address <= span.last
    return at.address - span.first if inside else None
