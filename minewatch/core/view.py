"""What a watcher sees: the frame's sections as plain dicts of codes and integers (§4)."""

from typing import Any

from minewatch.core.alarms import alarm, duty, escalation, flood, shelving
from minewatch.core.desk import due, interlock_test, planned_work
from minewatch.core.draft import Draft
from minewatch.core.people import headcount, people
from minewatch.core.power import release, shown
from minewatch.core.power.interlock import Cause, Want
from minewatch.core.readings import (
    comparison,
    hand_check,
    head_move,
    oxygen,
    production,
    stuck,
    warm_up,
)
from minewatch.core.readings.points import NEVER_MS, Live
from minewatch.core.state import State
from minewatch.core.withdrawals import emergencies, grades, withdrawal
from minewatch.model.image import Image
from minewatch.model.mine import Mine, OutputRole

_STANDING = (
    "not_good:",
    "not_below_restore:",
    "feed_not_off:",
    "last_head:",
    "fan_not_running:",
    "no_duct_wind:",
)
"""Reasons that say that the condition of a cause still stands."""


def view(mine: Mine, state: State, now_ms: int) -> dict[str, Any]:
    """Return the sections of a full frame at `now_ms`, on the clock of the images."""
    return {
        "points": {each: _point(live) for each, live in state.volatile.points.live.items()},
        **sections(mine, state, now_ms),
    }


def sections(mine: Mine, state: State, now_ms: int) -> dict[str, Any]:
    """Return every section but `points`, which alone is large."""
    durable = state.durable
    look = Draft(mine, state, Image(0, now_ms, 0, False, durable.index))
    return {
        "outputs": _outputs(mine, state),
        "causes": _causes(state, look),
        **shown.view(look),
        "alarms": _alarms(mine, state),
        **headcount.view(mine, state, now_ms),
        **people.view(mine, state, now_ms),
        **withdrawal.view(mine, state, now_ms),
        **emergencies.view(state),
        **grades.view(state),
        **production.view(mine, state),
        **comparison.view(state),
        **_acts(state),
        **planned_work.view(state),
        **head_move.view(state),
        **warm_up.view(state),
        **hand_check.view(state),
        **oxygen.view(state),
        **stuck.view(state),
        **interlock_test.view(state),
        **due.view(state, now_ms),
        **shelving.view(durable),
        **duty.view(durable),
        **flood.view(durable),
        "horn": state.volatile.alarms.horn,
        "silenced_until_ms": durable.alarms.silenced_until_ms,
    }


def _point(live: Live) -> dict[str, Any]:
    return {
        "value": live.value,
        "quality": live.quality.name,
        "sampled_ms": None if live.sampled_ms == NEVER_MS else live.sampled_ms,
        "last": live.last,
        "level": live.level,
    }


def _outputs(mine: Mine, state: State) -> dict[str, Any]:
    held = state.durable.interlock.held
    volatile = state.volatile.interlock
    shown = {}
    for output in mine.outputs:
        want = volatile.wants.get(output.id)
        read_back = volatile.read_backs.get(output.id)
        shown[output.id] = {
            "wanted": None if want is None else want.energised,
            "energised": None if read_back is None else read_back.energised,
            "proved": want is not None and want.proved,
            "causes": list(held.get(output.id, ())) if output.role is OutputRole.POWER_CUT else [],
            "since_ms": _since_ms(state, output.id, want),
            "failed": want is not None and want.failed,
            "exhausted": want is not None and want.exhausted,
        }
    return shown


def _since_ms(state: State, output_id: str, want: Want | None) -> int | None:
    """Return since when the level stands; a cut keeps its hour over a restart of ours."""
    held = state.durable.interlock.held.get(output_id, ())
    causes = state.durable.interlock.causes
    cut_ms = min((causes[each].since_ms for each in held), default=None)
    return cut_ms if cut_ms is not None or want is None else want.since_ms


def _causes(state: State, look: Draft) -> dict[str, Any]:
    """Return each latched cause with every reason why it may not end yet."""
    causes = state.durable.interlock.causes
    return {each.id: _cause(each, release.reasons_of(look, each)) for each in causes.values()}


def _cause(cause: Cause, reasons: list[str]) -> dict[str, Any]:
    return {
        "kind": cause.kind,
        "points": list(cause.points),
        "outputs": list(cause.outputs),
        "since_ms": cause.since_ms,
        "first_out": cause.first_out,
        "active": any(each.startswith(_STANDING) for each in reasons),
        "ready": not reasons,
        "reasons": reasons,
    }


def _alarms(mine: Mine, state: State) -> dict[str, Any]:
    """Return every alarm; one sounds while nobody has answered and it is first in its group."""
    alarms = state.durable.alarms
    silent = flood.silent(state.durable)
    return {
        each.id: {
            **_alarm(state, each),
            "sounds": each.unanswered and each.id not in silent,
            "escalated_to": escalation.step_name(mine, each.step) if each.step else "",
            "told": list(each.told),
        }
        for each in alarms.items.values()
    }


def _alarm(state: State, each: alarm.Alarm) -> dict[str, Any]:
    return {
        "kind": str(each.kind),
        "priority": each.priority,
        "source": each.source,
        "zone": each.zone,
        "value": each.value,
        "limit": each.limit,
        "peak": alarm.peak_of(state.volatile.alarms.peaks, each),
        "raised_ms": each.raised_ms,
        "raised_wall_ms": each.raised_wall_ms,
        "state": str(each.state),
        "active": each.active,
        "acknowledged_by": each.acknowledged_by,
        "closed": each.closed,
        "first_out": each.first_out,
        "occurrences": each.occurrences,
        "planned": each.planned,
    }


def _acts(state: State) -> dict[str, Any]:
    durable = state.durable
    return {
        "calibrations": {
            each.point: {
                "by": each.by,
                "started_ms": each.started_ms,
                "until_ms": each.until.ms,
                "extended": each.extended,
            }
            for each in durable.calibrations.open.values()
        },
        "hand_covers": {
            each.point: {
                "by": each.by,
                "checker": each.checker,
                "next_ms": each.next.ms,
                "until_ms": each.until.ms,
            }
            for each in durable.interlock.covers.values()
        },
        "bypasses": {
            each.point: {"by": each.by, "second": each.second, "until_ms": each.until.ms}
            for each in durable.interlock.bypasses.values()
        },
        "approvals": {
            each.id: {
                "kind": each.kind,
                "by": each.by,
                "origin": each.origin,
                "arguments": dict(each.arguments),
                "until_ms": each.until.ms,
            }
            for each in durable.approvals.open.values()
        },
    }
