"""Production: coal output counters against the approved monthly capacity, recorded only.

Practice 27: an event each month and when the month reaches its capacity; nothing is demanded or
alarmed. Counters are read once a minute and written down once an hour. One that falls has either
wrapped, where so much could have been mined meanwhile, or begun anew, and then counts from zero.
One that leaps by more than could have been mined is told and adds nothing. Months are those of the
mine's own clock (UTC+8) and only a trusted clock begins one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from minewatch.core import local_time
from minewatch.core.folding import Fold, keep
from minewatch.model.event import Event
from minewatch.model.kind import Kind
from minewatch.model.mine import Mine
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable, State

LOOK_MS = 60_000
RECORD_MS = 3_600_000
YEAR_MS = 365 * local_time.DAY_MS

MODULI = (10**4, 2**16, 10**5, 10**6, 10**7, 10**8, 10**9, 2**32)
"""Where counters wrap: registers of 16 and 32 bits, and displays of so many digits."""

BATCH_T = 100
TIMES_CAPACITY = 10
"""A counter may move by a batch and ten times what the approved capacity mines in that time."""


class Counter(NamedTuple):
    """A counter as it was last written down, on the wall clock."""

    value: int
    wall_ms: int


@dataclass(frozen=True, slots=True)
class ProductionDurable:
    """`month` is `yyyy-mm`, empty before the first; `over` once it has reached its capacity."""

    month: str = ""
    tonnes: int = 0
    over: bool = False
    counters: Mapping[str, Counter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProductionVolatile:
    """Counters as of the last look and what they have added since it was written down."""

    next_ms: int = 0
    record_ms: int = 0
    added: int = 0
    counters: Mapping[str, Counter] = field(default_factory=dict)


def approved_t(mine: Mine) -> int:
    """Return the approved capacity of one month, in tonnes."""
    return mine.capacity_10kt * 10_000 // 12


def decide(draft: "Draft") -> None:
    """Look at the counters once a minute; a mine without one, or without a clock, looks at none."""
    counters = draft.plan.by_kind.get(Kind.COAL_OUTPUT)
    image, volatile = draft.image, draft.volatile.production
    if counters is None or image.now_ms < volatile.next_ms or not image.wall_trusted:
        return
    if not volatile.record_ms:
        kept = dict(draft.durable.production.counters)
        volatile = ProductionVolatile(0, image.now_ms + RECORD_MS, 0, kept)
    known, added = dict(volatile.counters), volatile.added
    for point_id in counters:
        added += _look(draft, point_id, known)
    draft.update_volatile(
        production=ProductionVolatile(image.now_ms + LOOK_MS, volatile.record_ms, added, known)
    )
    _account(draft)


def _look(draft: "Draft", point_id: str, known: dict[str, Counter]) -> int:
    """Return what a counter has added since it was last GOOD, and note where it stands."""
    live, wall_ms = draft.live[point_id], draft.image.wall_ms
    value = live.value if live.quality is Quality.GOOD else None
    if value is None:
        return 0
    before = known.get(point_id)
    known[point_id] = Counter(value, wall_ms)
    if before is None:
        return 0
    most = plausible_t(draft.mine, wall_ms - before.wall_ms)
    counted, how = moved_t(before.value, value, most)
    if how:
        draft.emit(
            "output_counter_odd",
            after=value,
            before=before.value,
            counted=counted,
            how=how,
            point=point_id,
        )
    return counted


def plausible_t(mine: Mine, passed_ms: int) -> int:
    """Return how many tonnes a counter may have moved in this time."""
    year_t = mine.capacity_10kt * 10_000
    return BATCH_T + TIMES_CAPACITY * year_t * max(0, passed_ms) // YEAR_MS


def moved_t(before: int, after: int, most: int) -> tuple[int, str]:
    """Return how far a counter has moved, and what was odd: `wrapped`, `reset`, `leapt` or ''."""
    if after >= before:
        return (after - before, "") if after - before <= most else (0, "leapt")
    wraps = [each - before + after for each in MODULI if before < each]
    if wraps and min(wraps) <= most:
        return min(wraps), "wrapped"
    return (after, "reset") if after <= most else (0, "leapt")


def _account(draft: "Draft") -> None:
    """Write down: each hour in which something moved, each month, and its capacity once."""
    image, volatile = draft.image, draft.volatile.production
    part, month = draft.durable.production, local_time.month_of(image.wall_ms)
    if month > part.month:
        _record(draft, month if not part.month else part.month)
        if part.month:
            _close(draft)
            _record(draft, month)
    elif volatile.added and (
        image.now_ms >= volatile.record_ms
        or (not part.over and part.tonnes + volatile.added >= approved_t(draft.mine))
    ):
        _record(draft, part.month)
    part = draft.durable.production
    if not part.over and part.tonnes >= approved_t(draft.mine):
        draft.emit("output_over_capacity", approved=approved_t(draft.mine), **_said(part))


def _record(draft: "Draft", month: str) -> None:
    volatile = draft.volatile.production
    draft.emit(
        "output_recorded",
        added=volatile.added,
        counters={key: list(each) for key, each in sorted(volatile.counters.items())},
        month=month,
    )
    record_ms = draft.image.now_ms + RECORD_MS
    draft.update_volatile(production=replace(volatile, added=0, record_ms=record_ms))


def _close(draft: "Draft") -> None:
    part = draft.durable.production
    draft.emit("output_month_closed", approved=approved_t(draft.mine), **_said(part))


def _said(part: ProductionDurable) -> dict[str, Any]:
    return {"month": part.month, "tonnes": part.tonnes}


def _recorded(durable: "Durable", event: Event) -> "Durable":
    data, part = event.data, durable.production
    fresh = data["month"] != part.month
    part = ProductionDurable(
        month=data["month"],
        tonnes=data["added"] + (0 if fresh else part.tonnes),
        over=part.over and not fresh,
        counters={key: Counter(*each) for key, each in data["counters"].items()},
    )
    return replace(durable, production=part)


def _over(durable: "Durable", event: Event) -> "Durable":
    del event
    return replace(durable, production=replace(durable.production, over=True))


FOLDS: dict[str, Fold] = {
    "output_recorded": _recorded,
    "output_month_closed": keep,
    "output_over_capacity": _over,
    "output_counter_odd": keep,
}


def view(mine: Mine, state: "State") -> dict[str, Any]:
    """Return the frame's `coal_output`: this month so far, None where nothing is counted."""
    part, added = state.durable.production, state.volatile.production.added
    shown = {"month": part.month, "tonnes": part.tonnes + added, "approved": approved_t(mine)}
    return {"coal_output": shown if part.month else None}
