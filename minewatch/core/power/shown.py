"""The power room in the frame: how each interlock and the fans of each heading stand."""

from typing import TYPE_CHECKING, Any

from minewatch.core.power import fans, permits, votes
from minewatch.core.power.interlock import Cause
from minewatch.model.mine import Condition, Interlock, Scheme

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

ARMED, LATCHED, NOT_DRIVEN = "armed", "latched", "not_driven"
_BY_POINT = frozenset({Condition.TRIP, Condition.FAULT, Condition.OFF})


def view(draft: "Draft") -> dict[str, Any]:
    """Return the frame's `interlocks` and `local_fans`; `draft` is a look, nothing is decided."""
    power = draft.plan.power
    groups = {each.id: votes.view(draft, each) for each in power.votes}
    return {
        "interlocks": {
            each.id: {**_interlock(draft, each), "votes": groups.get(each.id)}
            for each in draft.mine.interlocks
        },
        "local_fans": {
            key: {**fans.view(draft, each), "restart": permits.view(draft, each)}
            for key, each in power.fans.items()
        },
    }


def _interlock(draft: "Draft", interlock: Interlock) -> dict[str, Any]:
    causes = [each.id for each in draft.durable.interlock.causes.values()
              if _is_its(draft, interlock, each)]  # fmt: skip
    driven = any(each in draft.plan.driven for each in interlock.outputs)
    return {
        "scheme": str(interlock.scheme),
        "state": LATCHED if causes else ARMED if driven else NOT_DRIVEN,
        "causes": causes,
        "outputs": list(interlock.outputs),
        "remote": _is_remote(draft, interlock),
        "took_ms": _took_ms(draft, interlock) if causes else None,
        "fans": _fans(draft, interlock),
        "permissives": {
            each: permits.holds(draft, each) for each in interlock.permissives
        },
    }  # fmt: skip


def _is_its(draft: "Draft", interlock: Interlock, cause: Cause) -> bool:
    """Say whether a latched cause is one that this interlock demanded."""
    if set(cause.outputs).isdisjoint(interlock.outputs):
        return False
    about = cause.id.partition(":")[2]
    if cause.kind == "vote":
        return about == interlock.id
    if cause.kind == fans.CAUSE:
        return about in _fans(draft, interlock)
    named = {each.point for each in interlock.causes if cause.kind in (each.condition, "line")}
    return (cause.kind in _BY_POINT or cause.kind == "line") and not named.isdisjoint(cause.points)


def _fans(draft: "Draft", interlock: Interlock) -> list[str]:
    """Return the local fans whose stop this interlock cuts for."""
    sets = draft.plan.power.fans
    return [key for key, each in sets.items() if interlock.id in each.interlocks]


def _is_remote(draft: "Draft", interlock: Interlock) -> bool:
    """Say whether it cuts elsewhere (异地断电): by its scheme, or in none of its causes' zones."""
    zones = {draft.mine.point(each.point).zone for each in interlock.causes}
    return interlock.scheme is Scheme.REMOTE_CUT or zones.isdisjoint(
        draft.mine.output(each).zone for each in interlock.outputs
    )


def _took_ms(draft: "Draft", interlock: Interlock) -> int | None:
    """Return how long its slowest output took from the demand to the proof; None if unproved."""
    wants = [draft.volatile.interlock.wants.get(each) for each in interlock.outputs]
    times = [
        None if want is None or want.proved_ms is None else want.proved_ms - want.since_ms
        for want in wants
    ]
    known = [each for each in times if each is not None]
    return max(known) if known and len(known) == len(times) else None
