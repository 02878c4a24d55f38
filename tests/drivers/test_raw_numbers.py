"""Every raw number × every status of every 16-bit signal; odd floats; words swapped."""

import math
import random
import struct
from dataclasses import replace

import pytest
from minewatch_drivers.commission import device_check
from minewatch_drivers.device_files import codec, device_file
from minewatch_drivers.device_files.device_model import DeviceModel, RawType, Signal, StatusWord

from minewatch.model.quality import Quality

NAMES = [name for name in device_file.catalogue() if device_file.load(name).signals]
ODD_FLOATS = (0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x00800000, 0x7F7FFFFF,
              0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7F800001, 0x7FC00000, 0xFFC00000, 0xFFFFFFFF,
              0x7FC07FC0, 0xFFFF7FFF)  # fmt: skip


def one_of_each(model: DeviceModel) -> list[Signal]:
    """Return one signal of each family: sixty-four equal ports decode alike."""
    return list({device_check.family(name): made for name, made in model.signals.items()}.values())


def statuses(word: StatusWord) -> list[int]:
    """Return numbers of a word that stand for each thing it can say, and some that it cannot."""
    top = word.part.mask if word.part else 0xFFFFFFFF if word.wide else 0xFFFF
    said = {0, 1, top, top >> 1}
    for low, high, _ in word.values:
        said |= {low, high, min(high + 1, top), max(low - 1, 0)}
    for bit, _ in word.bits:
        said |= {1 << bit, top ^ 1 << bit}
    return sorted(number & top for number in said)


def placed(word: StatusWord, number: int, low_word_first: bool) -> list[int]:
    """Return the registers that hold `number` in the part of the word that counts."""
    number <<= word.part.shift if word.part else 0
    if not word.wide:
        return [number]
    halves = [number >> 16, number & 0xFFFF]
    return halves[::-1] if low_word_first else halves


def block_of(signal: Signal) -> tuple[list[int], int]:
    """Return a block of zeros that holds all of a signal, and its first address."""
    addresses = codec.needs(signal)
    first = min(addresses)
    return [0] * ((max(addresses) - first + 1) * signal.stride), first


def healthy(signal: Signal) -> list[int]:
    """Return a block in which every status word and second register says that all is well."""
    block, first = block_of(signal)
    for word in signal.status:
        good = next(n for n in statuses(word) if codec.status_quality(word, n) is Quality.GOOD)
        put(block, signal, first, word, good)
    for factor in signal.factors:
        shift = factor.part.shift if factor.part else 0
        block[factor.at.address - first] |= factor.allowed[0] << shift
    return block


def put(block: list[int], signal: Signal, first: int, word: StatusWord, number: int) -> None:
    """Put a number into a status word of a block, beside others in the same register."""
    at = (word.at.address - first) * signal.stride
    mask = (word.part.mask << word.part.shift) if word.part else 0xFFFFFFFF
    for place, raw in enumerate(placed(word, number, word.low_word_first)):
        keep = ~(mask if not word.wide else 0xFFFF) & 0xFFFF
        block[at + place] = block[at + place] & keep | raw


@pytest.mark.parametrize("name", NAMES)
def test_every_raw_number_is_good_only_inside_the_range(name: str) -> None:
    """All 65536 numbers of each 16-bit value: GOOD comes with an integer in range, else nothing."""
    for signal in one_of_each(device_file.load(name)):
        if signal.type not in (RawType.U16, RawType.S16):
            continue
        block, (_, first) = healthy(signal), block_of(signal)
        decode = codec.decoder(signal, signal.at.table, first)
        at, goods = signal.at.address - first, 0
        for raw in range(0x10000):
            block[at] = raw
            value, quality = decode(block)
            assert (quality is Quality.GOOD) == (value is not None), (signal.name, raw)
            if value is not None:
                goods += 1
                low = 0 if signal.low is None else signal.low
                high = 1 if signal.high is None else signal.high
                assert low <= value <= high, (signal.name, raw)
        assert 0 < goods < 0x10000, signal.name


@pytest.mark.parametrize("name", NAMES)
def test_no_status_word_lets_a_bad_value_pass(name: str) -> None:
    """Each thing that a status word can say, over sampled raw numbers: the strongest counts."""
    rng = random.Random(name)
    for signal in one_of_each(device_file.load(name)):
        _, first = block_of(signal)
        decode = codec.decoder(signal, signal.at.table, first)
        for word in signal.status:
            for number in statuses(word):
                block = healthy(signal)
                put(block, signal, first, word, number)
                said = codec.status_quality(word, number)
                for _ in range(40):
                    for n in range(signal.type.width):
                        block[(signal.at.address - first) * signal.stride + n] = rng.getrandbits(16)
                    value, quality = decode(block)
                    assert quality is not Quality.GOOD or said is Quality.GOOD
                    assert quality is Quality.GOOD or value is None or quality is said


FLOATS = [
    pytest.param(name, signal, id=f"{name}-{signal.name}")
    for name in NAMES
    for signal in one_of_each(device_file.load(name))
    if signal.type is RawType.F32
]


@pytest.mark.parametrize(("name", "signal"), FLOATS)
def test_odd_and_random_floats_are_good_only_inside_the_range(name: str, signal: Signal) -> None:
    """NaN, infinity, denormals, 0xFFFF, 0x7FC0, 3 000 random words: never a wrong value."""
    rng = random.Random(name)
    block, (_, first) = healthy(signal), block_of(signal)
    decode = codec.decoder(signal, signal.at.table, first)
    at = (signal.at.address - first) * signal.stride
    assert signal.low is not None
    assert signal.high is not None
    for bits in (*ODD_FLOATS, *(rng.getrandbits(32) for _ in range(3000))):
        words = [bits >> 16, bits & 0xFFFF]
        block[at : at + 2] = words[::-1] if signal.low_word_first else words
        (number,) = struct.unpack(">f", bits.to_bytes(4, "big"))
        value, quality = decode(block)
        assert (quality is Quality.GOOD) == (value is not None)
        if value is not None:
            assert signal.low <= value <= signal.high
            assert number == 0 or abs(number) >= 2.0**-126
        elif not math.isfinite(number):
            assert quality is Quality.IMPLAUSIBLE


def orders(words: list[int]) -> list[list[int]]:
    """Return two registers in the three orders that are not the one on the wire."""
    swapped = [(word & 0xFF) << 8 | word >> 8 for word in words]
    return [words[::-1], swapped, swapped[::-1]]


@pytest.mark.parametrize(("name", "signal"), FLOATS)
def test_no_other_word_or_byte_order_passes_the_frames(name: str, signal: Signal) -> None:
    """A head that sends its float in another order than its file says fails at commissioning."""
    model = device_file.load(name)
    caught = [False, False, False]
    for frame in model.frames:
        answer = device_check.read_answer(model, frame)
        expected = {each: (value, quality) for each, value, quality in frame.expect}
        if answer is None or signal.name not in expected:
            continue
        at = (signal.at.address - answer.first) * signal.stride
        for place, words in enumerate(orders(list(answer.block[at : at + 2]))):
            block = (*answer.block[:at], *words, *answer.block[at + 2 :])
            decoded = device_check.decode_answer(signal, replace(answer, block=block))
            caught[place] |= decoded != expected[signal.name]

    assert all(caught)
