"""The fold: how an event changes what survives. Every kind of event has exactly one line here.

Each room brings a table of its own kinds; a kind that changes nothing durable maps to `keep`.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from minewatch.core import alarm, approval, house, interlock, people, points, withdrawal
from minewatch.core.state import Durable
from minewatch.model.event import Event

Fold = Callable[[Durable, Event], Durable]

FOLDS: dict[str, Fold] = {
    **house.FOLDS,
    **points.FOLDS,
    **interlock.FOLDS,
    **alarm.FOLDS,
    **approval.FOLDS,
    **people.FOLDS,
    **withdrawal.FOLDS,
}


def apply(durable: Durable, event: Event) -> Durable:
    """Return `durable` after `event`.

    Raises:
        KeyError: a kind that this version does not know; an unknown past is never guessed.
    """
    folded = FOLDS[event.kind](durable, event)
    return replace(folded, index=durable.index + 1)


def recover(events: Iterable[Event], start: Durable | None = None) -> Durable:
    """Return what survives of a run: the fold of its events."""
    durable = start if start is not None else Durable()
    for event in events:
        durable = apply(durable, event)
    return durable
