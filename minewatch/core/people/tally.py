"""The tally: from the roster to counts that bracket the truth (lo <= truth <= hi).

hi holds everybody whose exit was not read, and the bodies that only a gate has seen come in. lo
leaves out whoever is in doubt and the bodies that a gate has seen go out beyond the reads. While a
mouth reader is silent the count is `at_least`; if nothing stands in for it, hi is unknown and lo
holds only those who were heard so lately that they cannot be out yet.

What this rests on: a read proves what its reader says; reads are lost, repeated, late or out of
order; a lost read shows in a gate or as a skipped sequence number. A zone's count says where
badges were heard last; a silent reader or a lost read of a zone widens it. A zone without a reader
has no count.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from minewatch.core.people import gates, roster
from minewatch.core.people.layout import Layout
from minewatch.core.people.roster import Count, Doubt, Reason, Span
from minewatch.model.mine import ZoneKind

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

REHEARD_MS = 3_600_000
"""So long after a blind mouth everybody inside has been heard [J]."""

RECOUNT_MS = 1000
"""Counts that depend on the time alone are taken anew this often."""

_PASSING = frozenset({ZoneKind.FACE, ZoneKind.HEADING})
"""Zones whose limit does not count leaders passing through (practice 23)."""


def refresh(draft: "Draft") -> Count:
    """Return the counts as of now; taken anew only where something may have changed."""
    people = draft.volatile.people
    assert people.layout is not None  # people were observed before they are counted
    turn = draft.image.now_ms // RECOUNT_MS
    known = people.counted
    if (
        known is not None
        and known[0] is draft.durable.people
        and known[1] == people.moves
        and known[2] == turn
    ):
        return people.count
    count = _count(draft, people.layout)
    roster.update(draft, counted=(draft.durable.people, people.moves, turn), count=count)
    return count


def silent(draft: "Draft", readers: Iterable[str]) -> tuple[str, ...]:
    """Return which of the readers cannot be believed now: silent, replaying, not heard yet."""
    ears, lost = draft.volatile.people.ears, draft.durable.people.lost
    return tuple(
        reader
        for reader in readers
        if reader in lost
        or reader not in ears
        or ears[reader].answered_ms is None
        or ears[reader].replayed_ms is not None
    )


def _count(draft: "Draft", layout: Layout) -> Count:
    down = silent(draft, layout.boundary)
    zones = _zones(draft, layout)
    limited = {}
    for zone, span in zones.items():
        exempt = _leaders(draft, layout, zone)
        limited[zone] = Span(
            max(0, span.lo - exempt.lo),
            None if span.hi is None else span.hi - exempt.lo,
        )
    mine, reasons = _mine(draft, layout, down)
    return Count(mine, reasons, bool(down), zones, limited)


def _leaders(draft: "Draft", layout: Layout, zone: str) -> Span:
    """Return the leaders heard in a face or heading; in other zones everybody counts."""
    if draft.mine.zone(zone).kind not in _PASSING or not layout.leaders:
        return Span(0, 0)
    inside, tracks = draft.durable.people.inside, draft.volatile.people.tracks
    here = sum(
        1
        for each in layout.leaders
        if each in inside and tracks[each].zone == zone and not tracks[each].also
    )
    return Span(here, here)


def _mine(draft: "Draft", layout: Layout, down: tuple[str, ...]) -> tuple[Span, tuple[Reason, ...]]:
    """Return the mine's span with the reasons of its doubts."""
    people = draft.durable.people
    doubts = _doubts(draft)
    sure = len(people.inside) - sum(each.amount for each in doubts)
    reasons = [*doubts, *(Reason("reader_down", reader, 0) for reader in down)]
    if layout.gates:
        lo = min(sure, len(people.inside) - max(0, people.went.more))
        hi: int | None = len(people.inside) + max(0, people.came.more)
        reasons += _gate_reasons(draft, layout)
    else:
        lo = sure - people.gaps_out
        hi = len(people.inside) + people.gaps_in
        lost = max(people.gaps_in, people.gaps_out)
        reasons += [Reason("reads_lost", "", lost)] if lost else []
    since_ms = _unseen_since(draft, layout, down)
    if since_ms is not None:
        lo = min(lo, _heard_lately(draft, layout, since_ms))
        blind = _is_blind(draft, layout, down)
        recent = draft.image.now_ms - since_ms < REHEARD_MS
        hi = None if blind or recent else hi
        reasons += [] if blind else [Reason("reader_was_down", "", 0)]
    if people.full_ms is not None:
        hi = None
        reasons.append(Reason("people_full", "", len(people.inside)))
    return Span(max(0, lo), hi), tuple(reasons)


def _doubts(draft: "Draft") -> list[Reason]:
    counts: dict[Doubt, int] = {}
    for each in draft.durable.people.inside.values():
        if each.doubt is not Doubt.NONE:
            counts[each.doubt] = counts.get(each.doubt, 0) + 1
    return [Reason(doubt.value, "", count) for doubt, count in sorted(counts.items())]


def _gate_reasons(draft: "Draft", layout: Layout) -> list[Reason]:
    """Say by how much bodies and badges differ, with both figures of the episode."""
    people = draft.durable.people
    reasons = []
    for code, balance, sign in (
        ("gate_in_more", people.came, 1),
        ("gate_out_more", people.went, -1),
    ):
        if balance.more > 0:
            source = next((gate for gate, way in layout.gates.items() if way == sign), "")
            reasons.append(Reason(code, source, balance.more, balance.gate, balance.reads))
    return reasons


def _is_blind(draft: "Draft", layout: Layout, down: tuple[str, ...]) -> bool:
    """Say whether people may pass the mouth unseen by any reader or gate."""
    unguarded = [reader for reader in down if layout.stand_ins.get(reader, reader) in down]
    return bool(unguarded) and not gates.is_good(draft, layout)


def _unseen_since(draft: "Draft", layout: Layout, down: tuple[str, ...]) -> int | None:
    """Return the time up to which people may have passed the mouth unseen, None if never."""
    if _is_blind(draft, layout, down):
        return draft.image.now_ms
    return draft.durable.people.blind_ms


def _heard_lately(draft: "Draft", layout: Layout, since_ms: int) -> int:
    """Return how many cannot have left unseen: heard since, or too lately to be out already.

    A record may have waited in its reader: it says that somebody was there at `earliest_ms`.
    """
    now_ms, tracks = draft.image.now_ms, draft.volatile.people.tracks
    heard = 0
    for badge, each in draft.durable.people.inside.items():
        track = tracks[badge]
        late_ms = now_ms - layout.fastest_ms.get(track.zone, 0)
        if each.doubt is Doubt.NONE and track.earliest_ms >= min(since_ms, late_ms):
            heard += 1
    return heard


def _zones(draft: "Draft", layout: Layout) -> dict[str, Span]:
    """Return the span of every zone that has a reader."""
    inside, tracks = draft.durable.people.inside, draft.volatile.people.tracks
    sure = dict.fromkeys(layout.by_zone, 0)
    everybody = dict.fromkeys(layout.by_zone, 0)
    for badge, each in inside.items():
        zone, also = tracks[badge].zone, tracks[badge].also
        everybody[zone] = everybody.get(zone, 0) + 1
        if also:
            everybody[also] = everybody.get(also, 0) + 1
        elif each.doubt is Doubt.NONE:
            sure[zone] = sure.get(zone, 0) + 1
    spans: dict[str, Span] = {
        zone: Span(sure.get(zone, 0), everybody[zone])
        for zone in everybody
        if zone in layout.underground
    }
    return _widened_by_silence(draft, layout, _widened_by_gaps(draft, layout, spans))


def _widened_by_silence(draft: "Draft", layout: Layout, spans: dict[str, Span]) -> dict[str, Span]:
    """Widen a zone whose reader is silent by everybody who may have walked in, or out again."""
    deaf = {layout.places[reader].zone for reader in silent(draft, layout.places)}
    if not deaf:
        return spans
    widened = dict(spans)
    for zone in sorted(deaf & set(spans)):
        beyond = layout.beyond.get(zone, frozenset())
        hi: int | None = spans[zone].hi
        for each in beyond:
            near = spans.get(each, Span(0, 0)).hi
            hi = None if hi is None or near is None else hi + near
            widened[each] = Span(0, widened[each].hi) if each in widened else Span(0, 0)
        lo = 0 if not beyond or beyond & deaf else widened[zone].lo
        widened[zone] = Span(lo, hi if beyond else None)
    return widened


def _widened_by_gaps(draft: "Draft", layout: Layout, spans: dict[str, Span]) -> dict[str, Span]:
    """Widen zones near reads that were lost, until everybody has surely been heard again."""
    lost = _losses(draft)
    if not lost:
        return spans
    inside, tracks = draft.durable.people.inside, draft.volatile.people.tracks
    oldest_ms = max(at_ms for _, at_ms in lost.values())
    unheard: dict[str, int] = {}
    for badge in inside:
        if tracks[badge].earliest_ms <= oldest_ms:
            unheard[tracks[badge].zone] = unheard.get(tracks[badge].zone, 0) + 1
    everybody = sum(unheard.values())
    widened = {}
    for zone, span in spans.items():
        more = sum(n for reader, (n, _) in lost.items() if zone in _leads_to(layout, reader))
        others = everybody - unheard.get(zone, 0)
        gone = min(sum(n for n, _ in lost.values()), unheard.get(zone, 0))
        hi = None if span.hi is None else span.hi + min(more, others)
        widened[zone] = Span(max(0, span.lo - gone), hi)
    return widened


def _losses(draft: "Draft") -> dict[str, tuple[int, int]]:
    """Return per reader how many records are lost, and when the newest loss was noticed."""
    lost: dict[str, tuple[int, int]] = {}
    for gap in draft.durable.people.gaps:
        count, at_ms = lost.get(gap.reader, (0, 0))
        lost[gap.reader] = (count + gap.lost, max(at_ms, gap.at_ms))
    return lost


def _leads_to(layout: Layout, reader: str) -> frozenset[str]:
    place = layout.places.get(reader)
    return frozenset(zone for _, zone in place.proves.values()) if place else frozenset()
