"""Comparison: what the certified system says beside what we say (practice 33).

Both are looked at once a second. A difference above the pair's limit that stands for its time is
an event and a warning; it is over once it has been inside, or one side silent, for as long again.
It says that one of two systems is wrong, not which, so it demands nothing and clears nothing: no
output, no limit and no count depends on this room.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from minewatch.core.alarms import alarm
from minewatch.core.folding import Fold, with_entry, without
from minewatch.core.people.roster import Span
from minewatch.model.alarm import AlarmKind
from minewatch.model.event import Event
from minewatch.model.kind import Kind
from minewatch.model.mine import Comparison
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable, State

LOOK_MS = 1_000

MINE = "mine"
"""The zone whose headcount is that of the whole mine."""


class Seen(NamedTuple):
    """Two GOOD sides: ours between `lo` and `hi` (None: nothing bounds it), theirs, how far off.

    `difference` is theirs minus the nearest of ours, 0 inside.
    """

    lo: int
    hi: int | None
    theirs: int
    difference: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A difference that stands: the two sides as they were when it was told, and since when."""

    id: str
    ours: str
    theirs: str
    lo: int
    hi: int | None
    value: int
    difference: int
    limit: int
    since_ms: int


@dataclass(frozen=True, slots=True)
class ComparisonDurable:
    """The differences that stand, by the id of their pair."""

    open: Mapping[str, Standing] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ComparisonVolatile:
    """`turning` says since when a pair has been on the other side of its state: beyond, or back."""

    next_ms: int = 0
    turning: Mapping[str, int] = field(default_factory=dict)


def decide(draft: "Draft") -> None:
    """Look at every pair, once a second."""
    pairs, standing = draft.mine.comparisons, draft.durable.comparisons.open
    now_ms = draft.image.now_ms
    if not (pairs or standing) or now_ms < draft.volatile.comparisons.next_ms:
        return
    before = draft.volatile.comparisons.turning
    turning: dict[str, int] = {}
    for pair in pairs:
        seen = look(draft, pair)
        beyond = seen is not None and abs(seen.difference) > pair.more_than
        if beyond is (pair.id in standing):
            if beyond and seen is not None:
                _raise(draft, pair, seen)
            continue
        since_ms = turning[pair.id] = before.get(pair.id, now_ms)
        if now_ms - since_ms >= pair.for_ms:
            _turn(draft, pair, seen, since_ms, beyond=beyond)
            del turning[pair.id]
    for pair_id in sorted(standing.keys() - {each.id for each in pairs}):
        _close(draft, pair_id, "removed")
    draft.update_volatile(comparisons=ComparisonVolatile(now_ms + LOOK_MS, turning))


def look(draft: "Draft", pair: Comparison) -> Seen | None:
    """Return both sides of a pair, None where one of them says nothing that may be believed."""
    theirs = draft.live.get(pair.theirs)
    ours = _headcount(draft, pair.ours) if pair.kind is Kind.HEADCOUNT else _value(draft, pair.ours)
    if ours is None or theirs is None or theirs.value is None:
        return None
    if theirs.quality is not Quality.GOOD:
        return None
    value, (lo, hi) = theirs.value, ours
    difference = value - lo if value < lo else 0 if hi is None or value <= hi else value - hi
    return Seen(lo, hi, value, difference)


def _value(draft: "Draft", point_id: str) -> Span | None:
    live = draft.live.get(point_id)
    if live is None or live.value is None or live.quality is not Quality.GOOD:
        return None
    return Span(live.value, live.value)


def _headcount(draft: "Draft", zone: str) -> Span | None:
    count = draft.volatile.people.count
    return count.mine if zone == MINE else count.zones.get(zone)


def _turn(
    draft: "Draft", pair: Comparison, seen: Seen | None, since_ms: int, *, beyond: bool
) -> None:
    if not beyond:
        _close(draft, pair.id, "lost" if seen is None else "inside")
    else:
        assert seen is not None  # what says nothing is never beyond
        draft.emit(
            "comparison_opened",
            comparison=pair.id,
            difference=seen.difference,
            limit=pair.more_than,
            other=pair.theirs,
            ours_hi=seen.hi,
            ours_lo=seen.lo,
            point=pair.ours,
            since_ms=since_ms,
            theirs=seen.theirs,
        )
        _raise(draft, pair, seen)


def _raise(draft: "Draft", pair: Comparison, seen: Seen) -> None:
    plan = draft.plan.points.get(pair.id)
    alarm.raise_(
        draft,
        AlarmKind.COMPARISON,
        pair.id,
        zone="" if plan is None else plan.zone,
        value=abs(seen.difference),
        limit=pair.more_than,
    )


def _close(draft: "Draft", pair_id: str, reason: str) -> None:
    standing = draft.durable.comparisons.open[pair_id]
    draft.emit(
        "comparison_closed",
        comparison=pair_id,
        duration_ms=draft.image.now_ms - standing.since_ms,
        other=standing.theirs,
        point=standing.ours,
        reason=reason,
    )
    alarm.clear(draft, AlarmKind.COMPARISON, pair_id)


def view(state: "State") -> dict[str, Any]:
    """Return the frame's `comparisons`: the differences that stand, as they were when told."""
    return {
        "comparisons": {
            each.id: {
                "point": each.ours,
                "other": each.theirs,
                "ours_lo": each.lo,
                "ours_hi": each.hi,
                "theirs": each.value,
                "difference": each.difference,
                "limit": each.limit,
                "since_ms": each.since_ms,
            }
            for each in state.durable.comparisons.open.values()
        }
    }


def _opened(durable: "Durable", event: Event) -> "Durable":
    data = event.data
    standing = Standing(
        id=data["comparison"],
        ours=data["point"],
        theirs=data["other"],
        lo=data["ours_lo"],
        hi=data["ours_hi"],
        value=data["theirs"],
        difference=data["difference"],
        limit=data["limit"],
        since_ms=data["since_ms"],
    )
    open_ = with_entry(durable.comparisons.open, standing.id, standing)
    return replace(durable, comparisons=ComparisonDurable(open_))


def _closed(durable: "Durable", event: Event) -> "Durable":
    open_ = without(durable.comparisons.open, event.data["comparison"])
    return replace(durable, comparisons=ComparisonDurable(open_))


def _restarted(durable: "Durable", event: Event) -> "Durable":
    """Carry ages over to the new run's clock where it began anew (a reboot)."""
    shift_ms = event.now_ms - durable.now_ms
    if shift_ms >= 0 or not durable.comparisons.open:
        return durable
    shifted = {
        key: replace(each, since_ms=each.since_ms + shift_ms)
        for key, each in durable.comparisons.open.items()
    }
    return replace(durable, comparisons=ComparisonDurable(shifted))


FOLDS: dict[str, Fold] = {
    "comparison_opened": _opened,
    "comparison_closed": _closed,
    "controller_started": _restarted,
}
