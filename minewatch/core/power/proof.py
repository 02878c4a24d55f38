"""Proof: an independent input must show that an output acted.

A cut is proved by the feed state reading 0, a siren or horn by its sounder state reading 1, GOOD
and sampled after the level was first wanted, within the output's `proof_within_ms`. Otherwise
断电失败(拒动): a failed-actuation alarm, and for a cut the switch upstream cuts. Where that one has
had its own time and the feed below it is still live, the next one up cuts as well, and so on to the
end of the chain, which is an event: then only a person can. A switch that failed stays failed while
one above keeps its feed off. A feed that is live again while the cut is latched is 馈电异常 and
cuts upstream too. A feed that is merely off is no trip.
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
    for output in _acting(draft):
        want = wants[output.id]
        after = _proved(draft, output, want)
        if after is not want:
            changed[output.id] = after
    if changed:
        _set(draft, {**wants, **changed})


def note(draft: "Draft", table: Mapping[str, bool]) -> None:
    """Note since when each level is wanted; a new level begins unproved and ends old failures.

    After a start nothing is new about a level that failed before: its alarm waits for the proof.
    """
    newest, wants = draft.volatile.interlock.table, draft.volatile.interlock.wants
    if table == newest and len(wants) == len(table):
        return
    changed: dict[str, Want] = {}
    for output_id, energised in table.items():
        want = wants.get(output_id)
        if want is None or want.energised is not energised:
            if want is not None or not _acts(draft.plan.driven[output_id], energised=energised):
                alarm.clear(draft, AlarmKind.FAILED_ACTUATION, output_id)
                alarm.clear(draft, AlarmKind.FEED_ABNORMAL, output_id)
            failed = alarm.is_active(draft.durable, AlarmKind.FAILED_ACTUATION, output_id)
            changed[output_id] = Want(energised, draft.image.now_ms, failed=failed)
    wants = {each: changed.get(each) or wants[each] for each in table}
    known = draft.volatile.interlock
    draft.update_volatile(interlock=replace(known, table=table, wants=wants))


def forget_all(draft: "Draft") -> None:
    """Ask every level for a new proof, as after a start: nobody saw what a gap in time brought."""
    _set(draft, {})


def _acting(draft: "Draft") -> list[Output]:
    """Return the outputs whose level must be proved, in the mine's order.

    A cut that was wanted open is held still: only a release, later in a turn, lets go of it.
    """
    driven, held = draft.plan.driven, draft.durable.interlock.held
    wants = draft.volatile.interlock.wants
    likely = draft.plan.others
    if held:
        likely = tuple(
            each
            for key, each in driven.items()
            if key in held or each.role is not OutputRole.POWER_CUT
        )
    return [
        each
        for each in likely
        if each.proof is not None
        and each.id in wants
        and _acts(each, energised=wants[each.id].energised)
    ]


def _acts(output: Output, *, energised: bool) -> bool:
    """Say whether the level is the one that must be proved."""
    return energised is (output.role is not OutputRole.POWER_CUT)


def _proved(draft: "Draft", output: Output, want: Want) -> Want:
    assert output.proof is not None
    live = draft.live.get(output.proof)
    agrees = _says(live, 1 if want.energised else 0, want.since_ms)
    if want.proved:
        want = _watch_feed(draft, output, live, want)
    elif not agrees:
        return _overdue(draft, output, want)
    if agrees and want.failed and not _is_cut_upstream(draft, output):
        alarm.clear(draft, AlarmKind.FAILED_ACTUATION, output.id)
        return replace(want, proved=True, failed=False)
    return want if want.proved else _first_proof(want, live)


def _first_proof(want: Want, live: Live | None) -> Want:
    assert live is not None
    return replace(want, proved=True, proved_ms=live.sampled_ms)


def _overdue(draft: "Draft", output: Output, want: Want) -> Want:
    """Raise the failed actuation when its time is over, and cut upstream."""
    if draft.image.now_ms - want.since_ms < output.proof_within_ms:
        return want
    alarm.raise_(draft, AlarmKind.FAILED_ACTUATION, output.id, zone=output.zone)
    want = want if want.failed else replace(want, failed=True)
    return _cut_upstream(draft, output, want)


def _is_cut_upstream(draft: "Draft", output: Output) -> bool:
    """Say whether the feed is off because of the switch above: no proof of this output's own."""
    return f"upstream:{output.id}" in draft.durable.interlock.causes


def _watch_feed(draft: "Draft", output: Output, live: Live | None, want: Want) -> Want:
    """After a proved cut, a GOOD feed reading of 1 says that power is back behind our back."""
    if output.role is not OutputRole.POWER_CUT:
        return want
    if _says(live, 1, want.since_ms):
        alarm.raise_(draft, AlarmKind.FEED_ABNORMAL, output.id, zone=output.zone)
        return _cut_upstream(draft, output, want)
    if _says(live, 0, want.since_ms):
        alarm.clear(draft, AlarmKind.FEED_ABNORMAL, output.id)
    return want


def _says(live: Live | None, value: int, since_ms: int) -> bool:
    return (
        live is not None
        and live.quality is Quality.GOOD
        and live.value == value
        and live.sampled_ms >= since_ms
    )


def _cut_upstream(draft: "Draft", output: Output, want: Want) -> Want:
    """Cut the switch above, and those further up that the feed is still live in spite of."""
    if output.role is not OutputRole.POWER_CUT:
        return want
    chain = _chain(draft, output)
    tried = next((n for n, each in enumerate(chain) if _has_time(draft, output, each)), len(chain))
    interlock.demand(draft, "upstream", output.id, (), chain[: tried + 1])
    if tried < len(chain) or want.exhausted:
        return want
    draft.emit("upstream_exhausted", output=output.id, tried=list(chain), zone=output.zone)
    return replace(want, exhausted=True)


def _chain(draft: "Draft", output: Output) -> tuple[str, ...]:
    """Return the switches above an output, nearest first, each once."""
    chain: list[str] = []
    above = output.upstream
    while above is not None and above not in (output.id, *chain):
        chain.append(above)
        above = draft.mine.output(above).upstream
    return tuple(chain)


def _has_time(draft: "Draft", below: Output, above: str) -> bool:
    """Say whether a switch above still has time, or has taken the feed below it off the net.

    A feed that nobody can read asks for no second switch: one dead input must not darken a mine.
    """
    want = draft.volatile.interlock.wants.get(above)
    if want is None or want.energised:
        return True
    due_ms = want.since_ms + draft.mine.output(above).proof_within_ms
    if draft.image.now_ms < due_ms:
        return True
    assert below.proof is not None
    return not _says(draft.live.get(below.proof), 1, due_ms)


def _set(draft: "Draft", wants: Mapping[str, Want]) -> None:
    draft.update_volatile(interlock=replace(draft.volatile.interlock, wants=wants))
