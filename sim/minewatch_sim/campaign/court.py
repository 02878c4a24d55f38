"""The court: lets every invariant look on and keeps the first violation of each."""

from collections.abc import Iterable
from dataclasses import dataclass

from minewatch.core.step import Step
from minewatch.model.image import Image
from minewatch_sim.campaign.house import House
from minewatch_sim.campaign.invariant import Invariant
from minewatch_sim.campaign.invariants_house import HOUSE, STEP_MS
from minewatch_sim.campaign.invariants_people import PEOPLE
from minewatch_sim.campaign.invariants_power import POWER
from minewatch_sim.campaign.reached import Reached
from minewatch_sim.campaign.witness import GAP_MS, Turn, Witness

EVERY: tuple[type[Invariant], ...] = (*POWER, *HOUSE, *PEOPLE)
NEWEST_EVENTS = 20
FRAME_MS = 500
"""Frames come from turns: who has not turned for so long shows nothing."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken invariant: when, in which words, and the newest entries before it."""

    code: str
    at_ms: int
    says: str
    events: tuple[str, ...]


class Court:
    """Judges a house through all its lives."""

    def __init__(self, house: House, witness: Witness, reached: Reached) -> None:
        self._house = house
        self._witness = witness
        self._reached = reached
        self._judges = tuple(each() for each in EVERY)
        self._turners = tuple(each for each in self._judges if _overrides(each, "turn"))
        self._readers = tuple(each for each in self._turners if each.reads)
        self._seconds = tuple(each for each in self._judges if _overrides(each, "second"))
        self._senders = tuple(each for each in self._judges if _overrides(each, "sent"))
        self.violations: dict[str, Violation] = {}
        house.listeners.append(self._heard)
        if house.controller is not None:
            house.controller.listeners.append(self._heard)
        house.begun.append(self._born)
        house.died.append(self._died)
        house.bench.sent = self._sent
        for judge in self._judges:
            self._note(judge.code, judge.born(witness))

    def second(self) -> None:
        """Look once a second, at the frame where anybody lives, at the plant in any case."""
        witness = self._witness
        witness.follow(self._house.now_ms)
        frame = witness.frame()
        if frame is None or self._house.now_ms - witness.turned_ms > FRAME_MS:
            self.dark()
            return
        self._reached.second(witness, frame)
        for judge in self._seconds:
            self._note(judge.code, judge.second(witness, frame))

    def dark(self) -> None:
        """Look at the plant while nobody turns."""
        now_ms = self._house.now_ms
        self._witness.follow(now_ms)
        for judge in self._judges:
            self._note(judge.code, judge.dark(self._witness, now_ms))

    def note(self, code: str, words: Iterable[str]) -> None:
        """Keep a violation that somebody else has found."""
        self._note(code, words)

    def _heard(self, decided: Step, image: Image) -> None:
        witness = self._witness
        turn = witness.heard(decided, image)
        quiet = _is_quiet(turn)
        if quiet and not image.samples:
            return
        if not quiet:
            self._reached.turn(witness, turn)
        for judge in self._readers if quiet else self._turners:
            self._note(judge.code, judge.turn(witness, turn))

    def _born(self, prior: str) -> None:
        self._witness.born(prior)
        self._reached.born(self._witness)
        for judge in self._judges:
            self._note(judge.code, judge.born(self._witness))

    def _died(self) -> None:
        self._reached.died(self._witness)
        for judge in self._judges:
            self._note(judge.code, judge.died(self._witness))

    def _sent(self, bus: str, function: int) -> None:
        now_ms = self._house.now_ms
        for judge in self._senders:
            self._note(judge.code, judge.sent(self._witness, bus, function, now_ms))

    def _note(self, code: str, words: Iterable[str]) -> None:
        for says in words:
            if code not in self.violations:
                newest = self._witness.history[-NEWEST_EVENTS:]
                events = tuple(f"{at_ms:>9} {e.kind} {e.data}"[:400] for at_ms, e in newest)
                self.violations[code] = Violation(code, self._house.now_ms, says, events)


def _is_quiet(turn: Turn) -> bool:
    """Say whether a cycle decided nothing and asked nothing."""
    return (
        not turn.events
        and not turn.image.commands
        and turn.outputs is not None
        and turn.outputs == turn.before
        and turn.gap_ms <= GAP_MS
        and abs(turn.wall_step_ms) <= STEP_MS
    )


def _overrides(judge: Invariant, method: str) -> bool:
    return getattr(type(judge), method) is not getattr(Invariant, method)
