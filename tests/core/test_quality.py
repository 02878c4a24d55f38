"""What each quality may do: raise, clear, make a fault lock (design rule 3)."""

from collections.abc import Callable

import pytest

from minewatch.core.alarms.alarm import is_active
from minewatch.model.alarm import AlarmKind
from minewatch.model.image import Reading, Sample
from minewatch.model.mine import Mine
from minewatch.model.quality import Quality

RAISES = {Quality.GOOD, Quality.OVER_RANGE}
CLEARS = {Quality.GOOD}
NEVER_LOCKS = {Quality.GOOD}


def _turn(rig, quality: Quality, value: int | None) -> None:
    """Give one reading with both a value and a quality; no quality but GOOD makes it count."""
    rig.turn(readings={})
    image_reading = Reading("Z0_H0", value, quality)
    rig.now_ms += 100
    from minewatch.core.step import step
    from minewatch.model.image import Image

    image = Image(
        rig.cycle,
        rig.now_ms,
        rig.wall_ms,
        True,
        rig.state.durable.index,
        (Sample("head", rig.now_ms, (image_reading,)),),
    )
    decided = step(rig.mine, rig.state, image)
    rig.state, rig.last = decided.state, decided
    rig.events += decided.events


@pytest.mark.parametrize("quality", list(Quality))
def test_raising(rig, quality: Quality) -> None:
    """A value above trip cuts when its quality is GOOD or OVER_RANGE, and under no other."""
    _turn(rig, quality, 400)
    expected = quality in RAISES
    assert is_active(rig.state.durable, AlarmKind.TRIP, "Z0_H0") is expected
    assert rig.last.outputs["cut_Z0"] is not expected


@pytest.mark.parametrize("quality", list(Quality))
def test_clearing(rig, quality: Quality) -> None:
    """A value below clear ends an alarm only when it is GOOD; what stands, holds."""
    rig.turn(readings={"Z0_H0": 120})
    _turn(rig, quality, 0)
    still = is_active(rig.state.durable, AlarmKind.GAS_OVER_LIMIT, "Z0_H0")
    assert still is (quality not in CLEARS)


@pytest.mark.parametrize("quality", list(Quality))
def test_locking(rig, quality: Quality) -> None:
    """Every quality but GOOD locks its place within the fault time and one cycle.

    A head that says CALIBRATION or INHIBITED by itself is no open, named act: it locks too.
    """
    if quality is Quality.STALE:
        rig.world.pop("Z0_H0")
    else:
        rig.world["Z0_H0"] = quality if quality is not Quality.GOOD else 0
    rig.run(12)
    assert (rig.last.outputs["cut_Z0"] is False) is (quality not in NEVER_LOCKS)
    assert rig.last.outputs["cut_Z1"] is True


@pytest.mark.parametrize("neighbour_fails", [False, True])
def test_calibration_locks_only_without_a_good_neighbour(rig, *, neighbour_fails: bool) -> None:
    """An open calibration locks its place exactly when no GOOD neighbour guards the zone."""
    assert rig.command("calibrate", "S6", point="Z0_H0").kind == "calibration_started"
    rig.run(2)
    if neighbour_fails:
        rig.world["Z0_H1"] = Quality.COMM_FAULT
    rig.run(15)
    causes = [each for each in rig.causes if each.endswith("Z0_H0")]
    assert causes == (["fault:Z0_H0"] if neighbour_fails else [])


@pytest.mark.parametrize("quality", [q for q in Quality if q is not Quality.GOOD])
def test_nothing_but_good_permits_a_release(rig, quality: Quality) -> None:
    """A release is refused while the head of the cause is anything but GOOD."""
    rig.turn(readings={"Z0_H0": 160})
    rig.world["Z0_H0"] = quality
    rig.run(70)
    rig.command("hand_value", "S7", point="Z0_H0", value=10)
    answer = rig.command("release", "S1", outputs=["cut_Z0"])
    assert answer.kind == "command_refused"
    assert "not_good:Z0_H0" in answer.data["reasons"]


def test_a_good_reading_without_a_value_is_implausible(
    rig_of, mine_of: Callable[..., Mine]
) -> None:
    """GOOD without a value is a contradiction of the wire: it neither raises nor clears."""
    rig = rig_of(mine_of()).start()
    rig.turn(readings={"Z0_H0": 120})
    _turn(rig, Quality.GOOD, None)
    assert rig.state.volatile.points.live["Z0_H0"].quality is Quality.IMPLAUSIBLE
    assert is_active(rig.state.durable, AlarmKind.GAS_OVER_LIMIT, "Z0_H0")


def test_a_switch_beyond_its_range_is_believed_again(rig) -> None:
    """The latch is for gas heads: a feed state that was garbage once still proves the next cut."""
    rig.turn(readings={"FEED_Z0": Quality.OVER_RANGE})
    rig.run(2)
    assert not rig.state.durable.points.over
    rig.turn(readings={"Z0_H0": 160})
    rig.run(4)
    assert not rig.of("over_range_latched")
    assert rig.causes == ["trip:Z0_H0"]
