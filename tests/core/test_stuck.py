"""Stuck heads: FROZEN only beside companions that move, else a look; ended by any change."""

from dataclasses import replace

import pytest

from minewatch.core.fold import recover
from minewatch.core.rebase import rebase
from minewatch.core.step import step
from minewatch.core.view import view
from minewatch.model.image import Reading, Sample
from minewatch.model.kind import Kind
from minewatch.model.mine import Point
from minewatch.model.quality import Quality
from minewatch.model.values import Values

MINUTE_MS = 60_000
AFTER_MS = 5 * MINUTE_MS
VALUES = Values(suspect_ms=10 * MINUTE_MS, replay_values_max=6, replay_changes_min=3)


class Face:
    """A face of two heads and the coal-cutting flag; time passes in scans of half a second."""

    def __init__(self, rig) -> None:
        self.rig = rig
        self.head = 33
        self.cutting: int | Quality = 1
        self.moves = True
        self.neighbour: int | Quality = 40
        self._scans = 0

    def scan(self, ms: int = 500) -> None:
        """Read everything once; the neighbour wobbles while it moves."""
        self._scans += 1
        wobble = self._scans // 20 % 2 if self.moves else 0
        neighbour = self.neighbour
        if not isinstance(neighbour, Quality):
            neighbour += wobble
        self.rig.world.update({"Z0_H0": self.head, "Z0_H1": neighbour, "CUT": self.cutting})
        self.rig.turn(ms=ms, scan=True)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds * 2)):
            self.scan()

    @property
    def quality(self) -> str:
        """Return what the watched head counts as."""
        return self.rig.state.volatile.points.live["Z0_H0"].quality.name


def _mine(mine_of, companions=("Z0_H1", "CUT"), *, after_ms: int = AFTER_MS, values=VALUES):
    mine = mine_of(zones=1, heads=2, values=values)
    points = tuple(
        replace(each, companions=companions, stuck_after_ms=after_ms)
        if each.id == "Z0_H0"
        else each
        for each in mine.points
    )
    return replace(
        mine, points=(*points, Point("CUT", "", Kind.COAL_CUTTING, "Z0", "input", "cut", ""))
    )


@pytest.fixture
def face(rig_of, mine_of):
    """Return a builder of faces in service."""

    def build(*args, **parts) -> Face:
        rig = rig_of(_mine(mine_of, *args, **parts))
        rig.world.update({"Z0_H0": 33, "CUT": 1})
        made = Face(rig.start())
        made.scan()
        return made

    return build


def _frozen(face: Face) -> list[dict]:
    return [each.data for each in face.rig.of("frozen_found")]


def test_it_is_found_after_its_time_of_moving_companions(face) -> None:
    """Five minutes in which all companions moved, then FROZEN, an event with its evidence."""
    made = face()
    made.run(350)
    assert (_frozen(made), made.quality) == ([], "GOOD")
    made.run(20)
    (said,) = _frozen(made)
    assert made.quality == "FROZEN"
    assert (said["value"], said["moving_ms"], said["point"]) == (33, AFTER_MS, "Z0_H0")
    assert said["companions"] == ["Z0_H1", "CUT"]
    shown = view(made.rig.mine, made.rig.state, made.rig.now_ms)
    assert shown["frozen"] == {"Z0_H0": {"value": 33, "since_ms": said["since_ms"]}}
    assert shown["points"]["Z0_H0"]["value"] is None
    made.run(120)
    assert len(_frozen(made)) == 1


def test_it_counts_as_lost(face) -> None:
    """The fault alarm after ten seconds, the fault lock after the place's fault time."""
    made = face()
    while made.quality == "GOOD":
        made.scan()
    made.run(9)
    assert made.rig.causes == []
    made.run(2)
    assert made.rig.causes == ["fault:Z0_H0"]
    assert [e.data["source"] for e in made.rig.of("alarm_raised")] == ["Z0_H0"]


@pytest.mark.parametrize(
    "stop",
    [
        {"cutting": 0},
        {"moves": False},
        {"cutting": Quality.COMM_FAULT},
        {"neighbour": Quality.COMM_FAULT},
    ],
)
def test_one_companion_that_rests_is_enough_against_it(face, stop: dict) -> None:
    """Where the flag is off, the other head rests, or one of them is lost, no time counts."""
    made = face()
    for name, value in stop.items():
        setattr(made, name, value)
    made.run(480)
    assert _frozen(made) == []
    assert "fault:Z0_H0" not in made.rig.causes


def test_time_counts_on_after_a_rest(face) -> None:
    """A break in the middle neither counts nor forgets what had counted."""
    made = face()
    made.run(245)
    made.cutting = 0
    made.run(600)
    assert _frozen(made) == []
    made.cutting = 1
    made.run(60)
    assert _frozen(made) == []
    made.run(120)
    assert [each["moving_ms"] for each in _frozen(made)] == [AFTER_MS]


def test_a_flag_that_was_off_in_between_spoils_its_minute(face) -> None:
    """The flag must be on at every look of a minute, at its first and its last as well."""
    made = face()
    for n in range(1000):
        made.cutting = 0 if n % 110 == 0 else 1
        made.scan()
    assert _frozen(made) == []


@pytest.mark.parametrize("by", [1, -1])
def test_one_unit_ends_it_at_once(face, by: int) -> None:
    """Another value is life: GOOD in the very step, said once, and the time begins anew."""
    made = face()
    made.run(372)
    made.head += by
    made.scan()
    assert made.quality == "GOOD"
    (ended,) = made.rig.of("frozen_ended")
    assert (ended.data["reason"], ended.data["value"]) == ("moved", 33 + by)
    made.run(350)
    assert len(_frozen(made)) == 1


def test_a_wobble_begins_the_time_anew(face) -> None:
    """A head that moves by one unit every five minutes is alive."""
    made = face()
    for n in range(4):
        made.head = 33 + n % 2
        made.run(330)
    assert _frozen(made) == []


def test_a_frozen_head_that_comes_alive_high_cuts_in_that_step(face) -> None:
    """Nothing that freezing does delays a trip."""
    made = face()
    made.run(372)
    made.head = 150
    made.scan()
    assert "trip:Z0_H0" in made.rig.causes


def test_what_it_raised_holds(face) -> None:
    """Frozen above a limit: the alarm stands, is not cleared and is not raised anew."""
    made = face()
    made.head = 120
    made.run(392)
    assert made.quality == "FROZEN"
    assert not made.rig.of("alarm_cleared")
    kinds = [e.data["alarm_kind"] for e in made.rig.of("alarm_raised")]
    assert kinds.count("gas_over_limit") == 1


def test_a_head_on_zero_only_wants_a_look(face) -> None:
    """The zero of a healthy head is cut off: it never freezes there, it is named once."""
    made = face()
    made.head = 0
    made.run(480)
    assert (_frozen(made), made.rig.causes) == ([], [])
    (said,) = made.rig.of("value_suspected")
    assert (said.data["reason"], said.data["value"]) == ("zero", 0)
    made.head = 1
    made.scan()
    assert [e.data["point"] for e in made.rig.of("suspicion_ended")] == ["Z0_H0"]


def test_without_a_time_of_its_own_it_only_wants_a_look(face) -> None:
    """A kind that no real series has shown standing still is named after its long time alone."""
    made = face(after_ms=0)
    made.run(590)
    assert not made.rig.of("value_suspected")
    made.run(80)
    (said,) = made.rig.of("value_suspected")
    assert (said.data["reason"], _frozen(made)) == ("constant", [])
    shown = view(made.rig.mine, made.rig.state, made.rig.now_ms)["suspects"]
    assert shown == {"Z0_H0": {"reason": "constant", "since_ms": said.data["since_ms"]}}
    made.run(300)
    assert len(made.rig.of("value_suspected")) == 1


def test_beside_resting_companions_it_only_wants_a_look(face) -> None:
    """An idle weekend: nothing moves, so nothing is lost, and after long somebody may look."""
    made = face()
    made.cutting, made.moves = 0, False
    made.run(700)
    assert [e.data["reason"] for e in made.rig.of("value_suspected")] == ["constant"]
    assert made.quality == "GOOD"


def test_a_reading_that_is_not_good_begins_anew(face) -> None:
    """A head that was away has not been standing still meanwhile."""
    made = face()
    made.run(340)
    made.head = Quality.COMM_FAULT
    made.scan()
    made.head = 33
    made.run(350)
    assert _frozen(made) == []


def test_it_survives_a_crash(face) -> None:
    """After a restart the same value is FROZEN from its first reading, another one ends it."""
    made = face()
    made.run(372)
    before = made.rig.state.durable.stuck
    made.rig.restart(durable=recover(made.rig.events))
    made.scan()
    assert made.quality == "FROZEN"
    assert made.rig.state.durable.stuck == before
    made.head = 34
    made.scan()
    assert made.quality == "GOOD"
    assert made.rig.of("frozen_ended")


def test_its_age_is_carried_over_a_reboot(face) -> None:
    """Where the clock begins anew, what stood for five minutes has still stood that long."""
    made = face(after_ms=0)
    made.run(690)
    before = view(made.rig.mine, made.rig.state, made.rig.now_ms)["suspects"]["Z0_H0"]
    last_ms = made.rig.state.durable.now_ms
    made.rig.now_ms = 2_000
    made.rig.restart(down_ms=500)
    after = view(made.rig.mine, made.rig.state, made.rig.now_ms)["suspects"]["Z0_H0"]
    assert last_ms - before["since_ms"] == 2_500 - after["since_ms"]


def test_what_is_no_longer_watched_is_let_go(face, mine_of) -> None:
    """Another configuration without companions ends what nothing else could end."""
    made = face()
    made.run(372)
    bare = _mine(mine_of, ())
    taken = rebase(made.rig.mine, bare, made.rig.state, made.rig.image)
    assert [e.kind for e in taken.events] == ["configuration_loaded"]
    made.rig.mine, made.rig.state = bare, taken.state
    made.scan()
    made.scan()
    assert made.rig.of("frozen_ended")[-1].data["reason"] == "unwatched"
    assert made.quality == "GOOD"


def test_a_suspicion_of_what_is_no_longer_watched_is_let_go(face, mine_of) -> None:
    """Nobody can look at a suspicion that nothing could end."""
    made = face(after_ms=0)
    made.run(700)
    assert made.rig.of("value_suspected")
    made.rig.mine = _mine(mine_of, ())
    made.scan()
    assert len(made.rig.of("suspicion_ended")) == 1
    assert not view(made.rig.mine, made.rig.state, made.rig.now_ms)["suspects"]


def test_a_frozen_head_may_not_vanish(face, mine_of) -> None:
    """A configuration without the point is refused while it is FROZEN."""
    made = face()
    made.run(372)
    mine = _mine(mine_of)
    less = replace(mine, interlocks=(), points=tuple(p for p in mine.points if p.id != "Z0_H0"))
    taken = rebase(made.rig.mine, less, made.rig.state, made.rig.image)
    assert "point_in_use:Z0_H0" in taken.events[0].data["reasons"]


def test_a_replayed_buffer_wants_a_look(face) -> None:
    """A passage that comes twice value by value is named, and no longer once it goes on else."""
    made = face()
    for value in (30, 31, 33, 32, 31, 34) * 3:
        made.head = value
        made.scan()
    assert [e.data["reason"] for e in made.rig.of("value_suspected")] == ["repeated"]
    assert made.quality == "GOOD"
    for value in range(30, 60):
        made.head = value
        made.scan()
    assert [e.data["point"] for e in made.rig.of("suspicion_ended")] == ["Z0_H0"]


def test_at_most_so_many_wait_for_a_look(face, monkeypatch) -> None:
    """Beyond the bound nobody is told apart, and nothing breaks."""
    monkeypatch.setattr("minewatch.core.readings.stuck.SUSPECTS_MAX", 0)
    made = face(after_ms=0)
    made.run(700)
    assert not made.rig.of("value_suspected")


def test_a_late_scan_counts_one_minute(face) -> None:
    """Time in which nobody looked is not time in which it stood still."""
    made = face()
    for _ in range(4):
        made.run(62)
        made.rig.turn(ms=1_900)
        made.rig.turn(ms=1_900)
    assert _frozen(made) == []


@pytest.mark.parametrize(("stamped_ms", "since_ms"), [(-300, -300), (0, 0), (300, 0)])
def test_time_is_that_of_the_sample(face, stamped_ms: int, since_ms: int) -> None:
    """A head stands on a value since its sample, and never since a time to come."""
    made = face()
    made.scan()
    image = made.rig.image
    readings = (Reading("Z0_H1", 41, Quality.GOOD), Reading("Z0_H0", 50, Quality.GOOD))
    sample = Sample("head", image.now_ms + 500 + stamped_ms, readings)
    later = replace(image, now_ms=image.now_ms + 500, samples=(sample,), commands=())
    state = step(made.rig.mine, made.rig.state, later).state
    track = state.volatile.stuck.tracks["Z0_H0"]
    assert (track.value, track.since_ms) == (50, later.now_ms + since_ms)
    assert set(state.volatile.stuck.tracks) == {"Z0_H0"}


@pytest.mark.parametrize(
    "reading", [Reading("Z0_H0", 33, Quality.CALIBRATION), Reading("Z0_H0", None, Quality.GOOD)]
)
def test_only_a_good_value_is_followed(face, reading: Reading) -> None:
    """The gas of a bottle, and a reading that says GOOD without a value, begin anew."""
    made = face()
    made.scan()
    image = made.rig.image
    sample = Sample("head", image.now_ms + 500, (reading,))
    later = replace(image, now_ms=image.now_ms + 500, samples=(sample,), commands=())
    state = step(made.rig.mine, made.rig.state, later).state
    assert state.volatile.stuck.tracks == {}
