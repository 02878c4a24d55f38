"""A shelf: one alarm (kind and source) that a named person has put aside for a while."""

from dataclasses import dataclass

from minewatch.core.deadline import Deadline


@dataclass(frozen=True, slots=True)
class Shelf:
    """Who put it aside, and until when. `index` is its event; it holds once that is on disk."""

    alarm_kind: str
    source: str
    by: str
    second: str
    index: int
    until: Deadline
    in_force: bool = False
