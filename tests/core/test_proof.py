"""Proof of outputs by an independent input, and what follows when it does not come."""

import pytest

from minewatch.core.alarms.alarm import is_active
from minewatch.model.alarm import AlarmKind
from minewatch.model.quality import Quality


def _raised(rig, kind: str) -> list[tuple[str, int]]:
    return [
        (e.data["source"], e.now_ms) for e in rig.of("alarm_raised") if e.data["alarm_kind"] == kind
    ]


def test_a_proved_cut_is_no_alarm(rig) -> None:
    """The feed reads 0 within the time: proved, nothing else is cut."""
    rig.turn(readings={"Z0_H0": 160})
    rig.run(10)
    assert rig.state.volatile.interlock.wants["cut_Z0"].proved
    assert not _raised(rig, "failed_actuation")
    assert rig.written["cut_main"] is True


def test_a_welded_switch_is_found_in_two_seconds_and_cut_upstream(rig) -> None:
    """断电失败: alarm within proof time and one cycle, and the switch above cuts."""
    rig.welded.add("cut_Z0")
    rig.turn(readings={"Z0_H0": 160})
    cut_ms = rig.now_ms
    for _ in range(30):
        rig.turn(scan=rig.cycle % 5 == 0)
    ((source, raised_ms),) = _raised(rig, "failed_actuation")
    assert source == "cut_Z0"
    assert 2000 <= raised_ms - cut_ms <= 2100
    assert "upstream:cut_Z0" in rig.causes
    assert rig.written["cut_main"] is False


def test_a_proof_that_does_not_answer_is_a_failed_actuation(rig) -> None:
    """A cut that nobody can prove is treated as one that failed."""
    rig.world["FEED_Z0"] = Quality.COMM_FAULT
    rig.run(2)
    rig.turn(readings={"Z0_H0": 160})
    rig.run(3)
    assert is_active(rig.state.durable, AlarmKind.FAILED_ACTUATION, "cut_Z0")
    assert rig.written["cut_main"] is False


def test_an_old_proof_does_not_count(rig) -> None:
    """A feed that read 0 before the cut was wanted proves nothing about the cut."""
    rig.world.pop("FEED_Z0")
    rig.turn(readings={"FEED_Z0": 0})
    rig.turn(readings={"Z0_H0": 160})
    for _ in range(25):
        rig.turn()
    assert is_active(rig.state.durable, AlarmKind.FAILED_ACTUATION, "cut_Z0")


def test_a_gap_in_time_asks_for_the_proof_again(rig) -> None:
    """A cut that was proved before a stop of the process is proved anew, or alarmed, after it."""
    rig.turn(readings={"Z0_H0": 160})
    rig.run(5)
    assert rig.state.volatile.interlock.wants["cut_Z0"].proved
    rig.world["FEED_Z0"] = Quality.COMM_FAULT
    rig.now_ms += 12_000
    rig.run(6)
    assert is_active(rig.state.durable, AlarmKind.FAILED_ACTUATION, "cut_Z0")


def test_feed_that_comes_back_while_latched_is_abnormal(rig) -> None:
    """馈电异常: power behind our back is an alarm at once and cuts upstream."""
    rig.turn(readings={"Z0_H0": 160})
    rig.run(5)
    rig.turn(readings={"FEED_Z0": 1})
    assert is_active(rig.state.durable, AlarmKind.FEED_ABNORMAL, "cut_Z0")
    assert rig.last.outputs["cut_main"] is False
    rig.run(2)
    assert not is_active(rig.state.durable, AlarmKind.FEED_ABNORMAL, "cut_Z0")
    assert "upstream:cut_Z0" in rig.causes


def test_a_feed_that_is_merely_off_is_no_trip(rig) -> None:
    """Somebody opened the switch by hand: nothing is latched and nothing is alarmed."""
    rig.written["cut_Z0"] = True
    rig.world["FEED_Z0"] = 0
    for _ in range(50):
        rig.turn(readings={"FEED_Z0": 0})
    assert not rig.causes
    assert not rig.of("alarm_raised")


def test_a_sounder_must_sound(rig) -> None:
    """A horn whose input does not read 1 is a failed actuation; it cuts nothing."""
    rig.turn(readings={"Z0_H0": 155})
    rig.world["Z0_H0"] = 155
    rig.world["SOUND_HORN"] = Quality.COMM_FAULT
    rig.run(35)
    assert is_active(rig.state.durable, AlarmKind.FAILED_ACTUATION, "horn")
    assert rig.written["cut_main"] is True


def test_the_upstream_cut_waits_for_the_switch_below(rig) -> None:
    """While the failed switch is latched and its feed unproved, the upstream cut stays."""
    rig.world["FEED_Z0"] = Quality.COMM_FAULT
    rig.turn(readings={"Z0_H0": 160})
    rig.run(70)
    refused = rig.command("release", "S1", outputs=["cut_main"])
    assert "feed_not_off:cut_Z0" in refused.data["reasons"]


@pytest.mark.parametrize("released", ["cut_Z0", "both"])
def test_a_repaired_switch_can_be_released(rig, released: str) -> None:
    """Once the feed is proved off, one form over both outputs brings everything back."""
    rig.welded.add("cut_Z0")
    rig.turn(readings={"Z0_H0": 160})
    rig.run(5)
    rig.welded.clear()
    rig.world["Z0_H0"] = 10
    rig.run(65)
    outputs = ["cut_Z0"] if released == "cut_Z0" else ["cut_Z0", "cut_main"]
    rig.release(*outputs, values={"Z0_H0": 5})
    rig.run(3)
    assert rig.written["cut_Z0"] is True
    assert rig.written["cut_main"] is (released == "both")


def test_a_failed_cut_stays_failed_until_its_own_switch_is_proved(rig) -> None:
    """Neither the upstream cut's dead feed nor a restart ends it; a repaired switch does."""
    rig.welded.add("cut_Z0")
    rig.turn(readings={"Z0_H0": 160})
    rig.run(5)
    rig.restart()
    rig.world["Z0_H0"] = 5
    rig.run(65)
    want = rig.state.volatile.interlock.wants["cut_Z0"]
    assert (want.proved, want.failed) == (True, True)
    assert is_active(rig.state.durable, AlarmKind.FAILED_ACTUATION, "cut_Z0")
    rig.welded.clear()
    values = dict.fromkeys(("Z0_H0", "Z0_H1", "Z1_H0", "Z1_H1"), 5)
    held = rig.state.durable.interlock.held
    assert rig.release(*sorted(held), values=values).kind == "release_granted"
    rig.run(2)
    assert not is_active(rig.state.durable, AlarmKind.FAILED_ACTUATION, "cut_Z0")
    moves = [e.kind for e in rig.events if e.data.get("alarm_kind") == "failed_actuation"]
    assert moves == ["alarm_raised", "alarm_cleared"]


def test_a_weld_that_is_still_there_cuts_upstream_again(rig) -> None:
    """Released upstream with the switch still welded: power behind our back, cut again at once."""
    rig.welded.add("cut_Z0")
    rig.turn(readings={"Z0_H0": 160})
    rig.run(5)
    rig.world["Z0_H0"] = 5
    rig.run(62)
    assert rig.release("cut_main", values={"Z0_H0": 5}).kind == "release_granted"
    rig.run(2)
    assert rig.of("released")
    assert [source for source, _ in _raised(rig, "feed_abnormal")] == ["cut_Z0"]
    assert rig.written["cut_main"] is False
