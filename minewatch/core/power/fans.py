"""Local fans (风电闭锁、双风机): who blows, a changeover that comes in time, a stop that cuts.

A heading is ventilated while one of its fans is known to run. Where the main one stops, the standby
one has the changeover time, as long as the duct shows wind; without wind, or where no duct is
watched, the stop of all cuts at once. A fan that is not GOOD counts as stopped once its fault time
has passed. The cut is latched under `fan:<local fan>` and released only while a fan runs, the duct
shows wind and the heading's methane has been below restore for 60 s (`release.py`).

A stop that is seen also orders the people of the heading out, announced work or not: the fan that
carried the air is known to stand, or none is known to run and no duct has wind. That comes after
the changeover time even where the cut did not wait, so that a changeover in its time orders nobody
out; fans that are merely silent cut, and order nobody out.

Source: domain.md interlock semantics (fan-electric, double fan) and 停风 in its section 5.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minewatch.core.alarms import alarm
from minewatch.core.power import interlock
from minewatch.core.power.interlock import Cause
from minewatch.core.power.layout import FanSet
from minewatch.core.withdrawals import withdrawal
from minewatch.model.alarm import AlarmKind
from minewatch.model.mine import Condition
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

CAUSE = "fan"
NEVER_MS = 2**62


@dataclass(frozen=True, slots=True)
class Blowing:
    """How a fan set stands: who carries the air, since when nobody is known to.

    `due_ms` is when that cuts and `leave_ms` when it orders people out, each until it has.
    """

    carrier: str = ""
    lost_ms: int | None = None
    due_ms: int = NEVER_MS
    leave_ms: int = NEVER_MS


@dataclass(frozen=True, slots=True)
class FansVolatile:
    """Each fan set by its id; a restart sees the fans anew."""

    sets: Mapping[str, Blowing] = field(default_factory=dict)
    next_ms: int = 0


def decide(draft: "Draft") -> None:
    """Look at the fans whose switches spoke or whose deadline has come."""
    sets = draft.plan.power.fans
    if not sets or not (draft.image.now_ms >= draft.volatile.fans.next_ms or _is_woken(draft)):
        return
    known = draft.volatile.fans.sets
    after = {key: _look(draft, each, known.get(key, Blowing())) for key, each in sets.items()}
    next_ms = min(min(each.due_ms, each.leave_ms) for each in after.values())
    draft.update_volatile(fans=FansVolatile(after, next_ms))


def is_blowing(draft: "Draft", fans: FanSet) -> bool:
    """Say whether one of the fans is known to run."""
    return any(_says(draft, each, 1) for each in fans.fans)


def is_stopped(draft: "Draft", fans: FanSet) -> bool:
    """Say whether all fans are known to stand still, and no changeover is awaited."""
    known = draft.volatile.fans.sets.get(fans.row.id, Blowing())
    return (
        all(_says(draft, each, 0) for each in fans.fans)
        and known.lost_ms is not None
        and draft.image.now_ms >= known.lost_ms + fans.row.changeover_ms
    )


def behind(draft: "Draft", cause: Cause) -> FanSet | None:
    """Return the fans whose stop a latched cause is about, None for any other cause."""
    power = draft.plan.power
    about = cause.id.partition(":")[2]
    if cause.kind == CAUSE:
        return power.fans.get(about)
    return power.fans.get(power.ventilates.get(about, "")) if cause.kind == Condition.OFF else None


def demands_leaving(draft: "Draft", cause: str) -> str:
    """Return the fans, named as the cause of a withdrawal, that still do not ventilate, or ""."""
    kind, _, about = cause.partition(":")
    fans = draft.plan.power.fans.get(about) if kind == CAUSE else None
    return about if fans is not None and reasons_against(draft, fans) else ""


def reasons_against(draft: "Draft", fans: FanSet) -> list[str]:
    """Return what is missing before power may return to the heading: a fan, wind in the duct."""
    reasons = [] if is_blowing(draft, fans) else [f"fan_not_running:{fans.row.main}"]
    return reasons + [f"no_duct_wind:{each}" for each in fans.row.duct if not _says(draft, each, 1)]


def _is_woken(draft: "Draft") -> bool:
    power = draft.plan.power
    return (
        draft.plan is not draft.volatile.plan
        or any(each.device in power.fan_devices for each in draft.image.samples)
        or not power.fan_points.isdisjoint(draft.checks)
    )


def _look(draft: "Draft", fans: FanSet, before: Blowing) -> Blowing:
    now_ms, row = draft.image.now_ms, fans.row
    running = [each for each in fans.fans if _says(draft, each, 1)]
    if running:
        alarm.clear(draft, AlarmKind.FANS_STOPPED, row.id)
        return Blowing(_carrier(draft, fans, before, running))
    lost_ms = now_ms if before.lost_ms is None else before.lost_ms
    has_wind = any(_says(draft, each, 1) for each in row.duct)
    due_ms = _due_ms(draft, fans, lost_ms, waits=has_wind)
    is_seen = _is_seen(draft, fans, before.carrier)
    leave_ms = _due_ms(draft, fans, lost_ms, waits=True) if is_seen else NEVER_MS
    if now_ms < due_ms:
        return Blowing(before.carrier, lost_ms, due_ms, leave_ms)
    alarm.raise_(draft, AlarmKind.FANS_STOPPED, row.id, zone=row.zone)
    interlock.demand(draft, CAUSE, row.id, fans.fans, fans.outputs)
    if now_ms < leave_ms:
        return Blowing(before.carrier, lost_ms, leave_ms=leave_ms)
    withdrawal.demand(draft, fans.zones, f"{CAUSE}:{row.id}", downwind=False)
    return Blowing(before.carrier, lost_ms)


def _is_seen(draft: "Draft", fans: FanSet, carrier: str) -> bool:
    """Say whether a stop is more than silence: the carrier stands, or no duct has wind."""
    ducts = fans.row.duct
    still = bool(ducts) and all(_says(draft, each, 0) for each in ducts)
    return still or _says(draft, carrier or fans.row.main, 0)


def _carrier(draft: "Draft", fans: FanSet, before: Blowing, running: list[str]) -> str:
    """Return who carries the air now; say it where that is another one than before."""
    if before.carrier in running:
        return before.carrier
    if before.carrier:
        now_ms = draft.image.now_ms
        draft.emit(
            "fan_changed_over",
            after_ms=0 if before.lost_ms is None else now_ms - before.lost_ms,
            before=before.carrier,
            fan=fans.row.id,
            now=running[0],
            zone=fans.row.zone,
        )
    return running[0]


def _due_ms(draft: "Draft", fans: FanSet, lost_ms: int, *, waits: bool) -> int:
    """Return when the stop counts: a changeover may be awaited, a silent fan has its fault time."""
    due_ms = lost_ms + (fans.row.changeover_ms if waits else 0)
    for each in fans.fans:
        if not _says(draft, each, 0):
            plan = draft.plan.points[each]
            due_ms = max(due_ms, draft.live[each].guarded_ms + plan.point.fault_after_ms)
    return due_ms


def _says(draft: "Draft", point_id: str, value: int) -> bool:
    live = draft.live[point_id]
    return live.quality is Quality.GOOD and live.value == value


def view(draft: "Draft", fans: FanSet) -> dict[str, Any]:
    """Return how the fans of a heading stand, for the frame."""
    known = draft.volatile.fans.sets.get(fans.row.id, Blowing())
    return {
        "zone": fans.row.zone,
        "main": fans.row.main,
        "standby": fans.row.standby,
        "running": [each for each in fans.fans if _says(draft, each, 1)],
        "carrier": known.carrier,
        "stopped_since_ms": known.lost_ms,
        "cuts_at_ms": None if known.due_ms == NEVER_MS else known.due_ms,
        "outputs": list(fans.outputs),
    }
