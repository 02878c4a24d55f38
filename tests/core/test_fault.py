"""Lost heads and lines: the alarm in 10 s, the lock after the place's time, one cause a line."""

import pytest

from minewatch.core.alarms.alarm import is_active
from minewatch.model.alarm import AlarmKind
from minewatch.model.quality import Quality

LOST = (Quality.COMM_FAULT, Quality.WARMUP, Quality.UNDER_RANGE, Quality.IMPLAUSIBLE, None)


def _first(rig, kind: str) -> int:
    return rig.of(kind)[0].now_ms


@pytest.mark.parametrize("fault_after_ms", [10_000, 30_000])
@pytest.mark.parametrize("quality", LOST)
def test_alarm_and_lock_times(rig_of, mine_of, quality, fault_after_ms: int) -> None:
    """Both clocks run from the last GOOD sample: alarm at 10 s, lock at the place's own time."""
    rig = rig_of(mine_of(fault_after_ms=fault_after_ms)).start()
    last_good_ms = rig.now_ms
    if quality is None:
        rig.world.pop("Z0_H0")
    else:
        rig.world["Z0_H0"] = quality
    for _ in range(500):
        rig.turn(ms=100, scan=rig.now_ms % 500 == 0)
    alarms = [e for e in rig.of("alarm_raised") if e.data["alarm_kind"] == "sensor_fault"]
    assert [(e.data["source"], e.now_ms - last_good_ms) for e in alarms] == [("Z0_H0", 10_000)]
    latched = rig.of("cause_latched")
    assert [(e.data["cause"], e.now_ms - last_good_ms) for e in latched] == [
        ("fault:Z0_H0", fault_after_ms)
    ]


def test_a_head_that_comes_back_in_time_locks_nothing(rig) -> None:
    """9.5 s of silence is no fault; the clock starts anew with the next GOOD sample."""
    for _ in range(3):
        rig.world["Z0_H0"] = Quality.COMM_FAULT
        rig.run(9)
        rig.world["Z0_H0"] = 0
        rig.run(1)
    assert not rig.of("cause_latched")
    assert not rig.of("alarm_raised")


def test_the_fault_alarm_ends_with_a_good_reading_and_the_lock_does_not(rig) -> None:
    """A head that is back clears its alarm; the area stays cut until it is released."""
    rig.world["Z0_H0"] = Quality.COMM_FAULT
    rig.run(12)
    rig.world["Z0_H0"] = 0
    rig.run(2)
    assert not is_active(rig.state.durable, AlarmKind.SENSOR_FAULT, "Z0_H0")
    assert rig.causes == ["fault:Z0_H0"]


def test_a_gateways_reboot_is_one_alarm_one_cause_and_one_form(rig_of, mine_of) -> None:
    """Forty heads behind one gateway: one alarm, one cause, one form with forty hand values."""
    rig = rig_of(mine_of(zones=20, heads=2)).start()
    heads = [p.id for p in rig.mine.points if p.device == "head"]
    assert len(heads) == 40
    for n, head in enumerate(heads):
        rig.world[head] = Quality.COMM_FAULT if n % 2 else Quality.STALE
    for head in heads[::2]:
        rig.world.pop(head)
    rig.run(25)
    raised = rig.of("alarm_raised")
    assert [(e.data["alarm_kind"], e.data["source"]) for e in raised] == [
        ("sensor_fault", "line:gas")
    ]
    assert rig.causes == ["line:gas"]
    (latched,) = rig.of("cause_latched")
    cuts = sorted(f"cut_Z{n}" for n in range(20))
    assert latched.data["outputs"] == cuts
    assert latched.data["points"] == sorted(heads)
    assert [rig.written[each] for each in cuts] == [False] * 20

    rig.world.update(dict.fromkeys(heads, 3))
    rig.run(70)
    assert not is_active(rig.state.durable, AlarmKind.SENSOR_FAULT, "line:gas")
    for head in heads[:-1]:
        rig.command("hand_value", "S7", point=head, value=3)
    refused = rig.command("release", "S1", outputs=cuts)
    assert refused.data["reasons"] == [f"hand_value_missing:{heads[-1]}"]
    assert rig.release(*cuts, values={heads[-1]: 3}).kind == "release_granted"
    rig.run(1)
    assert [rig.written[each] for each in cuts] == [True] * 20
    assert not rig.causes
    assert len(rig.of("released")) == 1


def test_a_head_that_stays_away_after_its_line_is_back_has_its_own_alarm(rig) -> None:
    """When the line answers again, who still does not is a fault of its own after 10 s."""
    for head in ("Z0_H0", "Z0_H1", "Z1_H0", "Z1_H1"):
        rig.world[head] = Quality.COMM_FAULT
    rig.run(12)
    for head in ("Z0_H1", "Z1_H0", "Z1_H1"):
        rig.world[head] = 0
    rig.run(12)
    assert not is_active(rig.state.durable, AlarmKind.SENSOR_FAULT, "line:gas")
    assert is_active(rig.state.durable, AlarmKind.SENSOR_FAULT, "Z0_H0")
    assert rig.causes == ["line:gas"]


def test_the_return_of_a_line_delays_no_lock(rig) -> None:
    """Who was lost later than the others locks in its own time, although its line is back."""
    others = ("Z0_H1", "Z1_H0", "Z1_H1")
    rig.world.update(dict.fromkeys(others, Quality.COMM_FAULT))
    rig.run(3)
    rig.world["Z0_H0"] = Quality.COMM_FAULT
    lost_ms = rig.now_ms
    rig.run(8)
    assert is_active(rig.state.durable, AlarmKind.SENSOR_FAULT, "line:gas")
    rig.world.update(dict.fromkeys(others, 0))
    rig.run(4)
    (locked_ms,) = [e.now_ms for e in rig.of("cause_latched") if "Z0_H0" in e.data["points"]]
    assert locked_ms - lost_ms <= 10_100
    assert not is_active(rig.state.durable, AlarmKind.SENSOR_FAULT, "Z0_H0")


def test_a_point_that_never_speaks_after_a_start_counts_as_lost(rig_of, mine_of) -> None:
    """A head that is not GOOD within its fault time of the start is alarmed and locked."""
    rig = rig_of(mine_of())
    rig.world.pop("Z0_H0")
    rig.start()
    rig.run(12)
    assert rig.causes == ["fault:Z0_H0"]
    assert is_active(rig.state.durable, AlarmKind.SENSOR_FAULT, "Z0_H0")


def test_a_point_without_interlock_raises_but_locks_nothing(rig) -> None:
    """A lost feed input is a fault alarm; it cuts nothing by itself."""
    rig.world["FEED_Z0"] = Quality.COMM_FAULT
    rig.run(15)
    assert is_active(rig.state.durable, AlarmKind.SENSOR_FAULT, "FEED_Z0")
    assert not rig.causes


@pytest.mark.parametrize("act", ["calibrate", "bypass"])
def test_a_neighbour_that_was_good_for_one_cycle_guarded_the_place(rig, act: str) -> None:
    """The clock of a head out of service runs from the last GOOD sample of its neighbour."""
    if act == "calibrate":
        rig.command("calibrate", "S6", point="Z0_H0")
    else:
        rig.approved("bypass", "S4", "S3", point="Z0_H0")
    rig.world["Z0_H1"] = Quality.COMM_FAULT
    rig.run(8)
    for _ in range(4):
        rig.turn(readings={"Z0_H1": 0})
        last_good_ms = rig.now_ms
        rig.turn(readings={"Z0_H1": Quality.COMM_FAULT})
        rig.turn(ms=300)
        rig.run(3)
    rig.run(10, scan_ms=100)
    locked = {e.data["cause"]: e.now_ms - last_good_ms for e in rig.of("cause_latched")}
    assert locked == {"fault:Z0_H0": 10_000, "fault:Z0_H1": 10_000}


@pytest.mark.parametrize("act", ["calibrate", "bypass"])
def test_a_neighbour_in_calibration_or_bypassed_guards_nothing(rig, act: str) -> None:
    """Both heads of a place out of service: it locks after its fault time, GOOD as they may be."""
    if act == "calibrate":
        rig.command("calibrate", "S6", point="Z0_H1")
    else:
        rig.approved("bypass", "S4", "S3", point="Z0_H1")
    rig.run(1)
    rig.approved("bypass", "S4", "S3", point="Z0_H0")
    rig.turn()
    begun_ms = rig.now_ms
    rig.run(11, scan_ms=100)
    locked = {e.data["cause"]: e.now_ms - begun_ms for e in rig.of("cause_latched")}
    assert set(locked) == {"fault:Z0_H0", "fault:Z0_H1"}
    assert all(9_000 <= each <= 10_000 for each in locked.values())


def test_a_cover_that_is_ordered_anew_goes_on_while_the_newer_entry_is_written(rig) -> None:
    """The renewal of a hand cover does not lapse it: the dead head stays covered."""
    rig.world["Z0_H0"] = Quality.COMM_FAULT
    rig.command("hand_cover", "S4", point="Z0_H0", checker="S7")
    rig.run(20)
    rig.disk_stands = True
    rig.command("hand_cover", "S4", point="Z0_H0", checker="S7")
    rig.run(5)
    assert not rig.causes
    assert rig.written["cut_Z0"] is True


def test_a_cover_that_was_never_written_does_not_begin_by_being_ordered_anew(rig) -> None:
    """Two orders that both wait for the disk cover nothing: the place locks in its time."""
    rig.disk_stands = True
    rig.world["Z0_H0"] = Quality.COMM_FAULT
    for _ in range(2):
        rig.command("hand_cover", "S4", point="Z0_H0", checker="S7")
        rig.run(6)
    assert rig.causes == ["fault:Z0_H0"]


def test_a_bypass_that_is_ordered_anew_goes_on_while_the_newer_entry_is_written(rig) -> None:
    """A head that was bypassed for its false values does not trip at the renewal of its bypass."""
    rig.approved("bypass", "S4", "S3", point="Z0_H0")
    rig.run(1)
    rig.world["Z0_H0"] = 400
    rig.run(1)
    rig.disk_stands = True
    rig.approved("bypass", "S4", "S3", point="Z0_H0")
    rig.run(2)
    assert not rig.causes
    assert not rig.of("withdrawal_raised")
