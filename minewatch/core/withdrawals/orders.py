"""Orders: what people may ask about withdrawals, and what speaks against it.

Raising one needs nobody's leave. Ending one, letting people descend again and saying afterwards
what it was need two names (practice 16, 17); nothing here ends a demand of `emergencies.py`.
"""

from typing import TYPE_CHECKING

from minewatch.core.desk import approval
from minewatch.core.desk.act import ANYONE, Act, Given, Reasons, is_id, is_ids
from minewatch.core.power import fans
from minewatch.core.withdrawals import emergencies, past
from minewatch.core.withdrawals.emergencies import ORDER
from minewatch.core.withdrawals.withdrawal import WHOLE_MINE, order
from minewatch.model.alarm import AlarmKind
from minewatch.model.image import Command
from minewatch.model.mine import Role

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

FORBIDDING = frozenset({AlarmKind.WITHDRAW, AlarmKind.INRUSH})
"""Alarms that forbid the all-clear while their condition stands."""


def _check_zones(draft: "Draft", command: Command) -> Reasons:
    known = {zone.id for zone in draft.mine.zones} | {WHOLE_MINE}
    return tuple(f"unknown_zone:{z}" for z in command.arguments["zones"] if z not in known)


def _withdraw(draft: "Draft", given: Given) -> None:
    command = given.command
    order(
        draft,
        command.arguments["zones"],
        f"person:{command.by or command.origin}",
        by=command.by,
        origin=command.origin,
        command=given.answer,
        text=command.text,
    )


def _check_all_clear(draft: "Draft", command: Command) -> Reasons:
    """Find what still demands the withdrawal; a demand of this very cycle wins (design rule 7).

    A demand of `emergencies.py` that stands speaks against it as well, met or not, and so do local
    fans that ordered people out and do not ventilate their heading.
    """
    standing = draft.durable.withdrawal.standing
    if standing is None or standing.id != command.arguments["withdrawal"]:
        return (f"no_such_withdrawal:{command.arguments['withdrawal']}",)
    if standing.cleared_index is not None:
        return ("already_cleared",)
    demanded = any(e.kind in ("withdrawal_raised", "withdrawal_extended") for e in draft.events)
    reasons = ("demand_now",) if demanded else ()
    active = (draft.durable.alarms.items[each] for each in draft.durable.alarms.standing.values())
    stand = sorted({a.source for a in active if a.active and a.kind in FORBIDDING})
    stand += sorted(draft.durable.emergencies.open)
    stand += filter(None, (fans.demands_leaving(draft, each) for each in standing.causes))
    return (*reasons, *(f"cause_stands:{source}" for source in stand))


def _all_clear(draft: "Draft", given: Given) -> None:
    draft.emit(
        "all_clear_given",
        given.command.text,
        withdrawal=given.command.arguments["withdrawal"],
        by=given.command.by,
        second=given.second,
        command=given.answer,
    )


def _check_resume(draft: "Draft", command: Command) -> Reasons:
    del command
    durable = draft.durable.withdrawal
    if durable.standing is not None:
        return (f"withdrawal_stands:{durable.standing.id}",)
    return () if durable.no_descent and durable.resumed_index is None else ("no_stop",)


def _resume(draft: "Draft", given: Given) -> None:
    draft.emit(
        "resumption_signed",
        given.command.text,
        by=given.command.by,
        second=given.second,
        command=given.answer,
    )


def _check_order(draft: "Draft", command: Command) -> Reasons:
    zones = command.arguments.get("zones", (WHOLE_MINE,))
    known = {zone.id for zone in draft.mine.zones} | {WHOLE_MINE}
    unknown = tuple(f"unknown_zone:{each}" for each in zones if each not in known)
    if draft.mine.emergencies.demand(ORDER) is None:
        return ("unknown_command",)
    document = command.arguments["document"]
    if f"{ORDER}:{document}" in draft.durable.emergencies.open:
        return (f"already_demanded:{document}",)
    return unknown or (("too_many",) if emergencies.is_full(draft.durable) else ())


def _order_from_above(draft: "Draft", given: Given) -> None:
    """Put an order from above on record; its clock empties the mine unless somebody is sooner."""
    command = given.command
    emergencies.demand(
        draft,
        ORDER,
        command.arguments["document"],
        zones=tuple(sorted(command.arguments.get("zones", (WHOLE_MINE,)))),
        text=command.text,
        by=command.by,
        command=given.answer,
        document=command.arguments["document"],
    )


def _check_classify(draft: "Draft", command: Command) -> Reasons:
    name = command.arguments["withdrawal"]
    if name not in draft.durable.withdrawal.past.over:
        return (f"no_such_withdrawal:{name}",)
    given = command.text.strip() or approval.is_waiting(draft, command)
    return () if given else ("reason_missing",)


def _classify(draft: "Draft", given: Given) -> None:
    arguments = given.command.arguments
    draft.emit(
        "withdrawal_classified",
        given.command.text,
        by=given.command.by,
        command=given.answer,
        second=given.second,
        verdict=arguments["verdict"],
        withdrawal=arguments["withdrawal"],
    )


COMMANDS: dict[str, Act] = {
    "withdraw": Act(
        do=_withdraw, arguments={"zones": is_ids}, roles=ANYONE, check=_check_zones, unnamed=True
    ),
    "all_clear": Act(
        do=_all_clear,
        arguments={"withdrawal": is_id},
        roles=frozenset({Role.DUTY_LEADER}),
        second=frozenset({Role.CHIEF_ENGINEER, Role.MINE_HEAD}),
        check=_check_all_clear,
    ),
    "resume_descent": Act(
        do=_resume,
        roles=frozenset({Role.CHIEF_ENGINEER}),
        second=frozenset({Role.MINE_HEAD}),
        check=_check_resume,
    ),
    "order_from_above": Act(
        do=_order_from_above,
        arguments={"document": is_id},
        optional={"zones": is_ids},
        roles=frozenset({Role.DISPATCHER, Role.MONITORING_OPERATOR, Role.DUTY_LEADER}),
        check=_check_order,
    ),
    "classify_withdrawal": Act(
        do=_classify,
        arguments={"withdrawal": is_id, "verdict": past.is_verdict},
        roles=frozenset({Role.DUTY_LEADER}),
        second=frozenset({Role.CHIEF_ENGINEER, Role.MINE_HEAD}),
        check=_check_classify,
    ),
}
