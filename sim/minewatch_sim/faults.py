"""Faults of the wire and of devices, switched on and off by name; tests and scenarios use these.

A fault sits on a target: the id of a device or of a bus; the proxy's targets are `wire` and
`unit <n>`. Here stand the names, what is on now and how often each struck. What each does to the
bytes of an answer stands in `bending`, what a device does with itself (lost, frozen) in `devices`,
what happens to a connection or an adapter in `endpoints` and `proxy`.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from minewatch_sim.bending import Bender, Timed
from minewatch_sim.modbus_server import Request


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
    DUPLICATED = "duplicated"
    """The answer comes a second time, `delay_ms` after the first."""
    ONE_BEHIND = "one_behind"
    """Each question is answered with the answer that the question before should have had."""
    SPLIT = "split"
    """The answer comes in pieces, `delay_ms` apart."""
    HALVES = "halves"
    """The answer comes in two parts, `delay_ms` apart, cut at each of its bytes in turn."""
    TRUNCATED = "truncated"
    """The last bytes of the answer are missing."""
    WRONG_UNIT = "wrong_unit"
    WRONG_FUNCTION = "wrong_function"
    WRONG_COUNT = "wrong_count"
    WRONG_TRANSACTION = "wrong_transaction"
    """Transaction id of another request; a checksum error on a serial line."""
    ZERO_TRANSACTION = "zero_transaction"
    """Transaction id 0, as some gateways send; nothing on a serial line."""
    NOISE = "noise"
    """Bytes of noise stand before the answer."""
    NOISE_AFTER = "noise_after"
    """Bytes of noise follow the answer."""
    CORRUPT = "corrupt"
    """One bit of the answer is flipped."""
    MANGLED = "mangled"
    """Every byte of the answer is random but for its length: one in 65 536 has a right checksum."""
    FORGED = "forged"
    """One bit of the payload is flipped, and length and checksum are right again."""
    ECHO = "echo"
    """The adapter hears itself: the question comes back before the answer."""
    FLOOD = "flood"
    """Noise without end follows the answer."""
    EXCEPTION = "exception"
    """The device answers with exception `code`."""
    ECHO_OPPOSITE = "echo_opposite"
    """A coil write is done, and the echo says the opposite."""
    REBOOT = "reboot"
    """A gateway closes every connection and refuses new ones while the fault is on."""
    ACCEPT_THEN_CLOSE = "accept_then_close"
    """A gateway accepts and closes at once."""
    UNPLUGGED = "unplugged"
    """The adapter of a serial line is gone while the fault is on, its path too."""
    RENUMBERED = "renumbered"
    """The adapter comes back under the path of another one, and that one under its own."""
    SECOND_MASTER = "second_master"
    """Another master repeats questions of ours, `delay_ms` after an answer; all hear both."""
    SECOND_WRITER = "second_writer"
    """Another master writes the opposite of our last coil write, `delay_ms` after an answer."""


CLOSING = frozenset({Fault.REBOOT, Fault.ACCEPT_THEN_CLOSE})
SILENT = frozenset({Fault.LOST, Fault.MUTE, Fault.DROP, *CLOSING, Fault.UNPLUGGED})
FOREIGN = frozenset({Fault.SECOND_MASTER, Fault.SECOND_WRITER})
STANDING = frozenset({*CLOSING, *FOREIGN, Fault.UNPLUGGED, Fault.RENUMBERED, Fault.FROZEN})
"""Faults that bend no answer: a connection, an adapter, a bus or a device is in that state."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a fault shows: how often, how late, which exception."""

    share: float = 1.0
    delay_ms: int = 1000
    code: int = 4


@dataclass
class Faults:
    """What is wrong now. `on` and `off` take a target; `struck` counts exchanges by fault."""

    rng: random.Random
    struck: Counter[str] = field(default_factory=Counter)
    _active: dict[str, dict[Fault, Setting]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._bender = Bender(self.rng)

    def on(
        self, target: str, fault: str, share: float = 1.0, delay_ms: int = 1000, code: int = 4
    ) -> None:
        """Begin a fault.

        Raises:
            ValueError: no fault of that name, or a number that cannot be.
        """
        if not 0 < share <= 1 or delay_ms < 0 or not 1 <= code <= 255:
            raise ValueError(f"{fault}: share {share}, delay_ms {delay_ms}, code {code}")
        self._active.setdefault(target, {})[Fault(fault)] = Setting(share, delay_ms, code)

    def off(self, target: str, fault: str | None = None) -> None:
        """End one fault of a target, or all of them."""
        if fault is not None:
            self._active.get(target, {}).pop(Fault(fault), None)
        if fault is None or not self._active.get(target):
            self._active.pop(target, None)

    def has(self, target: str, fault: Fault) -> bool:
        """Return whether a fault stands on a target."""
        return fault in self._active.get(target, {})

    @property
    def quiet(self) -> bool:
        """Return whether nothing is wrong anywhere."""
        return not self._active

    def any(self, *targets: str) -> bool:
        """Return whether anything at all stands on one of these targets."""
        return bool(self._active) and any(target in self._active for target in targets)

    def strike(self, *targets: str) -> Iterator[tuple[Fault, Setting]]:
        """Yield the faults that hit this exchange, each drawn by its share."""
        for target in targets:
            for fault, setting in self._active.get(target, {}).items():
                if setting.share >= 1.0 or self.rng.random() < setting.share:
                    yield fault, setting

    def foreign(self, *targets: str) -> tuple[Fault, int] | None:
        """Return whether another master speaks after this exchange: the fault and its delay, µs."""
        for target in targets:
            for fault in FOREIGN & self._active.get(target, {}).keys():
                setting = self._active[target][fault]
                if setting.share >= 1.0 or self.rng.random() < setting.share:
                    return fault, setting.delay_ms * 1000
        return None

    def spoil(self, request: Request, pdu: bytes, *targets: str) -> Timed:
        """Return the reply's bytes as the faults of `targets` leave them, none if silent."""
        if not self.any(*targets):
            return [(0, request.frame(pdu))]
        struck = {
            fault.value: setting
            for fault, setting in self.strike(*targets)
            if fault not in STANDING or fault in SILENT
        }
        self.struck.update(struck.keys())
        if struck.keys() & SILENT:
            return []
        return self._bender.bend(request, pdu, struck)
