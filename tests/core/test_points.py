"""Staleness, gaps and the order of samples."""

from dataclasses import replace

import pytest

from minewatch.core.alarms.alarm import is_active
from minewatch.core.plan import build
from minewatch.core.step import step
from minewatch.core.wheel import Turning, Wheel
from minewatch.model.alarm import AlarmKind
from minewatch.model.image import Image, Reading, Sample
from minewatch.model.mine import Bus
from minewatch.model.quality import Quality


def _sample(rig, at_ms: int, value: int, now_ms: int):
    image = Image(
        rig.cycle,
        now_ms,
        rig.wall_ms + now_ms - rig.now_ms,
        True,
        10**6,
        (Sample("head", at_ms, (Reading("Z0_H0", value, Quality.GOOD),)),),
    )
    decided = step(rig.mine, rig.state, image)
    rig.state, rig.now_ms, rig.wall_ms = decided.state, now_ms, image.wall_ms
    rig.events += decided.events
    return decided


def _pass(rig, ms: int) -> None:
    """Let time go by in cycles that read nothing; a longer one would be a gap."""
    for left_ms in range(ms, 0, -1000):
        rig.turn(ms=min(left_ms, 1000))


@pytest.mark.parametrize(
    ("scan_ms", "stale_ms"), [(100, 2000), (1000, 3000), (3000, 9000), (9000, 10_000)]
)
def test_the_stale_limit_is_three_scans_within_bounds(mine_of, scan_ms, stale_ms) -> None:
    """Three scans, never under 2 s nor over 10 s."""
    mine = mine_of(buses=tuple(Bus(b, "", scan_ms) for b in ("gas", "fan", "relay", "proof")))
    assert build(mine).points["Z0_H0"].stale_ms == stale_ms


def test_a_point_is_stale_right_after_its_limit(rig) -> None:
    """At the limit it is still GOOD, one cycle later it is STALE and has no value, but a last."""
    rig.turn(readings={"Z0_H0": 33})
    rig.turn(ms=1500)
    rig.turn(ms=1500)
    assert rig.state.volatile.points.live["Z0_H0"].quality is Quality.GOOD
    rig.turn(ms=1)
    live = rig.state.volatile.points.live["Z0_H0"]
    assert (live.quality, live.value, live.last) == (Quality.STALE, None, 33)


def test_a_head_that_falls_silent_alone_is_stale_at_its_own_time(rig) -> None:
    """Neighbours on the same device that answer, or are long lost, move nobody's limit."""
    heard = {"Z0_H0": 33, "Z0_H1": 5, "Z1_H0": 7, "Z1_H1": Quality.COMM_FAULT}
    rig.turn(readings=heard)
    for _ in range(29):
        rig.turn(readings={"Z0_H1": 5, "Z1_H0": 7})
    rig.turn(readings={"Z0_H1": 5})
    live = rig.state.volatile.points.live
    assert [live[each].quality for each in ("Z0_H0", "Z1_H0")] == [Quality.GOOD, Quality.GOOD]
    rig.turn(ms=1)
    live = rig.state.volatile.points.live
    assert {each: live[each].quality for each in heard} == {
        "Z0_H0": Quality.STALE,
        "Z0_H1": Quality.GOOD,
        "Z1_H0": Quality.GOOD,
        "Z1_H1": Quality.COMM_FAULT,
    }
    _pass(rig, 2899)
    assert rig.state.volatile.points.live["Z1_H0"].quality is Quality.GOOD
    rig.turn(ms=1)
    assert rig.state.volatile.points.live["Z1_H0"].quality is Quality.STALE


def test_points_of_one_device_keep_scans_of_their_own(rig_of, mine_of) -> None:
    """The one that is read often is stale first, whichever of them was read last."""
    mine = mine_of()
    points = [replace(p, scan_ms=3000) if p.id == "Z0_H0" else p for p in mine.points]
    rig = rig_of(replace(mine, points=tuple(points))).start()
    rig.turn(readings={"Z0_H1": 5})
    rig.turn(ms=100, readings={"Z0_H0": 33})
    for ms, first, second in ((2900, 0, 0), (1, 0, 1), (6099, 0, 1), (1, 1, 1)):
        _pass(rig, ms)
        live = rig.state.volatile.points.live
        stale = [int(live[each].quality is Quality.STALE) for each in ("Z0_H0", "Z0_H1")]
        assert stale == [first, second], ms


def test_a_configuration_with_shorter_scans_makes_old_values_stale_at_once(rig) -> None:
    """What was young enough for the mine before is judged by the new one's limit."""
    rig.turn(readings={"Z0_H0": 33})
    _pass(rig, 2500)
    assert rig.state.volatile.points.live["Z0_H0"].quality is Quality.GOOD
    rig.mine = replace(rig.mine, buses=tuple(replace(b, scan_ms=500) for b in rig.mine.buses))
    rig.turn(ms=100)
    assert rig.state.volatile.points.live["Z0_H0"].quality is Quality.STALE


def test_a_turn_in_which_nothing_is_due_touches_no_deadline(rig) -> None:
    """The wheel of the cycle before is the wheel of this one: an idle turn copies nothing."""
    rig.turn(scan=True)
    rig.turn()
    before = rig.state.volatile.points
    rig.turn()
    assert rig.state.volatile.points.wheel is before.wheel
    assert rig.state.volatile.points.live is before.live


def test_a_gap_in_time_makes_everything_stale_before_anything_is_good(rig) -> None:
    """A suspended box wakes up with STALE points; only samples of after the gap are GOOD."""
    asleep_ms = rig.now_ms
    decided = _sample(rig, asleep_ms + 50, 10, asleep_ms + 30_000)
    live = decided.state.volatile.points.live
    assert all(each.quality is Quality.STALE for each in live.values())
    assert "time_gap" in [each.kind for each in decided.events]
    assert decided.outputs is None
    _sample(rig, rig.now_ms + 50, 10, rig.now_ms + 100)
    assert rig.state.volatile.points.live["Z0_H0"].quality is Quality.GOOD
    assert rig.state.volatile.points.live["Z0_H1"].quality is Quality.STALE


def test_an_older_sample_never_overwrites_but_may_raise(rig) -> None:
    """A late reply changes no value and clears nothing; an exceedance in it still trips."""
    now_ms = rig.now_ms
    _sample(rig, now_ms + 80, 10, now_ms + 100)
    _sample(rig, now_ms + 20, 160, now_ms + 200)
    assert rig.state.volatile.points.live["Z0_H0"].value == 10
    assert rig.causes == ["trip:Z0_H0"]
    _sample(rig, now_ms + 10, 0, now_ms + 300)
    assert is_active(rig.state.durable, AlarmKind.TRIP, "Z0_H0")


def test_a_sample_that_arrives_stale_is_not_good(rig) -> None:
    """What was sampled before the stale limit raises but never counts as GOOD."""
    rig.world.pop("Z0_H0")
    rig.run(5)
    _sample(rig, rig.now_ms - 4000, 10, rig.now_ms + 100)
    assert rig.state.volatile.points.live["Z0_H0"].quality is Quality.STALE


def test_over_range_is_latched_and_counts_as_above_every_limit(rig) -> None:
    """A head that falls back from beyond its range is not believed: no clear, no release."""
    rig.turn(readings={"Z0_H0": Quality.OVER_RANGE})
    assert rig.last.outputs["cut_Z0"] is False
    rig.world["Z0_H0"] = 0
    rig.run(30)
    live = rig.state.volatile.points.live["Z0_H0"]
    assert (live.quality, live.level) == (Quality.OVER_RANGE, 4)
    assert is_active(rig.state.durable, AlarmKind.OVER_RANGE, "Z0_H0")
    rig.run(40)
    assert rig.release("cut_Z0", values={"Z0_H0": 5}).kind == "release_granted"
    rig.run(2)
    assert rig.state.volatile.points.live["Z0_H0"].quality is Quality.GOOD
    assert rig.last.outputs["cut_Z0"] is True
    assert not is_active(rig.state.durable, AlarmKind.OVER_RANGE, "Z0_H0")


def test_over_range_without_an_output_ends_with_a_hand_value(rig_of, mine_of) -> None:
    """Where there is nothing to release, 60 s GOOD and a hand value end the latch."""
    rig = rig_of(mine_of(interlocks=())).start()
    rig.turn(readings={"Z0_H0": Quality.OVER_RANGE})
    rig.run(70)
    assert "Z0_H0" in rig.state.durable.points.over
    rig.command("hand_value", "S7", point="Z0_H0", value=5)
    rig.run(1)
    assert not rig.state.durable.points.over


def test_an_unknown_point_is_ignored(rig) -> None:
    """A reader's own health reading and a foreign id change nothing here."""
    image = Image(
        rig.cycle, rig.now_ms + 100, rig.wall_ms + 100, True, 10**6,
        (Sample("x", rig.now_ms, (Reading("nobody", 400, Quality.GOOD),)),),
    )  # fmt: skip
    assert step(rig.mine, rig.state, image).events == ()


def test_the_wheel_gives_each_device_once_at_its_earliest_deadline() -> None:
    """A later deadline moves nothing; a device that was given is forgotten."""
    turning = Turning(Wheel(), {})
    for device, due_ms in (("d1", 480), ("d1", 150), ("d1", 300), ("d2", 200)):
        turning.watch(device, due_ms)
    turning = Turning(turning.frozen(), {})
    assert turning.devices_due(149) == []
    assert turning.devices_due(150) == ["d1"]
    turning = Turning(turning.frozen(), {})
    assert turning.devices_due(10_000) == ["d2"]
    assert turning.frozen() == Wheel()


@pytest.mark.parametrize("home", [{}, {"a": "d1"}, {"a": "d1", "b": "d1"}, {"a": "d1", "b": "d2"}])
def test_the_wheel_gives_each_name_once_at_its_newest_deadline(home) -> None:
    """An earlier entry of a name is void; a deadline later in the bucket waits for its ms."""
    turning = Turning(Wheel(), home)
    turning.schedule("a", 150)
    turning.schedule("a", 480)
    turning.schedule("b", 150)
    assert turning.due(149) == []
    turning = Turning(turning.frozen(), home)
    assert turning.due(150) == ["b"]
    assert turning.due(479) == []
    turning = Turning(turning.frozen(), home)
    assert turning.due(10_000) == ["a"]
    assert turning.frozen() == Wheel()
