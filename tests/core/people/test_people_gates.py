"""Mouth gates as the second source: bodies against badges, counters that wrap and restart."""

from collections.abc import Callable
from typing import Any

import pytest


def test_the_cage_of_the_demo_is_counted_with_its_reason(rig: Any) -> None:
    """120 inside, 12 in and 9 out of which two are unread: 123-125, gate 9, reads 7."""
    rig.enter(*(f"b{n}" for n in range(120)))
    rig.rest(70)
    assert rig.span == (120, 120)
    rig.enter(*(f"b{n}" for n in range(120, 132)))
    rig.leave(*(f"b{n}" for n in range(7)), unread=2)
    rig.turn()
    assert rig.span == (123, 125)
    (reason,) = rig.headcount["reasons"]
    assert reason == {
        "code": "gate_out_more",
        "source": "OUT",
        "count": 2,
        "gate": 9,
        "reads": 7,
    }
    assert not rig.headcount["at_least"]


def test_a_doubt_of_the_gate_ends_when_its_people_are_closed_or_come_again(rig: Any) -> None:
    """Who left unread is settled by two names, or by entering again from the surface."""
    rig.enter("b1", "b2")
    rig.gate[1] += 2
    rig.rest(2)
    assert rig.span == (0, 2)
    assert rig.seconded("close_person", "clerk", "disp", badge="b1").kind == "person_closed"
    assert rig.span == (0, 1)
    rig.sees("r_west", "b2")
    rig.rest(10)
    rig.enter("b2")
    assert rig.span == (1, 1)
    assert rig.headcount["reasons"] == []


def test_bodies_beyond_the_badges_raise_hi_until_they_are_seen(rig: Any) -> None:
    """Two unread entries widen hi; one badge is seen below, the other is closed by two names."""
    rig.gate[0] += 2
    rig.turn()
    assert rig.span == (0, 2)
    rig.sees("r_west", "b1")
    rig.turn()
    assert "entry_missed" in rig.kinds()
    assert rig.span == (1, 2)
    reply = rig.seconded("close_person", "clerk", "disp", badge="unbadged")
    assert reply.kind == "person_closed"
    assert rig.span == (1, 1)


def test_reads_ahead_of_their_bodies_do_not_hide_later_losses(rig: Any) -> None:
    """What the gate never counts is forgotten after five minutes: the next lost read shows."""
    rig.enter("b1", "b2", "b3")
    rig.sees("below", "b1", way=-1)
    rig.rest(5)
    rig.sees("above", "b1", way=-1)
    rig.rest(310)
    assert "gate_settled" in rig.kinds()
    rig.gate[1] += 1
    rig.rest(2)
    assert rig.span == (1, 2)


@pytest.mark.parametrize(("known", "value", "passed"), [(65_534, 3, 5), (2**32 - 2, 1, 3)])
def test_counters_of_a_gate_wrap(
    rig_of: Callable[..., Any], known: int, value: int, passed: int
) -> None:
    """A 16 or 32 bit counter that begins anew has counted on."""
    rig = rig_of()
    rig.gate = [known, known]
    rig.turn()
    rig.gate[0] = value
    rig.turn()
    assert rig.state.durable.people.came.gate == passed


def test_a_gate_that_restarts_is_named_and_counts_nobody(rig: Any) -> None:
    """A counter that falls back is no crowd."""
    rig.gate = [900, 880]
    rig.turn()
    before = rig.span
    rig.gate = [0, 0]
    rig.turn()
    assert "gate_reset" in rig.kinds()
    assert rig.span == before


def test_the_first_counters_of_a_gate_bound_who_is_already_inside(
    rig_of: Callable[..., Any],
) -> None:
    """Whoever the gates have counted in and not out may be inside until he is seen."""
    rig = rig_of()
    rig.state = type(rig.state)()
    rig.gate = [130, 10]
    rig.turn()
    assert rig.span == (0, 120)


def test_who_was_read_before_the_first_counters_is_among_them(
    rig_of: Callable[..., Any],
) -> None:
    """A body that a reader already named is not counted again by the gate's first answer."""
    rig = rig_of()
    rig.state = type(rig.state)()
    rig.gate_good = False
    rig.sees("r_face", "b1")
    rig.sees("below", "b2", "b3", "b4", way=1)
    rig.turn()
    rig.rest(10)
    rig.sees("above", "b4", way=-1)
    rig.turn()
    rig.gate, rig.gate_good = [6, 1], True
    rig.turn()
    assert rig.span == (3, 5)
