"""Episodes: what was decided, as intervals that a person can compare: alarms, cuts, withdrawals.

`Chronicle` follows one world through its steps. Times are ms on the run's own clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from minewatch.core.state import Durable
from minewatch.core.step import Step


class Matter(StrEnum):
    """What an episode is about, the gravest first."""

    WITHDRAWAL = "withdrawal"
    CUT = "cut"
    ALARM = "alarm"


class Subject(NamedTuple):
    """What two worlds are compared by; `kind` is the alarm's, empty for the other matters."""

    matter: Matter
    source: str
    kind: str = ""


@dataclass(slots=True)
class Episode:
    """One interval; `ended_ms` is None while it lasts."""

    began_ms: int
    ended_ms: int | None = None


class Chronicle:
    """Every episode of one world, by subject, in the order in which they began."""

    def __init__(self) -> None:
        self.episodes: dict[Subject, list[Episode]] = {}
        self.refused = 0
        self._open: dict[Subject, Episode] = {}

    def begin(self, durable: Durable, now_ms: int) -> None:
        """Take what stood already when the run began."""
        self._compare(_standing(durable), now_ms)

    def heard(self, decided: Step, now_ms: int) -> None:
        """Take one step; what began and ended within it is kept too."""
        if not decided.events:
            return
        for event in decided.events:
            self.refused += event.kind == "command_refused"
            if event.kind == "alarm_raised":
                data = event.data
                self._begin(Subject(Matter.ALARM, data["source"], data["alarm_kind"]), now_ms)
        self._compare(_standing(decided.state.durable), now_ms)

    def _compare(self, standing: set[Subject], now_ms: int) -> None:
        for subject in sorted(standing - self._open.keys()):
            self._begin(subject, now_ms)
        for subject in sorted(self._open.keys() - standing):
            self._open.pop(subject).ended_ms = now_ms

    def _begin(self, subject: Subject, now_ms: int) -> None:
        if subject not in self._open:
            episode = self._open[subject] = Episode(now_ms)
            self.episodes.setdefault(subject, []).append(episode)


def _standing(durable: Durable) -> set[Subject]:
    alarms = durable.alarms
    standing = (alarms.items[each] for each in alarms.standing.values())
    found = {Subject(Matter.ALARM, a.source, str(a.kind)) for a in standing if a.active}
    found |= {Subject(Matter.CUT, output) for output in durable.interlock.held}
    order = durable.withdrawal.standing
    if order is not None:
        found |= {Subject(Matter.WITHDRAWAL, zone) for zone in order.zones}
    return found


@dataclass(frozen=True, slots=True)
class Tally:
    """Episodes of one subject in one world: how many, how long together, when the first began."""

    count: int
    total_ms: int
    first_ms: int | None


def tally(episodes: Iterable[Episode], end_ms: int) -> Tally:
    """Return the figures of a list of episodes; one that still lasts is counted to `end_ms`."""
    known = list(episodes)
    total_ms = sum((end_ms if e.ended_ms is None else e.ended_ms) - e.began_ms for e in known)
    return Tally(len(known), total_ms, known[0].began_ms if known else None)
