"""Low oxygen: a catalytic methane head needs air to burn, so its low reading is not believed.

Where a GOOD oxygen point of the zone reads below the rule's limit, the catalytic heads of the zone
count as IMPLAUSIBLE: what they read may still raise, it clears, releases and guards nothing, and a
place that no other GOOD head guards is locked after its fault time (reliability catalogue, 22).
It ends by a GOOD oxygen value above the limit and its band, or, where the oxygen head is dead and
covered by hand, by what the checker measured; never because the oxygen head fell silent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from minewatch.core.alarms import alarm
from minewatch.core.folding import Fold, with_entry, without
from minewatch.core.readings import fault, points
from minewatch.model.alarm import AlarmKind
from minewatch.model.event import Event
from minewatch.model.kind import Kind
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable, State


@dataclass(frozen=True, slots=True)
class OxygenDurable:
    """`low` are the oxygen points whose zone lacks oxygen, with the ms since when."""

    low: Mapping[str, int] = field(default_factory=dict)


def observe(draft: "Draft") -> None:
    """Find where oxygen is short, and where it is back; lock places that nothing else guards."""
    for plan, value, _, quality, newest in draft.moved:
        if plan.point.kind is Kind.OXYGEN and quality is Quality.GOOD and not plan.certified:
            assert value is not None
            if value < draft.mine.values.oxygen_low:
                _begin(draft, plan.id, value)
            elif newest and value >= draft.mine.values.oxygen_clear:
                _end(draft, plan.id, value)
    if draft.durable.oxygen.low:
        _look_after(draft)


def heads_of(draft: "Draft", oxygen: str) -> Iterator[str]:
    """Yield the catalytic heads that breathe the air which an oxygen point measures."""
    zone = draft.plan.points[oxygen].zone
    for point_id in draft.plan.methane_of_zone.get(zone, ()):
        if oxygen in draft.plan.points[point_id].breathes:
            yield point_id


def _begin(draft: "Draft", oxygen: str, value: int) -> None:
    zone, limit = draft.plan.points[oxygen].zone, draft.mine.values.oxygen_low
    if oxygen not in draft.durable.oxygen.low:
        draft.emit("low_oxygen_began", limit=limit, point=oxygen, value=value, zone=zone)
        for point_id in heads_of(draft, oxygen):
            points.refresh(draft, point_id)
    alarm.raise_(draft, AlarmKind.LOW_OXYGEN, oxygen, zone=zone, value=value, limit=limit)


def _end(draft: "Draft", oxygen: str, value: int) -> None:
    began_ms = draft.durable.oxygen.low.get(oxygen)
    if began_ms is None:
        return
    draft.emit(
        "low_oxygen_ended",
        duration_ms=draft.image.now_ms - began_ms,
        point=oxygen,
        value=value,
        zone=draft.plan.points[oxygen].zone,
    )
    alarm.clear(draft, AlarmKind.LOW_OXYGEN, oxygen)
    for point_id in heads_of(draft, oxygen):
        points.refresh(draft, point_id)


def _look_after(draft: "Draft") -> None:
    """End what a hand value ends; lock places whose fault time has passed unguarded."""
    for oxygen in sorted(draft.durable.oxygen.low):
        measured = draft.durable.interlock.hand_values.get(oxygen)
        if (
            measured is not None
            and draft.is_on_disk(measured.index)
            and measured.value >= draft.mine.values.oxygen_clear
            and fault.is_covered(draft, oxygen)
            and draft.live[oxygen].raw is not Quality.GOOD
        ):
            _end(draft, oxygen, measured.value)
            continue
        for point_id in heads_of(draft, oxygen):
            _lock_unguarded(draft, point_id)


def _lock_unguarded(draft: "Draft", point_id: str) -> None:
    """Lock a place whose head has not been believed for its fault time and that has no other."""
    plan, now_ms = draft.plan.points[point_id], draft.image.now_ms
    live = draft.live[point_id]
    if live.quality is not Quality.IMPLAUSIBLE or live.raw is not Quality.GOOD:
        return
    if fault.is_guarded(draft, point_id):
        draft.own_live()[point_id] = live._replace(guarded_ms=now_ms)
    elif now_ms - live.guarded_ms >= plan.point.fault_after_ms and not fault.is_locked(draft, plan):
        fault.lock(draft, plan)


def view(state: "State") -> dict[str, Any]:
    """Return the frame's `low_oxygen`: oxygen points that make their zone's heads unfit."""
    return {"low_oxygen": {each: {"since_ms": ms} for each, ms in state.durable.oxygen.low.items()}}


def _began(durable: "Durable", event: Event) -> "Durable":
    low = with_entry(durable.oxygen.low, event.data["point"], event.now_ms)
    return replace(durable, oxygen=OxygenDurable(low))


def _ended(durable: "Durable", event: Event) -> "Durable":
    low = without(durable.oxygen.low, event.data["point"])
    return replace(durable, oxygen=OxygenDurable(low))


def _rebased(durable: "Durable", event: Event) -> "Durable":
    """Carry ages over to the new run's clock where it began anew (a reboot)."""
    shift_ms = min(0, event.now_ms - durable.now_ms)
    low = {key: ms + shift_ms for key, ms in durable.oxygen.low.items()}
    return replace(durable, oxygen=OxygenDurable(low))


FOLDS: dict[str, Fold] = {
    "low_oxygen_began": _began,
    "low_oxygen_ended": _ended,
    "controller_started": _rebased,
    "clock_stepped": _rebased,
}
