"""Rise: how fast water comes up, from successive GOOD samples (domain facts §1.3, §5.3).

A level is compared with the lowest GOOD one within the last `Point.rise_over_ms`. Has it risen in
that time by as much as its limit allows, the alarm is raised; a fast rise is seen at once, a slow
one within that time. At the withdraw limit it is an inrush and the whole mine is withdrawn. Either
ends below four fifths of its limit, once the level was GOOD without a gap for that whole time.
Limits are the mine's own, in the level's unit per hour.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from minewatch.core.alarms import alarm
from minewatch.core.plan import PointPlan
from minewatch.core.withdrawals import withdrawal
from minewatch.core.withdrawals.withdrawal import WHOLE_MINE
from minewatch.model.alarm import AlarmKind
from minewatch.model.kind import Kind
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

LOOK_MS = 10_000
"""How often levels are looked at; nothing floods within it."""

SLOTS = 30
"""The time is kept as so many slots, each with its lowest level: what is kept stays small."""

HOUR_MS = 3_600_000


class History(NamedTuple):
    """One level: newest sample, start of the unbroken GOOD run, (slot, lowest) oldest first."""

    sampled_ms: int
    since_ms: int
    slots: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class RiseVolatile:
    """What levels were; a restart begins anew, and what stands holds until it has been watched."""

    next_ms: int = 0
    of: Mapping[str, History] = field(default_factory=dict)


def decide(draft: "Draft") -> None:
    """Look at every level that has a limit on its rise."""
    levels = draft.plan.by_kind.get(Kind.WATER_LEVEL)
    volatile, now_ms = draft.volatile.rise, draft.image.now_ms
    if levels is None or now_ms < volatile.next_ms:
        return
    histories = {
        point_id: history
        for point_id in levels
        if (history := _look(draft, draft.plan.points[point_id], volatile.of.get(point_id)))
    }
    draft.update_volatile(rise=RiseVolatile(now_ms + LOOK_MS, histories))


def _look(draft: "Draft", plan: PointPlan, before: History | None) -> History | None:
    """Return the level's history with its newest sample; what is not GOOD adds nothing."""
    over_ms, live = plan.point.rise_over_ms, draft.live[plan.id]
    level = live.value if live.quality is Quality.GOOD else None
    if not over_ms or level is None:
        return before
    since_ms = live.sampled_ms
    if before is not None:
        gap_ms = live.sampled_ms - before.sampled_ms
        if gap_ms == 0:
            return before
        if gap_ms <= max(2 * LOOK_MS, plan.stale_ms):
            since_ms = before.since_ms
    slot = live.sampled_ms * SLOTS // over_ms
    lowest = {n: low for n, low in (before.slots if before else ()) if n > slot - SLOTS}
    lowest[slot] = min(level, lowest.get(slot, level))
    history = History(live.sampled_ms, since_ms, tuple(lowest.items()))
    _compare(draft, plan, level - min(lowest.values()), history)
    return history


def _compare(draft: "Draft", plan: PointPlan, rise: int, history: History) -> None:
    limits, over_ms = plan.point.limits, plan.point.rise_over_ms
    watched = history.sampled_ms - history.since_ms >= over_ms
    per_hour = rise * HOUR_MS // over_ms
    for kind, limit in (
        (AlarmKind.RISE, limits.rise_alarm),
        (AlarmKind.INRUSH, limits.rise_withdraw),
    ):
        if limit is None:
            continue
        if rise * HOUR_MS >= limit * over_ms:
            alarm.raise_(draft, kind, plan.id, zone=plan.zone, value=per_hour, limit=limit)
            if kind is AlarmKind.INRUSH:
                withdrawal.demand(draft, (WHOLE_MINE,), f"inrush:{plan.id}")
        elif watched and rise * HOUR_MS * 5 < limit * over_ms * 4:
            alarm.clear(draft, kind, plan.id)
