"""Scenarios: each loads and runs; a wrong one says what is wrong."""

import dataclasses

import pytest
from minewatch_sim.plant import Plant
from minewatch_sim.recorded import read_column
from minewatch_sim.scenario import Scenario, ScenarioError, scenario_names
from minewatch_sim.virtual_bench import Listener, VirtualBench

LIVELY = [name for name in scenario_names() if name != "recorded"]


def test_all_promised_scenarios_are_there() -> None:
    """The stories that the handbooks name come with the package."""
    promised = {"normal-shift", "gas-rise", "sensor-lost", "over-headcount", "calibration-day"}
    assert promised | {"demo", "recorded"} == set(scenario_names())


@pytest.mark.parametrize("name", LIVELY)
def test_scenario_runs_ten_minutes_and_repeats(demo_mine, name) -> None:
    """Ten minutes of every scenario run without a fault and give one digest per seed."""
    digests = set()
    for _ in range(2):
        plant = Plant(demo_mine, 5, Scenario.load(name))
        plant.advance(600_000)
        digests.add(plant.digest())
    assert len(digests) == 1


def test_calibration_day_brings_forty_bottles(demo_mine) -> None:
    """The day holds forty calibrations, each announced before its gas and after it."""
    story = Scenario.load("calibration-day")
    bottles = [each for each in story.actions if each.do == "bottle"]
    told = [each for each in story.actions if each.do == "announce"]
    assert (len(bottles), len(told)) == (40, 80)
    due = [each.at_s for each in told if each.arguments["what"] == "calibration_due"]
    assert all(asked < gas.at_s for asked, gas in zip(due, bottles, strict=True))


WRONG = {
    "unknown table": ("[scenari]\n", "unknown tables"),
    "unknown key": ("[scenario]\nspeeed = 2\n", "speeed"),
    "no time": ('[[action]]\ndo = "weld"\n', "at_s"),
    "not toml": ("[scenario\n", "at line 1"),
    "condition": ('[[action]]\nat_s = 1\ndo = "cage"\nwhen = { is = 1 }\n', "is"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files_say_what_is_wrong(tmp_path, case) -> None:
    """A fault in a scenario file is named, never skipped."""
    text, word = WRONG[case]
    path = tmp_path / "wrong.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError, match=word):
        Scenario.load(path)


UNKNOWN = {
    "act": ('do = "explode"', "no act explode"),
    "argument": ('do = "weld"\noutput = "cut_12301"\nhard = true', "hard"),
    "point": ('do = "ramp_gas"\npoint = "nowhere"\nto = 1.0', "nowhere"),
    "output": ('do = "weld"\noutput = "cut_moon"', "cut_moon"),
    "zone": ('do = "silent_badge"\nzone = "face_0"', "face_0"),
    "target": ('do = "fault"\ntarget = "gw_moon"\nname = "mute"', "gw_moon"),
    "fault": ('do = "fault"\ntarget = "gw_west"\nname = "haunted"', "haunted"),
    "condition": ('do = "cage"\nwhen = { energised = "cut_moon" }', "cut_moon"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_unknown_names_are_refused_before_the_start(demo_mine, tmp_path, case) -> None:
    """A plant does not begin a story with an act or an id that there is not."""
    lines, word = UNKNOWN[case]
    path = tmp_path / "story.toml"
    path.write_text(f"[[action]]\nat_s = 5\n{lines}\n", encoding="utf-8")
    with pytest.raises(ScenarioError, match=word):
        Plant(demo_mine, 1, Scenario.load(path))


def test_missing_scenario_lists_the_known_ones() -> None:
    """A wrong name is answered with the names that there are."""
    with pytest.raises(ScenarioError, match="gas-rise"):
        Scenario.load("gas-fall")


def test_recorded_series_goes_on_by_reads(demo_mine, real_data) -> None:
    """A real longwall's rows appear one per read, in the file's own values, and the last stays."""
    plant = Plant(demo_mine, 1, Scenario.load("recorded"))
    head = demo_mine.point("12301_T1")
    series = plant.series["12301_T1"]
    shown = []
    for _ in range(1100):
        shown.append(plant.value(head))
        plant.was_read("12301_T1")
    assert shown[:4] == [70, 80, 80, 80]
    assert max(shown) >= 100
    assert series.row == 1100
    series.row = len(series) - 1
    plant.was_read("12301_T1")
    assert series.ended


def test_recorded_rows_arrive_over_the_wire_one_per_read(demo_mine, real_data) -> None:
    """At a 50 ms scan the line reads rows 0 to 1100 of a real longwall in order, none twice."""
    buses = tuple(dataclasses.replace(bus, scan_ms=50) for bus in demo_mine.buses)
    mine = dataclasses.replace(demo_mine, buses=buses)
    story = Scenario.load("recorded")
    bench = VirtualBench(mine, story)
    listener = Listener(bench)
    bench.run_for(listener, 60_000)
    read = [r.value for s in listener.samples for r in s.readings if r.point == "12301_T1"]
    assert story.recorded is not None
    rows = read_column(story.recorded.file, story.recorded.column)
    assert len(read) >= 1100
    assert read[:1100] == [round(100 * value) for value in rows[:1100]]
