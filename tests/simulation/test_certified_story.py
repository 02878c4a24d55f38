"""A whole house on virtual time beside a certified system that drifts and falls silent."""

POINT = "KJ_12301_T1"


def _comparisons(house) -> list[tuple[str, str]]:
    return [
        (event.kind, event.data["comparison"])
        for _, event in house.decided
        if event.kind.startswith("comparison")
    ]


def test_a_shifted_file_value_is_told_within_its_time(make_house) -> None:
    """From the shift to the event: one file period and 60 s; and it is in the frame and the ledger.

    A crash in between loses nothing, the end comes 60 s after the files are right again, and no
    output ever knew of it.
    """
    house = make_house("normal-shift")
    house.run(65)
    assert _comparisons(house) == []
    outputs = {key: each["wanted"] for key, each in house.view()["outputs"].items()}
    house.plant.do("certified", point=POINT, shift=0.4)
    shifted_ms = house.bench.clock.now_ms()
    house.run(100)
    assert _comparisons(house) == [("comparison_opened", "12301_T1")]
    told_ms = next(at for at, event in house.decided if event.kind == "comparison_opened")
    assert 60_000 <= told_ms - shifted_ms <= 92_000
    standing = house.view()["comparisons"]["12301_T1"]
    assert (standing["difference"], standing["limit"]) == (40, 20)
    assert {key: each["wanted"] for key, each in house.view()["outputs"].items()} == outputs
    assert not house.kinds("cause_latched")
    house.crash(down_s=5)
    house.run(40)
    assert "12301_T1" in house.view()["comparisons"]
    house.plant.do("certified", point=POINT, shift=0.0)
    house.run(100)
    assert _comparisons(house)[-1] == ("comparison_closed", "12301_T1")
    assert house.view()["comparisons"] == {}


def test_a_lost_source_is_said_once_and_raises_nothing(make_house) -> None:
    """Files stop: the line is lost once, its values grow STALE, and nothing else happens."""
    house = make_house("normal-shift")
    house.run(65)
    house.plant.do("certified", trouble="half")
    house.run(150)
    faults = [each.data for each in house.kinds("house_fault")]
    assert [(each["family"], each["subject"]) for each in faults] == [("bus", "certified")]
    assert faults[0]["said"]["error"] == "unfinished"
    assert house.view()["points"][POINT]["quality"] == "STALE"
    assert house.view()["points"][POINT]["value"] is None
    assert not house.kinds("alarm_raised")
    house.plant.do("certified")
    house.run(35)
    assert [each.data["subject"] for each in house.kinds("house_restored")] == ["certified"]
    assert house.view()["points"][POINT]["quality"] == "GOOD"
