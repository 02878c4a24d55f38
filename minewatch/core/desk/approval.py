"""Approvals: a command that needs a second name waits here for it, for ten minutes.

The second name is another person with the right role; for some commands from another terminal.
When it comes, the command is checked again from the start before it is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from minewatch.core.deadline import Deadline, rebased_each
from minewatch.core.folding import Fold, with_entry, without
from minewatch.model.event import Event
from minewatch.model.image import Command

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable

APPROVAL_MS = 10 * 60_000
OPEN_MAX = 32


@dataclass(frozen=True, slots=True)
class Approval:
    """A command that waits for its second name. Its free text stays beside its event."""

    id: str
    kind: str
    command: str
    by: str
    origin: str
    arguments: Mapping[str, Any]
    index: int
    until: Deadline

    def asked(self) -> Command:
        """Return the command as it was given."""
        return Command(self.command, self.kind, self.by, self.origin, dict(self.arguments), "")


@dataclass(frozen=True, slots=True)
class ApprovalsDurable:
    """Open approvals by id."""

    open: Mapping[str, Approval] = field(default_factory=dict)


def ask(draft: "Draft", command: Command) -> None:
    """Put a command aside until its second name comes."""
    draft.emit(
        "approval_asked",
        command.text,
        approval=f"P{draft.durable.index}",
        arguments={key: _plain(value) for key, value in command.arguments.items()},
        asked=command.kind,
        by=command.by,
        command=command.id,
        origin=command.origin,
    )


def is_waiting(draft: "Draft", command: Command) -> bool:
    """Say whether a command waits for its second name: its words stand beside `approval_asked`."""
    return any(each.command == command.id for each in draft.durable.approvals.open.values())


def give(draft: "Draft", approval: Approval, by: str) -> None:
    """Note the second name; the command itself is done by `commands`."""
    draft.emit("approval_given", approval=approval.id, asked=approval.kind, by=by)


def expire(draft: "Draft") -> None:
    """End approvals that nobody gave in time."""
    opened = draft.durable.approvals.open
    for approval_id in sorted(opened):
        if draft.image.now_ms >= opened[approval_id].until.ms:
            asked = opened[approval_id].kind
            draft.emit("approval_expired", approval=approval_id, asked=asked)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _asked(durable: "Durable", event: Event) -> "Durable":
    data = event.data
    approval = Approval(
        id=data["approval"],
        kind=data["asked"],
        command=data["command"],
        by=data["by"],
        origin=data["origin"],
        arguments=data["arguments"],
        index=durable.index,
        until=Deadline.after(event, APPROVAL_MS),
    )
    return _set(durable, with_entry(durable.approvals.open, approval.id, approval))


def _gone(durable: "Durable", event: Event) -> "Durable":
    return _set(durable, without(durable.approvals.open, event.data["approval"]))


def _rebased(durable: "Durable", event: Event) -> "Durable":
    return _set(durable, rebased_each(durable.approvals.open, event, durable.now_ms))


def _set(durable: "Durable", opened: Mapping[str, Approval]) -> "Durable":
    return replace(durable, approvals=ApprovalsDurable(opened))


FOLDS: dict[str, Fold] = {
    "approval_asked": _asked,
    "approval_given": _gone,
    "approval_expired": _gone,
    "controller_started": _rebased,
    "clock_stepped": _rebased,
}
