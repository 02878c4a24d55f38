"""What the payload of a vendor frame says: card numbers, or why it is no answer. Pure."""

from minewatch_drivers.device_files.serial_model import Says, SerialProtocol
from minewatch_drivers.readers.reader_record import HEX_DIGITS_MIN
from minewatch_drivers.wire.framing import Form

TAG_MAX = 32
"""Bytes of the longest tag number; more is a length byte that lies."""


class NotAnAnswerError(ValueError):
    """A whole frame that does not answer the question: `why` is a code."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def cards(protocol: SerialProtocol, payload: bytes) -> tuple[str, ...]:
    """Return the card numbers that `payload` tells, in its order, as 24 or more hexadecimal digits.

    Raises:
        NotAnAnswerError: the payload is shorter or longer than it says, or no number.
    """
    if protocol.says is Says.INVENTORY:
        return _inventory(protocol, payload)
    number = payload[protocol.first : protocol.first + protocol.size]
    if len(number) != protocol.size:
        raise NotAnAnswerError("short")
    framing = protocol.framing
    if framing is None or framing.form is Form.BYTES:
        return (_badge(number.hex()),)
    text = number.decode("ascii", "replace")
    if not text.isalnum() or not text.isascii():
        raise NotAnAnswerError("number")
    return (_badge(text),)


def _badge(digits: str) -> str:
    """Return a badge as every reader of hexadecimal numbers tells it, never like a decimal one."""
    return digits.upper().rjust(HEX_DIGITS_MIN, "0")


def _inventory(protocol: SerialProtocol, payload: bytes) -> tuple[str, ...]:
    at = protocol.first
    if len(payload) <= at:
        raise NotAnAnswerError("short")
    found = []
    count, at = payload[at], at + 1
    for _ in range(count):
        if at >= len(payload):
            raise NotAnAnswerError("short")
        size, at = payload[at], at + 1
        number = payload[at : at + size]
        if not 0 < size <= TAG_MAX or len(number) != size:
            raise NotAnAnswerError("number")
        found.append(_badge(number.hex()))
        at += size
    if at != len(payload):
        raise NotAnAnswerError("long")
    return tuple(found)


def standing(protocol: SerialProtocol, unit: int, payload: bytes) -> str:
    """Return how an answer stands: `good`, `empty` (nothing to tell) or `more` (another follows).

    Raises:
        NotAnAnswerError: another unit, another command, or the device refuses.
    """
    answer = protocol.answer
    if answer is None:
        return "good"
    for at, expected in answer.marks:
        if len(payload) <= at or payload[at] != expected:
            raise NotAnAnswerError("mark")
    if answer.unit_at is not None and _at(payload, answer.unit_at) != unit:
        raise NotAnAnswerError("unit")
    if answer.status_at is None:
        return "good"
    status = _at(payload, answer.status_at)
    for name, codes in (("good", answer.good), ("empty", answer.empty), ("more", answer.more)):
        if status in codes:
            return name
    raise NotAnAnswerError(f"status_{status:02x}")


def _at(payload: bytes, at: int) -> int:
    if len(payload) <= at:
        raise NotAnAnswerError("short")
    return payload[at]
