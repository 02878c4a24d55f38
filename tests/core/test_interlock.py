"""Causes and outputs: every state of a latched output under every event."""

import pytest

from minewatch.model.mine import Mode, OutputRole
from minewatch.model.quality import Quality


def _low(rig) -> None:
    rig.world["Z0_H0"] = 10


def _acknowledge(rig) -> None:
    rig.command("acknowledge", "S1", alarms=sorted(rig.state.durable.alarms.items))


def _close(rig) -> None:
    alarms = sorted(rig.state.durable.alarms.items)
    rig.command("close_out", "S1", alarms=alarms, cause="other")


def _silence(rig) -> None:
    rig.command("silence", "S1")


def _restart(rig) -> None:
    rig.restart()
    rig.run(3)


def _bypass(rig) -> None:
    rig.approved("bypass", "S4", "S3", point="Z0_H0", minutes=60)


def _cover(rig) -> None:
    rig.command("hand_cover", "S4", point="Z0_H0", checker="S7")


def _hand_value(rig) -> None:
    rig.command("hand_value", "S7", point="Z0_H0", value=0)


def _clock(rig) -> None:
    rig.wall_ms += 3_600_000 * 24


def _lost(rig) -> None:
    rig.world["Z0_H0"] = Quality.COMM_FAULT


@pytest.mark.parametrize(
    "happens",
    [_low, _acknowledge, _close, _silence, _restart, _bypass, _cover, _hand_value, _clock, _lost],
    ids=lambda each: each.__name__,
)
@pytest.mark.parametrize("state", ["trip", "fault", "off", "cut"])
def test_nothing_but_a_release_ends_a_latch(rig, state: str, happens) -> None:
    """Whatever held the output, no value, act, restart or clock ends it: only a release does."""
    match state:
        case "trip":
            rig.turn(readings={"Z0_H0": 160})
        case "fault":
            rig.world["Z0_H0"] = Quality.COMM_FAULT
            rig.run(12)
            rig.world["Z0_H0"] = 0
        case "off":
            rig.turn(readings={"Z0_WIND": 0})
        case "cut":
            rig.approved("cut", "S1", "S2", output="cut_Z0")
    assert rig.written["cut_Z0"] is False
    before = set(rig.causes)
    happens(rig)
    rig.run(100, scan_ms=1000)
    assert rig.written["cut_Z0"] is False
    assert before <= set(rig.causes)


def test_a_trip_cuts_in_the_same_step_and_only_its_own_area(rig) -> None:
    """The output is de-energised in the step that reads the value; other areas keep power."""
    decided = rig.turn(readings={"Z0_H0": 150})
    assert decided.outputs["cut_Z0"] is False
    assert decided.outputs["cut_Z1"] is True
    assert decided.outputs["cut_main"] is True


def test_first_out_is_the_cause_that_came_first(rig) -> None:
    """The first cause of an output is marked; causes that follow while it holds are not."""
    rig.turn(readings={"Z0_H1": 150})
    rig.turn(readings={"Z0_H0": 150, "Z1_H0": 150})
    causes = rig.state.durable.interlock.causes
    assert {key: each.first_out for key, each in causes.items()} == {
        "trip:Z0_H1": True,
        "trip:Z0_H0": False,
        "trip:Z1_H0": True,
    }


def test_fan_off_cuts_and_needs_running_air_to_release(rig) -> None:
    """风电闭锁: duct wind lost cuts; a release waits until it has run for 60 s."""
    rig.world["Z0_WIND"] = 0
    rig.run(1)
    assert rig.causes == ["off:Z0_WIND"]
    rig.run(70)
    rig.command("hand_value", "S7", point="Z0_H0", value=10)
    refused = rig.command("release", "S1", outputs=["cut_Z0"])
    assert refused.data["reasons"] == ["not_below_restore:Z0_WIND"]
    rig.world["Z0_WIND"] = 1
    rig.run(62)
    assert rig.release("cut_Z0").kind == "release_granted"


@pytest.mark.parametrize(
    ("mode", "roles"),
    [
        (Mode.MONITOR, set()),
        (Mode.ALARM, {OutputRole.SIREN, OutputRole.HORN, OutputRole.GATE}),
        (
            Mode.CONTROL,
            {OutputRole.SIREN, OutputRole.HORN, OutputRole.GATE, OutputRole.POWER_CUT},
        ),
    ],
)
def test_a_mode_drives_only_its_roles(rig_of, mine_of, mode: Mode, roles: set) -> None:
    """The wanted table holds the outputs that the mode may drive, and nothing fails for others."""
    rig = rig_of(mine_of(mode=mode)).start()
    rig.turn(readings={"Z0_H0": 160})
    rig.run(10)
    assert {rig.mine.output(each).role for each in rig.last.outputs} == roles
    failed = [e for e in rig.of("alarm_raised") if e.data["alarm_kind"] == "failed_actuation"]
    assert not [e for e in failed if rig.mine.output(e.data["source"]).role not in roles]
    assert "trip:Z0_H0" in rig.causes


def test_the_table_is_complete_every_cycle(rig) -> None:
    """Each cycle says the level of every driven output, whether or not anything happened."""
    everything = {each.id for each in rig.mine.outputs}
    for _ in range(5):
        assert set(rig.turn().outputs) == everything
