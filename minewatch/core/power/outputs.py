"""The wanted table: every driven output, every cycle, as a level (design rule 4).

power_cut: energised unless a latched cause holds it (de-energise to trip). siren, broadcast:
energised while a standing withdrawal touches a zone that they cover. horn: sounds while an urgent
alarm is unanswered or a withdrawal is demanded. surface_horn: sounds while nobody watches the page.
gate: energised means entry permitted; exits are never blocked. fan_start: energised permits a start
of a local fan by hand. In mode monitor the table is empty.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from minewatch.core.people import headcount
from minewatch.core.power import permits, proof, start
from minewatch.core.withdrawals import emergencies, withdrawal
from minewatch.model.mine import Output, OutputRole

if TYPE_CHECKING:
    from minewatch.core.draft import Draft


def wanted(draft: "Draft") -> Mapping[str, bool] | None:
    """Return the complete table, or None while the start is not proven."""
    if start.is_proving(draft):
        return None
    table = {output.id: _level(draft, output) for output in draft.plan.driven.values()}
    proof.note(draft, table)
    return table


def _level(draft: "Draft", output: Output) -> bool:
    match output.role:
        case OutputRole.POWER_CUT:
            return output.id not in draft.durable.interlock.held
        case OutputRole.SIREN | OutputRole.BROADCAST:
            return withdrawal.concerns(withdrawal.standing_zones(draft.durable), output)
        case OutputRole.HORN:
            return draft.volatile.alarms.horn or emergencies.sounds(draft)
        case OutputRole.SURFACE_HORN:
            return "console" in draft.durable.house.faults
        case OutputRole.GATE:
            return _entry_permitted(draft)
        case OutputRole.FAN_START:
            return permits.fan_start(draft, output)


def _entry_permitted(draft: "Draft") -> bool:
    return (
        headcount.entry_permitted(draft)
        and not withdrawal.no_descent(draft.durable)
        and not withdrawal.standing_zones(draft.durable)
    )
