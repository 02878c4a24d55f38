"""First steps with an unknown device: every plausible meaning of its words, and a file to fill in.

Pure functions for `bus read` and `device new`; nothing here talks. What `skeleton` writes loads,
but proves nothing yet: `device_check` complains until a person has said what the words mean.
"""

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from minewatch_drivers.device_files.device_model import RawType, Table

FLOAT_LEAST, FLOAT_MOST = 1e-3, 1e6
"""Floats outside are no measurement of a mine: words that are none look like that."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """What one or two registers could mean: `address` of the first, type, word order, as text."""

    address: int
    type: RawType
    low_word_first: bool
    text: str


@dataclass(frozen=True, slots=True)
class Guess:
    """A signal that a person believes to have found; scale and range are decimals as text."""

    name: str
    table: Table
    address: int
    type: RawType
    kind: str
    low: str
    high: str
    scale: str = "1"
    low_word_first: bool = False


def decodings(first: int, words: Sequence[int]) -> tuple[Decoding, ...]:
    """Return every plausible meaning of registers from address `first` on, by address.

    A register is a count and, where its highest bit is set, a negative number; a pair is a float
    in either word order where that is finite and of a size that something is measured in.
    """
    found = []
    for place, word in enumerate(words):
        address = first + place
        found.append(Decoding(address, RawType.U16, False, str(word)))
        if word & 0x8000:
            found.append(Decoding(address, RawType.S16, False, str(word - 0x10000)))
        if place + 1 < len(words):
            found += _of_pair(address, word, words[place + 1])
    return tuple(found)


def skeleton(
    identity: str,
    maker: str,
    source: str,
    frames: Sequence[tuple[bytes, bytes]],
    guesses: Sequence[Guess] = (),
) -> str:
    """Return a device file: head, guesses as signals, and the frames as they were seen on the bus.

    `frames` are (question, answer) as whole RTU frames; at least one is needed for the file to
    load. `expect` stays empty: a person compares each value with the display of the device.
    """
    parts = [
        "[device]",
        f"identity = {_text(identity)}",
        f"maker = {_text(maker)}",
        'maturity = "experimental"',
        f"source = {_text(source)}",
        "traps = []",
        "",
        "[read]",
        "registers_max = 32",
        "gap_max = 4",
        "turnaround_ms = 100",
    ]
    for guess in guesses:
        parts += _signal(guess)
    for request, reply in frames:
        parts += [
            "",
            "[[frames]]",
            'source = "read from the device"',
            f'request = "{request.hex(" ")}"',
            f'reply = "{reply.hex(" ")}"',
            "expect = {}",
        ]
    return "\n".join(parts) + "\n"


def _of_pair(address: int, high: int, low: int) -> list[Decoding]:
    """Return the floats that a pair of registers could be, and its counts where they are small."""
    found = []
    for low_first, raw in ((False, high << 16 | low), (True, low << 16 | high)):
        (number,) = struct.unpack(">f", raw.to_bytes(4, "big"))
        if math.isfinite(number) and FLOAT_LEAST <= abs(number) <= FLOAT_MOST:
            found.append(Decoding(address, RawType.F32, low_first, f"{number:.6g}"))
        if 0xFFFF < raw <= FLOAT_MOST:
            found.append(Decoding(address, RawType.U32, low_first, str(raw)))
    return found


def _signal(guess: Guess) -> list[str]:
    lines = [
        "",
        f"[signals.{_text(guess.name)}]",
        f'table = "{guess.table}"',
        f"address = {guess.address}",
        f'type = "{guess.type}"',
    ]
    if guess.low_word_first:
        lines.append('word_order = "low_first"')
    lines += [f"{key} = {_text(value)}" for key, value in (
        ("scale", guess.scale), ("kind", guess.kind), ("low", guess.low), ("high", guess.high),
    )]  # fmt: skip
    return lines


def _text(value: str) -> str:
    """Return a TOML basic string; JSON escapes the same characters the same way."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
