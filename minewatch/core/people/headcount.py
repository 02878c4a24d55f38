"""Headcount against limit: the mine, its faces and headings, restricted zones, the handover window.

At the limit there is no alarm: lo above it is over-limit, hi above it (or unknown) maybe. A face or
heading has a second line at 120 % of its limit, which is a major hazard (order 4). In the handover
window the mine's total may exceed its limit (practice 20); faces and headings never may.
"""

from typing import TYPE_CHECKING, Any

from minewatch.core import local_time
from minewatch.core.alarms import alarm
from minewatch.core.people import roster, tally
from minewatch.core.people.people import READER_LOST_MS
from minewatch.core.people.roster import Count, Span
from minewatch.model.alarm import AlarmKind
from minewatch.model.mine import ZoneKind

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import State
    from minewatch.model.mine import Mine

MINE = "mine"
"""Source of the alarms about the mine's total."""

HAZARD_PERCENT = 120
"""Second line of a face or heading, rounded up (the major-hazard clause of order 4)."""

_HELD = frozenset({ZoneKind.FACE, ZoneKind.HEADING})


def decide(draft: "Draft") -> None:
    """Compare the headcount with its limits."""
    before = draft.volatile.people.count
    count = tally.refresh(draft)
    _follow_handover(draft)
    if count is before and draft.volatile.people.judged == _judged(draft):
        return
    roster.update(draft, judged=_judged(draft))
    _judge(draft, MINE, "", _held(draft, count.mine), draft.mine.headcount_limit)
    for zone in draft.mine.zones:
        if zone.headcount_limit is not None and zone.id in count.limited:
            span = count.limited[zone.id]
            _judge(draft, zone.id, zone.id, span, zone.headcount_limit)
            if zone.kind in _HELD:
                _hazard(draft, zone.id, span, zone.headcount_limit)
    _restricted(draft)


def entry_permitted(draft: "Draft") -> bool:
    """Say whether the count lets anybody in (practice 22); what else shuts the gate: `outputs`."""
    lo = draft.volatile.people.count.mine.lo
    if _in_handover(draft):
        return lo < max(draft.mine.headcount_limit, draft.mine.handover.people_max)
    return lo < draft.mine.headcount_limit


def _judged(draft: "Draft") -> tuple[bool, bool]:
    """Return what a judgement depends on beside the count: the window and the start of the run."""
    return _in_handover(draft), _is_starting(draft)


def _is_starting(draft: "Draft") -> bool:
    """Say whether readers may still be silent only because the run has just begun."""
    return draft.image.now_ms - draft.volatile.people.start_ms <= READER_LOST_MS


def _judge(draft: "Draft", source: str, zone: str, span: Span, limit: int) -> None:
    if span.lo > limit:
        alarm.raise_(draft, AlarmKind.OVER_LIMIT, source, zone=zone, value=span.lo, limit=limit)
    else:
        alarm.clear(draft, AlarmKind.OVER_LIMIT, source)
    unknown = span.hi is None and not _is_starting(draft)
    if span.lo <= limit and (unknown or (span.hi is not None and span.hi > limit)):
        alarm.raise_(
            draft, AlarmKind.MAYBE_OVER_LIMIT, source, zone=zone, value=span.hi, limit=limit
        )
    elif span.hi is not None or span.lo > limit:
        alarm.clear(draft, AlarmKind.MAYBE_OVER_LIMIT, source)


def _hazard(draft: "Draft", zone: str, span: Span, limit: int) -> None:
    """Say once when a face or heading passes its second line; said anew after it was below."""
    line = -(-limit * HAZARD_PERCENT // 100)
    known = draft.volatile.people.hazards
    if span.lo >= line and zone not in known:
        draft.emit("major_hazard", zone=zone, lo=span.lo, limit=limit, line=line)
        roster.update(draft, hazards=known | {zone})
    elif span.lo < line and zone in known:
        roster.update(draft, hazards=known - {zone})


def _restricted(draft: "Draft") -> None:
    """Raise an alarm for each badge heard in a restricted zone, until it is heard elsewhere."""
    zones = frozenset(zone.id for zone in draft.mine.zones if zone.restricted)
    people, inside = draft.volatile.people, draft.durable.people.inside
    there = frozenset(b for b in inside if people.tracks[b].zone in zones) if zones else frozenset()
    for badge in sorted(there - people.trespassers):
        alarm.raise_(draft, AlarmKind.RESTRICTED_ZONE, badge, zone=people.tracks[badge].zone)
    standing = draft.durable.alarms.standing if people.trespassers != there else {}
    for key in sorted(standing):
        kind, _, badge = key.partition("/")
        if kind == AlarmKind.RESTRICTED_ZONE and badge not in there:
            alarm.clear(draft, AlarmKind.RESTRICTED_ZONE, badge)
    if people.trespassers != there:
        roster.update(draft, trespassers=there)


def _held(draft: "Draft", span: Span) -> Span:
    """Return the mine's span as far as its alarm is concerned: inside the window it is held."""
    people_max = draft.mine.handover.people_max
    if _in_handover(draft) and span.hi is not None and span.hi <= people_max:
        return Span(0, 0)
    return span


def _in_handover(draft: "Draft") -> bool:
    """Say whether the window is open: by the clock of the run and by a trusted wall clock."""
    window, image = draft.durable.people.handover, draft.image
    return image.wall_trusted and image.now_ms < window.ms and image.wall_ms < window.wall_ms


def _follow_handover(draft: "Draft") -> None:
    """Open the window at its hour and close it in time; one window opens once (rule 13)."""
    people, image = draft.volatile.people, draft.image
    open_ = _in_handover(draft)
    if people.handover and not open_:
        draft.emit("handover_ended")
        roster.update(draft, handover=False)
    elif open_ and not people.handover:
        roster.update(draft, handover=True)
    elif not open_ and image.wall_trusted:
        until_wall_ms = _window_end(draft)
        if until_wall_ms is not None and until_wall_ms > draft.durable.people.handover.wall_ms:
            until_ms = image.now_ms + until_wall_ms - image.wall_ms
            draft.emit("handover_started", until_ms=until_ms, until_wall_ms=until_wall_ms)
            roster.update(draft, handover=True)


def _window_end(draft: "Draft") -> int | None:
    """Return the wall ms at which the window of this minute ends, None outside any."""
    handover, wall_ms = draft.mine.handover, draft.image.wall_ms
    minute = local_time.day_minute(wall_ms)
    for start in handover.starts:
        hour, _, rest = start.partition(":")
        since = (minute - int(hour) * 60 - int(rest)) % local_time.DAY_MINUTES
        if since < handover.minutes:
            begun = wall_ms // local_time.MINUTE_MS - since
            return (begun + handover.minutes) * local_time.MINUTE_MS
    return None


def view(mine: "Mine", state: "State", now_ms: int) -> dict[str, Any]:
    """Return the frame's `headcount`: spans, limits, states, and why a count is not exact."""
    count, handover = state.volatile.people.count, state.volatile.people.handover
    until_ms = state.durable.people.handover.ms
    return {
        "headcount": {
            **_shown(count.mine, count.mine, mine.headcount_limit, held=handover),
            "at_least": count.at_least,
            "reasons": [_reason(each) for each in count.reasons],
            "zones": _zones(mine, count),
            "handover_until_ms": until_ms if handover and now_ms < until_ms else None,
        }
    }


def _reason(reason: roster.Reason) -> dict[str, Any]:
    shown = {"code": reason.code, "source": reason.source, "count": reason.amount}
    if reason.gate is not None:
        shown |= {"gate": reason.gate, "reads": reason.reads}
    return shown


def _zones(mine: "Mine", count: Count) -> dict[str, dict[str, Any]]:
    return {
        zone: _shown(span, count.limited[zone], mine.zone(zone).headcount_limit)
        for zone, span in count.zones.items()
    }


def _shown(span: Span, judged: Span, limit: int | None, *, held: bool = False) -> dict[str, Any]:
    """Return a span with its state; `judged` is what stands against the limit."""
    state = "normal"
    if limit is not None and judged.lo > limit:
        state = "over_limit"
    elif limit is not None and (judged.hi is None or judged.hi > limit):
        state = "maybe_over_limit"
    if held and state != "normal":
        state = "handover"
    return {"lo": span.lo, "hi": span.hi, "limit": limit, "state": state}
