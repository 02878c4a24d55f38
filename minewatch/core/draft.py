"""The working copy of one step: the only mutable thing in the core, born and gone within `step`.

A decision module reads `mine`, `plan`, `image` and the draft's own state, replaces the parts that
it owns (`draft.update_volatile(points=…)`) and says what it decided with `emit`, which folds the
event into the durable state at once.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from minewatch.core.fold import apply
from minewatch.core.plan import build
from minewatch.core.shelves import Shelves, Writing
from minewatch.core.state import State
from minewatch.core.wheel import Turning
from minewatch.model.event import Event
from minewatch.model.image import Image
from minewatch.model.mine import Mine

if TYPE_CHECKING:
    from minewatch.core.readings.points import Live, Moved


class Draft:
    """One step in the making.

    `live` is the table of point values; `moved` are the readings that may concern a limit, in
    order; `checks` are the points whose deadline has come.
    """

    __slots__ = (
        "_own_live",
        "checks",
        "durable",
        "events",
        "image",
        "live",
        "mine",
        "moved",
        "plan",
        "volatile",
        "wheel",
    )

    def __init__(self, mine: Mine, state: State, image: Image) -> None:
        self.mine = mine
        self.image = image
        self.durable = state.durable
        self.volatile = state.volatile
        self.events: list[Event] = []
        self.moved: list[Moved] = []
        self.checks: list[str] = []
        known = state.volatile.plan
        self.plan = known if known is not None and known.mine is mine else build(mine)
        self.live: Shelves[Live] = state.volatile.points.live
        if self.live.home is not self.plan.home:
            self.live = self.live.rehomed(self.plan.home)
        self.wheel = Turning(state.volatile.points.wheel, self.plan.home)
        self._own_live: Writing[Live] | None = None

    def own_live(self) -> "Writing[Live]":
        """Return the values of points for writing: what is written stands in `live` at once."""
        if self._own_live is None:
            self._own_live = Writing(self.live)
            self.live = self._own_live.table()
        return self._own_live

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
        live = self.live if self._own_live is None else self._own_live.frozen()
        points = replace(self.volatile.points, live=live, wheel=self.wheel.frozen())
        return State(self.durable, replace(self.volatile, points=points, plan=self.plan))

    def update_volatile(self, **parts: Any) -> None:
        """Replace parts of the volatile state."""
        self.volatile = replace(self.volatile, **parts)

    def is_on_disk(self, index: int) -> bool:
        """Say whether the event with this ledger index is durable: what lowers protection may act.

        False for everything while the ledger has a fault (design rule 5).
        """
        return index < self.image.durable_index and "ledger" not in self.durable.house.faults
