"""Ours beside the certified system's: when a difference is told, and when it is over."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minewatch.core import snapshot
from minewatch.core.fold import recover
from minewatch.core.readings.comparison import LOOK_MS
from minewatch.core.rebase import rebase
from minewatch.core.snapshot import durable_from_json, durable_to_json
from minewatch.core.view import view
from minewatch.model.alarm import AlarmKind
from minewatch.model.canonical import canonical
from minewatch.model.image import Image
from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Comparison, Device, Mode, Point
from minewatch.model.quality import Quality

OURS, THEIRS = "Z0_H0", "KJ_Z0"
PAIR = Comparison(OURS, OURS, THEIRS, Kind.METHANE, 20, 60_000)


def with_certified(mine: Any, *pairs: Comparison) -> Any:
    """Return the mine with a files line, one certified head in face Z0, and these pairs."""
    point = Point(THEIRS, "", Kind.METHANE, "Z0", "kj", "x", "certified", stale_ms=90_000)
    return replace(
        mine,
        buses=(*mine.buses, Bus("kj", "files:///x")),
        devices=(*mine.devices, Device("kj", "kj", 1, "certified-cdss")),
        points=(*mine.points, point),
        comparisons=pairs,
    )


@pytest.fixture
def rig(mine_of, rig_of) -> Any:
    """Return a mine in service whose certified head agrees with ours."""
    return rig_of(with_certified(mine_of(), PAIR)).start()


def run(rig: Any, seconds: int, **world: int | Quality) -> list[str]:
    """Set what points read and run; return the kinds of comparison events of this time."""
    rig.world |= world
    return [e.kind for e in rig.run(seconds, 1000) if e.kind.startswith("comparison")]


def alarms(rig: Any) -> set[AlarmKind]:
    """Return the kinds of alarms that stand."""
    return {each.kind for each in rig.state.durable.alarms.items.values() if each.active}


@pytest.mark.parametrize("theirs", [71, 29])
def test_a_difference_is_told_after_its_time(rig, theirs: int) -> None:
    """More than 0.20 %CH4 either way for 60 s without a break is one event and one warning."""
    assert run(rig, 10, Z0_H0=50, KJ_Z0=50) == []
    assert run(rig, 60, KJ_Z0=theirs) == []
    assert run(rig, 2) == ["comparison_opened"]
    assert run(rig, 120) == []
    data = rig.of("comparison_opened")[0].data
    assert data["difference"] == theirs - 50
    assert (data["point"], data["other"], data["ours_lo"], data["theirs"], data["limit"]) == (
        OURS, THEIRS, 50, theirs, 20,
    )  # fmt: skip
    assert rig.of("comparison_opened")[0].now_ms - data["since_ms"] >= 60_000
    assert alarms(rig) == {AlarmKind.COMPARISON}


def test_what_is_within_the_limit_is_never_told(rig) -> None:
    """Exactly 0.20 %CH4 apart is not more than 0.20 %CH4 apart."""
    assert run(rig, 300, Z0_H0=50, KJ_Z0=70) == []


def test_a_break_starts_the_time_anew(rig) -> None:
    """59 s apart, one look inside, 59 s apart: nothing is told."""
    for _ in range(3):
        assert run(rig, 59, Z0_H0=50, KJ_Z0=75) == []
        assert run(rig, 1, KJ_Z0=60) == []


def test_it_is_over_after_being_inside_for_as_long(rig) -> None:
    """Inside for 60 s ends it, a relapse before does not; event, alarm and view go together."""
    run(rig, 65, Z0_H0=10, KJ_Z0=75)
    assert view(rig.mine, rig.state, rig.now_ms)["comparisons"][OURS]["theirs"] == 75
    assert run(rig, 59, KJ_Z0=10) == []
    assert run(rig, 5, KJ_Z0=75) == []
    assert run(rig, 62, KJ_Z0=10) == ["comparison_closed"]
    assert rig.of("comparison_closed")[0].data["reason"] == "inside"
    assert alarms(rig) == set()
    assert view(rig.mine, rig.state, rig.now_ms)["comparisons"] == {}


@pytest.mark.parametrize("lost", [OURS, THEIRS])
def test_a_side_that_is_lost_ends_it(rig, lost: str) -> None:
    """Nothing is told against a value that may not be believed, and what stood ends as lost."""
    run(rig, 65, Z0_H0=10, KJ_Z0=75)
    assert run(rig, 62, **{lost: Quality.COMM_FAULT}) == ["comparison_closed"]
    assert rig.of("comparison_closed")[0].data["reason"] == "lost"
    assert run(rig, 200) == []


@pytest.mark.parametrize("quality", [q for q in Quality if q is not Quality.GOOD])
def test_only_good_is_compared(rig, quality: Quality) -> None:
    """Every quality but GOOD says nothing here: no difference is made of it."""
    assert run(rig, 150, Z0_H0=10, KJ_Z0=quality) == []


def test_a_certified_value_that_nobody_renews_ends_it(rig) -> None:
    """The files stop: the value ages, is STALE by its own limit, and the difference is lost."""
    run(rig, 65, Z0_H0=10, KJ_Z0=75)
    kinds: list[str] = []
    for _ in range(160):
        shown = {OURS: 10}
        kinds += [e.kind for e in rig.turn(ms=1000, readings=shown).events]
    assert "comparison_closed" in kinds
    assert rig.state.volatile.points.live[THEIRS].quality is Quality.STALE
    assert rig.state.volatile.points.live[THEIRS].value is None


def test_a_certified_value_decides_nothing(rig) -> None:
    """However bad theirs is, no alarm, no cut, no latch, no withdrawal, no level, no lost head."""
    before = dict(rig.last.outputs)
    for value in (400, Quality.OVER_RANGE, Quality.COMM_FAULT, Quality.IMPLAUSIBLE):
        assert run(rig, 30, KJ_Z0=value) == []
        assert rig.last.outputs == before
        assert alarms(rig) == set()
        assert rig.state.volatile.points.live[THEIRS].level == 0
        assert rig.state.durable.points.over == {}
        assert THEIRS not in rig.state.volatile.points.raised


def test_a_certified_head_guards_nobody(rig) -> None:
    """Our last head stays the last: a GOOD certified value permits no calibration, and a lost head
    still cuts.
    """
    rig.world["Z0_H1"] = Quality.COMM_FAULT
    rig.run(5)
    answer = rig.command("calibrate", "S6", point=OURS)
    assert "last_head" in answer.data["reasons"]
    rig.run(15)
    assert rig.last.outputs["cut_Z0"] is False


@pytest.mark.parametrize(
    ("kind", "by", "more"),
    [
        ("calibrate", "S6", {}), ("hand_value", "S7", {"value": 10}), ("bypass", "S4", {}),
        ("hand_cover", "S4", {"checker": "S7"}),
    ],
)  # fmt: skip
def test_nobody_may_act_on_a_certified_point(rig, kind: str, by: str, more: dict) -> None:
    """It is not ours to calibrate, to measure, to bypass or to cover."""
    answer = rig.command(kind, by, point=THEIRS, **more)
    assert answer.kind == "command_refused"
    assert answer.data["reasons"][0] in (f"unknown_point:{THEIRS}", f"not_a_gas_head:{THEIRS}")


def test_a_difference_changes_no_output(mine_of, rig_of) -> None:
    """With and without the pair the same readings give the same tables and the same cuts."""
    tables = []
    for pairs in ((PAIR,), ()):
        rig = rig_of(with_certified(mine_of(), *pairs)).start()
        seen = []
        for value in (10, 90, 160, 10):
            rig.world |= {OURS: value, THEIRS: 95}
            for _ in range(70):
                seen.append(dict(rig.turn(ms=1000, scan=True).outputs))
        tables.append(seen)
        assert ("comparison_opened" in rig.kinds()) == bool(pairs)
    assert tables[0] == tables[1]


def test_it_is_no_first_out(rig) -> None:
    """A warning about two systems never takes the first-out of a gas alarm after it."""
    run(rig, 65, Z0_H0=50, KJ_Z0=75)
    rig.turn(readings={OURS: 120})
    raised = {e.data["alarm_kind"]: e.data["first_out"] for e in rig.of("alarm_raised")}
    assert raised["comparison"] is False
    assert raised["pre_alarm"] is False
    assert raised["gas_over_limit"] is True


def test_monitor_compares_as_well(mine_of, rig_of) -> None:
    """The comparison is what monitor is for: it needs no output."""
    rig = rig_of(with_certified(mine_of(mode=Mode.MONITOR), PAIR)).start()
    assert run(rig, 65, Z0_H0=10, KJ_Z0=75) == ["comparison_opened"]


def test_it_survives_a_crash_and_a_reboot(rig) -> None:
    """What stood stands after a restart; its age runs on, and it needs its full time to end."""
    run(rig, 65, Z0_H0=10, KJ_Z0=75)
    assert recover(rig.events) == rig.state.durable
    rig.restart()
    rig.run(3, 1000)
    assert OURS in rig.state.durable.comparisons.open
    assert run(rig, 100) == []
    rig.now_ms = 60_000
    rig.restart()
    standing = rig.state.durable.comparisons.open[OURS]
    assert rig.now_ms - standing.since_ms > 60_000
    assert run(rig, 70, KJ_Z0=10) == ["comparison_closed"]
    assert recover(rig.events) == rig.state.durable


def test_it_survives_a_snapshot(rig, monkeypatch) -> None:
    """A snapshot holds it, and recovery from there is the same state."""
    run(rig, 65, Z0_H0=10, KJ_Z0=75)
    monkeypatch.setattr(snapshot, "EVENTS_MAX", 1)
    rig.turn()
    durable = rig.state.durable
    assert durable_from_json(json.loads(canonical(durable_to_json(durable)))) == durable
    place = max(n for n, event in enumerate(rig.events) if event.kind == "state")
    assert recover(rig.events[place:]) == durable


def test_a_pair_that_is_no_longer_configured_ends(rig) -> None:
    """Another configuration without the pair takes over; the difference ends as removed."""
    run(rig, 65, Z0_H0=10, KJ_Z0=75)
    without = replace(rig.mine, comparisons=())
    image = Image(rig.cycle, rig.now_ms + 50, rig.wall_ms + 50, True, 10**6)
    decided = rebase(rig.mine, without, rig.state, image)
    assert [e.kind for e in decided.events] == ["configuration_loaded"]
    rig.mine, rig.state = without, decided.state
    rig.events += decided.events
    assert run(rig, 3) == ["comparison_closed"]
    assert rig.of("comparison_closed")[0].data["reason"] == "removed"
    assert alarms(rig) == set()
    assert recover(rig.events) == rig.state.durable


SIDES = st.sampled_from([10, 29, 30, 31, 50, 70, 71, Quality.COMM_FAULT, Quality.CALIBRATION])
SPANS = st.lists(
    st.tuples(SIDES, SIDES, st.sampled_from([1, 30, 59, 60, 61, 62, 90])), min_size=1, max_size=8
)


@given(SPANS)
@settings(max_examples=25, deadline=None)
def test_it_follows_a_model_of_one_timer(core_tools, spans) -> None:
    """Whatever the two sides do, what stands is what a plain timer over the looks says."""
    mine = with_certified(core_tools.build_mine(zones=1, heads=1), PAIR)
    rig = core_tools.Rig(mine).start()
    stands, since_ms, next_ms = False, None, 0
    for ours, theirs, seconds in spans:
        rig.world |= {OURS: ours, THEIRS: theirs}
        good = not isinstance(ours, Quality) and not isinstance(theirs, Quality)
        apart = good and abs(ours - theirs) > 20
        for _ in range(seconds):
            rig.turn(ms=1000, scan=True)
            if rig.now_ms < next_ms:
                continue
            next_ms = rig.now_ms + LOOK_MS
            if apart == stands:
                since_ms = None
                continue
            since_ms = rig.now_ms if since_ms is None else since_ms
            if rig.now_ms - since_ms >= 60_000:
                stands, since_ms = apart, None
            assert (OURS in rig.state.durable.comparisons.open) == stands
    assert (OURS in rig.state.durable.comparisons.open) == stands
    assert recover(rig.events) == rig.state.durable
