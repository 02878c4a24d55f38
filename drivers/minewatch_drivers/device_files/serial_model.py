"""What the `[serial]` part of a device file says: a vendor protocol that is not Modbus, as data.

`serial_file` builds these; `serial_line`, `gsm_line` and the simulator read them.
"""

from dataclasses import dataclass
from enum import StrEnum

from minewatch_drivers.wire.framing import Framing


class Says(StrEnum):
    """What the frames of a device tell."""

    CARD = "card"
    """One card per frame, told once when it is held to the reader."""
    INVENTORY = "inventory"
    """All tags that are present now: a count, then length and bytes of each."""
    TIME = "time"
    """Sentences of NMEA 0183 with date and time."""
    SMS = "sms"
    """A modem that takes short messages; it has a dialogue of its own (`gsm_line`)."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question that the device waits for; `unit_at` is where its unit goes, None for nowhere."""

    payload: bytes
    unit_at: int | None

    def to(self, unit: int) -> bytes:
        """Return the payload that asks `unit`."""
        if self.unit_at is None:
            return self.payload
        at = self.unit_at
        return self.payload[:at] + bytes((unit,)) + self.payload[at + 1 :]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a proper answer begins with: bytes by their offset, and the codes of success.

    `unit_at` is where the device says who it is. `empty` are status codes of an answer without
    content, `more` of one that is followed by another. Offsets count within the payload, which
    begins with the length byte of a counted frame.
    """

    marks: tuple[tuple[int, int], ...]
    unit_at: int | None
    status_at: int | None
    good: tuple[int, ...]
    empty: tuple[int, ...]
    more: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A frame from another source and what it must mean: card numbers, or a UTC time as text."""

    source: str
    asked: bytes
    told: bytes
    cards: tuple[str, ...]
    time: str


@dataclass(frozen=True, slots=True)
class SerialProtocol:
    """One vendor protocol. A device without `ask` talks by itself and is alone on its line.

    `first` and `size` are where a card number or an inventory begins and, for a card, its length.
    `silent_ms` is after how long without a frame the device counts as lost; 0 where a device that
    has nothing to say cannot be told from a dead one.
    """

    says: Says
    framing: Framing | None
    ask: Ask | None
    answer: Answer | None
    first: int
    size: int
    silent_ms: int
    examples: tuple[Example, ...]
