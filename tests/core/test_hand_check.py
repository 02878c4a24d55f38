"""Hand checks: the worse of head and hand counts, until the next one or for eight hours."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minewatch.core.fold import recover
from minewatch.core.view import view
from minewatch.model.alarm import AlarmKind
from minewatch.model.kind import Kind
from minewatch.model.mine import Limits
from minewatch.model.quality import Quality
from minewatch.model.values import Tolerance, Values

HOLD_MS = 600_000
VALUES = Values(hand_check_ms=HOLD_MS, tolerances=(Tolerance(Kind.METHANE, 20),))


@pytest.fixture
def checked(rig_of, mine_of):
    """Return a mine in service whose hand checks are held for ten minutes."""
    return rig_of(mine_of(zones=1, heads=1, values=VALUES)).start()


def _active(rig, kind: AlarmKind = AlarmKind.GAS_OVER_LIMIT) -> bool:
    items = rig.state.durable.alarms.items.values()
    return any(each.kind is kind and each.active for each in items)


def _check(rig, value: int, point: str = "Z0_H0") -> None:
    rig.command("hand_value", "S7", point=point, value=value)


def test_a_lower_head_does_not_clear_what_a_hand_value_raised(checked) -> None:
    """120 by hand stands although the head reads 30, is shown as the level, and ends at expiry."""
    _check(checked, 120)
    checked.world["Z0_H0"] = 30
    checked.run(590)
    assert _active(checked)
    assert checked.state.volatile.points.live["Z0_H0"].level == 2
    checked.run(12)
    assert not _active(checked)
    assert checked.state.volatile.points.live["Z0_H0"].level == 0
    assert [e.data["point"] for e in checked.of("hand_check_expired")] == ["Z0_H0"]


def test_it_expires_at_its_millisecond(checked) -> None:
    """One millisecond before the end it is held, at the end it is not."""
    _check(checked, 30)
    until_ms = view(checked.mine, checked.state, 0)["hand_checks"]["Z0_H0"]["until_ms"]
    assert until_ms == checked.now_ms + HOLD_MS
    checked.run(HOLD_MS / 1000 - 1)
    checked.turn(ms=until_ms - 1 - checked.now_ms)
    assert not checked.of("hand_check_expired")
    checked.turn(ms=1)
    assert checked.of("hand_check_expired")
    checked.run(2)
    assert len(checked.of("hand_check_expired")) == 1


def test_a_newer_lower_hand_value_lets_the_head_speak(checked) -> None:
    """The newest hand check counts, not the highest."""
    _check(checked, 120)
    checked.world["Z0_H0"] = 30
    checked.run(5)
    assert _active(checked)
    _check(checked, 35)
    checked.run(1)
    assert not _active(checked)


def test_a_high_head_stands_whatever_the_hand_says(checked) -> None:
    """A low hand value never lowers what the head reads."""
    checked.world["Z0_H0"] = 120
    checked.run(1)
    _check(checked, 10)
    checked.run(5)
    assert _active(checked)


@given(head=st.integers(0, 300), hand=st.integers(0, 300), then=st.integers(0, 300))
@settings(max_examples=60, deadline=None)
def test_the_worse_of_the_two_counts(core_tools, head: int, hand: int, then: int) -> None:
    """Whatever head and hand say, an alarm stands until the larger is below its clear limit."""
    rig = core_tools.Rig(core_tools.build_mine(zones=1, heads=1, values=VALUES)).start()
    rig.world["Z0_H0"] = head
    rig.run(1)
    _check(rig, hand)
    rig.world["Z0_H0"] = then
    rig.run(1)
    worse = max(then, hand)
    raised = any(each >= 100 for each in (head, hand, then))
    assert _active(rig) is (raised and (worse >= 80))
    assert rig.state.volatile.points.live["Z0_H0"].level == (
        4 if worse >= 150 else 2 if worse >= 100 else 1 if worse >= 80 else 0
    )


def test_the_lower_of_the_two_counts_where_low_is_bad(rig_of, mine_of) -> None:
    """Oxygen: a low hand value stands although the head reads enough."""
    mine = mine_of(zones=1, heads=1, values=VALUES)
    points = tuple(
        replace(each, kind=Kind.OXYGEN, limits=Limits(low_alarm=1800, low_clear=1850))
        if each.id == "Z0_H0"
        else each
        for each in mine.points
    )
    rig = rig_of(replace(mine, points=points, interlocks=()))
    rig.world["Z0_H0"] = 2090
    rig.start()
    _check(rig, 1700)
    rig.run(5)
    assert _active(rig, AlarmKind.LOW)
    _check(rig, 2000)
    rig.run(1)
    assert not _active(rig, AlarmKind.LOW)


@pytest.mark.parametrize(
    ("hand", "disagrees"), [(19, True), (20, False), (40, False), (60, False), (61, True)]
)
def test_they_disagree_beyond_the_tolerance(checked, hand: int, disagrees: bool) -> None:
    """At the tolerance they agree, one unit beyond they do not, to either side."""
    checked.world["Z0_H0"] = 40
    checked.run(1)
    _check(checked, hand)
    said = [e.data for e in checked.of("hand_check_disagreed")]
    assert [(e["hand"], e["head"], e["limit"], e["checker"]) for e in said] == (
        [(hand, 40, 20, "S7")] if disagrees else []
    )
    assert _active(checked, AlarmKind.HAND_CHECK) is disagrees
    shown = view(checked.mine, checked.state, checked.now_ms)["hand_checks"]["Z0_H0"]
    assert (shown["head"], shown["disagrees"]) == (40, disagrees)


def test_the_alarm_ends_by_a_check_that_agrees(checked) -> None:
    """Neither time nor the head's own values end it."""
    _check(checked, 50)
    raised = next(e for e in checked.of("alarm_raised") if e.data["alarm_kind"] == "hand_check")
    assert (raised.data["value"], raised.data["limit"], raised.data["zone"]) == (50, 20, "Z0")
    checked.world["Z0_H0"] = 50
    checked.run(610)
    assert _active(checked, AlarmKind.HAND_CHECK)
    _check(checked, 50)
    assert not _active(checked, AlarmKind.HAND_CHECK)


@pytest.mark.parametrize("trouble", [Quality.COMM_FAULT, Quality.OVER_RANGE, Quality.WARMUP])
def test_nothing_is_compared_with_a_head_that_is_not_good(checked, trouble: Quality) -> None:
    """A dead head neither agrees nor disagrees, and the record says that it read nothing."""
    _check(checked, 50)
    checked.world["Z0_H0"] = trouble
    checked.run(1)
    _check(checked, 0)
    assert checked.of("hand_value_recorded")[-1].data["head"] is None
    assert len(checked.of("hand_check_disagreed")) == 1
    assert _active(checked, AlarmKind.HAND_CHECK)


def test_a_kind_without_a_tolerance_is_not_compared(rig_of, mine_of) -> None:
    """Where no rule says how far they may differ, nothing is said."""
    rig = rig_of(mine_of(zones=1, heads=1, values=Values())).start()
    _check(rig, 70)
    assert not rig.of("hand_check_disagreed")
    assert not _active(rig, AlarmKind.HAND_CHECK)


def test_it_survives_a_crash_and_a_clock_put_back(checked) -> None:
    """What is held raises, so a wall clock put back shortens it by nothing."""
    _check(checked, 120)
    checked.world["Z0_H0"] = 30
    checked.run(1)
    measured_ms = checked.of("hand_value_recorded")[0].now_ms
    checked.restart(durable=recover(checked.events), down_ms=60_000)
    assert checked.state.durable.hand_checks.held["Z0_H0"].measured_ms == measured_ms
    checked.run(500)
    assert _active(checked)
    checked.run(60)
    assert not _active(checked)


def test_a_reboot_keeps_the_time_that_is_left(checked) -> None:
    """Where the clock begins anew it is held at least as long as the wall's time leaves.

    And at most as long as was left at the last event: nothing is known of the time since.
    """
    _check(checked, 120)
    checked.world["Z0_H0"] = 30
    checked.run(100)
    checked.now_ms = 2_000
    checked.restart(down_ms=1_000)
    shown = view(checked.mine, checked.state, checked.now_ms)["hand_checks"]["Z0_H0"]
    assert HOLD_MS - 102_000 <= shown["until_ms"] - checked.now_ms <= HOLD_MS
    assert shown["measured_ms"] <= checked.now_ms
    checked.run(400)
    assert _active(checked)


def test_an_old_record_without_head_or_hold_is_held_eight_hours(checked) -> None:
    """Records of older versions replay: their values are held as long as the law says."""
    _check(checked, 30)
    event = checked.of("hand_value_recorded")[0]
    data = {key: each for key, each in event.data.items() if key not in {"head", "hold_ms"}}
    at = checked.events.index(event)
    old = [*checked.events[:at], replace(event, data=data)]
    held = recover(old).hand_checks.held["Z0_H0"]
    assert (held.head, held.until.ms - event.now_ms) == (None, 8 * 3_600_000)


def test_each_head_has_its_own(rig_of, mine_of) -> None:
    """A hand check of one head says nothing about its neighbour."""
    rig = rig_of(mine_of(zones=1, heads=2, values=VALUES)).start()
    rig.world["Z0_H1"] = 120
    rig.run(1)
    _check(rig, 130)
    rig.world["Z0_H1"] = 30
    rig.run(1)
    sources = {e.data["source"] for e in rig.of("alarm_cleared")
               if e.data["alarm_kind"] == "gas_over_limit"}  # fmt: skip
    assert sources == {"Z0_H1"}


def test_a_release_still_wants_a_fresh_one(checked) -> None:
    """Fifteen minutes for a release stay as they are, however long a check is held."""
    rig = checked
    rig.turn(readings={"Z0_H0": 160})
    _check(rig, 10)
    rig.run(905)
    refused = rig.command("release", "S1", outputs=["cut_Z0"])
    assert "hand_value_missing:Z0_H0" in refused.data["reasons"]


def test_a_check_of_a_point_that_is_gone_expires_as_well(checked) -> None:
    """Another configuration without the head leaves nothing behind and breaks nothing."""
    _check(checked, 30)
    less = [each for each in checked.mine.points if each.id != "Z0_H0"]
    checked.mine = replace(checked.mine, points=tuple(less), interlocks=())
    del checked.world["Z0_H0"]
    checked.run(605)
    assert [e.data["point"] for e in checked.of("hand_check_expired")] == ["Z0_H0"]
    assert not view(checked.mine, checked.state, checked.now_ms)["hand_checks"]
