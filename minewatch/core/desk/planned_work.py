"""Planned work (报备): announced with a name and a window, acknowledged, started by a named person.

Practice 9: it starts once the broker has acknowledged the notice, or after a recorded call while
the upload is down. Practice 20: some kinds never run while the mine's total is outside its limit.
A running notice changes no limit, no sound and no trip: it labels the alarms of its places, and it
permits the acts on heads that have to be announced.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from minewatch.core.deadline import Deadline
from minewatch.core.desk.act import Act, Given, Reasons, is_id, is_ids, is_integer
from minewatch.core.folding import Fold, with_entry, without
from minewatch.model.event import Event
from minewatch.model.image import Command
from minewatch.model.mine import Role

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable, State

CALIBRATION = "calibration"
HEAD_MOVE = "head_move"
WHOLE_MINE = "mine"

OPEN_MAX = 64
MINUTES_MAX = 2_880
CALL_MINUTES_MAX = 120
"""A call is recorded at most so long after it was made."""

ACKNOWLEDGES_MS = 120_000
"""An upload that lives acknowledges something at least each minute: the journal's seal."""

ACKNOWLEDGED = "upload_acknowledged"
"""The notice of the house by which the publisher says how much of the ledger the broker has."""


@dataclass(frozen=True, slots=True)
class Work:
    """One notice. `begins` and `until` bound its window; it runs once `started_index` is set."""

    id: str
    kind: str
    applicant: str
    caller: str
    zones: tuple[str, ...]
    points: tuple[str, ...]
    by: str
    index: int
    begins: Deadline
    until: Deadline
    acknowledged: bool = False
    called: bool = False
    started_by: str = ""
    started_index: int | None = None


@dataclass(frozen=True, slots=True)
class WorksDurable:
    """Open notices by id, those that run and those that wait."""

    open: Mapping[str, Work] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorksVolatile:
    """When the broker last acknowledged anything, None in a run in which it never did."""

    heard_ms: int | None = None


def observe(draft: "Draft") -> None:
    """Hear what the broker has acknowledged; end what has run out or may not run now."""
    for notice in draft.image.notices:
        if notice.kind == ACKNOWLEDGED:
            _hear(draft, notice.data.get("index"))
    works = draft.durable.works.open
    for notice_id in sorted(works):
        work = works[notice_id]
        if draft.image.now_ms >= work.until.ms:
            _end(draft, work, by="", reason="expired")
        elif work.started_index is not None and _in_handover(draft, work.kind):
            _end(draft, work, by="", reason="handover")


def is_planned(draft: "Draft", zone: str, source: str) -> bool:
    """Say whether an alarm of `source` in `zone` falls into the window of work announced there."""
    works = draft.durable.works.open
    return bool(works) and any(
        _runs(draft, work) and _concerns(work, zone, source) for work in works.values()
    )


def is_announced(draft: "Draft", kind: str, point_id: str) -> bool:
    """Say whether an act on a head may begin: announced and running, or nobody is to be told.

    Nobody is told where the mine has no upload, or where its configuration knows no such notice.
    """
    if not draft.mine.uploads or draft.mine.acts.work(kind) is None:
        return True
    zone = draft.plan.points[point_id].zone
    return any(
        work.kind == kind and _runs(draft, work) and _concerns(work, zone, point_id)
        for work in draft.durable.works.open.values()
    )


def runs_in(draft: "Draft", kind: str, zone: str) -> bool:
    """Say whether announced work of a kind runs in a zone."""
    works = draft.durable.works.open.values()
    return any(w.kind == kind and _runs(draft, w) and _concerns(w, zone, "") for w in works)


def _runs(draft: "Draft", work: Work) -> bool:
    return work.started_index is not None and draft.is_on_disk(work.started_index)


def _concerns(work: Work, zone: str, source: str) -> bool:
    return source in work.points or zone in work.zones or WHOLE_MINE in work.zones


def _hear(draft: "Draft", index: Any) -> None:
    """Take how many entries of the ledger the broker has; anything but a count is no answer."""
    if type(index) is not int:
        return
    draft.update_volatile(works=WorksVolatile(draft.image.now_ms))
    works = draft.durable.works.open
    for notice_id in sorted(works):
        if works[notice_id].index < index and not works[notice_id].acknowledged:
            draft.emit("notice_acknowledged", notice=notice_id)


def _in_handover(draft: "Draft", kind: str) -> bool:
    """Say whether the shift change forbids this kind of work now."""
    rule = draft.mine.acts.work(kind)
    return draft.volatile.people.handover and (rule is None or not rule.in_handover)


def _upload_lives(draft: "Draft") -> bool:
    """Say whether the upload is known to work: no fault of it, and an answer of late."""
    heard_ms = draft.volatile.works.heard_ms
    return (
        bool(draft.mine.uploads)
        and "upload" not in draft.durable.house.faults
        and heard_ms is not None
        and draft.image.now_ms - heard_ms < ACKNOWLEDGES_MS
    )


def _end(draft: "Draft", work: Work, **said: str) -> None:
    draft.emit(
        "work_ended",
        notice=work.id,
        started=work.started_index is not None,
        work=work.kind,
        **said,
    )


def _given(durable: "Durable", event: Event) -> "Durable":
    data = event.data
    work = Work(
        id=data["notice"],
        kind=data["work"],
        applicant=data["applicant"],
        caller=data["caller"],
        zones=tuple(data["zones"]),
        points=tuple(data["points"]),
        by=data["by"],
        index=durable.index,
        begins=Deadline.after(event, data["in_minutes"] * 60_000),
        until=Deadline.after(event, (data["in_minutes"] + data["minutes"]) * 60_000),
    )
    return _set(durable, with_entry(durable.works.open, work.id, work))


def _acknowledged(durable: "Durable", event: Event) -> "Durable":
    return _changed(durable, event, acknowledged=True)


def _called(durable: "Durable", event: Event) -> "Durable":
    return _changed(durable, event, called=True)


def _started(durable: "Durable", event: Event) -> "Durable":
    return _changed(durable, event, started_by=event.data["by"], started_index=durable.index)


def _ended(durable: "Durable", event: Event) -> "Durable":
    return _set(durable, without(durable.works.open, event.data["notice"]))


def _rebased(durable: "Durable", event: Event) -> "Durable":
    """Carry windows over a restart or clock step: they begin no earlier and end no later."""
    last_ms, restarted = durable.now_ms, event.kind == "controller_started"
    return _set(
        durable,
        {
            key: replace(
                each,
                begins=each.begins.rebased_late(event, last_ms) if restarted else each.begins,
                until=each.until.rebased(event, last_ms),
            )
            for key, each in durable.works.open.items()
        },
    )


def _changed(durable: "Durable", event: Event, **parts: Any) -> "Durable":
    work = replace(durable.works.open[event.data["notice"]], **parts)
    return _set(durable, with_entry(durable.works.open, work.id, work))


def _set(durable: "Durable", opened: Mapping[str, Work]) -> "Durable":
    return replace(durable, works=WorksDurable(opened))


FOLDS: dict[str, Fold] = {
    "notice_given": _given,
    "notice_acknowledged": _acknowledged,
    "notice_called": _called,
    "work_started": _started,
    "work_ended": _ended,
    "controller_started": _rebased,
    "clock_stepped": _rebased,
}


def _check_notice(draft: "Draft", command: Command) -> Reasons:
    given = command.arguments
    rule = draft.mine.acts.work(given["work"])
    if rule is None:
        return (f"unknown_work:{given['work']}",)
    zones = {zone.id for zone in draft.mine.zones}
    reasons = [f"unknown_zone:{each}" for each in given.get("zones", ()) if each not in zones]
    points = draft.plan.points
    reasons += [f"unknown_point:{each}" for each in given.get("points", ()) if each not in points]
    if not given.get("zones") and not given.get("points"):
        reasons.append("place_missing")
    people = [given["applicant"], given.get("caller", given["applicant"])]
    reasons += [f"not_a_person:{each}" for each in people if not _is_known(draft, each)]
    if given["minutes"] > rule.minutes_max:
        reasons.append(f"window_too_long:{rule.minutes_max}")
    if given.get("in_minutes", 0) > rule.ahead_minutes_max:
        reasons.append(f"too_far_ahead:{rule.ahead_minutes_max}")
    if len(draft.durable.works.open) >= OPEN_MAX:
        reasons.append("too_many")
    return tuple(dict.fromkeys(reasons))


def _is_known(draft: "Draft", code: str) -> bool:
    """Say whether the code is somebody's: a member of staff, or who may go underground."""
    mine = draft.mine
    return mine.staff_member(code) is not None or any(each.code == code for each in mine.people)


def _give(draft: "Draft", given: Given) -> None:
    asked = given.command.arguments
    draft.emit(
        "notice_given",
        given.command.text,
        applicant=asked["applicant"],
        by=given.command.by,
        caller=asked.get("caller", asked["applicant"]),
        command=given.answer,
        in_minutes=asked.get("in_minutes", 0),
        minutes=asked["minutes"],
        notice=f"N{draft.durable.index}",
        points=sorted(asked.get("points", ())),
        work=asked["work"],
        zones=sorted(asked.get("zones", ())),
    )


def _find(draft: "Draft", command: Command) -> Work | None:
    return draft.durable.works.open.get(command.arguments["notice"])


def _check_call(draft: "Draft", command: Command) -> Reasons:
    work = _find(draft, command)
    if work is None:
        return (f"unknown_notice:{command.arguments['notice']}",)
    reasons = []
    if work.acknowledged:
        reasons.append("already_acknowledged")
    elif _upload_lives(draft):
        reasons.append("upload_is_up")
    if not _is_known(draft, command.arguments["caller"]):
        reasons.append(f"not_a_person:{command.arguments['caller']}")
    if not command.text.strip():
        reasons.append("callee_missing")
    return tuple(reasons)


def _call(draft: "Draft", given: Given) -> None:
    """Record a call; who answered it is the text beside the entry, for it names a person."""
    asked = given.command.arguments
    draft.emit(
        "notice_called",
        given.command.text,
        by=given.command.by,
        caller=asked["caller"],
        command=given.answer,
        minutes_ago=asked.get("minutes_ago", 0),
        notice=asked["notice"],
    )


def _check_start(draft: "Draft", command: Command) -> Reasons:
    work = _find(draft, command)
    if work is None:
        return (f"unknown_notice:{command.arguments['notice']}",)
    if work.started_index is not None:
        return ("already_started",)
    reasons = []
    if draft.image.now_ms < work.begins.ms:
        reasons.append("not_yet")
    if not (work.acknowledged or work.called):
        reasons.append("not_acknowledged")
    if _in_handover(draft, work.kind):
        reasons.append("in_handover")
    return tuple(reasons)


def _start(draft: "Draft", given: Given) -> None:
    work = draft.durable.works.open[given.command.arguments["notice"]]
    draft.emit(
        "work_started",
        by=given.command.by,
        command=given.answer,
        how="acknowledged" if work.acknowledged else "called",
        notice=work.id,
        work=work.kind,
    )


def _check_end(draft: "Draft", command: Command) -> Reasons:
    known = _find(draft, command) is not None
    return () if known else (f"unknown_notice:{command.arguments['notice']}",)


def _order_end(draft: "Draft", given: Given) -> None:
    work = draft.durable.works.open[given.command.arguments["notice"]]
    reason = "ended" if work.started_index is not None else "cancelled"
    _end(draft, work, by=given.command.by, command=given.answer, reason=reason)


_DESK = frozenset({Role.DISPATCHER, Role.MONITORING_OPERATOR, Role.DUTY_LEADER})
_WORKERS = _DESK | {Role.FIELD_ENGINEER, Role.CHIEF_ENGINEER}

COMMANDS: dict[str, Act] = {
    "notice": Act(
        do=_give,
        arguments={"work": is_id, "applicant": is_id, "minutes": is_integer(1, MINUTES_MAX)},
        optional={
            "caller": is_id,
            "zones": is_ids,
            "points": is_ids,
            "in_minutes": is_integer(0, MINUTES_MAX),
        },
        roles=_WORKERS,
        check=_check_notice,
    ),
    "record_call": Act(
        do=_call,
        arguments={"notice": is_id, "caller": is_id},
        optional={"minutes_ago": is_integer(0, CALL_MINUTES_MAX)},
        roles=_DESK,
        check=_check_call,
    ),
    "start_work": Act(do=_start, arguments={"notice": is_id}, roles=_WORKERS, check=_check_start),
    "end_work": Act(do=_order_end, arguments={"notice": is_id}, roles=_WORKERS, check=_check_end),
}


def view(state: "State") -> dict[str, Any]:
    """Return the frame's `notices`: open ones, those that run and those that wait."""
    return {
        "notices": {
            each.id: {
                "work": each.kind,
                "zones": list(each.zones),
                "points": list(each.points),
                "applicant": each.applicant,
                "caller": each.caller,
                "by": each.by,
                "begins_ms": each.begins.ms,
                "until_ms": each.until.ms,
                "acknowledged": each.acknowledged,
                "called": each.called,
                "started_by": each.started_by,
            }
            for each in state.durable.works.open.values()
        }
    }
