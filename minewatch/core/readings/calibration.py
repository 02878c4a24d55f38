"""Calibration (标校): a named, timed mark under which a head neither trips nor clears.

Practice 8: not while the point is in alarm, nor on the last GOOD methane head of a zone without
hand cover; 15 min and one extension of 10; one head per zone, two per mine. Outputs stay as they
are. At expiry the head returns to service with alarm 标校超时, never to a fault. Practice 9: where
the mine has an upload it is announced first. The end of each calibration carries its sheet:
extremes, the plateaus of the gas that was applied, and whether they are a bottle's steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from minewatch.core.alarms import alarm
from minewatch.core.deadline import Deadline
from minewatch.core.desk import due, planned_work
from minewatch.core.desk.act import Act, Given, Reasons, is_id
from minewatch.core.folding import Fold, with_entry, without
from minewatch.core.readings import bottle, fault, points
from minewatch.core.readings.bottle import Profile
from minewatch.model.alarm import AlarmKind
from minewatch.model.event import Event
from minewatch.model.image import Command
from minewatch.model.mine import Point, Role

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable

CALIBRATION_MS = 15 * 60_000
EXTENSION_MS = 10 * 60_000
PER_ZONE_MAX = 1
PER_MINE_MAX = 2

_IN_ALARM = (
    AlarmKind.PRE_ALARM,
    AlarmKind.GAS_OVER_LIMIT,
    AlarmKind.TRIP,
    AlarmKind.WITHDRAW,
    AlarmKind.LOW,
    AlarmKind.OVER_RANGE,
)


@dataclass(frozen=True, slots=True)
class Calibration:
    """One open calibration."""

    point: str
    by: str
    index: int
    started_ms: int
    until: Deadline
    extended: bool = False


@dataclass(frozen=True, slots=True)
class CalibrationsDurable:
    """Open calibrations by point."""

    open: Mapping[str, Calibration] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CalibrationsVolatile:
    """Profiles of open calibrations by point; after a restart a profile begins anew."""

    profiles: Mapping[str, Profile] = field(default_factory=dict)


def observe(draft: "Draft") -> None:
    """Put into force what has reached the disk, collect profiles, end what has run out."""
    calibrations = draft.durable.calibrations.open
    if not calibrations:
        return
    for point_id in sorted(calibrations):
        if draft.image.now_ms >= calibrations[point_id].until.ms:
            zone = draft.plan.points[point_id].zone
            alarm.raise_(draft, AlarmKind.CALIBRATION_OVERRUN, point_id, zone=zone)
            _end(draft, point_id, by="", reason="expired")
        elif draft.live[point_id].quality is not points.overlay(
            draft, point_id, draft.live[point_id].raw
        ):
            points.refresh(draft, point_id)
    _collect(draft)


def _collect(draft: "Draft") -> None:
    calibrations = draft.durable.calibrations.open
    profiles = dict(draft.volatile.calibrations.profiles)
    for sample in draft.image.samples:
        for reading in sample.readings:
            if reading.point in calibrations and reading.value is not None:
                before = profiles.get(reading.point, Profile())
                profiles[reading.point] = bottle.extended_by(
                    before, reading.value, sample.sampled_ms
                )
    if profiles != draft.volatile.calibrations.profiles:
        draft.update_volatile(calibrations=CalibrationsVolatile(profiles))


def _end(draft: "Draft", point_id: str, **said: str) -> None:
    """End a calibration with its sheet; the head's fault limit runs anew from now."""
    calibration = draft.durable.calibrations.open[point_id]
    profile = draft.volatile.calibrations.profiles.get(point_id, Profile())
    draft.emit(
        "calibration_ended",
        duration_ms=draft.image.now_ms - calibration.started_ms,
        point=point_id,
        started_by=calibration.by,
        **_sheet(draft, draft.plan.points[point_id].point, profile),
        **said,
    )
    left = without(draft.volatile.calibrations.profiles, point_id)
    draft.update_volatile(calibrations=CalibrationsVolatile(left))
    due.look_soon(draft)
    points.refresh(draft, point_id, guarded=True)


def _sheet(draft: "Draft", point: Point, profile: Profile) -> dict[str, Any]:
    """Return what a calibration's end says of the gas, and for how many days it is good."""
    plateaus = bottle.plateaus_of(profile)
    acts = draft.mine.acts
    shown, span = bottle.judged(acts.bottle(point.kind), [each.value for each in plateaus])
    return {
        "days": acts.calibration_days(point.kind, catalytic=point.catalytic),
        "highest": profile.highest,
        "lowest": profile.lowest,
        "plateaus": [
            {"duration_ms": each.ended_ms - each.began_ms, "value": each.value} for each in plateaus
        ],
        "profile": shown,
        "samples": profile.samples,
        "span": span,
    }


def _started(durable: "Durable", event: Event) -> "Durable":
    calibration = Calibration(
        point=event.data["point"],
        by=event.data["by"],
        index=durable.index,
        started_ms=event.now_ms,
        until=Deadline.after(event, CALIBRATION_MS),
    )
    return _set(durable, with_entry(durable.calibrations.open, calibration.point, calibration))


def _extended(durable: "Durable", event: Event) -> "Durable":
    before = durable.calibrations.open[event.data["point"]]
    until = Deadline(before.until.ms + EXTENSION_MS, before.until.wall_ms + EXTENSION_MS)
    after = replace(before, until=until, extended=True)
    return _set(durable, with_entry(durable.calibrations.open, after.point, after))


def _ended(durable: "Durable", event: Event) -> "Durable":
    return _set(durable, without(durable.calibrations.open, event.data["point"]))


def _rebased(durable: "Durable", event: Event) -> "Durable":
    shift_ms = min(0, event.now_ms - durable.now_ms)
    return _set(
        durable,
        {
            key: replace(
                each,
                until=each.until.rebased(event, durable.now_ms),
                started_ms=each.started_ms + shift_ms,
            )
            for key, each in durable.calibrations.open.items()
        },
    )


def _set(durable: "Durable", opened: Mapping[str, Calibration]) -> "Durable":
    return replace(durable, calibrations=CalibrationsDurable(opened))


FOLDS: dict[str, Fold] = {
    "calibration_started": _started,
    "calibration_extended": _extended,
    "calibration_ended": _ended,
    "controller_started": _rebased,
    "clock_stepped": _rebased,
}


def _check_start(draft: "Draft", command: Command) -> Reasons:
    point_id = command.arguments["point"]
    plan = draft.plan.points.get(point_id)
    if plan is None:
        return (f"unknown_point:{point_id}",)
    if not plan.by_hand:
        return (f"not_a_gas_head:{point_id}",)
    opened = draft.durable.calibrations.open
    if point_id in opened:
        return ("in_calibration",)
    reasons = list(against_touching(draft, point_id))
    if len(opened) >= PER_MINE_MAX:
        reasons.append("mine_busy")
    if plan.is_methane and not fault.is_guarded(draft, point_id):
        reasons.append("last_head")
    if not planned_work.is_announced(draft, planned_work.CALIBRATION, point_id):
        reasons.append("notice_missing")
    return tuple(reasons)


def against_touching(draft: "Draft", point_id: str) -> Reasons:
    """Find what speaks against taking a head's word away for a while: calibrating or moving it.

    It is in alarm, it is out of service already, or another head of its zone is.
    """
    durable, plans = draft.durable, draft.plan.points
    reasons = []
    if any(alarm.is_active(durable, kind, point_id) for kind in _IN_ALARM):
        reasons.append("in_alarm")
    if point_id in durable.interlock.bypasses:
        reasons.append("bypassed")
    if point_id in durable.head_works.open:
        reasons.append("in_head_work")
    if point_id in durable.warm_ups.open:
        reasons.append("warming_up")
    touched = [*durable.calibrations.open, *durable.head_works.open]
    zone = plans[point_id].zone
    if sum(plans[each].zone == zone for each in touched if each != point_id) >= PER_ZONE_MAX:
        reasons.append("zone_busy")
    return tuple(reasons)


def _start(draft: "Draft", given: Given) -> None:
    point_id = given.command.arguments["point"]
    draft.emit("calibration_started", by=given.command.by, command=given.answer, point=point_id)
    alarm.clear(draft, AlarmKind.CALIBRATION_OVERRUN, point_id)


def _check_open(draft: "Draft", command: Command) -> Reasons:
    point_id = command.arguments["point"]
    return () if point_id in draft.durable.calibrations.open else ("not_in_calibration",)


def _check_extend(draft: "Draft", command: Command) -> Reasons:
    reasons = _check_open(draft, command)
    if reasons:
        return reasons
    opened = draft.durable.calibrations.open[command.arguments["point"]]
    return ("already_extended",) if opened.extended else ()


def _extend(draft: "Draft", given: Given) -> None:
    draft.emit(
        "calibration_extended",
        by=given.command.by,
        command=given.answer,
        point=given.command.arguments["point"],
    )


def _order_end(draft: "Draft", given: Given) -> None:
    point_id = given.command.arguments["point"]
    _end(draft, point_id, by=given.command.by, command=given.answer, reason="ended")


_ENGINEERS = frozenset({Role.FIELD_ENGINEER, Role.MONITORING_OPERATOR})

COMMANDS: dict[str, Act] = {
    "calibrate": Act(do=_start, arguments={"point": is_id}, roles=_ENGINEERS, check=_check_start),
    "extend_calibration": Act(
        do=_extend, arguments={"point": is_id}, roles=_ENGINEERS, check=_check_extend
    ),
    "end_calibration": Act(
        do=_order_end, arguments={"point": is_id}, roles=_ENGINEERS, check=_check_open
    ),
}
