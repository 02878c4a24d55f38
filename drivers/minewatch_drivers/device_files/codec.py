"""Registers → (integer value, quality), exactly; `encode` goes the other way for the simulator.

A raw count times its decimal scale is a rational number; it becomes the nearest integer of the
kind's smallest unit, ties towards the alarm: upwards, and downwards for kinds that alarm when
they are low. Nothing here ever turns bad data into a number: NaN, infinity, codes, unknown factors
and values outside the measuring range give a quality and None. Every decoder is a pure function of
its block.
"""

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from operator import itemgetter

from minewatch.model.kind import UNITS, Kind
from minewatch.model.quality import Quality
from minewatch_drivers.device_files.device_model import (
    DeviceModel,
    Part,
    RawType,
    Register,
    Role,
    Signal,
    Span,
    StatusWord,
    Table,
)

Decoded = tuple[int | None, Quality]
Decoder = Callable[[Sequence[int]], Decoded]

LOW_ALARM_KINDS = frozenset({Kind.OXYGEN, Kind.AIR_SPEED, Kind.NEGATIVE_PRESSURE})
"""Kinds that endanger people when they are low: their ties go down."""

STRENGTH: tuple[Quality, ...] = (
    Quality.CALIBRATION,
    Quality.INHIBITED,
    Quality.WARMUP,
    Quality.OVER_RANGE,
    Quality.IMPLAUSIBLE,
    Quality.COMM_FAULT,
    Quality.UNDER_RANGE,
    Quality.GOOD,
)
"""Which quality speaks where several hold; a head under calibration gas is never over range."""

_RANK = {quality: rank for rank, quality in enumerate(STRENGTH)}
_VALUELESS = frozenset(
    {Quality.OVER_RANGE, Quality.UNDER_RANGE, Quality.IMPLAUSIBLE, Quality.COMM_FAULT}
)
_FLOAT_RANGE = 2**31
_FLOAT_LEAST = 2.0**-126
"""Smaller numbers but zero are no measurement: so swapped words or an integer look as a float."""


JUDGES_MAX = 256
"""Scales remembered per signal whose factors stand in other registers."""

_Pick = Callable[[Sequence[int]], int]
_Judge = Callable[[int], Decoded]


def decoder(signal: Signal, table: Table, first: int, kind: Kind | None = None) -> Decoder:
    """Return the function that decodes `signal` from a block of `table` starting at `first`.

    The block must hold all of `needs`. `kind` is the point's kind where the signal has none.
    Registers are integers 0…65535, bits are 0 or 1; behind each address stand `signal.stride`.
    """
    if signal.at.table is not table:
        raise ValueError(f"{signal.name} lies in another table than {table}")
    at = (signal.at.address - first) * signal.stride
    if signal.type is RawType.BIT:
        return _bit_decoder(at, signal.inverted)
    value_of = _value_decoder(signal, at, first, kind)
    if not signal.status:
        return value_of
    words = tuple(
        (_word_picker(word, first, signal.stride), _status_table(word)) for word in signal.status
    )
    return _with_status(value_of, words)


def decode(model: DeviceModel, signal: str, registers: Mapping[Register, int]) -> Decoded:
    """Decode one signal of `model` from single addresses, for tests, tools and frames.

    Where an address holds 32 bits, so does its number here.

    Raises:
        KeyError: no such signal, or a register that it needs is missing.
    """
    found = model.signals[signal]
    table = found.at.table
    wanted = needs(found)
    first = min(wanted)
    block: list[int] = []
    for address in range(first, max(wanted) + 1):
        number = registers[Register(table, address)] if address in wanted else 0
        block += [number] if found.stride == 1 else [number >> 16, number & 0xFFFF]
    return decoder(found, table, first)(block)


def needs(signal: Signal) -> frozenset[int]:
    """Return the addresses that decoding `signal` reads: its own, of its status and factors."""
    width = signal.type.width // signal.stride or 1
    own = set(range(signal.at.address, signal.at.address + width))
    for word in signal.status:
        last = word.at.address + (word.wide and signal.stride == 1)
        own.update((word.at.address, last))
    own.update(factor.at.address for factor in signal.factors)
    return frozenset(own)


def strongest(qualities: Iterable[Quality]) -> Quality:
    """Return the quality that speaks; GOOD where there is none."""
    return min(qualities, key=_RANK.__getitem__, default=Quality.GOOD)


def status_quality(word: StatusWord, raw: int) -> Quality:
    """Return what the status word says; `raw` is the number in its part of the register."""
    for low, high, quality in word.values:
        if low <= raw <= high:
            return quality
    said = [quality for bit, quality in word.bits if raw >> bit & 1]
    return strongest(said) if said else word.otherwise


def scale_of(signal: Signal, kind: Kind | None) -> tuple[Fraction, Fraction]:
    """Return (factor, offset) that turn a raw count into the kind's smallest unit, exactly."""
    counted = signal.kind or kind
    unit = Fraction(10 ** (UNITS[counted].decimals if counted else 0))
    factor, offset = signal.scale, signal.offset
    if signal.span is not None:
        span = signal.span
        slope = (span.full_is - span.zero_is) / (span.full_at - span.zero_at)
        factor, offset = factor * slope, span.zero_is - span.zero_at * slope
    return factor * unit, offset * unit


def factor_of(role: Role, number: int) -> Fraction:
    """Return by what a second register multiplies a value."""
    if role is Role.MULTIPLIER:
        return Fraction(number)
    return Fraction(1, number if role is Role.DIVISOR else 10**number)


def _bit_decoder(at: int, inverted: bool) -> Decoder:
    off, on = (0, Quality.GOOD), (1, Quality.GOOD)
    if inverted:
        off, on = on, off
    return lambda block: on if block[at] else off


def _status_table(word: StatusWord) -> Callable[[int], Quality]:
    """Return a memory of what each status number means; devices show a handful of them."""
    known: dict[int, Quality] = {}

    def look(raw: int) -> Quality:
        quality = known.get(raw)
        if quality is None:
            if len(known) > 256:
                known.clear()
            quality = known[raw] = status_quality(word, raw)
        return quality

    return look


def _with_status(
    value_of: Decoder, words: tuple[tuple[_Pick, Callable[[int], Quality]], ...]
) -> Decoder:
    def decode_with_status(block: Sequence[int]) -> Decoded:
        value, quality = value_of(block)
        for pick, look in words:
            said = look(pick(block))
            if said is not Quality.GOOD and _RANK[said] < _RANK[quality]:
                quality = said
        return (None if quality in _VALUELESS else value), quality

    return decode_with_status


def _word_picker(word: StatusWord, first: int, stride: int) -> _Pick:
    at = (word.at.address - first) * stride
    return _part_picker(_picker(at, 2 if word.wide else 1, word.low_word_first), word.part)


def _picker(at: int, width: int, low_word_first: bool) -> _Pick:
    """Return what takes an unsigned number of one or two registers out of a block."""
    if width == 1:
        return itemgetter(at)
    if low_word_first:
        return lambda block: block[at + 1] << 16 | block[at]
    return lambda block: block[at] << 16 | block[at + 1]


def _part_picker(whole: _Pick, part: Part | None) -> _Pick:
    if part is None:
        return whole
    shift, mask = part.shift, part.mask
    return lambda block: whole(block) >> shift & mask


def _value_decoder(signal: Signal, at: int, first: int, kind: Kind | None) -> Decoder:
    whole = _picker(at, signal.type.width, signal.low_word_first)
    raw_of = _part_picker(whole, signal.part)
    if signal.levels:
        return _level_decoder(signal, raw_of)
    if signal.type is RawType.F32:
        return _float_decoder(signal, raw_of, kind)
    if signal.factors:
        return _factored_decoder(signal, raw_of, first, kind)
    return _integer_decoder(signal, raw_of, _judge(signal, kind))


def _integer_decoder(signal: Signal, raw_of: _Pick, judge: _Judge) -> Decoder:
    codes = dict(signal.codes)
    if signal.type in (RawType.U16, RawType.U32):

        def decode_unsigned(block: Sequence[int]) -> Decoded:
            raw = raw_of(block)
            return (None, codes[raw]) if raw in codes else judge(raw)

        return decode_unsigned
    half = 1 << 16 * signal.type.width - 1

    def decode_signed(block: Sequence[int]) -> Decoded:
        raw = raw_of(block)
        if raw in codes:
            return None, codes[raw]
        return judge(raw - 2 * half if raw >= half else raw)

    return decode_signed


def _level_decoder(signal: Signal, raw_of: _Pick) -> Decoder:
    """A switch that is told by counts: what stands in no row is no state."""
    rows = [
        (
            level.low,
            level.high,
            (None if level.state is None else level.state ^ signal.inverted, level.quality),
        )
        for level in signal.levels
    ]

    def decode_level(block: Sequence[int]) -> Decoded:
        raw = raw_of(block)
        for low, high, decoded in rows:
            if low <= raw <= high:
                return decoded
        return None, Quality.IMPLAUSIBLE

    return decode_level


def _factored_decoder(signal: Signal, raw_of: _Pick, first: int, kind: Kind | None) -> Decoder:
    """A value whose scale stands in other registers; a number that the file does not know is bad.

    Each combination has its own exact judge, made when it is first seen.
    """
    picks = [_part_picker(itemgetter(f.at.address - first), f.part) for f in signal.factors]
    known: dict[tuple[int, ...], Decoder | None] = {}

    def decode_factored(block: Sequence[int]) -> Decoded:
        key = tuple([pick(block) for pick in picks])
        if key not in known:
            if len(known) >= JUDGES_MAX:
                known.clear()
            known[key] = _judged(signal, raw_of, key, kind)
        decode_so = known[key]
        return (None, Quality.IMPLAUSIBLE) if decode_so is None else decode_so(block)

    return decode_factored


def _judged(
    signal: Signal, raw_of: _Pick, numbers: tuple[int, ...], kind: Kind | None
) -> Decoder | None:
    """Return the decoder under these numbers in the second registers; None where one is unknown."""
    by = Fraction(1)
    for factor, number in zip(signal.factors, numbers, strict=True):
        if number not in factor.allowed:
            return None
        by *= factor_of(factor.role, number)
    return _integer_decoder(signal, raw_of, _judge(signal, kind, by))


def _judge(signal: Signal, kind: Kind | None, by: Fraction = Fraction(1)) -> _Judge:
    """Return raw count → (value, quality) by exact scale, measuring range and span."""
    factor, offset = scale_of(signal, kind)
    factor *= by
    low, high = value_range(signal)
    judge = _affine(factor, offset, low, high, rounding(signal.kind or kind))
    return judge if signal.span is None else _spanned(signal.span, signal.scale * by, judge)


def _affine(
    factor: Fraction, offset: Fraction, low: int, high: int, rounded: Callable[[int, int], int]
) -> _Judge:
    bottom = math.lcm(factor.denominator, offset.denominator)
    slope, start = int(factor * bottom), int(offset * bottom)
    good = Quality.GOOD

    def judge_whole(raw: int) -> Decoded:
        value = raw * slope + start
        if low <= value <= high:
            return value, good
        return None, Quality.OVER_RANGE if value > high else Quality.UNDER_RANGE

    def judge_rational(raw: int) -> Decoded:
        return _bounded(rounded(raw * slope + start, bottom), low, high)

    return judge_whole if bottom == 1 else judge_rational


def _spanned(span: Span, scale: Fraction, judge: _Judge) -> _Judge:
    """Return `judge` behind the limits of a span, kept as raw counts."""
    under, over = math.ceil(span.under / scale), math.floor(span.over / scale)
    bands = [
        (math.ceil(low / scale), math.floor(high / scale), quality)
        for low, high, quality in span.bands
    ]

    def judge_span(raw: int) -> Decoded:
        for low, high, quality in bands:
            if low <= raw <= high:
                return None, quality
        if under <= raw <= over:
            return judge(raw)
        return None, Quality.OVER_RANGE if raw > over else Quality.UNDER_RANGE

    return judge_span


def _float_decoder(signal: Signal, raw_of: _Pick, kind: Kind | None) -> Decoder:
    codes = dict(signal.codes)
    factor, offset = scale_of(signal, kind)
    slope = factor.numerator * offset.denominator
    start = offset.numerator * factor.denominator
    divisor = factor.denominator * offset.denominator
    low, high = value_range(signal)
    rounded = rounding(signal.kind or kind)

    def decode_float(block: Sequence[int]) -> Decoded:
        raw = raw_of(block)
        if raw in codes:
            return None, codes[raw]
        (number,) = struct.unpack(">f", raw.to_bytes(4, "big"))
        if not math.isfinite(number) or 0 < abs(number) < _FLOAT_LEAST:
            return None, Quality.IMPLAUSIBLE
        if not -_FLOAT_RANGE < number < _FLOAT_RANGE:
            return None, Quality.OVER_RANGE if number > 0 else Quality.UNDER_RANGE
        top, bottom = number.as_integer_ratio()
        value = rounded(top * slope + bottom * start, bottom * divisor)
        return _bounded(value, low, high)

    return decode_float


def _bounded(value: int, low: int, high: int) -> Decoded:
    if low <= value <= high:
        return value, Quality.GOOD
    return None, Quality.OVER_RANGE if value > high else Quality.UNDER_RANGE


def value_range(signal: Signal) -> tuple[int, int]:
    """Return the measuring range in the smallest unit.

    Raises:
        ValueError: a switch has none.
    """
    if signal.low is None or signal.high is None:
        raise ValueError(f"{signal.name} has no measuring range")
    return signal.low, signal.high


def rounding(kind: Kind | None) -> Callable[[int, int], int]:
    """Return (numerator, denominator > 0) → nearest integer, ties towards the alarm."""
    if kind in LOW_ALARM_KINDS:
        return lambda top, bottom: -((-2 * top + bottom) // (2 * bottom))
    return lambda top, bottom: (2 * top + bottom) // (2 * bottom)
