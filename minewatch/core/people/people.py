"""People: who is underground, where, since when, and how sure that is.

`observe` takes the image's sightings (`hearing`), the gates' counters (`gates`) and the silence of
readers; `COMMANDS` holds the act by which two names close an open person. The shapes and folds
stand in `roster`, the counting and its limits in `headcount`.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from minewatch.core.alarms import alarm
from minewatch.core.desk import approval
from minewatch.core.desk.act import Act, Given, Reasons, is_id
from minewatch.core.people import gates, roster
from minewatch.core.people.ears import SLACK_MS
from minewatch.core.people.hearing import Hearing, end_full
from minewatch.core.people.layout import Layout, layout_of
from minewatch.core.people.roster import (
    UNBADGED,
    Doubt,
    Ear,
    PeopleDurable,
    PeopleVolatile,
    Side,
    Track,
)
from minewatch.core.people.turnover import FOLDS
from minewatch.model.alarm import AlarmKind
from minewatch.model.image import Command, Sample
from minewatch.model.mine import Role

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import State
    from minewatch.model.mine import Mine

__all__ = [
    "COMMANDS",
    "FOLDS",
    "PeopleDurable",
    "PeopleVolatile",
    "observe",
    "view",
]

READER_LOST_MS = 10_000
"""A reader that has not answered for so long is silent."""

MOVES_MS = 5000
"""A badge's moves between zones go into the ledger at most so often."""

LOOK_MS = 1000
"""How often readers are looked after: silence, backlogs, skipped numbers."""

SWEEP_MS = 10_000
"""How often long stays and silent badges are looked for."""

LEFT_MS = 900_000
"""Read leaving below and heard nowhere since for so long: the exit read below stands."""

UNSEEN_MS = 3_600_000
"""A badge unheard for so long is marked (practice 25)."""

OVER_TIME_MS = 36_000_000
"""Ten hours underground raise an alarm, twelve a second event (practice 25)."""

OVER_TIME_SECOND_MS = 43_200_000

BATTERY_LOW = 1
SOS = 2


def observe(draft: "Draft") -> None:
    """Take the image's sightings and counters; keep the roster and its marks up to date."""
    layout = draft.volatile.people.layout
    if layout is None or layout.mine is not draft.mine:
        layout = _meet(draft)
    hearing = _hear(draft, layout)
    if hearing is not None:
        _flags(draft, hearing.flagged)
        _note_moves(draft, dict.fromkeys(each.badge for each in draft.image.sightings))
    gates.observe(draft, layout)
    if draft.image.now_ms - draft.volatile.people.swept_ms >= SWEEP_MS:
        roster.update(draft, swept_ms=draft.image.now_ms)
        _sweep(draft)


def _meet(draft: "Draft") -> Layout:
    """Learn the mine; at the start of a run, take up the roster that survived."""
    layout = layout_of(draft.mine)
    people, now_ms = draft.volatile.people, draft.image.now_ms
    if people.layout is not None:
        ears = {r: people.ears.get(r, Ear(backlog_ms=now_ms)) for r in layout.places}
        roster.update(draft, layout=layout, ears=ears)
        return layout
    durable = draft.durable.people
    listened_ms = durable.latest_ms - READER_LOST_MS - SLACK_MS
    tracks = {
        badge: Track(
            each.reader,
            each.zone,
            _side(each.doubt),
            each.seen_ms,
            each.seen_ms,
            0,
            0,
            each.sequence,
            each.also,
        )
        for badge, each in durable.inside.items()
    }
    ears = {
        reader: Ear(backlog_ms=min(listened_ms, durable.lost.get(reader, listened_ms) - SLACK_MS))
        for reader in layout.places
    }
    roster.update(
        draft, layout=layout, start_ms=now_ms, listened_ms=listened_ms, tracks=tracks, ears=ears
    )
    return layout


def _side(doubt: Doubt) -> Side:
    if doubt is Doubt.NONE:
        return Side.INSIDE
    return Side.LEAVING if doubt is Doubt.LEAVING else Side.EITHER


def _hear(draft: "Draft", layout: Layout) -> Hearing | None:
    """Take sightings and answers; readers that are silent are named once, and once when back."""
    image = draft.image
    answers = [s for s in image.samples if s.device in layout.by_device]
    due = image.now_ms - draft.volatile.people.looked_ms >= LOOK_MS
    if not (answers or image.sightings or due):
        return None
    hearing = Hearing(draft, layout)
    hearing.take(image.sightings)
    for sample in answers:
        _answer(hearing, layout, sample)
    if due:
        hearing.settle()
    hearing.write_back()
    if due:
        roster.update(draft, looked_ms=image.now_ms)
    _silence(draft, layout)
    return hearing


def _answer(hearing: Hearing, layout: Layout, sample: Sample) -> None:
    """Take an exchange with a reader; a reading of its own name says that it has lost records."""
    if not all(reading.quality.clears for reading in sample.readings):
        return
    for reader in layout.by_device[sample.device]:
        hearing.ears.answered(reader, min(sample.sampled_ms, hearing.now_ms))
    for point, value, _ in sample.readings:
        if point in layout.places and value is not None:
            hearing.ears.overflowed(point, value != 0)


def _silence(draft: "Draft", layout: Layout) -> None:
    """Name readers that are silent once, and once when they are back."""
    people, now_ms = draft.volatile.people, draft.image.now_ms
    lost = draft.durable.people.lost
    ears = dict(people.ears)
    for reader, ear in people.ears.items():
        answered_ms = people.start_ms if ear.answered_ms is None else ear.answered_ms
        silent = now_ms - answered_ms > READER_LOST_MS
        if silent and reader not in lost:
            draft.emit("reader_lost", reader=reader, answered_ms=answered_ms)
            zone = layout.places[reader].zone
            alarm.raise_(draft, AlarmKind.READER_LOST, reader, zone=zone)
            oldest_ms = answered_ms - SLACK_MS if ear.backlog_ms is None else ear.backlog_ms
            ears[reader] = ear._replace(backlog_ms=oldest_ms)
        elif ear.answered_ms is not None and not silent and reader in lost:
            draft.emit("reader_back", reader=reader, blind=_was_blind(layout, reader, ear))
            alarm.clear(draft, AlarmKind.READER_LOST, reader)
            ears[reader] = ear._replace(busy_ms=now_ms)
    if draft.durable.people.lost is not lost:
        roster.update(draft, ears=ears)


def _was_blind(layout: Layout, reader: str, ear: Ear) -> bool:
    """Say whether people may have passed unseen: no gate, and no numbers to show what is lost."""
    return layout.places[reader].mouth and not layout.gates and ear.newest is None


def _flags(draft: "Draft", flagged: list[tuple[str, int]]) -> None:
    """Follow the SOS button and the battery of badges that were heard."""
    for badge, flags in flagged:
        if flags & SOS:
            track = draft.volatile.people.tracks.get(badge)
            zone = "" if track is None else track.zone
            alarm.raise_(draft, AlarmKind.SOS, badge, zone=zone)
        else:
            alarm.clear(draft, AlarmKind.SOS, badge)
        if flags & BATTERY_LOW and _mark(draft, badge, "battery"):
            draft.emit("battery_low", badge=badge)


def _mark(draft: "Draft", badge: str, mark: str) -> bool:
    """Remember that something was said of a badge; False where it was already."""
    marks = draft.volatile.people.marks
    known = marks.get(badge, frozenset())
    if mark in known:
        return False
    roster.update(draft, marks={**marks, badge: known | {mark}})
    return True


def _note_moves(draft: "Draft", badges: Iterable[str]) -> None:
    """Write moves of these badges into the ledger in one event.

    Who moved less than five seconds ago waits for the sweep, so that a badge between two readers
    stays small.
    """
    now_ms, tracks = draft.image.now_ms, draft.volatile.people.tracks
    inside = draft.durable.people.inside
    moves = []
    for badge in badges:
        each = inside.get(badge)
        if each is None:
            continue
        track = tracks[badge]
        moved = track.zone != each.zone or track.also != each.also
        if moved and now_ms - each.moved_ms >= MOVES_MS:
            moves.append([badge, track.zone, track.reader, track.also])
    if moves:
        draft.emit("badges_moved", moves=moves)


def _sweep(draft: "Draft") -> None:
    """Look for moves, long stays, silent badges and exits that only the lower reader saw."""
    _note_moves(draft, draft.durable.people.inside)
    people, now_ms = draft.volatile.people, draft.image.now_ms
    inside = draft.durable.people.inside
    for badge, each in inside.items():
        stay_ms = now_ms - each.entered_ms
        heard_ms = people.tracks[badge].latest_ms
        if stay_ms >= OVER_TIME_MS:
            _over_time(draft, badge, each.zone, stay_ms)
        if now_ms - max(heard_ms, people.start_ms) >= UNSEEN_MS and _mark(draft, badge, "unseen"):
            draft.emit("badge_unseen", badge=badge, zone=each.zone)
        if each.doubt is Doubt.LEAVING and now_ms - heard_ms >= LEFT_MS:
            _left_below(draft, badge)
    _forget_marks(draft)
    end_full(draft)


def _over_time(draft: "Draft", badge: str, zone: str, stay_ms: int) -> None:
    alarm.raise_(draft, AlarmKind.OVER_TIME, badge, zone=zone, value=stay_ms, limit=OVER_TIME_MS)
    if stay_ms >= OVER_TIME_SECOND_MS and _mark(draft, badge, "over_time_second"):
        draft.emit("over_time_second", badge=badge, zone=zone)


def _left_below(draft: "Draft", badge: str) -> None:
    """Take the exit read below as the exit, unless gates stand there and count nobody more out."""
    people = draft.durable.people
    if people.gates and people.went.more <= 0:
        return
    each = people.inside[badge]
    draft.emit("badge_left", badge=badge, zone=each.zone, reader=each.reader, how="read_below")


def _forget_marks(draft: "Draft") -> None:
    """Drop marks and alarms of those who are out, and the mark of a badge heard again."""
    people, inside = draft.volatile.people, draft.durable.people.inside
    now_ms = draft.image.now_ms
    heard = frozenset({"unseen"})
    kept = {
        badge: marks - heard if now_ms - people.tracks[badge].latest_ms < UNSEEN_MS else marks
        for badge, marks in people.marks.items()
        if badge in inside
    }
    if kept != people.marks:
        roster.update(draft, marks=kept)
    for alarm_id in list(draft.durable.alarms.standing.values()):
        standing = draft.durable.alarms.items[alarm_id]
        if standing.kind is AlarmKind.OVER_TIME and standing.source not in inside:
            alarm.clear(draft, AlarmKind.OVER_TIME, standing.source)


def _check_close(draft: "Draft", command: Command) -> Reasons:
    badge = command.arguments["badge"]
    people = draft.durable.people
    if badge == UNBADGED:
        open_ = people.came.more > 0 or people.gaps_in > 0
        return () if open_ else ("nobody_unbadged",)
    if badge not in people.inside:
        return (f"not_inside:{badge}",)
    return () if command.text or approval.is_waiting(draft, command) else ("reason_missing",)


def _close(draft: "Draft", given: Given) -> None:
    command = given.command
    draft.emit(
        "person_closed",
        text=command.text,
        badge=command.arguments["badge"],
        by=command.by,
        second=given.second,
        command=given.answer,
    )


COMMANDS: dict[str, Act] = {
    "close_person": Act(
        do=_close,
        check=_check_close,
        arguments={"badge": is_id},
        roles=frozenset({Role.LAMP_ROOM_CLERK}),
        second=frozenset({Role.DISPATCHER}),
        other_terminal=True,
    )
}


def view(mine: "Mine", state: "State", now_ms: int) -> dict[str, Any]:
    """Return the frame's `people`: every counted badge with its place, last hearing and state."""
    del mine
    durable, people = state.durable.people, state.volatile.people
    shown = {}
    for badge, each in durable.inside.items():
        track = people.tracks.get(badge)
        marks = people.marks.get(badge, frozenset())
        shown[badge] = {
            "zone": each.zone if track is None else track.zone,
            "reader": each.reader if track is None else track.reader,
            "seen_ms": each.seen_ms if track is None else track.latest_ms,
            "entered_ms": each.entered_ms,
            "state": _state(state, badge, each.doubt, marks, now_ms - each.entered_ms),
        }
    return {"people": shown}


def _state(state: "State", badge: str, doubt: Doubt, marks: frozenset[str], stay_ms: int) -> str:
    if alarm.is_active(state.durable, AlarmKind.SOS, badge):
        return "sos"
    if stay_ms >= OVER_TIME_MS:
        return "over_time"
    if "unseen" in marks:
        return "unseen"
    return doubt.value or "inside"
