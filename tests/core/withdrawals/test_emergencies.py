"""Demands that start a withdrawal by themselves: fans, rain, orders; their clocks and ends."""

from dataclasses import replace
from typing import Any

import pytest

from minewatch.core.fold import recover
from minewatch.core.rebase import rebase, refusals
from minewatch.core.view import view
from minewatch.core.withdrawals import emergencies
from minewatch.model.alarm import AlarmKind
from minewatch.model.emergency import Emergencies
from minewatch.model.image import Notice
from minewatch.model.kind import Kind
from minewatch.model.mine import Point
from minewatch.model.quality import Quality

FAN_STOP = "main_fan_stop:surface"
WET = "rain_24h:RAIN"
MINUTE_MS = 60_000


def frame(rig: Any) -> Any:
    """Return the frame's demands."""
    return view(rig.mine, rig.state, rig.now_ms)["emergencies"]


def standing(rig: Any) -> Any:
    """Return the standing withdrawal."""
    return rig.state.durable.withdrawal.standing


def alarmed(rig: Any) -> set[str]:
    """Return the demands whose alarm stands."""
    items = rig.state.durable.alarms.items.values()
    return {a.source for a in items if a.active and a.kind is AlarmKind.WITHDRAWAL_DEMANDED}


def put(rig: Any, **readings: Any) -> None:
    """Let the world be so from now on."""
    rig.world.update(readings)
    rig.turn(readings=readings)


def directive(**said: Any) -> Notice:
    """Return a county's directive."""
    whole = {"nonce": "n1", "kind": "withdraw", "document": "D-7", "zones": []}
    return Notice("county_directive", "", {**whole, **said})


# ------------------------------------------------------------------ clocks

CLOCKS = {
    "fan": (FAN_STOP, {"FAN_A": 0}, (), 10 * MINUTE_MS),
    "rain": (WET, {"RAIN": 500}, (), 5 * MINUTE_MS),
    "directive": ("county_directive:n1", {}, (directive(),), 3 * MINUTE_MS),
}


@pytest.mark.parametrize("name", CLOCKS)
def test_it_starts_by_itself_at_its_very_millisecond(storm: Any, name: str) -> None:
    """An alarm and a countdown at once, the withdrawal of the mine at the end of the clock."""
    demand_id, readings, notices, after_ms = CLOCKS[name]
    rig = storm()
    begun_ms = rig.now_ms + 100
    rig.turn(readings=readings, notices=notices)
    shown = frame(rig)[demand_id]
    assert (shown["since_ms"], shown["starts_ms"]) == (begun_ms, begun_ms + after_ms)
    assert (shown["zones"], shown["met"]) == (["mine"], False)
    assert alarmed(rig) == {demand_id}
    assert rig.last.outputs["horn"] is True
    assert rig.of("withdrawal_demanded")[0].text == ""
    rig.turn(ms=after_ms - 1)
    assert standing(rig) is None
    rig.turn(ms=1)
    assert (standing(rig).zones, standing(rig).causes) == (("mine",), (demand_id,))
    (met,) = rig.of("withdrawal_demand_met")
    assert met.data == {"by": "clock", "demand": demand_id}
    rig.turn(ms=1)
    assert len(rig.of("withdrawal_demand_met")) == 1


@pytest.mark.parametrize("reboot", [False, True])
@pytest.mark.parametrize("wall_ms", [0, -3_600_000, 3_600_000])
def test_a_clock_survives_a_restart_and_is_never_late(
    storm: Any, reboot: bool, wall_ms: int
) -> None:
    """The time that was away counts; a wall clock put back gains nothing, one put on hurries."""
    rig = storm()
    put(rig, RAIN=500)
    rig.turn(ms=100_000)
    before = recover(rig.events)
    assert before == rig.state.durable
    rig.wall_ms += wall_ms
    if reboot:
        rig.now_ms = 1_000
    rig.restart(down_ms=20_000)
    due_ms = 0 if wall_ms > 0 else 300_000 - 120_000
    if reboot and wall_ms < 0:
        due_ms = 300_000 - 100_000
    elif reboot and not wall_ms:
        due_ms = 300_000 - 120_000
    if due_ms:
        assert frame(rig)[WET]["starts_ms"] == rig.now_ms + due_ms
        rig.turn(ms=due_ms - 1)
        assert standing(rig) is None
        rig.turn(ms=1)
    assert standing(rig).zones == ("mine",)


@pytest.mark.parametrize("step_ms", [3_600_000, -3_600_000, -1_700_000_000_000])
def test_a_step_of_the_wall_clock_moves_no_clock(storm: Any, step_ms: int) -> None:
    """Within a run the monotonic clock alone counts, and the label follows the step."""
    rig = storm()
    put(rig, RAIN=500)
    starts_ms = frame(rig)[WET]["starts_ms"]
    rig.wall_ms += step_ms
    rig.turn()
    assert rig.of("clock_stepped")
    assert frame(rig)[WET]["starts_ms"] == starts_ms
    rig.restart(down_ms=10_000)
    assert frame(rig)[WET]["starts_ms"] == starts_ms


def test_a_person_who_is_sooner_meets_it(storm: Any) -> None:
    """A withdrawal of the mine meets the demand, which is named among its causes."""
    rig = storm()
    put(rig, FAN_A=0)
    rig.command("withdraw", "S1", zones=["Z0"])
    assert frame(rig)[FAN_STOP]["met"] is False
    rig.command("withdraw", "S1", zones=["mine"])
    rig.turn()
    assert frame(rig)[FAN_STOP]["met"] is True
    assert [e.data["by"] for e in rig.of("withdrawal_demand_met")] == ["withdrawal"]
    assert FAN_STOP in standing(rig).causes
    assert alarmed(rig) == {FAN_STOP}


# ------------------------------------------------------------------ rain


@pytest.mark.parametrize(
    ("value", "demanded"), [(499, False), (500, True), (501, True), (Quality.OVER_RANGE, True)]
)
def test_rain_demands_at_its_limit(storm: Any, value: Any, demanded: bool) -> None:
    """50.0 mm in 24 h, or a gauge beyond its range; 49.9 only alarms of itself."""
    rig = storm()
    put(rig, RAIN=value)
    assert (WET in frame(rig)) is demanded


@pytest.mark.parametrize(
    ("value", "over"),
    [(400, False), (399, True), (Quality.COMM_FAULT, False), (Quality.IMPLAUSIBLE, False)],
)
def test_rain_is_over_below_its_clear_limit_alone(storm: Any, value: Any, over: bool) -> None:
    """A gauge that hovers or falls silent stops no clock; a GOOD value below 40.0 does."""
    rig = storm()
    put(rig, RAIN=500)
    put(rig, RAIN=value)
    assert (WET not in frame(rig)) is over
    assert (alarmed(rig) == set()) is over
    ended = [e.data for e in rig.of("withdrawal_demand_ended")]
    said = {"demand": WET, "duration_ms": 100, "met": False, "reason": "over"}
    assert ended == ([said] if over else [])
    rig.turn(ms=10 * MINUTE_MS)
    assert (standing(rig) is None) is over


def test_a_gauge_without_a_clear_limit_ends_below_the_rule(rig_of: Any, weathered: Any) -> None:
    """The rule's own value is the highest clear limit there is."""
    mine = weathered()
    points = tuple(
        replace(p, limits=type(p.limits)()) if p.id == "RAIN" else p for p in mine.points
    )
    rig = rig_of(replace(mine, points=points))
    rig.world["FAN_A"] = 1
    rig.start()
    put(rig, RAIN=500)
    assert WET in frame(rig)
    put(rig, RAIN=499)
    assert frame(rig) == {}


def test_without_threat_of_flood_rain_waits_for_a_person(storm: Any) -> None:
    """Alarm and demand are the same, but no clock runs; fans are not meant."""
    rig = storm(flood_threat=False)
    put(rig, RAIN=500, FAN_A=0)
    assert frame(rig)[WET]["starts_ms"] is None
    assert frame(rig)[FAN_STOP]["starts_ms"] is not None
    assert alarmed(rig) == {WET, FAN_STOP}
    put(rig, FAN_A=1)
    rig.turn(ms=3_600_000)
    assert standing(rig) is None
    rig.restart()
    assert frame(rig)[WET]["starts_ms"] is None
    rig.command("withdraw", "S1", zones=["mine"])
    rig.turn()
    assert frame(rig)[WET]["met"] is True


def test_a_second_gauge_is_a_demand_of_its_own(storm: Any) -> None:
    """Each gauge ends its own demand."""
    rig = storm(Point("RAIN_2", "", Kind.RAIN, "surface", "fan", "r2", "rain"))
    put(rig, RAIN=500, RAIN_2=510)
    assert set(frame(rig)) == {WET, "rain_24h:RAIN_2"}
    put(rig, RAIN=10)
    assert set(frame(rig)) == {"rain_24h:RAIN_2"}


# ------------------------------------------------------------------ main fans

BAD = Quality.COMM_FAULT


@pytest.mark.parametrize(
    ("main", "standby", "begins", "ends"),
    [
        (1, 0, False, True),
        (1, 1, False, True),
        (0, 1, False, True),
        (0, 0, True, False),
        (0, BAD, True, False),
        (BAD, 0, False, False),
        (BAD, 1, False, True),
        (BAD, BAD, False, False),
        (1, BAD, False, True),
    ],
)
def test_what_two_contacts_say(
    storm: Any, main: Any, standby: Any, begins: bool, ends: bool
) -> None:
    """A stop must be known to begin a clock, and a run must be known to end it."""
    rig = storm()
    put(rig, FAN_A=main, FAN_B=standby)
    assert (FAN_STOP in frame(rig)) is begins
    other = storm()
    other.turn(readings={"FAN_A": 0})
    other.turn(readings={"FAN_A": main, "FAN_B": standby})
    assert (FAN_STOP not in frame(other)) is ends


def test_a_zone_needs_as_many_fans_as_it_has_main_fans(storm: Any) -> None:
    """One station's standby does not stand in for both; a zone without fans asks for none."""
    more = Point("FAN_C", "", Kind.FAN_RUN, "surface", "fan", "c", "main_fan")
    rig = storm(more, world={"FAN_C": 1})
    assert frame(rig) == {}
    put(rig, FAN_A=0)
    assert FAN_STOP in frame(rig)
    put(rig, FAN_B=1)
    assert frame(rig) == {}
    put(rig, FAN_C=0)
    assert FAN_STOP in frame(rig)


def test_each_zone_has_its_own_clock(storm: Any) -> None:
    """A station elsewhere that runs helps nobody here."""
    rig = storm(Point("FAN_D", "", Kind.FAN_RUN, "Z0", "fan", "d", "main_fan"), world={"FAN_D": 1})
    put(rig, FAN_D=0)
    assert set(frame(rig)) == {"main_fan_stop:Z0"}


def test_a_fan_that_runs_again_ends_the_demand_not_the_withdrawal(storm: Any) -> None:
    """Before the deadline nothing has happened; after it people come back by two names alone."""
    rig = storm()
    put(rig, FAN_A=0)
    rig.turn(ms=10 * MINUTE_MS)
    assert frame(rig)[FAN_STOP]["met"] is True
    put(rig, FAN_B=1)
    assert frame(rig) == {}
    assert standing(rig).zones == ("mine",)
    (ended,) = rig.of("withdrawal_demand_ended")
    assert (ended.data["met"], ended.data["duration_ms"]) == (True, 600_100)
    assert alarmed(rig) == set()


def test_a_mine_of_an_older_version_has_no_clocks(storm: Any) -> None:
    """Without rules nothing begins, and nothing is guessed."""
    rig = storm(emergencies=Emergencies())
    rig.turn(readings={"FAN_A": 0, "RAIN": 900}, notices=(directive(),))
    assert frame(rig) == {}
    assert [e.data["reasons"] for e in rig.of("county_directive_refused")] == [
        ["unknown_directive"]
    ]


def test_a_rule_without_a_value_asks_no_gauge(storm: Any) -> None:
    """A clock for rain needs its millimetres."""
    rules = storm().mine.emergencies
    demands = tuple(replace(each, value=None) for each in rules.demands)
    rig = storm(emergencies=replace(rules, demands=demands))
    put(rig, RAIN=900)
    assert frame(rig) == {}


# ------------------------------------------------------------------ horn


def test_the_horn_sounds_until_somebody_answers(storm: Any) -> None:
    """At once, not after the escalation's time; silenced for a while, quiet once acknowledged."""
    rig = storm()
    put(rig, FAN_A=0)
    assert rig.last.outputs["horn"] is True
    rig.command("silence", "S1")
    assert rig.last.outputs["horn"] is False
    until_ms = rig.state.durable.alarms.silenced_until_ms
    rig.turn(ms=until_ms - rig.now_ms - 1)
    assert not emergencies.sounds(_draft(rig))
    rig.turn(ms=1)
    assert emergencies.sounds(_draft(rig))
    (name,) = (a.id for a in rig.state.durable.alarms.items.values() if a.source == FAN_STOP)
    rig.command("acknowledge", "S1", alarms=[name])
    assert not emergencies.sounds(_draft(rig))


def test_each_demand_must_be_answered(storm: Any) -> None:
    """One that was acknowledged does not silence another."""
    rig = storm()
    put(rig, FAN_A=0)
    put(rig, RAIN=500)
    (name,) = (a.id for a in rig.state.durable.alarms.items.values() if a.source == FAN_STOP)
    rig.command("acknowledge", "S1", alarms=[name])
    assert emergencies.sounds(_draft(rig))


def _draft(rig: Any) -> Any:
    from minewatch.core.draft import Draft

    return Draft(rig.mine, rig.state, rig.image)


# ------------------------------------------------------------------ orders


def test_an_order_from_above_has_a_document_and_five_minutes(storm: Any) -> None:
    """It is on record with its words and who took it; it goes once the people are going."""
    rig = storm()
    event = rig.command("order_from_above", "S1", document="汛〔2026〕9号", zones=["Z0"])
    assert (event.kind, event.text, event.data["by"]) == ("withdrawal_demanded", "理由", "S1")
    demand_id = "order_from_above:汛〔2026〕9号"
    assert frame(rig)[demand_id]["document"] == "汛〔2026〕9号"
    rig.turn(ms=5 * MINUTE_MS - 1)
    assert standing(rig) is None
    rig.turn(ms=1)
    assert standing(rig).zones == ("Z0",)
    assert frame(rig) == {}
    assert alarmed(rig) == set()


def test_orders_are_refused_for_what_is_wrong_with_them(storm: Any) -> None:
    """The same document once, known zones, the right people, no more than 64."""
    rig = storm()
    rig.command("order_from_above", "S3", document="D1")
    again = rig.command("order_from_above", "S2", document="D1")
    assert again.data["reasons"] == ["already_demanded:D1"]
    lost = rig.command("order_from_above", "S1", document="D2", zones=["nowhere", "Z0"])
    assert lost.data["reasons"] == ["unknown_zone:nowhere"]
    assert rig.command("order_from_above", "S7", document="D2").data["reasons"] == ["not_permitted"]
    for n in range(63):
        assert rig.command("order_from_above", "S1", document=f"M{n}").kind == "withdrawal_demanded"
    full = rig.command("order_from_above", "S1", document="D3")
    assert full.data["reasons"] == ["too_many"]
    rig.turn(readings={"RAIN": 500}, notices=(directive(),))
    assert [e.data["reasons"] for e in rig.of("county_directive_refused")] == [["too_many"]]
    assert WET in frame(rig)


def test_gauges_and_fans_take_no_place_of_an_order(storm: Any) -> None:
    """The bound is on what people send."""
    rig = storm()
    put(rig, RAIN=500, FAN_A=0)
    for n in range(64):
        assert rig.command("order_from_above", "S1", document=f"M{n}").kind == "withdrawal_demanded"
    assert len(frame(rig)) == 66


def test_a_mine_without_the_rule_takes_no_order(storm: Any) -> None:
    """What has no time is not accepted in silence."""
    rig = storm(emergencies=Emergencies())
    event = rig.command("order_from_above", "S1", document="D1")
    assert event.data["reasons"] == ["unknown_command"]


# ------------------------------------------------------------------ directives


def test_what_the_frame_says_of_an_order(storm: Any) -> None:
    """Every key of the contract, with who took it."""
    rig = storm()
    rig.command("order_from_above", "S2", document="D1")
    assert frame(rig)["order_from_above:D1"] == {
        "kind": "order_from_above",
        "source": "D1",
        "zones": ["mine"],
        "document": "D1",
        "by": "S2",
        "since_ms": rig.now_ms,
        "starts_ms": rig.now_ms + 5 * MINUTE_MS,
        "met": False,
    }
    put(rig, FAN_A=0)
    assert (frame(rig)[FAN_STOP]["kind"], frame(rig)[FAN_STOP]["by"]) == ("main_fan_stop", "")


def test_a_directive_that_comes_again_changes_nothing(storm: Any) -> None:
    """Each nonce counts once, also after it was met, after a restart and when it was refused."""
    rig = storm()
    rig.turn(notices=(directive(zones=["Z0"]), directive(zones=["Z0"])))
    assert len(rig.of("withdrawal_demanded")) == 1
    assert frame(rig)["county_directive:n1"]["document"] == "D-7"
    assert frame(rig)["county_directive:n1"]["zones"] == ["Z0"]
    rig.turn(ms=3 * MINUTE_MS)
    assert standing(rig).zones == ("Z0",)
    rig.restart()
    rig.turn(notices=(directive(),))
    assert frame(rig) == {}
    assert len(rig.of("withdrawal_demanded")) == 1


def test_a_withdrawal_of_some_of_its_zones_does_not_meet_it(storm: Any) -> None:
    """All of them must be ordered out."""
    rig = storm()
    rig.command("withdraw", "S1", zones=["Z0"])
    rig.turn(notices=(directive(zones=["Z0", "surface"]),))
    assert frame(rig)["county_directive:n1"]["met"] is False
    rig.command("withdraw", "S1", zones=["surface"])
    rig.turn()
    assert frame(rig) == {}


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        ({"nonce": 7}, ["malformed"]),
        ({"nonce": ""}, ["malformed"]),
        ({"document": None}, ["malformed"]),
        ({"document": "x" * 121}, ["malformed"]),
        ({"zones": "Z0"}, ["malformed"]),
        ({"zones": [["Z0"]]}, ["malformed"]),
        ({"zones": ["Z0", "Z9"]}, ["unknown_zone:Z9"]),
        ({"kind": "resume"}, ["unknown_directive"]),
        ({"kind": "resume", "zones": ["Z9"]}, ["unknown_zone:Z9", "unknown_directive"]),
    ],
)
def test_a_bad_directive_is_refused_once(storm: Any, said: Any, reasons: list[str]) -> None:
    """Every reason is said, and a repeated one does not fill the record."""
    rig = storm()
    rig.turn(notices=(directive(**said), directive(**said)))
    rig.turn(notices=(directive(**said),))
    (event,) = rig.of("county_directive_refused")
    nonce = "" if "nonce" in said else "n1"
    assert event.data == {"nonce": nonce, "reasons": reasons}
    assert frame(rig) == {}


def test_only_so_many_nonces_are_remembered(storm: Any) -> None:
    """The newest 64; memory stays bounded."""
    rig = storm()
    for n in range(65):
        rig.turn(notices=(directive(nonce=f"m{n}", kind="other"),))
    nonces = rig.state.durable.emergencies.nonces
    assert nonces == tuple(f"m{n}" for n in range(1, 65))
    rig.turn(notices=(directive(nonce="m1", kind="other"),))
    assert len(rig.of("county_directive_refused")) == 65
    rig.turn(notices=(directive(nonce="m0", kind="other"),))
    assert len(rig.of("county_directive_refused")) == 66


def test_other_notices_demand_nothing(storm: Any) -> None:
    """Only the county's own notice orders people out."""
    rig = storm()
    rig.turn(notices=(Notice("duty_check", "", {"nonce": "n1"}),))
    assert frame(rig) == {}


# ------------------------------------------------------------------ what else looks at them


def test_a_standing_demand_forbids_the_all_clear(storm: Any) -> None:
    """Also one that was met: people do not go back under fans that stand."""
    rig = storm()
    put(rig, FAN_A=0)
    rig.turn(ms=10 * MINUTE_MS)
    rig.run(3)
    refused = rig.command("all_clear", "S3", withdrawal=standing(rig).id)
    assert refused.data["reasons"] == [f"cause_stands:{FAN_STOP}"]


def test_another_configuration_keeps_the_points_of_a_demand(storm: Any, weathered: Any) -> None:
    """What only a gauge can end must keep its gauge."""
    rig = storm()
    put(rig, RAIN=500, FAN_A=0)
    fewer = tuple(p for p in rig.mine.points if p.id not in {"RAIN", "FAN_B"})
    new = replace(rig.mine, points=fewer)
    reasons = refusals(rig.mine, new, rig.state.durable)
    assert set(reasons) >= {"point_in_use:RAIN", "point_in_use:FAN_B"}


def test_a_demand_whose_gauge_became_something_else_ends(storm: Any) -> None:
    """A fan that is no main fan any more demands nothing, and that is said."""
    rig = storm()
    put(rig, FAN_A=0)
    points = tuple(replace(p, place="local_fan") if p.id == "FAN_A" else p for p in rig.mine.points)
    new = replace(rig.mine, points=points)
    moved = rebase(rig.mine, new, rig.state, rig.image)
    assert moved.events[0].kind == "configuration_loaded"
    rig.mine, rig.state = new, moved.state
    rig.turn()
    (ended,) = rig.of("withdrawal_demand_ended")
    assert ended.data["reason"] == "removed"
    assert frame(rig) == {}


def test_the_ledger_alone_brings_everything_back(storm: Any) -> None:
    """The fold of the events is the state, with demands of every kind."""
    rig = storm()
    rig.turn(
        readings={"RAIN": 500, "FAN_A": 0}, notices=(directive(), directive(nonce="n2", kind=""))
    )
    rig.command("order_from_above", "S1", document="D1")
    rig.turn(ms=4 * MINUTE_MS)
    put(rig, RAIN=0)
    assert recover(rig.events) == rig.state.durable
