"""Reload: carry the state over to another configuration, or refuse it with every reason.

Design §6: the swap is whole or not at all. Refused is what takes a latched output away or lowers
protection while something is latched: looser limits, a longer fault time, fewer cut outputs, a
lower mode. An id never changes its meaning: a point keeps its kind, an output its role.
"""

from dataclasses import replace

from minewatch.core.alarms import alarm
from minewatch.core.draft import Draft
from minewatch.core.plan import DRIVEN, Plan, PointPlan, build
from minewatch.core.power.start import SOUNDERS
from minewatch.core.readings import points
from minewatch.core.state import Durable, State
from minewatch.core.step import Step
from minewatch.core.withdrawals import withdrawal
from minewatch.core.withdrawals.orders import FORBIDDING
from minewatch.model.alarm import AlarmKind
from minewatch.model.codec import mine_hash
from minewatch.model.image import Image
from minewatch.model.mine import Mine


def rebase(old: Mine, new: Mine, state: State, image: Image) -> Step:
    """Return the state under `new` with a `configuration_loaded` event.

    Where it is refused, the state stays that of `old` and the event is `configuration_refused` with
    the reasons. `outputs` is None: the next step says what is wanted.
    """
    plans = build(old), build(new)
    reasons = _reasons(*plans, state.durable)
    draft = Draft(old if reasons else new, state, image)
    if reasons:
        draft.emit(
            "configuration_refused", config=mine_hash(new), reasons=list(reasons), subject=""
        )
        return Step(draft.state(), tuple(draft.events), None)
    points.meet(draft)
    draft.emit("configuration_loaded", config=mine_hash(new), subject="")
    named = (old.points, old.outputs, old.interlocks, old.local_fans)
    _clear_alarms_of(draft, [each.id for rows in named for each in rows])
    if set(plans[1].driven) - set(plans[0].driven):
        house = replace(draft.volatile.house, proving_since_ms=image.now_ms, prior="reload")
        draft.update_volatile(house=house)
    return Step(draft.state(), tuple(draft.events), None)


def _clear_alarms_of(draft: Draft, sources: list[str]) -> None:
    """End the alarms of what the new configuration no longer has: nothing else could."""
    power = draft.plan.power
    kept = {*draft.plan.points, *draft.plan.guards, *power.fans, *(v.id for v in power.votes)}
    for source in sources:
        if source not in kept:
            for kind in AlarmKind:
                alarm.clear(draft, kind, source)


def refusals(old: Mine, new: Mine, durable: Durable) -> tuple[str, ...]:
    """Return every reason why `new` may not take over from `old` in this state."""
    return _reasons(build(old), build(new), durable)


def _reasons(old: Plan, new: Plan, durable: Durable) -> tuple[str, ...]:
    reasons = [
        *_changed_meanings(old, new),
        *_lost_outputs(old, new, durable),
        *_lowered_points(old, new, durable),
        *_lost_zones(new, durable),
        *_lost_sounders(old, new, durable),
        *_changed_power(old, new, durable),
    ]
    return tuple(dict.fromkeys(reasons))


def _changed_meanings(old: Plan, new: Plan) -> list[str]:
    reasons = [
        f"kind_changed:{each}"
        for each, plan in old.points.items()
        if each in new.points and new.points[each].point.kind is not plan.point.kind
    ]
    roles = {output.id: output.role for output in new.mine.outputs}
    reasons += [
        f"role_changed:{output.id}"
        for output in old.mine.outputs
        if roles.get(output.id, output.role) is not output.role
    ]
    return reasons


def _lost_outputs(old: Plan, new: Plan, durable: Durable) -> list[str]:
    held = durable.interlock.held
    reasons = [f"output_latched:{each}" for each in sorted(held) if each not in new.guards]
    ordered = held or durable.withdrawal.standing is not None
    if ordered and not DRIVEN[new.mine.mode] >= DRIVEN[old.mine.mode]:
        reasons.append("mode_lowered")
    for output_id in sorted(held):
        before, after = old.driven.get(output_id), new.driven.get(output_id)
        if before is None or after is None:
            continue
        if (before.device, before.signal) != (after.device, after.signal):
            reasons.append(f"output_moved:{output_id}")
    return reasons


def _lowered_points(old: Plan, new: Plan, durable: Durable) -> list[str]:
    interlock = durable.interlock
    latched = {point for cause in interlock.causes.values() for point in cause.points}
    used = {
        *latched,
        *interlock.covers,
        *interlock.bypasses,
        *durable.calibrations.open,
        *durable.head_works.open,
        *durable.warm_ups.open,
        *durable.points.over,
        *durable.oxygen.low,
        *durable.stuck.frozen,
        *_withdrawing(durable),
        *(p for each in durable.emergencies.open.values() for p in each.points),
    }
    reasons = [f"point_in_use:{each}" for each in sorted(used) if each not in new.points]
    reasons += [
        f"lowered_while_latched:{each}"
        for each in sorted(latched)
        if each in old.points
        and each in new.points
        and _is_lower(old.points[each], new.points[each])
    ]
    return reasons


def _is_lower(old: PointPlan, new: PointPlan) -> bool:
    """Say whether a point guards less than before: a limit is looser, an output is missing."""
    limits = dict(new.rises)
    return (
        any(level not in limits or limits[level] > limit for level, limit in old.rises)
        or new.restore > old.restore
        or new.clear > old.clear
        or new.low_alarm < old.low_alarm
        or new.point.fault_after_ms > old.point.fault_after_ms
        or not set(old.trips) <= set(new.trips)
        or not set(old.faults) <= set(new.faults)
        or not set(old.offs) <= set(new.offs)
        or not set(old.votes) <= {*new.votes, *new.trips}
    )


def _changed_power(old: Plan, new: Plan, durable: Durable) -> list[str]:
    """Find votes and fans that would judge the causes which they latched by another rule."""
    before = _rules_of(old)
    after = _rules_of(new)
    return [
        f"lowered_while_latched:{cause.partition(':')[2]}"
        for cause in sorted(before.keys() & durable.interlock.causes.keys())
        if before[cause] != after.get(cause)
    ]


def _rules_of(plan: Plan) -> dict[str, object]:
    """Return the votes and fans of a plan by the cause that they latch."""
    return {
        **{f"vote:{each.id}": each for each in plan.power.votes},
        **{f"fan:{key}": each for key, each in plan.power.fans.items()},
    }


def _lost_zones(new: Plan, durable: Durable) -> list[str]:
    zones = {zone.id for zone in new.mine.zones} | {"mine"}
    return [
        f"zone_in_withdrawal:{each}"
        for each in withdrawal.standing_zones(durable)
        if each not in zones
    ]


def _withdrawing(durable: Durable) -> set[str]:
    """Return the points whose gas still forbids the all-clear."""
    items = durable.alarms.items.values()
    return {each.source for each in items if each.active and each.kind in FORBIDDING}


def _lost_sounders(old: Plan, new: Plan, durable: Durable) -> list[str]:
    """Find what sounds for the standing withdrawal and would fall silent or stay on unowned."""
    zones = withdrawal.standing_zones(durable)
    reasons = []
    for output_id, before in old.driven.items():
        if before.role not in SOUNDERS or not withdrawal.concerns(zones, before):
            continue
        after = new.driven.get(output_id)
        if after is None or not withdrawal.concerns(zones, after):
            reasons.append(f"output_sounding:{output_id}")
        elif (before.device, before.signal) != (after.device, after.signal):
            reasons.append(f"output_moved:{output_id}")
    return reasons
