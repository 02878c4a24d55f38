"""Commands: who may do what, with which words, seconded by whom (ARCHITECTURE §4).

Every command ends in exactly one answer: an event that carries its id as `command`, or
`command_refused` with every reason as a code. Nothing that arrives here can crash a step: what does
not have exactly the named arguments of the named types is refused as `malformed`.
"""

from typing import TYPE_CHECKING, Any

from minewatch.core import house
from minewatch.core.alarms import acts, duty, shelving
from minewatch.core.desk import approval, interlock_test, planned_work
from minewatch.core.desk.act import Act, Given, Reasons, is_id
from minewatch.core.desk.approval import Approval
from minewatch.core.people import people
from minewatch.core.power import interlock, release
from minewatch.core.readings import calibration, cover, head_move
from minewatch.core.withdrawals import orders
from minewatch.model.image import Command
from minewatch.model.mine import Role

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

TEXT_LENGTH_MAX = 4_000
_SHOWN_LENGTH_MAX = 40

ACTS: dict[str, Act] = {
    **acts.COMMANDS,
    **shelving.COMMANDS,
    **duty.COMMANDS,
    **calibration.COMMANDS,
    **cover.COMMANDS,
    **head_move.COMMANDS,
    **house.COMMANDS,
    **interlock.COMMANDS,
    **interlock_test.COMMANDS,
    **people.COMMANDS,
    **planned_work.COMMANDS,
    **release.COMMANDS,
    **orders.COMMANDS,
}


def decide(draft: "Draft") -> None:
    """Decide the image's commands in their order."""
    for command in draft.image.commands:
        if not _is_well_formed(command):
            _refuse(draft, command, ("malformed",))
        elif command.kind == "approve":
            _approve(draft, command)
        else:
            _decide(draft, command)


def _decide(draft: "Draft", command: Command) -> None:
    act = ACTS.get(command.kind)
    if act is None:
        _refuse(draft, command, ("unknown_command",))
        return
    reasons = _reasons(draft, act, command)
    if not reasons and act.second is not None and not act.alone(draft, command):
        if len(draft.durable.approvals.open) >= approval.OPEN_MAX:
            reasons = ("too_many",)
        else:
            approval.ask(draft, command)
            return
    if reasons:
        _refuse(draft, command, reasons)
        return
    act.do(draft, Given(command, command.id))


def _reasons(draft: "Draft", act: Act, command: Command) -> Reasons:
    if not _fits(act, command.arguments):
        return ("malformed",)
    return _who(draft, act, command) or act.check(draft, command)


def _fits(act: Act, arguments: dict[str, Any]) -> bool:
    known = {**act.optional, **act.arguments}
    return all(name in arguments for name in act.arguments) and all(
        name in known and known[name](value) for name, value in arguments.items()
    )


def _who(draft: "Draft", act: Act, command: Command) -> Reasons:
    """Return why this person, from this place, may not give the command."""
    if act.supervisor:
        return () if command.origin == "supervisor" and not command.by else ("not_permitted",)
    if not command.by:
        if act.local and command.origin.startswith("local:"):
            return ()
        return () if act.unnamed and _is_listed(draft, command.origin) else ("name_needed",)
    if not command.origin.startswith("page:"):
        return ("not_permitted",)
    return _role(draft, command.by, act.roles)


def _is_listed(draft: "Draft", origin: str) -> bool:
    """Say whether an unnamed withdrawal may come from there: a listed terminal or a button."""
    place, _, name = origin.partition(":")
    return place == "button" or (place == "page" and name in draft.mine.console.terminals)


def _role(draft: "Draft", by: str, roles: frozenset[Role]) -> Reasons:
    member = draft.mine.staff_member(by)
    if member is None:
        return ("unknown_person",)
    if member.role is Role.VIEWER or member.role not in roles:
        return ("not_permitted",)
    return ()


def _approve(draft: "Draft", command: Command) -> None:
    if set(command.arguments) != {"approval"} or not is_id(command.arguments["approval"]):
        _refuse(draft, command, ("malformed",))
        return
    asked = draft.durable.approvals.open.get(command.arguments["approval"])
    if asked is None:
        _refuse(draft, command, ("unknown_approval",))
        return
    act = ACTS[asked.kind]
    reasons = _against_second(draft, act, asked, command) or _reasons(draft, act, asked.asked())
    if reasons:
        _refuse(draft, command, reasons)
        return
    approval.give(draft, asked, command.by)
    act.do(draft, Given(asked.asked(), command.id, command.by))


def _against_second(draft: "Draft", act: Act, asked: Approval, command: Command) -> Reasons:
    if not command.by:
        return ("name_needed",)
    if not command.origin.startswith("page:"):
        return ("not_permitted",)
    if command.by == asked.by:
        return ("same_person",)
    if act.other_terminal and command.origin == asked.origin:
        return ("same_terminal",)
    return _role(draft, command.by, act.second or frozenset())


def _is_well_formed(command: Command) -> bool:
    texts = (command.id, command.kind, command.by, command.origin)
    return (
        all(isinstance(each, str) and len(each) <= 120 for each in texts)
        and bool(command.id)
        and isinstance(command.arguments, dict)
        and isinstance(command.text, str)
        and len(command.text) <= TEXT_LENGTH_MAX
    )


def _refuse(draft: "Draft", command: Command, reasons: Reasons) -> None:
    """Answer with every reason; what a stranger wrote is cut to a length and kept as text."""
    draft.emit(
        "command_refused",
        asked=str(command.kind)[:_SHOWN_LENGTH_MAX],
        by=str(command.by)[:_SHOWN_LENGTH_MAX],
        command=str(command.id)[:120],
        origin=str(command.origin)[:_SHOWN_LENGTH_MAX],
        reasons=list(reasons),
    )
