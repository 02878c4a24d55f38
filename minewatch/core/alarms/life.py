"""The life of an alarm: what each event does to the table, by the life-cycle table (ISA-18.2)."""

from dataclasses import replace
from typing import TYPE_CHECKING

from minewatch.core.alarms import flood
from minewatch.core.alarms.alarm import CLOSE_OUT_PRIORITY_MAX, Alarm, AlarmsDurable, further
from minewatch.core.folding import Fold, with_entry, without
from minewatch.model.alarm import LIFE_CYCLE, AlarmKind, AlarmMove, AlarmState
from minewatch.model.event import Event

if TYPE_CHECKING:
    from minewatch.core.state import Durable

SILENCE_PRIORITY_MAX = 2
"""Alarms up to this priority end a silence."""

_LATCHES: dict[AlarmKind, tuple[str, ...]] = {
    AlarmKind.TRIP: ("trip", "off"),
    AlarmKind.SENSOR_FAULT: ("fault",),
}
"""Kinds of causes that an alarm's point may have latched; a lost line is its own cause."""


def is_latched(durable: "Durable", alarm: Alarm) -> bool:
    """Say whether what the alarm's condition latched still stands: a cut, or an over-range."""
    if alarm.kind is AlarmKind.OVER_RANGE:
        return alarm.source in durable.points.over
    causes = durable.interlock.causes
    return (alarm.kind is AlarmKind.SENSOR_FAULT and alarm.source in causes) or any(
        f"{kind}:{alarm.source}" in causes for kind in _LATCHES.get(alarm.kind, ())
    )


def moved(alarms: AlarmsDurable, alarm_id: str, move: AlarmMove, **parts: object) -> AlarmsDurable:
    """Return the table after one move of one alarm; what is gone and closed leaves it."""
    alarm = alarms.items[alarm_id]
    after = replace(
        alarm,
        state=LIFE_CYCLE.get((alarm.state, move), alarm.state),
        **parts,  # type: ignore[arg-type]
    )
    return settled(alarms, after)


def settled(alarms: AlarmsDurable, alarm: Alarm) -> AlarmsDurable:
    """Return the table with this alarm in the place where its state belongs."""
    if alarm.state is not AlarmState.NORMAL:
        return replace(alarms, items=with_entry(alarms.items, alarm.id, alarm))
    key = f"{alarm.kind}/{alarm.source}"
    is_newest = alarms.standing.get(key) == alarm.id
    standing = without(alarms.standing, key) if is_newest else alarms.standing
    if alarm.closed or alarm.priority > CLOSE_OUT_PRIORITY_MAX:
        items = without(alarms.items, alarm.id)
    else:
        items = with_entry(alarms.items, alarm.id, alarm)
    return replace(alarms, items=items, standing=standing)


def _ending(
    durable: "Durable", alarms: AlarmsDurable, alarm_id: str, move: AlarmMove, **parts: object
) -> AlarmsDurable:
    """Make a move that may end an alarm: it stays, latched, while its latch stands."""
    alarm = alarms.items[alarm_id]
    ends = LIFE_CYCLE.get((alarm.state, move)) is AlarmState.NORMAL
    if ends and is_latched(durable, alarm):
        latched = LIFE_CYCLE[AlarmState.NORMAL, AlarmMove.LATCH]
        return settled(alarms, replace(alarm, state=latched, **parts))  # type: ignore[arg-type]
    return moved(alarms, alarm_id, move, **parts)


def _set(durable: "Durable", alarms: AlarmsDurable) -> "Durable":
    return replace(durable, alarms=alarms)


def _raised(durable: "Durable", event: Event) -> "Durable":
    alarms, data = durable.alarms, event.data
    before = alarms.items.get(data["alarm"])
    raised = _new(event) if before is None else _again(before, event)
    held = data.get("held", "")
    if held:
        raised = replace(raised, state=LIFE_CYCLE[raised.state, AlarmMove(held)])
    answered = data.get("answered")
    if answered is not None:
        state = LIFE_CYCLE.get((raised.state, AlarmMove.ACKNOWLEDGE), raised.state)
        raised = replace(raised, state=state, acknowledged_by=answered)
    groups = with_entry(alarms.groups, raised.zone, event.now_ms) if data["first_out"] else None
    sounds = not held and answered is None
    return _set(
        durable,
        replace(
            alarms,
            items=with_entry(alarms.items, raised.id, raised),
            standing=with_entry(alarms.standing, f"{raised.kind}/{raised.source}", raised.id),
            groups=alarms.groups if groups is None else groups,
            silenced_until_ms=0 if _breaks_silence(raised) else alarms.silenced_until_ms,
            recent=flood.with_recent(alarms.recent, event.now_ms) if sounds else alarms.recent,
            flood=_counted(alarms.flood) if sounds else alarms.flood,
        ),
    )


def _breaks_silence(raised: Alarm) -> bool:
    """Say whether the alarm is heard although somebody has silenced what came before.

    That nobody is reached says nothing new to the one who silences.
    """
    return (
        raised.state is AlarmState.UNACKNOWLEDGED
        and raised.priority <= SILENCE_PRIORITY_MAX
        and raised.kind is not AlarmKind.NOBODY_REACHABLE
    )


def _counted(standing: flood.Flood | None) -> flood.Flood | None:
    return None if standing is None else replace(standing, raised=standing.raised + 1)


def _new(event: Event) -> Alarm:
    data = event.data
    return Alarm(
        id=data["alarm"],
        kind=AlarmKind(data["alarm_kind"]),
        priority=data["priority"],
        source=data["source"],
        zone=data["zone"],
        value=data["value"],
        limit=data["limit"],
        peak=data["value"],
        raised_ms=event.now_ms,
        raised_wall_ms=event.wall_ms,
        state=LIFE_CYCLE[AlarmState.NORMAL, AlarmMove.RAISE],
        first_out=data["first_out"],
        planned=data["planned"],
        told_ms=event.now_ms,
    )


def _again(before: Alarm, event: Event) -> Alarm:
    """Return the alarm raised again.

    Where nobody answered meanwhile its escalation runs on; one that was answered and only latched
    begins anew, with all that is due after an alarm.
    """
    if before.state is AlarmState.LATCHED:
        return replace(_new(event), occurrences=event.data["occurrences"])
    return replace(
        before,
        state=LIFE_CYCLE[before.state, AlarmMove.RAISE],
        value=event.data["value"],
        peak=further(before.kind, before.peak, event.data["value"]),
        occurrences=event.data["occurrences"],
        planned=event.data["planned"],
        told_ms=event.now_ms,
    )


def _cleared(durable: "Durable", event: Event) -> "Durable":
    data = event.data
    after = _ending(durable, durable.alarms, data["alarm"], AlarmMove.CLEAR, peak=data["peak"])
    return _set(durable, after)


def _acknowledged(durable: "Durable", event: Event) -> "Durable":
    alarms = durable.alarms
    for alarm_id in event.data["alarms"]:
        by = alarms.items[alarm_id].acknowledged_by or event.data["by"]
        alarms = _ending(durable, alarms, alarm_id, AlarmMove.ACKNOWLEDGE, acknowledged_by=by)
    return _set(durable, alarms)


def _reset(durable: "Durable", event: Event) -> "Durable":
    """End latched alarms whose latch is gone; the rooms that hold the latches fold first."""
    del event
    alarms = durable.alarms
    for alarm in tuple(alarms.items.values()):
        if alarm.state is AlarmState.LATCHED and not is_latched(durable, alarm):
            alarms = moved(alarms, alarm.id, AlarmMove.RESET)
    return _set(durable, alarms)


def _held(durable: "Durable", event: Event) -> "Durable":
    move = AlarmMove(event.data["held"])
    return _set(durable, moved(durable.alarms, event.data["alarm"], move))


def _restored(durable: "Durable", event: Event) -> "Durable":
    """Let a held alarm sound again, with all that is due after an alarm."""
    now_ms = event.now_ms
    return _set(
        durable,
        moved(durable.alarms, event.data["alarm"], AlarmMove.RESTORE, told_ms=now_ms),
    )


def _closed(durable: "Durable", event: Event) -> "Durable":
    alarms = durable.alarms
    for alarm_id in event.data["alarms"]:
        alarms = settled(alarms, replace(alarms.items[alarm_id], closed=True))
    return _set(durable, alarms)


def _dropped(durable: "Durable", event: Event) -> "Durable":
    items = without(durable.alarms.items, event.data["alarm"])
    return _set(durable, replace(durable.alarms, items=items))


def _told(durable: "Durable", event: Event) -> "Durable":
    """Fold an escalation, a reminder or an overdue close-out of one alarm."""
    alarms, data = durable.alarms, event.data
    alarm = alarms.items[data["alarm"]]
    if event.kind == "escalated":
        told = tuple(data.get("told", ()))
        after = replace(alarm, step=data["step"], stepped_ms=event.now_ms, told=told)
    elif event.kind == "reminded":
        after = replace(alarm, told_ms=event.now_ms)
    else:
        after = replace(alarm, due_said=True)
    return _set(durable, replace(alarms, items=with_entry(alarms.items, after.id, after)))


def _missed(durable: "Durable", event: Event) -> "Durable":
    """Note that a short message did not reach whom the present step told.

    A message is named `<alarm>-<step>-<code>`; of anything else nothing is known here.
    """
    parts = str(event.data.get("message", "")).split("-", 2)
    alarm = durable.alarms.items.get(parts[0])
    if alarm is None or len(parts) < 3 or parts[1] != str(alarm.step):
        return durable
    told = tuple(each for each in alarm.told if each != f"sms:{parts[2]}")
    items = with_entry(durable.alarms.items, alarm.id, replace(alarm, told=told))
    return _set(durable, replace(durable.alarms, items=items))


def _silenced(durable: "Durable", event: Event) -> "Durable":
    return _set(durable, replace(durable.alarms, silenced_until_ms=event.data["until_ms"]))


def _restarted(durable: "Durable", event: Event) -> "Durable":
    """Carry ages over to the new run's clock where it began anew (a reboot)."""
    shift_ms = event.now_ms - durable.now_ms
    if shift_ms >= 0:
        return durable
    alarms = durable.alarms
    items = {
        key: replace(
            each,
            raised_ms=each.raised_ms + shift_ms,
            told_ms=each.told_ms + shift_ms,
            stepped_ms=each.stepped_ms + shift_ms,
        )
        for key, each in alarms.items.items()
    }
    standing = alarms.flood
    return _set(
        durable,
        replace(
            alarms,
            items=items,
            groups={},
            silenced_until_ms=0,
            recent=tuple(each + shift_ms for each in alarms.recent),
            flood=standing and replace(standing, since_ms=standing.since_ms + shift_ms),
        ),
    )


FOLDS: dict[str, Fold] = {
    "alarm_raised": _raised,
    "alarm_cleared": _cleared,
    "alarm_held": _held,
    "alarm_restored": _restored,
    "alarms_acknowledged": _acknowledged,
    "alarms_closed": _closed,
    "alarm_dropped": _dropped,
    "escalated": _told,
    "reminded": _told,
    "close_out_due": _told,
    "message_failed": _missed,
    "silenced": _silenced,
    "released": _reset,
    "over_range_unlatched": _reset,
    "controller_started": _restarted,
}
