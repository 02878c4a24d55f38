"""The watch over the dispatch page: nobody looks, nobody hears (practice 15)."""

from dataclasses import replace

import pytest

from minewatch.core.alarms import alarm
from minewatch.core.people.roster import Span
from minewatch.model.alarm import AlarmKind
from minewatch.model.image import Notice
from minewatch.model.mine import Output, OutputRole

SEEN = Notice("console_seen", "", {"pages": 1})
MUTED = Notice("console_seen", "", {"pages": 1, "audible": False})


@pytest.fixture
def manned(rig_of, mine_of):
    """Return what starts a mine with a surface horn and so many people underground."""

    def start(lo: int = 3, hi: int | None = 3):
        mine = mine_of()
        horn = Output("surface", "", OutputRole.SURFACE_HORN, "surface", "relay", "sh", None)
        rig = rig_of(replace(mine, outputs=(*mine.outputs, horn))).start()
        _count(rig, lo, hi)
        return rig

    return start


def _count(rig, lo: int, hi: int | None) -> None:
    people = rig.state.volatile.people
    count = replace(people.count, mine=Span(lo, hi))
    volatile = replace(rig.state.volatile, people=replace(people, count=count))
    rig.state = replace(rig.state, volatile=volatile)


def _families(rig) -> list[str]:
    return sorted(rig.state.durable.house.faults)


def _pass(rig, ms: int, lo: int = 3, hi: int | None = 3) -> None:
    """Let time pass, with so many people, in cycles that are no gap."""
    while ms > 0:
        _count(rig, lo, hi)
        rig.turn(ms=min(ms, 2_000), scan=True)
        ms -= 2_000


@pytest.mark.parametrize(
    ("lo", "hi", "lost"), [(0, 0, False), (0, 1, True), (3, 3, True), (0, None, True)]
)
def test_no_page_for_a_minute_with_people_underground(manned, lo, hi, lost) -> None:
    """Whoever is or may be below is watched; an empty mine needs nobody."""
    rig = manned()
    rig.turn(notices=(SEEN,))
    _pass(rig, 60_000, lo, hi)
    assert _families(rig) == []
    _pass(rig, 1, lo, hi)
    assert ("console" in _families(rig)) is lost
    assert rig.last.outputs["surface"] is lost


def test_a_run_that_never_saw_a_page_counts_from_its_start(manned) -> None:
    """A page that nobody opened since the start is no page."""
    rig = manned()
    began_ms = rig.events[0].now_ms
    _pass(rig, began_ms + 60_000 - rig.now_ms)
    assert _families(rig) == []
    _pass(rig, 1)
    assert _families(rig) == ["console"]


def test_it_is_over_with_a_page_or_with_the_last_person(manned) -> None:
    """Both end it, each said once; a restart of the page while the mine is empty says nothing."""
    rig = manned()
    _pass(rig, 70_000)
    rig.turn(notices=(SEEN,))
    assert _families(rig) == []
    assert rig.last.outputs["surface"] is False
    _pass(rig, 70_000)
    assert "console" in _families(rig)
    _pass(rig, 100, 0, 0)
    assert "console" not in _families(rig)
    said = [(e.kind, e.data["family"]) for e in rig.events if e.kind.startswith("house_")]
    assert [kind for kind, family in said if family == "console"] == [
        "house_fault", "house_restored", "house_fault", "house_restored",
    ]  # fmt: skip


def test_a_report_of_no_page_is_no_page(manned) -> None:
    """The console that says that nobody watches watches for nobody."""
    rig = manned()
    rig.turn(notices=(Notice("console_seen", "", {"pages": 0}),))
    _pass(rig, 70_000)
    assert _families(rig) == ["console"]


def test_a_muted_page_is_watched_and_not_heard(manned) -> None:
    """It keeps the surface horn off; after a minute the corridor horn stands in for its sound."""
    rig = manned()
    rig.turn(notices=(MUTED,))
    _pass(rig, 60_000)
    rig.turn(notices=(MUTED,), ms=0)
    assert _families(rig) == []
    _pass(rig, 1)
    assert _families(rig) == ["sound"]
    assert rig.last.outputs["surface"] is False


def test_one_audible_page_is_enough_and_ends_it(manned) -> None:
    """A page that is heard ends the fault at once."""
    rig = manned()
    rig.turn(notices=(MUTED,))
    _pass(rig, 60_001)
    rig.turn(notices=(Notice("console_seen", "", {"pages": 2, "audible": True}),))
    assert _families(rig) == []


@pytest.mark.parametrize(("value", "sounds"), [(85, False), (120, True), (155, True)])
def test_the_corridor_horn_stands_in_for_a_page_that_nobody_hears(
    manned, value: int, sounds
) -> None:
    """Priority 1 and 2 sound there at once, without the 30 s; a warning does not."""
    rig = manned()
    rig.turn(notices=(MUTED,))
    _pass(rig, 60_001)
    rig.turn(notices=(MUTED,), readings={"Z0_H0": value})
    assert rig.last.outputs["horn"] is sounds
    if sounds:
        rig.command("acknowledge", "S1", alarms=sorted(rig.state.durable.alarms.items))
        assert rig.last.outputs["horn"] is False


def test_priority_3_waits_for_a_page_that_is_heard(manned, give) -> None:
    """What needs a person soon does not sound in the corridor."""
    rig = manned()
    rig.turn(notices=(MUTED,))
    _pass(rig, 60_001)
    give(rig, lambda draft: alarm.raise_(draft, AlarmKind.OVER_TIME, "B1"))
    rig.turn(notices=(MUTED,))
    assert rig.last.outputs["horn"] is False


def test_while_a_page_is_heard_the_horn_waits_its_time(manned) -> None:
    """With a page that sounds, the corridor horn keeps its 30 s."""
    rig = manned()
    rig.turn(notices=(SEEN,), readings={"Z0_H0": 155})
    assert rig.last.outputs["horn"] is False


@pytest.mark.parametrize(
    ("said", "screens"),
    [
        ({}, ["page"]),
        ({"terminals": ["a", "b"]}, ["a", "b"]),
        ({"terminals": []}, ["page"]),
        ({"terminals": [7, "", "c"]}, ["c"]),
        ({"terminals": "abc"}, ["page"]),
        ({"terminals": {"a": 1}}, ["page"]),
        ({"audible": False, "terminals": ["a"]}, []),
        ({"pages": 0, "terminals": ["a"]}, []),
    ],
)
def test_which_screens_are_heard(rig, said, screens) -> None:
    """Only audible pages count for their terminals; what is no list of names names none."""
    rig.turn(notices=(Notice("console_seen", "", said),))
    assert sorted(rig.state.volatile.alarms.screens) == screens


def test_screens_are_forgotten_and_bounded(rig) -> None:
    """Who is not seen for a minute leaves the table; one report names at most 64."""
    rig.turn(notices=(Notice("console_seen", "", {"terminals": [f"t{n}" for n in range(70)]}),))
    assert len(rig.state.volatile.alarms.screens) == 64
    rig.turn(ms=60_000, notices=(Notice("console_seen", "", {"terminals": ["x"]}),))
    assert len(rig.state.volatile.alarms.screens) == 65
    rig.turn(ms=1, notices=(Notice("console_seen", "", {"terminals": ["x"]}),))
    assert list(rig.state.volatile.alarms.screens) == ["x"]
