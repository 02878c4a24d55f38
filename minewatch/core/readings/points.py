"""Points: what each one last said, how far it may be believed, and when to look at it again.

`observe` takes every reading of the image in order. A reading that concerns no limit costs one
comparison; the others are handed on in `draft.moved`. Deadlines lie on a wheel: a device is due
when the oldest of its GOOD values would become stale, a point that is not GOOD when its alarm and
its lock are due (`fault.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from minewatch.core.folding import Fold, with_entry, without
from minewatch.core.plan import PointPlan
from minewatch.core.shelves import Shelves, Writing
from minewatch.core.wheel import Wheel
from minewatch.model.event import Event
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable

NEVER_MS = -(2**53)
"""The sample time of a point that has not spoken in this run."""

OVER_LEVEL = 4
"""A point beyond its range counts as above every limit."""

_GOOD = Quality.GOOD
_OPEN = frozenset({Quality.CALIBRATION, Quality.INHIBITED})
_UNFIT = _OPEN | {Quality.IMPLAUSIBLE}
"""What a GOOD reading may count as without guarding its place or permitting a release."""

_WITH_VALUE = frozenset({Quality.GOOD, Quality.CALIBRATION, Quality.INHIBITED, Quality.WARMUP})


class Live(NamedTuple):
    """A point as of its newest sample.

    `raw` is what the wire says (or STALE), `quality` what it may be used for. `last` is the last
    GOOD value; `guarded_ms` is when the point last guarded its place: a GOOD sample, the end of a
    calibration or the start of the run. `below_ms` is the first sample of the unbroken GOOD run
    that permits a release, None outside one. A `busy` point looks at its limits at every reading.
    """

    value: int | None
    raw: Quality
    quality: Quality
    sampled_ms: int
    level: int
    last: int | None
    guarded_ms: int
    below_ms: int | None
    busy: bool


class Moved(NamedTuple):
    """A reading that may concern a limit; one that is not the newest may raise but not clear.

    `raw` is what the wire said, `quality` what it counts as.
    """

    plan: PointPlan
    value: int | None
    raw: Quality
    quality: Quality
    newest: bool


@dataclass(frozen=True, slots=True)
class PointsDurable:
    """`over` are the points whose OVER_RANGE is latched, with the ms since when."""

    over: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PointsVolatile:
    """Values, deadlines, and `raised`: the points at or above a limit.

    `lines_back` is when the alarmed loss of each line was over last.
    """

    live: Shelves[Live] = field(default_factory=Shelves)
    wheel: Wheel = field(default_factory=Wheel)
    raised: frozenset[str] = frozenset()
    lines_back: Mapping[str, int] = field(default_factory=dict)


def permits(plan: PointPlan, value: int) -> bool:
    """Say whether a GOOD value permits a release: below restore, and running where off trips."""
    return value < plan.restore and not (plan.offs and value == 0)


def level_of(plan: PointPlan, value: int) -> int:
    """Return the highest limit that a value has reached: 0 none … 4 withdraw."""
    level = 0
    for each, limit in plan.rises:
        if value >= limit:
            level = each
    return level


def is_open(draft: "Draft", point_id: str) -> bool:
    """Say whether an act that takes the point out of service is in force: named and on disk."""
    durable = draft.durable
    tables = (durable.calibrations.open, durable.interlock.bypasses, durable.head_works.open)
    return any(
        point_id in table and draft.is_on_disk(table[point_id].index) for table in tables if table
    )


def is_frozen(durable: "Durable", point_id: str, value: int | None) -> bool:
    """Say whether a head stands still at this very value (`stuck.py`)."""
    frozen = durable.stuck.frozen.get(point_id)
    return frozen is not None and frozen.value == value


def reach(durable: "Durable", point_id: str, value: int) -> tuple[int, int]:
    """Return the lowest and the highest of a head's value and the hand check that is held."""
    check = durable.hand_checks.held.get(point_id)
    if check is None:
        return value, value
    return min(value, check.value), max(value, check.value)


def is_warming(draft: "Draft", point_id: str) -> bool:
    """Say whether the head was replaced and is not warm yet (`warm_up.py`)."""
    warm_up = draft.durable.warm_ups.open.get(point_id)
    return warm_up is not None and draft.is_on_disk(warm_up.index)


def overlay(draft: "Draft", point_id: str, raw: Quality) -> Quality:
    """Return what a wire quality counts as: over-range latched, open acts, low oxygen."""
    durable = draft.durable
    if point_id in durable.points.over:
        return Quality.OVER_RANGE
    if not is_open(draft, point_id):
        low = durable.oxygen.low
        if low and raw is _GOOD and not low.keys().isdisjoint(draft.plan.points[point_id].breathes):
            return Quality.IMPLAUSIBLE
        return raw
    return Quality.CALIBRATION if point_id in durable.calibrations.open else Quality.INHIBITED


def is_fit(draft: "Draft", point_id: str, quality: Quality) -> bool:
    """Say whether good words of the head count for a release; none do while an act is open on it.

    A latched over-range is shown even then, and alone would let them count.
    """
    return quality not in _UNFIT and not (
        quality is Quality.OVER_RANGE and is_open(draft, point_id)
    )


def meet(draft: "Draft") -> None:
    """Make room for points that a new mine brings and drop those that it lost."""
    if draft.plan is draft.volatile.plan:
        return
    live = draft.own_live()
    for point_id in draft.plan.points:
        if point_id not in draft.live:
            _forget(draft, live, point_id)
    for point_id in [each for each in draft.live if each not in draft.plan.points]:
        del live[point_id]
    raised = draft.volatile.points.raised & draft.plan.points.keys()
    draft.update_volatile(points=replace(draft.volatile.points, raised=frozenset(raised)))
    for device in dict.fromkeys(draft.plan.home.values()):
        draft.wheel.watch(device, draft.image.now_ms)


def observe(draft: "Draft") -> None:
    """Take the image's samples; find the points whose deadline has come."""
    _take(draft)
    for device in draft.wheel.devices_due(draft.image.now_ms):
        _age(draft, device)
    _collect_due(draft)


def forget_all(draft: "Draft") -> None:
    """Make every point STALE, as if it had never spoken: a start or a gap in time.

    Fault limits run from now: a point that is not GOOD within its own counts as lost.
    """
    live = draft.own_live()
    for point_id in draft.plan.points:
        _forget(draft, live, point_id)


def refresh(draft: "Draft", point_id: str, *, guarded: bool = False) -> None:
    """Look again at what the point counts as: an act on it began, came into force or ended.

    `guarded` says that its fault limit runs anew from now (the end of a calibration or bypass).
    """
    now_ms = draft.image.now_ms
    live = draft.own_live()
    before = draft.live[point_id]
    quality = overlay(draft, point_id, before.raw)
    live[point_id] = before._replace(
        quality=quality,
        guarded_ms=now_ms if guarded else before.guarded_ms,
        below_ms=before.below_ms if is_fit(draft, point_id, quality) else None,
        busy=True,
    )
    draft.wheel.schedule(point_id, now_ms)


def latch_over(draft: "Draft", plan: PointPlan) -> None:
    """Latch OVER_RANGE: a head that falls back from beyond its range is not believed again.

    Source: a catalytic head reads low far above its range (reliability catalogue, fault 21).
    """
    if plan.id not in draft.durable.points.over:
        draft.emit("over_range_latched", point=plan.id, zone=plan.zone)
        refresh(draft, plan.id)


def freeze(draft: "Draft", point_id: str) -> None:
    """Take a head for FROZEN from now on, until it reads another value."""
    draft.own_live()[point_id] = draft.live[point_id]._replace(
        value=None,
        raw=Quality.FROZEN,
        quality=overlay(draft, point_id, Quality.FROZEN),
        below_ms=None,
        busy=True,
    )
    draft.wheel.schedule(point_id, draft.image.now_ms)


def _forget(draft: "Draft", live: Writing[Live], point_id: str) -> None:
    now_ms = draft.image.now_ms
    before = draft.live.get(point_id)
    live[point_id] = Live(
        value=None,
        raw=Quality.STALE,
        quality=overlay(draft, point_id, Quality.STALE),
        sampled_ms=NEVER_MS if before is None else before.sampled_ms,
        level=0 if before is None else before.level,
        last=None if before is None else before.last,
        guarded_ms=now_ms,
        below_ms=None,
        busy=True,
    )
    draft.wheel.schedule(point_id, now_ms)


def _take(draft: "Draft") -> None:
    """Take every reading in order; the common case is written out: it runs 20 000 times a second.

    Columns are walked instead of readings, points of one device are written to one shelf, and a
    quiet `Live` is made without a call in Python.
    """
    samples = draft.image.samples
    if not samples:
        return
    plans = draft.plan.points
    now_ms = draft.image.now_ms
    live = draft.own_live()
    new, good = tuple.__new__, _GOOD
    device, shelf = "", live.shelf("")
    for _, stamped_ms, readings in samples:
        sampled_ms = min(stamped_ms, now_ms)
        age_ms = now_ms - sampled_ms
        for point_id, value, quality in zip(*zip(*readings, strict=True), strict=True):
            plan = plans.get(point_id)
            if plan is None:
                continue
            if plan.device is not device:
                device = plan.device
                shelf = live.shelf(device)
            before = shelf[point_id]
            if (
                quality == 0
                and not before.busy
                and value is not None
                and plan.quiet_low <= value < plan.quiet_high
                and before.sampled_ms <= sampled_ms
                and age_ms <= plan.stale_ms
            ):
                below_ms = before.below_ms
                shelf[point_id] = new(
                    Live, (value, good, good, sampled_ms, 0, value, sampled_ms, below_ms, False)
                )
            else:
                _take_moved(draft, plan, value, Quality(quality), sampled_ms)


def _take_moved(
    draft: "Draft", plan: PointPlan, value: int | None, raw: Quality, sampled_ms: int
) -> None:
    """Take a reading that may concern a limit; an old one may raise but never overwrites."""
    if raw is _GOOD and value is None:
        raw = Quality.IMPLAUSIBLE
    elif raw is _GOOD and is_warming(draft, plan.id):
        raw = Quality.WARMUP
    elif raw is _GOOD and is_frozen(draft.durable, plan.id, value):
        raw = Quality.FROZEN
    before = draft.live[plan.id]
    oldest_ms = max(before.sampled_ms, draft.image.now_ms - plan.stale_ms)
    newest = sampled_ms >= oldest_ms
    quality = overlay(draft, plan.id, raw)
    draft.moved.append(Moved(plan, value, raw, quality, newest))
    if not newest:
        return
    worst = 0 if value is None else reach(draft.durable, plan.id, value)[1]
    fit = is_fit(draft, plan.id, quality)
    draft.own_live()[plan.id] = _after(draft.moved[-1], before, sampled_ms, worst, fit=fit)
    if raw is _GOOD and before.raw is not _GOOD:
        draft.wheel.watch(plan.device, sampled_ms + plan.stale_ms + 1)
    elif raw is not _GOOD and before.raw is _GOOD:
        draft.wheel.schedule(plan.id, draft.image.now_ms)


def _after(moved: Moved, before: Live, at_ms: int, worst: int, *, fit: bool) -> Live:
    plan, value, raw, quality, _ = moved
    level, last, guarded_ms, below_ms = before.level, before.last, before.guarded_ms, None
    if raw is _GOOD and value is not None:
        last = value
        if quality not in _UNFIT:
            guarded_ms = at_ms
            if fit and permits(plan, value):
                below_ms = at_ms if before.below_ms is None else before.below_ms
        if quality is _GOOD:
            level = level_of(plan, worst)
    if quality is Quality.OVER_RANGE and not plan.certified:
        level = OVER_LEVEL
    shown = value if raw in _WITH_VALUE else None
    return Live(shown, raw, quality, at_ms, level, last, guarded_ms, below_ms, True)


def _age(draft: "Draft", device: str) -> None:
    """Make STALE what no sample of a device has renewed in time; watch the rest of its values."""
    now_ms, plans = draft.image.now_ms, draft.plan.points
    shelf = draft.live.shelves.get(device, {})
    soonest_ms = draft.plan.stale_ms.get(device, 0) + min(
        [live.sampled_ms for live in shelf.values()], default=NEVER_MS
    )
    if now_ms <= soonest_ms:
        draft.wheel.watch(device, soonest_ms + 1)
        return
    next_ms: int | None = None
    overdue: list[str] = []
    for point_id, live in shelf.items():
        if live.raw is _GOOD:
            stale_ms = live.sampled_ms + plans[point_id].stale_ms
            if now_ms > stale_ms:
                overdue.append(point_id)
            elif next_ms is None or stale_ms < next_ms:
                next_ms = stale_ms
    if next_ms is not None:
        draft.wheel.watch(device, next_ms + 1)
    for point_id in overdue:
        draft.own_live()[point_id] = draft.live[point_id]._replace(
            value=None,
            raw=Quality.STALE,
            quality=overlay(draft, point_id, Quality.STALE),
            below_ms=None,
            busy=True,
        )
        draft.wheel.schedule(point_id, now_ms)


def _collect_due(draft: "Draft") -> None:
    """Leave the points that are due and do not guard their place to `fault.decide`."""
    for point_id in draft.wheel.due(draft.image.now_ms):
        live = draft.live.get(point_id)
        if live is not None and (live.raw is not _GOOD or live.quality in _OPEN):
            draft.checks.append(point_id)


def settle(draft: "Draft", plan: PointPlan, *, busy: bool) -> None:
    """Note after a decision whether the point's next quiet reading concerns anybody."""
    live = draft.live[plan.id]
    if live.busy and not busy:
        draft.own_live()[plan.id] = live._replace(busy=False)
    raised = draft.volatile.points.raised
    if (live.level > 0) != (plan.id in raised):
        changed = raised | {plan.id} if live.level > 0 else raised - {plan.id}
        draft.update_volatile(points=replace(draft.volatile.points, raised=changed))


def _latched(durable: "Durable", event: Event) -> "Durable":
    over = with_entry(durable.points.over, event.data["point"], event.now_ms)
    return replace(durable, points=replace(durable.points, over=over))


def _unlatched(durable: "Durable", event: Event) -> "Durable":
    over = without(durable.points.over, event.data["point"])
    return replace(durable, points=replace(durable.points, over=over))


FOLDS: dict[str, Fold] = {"over_range_latched": _latched, "over_range_unlatched": _unlatched}
