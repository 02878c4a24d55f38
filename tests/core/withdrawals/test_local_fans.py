"""A stopped local fan orders the people of its heading out; a changeover in its time does not."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minewatch.core.alarms.alarm import is_active
from minewatch.core.view import sections
from minewatch.model.acts import Acts, WorkRule
from minewatch.model.alarm import AlarmKind
from minewatch.model.kind import Kind
from minewatch.model.mine import (
    Cause,
    Condition,
    Interlock,
    LocalFan,
    Mode,
    Point,
    Scheme,
    Zone,
    ZoneKind,
)
from minewatch.model.quality import Quality

CHANGEOVER_MS, FAULT_MS = 10_000, 10_000
TWO = LocalFan("fans", "Z0", "FAN1", "FAN2", ("Z0_WIND",))
ONE = LocalFan("fans", "Z0", "FAN1", None, ("Z0_WIND",), changeover_ms=0)
SILENT = Quality.COMM_FAULT


def heading(mine_of: Any, row: LocalFan = TWO, **parts: Any) -> Any:
    """Return a mine whose Z0, with a place within and a return behind, has two fans and a duct."""
    mine = mine_of(zones=1)
    points = (
        *mine.points,
        Point("FAN1", "", Kind.FAN_RUN, "Z0", "fan", "f1", "local_fan", fault_after_ms=FAULT_MS),
        Point("FAN2", "", Kind.FAN_RUN, "Z0", "fan", "f2", "local_fan_standby"),
    )
    causes = (Cause("Z0_WIND", Condition.OFF), Cause("Z0_WIND", Condition.FAULT))
    fan = Interlock("fan_Z0", "", causes, ("cut_Z0",), Scheme.FAN_ELECTRIC, ("Z0",))
    zones = (
        *mine.zones,
        Zone("END", "", ZoneKind.ROOM, "Z0"),
        Zone("RETURN", "", ZoneKind.RETURN, "mine", downwind_of=("Z0",)),
    )
    others = tuple(each for each in mine.interlocks if each.id != "fan_Z0")
    wired = mine_of(zones=1, points=points, interlocks=(*others, fan), local_fans=(row,), **parts)
    return replace(wired, zones=zones)


@pytest.fixture
def blown(core_tools: Any) -> Any:
    """Return a way to bring such a mine into service, its main fan running."""

    def begin(row: LocalFan = TWO, **parts: Any) -> Any:
        rig = core_tools.Rig(heading(core_tools.build_mine, row, **parts))
        rig.world["FAN1"] = 1
        return rig.start()

    return begin


def standing(rig: Any) -> Any:
    """Return the withdrawal that stands, or None."""
    return rig.state.durable.withdrawal.standing


def turn_to(rig: Any, at_ms: int) -> None:
    """Turn scan by scan until exactly this time."""
    while rig.now_ms < at_ms:
        rig.turn(ms=min(500, at_ms - rig.now_ms), scan=True)


def show(rig: Any, **world: Any) -> int:
    """Let switches say something else from now on; return when."""
    rig.world.update(world)
    rig.turn(scan=True)
    return rig.now_ms


def test_a_stop_orders_the_heading_out_when_the_changeover_is_over(blown: Any) -> None:
    """Cut and order in one cycle at 10.000 s, not at 9.999 s: the heading and all within it."""
    rig = blown()
    stopped_ms = show(rig, FAN1=0)
    turn_to(rig, stopped_ms + CHANGEOVER_MS - 1)
    assert standing(rig) is None
    rig.turn(ms=1)
    assert (standing(rig).zones, standing(rig).causes) == (("END", "Z0"), ("fan:fans",))
    assert rig.causes == ["fan:fans"]
    (event,) = rig.of("withdrawal_raised")
    assert (event.data["cause"], event.data["zones"]) == ("fan:fans", ["END", "Z0"])
    assert rig.written["siren_Z0"] is True


@pytest.mark.parametrize("wind_ms", [0, 2_000, 9_000])
def test_a_changeover_in_its_time_orders_nobody_out(blown: Any, wind_ms: int) -> None:
    """The duct falls slack meanwhile, which cuts at once; air is back at 9.999 s: nobody leaves."""
    rig = blown()
    stopped_ms = show(rig, FAN1=0)
    turn_to(rig, stopped_ms + wind_ms)
    show(rig, Z0_WIND=0)
    assert "fan:fans" in rig.causes
    turn_to(rig, stopped_ms + CHANGEOVER_MS - 2)
    rig.world.update(FAN2=1, Z0_WIND=1)
    rig.turn(ms=1, scan=True)
    rig.run(60)
    assert standing(rig) is None
    assert rig.of("withdrawal_raised") == []


def test_a_slack_duct_does_not_hasten_the_order(blown: Any) -> None:
    """The cut came at once; the order comes when the changeover is over, without another sample."""
    rig = blown()
    stopped_ms = show(rig, FAN1=0, Z0_WIND=0)
    assert "fan:fans" in rig.causes
    turn_to(rig, stopped_ms + CHANGEOVER_MS - 1)
    assert standing(rig) is None
    rig.turn(ms=1)
    assert standing(rig).causes == ("fan:fans",)


def test_a_single_fan_orders_out_at_once(blown: Any) -> None:
    """Nobody could take over: cut and order at the sample of the stop."""
    rig = blown(ONE)
    rig.turn(readings={"FAN1": 0})
    assert standing(rig).causes == ("fan:fans",)


def test_silence_cuts_and_orders_nobody_out(blown: Any) -> None:
    """A gateway that is gone says nothing of the air: the cut stands, people are not sent out."""
    rig = blown()
    show(rig, FAN1=SILENT, FAN2=SILENT, Z0_WIND=SILENT)
    rig.run(120)
    assert "fan:fans" in rig.causes
    assert is_active(rig.state.durable, AlarmKind.FANS_STOPPED, "fans")
    assert standing(rig) is None


@pytest.mark.parametrize(
    ("seen", "ordered"),
    [
        ({"FAN1": 0}, True),
        ({"Z0_WIND": 0}, True),
        ({"FAN2": 0}, False),
        ({"FAN1": 1}, False),
        ({"FAN2": 1}, False),
    ],
)
def test_what_is_seen_after_silence(blown: Any, seen: dict[str, int], ordered: bool) -> None:
    """The carrier that stands or a slack duct: at that sample. An idle standby says nothing."""
    rig = blown()
    show(rig, FAN1=SILENT, FAN2=SILENT)
    rig.run(30)
    assert standing(rig) is None
    show(rig, **seen)
    assert (standing(rig) is not None) is ordered


def test_a_silent_standby_has_its_fault_time(blown: Any) -> None:
    """The main fan stands, the standby may be running: ordered once its silence counts as lost."""
    rig = blown(LocalFan("fans", "Z0", "FAN1", "FAN2", ("Z0_WIND",), changeover_ms=2_000))
    stopped_ms = show(rig, FAN1=0, FAN2=SILENT)
    good_ms = stopped_ms - 500
    while standing(rig) is None:
        rig.turn(ms=100, scan=True)
        assert rig.now_ms < stopped_ms + 60_000
    fault_ms = rig.mine.point("FAN2").fault_after_ms
    assert good_ms + fault_ms <= rig.now_ms <= stopped_ms + fault_ms


@pytest.mark.parametrize("carrier", ["FAN1", "FAN2"])
def test_whoever_carries_is_the_one_that_counts(blown: Any, carrier: str) -> None:
    """The fan that did not carry may stand as long as it likes, seen or not."""
    rig = blown()
    other = "FAN2" if carrier == "FAN1" else "FAN1"
    show(rig, **{carrier: 1, other: 0})
    rig.run(2)
    show(rig, **{carrier: SILENT})
    rig.run(60)
    assert standing(rig) is None
    show(rig, **{carrier: 0})
    assert standing(rig) is not None


def test_announced_work_excuses_nothing(blown: Any) -> None:
    """Work that was announced and has begun: people leave all the same."""
    rig = blown(ONE, acts=Acts(works=(WorkRule("gas_release", 60, 60, True),)))
    asked = rig.command("notice", work="gas_release", zones=["Z0"], applicant="S6", minutes=30)
    rig.command("record_call", notice=asked.data["notice"], caller="S1")
    rig.command("start_work", notice=asked.data["notice"])
    show(rig, FAN1=0)
    assert standing(rig).causes == ("fan:fans",)


def test_no_mode_is_needed_to_order(blown: Any) -> None:
    """A house that only watches says it too, and that it drives no annunciator."""
    rig = blown(ONE, mode=Mode.MONITOR)
    show(rig, FAN1=0)
    (event,) = rig.of("withdrawal_raised")
    assert event.data["notice"] == "no_annunciator"


NOT_YET = {
    "still stopped": ({}, True),
    "fan runs, duct slack": ({"FAN1": 1}, True),
    "wind, no fan known": ({"FAN1": SILENT, "Z0_WIND": 1}, True),
    "fan runs, duct unknown": ({"FAN1": 1, "Z0_WIND": SILENT}, True),
    "fan and wind": ({"FAN1": 1, "Z0_WIND": 1}, False),
    "standby and wind": ({"FAN2": 1, "Z0_WIND": 1}, False),
}


@pytest.mark.parametrize("how", NOT_YET)
def test_the_all_clear_needs_air_in_the_heading(blown: Any, how: str) -> None:
    """A fan that runs and wind in its ducts, both known; until then the cause stands."""
    world, refused = NOT_YET[how]
    rig = blown(ONE if "standby" not in how else TWO)
    show(rig, FAN1=0, Z0_WIND=0)
    rig.run(12)
    show(rig, **world)
    rig.run(5)
    asked = rig.command("all_clear", "S3", withdrawal=standing(rig).id)
    if refused:
        assert asked.data["reasons"] == ["cause_stands:fans"]
        return
    rig.command("approve", "S4", approval=asked.data["approval"])
    rig.run(3)
    assert standing(rig) is None


def test_a_person_may_be_cleared_while_other_fans_stand(blown: Any) -> None:
    """Silent fans that ordered nobody out forbid nothing."""
    rig = blown()
    show(rig, FAN1=SILENT)
    rig.run(30)
    rig.command("withdraw", "S1", zones=["RETURN"])
    assert rig.approved("all_clear", "S3", "S4", withdrawal=standing(rig).id).kind == (
        "all_clear_given"
    )


def test_a_stop_voids_an_all_clear_on_its_way(blown: Any) -> None:
    """The fans stop again while the all-clear waits for the disk: the order stands on."""
    rig = blown(ONE)
    show(rig, FAN1=0)
    show(rig, FAN1=1)
    rig.run(2)
    rig.disk_stands = True
    rig.approved("all_clear", "S3", "S4", withdrawal=standing(rig).id)
    show(rig, FAN1=0)
    rig.disk_stands = False
    rig.run(3)
    assert standing(rig).cleared_index is None
    assert len(rig.of("withdrawal_extended")) == 1


def test_gas_behind_a_stop_takes_the_return_along(blown: Any) -> None:
    """The same withdrawal grows by the zones downwind once gas demands it; no second one."""
    rig = blown(ONE)
    show(rig, FAN1=0)
    show(rig, Z0_H0=160)
    assert standing(rig).zones == ("END", "RETURN", "Z0")
    assert standing(rig).causes == ("fan:fans", "gas:Z0_H0")


def test_a_stop_in_a_whole_mine_withdrawal_adds_its_cause_alone(blown: Any) -> None:
    """The mine leaves already; the fans are named, so that they forbid the all-clear."""
    rig = blown(ONE)
    rig.command("withdraw", "S1", zones=["mine"])
    show(rig, FAN1=0)
    assert standing(rig).zones == ("mine",)
    assert standing(rig).causes[-1] == "fan:fans"


def test_one_stop_is_one_order(blown: Any) -> None:
    """However long it lasts and however often the switch speaks."""
    rig = blown(ONE)
    show(rig, FAN1=0)
    rig.run(60)
    assert len(rig.of("withdrawal_raised")) == 1
    assert rig.of("withdrawal_extended") == []


def test_a_restart_keeps_the_order_and_begins_no_other(blown: Any) -> None:
    """It stands in the ledger; the new run sees the same stop and has nothing to add."""
    rig = blown(ONE)
    show(rig, FAN1=0)
    rig.restart()
    rig.run(30)
    assert standing(rig).causes == ("fan:fans",)
    assert len(rig.of("withdrawal_raised")) == 1
    assert rig.of("withdrawal_extended") == []


def test_a_stop_that_a_restart_meets_is_ordered_by_the_new_run(blown: Any) -> None:
    """The changeover time begins anew: who carried before is not known, so the main fan counts."""
    rig = blown()
    show(rig, FAN1=0)
    rig.restart()
    assert standing(rig) is None
    rig.run(CHANGEOVER_MS / 1000 + 1)
    assert standing(rig).causes == ("fan:fans",)


def test_the_frame_names_the_fans(blown: Any) -> None:
    """What a page has to say why: the cause, its zones."""
    rig = blown(ONE)
    show(rig, FAN1=0)
    (order,) = sections(rig.mine, rig.state, rig.now_ms)["withdrawals"].values()
    assert (order["cause"], order["zones"]) == ("fan:fans", ["END", "Z0"])


SWITCH = st.sampled_from([0, 0, 1, 1, SILENT])
SCENE = st.tuples(st.integers(1, 14), SWITCH, SWITCH, SWITCH)


@given(st.lists(SCENE, min_size=2, max_size=12))
@settings(max_examples=120, deadline=None)
def test_nobody_leaves_for_less_than_a_stop_and_none_is_missed(
    core_tools: Any, scenes: list[tuple[int, Any, Any, Any]]
) -> None:
    """By a law beside the core, whatever the switches say: no order while a fan was known to run
    within the changeover time; none by silence alone; and always one after two known to stand.
    """
    rig = core_tools.Rig(heading(core_tools.build_mine))
    rig.world["FAN1"] = 1
    rig.start()
    blew_ms = stood_ms = rig.now_ms
    seen = False
    for seconds, main, standby, wind in scenes:
        rig.world.update(FAN1=main, FAN2=standby, Z0_WIND=wind)
        for _ in range(2 * seconds):
            rig.turn(ms=500, scan=True)
            if 1 in (main, standby):
                blew_ms, seen = rig.now_ms, False
            if (main, standby) != (0, 0):
                stood_ms = rig.now_ms
            seen = seen or 0 in (main, standby, wind)
            if standing(rig) is not None:
                assert rig.now_ms - blew_ms > CHANGEOVER_MS - 500
                assert seen
                return
            assert rig.now_ms - stood_ms <= max(CHANGEOVER_MS, FAULT_MS) + 500
