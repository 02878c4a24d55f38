"""Grades: how grave an exceedance has become, said at the moment that a grade is reached.

Practice 19: by how long methane has been over its alarm limit and how high it went; by how long the
main fans have stood (`mine.emergencies` has the rows). A gas exceedance lasts as long as its alarm:
from the limit on until it is GOOD below its clear limit. A grade never falls while it lasts, and
planned work is labelled and graded all the same. Nothing here demands or ends anything.

What outlives a process counts from the earlier of the two clocks: rather a grade too high.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from minewatch.core.alarms import alarm
from minewatch.core.deadline import Deadline
from minewatch.core.folding import Fold, with_entry, without
from minewatch.core.withdrawals.emergencies import MAIN_FAN_STOP
from minewatch.model.alarm import AlarmKind
from minewatch.model.emergency import GradeRule
from minewatch.model.event import Event

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable, State

GAS = "gas"
MAIN_FAN = "main_fan"

BEYOND = 2**62
"""A peak above every value: the head was beyond its range."""

_FAR_MS = 2**62


@dataclass(frozen=True, slots=True)
class Graded:
    """An exceedance that lasts: its grade so far, since when, and the peak that was recorded."""

    of: str
    source: str
    grade: str
    since: Deadline
    peak: int | None
    planned: bool


@dataclass(frozen=True, slots=True)
class GradesDurable:
    """Lasting exceedances by `gas:<point>` or `main_fan:<zone>`."""

    open: Mapping[str, Graded] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GradesVolatile:
    """When a grade is next reached by time, and the index of the last look."""

    next_ms: int = 0
    seen_index: int = -1


class Lasting(NamedTuple):
    """What stands now; `peak` in 0.01 %CH4, None where nothing is measured."""

    of: str
    source: str
    since_ms: int
    peak: int | None
    planned: bool


def decide(draft: "Draft") -> None:
    """Grade what stands; nothing is looked at until something happened or a time is reached."""
    volatile, now_ms = draft.volatile.grades, draft.image.now_ms
    quiet = draft.durable.index == volatile.seen_index and now_ms < volatile.next_ms
    if not draft.mine.emergencies.grades or (quiet and not _moves(draft)):
        return
    standing = {**_brief(draft), **_gas(draft), **_fans(draft)}
    for key, each in standing.items():
        _rise(draft, key, each)
    opened = draft.durable.grades.open
    lasting = {**_gas(draft), **_fans(draft)}
    for key in sorted(opened.keys() - lasting.keys()):
        _end(draft, key, opened[key])
    times = (_next_ms(draft, each) for each in draft.durable.grades.open.values())
    next_ms = min(times, default=_FAR_MS)
    draft.update_volatile(grades=GradesVolatile(next_ms, draft.durable.index))


def _moves(draft: "Draft") -> bool:
    opened = draft.durable.grades.open
    return bool(opened) and any(f"{GAS}:{each.plan.id}" in opened for each in draft.moved)


def _gas(draft: "Draft") -> dict[str, Lasting]:
    """Return the methane heads whose alarm stands."""
    now_ms, known = draft.image.now_ms, draft.durable.grades.open
    alarms, lasting = draft.durable.alarms, {}
    for alarm_id in alarms.standing.values():
        each = alarms.items[alarm_id]
        plan = draft.plan.points.get(each.source)
        if each.kind is not AlarmKind.GAS_OVER_LIMIT or not each.active or plan is None:
            continue
        if plan.is_methane:
            key = f"{GAS}:{each.source}"
            since_ms = known[key].since.ms if key in known else now_ms
            peak = alarm.peak_of(draft.volatile.alarms.peaks, each)
            if each.source in draft.durable.points.over:
                peak = BEYOND
            lasting[key] = Lasting(GAS, each.source, since_ms, peak, each.planned)
    return lasting


def _brief(draft: "Draft") -> dict[str, Lasting]:
    """Return what began and was over within this very cycle, between two readings."""
    brief = {}
    for event in draft.events:
        if event.kind == "alarm_raised" and event.data["alarm_kind"] == AlarmKind.GAS_OVER_LIMIT:
            data = event.data
            plan = draft.plan.points.get(data["source"])
            if plan is not None and plan.is_methane:
                brief[f"{GAS}:{plan.id}"] = Lasting(
                    GAS, plan.id, event.now_ms, data["value"], data["planned"]
                )
    return brief


def _fans(draft: "Draft") -> dict[str, Lasting]:
    """Return the zones whose main fans stand."""
    return {
        f"{MAIN_FAN}:{each.source}": Lasting(MAIN_FAN, each.source, each.since.ms, None, False)
        for each in draft.durable.emergencies.open.values()
        if each.kind == MAIN_FAN_STOP
    }


def _rise(draft: "Draft", key: str, each: Lasting) -> None:
    """Say the highest grade that is reached, once, where it is higher than what was said."""
    rules = draft.mine.emergencies.grades_of(each.of)
    known = draft.durable.grades.open.get(key)
    reached = _reached(rules, draft.image.now_ms - each.since_ms, each.peak)
    said = _rank(rules, "" if known is None else known.grade)
    if reached is None or _rank(rules, reached) <= said:
        return
    draft.emit(
        "grade_reached",
        duration_ms=draft.image.now_ms - each.since_ms,
        grade=reached,
        of=each.of,
        peak=_shown(each.peak),
        planned=each.planned,
        source=each.source,
    )


def _reached(rules: tuple[GradeRule, ...], lasted_ms: int, peak: int | None) -> str | None:
    """Return the highest grade that the time or the peak has reached."""
    reached = [
        rule.grade
        for rule in rules
        if lasted_ms >= rule.after_ms
        or (rule.value is not None and peak is not None and peak >= rule.value)
    ]
    return reached[-1] if reached else None


def _rank(rules: tuple[GradeRule, ...], grade: str) -> int:
    return next((rank for rank, rule in enumerate(rules) if rule.grade == grade), -1)


def _shown(peak: int | None) -> int | None:
    return None if peak == BEYOND else peak


def _end(draft: "Draft", key: str, known: Graded) -> None:
    """Say how an exceedance has ended; its last peak may have raised it once more."""
    peak = _last_peak(draft, known)
    _rise(draft, key, Lasting(known.of, known.source, known.since.ms, peak, known.planned))
    draft.emit(
        "exceedance_ended",
        duration_ms=draft.image.now_ms - known.since.ms,
        grade=draft.durable.grades.open[key].grade,
        of=known.of,
        peak=peak,
        planned=known.planned,
        source=known.source,
    )


def _last_peak(draft: "Draft", known: Graded) -> int | None:
    """Return the peak that the end of the alarm says, else the one that was recorded."""
    ended = (e.data for e in draft.events if e.kind == "alarm_cleared" and known.of == GAS)
    for data in ended:
        if (data["source"], data["alarm_kind"]) == (known.source, AlarmKind.GAS_OVER_LIMIT):
            return _higher(data["peak"], known.peak)
    return known.peak


def _higher(one: int | None, other: int | None) -> int | None:
    return max((each for each in (one, other) if each is not None), default=None)


def _next_ms(draft: "Draft", each: Graded) -> int:
    """Return when the next grade is reached by time."""
    rules = draft.mine.emergencies.grades_of(each.of)
    later = rules[_rank(rules, each.grade) + 1 :]
    return min((each.since.ms + rule.after_ms for rule in later), default=_FAR_MS)


def _grade(durable: "Durable", event: Event) -> "Durable":
    data = event.data
    key = f"{data['of']}:{data['source']}"
    known = durable.grades.open.get(key)
    graded = Graded(
        of=data["of"],
        source=data["source"],
        grade=data["grade"],
        since=known.since if known else Deadline.after(event, -data["duration_ms"]),
        peak=data["peak"],
        planned=data["planned"],
    )
    return _set(durable, with_entry(durable.grades.open, key, graded))


def _ended(durable: "Durable", event: Event) -> "Durable":
    key = f"{event.data['of']}:{event.data['source']}"
    return _set(durable, without(durable.grades.open, key))


def _restarted(durable: "Durable", event: Event) -> "Durable":
    last_ms = durable.now_ms
    opened = {
        key: replace(each, since=each.since.rebased(event, last_ms))
        for key, each in durable.grades.open.items()
    }
    return _set(durable, opened)


def _stepped(durable: "Durable", event: Event) -> "Durable":
    step_ms = event.data["step_ms"]
    opened = {
        key: replace(each, since=replace(each.since, wall_ms=each.since.wall_ms + step_ms))
        for key, each in durable.grades.open.items()
    }
    return _set(durable, opened)


def _set(durable: "Durable", opened: Mapping[str, Graded]) -> "Durable":
    return replace(durable, grades=GradesDurable(opened))


FOLDS: dict[str, Fold] = {
    "grade_reached": _grade,
    "exceedance_ended": _ended,
    "controller_started": _restarted,
    "clock_stepped": _stepped,
}


def view(state: "State") -> dict[str, Any]:
    """Return the frame's `grades`: what lasts, with the grade that it has reached."""
    return {
        "grades": {
            key: {
                "of": each.of,
                "source": each.source,
                "grade": each.grade,
                "since_ms": each.since.ms,
                "peak": each.peak,
                "planned": each.planned,
            }
            for key, each in state.durable.grades.open.items()
        }
    }
