"""Calibration: it holds, it is bounded, and a day of it cuts nothing."""

import pytest

from minewatch.core.alarms.alarm import is_active
from minewatch.core.readings.bottle import Profile, extended_by
from minewatch.model.alarm import AlarmKind
from minewatch.model.quality import Quality

MINUTES = 60
GAS = (0, 102, 200, 0)


def _calibrate(rig, head: str) -> None:
    """Do one calibration as a field engineer does: zero, 1.02 %, 2.00 %, zero, end."""
    assert rig.command("calibrate", "S6", point=head).kind == "calibration_started"
    rig.run(2)
    for value in GAS:
        rig.world[head] = value
        rig.run(8)
    assert rig.command("end_calibration", "S6", point=head).kind == "calibration_ended"
    rig.run(2)


def test_calibration_day(rig_of, mine_of) -> None:
    """Forty heads calibrated on virtual time: no cut, no clear, no alarm, forty sheets."""
    rig = rig_of(mine_of(zones=20, heads=2)).start()
    heads = [point.id for point in rig.mine.points if point.device == "head"]
    for head in heads:
        _calibrate(rig, head)
    sheets = rig.of("calibration_ended")
    assert [each.data["point"] for each in sheets] == heads
    for sheet in sheets:
        assert (sheet.data["lowest"], sheet.data["highest"]) == (0, 200)
        assert [each["value"] for each in sheet.data["plateaus"]] == [0, 102, 200, 0]
        assert sheet.data["reason"] == "ended"
        assert sheet.data["samples"] >= 64
    quiet = {
        "controller_started", "profile_in_force", "calibration_started", "calibration_ended",
    }  # fmt: skip
    assert set(rig.kinds()) == quiet
    assert all(level for name, level in rig.written.items() if name.startswith("cut"))


def test_it_neither_trips_nor_clears(rig) -> None:
    """Under calibration a neighbour's latch stays, calibration gas cuts nothing."""
    rig.turn(readings={"Z0_H1": 160})
    rig.world["Z0_H1"] = 120
    rig.run(1)
    rig.command("calibrate", "S6", point="Z0_H0")
    rig.run(1)
    rig.world["Z0_H0"] = 400
    rig.run(5)
    assert rig.causes == ["trip:Z0_H1"]
    assert is_active(rig.state.durable, AlarmKind.GAS_OVER_LIMIT, "Z0_H1")
    assert not is_active(rig.state.durable, AlarmKind.TRIP, "Z0_H0")


def test_before_it_is_on_disk_a_trip_trips(rig) -> None:
    """The mark lowers protection, so it is in force only once its event is durable."""
    rig.disk_stands = True
    rig.command("calibrate", "S6", point="Z0_H0")
    rig.turn(readings={"Z0_H0": 160})
    assert rig.causes == ["trip:Z0_H0"]


def test_at_expiry_the_head_is_in_service_with_an_alarm(rig) -> None:
    """标校超时 after 15 min, 25 with its one extension; the head trips again; no fault."""
    rig.command("calibrate", "S6", point="Z0_H0")
    begun_ms = rig.now_ms
    rig.run(10 * MINUTES, scan_ms=1000)
    assert rig.command("extend_calibration", "S6", point="Z0_H0").kind == "calibration_extended"
    again = rig.command("extend_calibration", "S6", point="Z0_H0")
    assert again.data["reasons"] == ["already_extended"]
    rig.world["Z0_H0"] = Quality.COMM_FAULT
    rig.run(15 * MINUTES + 4, scan_ms=1000)
    ended = rig.of("calibration_ended")[-1]
    assert ended.data["reason"] == "expired"
    assert 25 * MINUTES * 1000 <= ended.now_ms - begun_ms < 25 * MINUTES * 1000 + 2000
    assert is_active(rig.state.durable, AlarmKind.CALIBRATION_OVERRUN, "Z0_H0")
    assert not rig.causes
    rig.world["Z0_H0"] = 0
    rig.run(2)
    rig.turn(readings={"Z0_H0": 150})
    assert rig.causes == ["trip:Z0_H0"]


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda r: r.world.update(Z0_H0=100), "in_alarm"),
        (lambda r: r.command("calibrate", "S6", point="Z0_H1"), "zone_busy"),
        (lambda r: r.world.update(Z0_H1=Quality.COMM_FAULT), "last_head"),
        (lambda r: r.approved("bypass", "S4", "S3", point="Z0_H0"), "bypassed"),
        (lambda r: r.command("calibrate", "S6", point="Z0_H0"), "in_calibration"),
    ],
)
def test_when_it_may_not_start(rig, prepare, reason: str) -> None:
    """Not in alarm, one per zone, never the last GOOD head of a zone, never twice."""
    prepare(rig)
    rig.run(1)
    refused = rig.command("calibrate", "S6", point="Z0_H0")
    assert refused.kind == "command_refused"
    assert reason in refused.data["reasons"]


def test_two_per_mine(rig_of, mine_of) -> None:
    """A third head waits until one of two is done."""
    rig = rig_of(mine_of(zones=3)).start()
    for zone in ("Z0", "Z1"):
        assert rig.command("calibrate", "S6", point=f"{zone}_H0").kind == "calibration_started"
    assert rig.command("calibrate", "S6", point="Z2_H0").data["reasons"] == ["mine_busy"]
    rig.command("end_calibration", "S6", point="Z0_H0")
    assert rig.command("calibrate", "S6", point="Z2_H0").kind == "calibration_started"


def test_the_last_head_under_hand_cover_may_be_calibrated(rig_of, mine_of) -> None:
    """Hand cover guards the place while its only head is calibrated."""
    rig = rig_of(mine_of(heads=1)).start()
    assert rig.command("calibrate", "S6", point="Z0_H0").data["reasons"] == ["last_head"]
    rig.command("hand_cover", "S4", point="Z0_H0", checker="S7")
    rig.turn()
    _calibrate(rig, "Z0_H0")
    assert not rig.causes


@pytest.mark.parametrize(
    ("values", "plateaus"),
    [
        ([0] * 10, [0]),
        ([0] * 10 + [102] * 10, [0, 102]),
        ([0, 50, 100, 150] * 3, []),
        ([100, 104, 98, 103, 100, 99, 101], [100]),
    ],
)
def test_plateaus(values: list[int], plateaus: list[int]) -> None:
    """A plateau is a stretch of 5 s within 0.05 % of its first value; ramps are none."""
    profile = Profile()
    for second, value in enumerate([*values, 10_000]):
        profile = extended_by(profile, value, second * 1000)
    assert [each.value for each in profile.plateaus] == plateaus
    assert profile.samples == len(values) + 1


@pytest.mark.parametrize("point", ["Z0_WIND", "FEED_Z0"])
def test_a_switch_is_not_calibrated(rig, point) -> None:
    """One name cannot take a fan's interlock or a cut's proof away under the word calibration."""
    refused = rig.command("calibrate", "S6", point=point)
    assert refused.data["reasons"] == [f"not_a_gas_head:{point}"]
    rig.world["Z0_WIND"] = 0
    rig.run(2)
    assert rig.causes == ["off:Z0_WIND"]
