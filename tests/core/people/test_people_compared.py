"""Our headcount beside the certified position system's: a span against a number."""

from typing import Any

import pytest

from minewatch.core.fold import recover
from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Comparison, Device, Point

BADGES = tuple(f"b{n}" for n in range(4))
MINUTES_5 = 300


@pytest.fixture
def rig(rig_of, mine_of) -> Any:
    """Return four people underground and the certified counts of the mine and of zone west."""
    plain = mine_of()
    people = tuple(
        Point(name, "", Kind.HEADCOUNT, zone, "men", signal, "certified", stale_ms=900_000)
        for name, zone, signal in (("KJ_ALL", "mine", "mine"), ("KJ_WEST", "west", "A1"))
    )
    made = rig_of(
        buses=(*plain.buses, Bus("kj", "files:///x")),
        devices=(*plain.devices, Device("men", "kj", 1, "certified-ryss")),
        points=(*plain.points, *people),
        comparisons=tuple(
            Comparison(each.id, each.zone, each.id, Kind.HEADCOUNT, 0, 300_000) for each in people
        ),
    )
    made.enter(*BADGES)
    return made


def told(rig: Any, seconds: int, count: int, west: int = 0) -> list[tuple[str, str]]:
    """Let the certified system say these counts for a time; return what was told."""
    first = len(rig.events)
    for n in range(seconds):
        if n % 30 == 0:
            rig.reads("KJ_ALL", count).reads("KJ_WEST", west)
        rig.turn()
    return [
        (e.kind, e.data["comparison"])
        for e in rig.events[first:]
        if e.kind.startswith("comparison")
    ]


def test_the_same_count_is_no_event(rig) -> None:
    """Both systems count four: nothing is told, however long."""
    assert rig.span == (4, 4)
    assert told(rig, 400, 4) == []


@pytest.mark.parametrize(("count", "difference"), [(5, 1), (3, -1), (0, -4)])
def test_one_person_for_five_minutes_is_told(rig, count: int, difference: int) -> None:
    """A single person more or fewer is an event after five minutes and not before."""
    assert told(rig, MINUTES_5 - 5, count) == []
    assert told(rig, 10, count) == [("comparison_opened", "KJ_ALL")]
    data = rig.events[-2].data if rig.events[-1].kind == "alarm_raised" else rig.events[-1].data
    assert data["difference"] == difference
    assert (data["point"], data["ours_lo"], data["ours_hi"]) == ("mine", 4, 4)
    assert ("comparison", "KJ_ALL") in rig.alarms()
    assert told(rig, MINUTES_5 + 5, 4) == [("comparison_closed", "KJ_ALL")]
    assert recover(rig.events) == rig.state.durable


def test_within_our_own_doubt_there_is_no_difference(rig) -> None:
    """Where we count 4 to 6, a certified 6 agrees and a certified 7 does not."""
    rig.gate[0] += 2
    rig.turn()
    assert rig.span == (4, 6)
    assert told(rig, MINUTES_5 + 60, 6) == []
    assert told(rig, MINUTES_5 + 10, 7) == [("comparison_opened", "KJ_ALL")]


def test_zones_are_compared_on_their_own(rig) -> None:
    """Somebody whom only the certified system sees in the west is told for the west."""
    assert told(rig, MINUTES_5 + 10, 4, west=1) == [("comparison_opened", "KJ_WEST")]
    standing = rig.frame["comparisons"]["KJ_WEST"]
    assert (standing["point"], standing["ours_lo"], standing["theirs"]) == ("west", 0, 1)
