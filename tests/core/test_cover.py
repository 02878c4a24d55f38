"""Hand cover and bypass: the named, timed ways of living with a dead head."""

import pytest

from minewatch.core.alarms.alarm import is_active
from minewatch.core.readings import cover
from minewatch.model.alarm import AlarmKind
from minewatch.model.quality import Quality

MINUTES = 60


@pytest.fixture
def dead(rig):
    """Return a mine whose head Z0_H0 is dead and whose area is locked."""
    rig.world["Z0_H0"] = Quality.COMM_FAULT
    rig.run(12)
    assert rig.causes == ["fault:Z0_H0"]
    return rig


def _covered(rig) -> None:
    assert rig.command("hand_cover", "S4", point="Z0_H0", checker="S7").kind == (
        "hand_cover_started"
    )
    rig.turn()
    assert rig.release("cut_Z0", values={"Z0_H0": 20}).kind == "release_granted"
    rig.run(1)
    assert rig.written["cut_Z0"] is True


def test_hand_cover_is_the_only_way_round_a_dead_head(dead) -> None:
    """Without it the release is refused for the dead head; with it and a value it is granted."""
    dead.command("hand_value", "S7", point="Z0_H0", value=20)
    reasons = dead.command("release", "S1", outputs=["cut_Z0"]).data["reasons"]
    assert reasons == ["not_good:Z0_H0"]
    _covered(dead)
    dead.run(60, scan_ms=1000)
    assert dead.written["cut_Z0"] is True


def test_a_late_reading_cuts_again(dead) -> None:
    """Readings every 30 min hold; the first that is late cuts, with an alarm."""
    _covered(dead)
    for _ in range(3):
        dead.run(29 * MINUTES, scan_ms=2000)
        dead.command("hand_value", "S7", point="Z0_H0", value=20)
    assert dead.written["cut_Z0"] is True
    dead.run(31 * MINUTES, scan_ms=2000)
    assert dead.written["cut_Z0"] is False
    assert is_active(dead.state.durable, AlarmKind.HAND_COVER_LATE, "Z0_H0")
    assert dead.of("hand_cover_ended")[-1].data["reason"] == "late"


def test_hand_cover_ends_after_its_longest_time(dead, monkeypatch) -> None:
    """Readings in time do not prolong it: at its limit it ends and the dead head locks again."""
    assert cover.COVER_MS == 8 * 3_600_000
    monkeypatch.setattr(cover, "COVER_MS", 3_600_000)
    _covered(dead)
    for _ in range(3):
        dead.run(24 * MINUTES, scan_ms=2000)
        if not dead.state.durable.interlock.covers:
            break
        dead.command("hand_value", "S7", point="Z0_H0", value=20)
    assert dead.of("hand_cover_ended")[-1].data["reason"] == "expired"
    assert dead.written["cut_Z0"] is False


def test_hand_cover_ends_by_order(dead) -> None:
    """The chief engineer ends it; a head that is still dead cuts at once."""
    _covered(dead)
    assert dead.command("end_hand_cover", "S4", point="Z0_H0").kind == "hand_cover_end_ordered"
    assert dead.last.outputs["cut_Z0"] is False


def test_a_late_reading_of_a_head_that_is_back_cuts_nothing(dead) -> None:
    """Once the head is GOOD again, the end of the cover is no fault."""
    _covered(dead)
    dead.world["Z0_H0"] = 0
    dead.run(31 * MINUTES, scan_ms=2000)
    assert not dead.state.durable.interlock.covers
    assert dead.written["cut_Z0"] is True


@pytest.mark.parametrize(
    ("by", "checker", "reason"),
    [
        ("S1", "S7", "not_permitted"),
        ("S4", "S1", "not_a_gas_checker"),
        ("S3", "S7", "not_permitted"),
    ],
)
def test_who_may_cover(dead, by: str, checker: str, reason: str) -> None:
    """The chief engineer approves, and the checker is a gas checker."""
    refused = dead.command("hand_cover", by, point="Z0_H0", checker=checker)
    assert refused.data["reasons"] == [reason]


def test_a_cover_that_is_not_on_disk_covers_nothing(rig) -> None:
    """A cover lowers protection: until its event is durable the fault lock comes as ever."""
    rig.disk_stands = True
    rig.command("hand_cover", "S4", point="Z0_H0", checker="S7")
    rig.world["Z0_H0"] = Quality.COMM_FAULT
    rig.run(12)
    assert rig.causes == ["fault:Z0_H0"]


def test_deadlines_end_at_the_earlier_clock_after_a_restart(dead) -> None:
    """Remaining time and wall clock: a box that stood still for an hour prolongs no cover."""
    _covered(dead)
    dead.wall_ms += 40 * MINUTES * 1000
    dead.restart()
    dead.run(5)
    assert not dead.state.durable.interlock.covers
    assert dead.written["cut_Z0"] is False


def test_a_clock_put_back_prolongs_nothing(dead) -> None:
    """A wall clock set back by a day leaves the reading due when it was."""
    _covered(dead)
    dead.wall_ms -= 24 * 3_600_000
    dead.run(31 * MINUTES, scan_ms=2000)
    assert dead.of("hand_cover_ended")[-1].data["reason"] == "late"


def test_a_bypass_holds_under_a_guard(rig) -> None:
    """With a GOOD neighbour a bypassed head neither trips nor locks, for its time."""
    assert rig.approved("bypass", "S4", "S3", point="Z0_H0", minutes=60).kind == "bypass_started"
    rig.run(2)
    rig.world["Z0_H0"] = 400
    rig.run(30)
    rig.world["Z0_H0"] = Quality.COMM_FAULT
    rig.run(30)
    assert rig.state.volatile.points.live["Z0_H0"].quality is Quality.INHIBITED
    assert not rig.causes
    rig.run(61 * MINUTES, scan_ms=2000)
    assert rig.of("bypass_ended")[-1].data["reason"] == "expired"
    rig.run(12)
    assert rig.causes == ["fault:Z0_H0"]


def test_bypassing_the_last_head_leaves_the_place_cut(rig_of, mine_of) -> None:
    """A place without any GOOD head is locked, and no release is granted over the bypass."""
    rig = rig_of(mine_of(heads=1)).start()
    rig.approved("bypass", "S4", "S3", point="Z0_H0")
    rig.run(15)
    assert rig.causes == ["fault:Z0_H0"]
    rig.run(60)
    rig.command("hand_value", "S7", point="Z0_H0", value=5)
    reasons = rig.command("release", "S1", outputs=["cut_Z0"]).data["reasons"]
    assert reasons == ["last_head:Z0_H0"]


@pytest.mark.parametrize("minutes", [0, 481, True, 1.5, "60", None])
def test_the_minutes_of_a_bypass(rig, minutes) -> None:
    """1 to 480 minutes, an integer; anything else is malformed."""
    refused = rig.command("bypass", "S4", point="Z0_H0", minutes=minutes)
    assert refused.data["reasons"] == ["malformed"]


def test_a_bypass_without_minutes_lasts_two_hours(rig) -> None:
    """The default is 120 minutes (practice 10)."""
    begun = rig.approved("bypass", "S4", "S3", point="Z0_H0")
    assert begun.data["minutes"] == 120
    ended = rig.command("end_bypass", "S3", point="Z0_H0")
    assert ended.kind == "bypass_end_ordered"
    assert not rig.state.durable.interlock.bypasses


@pytest.mark.parametrize("back_s", [2, 600, 86_400])
def test_a_wall_clock_put_back_prolongs_nothing(rig, back_s) -> None:
    """I20: after 25 quiet minutes the next hand value is due in five, whatever the wall says."""
    rig.command("hand_cover", "S4", point="Z0_H0", checker="S7")
    due_ms = rig.state.durable.interlock.covers["Z0_H0"].next.ms
    rig.run(25 * MINUTES, scan_ms=1500)
    rig.wall_ms -= back_s * 1000
    rig.run(3)
    assert rig.of("clock_stepped")
    assert rig.state.durable.interlock.covers["Z0_H0"].next.ms <= due_ms
