"""The wanted table: every driven output, every cycle, as a level (design rule 4).

power_cut: energised unless a latched cause holds it (de-energise to trip). siren, broadcast:
energised while a standing withdrawal touches a zone that they cover. horn: sounds while an urgent
alarm is unanswered or a withdrawal is demanded. surface_horn: sounds while nobody watches the page.
gate: energised means entry permitted; exits are never blocked. fan_start: energised permits a start
of a local fan by hand. In mode monitor the table is empty.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from minewatch.core.people import headcount
from minewatch.core.power import permits, proof, start
from minewatch.core.withdrawals import emergencies, withdrawal
from minewatch.model.mine import Output, OutputRole

if TYPE_CHECKING:
    from minewatch.core.draft import Draft


def wanted(draft: "Draft") -> Mapping[str, bool] | None:
    """Return the complete table, or None while the start is not proven.

    Nothing is worked out for a cut that no cause holds: a mine has hundreds, ten times a second.
    """
    if start.is_proving(draft):
        return None
    table = dict.fromkeys(draft.plan.driven, True)
    table |= {each: False for each in draft.durable.interlock.held if each in table}
    table |= {each.id: LEVELS[each.role](draft, each) for each in draft.plan.others}
    proof.note(draft, table)
    return table


def _sounds(draft: "Draft", output: Output) -> bool:
    return withdrawal.concerns(withdrawal.standing_zones(draft.durable), output)


def _horn(draft: "Draft", output: Output) -> bool:
    del output
    return draft.volatile.alarms.horn or emergencies.sounds(draft)


def _surface_horn(draft: "Draft", output: Output) -> bool:
    del output
    return "console" in draft.durable.house.faults


def _entry_permitted(draft: "Draft", output: Output) -> bool:
    del output
    return (
        headcount.entry_permitted(draft)
        and not withdrawal.no_descent(draft.durable)
        and not withdrawal.standing_zones(draft.durable)
    )


LEVELS: Mapping[OutputRole, Callable[["Draft", Output], bool]] = {
    OutputRole.SIREN: _sounds,
    OutputRole.BROADCAST: _sounds,
    OutputRole.HORN: _horn,
    OutputRole.SURFACE_HORN: _surface_horn,
    OutputRole.GATE: _entry_permitted,
    OutputRole.FAN_START: permits.fan_start,
}
"""What the level of each role but the power cut follows from."""
