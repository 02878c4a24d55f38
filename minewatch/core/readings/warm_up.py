"""Warm-up (预热) after a replacement: a new catalytic head is not believed until it is warm.

Practice 8: 20 min. What it reads counts as WARMUP: it raises nothing, clears nothing, guards
nothing, so that its place locks after its fault time unless hand cover stands in. The mark begins
with the end of a replacement, is in force once it is on disk, and ends by itself. A device that
says of itself that it warms up needs no mark: its quality is the wire's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from minewatch.core.deadline import Deadline, rebased_each
from minewatch.core.folding import Fold, with_entry, without
from minewatch.core.readings import points
from minewatch.model.event import Event
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable, State


@dataclass(frozen=True, slots=True)
class WarmUp:
    """A head that warms up."""

    point: str
    index: int
    until: Deadline


@dataclass(frozen=True, slots=True)
class WarmUpsDurable:
    """Heads that warm up, by point."""

    open: Mapping[str, WarmUp] = field(default_factory=dict)


def observe(draft: "Draft") -> None:
    """End what is warm; look at every next reading of what has come into force."""
    opened = draft.durable.warm_ups.open
    for point_id in sorted(opened):
        if draft.image.now_ms >= opened[point_id].until.ms:
            draft.emit("warm_up_ended", point=point_id)
            points.refresh(draft, point_id)
        elif draft.live[point_id].raw is Quality.GOOD and points.is_warming(draft, point_id):
            points.refresh(draft, point_id)


def begin(draft: "Draft", point_id: str) -> None:
    """Begin the warm-up of a head that was replaced, where its element needs one."""
    minutes = draft.mine.acts.warm_up_minutes
    if draft.plan.points[point_id].point.catalytic and minutes:
        draft.emit("warm_up_started", minutes=minutes, point=point_id)


def _started(durable: "Durable", event: Event) -> "Durable":
    until = Deadline.after(event, event.data["minutes"] * 60_000)
    warm_up = WarmUp(event.data["point"], durable.index, until)
    return _set(durable, with_entry(durable.warm_ups.open, warm_up.point, warm_up))


def _ended(durable: "Durable", event: Event) -> "Durable":
    return _set(durable, without(durable.warm_ups.open, event.data["point"]))


def _rebased(durable: "Durable", event: Event) -> "Durable":
    return _set(durable, rebased_each(durable.warm_ups.open, event, durable.now_ms))


def _set(durable: "Durable", opened: Mapping[str, WarmUp]) -> "Durable":
    return replace(durable, warm_ups=WarmUpsDurable(opened))


FOLDS: dict[str, Fold] = {
    "warm_up_started": _started,
    "warm_up_ended": _ended,
    "controller_started": _rebased,
    "clock_stepped": _rebased,
}


def view(state: "State") -> dict[str, Any]:
    """Return the frame's `warm_ups`: heads that are not believed yet, and until when."""
    opened = state.durable.warm_ups.open
    return {"warm_ups": {each.point: {"until_ms": each.until.ms} for each in opened.values()}}
