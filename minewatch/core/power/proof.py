"""Proof: an independent input must show that an output acted.

A cut is proved by the feed state reading 0, a siren or horn by its sounder state reading 1, GOOD
and sampled after the level was first wanted, within the output's `proof_within_ms`. Otherwise
断电失败(拒动): a failed-actuation alarm, and for a cut the switch upstream cuts. A switch that
failed stays failed while the one above keeps its feed off. A feed that is live again while the cut
is latched is 馈电异常 and cuts upstream too. A feed that is merely off is no trip.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from minewatch.core.alarms import alarm
from minewatch.core.power import interlock
from minewatch.core.power.interlock import Want
from minewatch.core.readings.points import Live
from minewatch.model.alarm import AlarmKind
from minewatch.model.mine import Output, OutputRole
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft


def decide(draft: "Draft") -> None:
    """Compare the proofs with the levels that were wanted in earlier cycles."""
    wants = draft.volatile.interlock.wants
    changed: dict[str, Want] = {}
    for output_id, want in wants.items():
        output = draft.plan.driven.get(output_id)
        if output is None or output.proof is None or not _acts(output, energised=want.energised):
            continue
        after = _proved(draft, output, want)
        if after is not want:
            changed[output_id] = after
    if changed:
        _set(draft, {**wants, **changed})


def note(draft: "Draft", table: Mapping[str, bool]) -> None:
    """Note since when each level is wanted; a new level begins unproved and ends old failures.

    After a start nothing is new about a level that failed before: its alarm waits for the proof.
    """
    wants = draft.volatile.interlock.wants
    changed: dict[str, Want] = {}
    for output_id, energised in table.items():
        want = wants.get(output_id)
        if want is None or want.energised is not energised:
            if want is not None or not _acts(draft.plan.driven[output_id], energised=energised):
                alarm.clear(draft, AlarmKind.FAILED_ACTUATION, output_id)
                alarm.clear(draft, AlarmKind.FEED_ABNORMAL, output_id)
            failed = alarm.is_active(draft.durable, AlarmKind.FAILED_ACTUATION, output_id)
            changed[output_id] = Want(energised, draft.image.now_ms, failed=failed)
    if changed or len(wants) != len(table):
        _set(draft, {each: changed.get(each) or wants[each] for each in table})


def _acts(output: Output, *, energised: bool) -> bool:
    """Say whether the level is the one that must be proved."""
    return energised is (output.role is not OutputRole.POWER_CUT)


def _proved(draft: "Draft", output: Output, want: Want) -> Want:
    assert output.proof is not None
    live = draft.live.get(output.proof)
    agrees = _says(live, 1 if want.energised else 0, want.since_ms)
    if want.proved:
        _watch_feed(draft, output, live, want)
    elif not agrees:
        return _overdue(draft, output, want)
    if agrees and want.failed and not _is_cut_upstream(draft, output):
        alarm.clear(draft, AlarmKind.FAILED_ACTUATION, output.id)
        return replace(want, proved=True, failed=False)
    return want if want.proved else replace(want, proved=True)


def _overdue(draft: "Draft", output: Output, want: Want) -> Want:
    """Raise the failed actuation when its time is over, and cut upstream."""
    if draft.image.now_ms - want.since_ms < output.proof_within_ms:
        return want
    alarm.raise_(draft, AlarmKind.FAILED_ACTUATION, output.id, zone=output.zone)
    _cut_upstream(draft, output)
    return want if want.failed else replace(want, failed=True)


def _is_cut_upstream(draft: "Draft", output: Output) -> bool:
    """Say whether the feed is off because of the switch above: no proof of this output's own."""
    return f"upstream:{output.id}" in draft.durable.interlock.causes


def _watch_feed(draft: "Draft", output: Output, live: Live | None, want: Want) -> None:
    """After a proved cut, a GOOD feed reading of 1 says that power is back behind our back."""
    if output.role is not OutputRole.POWER_CUT:
        return
    if _says(live, 1, want.since_ms):
        alarm.raise_(draft, AlarmKind.FEED_ABNORMAL, output.id, zone=output.zone)
        _cut_upstream(draft, output)
    elif _says(live, 0, want.since_ms):
        alarm.clear(draft, AlarmKind.FEED_ABNORMAL, output.id)


def _says(live: Live | None, value: int, since_ms: int) -> bool:
    return (
        live is not None
        and live.quality is Quality.GOOD
        and live.value == value
        and live.sampled_ms >= since_ms
    )


def _cut_upstream(draft: "Draft", output: Output) -> None:
    if output.role is OutputRole.POWER_CUT and output.upstream:
        interlock.demand(draft, "upstream", output.id, (), (output.upstream,))


def _set(draft: "Draft", wants: Mapping[str, Want]) -> None:
    draft.update_volatile(interlock=replace(draft.volatile.interlock, wants=wants))
