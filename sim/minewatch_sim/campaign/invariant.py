"""The shape of an invariant: one small class that looks on and says in one sentence what it saw."""

from collections.abc import Iterator
from typing import Any

from minewatch_sim.campaign.witness import Turn, Witness

Frame = dict[str, Any]
Words = Iterator[str]


class Invariant:
    """Overrides what it needs; every sentence that it yields is a violation.

    `code` is its name in the safety case, `says` the rule in words.
    """

    code = ""
    says = ""
    reads = False
    """Whether it looks at readings: then `turn` is called for every cycle that brings some."""

    def turn(self, w: Witness, t: Turn) -> Words:
        """Look at one cycle, after the witness has taken it."""
        del w, t
        yield from ()

    def second(self, w: Witness, frame: Frame) -> Words:
        """Look at what is shown and at the plant, once a second while a process lives."""
        del w, frame
        yield from ()

    def dark(self, w: Witness, now_ms: int) -> Words:
        """Look at the plant once a second while no process lives or none turns."""
        del w, now_ms
        yield from ()

    def born(self, w: Witness) -> Words:
        """Look at the start of a process, before its first turn."""
        del w
        yield from ()

    def died(self, w: Witness) -> Words:
        """Look at what the disk holds after a crash."""
        del w
        yield from ()

    def sent(self, w: Witness, bus: str, function: int, now_ms: int) -> Words:
        """Look at a question that leaves on a line."""
        del w, bus, function, now_ms
        yield from ()
