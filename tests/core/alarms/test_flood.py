"""A flood begins, groups and ends by the clock; nothing urgent hides in it."""

import pytest

from minewatch.core.alarms import alarm, flood
from minewatch.core.alarms.flood import BEGIN_ABOVE, END_BELOW, WINDOW_MS, Flood
from minewatch.core.fold import recover
from minewatch.core.view import view
from minewatch.model.alarm import AlarmKind


def test_the_figures_of_eemua() -> None:
    """More than ten in ten minutes begin a flood, fewer than five end it."""
    assert (BEGIN_ABOVE, END_BELOW, WINDOW_MS) == (10, 5, 600_000)


@pytest.mark.parametrize(
    ("count", "first_ms", "begins"),
    [(10, 1, False), (11, 1, True), (11, 0, False), (12, 0, False)],
)
def test_when_a_flood_begins(count: int, first_ms: int, begins) -> None:
    """Eleven alarms of which the first is younger than ten minutes, to the millisecond."""
    recent: tuple[int, ...] = ()
    for n in range(count):
        recent = flood.with_recent(recent, first_ms if n <= count - BEGIN_ABOVE else 500_000)
    assert len(recent) == min(count, BEGIN_ABOVE + 1)
    assert flood.begins(recent, WINDOW_MS) is begins


@pytest.mark.parametrize(("off_ms", "over"), [(-1, False), (0, True), (1, True)])
def test_when_a_flood_ends(off_ms: int, over) -> None:
    """It is over once the fifth alarm from the end is ten minutes old."""
    recent = (1, 2, 3, 4, 5, 6, 7, 100, 100, 100, 100)
    assert flood.is_over(recent, recent[-END_BELOW] + WINDOW_MS + off_ms) is over


def _raise(rig, give, count: int, kind=AlarmKind.OVER_TIME, zone="Z0", first=0) -> None:
    def many(draft) -> None:
        for n in range(first, first + count):
            alarm.raise_(draft, kind, f"{zone}_{n}", zone=zone)

    give(rig, many)


def test_a_flood_is_said_once_and_ends_once(rig, give) -> None:
    """Its events hold how many there were; while it lasts further alarms are counted."""
    _raise(rig, give, 10)
    rig.turn()
    assert not rig.of("flood_began")
    _raise(rig, give, 1, first=10)
    rig.turn()
    rig.turn()
    assert [e.data for e in rig.of("flood_began")] == [{"count": 11, "window_ms": WINDOW_MS}]
    _raise(rig, give, 3, first=11)
    rig.turn()
    assert rig.state.durable.alarms.flood.raised == 14
    began_ms = rig.of("flood_began")[0].now_ms
    rig.run(700, scan_ms=10_000)
    (ended,) = rig.of("flood_ended")
    assert ended.data == {"duration_ms": ended.now_ms - began_ms, "raised": 14}
    assert rig.state.durable.alarms.flood is None
    assert recover(rig.events) == rig.state.durable


def test_groups_by_zone_with_the_first_on_top(rig, give) -> None:
    """Of each zone the first-out sounds; a lost line without a zone is a group of its own."""
    _raise(rig, give, 6)
    _raise(rig, give, 4, zone="Z1")
    give(rig, lambda draft: alarm.raise_(draft, AlarmKind.SENSOR_FAULT, "line:gas"))
    rig.turn()
    shown = view(rig.mine, rig.state, rig.now_ms)
    ids = {each.source: each.id for each in rig.state.durable.alarms.items.values()}
    assert shown["flood"] == {
        "since_ms": rig.now_ms,
        "raised": 11,
        "groups": [
            {"group": "Z0", "zone": "Z0", "first_out": ids["Z0_0"], "count": 6},
            {"group": "Z1", "zone": "Z1", "first_out": ids["Z1_0"], "count": 4},
            {"group": "line:gas", "zone": "", "first_out": ids["line:gas"], "count": 1},
        ],
    }
    sounding = {each["source"] for each in shown["alarms"].values() if each["sounds"]}
    assert sounding == {"Z0_0", "Z1_0", "line:gas"}


def test_without_a_flood_everything_sounds(rig, give) -> None:
    """Ten alarms are no flood: each sounds, and there is no group."""
    _raise(rig, give, 10)
    rig.turn()
    shown = view(rig.mine, rig.state, rig.now_ms)
    assert shown["flood"] is None
    assert all(each["sounds"] for each in shown["alarms"].values())


def test_priority_1_is_never_grouped_away(rig, give) -> None:
    """In the middle of a flood each trip sounds for itself and stands in no group."""
    _raise(rig, give, 12)
    _raise(rig, give, 2, kind=AlarmKind.TRIP, first=50)
    rig.turn()
    shown = view(rig.mine, rig.state, rig.now_ms)
    trips = [each for each in shown["alarms"].values() if each["kind"] == "trip"]
    assert [each["sounds"] for each in trips] == [True, True]
    assert [each["count"] for each in shown["flood"]["groups"]] == [12]


@pytest.mark.parametrize(("raised_ms", "grouped"), [(400_000, False), (400_001, True)])
def test_what_was_raised_long_before_is_no_part_of_a_flood(alarm_of, raised_ms, grouped) -> None:
    """A group begins with what came within the ten minutes before the flood was known."""
    item = alarm_of(kind=AlarmKind.LOW, raised_ms=raised_ms)
    found = flood.groups(Flood(1_000_000, 11), [item])
    assert found == ({"Z0": [item]} if grouped else {})


def test_a_first_out_leads_its_group(alarm_of) -> None:
    """Of alarms of one millisecond the first-out is on top, then the order of their names."""
    items = [
        alarm_of(id="A1", raised_ms=5),
        alarm_of(id="A2", raised_ms=5, first_out=True),
        alarm_of(id="A3", raised_ms=4),
        alarm_of(id="A0", raised_ms=5),
    ]
    (group,) = flood.groups(Flood(100, 11), items).values()
    assert [each.id for each in group] == ["A3", "A2", "A0", "A1"]


def test_held_alarms_make_no_flood(rig, give) -> None:
    """What was raised without a sound is not counted."""
    for n in range(12):
        rig.command("shelve", "S1", alarm_kind="pre_alarm", source=f"Z{n % 2}_H{n % 2}", minutes=9)
    rig.turn()
    for _ in range(8):
        for value in (85, 0):
            rig.turn(readings={"Z0_H0": value, "Z1_H1": value})
    assert len(rig.of("alarm_raised")) == 16
    assert rig.state.durable.alarms.recent == ()
    assert not rig.of("flood_began")
