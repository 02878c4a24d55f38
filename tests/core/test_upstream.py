"""The chain of switches: each that fails, or leaves the feed live, hands on to the next."""

import pytest

from minewatch.core.alarms.alarm import is_active
from minewatch.core.power.outputs import LEVELS
from minewatch.core.view import sections
from minewatch.model.alarm import AlarmKind
from minewatch.model.kind import Kind
from minewatch.model.mine import Output, OutputRole, Point
from minewatch.model.quality import Quality

CHAIN = ("cut_Z0", "cut_1", "cut_2", "cut_3")
UP = dict(zip(CHAIN, (*CHAIN[1:], None), strict=True))


@pytest.fixture
def rig(mine_of, rig_of):
    """Return a mine whose face hangs below three switches, in service."""
    base = mine_of(zones=1)
    names = CHAIN[1:]
    feeds = tuple(Point(f"F_{n}", "", Kind.FEED_STATE, "mine", "input", n, "") for n in names)
    kept = tuple(o for o in base.outputs if o.id not in ("cut_Z0", "cut_main"))
    cuts = tuple(
        Output(n, "", OutputRole.POWER_CUT, "mine", "relay", n, f"F_{n}", upstream=UP[n])
        for n in names
    )
    face = Output(
        "cut_Z0", "", OutputRole.POWER_CUT, "Z0", "relay", "c", "FEED_Z0", upstream=UP["cut_Z0"]
    )
    return rig_of(
        mine_of(zones=1, points=(*base.points, *feeds), outputs=(face, *cuts, *kept))
    ).start()


def _trip(rig) -> int:
    rig.turn(readings={"Z0_H0": 160})
    return rig.now_ms


def _cut_ms(rig, cause: str) -> list[int]:
    """Return how many outputs the cause held each time that it was latched or grew."""
    return [len(e.data["outputs"]) for e in rig.of("cause_latched") if e.data["cause"] == cause]


@pytest.mark.parametrize("failing", range(len(CHAIN) + 1))
def test_as_many_switches_cut_as_fail(failing: int, rig) -> None:
    """With the lowest `failing` switches welded exactly the next one up is cut, no further."""
    rig.welded.update(CHAIN[:failing])
    _trip(rig)
    rig.run(14)
    open_ = [name for name in CHAIN if not rig.written[name]]
    assert open_ == list(CHAIN[: failing + 1])
    exhausted = [e.data["output"] for e in rig.of("upstream_exhausted")]
    assert ("cut_3" in exhausted) is (failing == len(CHAIN))


def test_the_whole_chain_takes_one_proof_time_for_each_switch(rig) -> None:
    """Bounded: three failing switches take three proof times and their scans."""
    rig.welded.update(CHAIN[:3])
    began_ms = _trip(rig)
    rig.run(14)
    (last,) = [e for e in rig.of("cause_latched") if e.data["cause"] == "upstream:cut_2"]
    assert last.now_ms - began_ms <= 3 * (2_000 + 500) + 100


def test_a_feed_from_elsewhere_climbs_past_switches_that_worked(rig) -> None:
    """A switch above proves its own cut and the face is live all the same: the next cuts."""
    _trip(rig)
    for _ in range(40):
        rig.turn(ms=500, scan=True, readings={"FEED_Z0": 1})
    assert _cut_ms(rig, "upstream:cut_Z0") == [1, 2, 3]
    (event,) = rig.of("upstream_exhausted")
    assert event.data == {"output": "cut_Z0", "tried": ["cut_1", "cut_2", "cut_3"], "zone": "Z0"}
    shown = sections(rig.mine, rig.state, rig.now_ms)["outputs"]
    assert shown["cut_Z0"]["exhausted"] is True
    assert shown["cut_1"]["exhausted"] is False


def test_a_feed_that_nobody_can_read_asks_for_one_switch_only(rig) -> None:
    """One dead input never darkens a mine: the switch above cuts, nothing further up."""
    rig.world["FEED_Z0"] = Quality.COMM_FAULT
    rig.run(1)
    _trip(rig)
    rig.run(20)
    assert [name for name in CHAIN if not rig.written[name]] == ["cut_Z0", "cut_1"]
    assert rig.of("upstream_exhausted") == []


def test_feed_abnormal_climbs_as_well(rig) -> None:
    """馈电异常 after a proved cut: power behind our back climbs until it is gone."""
    _trip(rig)
    rig.run(3)
    for _ in range(12):
        rig.turn(ms=500, scan=True, readings={"FEED_Z0": 1})
    assert _cut_ms(rig, "upstream:cut_Z0")[:2] == [1, 2]
    rig.world["FEED_Z0"] = 0
    rig.run(10)
    assert _cut_ms(rig, "upstream:cut_Z0") in ([1, 2], [1, 2, 3])


def test_the_last_switch_says_once_that_nothing_is_above_it(rig) -> None:
    """Exhausted is said once, not each cycle."""
    rig.welded.update(CHAIN)
    _trip(rig)
    rig.run(60)
    assert [e.data["output"] for e in rig.of("upstream_exhausted")].count("cut_3") == 1


def test_a_chain_that_bites_its_tail_ends(mine_of, rig_of) -> None:
    """A cycle, which `check` refuses, is walked once and no more."""
    base = mine_of(zones=1)
    outputs = tuple(
        Output("cut_main", "", OutputRole.POWER_CUT, "mine", "relay", "main", "FEED_MAIN",
               upstream="cut_Z0") if o.id == "cut_main" else o
        for o in base.outputs
    )  # fmt: skip
    rig = rig_of(mine_of(zones=1, outputs=outputs)).start()
    rig.welded.update(("cut_Z0", "cut_main"))
    rig.turn(readings={"Z0_H0": 160})
    rig.run(20)
    assert rig.written["cut_main"] is False


def test_an_upstream_that_is_not_ours_to_drive_is_asked_and_no_more(mine_of, rig_of) -> None:
    """The demand stands on record; the chain does not count as exhausted."""
    base = mine_of(zones=1)
    outputs = tuple(
        Output("cut_main", "", OutputRole.SIREN, "mine", "relay", "main", "FEED_MAIN")
        if o.id == "cut_main" else o
        for o in base.outputs
    )  # fmt: skip
    rig = rig_of(mine_of(zones=1, outputs=outputs)).start()
    rig.welded.add("cut_Z0")
    rig.turn(readings={"Z0_H0": 160})
    rig.run(10)
    assert rig.of("upstream_exhausted") == []


def test_a_feed_that_is_lost_after_its_proof_changes_nothing(rig) -> None:
    """What is not GOOD says neither that power is back nor that it is still off."""
    _trip(rig)
    rig.run(3)
    rig.world["FEED_Z0"] = Quality.COMM_FAULT
    rig.run(5)
    assert [name for name in CHAIN if not rig.written[name]] == ["cut_Z0"]
    shown = sections(rig.mine, rig.state, rig.now_ms)["outputs"]["cut_Z0"]
    assert shown["proved"] is True
    assert shown["failed"] is False


def test_every_role_has_a_level() -> None:
    """A new role without a level would end every step in an error; causes alone open a cut."""
    assert set(LEVELS) == set(OutputRole) - {OutputRole.POWER_CUT}


def _live(rig, until_ms: int) -> None:
    """Turn until exactly this time while the face's feed is live, whatever is cut."""
    while rig.now_ms < until_ms:
        rig.turn(ms=min(500, until_ms - rig.now_ms), scan=True, readings={"FEED_Z0": 1})


def test_each_step_up_the_chain_comes_to_the_millisecond(rig) -> None:
    """A switch has its proof time, 2.000 s from its own cut, before the next one is asked."""
    _trip(rig)
    cut_ms = rig.now_ms
    _live(rig, cut_ms + 1_999)
    assert rig.written["cut_1"] is True
    rig.turn(ms=1, readings={"FEED_Z0": 1})
    assert rig.written["cut_1"] is False
    _live(rig, cut_ms + 3_999)
    assert rig.written["cut_2"] is True
    rig.turn(ms=1, readings={"FEED_Z0": 1})
    assert rig.written["cut_2"] is False


def test_a_reading_from_before_its_time_is_no_reason_to_climb(rig) -> None:
    """Live until just before the upper switch's time was over says nothing about it."""
    _trip(rig)
    cut_ms = rig.now_ms
    _live(rig, cut_ms + 3_999)
    rig.turn(ms=500)
    assert rig.written["cut_2"] is True


def test_a_proof_of_the_very_moment_counts(rig) -> None:
    """A feed that is sampled when the cut is first wanted proves it."""
    rig.turn(readings={"Z0_H0": 160})
    wanted_ms = rig.state.volatile.interlock.wants["cut_Z0"].since_ms
    assert wanted_ms == rig.now_ms
    rig.turn(ms=0, readings={"FEED_Z0": 0})
    want = rig.state.volatile.interlock.wants["cut_Z0"]
    assert want.proved is True
    assert want.proved_ms == wanted_ms


def test_a_late_proof_ends_the_alarm(rig) -> None:
    """A slow switch is proved late and is failed no more."""
    rig.welded.add("cut_3")
    rig.approved("cut", "S1", "S3", output="cut_3")
    rig.run(4)
    assert rig.state.volatile.interlock.wants["cut_3"].failed is True
    rig.welded.clear()
    rig.run(1)
    want = rig.state.volatile.interlock.wants["cut_3"]
    assert (want.proved, want.failed) == (True, False)
    assert not is_active(rig.state.durable, AlarmKind.FAILED_ACTUATION, "cut_3")


def test_a_switch_that_failed_stays_failed_below_the_one_that_cut(rig) -> None:
    """Its feed is off because of the switch above: that proves nothing of its own."""
    rig.welded.add("cut_Z0")
    _trip(rig)
    rig.run(6)
    want = rig.state.volatile.interlock.wants["cut_Z0"]
    assert (want.proved, want.failed) == (True, True)
    assert is_active(rig.state.durable, AlarmKind.FAILED_ACTUATION, "cut_Z0")
