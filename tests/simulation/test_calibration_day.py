"""Calibrations on virtual time: forty heads, no cut, no clear, forty sheets (practice 8)."""

import dataclasses

import pytest
from minewatch_sim.scenario import Action, Scenario

PERIOD_S = 75
FIELD_ENGINEER = "S006"
DISPATCHER = "S001"


def _day(count: int) -> Scenario:
    """The shipped day with its ten minutes per head shortened to `PERIOD_S`, for `count` heads."""
    story = Scenario.load("calibration-day")
    bottles = [each for each in story.actions if each.do == "bottle"][:count]
    steps = [[8, 0.0], [14, 1.02], [14, 2.00], [8, 0.0]]
    actions: list[Action] = []
    for turn, each in enumerate(bottles):
        point, at_s = each.arguments["point"], 20 + turn * PERIOD_S
        for do, later_s, more in (
            ("announce", 0, {"what": "calibration_due"}),
            ("bottle", 5, {"steps": steps}),
            ("announce", 55, {"what": "calibration_done"}),
        ):
            actions.append(Action(at_s + later_s, do, {"point": point, **more}))
    return dataclasses.replace(story, actions=tuple(actions))


def _play(house, count: int) -> None:
    """Do for the people what the story announces, second by second."""
    told = 0
    for _ in range(20 + count * PERIOD_S):
        house.run(1)
        _start_work(house)
        for note in list(house.plant.notes)[told:]:
            told += 1
            what, point = note.arguments.get("what"), note.arguments.get("point")
            if what == "calibration_due":
                house.command(
                    "notice",
                    FIELD_ENGINEER,
                    work="calibration",
                    points=[point],
                    applicant=FIELD_ENGINEER,
                    minutes=PERIOD_S // 60,
                )
            elif what == "calibration_done":
                house.command("end_calibration", FIELD_ENGINEER, point=point)


def _start_work(house) -> None:
    """Take each notice one step further: no broker answers here, so it is told by telephone."""
    begun = {each.data["point"] for each in house.kinds("calibration_started")}
    for work in house.controller.state.durable.works.open.values():
        if not work.called:
            caller = {"notice": work.id, "caller": FIELD_ENGINEER}
            house.command("record_call", DISPATCHER, "值班员", **caller)
        elif not work.started_by:
            house.command("start_work", FIELD_ENGINEER, notice=work.id)
        elif work.points[0] not in begun:
            house.command("calibrate", FIELD_ENGINEER, point=work.points[0])


def _check(house, count: int) -> None:
    sheets = house.kinds("calibration_ended")
    assert len(sheets) == count
    for sheet in sheets:
        levels = [plateau["value"] for plateau in sheet.data["plateaus"]]
        assert any(abs(level - 102) <= 5 for level in levels), sheet.data
        assert any(abs(level - 200) <= 5 for level in levels), sheet.data
    assert not house.kinds("cause_latched")
    assert not [each for each in house.plant.log if each.what == "coil" and not each.value]
    heads = {sheet.data["point"] for sheet in sheets}
    raised = [e for e in house.kinds("alarm_raised") if e.data["source"] in heads]
    cleared = [e for e in house.kinds("alarm_cleared") if e.data["source"] in heads]
    assert not raised
    assert not cleared


def test_six_heads_are_calibrated_without_a_cut(make_house) -> None:
    """Test gas of 2 % on six heads in turn moves no coil and leaves a sheet each."""
    house = make_house(_day(6))
    _play(house, 6)
    _check(house, 6)


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_forty_heads_are_calibrated_without_a_cut(make_house) -> None:
    """The whole day: forty heads, no cut, no clear, forty sheets of evidence."""
    house = make_house(_day(40))
    _play(house, 40)
    _check(house, 40)


def test_a_gateways_reboot_is_one_cause(make_house) -> None:
    """Every place lost by one restarting gateway stands in one cause, not in forty."""
    house = make_house(Scenario("reboot"))
    house.run(20)
    house.plant.do("fault", target="gw_west", name="reboot")
    house.run(15)
    house.plant.do("end_fault", target="gw_west")
    house.run(15)
    causes = house.kinds("cause_latched")
    assert len(causes) == 1
    lost = set(causes[0].data["points"])
    on_line = {d.id for d in house.mine.devices if d.bus == "gw_west"}
    watched = {c.point for each in house.mine.interlocks for c in each.causes}
    assert lost >= {p.id for p in house.mine.points if p.device in on_line and p.id in watched}
    assert {"cut_12302", "cut_west"} <= set(causes[0].data["outputs"])
    assert {each["quality"] for each in house.view()["points"].values()} == {"GOOD"}
