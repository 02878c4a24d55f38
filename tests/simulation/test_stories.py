"""Stories on virtual time: the real controller, lines and core against the simulated mine."""

import pytest
from minewatch_sim.people import Habits
from minewatch_sim.scenario import Scenario

from minewatch.model.mine import OutputRole


def _nightly(*seeds: int) -> list[object]:
    """Seeds of the night; a thousand schedules of the campaign are run by day."""
    return [pytest.param(each, marks=pytest.mark.nightly) for each in seeds]


def _at_s(house, kind: str, **wanted: object) -> float:
    """The time of the first event of a kind with this data, in s since the plant's start."""
    for now_ms, event in house.decided:
        if event.kind == kind and all(event.data.get(key) == v for key, v in wanted.items()):
            return (now_ms - 1000) / 1000
    raise AssertionError(f"no {kind} with {wanted}")


def _energised(house, output: str) -> bool:
    wired = house.mine.output(output)
    return house.plant.coils.get(wired.device, wired.signal)


def test_a_quiet_shift_cuts_nothing(make_house) -> None:
    """Four minutes of a normal shift: no trip, no cause, no withdrawal; every head is GOOD."""
    house = make_house("normal-shift")
    house.run(240)
    assert not house.kinds("cause_latched")
    assert not house.kinds("withdrawal_raised")
    seen = house.view()["points"]
    assert {each["quality"] for each in seen.values()} == {"GOOD"}
    assert len(seen) == len(house.mine.points)


def test_the_demo_story_comes_in_its_order(make_house) -> None:
    """Pre-alarm, alarm, trip, failed cut, upstream cut, horn: each at its time in the contract."""
    house = make_house("demo")
    house.run(130)
    pre = _at_s(house, "alarm_raised", alarm_kind="pre_alarm", source="12301_T1")
    alarm = _at_s(house, "alarm_raised", alarm_kind="gas_over_limit", source="12301_T1")
    trip = _at_s(house, "cause_latched", cause="trip:12301_T1")
    failed = _at_s(house, "alarm_raised", alarm_kind="failed_actuation", source="cut_12301")
    horn = _at_s(house, "escalated", to="horn")
    assert 60 < pre < alarm < trip < 90
    assert trip + 2 <= failed <= trip + 2.5
    assert trip + 30 <= horn <= trip + 31
    assert not _energised(house, "cut_12301")
    assert not _energised(house, "cut_west")
    assert house.value("FEED_12301") == house.value("FEED_WEST") == 0
    assert _energised(house, "siren_face1")
    assert house.kinds("alarm_raised")


def test_reading_at_trip_reaches_the_coil_within_its_scan(make_house) -> None:
    """From the value in the register to the coil: at most the 200 ms scan, a turn and a write."""
    house = make_house("demo")
    house.run(100)
    log: dict[tuple[str, str], int] = {}
    for each in house.plant.log:
        log.setdefault((each.what, each.subject), each.at_us)
    took_ms = (log["coil", "cut_12301"] - log["reached", "12301_T1"]) / 1000
    assert 0 <= took_ms <= 200 + 50


def test_a_lost_head_alarms_in_ten_seconds_and_cuts_after_its_fault_time(make_house) -> None:
    """A head without power: fault alarm within 10 s, its area cut after the place's fault time."""
    house = make_house("sensor-lost")
    house.run(60)
    raised = _at_s(house, "alarm_raised", alarm_kind="sensor_fault", source="12302_T1")
    latched = min(
        (now - 1000) / 1000
        for now, event in house.decided
        if event.kind == "cause_latched" and "12302_T1" in event.data["points"]
    )
    point = house.mine.point("12302_T1")
    assert 20 < raised <= 20 + 10 + 1.2
    assert 20 < latched <= 20 + point.fault_after_ms / 1000 + 1.2
    assert not _energised(house, "cut_12302")
    assert _energised(house, "cut_12301")


def test_over_headcount_shuts_the_gate_for_those_who_come(make_house) -> None:
    """Above the limit an alarm stands and the gate refuses entry, while people leave freely."""
    house = make_house("over-headcount")
    house.run(105)
    assert house.plant.truth().total == 133
    assert _at_s(house, "alarm_raised", alarm_kind="over_limit", source="mine") > 60
    assert not _energised(house, "gate_mouth")
    house.run(30)
    assert house.plant.people.refused == 6
    house.run(100)
    assert house.plant.truth().total == 126
    assert _energised(house, "gate_mouth")


@pytest.mark.parametrize("seed", [1, *_nightly(2, 3)])
def test_headcount_interval_holds_the_truth(make_house, seed) -> None:
    """Through cages and lost mouth reads, lo ≤ truth ≤ hi whenever no cage has just moved."""
    story = Scenario.load("normal-shift")
    house = make_house(story, seed)
    house.run(20)
    for minute in range(8):
        house.plant.do("cage", come=minute % 4, go=(minute + 1) % 3, lost=minute % 2)
        house.run(45)
        count = house.view()["headcount"]
        truth = house.plant.truth().total
        assert count["lo"] <= truth, (minute, count)
        assert count["hi"] is None or truth <= count["hi"], (minute, count)


def test_same_seed_same_decisions_and_bytes(make_house) -> None:
    """Two runs of a seed agree in every decision and in every byte on every wire."""
    seen = set()
    for _ in range(2):
        house = make_house("demo", seed=9)
        house.run(95)
        seen.add((house.digest.hex(), house.bench.digest()))
    assert len(seen) == 1


def test_death_in_a_withdrawal_opens_cuts_and_never_silences_the_siren(make_house) -> None:
    """With the controller dead, relay watchdogs open power cuts in 5 s; the siren sounds on."""
    house = make_house("demo")
    house.run(88)
    assert _energised(house, "siren_face1")
    house.bench.stop_lines()
    house.bench.store.crash()
    house.bench.run_for(None, 5_000)
    for output in house.mine.outputs:
        if output.role is OutputRole.POWER_CUT:
            assert not _energised(house, output.id), output.id
    assert house.value("SOUND_FACE1") == 1
    house.bench.run_for(None, 60_000)
    assert house.value("SOUND_FACE1") == 1


def test_the_house_comes_back_with_its_latches(make_house) -> None:
    """Killed after the trip and back within 5 s: causes, siren and people are as before."""
    house = make_house("demo")
    house.run(95)
    before = house.view()
    house.crash(down_s=1.5)
    house.run(5)
    after = house.view()
    assert set(before["causes"]) <= set(after["causes"])
    assert set(after["withdrawals"]) == set(before["withdrawals"])
    assert house.value("SOUND_FACE1") == 1
    assert not _energised(house, "cut_12301")
    assert not _energised(house, "cut_west")
    assert {each["quality"] for each in after["points"].values()} == {"GOOD"}


@pytest.mark.parametrize("seed", [0, *_nightly(1, 2, 3, 4, 5)])
def test_crashes_at_random_never_unlatch(make_house, seed) -> None:
    """Through random crashes no latched cause vanishes without a release, no cut re-energises."""
    house = make_house("demo", seed=seed)
    house.run(83)
    latched = {"trip:12301_T1"}
    rng = house.bench.store.rng
    for _ in range(8):
        house.run(rng.uniform(0.05, 3.0))
        lost = house.crash(down_s=rng.choice([0.0, 0.3, 4.0]))
        assert lost <= 500
        house.run(2.5)
        assert latched <= set(house.view()["causes"])
        assert not _energised(house, "cut_12301")
        assert not _energised(house, "cut_west")
        assert house.value("SOUND_FACE1") == 1


def test_a_full_disk_stops_no_trip(make_house) -> None:
    """With a failing store the rise still cuts and sounds; nothing becomes durable meanwhile."""
    house = make_house("gas-rise")
    house.run(20)
    durable = house.bench.store.durable_index
    house.bench.store.failing = True
    house.run(70)
    assert not _energised(house, "cut_12303")
    assert house.value("SOUND_HEAD") == 1
    assert house.bench.store.durable_index == durable
    assert "disk" in house.bench.store.faults()


def test_siren_empties_the_zone_and_the_silent_one_is_missed(make_house) -> None:
    """After the withdrawal the face holds one person, whose silent badge becomes unaccounted."""
    house = make_house("demo")
    house.run(160)
    assert house.plant.truth().zones["face_12301"] == 1
    missed = [
        event for event in house.kinds("alarm_raised") if event.data["alarm_kind"] == "unaccounted"
    ]
    silent = [b for b, walker in house.plant.people.walkers.items() if walker.silent]
    assert len(silent) == 1
    assert silent[0] in {event.data["source"] for event in missed}


def test_monitor_mode_writes_nothing(demo_mine) -> None:
    """Without write paths no coil ever changes, whatever the gas does."""
    from minewatch_sim.virtual_bench import Listener, VirtualBench

    bench = VirtualBench(demo_mine, Scenario("quiet", Habits(underground=0)), writes=False)
    bench.plant.force("12301_T1", 3.0)
    listener = Listener(bench)
    for _ in range(20):
        for line in bench.lines.values():
            line.want(dict.fromkeys(line.outputs, False), bench.clock.now_us())
        bench.run_for(listener, 300)
    assert not [each for each in bench.plant.log if each.what == "coil"]
