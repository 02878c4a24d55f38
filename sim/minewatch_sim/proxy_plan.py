"""What a proxy is told to do to a wire: faults as text, and when each is on.

`late=0.1,delay_ms=700,unit=5,every_s=10,for_s=3` delays a tenth of unit 5's answers by 700 ms, in
the first three seconds of every ten.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from minewatch_sim.faults import STANDING, Fault, Faults
from minewatch_sim.proxy import WIRE, unit_target

KEYS = frozenset({"delay_ms", "code", "unit", "every_s", "for_s"})
OF_DEVICES = frozenset({Fault.FROZEN, Fault.LOST})
"""Faults that only a simulated device can have."""


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One fault, on for `for_s` of every `every_s`; always where `every_s` is 0."""

    fault: Fault
    target: str
    share: float
    delay_ms: int
    code: int
    every_s: float
    for_s: float

    def is_on(self, at_s: float) -> bool:
        """Return whether it stands so long after the start."""
        return self.every_s == 0 or at_s % self.every_s < self.for_s


def parse_fault(text: str) -> PlannedFault:
    """Return what `text` says.

    Raises:
        ValueError: no such fault or key, or a number that cannot be.
    """
    (name, share), *rest = (_pair(part) for part in text.split(","))
    fault, given = Fault(name), dict(rest)
    unknown = given.keys() - KEYS
    if unknown or fault in OF_DEVICES:
        raise ValueError(f"{text!r}: {', '.join(sorted(unknown)) or name} cannot be here")
    if fault in STANDING and "unit" in given:
        raise ValueError(f"{text!r}: {name} is of the whole wire")
    planned = PlannedFault(
        fault=fault,
        target=unit_target(int(given["unit"])) if "unit" in given else WIRE,
        share=float(share or 1),
        delay_ms=int(given.get("delay_ms", 100)),
        code=int(given.get("code", 4)),
        every_s=float(given.get("every_s", 0)),
        for_s=float(given.get("for_s", given.get("every_s", 0))),
    )
    if not 0 < planned.share <= 1 or min(planned.delay_ms, planned.every_s, planned.for_s) < 0:
        raise ValueError(f"{text!r}: a number cannot be")
    return planned


class Plan:
    """Switches planned faults on and off as time passes."""

    def __init__(self, planned: Iterable[PlannedFault], faults: Faults) -> None:
        self._planned = tuple(planned)
        self._faults = faults
        self._on: set[PlannedFault] = set()

    def follow(self, at_s: float) -> None:
        """Bring the faults into the state of so long after the start."""
        for each in self._planned:
            if each.is_on(at_s) == (each in self._on):
                continue
            if each in self._on:
                self._on.discard(each)
                self._faults.off(each.target, each.fault)
            else:
                self._on.add(each)
                self._faults.on(each.target, each.fault, each.share, each.delay_ms, each.code)


def _pair(part: str) -> tuple[str, str]:
    key, _, value = part.strip().partition("=")
    return key, value
