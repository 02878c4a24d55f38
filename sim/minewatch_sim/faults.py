"""Faults of the wire and of devices, switched on and off by name; tests and scenarios use these.

A fault sits on a target: the id of a device or of a bus. Faults of a bus hit every exchange on it.
What each does to a reply stands in `spoil`; what a device does with itself (lost, frozen) stands in
`minewatch_sim.devices`.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from minewatch_sim.modbus_server import Request

NOISE_BYTES = 3
PIECES_MAX = 4
SWAPPED_FUNCTION = {1: 2, 2: 1, 3: 4, 4: 3, 5: 6, 6: 5, 15: 16, 16: 15}


class Fault(StrEnum):
    """What can go wrong."""

    LOST = "lost"
    """Device without power: never answers, holds no state."""
    FROZEN = "frozen"
    """Device answers with the registers that it showed last before the fault."""
    MUTE = "mute"
    """The connection stands, no answer comes."""
    LATE = "late"
    """The answer comes `delay_ms` later."""
    DROP = "drop"
    """The answer is lost with the given `share`."""
    SPLIT = "split"
    """The answer comes in pieces, `delay_ms` apart."""
    TRUNCATED = "truncated"
    """The last bytes of the answer are missing."""
    WRONG_UNIT = "wrong_unit"
    WRONG_FUNCTION = "wrong_function"
    WRONG_COUNT = "wrong_count"
    WRONG_TRANSACTION = "wrong_transaction"
    """Transaction id of another request; a checksum error on a serial line."""
    NOISE = "noise"
    """Bytes of noise stand before the answer."""
    CORRUPT = "corrupt"
    """One byte of the answer is flipped."""
    EXCEPTION = "exception"
    """The device answers with exception `code`."""
    ECHO_OPPOSITE = "echo_opposite"
    """A coil write is done, and the echo says the opposite."""
    REBOOT = "reboot"
    """A gateway closes every connection and refuses new ones while the fault is on."""
    ACCEPT_THEN_CLOSE = "accept_then_close"
    """A gateway accepts and closes at once."""


CLOSING = frozenset({Fault.REBOOT, Fault.ACCEPT_THEN_CLOSE})
SILENT = frozenset({Fault.LOST, Fault.MUTE, Fault.DROP, Fault.REBOOT, Fault.ACCEPT_THEN_CLOSE})

Timed = list[tuple[int, bytes]]
"""Bytes to send, each with its delay in µs after the request's last byte."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a fault shows: how late, how often, which exception."""

    share: float = 1.0
    delay_ms: int = 1000
    code: int = 4


@dataclass
class Faults:
    """What is wrong now. `on` and `off` take the id of a device or of a bus."""

    rng: random.Random
    _active: dict[str, dict[Fault, Setting]] = field(default_factory=dict)

    def on(
        self, target: str, fault: str, share: float = 1.0, delay_ms: int = 1000, code: int = 4
    ) -> None:
        """Begin a fault.

        Raises:
            ValueError: no fault of that name.
        """
        self._active.setdefault(target, {})[Fault(fault)] = Setting(share, delay_ms, code)

    def off(self, target: str, fault: str | None = None) -> None:
        """End one fault of a target, or all of them."""
        if fault is None:
            self._active.pop(target, None)
        else:
            self._active.get(target, {}).pop(Fault(fault), None)

    def has(self, target: str, fault: Fault) -> bool:
        """Return whether a fault stands on a target."""
        return fault in self._active.get(target, {})

    def strike(self, *targets: str) -> Iterator[tuple[Fault, Setting]]:
        """Yield the faults that hit this exchange, each drawn by its share."""
        for target in targets:
            for fault, setting in self._active.get(target, {}).items():
                if setting.share >= 1.0 or self.rng.random() < setting.share:
                    yield fault, setting

    def spoil(self, request: Request, pdu: bytes, *targets: str) -> Timed:
        """Return the reply's bytes as the faults of `targets` leave them, none if silent."""
        struck = dict(self.strike(*targets))
        if struck.keys() & SILENT:
            return []
        if Fault.EXCEPTION in struck:
            pdu = bytes((request.pdu[0] | 0x80, struck[Fault.EXCEPTION].code))
        data = self._bend(request, pdu, struck)
        delay_us = struck[Fault.LATE].delay_ms * 1000 if Fault.LATE in struck else 0
        if Fault.SPLIT not in struck:
            return [(delay_us, data)]
        return [
            (delay_us + position * struck[Fault.SPLIT].delay_ms * 1000, piece)
            for position, piece in enumerate(self._pieces(data))
        ]

    def _bend(self, request: Request, pdu: bytes, struck: dict[Fault, Setting]) -> bytes:
        if Fault.WRONG_FUNCTION in struck:
            pdu = bytes((SWAPPED_FUNCTION.get(pdu[0], pdu[0] ^ 1),)) + pdu[1:]
        if Fault.WRONG_COUNT in struck and pdu[0] < 5:
            width = 1 if pdu[0] < 3 else 2
            pdu = bytes((pdu[0], max(0, pdu[1] - width))) + pdu[2 : max(2, len(pdu) - width)]
        if Fault.ECHO_OPPOSITE in struck and pdu[0] == 5:
            pdu = pdu[:3] + bytes((pdu[3] ^ 0xFF, pdu[4]))
        unit = (request.unit + 1) & 0xFF if Fault.WRONG_UNIT in struck else None
        data = request.frame(pdu, unit, int(Fault.WRONG_TRANSACTION in struck))
        if Fault.CORRUPT in struck:
            place = self.rng.randrange(len(data))
            flipped = data[place] ^ (1 << self.rng.randrange(8))
            data = data[:place] + bytes((flipped,)) + data[place + 1 :]
        if Fault.TRUNCATED in struck:
            data = data[: -self.rng.randint(1, len(data) - 1)]
        if Fault.NOISE in struck:
            data = self.rng.randbytes(self.rng.randint(1, NOISE_BYTES)) + data
        return data

    def _pieces(self, data: bytes) -> list[bytes]:
        cuts = sorted(self.rng.sample(range(1, len(data)), min(PIECES_MAX, len(data)) - 1))
        return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
