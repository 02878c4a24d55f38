"""Local fans: changeover in time, a stop that cuts, and what a release and a restart need."""

import itertools

import pytest

from minewatch.core.alarms.alarm import is_active
from minewatch.core.plan import build
from minewatch.core.view import sections
from minewatch.model.acts import Acts, WorkRule
from minewatch.model.alarm import AlarmKind
from minewatch.model.kind import Kind
from minewatch.model.mine import (
    Cause,
    Condition,
    Interlock,
    Limits,
    LocalFan,
    Mode,
    Output,
    OutputRole,
    Point,
    Scheme,
)
from minewatch.model.quality import Quality

RUN = Limits(low_alarm=1, low_clear=1)
ROW = LocalFan("fans", "Z0", "FAN1", "FAN2", ("Z0_WIND",), near=("NEAR",), start="start")


def ventilated(
    mine_of, *, row: LocalFan = ROW, duct_cuts: bool = True, fan_fault_ms: int = 10_000, **parts
):
    """Return a mine whose Z0 has two fans, a duct, a head near the fan and a start permit."""
    mine = mine_of(zones=1, **parts)
    points = (
        *(p for p in mine.points),
        Point("FAN1", "", Kind.FAN_RUN, "Z0", "fan", "f1", "local_fan", RUN, "", fan_fault_ms),
        Point("FAN2", "", Kind.FAN_RUN, "Z0", "fan", "f2", "local_fan_standby"),
        Point("NEAR", "", Kind.METHANE, "mine", "head", "near", "", Limits(alarm=50, clear=40)),
    )
    causes = (Cause("Z0_WIND", Condition.OFF), Cause("Z0_WIND", Condition.FAULT))
    fan = Interlock(
        "fan_Z0", "", causes if duct_cuts else (), ("cut_Z0",), Scheme.FAN_ELECTRIC, ("Z0",)
    )
    others = [each for each in mine.interlocks if each.id != "fan_Z0"]
    start = Output("start", "", OutputRole.FAN_START, "Z0", "relay", "start", None)
    return mine_of(
        zones=1,
        points=points,
        interlocks=(*others, fan),
        outputs=(*mine.outputs, start),
        local_fans=(row,),
        **parts,
    )


@pytest.fixture
def rig(mine_of, rig_of):
    """Return such a mine in service, the main fan running."""
    rig = rig_of(ventilated(mine_of))
    rig.world["FAN1"] = 1
    return rig.start()


def _shown(rig) -> dict:
    return sections(rig.mine, rig.state, rig.now_ms)["local_fans"]["fans"]


def _turn_to(rig, at_ms: int) -> None:
    """Turn scan by scan until exactly this time."""
    while rig.now_ms < at_ms:
        rig.turn(ms=min(500, at_ms - rig.now_ms), scan=True)


def test_a_changeover_in_time_cuts_nothing_and_is_an_event(rig) -> None:
    """The standby fan takes over within the time while the duct shows wind: on record, no cut."""
    rig.world["FAN1"] = 0
    rig.turn(scan=True)
    stopped_ms = rig.now_ms
    _turn_to(rig, stopped_ms + 9_500)
    rig.world["FAN2"] = 1
    rig.turn(ms=499, scan=True)
    (event,) = rig.of("fan_changed_over")
    assert event.data == {
        "after_ms": 9_999, "before": "FAN1", "fan": "fans", "now": "FAN2", "zone": "Z0",
    }  # fmt: skip
    rig.run(15)
    assert rig.causes == []
    assert _shown(rig)["carrier"] == "FAN2"


def test_no_changeover_cuts_to_the_millisecond(rig) -> None:
    """Nobody took over: 风电闭锁 and its alarm at 10.000 s, not at 9.999 s."""
    rig.world["FAN1"] = 0
    rig.turn(scan=True)
    stopped_ms = rig.now_ms
    _turn_to(rig, stopped_ms + 9_999)
    assert _shown(rig)["cuts_at_ms"] == stopped_ms + 10_000
    assert rig.causes == []
    rig.turn(ms=1)
    assert rig.causes == ["fan:fans"]
    assert rig.written["cut_Z0"] is False
    assert is_active(rig.state.durable, AlarmKind.FANS_STOPPED, "fans")
    assert _shown(rig)["cuts_at_ms"] is None


def test_no_wind_leaves_no_time(rig) -> None:
    """The duct is still: the stop of all fans cuts in the same cycle, twice over."""
    rig.world["Z0_WIND"] = 0
    rig.world["FAN1"] = 0
    rig.turn(scan=True)
    assert rig.causes == ["fan:fans", "off:Z0_WIND"]


def test_a_duct_that_nobody_watches_leaves_no_time(mine_of, rig_of) -> None:
    """Without a GOOD wind nothing shows that air still moves."""
    rig = rig_of(ventilated(mine_of, row=LocalFan("fans", "Z0", "FAN1", "FAN2"), duct_cuts=False))
    rig.world["FAN1"] = 1
    rig.start()
    rig.world["FAN1"] = 0
    rig.turn(scan=True)
    assert rig.causes == ["fan:fans"]


def test_a_single_fan_has_no_changeover(mine_of, rig_of) -> None:
    """`standby` is missing: its stop cuts at once although the duct shows wind."""
    row = LocalFan("fans", "Z0", "FAN1", None, ("Z0_WIND",), changeover_ms=0)
    rig = rig_of(ventilated(mine_of, row=row))
    rig.world["FAN1"] = 1
    rig.start()
    rig.world["FAN1"] = 0
    rig.turn(scan=True)
    assert rig.causes == ["fan:fans"]


def test_a_silent_fan_counts_as_stopped_after_its_fault_time(mine_of, rig_of) -> None:
    """Main lost, standby still: the cut waits for the fault time from its last GOOD sample."""
    rig = rig_of(ventilated(mine_of, fan_fault_ms=15_000))
    rig.world["FAN1"] = 1
    rig.start()
    rig.turn(scan=True)
    good_ms = rig.now_ms
    rig.world["FAN1"] = Quality.COMM_FAULT
    rig.turn(scan=True)
    _turn_to(rig, good_ms + 14_999)
    assert rig.causes == []
    rig.turn(ms=1)
    assert rig.causes == ["fan:fans"]


def test_a_silent_standby_cannot_shorten_the_changeover(rig) -> None:
    """Main stopped, standby long lost: the changeover time still runs, then it cuts."""
    rig.world["FAN2"] = Quality.COMM_FAULT
    rig.run(12)
    rig.world["FAN1"] = 0
    rig.turn(scan=True)
    stopped_ms = rig.now_ms
    _turn_to(rig, stopped_ms + 9_999)
    assert rig.causes == []
    rig.turn(ms=1)
    assert rig.causes == ["fan:fans"]


def test_a_silent_main_is_harmless_while_the_standby_runs(rig) -> None:
    """One fan that is known to run is enough."""
    rig.world.update({"FAN1": Quality.COMM_FAULT, "FAN2": 1})
    rig.run(30)
    assert rig.causes == []


def test_both_running_keep_the_carrier(rig) -> None:
    """A standby fan that joins takes over from nobody; back to one, the first carries on."""
    rig.world["FAN2"] = 1
    rig.run(2)
    rig.world["FAN2"] = 0
    rig.run(2)
    assert rig.of("fan_changed_over") == []
    assert _shown(rig)["carrier"] == "FAN1"


def test_a_changeover_without_a_gap_took_no_time(rig) -> None:
    """The standby fan ran before the main one stopped."""
    rig.world["FAN2"] = 1
    rig.run(1)
    rig.world["FAN1"] = 0
    rig.run(1)
    (event,) = rig.of("fan_changed_over")
    assert event.data["after_ms"] == 0


def test_a_stop_voids_a_release_on_its_way(rig) -> None:
    """Trip wins: the fans stop again while the granted release waits for the disk."""
    rig.world.update({"FAN1": 0, "Z0_WIND": 0})
    rig.turn(scan=True)
    rig.world.update({"FAN1": 1, "Z0_WIND": 1})
    rig.run(62)
    rig.command("hand_value", "S7", point="Z0_H0", value=30)
    rig.disk_stands = True
    assert rig.approved("release", "S1", "S3", outputs=["cut_Z0"]).kind == "release_granted"
    rig.world.update({"FAN1": 0, "Z0_WIND": 0})
    rig.turn(scan=True)
    rig.disk_stands = False
    rig.run(3)
    assert rig.of("release_voided")
    assert rig.written["cut_Z0"] is False


NORMAL = {"FAN1": 1, "Z0_WIND": 1, "Z0_H0": 20}
MISSING = {
    "all is well": ({}, set()),
    "no fan": ({"FAN1": 0, "FAN2": 0}, {"fan_not_running:FAN1"}),
    "fan unknown": ({"FAN1": Quality.STALE}, {"fan_not_running:FAN1"}),
    "standby blows": ({"FAN1": 0, "FAN2": 1}, set()),
    "no wind": ({"Z0_WIND": 0}, {"no_duct_wind:Z0_WIND"}),
    "wind unknown": ({"Z0_WIND": Quality.COMM_FAULT}, {"no_duct_wind:Z0_WIND"}),
    "gas at restore": ({"Z0_H0": 100}, {"not_below_restore:Z0_H0"}),
    "gas below restore": ({"Z0_H0": 99}, set()),
    "head lost": ({"Z0_H1": Quality.COMM_FAULT}, {"not_good:Z0_H1"}),
}


@pytest.mark.parametrize("how", MISSING)
def test_what_a_release_after_a_stop_needs(how: str, rig) -> None:
    """A fan that runs, wind in the duct, every head of the heading GOOD and below restore."""
    world, reasons = MISSING[how]
    rig.world["FAN1"] = 0
    rig.run(12)
    rig.world.update({**NORMAL, **world})
    rig.run(62)
    rig.command("hand_value", "S7", point="Z0_H0", value=30)
    shown = sections(rig.mine, rig.state, rig.now_ms)["causes"]["fan:fans"]
    assert set(shown["reasons"]) == reasons
    assert shown["active"] is bool(reasons)
    assert shown["ready"] is not bool(reasons)


def test_gas_must_have_been_low_for_a_minute(rig) -> None:
    """The heads are held to 60 s, as after any trip."""
    rig.world["FAN1"] = 0
    rig.run(12)
    rig.world.update({"FAN1": 1, "Z0_H0": 120})
    rig.run(3)
    rig.world["Z0_H0"] = 20
    rig.run(30)
    reasons = sections(rig.mine, rig.state, rig.now_ms)["causes"]["fan:fans"]["reasons"]
    assert "not_yet_60_s:Z0_H0" in reasons


def test_a_lost_wind_alone_asks_for_the_same(rig) -> None:
    """`off:<duct>` is a stop of ventilation too: fan, wind and gas are asked for."""
    rig.world.update({"Z0_WIND": 0})
    rig.run(3)
    rig.world.update({"Z0_WIND": 1, "FAN1": 0, "Z0_H1": 120})
    rig.run(3)
    reasons = sections(rig.mine, rig.state, rig.now_ms)["causes"]["off:Z0_WIND"]["reasons"]
    assert {"fan_not_running:FAN1", "not_below_restore:Z0_H1"} <= set(reasons)


def test_a_duct_without_a_row_asks_for_the_gas_of_its_zone(mine_of, rig_of) -> None:
    """The rule holds where no [[local_fan]] is written."""
    rig = rig_of(mine_of(zones=1)).start()
    rig.world["Z0_WIND"] = 0
    rig.run(3)
    rig.world.update({"Z0_WIND": 1, "Z0_H1": 120})
    rig.run(3)
    reasons = sections(rig.mine, rig.state, rig.now_ms)["causes"]["off:Z0_WIND"]["reasons"]
    assert "not_below_restore:Z0_H1" in reasons


def test_a_smoke_switch_is_no_ventilation(mine_of, rig_of) -> None:
    """An off cause of another kind asks for no gas of its zone."""
    mine = mine_of(zones=1)
    door = Point("DOOR", "", Kind.DOOR, "Z0", "fan", "door", "door")
    cause = Interlock("door", "", (Cause("DOOR", Condition.OFF),), ("cut_Z0",))
    rig = rig_of(
        mine_of(zones=1, points=(*mine.points, door), interlocks=(*mine.interlocks, cause))
    )
    rig.world["DOOR"] = 1
    rig.start()
    rig.world["DOOR"] = 0
    rig.run(1)
    rig.world.update({"DOOR": 1, "Z0_H1": 120})
    rig.run(62)
    reasons = sections(rig.mine, rig.state, rig.now_ms)["causes"]["off:DOOR"]["reasons"]
    assert reasons == []


# ---------------------------------------------------------------- restart permit

GAS = {
    "low": (99, "permitted", []),
    "controlled from 1.00": (100, "conditional", ["controlled_release_needed:Z0_H0"]),
    "controlled to 3.00": (300, "conditional", ["controlled_release_needed:Z0_H0"]),
    "special above 3.00": (301, "blocked", ["special_release_needed:Z0_H0"]),
    "unknown": (Quality.STALE, "blocked", ["not_good:Z0_H0"]),
    "beyond range": (Quality.OVER_RANGE, "blocked", ["not_good:Z0_H0"]),
}
AIR = {
    "fine": (50, []),
    "high": (51, ["fan_air_high:NEAR"]),
    "unknown": (Quality.COMM_FAULT, ["not_good:NEAR"]),
}


def _stopped(rig) -> None:
    rig.world.update({"FAN1": 0, "FAN2": 0, "Z0_WIND": 0})
    rig.run(11)


@pytest.mark.parametrize(("gas", "air"), [*itertools.product(GAS, AIR)])
def test_the_restart_permit(gas: str, air: str, rig) -> None:
    """Heading and fan air, each limit to the unit, each reason, and the contact that follows."""
    (value, state, reasons), (near, more) = GAS[gas], AIR[air]
    _stopped(rig)
    rig.world.update({"Z0_H0": value, "NEAR": near})
    rig.run(1)
    shown = _shown(rig)["restart"]
    assert shown["reasons"] == reasons + more
    assert shown["state"] == ("blocked" if more else state)
    assert rig.written["start"] is (shown["state"] == "permitted")


@pytest.mark.parametrize(
    ("work", "zones", "permitted"),
    [("gas_release", "Z0", True), ("gas_release", "surface", False), ("blasting", "Z0", False)],
)
def test_announced_gas_release_lifts_the_middle_band(
    work: str, zones: str, permitted: bool, mine_of, rig_of
) -> None:
    """From 1.0 to 3.0 % a fan starts under announced gas release of that heading, and only so."""
    acts = Acts(works=tuple(WorkRule(each, 60, 60, True) for each in ("gas_release", "blasting")))
    rig = rig_of(ventilated(mine_of, acts=acts))
    rig.world["FAN1"] = 1
    rig.start()
    _stopped(rig)
    rig.world["Z0_H0"] = 200
    rig.run(1)
    asked = rig.command("notice", work=work, zones=[zones], applicant="S6", minutes=30)
    rig.command("record_call", notice=asked.data["notice"], caller="S1")
    assert _shown(rig)["restart"]["state"] == "conditional"
    rig.command("start_work", notice=asked.data["notice"])
    rig.run(1)
    assert (_shown(rig)["restart"]["state"] == "permitted") is permitted
    assert rig.written["start"] is permitted


def test_a_running_fan_is_never_blocked(rig) -> None:
    """Gas far above every limit: while a fan runs the contact stays closed."""
    rig.world.update({"Z0_H0": 400, "NEAR": 400})
    rig.run(5)
    assert rig.written["start"] is True


def test_a_changeover_is_never_blocked(rig) -> None:
    """While the standby fan may take over by itself nothing moves, whatever the gas."""
    rig.world.update({"FAN1": 0, "Z0_H0": 400})
    rig.run(9)
    assert rig.written["start"] is True
    rig.run(3)
    assert rig.written["start"] is False


def test_unknown_fans_leave_the_contact_as_it_is(rig) -> None:
    """Nobody knows whether a fan runs: open stays open, closed stays closed."""
    rig.world.update({"FAN1": Quality.COMM_FAULT, "FAN2": Quality.COMM_FAULT})
    rig.run(12)
    assert rig.written["start"] is True
    _stopped(rig)
    rig.world["Z0_H0"] = 301
    rig.run(1)
    assert rig.written["start"] is False
    rig.world.update({"FAN1": Quality.COMM_FAULT, "Z0_H0": 20})
    rig.run(3)
    assert rig.written["start"] is False


def test_an_unproven_start_writes_no_permit(mine_of, rig_of) -> None:
    """A first table with unknown fans keeps the contact open."""
    rig = rig_of(ventilated(mine_of))
    rig.world.update({"FAN1": Quality.COMM_FAULT, "FAN2": Quality.COMM_FAULT})
    rig.start()
    assert rig.written["start"] is False


@pytest.mark.parametrize("mode", [Mode.ALARM, Mode.MONITOR])
def test_only_control_drives_a_start_permit(mode: Mode, mine_of, rig_of) -> None:
    """A contact in a machine's circuit is written in mode control alone; the permit is shown."""
    rig = rig_of(ventilated(mine_of, mode=mode))
    rig.world["FAN1"] = 1
    rig.start()
    assert rig.last.outputs is not None
    assert "start" not in rig.last.outputs
    assert _shown(rig)["restart"]["output"] == "start"


def test_without_a_head_near_the_fan_people_measure(mine_of, rig_of) -> None:
    """The house cannot say it: the permit asks for a measurement by hand."""
    rig = rig_of(ventilated(mine_of, row=LocalFan("fans", "Z0", "FAN1", "FAN2", ("Z0_WIND",))))
    rig.world["FAN1"] = 1
    rig.start()
    assert _shown(rig)["restart"] == {
        "state": "conditional", "reasons": ["fan_air_unmeasured:FAN1"], "output": None,
    }  # fmt: skip


def test_a_permit_of_no_fan_stays_open(mine_of, rig_of) -> None:
    """An output that no row names permits nothing."""
    rig = rig_of(ventilated(mine_of, row=LocalFan("fans", "Z0", "FAN1", "FAN2", ("Z0_WIND",))))
    rig.world["FAN1"] = 1
    rig.start()
    assert rig.written["start"] is False


def test_a_dead_head_under_hand_cover_is_spoken_for_by_hand(rig) -> None:
    """Its hand value counts for as long as a release may use it, 15 min."""
    rig.world["Z0_H0"] = Quality.COMM_FAULT
    _stopped(rig)
    rig.command("hand_value", "S7", point="Z0_H0", value=30)
    assert _shown(rig)["restart"]["reasons"] == ["not_good:Z0_H0"]
    rig.command("hand_cover", "S4", point="Z0_H0", checker="S7")
    rig.command("hand_value", "S7", point="Z0_H0", value=30)
    rig.run(1)
    assert _shown(rig)["restart"]["reasons"] == []
    rig.command("hand_value", "S7", point="Z0_H0", value=120)
    assert _shown(rig)["restart"]["reasons"] == ["controlled_release_needed:Z0_H0"]


def test_the_larger_of_head_and_hand_counts(rig) -> None:
    """A hand value that is held speaks beside a living head."""
    _stopped(rig)
    rig.command("hand_value", "S7", point="Z0_H0", value=301)
    assert _shown(rig)["restart"]["reasons"] == ["special_release_needed:Z0_H0"]


# ---------------------------------------------------------------- who is looked at, and when


def _two(mine_of):
    """Return a mine with two ventilated zones; the fans of each have interlocks of their own."""
    base = mine_of(zones=2)
    fans = tuple(
        Point(f"{z}_FAN", "", Kind.FAN_RUN, z, "fan", f"{z}_f", "local_fan", RUN)
        for z in ("Z0", "Z1")
    )
    rows = tuple(LocalFan(f"fans_{z}", z, f"{z}_FAN", None, (f"{z}_WIND",)) for z in ("Z0", "Z1"))
    interlocks = (
        Interlock("named", "", (Cause("Z0_WIND", Condition.OFF), Cause("Z0_WIND", Condition.FAULT)),
                  ("cut_Z0",)),
        Interlock("scheme", "", (Cause("Z1_WIND", Condition.OFF),), ("cut_Z1",),
                  Scheme.FAN_ELECTRIC, ("Z1",)),
        Interlock("lost", "", (Cause("Z0_WIND", Condition.FAULT),), ("cut_main",)),
        Interlock("other", "", (Cause("Z0_H0", Condition.OFF),), ("cut_main",)),
        Interlock("methane", "", (Cause("Z0_H0", Condition.TRIP),), ("cut_main",),
                  Scheme.METHANE_ELECTRIC, ("Z0", "Z1")),
    )  # fmt: skip
    return mine_of(zones=2, points=(*base.points, *fans), interlocks=interlocks, local_fans=rows)


def test_fans_cut_what_their_own_interlocks_name(mine_of) -> None:
    """By the scheme of their heading or an off cause of theirs, and by nothing else."""
    sets = build(_two(mine_of)).power.fans
    assert (sets["fans_Z0"].interlocks, sets["fans_Z0"].outputs) == (("named",), ("cut_Z0",))
    assert (sets["fans_Z1"].interlocks, sets["fans_Z1"].outputs) == (("scheme",), ("cut_Z1",))


def test_the_earliest_deadline_wakes(mine_of, rig_of) -> None:
    """One heading's deadline comes although the other's fans run and nobody speaks."""
    rig = rig_of(_two(mine_of))
    rig.world.update({"Z0_FAN": 1, "Z1_FAN": 1, "Z0_H0": 20})
    rig.start()
    rig.world["Z0_FAN"] = 0
    rig.turn(scan=True)
    stopped_ms = rig.now_ms
    _turn_to(rig, stopped_ms + 9_999)
    assert rig.causes == []
    rig.turn(ms=1)
    assert rig.causes == ["fan:fans_Z0"]


def test_a_stop_is_seen_at_its_own_sample(rig) -> None:
    """The switch module alone speaks, between two scans: cut in that cycle."""
    rig.turn(readings={"FAN1": 0, "Z0_WIND": 0})
    assert "fan:fans" in rig.causes


def test_nobody_looks_while_nothing_concerns_the_fans(rig) -> None:
    """An idle cycle and samples of other devices leave the room's state untouched."""
    before = rig.state.volatile.fans
    rig.turn()
    rig.turn(readings={"Z0_H0": 30})
    assert rig.state.volatile.fans is before


def test_a_fan_that_falls_silent_is_looked_at(rig) -> None:
    """No sample at all: the switch becomes stale, and the clock of the stop begins there."""
    rig.world.pop("FAN1")
    rig.world.pop("FAN2")
    while _shown(rig)["stopped_since_ms"] is None:
        rig.turn(ms=500, readings={"Z0_H0": 20, "Z0_H1": 20})
        assert rig.now_ms < 1_060_000
    assert rig.state.volatile.points.live["FAN1"].quality is Quality.STALE


def test_the_alarm_ends_when_a_fan_runs_again(rig) -> None:
    """The condition is gone; the cut stands until its release."""
    rig.world["FAN1"] = 0
    rig.run(12)
    rig.world["FAN2"] = 1
    rig.run(1)
    assert not is_active(rig.state.durable, AlarmKind.FANS_STOPPED, "fans")
    assert rig.causes == ["fan:fans"]


def test_what_the_frame_says_of_fans(rig) -> None:
    """The names of the contract, while a changeover is awaited."""
    rig.world["FAN1"] = 0
    rig.turn(scan=True)
    shown = _shown(rig)
    shown.pop("restart")
    assert shown == {
        "zone": "Z0", "main": "FAN1", "standby": "FAN2", "running": [], "carrier": "FAN1",
        "stopped_since_ms": rig.now_ms, "cuts_at_ms": rig.now_ms + 10_000, "outputs": ["cut_Z0"],
    }  # fmt: skip
    rig.world["FAN2"] = 1
    rig.turn(ms=500, scan=True)
    assert _shown(rig)["running"] == ["FAN2"]


def test_the_permit_falls_when_the_changeover_is_over_to_the_millisecond(rig) -> None:
    """Closed at 9.999 s of a stop in bad air, open at 10.000 s."""
    rig.world.update({"FAN1": 0, "Z0_H0": 400})
    rig.turn(scan=True)
    stopped_ms = rig.now_ms
    _turn_to(rig, stopped_ms + 9_999)
    assert rig.written["start"] is True
    rig.turn(ms=1)
    assert rig.written["start"] is False


def test_a_head_out_of_service_permits_no_start(rig) -> None:
    """What a bypassed head reads is no measurement."""
    rig.approved("bypass", "S4", "S3", point="Z0_H0", minutes=60)
    _stopped(rig)
    assert _shown(rig)["restart"]["reasons"] == ["not_good:Z0_H0"]


def test_a_hand_value_speaks_for_a_dead_head_for_fifteen_minutes(rig) -> None:
    """Under hand cover, to the millisecond."""
    rig.world["Z0_H0"] = Quality.COMM_FAULT
    _stopped(rig)
    rig.command("hand_cover", "S4", point="Z0_H0", checker="S7")
    rig.command("hand_value", "S7", point="Z0_H0", value=30)
    until_ms = rig.now_ms + 15 * 60_000
    for now_ms, reasons in ((until_ms - 1, []), (until_ms, ["not_good:Z0_H0"])):
        shown = sections(rig.mine, rig.state, now_ms)["local_fans"]["fans"]["restart"]
        assert shown["reasons"] == reasons
