"""The start: no output is written until it is known what the contacts did without us.

Design rule 6: after a start, and after a gap in which the process did not run, proving inputs and
read-backs are awaited for at most 2 s. Then whatever the disk holds stays cut; and a power-cut
contact that is open, or that does not answer, although nothing on disk holds it, latches as the one
cause `controller_lost` over all such outputs, with one form. The first start of a new state folder
is different in one point only: an open contact there is open because nothing ever closed it, so it
is not latched; a contact that does not answer is. A feed that is merely off is no trip.

A siren or broadcast that sounds although no withdrawal on disk orders it was ordered by the run
before, whose last entries the disk never took: its withdrawal is raised again, and ends by two
names like every other.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from minewatch.core.power import interlock
from minewatch.core.withdrawals import withdrawal
from minewatch.model.mine import Output, OutputRole

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

PROVING_MS = 2_000
SOUNDERS = frozenset({OutputRole.SIREN, OutputRole.BROADCAST})
_AFTER_A_RUN = frozenset({"crash", "clean"})
"""Starts whose memory is the ledger alone; a gap or a reload has forgotten no order."""


def observe(draft: "Draft") -> None:
    """Take the image's read-backs; end the proving when all has answered or time is up."""
    _take_read_backs(draft)
    since_ms = draft.volatile.house.proving_since_ms
    if since_ms is None:
        return
    outputs = draft.plan.driven.values()
    if draft.image.now_ms - since_ms < PROVING_MS and not all(
        _has_answered(draft, each, since_ms) for each in outputs
    ):
        return
    lost = [each.id for each in outputs if _is_lost(draft, each, since_ms)]
    guards = sorted({point for each in lost for point in draft.plan.guards[each]})
    interlock.demand(draft, "controller_lost", "", guards, lost)
    _keep_sounding(draft, since_ms)
    draft.update_volatile(house=replace(draft.volatile.house, proving_since_ms=None))


def is_proving(draft: "Draft") -> bool:
    """Say whether outputs are still unproven: then nothing at all is written."""
    return draft.volatile.house.proving_since_ms is not None


def _take_read_backs(draft: "Draft") -> None:
    arrived = draft.image.read_backs
    if not arrived:
        return
    known = dict(draft.volatile.interlock.read_backs)
    for each in arrived:
        before = known.get(each.output)
        if before is None or each.sampled_ms >= before.sampled_ms:
            known[each.output] = each
    draft.update_volatile(interlock=replace(draft.volatile.interlock, read_backs=known))


def _has_answered(draft: "Draft", output: Output, since_ms: int) -> bool:
    read_back = draft.volatile.interlock.read_backs.get(output.id)
    if read_back is None or read_back.sampled_ms < since_ms or read_back.energised is None:
        return False
    proof = draft.live.get(output.proof) if output.proof else None
    return output.proof is None or (proof is not None and proof.sampled_ms >= since_ms)


def _is_lost(draft: "Draft", output: Output, since_ms: int) -> bool:
    """Say whether a power-cut contact is open, or silent, although nothing on disk holds it."""
    if output.role is not OutputRole.POWER_CUT or output.id in draft.durable.interlock.held:
        return False
    read_back = draft.volatile.interlock.read_backs.get(output.id)
    if read_back is None or read_back.sampled_ms < since_ms or read_back.energised is None:
        return True
    return not read_back.energised and draft.volatile.house.prior != "first"


def _keep_sounding(draft: "Draft", since_ms: int) -> None:
    """Raise the withdrawal of what sounds although nothing on disk orders it."""
    if draft.volatile.house.prior not in _AFTER_A_RUN:
        return
    standing = withdrawal.standing_zones(draft.durable)
    zones: set[str] = set()
    for output in draft.plan.driven.values():
        read_back = draft.volatile.interlock.read_backs.get(output.id)
        if (
            output.role in SOUNDERS
            and read_back is not None
            and read_back.sampled_ms >= since_ms
            and read_back.energised
            and not withdrawal.concerns(standing, output)
        ):
            zones.update(output.covers or (output.zone,))
    if zones:
        withdrawal.demand(draft, tuple(sorted(zones)), "controller_lost")
