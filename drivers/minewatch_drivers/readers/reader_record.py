"""From a reader's registers to one record: the badge's name, direction, flags, numbers, clock.

A badge is a text. Two different card numbers never give the same text within one way of writing,
and a hexadecimal one is never the text of a decimal one.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from minewatch_drivers.device_files.reader_model import BadgeText, BadgeWords, RecordFields

HEX_DIGITS_MIN = 24
"""Longer than any decimal text of 64 bits."""

BATTERY_LOW, SOS = 1, 2
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""What a badge may be called in a list of people; other letters are an unreadable card."""

DIRECTIONS = {1: 1, 0xFFFF: -1}


class Heard(NamedTuple):
    """One record; `badge` is empty where the card could not be read.

    `flags` are those of a sighting: bit 0 low battery, bit 1 SOS.
    """

    badge: str
    sequence: int | None
    direction: int
    flags: int
    time_s: int | None
    boot: int | None


def is_empty(record: Sequence[int]) -> bool:
    """Return whether a place holds no record at all: every register 0, or every one FFFF."""
    return all(word == 0 for word in record) or all(word == 0xFFFF for word in record)


def read_record(record: Sequence[int], fields: RecordFields, *, directed: bool) -> Heard:
    """Return what a record says; an undirected reader gives no direction, whatever it writes."""
    direction = 0
    if directed and fields.direction is not None:
        direction = DIRECTIONS.get(record[fields.direction], 0)
    return Heard(
        badge_text(record, fields.badge),
        None if fields.sequence is None else record[fields.sequence],
        direction,
        _flags(record, fields),
        None if fields.time_s is None else _u32(record, fields.time_s),
        None if fields.boot is None else record[fields.boot],
    )


def badge_text(record: Sequence[int], badge: BadgeWords) -> str:
    """Return the badge's text, empty where there is no card or its letters are none."""
    words = record[badge.at : badge.at + badge.words]
    if is_empty(words):
        return ""
    if badge.low_word_first:
        words = words[::-1]
    data = b"".join(word.to_bytes(2, "big") for word in words)
    if badge.text is BadgeText.DECIMAL:
        return str(int.from_bytes(data, "big"))
    if badge.text is BadgeText.HEX:
        return data.hex().upper().rjust(HEX_DIGITS_MIN, "0")
    letters = data.rstrip(b"\x00 ").decode("latin-1")
    return letters if NAME.fullmatch(letters) else ""


def _flags(record: Sequence[int], fields: RecordFields) -> int:
    if fields.flags is None:
        return 0
    raw, flags = record[fields.flags], 0
    for bit, flag in ((fields.battery_bit, BATTERY_LOW), (fields.sos_bit, SOS)):
        if bit is not None and raw >> bit & 1:
            flags |= flag
    return flags


def _u32(record: Sequence[int], at: int) -> int:
    return record[at] << 16 | record[at + 1]
