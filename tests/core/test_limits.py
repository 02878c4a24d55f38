"""Every value around every limit, exhaustively: at the limit acts, below it permits."""

import pytest

from minewatch.core.alarms.alarm import is_active
from minewatch.core.plan import build
from minewatch.core.readings.points import level_of, permits
from minewatch.model.alarm import AlarmKind
from minewatch.model.mine import Limits

PLACES = {
    "face": Limits(80, 100, 150, 100, 150, 80),
    "return": Limits(None, 100, 100, 100, 100, 80),
    "intake": Limits(None, 50, 50, 50, None, 40),
    "total_return": Limits(None, 75, None, None, None, 60),
    "no_withdraw_below_trip": Limits(90, 100, 150, 90, 120, 80),
}


def _reference(limits: Limits, values: list[int]) -> dict[AlarmKind, bool]:
    """Return which alarms stand after GOOD values, written as plainly as the rule reads."""
    standing = dict.fromkeys(
        (AlarmKind.PRE_ALARM, AlarmKind.GAS_OVER_LIMIT, AlarmKind.TRIP, AlarmKind.WITHDRAW), False
    )
    of = {
        AlarmKind.PRE_ALARM: limits.pre_alarm,
        AlarmKind.GAS_OVER_LIMIT: limits.alarm,
        AlarmKind.TRIP: limits.trip,
        AlarmKind.WITHDRAW: limits.withdraw,
    }
    for value in values:
        for kind, limit in of.items():
            clear = limits.clear
            if kind is AlarmKind.PRE_ALARM and limit is not None:
                clear = limit * 8 // 10
            if limit is not None and value >= limit:
                standing[kind] = True
            elif clear is not None and value < clear:
                standing[kind] = False
    return standing


@pytest.mark.parametrize("place", PLACES)
def test_every_value_after_every_value(rig_of, mine_of, place: str) -> None:
    """For each place, each pair of neighbouring or far values ends in the alarms of the rule."""
    limits = PLACES[place]
    edges = sorted(
        {
            max(0, limit + step)
            for limit in (*_given(limits), 0, (limits.pre_alarm or 0) * 8 // 10)
            for step in (-1, 0, 1)
        }
    )
    start = rig_of(mine_of(zones=1, heads=1, limits=limits)).start().state
    for first in edges:
        for second in edges:
            rig = rig_of(mine_of(zones=1, heads=1, limits=limits), state=start, now_ms=2_000_000)
            rig.turn(ms=0, readings={"Z0_H0": first})
            rig.turn(readings={"Z0_H0": second})
            shown = {
                kind: is_active(rig.state.durable, kind, "Z0_H0") for kind in _reference(limits, [])
            }
            assert shown == _reference(limits, [first, second]), (first, second)
            tripped = limits.trip is not None and max(first, second) >= limits.trip
            assert (rig.causes == ["trip:Z0_H0"]) is tripped


def _given(limits: Limits) -> list[int]:
    named = (limits.pre_alarm, limits.alarm, limits.trip, limits.restore, limits.withdraw)
    return [each for each in (*named, limits.clear) if each is not None]


@pytest.mark.parametrize("value", range(401))
def test_level_and_permission_of_every_register_value(mine_of, value: int) -> None:
    """Level counts the limits reached; a release is permitted strictly below restore."""
    plan = build(mine_of()).points["Z0_H0"]
    assert level_of(plan, value) == (4 if value >= 150 else 2 if value >= 100 else int(value >= 80))
    assert permits(plan, value) is (value < 100)


def test_an_exceedance_between_two_freezes_is_not_lost(rig) -> None:
    """Readings of one image are taken in order: a peak between two low ones trips."""
    from minewatch.core.step import step
    from minewatch.model.image import Image, Reading, Sample
    from minewatch.model.quality import Quality

    readings = [(rig.now_ms + n * 10, value) for n, value in enumerate((20, 151, 20), start=1)]
    samples = tuple(
        Sample("head", at_ms, (Reading("Z0_H0", value, Quality.GOOD),)) for at_ms, value in readings
    )
    decided = step(
        rig.mine,
        rig.state,
        Image(rig.cycle, rig.now_ms + 100, rig.wall_ms, True, 10**6, samples),
    )
    assert decided.outputs is not None
    assert decided.outputs["cut_Z0"] is False
    raised = [e.data["alarm_kind"] for e in decided.events if e.kind == "alarm_raised"]
    assert {"gas_over_limit", "trip"} <= set(raised)


def test_low_limits(rig_of, mine_of) -> None:
    """Oxygen and air speed alarm below their low limit and clear at their low clear limit."""
    limits = Limits(low_alarm=1800, low_clear=1900)
    rig = rig_of(mine_of(zones=1, heads=1, limits=limits))
    rig.world["Z0_H0"] = 2000
    rig.start()
    for value, stands in ((1800, False), (1799, True), (1899, True), (1900, False)):
        rig.turn(readings={"Z0_H0": value})
        assert is_active(rig.state.durable, AlarmKind.LOW, "Z0_H0") is stands
