"""Simulated devices that do not speak Modbus: card readers, a time receiver, a GSM modem.

Each is a machine without a port: `hear` takes the bytes of a question and returns the answer,
`tick` returns what the device says by itself. `vendor_port` puts them on a pty.
"""

from datetime import UTC, datetime
from typing import Protocol

from minewatch_drivers.device_files.serial_model import SerialProtocol
from minewatch_drivers.wire.framing import Framer, wrap

CARD_EVERY_US = 50_000
"""A card module repeats a card about twenty times a second while it is held there."""

HELD_US = 400_000
STAY_US = 5_000_000
"""How long a tag stays in the field of a UHF reader."""

INVENTORY_MAX = 12
"""Tags in one answer; the frame has room for no more of them."""


class VendorDevice(Protocol):
    """A device behind a vendor's serial port."""

    def hear(self, data: bytes, now_us: int) -> bytes:
        """Take bytes; return what the device answers at once."""
        ...

    def tick(self, now_us: int) -> bytes:
        """Return what the device says by itself now."""
        ...


class CardModule:
    """Says each card that is held to it, again and again while it stays."""

    def __init__(self, protocol: SerialProtocol) -> None:
        assert protocol.framing is not None
        self._framing = protocol.framing
        self._size = protocol.size
        self._held: list[tuple[str, int]] = []
        self._next_us = 0

    def hold(self, card: str, now_us: int) -> None:
        """Hold a card to the reader for a moment."""
        self._held.append((card, now_us + HELD_US))

    def hear(self, data: bytes, now_us: int) -> bytes:
        """Ignore everything: the module has no receiver."""
        del data, now_us
        return b""

    def tick(self, now_us: int) -> bytes:
        """Say the cards that are held there now."""
        self._held = [each for each in self._held if each[1] > now_us]
        if now_us < self._next_us:
            return b""
        self._next_us = now_us + CARD_EVERY_US
        return b"".join(
            wrap(self._framing, card[-self._size :].encode("ascii")) for card, _ in self._held[:1]
        )


class TagReader:
    """Answers an inventory with the tags in its field."""

    def __init__(self, protocol: SerialProtocol, unit: int) -> None:
        assert protocol.framing is not None
        self._framing = protocol.framing
        self._framer = Framer(protocol.framing)
        self._unit = unit
        self._there: dict[str, int] = {}

    def hold(self, card: str, now_us: int) -> None:
        """Let a tag pass through the field."""
        self._there[card] = now_us + STAY_US

    def hear(self, data: bytes, now_us: int) -> bytes:
        """Answer each inventory; several frames where the tags do not fit into one."""
        answers = b""
        for payload in self._framer.feed(data):
            if payload[1:3] == bytes((self._unit, 1)):
                answers += self._inventory(now_us)
        return answers

    def tick(self, now_us: int) -> bytes:
        """Say nothing: the reader waits to be asked."""
        del now_us
        return b""

    def _inventory(self, now_us: int) -> bytes:
        self._there = {card: until for card, until in self._there.items() if until > now_us}
        tags = [bytes.fromhex(card) for card in self._there]
        if not tags:
            return self._frame(0xFB, b"")
        groups = [tags[at : at + INVENTORY_MAX] for at in range(0, len(tags), INVENTORY_MAX)]
        return b"".join(
            self._frame(
                1 if group is groups[-1] else 3,
                bytes((len(group),)) + b"".join(bytes((len(tag),)) + tag for tag in group),
            )
            for group in groups
        )

    def _frame(self, status: int, data: bytes) -> bytes:
        return wrap(self._framing, bytes((self._unit, 1, status)) + data)


class TimeReceiver:
    """Says the time each second. `valid` is whether it sees satellites, `offset_ms` its error."""

    def __init__(self, protocol: SerialProtocol) -> None:
        assert protocol.framing is not None
        self._framing = protocol.framing
        self._next_us = 0
        self.wall_ms = 0
        self.valid = True
        self.offset_ms = 0

    def hear(self, data: bytes, now_us: int) -> bytes:
        """Ignore everything: nobody sets up a receiver here."""
        del data, now_us
        return b""

    def tick(self, now_us: int) -> bytes:
        """Say both sentences once a second."""
        if now_us < self._next_us:
            return b""
        self._next_us = now_us + 1_000_000
        at = datetime.fromtimestamp((self.wall_ms + self.offset_ms) / 1000, tz=UTC)
        clock = f"{at:%H%M%S}.{at.microsecond // 1000:03d}"
        state = "A" if self.valid else "V"
        sentences = (
            f"BDRMC,{clock},{state},,,,,,,{at:%d%m%y},,,",
            f"BDZDA,{clock},{at:%d,%m,%Y},00,00",
        )
        return b"".join(wrap(self._framing, each.encode("ascii")) for each in sentences)


class Modem:
    """A GSM modem. `sent` holds (number, text) in order; `registered` and `refusals` are faults."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.registered = True
        self.refusals = 0
        self._buffer = b""
        self._number: str | None = None

    def hear(self, data: bytes, now_us: int) -> bytes:
        """Carry a dialogue on: commands end with a carriage return, a text with Ctrl-Z."""
        del now_us
        answers = b""
        self._buffer += data
        while True:
            end = b"\x1a" if self._number is not None else b"\r"
            if self._number is not None and self._buffer.startswith(b"\x1b"):
                self._buffer, self._number = self._buffer[1:], None
                continue
            line, found, rest = self._buffer.partition(end)
            if not found:
                return answers
            self._buffer = rest
            answers += self._take(line.strip(b"\x1b\r\n ").decode("ascii", "replace"))

    def tick(self, now_us: int) -> bytes:
        """Say nothing by itself."""
        del now_us
        return b""

    def _take(self, line: str) -> bytes:
        if self._number is not None:
            return self._text(line)
        if line.startswith("AT+CMGS="):
            self._number = _spelled(line.partition('"')[2].rstrip('"'))
            return b"\r\n> "
        if line == "AT+CREG?":
            return f"\r\n+CREG: 0,{1 if self.registered else 2}\r\n\r\nOK\r\n".encode("ascii")
        if line == "AT+CPIN?":
            return b"\r\n+CPIN: READY\r\n\r\nOK\r\n"
        return b"\r\nOK\r\n" if line.startswith("AT") else b""

    def _text(self, line: str) -> bytes:
        number, self._number = self._number, None
        if self.refusals or not self.registered:
            self.refusals = max(0, self.refusals - 1)
            return b"\r\n+CMS ERROR: 331\r\n"
        self.sent.append((number or "", _spelled(line)))
        return f"\r\n+CMGS: {len(self.sent)}\r\n\r\nOK\r\n".encode("ascii")


def _spelled(digits: str) -> str:
    """Return the text that UCS2 digits spell."""
    return bytes.fromhex(digits).decode("utf-16-be")
