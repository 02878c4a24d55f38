"""Ears: which of a reader's records are new, how old they may be, and which it has lost.

Records of one reader are ordered by its sequence, whatever order they arrive in; its clock is only
ever compared with itself. A number that it skips is a lost read at once and may still be found
within a minute. Known numbers are dropped, so that a log played again changes nothing.
"""

from typing import TYPE_CHECKING

from minewatch.core.people.layout import Layout
from minewatch.core.people.roster import Ear, Missing
from minewatch.model.image import Sighting

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

SLACK_MS = 2000
"""How long a record may wait in a reader that answers, behind the records before it."""

LATE_MS = 60_000
"""A skipped sequence number that has not come by then will not come."""

MISSING_MAX = 256
"""A jump by more numbers than this is a restarted reader, not so many lost reads."""

WRAP = 65_536
"""Readers count in 16 bits; a number that falls by nearly all of it has wrapped.

Inside the core a reader's numbers always rise: a wrap or a restart continues in the next 65 536.
"""

WRAP_FALL = 61_440

REPLAY_BACK = 64
"""A known number so far back is an old log being replayed, not a repeated answer."""

BACKLOG_MS = 3000
"""A reader that answers and has said nothing for so long has no old records left."""

REPLAY_MS = 60_000
"""So long after the last replayed record a reader is trusted again."""


class Ears:
    """The readers in one step: a working copy of their table."""

    __slots__ = ("draft", "layout", "now_ms", "table")

    def __init__(self, draft: "Draft", layout: Layout) -> None:
        self.draft = draft
        self.layout = layout
        self.now_ms = draft.image.now_ms
        self.table: dict[str, Ear] = dict(draft.volatile.people.ears)

    def delivered(self, reader: str, at_ms: int) -> None:
        """Note an exchange that brought records: the reader may have more."""
        self.answered(reader, at_ms)
        ear = self.table[reader]
        if ear.backlog_ms is not None:
            self.table[reader] = ear._replace(busy_ms=self.now_ms)

    def answered(self, reader: str, at_ms: int) -> None:
        """Note that a reader answered an exchange that began at `at_ms`."""
        ear = self.table[reader]
        if ear.answered_ms is None or at_ms > ear.answered_ms:
            self.table[reader] = ear._replace(answered_ms=at_ms)

    def earliest_ms(self, reader: str) -> int:
        """Return the time after which a new record of this reader must have been made."""
        ear = self.table[reader]
        if ear.backlog_ms is not None:
            return ear.backlog_ms
        return self.now_ms if ear.answered_ms is None else ear.answered_ms - SLACK_MS

    def place(
        self, reader: str, number: int, time_s: int | None, earliest_ms: int
    ) -> tuple[int, int] | None:
        """Return the unwrapped sequence and the earliest time; None for a record known already."""
        ear = self.table[reader]
        newest = ear.newest
        if newest is None:
            newest = self._first_number(reader) - 1
            ear = ear._replace(newest=newest)
        sequence = newest - newest % WRAP + number if number < WRAP else number
        if sequence < newest - WRAP_FALL:
            sequence += WRAP
        if sequence > newest:
            self._advance(reader, ear, sequence, time_s, earliest_ms)
            return sequence, earliest_ms
        if sequence in ear.missing:
            missing = dict(ear.missing)
            owed = missing.pop(sequence)
            self.table[reader] = ear._replace(missing=missing)
            self.draft.emit("reads_found", reader=reader, count=1, widens=self._widens(reader, 1))
            return sequence, owed.earliest_ms
        return self._known_number(reader, ear, sequence, time_s, earliest_ms)

    def _first_number(self, reader: str) -> int:
        """Return the lowest number that a reader brings in its first image of the run."""
        return min(
            each.sequence
            for each in self.draft.image.sightings
            if each.reader == reader and each.sequence is not None
        )

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
            widens = self._widens(reader, skipped)
            self.draft.emit("reads_lost", reader=reader, count=skipped, widens=widens)
        if time_s is None or (ear.newest_time_s or 0) > time_s:
            time_s = ear.newest_time_s
        self.table[reader] = ear._replace(newest=sequence, newest_time_s=time_s, missing=missing)

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
            sequence = (ear.newest // WRAP + 1) * WRAP + sequence % WRAP
            self.table[reader] = ear._replace(newest=sequence, newest_time_s=time_s, missing={})
            return sequence, earliest_ms
        if ear.newest - sequence > REPLAY_BACK:
            if ear.replayed_ms is None:
                self.draft.emit("reads_replayed", reader=reader)
            self.table[reader] = ear._replace(replayed_ms=self.now_ms)
        return None

    def _restarted(self, reader: str) -> None:
        """Say that a reader counts anew: what it saw before is not known to be complete."""
        blind = self.layout.places[reader].mouth and not self.layout.gates
        self.draft.emit("reader_restarted", reader=reader, blind=blind)

    def counts(self, sighting: Sighting) -> int:
        """Return 1 for a read without a badge that is new, 0 for one known already."""
        if sighting.sequence is None:
            return 1
        earliest_ms = self.earliest_ms(sighting.reader)
        time_s = sighting.reader_time_s
        return int(self.place(sighting.reader, sighting.sequence, time_s, earliest_ms) is not None)

    def lost(self, reader: str, count: int) -> None:
        """Say that so many reads of a reader are lost for good: nobody knows whose they were."""
        if count:
            widens = self._widens(reader, count)
            self.draft.emit("reads_lost", reader=reader, count=count, widens=widens)

    def settle(self) -> None:
        """End replays, backlogs and the wait for skipped numbers."""
        for reader, ear in list(self.table.items()):
            if ear.replayed_ms is not None and self.now_ms - ear.replayed_ms > REPLAY_MS:
                self.table[reader] = ear._replace(replayed_ms=None)
            if ear.backlog_ms is not None and self._is_drained(reader, ear):
                self.table[reader] = self.table[reader]._replace(backlog_ms=None)
            overdue = [n for n, m in ear.missing.items() if self.now_ms - m.since_ms > LATE_MS]
            if overdue:
                missing = {n: m for n, m in ear.missing.items() if n not in overdue}
                self.table[reader] = self.table[reader]._replace(missing=missing)

    def _widens(self, reader: str, count: int) -> int:
        """Return by how much lost reads widen the mine's count: at a mouth where no gate counts."""
        return count if self.layout.places[reader].mouth and not self.layout.gates else 0

    def _is_drained(self, reader: str, ear: Ear) -> bool:
        if reader in self.draft.durable.people.lost or ear.answered_ms is None:
            return False
        return self.now_ms - max(ear.busy_ms, self.draft.volatile.people.start_ms) > BACKLOG_MS

    def overflowed(self, reader: str, overflow: bool) -> None:
        """Follow a reader's own report that it has lost records: nobody knows how many."""
        ear = self.table[reader]
        if overflow == ear.overflow:
            return
        self.table[reader] = ear._replace(overflow=overflow)
        if overflow:
            mouth = self.layout.places[reader].mouth
            blind = mouth and not self.layout.gates
            self.draft.emit("reader_overflowed", reader=reader, blind=blind)
