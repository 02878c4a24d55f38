"""One heard badge in a simulated reader's registers: how a record is laid out, word by word."""

from typing import NamedTuple

from minewatch_drivers.device_files.reader_model import BadgeText, BadgeWords, RecordFields

from minewatch_sim.people import Heard

BATTERY_LOW, SOS = 1, 2


class Record(NamedTuple):
    """One heard badge with the reader's own number and the restart that it was made in."""

    sequence: int
    heard: Heard
    boot: int


def record_words(fields: RecordFields, size: int, record: Record, clock_s: int) -> list[int]:
    """Return the `size` words of a record; the reader's clock is `clock_s` off."""
    words = [0] * size
    heard = record.heard
    badge = fields.badge
    words[badge.at : badge.at + badge.words] = _badge_words(badge, heard.badge)
    _put(words, fields.sequence, record.sequence)
    _put(words, fields.direction, heard.direction)
    _put(words, fields.boot, record.boot)
    if fields.flags is not None:
        pairs = ((fields.battery_bit, BATTERY_LOW), (fields.sos_bit, SOS))
        words[fields.flags] = sum(
            1 << bit for bit, flag in pairs if bit is not None and heard.flags & flag
        )
    if fields.time_s is not None:
        seconds = (heard.at_ms // 1000 + clock_s) & 0xFFFFFFFF
        words[fields.time_s : fields.time_s + 2] = [seconds >> 16, seconds & 0xFFFF]
    return words


def _put(words: list[int], at: int | None, value: int) -> None:
    if at is not None:
        words[at] = value & 0xFFFF


def _badge_words(form: BadgeWords, badge: str) -> list[int]:
    """Return a card number as the reader shows it; a decimal number is also a short hexadecimal."""
    size = 2 * form.words
    if form.text is BadgeText.DECIMAL:
        data = int(badge).to_bytes(size, "big")
    elif form.text is BadgeText.HEX:
        data = int(badge, 16).to_bytes(size, "big")
    else:
        data = badge.encode("ascii").ljust(size, b"\x00")
    words = [data[n] << 8 | data[n + 1] for n in range(0, size, 2)]
    return words[::-1] if form.low_word_first else words
