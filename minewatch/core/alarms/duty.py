"""Presence of the dispatcher: asked at night by the clock, or by the county at any time (查岗).

Practice 15: an hourly 在岗确认 at night. A named person answers it by one key on the dispatch
page; after five minutes without an answer an alarm of priority 1 climbs the ladder of people on
duty. The county sees each answer and how long it took. While nobody vouches for the wall clock
every hour counts as night.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from minewatch.core import local_time
from minewatch.core.alarms import alarm
from minewatch.core.desk.act import Act, Given, Reasons, is_id
from minewatch.core.folding import Fold, with_entry, without
from minewatch.core.local_time import MINUTE_MS
from minewatch.model.alarm import AlarmKind
from minewatch.model.event import Event
from minewatch.model.image import Command, Notice
from minewatch.model.mine import Role

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable

CLOCK = "clock"
COUNTY = "county"
COUNTY_OPEN_MAX = 4
"""The county's open questions; one more ends the oldest, which nobody has answered."""

SOURCE = "dispatch"
_ID_LENGTH_MAX = 64


@dataclass(frozen=True, slots=True)
class Check:
    """One question whether somebody is there; `origin` is `clock` or `county`."""

    id: str
    origin: str
    asked_ms: int
    nonce: str = ""
    missed: bool = False


@dataclass(frozen=True, slots=True)
class DutyDurable:
    """Open questions by id, and when the clock last asked one."""

    checks: Mapping[str, Check] = field(default_factory=dict)
    asked_ms: int | None = None


def decide(draft: "Draft") -> None:
    """Ask when it is due; say once when nobody answers."""
    for notice in draft.image.notices:
        if notice.kind == "duty_check":
            _ask_for_the_county(draft, notice)
    if _is_due(draft):
        _end_of(draft, CLOCK, 0, "superseded")
        draft.emit("duty_check_asked", check=f"D{draft.durable.index}", nonce="", origin=CLOCK)
    limit_ms = draft.mine.watch.answer_minutes * MINUTE_MS
    for check in _open(draft.durable, CLOCK, COUNTY):
        if not check.missed and draft.image.now_ms - check.asked_ms >= limit_ms:
            draft.emit("duty_check_missed", check=check.id, origin=check.origin)
            alarm.raise_(draft, AlarmKind.DUTY_CHECK_MISSED, SOURCE)


def view(durable: "Durable") -> dict[str, Any]:
    """Return the frame's `duty_checks`: each open question, since when, and whether missed."""
    return {
        "duty_checks": {
            each.id: {"origin": each.origin, "asked_ms": each.asked_ms, "missed": each.missed}
            for each in durable.duty.checks.values()
        }
    }


def _is_due(draft: "Draft") -> bool:
    watch, image = draft.mine.watch, draft.image
    if watch.every_minutes == 0:
        return False
    asked_ms = draft.durable.duty.asked_ms
    if asked_ms is not None and image.now_ms - asked_ms < watch.every_minutes * MINUTE_MS:
        return False
    return not image.wall_trusted or watch.is_night(local_time.day_minute(image.wall_ms))


def _ask_for_the_county(draft: "Draft", notice: Notice) -> None:
    """Take a question of the county; the same nonce is the same question."""
    nonce = notice.data.get("nonce")
    if not isinstance(nonce, str) or not 0 < len(nonce) <= _ID_LENGTH_MAX:
        return
    if any(each.nonce == nonce for each in draft.durable.duty.checks.values()):
        return
    _end_of(draft, COUNTY, COUNTY_OPEN_MAX - 1, "too_many")
    draft.emit("duty_check_asked", check=f"D{draft.durable.index}", nonce=nonce, origin=COUNTY)


def _open(durable: "Durable", *origins: str) -> list[Check]:
    """Return the open questions of these origins, the oldest first."""
    found = [each for each in durable.duty.checks.values() if each.origin in origins]
    return sorted(found, key=lambda each: (each.asked_ms, each.id))


def _end_of(draft: "Draft", origin: str, keep: int, reason: str) -> None:
    """End the oldest open questions of one origin, so that at most `keep` stay."""
    opened = _open(draft.durable, origin)
    for check in opened[: max(0, len(opened) - keep)]:
        draft.emit("duty_check_ended", check=check.id, origin=check.origin, reason=reason)


def _asked(durable: "Durable", event: Event) -> "Durable":
    data, duty = event.data, durable.duty
    check = Check(data["check"], data["origin"], event.now_ms, data["nonce"])
    by_clock = data["origin"] == CLOCK
    return replace(
        durable,
        duty=DutyDurable(
            with_entry(duty.checks, check.id, check),
            event.now_ms if by_clock else duty.asked_ms,
        ),
    )


def _missed(durable: "Durable", event: Event) -> "Durable":
    checks = durable.duty.checks
    check = replace(checks[event.data["check"]], missed=True)
    return _set(durable, with_entry(checks, check.id, check))


def _gone(durable: "Durable", event: Event) -> "Durable":
    return _set(durable, without(durable.duty.checks, event.data["check"]))


def _restarted(durable: "Durable", event: Event) -> "Durable":
    """Carry ages over to a clock that began anew; then the night asks again at once."""
    shift_ms = event.now_ms - durable.now_ms
    if shift_ms >= 0:
        return durable
    checks = {
        key: replace(each, asked_ms=each.asked_ms + shift_ms)
        for key, each in durable.duty.checks.items()
    }
    return replace(durable, duty=DutyDurable(checks, None))


def _set(durable: "Durable", checks: Mapping[str, Check]) -> "Durable":
    return replace(durable, duty=replace(durable.duty, checks=checks))


FOLDS: dict[str, Fold] = {
    "duty_check_asked": _asked,
    "duty_check_missed": _missed,
    "duty_check_answered": _gone,
    "duty_check_ended": _gone,
    "controller_started": _restarted,
}


def _check(draft: "Draft", command: Command) -> Reasons:
    check = command.arguments["check"]
    return () if check in draft.durable.duty.checks else (f"unknown_check:{check}",)


def _answer(draft: "Draft", given: Given) -> None:
    """Note who is there and how long it took; with the last missed question its alarm is over."""
    command = given.command
    check = draft.durable.duty.checks[command.arguments["check"]]
    draft.emit(
        "duty_check_answered",
        by=command.by,
        check=check.id,
        command=given.answer,
        delay_ms=draft.image.now_ms - check.asked_ms,
        nonce=check.nonce,
        origin=check.origin,
    )
    missed = alarm.find(draft.durable, AlarmKind.DUTY_CHECK_MISSED, SOURCE)
    if missed is None or any(each.missed for each in draft.durable.duty.checks.values()):
        return
    if missed.unanswered:
        draft.emit("alarms_acknowledged", alarms=[missed.id], by=command.by)
    alarm.clear(draft, AlarmKind.DUTY_CHECK_MISSED, SOURCE)


COMMANDS: dict[str, Act] = {
    "on_duty": Act(
        do=_answer,
        arguments={"check": is_id},
        roles=frozenset({Role.DISPATCHER, Role.MONITORING_OPERATOR, Role.DUTY_LEADER}),
        check=_check,
    )
}
