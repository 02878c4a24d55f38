"""Hearing: what a reader's record proves about a badge, and what follows from it.

Records are ordered inside a reader by its sequence and never by its clock. Between readers only
the time of polling counts: the truth of a record lies somewhere between the reader's last answer
and now. Where two records from both sides of the mouth overlap in that window, the person stays
counted in hi and leaves lo until a later record settles it: a late read never undoes a newer one.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from minewatch.core.people import roster
from minewatch.core.people.ears import MISSING_MAX, WRAP, Ears
from minewatch.core.people.layout import Layout, Place
from minewatch.core.people.roster import Doubt, PeopleVolatile, Side, Track
from minewatch.model.image import Sighting

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

PEOPLE_MAX = 5000
"""Badges counted at once; beyond it a new badge is not taken and hi becomes unknown."""

TRACKS_MAX = 2 * PEOPLE_MAX
"""Badges remembered; beyond it those heard outside longest ago are forgotten."""

REHEARD_MS = 3_600_000
"""So long after the last refusal everybody who was refused has been heard again [J]."""

REPEAT_MS = 2000
"""The same record of the same badge at the same reader within this time is one record."""

SAME_PASS_MS = 600_000
"""Two exit records within this time are one exit past two readers."""


class Hearing:
    """One image's sightings being taken; born and gone within `people.observe`."""

    __slots__ = (
        "draft",
        "ears",
        "flagged",
        "heard",
        "layout",
        "moved",
        "now_ms",
        "people",
        "tracks",
    )

    def __init__(self, draft: "Draft", layout: Layout) -> None:
        self.draft = draft
        self.layout = layout
        self.people: PeopleVolatile = draft.volatile.people
        self.now_ms = draft.image.now_ms
        self.tracks: Mapping[str, Track] = self.people.tracks
        self.heard: dict[str, Track] = {}
        self.ears = Ears(draft, layout)
        self.flagged: list[tuple[str, int]] = []
        self.moved = False

    def take(self, sightings: tuple[Sighting, ...]) -> None:
        """Take records in the image's order; `ears` are told of their answers at the end.

        A record without a badge is a read that nobody can name: it widens the count.
        """
        if not sightings:
            return
        self.tracks = self.heard = dict(self.tracks)
        places = self.layout.places
        answered: dict[str, int] = {}
        nameless: dict[str, int] = {}
        for sighting in sightings:
            place = places.get(sighting.reader)
            if place is None:
                continue
            if not sighting.badge:
                nameless[place.id] = nameless.get(place.id, 0) + self.ears.counts(sighting)
                continue
            at_ms = min(sighting.sampled_ms, self.now_ms)
            answered[place.id] = max(at_ms, answered.get(place.id, at_ms))
            self._take_one(place, sighting)
        for reader, at_ms in answered.items():
            self.ears.delivered(reader, at_ms)
        for reader, count in nameless.items():
            self.ears.lost(reader, count)

    def _take_one(self, place: Place, sighting: Sighting) -> None:
        earliest_ms = min(self.ears.earliest_ms(place.id), sighting.sampled_ms)
        sequence = sighting.sequence
        if sequence is not None:
            placed = self.ears.place(place.id, sequence, sighting.reader_time_s, earliest_ms)
            if placed is None:
                return
            sequence, earliest_ms = placed
        direction = sighting.direction if sighting.direction in (1, -1) else 0
        side, zone = place.proves[direction]
        now = Track(
            place.id, zone, side, earliest_ms, self.now_ms, direction, sighting.flags, sequence
        )
        before = self.tracks.get(sighting.badge)
        if before is not None and self._is_repeat(sighting.badge, before, now):
            return
        self.moved = True
        if sighting.flags or (before is not None and before.flags):
            self.flagged.append((sighting.badge, sighting.flags))
        self._weigh(sighting.badge, place, before, now)

    def _is_repeat(self, badge: str, before: Track, now: Track) -> bool:
        """Take a record that says again what is known; the common case, so it comes first."""
        if (
            before.reader != now.reader
            or before.direction != now.direction
            or before.flags != now.flags
            or before.side is not now.side
        ):
            return False
        if self._is_older(before, now) or self.now_ms - before.latest_ms < REPEAT_MS:
            return True
        counted = badge in self.draft.durable.people.inside
        if counted != (before.side is not Side.OUTSIDE):
            return False
        if before.side is Side.OUTSIDE and self.now_ms - before.latest_ms > SAME_PASS_MS:
            return False
        self.heard[badge] = now
        return True

    def _weigh(self, badge: str, place: Place, before: Track | None, now: Track) -> None:
        """Set a record against the last one of its badge: older, overlapping or newer."""
        if before is not None and self._is_older(before, now):
            return
        if before is None or self._is_newer(before, now):
            self._follow(badge, place, before, now)
        elif before.side is now.side is Side.INSIDE and badge in self.draft.durable.people.inside:
            self.heard[badge] = _either_zone(before, now)
        elif _agree(before.side, now.side):
            self._follow(badge, place, before, now)
        elif before.side is Side.INSIDE and now.side is Side.LEAVING:
            self._doubt(badge, now, Doubt.LATE)
        elif before.side is not Side.OUTSIDE or now.side is not Side.LEAVING:
            self._blur(badge, before, now)

    def _is_older(self, before: Track, now: Track) -> bool:
        """Say whether the same reader made this record before the one already taken.

        After a start a reader may deliver again what the run before has taken: numbers just below.
        """
        if before.reader != now.reader or before.sequence is None or now.sequence is None:
            return False
        if self._is_taken_up(before):
            return (before.sequence - now.sequence) % WRAP <= MISSING_MAX
        return now.sequence < before.sequence

    def _is_taken_up(self, track: Track) -> bool:
        return track.latest_ms < self.people.start_ms

    def _is_newer(self, before: Track, now: Track) -> bool:
        """Say whether the record was surely made after the one before.

        A badge taken up from the run before was perhaps heard later than the ledger says, until
        that run stopped listening.
        """
        if before.reader == now.reader:
            return True
        unknown = self._is_taken_up(before) and now.earliest_ms < self.people.listened_ms
        return now.earliest_ms >= before.latest_ms and not unknown

    def _blur(self, badge: str, before: Track, now: Track) -> None:
        """Keep a badge whose order is unknown in hi alone."""
        zone = before.zone if now.side is Side.OUTSIDE else now.zone
        earliest_ms = min(before.earliest_ms, now.earliest_ms)
        blurred = now._replace(zone=zone, side=Side.EITHER, earliest_ms=earliest_ms)
        self._doubt(badge, blurred, Doubt.LATE)

    def _follow(self, badge: str, place: Place, before: Track | None, now: Track) -> None:
        if now.side is Side.INSIDE:
            self._inside(badge, place, before, now)
        elif now.side is Side.OUTSIDE:
            self._outside(badge, place, before, now)
        else:
            doubt = Doubt.LEAVING if now.side is Side.LEAVING else Doubt.UNDIRECTED
            self._doubt(badge, now, doubt)

    def _inside(self, badge: str, place: Place, before: Track | None, now: Track) -> None:
        person = self.draft.durable.people.inside.get(badge)
        if person is None:
            self._enter(badge, now, Doubt.NONE, missed=not place.mouth)
            return
        if place.surface and before is not None and before.reader != place.id:
            self._leave(badge, now, "implied")
            self._enter(badge, now, Doubt.NONE, missed=False)
            return
        if person.doubt is not Doubt.NONE:
            self.draft.emit(
                "badge_doubted",
                badge=badge,
                doubt=Doubt.NONE.value,
                reader=now.reader,
                sequence=now.sequence,
                zone=now.zone,
            )
        self.heard[badge] = now

    def _outside(self, badge: str, place: Place, before: Track | None, now: Track) -> None:
        if badge in self.draft.durable.people.inside:
            self._leave(badge, now, "read" if place.mouth else "seen_outside")
        elif place.mouth and now.direction == -1 and self._is_new_exit(before):
            self._leave(badge, now, "unknown_inside")
        self.heard[badge] = now

    def _is_new_exit(self, before: Track | None) -> bool:
        """Say whether an exit of somebody who was not counted is his own, not one read twice."""
        if before is not None and before.side is Side.OUTSIDE:
            return self.now_ms - before.latest_ms > SAME_PASS_MS
        resumed = self.draft.durable.people.latest_ms > 0
        return not resumed or self.now_ms - self.people.start_ms > SAME_PASS_MS

    def _doubt(self, badge: str, now: Track, doubt: Doubt) -> None:
        person = self.draft.durable.people.inside.get(badge)
        if person is None:
            self._enter(badge, now, doubt, missed=doubt is Doubt.LEAVING)
            return
        self.heard[badge] = now
        if person.doubt is not doubt:
            self.draft.emit("badge_doubted", badge=badge, doubt=doubt.value)

    def _enter(self, badge: str, now: Track, doubt: Doubt, *, missed: bool) -> None:
        if len(self.draft.durable.people.inside) >= PEOPLE_MAX:
            self._refuse()
            return
        if self.draft.mine.person(badge) is None:
            self.draft.emit("badge_unknown", badge=badge, reader=now.reader, zone=now.zone)
        self.draft.emit(
            "entry_missed" if missed else "badge_entered",
            badge=badge,
            zone=now.zone,
            reader=now.reader,
            doubt=doubt.value,
            sequence=now.sequence,
        )
        self.heard[badge] = now

    def _leave(self, badge: str, now: Track, how: str) -> None:
        self.draft.emit("badge_left", badge=badge, zone=now.zone, reader=now.reader, how=how)

    def _refuse(self) -> None:
        """Say once that the roster is full."""
        if self.draft.durable.people.full_ms is None:
            self.draft.emit("people_full", limit=PEOPLE_MAX)
        roster.update(self.draft, refused_ms=self.now_ms)

    def settle(self) -> None:
        """Settle the readers and forget what is too much."""
        self.ears.settle()
        if len(self.tracks) > TRACKS_MAX:
            self._forget()

    def _forget(self) -> None:
        inside: Mapping[str, object] = self.draft.durable.people.inside
        outside = sorted(
            (track.latest_ms, badge) for badge, track in self.tracks.items() if badge not in inside
        )
        forgotten = {badge for _, badge in outside[: len(self.tracks) - PEOPLE_MAX]}
        self.tracks = {b: track for b, track in self.tracks.items() if b not in forgotten}

    def write_back(self) -> None:
        """Put what was heard into the volatile state."""
        moves = self.people.moves + self.moved
        roster.update(self.draft, tracks=self.tracks, ears=self.ears.table, moves=moves)


def _either_zone(before: Track, now: Track) -> Track:
    """Keep the place of the record before; the other zone stays possible until it is settled."""
    if now.zone == before.zone and not before.also:
        return now
    also = now.zone if now.zone != before.zone else before.also
    earliest_ms = min(before.earliest_ms, now.earliest_ms)
    return before._replace(earliest_ms=earliest_ms, latest_ms=now.latest_ms, also=also)


def _agree(before: Side, now: Side) -> bool:
    """Say whether two records that overlap in time follow from each other without doubt."""
    return before is now or (before is Side.LEAVING and now is Side.OUTSIDE)


def end_full(draft: "Draft") -> None:
    """Say once that the roster holds everybody again: an hour after the last badge was refused."""
    people, full_ms = draft.volatile.people, draft.durable.people.full_ms
    if full_ms is None or len(draft.durable.people.inside) >= PEOPLE_MAX:
        return
    if draft.image.now_ms - max(full_ms, people.refused_ms) > REHEARD_MS:
        draft.emit("people_full_ended", limit=PEOPLE_MAX)
