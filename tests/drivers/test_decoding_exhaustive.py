"""Every raw number of every shipped signal, under every word of its status, against an oracle.

The oracle is written from docs/configuration.md's words about device files with integers and
fractions alone: it shares no arithmetic with the codec. Signals that differ in nothing but their
address are taken once.
"""

import math
import struct
from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from minewatch_drivers.device_files import codec, device_file
from minewatch_drivers.device_files.device_model import (
    Factor,
    Part,
    RawType,
    Role,
    Signal,
    StatusWord,
)

from minewatch.model.kind import UNITS, Kind
from minewatch.model.quality import Quality

WORDS = 65_536
EVERY = np.arange(WORDS, dtype=np.int64)
WEAK_TO_STRONG = (
    "GOOD",
    "UNDER_RANGE",
    "COMM_FAULT",
    "IMPLAUSIBLE",
    "OVER_RANGE",
    "WARMUP",
    "INHIBITED",
    "CALIBRATION",
)
QUALITIES = [Quality[name] for name in WEAK_TO_STRONG]
RANK = {Quality[name]: rank for rank, name in enumerate(WEAK_TO_STRONG)}
NO_NUMBER = {Quality[name] for name in WEAK_TO_STRONG[1:5]}
DANGEROUS_WHEN_LOW = {Kind.OXYGEN, Kind.AIR_SPEED, Kind.NEGATIVE_PRESSURE}
Decoded = tuple[int | None, Quality]


def _alike(signal: Signal) -> tuple[object, ...]:
    """Return all that decides how a signal is read, but for where it stands."""
    return (
        (signal.type, signal.scale, signal.offset, signal.kind, signal.low, signal.high),
        (signal.codes, signal.part, signal.levels, signal.span, signal.low_word_first),
        (signal.inverted, signal.stride),
        tuple((w.bits, w.values, w.otherwise, w.part, w.wide) for w in signal.status),
        tuple((f.role, f.allowed, f.part) for f in signal.factors),
    )


def _shipped() -> dict[str, Signal]:
    found: dict[tuple[object, ...], tuple[str, Signal]] = {}
    for name in device_file.catalogue():
        for signal in device_file.load(name).signals.values():
            found.setdefault(_alike(signal), (f"{name}:{signal.name}", signal))
    return dict(found.values())


SIGNALS = _shipped()


class Block:
    """A block of registers around one signal, and the function that decodes it."""

    def __init__(self, signal: Signal) -> None:
        addresses = codec.needs(signal)
        self.signal, self.first = signal, min(addresses)
        self.words = [0] * ((max(addresses) - self.first + 1) * signal.stride)
        self.decode = codec.decoder(signal, signal.at.table, self.first)
        self.at = self.place(signal.at.address)

    def place(self, address: int) -> int:
        """Return where an address lies in the block."""
        return (address - self.first) * self.signal.stride

    def say(self, word: StatusWord, number: int) -> None:
        """Write a number into a status word; other parts of its register stay."""
        at = self.place(word.at.address)
        if not word.wide:
            mask = word.part.mask << word.part.shift if word.part else 0xFFFF
            self.words[at] = self.words[at] & ~mask | number
            return
        pair = [number >> 16, number & 0xFFFF]
        self.words[at : at + 2] = pair[::-1] if word.low_word_first else pair

    def sweep(self, at: int, numbers: Iterable[int] = range(WORDS)) -> list[Decoded]:
        """Decode these numbers of one register, by default all; the others stay."""
        words, decode, kept = self.words, self.decode, self.words[at]
        decoded = []
        for number in numbers:
            words[at] = number
            decoded.append(decode(words))
        words[at] = kept
        return decoded


class Affine(NamedTuple):
    """value = (raw * slope + start) / bottom, exactly."""

    slope: int
    start: int
    bottom: int


@cache
def _affine(signal: Signal, by: Fraction) -> Affine:
    unit = 10 ** UNITS[signal.kind].decimals if signal.kind else 1
    if signal.span is None:
        slope, start = signal.scale * by * unit, signal.offset * unit
    else:
        span = signal.span
        steep = (span.full_is - span.zero_is) / (span.full_at - span.zero_at)
        slope = signal.scale * by * steep * unit
        start = (span.zero_is - span.zero_at * steep) * unit
    bottom = math.lcm(slope.denominator, start.denominator)
    return Affine(int(slope * bottom), int(start * bottom), bottom)


def _expected(signal: Signal, raws: "np.ndarray", by: Fraction = Fraction(1)) -> list[Decoded]:
    """Return what every unsigned raw number stands for."""
    cut = signal.part or Part(0, 2**32 - 1)
    raws = raws >> cut.shift & cut.mask
    if signal.type is RawType.BIT:
        return [(int(raw) ^ signal.inverted, Quality.GOOD) for raw in raws]
    if signal.levels:
        return [_level(signal, int(raw)) for raw in raws]
    bits = 16 * signal.type.width
    signed = signal.type in (RawType.S16, RawType.S32)
    counts = np.where(raws >= 1 << bits - 1, raws - (1 << bits), raws) if signed else raws
    line = _affine(signal, by)
    assert abs(counts).max() * abs(line.slope) + abs(line.start) < 2**61
    whole, rest = np.divmod(counts * line.slope + line.start, line.bottom)
    tie_up = signal.kind not in DANGEROUS_WHEN_LOW
    values = whole + ((2 * rest > line.bottom) | ((2 * rest == line.bottom) & tie_up))
    qualities = np.full(len(raws), Quality.GOOD)
    qualities[values > signal.high] = Quality.OVER_RANGE
    qualities[values < signal.low] = Quality.UNDER_RANGE
    _apply_span(signal, counts, by, qualities)
    for code, quality in signal.codes:
        qualities[raws == code] = quality
    known = {int(each): each for each in Quality}
    pairs = zip(values.tolist(), qualities.tolist(), strict=True)
    return [(value if q == 0 else None, known[q]) for value, q in pairs]


def _apply_span(
    signal: Signal, counts: "np.ndarray", by: Fraction, qualities: "np.ndarray"
) -> None:
    span, scale = signal.span, signal.scale * by
    if span is None:
        return
    measured = counts * scale.numerator

    def beyond(bound: Fraction) -> tuple["np.ndarray", int]:
        return measured * bound.denominator, bound.numerator * scale.denominator

    left, right = beyond(span.over)
    qualities[left > right] = Quality.OVER_RANGE
    left, right = beyond(span.under)
    qualities[left < right] = Quality.UNDER_RANGE
    for low, high, quality in reversed(span.bands):
        (above, least), (below, most) = beyond(low), beyond(high)
        qualities[(above >= least) & (below <= most)] = quality


def _level(signal: Signal, raw: int) -> Decoded:
    for level in signal.levels:
        if level.low <= raw <= level.high:
            state = None if level.state is None else level.state ^ signal.inverted
            return state, level.quality
    return None, Quality.IMPLAUSIBLE


def _float(signal: Signal, bits: int) -> Decoded:
    """Return what a float stands for; NaN, infinities and denormals are no measurement."""
    if bits in dict(signal.codes):
        return None, dict(signal.codes)[bits]
    exponent, fraction = bits >> 23 & 0xFF, bits & 0x7FFFFF
    if exponent == 255 or (exponent == 0 and fraction):
        return None, Quality.IMPLAUSIBLE
    count = (fraction + (1 << 23)) * (-1 if bits >> 31 else 1) if exponent else 0
    line = _affine(signal, Fraction(1))
    down = max(0, 150 - exponent)
    top = (count << max(0, exponent - 150)) * line.slope + (line.start << down)
    whole, rest = divmod(2 * top, line.bottom << down + 1)
    half = line.bottom << down
    value = whole + (rest > half or (rest == half and signal.kind not in DANGEROUS_WHEN_LOW))
    assert signal.low is not None
    assert signal.high is not None
    if exponent >= 158 or not signal.low <= value <= signal.high:
        return None, Quality.OVER_RANGE if top > 0 else Quality.UNDER_RANGE
    return value, Quality.GOOD


def _beside(said: Quality, decoded: Decoded) -> Decoded:
    """Return a decoded value beside what a status word says: the stronger quality speaks."""
    value, quality = decoded
    quality = max(said, quality, key=RANK.__getitem__)
    return (None if quality in NO_NUMBER else value), quality


def _said_by_all(word: StatusWord, numbers: "np.ndarray") -> "np.ndarray":
    """Return the rank of what a status word says, for each of these numbers."""
    if word.part is not None:
        numbers = numbers >> word.part.shift & word.part.mask
    ranks = np.zeros(len(numbers), dtype=np.int64)
    spoken = np.zeros(len(numbers), dtype=bool)
    for bit, quality in word.bits:
        is_set = numbers >> bit & 1 == 1
        ranks[is_set] = np.maximum(ranks[is_set], RANK[quality])
        spoken |= is_set
    ranks[~spoken] = RANK[word.otherwise]
    for low, high, quality in reversed(word.values):
        ranks[(low <= numbers) & (numbers <= high)] = RANK[quality]
    return ranks


def _said(word: StatusWord, number: int) -> Quality:
    return QUALITIES[_said_by_all(word, np.array([number]))[0]]


def _telling_numbers(word: StatusWord) -> dict[Quality, int]:
    """Return one number for every quality that a status word can say; every bit and row is tried.

    All 65 536 numbers of the word itself are the matter of another test.
    """
    shift = word.part.shift if word.part else 0
    whole = word.part.mask if word.part else 0xFFFFFFFF if word.wide else 0xFFFF
    tried = [0, whole, *(1 << bit for bit, _ in word.bits)]
    tried += [edge for low, high, _ in word.values for edge in (low, high)]
    return {_said(word, number << shift): number << shift for number in tried}


def _quiet(word: StatusWord) -> int:
    """Return a number at which a status word speaks least."""
    said = _telling_numbers(word)
    return said[min(said, key=RANK.__getitem__)]


def _check_soundness(signal: Signal, decoded: list[Decoded]) -> None:
    """Pin what holds for any head: a number only where it is good or told to be beside itself."""
    for value, quality in frozenset(decoded):
        assert (value is None) >= (quality in NO_NUMBER)
        if quality is Quality.GOOD:
            assert value is not None
            if signal.low is not None and signal.type is not RawType.BIT and not signal.levels:
                assert signal.low <= value <= signal.high


def _check_monotone(signal: Signal, decoded: list[Decoded]) -> None:
    """Pin that a higher count never gives a lower value, whatever the limits cut off."""
    half = WORDS // 2 if signal.type in (RawType.S16, RawType.S32) else 0
    ordered = decoded[half:] + decoded[:half] if half else decoded
    values = [value for value, quality in ordered if quality is Quality.GOOD]
    if _affine(signal, Fraction(1)).slope < 0:
        values.reverse()
    assert values == sorted(values)


def _spoken(signal: Signal, told: StatusWord | None = None, number: int = 0) -> Block:
    """Return a block whose status words are quiet but for `told`, with an allowed factor."""
    block = Block(signal)
    for word in signal.status:
        block.say(word, number if word is told else _quiet(word))
    for factor in signal.factors:
        block.words[block.place(factor.at.address)] = factor.allowed[0] << _cut(factor).shift
    return block


def _heard(
    signal: Signal, plain: list[Decoded], told: StatusWord | None = None, number: int = 0
) -> list[Decoded]:
    """Return what the values are beside the words that `_spoken` wrote."""
    said = [_said(w, number if w is told else _quiet(w)) for w in signal.status]
    strongest = max(said, key=RANK.__getitem__, default=Quality.GOOD)
    known = {each: _beside(strongest, each) for each in frozenset(plain)}
    return [known[each] for each in plain]


def _cut(factor: Factor) -> Part:
    return factor.part or Part(0, 0xFFFF)


def _by(signal: Signal, number: int | None = None) -> Fraction:
    """Return what the signal's factors multiply its counts with."""
    by = Fraction(1)
    for factor in signal.factors:
        told = factor.allowed[0] if number is None else number
        if factor.role is Role.MULTIPLIER:
            by *= told
        else:
            by /= told if factor.role is Role.DIVISOR else 10**told
    return by


SLOW = pytest.mark.nightly


def _of_type(*types: RawType) -> list[str]:
    return [name for name, each in SIGNALS.items() if each.type in types]


WITH_STATUS = [name for name, each in SIGNALS.items() if each.status]


@pytest.mark.parametrize("name", _of_type(RawType.U16, RawType.S16))
def test_every_word_means_what_the_file_says(name: str) -> None:
    """All 65 536 numbers of a one-register signal: exact value, range, codes; and monotone."""
    signal = SIGNALS[name]
    decoded = _spoken(signal).sweep(_spoken(signal).at)
    assert decoded == _heard(signal, _expected(signal, EVERY, _by(signal)))
    _check_soundness(signal, decoded)
    if signal.part is None and not signal.levels and not signal.codes:
        _check_monotone(signal, decoded)


def _check_beside(signal: Signal, step: int) -> None:
    """Pin a signal's numbers beside every quality of every status word of it."""
    wide, is_float = signal.type.width == 2, signal.type is RawType.F32
    raws = EVERY << 16 if wide else EVERY
    plain = [] if is_float else _expected(signal, raws, _by(signal))
    edges = {n for n in range(1, len(plain)) if plain[n][1] is not plain[n - 1][1]}
    taken = sorted({*range(0, WORDS, step * (101 if is_float else 1)), *edges})
    plain = [_float(signal, n << 16) if is_float else plain[n] for n in taken]
    for word in signal.status:
        for number in _telling_numbers(word).values():
            block = _spoken(signal, word, number)
            decoded = block.sweep(block.at + (wide and signal.low_word_first), taken)
            assert decoded == _heard(signal, plain, word, number)
            _check_soundness(signal, decoded)


@pytest.mark.parametrize("name", WITH_STATUS)
def test_every_quality_beside_words(name: str) -> None:
    """Each seventh number, and each edge, beside every quality: the stronger one speaks."""
    _check_beside(SIGNALS[name], 7)


@pytest.mark.nightly
@pytest.mark.parametrize("name", WITH_STATUS)
def test_every_quality_beside_every_word(name: str) -> None:
    """All 65 536 numbers beside every quality of every status word: the stronger one speaks."""
    _check_beside(SIGNALS[name], 1)


def _status_words() -> list[tuple[str, int]]:
    """Return (signal, at) of each status word that is not like another one."""
    found: dict[tuple[object, ...], tuple[str, int]] = {}
    for name in WITH_STATUS:
        for at, word in enumerate(SIGNALS[name].status):
            alike = (word.bits, word.values, word.otherwise, word.part, word.wide)
            found.setdefault(alike, (name, at))
    return list(found.values())


@pytest.mark.parametrize(("name", "at"), _status_words())
def test_every_number_of_every_status_word(name: str, at: int) -> None:
    """All 65 536 numbers of each status register beside the value 0: no number is unknown."""
    signal = SIGNALS[name]
    word = signal.status[at]
    is_float = signal.type is RawType.F32
    zero = np.zeros(1, dtype=np.int64)
    plain = [_float(signal, 0)] if is_float else _expected(signal, zero, _by(signal))
    block = _spoken(signal)
    place = block.place(word.at.address) + (word.wide and not word.low_word_first)
    decoded = block.sweep(place)
    ranks = np.zeros(WORDS, dtype=np.int64)
    for each in signal.status:
        numbers = EVERY if each.at == word.at else np.full(WORDS, _quiet(each))
        ranks = np.maximum(ranks, _said_by_all(each, numbers))
    beside = [_beside(quality, plain[0]) for quality in QUALITIES]
    assert decoded == [beside[rank] for rank in ranks.tolist()]


@pytest.mark.parametrize("low_word", [0xFFFF, *(pytest.param(n, marks=SLOW) for n in (0, 1))])
@pytest.mark.parametrize("name", _of_type(RawType.F32))
def test_every_high_word_of_a_float(name: str, low_word: int) -> None:
    """All exponents and signs: NaN, infinities and denormals are IMPLAUSIBLE and never low."""
    signal = SIGNALS[name]
    block = _spoken(signal)
    high, low = block.at, block.at + 1
    if signal.low_word_first:
        high, low = low, high
    block.words[low] = low_word
    decoded = block.sweep(high)
    plain = [_float(signal, raw << 16 | low_word) for raw in range(WORDS)]
    assert decoded == _heard(signal, plain)
    _check_soundness(signal, decoded)
    if not signal.codes and not signal.status:
        for raw in (0x7FC0, 0xFFC0, 0x7F81, 0xFFFF):
            assert decoded[raw] == (None, Quality.IMPLAUSIBLE)


@pytest.mark.parametrize("name", _of_type(RawType.U32, RawType.S32))
def test_every_half_of_a_double_word(name: str) -> None:
    """Each half of a 32-bit count swept alone: no carry is lost between the words."""
    signal = SIGNALS[name]
    for other in (0, 1, 0xFFFF):
        for is_high in (True, False):
            block = _spoken(signal)
            swept = block.at + (is_high is signal.low_word_first)
            kept = block.at + 1 if swept == block.at else block.at
            block.words[kept] = other
            numbers = EVERY << 16 | other if is_high else EVERY | other << 16
            assert block.sweep(swept) == _heard(signal, _expected(signal, numbers, _by(signal)))


@pytest.mark.parametrize("name", [n for n, each in SIGNALS.items() if each.factors])
def test_every_word_under_every_factor(name: str) -> None:
    """A scale in a second register: each allowed number exactly, any other no value at all."""
    signal = SIGNALS[name]
    (factor,) = signal.factors
    block, cut = _spoken(signal), _cut(factor)
    at = block.place(factor.at.address)
    for number in factor.allowed:
        block.words[at] = number << cut.shift
        assert block.sweep(block.at) == _expected(signal, EVERY, _by(signal, number))
    for number, decoded in enumerate(block.sweep(at)):
        if number >> cut.shift & cut.mask not in factor.allowed:
            assert decoded == (None, Quality.IMPLAUSIBLE)


def test_the_oracle_knows_a_float_as_the_processor_does() -> None:
    """The oracle's own reading of float bits is the machine's, on numbers of every exponent."""
    signal = Signal("s", next(iter(SIGNALS.values())).at, RawType.F32, Fraction(1), None)
    for exponent in range(1, 158):
        bits = exponent << 23 | 0x2AAAAA
        (number,) = struct.unpack(">f", bits.to_bytes(4, "big"))
        exact = Fraction(number)
        wide = Signal("s", signal.at, RawType.F32, Fraction(1), None, low=-(2**31), high=2**31)
        assert _float(wide, bits) == (math.floor(exact + Fraction(1, 2)), Quality.GOOD)
