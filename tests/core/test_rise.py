"""Water that comes up: the rate from successive GOOD samples, its alarm, the inrush and its end."""

from dataclasses import replace
from typing import Any

import pytest

from minewatch.core.rebase import refusals
from minewatch.core.view import view
from minewatch.model.alarm import AlarmKind
from minewatch.model.kind import Kind
from minewatch.model.mine import Limits, Point
from minewatch.model.quality import Quality

WINDOW_MS = 1_800_000
SUMP = Point(
    "SUMP", "", Kind.WATER_LEVEL, "Z0", "input", "sump", "water_level",
    Limits(rise_alarm=20, rise_withdraw=100), rise_over_ms=WINDOW_MS, withdraws_mine=True,
)  # fmt: skip
"""20 cm/h alarm, 100 cm/h empty the mine: 10 and 50 cm within half an hour."""


@pytest.fixture
def sump(rig_of: Any, mine_of: Any) -> Any:
    """Return the builder of rigs in service whose sump stands at 1.00 m."""

    def build(point: Point = SUMP) -> Any:
        mine = mine_of(zones=1, heads=1)
        rig = rig_of(replace(mine, points=(*mine.points, point)))
        rig.world["SUMP"] = 100
        return rig.start()

    return build


def alarms(rig: Any) -> set[str]:
    """Return the kinds of alarms of the sump that stand."""
    items = rig.state.durable.alarms.items.values()
    return {str(a.kind) for a in items if a.active and a.source == "SUMP"}


def look(rig: Any, level: Any, ms: int = 10_000) -> None:
    """Let time pass as the plant scans on, then the level be so and be looked at."""
    for _ in range(ms // 1_000 - 10):
        rig.turn(ms=1_000, scan=True)
    rig.world["SUMP"] = level
    due_ms = rig.state.volatile.rise.next_ms
    while rig.now_ms < due_ms:
        rig.turn(ms=1_000, scan=True)


@pytest.mark.parametrize(
    ("level", "kinds"),
    [
        (109, set()),
        (110, {"rise"}),
        (149, {"rise"}),
        (150, {"rise", "inrush"}),
        (90, set()),
    ],
)
def test_a_fast_rise_is_seen_at_once(sump: Any, level: int, kinds: set[str]) -> None:
    """As soon as the level has come up by what the limit allows in the whole time."""
    rig = sump()
    look(rig, level)
    assert alarms(rig) == kinds
    assert ("rise" in kinds) is bool(rig.of("alarm_raised"))
    if "inrush" in kinds:
        assert rig.state.durable.withdrawal.standing.zones == ("mine",)
        assert rig.state.durable.withdrawal.standing.causes == ("inrush:SUMP",)
        (raised,) = [e for e in rig.of("alarm_raised") if e.data["alarm_kind"] == "inrush"]
        assert (raised.data["value"], raised.data["limit"], raised.data["zone"]) == (100, 100, "Z0")
    else:
        assert rig.state.durable.withdrawal.standing is None


def test_it_is_the_rise_within_the_time_that_counts(sump: Any) -> None:
    """The same centimetres over a longer time are no alarm; the lowest level forgets itself."""
    rig = sump()
    for step in range(1, 12):
        look(rig, 100 + step, 240_000)
        assert alarms(rig) == set(), step
    for step in range(12, 22):
        look(rig, 100 + step, 120_000)
    assert alarms(rig) == {"rise"}


def test_it_rises_from_the_lowest_level_of_the_time(sump: Any) -> None:
    """A sump that was pumped down and fills again has risen, whatever it was before."""
    rig = sump()
    look(rig, 95)
    look(rig, 105)
    assert alarms(rig) == {"rise"}


@pytest.mark.parametrize("bad", [Quality.COMM_FAULT, Quality.IMPLAUSIBLE])
def test_what_is_not_good_adds_nothing(sump: Any, bad: Quality) -> None:
    """It neither raises nor counts as a level; the GOOD ones around it are compared."""
    rig = sump()
    look(rig, bad)
    assert "rise" not in alarms(rig)
    look(rig, 110)
    assert "rise" in alarms(rig)


def test_it_ends_after_a_whole_good_time(sump: Any) -> None:
    """Flat for half an hour without a gap, and not a look sooner."""
    rig = sump()
    end_ms = rig.state.volatile.rise.of["SUMP"].since_ms + WINDOW_MS
    look(rig, 110)
    while rig.now_ms < end_ms - 1_000:
        rig.turn(ms=1_000, scan=True)
    assert alarms(rig) == {"rise"}
    rig.turn(ms=end_ms - rig.now_ms, scan=True)
    assert alarms(rig) == set()


@pytest.mark.parametrize(("each_ms", "stands"), [(200_000, True), (230_000, False)])
def test_it_ends_below_four_fifths(sump: Any, each_ms: int, stands: bool) -> None:
    """Water that comes up by 8 or 9 cm in half an hour holds the alarm of 10; 7 cm end it."""
    rig = sump()
    look(rig, 110)
    for step in range(1, 17):
        look(rig, 110 + step, each_ms)
    assert (alarms(rig) == {"rise"}) is stands


@pytest.mark.parametrize(("level", "stands"), [(108, True), (107, False)])
def test_four_fifths_are_still_too_much(sump: Any, level: int, stands: bool) -> None:
    """Watched for the whole time and risen by 8 cm of 10 it stands, by 7 it is over."""
    rig = sump()
    look(rig, 100, WINDOW_MS - 30_000)
    for _ in range(4):
        look(rig, 110)
    assert alarms(rig) == {"rise"}
    look(rig, level)
    assert (alarms(rig) == {"rise"}) is stands


def test_only_the_inrush_may_be_given(sump: Any) -> None:
    """A limit that is not given does not hide the other."""
    rig = sump(replace(SUMP, limits=Limits(rise_withdraw=100)))
    look(rig, 149)
    assert alarms(rig) == set()
    look(rig, 150)
    assert alarms(rig) == {"inrush"}


def test_a_gap_or_a_restart_clears_nothing(sump: Any) -> None:
    """What nobody watched for the whole time is not over."""
    rig = sump()
    look(rig, 110)
    look(rig, 110, WINDOW_MS // 2)
    look(rig, Quality.COMM_FAULT, 60_000)
    look(rig, 110, WINDOW_MS // 2 + 60_000)
    assert alarms(rig) == {"rise"}
    rig.restart()
    look(rig, 110, WINDOW_MS - 60_000)
    assert alarms(rig) == {"rise"}
    look(rig, 110, 80_000)
    assert alarms(rig) == set()


def test_an_inrush_forbids_the_all_clear_and_keeps_its_point(sump: Any) -> None:
    """While the water comes nobody goes back, and no configuration drops the gauge."""
    rig = sump()
    look(rig, 160)
    (name,) = view(rig.mine, rig.state, rig.now_ms)["withdrawals"]
    refused = rig.command("all_clear", "S3", withdrawal=name)
    assert refused.data["reasons"] == ["cause_stands:SUMP"]
    fewer = replace(rig.mine, points=tuple(p for p in rig.mine.points if p.id != "SUMP"))
    assert "point_in_use:SUMP" in refusals(rig.mine, fewer, rig.state.durable)


@pytest.mark.parametrize("point", [replace(SUMP, rise_over_ms=0), replace(SUMP, limits=Limits())])
def test_a_level_without_such_a_limit_is_left_alone(sump: Any, point: Point) -> None:
    """No time or no limit: nothing to say."""
    rig = sump(point)
    look(rig, 900)
    assert alarms(rig) == set()


def test_a_level_is_taken_once(sump: Any) -> None:
    """What was looked at already is not looked at again: a silent gauge has no new level."""
    rig = sump(replace(SUMP, scan_ms=10_000))
    look(rig, 101)
    before = rig.state.volatile.rise.of["SUMP"]
    for _ in range(10):
        rig.turn(ms=1_000, readings={"Z0_H0": 0})
    assert rig.state.volatile.points.live["SUMP"].quality is Quality.GOOD
    assert rig.state.volatile.rise.of["SUMP"] == before
    assert rig.state.volatile.rise.next_ms > rig.now_ms


def test_only_the_alarm_may_be_given(sump: Any) -> None:
    """A mine without an inrush limit is never emptied by the rate."""
    rig = sump(replace(SUMP, limits=Limits(rise_alarm=20)))
    look(rig, 900)
    assert alarms(rig) == {"rise"}
    assert rig.state.durable.withdrawal.standing is None


def test_what_is_kept_stays_small(sump: Any) -> None:
    """Thirty slots, whatever the scan; no slot older than the time."""
    rig = sump()
    look(rig, 100, 2 * WINDOW_MS)
    history = rig.state.volatile.rise.of["SUMP"]
    assert len(history.slots) == 30
    slot = history.sampled_ms * 30 // WINDOW_MS
    assert [n for n, _ in history.slots] == list(range(slot - 29, slot + 1))


def test_levels_are_looked_at_every_ten_seconds(sump: Any) -> None:
    """Not sooner, and at the very millisecond."""
    rig = sump()
    next_ms = rig.state.volatile.rise.next_ms
    rig.turn(ms=next_ms - rig.now_ms - 1, readings={"SUMP": 110})
    assert alarms(rig) == set()
    rig.turn(ms=1)
    assert alarms(rig) == {"rise"}
    assert rig.state.volatile.rise.next_ms == rig.now_ms + 10_000


@pytest.mark.parametrize(("limit", "zones"), [(True, ("mine",)), (False, ("Z0",))])
def test_a_level_at_its_withdraw_limit(rig_of: Any, mine_of: Any, limit: bool, zones: Any) -> None:
    """Where the row says so the whole mine is withdrawn, else the zone."""
    point = replace(SUMP, limits=Limits(alarm=300, withdraw=400, clear=240), withdraws_mine=limit)
    mine = mine_of(zones=1, heads=1)
    rig = rig_of(replace(mine, points=(*mine.points, point)))
    rig.start()
    rig.turn(readings={"SUMP": 399})
    assert rig.state.durable.withdrawal.standing is None
    rig.turn(readings={"SUMP": 400})
    assert rig.state.durable.withdrawal.standing.zones == zones
    assert AlarmKind.WITHDRAW in {a.kind for a in rig.state.durable.alarms.items.values()}
