"""Alarms: one instance per (kind, source) while it is not gone, moved by the life-cycle table.

Any room raises and clears with `raise_` and `clear`; both cost two look-ups when nothing changes.
What the events do to the table stands in `life.py`, what people may ask in `acts.py`.
An alarm leaves the table once it is gone and, where its priority asks for it, closed out with cause
and measure (practice 12). At most `GONE_MAX` gone alarms wait for that: beyond it the oldest is
dropped with an event of its own. Standing alarms are never dropped; their number is bounded by the
configuration, one per kind and source.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from minewatch.core.alarms import holds
from minewatch.core.alarms.flood import Flood
from minewatch.core.alarms.shelf import Shelf
from minewatch.core.desk import planned_work
from minewatch.core.folding import with_entry, without
from minewatch.model.alarm import PRIORITY, STANDING, AlarmKind, AlarmState

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable

GONE_MAX = 500
FIRST_OUT_MS = 10_000
CLOSE_OUT_PRIORITY_MAX = 2
"""Priorities 1 and 2 are closed out with cause and measure; the others leave by clearing."""

_NEVER_FIRST = frozenset({AlarmKind.PRE_ALARM, AlarmKind.COMPARISON})
_UNANSWERED = frozenset({AlarmState.UNACKNOWLEDGED, AlarmState.RETURNED})


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm. `value`, `limit` and `peak` are in the unit of the source's kind.

    `step` counts the escalations of the present raise, the last at `stepped_ms`; it was told to
    `told` (`sms:<code>`, `screen:<terminal>`, `horn`, `page`, `upload`), who has not failed since.
    `told_ms` is the time of the last reminder.
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
    stepped_ms: int = 0
    told: tuple[str, ...] = ()

    @property
    def active(self) -> bool:
        """Say whether the condition stands."""
        return self.state in STANDING

    @property
    def unanswered(self) -> bool:
        """Say whether nobody has acknowledged it."""
        return self.state in _UNANSWERED


@dataclass(frozen=True, slots=True)
class AlarmsDurable:
    """`standing` finds the instance of `kind/source`; `groups` are the last first-outs by zone.

    `shelves` are by `kind/source`. `recent` are the times of the newest alarms that sounded, oldest
    first, as many as a flood takes.
    """

    items: Mapping[str, Alarm] = field(default_factory=dict)
    standing: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    silenced_until_ms: int = 0
    shelves: Mapping[str, Shelf] = field(default_factory=dict)
    recent: tuple[int, ...] = ()
    flood: Flood | None = None


@dataclass(frozen=True, slots=True)
class AlarmsVolatile:
    """Peaks of standing alarms, whether the corridor horn sounds, when a timer is next due.

    `held_index` is how much was on disk when holds were looked at, `screens` the ms at which each
    terminal's page was last seen live and audible.
    """

    peaks: Mapping[str, int] = field(default_factory=dict)
    horn: bool = False
    next_ms: int = 0
    seen_index: int = -1
    held_index: int = -1
    screens: Mapping[str, int] = field(default_factory=dict)


class Again(NamedTuple):
    """An answered alarm that comes back: the id of the one before, and who had answered it."""

    alarm: str
    by: str


def find(durable: "Durable", kind: AlarmKind, source: str) -> Alarm | None:
    """Return the instance of (kind, source) that is not gone, or None."""
    alarm_id = durable.alarms.standing.get(f"{kind}/{source}")
    return None if alarm_id is None else durable.alarms.items[alarm_id]


def is_active(durable: "Durable", kind: AlarmKind, source: str) -> bool:
    """Say whether the condition of (kind, source) stands."""
    alarm = find(durable, kind, source)
    return alarm is not None and alarm.state in STANDING


def raise_(
    draft: "Draft",
    kind: AlarmKind,
    source: str,
    *,
    zone: str = "",
    value: int | None = None,
    limit: int | None = None,
    again: Again | None = None,
) -> None:
    """Raise the alarm of (kind, source), or note a new peak of the one that stands.

    One that is shelved, out of service or folded into its cause is raised without a sound.

    `source` is a point, output, zone, badge, reader, interlock or local fan id, or `line:<bus>`;
    `zone` is empty for what concerns the whole mine. `again` makes no sound.
    """
    alarm = find(draft.durable, kind, source)
    if alarm is not None and alarm.state in STANDING:
        _note_peak(draft, alarm, value)
        return
    if alarm is None and again is not None:
        alarm = draft.durable.alarms.items.get(again.alarm)
    draft.emit(
        "alarm_raised",
        alarm=f"A{draft.durable.index}" if alarm is None else alarm.id,
        alarm_kind=str(kind),
        answered=None if again is None else again.by,
        first_out=_is_first_out(draft, kind, zone),
        held=str(holds.of(draft, kind, source) or ""),
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
    if alarm is None or alarm.state not in STANDING:
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


def further(kind: AlarmKind, one: int | None, other: int | None) -> int | None:
    """Return the value that is further beyond the limit."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other) if kind is AlarmKind.LOW else max(one, other)


def _note_peak(draft: "Draft", alarm: Alarm, value: int | None) -> None:
    known = peak_of(draft.volatile.alarms.peaks, alarm)
    furthest = further(alarm.kind, known, value)
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
