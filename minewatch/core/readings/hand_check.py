"""Hand checks: what a gas checker measured beside a head, any head, at any time.

The worse of the two counts until the next hand check of that head or until the rule's time has
passed: what the hand value raised is not ended by a head that reads better. Where they lie further
apart than the rule permits, that is an event and an alarm; it asks for calibration, and ends by a
hand check that agrees. A release has a shorter time of its own for the same value (`release.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from minewatch.core.alarms import alarm
from minewatch.core.deadline import Deadline
from minewatch.core.folding import Fold, with_entry, without
from minewatch.core.plan import PointPlan
from minewatch.core.readings import points
from minewatch.model.alarm import AlarmKind
from minewatch.model.event import Event
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable, State

HOLD_MS = 8 * 3_600_000
"""How long a value of a record that names no time of its own is held."""


@dataclass(frozen=True, slots=True)
class HandCheck:
    """A value measured by hand; `head` is what the head read then, None where it was not GOOD."""

    value: int
    checker: str
    head: int | None
    measured_ms: int
    measured_wall_ms: int
    until: Deadline
    disagrees: bool = False


@dataclass(frozen=True, slots=True)
class HandChecksDurable:
    """The newest hand check of each point that is not older than the rule's time."""

    held: Mapping[str, HandCheck] = field(default_factory=dict)


def decide(draft: "Draft") -> None:
    """Let go of what has become too old; the head then speaks for itself."""
    held = draft.durable.hand_checks.held
    if not held:
        return
    now_ms = draft.image.now_ms
    for point_id in sorted(each for each, check in held.items() if now_ms >= check.until.ms):
        draft.emit("hand_check_expired", point=point_id)


def compare(draft: "Draft", plan: PointPlan, value: int, checker: str) -> None:
    """Set a value just measured beside the head's own, and say whether they agree."""
    points.refresh(draft, plan.id)
    live, more_than = draft.live[plan.id], draft.mine.values.tolerance(plan.point.kind)
    if more_than is None or live.quality is not Quality.GOOD or live.value is None:
        return
    if abs(value - live.value) <= more_than:
        alarm.clear(draft, AlarmKind.HAND_CHECK, plan.id)
        return
    draft.emit(
        "hand_check_disagreed",
        checker=checker,
        hand=value,
        head=live.value,
        limit=more_than,
        point=plan.id,
        zone=plan.zone,
    )
    difference = abs(value - live.value)
    alarm.raise_(
        draft, AlarmKind.HAND_CHECK, plan.id, zone=plan.zone, value=difference, limit=more_than
    )


def beside(draft: "Draft", point_id: str) -> dict[str, Any]:
    """Return what a record of a hand value says besides: what the head reads, how long it holds."""
    live = draft.live[point_id]
    head = live.value if live.quality is Quality.GOOD else None
    return {"head": head, "hold_ms": draft.mine.values.hand_check_ms}


def _recorded(durable: "Durable", event: Event) -> "Durable":
    data = event.data
    check = HandCheck(
        value=data["value"],
        checker=data["checker"],
        head=data.get("head"),
        measured_ms=event.now_ms,
        measured_wall_ms=event.wall_ms,
        until=Deadline.after(event, data.get("hold_ms", HOLD_MS)),
    )
    return _with(durable, with_entry(durable.hand_checks.held, data["point"], check))


def _disagreed(durable: "Durable", event: Event) -> "Durable":
    held, data = durable.hand_checks.held, event.data
    check = replace(held[data["point"]], disagrees=True)
    return _with(durable, with_entry(held, data["point"], check))


def _expired(durable: "Durable", event: Event) -> "Durable":
    return _with(durable, without(durable.hand_checks.held, event.data["point"]))


def _rebased(durable: "Durable", event: Event) -> "Durable":
    """Carry over: what is held raises, so it lasts until the later of its two deadlines."""
    last_ms = durable.now_ms
    shift_ms = min(0, event.now_ms - last_ms)
    held = {
        key: replace(
            each,
            measured_ms=each.measured_ms + shift_ms,
            until=each.until.rebased_late(event, last_ms),
        )
        for key, each in durable.hand_checks.held.items()
    }
    return _with(durable, held)


def _with(durable: "Durable", held: Mapping[str, HandCheck]) -> "Durable":
    return replace(durable, hand_checks=HandChecksDurable(held))


FOLDS: dict[str, Fold] = {
    "hand_value_recorded": _recorded,
    "hand_check_disagreed": _disagreed,
    "hand_check_expired": _expired,
    "controller_started": _rebased,
    "clock_stepped": _rebased,
}


def view(state: "State") -> dict[str, Any]:
    """Return the frame's `hand_checks`: what was measured, beside what the head read then."""
    return {
        "hand_checks": {
            point_id: {
                "value": each.value,
                "head": each.head,
                "checker": each.checker,
                "measured_ms": each.measured_ms,
                "measured_wall_ms": each.measured_wall_ms,
                "until_ms": each.until.ms,
                "disagrees": each.disagrees,
            }
            for point_id, each in state.durable.hand_checks.held.items()
        }
    }
