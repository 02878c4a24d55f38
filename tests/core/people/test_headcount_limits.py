"""Headcount against limits: boundary, second line, handover window, restricted zones."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from minewatch.model.mine import Handover, Person

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
NIGHT_WALL_MS = 1_790_000_000_000 // DAY_MS * DAY_MS + 15 * HOUR_MS + 20 * 60_000
"""23:20 local time (UTC+8): ten minutes before the window of 23:30."""


def fill(rig: Any, number: int, zone_reader: str | None = None) -> None:
    """Bring people in, and to a zone."""
    badges = [f"b{n}" for n in range(number)]
    rig.enter(*badges)
    rig.rest(4)
    if zone_reader is not None:
        rig.sees(zone_reader, *badges)
        rig.turn()


@pytest.mark.parametrize(
    ("sure", "unread", "state"),
    [
        (9, 0, None),
        (10, 0, None),
        (11, 0, "over_limit"),
        (12, 0, "over_limit"),
        (9, 1, None),
        (10, 1, "maybe_over_limit"),
        (9, 5, "maybe_over_limit"),
        (11, 1, "over_limit"),
    ],
)
def test_the_limit_of_the_mine(
    rig_of: Callable[..., Any], sure: int, unread: int, state: str | None
) -> None:
    """At the limit nothing, lo above it over-limit, hi above it maybe; never both (fault 40)."""
    rig = rig_of(headcount_limit=10)
    fill(rig, sure)
    rig.gate[0] += unread
    rig.rest(2)
    assert rig.span == (sure, sure + unread)
    assert {kind for kind, _ in rig.alarms()} == ({state} if state else set())
    assert rig.headcount["state"] == (state or "normal")


def test_over_limit_clears_when_people_have_left(rig_of: Callable[..., Any]) -> None:
    """The alarm ends with the exit that brings lo to the limit."""
    rig = rig_of(headcount_limit=2)
    fill(rig, 3)
    assert ("over_limit", "mine") in rig.alarms()
    rig.leave("b0")
    assert rig.alarms() == set()


def test_a_crash_neither_ends_nor_doubles_an_over_limit(rig_of: Callable[..., Any]) -> None:
    """The alarm stands through a restart as one occurrence."""
    rig = rig_of(headcount_limit=2)
    fill(rig, 3)
    rig.crash()
    rig.rest(3)
    raised = [e for e in rig.events if e.kind == "alarm_raised"]
    assert [e.data["alarm_kind"] for e in raised].count("over_limit") == 1
    assert ("over_limit", "mine") in rig.alarms()


@pytest.mark.parametrize(
    ("there", "state", "hazard"),
    [
        (25, "normal", False),
        (26, "over_limit", False),
        (29, "over_limit", False),
        (30, "over_limit", True),
    ],
)
def test_a_face_has_two_lines(rig: Any, there: int, state: str, hazard: bool) -> None:
    """26 in a face of 25 are over-limit; 30, a fifth more, are a major hazard."""
    fill(rig, there, "r_face")
    assert rig.headcount["zones"]["face"]["state"] == state
    assert (("over_limit", "face") in rig.alarms()) == (state == "over_limit")
    assert ("major_hazard" in rig.kinds()) == hazard


def test_leaders_do_not_count_in_a_face_and_visitors_do(rig_of: Callable[..., Any]) -> None:
    """Leaders passing are outside the face limit; everybody is in the mine's total (23)."""
    people = (
        *(Person(f"L{n}", "", f"leader{n}", leader=True) for n in range(2)),
        Person("V", "", "visitor", visitor=True),
    )
    rig = rig_of(people=people)
    fill(rig, 25, "r_face")
    rig.enter("leader0", "leader1")
    rig.rest(4)
    rig.sees("r_face", "leader0", "leader1")
    rig.turn()
    assert rig.zone_span("face") == (27, 27)
    assert rig.alarms() == set()
    assert rig.span == (27, 27)
    rig.enter("visitor")
    rig.rest(4)
    rig.sees("r_face", "visitor")
    rig.turn()
    assert rig.alarms() == {("over_limit", "face")}


def at_night(rig_of: Callable[..., Any], **parts: Any) -> Any:
    """Return a rig at 23:20 with a window at 23:30 and a limit of 5."""
    handover = Handover(("23:30",), 60, 8)
    mine_parts = {"headcount_limit": 5, "handover": handover, **parts}
    rig = rig_of(**mine_parts)
    rig.wall_ms = NIGHT_WALL_MS
    return rig


def pass_minutes(rig: Any, minutes: int) -> None:
    """Let minutes go by, the readers answering every second second of them."""
    for _ in range(minutes * 10):
        rig.turn(passed_ms=6000)


def test_the_handover_window_holds_the_mines_total(rig_of: Callable[..., Any]) -> None:
    """Over the limit between two shifts is no alarm for an hour, and one after it (20)."""
    rig = at_night(rig_of)
    pass_minutes(rig, 12)
    fill(rig, 7)
    assert rig.headcount["state"] == "handover"
    assert rig.headcount["handover_until_ms"] is not None
    assert rig.alarms() == set()
    assert rig.outputs["gate"] is True
    pass_minutes(rig, 60)
    assert ("over_limit", "mine") in rig.alarms()
    assert rig.headcount["state"] == "over_limit"
    assert rig.kinds().count("handover_started") == 1
    assert rig.kinds().count("handover_ended") == 1


def test_the_window_has_a_limit_of_its_own(rig_of: Callable[..., Any]) -> None:
    """More people than the window allows are over-limit inside it."""
    rig = at_night(rig_of)
    pass_minutes(rig, 12)
    fill(rig, 9)
    assert ("over_limit", "mine") in rig.alarms()
    assert rig.outputs["gate"] is False


def test_the_window_never_covers_a_face(rig_of: Callable[..., Any]) -> None:
    """Faces and headings keep their limit through the handover."""
    rig = at_night(rig_of, handover=Handover(("23:30",), 60, 1000))
    pass_minutes(rig, 12)
    fill(rig, 26, "r_face")
    assert rig.alarms() == {("over_limit", "face")}


def test_an_untrusted_clock_opens_no_window(rig_of: Callable[..., Any]) -> None:
    """A wall clock that nobody vouches for lowers nothing."""
    rig = at_night(rig_of)
    rig.wall_trusted = False
    pass_minutes(rig, 12)
    fill(rig, 7)
    assert ("over_limit", "mine") in rig.alarms()


def test_a_clock_put_back_does_not_open_the_window_again(rig_of: Callable[..., Any]) -> None:
    """One window opens once, also through a restart."""
    rig = at_night(rig_of)
    pass_minutes(rig, 75)
    rig.wall_ms -= HOUR_MS
    fill(rig, 7)
    assert ("over_limit", "mine") in rig.alarms()
    rig.crash()
    rig.rest(5)
    assert rig.kinds().count("handover_started") == 1


def test_a_restart_keeps_the_window_and_its_end(rig_of: Callable[..., Any]) -> None:
    """The window is neither lost nor prolonged by a crash."""
    rig = at_night(rig_of)
    pass_minutes(rig, 12)
    fill(rig, 7)
    rig.crash(away_ms=60_000)
    rig.rest(3)
    assert rig.headcount["state"] == "handover"
    pass_minutes(rig, 57)
    assert ("over_limit", "mine") in rig.alarms()


def test_a_restricted_zone_raises_for_each_badge_until_it_is_heard_elsewhere(rig: Any) -> None:
    """Whoever is heard in a restricted zone is an alarm of his own."""
    fill(rig, 2, "r_old")
    assert rig.alarms() == {("restricted_zone", "b0"), ("restricted_zone", "b1")}
    rig.rest(5)
    rig.sees("r_west", "b0")
    rig.turn()
    assert rig.alarms() == {("restricted_zone", "b1")}


@pytest.mark.parametrize(("inside", "open_"), [(4, True), (5, False), (6, False)])
def test_the_gate_refuses_entry_at_the_limit(
    rig_of: Callable[..., Any], inside: int, open_: bool
) -> None:
    """lo at the limit shuts the gate for those who come (practice 22)."""
    rig = rig_of(headcount_limit=5)
    fill(rig, inside)
    rig.turn()
    assert rig.outputs["gate"] is open_


def test_a_reload_keeps_people_and_learns_the_new_limit(rig: Any) -> None:
    """Another configuration with the same zones keeps everybody where he is."""
    fill(rig, 5, "r_face")
    rig.mine = replace(rig.mine, headcount_limit=4)
    rig.rest(2)
    assert rig.span == (5, 5)
    assert ("over_limit", "mine") in rig.alarms()
