"""A deadline that outlives a process: monotonic ms of this run and the wall clock's.

Whatever lowers protection ends at the earlier of the two after a restart or a clock step
(design rule 13), so a stopped box or a clock put back never prolongs it.
"""

from collections.abc import Mapping
from dataclasses import Field, dataclass, replace
from typing import Any, ClassVar, Protocol, TypeVar

from minewatch.model.event import Event


@dataclass(frozen=True, slots=True)
class Deadline:
    """When something ends: `ms` on the clock that counts suspend, `wall_ms` as a label."""

    ms: int
    wall_ms: int

    @classmethod
    def after(cls, event: Event, duration_ms: int) -> "Deadline":
        """Return the deadline `duration_ms` after the event."""
        return cls(event.now_ms + duration_ms, event.wall_ms + duration_ms)

    def rebased(self, event: Event, last_ms: int) -> "Deadline":
        """Return the deadline on the clock of `event`, the first of a new run or after a step.

        `last_ms` is the old clock's time at which the deadline was last known to stand. Where the
        clock went on, the silent time since then has passed as well; a wall clock put back gives
        none of it back.
        """
        spent_ms = max(last_ms, event.now_ms)
        remaining_ms = min(self.ms - spent_ms, self.wall_ms - event.wall_ms)
        return Deadline(event.now_ms + remaining_ms, self.wall_ms)

    def rebased_late(self, event: Event, last_ms: int) -> "Deadline":
        """Return the same at the later of the two: for what permits once it has been reached."""
        spent_ms = max(last_ms, event.now_ms)
        remaining_ms = max(self.ms - spent_ms, self.wall_ms - event.wall_ms)
        return Deadline(event.now_ms + remaining_ms, self.wall_ms)


class Expiring(Protocol):
    """A dataclass that is over at its `until`."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def until(self) -> Deadline:
        """When it is over."""
        ...


E = TypeVar("E", bound=Expiring)


def rebased_each(table: Mapping[str, E], event: Event, last_ms: int) -> dict[str, E]:
    """Return what expires with each `until` on the clock of `event` (`Deadline.rebased`)."""
    return {
        key: replace(each, until=each.until.rebased(event, last_ms)) for key, each in table.items()
    }
