"""Shelving: a nuisance alarm is put aside by name, for a while, and comes back by itself (I13).

Only kinds in `SHELVABLE`; priority 2 takes the duty leader's name as well. A shelf lowers
protection, so it holds only once its event is on disk, and ends at the earlier of two clocks after
a restart. Another, higher kind at the same source is not shelved by it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from minewatch.core.alarms.acts import DESK
from minewatch.core.alarms.shelf import Shelf
from minewatch.core.deadline import Deadline, rebased_each
from minewatch.core.desk import approval
from minewatch.core.desk.act import Act, Given, Reasons, is_id, is_integer
from minewatch.core.folding import Fold, with_entry, without
from minewatch.model.alarm import PRIORITY, SHELVABLE, AlarmKind
from minewatch.model.event import Event
from minewatch.model.image import Command
from minewatch.model.mine import Role

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable

ALONE_PRIORITY_MIN = 3
"""From this priority on one name is enough."""

MINUTE_MS = 60_000
_KINDS = frozenset(str(kind) for kind in AlarmKind)
_MINUTES_MAX = 1_440
"""No configuration allows more; a number beyond it is a slip of the hand."""


def decide(draft: "Draft") -> None:
    """Let shelves begin that are on disk, and end those whose time is up."""
    shelves = draft.durable.alarms.shelves
    for key in sorted(shelves):
        shelf = shelves[key]
        if draft.image.now_ms >= shelf.until.ms:
            _end(draft, key, "expired")
        elif not shelf.in_force and draft.is_on_disk(shelf.index):
            draft.emit("shelving_began", alarm_kind=shelf.alarm_kind, source=shelf.source)


def view(durable: "Durable") -> dict[str, Any]:
    """Return the frame's `shelved`, by `kind/source`; the reason stands beside entry `index`."""
    return {
        "shelved": {
            key: {
                "alarm_kind": each.alarm_kind,
                "source": each.source,
                "by": each.by,
                "second": each.second,
                "until_ms": each.until.ms,
                "in_force": each.in_force,
                "index": each.index,
            }
            for key, each in durable.alarms.shelves.items()
        }
    }


def _end(draft: "Draft", key: str, reason: str, **said: str) -> None:
    shelf = draft.durable.alarms.shelves[key]
    draft.emit(
        "shelving_ended",
        alarm_kind=shelf.alarm_kind,
        source=shelf.source,
        reason=reason,
        **{"by": "", **said},
    )


def _ordered(durable: "Durable", event: Event) -> "Durable":
    data = event.data
    shelf = Shelf(
        alarm_kind=data["alarm_kind"],
        source=data["source"],
        by=data["by"],
        second=data["second"],
        index=durable.index,
        until=Deadline.after(event, data["minutes"] * MINUTE_MS),
    )
    return _set(durable, with_entry(durable.alarms.shelves, _key(data), shelf))


def _began(durable: "Durable", event: Event) -> "Durable":
    key = _key(event.data)
    shelf = replace(durable.alarms.shelves[key], in_force=True)
    return _set(durable, with_entry(durable.alarms.shelves, key, shelf))


def _ended(durable: "Durable", event: Event) -> "Durable":
    return _set(durable, without(durable.alarms.shelves, _key(event.data)))


def _rebased(durable: "Durable", event: Event) -> "Durable":
    return _set(durable, rebased_each(durable.alarms.shelves, event, durable.now_ms))


def _set(durable: "Durable", shelves: Mapping[str, Shelf]) -> "Durable":
    return replace(durable, alarms=replace(durable.alarms, shelves=shelves))


def _key(data: Mapping[str, Any]) -> str:
    return f"{data['alarm_kind']}/{data['source']}"


FOLDS: dict[str, Fold] = {
    "shelving_ordered": _ordered,
    "shelving_began": _began,
    "shelving_ended": _ended,
    "controller_started": _rebased,
    "clock_stepped": _rebased,
}


def _is_kind(value: Any) -> bool:
    return isinstance(value, str) and value in _KINDS


def _check_shelve(draft: "Draft", command: Command) -> Reasons:
    said, rules = command.arguments, draft.mine.escalation
    key = _key(said)
    shelves = draft.durable.alarms.shelves
    against = {
        f"never_shelved:{said['alarm_kind']}": AlarmKind(said["alarm_kind"]) not in SHELVABLE,
        f"unknown_source:{said['source']}": not _is_source(draft, key, said["source"]),
        f"already_shelved:{key}": key in shelves,
        f"too_long:{rules.shelve_max_minutes}": said["minutes"] > rules.shelve_max_minutes,
        "reason_missing": not command.text.strip() and not approval.is_waiting(draft, command),
        "too_many": len(shelves) >= rules.shelves_max,
    }
    return tuple(reason for reason, stands in against.items() if stands)


def _is_source(draft: "Draft", key: str, source: str) -> bool:
    """Say whether something of that name could have an alarm: it has one, or it is configured."""
    plan, place, _, bus = draft.plan, *source.partition(":")
    return (
        key in draft.durable.alarms.standing
        or source in plan.points
        or source in plan.guards
        or (place == "line" and bus in plan.bus_points)
        or source in {each.id for each in draft.mine.zones}
        or source in {each.id for each in draft.mine.readers}
    )


def is_alone(draft: "Draft", command: Command) -> bool:
    """Say whether one name is enough to shelve this kind."""
    del draft
    return PRIORITY[AlarmKind(command.arguments["alarm_kind"])] >= ALONE_PRIORITY_MIN


def _shelve(draft: "Draft", given: Given) -> None:
    command = given.command
    draft.emit(
        "shelving_ordered",
        command.text,
        alarm_kind=command.arguments["alarm_kind"],
        by=command.by,
        command=given.answer,
        minutes=command.arguments["minutes"],
        second=given.second,
        source=command.arguments["source"],
    )


def _check_unshelve(draft: "Draft", command: Command) -> Reasons:
    key = _key(command.arguments)
    return () if key in draft.durable.alarms.shelves else (f"not_shelved:{key}",)


def _unshelve(draft: "Draft", given: Given) -> None:
    command = given.command
    key = _key(command.arguments)
    _end(draft, key, "ordered", by=command.by or command.origin, command=given.answer)


COMMANDS: dict[str, Act] = {
    "shelve": Act(
        do=_shelve,
        arguments={
            "alarm_kind": _is_kind,
            "source": is_id,
            "minutes": is_integer(1, _MINUTES_MAX),
        },
        roles=DESK,
        second=frozenset({Role.DUTY_LEADER, Role.CHIEF_ENGINEER}),
        alone=is_alone,
        check=_check_shelve,
    ),
    "unshelve": Act(
        do=_unshelve,
        arguments={"alarm_kind": _is_kind, "source": is_id},
        roles=DESK,
        check=_check_unshelve,
        local=True,
    ),
}
