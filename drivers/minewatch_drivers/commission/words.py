"""Every meaning that raw registers could have, and which of them something is measured in.

Wider than `skeleton.decodings`: a person who looks at a strange map wants to see the impossible
ones too. Pure; bounded by the words given.
"""

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from minewatch_drivers.commission.skeleton import FLOAT_LEAST, FLOAT_MOST

ORDERS = {"ABCD": (0, 1, 2, 3), "CDAB": (2, 3, 0, 1), "BADC": (1, 0, 3, 2), "DCBA": (3, 2, 1, 0)}
"""Byte orders of a pair of registers as makers name them; a device file speaks of the first two."""

SMALL = 1_000
"""A negative count below this is more likely a number than a pattern of bits."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """One reading of the register at `address`, or of it and the next; `order` as in `ORDERS`."""

    address: int
    type: str
    order: str
    text: str
    plausible: bool


def meanings(first: int, words: Sequence[int]) -> tuple[Meaning, ...]:
    """Return all meanings of registers from address `first` on, by address.

    `plausible` marks numbers of a size that something is measured in, digits that are all decimal,
    and characters that can be printed.
    """
    found: list[Meaning] = []
    for place, word in enumerate(words):
        found += _of_word(first + place, word)
        if place + 1 < len(words):
            found += _of_pair(first + place, word, words[place + 1])
    return tuple(found)


def _of_word(address: int, word: int) -> Iterator[Meaning]:
    signed = word - 0x10000 if word & 0x8000 else word
    swapped = (word & 0xFF) << 8 | word >> 8
    digits = f"{word:04x}"
    letters = word.to_bytes(2, "big")
    readable = all(0x20 < byte < 0x7F for byte in letters)
    yield Meaning(address, "u16", "AB", str(word), not word & 0x8000)
    yield Meaning(address, "s16", "AB", str(signed), -SMALL < signed < 0)
    yield Meaning(address, "u16", "BA", str(swapped), word > 0xFF and swapped < SMALL)
    yield Meaning(address, "bits", "AB", f"{word:016b}", word.bit_count() <= 2 and word > 0)
    if digits.isdigit():
        yield Meaning(address, "bcd", "AB", str(int(digits)), word > 9)
    shown = "".join(chr(byte) if 0x20 <= byte < 0x7F else "·" for byte in letters)
    yield Meaning(address, "ascii", "AB", shown, readable)


def _of_pair(address: int, high: int, low: int) -> Iterator[Meaning]:
    raw = struct.pack(">HH", high, low)
    for order, places in ORDERS.items():
        data = bytes(raw[place] for place in places)
        (number,) = struct.unpack(">f", data)
        sane = math.isfinite(number) and FLOAT_LEAST <= abs(number) <= FLOAT_MOST
        yield Meaning(address, "f32", order, f"{number:.7g}", sane)
        (count,) = struct.unpack(">I", data)
        yield Meaning(address, "u32", order, str(count), 0xFFFF < count <= FLOAT_MOST)
        (signed,) = struct.unpack(">i", data)
        if signed < 0:
            yield Meaning(address, "s32", order, str(signed), signed > -FLOAT_MOST)
