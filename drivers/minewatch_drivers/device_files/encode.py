"""Integer value + quality → registers: the way back, for the simulator and for tests alone.

A device shows a value by its own registers, its status words and the second registers that give
the value its scale. `codec.decode` reads back what `encode` writes, or `encode` refuses.
"""

import math
import struct
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice, product
from typing import NamedTuple

from minewatch.model.quality import Quality
from minewatch_drivers.device_files.codec import factor_of, rounding, scale_of, value_range
from minewatch_drivers.device_files.device_model import (
    DeviceModel,
    Part,
    RawType,
    Register,
    Signal,
    StatusWord,
)

COMBINATIONS_MAX = 64


class Write(NamedTuple):
    """What goes into a device: the bits of `mask` at `at` become those of `value`.

    Where an address holds 32 bits, so do `value` and `mask`.
    """

    at: Register
    value: int
    mask: int


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
    if found.levels:
        return status + _encode_level(model, found, value, Quality.GOOD if said else quality)
    if said or quality is Quality.GOOD:
        return status + (() if value is None else _encode_value(found, value))
    raw = _raw_of_quality(found, quality)
    if raw is None:
        raise ValueError(f"{model.name}.{signal} has no way to say {quality.name}")
    return status + _encode_raw(found, raw) + _encode_factors(found, _first_factors(found))


def raw_of_value(signal: Signal, value: int, by: Fraction = Fraction(1)) -> int:
    """Return the raw count (two's complement or float bits) nearest to `value`.

    `by` is what the second registers multiply it with.

    Raises:
        ValueError: the raw type cannot hold it.
    """
    exact = _exact_count(signal, value, by)
    if signal.type is RawType.F32:
        return int.from_bytes(struct.pack(">f", float(exact)), "big")
    raw = rounding(signal.kind)(exact.numerator, exact.denominator)
    bits = signal.part.mask.bit_length() if signal.part else 16 * signal.type.width
    signed = signal.type in (RawType.S16, RawType.S32)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if not low <= raw <= high:
        raise ValueError(f"{signal.name}: {value} does not fit into {signal.type}")
    return raw & ((1 << bits) - 1)


def _exact_count(signal: Signal, value: int, by: Fraction) -> Fraction:
    factor, offset = scale_of(signal, signal.kind)
    return (value - offset) / (factor * by)


def _encode_value(signal: Signal, value: int) -> tuple[Write, ...]:
    """Return the writes of a value and of the second registers that show it best."""
    if not signal.factors:
        return _encode_raw(signal, raw_of_value(signal, value))
    best: tuple[Fraction, int, tuple[int, ...]] | None = None
    for numbers in _combinations(signal):
        by = _product(signal, numbers)
        exact = _exact_count(signal, value, by)
        try:
            raw = raw_of_value(signal, value, by)
        except ValueError:
            continue
        off = abs(exact - round(exact)) * by
        if best is None or off < best[0]:
            best = (off, raw, numbers)
    if best is None:
        raise ValueError(f"{signal.name}: {value} fits under no factor")
    return _encode_raw(signal, best[1]) + _encode_factors(signal, best[2])


def _combinations(signal: Signal) -> Iterator[tuple[int, ...]]:
    return islice(product(*(factor.allowed for factor in signal.factors)), COMBINATIONS_MAX)


def _first_factors(signal: Signal) -> tuple[int, ...]:
    return tuple(factor.allowed[0] for factor in signal.factors)


def _product(signal: Signal, numbers: tuple[int, ...]) -> Fraction:
    by = Fraction(1)
    for factor, number in zip(signal.factors, numbers, strict=True):
        by *= factor_of(factor.role, number)
    return by


def _encode_factors(signal: Signal, numbers: tuple[int, ...]) -> tuple[Write, ...]:
    return tuple(
        _write(factor.at, number, factor.part, 0xFFFF)
        for factor, number in zip(signal.factors, numbers, strict=True)
    )


def _encode_status(signal: Signal, quality: Quality) -> tuple[tuple[Write, ...], bool]:
    """Return the writes that set the status words, and whether one of them says `quality`."""
    writes: list[Write] = []
    said = quality is Quality.GOOD
    for word in signal.status:
        number, mask = _neutral(word)
        told = None if said else _telling(word, quality)
        if told is not None:
            number, said = told, True
            mask = mask or 0xFFFF
        writes += _encode_word(word, number, mask, signal.stride)
    return tuple(writes), said


def _neutral(word: StatusWord) -> tuple[int, int]:
    """Return (number, mask) that makes the word say GOOD; both within its part."""
    if word.values:
        good = next((low for low, _, each in word.values if each is Quality.GOOD), None)
        if good is None:
            good = _unnamed(word) if word.otherwise is Quality.GOOD else 0
        return good or 0, _whole(word)
    mask = 0
    for bit, _ in word.bits:
        mask |= 1 << bit
    return 0, mask


def _telling(word: StatusWord, quality: Quality) -> int | None:
    """Return the number by which the word says `quality`, None where it cannot."""
    for low, _, each in word.values:
        if each is quality:
            return low
    for bit, each in word.bits:
        if each is quality:
            return 1 << bit
    return _unnamed(word) if word.values and word.otherwise is quality else None


def _unnamed(word: StatusWord) -> int | None:
    """Return the lowest number that no row of the word names."""
    number = 0
    for low, high, _ in sorted(word.values):
        if low <= number <= high:
            number = high + 1
    return number if number <= _whole(word) else None


def _whole(word: StatusWord) -> int:
    return word.part.mask if word.part else 0xFFFFFFFF if word.wide else 0xFFFF


def _encode_word(word: StatusWord, number: int, mask: int, stride: int) -> list[Write]:
    shift = word.part.shift if word.part else 0
    number, mask = number << shift, mask << shift
    if not word.wide or stride == 2:
        return [Write(word.at, number, mask)]
    halves = [(number >> 16, mask >> 16), (number & 0xFFFF, mask & 0xFFFF)]
    if word.low_word_first:
        halves.reverse()
    return [
        Write(Register(word.at.table, word.at.address + n), each, bits)
        for n, (each, bits) in enumerate(halves)
    ]


def _encode_level(
    model: DeviceModel, signal: Signal, value: int | None, quality: Quality
) -> tuple[Write, ...]:
    """Return the writes of a switch level: the middle of the row that says it."""
    if quality is Quality.GOOD and value is None:
        return ()
    state = int(bool(value)) ^ int(signal.inverted) if quality is Quality.GOOD else None
    for level in signal.levels:
        if level.state == state and level.quality is quality:
            return (_write(signal.at, (level.low + level.high) // 2, signal.part, 0xFFFF),)
    raise ValueError(f"{model.name}.{signal.name} has no way to say {quality.name}")


def _raw_of_quality(signal: Signal, quality: Quality) -> int | None:
    """Return the raw count that stands for a quality without any help of a status word."""
    for code, each in signal.codes:
        if each is quality:
            return code
    by = _product(signal, _first_factors(signal))
    if signal.span is not None:
        return _raw_of_span(signal, quality)
    low, high = value_range(signal)
    step = math.ceil(scale_of(signal, signal.kind)[0] * by)
    if quality in (Quality.OVER_RANGE, Quality.UNDER_RANGE):
        outside = high + step if quality is Quality.OVER_RANGE else low - step
        try:
            raw = raw_of_value(signal, outside, by)
        except ValueError:
            return None
        return None if raw in dict(signal.codes) else raw
    if quality is Quality.IMPLAUSIBLE and signal.type is RawType.F32:
        return 0x7FC00000
    return None


def _raw_of_span(signal: Signal, quality: Quality) -> int | None:
    span = signal.span
    assert span is not None
    bands = [(low + high) / 2 for low, high, each in span.bands if each is quality]
    middle = bands[0] if bands else None
    if middle is None and quality is Quality.OVER_RANGE:
        middle = span.over + signal.scale
    if middle is None and quality is Quality.UNDER_RANGE:
        middle = span.under - signal.scale
    if middle is None:
        return None
    raw = round(middle / signal.scale)
    return raw if 0 <= raw <= 0xFFFF else None


def _encode_raw(signal: Signal, raw: int) -> tuple[Write, ...]:
    if signal.type.width == 1:
        return (_write(signal.at, raw, signal.part, 0xFFFF),)
    if signal.stride == 2:
        return (Write(signal.at, raw, 0xFFFFFFFF),)
    words = [raw >> 16, raw & 0xFFFF]
    if signal.low_word_first:
        words.reverse()
    table, address = signal.at.table, signal.at.address
    return tuple(Write(Register(table, address + n), w, 0xFFFF) for n, w in enumerate(words))


def _write(at: Register, number: int, part: Part | None, whole: int) -> Write:
    if part is None:
        return Write(at, number, whole)
    return Write(at, number << part.shift, part.mask << part.shift)
