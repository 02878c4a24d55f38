"""Alarms: one instance per (kind, source) while it is not gone, moved by the life-cycle table.

Any room raises and clears with `raise_` and `clear`; both cost two look-ups when nothing changes.
An alarm leaves the table once it is gone and, where its priority asks for it, closed out with cause
and measure (practice 12). At most `GONE_MAX` gone alarms wait for that: beyond it the oldest is
dropped with an event of its own. Standing alarms are never dropped; their number is bounded by the
configuration, one per kind and source.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from minewatch.core.desk import planned_work
from minewatch.core.desk.act import Act, Given, Reasons, is_id, is_ids
from minewatch.core.folding import Fold, with_entry, without
from minewatch.model.alarm import LIFE_CYCLE, PRIORITY, AlarmKind, AlarmMove, AlarmState
from minewatch.model.event import Event
from minewatch.model.image import Command
from minewatch.model.mine import Role

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable

GONE_MAX = 500
FIRST_OUT_MS = 10_000
CLOSE_OUT_PRIORITY_MAX = 2
"""Priorities 1 and 2 are closed out with cause and measure; the others leave by clearing."""

_ACTIVE = frozenset({AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED})
_NEVER_FIRST = frozenset({AlarmKind.PRE_ALARM, AlarmKind.COMPARISON})
_UNANSWERED = frozenset({AlarmState.UNACKNOWLEDGED, AlarmState.RETURNED})


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm. `value`, `limit` and `peak` are in the unit of the source's kind.

    `step` counts the escalations of the present raise, `told_ms` is the time of the last reminder.
    """

    id: str
    kind: AlarmKind
    priority: int
    source: str
    zone: str
    value: int | None
    limit: int | None
    peak: int | None
    raised_ms: int
    raised_wall_ms: int
    state: AlarmState
    first_out: bool
    occurrences: int = 1
    acknowledged_by: str = ""
    closed: bool = False
    due_said: bool = False
    planned: bool = False
    step: int = 0
    told_ms: int = 0

    @property
    def active(self) -> bool:
        """Say whether the condition stands."""
        return self.state in _ACTIVE

    @property
    def unanswered(self) -> bool:
        """Say whether nobody has acknowledged it."""
        return self.state in _UNANSWERED


@dataclass(frozen=True, slots=True)
class AlarmsDurable:
    """`standing` finds the instance of `kind/source`; `groups` are the last first-outs by zone."""

    items: Mapping[str, Alarm] = field(default_factory=dict)
    standing: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    silenced_until_ms: int = 0


@dataclass(frozen=True, slots=True)
class AlarmsVolatile:
    """Peaks of standing alarms, whether the corridor horn sounds, when a timer is next due."""

    peaks: Mapping[str, int] = field(default_factory=dict)
    horn: bool = False
    next_ms: int = 0
    seen_index: int = -1


def find(durable: "Durable", kind: AlarmKind, source: str) -> Alarm | None:
    """Return the instance of (kind, source) that is not gone, or None."""
    alarm_id = durable.alarms.standing.get(f"{kind}/{source}")
    return None if alarm_id is None else durable.alarms.items[alarm_id]


def is_active(durable: "Durable", kind: AlarmKind, source: str) -> bool:
    """Say whether the condition of (kind, source) stands."""
    alarm = find(durable, kind, source)
    return alarm is not None and alarm.state in _ACTIVE


def raise_(
    draft: "Draft",
    kind: AlarmKind,
    source: str,
    *,
    zone: str = "",
    value: int | None = None,
    limit: int | None = None,
) -> None:
    """Raise the alarm of (kind, source), or note a new peak of the one that stands.

    `source` is a point, output, zone, badge or reader id, or `line:<bus>`; `zone` is empty for what
    concerns the whole mine.
    """
    alarm = find(draft.durable, kind, source)
    if alarm is not None and alarm.state in _ACTIVE:
        _note_peak(draft, alarm, value)
        return
    draft.emit(
        "alarm_raised",
        alarm=f"A{draft.durable.index}" if alarm is None else alarm.id,
        alarm_kind=str(kind),
        first_out=_is_first_out(draft, kind, zone),
        limit=limit,
        occurrences=1 if alarm is None else alarm.occurrences + 1,
        planned=planned_work.is_planned(draft, zone, source),
        priority=PRIORITY[kind],
        source=source,
        value=value,
        zone=zone,
    )
    _bound_gone(draft)


def clear(draft: "Draft", kind: AlarmKind, source: str) -> None:
    """Say that the condition of (kind, source) is gone; nothing where it does not stand."""
    alarm = find(draft.durable, kind, source)
    if alarm is None or alarm.state not in _ACTIVE:
        return
    peak = peak_of(draft.volatile.alarms.peaks, alarm)
    draft.emit(
        "alarm_cleared",
        alarm=alarm.id,
        alarm_kind=str(kind),
        duration_ms=draft.image.now_ms - alarm.raised_ms,
        peak=peak,
        source=source,
        zone=alarm.zone,
    )
    peaks = without(draft.volatile.alarms.peaks, alarm.id)
    draft.update_volatile(alarms=replace(draft.volatile.alarms, peaks=peaks))


def peak_of(peaks: Mapping[str, int], alarm: Alarm) -> int | None:
    """Return the furthest value of an alarm: the running peak, else the recorded one."""
    return peaks.get(alarm.id, alarm.peak)


def _further(kind: AlarmKind, one: int | None, other: int | None) -> int | None:
    """Return the value that is further beyond the limit."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other) if kind is AlarmKind.LOW else max(one, other)


def _note_peak(draft: "Draft", alarm: Alarm, value: int | None) -> None:
    known = peak_of(draft.volatile.alarms.peaks, alarm)
    furthest = _further(alarm.kind, known, value)
    if furthest is not None and furthest != known:
        peaks = with_entry(draft.volatile.alarms.peaks, alarm.id, furthest)
        draft.update_volatile(alarms=replace(draft.volatile.alarms, peaks=peaks))


def _is_first_out(draft: "Draft", kind: AlarmKind, zone: str) -> bool:
    """Say whether the zone had no first alarm within the last 10 s; a warning is never one."""
    if kind in _NEVER_FIRST:
        return False
    began_ms = draft.durable.alarms.groups.get(zone)
    return began_ms is None or draft.image.now_ms - began_ms > FIRST_OUT_MS


def _bound_gone(draft: "Draft") -> None:
    items = draft.durable.alarms.items
    if len(items) - len(draft.durable.alarms.standing) <= GONE_MAX:
        return
    gone = [each for each in items.values() if each.state is AlarmState.NORMAL]
    oldest = min(gone, key=lambda each: (each.raised_ms, each.id))
    draft.emit("alarm_dropped", alarm=oldest.id, alarm_kind=str(oldest.kind), source=oldest.source)


def _raised(durable: "Durable", event: Event) -> "Durable":
    alarms, data = durable.alarms, event.data
    before = alarms.items.get(data["alarm"])
    raised = _new(event) if before is None else _again(before, event)
    groups = alarms.groups
    if data["first_out"]:
        groups = with_entry(groups, raised.zone, event.now_ms)
    return replace(
        durable,
        alarms=replace(
            alarms,
            items=with_entry(alarms.items, raised.id, raised),
            standing=with_entry(alarms.standing, f"{raised.kind}/{raised.source}", raised.id),
            groups=groups,
            silenced_until_ms=0 if raised.priority <= 2 else alarms.silenced_until_ms,
        ),
    )


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
    """Return the alarm raised again; nobody answered meanwhile, so its escalation runs on."""
    return replace(
        before,
        state=LIFE_CYCLE[before.state, AlarmMove.RAISE],
        value=event.data["value"],
        peak=_further(before.kind, before.peak, event.data["value"]),
        occurrences=event.data["occurrences"],
        planned=event.data["planned"],
        told_ms=event.now_ms,
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


def _cleared(durable: "Durable", event: Event) -> "Durable":
    alarms = moved(durable.alarms, event.data["alarm"], AlarmMove.CLEAR, peak=event.data["peak"])
    return replace(durable, alarms=alarms)


def _acknowledged(durable: "Durable", event: Event) -> "Durable":
    alarms = durable.alarms
    for alarm_id in event.data["alarms"]:
        by = alarms.items[alarm_id].acknowledged_by or event.data["by"]
        alarms = moved(alarms, alarm_id, AlarmMove.ACKNOWLEDGE, acknowledged_by=by)
    return replace(durable, alarms=alarms)


def _closed(durable: "Durable", event: Event) -> "Durable":
    alarms = durable.alarms
    for alarm_id in event.data["alarms"]:
        alarms = settled(alarms, replace(alarms.items[alarm_id], closed=True))
    return replace(durable, alarms=alarms)


def _dropped(durable: "Durable", event: Event) -> "Durable":
    items = without(durable.alarms.items, event.data["alarm"])
    return replace(durable, alarms=replace(durable.alarms, items=items))


def _told(durable: "Durable", event: Event) -> "Durable":
    """Fold an escalation, a reminder or an overdue close-out of one alarm."""
    alarms = durable.alarms
    alarm = alarms.items[event.data["alarm"]]
    if event.kind == "escalated":
        after = replace(alarm, step=event.data["step"])
    elif event.kind == "reminded":
        after = replace(alarm, told_ms=event.now_ms)
    else:
        after = replace(alarm, due_said=True)
    return replace(durable, alarms=replace(alarms, items=with_entry(alarms.items, after.id, after)))


def _silenced(durable: "Durable", event: Event) -> "Durable":
    return replace(
        durable, alarms=replace(durable.alarms, silenced_until_ms=event.data["until_ms"])
    )


def _restarted(durable: "Durable", event: Event) -> "Durable":
    """Carry ages over to the new run's clock where it began anew (a reboot)."""
    shift_ms = event.now_ms - durable.now_ms
    if shift_ms >= 0:
        return durable
    alarms = durable.alarms
    items = {
        key: replace(each, raised_ms=each.raised_ms + shift_ms, told_ms=each.told_ms + shift_ms)
        for key, each in alarms.items.items()
    }
    return replace(durable, alarms=replace(alarms, items=items, groups={}, silenced_until_ms=0))


FOLDS: dict[str, Fold] = {
    "alarm_raised": _raised,
    "alarm_cleared": _cleared,
    "alarms_acknowledged": _acknowledged,
    "alarms_closed": _closed,
    "alarm_dropped": _dropped,
    "escalated": _told,
    "reminded": _told,
    "close_out_due": _told,
    "silenced": _silenced,
    "controller_started": _restarted,
}


def _unknown(draft: "Draft", command: Command) -> Reasons:
    items = draft.durable.alarms.items
    return tuple(
        f"unknown_alarm:{each}" for each in command.arguments["alarms"] if each not in items
    )


def _acknowledge(draft: "Draft", given: Given) -> None:
    command = given.command
    draft.emit(
        "alarms_acknowledged",
        alarms=list(command.arguments["alarms"]),
        by=command.by or command.origin,
        command=given.answer,
    )


def _close_out(draft: "Draft", given: Given) -> None:
    command = given.command
    draft.emit(
        "alarms_closed",
        command.text,
        alarms=list(command.arguments["alarms"]),
        by=command.by,
        cause=command.arguments["cause"],
        command=given.answer,
    )


def _silence(draft: "Draft", given: Given) -> None:
    until_ms = draft.image.now_ms + draft.mine.escalation.silence_s * 1000
    by = given.command.by or given.command.origin
    draft.emit("silenced", by=by, command=given.answer, until_ms=until_ms)


_DESK = frozenset({Role.DISPATCHER, Role.MONITORING_OPERATOR, Role.DUTY_LEADER})

COMMANDS: dict[str, Act] = {
    "acknowledge": Act(
        do=_acknowledge, arguments={"alarms": is_ids}, roles=_DESK, check=_unknown, local=True
    ),
    "close_out": Act(
        do=_close_out,
        arguments={"alarms": is_ids, "cause": is_id},
        roles=_DESK,
        check=_unknown,
    ),
    "silence": Act(do=_silence, local=True),
}
