"""The working copy of one step: the only mutable thing in the core, born and gone within `step`.

A decision module reads `mine`, `image` and the draft's own state, replaces the parts that it owns
(`draft.points = replace(draft.points, …)`) and says what it decided with `emit`, which folds the
event into the durable state at once.
"""

from dataclasses import replace
from typing import Any

from minewatch.core.fold import apply
from minewatch.core.state import State
from minewatch.model.event import Event
from minewatch.model.image import Image
from minewatch.model.mine import Mine


class Draft:
    """One step in the making."""

    __slots__ = ("durable", "events", "image", "mine", "volatile")

    def __init__(self, mine: Mine, state: State, image: Image) -> None:
        self.mine = mine
        self.image = image
        self.durable = state.durable
        self.volatile = state.volatile
        self.events: list[Event] = []

    def emit(self, kind: str, /, text: str = "", **data: Any) -> int:
        """Record one decision and fold it; return the ledger index that it will have."""
        image = self.image
        event = Event(
            kind, 1, image.cycle, image.now_ms, image.wall_ms, image.wall_trusted, data, text
        )
        index = self.durable.index
        self.events.append(event)
        self.durable = apply(self.durable, event)
        return index

    def state(self) -> State:
        """Return the state that the step ends in."""
        return State(self.durable, self.volatile)

    def update_volatile(self, **parts: Any) -> None:
        """Replace parts of the volatile state."""
        self.volatile = replace(self.volatile, **parts)
