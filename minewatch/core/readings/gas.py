"""Gas: every reading against its limits, at the very sample, without a delay (practice 6).

Alarm, trip and withdrawal act at value >= limit; an alarm ends by a GOOD value below its clear
limit alone. OVER_RANGE counts as above every limit and is latched, but for a switch: nothing could
end its latch, for nobody measures a switch by hand. What is not GOOD raises nothing
and clears nothing: what stands, holds.
"""

from typing import TYPE_CHECKING

from minewatch.core.alarms import alarm
from minewatch.core.plan import PointPlan
from minewatch.core.power import interlock
from minewatch.core.readings import chatter, fault, points
from minewatch.core.withdrawals import withdrawal
from minewatch.model.alarm import AlarmKind
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

KINDS = {
    1: AlarmKind.PRE_ALARM,
    2: AlarmKind.GAS_OVER_LIMIT,
    3: AlarmKind.TRIP,
    4: AlarmKind.WITHDRAW,
}
_ENDING = (
    *KINDS.values(),
    AlarmKind.LOW,
    AlarmKind.OVER_RANGE,
    AlarmKind.SENSOR_FAULT,
    AlarmKind.LOW_OXYGEN,
)
"""Kinds that a GOOD value of their point may end."""

_OPEN = frozenset({Quality.CALIBRATION, Quality.INHIBITED})


def decide(draft: "Draft") -> None:
    """Compare what was read; then look after the points that are lost."""
    for plan, value, raw, quality, newest in draft.moved:
        if quality not in _OPEN and not plan.certified:
            _compare(draft, plan, value, raw)
        if newest:
            if quality is Quality.GOOD and value is not None:
                lower(draft, plan, value)
                fault.restored(draft, plan)
            else:
                chatter.interrupt(draft, plan.id)
            points.settle(draft, plan, busy=_is_busy(draft, plan, quality))
    fault.decide(draft)


def _compare(draft: "Draft", plan: PointPlan, value: int | None, raw: Quality) -> None:
    if raw is Quality.GOOD and value is not None:
        rise(draft, plan, value)
    elif raw is Quality.OVER_RANGE:
        if not plan.is_switch:
            points.latch_over(draft, plan)
        alarm.raise_(draft, AlarmKind.OVER_RANGE, plan.id, zone=plan.zone)
        rise(draft, plan, None)


def rise(draft: "Draft", plan: PointPlan, value: int | None) -> None:
    """Raise all that a value calls for; None stands for a value above every limit.

    Used for GOOD samples, for OVER_RANGE and for a value measured by hand.
    """
    for level, limit in plan.rises:
        if value is not None and value < limit:
            continue
        chatter.raise_(draft, KINDS[level], plan, value, limit)
        if level == 3:
            interlock.demand(draft, "trip", plan.id, (plan.id,), plan.trips)
        elif level == 4:
            zone = withdrawal.WHOLE_MINE if plan.point.withdraws_mine else plan.zone
            withdrawal.demand(draft, (zone,), f"gas:{plan.id}")
    if value is None:
        return
    if value < plan.low_alarm and not plan.offs:
        chatter.raise_(draft, AlarmKind.LOW, plan, value, plan.low_alarm)
    if value == 0 and plan.offs:
        alarm.raise_(draft, AlarmKind.TRIP, plan.id, zone=plan.zone, value=value, limit=1)
        interlock.demand(draft, "off", plan.id, (plan.id,), plan.offs)


def lower(draft: "Draft", plan: PointPlan, value: int, *, at_once: bool = False) -> None:
    """Clear what a GOOD value permits to clear; latched causes are not touched.

    The worse of the head and a hand check that is held counts. `at_once` is for a value that a
    person measured; a head's must stay below for a while (`chatter.py`).
    """
    low, high = points.reach(draft.durable, plan.id, value)
    is_clear = high < plan.clear
    ends = (
        (AlarmKind.PRE_ALARM, high < plan.pre_clear),
        (AlarmKind.GAS_OVER_LIMIT, is_clear),
        (AlarmKind.TRIP, is_clear and (low != 0 or not plan.offs)),
        (AlarmKind.WITHDRAW, is_clear),
        (AlarmKind.OVER_RANGE, is_clear),
        (AlarmKind.LOW, low >= plan.low_clear),
    )
    for kind, is_below in ends:
        chatter.lower(draft, kind, plan.id, is_below=is_below, at_once=at_once)


def _is_busy(draft: "Draft", plan: PointPlan, quality: Quality) -> bool:
    """Say whether the next reading must be looked at although it is quiet."""
    if quality is not Quality.GOOD or draft.live[plan.id].below_ms is None:
        return True
    standing = draft.durable.alarms.standing
    return any(
        f"{kind}/{plan.id}" in standing and alarm.is_active(draft.durable, kind, plan.id)
        for kind in _ENDING
    )
