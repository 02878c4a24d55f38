"""Permits: what must be so before something may be done, each missing thing with its reason.

Two kinds. A *permissive* of an interlock is a point that must be normal before a latched cause of
it may end. The *restart permit* of local fans says whether a fan that stands still may be started
by hand: gas that has gathered in a heading must not be driven out over people and switches. It
blocks above 3.0 % in the heading (special release of gas), asks for announced gas release from
1.0 % on, and needs at most 0.5 % within 10 m of the fan and its switch. It never stops a fan.
Source: domain.md interlock semantics, fan restart limits; the figures come with `LocalFan`.
"""

from typing import TYPE_CHECKING, Any

from minewatch.core.desk import planned_work
from minewatch.core.power import fans
from minewatch.core.power.layout import FanSet
from minewatch.core.readings import fault, points
from minewatch.model.mine import LocalFan, Output
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

GAS_RELEASE = "gas_release"
"""The announced work under which gas between the two limits may be driven out."""

PERMITTED, CONDITIONAL, BLOCKED = "permitted", "conditional", "blocked"
_BY_PEOPLE = ("controlled_release_needed:", "fan_air_unmeasured:")
"""Reasons that people on the spot can settle; every other one blocks."""


def missing(draft: "Draft", outputs: tuple[str, ...]) -> list[str]:
    """Return the permissives of these outputs that do not hold: nothing of theirs may end."""
    table = draft.plan.power.permissives
    needed = dict.fromkeys(point for output in outputs for point in table.get(output, ()))
    return [f"permissive_missing:{each}" for each in needed if not holds(draft, each)]


def holds(draft: "Draft", point_id: str) -> bool:
    """Say whether a point is GOOD and within all its limits."""
    plan, live = draft.plan.points[point_id], draft.live[point_id]
    return (
        live.quality is Quality.GOOD
        and live.value is not None
        and points.permits(plan, live.value)
        and plan.low_clear <= live.value < plan.clear
    )


def restart(draft: "Draft", fan_set: FanSet) -> tuple[str, list[str]]:
    """Return whether a fan of the heading may be started by hand, with every reason against."""
    row = fan_set.row
    reasons = [
        reason
        for head in draft.plan.methane_of_zone.get(row.zone, ())
        for reason in _heading_reasons(draft, row, head, _measured(draft, head))
    ]
    for head in row.near:
        value = _measured(draft, head)
        if value is None:
            reasons.append(f"not_good:{head}")
        elif value > row.fan_air_cpct:
            reasons.append(f"fan_air_high:{head}")
    if not row.near:
        reasons.append(f"fan_air_unmeasured:{row.main}")
    if not reasons:
        return PERMITTED, reasons
    by_people = all(each.startswith(_BY_PEOPLE) for each in reasons)
    return (CONDITIONAL if by_people else BLOCKED), reasons


def fan_start(draft: "Draft", output: Output) -> bool:
    """Return the level of a start permit: closed unless all fans stand still and may not start.

    While a fan runs or changes over by itself nothing moves; where that is unknown the level stays.
    A permit of no fan stays open.
    """
    fan_set = draft.plan.power.fans.get(draft.plan.power.start_of.get(output.id, ""))
    if fan_set is None:
        return False
    if fans.is_stopped(draft, fan_set):
        return restart(draft, fan_set)[0] == PERMITTED
    if fans.is_blowing(draft, fan_set):
        return True
    want = draft.volatile.interlock.wants.get(output.id)
    return want is not None and want.energised


def _heading_reasons(
    draft: "Draft", row: LocalFan, head: str, value: int | None
) -> tuple[str, ...]:
    if value is None:
        return (f"not_good:{head}",)
    if value > row.block_cpct:
        return (f"special_release_needed:{head}",)
    if value >= row.controlled_cpct and not planned_work.runs_in(draft, GAS_RELEASE, row.zone):
        return (f"controlled_release_needed:{head}",)
    return ()


def _measured(draft: "Draft", head: str) -> int | None:
    """Return what a head says, the worse of it and a hand value that is held; None if neither.

    A dead head under hand cover is spoken for by a value no older than a release may use.
    """
    live = draft.live[head]
    if live.quality is Quality.GOOD and live.value is not None:
        return points.reach(draft.durable, head, live.value)[1]
    by_hand = draft.durable.interlock.hand_values.get(head)
    if by_hand is None or draft.image.now_ms >= by_hand.until.ms or live.raw.raises:
        return None
    return by_hand.value if fault.is_covered(draft, head) else None


def view(draft: "Draft", fan_set: FanSet) -> dict[str, Any]:
    """Return the restart permit of a heading's fans, for the frame."""
    state, reasons = restart(draft, fan_set)
    return {"state": state, "reasons": reasons, "output": fan_set.row.start}
