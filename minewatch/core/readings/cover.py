"""Hand cover (人工监测) and bypass (停用): the two named, timed ways of living with a dead head.

Practice 3: hand cover is approved by the chief engineer, names the gas checker, wants a reading
every 30 min and lasts at most 8 h; a late reading cuts again. Practice 10: a bypass needs chief
engineer and duty leader, 2 h, at most 8 h; it never lets a place go without any head.

Either may be ordered anew while it stands. It then goes on by the entry that brought it into force:
it does not lapse until the newer entry is on disk, which would cut or trip at every renewal.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from minewatch.core.alarms import alarm
from minewatch.core.deadline import Deadline
from minewatch.core.desk.act import Act, Given, Reasons, is_id, is_integer
from minewatch.core.folding import Fold, keep, with_entry, without
from minewatch.core.power import interlock
from minewatch.core.power.interlock import Bypass, Cover
from minewatch.core.readings import fault, points
from minewatch.model.alarm import AlarmKind
from minewatch.model.event import Event
from minewatch.model.image import Command
from minewatch.model.mine import Role
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable

COVER_MS = 8 * 3_600_000
READING_MS = 30 * 60_000
BYPASS_MINUTES = 120
BYPASS_MINUTES_MAX = 480
OPEN_MAX = 64
"""At most so many covers, and so many bypasses, at one time."""


def decide(draft: "Draft") -> None:
    """End what has run out; put into force what has reached the disk."""
    now_ms = draft.image.now_ms
    durable = draft.durable.interlock
    for point_id in sorted(durable.covers):
        cover = durable.covers[point_id]
        if now_ms >= cover.until.ms:
            end(draft, point_id, "expired")
        elif now_ms >= cover.next.ms:
            alarm.raise_(draft, AlarmKind.HAND_COVER_LATE, point_id, zone=_zone(draft, point_id))
            end(draft, point_id, "late")
    for point_id in sorted(durable.bypasses):
        if now_ms >= durable.bypasses[point_id].until.ms:
            _end_bypass(draft, point_id, "expired")
        elif draft.live[point_id].quality is not points.overlay(
            draft, point_id, draft.live[point_id].raw
        ):
            points.refresh(draft, point_id)


def _zone(draft: "Draft", point_id: str) -> str:
    return draft.plan.points[point_id].zone


def end(draft: "Draft", point_id: str, reason: str) -> None:
    """End a cover; a head that is not GOOD then cuts again at once."""
    draft.emit("hand_cover_ended", point=point_id, reason=reason)
    plan = draft.plan.points[point_id]
    if draft.live[point_id].raw is not Quality.GOOD and plan.faults:
        fault.lock(draft, plan)
    points.refresh(draft, point_id)


def _end_bypass(draft: "Draft", point_id: str, reason: str) -> None:
    draft.emit("bypass_ended", point=point_id, reason=reason)
    points.refresh(draft, point_id, guarded=True)


def _cover_started(durable: "Durable", event: Event) -> "Durable":
    before = durable.interlock.covers.get(event.data["point"])
    cover = Cover(
        point=event.data["point"],
        checker=event.data["checker"],
        by=event.data["by"],
        index=durable.index if before is None else before.index,
        until=Deadline.after(event, COVER_MS),
        next=Deadline.after(event, READING_MS),
    )
    covers = with_entry(durable.interlock.covers, cover.point, cover)
    return interlock.with_parts(durable, covers=covers)


def _cover_read(durable: "Durable", event: Event) -> "Durable":
    """Fold a hand value: under hand cover the next reading is due 30 min later."""
    cover = durable.interlock.covers.get(event.data["point"])
    if cover is None:
        return durable
    after = replace(cover, next=Deadline.after(event, READING_MS))
    covers = with_entry(durable.interlock.covers, cover.point, after)
    return interlock.with_parts(durable, covers=covers)


def _cover_ended(durable: "Durable", event: Event) -> "Durable":
    covers = without(durable.interlock.covers, event.data["point"])
    return interlock.with_parts(durable, covers=covers)


def _bypass_started(durable: "Durable", event: Event) -> "Durable":
    data = event.data
    before = durable.interlock.bypasses.get(data["point"])
    bypass = Bypass(
        point=data["point"],
        by=data["by"],
        second=data["second"],
        index=durable.index if before is None else before.index,
        until=Deadline.after(event, data["minutes"] * 60_000),
    )
    bypasses = with_entry(durable.interlock.bypasses, bypass.point, bypass)
    return interlock.with_parts(durable, bypasses=bypasses)


def _bypass_ended(durable: "Durable", event: Event) -> "Durable":
    bypasses = without(durable.interlock.bypasses, event.data["point"])
    return interlock.with_parts(durable, bypasses=bypasses)


FOLDS: dict[str, Fold] = {
    "hand_cover_started": _cover_started,
    "hand_value_recorded": _cover_read,
    "hand_cover_ended": _cover_ended,
    "hand_cover_end_ordered": keep,
    "bypass_end_ordered": keep,
    "bypass_started": _bypass_started,
    "bypass_ended": _bypass_ended,
}


def against(draft: "Draft", command: Command) -> Reasons:
    """Find what speaks against hand cover of `point` by `checker`."""
    point_id = command.arguments["point"]
    plan = draft.plan.points.get(point_id)
    if plan is None or not plan.by_hand:
        return (f"not_a_gas_head:{point_id}",)
    reasons = []
    checker = draft.mine.staff_member(command.arguments["checker"])
    if checker is None or checker.role is not Role.GAS_CHECKER:
        reasons.append("not_a_gas_checker")
    covers = draft.durable.interlock.covers
    if len(covers) >= OPEN_MAX and point_id not in covers:
        reasons.append("too_many")
    return tuple(reasons)


def _cover(draft: "Draft", given: Given) -> None:
    asked, by = given.command.arguments, given.command.by
    text, answer = given.command.text, given.answer
    begin(draft, asked["point"], checker=asked["checker"], by=by, command=answer, text=text)


def begin(
    draft: "Draft", point_id: str, *, checker: str, by: str, command: str, text: str = ""
) -> None:
    """Begin hand cover, or begin it anew; `command` is empty where it is part of another act."""
    draft.emit("hand_cover_started", text, by=by, checker=checker, command=command, point=point_id)
    alarm.clear(draft, AlarmKind.HAND_COVER_LATE, point_id)
    points.refresh(draft, point_id)


def _check_end_cover(draft: "Draft", command: Command) -> Reasons:
    point_id = command.arguments["point"]
    return () if point_id in draft.durable.interlock.covers else (f"no_cover:{point_id}",)


def _order_end_cover(draft: "Draft", given: Given) -> None:
    point_id = given.command.arguments["point"]
    draft.emit("hand_cover_end_ordered", by=given.command.by, command=given.answer, point=point_id)
    end(draft, point_id, "ordered")


def _check_bypass(draft: "Draft", command: Command) -> Reasons:
    point_id = command.arguments["point"]
    plan = draft.plan.points.get(point_id)
    if plan is None or plan.certified:
        return (f"unknown_point:{point_id}",)
    bypasses = draft.durable.interlock.bypasses
    if len(bypasses) >= OPEN_MAX and point_id not in bypasses:
        return ("too_many",)
    if point_id in draft.durable.head_works.open:
        return ("in_head_work",)
    return ("in_calibration",) if point_id in draft.durable.calibrations.open else ()


def _bypass(draft: "Draft", given: Given) -> None:
    arguments = given.command.arguments
    draft.emit(
        "bypass_started",
        given.command.text,
        by=given.command.by,
        command=given.answer,
        minutes=arguments.get("minutes", BYPASS_MINUTES),
        point=arguments["point"],
        second=given.second,
    )
    points.refresh(draft, arguments["point"])


def _check_end_bypass(draft: "Draft", command: Command) -> Reasons:
    point_id = command.arguments["point"]
    return () if point_id in draft.durable.interlock.bypasses else (f"no_bypass:{point_id}",)


def _order_end_bypass(draft: "Draft", given: Given) -> None:
    point_id = given.command.arguments["point"]
    draft.emit("bypass_end_ordered", by=given.command.by, command=given.answer, point=point_id)
    _end_bypass(draft, point_id, "ordered")


_CHIEF = frozenset({Role.CHIEF_ENGINEER})

COMMANDS: dict[str, Act] = {
    "hand_cover": Act(
        do=_cover,
        arguments={"point": is_id, "checker": is_id},
        roles=_CHIEF,
        check=against,
    ),
    "end_hand_cover": Act(
        do=_order_end_cover,
        arguments={"point": is_id},
        optional={"checker": is_id},
        roles=_CHIEF,
        check=_check_end_cover,
    ),
    "bypass": Act(
        do=_bypass,
        arguments={"point": is_id},
        optional={"minutes": is_integer(1, BYPASS_MINUTES_MAX)},
        roles=_CHIEF,
        second=frozenset({Role.DUTY_LEADER}),
        check=_check_bypass,
    ),
    "end_bypass": Act(
        do=_order_end_bypass,
        arguments={"point": is_id},
        optional={"minutes": is_integer(1, BYPASS_MINUTES_MAX)},
        roles=_CHIEF | {Role.DUTY_LEADER},
        check=_check_end_bypass,
    ),
}
