"""Due dates (到期): calibrations and interlock tests that have to come again, and do.

A head is due after the days of its principle, a cut-off after those of its test; the first time
counts from when the house first saw it. A calibration that its bottle's gas does not show, or that
ran out, renews nothing. Everything overdue is one alarm of its kind for the mine, raised again when
more becomes overdue: forty heads that were installed in one day are one row, not forty.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from minewatch.core.alarms import alarm
from minewatch.core.deadline import Deadline
from minewatch.core.folding import Fold, with_entry, without
from minewatch.core.plan import Plan
from minewatch.core.readings import bottle
from minewatch.model.alarm import AlarmKind
from minewatch.model.event import Event
from minewatch.model.mine import OutputRole

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable, State

CALIBRATION = "calibration"
INTERLOCK_TEST = "interlock_test"

DAY_MS = 86_400_000
SOON_MS = 3 * DAY_MS
"""What is due within this time is shown."""

LOOK_MS = 3_600_000
SHOWN_MAX = 200
SAID_MAX = 500
"""So many dates are set by one event; more take more events."""

SPANS_MAX = 6
SLEPT_MAX_MS = 366 * DAY_MS

ALARMS = {
    CALIBRATION: AlarmKind.CALIBRATION_OVERDUE,
    INTERLOCK_TEST: AlarmKind.TEST_OVERDUE,
}


@dataclass(frozen=True, slots=True)
class Due:
    """When something is due; `done_wall_ms` is when it was last done, `spans` are its newest."""

    until: Deadline
    done_wall_ms: int | None = None
    spans: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DueDurable:
    """Dates by `calibration/<point>` or `interlock_test/<output>`; `overdue` are those told."""

    dates: Mapping[str, Due] = field(default_factory=dict)
    overdue: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DueVolatile:
    """When to look again, what is shown, and the plan whose dates are set."""

    next_ms: int = 0
    shown: tuple[str, ...] = ()
    plan: Plan | None = field(default=None, compare=False, repr=False)


def decide(draft: "Draft") -> None:
    """Give a date to what has none; tell what has become overdue."""
    volatile = draft.volatile.due
    if volatile.plan is not draft.plan:
        _meet(draft)
    elif draft.image.now_ms < volatile.next_ms:
        return
    _look(draft)


def look_soon(draft: "Draft") -> None:
    """Look at the dates in this very cycle: something was done."""
    draft.update_volatile(due=replace(draft.volatile.due, next_ms=draft.image.now_ms))


def wanted(plan: Plan) -> dict[str, int]:
    """Return what has a due date under a configuration, with its days."""
    acts = plan.mine.acts
    heads = {
        f"{CALIBRATION}/{each.id}": acts.calibration_days(
            each.point.kind, catalytic=each.point.catalytic
        )
        for each in plan.points.values()
        if each.by_hand
    }
    outputs = {each for interlock in plan.mine.interlocks for each in interlock.outputs}
    tests = {
        f"{INTERLOCK_TEST}/{each.id}": acts.interlock_test_days
        for each in plan.driven.values()
        if each.role is OutputRole.POWER_CUT and each.id in outputs
    }
    return {key: days for key, days in {**heads, **tests}.items() if days}


def _meet(draft: "Draft") -> None:
    """Set dates for what a configuration brings; forget those of what it lost."""
    days, dates = wanted(draft.plan), draft.durable.due.dates
    begun = [[key, days[key]] for key in sorted(days) if key not in dates]
    dropped = sorted(key for key in dates if key not in days)
    for first in range(0, max(len(begun), len(dropped)), SAID_MAX):
        last = first + SAID_MAX
        draft.emit("due_dates_set", begun=begun[first:last], dropped=dropped[first:last])
    draft.update_volatile(due=replace(draft.volatile.due, plan=draft.plan))


def _look(draft: "Draft") -> None:
    now_ms = draft.image.now_ms
    due = draft.durable.due
    ordered = sorted((each.until.ms, key) for key, each in due.dates.items())
    late = sorted(key for until_ms, key in ordered if until_ms <= now_ms)
    for test, kind in ALARMS.items():
        _tell(draft, kind, [key for key in late if key.startswith(f"{test}/")])
    soon = [key for until_ms, key in ordered if until_ms - now_ms <= SOON_MS]
    coming = [until_ms for until_ms, _ in ordered if until_ms > now_ms]
    next_ms = min([*coming[:1], now_ms + LOOK_MS])
    draft.update_volatile(
        due=replace(draft.volatile.due, next_ms=next_ms, shown=tuple(soon[:SHOWN_MAX]))
    )


def _tell(draft: "Draft", kind: AlarmKind, late: list[str]) -> None:
    """Raise the alarm anew when something more is overdue; end it when nothing is."""
    told = draft.durable.due.overdue
    more = [key for key in late if key not in told]
    source = kind.value
    if more or (not late and alarm.is_active(draft.durable, kind, source)):
        alarm.clear(draft, kind, source)
    if more:
        for first in range(0, len(more), SAID_MAX):
            draft.emit("became_overdue", dates=more[first : first + SAID_MAX])
        alarm.raise_(draft, kind, source, value=len(late))


def _set_dates(durable: "Durable", event: Event) -> "Durable":
    due = durable.due
    begun = {key: Due(Deadline.after(event, days * DAY_MS)) for key, days in event.data["begun"]}
    dates = without({**due.dates, **begun}, *event.data["dropped"])
    left = tuple(key for key in due.overdue if key in dates)
    return replace(durable, due=DueDurable(dates, left))


def _overdue(durable: "Durable", event: Event) -> "Durable":
    told = (*durable.due.overdue, *event.data["dates"])
    return replace(durable, due=replace(durable.due, overdue=told))


def _calibrated(durable: "Durable", event: Event) -> "Durable":
    """Fold the end of a calibration; an entry of an older version says nothing of days."""
    data = event.data
    days = data.get("days", 0)
    if not days or data["reason"] != "ended" or data["profile"] == bottle.NOT_SEEN:
        return durable
    return _renewed(durable, event, f"{CALIBRATION}/{data['point']}", span=data["span"])


def _tested(durable: "Durable", event: Event) -> "Durable":
    data = event.data
    if data["result"] != "passed" or not data["days"]:
        return durable
    return _renewed(durable, event, f"{INTERLOCK_TEST}/{data['output']}")


def _renewed(durable: "Durable", event: Event, key: str, span: int | None = None) -> "Durable":
    due = durable.due
    spans = due.dates[key].spans if key in due.dates else ()
    if span is not None:
        spans = (*spans, span)[-SPANS_MAX:]
    until = Deadline.after(event, event.data["days"] * DAY_MS)
    dates = with_entry(due.dates, key, Due(until, event.wall_ms, spans))
    return replace(
        durable, due=DueDurable(dates, tuple(each for each in due.overdue if each != key))
    )


def _rebased(durable: "Durable", event: Event) -> "Durable":
    """Carry dates to a new run: the earlier of the two, and time without power has passed.

    A wall clock that nobody vouches for moves no date of a fortnight, until somebody does.
    """
    return _on(durable, event, durable.now_ms)


def _vouched(durable: "Durable", event: Event) -> "Durable":
    """Count what a box slept through before its clock was set, once somebody vouches for it."""
    return _on(durable, event, event.now_ms) if event.data["trusted"] else durable


def _on(durable: "Durable", event: Event, last_ms: int) -> "Durable":
    dates = {
        key: replace(each, until=_carried(each.until, event, last_ms))
        for key, each in durable.due.dates.items()
    }
    return replace(durable, due=replace(durable.due, dates=dates))


def _carried(until: Deadline, event: Event, last_ms: int) -> Deadline:
    """Return a date on the clock of `event`.

    Where the wall clock says that more than a year was slept through, the date was given by a clock
    that was not set yet: it keeps its days, and gets the label that it should have had.
    """
    kept = Deadline(until.ms + min(0, event.now_ms - last_ms), until.wall_ms)
    if not event.wall_trusted:
        return kept
    carried = until.rebased(event, last_ms)
    if kept.ms - carried.ms > SLEPT_MAX_MS:
        return Deadline(kept.ms, event.wall_ms + kept.ms - event.now_ms)
    return carried


FOLDS: dict[str, Fold] = {
    "due_dates_set": _set_dates,
    "became_overdue": _overdue,
    "calibration_ended": _calibrated,
    "interlock_tested": _tested,
    "controller_started": _rebased,
    "clock_trust_changed": _vouched,
}


def view(state: "State", now_ms: int) -> dict[str, Any]:
    """Return the frame's `due`: what is overdue or will be within days, the most urgent first."""
    dates = state.durable.due.dates
    shown = {}
    for key in state.volatile.due.shown:
        each = dates.get(key)
        if each is not None and each.until.ms - now_ms <= SOON_MS:
            test, _, source = key.partition("/")
            shown[key] = {
                "test": test,
                "source": source,
                "due_ms": each.until.ms,
                "overdue": each.until.ms <= now_ms,
                "done_wall_ms": each.done_wall_ms,
                "spans": list(each.spans),
            }
    return {"due": shown}
