"""What people may ask of alarms: seen, explained, silenced. None of it moves an output."""

from typing import TYPE_CHECKING

from minewatch.core.desk.act import Act, Given, Reasons, is_id, is_ids
from minewatch.model.image import Command
from minewatch.model.mine import Role

if TYPE_CHECKING:
    from minewatch.core.draft import Draft


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


DESK = frozenset({Role.DISPATCHER, Role.MONITORING_OPERATOR, Role.DUTY_LEADER})

COMMANDS: dict[str, Act] = {
    "acknowledge": Act(
        do=_acknowledge, arguments={"alarms": is_ids}, roles=DESK, check=_unknown, local=True
    ),
    "close_out": Act(
        do=_close_out,
        arguments={"alarms": is_ids, "cause": is_id},
        roles=DESK,
        check=_unknown,
    ),
    "silence": Act(do=_silence, local=True),
}
