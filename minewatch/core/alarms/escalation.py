"""Escalation: what happens while nobody answers, and what keeps being said about what stands.

Practice 13: the corridor horn, who is on duty, the mine, the company, `unanswered` to the county,
then again at every repeat. A step that reaches nobody, or whose messages have all failed, is
followed by the next at once, and that nobody is reached is an alarm of its own (practice 14).
Practice 12: cause and measure are due 30 minutes after the alarm, at latest at the shift change.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from minewatch.core.alarms import alarm as alarms_of
from minewatch.core.alarms import on_call
from minewatch.core.alarms.alarm import CLOSE_OUT_PRIORITY_MAX, Alarm
from minewatch.model.alarm import AlarmKind, AlarmState
from minewatch.model.mine import Mine

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

CLOSE_OUT_MS = 30 * 60_000
REMIND_MS = 15 * 60_000
HEARD_PRIORITY_MAX = 2
"""Alarms up to this priority sound at the corridor horn while no page is heard."""

_FAR_MS = 2**62


def decide(draft: "Draft") -> None:
    """Run the timers of alarms; nothing is looked at until one is due or an alarm moved."""
    known = draft.volatile.alarms
    now_ms = draft.image.now_ms
    if draft.durable.index == known.seen_index and now_ms < known.next_ms:
        return
    items = draft.durable.alarms.items
    handover = any(each.kind == "handover_started" for each in draft.events)
    for alarm_id in sorted(items):
        _run(draft, items[alarm_id], handover=handover)
    _settle_reachable(draft)
    items = draft.durable.alarms.items
    next_ms = min((_next_ms(draft.mine, each) for each in items.values()), default=_FAR_MS)
    until_ms = draft.durable.alarms.silenced_until_ms
    if until_ms > now_ms:
        next_ms = min(next_ms, until_ms)
    draft.update_volatile(
        alarms=replace(
            draft.volatile.alarms,
            horn=_horn_sounds(draft),
            next_ms=next_ms,
            seen_index=draft.durable.index,
        )
    )


def _horn_sounds(draft: "Draft") -> bool:
    alarms, now_ms = draft.durable.alarms, draft.image.now_ms
    if now_ms < alarms.silenced_until_ms:
        return False
    unheard = "sound" in draft.durable.house.faults
    return any(
        (each.step > 0 and is_urgent(each))
        or (unheard and each.unanswered and each.priority <= HEARD_PRIORITY_MAX)
        for each in alarms.items.values()
    )


def is_urgent(alarm: Alarm) -> bool:
    """Say whether the alarm climbs the ladder: priority 1, and nobody has answered."""
    return alarm.priority == 1 and alarm.unanswered


def _run(draft: "Draft", alarm: Alarm, *, handover: bool) -> None:
    now_ms = draft.image.now_ms
    if is_urgent(alarm):
        _climb(draft, alarm)
    if _reminds(alarm) and now_ms - alarm.told_ms >= REMIND_MS:
        draft.emit("reminded", alarm=alarm.id, source=alarm.source)
    if _close_out_waits(alarm) and (handover or now_ms - alarm.raised_ms >= CLOSE_OUT_MS):
        draft.emit("close_out_due", alarm=alarm.id, source=alarm.source)


def _climb(draft: "Draft", alarm: Alarm) -> None:
    """Take the steps that are due by now as one, then on at once while a step reaches nobody."""
    mine, now_ms = draft.mine, draft.image.now_ms
    last = len(on_call.schedule(mine))
    step = alarm.step
    if step and not alarm.told:
        alarms_of.raise_(draft, AlarmKind.NOBODY_REACHABLE, step_name(mine, step))
    while now_ms >= due_ms(mine, alarm, step):
        alarm = replace(alarm, stepped_ms=due_ms(mine, alarm, step))
        step += 1
    missed = 0 < alarm.step < last and not alarm.told and on_call.has_channels(mine)
    if step == alarm.step and missed:
        step += 1
    if step == alarm.step:
        return
    while not _tell(draft, alarm, step) and step < last and on_call.has_channels(mine):
        step += 1


def _tell(draft: "Draft", alarm: Alarm, step: int) -> bool:
    """Say one step; return whether it reaches anybody."""
    to = step_name(draft.mine, step)
    told = on_call.reached(draft, to)
    draft.emit("escalated", alarm=alarm.id, source=alarm.source, step=step, to=to, told=list(told))
    if told:
        alarms_of.clear(draft, AlarmKind.NOBODY_REACHABLE, to)
    else:
        alarms_of.raise_(draft, AlarmKind.NOBODY_REACHABLE, to)
    return bool(told)


def _settle_reachable(draft: "Draft") -> None:
    """End what says that nobody is reached once there is nothing left to tell."""
    if any(is_urgent(each) for each in draft.durable.alarms.items.values()):
        return
    for to in on_call.STEPS:
        alarms_of.clear(draft, AlarmKind.NOBODY_REACHABLE, to)


def due_ms(mine: Mine, alarm: Alarm, step: int) -> int:
    """Return when the step after `step` is due; after the last one it repeats."""
    steps = on_call.schedule(mine)
    if step < len(steps):
        return alarm.raised_ms + steps[step][1]
    return alarm.stepped_ms + mine.escalation.repeat_s * 1000


def step_name(mine: Mine, step: int) -> str:
    """Return whom the step reaches."""
    steps = on_call.schedule(mine)
    return steps[min(step, len(steps)) - 1][0]


def _reminds(alarm: Alarm) -> bool:
    return alarm.kind is AlarmKind.TRIP and alarm.state is AlarmState.ACKNOWLEDGED


def _close_out_waits(alarm: Alarm) -> bool:
    return not alarm.closed and not alarm.due_said and alarm.priority <= CLOSE_OUT_PRIORITY_MAX


def _next_ms(mine: Mine, alarm: Alarm) -> int:
    next_ms = _FAR_MS
    if is_urgent(alarm):
        next_ms = due_ms(mine, alarm, alarm.step)
    if _reminds(alarm):
        next_ms = min(next_ms, alarm.told_ms + REMIND_MS)
    if _close_out_waits(alarm):
        next_ms = min(next_ms, alarm.raised_ms + CLOSE_OUT_MS)
    return next_ms
