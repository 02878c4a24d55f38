"""Over range: a head that falls back from beyond its range is not believed (catalogue, 21)."""

import pytest

from minewatch.model.alarm import AlarmKind
from minewatch.model.quality import Quality
from minewatch.model.values import Values


@pytest.mark.parametrize("down", [200, 100, 99, 79, 0])
def test_a_ramp_to_beyond_the_range_and_back_stays(rig_of, mine_of, down: int) -> None:
    """0 → 10 → 2 %CH4, or down to nothing: over range, the cut and the withdrawal stand."""
    rig = rig_of(mine_of(zones=1, heads=1, values=Values(clear_ms=3_000))).start()
    for value in (0, 50, 100, 200, 390):
        rig.world["Z0_H0"] = value
        rig.run(1)
    rig.world["Z0_H0"] = Quality.OVER_RANGE
    rig.run(2)
    rig.world["Z0_H0"] = down
    rig.run(120)
    live = rig.state.volatile.points.live["Z0_H0"]
    assert (live.quality, live.level) == (Quality.OVER_RANGE, 4)
    assert rig.causes == ["trip:Z0_H0"]
    active = {e.kind for e in rig.state.durable.alarms.items.values() if e.active}
    assert {AlarmKind.OVER_RANGE, AlarmKind.TRIP, AlarmKind.WITHDRAW} <= active
    refused = rig.command("release", "S1", outputs=["cut_Z0"])
    assert refused.kind == "command_refused"


def test_a_bypass_over_a_latched_head_is_no_calm_minute(rig) -> None:
    """What a head says while it is bypassed counts for no release, though over-range is shown."""
    rig.world["Z0_H0"] = Quality.OVER_RANGE
    rig.run(2)
    rig.world["Z0_H0"] = 5
    rig.approved("bypass", "S4", "S3", point="Z0_H0", minutes=2)
    rig.run(121)
    assert [each.data["reason"] for each in rig.of("bypass_ended")] == ["expired"]
    rig.command("hand_value", "S7", point="Z0_H0", value=5)
    refused = rig.command("release", "S1", outputs=["cut_Z0"])
    assert refused.data["reasons"] == ["not_yet_60_s:Z0_H0"]
