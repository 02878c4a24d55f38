"""The fold: how an event changes what survives. Every kind of event stands in some room's table.

Each room brings a table `FOLDS` of the kinds that change its part; several rooms may fold the same
kind (`controller_started` and `clock_stepped` concern everybody), in the order of `_ROOMS`. A kind
that changes nothing durable maps to `keep`.
"""

from collections.abc import Iterable
from dataclasses import replace

from minewatch.core import house, profile
from minewatch.core.alarms import duty, flood, life, shelving
from minewatch.core.desk import approval, due, interlock_test, planned_work
from minewatch.core.folding import Fold
from minewatch.core.people import people
from minewatch.core.power import interlock, release
from minewatch.core.readings import (
    calibration,
    comparison,
    cover,
    hand_check,
    head_move,
    oxygen,
    points,
    production,
    stuck,
    warm_up,
)
from minewatch.core.snapshot import durable_from_event
from minewatch.core.state import Durable
from minewatch.core.withdrawals import emergencies, grades, withdrawal
from minewatch.model.event import Event

STATE_KIND = "state"
"""The kind of event that holds a whole durable state (`snapshot.py`)."""

_ROOMS: tuple[dict[str, Fold], ...] = (
    house.FOLDS,
    points.FOLDS,
    calibration.FOLDS,
    interlock.FOLDS,
    release.FOLDS,
    cover.FOLDS,
    life.FOLDS,
    shelving.FOLDS,
    flood.FOLDS,
    duty.FOLDS,
    approval.FOLDS,
    people.FOLDS,
    withdrawal.FOLDS,
    emergencies.FOLDS,
    grades.FOLDS,
    production.FOLDS,
    profile.FOLDS,
    comparison.FOLDS,
    planned_work.FOLDS,
    head_move.FOLDS,
    warm_up.FOLDS,
    due.FOLDS,
    interlock_test.FOLDS,
    oxygen.FOLDS,
    stuck.FOLDS,
    hand_check.FOLDS,
)

FOLDS: dict[str, tuple[Fold, ...]] = {
    kind: tuple(room[kind] for room in _ROOMS if kind in room)
    for kind in sorted({kind for room in _ROOMS for kind in room})
}


def apply(durable: Durable, event: Event) -> Durable:
    """Return `durable` after `event`.

    Raises:
        KeyError: a kind that this version does not know; an unknown past is never guessed.
    """
    folded = durable
    for fold in FOLDS[event.kind]:
        folded = fold(folded, event)
    return replace(folded, index=durable.index + 1, now_ms=event.now_ms)


def recover(events: Iterable[Event], start: Durable | None = None) -> Durable:
    """Return what survives of a run: the fold of its events after `start`.

    Without a `start` the events begin with the very first one of the ledger or with a `state`
    event, which holds everything before itself.
    """
    left = iter(events)
    if start is None:
        first = next(left, None)
        if first is None:
            return Durable()
        held = first.kind == STATE_KIND
        start = durable_from_event(first) if held else apply(Durable(), first)
    durable = start
    for event in left:
        durable = apply(durable, event)
    return durable
