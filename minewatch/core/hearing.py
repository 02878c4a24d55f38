"""Hearing: what a reader's record proves about a badge, and what follows from it.

Records are ordered inside a reader by its sequence and never by its clock. Between readers only
the time of polling counts: the truth of a record lies somewhere between the reader's last answer
and now. Where two records from both sides of the mouth overlap in that window, the person stays
counted in hi and leaves lo until a later record settles it: a late read never undoes a newer one.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from minewatch.core import roster
from minewatch.core.layout import Layout, Place
from minewatch.core.roster import Doubt, Ear, Gap, Missing, PeopleVolatile, Side, Track
from minewatch.model.image import Sighting

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

PEOPLE_MAX = 5000
"""Badges counted at once; beyond it a new badge is not taken and hi becomes unknown."""

TRACKS_MAX = 2 * PEOPLE_MAX
"""Badges remembered; beyond it those heard outside longest ago are forgotten."""

REPEAT_MS = 2000
"""The same record of the same badge at the same reader within this time is one record."""

SLACK_MS = 5000
"""How long a record may wait in a reader that answers, behind the records before it."""

SAME_PASS_MS = 600_000
"""Two exit records within this time are one exit past two readers."""

LATE_MS = 60_000
"""A skipped sequence number that has not come by then is a lost read."""

MISSING_MAX = 256
"""A jump by more numbers than this is a restarted reader, not so many lost reads."""

WRAP = 65_536
"""Readers count in 16 bits; a number that falls by nearly all of it has wrapped."""

WRAP_FALL = 61_440

REPLAY_BACK = 64
"""A known number so far back is an old log being replayed, not a repeated answer."""

REPLAY_MS = 60_000
"""So long after the last replayed record a reader is trusted again."""


class Hearing:
    """One image's sightings being taken; born and gone within `people.observe`."""

    __slots__ = ("draft", "ears", "flagged", "gaps", "layout", "now_ms", "people", "tracks")

    def __init__(self, draft: "Draft", layout: Layout) -> None:
        self.draft = draft
        self.layout = layout
        self.people: PeopleVolatile = draft.volatile.people
        self.now_ms = draft.image.now_ms
        self.tracks: dict[str, Track] = dict(self.people.tracks)
        self.ears: dict[str, Ear] = dict(self.people.ears)
        self.gaps: list[Gap] = list(self.people.gaps)
        self.flagged: list[tuple[str, int]] = []

    def take(self, sightings: tuple[Sighting, ...]) -> None:
        """Take records in the image's order; `ears` are told of their answers at the end."""
        places = self.layout.places
        answered: dict[str, int] = {}
        for sighting in sightings:
            place = places.get(sighting.reader)
            if place is None or not sighting.badge:
                continue
            at_ms = min(sighting.sampled_ms, self.now_ms)
            answered[place.id] = max(at_ms, answered.get(place.id, at_ms))
            self._take_one(place, sighting)
        for reader, at_ms in answered.items():
            self.answered(reader, at_ms)

    def answered(self, reader: str, at_ms: int) -> None:
        """Note that a reader answered an exchange that began at `at_ms`."""
        ear = self.ears.get(reader, Ear())
        if ear.answered_ms is None or at_ms > ear.answered_ms:
            self.ears[reader] = ear._replace(answered_ms=at_ms)

    def earliest_ms(self, reader: str) -> int:
        """Return the time after which a new record of this reader must have been made."""
        lost_ms = self.draft.durable.people.lost.get(reader)
        if lost_ms is not None:
            return min(lost_ms, self.now_ms) - SLACK_MS
        ear = self.ears.get(reader)
        if ear is None or ear.answered_ms is None:
            return self.people.base_ms
        return ear.answered_ms - SLACK_MS

    def _take_one(self, place: Place, sighting: Sighting) -> None:
        earliest_ms = self.earliest_ms(place.id)
        sequence = sighting.sequence
        if sequence is not None:
            placed = self._place_in_order(place.id, sequence, sighting.reader_time_s, earliest_ms)
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
        if _is_older(before, now) or self.now_ms - before.latest_ms < REPEAT_MS:
            return True
        counted = badge in self.draft.durable.people.inside
        if counted != (before.side is not Side.OUTSIDE):
            return False
        if before.side is Side.OUTSIDE and self.now_ms - before.latest_ms > SAME_PASS_MS:
            return False
        self.tracks[badge] = now
        return True

    def _weigh(self, badge: str, place: Place, before: Track | None, now: Track) -> None:
        """Set a record against the last one of its badge: older, overlapping or newer."""
        if before is not None and _is_older(before, now):
            return
        if before is None or _is_newer(before, now) or _agree(before.side, now.side):
            self._follow(badge, place, before, now)
        elif before.side is not Side.OUTSIDE or now.side is not Side.LEAVING:
            self._blur(badge, before, now)

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
            self.draft.emit("badge_doubted", badge=badge, doubt=Doubt.NONE.value)
        self.tracks[badge] = now

    def _outside(self, badge: str, place: Place, before: Track | None, now: Track) -> None:
        if badge in self.draft.durable.people.inside:
            self._leave(badge, now, "read" if place.mouth else "seen_outside")
        elif place.mouth and now.direction == -1 and self._is_new_exit(before):
            self._leave(badge, now, "unknown_inside")
        self.tracks[badge] = now

    def _is_new_exit(self, before: Track | None) -> bool:
        """Say whether an exit of somebody who was not counted is his own, not one read twice."""
        if before is not None and before.side is Side.OUTSIDE:
            return self.now_ms - before.latest_ms > SAME_PASS_MS
        resumed = self.people.base_ms < self.people.start_ms
        return not resumed or self.now_ms - self.people.start_ms > SAME_PASS_MS

    def _doubt(self, badge: str, now: Track, doubt: Doubt) -> None:
        person = self.draft.durable.people.inside.get(badge)
        if person is None:
            self._enter(badge, now, doubt, missed=doubt is Doubt.LEAVING)
            return
        self.tracks[badge] = now
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
        )
        self.tracks[badge] = now

    def _leave(self, badge: str, now: Track, how: str) -> None:
        self.draft.emit("badge_left", badge=badge, zone=now.zone, reader=now.reader, how=how)

    def _refuse(self) -> None:
        """State the limit of the roster once per hour of standing at it."""
        people = self.draft.volatile.people
        if people.refused_ms is None:
            self.draft.emit("people_full", limit=PEOPLE_MAX)
        roster.update(self.draft, refused_ms=self.now_ms)

    def _place_in_order(
        self, reader: str, number: int, time_s: int | None, earliest_ms: int
    ) -> tuple[int, int] | None:
        """Return the unwrapped sequence and the earliest time; None for a record known already."""
        ear = self.ears.get(reader, Ear())
        newest = ear.newest
        if newest is None:
            self.ears[reader] = ear._replace(newest=number, newest_time_s=time_s)
            return number, earliest_ms
        sequence = newest - newest % WRAP + number if number < WRAP else number
        if sequence < newest - WRAP_FALL:
            sequence += WRAP
        if sequence > newest:
            self._advance(reader, ear, sequence, time_s, earliest_ms)
            return sequence, earliest_ms
        if sequence in ear.missing:
            missing = dict(ear.missing)
            found = missing.pop(sequence)
            self.ears[reader] = ear._replace(missing=missing)
            return sequence, found.earliest_ms
        return self._known_number(reader, ear, sequence, time_s, earliest_ms)

    def _advance(
        self, reader: str, ear: Ear, sequence: int, time_s: int | None, earliest_ms: int
    ) -> None:
        """Move a reader's newest number; what it skips is missing, a long jump is a restart."""
        assert ear.newest is not None
        missing = ear.missing
        skipped = sequence - ear.newest - 1
        if skipped > MISSING_MAX or skipped + len(missing) > MISSING_MAX:
            self._restarted(reader)
            missing = {}
        elif skipped:
            owed = Missing(earliest_ms, self.now_ms)
            missing = {**missing, **dict.fromkeys(range(ear.newest + 1, sequence), owed)}
        if time_s is None or (ear.newest_time_s or 0) > time_s:
            time_s = ear.newest_time_s
        self.ears[reader] = ear._replace(newest=sequence, newest_time_s=time_s, missing=missing)

    def _known_number(
        self, reader: str, ear: Ear, sequence: int, time_s: int | None, earliest_ms: int
    ) -> tuple[int, int] | None:
        """Take a number that has been: a restart if the reader's own clock went on, else nothing.

        The clock is compared with the same reader's alone. Without it an old log played again
        cannot be told from new records: they are dropped and the reader counts as silent.
        """
        assert ear.newest is not None
        if time_s is not None and ear.newest_time_s is not None and time_s > ear.newest_time_s:
            self._restarted(reader)
            number = sequence % WRAP
            self.ears[reader] = ear._replace(newest=number, newest_time_s=time_s, missing={})
            return number, earliest_ms
        if ear.newest - sequence > REPLAY_BACK:
            if ear.replayed_ms is None:
                self.draft.emit("reads_replayed", reader=reader)
            self.ears[reader] = ear._replace(replayed_ms=self.now_ms)
        return None

    def _restarted(self, reader: str) -> None:
        """Say that a reader counts anew: what it saw before is not known to be complete."""
        blind = self.layout.places[reader].mouth and not self.layout.gates
        self.draft.emit("reader_restarted", reader=reader, blind=blind)

    def settle(self) -> None:
        """Give up skipped numbers that are overdue, end replays, forget what is too much."""
        for reader, ear in list(self.ears.items()):
            if ear.replayed_ms is not None and self.now_ms - ear.replayed_ms > REPLAY_MS:
                self.ears[reader] = ear._replace(replayed_ms=None)
            overdue = [n for n, m in ear.missing.items() if self.now_ms - m.since_ms > LATE_MS]
            if overdue:
                self._give_up(reader, overdue)
        if self.gaps:
            inside = self.draft.durable.people.inside
            oldest_ms = min((self.tracks[badge].latest_ms for badge in inside), default=self.now_ms)
            self.gaps = [gap for gap in self.gaps if gap.at_ms >= oldest_ms]
        if len(self.tracks) > TRACKS_MAX:
            self._forget()

    def _give_up(self, reader: str, overdue: list[int]) -> None:
        """Say that reads are lost; at a mouth without a gate each may be one in and one out."""
        ear = self.ears[reader]
        at_ms = max(ear.missing[n].since_ms for n in overdue)
        missing = {n: m for n, m in ear.missing.items() if n not in overdue}
        self.ears[reader] = ear._replace(missing=missing)
        mouth = self.layout.places[reader].mouth
        widens = len(overdue) if mouth and not self.layout.gates else 0
        self.draft.emit("reads_lost", reader=reader, count=len(overdue), widens=widens)
        if not mouth:
            self.gaps = [*self.gaps, Gap(reader, len(overdue), at_ms)][-MISSING_MAX:]

    def _forget(self) -> None:
        inside: Mapping[str, object] = self.draft.durable.people.inside
        outside = sorted(
            (track.latest_ms, badge) for badge, track in self.tracks.items() if badge not in inside
        )
        for _, badge in outside[: len(self.tracks) - PEOPLE_MAX]:
            del self.tracks[badge]

    def write_back(self) -> None:
        """Put what was heard into the volatile state."""
        roster.update(self.draft, tracks=self.tracks, ears=self.ears, gaps=tuple(self.gaps))


def _is_older(before: Track, now: Track) -> bool:
    """Say whether the same reader made this record before the one already taken."""
    return (
        before.reader == now.reader
        and before.sequence is not None
        and now.sequence is not None
        and now.sequence < before.sequence
    )


def _is_newer(before: Track, now: Track) -> bool:
    """Say whether the record was surely made after the one before."""
    if before.reader == now.reader:
        return True
    return now.earliest_ms >= before.latest_ms


def _agree(before: Side, now: Side) -> bool:
    """Say whether two records that overlap in time follow from each other without doubt."""
    return before is now or (before is Side.LEAVING and now is Side.OUTSIDE)
