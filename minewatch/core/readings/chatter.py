"""Chatter: a value that hovers around its limit raises at once and makes one sound in ten minutes.

Raising is never delayed. What is bounded is the other side: an alarm ends once its value has been
below its clear limit, unbroken and GOOD, for the rule's time, so that one good sample ends nothing;
and an alarm of a warning kind that somebody has answered and that comes back within the rule's time
of its last sound is the same alarm again, active at once, shown and recorded, without a new sound.
Trips, withdrawals and over-range always sound. A restart forgets: then it sounds again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from minewatch.core.alarms import alarm
from minewatch.core.folding import with_entry, without
from minewatch.model.alarm import AlarmKind

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.plan import PointPlan

QUIET_KINDS = frozenset({AlarmKind.PRE_ALARM, AlarmKind.GAS_OVER_LIMIT, AlarmKind.LOW})
"""Kinds that may come back without a new sound."""


class Ended(NamedTuple):
    """An alarm that has ended: its id, when it last sounded, who had answered it by then."""

    alarm: str
    sounded_ms: int
    by: str


@dataclass(frozen=True, slots=True)
class ChatterVolatile:
    """By `kind/point`: since when a standing alarm's value is below, and what ended lately."""

    below: Mapping[str, int] = field(default_factory=dict)
    ended: Mapping[str, Ended] = field(default_factory=dict)


def raise_(
    draft: "Draft", kind: AlarmKind, plan: "PointPlan", value: int | None, limit: int
) -> None:
    """Raise the alarm of a point; without a new sound where it comes back and was answered."""
    key = f"{kind}/{plan.id}"
    known = draft.volatile.chatter
    ended = known.ended.get(key)
    if ended is None or alarm.find(draft.durable, kind, plan.id) is not None:
        alarm.raise_(draft, kind, plan.id, zone=plan.zone, value=value, limit=limit)
    elif draft.image.now_ms - ended.sounded_ms >= draft.mine.values.repeat_ms:
        _set(draft, replace(known, ended=without(known.ended, key)))
        alarm.raise_(draft, kind, plan.id, zone=plan.zone, value=value, limit=limit)
    else:
        gone = draft.durable.alarms.items.get(ended.alarm)
        by = ended.by if gone is None else gone.acknowledged_by
        again = alarm.Again(ended.alarm, by)
        alarm.raise_(draft, kind, plan.id, zone=plan.zone, value=value, limit=limit, again=again)


def lower(draft: "Draft", kind: AlarmKind, source: str, *, is_below: bool, at_once: bool) -> None:
    """Take one more GOOD value: below the alarm's clear limit or not; end it when it is time."""
    standing = alarm.find(draft.durable, kind, source)
    if standing is None or not standing.active:
        return
    key, known, now_ms = f"{kind}/{source}", draft.volatile.chatter, draft.image.now_ms
    if not is_below:
        if key in known.below:
            _set(draft, replace(known, below=without(known.below, key)))
        return
    since_ms = known.below.get(key, now_ms)
    if not at_once and now_ms - since_ms < draft.mine.values.clear_ms:
        if key not in known.below:
            _set(draft, replace(known, below=with_entry(known.below, key, now_ms)))
        return
    _set(draft, ChatterVolatile(without(known.below, key), _ended(draft, key, standing)))
    alarm.clear(draft, kind, source)


def interrupt(draft: "Draft", source: str) -> None:
    """Begin anew to count how long the values of a point are below: it was not GOOD."""
    below = draft.volatile.chatter.below
    if below:
        left = {key: ms for key, ms in below.items() if key.partition("/")[2] != source}
        _set(draft, replace(draft.volatile.chatter, below=left))


def _ended(draft: "Draft", key: str, standing: alarm.Alarm) -> Mapping[str, Ended]:
    """Remember an alarm that ends, for as long as it may come back in silence."""
    ended, now_ms = draft.volatile.chatter.ended, draft.image.now_ms
    if standing.kind not in QUIET_KINDS:
        return ended
    before = ended.get(key)
    sounded_ms = standing.raised_ms if before is None else before.sounded_ms
    repeat_ms = draft.mine.values.repeat_ms
    left = {k: each for k, each in ended.items() if now_ms - each.sounded_ms < repeat_ms}
    return {**left, key: Ended(standing.id, sounded_ms, standing.acknowledged_by)}


def _set(draft: "Draft", chatter: ChatterVolatile) -> None:
    draft.update_volatile(chatter=chatter)
