"""What a command is allowed to be: its arguments, who may give it, who seconds it.

A room that owns commands brings a table `COMMANDS: dict[str, Act]`; `commands.decide` validates
arguments strictly, checks the role, asks for a second name where one is due and then calls `do`.
Everything here is a table or a check: a new command is a new row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minewatch.model.image import Command
from minewatch.model.mine import Role

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

Check = Callable[[Any], bool]
Reasons = tuple[str, ...]

ID_LENGTH_MAX = 120
LIST_LENGTH_MAX = 1000
ANYONE = frozenset(Role)


def is_id(value: Any) -> bool:
    """Say whether the value is a text that may name something."""
    return isinstance(value, str) and 0 < len(value) <= ID_LENGTH_MAX


def is_ids(value: Any) -> bool:
    """Say whether the value is a list of 1 to 1000 different ids."""
    return (
        isinstance(value, list | tuple)
        and 0 < len(value) <= LIST_LENGTH_MAX
        and all(is_id(each) for each in value)
        and len(set(value)) == len(value)
    )


def is_integer(low: int, high: int) -> Check:
    """Return a check for an integer (never a bool) within low..high."""
    return lambda value: type(value) is int and low <= value <= high


def no_reasons(draft: "Draft", command: Command) -> Reasons:
    """Find nothing against the command."""
    del draft, command
    return ()


def never_alone(draft: "Draft", command: Command) -> bool:
    """Ask for the second name of every command that has one."""
    del draft, command
    return False


@dataclass(frozen=True, slots=True)
class Given:
    """A command that is allowed, with the second name where one was due.

    `answer` is the id of the command that this cycle must answer: the command's own, or that of
    the approval which completed it. Put it into the event as `command`.
    """

    command: Command
    answer: str
    second: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """How one kind of command is decided.

    `check` returns every reason against it as codes (`code` or `code:subject`), without side
    effects; `alone` says that this very command needs no second name after all; `do` emits at
    least one event that carries `command=given.answer`.
    """

    do: Callable[["Draft", Given], None]
    arguments: Mapping[str, Check] = field(default_factory=dict)
    optional: Mapping[str, Check] = field(default_factory=dict)
    roles: frozenset[Role] = ANYONE
    second: frozenset[Role] | None = None
    alone: Callable[["Draft", Command], bool] = never_alone
    check: Callable[["Draft", Command], Reasons] = no_reasons
    local: bool = False
    unnamed: bool = False
    other_terminal: bool = False
    supervisor: bool = False
