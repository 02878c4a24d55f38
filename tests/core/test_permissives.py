"""Permissives of an interlock, and how interlocks stand in the frame."""

from dataclasses import replace

import pytest

from minewatch.core.rebase import refusals
from minewatch.core.view import sections
from minewatch.model.kind import Kind
from minewatch.model.mine import Cause, Condition, Interlock, Limits, LocalFan, Mode, Point, Scheme
from minewatch.model.quality import Quality

SPEED = Limits(alarm=400, clear=380, low_alarm=25, low_clear=28)
CARBON = Limits(alarm=24, trip=50, restore=40, clear=20)
PERMIT = Interlock("permit", "", (), ("cut_Z0",), permissives=("AIR", "CO"))


def permitted(mine_of, **parts):
    """Return a mine whose cut_Z0 is released only with air and without smoke gas."""
    base = mine_of(zones=2, **parts)
    points = (
        *base.points,
        Point("AIR", "", Kind.AIR_SPEED, "Z0", "fan", "air", "face_air_speed", SPEED),
        Point("CO", "", Kind.CARBON_MONOXIDE, "Z0", "head", "co", "", CARBON),
    )
    return mine_of(zones=2, points=points, interlocks=(*base.interlocks, PERMIT), **parts)


@pytest.fixture
def rig(mine_of, rig_of):
    """Return such a mine in service."""
    rig = rig_of(permitted(mine_of))
    rig.world.update({"AIR": 100, "CO": 0})
    return rig.start()


def _latched(rig) -> None:
    rig.turn(readings={"Z0_H0": 160, "Z1_H0": 160})
    rig.run(62)
    rig.command("hand_value", "S7", point="Z0_H0", value=30)
    rig.command("hand_value", "S7", point="Z1_H0", value=30)


HOLDS = {
    "low edge": ("AIR", 28, True),
    "below low edge": ("AIR", 27, False),
    "high edge": ("AIR", 379, True),
    "at clear": ("AIR", 380, False),
    "below clear": ("CO", 19, True),
    "co at clear": ("CO", 20, False),
    "not good": ("AIR", Quality.STALE, False),
    "bottle gas": ("CO", Quality.CALIBRATION, False),
}


@pytest.mark.parametrize("how", HOLDS)
def test_a_permissive_must_be_normal(how: str, rig) -> None:
    """Within every limit and GOOD, to the unit; else the release says which one is missing."""
    point, value, holds = HOLDS[how]
    _latched(rig)
    rig.world[point] = value
    rig.run(1)
    shown = sections(rig.mine, rig.state, rig.now_ms)
    assert shown["interlocks"]["permit"]["permissives"][point] is holds
    answer = rig.command("release", outputs=["cut_Z0"])
    assert answer.data.get("reasons", []) == ([] if holds else [f"permissive_missing:{point}"])


def test_a_permissive_holds_its_own_outputs_only(rig) -> None:
    """Another area is released as ever."""
    _latched(rig)
    rig.world["AIR"] = 0
    rig.run(1)
    assert rig.command("release", outputs=["cut_Z1"]).kind == "approval_asked"


def test_a_permissive_that_is_lost_voids_a_granted_release(rig) -> None:
    """What speaks against a release when it is due ends it."""
    _latched(rig)
    rig.disk_stands = True
    assert rig.approved("release", "S1", "S3", outputs=["cut_Z0"]).kind == "release_granted"
    rig.world["AIR"] = 0
    rig.run(1)
    rig.disk_stands = False
    rig.run(1)
    (event,) = rig.of("release_voided")
    assert event.data["reasons"] == ["permissive_missing:AIR"]


# ---------------------------------------------------------------- frame


def _interlocks(rig) -> dict:
    return sections(rig.mine, rig.state, rig.now_ms)["interlocks"]


def test_an_interlock_says_how_it_stands(rig) -> None:
    """Armed, then latched by its own cause with the time that its cut took; others stay armed."""
    assert _interlocks(rig)["gas_Z0"] == {
        "scheme": "matrix", "state": "armed", "causes": [], "outputs": ["cut_Z0"],
        "remote": False, "took_ms": None, "fans": [], "permissives": {}, "votes": None,
    }  # fmt: skip
    rig.turn(readings={"Z0_H0": 160})
    cut_ms = rig.now_ms
    assert _interlocks(rig)["gas_Z0"]["took_ms"] is None
    rig.turn(ms=400, scan=True)
    shown = _interlocks(rig)
    assert shown["gas_Z0"]["state"] == "latched"
    assert shown["gas_Z0"]["causes"] == ["trip:Z0_H0"]
    assert shown["gas_Z0"]["took_ms"] == rig.now_ms - cut_ms == 400
    assert shown["fan_Z0"]["state"] == "armed"
    assert shown["gas_Z1"]["state"] == "armed"


@pytest.mark.parametrize(
    ("world", "cause", "whose"),
    [
        ({"Z0_H0": 160}, "trip:Z0_H0", "gas_Z0"),
        ({"Z0_H0": Quality.UNDER_RANGE}, "fault:Z0_H0", "gas_Z0"),
        ({"Z0_WIND": 0}, "off:Z0_WIND", "fan_Z0"),
    ],
)
def test_a_cause_belongs_to_its_interlock(world: dict, cause: str, whose: str, rig) -> None:
    """Each kind of cause is shown at the interlock that demands it and at no other."""
    rig.world.update(world)
    rig.run(12)
    assert {key for key, each in _interlocks(rig).items() if cause in each["causes"]} == {whose}


def test_a_lost_line_belongs_to_all_that_it_locked(rig) -> None:
    """The line's cause is shown at each interlock of its heads."""
    lost = [f"Z{z}_H{h}" for z in (0, 1) for h in (0, 1)]
    rig.world.update(dict.fromkeys((*lost, "CO"), Quality.COMM_FAULT))
    rig.run(12)
    shown = _interlocks(rig)
    assert {key for key, each in shown.items() if each["causes"] == ["line:gas"]} == {
        "gas_Z0", "gas_Z1",
    }  # fmt: skip


def test_a_manual_cut_belongs_to_no_interlock(rig) -> None:
    """A person cut; no interlock acted."""
    rig.approved("cut", "S1", "S3", output="cut_Z0")
    assert all(each["state"] == "armed" for each in _interlocks(rig).values())


def test_nothing_is_armed_that_is_not_driven(mine_of, rig_of) -> None:
    """In mode alarm no cut is driven, and the frame says so."""
    rig = rig_of(permitted(mine_of, mode=Mode.ALARM))
    rig.world.update({"AIR": 100, "CO": 0})
    rig.start()
    assert _interlocks(rig)["gas_Z0"]["state"] == "not_driven"


@pytest.mark.parametrize(
    ("scheme", "point", "remote"),
    [
        (Scheme.MATRIX, "Z1_H0", True),
        (Scheme.MATRIX, "Z0_H0", False),
        (Scheme.REMOTE_CUT, "Z0_H0", True),
    ],
)
def test_a_cut_elsewhere_is_remote(
    scheme: Scheme, point: str, remote: bool, mine_of, rig_of
) -> None:
    """异地断电: by its scheme, or because no output lies where its causes stand."""
    row = Interlock("far", "", (Cause(point, Condition.TRIP),), ("cut_Z0",), scheme)
    rig = rig_of(mine_of(interlocks=(row,))).start()
    assert _interlocks(rig)["far"]["remote"] is remote


def test_the_slowest_output_counts_and_an_unproved_one_says_nothing(mine_of, rig_of) -> None:
    """`took_ms` is the time of the whole interlock."""
    row = Interlock("both", "", (Cause("Z0_H0", Condition.TRIP),), ("cut_Z0", "cut_Z1"))
    rig = rig_of(mine_of(interlocks=(row,))).start()
    rig.turn(readings={"Z0_H0": 160})
    rig.turn(ms=200, readings={"FEED_Z0": 0})
    assert _interlocks(rig)["both"]["took_ms"] is None
    rig.turn(ms=300, readings={"FEED_Z1": 0})
    assert _interlocks(rig)["both"]["took_ms"] == 500


def test_a_vote_and_a_fan_cut_stand_at_their_interlocks(mine_of, rig_of) -> None:
    """`vote:` and `fan:` causes name their interlock by id and by its local fans."""
    base = mine_of(zones=1, heads=3)
    trips = tuple(Cause(f"Z0_H{n}", Condition.TRIP) for n in range(3))
    vote = Interlock("vote", "", trips, ("cut_Z0",), votes_needed=2)
    fan = Interlock("fan", "", (Cause("Z0_WIND", Condition.OFF),), ("cut_Z0",))
    fans = tuple(Point(each, "", Kind.FAN_RUN, "Z0", "fan", each, "") for each in ("FAN1", "FAN2"))
    mine = mine_of(
        zones=1, heads=3, points=(*base.points, *fans), interlocks=(vote, fan),
        local_fans=(LocalFan("pair", "Z0", "FAN1", "FAN2", ("Z0_WIND",)),),
    )  # fmt: skip
    rig = rig_of(mine)
    rig.world["FAN1"] = 1
    rig.start()
    assert _interlocks(rig)["fan"]["fans"] == ["pair"]
    rig.world.update({"Z0_WIND": 0, "FAN1": 0, "Z0_H0": 160, "Z0_H1": 160})
    rig.run(2)
    shown = _interlocks(rig)
    assert shown["vote"]["causes"] == ["vote:vote"]
    assert sorted(shown["fan"]["causes"]) == ["fan:pair", "off:Z0_WIND"]


# ---------------------------------------------------------------- reload


def _voted(mine_of, rig_of):
    base = mine_of(zones=1, heads=3)
    trips = tuple(Cause(f"Z0_H{n}", Condition.TRIP) for n in range(3))
    vote = Interlock("vote", "", trips, ("cut_Z0",), votes_needed=2)
    fans = tuple(Point(f, "", Kind.FAN_RUN, "Z0", "fan", f, "") for f in ("FAN1", "FAN2"))
    fan = Interlock("fan", "", (Cause("Z0_WIND", Condition.OFF),), ("cut_Z0",))
    row = LocalFan("pair", "Z0", "FAN1", "FAN2", ("Z0_WIND",))
    mine = mine_of(
        zones=1, heads=3, points=(*base.points, *fans), interlocks=(vote, fan), local_fans=(row,)
    )
    rig = rig_of(mine)
    rig.world["FAN1"] = 1
    return rig.start(), vote, fan, row


@pytest.mark.parametrize("tripped", [False, True])
def test_a_vote_or_fan_is_not_changed_while_it_is_latched(mine_of, rig_of, tripped: bool) -> None:
    """Another rule for a standing cause is refused by its name; without the cause it is taken."""
    rig, vote, fan, row = _voted(mine_of, rig_of)
    if tripped:
        rig.world.update({"FAN1": 0, "Z0_WIND": 0, "Z0_H0": 160, "Z0_H1": 160})
        rig.run(2)
    laxer = replace(row, changeover_ms=5_000)
    for change, name in (
        (replace(rig.mine, interlocks=(replace(vote, spread=10), fan)), "vote"),
        (replace(rig.mine, local_fans=(laxer,)), "pair"),
        (replace(rig.mine, local_fans=()), "pair"),
    ):
        reasons = refusals(rig.mine, change, rig.state.durable)
        assert (f"lowered_while_latched:{name}" in reasons) is tripped


def test_heads_that_stop_voting_guard_less_unless_they_cut_alone(mine_of, rig_of) -> None:
    """A latched head may go from a vote to a cut of its own, never from a cut to a vote."""
    rig, vote, fan, _ = _voted(mine_of, rig_of)
    rig.command("hand_value", "S7", point="Z0_H0", value=160)
    alone = replace(rig.mine, interlocks=(replace(vote, votes_needed=1), fan))
    gone = replace(
        rig.mine, interlocks=(replace(vote, causes=vote.causes[1:], votes_needed=1), fan)
    )
    assert refusals(rig.mine, alone, rig.state.durable) == ()
    assert "lowered_while_latched:Z0_H0" in refusals(rig.mine, gone, rig.state.durable)
    assert "lowered_while_latched:Z0_H0" in refusals(alone, rig.mine, rig.state.durable)


def test_an_interlock_is_armed_while_any_of_its_outputs_is_driven(mine_of, rig_of) -> None:
    """In mode alarm its siren is, its cut is not."""
    row = Interlock("both", "", (Cause("Z0_H0", Condition.TRIP),), ("cut_Z0", "siren_Z0"))
    rig = rig_of(mine_of(interlocks=(row,), mode=Mode.ALARM)).start()
    assert _interlocks(rig)["both"]["state"] == "armed"
