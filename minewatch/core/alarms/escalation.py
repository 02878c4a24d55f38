"""Escalation: what happens while nobody answers, and what keeps being said about what stands.

Practice 13: the corridor horn, the duty leader, the mine head, `unanswered` to the county, then
again at every repeat. Practice 12: cause and measure are due 30 minutes after the alarm.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from minewatch.core.alarms.alarm import CLOSE_OUT_PRIORITY_MAX, Alarm
from minewatch.model.alarm import AlarmKind, AlarmState
from minewatch.model.mine import Escalation

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

CLOSE_OUT_MS = 30 * 60_000
REMIND_MS = 15 * 60_000

_FAR_MS = 2**62


def decide(draft: "Draft") -> None:
    """Run the timers of alarms; nothing is looked at until one is due or an alarm moved."""
    known = draft.volatile.alarms
    now_ms = draft.image.now_ms
    if draft.durable.index == known.seen_index and now_ms < known.next_ms:
        return
    items = draft.durable.alarms.items
    for alarm_id in sorted(items):
        _run(draft, items[alarm_id])
    items = draft.durable.alarms.items
    rules = draft.mine.escalation
    horn = _horn_sounds(draft)
    next_ms = min((_next_ms(rules, each) for each in items.values()), default=_FAR_MS)
    until_ms = draft.durable.alarms.silenced_until_ms
    if until_ms > now_ms:
        next_ms = min(next_ms, until_ms)
    draft.update_volatile(
        alarms=replace(
            draft.volatile.alarms, horn=horn, next_ms=next_ms, seen_index=draft.durable.index
        )
    )


def _horn_sounds(draft: "Draft") -> bool:
    alarms, now_ms = draft.durable.alarms, draft.image.now_ms
    if now_ms < alarms.silenced_until_ms:
        return False
    return any(each.step > 0 and _is_urgent(each) for each in alarms.items.values())


def _is_urgent(alarm: Alarm) -> bool:
    return alarm.priority == 1 and alarm.unanswered


def _run(draft: "Draft", alarm: Alarm) -> None:
    now_ms = draft.image.now_ms
    rules = draft.mine.escalation
    step = alarm.step
    while _is_urgent(alarm) and now_ms >= alarm.raised_ms + step_due_ms(rules, step):
        step += 1
    if step > alarm.step:
        draft.emit("escalated", alarm=alarm.id, source=alarm.source, step=step, to=step_name(step))
    if _reminds(alarm) and now_ms - alarm.told_ms >= REMIND_MS:
        draft.emit("reminded", alarm=alarm.id, source=alarm.source)
    if _close_out_waits(alarm) and now_ms - alarm.raised_ms >= CLOSE_OUT_MS:
        draft.emit("close_out_due", alarm=alarm.id, source=alarm.source)


def step_due_ms(rules: Escalation, step: int) -> int:
    """Return how long after the alarm the step after `step` is due, in ms."""
    first = (rules.horn_s, rules.duty_leader_s, rules.mine_head_s, rules.county_s)
    if step < len(first):
        return first[step] * 1000
    return (rules.county_s + (step - len(first) + 1) * rules.repeat_s) * 1000


def step_name(step: int) -> str:
    """Return whom the step reaches."""
    return ("horn", "duty_leader", "mine_head")[step - 1] if step <= 3 else "unanswered"


def _reminds(alarm: Alarm) -> bool:
    return alarm.kind is AlarmKind.TRIP and alarm.state is AlarmState.ACKNOWLEDGED


def _close_out_waits(alarm: Alarm) -> bool:
    return not alarm.closed and not alarm.due_said and alarm.priority <= CLOSE_OUT_PRIORITY_MAX


def _next_ms(rules: Escalation, alarm: Alarm) -> int:
    next_ms = _FAR_MS
    if _is_urgent(alarm):
        next_ms = alarm.raised_ms + step_due_ms(rules, alarm.step)
    if _reminds(alarm):
        next_ms = min(next_ms, alarm.told_ms + REMIND_MS)
    if _close_out_waits(alarm):
        next_ms = min(next_ms, alarm.raised_ms + CLOSE_OUT_MS)
    return next_ms
