"""Votes of redundant heads against an independent table, their deadlines, and disagreement."""

import itertools

import pytest

from minewatch.core.alarms.alarm import is_active
from minewatch.core.plan import build
from minewatch.core.view import sections
from minewatch.model.alarm import AlarmKind
from minewatch.model.mine import Cause, Condition, Interlock, Limits
from minewatch.model.quality import Quality

HEADS = ("Z0_H0", "Z0_H1", "Z0_H2")
LOW, HIGH, OVER, LOST, OUT = "low", "high", "over", "lost", "out"
READS = {LOW: 20, HIGH: 150, OVER: Quality.OVER_RANGE, LOST: Quality.COMM_FAULT}
NO_WITHDRAWAL = Limits(pre_alarm=80, alarm=100, trip=150, restore=100, clear=80)


def voting(mine_of, needed: int, heads: int = 3, spread: int | None = None, **parts):
    """Return a mine whose heads of Z0 vote over cut_Z0."""
    causes = tuple(
        Cause(f"Z0_H{n}", c) for n in range(heads) for c in (Condition.TRIP, Condition.FAULT)
    )
    interlock = Interlock("vote_Z0", "", causes, ("cut_Z0",), votes_needed=needed, spread=spread)
    return mine_of(zones=1, heads=heads, limits=NO_WITHDRAWAL, interlocks=(interlock,), **parts)


def oracle(states: tuple[str, ...]) -> bool:
    """Say what 2oo3 must do, written from the words of the rule and not from the code.

    Who is taken out counts as lost where no head reads GOOD any more.
    """
    guarded = LOW in states or HIGH in states
    out = sum(each == OUT and guarded for each in states)
    loud = sum(each in (HIGH, OVER, LOST) or (each == OUT and not guarded) for each in states)
    return loud >= {0: 2, 1: 1, 2: 1}[out]


STATES = (LOW, HIGH, OVER, LOST, OUT)
MIXES = [*itertools.combinations_with_replacement(STATES, 3)]
ORDERS = [each for each in itertools.product(STATES, repeat=3) if each not in MIXES]


def _holds(states: tuple[str, ...], mine_of, rig_of) -> None:
    rig = rig_of(voting(mine_of, 2)).start()
    for head, state in zip(HEADS, states, strict=True):
        if state == OUT:
            rig.approved("bypass", "S4", "S3", point=head, minutes=120)
    rig.run(1)
    for head, state in zip(HEADS, states, strict=True):
        rig.world[head] = READS.get(state, 20)
    rig.run(13)
    assert (rig.written["cut_Z0"] is False) is oracle(states)


@pytest.mark.parametrize("states", MIXES)
def test_two_of_three(states: tuple[str, ...], mine_of, rig_of) -> None:
    """Every mix of three heads' states cuts exactly where the table of the rule says so."""
    _holds(states, mine_of, rig_of)


@pytest.mark.nightly
@pytest.mark.parametrize("states", ORDERS)
def test_two_of_three_in_any_order(states: tuple[str, ...], mine_of, rig_of) -> None:
    """Which of the heads says what makes no difference."""
    _holds(states, mine_of, rig_of)


@pytest.mark.parametrize(("value", "cuts"), [(149, False), (150, True), (151, True)])
def test_a_vote_is_cast_at_the_trip_limit(value: int, cuts: bool, mine_of, rig_of) -> None:
    """At value >= trip in the very cycle, not one unit below."""
    rig = rig_of(voting(mine_of, 2)).start()
    rig.turn(readings={"Z0_H0": value, "Z0_H1": value})
    assert (rig.causes == ["vote:vote_Z0"]) is cuts


def test_each_head_alarms_and_withdraws_alone(mine_of, rig_of) -> None:
    """One head at its limits raises alarm, trip alarm and withdrawal although it cuts nothing."""
    rig = rig_of(mine_of(zones=1, heads=3, interlocks=voting(mine_of, 2).interlocks)).start()
    rig.turn(readings={"Z0_H0": 150})
    assert rig.causes == []
    for kind in (AlarmKind.GAS_OVER_LIMIT, AlarmKind.TRIP, AlarmKind.WITHDRAW):
        assert is_active(rig.state.durable, kind, "Z0_H0")
    assert rig.of("withdrawal_raised")


def test_a_lost_head_votes_after_its_fault_time_to_the_millisecond(mine_of, rig_of) -> None:
    """With one head at trip, a second that is lost cuts when its fault time is over."""
    rig = rig_of(voting(mine_of, 2)).start()
    rig.turn(readings={"Z0_H0": 150, "Z0_H1": 20})
    rig.turn(ms=1, readings={"Z0_H1": Quality.COMM_FAULT})
    for _ in range(9):
        rig.turn(ms=1_000, readings={"Z0_H0": 150, "Z0_H2": 20})
    rig.turn(ms=998)
    assert rig.causes == []
    rig.turn(ms=1)
    assert rig.causes == ["vote:vote_Z0"]
    assert rig.state.durable.interlock.causes["vote:vote_Z0"].points == ("Z0_H0", "Z0_H1")


def test_heads_that_one_line_lost_are_one_cause(mine_of, rig_of) -> None:
    """A gateway's reboot is the line's cause, not one of each vote."""
    rig = rig_of(voting(mine_of, 2)).start()
    rig.world.update(dict.fromkeys(HEADS, Quality.COMM_FAULT))
    rig.run(13)
    assert rig.causes == ["line:gas"]
    assert rig.state.durable.interlock.causes["line:gas"].points == HEADS


def test_a_cut_grows_with_the_heads_that_join_it(mine_of, rig_of) -> None:
    """Whoever reaches the limit later must be back as well before the release."""
    rig = rig_of(voting(mine_of, 2)).start()
    rig.turn(readings={"Z0_H0": 150, "Z0_H1": 150})
    rig.turn(readings={"Z0_H2": 150})
    assert rig.state.durable.interlock.causes["vote:vote_Z0"].points == HEADS
    answer = rig.command("release", outputs=["cut_Z0"])
    assert {f"not_below_restore:{each}" for each in HEADS} <= set(answer.data["reasons"])


def test_a_voted_cut_is_released_like_any_other(mine_of, rig_of) -> None:
    """Below restore for 60 s, a hand value from each head that voted, two names."""
    rig = rig_of(voting(mine_of, 2)).start()
    rig.turn(readings={"Z0_H0": 150, "Z0_H1": 150})
    rig.run(62)
    rig.release("cut_Z0", values={"Z0_H0": 30, "Z0_H1": 30})
    rig.run(1)
    assert rig.causes == []
    assert rig.written["cut_Z0"] is True


@pytest.mark.parametrize(("value", "cuts"), [(149, False), (150, True)])
def test_a_hand_value_needs_no_second_voice(value: int, cuts: bool, mine_of, rig_of) -> None:
    """What a checker measures at the trip limit cuts by itself; below it nothing happens."""
    rig = rig_of(voting(mine_of, 2)).start()
    rig.command("hand_value", "S7", point="Z0_H0", value=value)
    assert (rig.causes == ["trip:Z0_H0"]) is cuts


def test_a_hand_value_that_is_held_is_one_vote(mine_of, rig_of) -> None:
    """The larger of head and hand counts, so one more head at trip carries the vote."""
    rig = rig_of(voting(mine_of, 2)).start()
    rig.command("hand_value", "S7", point="Z0_H0", value=150)
    rig.turn(readings={"Z0_H1": 150})
    assert "vote:vote_Z0" in rig.causes


def test_hand_cover_takes_a_dead_head_out(mine_of, rig_of) -> None:
    """Under hand cover 2oo3 is 1oo2 of the heads that live: a single one at trip cuts."""
    rig = rig_of(voting(mine_of, 2)).start()
    rig.world["Z0_H2"] = Quality.COMM_FAULT
    rig.run(12)
    assert rig.causes == []
    rig.command("hand_cover", "S4", point="Z0_H2", checker="S7")
    rig.run(2)
    shown = sections(rig.mine, rig.state, rig.now_ms)["interlocks"]["vote_Z0"]["votes"]
    assert shown == {
        "needed": 1, "of": 2, "for": [], "lost": [], "removed": ["Z0_H2"], "degraded": True,
        "disagrees_since_ms": None,
    }  # fmt: skip
    rig.turn(readings={"Z0_H0": 150})
    assert rig.causes == ["vote:vote_Z0"]


def test_one_of_two_cuts_by_each_head_and_only_watches_agreement(mine_of, rig_of) -> None:
    """1oo2 keeps each head's own trip and fault lock; no vote adds a cause of its own."""
    rig = rig_of(voting(mine_of, 1, heads=2)).start()
    rig.turn(readings={"Z0_H0": 150})
    assert rig.causes == ["trip:Z0_H0"]
    rig.run(32)
    rig.world["Z0_H1"] = Quality.COMM_FAULT
    rig.run(12)
    assert rig.causes == ["fault:Z0_H1", "trip:Z0_H0"]


def _disagree(rig) -> bool:
    return is_active(rig.state.durable, AlarmKind.VOTE_DISAGREEMENT, "vote_Z0")


@pytest.mark.parametrize(
    ("one", "other", "alarms"),
    [(150, 99, True), (149, 99, False), (150, 100, False), (Quality.OVER_RANGE, 99, True)],
)
def test_disagreement(one, other: int, alarms: bool, mine_of, rig_of) -> None:
    """One head at trip while another is below alarm for 30 s is an alarm, to the unit."""
    rig = rig_of(voting(mine_of, 2)).start()
    rig.world.update({"Z0_H0": one, "Z0_H1": other, "Z0_H2": other})
    rig.run(31)
    assert _disagree(rig) is alarms


def test_disagreement_takes_thirty_seconds_and_ends_with_agreement(mine_of, rig_of) -> None:
    """Not at 29.999 s, at 30.000 s; agreement ends it, and the next one counts anew."""
    rig = rig_of(voting(mine_of, 2)).start()
    rig.world["Z0_H0"] = 150
    rig.turn(scan=True)
    since_ms = rig.now_ms
    while rig.now_ms < since_ms + 29_000:
        rig.turn(ms=500, scan=True)
    rig.turn(ms=999, scan=True)
    assert not _disagree(rig)
    rig.turn(ms=1, scan=True)
    assert _disagree(rig)
    rig.world["Z0_H0"] = 20
    rig.run(1)
    assert not _disagree(rig)
    rig.world["Z0_H0"] = 150
    rig.run(29.5)
    assert not _disagree(rig)


def test_a_head_that_is_left_alone_ends_no_disagreement(mine_of, rig_of) -> None:
    """What cannot be compared neither raises nor clears."""
    rig = rig_of(voting(mine_of, 2)).start()
    rig.world["Z0_H0"] = 150
    rig.run(31)
    rig.world.update({"Z0_H1": Quality.COMM_FAULT, "Z0_H2": Quality.COMM_FAULT})
    rig.run(5)
    assert _disagree(rig)


@pytest.mark.parametrize(("apart", "alarms"), [(30, False), (31, True)])
def test_a_spread_of_quiet_heads_is_seen(apart: int, alarms: bool, mine_of, rig_of) -> None:
    """Heads far below every limit that lie further apart than configured are an alarm."""
    rig = rig_of(voting(mine_of, 2, spread=30)).start()
    rig.world["Z0_H2"] = apart
    rig.run(33)
    assert _disagree(rig) is alarms


def test_heads_beyond_their_range_have_no_spread(mine_of, rig_of) -> None:
    """Two heads above range and one lost: nothing to compare in numbers, and no crash."""
    rig = rig_of(voting(mine_of, 2, spread=30)).start()
    rig.world.update(
        {"Z0_H0": Quality.OVER_RANGE, "Z0_H1": Quality.OVER_RANGE, "Z0_H2": Quality.COMM_FAULT}
    )
    rig.run(31)
    assert not _disagree(rig)


def test_restart_keeps_a_voted_cut(mine_of, rig_of) -> None:
    """The latch is of the ledger, like every cause."""
    rig = rig_of(voting(mine_of, 2)).start()
    rig.turn(readings={"Z0_H0": 150, "Z0_H1": 150})
    rig.restart()
    rig.run(5)
    assert "vote:vote_Z0" in rig.causes


def test_voters_guard_what_they_cut(mine_of) -> None:
    """A release of the cut asks for a hand value of one of them (`plan.guards`)."""
    assert build(voting(mine_of, 2)).guards["cut_Z0"] == HEADS


def test_the_fault_time_of_a_voter_is_its_own_clock(mine_of, rig_of) -> None:
    """A signed fault time of 12 s wakes the vote by itself, not with the fault alarm at 10 s."""
    rig = rig_of(voting(mine_of, 2, fault_after_ms=12_000)).start()
    rig.turn(readings={"Z0_H0": 150, "Z0_H1": 20, "Z0_H2": 20})
    lost_ms = rig.now_ms
    rig.turn(readings={"Z0_H1": Quality.COMM_FAULT})
    while rig.now_ms < lost_ms + 11_500:
        rig.turn(ms=100, readings={"Z0_H0": 150, "Z0_H2": 20} if rig.cycle % 10 == 0 else {})
    rig.turn(ms=lost_ms + 11_999 - rig.now_ms)
    assert rig.causes == []
    rig.turn(ms=1)
    assert rig.causes == ["vote:vote_Z0"]


def test_nobody_counts_while_no_voter_speaks(mine_of, rig_of) -> None:
    """An idle cycle, and readings of other points, leave the room's state untouched."""
    rig = rig_of(voting(mine_of, 2)).start()
    before = rig.state.volatile.votes
    rig.turn()
    rig.turn(readings={"Z0_WIND": 0})
    rig.turn(readings={"Z0_H0": 20})
    assert rig.state.volatile.votes is before
