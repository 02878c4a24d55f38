"""Calibration (标校): a named, timed mark under which a head neither trips nor clears.

Practice 8: not while the point is in alarm, nor on the last GOOD methane head of a zone without
hand cover; 15 min and one extension of 10; one head per zone, two per mine. Outputs stay as they
are. At expiry the head returns to service with alarm 标校超时, never to a fault. The end of each
calibration carries its sheet: extremes and the plateaus of the gas that was applied.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from minewatch.core.alarms import alarm
from minewatch.core.deadline import Deadline
from minewatch.core.desk.act import Act, Given, Reasons, is_id
from minewatch.core.folding import Fold, with_entry, without
from minewatch.core.readings import fault, points
from minewatch.model.alarm import AlarmKind
from minewatch.model.event import Event
from minewatch.model.image import Command
from minewatch.model.mine import Role

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable

CALIBRATION_MS = 15 * 60_000
EXTENSION_MS = 10 * 60_000
PER_ZONE_MAX = 1
PER_MINE_MAX = 2

PLATEAU_MS = 5_000
PLATEAU_BAND = 5
"""A plateau stays within this many units (0.05 %CH4) of its first value for at least 5 s."""
PLATEAUS_MAX = 12

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


class Plateau(NamedTuple):
    """A steady stretch of a calibration: its first value, begin, end and number of samples."""

    value: int
    began_ms: int
    ended_ms: int
    samples: int


@dataclass(frozen=True, slots=True)
class Profile:
    """What a head showed while it was calibrated; `running` may still become a plateau."""

    lowest: int | None = None
    highest: int | None = None
    samples: int = 0
    plateaus: tuple[Plateau, ...] = ()
    running: Plateau | None = None


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


def extended_by(profile: Profile, value: int, at_ms: int) -> Profile:
    """Return the profile with one more sample."""
    lowest = value if profile.lowest is None else min(profile.lowest, value)
    highest = value if profile.highest is None else max(profile.highest, value)
    running, plateaus = profile.running, profile.plateaus
    if running is not None and abs(value - running.value) <= PLATEAU_BAND:
        running = running._replace(ended_ms=at_ms, samples=running.samples + 1)
    else:
        plateaus = _with(plateaus, running)
        running = Plateau(value, at_ms, at_ms, 1)
    return Profile(lowest, highest, profile.samples + 1, plateaus, running)


def _with(plateaus: tuple[Plateau, ...], running: Plateau | None) -> tuple[Plateau, ...]:
    if running is None or running.ended_ms - running.began_ms < PLATEAU_MS:
        return plateaus
    return (*plateaus, running)[-PLATEAUS_MAX:]


def _collect(draft: "Draft") -> None:
    calibrations = draft.durable.calibrations.open
    profiles = dict(draft.volatile.calibrations.profiles)
    for sample in draft.image.samples:
        for reading in sample.readings:
            if reading.point in calibrations and reading.value is not None:
                before = profiles.get(reading.point, Profile())
                profiles[reading.point] = extended_by(before, reading.value, sample.sampled_ms)
    if profiles != draft.volatile.calibrations.profiles:
        draft.update_volatile(calibrations=CalibrationsVolatile(profiles))


def _end(draft: "Draft", point_id: str, **said: str) -> None:
    """End a calibration with its sheet; the head's fault limit runs anew from now."""
    calibration = draft.durable.calibrations.open[point_id]
    profile = draft.volatile.calibrations.profiles.get(point_id, Profile())
    draft.emit(
        "calibration_ended",
        duration_ms=draft.image.now_ms - calibration.started_ms,
        highest=profile.highest,
        lowest=profile.lowest,
        plateaus=[
            {"duration_ms": each.ended_ms - each.began_ms, "value": each.value}
            for each in _with(profile.plateaus, profile.running)
        ],
        point=point_id,
        samples=profile.samples,
        started_by=calibration.by,
        **said,
    )
    left = without(draft.volatile.calibrations.profiles, point_id)
    draft.update_volatile(calibrations=CalibrationsVolatile(left))
    points.refresh(draft, point_id, guarded=True)


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
    reasons = []
    if any(alarm.is_active(draft.durable, kind, point_id) for kind in _IN_ALARM):
        reasons.append("in_alarm")
    if point_id in draft.durable.interlock.bypasses:
        reasons.append("bypassed")
    if sum(draft.plan.points[each].zone == plan.zone for each in opened) >= PER_ZONE_MAX:
        reasons.append("zone_busy")
    if len(opened) >= PER_MINE_MAX:
        reasons.append("mine_busy")
    if plan.is_methane and not fault.is_guarded(draft, point_id):
        reasons.append("last_head")
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
