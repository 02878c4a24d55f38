"""Alarm rates (EEMUA 191): how much the operators were asked to read, from the ledger's own events.

A pure look over events, oldest first, of any number of runs. Time is the clock that counts suspend;
where it began anew (a reboot) the wall clock says how long the box was away. Only alarms that
sounded count as raised; held ones, and repetitions of one that was answered, are counted beside
them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from minewatch.core.alarms import flood
from minewatch.model.event import Event

KINDS = frozenset({"alarm_raised", "alarm_cleared", "controller_started", "journal_sealed"})
"""The kinds of events that these figures are made of; a seal each minute carries the time on."""

PER_HOUR_MAX = 6
"""Alarms per hour and operator that are acceptable: one in ten minutes (EEMUA 191)."""

PEAK_MAX = flood.BEGIN_ABOVE
"""Alarms within ten minutes after an upset (EEMUA 191)."""

FLOOD_PERCENT_MAX = 1
"""Share of the time in flood (ISA-18.2)."""

TOP = 10
STALE_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Often:
    """An alarm and how often it sounded."""

    alarm_kind: str
    source: str
    count: int


@dataclass(frozen=True, slots=True)
class Rates:
    """The figures of one stretch of time, as counts and ms.

    `standing` alarms have not cleared at its end, `stale` ones for 24 h.
    """

    span_ms: int
    raised: int
    held: int
    planned: int
    peak: int
    flood_ms: int
    standing: int
    stale: int
    chattering: tuple[Often, ...]
    priorities: dict[int, int]


@dataclass(slots=True)
class _Tally:
    """What one pass over the events gathers; `times` are of alarms that sounded."""

    times: list[int] = field(default_factory=list)
    held: int = 0
    planned: int = 0
    often: Counter[tuple[str, str]] = field(default_factory=Counter)
    priorities: Counter[int] = field(default_factory=Counter)


def rates(events: Iterable[Event], since_wall_ms: int = 0) -> Rates:
    """Return the figures of what was raised at or after `since_wall_ms`.

    What was raised before counts only as standing, where it still does.
    """
    tally = _Tally()
    standing: dict[str, int] = {}
    first_ms, at_ms = None, 0
    for event, at_ms in _timed(events):
        if event.kind == "alarm_raised":
            standing.setdefault(event.data["alarm"], at_ms)
        elif event.kind == "alarm_cleared":
            standing.pop(event.data["alarm"], None)
        if event.wall_ms < since_wall_ms:
            continue
        first_ms = at_ms if first_ms is None else first_ms
        if event.kind == "alarm_raised":
            _count(tally, event, at_ms)
    return Rates(
        span_ms=0 if first_ms is None else at_ms - first_ms,
        raised=len(tally.times),
        held=tally.held,
        planned=tally.planned,
        peak=peak(tally.times),
        flood_ms=flooded_ms(tally.times, at_ms),
        standing=len(standing),
        stale=sum(at_ms - raised_ms >= STALE_MS for raised_ms in standing.values()),
        chattering=tuple(Often(*key, count) for key, count in _most(tally.often)),
        priorities=dict(sorted(tally.priorities.items())),
    )


def peak(times: Sequence[int]) -> int:
    """Return the most alarms within any ten minutes; `times` in ms, in order."""
    most = first = 0
    for last, at_ms in enumerate(times):
        while at_ms - times[first] >= flood.WINDOW_MS:
            first += 1
        most = max(most, last - first + 1)
    return most


def flooded_ms(times: Sequence[int], end_ms: int) -> int:
    """Return how long the flood's own rule stood until `end_ms`; `times` in ms, in order."""
    total_ms, since_ms = 0, None
    recent: tuple[int, ...] = ()
    for at_ms in (*times, end_ms):
        if since_ms is not None:
            over_ms = min(recent[-flood.END_BELOW] + flood.WINDOW_MS, at_ms)
            total_ms += over_ms - since_ms
            since_ms = at_ms if over_ms == at_ms else None
        recent = flood.with_recent(recent, at_ms)
        if since_ms is None and flood.begins(recent, at_ms):
            since_ms = at_ms
    return total_ms


def _most(often: Counter[tuple[str, str]]) -> list[tuple[tuple[str, str], int]]:
    """Return the most frequent, in an order that does not depend on who came first."""
    return sorted(often.items(), key=lambda each: (-each[1], each[0]))[:TOP]


def _timed(events: Iterable[Event]) -> Iterator[tuple[Event, int]]:
    """Yield each event with its ms on one clock that never goes back."""
    before: Event | None = None
    at_ms = 0
    for event in events:
        if before is not None:
            passed_ms = event.now_ms - before.now_ms
            at_ms += passed_ms if passed_ms >= 0 else max(0, event.wall_ms - before.wall_ms)
        before = event
        yield event, at_ms


def _count(tally: _Tally, event: Event, at_ms: int) -> None:
    data = event.data
    if data.get("held") or data.get("answered") is not None:
        tally.held += 1
        return
    tally.times.append(at_ms)
    tally.planned += bool(data["planned"])
    tally.often[data["alarm_kind"], data["source"]] += 1
    tally.priorities[data["priority"]] += 1
