"""Registers → (integer value, quality), exactly, and back again for the simulator.

A raw count times its decimal scale is a rational number; it becomes the nearest integer of the
kind's smallest unit, ties towards the alarm: upwards, and downwards for kinds that alarm when
they are low. Nothing here ever turns bad data into a number: NaN, infinity, codes and values
outside the measuring range give a quality and None.
"""

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from minewatch.model.kind import UNITS, Kind
from minewatch.model.quality import Quality
from minewatch_drivers.device_model import DeviceModel, RawType, Register, Signal, StatusWord, Table

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


class Write(NamedTuple):
    """What the simulator puts into a device: the bits of `mask` at `at` become those of `value`."""

    at: Register
    value: int
    mask: int


def decoder(signal: Signal, table: Table, first: int, kind: Kind | None = None) -> Decoder:
    """Return the function that decodes `signal` from a block of `table` starting at `first`.

    The block must hold the signal and its status words. `kind` is the point's kind where the
    signal has none. Registers are integers 0…65535, bits are 0 or 1.
    """
    if signal.at.table is not table:
        raise ValueError(f"{signal.name} lies in another table than {table}")
    at = signal.at.address - first
    if signal.type is RawType.BIT:
        return _bit_decoder(at, signal.inverted)
    value_of = _value_decoder(signal, at, kind)
    if not signal.status:
        return value_of
    words = tuple((word.at.address - first, _status_table(word)) for word in signal.status)
    return _with_status(value_of, words)


def decode(model: DeviceModel, signal: str, registers: Mapping[Register, int]) -> Decoded:
    """Decode one signal of `model` from single registers, for tests, tools and frames.

    Raises:
        KeyError: no such signal, or a register that it needs is missing.
    """
    found = model.signals[signal]
    table = found.at.table
    wanted = needs(found)
    first = min(wanted)
    block = [
        registers[Register(table, a)] if a in wanted else 0 for a in range(first, max(wanted) + 1)
    ]
    return decoder(found, table, first)(block)


def needs(signal: Signal) -> frozenset[int]:
    """Return the addresses that decoding `signal` reads: its own and those of its status."""
    own = range(signal.at.address, signal.at.address + signal.type.width)
    return frozenset(own) | {word.at.address for word in signal.status}


def strongest(qualities: Iterable[Quality]) -> Quality:
    """Return the quality that speaks; GOOD where there is none."""
    return min(qualities, key=_RANK.__getitem__, default=Quality.GOOD)


def status_quality(word: StatusWord, raw: int) -> Quality:
    """Return what the status word `raw` says."""
    for low, high, quality in word.values:
        if low <= raw <= high:
            return quality
    said = [quality for bit, quality in word.bits if raw >> bit & 1]
    return strongest(said) if said else word.otherwise


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
    value_of: Decoder, words: tuple[tuple[int, Callable[[int], Quality]], ...]
) -> Decoder:
    def decode_with_status(block: Sequence[int]) -> Decoded:
        value, quality = value_of(block)
        for at, look in words:
            said = look(block[at])
            if said is not Quality.GOOD and _RANK[said] < _RANK[quality]:
                quality = said
        return (None if quality in _VALUELESS else value), quality

    return decode_with_status


def _value_decoder(signal: Signal, at: int, kind: Kind | None) -> Decoder:
    if signal.type is RawType.F32:
        return _float_decoder(signal, at, kind)
    codes = dict(signal.codes)
    judge = _judge(signal, kind)
    if signal.type is RawType.U16:

        def decode_u16(block: Sequence[int]) -> Decoded:
            raw = block[at]
            return (None, codes[raw]) if raw in codes else judge(raw)

        return decode_u16
    raw_of = _raw(signal, at)
    bits = 16 if signal.type is RawType.S16 else 32
    signed = signal.type in (RawType.S16, RawType.S32)

    def decode_integer(block: Sequence[int]) -> Decoded:
        raw = raw_of(block)
        if raw in codes:
            return None, codes[raw]
        if signed and raw >> (bits - 1):
            raw -= 1 << bits
        return judge(raw)

    return decode_integer


def _raw(signal: Signal, at: int) -> Callable[[Sequence[int]], int]:
    if signal.type.width == 1:
        return lambda block: block[at]
    if signal.low_word_first:
        return lambda block: block[at + 1] << 16 | block[at]
    return lambda block: block[at] << 16 | block[at + 1]


def _judge(signal: Signal, kind: Kind | None) -> Callable[[int], Decoded]:
    """Return raw count → (value, quality) by the exact scale and the measuring range."""
    factor = _factor(signal, kind)
    numerator, denominator = factor.numerator, factor.denominator
    low, high = _range(signal)
    rounded = _rounding(signal.kind or kind)
    good = Quality.GOOD

    def judge_whole(raw: int) -> Decoded:
        value = raw * numerator
        if low <= value <= high:
            return value, good
        return None, Quality.OVER_RANGE if value > high else Quality.UNDER_RANGE

    def judge_rational(raw: int) -> Decoded:
        return _bounded(rounded(raw * numerator, denominator), low, high)

    return judge_whole if denominator == 1 else judge_rational


def _float_decoder(signal: Signal, at: int, kind: Kind | None) -> Decoder:
    raw_of = _raw(signal, at)
    codes = dict(signal.codes)
    factor = _factor(signal, kind)
    low, high = _range(signal)
    rounded = _rounding(signal.kind or kind)

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
        value = rounded(top * factor.numerator, bottom * factor.denominator)
        return _bounded(value, low, high)

    return decode_float


def _bounded(value: int, low: int, high: int) -> Decoded:
    if low <= value <= high:
        return value, Quality.GOOD
    return None, Quality.OVER_RANGE if value > high else Quality.UNDER_RANGE


def _range(signal: Signal) -> tuple[int, int]:
    if signal.low is None or signal.high is None:
        raise ValueError(f"{signal.name} has no measuring range")
    return signal.low, signal.high


def _factor(signal: Signal, kind: Kind | None) -> Fraction:
    counted = signal.kind or kind
    return signal.scale * int(10 ** (UNITS[counted].decimals if counted else 0))


def _rounding(kind: Kind | None) -> Callable[[int, int], int]:
    """Return (numerator, denominator > 0) → nearest integer, ties towards the alarm."""
    if kind in LOW_ALARM_KINDS:
        return lambda top, bottom: -((-2 * top + bottom) // (2 * bottom))
    return lambda top, bottom: (2 * top + bottom) // (2 * bottom)


def encode(
    model: DeviceModel, signal: str, value: int | None, quality: Quality = Quality.GOOD
) -> tuple[Write, ...]:
    """Return the writes that make a device show `value` with `quality`; `decode` is the inverse.

    `value` is in the smallest unit; None leaves the value's registers alone where the quality has
    a status of its own. The nearest raw count is used where the scale is coarser than the unit.

    Raises:
        KeyError: no such signal.
        ValueError: the device file has no way to say this quality or this value.
    """
    found = model.signals[signal]
    if found.type is RawType.BIT:
        if quality is not Quality.GOOD or value is None:
            raise ValueError(f"{model.name}.{signal}: a bit is always good")
        return (Write(found.at, int(bool(value)) ^ int(found.inverted), 1),)
    status, said = _encode_status(found, quality)
    if said or quality is Quality.GOOD:
        raw = None if value is None else raw_of_value(found, value)
    else:
        raw = _raw_of_quality(found, quality)
        if raw is None:
            raise ValueError(f"{model.name}.{signal} has no way to say {quality.name}")
    return status + (() if raw is None else _encode_raw(found, raw))


def _encode_status(signal: Signal, quality: Quality) -> tuple[tuple[Write, ...], bool]:
    """Return the writes that set the status words, and whether one of them says `quality`."""
    writes, said = [], quality is Quality.GOOD
    for word in signal.status:
        value, mask = _neutral(word)
        if not said:
            for low, _, each in word.values:
                if each is quality:
                    value, said = low, True
                    break
            for bit, each in word.bits:
                if each is quality and not said:
                    value, said = value | 1 << bit, True
        writes.append(Write(word.at, value, mask))
    return tuple(writes), said


def _neutral(word: StatusWord) -> tuple[int, int]:
    """Return (value, mask) that makes the word say GOOD."""
    if word.values:
        return next((low for low, _, each in word.values if each is Quality.GOOD), 0), 0xFFFF
    mask = 0
    for bit, _ in word.bits:
        mask |= 1 << bit
    return 0, mask


def raw_of_value(signal: Signal, value: int) -> int:
    """Return the raw count (two's complement or float bits) nearest to `value`.

    Raises:
        ValueError: the raw type cannot hold it.
    """
    exact = Fraction(value) / _factor(signal, signal.kind)
    if signal.type is RawType.F32:
        return int.from_bytes(struct.pack(">f", float(exact)), "big")
    raw = _rounding(signal.kind)(exact.numerator, exact.denominator)
    bits = 16 * signal.type.width
    signed = signal.type in (RawType.S16, RawType.S32)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if not low <= raw <= high:
        raise ValueError(f"{signal.name}: {value} does not fit into {signal.type}")
    return raw & ((1 << bits) - 1)


def _raw_of_quality(signal: Signal, quality: Quality) -> int | None:
    for code, each in signal.codes:
        if each is quality:
            return code
    low, high = _range(signal)
    step = math.ceil(_factor(signal, signal.kind))
    if quality in (Quality.OVER_RANGE, Quality.UNDER_RANGE):
        outside = high + step if quality is Quality.OVER_RANGE else low - step
        try:
            raw = raw_of_value(signal, outside)
        except ValueError:
            return None
        return None if raw in dict(signal.codes) else raw
    if quality is Quality.IMPLAUSIBLE and signal.type is RawType.F32:
        return 0x7FC00000
    return None


def _encode_raw(signal: Signal, raw: int) -> tuple[Write, ...]:
    if signal.type.width == 1:
        return (Write(signal.at, raw, 0xFFFF),)
    words = [raw >> 16, raw & 0xFFFF]
    if signal.low_word_first:
        words.reverse()
    table, address = signal.at.table, signal.at.address
    return tuple(Write(Register(table, address + n), w, 0xFFFF) for n, w in enumerate(words))
