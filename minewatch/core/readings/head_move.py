"""Moving and replacing a head (移设、更换): a timed state under hand cover (practice 11).

The chief engineer names the checker and so begins hand cover, unless it stands already; from then
on the head counts as INHIBITED: it neither raises nor clears nor guards. It ends by order or by its
time, at the latest then with an alarm; the head is in service again, a new catalytic one after its
warm-up. The cover that began with the work ends with it, once the head reads GOOD.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from minewatch.core.alarms import alarm
from minewatch.core.deadline import Deadline
from minewatch.core.desk import planned_work
from minewatch.core.desk.act import Act, Given, Reasons, is_id, is_integer
from minewatch.core.folding import Fold, with_entry, without
from minewatch.core.readings import calibration, cover, points, warm_up
from minewatch.model.alarm import AlarmKind
from minewatch.model.event import Event
from minewatch.model.image import Command
from minewatch.model.mine import Role
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable, State

MINUTES_MAX = 480
"""Above what any table of rules permits; the rule itself is `Acts.head_work_minutes_max`."""

PER_MINE_MAX = 4
"""At most so many heads are moved or replaced at one time."""


@dataclass(frozen=True, slots=True)
class HeadWork:
    """A head that is being moved or replaced; `act` is `move` or `replace`."""

    point: str
    act: str
    by: str
    checker: str
    index: int
    started_ms: int
    until: Deadline


@dataclass(frozen=True, slots=True)
class HeadWorksDurable:
    """Open works by point; `covered` are the points whose hand cover began with such a work."""

    open: Mapping[str, HeadWork] = field(default_factory=dict)
    covered: tuple[str, ...] = ()


def observe(draft: "Draft") -> None:
    """Put into force what has reached the disk, end what has run out, end cover that is over."""
    durable = draft.durable.head_works
    if not durable.open and not durable.covered:
        return
    for point_id in sorted(durable.open):
        if draft.image.now_ms >= durable.open[point_id].until.ms:
            zone = draft.plan.points[point_id].zone
            alarm.raise_(draft, AlarmKind.HEAD_WORK_OVERRUN, point_id, zone=zone)
            _end(draft, durable.open[point_id], by="", reason="expired")
        elif draft.live[point_id].quality is not points.overlay(
            draft, point_id, draft.live[point_id].raw
        ):
            points.refresh(draft, point_id)
    for point_id in durable.covered:
        if _is_back(draft, point_id):
            cover.end(draft, point_id, "head_back")


def _is_back(draft: "Draft", point_id: str) -> bool:
    """Say whether the head guards its place itself again."""
    return (
        point_id not in draft.durable.head_works.open
        and point_id not in draft.durable.warm_ups.open
        and draft.live[point_id].quality is Quality.GOOD
    )


def _end(draft: "Draft", work: HeadWork, **said: str) -> None:
    draft.emit(
        "head_work_ended",
        act=work.act,
        duration_ms=draft.image.now_ms - work.started_ms,
        point=work.point,
        started_by=work.by,
        **said,
    )
    if work.act == "replace":
        warm_up.begin(draft, work.point)
    points.refresh(draft, work.point, guarded=True)


def _started(durable: "Durable", event: Event) -> "Durable":
    data = event.data
    work = HeadWork(
        point=data["point"],
        act=data["act"],
        by=data["by"],
        checker=data["checker"],
        index=durable.index,
        started_ms=event.now_ms,
        until=Deadline.after(event, data["minutes"] * 60_000),
    )
    before = durable.head_works
    covered = {*before.covered, *([work.point] if data["covered"] else [])}
    opened = with_entry(before.open, work.point, work)
    return replace(durable, head_works=HeadWorksDurable(opened, tuple(sorted(covered))))


def _ended(durable: "Durable", event: Event) -> "Durable":
    opened = without(durable.head_works.open, event.data["point"])
    return replace(durable, head_works=replace(durable.head_works, open=opened))


def _uncovered(durable: "Durable", event: Event) -> "Durable":
    """Fold the end of a cover, or a new one by the chief engineer: no longer the work's own."""
    left = tuple(each for each in durable.head_works.covered if each != event.data["point"])
    return replace(durable, head_works=replace(durable.head_works, covered=left))


def _rebased(durable: "Durable", event: Event) -> "Durable":
    shift_ms = min(0, event.now_ms - durable.now_ms)
    opened = {
        key: replace(
            each,
            until=each.until.rebased(event, durable.now_ms),
            started_ms=each.started_ms + shift_ms,
        )
        for key, each in durable.head_works.open.items()
    }
    return replace(durable, head_works=replace(durable.head_works, open=opened))


FOLDS: dict[str, Fold] = {
    "head_work_started": _started,
    "head_work_ended": _ended,
    "hand_cover_started": _uncovered,
    "hand_cover_ended": _uncovered,
    "controller_started": _rebased,
    "clock_stepped": _rebased,
}


def _check_start(draft: "Draft", command: Command) -> Reasons:
    reasons = cover.against(draft, command)
    point_id = command.arguments["point"]
    plan = draft.plan.points.get(point_id)
    if plan is None or not plan.by_hand:
        return reasons
    return (*reasons, *_against(draft, point_id), *_against_time(draft, command))


def _against(draft: "Draft", point_id: str) -> Reasons:
    """Find what speaks against touching the head now."""
    opened = draft.durable.head_works.open
    reasons = list(calibration.against_touching(draft, point_id))
    if point_id in draft.durable.calibrations.open:
        reasons.append("in_calibration")
    if len(opened) >= PER_MINE_MAX:
        reasons.append("mine_busy")
    if not planned_work.is_announced(draft, planned_work.HEAD_MOVE, point_id):
        reasons.append("notice_missing")
    return tuple(reasons)


def _against_time(draft: "Draft", command: Command) -> Reasons:
    minutes_max = draft.mine.acts.head_work_minutes_max
    if _minutes(draft, command) > minutes_max or not minutes_max:
        return (f"window_too_long:{minutes_max}",)
    return ()


def _minutes(draft: "Draft", command: Command) -> int:
    minutes = command.arguments.get("minutes", draft.mine.acts.head_work_minutes)
    assert isinstance(minutes, int)
    return minutes


def _move(draft: "Draft", given: Given) -> None:
    _begin(draft, given, "move")


def _replace(draft: "Draft", given: Given) -> None:
    _begin(draft, given, "replace")


def _begin(draft: "Draft", given: Given, act: str) -> None:
    """Begin hand cover where none stands, then the work; the new place is the text beside it."""
    asked, by = given.command.arguments, given.command.by
    point_id = asked["point"]
    covered = point_id not in draft.durable.interlock.covers
    if covered:
        cover.begin(draft, point_id, checker=asked["checker"], by=by, command="")
    draft.emit(
        "head_work_started",
        given.command.text,
        act=act,
        by=by,
        checker=asked["checker"],
        command=given.answer,
        covered=covered,
        minutes=_minutes(draft, given.command),
        point=point_id,
    )
    alarm.clear(draft, AlarmKind.HEAD_WORK_OVERRUN, point_id)
    points.refresh(draft, point_id)


def _check_end(draft: "Draft", command: Command) -> Reasons:
    point_id = command.arguments["point"]
    return () if point_id in draft.durable.head_works.open else ("no_head_work",)


def _order_end(draft: "Draft", given: Given) -> None:
    work = draft.durable.head_works.open[given.command.arguments["point"]]
    _end(draft, work, by=given.command.by, command=given.answer, reason="ended")


_CHIEF = frozenset({Role.CHIEF_ENGINEER})
_START = {"point": is_id, "checker": is_id}
_TIME = {"minutes": is_integer(1, MINUTES_MAX)}

COMMANDS: dict[str, Act] = {
    "move_head": Act(do=_move, arguments=_START, optional=_TIME, roles=_CHIEF, check=_check_start),
    "replace_head": Act(
        do=_replace, arguments=_START, optional=_TIME, roles=_CHIEF, check=_check_start
    ),
    "end_head_work": Act(
        do=_order_end,
        arguments={"point": is_id},
        roles=_CHIEF | {Role.FIELD_ENGINEER, Role.MONITORING_OPERATOR},
        check=_check_end,
    ),
}


def view(state: "State") -> dict[str, Any]:
    """Return the frame's `head_works`: heads that are being moved or replaced, and until when."""
    return {
        "head_works": {
            each.point: {
                "act": each.act,
                "by": each.by,
                "checker": each.checker,
                "started_ms": each.started_ms,
                "until_ms": each.until.ms,
            }
            for each in state.durable.head_works.open.values()
        }
    }
