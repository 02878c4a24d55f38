"""Withdrawal: people are ordered out of zones, until two names say that they may return.

One withdrawal stands at a time; whatever is demanded meanwhile extends its zones and causes. It is
demanded by gas for its zone and the zones downwind, by stopped local fans for their heading, by a
person, or for the whole mine by 3.0 %CH4 at two heads, by inrush and by the clocks of
`emergencies.py` (practice 16). Sirens sound and the
gate stays shut until the all-clear is on disk. Then descent is forbidden until its resumption is
signed and on disk (practice 17, design rule 5). What people may ask stands in `orders.py`, what is
said of a withdrawal after its end in `past.py`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from minewatch.core.folding import Fold
from minewatch.core.withdrawals import muster
from minewatch.core.withdrawals.past import Over, Past, shown, with_ended, with_verdict
from minewatch.model.event import Event
from minewatch.model.mine import Mine, Mode, Output
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable, State

WHOLE_MINE = "mine"
CAUSES_MAX = 64
"""Causes named in one withdrawal; later ones extend its zones and are events of their own."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A standing order. `cleared_index` is the all-clear's event while it is not yet on disk."""

    id: str
    zones: tuple[str, ...]
    causes: tuple[str, ...]
    by: str
    raised_ms: int
    raised_wall_ms: int
    notified_ms: int | None = None
    late: bool = False
    emptied_ms: int | None = None
    cleared_index: int | None = None


@dataclass(frozen=True, slots=True)
class WithdrawalDurable:
    """The standing withdrawal, whether descent is forbidden after one, and those that are over."""

    standing: Withdrawal | None = None
    no_descent: bool = False
    resumed_index: int | None = None
    past: Past = field(default_factory=Past)


@dataclass(frozen=True, slots=True)
class WithdrawalVolatile:
    """Who is missed, and how many are in the zones, as of the last look."""

    missed: tuple[str, ...] = ()
    underground: int = 0
    looked_ms: int = 0
    called_ms: int = 0


def demand(draft: "Draft", zones: tuple[str, ...], cause: str, *, downwind: bool = True) -> None:
    """Demand a withdrawal of `zones` and, unless told not to, the zones downwind, at once.

    `zones` may be `("mine",)`. Costs two look-ups where the withdrawal stands already.
    """
    standing = draft.durable.withdrawal.standing
    if (
        standing is not None
        and (cause in standing.causes or len(standing.causes) >= CAUSES_MAX)
        and is_covered(standing, zones)
    ):
        return
    order(draft, zones, cause, downwind=downwind)


def is_covered(standing: Withdrawal, zones: Iterable[str]) -> bool:
    """Say whether a standing order, not yet cleared, reaches all of these zones."""
    return standing.cleared_index is None and _covers(standing.zones, zones)


def order(
    draft: "Draft", zones: Iterable[str], cause: str, *, downwind: bool = True, **said: Any
) -> None:
    """Raise the withdrawal or extend the one that stands; an all-clear not yet on disk is void."""
    standing = draft.durable.withdrawal.standing
    before = standing.zones if standing is not None else ()
    added = _scope(draft.mine, set(zones)) if downwind else zones
    draft.emit(
        "withdrawal_raised" if standing is None else "withdrawal_extended",
        withdrawal=f"W{draft.durable.index}" if standing is None else standing.id,
        zones=list(_whole({*before, *added})),
        cause=cause,
        notice="no_annunciator" if draft.mine.mode is Mode.MONITOR else "",
        **{"by": "", **said},
    )
    draft.update_volatile(withdrawal=replace(draft.volatile.withdrawal, looked_ms=0))


def _covers(standing: tuple[str, ...], zones: Iterable[str]) -> bool:
    return WHOLE_MINE in standing or all(zone in standing for zone in zones)


def _scope(mine: Mine, zones: set[str]) -> tuple[str, ...]:
    """Return the zones with all that lie downwind of them, sorted; `mine` stands for every zone."""
    scope = set(zones)
    grown = WHOLE_MINE not in scope
    while grown:
        more = {z.id for z in mine.zones if not scope.isdisjoint(z.downwind_of)} - scope
        scope |= more
        grown = bool(more)
    return _whole(scope)


def _whole(zones: set[str]) -> tuple[str, ...]:
    return (WHOLE_MINE,) if WHOLE_MINE in zones else tuple(sorted(zones))


def decide(draft: "Draft") -> None:
    """Let the standing withdrawal run its course."""
    if draft.moved and _two_heads(draft):
        demand(draft, (WHOLE_MINE,), "gas:two_heads")
    durable = draft.durable.withdrawal
    if durable.resumed_index is not None and draft.is_on_disk(durable.resumed_index):
        draft.emit("descent_resumed")
    standing = durable.standing
    if standing is None:
        return
    if standing.cleared_index is not None:
        proven = draft.volatile.house.proving_since_ms is None
        if proven and draft.is_on_disk(standing.cleared_index):
            _end(draft, standing)
        return
    muster.decide(draft, standing.zones)
    _clocks(draft, standing)


def _two_heads(draft: "Draft") -> bool:
    """Say whether so many methane heads read 3.0 % or more, or beyond their range."""
    rules, live = draft.mine.emergencies, draft.live
    limit = rules.two_heads_cpct
    heads = {
        plan.id
        for plan, value, _, quality, _ in draft.moved
        if plan.is_methane and _is_high(value, quality, limit)
    }
    if not heads:
        return False
    for plans in draft.plan.methane_of_zone.values():
        heads |= {p for p in plans if _is_high(live[p].value, live[p].quality, limit)}
    return len(heads) >= rules.heads


def _is_high(value: int | None, quality: Quality, limit: int) -> bool:
    if quality is Quality.OVER_RANGE:
        return True
    return quality is Quality.GOOD and value is not None and value >= limit


def _clocks(draft: "Draft", standing: Withdrawal) -> None:
    """Note once: that everybody is told, that this was late, that nobody is left."""
    after_ms = draft.image.now_ms - standing.raised_ms
    if standing.notified_ms is None:
        if muster.is_told(draft, standing.zones):
            draft.emit("withdrawal_notified", withdrawal=standing.id, after_ms=after_ms)
        elif after_ms > muster.NOTIFY_MS and not standing.late:
            draft.emit("withdrawal_notice_late", withdrawal=standing.id, after_ms=after_ms)
    if standing.emptied_ms is None and draft.volatile.withdrawal.underground == 0:
        draft.emit("withdrawal_emptied", withdrawal=standing.id, after_ms=after_ms)


def _end(draft: "Draft", standing: Withdrawal) -> None:
    duration_ms = draft.image.now_ms - standing.raised_ms
    draft.emit("withdrawal_ended", withdrawal=standing.id, duration_ms=duration_ms)
    muster.forget(draft)


def standing_zones(durable: "Durable") -> tuple[str, ...]:
    """Return every zone that a standing withdrawal touches, sorted ('mine' = every zone)."""
    standing = durable.withdrawal.standing
    return () if standing is None else standing.zones


def concerns(zones: tuple[str, ...], output: Output) -> bool:
    """Say whether a withdrawal of these zones concerns who hears the output."""
    return bool(zones) and (
        WHOLE_MINE in zones or any(each in zones for each in output.covers or (output.zone,))
    )


def no_descent(durable: "Durable") -> bool:
    """Say whether descent is forbidden until resumption is signed."""
    return durable.withdrawal.no_descent


def _raised(durable: "Durable", event: Event) -> "Durable":
    data, part = event.data, durable.withdrawal
    standing = part.standing or Withdrawal(
        data["withdrawal"], (), (), data["by"], event.now_ms, event.wall_ms
    )
    causes = standing.causes
    if data["cause"] not in causes:
        causes = (*causes, data["cause"])[:CAUSES_MAX]
    grown = set(data["zones"]) != set(standing.zones)
    standing = replace(
        standing,
        zones=tuple(data["zones"]),
        causes=causes,
        notified_ms=None if grown else standing.notified_ms,
        emptied_ms=None if grown else standing.emptied_ms,
        cleared_index=None,
    )
    return _set(durable, replace(part, standing=standing, no_descent=True, resumed_index=None))


def _set(durable: "Durable", part: WithdrawalDurable) -> "Durable":
    return replace(durable, withdrawal=part)


def _notified(durable: "Durable", event: Event) -> "Durable":
    return _standing(durable, lambda each: replace(each, notified_ms=event.now_ms))


def _late(durable: "Durable", event: Event) -> "Durable":
    del event
    return _standing(durable, lambda each: replace(each, late=True))


def _emptied(durable: "Durable", event: Event) -> "Durable":
    return _standing(durable, lambda each: replace(each, emptied_ms=event.now_ms))


def _cleared(durable: "Durable", event: Event) -> "Durable":
    del event
    return _standing(durable, lambda each: replace(each, cleared_index=durable.index))


def _standing(durable: "Durable", change: Callable[[Withdrawal], Withdrawal]) -> "Durable":
    """Return the state with the standing withdrawal changed: the event is about none but it."""
    part = durable.withdrawal
    assert part.standing is not None
    return _set(durable, replace(part, standing=change(part.standing)))


def _ended(durable: "Durable", event: Event) -> "Durable":
    part = durable.withdrawal
    standing = part.standing
    assert standing is not None
    over = Over(
        id=standing.id,
        zones=standing.zones,
        causes=standing.causes,
        raised_wall_ms=standing.raised_wall_ms,
        duration_ms=event.data["duration_ms"],
    )
    return _set(durable, replace(part, standing=None, past=with_ended(part.past, over)))


def _classified(durable: "Durable", event: Event) -> "Durable":
    part = durable.withdrawal
    return _set(durable, replace(part, past=with_verdict(part.past, event)))


def _signed(durable: "Durable", event: Event) -> "Durable":
    del event
    return _set(durable, replace(durable.withdrawal, resumed_index=durable.index))


def _resumed(durable: "Durable", event: Event) -> "Durable":
    del event
    part = durable.withdrawal
    return _set(durable, replace(part, no_descent=False, resumed_index=None))


def _started(durable: "Durable", event: Event) -> "Durable":
    """Carry ages over to a clock that began anew; an order stands through every restart (I4)."""
    part, shift_ms = durable.withdrawal, event.now_ms - durable.now_ms
    if part.standing is None or shift_ms >= 0:
        return durable
    raised_ms = part.standing.raised_ms + shift_ms
    return _set(durable, replace(part, standing=replace(part.standing, raised_ms=raised_ms)))


FOLDS: dict[str, Fold] = {
    "withdrawal_raised": _raised,
    "withdrawal_extended": _raised,
    "withdrawal_notified": _notified,
    "withdrawal_notice_late": _late,
    "withdrawal_emptied": _emptied,
    "all_clear_given": _cleared,
    "withdrawal_ended": _ended,
    "withdrawal_classified": _classified,
    "resumption_signed": _signed,
    "descent_resumed": _resumed,
    "controller_started": _started,
}


def view(mine: Mine, state: "State", now_ms: int) -> dict[str, Any]:
    """Return the frame's `withdrawals` and `no_descent`, and those that are over."""
    del mine, now_ms
    standing, volatile = state.durable.withdrawal.standing, state.volatile.withdrawal
    orders = {}
    if standing is not None:
        orders[standing.id] = {
            "zones": list(standing.zones),
            "cause": standing.causes[0],
            "causes": list(standing.causes),
            "raised_ms": standing.raised_ms,
            "by": standing.by,
            "notified_ms": standing.notified_ms,
            "emptied_ms": standing.emptied_ms,
            "underground": volatile.underground,
            "unaccounted": list(volatile.missed),
            "cleared": standing.cleared_index is not None,
        }
    part = state.durable.withdrawal
    return {"withdrawals": orders, "no_descent": part.no_descent, **shown(part.past)}
