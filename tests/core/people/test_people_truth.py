"""The headcount against a known truth: people walk, ride and are misread at random (I5–I8)."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from minewatch.model.image import Sighting

WAY = {1: "in", -1: "out"}


@dataclass
class Faults:
    """How the readers of one world lie. `dies` lets a silent reader hear nothing, not even late."""

    antenna: float = 0.0
    skipped: float = 0.0
    doubled: float = 0.0
    delayed: float = 0.0
    dies: bool = True


@dataclass
class World:
    """People with a true place, readers with queues, and what the core is told of them."""

    rng: random.Random
    faults: Faults
    people: int = 12
    place: dict[str, str] = field(default_factory=dict)
    busy_until: dict[str, int] = field(default_factory=dict)
    queues: dict[str, list[Sighting]] = field(default_factory=dict)
    sequence: dict[str, int] = field(default_factory=dict)
    hidden: dict[str, bool] = field(default_factory=dict)
    proven: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    gate: list[int] = field(default_factory=lambda: [0, 0])

    def __post_init__(self) -> None:
        self.place = {f"b{n}": "surface" for n in range(self.people)}
        self.busy_until = dict.fromkeys(self.place, 0)

    @property
    def inside(self) -> int:
        """How many are truly underground; who rides the cage is."""
        return sum(1 for place in self.place.values() if place != "surface")

    @property
    def in_face(self) -> int:
        """How many are truly in the face."""
        return sum(1 for place in self.place.values() if place == "face")

    def hear(self, reader: str, badge: str, now_ms: int, way: int = 0) -> None:
        """Let a reader hear a badge, or lose it: unnumbered in the antenna, or as a number."""
        if reader in self.dead or self.rng.random() < self.faults.antenna:
            return
        for _ in range(2 if self.rng.random() < self.faults.doubled else 1):
            number = self.sequence.get(reader, 0) + 1
            self.sequence[reader] = number
            if reader in self.proven and self.rng.random() < self.faults.skipped:
                self.hidden[reader] = True
                continue
            record = Sighting(reader, badge, now_ms, way, 0, number, now_ms // 1000)
            self.queues.setdefault(reader, []).append(record)

    def move(self, now_ms: int) -> None:
        """Let each person who is free perhaps go one step."""
        for badge in self.place:
            if self.busy_until[badge] > now_ms or self.rng.random() > 0.1:
                continue
            self.busy_until[badge] = now_ms + self.rng.randint(12_000, 25_000)
            self._step(badge, now_ms)

    def _step(self, badge: str, now_ms: int) -> None:
        place = self.place[badge]
        goal = self.rng.choice(
            {
                "surface": ["down"],
                "down": ["pit"],
                "pit": ["up", "west", "west"],
                "up": ["surface"],
                "west": ["pit", "face"],
                "face": ["west"],
            }[place]
        )
        self.place[badge] = goal
        if goal == "down":
            self.gate[0] += 1
            self.hear("above", badge, now_ms, 1)
        elif goal == "up":
            self.hear("below", badge, now_ms, -1)
        elif goal == "surface":
            self.gate[1] += 1
            self.hear("above", badge, now_ms, -1)
        elif goal == "pit" and place == "down":
            self.hear("below", badge, now_ms, 1)
        elif goal in ("west", "face"):
            self.hear(f"r_{goal}", badge, now_ms)

    def deliver(self, now_ms: int, unreachable: set[str]) -> list[Sighting]:
        """Take what readers give in one poll: shuffled, some of it a poll later."""
        given: list[Sighting] = []
        for reader, queue in self.queues.items():
            if reader in unreachable or not queue:
                continue
            late = self.faults.delayed if reader in self.proven else 0.0
            kept = [each for each in queue if self.rng.random() < late]
            out = [each for each in queue if each not in kept]
            self.queues[reader] = kept
            self.rng.shuffle(out)
            self.proven |= {reader} if out else set()
            given += [each._replace(sampled_ms=now_ms) for each in out]
            if any(each.sequence == self.sequence[reader] for each in out):
                self.hidden[reader] = False
        return given


def play(rig: Any, world: World, seconds: int, check: Callable[[set[str]], None]) -> None:
    """Run the world against the core and check after every cycle; readers and the core may die."""
    unreachable: set[str] = set()
    until_ms = 0
    sent: list[Sighting] = []
    for _ in range(seconds):
        if unreachable and rig.now_ms > until_ms:
            unreachable, world.dead = set(), set()
        elif not unreachable and world.rng.random() < 0.01:
            unreachable = {world.rng.choice(("above", "below", "r_west", "r_face"))}
            dies = world.faults.dies and world.rng.random() < 0.5
            world.dead = set(unreachable) if dies else set()
            until_ms = rig.now_ms + world.rng.randint(3000, 40_000)
        if world.rng.random() < 0.01 and not any(world.hidden.values()):
            world.proven.clear()
            rig.crash(away_ms=world.rng.randint(1000, 8000))
            rig._sightings += [s for s in sent[-5:] if s.reader not in unreachable]
        world.move(rig.now_ms)
        rig.gate = list(world.gate)
        rig.silent = set(unreachable)
        sent = world.deliver(rig.now_ms, unreachable) or sent
        rig._sightings += sent if sent and sent[0].sampled_ms == rig.now_ms else []
        rig.turn()
        check(unreachable)


FAULTS = st.builds(
    Faults,
    antenna=st.sampled_from((0.0, 0.1, 0.2)),
    skipped=st.sampled_from((0.0, 0.1)),
    doubled=st.sampled_from((0.0, 0.2)),
    delayed=st.sampled_from((0.0, 0.2)),
)


def settled(events: tuple[Any, ...]) -> int:
    """Count what may lower hi: exits read, corrections, lost records found.

    Entering again from the surface proves an exit.
    """
    kinds = ("person_closed", "badge_left", "reads_found")
    return sum(1 for event in events if event.kind in kinds)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), faults=FAULTS)
def test_truth_stays_between_lo_and_hi_with_a_gate(
    rig_of: Callable[..., Any], seed: int, faults: Faults
) -> None:
    """Whatever readers lose, repeat, delay or bury: lo <= truth <= hi at every cycle (I6)."""
    rig = rig_of(headcount_limit=6)
    world = World(random.Random(seed), faults)
    before: list[Any] = [rig.span[1], 0]

    def check(unreachable: set[str]) -> None:
        lo, hi = rig.span
        assert lo <= world.inside, rig.headcount
        assert hi is None or world.inside <= hi, rig.headcount
        _check_i5_i7_i8(rig, before, unreachable)

    play(rig, world, 240, check)


def _check_i5_i7_i8(rig: Any, before: list[Any], unreachable: set[str]) -> None:
    """Check what holds without the truth: hi falls by exits, silence shows, over-limit alarms."""
    lo, hi = rig.span
    new = tuple(rig.events[before[1] :])
    if hi is not None and before[0] is not None:
        assert before[0] - hi <= settled(new)
    before[:] = [hi, len(rig.events)]
    headcount = rig.headcount
    lost = set(rig.state.durable.people.lost) & {"above", "below"}
    if lost:
        assert headcount["at_least"]
        assert {r["source"] for r in headcount["reasons"] if r["code"] == "reader_down"} >= lost
    if hi is not None and hi > headcount["limit"]:
        assert rig.alarms() & {("over_limit", "mine"), ("maybe_over_limit", "mine")}
    if lo > headcount["limit"]:
        assert ("over_limit", "mine") in rig.alarms()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), faults=FAULTS)
def test_truth_stays_between_lo_and_hi_without_a_gate(
    rig_of: Callable[..., Any], seed: int, faults: Faults
) -> None:
    """Without a gate a lost read shows as a skipped number: I6 holds once the next one has come."""
    faults.antenna, faults.dies = 0.0, False
    rig = rig_of(gates=False, headcount_limit=6)
    world = World(random.Random(seed), faults)
    before: list[Any] = [rig.span[1], 0]

    def check(unreachable: set[str]) -> None:
        lo, hi = rig.span
        owed = any(world.hidden.values()) or any(world.queues.values()) or unreachable
        if not owed:
            assert lo <= world.inside, rig.headcount
            assert hi is None or world.inside <= hi, rig.headcount
        _check_i5_i7_i8(rig, before, unreachable)

    play(rig, world, 240, check)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), faults=FAULTS)
@example(seed=39916800, faults=Faults(skipped=0.1, delayed=0.2))
def test_the_face_is_counted_between_lo_and_hi(
    rig_of: Callable[..., Any], seed: int, faults: Faults
) -> None:
    """A face's count brackets the truth while its own and its neighbour's reader show losses."""
    faults.antenna, faults.dies = 0.0, False
    rig = rig_of()
    world = World(random.Random(seed), faults)

    def check(unreachable: set[str]) -> None:
        lo, hi = rig.zone_span("face")
        owed = any(world.hidden.values()) or any(world.queues.values()) or unreachable
        if not owed:
            assert lo <= world.in_face, rig.headcount
            assert hi is None or world.in_face <= hi, rig.headcount

    play(rig, world, 240, check)


@pytest.mark.nightly
@pytest.mark.timeout(7200)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), faults=FAULTS)
def test_truth_stays_between_lo_and_hi_through_long_shifts(
    rig_of: Callable[..., Any], seed: int, faults: Faults
) -> None:
    """The same as the first, longer and more often."""
    rig = rig_of(headcount_limit=6)
    world = World(random.Random(seed), faults, people=20)
    before: list[Any] = [rig.span[1], 0]

    def check(unreachable: set[str]) -> None:
        lo, hi = rig.span
        assert lo <= world.inside
        assert hi is None or world.inside <= hi
        _check_i5_i7_i8(rig, before, unreachable)

    play(rig, world, 600, check)
