"""Grades of an exceedance: by how long and how high, said when they are reached (practice 19)."""

from dataclasses import replace
from typing import Any

import pytest

from minewatch.core.fold import recover
from minewatch.core.view import view
from minewatch.model.emergency import Emergencies
from minewatch.model.image import Image, Reading, Sample
from minewatch.model.kind import Kind
from minewatch.model.mine import Limits, Point
from minewatch.model.quality import Quality

HEAD = "Z0_H0"
MINUTE_MS = 60_000
GAS_MS = {"mine": 0, "county": 60_000, "city": 1_800_000, "province": 3_600_000}
FAN_MS = {"mine": 0, "county": 60_000, "city": 600_000, "province": 1_800_000}


def grades(rig: Any) -> Any:
    """Return the frame's grades."""
    return view(rig.mine, rig.state, rig.now_ms)["grades"]


def said(rig: Any) -> list[str]:
    """Return the grades that were said, in order."""
    return [e.data["grade"] for e in rig.of("grade_reached")]


def put(rig: Any, ms: int = 100, **readings: Any) -> None:
    """Let the world be so from now on."""
    rig.world.update(readings)
    rig.turn(ms=ms, readings=readings)


@pytest.mark.parametrize("grade", list(GAS_MS)[1:])
def test_a_gas_exceedance_rises_at_the_very_millisecond(storm: Any, grade: str) -> None:
    """Below the time it has the grade before, at the time the grade itself, once."""
    rig = storm()
    put(rig, **{HEAD: 100})
    assert said(rig) == ["mine"]
    before = list(GAS_MS)[: list(GAS_MS).index(grade)]
    put(rig, GAS_MS[grade] - 1, **{HEAD: 120})
    assert said(rig)[-1] == before[-1]
    put(rig, 1)
    assert said(rig)[-1] == grade
    assert len(said(rig)) == len(set(said(rig)))
    assert rig.of("grade_reached")[-1].data["duration_ms"] == GAS_MS[grade]
    count = len(said(rig))
    put(rig, **{HEAD: 121})
    assert len(said(rig)) == count


@pytest.mark.parametrize("grade", list(FAN_MS))
def test_a_fan_stop_rises_at_the_very_millisecond(storm: Any, grade: str) -> None:
    """1, 10 and 30 minutes."""
    rig = storm()
    put(rig, FAN_A=0)
    if FAN_MS[grade]:
        rig.turn(ms=FAN_MS[grade] - 1)
        assert said(rig)[-1] != grade
        rig.turn(ms=1)
    assert said(rig)[-1] == grade
    shown = grades(rig)["main_fan:surface"]
    assert (shown["grade"], shown["peak"], shown["of"]) == (grade, None, "main_fan")
    assert shown["planned"] is False
    put(rig, FAN_A=1)
    (ended,) = rig.of("exceedance_ended")
    assert (ended.data["grade"], ended.data["source"]) == (grade, "surface")
    assert ended.data["duration_ms"] == FAN_MS[grade] + 100
    assert grades(rig) == {}


@pytest.mark.parametrize(("peak", "grade"), [(299, "mine"), (300, "province"), (301, "province")])
def test_three_percent_is_the_province_at_once(storm: Any, peak: int, grade: str) -> None:
    """However short: at the sample that reaches it, also while the alarm stands already."""
    rig = storm()
    put(rig, **{HEAD: 110})
    put(rig, **{HEAD: peak})
    assert said(rig) == list(dict.fromkeys(["mine", grade]))
    put(rig, **{HEAD: 110})
    assert grades(rig)["gas:Z0_H0"]["grade"] == grade
    first = storm()
    put(first, **{HEAD: peak})
    assert said(first) == [grade]


def test_beyond_its_range_is_above_three_percent(storm: Any) -> None:
    """Nobody knows how high; the peak is not a number then."""
    rig = storm()
    put(rig, **{HEAD: Quality.OVER_RANGE})
    assert said(rig) == ["province"]
    assert grades(rig)["gas:Z0_H0"]["peak"] is None


@pytest.mark.parametrize("value", [99, Quality.COMM_FAULT])
def test_what_does_not_alarm_is_not_graded(storm: Any, value: Any) -> None:
    """Below the limit or not GOOD there is no exceedance."""
    rig = storm()
    put(rig, **{HEAD: value})
    assert said(rig) == []


def test_it_ends_with_its_alarm_its_time_and_its_peak(storm: Any) -> None:
    """Silence does not end it; a GOOD value below the clear limit does, however long it hovered."""
    rig = storm()
    put(rig, **{HEAD: 100})
    put(rig, **{HEAD: 140})
    put(rig, **{HEAD: 90})
    put(rig, **{HEAD: Quality.COMM_FAULT})
    assert grades(rig)
    for _ in range(700):
        rig.turn(ms=1000, readings={HEAD: 20})
        if not grades(rig):
            break
    (ended,) = rig.of("exceedance_ended")
    (cleared,) = [e for e in rig.of("alarm_cleared") if e.data["alarm_kind"] == "gas_over_limit"]
    assert ended.data == {
        "duration_ms": cleared.data["duration_ms"], "grade": said(rig)[-1], "of": "gas",
        "peak": 140, "planned": False, "source": HEAD,
    }  # fmt: skip
    assert recover(rig.events) == rig.state.durable


def test_a_peak_between_two_looks_is_graded_too(storm: Any) -> None:
    """Over the limit and below it again within one image: the mine's grade, or the province's."""
    for peak, grades_said in ((120, ["mine"]), (320, ["province"])):
        rig = storm()
        at_ms = rig.now_ms
        samples = tuple(
            Sample("head", at_ms + n, (Reading(HEAD, value, Quality.GOOD),))
            for n, value in enumerate((peak, 10), start=1)
        )
        _step(rig, samples)
        rig.run(700)
        assert said(rig) == grades_said
        (ended,) = rig.of("exceedance_ended")
        assert (ended.data["grade"], ended.data["peak"]) == (grades_said[-1], peak)


def _step(rig: Any, samples: tuple[Sample, ...]) -> None:
    from minewatch.core.step import step

    rig.now_ms += 100
    rig.wall_ms += 100
    image = Image(rig.cycle, rig.now_ms, rig.wall_ms, True, rig.state.durable.index, samples)
    decided = step(rig.mine, rig.state, image)
    rig.state = decided.state
    rig.events += decided.events


def test_other_gases_have_no_grade(storm: Any) -> None:
    """The ladder is of methane; carbon monoxide alarms without one."""
    point = Point(
        "CO", "", Kind.CARBON_MONOXIDE, "Z0", "fan", "co", "x", Limits(alarm=24, clear=19)
    )
    rig = storm(point)
    put(rig, CO=300)
    assert any(a.source == "CO" for a in rig.state.durable.alarms.items.values())
    assert said(rig) == []


def test_two_heads_have_a_grade_each(storm: Any) -> None:
    """One ends, the other goes on."""
    rig = storm()
    put(rig, **{HEAD: 110})
    put(rig, 30_000, Z0_H1=110)
    put(rig, 30_000)
    assert grades(rig)["gas:Z0_H0"]["grade"] == "county"
    assert grades(rig)["gas:Z0_H1"]["grade"] == "mine"
    put(rig, 30_000)
    assert grades(rig)["gas:Z0_H1"]["grade"] == "county"


def test_a_time_that_is_reached_in_the_last_cycle_counts(storm: Any) -> None:
    """The end of the alarm does not hide the minute that it has lasted."""
    rig = storm()
    put(rig, **{HEAD: 110})
    assert grades(rig)["gas:Z0_H0"]["source"] == HEAD
    put(rig, 60_400, **{HEAD: 20})
    assert said(rig) == ["mine", "county"]
    (ended,) = rig.of("exceedance_ended")
    assert (ended.data["grade"], ended.data["duration_ms"]) == ("county", 60_400)


def test_each_head_ends_with_its_own_peak(storm: Any) -> None:
    """Two that end in one cycle are told apart."""
    rig = storm()
    put(rig, **{HEAD: 100, "Z0_H1": 100})
    put(rig, **{HEAD: 140, "Z0_H1": 120})
    for _ in range(700):
        rig.turn(ms=1000, readings={HEAD: 20, "Z0_H1": 20})
        if not grades(rig):
            break
    peaks = {e.data["source"]: e.data["peak"] for e in rig.of("exceedance_ended")}
    assert peaks == {HEAD: 140, "Z0_H1": 120}


def test_planned_work_is_labelled_and_graded_all_the_same(storm: Any) -> None:
    """A notice of blasting changes the label, not the ladder."""
    rig = storm()
    state = rig.state
    put(rig, **{HEAD: 110})
    (event,) = rig.of("grade_reached")
    assert event.data["planned"] is False
    alarms = rig.state.durable.alarms
    items = {key: replace(each, planned=True) for key, each in alarms.items.items()}
    durable = replace(rig.state.durable, alarms=replace(alarms, items=items))
    rig.state = replace(rig.state, durable=durable)
    put(rig, 60_000)
    assert rig.of("grade_reached")[-1].data["planned"] is True
    assert grades(rig)["gas:Z0_H0"]["planned"] is True
    assert state is not rig.state


@pytest.mark.parametrize(("wall_ms", "extra_ms"), [(0, 0), (3_600_000, 3_600_000), (-3_600_000, 0)])
def test_its_age_survives_a_restart(storm: Any, wall_ms: int, extra_ms: int) -> None:
    """The earlier of both clocks: rather a grade too high than one too low."""
    rig = storm()
    put(rig, **{HEAD: 110})
    since_ms = rig.now_ms
    rig.wall_ms += wall_ms
    rig.restart(down_ms=30_000)
    assert grades(rig)["gas:Z0_H0"]["since_ms"] == since_ms - extra_ms


@pytest.mark.parametrize("step_ms", [3_600_000, -3_600_000])
def test_a_step_of_the_wall_clock_makes_nothing_graver(storm: Any, step_ms: int) -> None:
    """Neither at once nor after a restart."""
    rig = storm()
    put(rig, **{HEAD: 110})
    since_ms = rig.now_ms
    rig.wall_ms += step_ms
    rig.turn(readings={HEAD: 110})
    rig.restart(down_ms=1_000)
    assert grades(rig)["gas:Z0_H0"]["since_ms"] == since_ms
    assert said(rig) == ["mine"]


def test_a_mine_without_grades_says_none(storm: Any) -> None:
    """As recorded by an older version."""
    rig = storm(emergencies=Emergencies())
    put(rig, **{HEAD: 310})
    assert said(rig) == []


def test_a_grade_that_a_new_table_lacks_begins_anew(storm: Any) -> None:
    """Another edition of the ladder takes over what lasts without losing it."""
    rig = storm()
    put(rig, **{HEAD: 110})
    put(rig, 60_000, **{HEAD: 110})
    rules = rig.mine.emergencies
    renamed = tuple(replace(g, grade=f"new_{g.grade}") for g in rules.grades)
    rig.mine = replace(rig.mine, emergencies=replace(rules, grades=renamed))
    put(rig, **{HEAD: 111})
    assert said(rig) == ["mine", "county", "new_county"]


def test_nothing_is_looked_at_while_nothing_happens(storm: Any, monkeypatch: Any) -> None:
    """An idle cycle costs two comparisons."""
    from minewatch.core.withdrawals import grades as room

    rig = storm()
    rig.turn()

    def never(*_: Any) -> Any:
        raise AssertionError

    put(rig, **{HEAD: 110})
    rig.turn()
    monkeypatch.setattr(room, "_gas", never)
    rig.turn()
    rig.turn(readings={"Z0_H1": 0})
