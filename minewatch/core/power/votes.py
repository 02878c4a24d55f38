"""Votes: redundant heads of one place that cut together, 1oo2 or 2oo3, and their disagreement.

A head at its trip limit or beyond its range votes for; a lost one does so once its fault time has
passed, so that 2oo3 with a dead head is 1oo2 of the others and cuts with the second; none that is
not GOOD ever votes against. A head under a named, timed act (calibration, bypass, hand cover) is
taken out and the votes needed fall by one, never below one. Limits of alarm and withdrawal never
vote: each head acts alone there (`readings/gas.py`). What a checker measures by hand needs no
second voice. Sources: domain.md interlock semantics, reliability catalogue of gas sensors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from minewatch.core.alarms import alarm
from minewatch.core.plan import PointPlan
from minewatch.core.power import interlock
from minewatch.core.power.layout import VoteGroup
from minewatch.core.readings import fault, points
from minewatch.model.alarm import AlarmKind
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

DISAGREE_MS = 30_000
LOOK_MS = 1_000
"""Quiet heads wake nobody; how far apart they lie is looked at this often."""

NEVER_MS = 2**62
_ALARM, _TRIP = 2, 3
_OPEN = frozenset({Quality.CALIBRATION, Quality.INHIBITED})


class Stance(Enum):
    """What a head says in a vote."""

    FOR = auto()
    AGAINST = auto()
    SILENT = auto()
    REMOVED = auto()


@dataclass(frozen=True, slots=True)
class Count:
    """A vote as it stands. `lost` are the heads among `yes` that only their silence put there.

    `due_ms` is when the next silent head counts for.
    """

    needed: int
    yes: tuple[str, ...]
    lost: tuple[str, ...]
    removed: tuple[str, ...]
    due_ms: int

    @property
    def is_carried(self) -> bool:
        """Say whether enough heads ask for the cut."""
        return len(self.yes) >= self.needed


@dataclass(frozen=True, slots=True)
class VotesVolatile:
    """Since when the heads of each group disagree, and when to look again."""

    disagree_ms: Mapping[str, int] = field(default_factory=dict)
    next_ms: int = 0


def decide(draft: "Draft") -> None:
    """Count every vote whose heads have moved or whose deadline has come."""
    groups = draft.plan.power.votes
    if not groups or not (draft.image.now_ms >= draft.volatile.votes.next_ms or _is_woken(draft)):
        return
    since: dict[str, int] = {}
    next_ms = NEVER_MS
    for group in groups:
        counted = count(draft, group)
        if group.decides and counted.is_carried:
            _cut(draft, group, counted)
        next_ms = min(next_ms, counted.due_ms, _compare(draft, group, since))
    draft.update_volatile(votes=VotesVolatile(since, next_ms))


def count(draft: "Draft", group: VoteGroup) -> Count:
    """Count one vote."""
    yes: list[str] = []
    lost: list[str] = []
    removed: list[str] = []
    due_ms = NEVER_MS
    for head in group.heads:
        plan = draft.plan.points[head]
        stance = _stance(draft, plan)
        if stance is Stance.FOR:
            yes.append(head)
            if not draft.live[head].quality.raises:
                lost.append(head)
        elif stance is Stance.SILENT:
            due_ms = min(due_ms, _lock_ms(draft, plan))
        elif stance is Stance.REMOVED:
            removed.append(head)
    needed = max(1, group.needed - len(removed))
    return Count(needed, tuple(yes), tuple(lost), tuple(removed), due_ms)


def heard(draft: "Draft", plan: PointPlan, value: int) -> None:
    """Cut at once where a checker measured a trip at a head that votes."""
    if plan.votes and value >= _limit(plan, _TRIP):
        interlock.demand(draft, "trip", plan.id, (plan.id,), plan.votes)


def _is_woken(draft: "Draft") -> bool:
    voters = draft.plan.power.voters
    return (
        draft.plan is not draft.volatile.plan
        or any(each.plan.id in voters for each in draft.moved)
        or not voters.isdisjoint(draft.checks)
    )


def _stance(draft: "Draft", plan: PointPlan) -> Stance:
    """Return what a head says; one in the hands of people is out while something guards it."""
    quality = draft.live[plan.id].quality
    if quality is Quality.OVER_RANGE or _is_high(draft, plan):
        return Stance.FOR
    if quality is Quality.GOOD:
        return Stance.AGAINST
    is_kept = fault.is_covered(draft, plan.id) or (
        quality in _OPEN and fault.is_guarded(draft, plan.id)
    )
    if is_kept:
        return Stance.REMOVED
    return Stance.FOR if draft.image.now_ms >= _lock_ms(draft, plan) else Stance.SILENT


def _is_high(draft: "Draft", plan: PointPlan) -> bool:
    """Say whether a GOOD value, or the hand value that is held beside it, is at the trip limit."""
    live = draft.live[plan.id]
    return (
        live.quality is Quality.GOOD
        and live.value is not None
        and points.reach(draft.durable, plan.id, live.value)[1] >= _limit(plan, _TRIP)
    )


def _limit(plan: PointPlan, level: int) -> int:
    """Return a limit of a head; one that it does not have is never reached."""
    return dict(plan.rises).get(level, NEVER_MS)


def _lock_ms(draft: "Draft", plan: PointPlan) -> int:
    return draft.live[plan.id].guarded_ms + plan.point.fault_after_ms


def _cut(draft: "Draft", group: VoteGroup, counted: Count) -> None:
    """Latch what the vote carried; heads that one line lost stay one cause with its others."""
    buses = {draft.plan.points[each].bus for each in counted.yes}
    if counted.yes == counted.lost and len(buses) == 1:
        (bus,) = buses
        if fault.is_line_lost(draft, bus):
            interlock.demand(draft, "line", bus, counted.yes, group.outputs)
            return
    interlock.demand(draft, "vote", group.id, counted.yes, group.outputs)


def _compare(draft: "Draft", group: VoteGroup, since: dict[str, int]) -> int:
    """Raise or end the disagreement of a group; return when to look again."""
    now_ms = draft.image.now_ms
    look_ms = NEVER_MS if group.spread is None else now_ms + LOOK_MS
    disagrees = _disagrees(draft, group)
    if disagrees is False:
        alarm.clear(draft, AlarmKind.VOTE_DISAGREEMENT, group.id)
    if not disagrees:
        return look_ms
    since[group.id] = draft.volatile.votes.disagree_ms.get(group.id, now_ms)
    due_ms = since[group.id] + DISAGREE_MS
    if now_ms < due_ms:
        return min(look_ms, due_ms)
    alarm.raise_(draft, AlarmKind.VOTE_DISAGREEMENT, group.id, zone=group.zone)
    return look_ms


def _disagrees(draft: "Draft", group: VoteGroup) -> bool | None:
    """Say whether heads contradict each other: one at trip, another below alarm, or far apart.

    None where fewer than two can be compared: that is no agreement.
    """
    highs: list[bool] = []
    lows: list[bool] = []
    values: list[int] = []
    for head in group.heads:
        plan, live = draft.plan.points[head], draft.live[head]
        if live.quality is Quality.OVER_RANGE:
            highs.append(True)
            lows.append(False)
        elif live.quality is Quality.GOOD and live.value is not None:
            highs.append(live.value >= _limit(plan, _TRIP))
            lows.append(live.value < _limit(plan, _ALARM))
            values.append(live.value)
    if len(highs) < 2:
        return None
    is_wide = group.spread is not None and bool(values) and max(values) - min(values) > group.spread
    return is_wide or (any(highs) and any(lows))


def view(draft: "Draft", group: VoteGroup) -> dict[str, Any]:
    """Return how the vote of a group stands, for the frame."""
    counted = count(draft, group)
    return {
        "needed": counted.needed,
        "of": len(group.heads) - len(counted.removed),
        "for": list(counted.yes),
        "lost": list(counted.lost),
        "removed": list(counted.removed),
        "degraded": bool(counted.lost or counted.removed),
        "disagrees_since_ms": draft.volatile.votes.disagree_ms.get(group.id),
    }
