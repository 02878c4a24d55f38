"""The roster: the shapes of what is known about people.

The durable ones say who is counted underground and what the mouth gates have counted; they change
only by an event of a kind in `turnover.FOLDS`. The volatile ones say where a badge was heard last
and which readers answer. Deciding happens in `hearing`, `gates`, `headcount` and `people`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from minewatch.core.deadline import Deadline

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.people.layout import Layout

EPISODE_MS = 60_000
"""Gate and reads that agree and rest for so long start a new count, so that a reason shows the
figures of its own cage (gate 9, reads 7) and not those of the year."""

UNBADGED = "unbadged"
"""Stands for a person whom only the gate has counted, where a person closed needs a badge."""


class Side(StrEnum):
    """What a sighting proves about a badge."""

    INSIDE = "inside"
    OUTSIDE = "outside"
    LEAVING = "leaving"
    EITHER = "either"


class Doubt(StrEnum):
    """Why a counted badge is in hi but not in lo."""

    NONE = ""
    LEAVING = "leaving"
    UNDIRECTED = "undirected"
    LATE = "late_read"


@dataclass(frozen=True, slots=True)
class Inside:
    """A badge counted underground. `seen_ms` is of the last event about it, not the last read.

    `sequence` is the number of the record that it entered by, None once it was heard elsewhere.
    """

    zone: str
    reader: str
    doubt: Doubt
    entered_ms: int
    entered_wall_ms: int
    entered_trusted: bool
    seen_ms: int
    moved_ms: int = 0
    also: str = ""
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """One direction at the mouth: bodies by the gates against badges by the readers."""

    gate: int = 0
    reads: int = 0
    at_ms: int = 0

    @property
    def more(self) -> int:
        """How many more bodies than badges; negative while a badge is read before its body."""
        return self.gate - self.reads

    def add(self, gate: int, reads: int, now_ms: int) -> "Balance":
        """Return the balance after so many more of each."""
        if self.more == 0 and now_ms - self.at_ms > EPISODE_MS:
            return Balance(gate, reads, now_ms)
        return Balance(self.gate + gate, self.reads + reads, now_ms)


class Gap(NamedTuple):
    """Reads that a reader has lost: so many moves near it are unknown until badges are heard."""

    reader: str
    lost: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class PeopleDurable:
    """What survives about people.

    `gaps_in` and `gaps_out` stand in for the balances where a mine has no mouth gate: reads that a
    mouth reader is known to have lost; `gaps` are the newest losses of all readers. `lost` holds
    the silent readers with the time of their last answer; until `blind_ms` people may have passed
    the mouth unseen; `full_ms` is when a badge was first refused for want of room. `latest_ms` is
    when the run before this one is last known to have listened.
    """

    inside: Mapping[str, Inside] = field(default_factory=dict)
    gates: Mapping[str, int] = field(default_factory=dict)
    came: Balance = field(default_factory=Balance)
    went: Balance = field(default_factory=Balance)
    gaps_in: int = 0
    gaps_out: int = 0
    gaps: tuple[Gap, ...] = ()
    lost: Mapping[str, int] = field(default_factory=dict)
    blind_ms: int | None = None
    full_ms: int | None = None
    latest_ms: int = 0
    handover: Deadline = field(default_factory=lambda: Deadline(0, 0))


class Track(NamedTuple):
    """Where a badge was heard last. The truth of it lies between `earliest_ms` and `latest_ms`.

    `also` is another zone where it may be as well: two records of which neither is surely newer.
    """

    reader: str
    zone: str
    side: Side
    earliest_ms: int
    latest_ms: int
    direction: int
    flags: int
    sequence: int | None
    also: str = ""


class Missing(NamedTuple):
    """A sequence number that a reader has skipped; it may still come."""

    earliest_ms: int
    since_ms: int


class Ear(NamedTuple):
    """A reader as heard: its last answer, its newest record, the numbers that it owes.

    After a silence or a start its records may be as old as `backlog_ms`, until it has had nothing
    to say for a while since `busy_ms`. `overflow` says that it reports lost records now.
    """

    answered_ms: int | None = None
    newest: int | None = None
    newest_time_s: int | None = None
    missing: Mapping[int, Missing] = {}
    replayed_ms: int | None = None
    backlog_ms: int | None = None
    busy_ms: int = 0
    overflow: bool = False


class Reason(NamedTuple):
    """Why a count is not exact; `gate` and `reads` only where bodies and badges differ."""

    code: str
    source: str
    amount: int
    gate: int | None = None
    reads: int | None = None


class Span(NamedTuple):
    """A count of people: at least `lo`, at most `hi` (None: nothing bounds it above)."""

    lo: int
    hi: int | None


@dataclass(frozen=True, slots=True)
class Count:
    """The counts of one moment. `limited` are the spans that stand against a zone's limit."""

    mine: Span = field(default_factory=lambda: Span(0, 0))
    reasons: tuple[Reason, ...] = ()
    at_least: bool = False
    zones: Mapping[str, Span] = field(default_factory=dict)
    limited: Mapping[str, Span] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PeopleVolatile:
    """What sightings bring back. `layout` is derived from the mine at the first cycle.

    The run began at `start_ms`; a reader that the run before had not lost has surely been listened
    to until `listened_ms`. `moves` counts images in which anybody was heard anew.
    """

    layout: "Layout | None" = None
    start_ms: int = 0
    listened_ms: int = 0
    tracks: Mapping[str, Track] = field(default_factory=dict)
    ears: Mapping[str, Ear] = field(default_factory=dict)
    marks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    gate_good_ms: Mapping[str, int] = field(default_factory=dict)
    ahead_since_ms: int | None = None
    moves: int = 0
    counted: tuple[object, int, int] | None = None
    count: Count = field(default_factory=Count)
    hazards: frozenset[str] = frozenset()
    trespassers: frozenset[str] = frozenset()
    judged: tuple[bool, bool] | None = None
    handover: bool = False
    refused_ms: int = 0
    looked_ms: int = 0
    swept_ms: int = 0


def update(draft: "Draft", **parts: Any) -> None:
    """Replace parts of the volatile people."""
    draft.update_volatile(people=replace(draft.volatile.people, **parts))
