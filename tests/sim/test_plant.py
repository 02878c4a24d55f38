"""The plant: gas, power, people, and that a seed repeats all of it."""

import pytest
from minewatch_sim.people import Habits
from minewatch_sim.plant import Plant
from minewatch_sim.scenario import Scenario

from minewatch.model.kind import Kind


def _cpct(plant: Plant, point: str) -> int:
    return plant.value(plant.mine.point(point))


def _cut(plant: Plant, output: str, energised: bool = False) -> None:
    wired = plant.mine.output(output)
    plant.put_coil(wired.device, wired.signal, energised)


def test_same_seed_same_history(make_plant) -> None:
    """Two plants of one seed agree after ten minutes; another seed gives another history."""
    story = Scenario.load("normal-shift")
    digests = []
    for seed in (7, 7, 8):
        plant = make_plant(story, seed)
        plant.advance(600_000)
        digests.append(plant.digest())
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("pieces", [[600_000], [1000] * 600, [70] * 8571 + [30]])
def test_pieces_of_time_do_not_matter(make_plant, pieces) -> None:
    """How a stretch of time is cut into calls changes nothing."""
    whole = make_plant()
    whole.advance(600_000)
    plant = make_plant()
    for piece in pieces:
        plant.advance(piece)
    assert plant.digest() == whole.digest()


def test_quiet_mine_is_below_every_alarm_and_never_still(make_plant) -> None:
    """Ten quiet minutes raise nothing, and every methane head moves."""
    plant = make_plant()
    heads = [p for p in plant.mine.points if p.kind is Kind.METHANE]
    seen: dict[str, set[int]] = {head.id: set() for head in heads}
    for _ in range(600):
        plant.advance(1000)
        for head in heads:
            value = plant.value(head)
            seen[head.id].add(value)
            limits = [each for each in (head.limits.pre_alarm, head.limits.alarm) if each]
            assert all(value < limit for limit in limits), (head.id, value)
    assert all(len(values) > 1 for values in seen.values())


def test_gas_rises_and_decays_after_the_cut(make_plant) -> None:
    """Emission brings the head to its goal; with the feed cut the gas falls below restore."""
    plant = make_plant()
    plant.do("ramp_gas", point="12303_T1", to=1.9, over_s=40)
    plant.advance(60_000)
    assert _cpct(plant, "12303_T1") > 150
    _cut(plant, "cut_12303")
    plant.advance(240_000)
    assert _cpct(plant, "12303_T1") < 100


def test_a_cut_feeder_stays_dead_until_it_is_closed_by_hand(make_plant) -> None:
    """An energised coil alone gives no power back, and a hand alone none while it is dropped."""
    plant = make_plant()
    _cut(plant, "cut_12301")
    assert _cpct(plant, "FEED_12301") == 0
    assert plant.do("close_switch", output="cut_12301") is False
    _cut(plant, "cut_12301", energised=True)
    assert _cpct(plant, "FEED_12301") == 0
    assert plant.do("close_switch", output="cut_12301") is True
    assert _cpct(plant, "FEED_12301") == 1


def test_a_welded_switch_is_killed_by_the_one_upstream(make_plant) -> None:
    """A welded contact stays live when its coil drops; the upstream switch takes it away."""
    plant = make_plant()
    plant.do("weld", output="cut_12301")
    _cut(plant, "cut_12301")
    assert _cpct(plant, "FEED_12301") == 1
    _cut(plant, "cut_west")
    assert _cpct(plant, "FEED_12301") == 0
    assert _cpct(plant, "FEED_12302") == 0


def test_a_broken_siren_is_energised_and_not_heard(make_plant) -> None:
    """The proving input of a siren shows its circuit, not its coil."""
    plant = make_plant()
    plant.do("break_circuit", output="siren_face1")
    _cut(plant, "siren_face1", energised=True)
    assert _cpct(plant, "SOUND_FACE1") == 0
    plant.do("break_circuit", output="siren_face1", on=False)
    assert _cpct(plant, "SOUND_FACE1") == 1


def test_standby_fan_starts_and_duct_wind_follows(make_plant) -> None:
    """A stopped local fan starves the heading for seconds, then its standby blows."""
    plant = make_plant()
    plant.do("switch", point="12303_FAN1", on=False)
    plant.advance(1000)
    assert _cpct(plant, "12303_WIND") == 0
    plant.advance(12_000)
    assert (_cpct(plant, "12303_FAN2"), _cpct(plant, "12303_WIND")) == (1, 1)


def test_gas_gathers_without_ventilation(make_plant) -> None:
    """With both local fans out the heading's gas rises beyond what it was."""
    plant = make_plant()
    before = _cpct(plant, "12304_T1")
    plant.air.forced["12304_FAN2"] = 0.0
    plant.do("switch", point="12304_FAN1", on=False)
    plant.advance(120_000)
    assert _cpct(plant, "12304_T1") > before + 20


def test_bottle_plays_its_profile_and_leaves_no_trace(make_plant) -> None:
    """Zero, alarm and span gas arrive in order; afterwards the head shows its air again."""
    plant = make_plant()
    plant.do("bottle", point="DR_CH4_2", steps=[[20, 0.0], [20, 1.02], [20, 2.0], [20, 0.0]])
    shown = []
    for _ in range(4):
        plant.advance(19_900)
        shown.append(_cpct(plant, "DR_CH4_2"))
    plant.advance(10_000)
    assert shown == [0, 102, 200, 0]
    assert 15 < _cpct(plant, "DR_CH4_2") < 40


def test_actions_wait_for_their_condition(demo_mine) -> None:
    """A conditional act is done once, after its time, when its condition has come true."""
    text = Scenario.load("gas-rise")
    plant = Plant(demo_mine, 1, text)
    plant.advance(100_000)
    ramps = [note for note in plant.notes if note.what == "ramp_gas"]
    assert len(ramps) == 1
    _cut(plant, "cut_12303")
    plant.advance(29_000)
    assert len([note for note in plant.notes if note.what == "ramp_gas"]) == 1
    plant.advance(2_000)
    assert len([note for note in plant.notes if note.what == "ramp_gas"]) == 2


def test_reached_trip_and_coil_are_stamped(make_plant) -> None:
    """The log tells when a point reached its trip limit and when a coil changed."""
    plant = make_plant()
    plant.advance(1000)
    plant.force("12301_T1", 1.5)
    plant.advance(500)
    _cut(plant, "cut_12301")
    _cut(plant, "cut_12301")
    log = [(each.what, each.subject, each.at_us) for each in plant.log]
    assert log == [("reached", "12301_T1", 1_000_000), ("coil", "cut_12301", 1_500_000)]


def test_truth_is_conserved(make_plant) -> None:
    """Through an hour of cages, losses and sirens truth is the first shift + in − out."""
    story = Scenario("churn", Habits(underground=112, loss=0.2, duplicates=0.2, ride_s=20))
    plant = make_plant(story, 3)
    start = plant.truth().total - plant.people.gate_in + plant.people.gate_out
    for minute in range(60):
        plant.do("cage", come=minute % 5, go=minute % 7, lost=minute % 2)
        if minute == 40:
            _cut(plant, "siren_face1", energised=True)
        plant.advance(60_000)
        truth = plant.truth()
        assert truth.total == start + plant.people.gate_in - plant.people.gate_out
        assert truth.total == sum(truth.zones.values())
    assert plant.people.gate_out > 20


def test_the_siren_empties_its_zones_but_for_the_silent_one(make_plant) -> None:
    """People whose zone's siren sounds walk out; the bearer of a silent badge stays."""
    plant = make_plant(pace=90)
    badge = plant.do("silent_badge", zone="face_12301")
    _cut(plant, "siren_face1", energised=True)
    plant.advance(120_000)
    zones = plant.truth().zones
    assert zones["face_12301"] == 1
    assert plant.people.walkers[badge].zone == "face_12301"
    assert zones["face_12302"] == 22


def test_a_shut_gate_holds_back_only_those_who_come(make_plant) -> None:
    """With the gate's coil dropped nobody enters and everybody may leave (practice 22)."""
    plant = make_plant(ride_s=5)
    _cut(plant, "gate_mouth")
    before = plant.truth().total
    assert plant.do("cage", come=4, go=3) == (0, 3)
    plant.advance(30_000)
    assert plant.truth().total == before - 3
    assert plant.people.refused == 4


def test_lost_mouth_reads_do_not_change_truth(make_plant) -> None:
    """Twelve in, nine out, two of them unread: truth moves by three, the readers miss two."""
    plant = make_plant(Scenario("cage", Habits(underground=120, ride_s=1)))
    plant.advance(5_000)
    for reader in plant.mine.readers:
        plant.people.take(reader.id)
    plant.do("cage", come=12, go=9, lost=2)
    plant.advance(10_000)
    heard = plant.people.take("reader_mouth_out")
    assert plant.truth().total == 123
    assert sum(each.direction == 1 for each in heard) == 12
    assert sum(each.direction == -1 for each in heard) == 7


def test_the_first_read_of_a_trip_value_is_stamped_once(make_plant) -> None:
    """How long a master left a trip value unread stands in the log, once for each rise."""
    plant = make_plant()
    plant.was_read("12301_T1")
    plant.force("12301_T1", 1.6)
    for _ in range(3):
        plant.was_read("12301_T1")
    told = [(each.what, each.value) for each in plant.log if each.subject == "12301_T1"]
    assert told == [("reached", 160), ("read", 160)]
