"""Release (解锁): the one way in which a latched cause ends. It removes our inhibition only.

Practice 2: all outputs of the form at once; every cause GOOD and below restore for 60 s, or under
hand cover; a gas checker's hand value from each place, at most 15 min old and below restore; two
names. After a stop of ventilation also a fan that runs, wind in the duct, and methane of the
heading below restore for 60 s; what an interlock names as permissive must be normal. Design rule 5:
it acts once its event is on disk; design rule 7: a demand meanwhile wins. A refused release says
every reason, each as `code` or `code:subject`.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from minewatch.core.deadline import Deadline
from minewatch.core.desk.act import Act, Given, Reasons, is_id, is_ids, is_integer
from minewatch.core.folding import Fold, with_entry, without
from minewatch.core.plan import PointPlan
from minewatch.core.power import fans, interlock, permits, votes
from minewatch.core.power.interlock import Cause, HandValue, Pending
from minewatch.core.readings import fault, gas, hand_check, points
from minewatch.model.event import Event
from minewatch.model.image import Command
from minewatch.model.kind import Kind
from minewatch.model.mine import Condition, Role
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable

BELOW_MS = 60_000
HAND_VALUE_MS = 15 * 60_000
PENDING_MS = 60_000
_UNFIT = frozenset({Quality.CALIBRATION, Quality.IMPLAUSIBLE})
"""What a GOOD reading may count as that permits nothing: the gas of a bottle, low oxygen."""

VALUE_MAX = 65_535
VENTILATION = frozenset({Kind.DUCT_WIND, Kind.FAN_RUN})
"""What stops when the air of a heading does."""


def decide(draft: "Draft") -> None:
    """Act on granted releases whose events are on disk; void those that no longer hold."""
    pending = draft.durable.interlock.pending
    for release_id in sorted(pending):
        if release_id in draft.durable.interlock.pending:
            _act(draft, pending[release_id])
    if draft.durable.points.over:
        _unlatch_over(draft)
    _drop_old_hand_values(draft)


def reasons_against(draft: "Draft", outputs: tuple[str, ...]) -> Reasons:
    """Return every reason why these outputs cannot be released together now."""
    if "ledger" in draft.durable.house.faults:
        return ("ledger_fault",)
    held = draft.durable.interlock.held
    reasons = [f"not_latched:{each}" for each in outputs if each not in held]
    for cause in causes_of(draft, outputs):
        reasons += [f"output_missing:{each}" for each in cause.outputs if each not in outputs]
        reasons += reasons_of(draft, cause)
    for output in outputs:
        reasons += _unmeasured(draft, output)
    return tuple(dict.fromkeys(reasons))


def causes_of(draft: "Draft", outputs: Iterable[str]) -> list[Cause]:
    """Return the latched causes that hold any of these outputs, in order of latching."""
    durable = draft.durable.interlock
    ids = dict.fromkeys(each for output in outputs for each in durable.held.get(output, ()))
    return sorted((durable.causes[each] for each in ids), key=lambda each: each.index)


def reasons_of(draft: "Draft", cause: Cause) -> list[str]:
    """Return every reason why one cause may not end yet."""
    reasons = permits.missing(draft, cause.outputs)
    for point_id in () if cause.kind == fans.CAUSE else cause.points:
        plan = draft.plan.points.get(point_id)
        if plan is None:
            continue
        reasons += _point_reasons(draft, plan)
        if not plan.is_switch:
            reasons += _hand_reasons(draft, plan)
    if cause.kind == "upstream":
        reasons += _upstream_reasons(draft, cause.id.partition(":")[2])
    return reasons + _ventilation_reasons(draft, cause)


def _ventilation_reasons(draft: "Draft", cause: Cause) -> list[str]:
    """After a stop of ventilation: who blows again, and whether the heading has been aired.

    One hand value of the area is asked for anyway; the heads of the heading need none each.
    """
    fan_set = fans.behind(draft, cause)
    zones = {fan_set.row.zone} if fan_set else set()
    if cause.kind == Condition.OFF:
        known = [draft.plan.points[each] for each in cause.points if each in draft.plan.points]
        zones |= {each.zone for each in known if each.point.kind in VENTILATION}
    reasons = fans.reasons_against(draft, fan_set) if fan_set else []
    for zone in sorted(zones):
        for head in draft.plan.methane_of_zone.get(zone, ()):
            reasons += _point_reasons(draft, draft.plan.points[head])
    return reasons


def _point_reasons(draft: "Draft", plan: PointPlan) -> list[str]:
    """Return what speaks against a point: not GOOD, not below restore, not yet for 60 s.

    Hand cover stands in for a dead head alone (practice 3): what a living head reads still counts.
    """
    live = draft.live[plan.id]
    if fault.is_covered(draft, plan.id) and not live.raw.raises:
        return []
    bypass = draft.durable.interlock.bypasses.get(plan.id)
    if bypass is not None and draft.is_on_disk(bypass.index):
        return [] if fault.is_guarded(draft, plan.id) else [f"last_head:{plan.id}"]
    if live.raw is not Quality.GOOD or live.quality in _UNFIT:
        return [f"not_good:{plan.id}"]
    assert live.value is not None
    if not points.permits(plan, live.value) or live.below_ms is None:
        return [f"not_below_restore:{plan.id}"]
    if draft.image.now_ms - live.below_ms < BELOW_MS:
        return [f"not_yet_60_s:{plan.id}"]
    return []


def _hand_reasons(draft: "Draft", plan: PointPlan) -> list[str]:
    value = draft.durable.interlock.hand_values.get(plan.id)
    if value is None or draft.image.now_ms >= value.until.ms:
        return [f"hand_value_missing:{plan.id}"]
    if not points.permits(plan, value.value):
        return [f"hand_value_high:{plan.id}"]
    return []


def _unmeasured(draft: "Draft", output: str) -> list[str]:
    """Return a reason where no head that guards the output's area has a hand value that permits."""
    guards = draft.plan.guards.get(output, ())
    if not guards or any(not _hand_reasons(draft, draft.plan.points[each]) for each in guards):
        return []
    return [f"hand_value_missing:{output}"]


def _upstream_reasons(draft: "Draft", failed: str) -> list[str]:
    """Hold the upstream cut while the switch below it is latched and its feed is not proved off."""
    output = draft.plan.driven.get(failed)
    if output is None or output.proof is None or failed not in draft.durable.interlock.held:
        return []
    live = draft.live.get(output.proof)
    is_off = live is not None and live.quality is Quality.GOOD and live.value == 0
    return [] if is_off else [f"feed_not_off:{failed}"]


def _act(draft: "Draft", release: Pending) -> None:
    age_ms = draft.image.now_ms - release.granted_ms
    if not draft.is_on_disk(release.index):
        if age_ms > PENDING_MS:
            interlock.void(draft, release.outputs, "not_durable")
        return
    reasons = reasons_against(draft, release.outputs)
    causes = causes_of(draft, release.outputs)
    if [each.id for each in causes] != list(release.causes):
        reasons = (*reasons, "another_cause")
    if reasons:
        interlock.void(draft, release.outputs, *reasons)
        return
    places = [point for cause in causes for point in cause.points]
    over = [each for each in dict.fromkeys(places) if each in draft.durable.points.over]
    draft.emit(
        "released",
        causes=list(release.causes),
        outputs=list(release.outputs),
        over=over,
        release=release.id,
    )
    for point_id in over:
        points.refresh(draft, point_id)


def _unlatch_over(draft: "Draft") -> None:
    """End the OVER_RANGE latch of a head that holds no output: 60 s GOOD and a hand value."""
    latched = {point for each in draft.durable.interlock.causes.values() for point in each.points}
    for point_id in sorted(draft.durable.points.over):
        plan = draft.plan.points.get(point_id)
        value = draft.durable.interlock.hand_values.get(point_id)
        if plan is None or point_id in latched or value is None:
            continue
        if draft.is_on_disk(value.index) and not (
            _point_reasons(draft, plan) or _hand_reasons(draft, plan)
        ):
            draft.emit("over_range_unlatched", point=point_id)
            points.refresh(draft, point_id)


def _drop_old_hand_values(draft: "Draft") -> None:
    now_ms = draft.image.now_ms
    values = draft.durable.interlock.hand_values
    for point_id in sorted(each for each, value in values.items() if now_ms >= value.until.ms):
        draft.emit("hand_value_expired", point=point_id)


def _granted(durable: "Durable", event: Event) -> "Durable":
    data = event.data
    release = Pending(
        id=data["release"],
        outputs=tuple(data["outputs"]),
        causes=tuple(data["causes"]),
        index=durable.index,
        granted_ms=event.now_ms,
    )
    pending = with_entry(durable.interlock.pending, release.id, release)
    return interlock.with_parts(durable, pending=pending)


def _hand_value_recorded(durable: "Durable", event: Event) -> "Durable":
    data = event.data
    value = HandValue(
        value=data["value"],
        by=data["by"],
        checker=data["checker"],
        index=durable.index,
        until=Deadline.after(event, HAND_VALUE_MS),
    )
    values = with_entry(durable.interlock.hand_values, data["point"], value)
    return interlock.with_parts(durable, hand_values=values)


def _hand_value_expired(durable: "Durable", event: Event) -> "Durable":
    values = without(durable.interlock.hand_values, event.data["point"])
    return interlock.with_parts(durable, hand_values=values)


FOLDS: dict[str, Fold] = {
    "release_granted": _granted,
    "hand_value_recorded": _hand_value_recorded,
    "hand_value_expired": _hand_value_expired,
}


def _check_release(draft: "Draft", command: Command) -> Reasons:
    outputs = tuple(sorted(command.arguments["outputs"]))
    unknown = tuple(f"unknown_output:{each}" for each in outputs if each not in draft.plan.guards)
    return unknown or reasons_against(draft, outputs)


def _release(draft: "Draft", given: Given) -> None:
    outputs = tuple(sorted(given.command.arguments["outputs"]))
    draft.emit(
        "release_granted",
        by=given.command.by,
        causes=[each.id for each in causes_of(draft, outputs)],
        command=given.answer,
        outputs=list(outputs),
        release=f"R{draft.durable.index}",
        second=given.second,
    )


def _check_hand_value(draft: "Draft", command: Command) -> Reasons:
    point_id = command.arguments["point"]
    plan = draft.plan.points.get(point_id)
    if plan is None:
        return (f"unknown_point:{point_id}",)
    if not plan.by_hand:
        return (f"not_a_gas_head:{point_id}",)
    return () if _checker_of(draft, command) else ("not_a_gas_checker",)


def _checker_of(draft: "Draft", command: Command) -> str:
    """Return the gas checker behind a hand value: who gives it, or whom the dispatcher names."""
    code = command.arguments.get("checker", command.by)
    member = draft.mine.staff_member(code)
    return code if member is not None and member.role is Role.GAS_CHECKER else ""


def _hand_value(draft: "Draft", given: Given) -> None:
    """Record what was measured by hand: it raises like a reading and permits only what practice 2
    and 3 say.
    """
    arguments = given.command.arguments
    plan = draft.plan.points[arguments["point"]]
    draft.emit(
        "hand_value_recorded",
        by=given.command.by,
        checker=_checker_of(draft, given.command),
        command=given.answer,
        point=plan.id,
        value=arguments["value"],
        **hand_check.beside(draft, plan.id),
    )
    gas.rise(draft, plan, arguments["value"])
    votes.heard(draft, plan, arguments["value"])
    if fault.is_covered(draft, plan.id):
        gas.lower(draft, plan, arguments["value"], at_once=True)
    hand_check.compare(draft, plan, arguments["value"], _checker_of(draft, given.command))


COMMANDS: dict[str, Act] = {
    "release": Act(
        do=_release,
        arguments={"outputs": is_ids},
        roles=frozenset({Role.DISPATCHER}),
        second=frozenset({Role.DUTY_LEADER, Role.CHIEF_ENGINEER}),
        check=_check_release,
    ),
    "hand_value": Act(
        do=_hand_value,
        arguments={"point": is_id, "value": is_integer(0, VALUE_MAX)},
        optional={"checker": is_id},
        roles=frozenset({Role.GAS_CHECKER, Role.DISPATCHER}),
        check=_check_hand_value,
    ),
}
