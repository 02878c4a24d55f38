"""The frame's sections: their keys are the contract of ARCHITECTURE §4."""

from minewatch.core.view import sections, view
from minewatch.model.canonical import canonical
from minewatch.model.quality import Quality

SECTIONS = {
    "points", "outputs", "causes", "alarms", "headcount", "people", "withdrawals", "no_descent",
    "calibrations", "hand_covers", "bypasses", "approvals", "horn", "silenced_until_ms",
    "comparisons", "notices",
    "head_works", "warm_ups", "interlock_tests", "due",
    "shelved", "duty_checks", "flood",
    "hand_checks", "low_oxygen", "frozen", "suspects",
    "interlocks", "local_fans",
    "emergencies", "past_withdrawals", "withdrawal_counts", "grades", "coal_output",
}  # fmt: skip
KEYS = {
    "points": {"value", "quality", "sampled_ms", "last", "level"},
    "outputs": {"wanted", "energised", "proved", "causes", "since_ms", "failed", "exhausted"},
    "causes": {"kind", "points", "outputs", "since_ms", "active", "first_out", "ready", "reasons"},
    "alarms": {
        "kind", "priority", "source", "zone", "value", "limit", "peak", "raised_ms",
        "raised_wall_ms", "state", "active", "acknowledged_by", "closed", "first_out",
        "occurrences", "planned", "sounds", "escalated_to", "told",
    },
}  # fmt: skip


def test_the_sections_and_their_keys(rig) -> None:
    """Every section is there, each entry has exactly its keys, and nothing in it is a float."""
    rig.turn(readings={"Z0_H0": 160})
    rig.run(3)
    shown = view(rig.mine, rig.state, rig.now_ms)
    assert set(shown) == SECTIONS
    for section, keys in KEYS.items():
        assert shown[section]
        assert all(set(entry) == keys for entry in shown[section].values()), section
    canonical(shown)


def test_a_cause_says_why_it_may_not_end(rig) -> None:
    """Active while the condition stands, ready when nothing is missing any more."""
    rig.turn(readings={"Z0_H0": 160})
    rig.world["Z0_H0"] = 160
    rig.run(1)
    cause = view(rig.mine, rig.state, rig.now_ms)["causes"]["trip:Z0_H0"]
    assert (cause["active"], cause["ready"]) == (True, False)
    assert cause["reasons"] == ["not_below_restore:Z0_H0", "hand_value_missing:Z0_H0"]
    rig.world["Z0_H0"] = 10
    rig.run(65)
    rig.command("hand_value", "S7", point="Z0_H0", value=5)
    cause = view(rig.mine, rig.state, rig.now_ms)["causes"]["trip:Z0_H0"]
    assert (cause["active"], cause["ready"], cause["reasons"]) == (False, True, [])


def test_a_stale_point_shows_no_value_but_its_last(rig) -> None:
    """断线 is never 0.00: value None, quality STALE, the last GOOD value beside it."""
    rig.world["Z0_H0"] = 44
    rig.run(1)
    rig.world["Z0_H0"] = Quality.COMM_FAULT
    rig.run(1)
    point = view(rig.mine, rig.state, rig.now_ms)["points"]["Z0_H0"]
    assert (point["value"], point["quality"], point["last"]) == (None, "COMM_FAULT", 44)


def test_a_point_that_never_spoke_has_no_sample_time(rig_of, mine_of) -> None:
    """Before the first sample there is neither a value nor an age."""
    rig = rig_of(mine_of())
    rig.turn()
    point = view(rig.mine, rig.state, rig.now_ms)["points"]["Z0_H0"]
    assert point == {
        "value": None, "quality": "STALE", "sampled_ms": None, "last": None, "level": 0,
    }  # fmt: skip


def test_sections_are_the_view_without_points(rig) -> None:
    """What is sent whole each time is everything but the large table."""
    rig.turn(readings={"Z1_H0": 7})
    whole = view(rig.mine, rig.state, rig.now_ms)
    del whole["points"]
    assert sections(rig.mine, rig.state, rig.now_ms) == whole


def test_a_cut_keeps_its_hour_over_a_restart(rig) -> None:
    """`since_ms` of a latched output is the hour of its first cause, not of our last start."""
    rig.turn(readings={"Z0_H0": 160})
    cut_ms = rig.now_ms
    (output,) = [key for key, each in rig.state.durable.interlock.held.items() if each]
    rig.restart()
    rig.run(3)
    shown = view(rig.mine, rig.state, rig.now_ms)["outputs"][output]

    assert shown["since_ms"] == cut_ms
