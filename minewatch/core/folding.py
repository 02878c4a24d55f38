"""Words shared by the folds of all rooms; nothing here decides anything."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from minewatch.model.event import Event

if TYPE_CHECKING:
    from minewatch.core.state import Durable

Fold = Callable[["Durable", Event], "Durable"]
T = TypeVar("T")


def keep(durable: "Durable", event: Event) -> "Durable":
    """Change nothing: the event is evidence only."""
    del event
    return durable


def with_entry(table: Mapping[str, T], key: str, value: T) -> dict[str, T]:
    """Return a copy of `table` with one entry set."""
    return {**table, key: value}


def without(table: Mapping[str, T], *keys: str) -> dict[str, T]:
    """Return a copy of `table` without these keys; a key that is not there changes nothing."""
    return {key: value for key, value in table.items() if key not in keys}
