"""Low oxygen: catalytic heads are not believed to be low, and nothing is lowered meanwhile."""

from dataclasses import replace

import pytest

from minewatch.core.step import step
from minewatch.core.view import view
from minewatch.model.kind import Kind
from minewatch.model.mine import Limits, Mine, Point
from minewatch.model.quality import Quality

LOW, CLEAR = 1200, 1250


@pytest.fixture
def airy(mine_of):
    """Return a builder: oxygen points in Z0, heads of Z0 catalytic but for those named."""

    def build(*, laser: tuple[str, ...] = (), oxygen: int = 1, **parts) -> Mine:
        mine = mine_of(zones=2, heads=2, **parts)
        points = tuple(
            replace(each, catalytic=each.kind is Kind.METHANE and each.id not in laser)
            for each in mine.points
        )
        limits = Limits(low_alarm=1800, low_clear=1900)
        points += tuple(
            Point(f"O2_{n}", "", Kind.OXYGEN, "Z0", "fan", f"o{n}", "", limits)
            for n in range(oxygen)
        )
        return replace(mine, points=points)

    return build


@pytest.fixture
def low(rig_of, airy):
    """Return a mine in service, and the way to give its zone another amount of oxygen."""

    def start(value: int | None = None, **parts):
        rig = rig_of(airy(**parts))
        rig.world.update({each.id: 2090 for each in rig.mine.points if each.kind is Kind.OXYGEN})
        rig.start()
        if value is not None:
            rig.world["O2_0"] = value
            rig.run(0.5)
        return rig

    return start


def _quality(rig, point: str) -> str:
    return rig.state.volatile.points.live[point].quality.name


@pytest.mark.parametrize(("value", "is_low"), [(LOW - 1, True), (LOW, False), (LOW + 1, False)])
def test_it_begins_below_the_limit(low, value: int, is_low: bool) -> None:
    """One unit below the limit makes the zone's catalytic heads unfit, the limit does not."""
    rig = low(value)
    assert (rig.of("low_oxygen_began") != []) is is_low
    wanted = "IMPLAUSIBLE" if is_low else "GOOD"
    assert (_quality(rig, "Z0_H0"), _quality(rig, "Z0_H1")) == (wanted, wanted)
    assert _quality(rig, "Z1_H0") == "GOOD"


@pytest.mark.parametrize(("value", "ends"), [(CLEAR - 1, False), (CLEAR, True), (CLEAR + 1, True)])
def test_it_ends_above_a_band(low, value: int, ends: bool) -> None:
    """It ends at the clear limit, not one unit below, and is said once with its duration."""
    rig = low(LOW - 1)
    rig.world["O2_0"] = value
    rig.run(2)
    assert len(rig.of("low_oxygen_began")) == 1
    assert [e.data["duration_ms"] for e in rig.of("low_oxygen_ended")] == ([500] if ends else [])
    assert _quality(rig, "Z0_H0") == ("GOOD" if ends else "IMPLAUSIBLE")


@pytest.mark.parametrize("trouble", [Quality.COMM_FAULT, Quality.IMPLAUSIBLE, Quality.OVER_RANGE])
def test_a_lost_oxygen_head_ends_nothing(low, trouble: Quality) -> None:
    """Whatever befalls the oxygen head, the heads stay unfit until it reads enough again."""
    rig = low(LOW - 1)
    rig.world["O2_0"] = trouble
    rig.run(30)
    assert _quality(rig, "Z0_H0") == "IMPLAUSIBLE"
    assert not rig.of("low_oxygen_ended")


def test_a_lost_oxygen_head_begins_nothing(low) -> None:
    """Without a GOOD oxygen value nobody says that it is short."""
    rig = low()
    rig.world["O2_0"] = Quality.COMM_FAULT
    rig.run(20)
    assert not rig.of("low_oxygen_began")


def test_one_of_two_oxygen_heads_is_enough(low) -> None:
    """Each low oxygen point holds on its own: both must have recovered."""
    rig = low(LOW - 1, oxygen=2)
    rig.world["O2_1"] = LOW - 1
    rig.run(0.5)
    rig.world["O2_0"] = 2090
    rig.run(0.5)
    assert _quality(rig, "Z0_H0") == "IMPLAUSIBLE"
    rig.world["O2_1"] = 2090
    rig.run(0.5)
    assert _quality(rig, "Z0_H0") == "GOOD"


def test_an_unfit_head_still_raises(low) -> None:
    """A head that reads low in bad air and yet reads high is true: it cuts at the very sample."""
    rig = low(LOW - 1)
    decided = rig.turn(readings={"Z0_H0": 150})
    assert decided.outputs["cut_Z0"] is False
    assert "trip:Z0_H0" in rig.causes


def test_an_unfit_head_clears_nothing(low) -> None:
    """What stood when the air went bad stands on, although the head now reads nothing."""
    rig = low()
    rig.world["Z0_H0"] = 120
    rig.run(1)
    rig.world["O2_0"] = LOW - 1
    rig.run(1)
    rig.world["Z0_H0"] = 0
    rig.run(5)
    assert not rig.of("alarm_cleared")
    rig.world["O2_0"] = 2090
    rig.run(1)
    cleared = {e.data["alarm_kind"] for e in rig.of("alarm_cleared")}
    assert {"gas_over_limit", "low_oxygen"} <= cleared


def test_a_place_of_unfit_heads_alone_is_locked(low) -> None:
    """After the fault time of the place, not a scan before, power goes: nobody measures there."""
    rig = low(LOW - 1)
    rig.run(9)
    assert rig.causes == []
    rig.run(1.5)
    assert rig.causes == ["fault:Z0_H0", "fault:Z0_H1"]
    rig.run(20)
    assert len(rig.of("cause_latched")) == 2


def test_the_lock_comes_at_the_fault_time(low) -> None:
    """At the millisecond of the fault time since the last reading that was believed."""
    rig = low(LOW - 1)
    since_ms = rig.state.volatile.points.live["Z0_H0"].guarded_ms
    rig.run((since_ms + 9_500 - rig.now_ms) / 1000)
    rig.turn(ms=since_ms + 9_999 - rig.now_ms)
    assert rig.causes == []
    rig.turn(ms=1)
    assert rig.causes == ["fault:Z0_H0", "fault:Z0_H1"]


def test_a_head_that_needs_no_air_guards(low) -> None:
    """A laser head in the same zone keeps the place; once it is lost as well, power goes."""
    rig = low(LOW - 1, laser=("Z0_H1",))
    rig.run(20)
    assert (rig.causes, _quality(rig, "Z0_H1")) == ([], "GOOD")
    rig.world["Z0_H1"] = Quality.COMM_FAULT
    rig.run(9)
    assert rig.causes == []
    rig.run(2.5)
    assert rig.causes == ["fault:Z0_H0", "fault:Z0_H1"]


def test_hand_cover_guards_an_unfit_head(low) -> None:
    """A checker on the spot stands in for a head that is not believed."""
    rig = low()
    for point in ("Z0_H0", "Z0_H1"):
        rig.command("hand_cover", "S4", point=point, checker="S7")
    rig.world["O2_0"] = LOW - 1
    rig.run(20)
    assert rig.causes == []


def test_a_release_waits_for_the_air(low) -> None:
    """An unfit head permits no release; after the air is back it must be below for 60 s anew."""
    rig = low(LOW - 1)
    rig.run(11)
    refused = rig.command("release", "S1", outputs=["cut_Z0"])
    assert "not_good:Z0_H0" in refused.data["reasons"]
    rig.world["O2_0"] = 2090
    rig.run(59)
    values = {"Z0_H0": 0, "Z0_H1": 0}
    for point, value in values.items():
        rig.command("hand_value", "S7", point=point, value=value)
    early = rig.command("release", "S1", outputs=["cut_Z0"])
    assert "not_yet_60_s:Z0_H0" in early.data["reasons"]
    rig.run(2)
    assert rig.release("cut_Z0", values=values).kind == "release_granted"


@pytest.mark.parametrize(
    ("value", "covered", "dead", "ends"),
    [
        (CLEAR, True, True, True),
        (CLEAR - 1, True, True, False),
        (CLEAR, False, True, False),
        (CLEAR, True, False, False),
    ],
)
def test_a_hand_value_ends_it_where_the_oxygen_head_is_dead(
    low, value: int, covered: bool, dead: bool, ends: bool
) -> None:
    """Under hand cover of a dead oxygen head what the checker measured counts; else it does not."""
    rig = low(LOW - 1)
    if covered:
        rig.command("hand_cover", "S4", point="O2_0", checker="S7")
    if dead:
        rig.world["O2_0"] = Quality.COMM_FAULT
    rig.run(2)
    rig.command("hand_value", "S7", point="O2_0", value=value)
    rig.run(1)
    assert (rig.of("low_oxygen_ended") != []) is ends


def test_a_hand_value_acts_once_on_disk(low) -> None:
    """What would make heads believed again waits for the ledger."""
    rig = low(LOW - 1)
    rig.command("hand_cover", "S4", point="O2_0", checker="S7")
    rig.world["O2_0"] = Quality.COMM_FAULT
    rig.run(1)
    rig.disk_stands = True
    rig.command("hand_value", "S7", point="O2_0", value=2090)
    rig.run(2)
    assert not rig.of("low_oxygen_ended")
    rig.disk_stands = False
    rig.run(1)
    assert rig.of("low_oxygen_ended")


def test_it_survives_a_crash(low) -> None:
    """After a restart the heads are as unfit as before, from the first reading on."""
    rig = low(LOW - 1)
    rig.world["O2_0"] = Quality.COMM_FAULT
    rig.run(1)
    began_ms = rig.of("low_oxygen_began")[0].now_ms
    rig.restart()
    rig.run(2)
    assert _quality(rig, "Z0_H0") == "IMPLAUSIBLE"
    assert rig.state.durable.oxygen.low == {"O2_0": began_ms}
    assert len(rig.of("low_oxygen_began")) == 1


def test_its_age_is_carried_over_a_reboot(low) -> None:
    """Where the clock begins anew the hour since when it lasts is still the same."""
    rig = low(LOW - 1)
    before_ms = rig.now_ms - view(rig.mine, rig.state, rig.now_ms)["low_oxygen"]["O2_0"]["since_ms"]
    rig.now_ms = 1_000
    rig.restart(down_ms=500)
    since_ms = view(rig.mine, rig.state, rig.now_ms)["low_oxygen"]["O2_0"]["since_ms"]
    assert rig.now_ms - since_ms == pytest.approx(before_ms, abs=500)


def test_a_point_without_limits_is_watched(rig_of, mine_of) -> None:
    """Oxygen is looked at although its place has no limits of its own, and above the band too."""
    mine = mine_of(zones=1, heads=1)
    points = [replace(each, catalytic=each.kind is Kind.METHANE) for each in mine.points]
    points.append(Point("O2_0", "", Kind.OXYGEN, "Z0", "fan", "o", ""))
    rig = rig_of(replace(mine, points=tuple(points)))
    rig.world["O2_0"] = 2090
    rig.start()
    rig.world["O2_0"] = LOW - 1
    rig.run(1)
    assert _quality(rig, "Z0_H0") == "IMPLAUSIBLE"
    rig.world["O2_0"] = CLEAR
    rig.run(1)
    assert _quality(rig, "Z0_H0") == "GOOD"


def test_an_older_good_value_ends_nothing(low) -> None:
    """A reading that arrives late may begin it and cannot end it."""
    rig = low(LOW - 1)
    image_ms = rig.now_ms
    rig.turn(readings={"O2_0": LOW - 2})
    late = rig.image.samples[0]._replace(
        sampled_ms=image_ms - 1,
        readings=(rig.image.samples[0].readings[0]._replace(point="O2_0", value=2090),),
    )

    decided = step(
        rig.mine, rig.state, replace(rig.image, now_ms=rig.now_ms + 100, samples=(late,))
    )
    assert "low_oxygen_ended" not in [each.kind for each in decided.events]


@pytest.mark.parametrize("trouble", [Quality.COMM_FAULT, Quality.IMPLAUSIBLE])
def test_an_unfit_head_that_is_lost_as_well_is_one_fault(low, trouble: Quality) -> None:
    """A head that says itself that it is wrong locks by its own fault, once, at the same time."""
    rig = low(LOW - 1, laser=("Z0_H1",))
    rig.world["Z0_H0"] = trouble
    rig.run(9)
    assert rig.causes == []
    rig.run(2.5)
    assert rig.causes == ["fault:Z0_H0"]
    assert len(rig.of("cause_latched")) == 1
