"""Every history of a few acts: two readers, three badges, silence, crashes, a closed person.

People walk by a known truth; a silent reader goes on reading and tells it when it is back. I6: the
truth lies between lo and hi whenever no record is outstanding. I5: hi falls by no more than the
exits that were read and the people that two names closed. Badges are alike, so the next new one is
always the lowest.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from minewatch.core.state import State
from minewatch.model.mine import Reader

READERS = (
    Reader("below", "below", "pit", "d_below", outer="surface", mouth=True, directed=True),
    Reader("r_face", "face", "face", "d_face", outer="pit"),
)
BADGES = ("b1", "b2", "b3")
STEP_MS = 1_900
"""Between two cycles: longer would be a gap in time."""


@dataclass
class Story:
    """A rig, who is truly underground, and how many may have been taken off the count."""

    rig: Any
    inside: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()
    owed: tuple[tuple[str, int, int], ...] = ()
    silent: bool = False
    records: int = 0
    hi: int | None = None
    acts: tuple[str, ...] = field(default=())

    def branch(self, act: str) -> "Story":
        """Return a copy that goes its own way."""
        other = copy.copy(self)
        other.rig = copy.copy(self.rig)
        other.rig.events, other.rig.silent = [], set(self.rig.silent)
        other.rig._sightings, other.rig._samples = [], []
        other.acts = (*self.acts, act)
        return other

    def pass_by(self, cycles: int) -> None:
        """Let cycles go by, each of them checked."""
        for _ in range(cycles):
            self.rig.turn(passed_ms=STEP_MS)
            self._check()

    def _check(self) -> None:
        lo, hi = self.rig.span
        taken_off = sum(each.kind in ("person_closed", "badge_left") for each in self.rig.events)
        self.rig.events = []
        if hi is not None and self.hi is not None:
            assert self.hi - hi <= taken_off, self.acts
        self.hi = hi
        if not self.silent:
            assert lo <= len(self.inside), (self.acts, lo)
            assert hi is None or len(self.inside) <= hi, (self.acts, hi)

    def tell(self) -> None:
        """Let the reader at the mouth tell what it has read."""
        for badge, way, number in self.owed:
            self.rig.sees("below", badge, way=way, sequence=number)
        self.owed = ()


def _acts(story: Story) -> Iterator[Story]:
    """Yield every way in which the story may go on."""
    fresh = next((each for each in BADGES if each not in story.known), None)
    walkers = sorted(story.known | ({fresh} if fresh else set()))
    for badge in walkers:
        is_in = badge in story.inside
        yield _walked(story, badge, to=not is_in)
        if is_in:
            yield _seen_in_the_face(story, badge)
    yield _toggled(story)
    yield _crashed(story)
    for badge in sorted(story.known - story.inside):
        yield _closed(story, badge)


def _walked(story: Story, badge: str, *, to: bool) -> Story:
    other = story.branch(f"{badge} {'in' if to else 'out'}")
    other.known |= {badge}
    other.inside = other.inside | {badge} if to else other.inside - {badge}
    other.records += 1
    other.owed += ((badge, 1 if to else -1, other.records),)
    if not other.silent:
        other.tell()
    other.pass_by(7)
    return other


def _seen_in_the_face(story: Story, badge: str) -> Story:
    other = story.branch(f"{badge} at the face")
    other.rig.sees("r_face", badge)
    other.pass_by(2)
    return other


def _toggled(story: Story) -> Story:
    """The mouth reader falls silent or comes back and tells what it has read meanwhile."""
    other = story.branch("reader back" if story.silent else "reader silent")
    if story.silent:
        other.rig.silent = set()
        other.tell()
        other.rig.turn(passed_ms=STEP_MS)
    else:
        other.rig.silent = {"below"}
    other.silent = not story.silent
    other.pass_by(8)
    return other


def _crashed(story: Story) -> Story:
    other = story.branch("crash")
    other.rig.state = State(durable=story.rig.state.durable)
    other.pass_by(4)
    return other


def _closed(story: Story, badge: str) -> Story:
    """Two names close a person who has come out, whatever the count says."""
    other = story.branch(f"{badge} closed")
    other.rig.seconded("close_person", "clerk", "disp", badge=badge)
    other.pass_by(2)
    return other


def _count(story: Story, depth: int) -> int:
    """Walk every history of so many acts; return how many there were."""
    if depth == 0:
        return 1
    return sum(_count(each, depth - 1) for each in _acts(story))


def _begun(rig_of: Any) -> Story:
    story = Story(rig_of(gates=False, readers=READERS))
    story.pass_by(8)
    return story


def test_every_history_of_five_acts(rig_of: Any) -> None:
    """All of them: the truth lies between lo and hi, and nobody vanishes from the count."""
    assert _count(_begun(rig_of), 5) > 500


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_every_history_of_seven_acts(rig_of: Any) -> None:
    """All of them, two acts deeper."""
    assert _count(_begun(rig_of), 7) > 5_000
