"""Lost points: the fault alarm within 10 s of the last GOOD sample, then the fault lock.

Practice 6: a lost head raises an alarm within 10 s and cuts after the place's fault time. Places
lost by one line are one alarm and one cause, so that a gateway's reboot is one event, not forty.
A point under CALIBRATION or bypass locks only where no GOOD methane neighbour guards its zone.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from minewatch.core.alarms import alarm
from minewatch.core.folding import with_entry
from minewatch.core.plan import PointPlan
from minewatch.core.power import interlock
from minewatch.core.readings import chatter
from minewatch.core.readings.points import Live, is_open
from minewatch.model.alarm import AlarmKind
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

ALARM_MS = 10_000
LOOK_AGAIN_MS = 1_000
LINE_GRACE_MS = 10_000
"""After a line is back its heads answer within a scan; who does not is an alarm of its own.

Their fault lock does not wait for that.
"""

_SILENT = frozenset({Quality.COMM_FAULT, Quality.STALE})


def decide(draft: "Draft") -> None:
    """Look at every point whose deadline has come and that is not GOOD."""
    lost: dict[str, bool] = {}
    for point_id in draft.checks:
        plan = draft.plan.points[point_id]
        if is_open(draft, point_id):
            _check_open(draft, plan)
        elif draft.live[point_id].raw is not Quality.GOOD and not plan.certified:
            if plan.bus not in lost:
                lost[plan.bus] = is_line_lost(draft, plan.bus)
            _check(draft, plan, line_lost=lost[plan.bus])


def restored(draft: "Draft", plan: PointPlan) -> None:
    """Note that a point is GOOD again: its fault alarm, and its line's, are over."""
    alarm.clear(draft, AlarmKind.SENSOR_FAULT, plan.id)
    line = f"line:{plan.bus}"
    if not alarm.is_active(draft.durable, AlarmKind.SENSOR_FAULT, line):
        return
    alarm.clear(draft, AlarmKind.SENSOR_FAULT, line)
    now_ms, known = draft.image.now_ms, draft.volatile.points
    lines_back = with_entry(known.lines_back, plan.bus, now_ms)
    draft.update_volatile(points=replace(known, lines_back=lines_back))
    for point_id in draft.plan.bus_points[plan.bus]:
        if draft.live[point_id].raw is not Quality.GOOD:
            draft.wheel.schedule(point_id, now_ms)


def is_line_lost(draft: "Draft", bus_id: str) -> bool:
    """Say whether every point of the line is silent: the line is lost, not its heads."""
    return all(draft.live[each].raw in _SILENT for each in draft.plan.bus_points[bus_id])


def is_guarded(draft: "Draft", point_id: str) -> bool:
    """Say whether a GOOD methane neighbour or hand cover guards the point's place."""
    return is_covered(draft, point_id) or any(
        draft.live[each].quality is Quality.GOOD for each in draft.plan.neighbours(point_id)
    )


def is_covered(draft: "Draft", point_id: str) -> bool:
    """Say whether hand cover of the point is in force."""
    cover = draft.durable.interlock.covers.get(point_id)
    return cover is not None and draft.is_on_disk(cover.index)


def _check(draft: "Draft", plan: PointPlan, *, line_lost: bool) -> None:
    now_ms = draft.image.now_ms
    live = draft.live[plan.id]
    chatter.interrupt(draft, plan.id)
    next_ms = _alarm(draft, plan, live, line_lost=line_lost)
    if is_covered(draft, plan.id):
        next_ms.append(now_ms + LOOK_AGAIN_MS)
    elif plan.faults and not is_locked(draft, plan):
        lock_ms = live.guarded_ms + plan.point.fault_after_ms
        if now_ms < lock_ms:
            next_ms.append(lock_ms)
        elif line_lost or now_ms < _grace_ms(draft, plan.bus):
            _lock_line(draft, plan.bus)
        else:
            lock(draft, plan)
    if next_ms:
        draft.wheel.schedule(plan.id, min(next_ms))


def _alarm(draft: "Draft", plan: PointPlan, live: Live, *, line_lost: bool) -> list[int]:
    """Raise the fault alarm when it is due; return when to look again, if it is not."""
    if live.raw is Quality.OVER_RANGE:
        return []
    source = f"line:{plan.bus}" if line_lost else plan.id
    due_ms = live.guarded_ms + ALARM_MS
    if not line_lost:
        due_ms = max(due_ms, _grace_ms(draft, plan.bus))
    if draft.image.now_ms < due_ms:
        return [due_ms]
    if not line_lost and alarm.is_active(draft.durable, AlarmKind.SENSOR_FAULT, f"line:{plan.bus}"):
        return []
    if not (line_lost and alarm.is_active(draft.durable, AlarmKind.SENSOR_FAULT, plan.id)):
        zone = "" if line_lost else plan.zone
        alarm.raise_(draft, AlarmKind.SENSOR_FAULT, source, zone=zone)
    return []


def _grace_ms(draft: "Draft", bus_id: str) -> int:
    """Return until when those that a line lost are its loss, and no faults of their own."""
    back_ms = draft.volatile.points.lines_back.get(bus_id)
    return 0 if back_ms is None else back_ms + LINE_GRACE_MS


def _check_open(draft: "Draft", plan: PointPlan) -> None:
    """Lock a place whose head is in calibration or bypassed and that nothing else guards.

    It is looked at in every cycle: a neighbour that was GOOD for less than a second guarded it too.
    """
    now_ms = draft.image.now_ms
    live = draft.live[plan.id]
    if is_guarded(draft, plan.id) or not (plan.faults or plan.votes):
        draft.own_live()[plan.id] = live._replace(guarded_ms=now_ms)
    elif now_ms - live.guarded_ms >= plan.point.fault_after_ms and not is_locked(draft, plan):
        lock(draft, plan)
    draft.wheel.schedule(plan.id, now_ms)


def lock(draft: "Draft", plan: PointPlan) -> None:
    """Latch the fault lock of one point (故障闭锁)."""
    interlock.demand(draft, "fault", plan.id, (plan.id,), plan.faults)


def _lock_line(draft: "Draft", bus_id: str) -> None:
    """Latch one cause over all places that the line lost, each with its fault time passed.

    Those that will pass it within one scan are taken along: earlier is safe, and it stays one form.
    """
    now_ms = draft.image.now_ms
    plans = [draft.plan.points[each] for each in draft.plan.bus_points[bus_id]]
    lost = [
        each
        for each in plans
        if each.faults
        and not is_locked(draft, each)
        and not is_covered(draft, each.id)
        and not is_open(draft, each.id)
        and now_ms + each.scan_ms >= draft.live[each.id].guarded_ms + each.point.fault_after_ms
    ]
    outputs = [output for each in lost for output in each.faults]
    interlock.demand(draft, "line", bus_id, [each.id for each in lost], outputs)


def is_locked(draft: "Draft", plan: PointPlan) -> bool:
    """Say whether the place of a point is locked by its fault, or its line's."""
    causes = draft.durable.interlock.causes
    if f"fault:{plan.id}" in causes:
        return True
    line = causes.get(f"line:{plan.bus}")
    return line is not None and plan.id in line.points
