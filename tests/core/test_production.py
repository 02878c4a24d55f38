"""Coal output: counters that wrap, begin anew and leap; months; the approved capacity."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minewatch.core.fold import recover
from minewatch.core.local_time import month_of
from minewatch.core.readings.production import MODULI, approved_t, moved_t, plausible_t
from minewatch.core.view import view
from minewatch.model.kind import Kind
from minewatch.model.mine import Point
from minewatch.model.quality import Quality

HOUR_MS = 3_600_000
LOCAL = timezone(timedelta(hours=8))
NOVEMBER_MS = 1_700_000_000_000
"""2023-11-15 local."""


@pytest.fixture
def skip(rig_of: Any, mine_of: Any) -> Any:
    """Return the builder of rigs in service with two skips; 600 kt a year, 50 kt a month."""

    def build(trusted: bool = True, **parts: Any) -> Any:
        mine = mine_of(zones=1, heads=1, **parts)
        points = tuple(
            Point(n, "", Kind.COAL_OUTPUT, "surface", "input", n, "coal_output")
            for n in ("SKIP", "SKIP_2")
        )
        rig = rig_of(replace(mine, points=(*mine.points, *points)))
        rig.wall_trusted = trusted
        rig.world.update(SKIP=1_000, SKIP_2=5)
        return rig.start()

    return build


def put(rig: Any, ms: int = 60_000, **readings: Any) -> None:
    """Let the world be so, and look once more after this time."""
    rig.world.update(readings)
    rig.turn(ms=ms, scan=True)


def shown(rig: Any) -> Any:
    """Return the frame's output."""
    return view(rig.mine, rig.state, rig.now_ms)["coal_output"]


@given(wall_ms=st.integers(-(10**12), 10**13))
@example(wall_ms=4_107_513_600_000)
@example(wall_ms=4_138_963_200_000)
def test_months_are_those_of_the_calendar(wall_ms: int) -> None:
    """The same as the calendar's for every moment, on the mine's own clock."""
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=wall_ms)
    assert month_of(wall_ms) == local.astimezone(LOCAL).strftime("%Y-%m")


def test_every_day_of_a_century_is_in_its_month() -> None:
    """Day by day, with the century that has no leap day."""
    day = datetime(1995, 1, 1, 12, tzinfo=LOCAL)
    while day.year < 2105:
        assert month_of(int(day.timestamp()) * 1000) == f"{day.year}-{day.month:02}"
        day += timedelta(days=1)


@pytest.mark.parametrize(
    ("before", "after", "most", "moved"),
    [
        (10, 10, 100, (0, "")),
        (10, 110, 100, (100, "")),
        (10, 111, 100, (0, "leapt")),
        (65_530, 4, 100, (10, "wrapped")),
        (9_990, 5, 100, (15, "wrapped")),
        (9_990, 89, 99, (99, "wrapped")),
        (9_990, 90, 99, (90, "reset")),
        (2**32 - 1, 0, 100, (1, "wrapped")),
        (2**32, 5, 100, (5, "reset")),
        (10_000, 5, 100, (5, "reset")),
        (5_000, 100, 100, (100, "reset")),
        (5_000, 101, 100, (0, "leapt")),
    ],
)
def test_how_a_counter_moves(before: int, after: int, most: int, moved: Any) -> None:
    """Wrapped where that could have been mined, else begun anew, else a leap that adds nothing."""
    assert moved_t(before, after, most) == moved


@given(st.sampled_from(MODULI), st.integers(0, 99), st.integers(1, 100))
def test_a_wrap_loses_nothing(modulus: int, left: int, added: int) -> None:
    """Whatever a counter of one size adds across its end is counted."""
    before = modulus - 1 - left
    after = (before + added) % modulus
    counted, how = moved_t(before, after, 100)
    assert (counted, how in {"", "wrapped"}) == (added, True)


@given(st.integers(0, 10**10), st.integers(0, 10**10), st.integers(0, 10**6))
def test_nothing_implausible_is_ever_counted(before: int, after: int, most: int) -> None:
    """Between nothing and what could have been mined."""
    counted, _ = moved_t(before, after, most)
    assert 0 <= counted <= most


def test_how_much_could_have_been_mined(skip: Any) -> None:
    """A batch, and ten times the approved capacity of that time; a clock put back takes nothing."""
    mine = skip().mine
    assert approved_t(mine) == 50_000
    assert plausible_t(mine, 0) == 100
    assert plausible_t(mine, -HOUR_MS) == 100
    assert plausible_t(mine, 365 * 24 * HOUR_MS) == 100 + 6_000_000


def test_it_is_written_down_once_an_hour(skip: Any) -> None:
    """The frame shows each minute, the ledger each hour in which something moved."""
    rig = skip()
    assert [e.data["month"] for e in rig.of("output_recorded")] == ["2023-11"]
    put(rig, SKIP=1_040, SKIP_2=25)
    assert shown(rig) == {"month": "2023-11", "tonnes": 60, "approved": 50_000}
    record_ms = rig.state.volatile.production.record_ms
    rig.world["SKIP"] = 1_050
    rig.turn(ms=record_ms - rig.now_ms - 1, scan=True)
    assert len(rig.of("output_recorded")) == 1
    rig.turn(ms=60_000, scan=True)
    assert [e.data["added"] for e in rig.of("output_recorded")] == [0, 70]
    assert rig.state.volatile.production.record_ms == rig.now_ms + HOUR_MS
    assert shown(rig)["tonnes"] == 70
    put(rig, HOUR_MS)
    assert len(rig.of("output_recorded")) == 2


def test_it_is_written_down_at_the_very_hour(skip: Any) -> None:
    """A look at the hour itself writes; what moved later waits for the next hour."""
    rig = skip()
    put(rig, SKIP=1_040)
    rig.turn(ms=rig.state.volatile.production.record_ms - rig.now_ms, scan=True)
    assert [e.data["added"] for e in rig.of("output_recorded")] == [0, 40]


def test_it_is_looked_at_once_a_minute(skip: Any) -> None:
    """Not sooner, and at the very millisecond."""
    rig = skip()
    next_ms = rig.state.volatile.production.next_ms
    rig.world["SKIP"] = 1_010
    rig.turn(ms=next_ms - rig.now_ms - 1, scan=True)
    assert shown(rig)["tonnes"] == 0
    rig.turn(ms=1, scan=True)
    assert shown(rig)["tonnes"] == 10
    assert rig.state.volatile.production.next_ms == rig.now_ms + 60_000


@pytest.mark.parametrize("bad", [Quality.COMM_FAULT, Quality.IMPLAUSIBLE])
def test_what_is_not_good_counts_later(skip: Any, bad: Quality) -> None:
    """A counter counts on while nobody reads it."""
    rig = skip()
    put(rig, SKIP=bad)
    assert shown(rig)["tonnes"] == 0
    put(rig, SKIP=1_030)
    assert shown(rig)["tonnes"] == 30


@pytest.mark.parametrize(("value", "how", "tonnes"), [(20, "reset", 20), (900_000, "leapt", 0)])
def test_what_is_odd_is_said(skip: Any, value: int, how: str, tonnes: int) -> None:
    """Once, with both readings; afterwards it counts from there."""
    rig = skip()
    put(rig, SKIP=value)
    (event,) = rig.of("output_counter_odd")
    assert event.data == {
        "after": value, "before": 1_000, "counted": tonnes, "how": how, "point": "SKIP",
    }  # fmt: skip
    put(rig, SKIP=value + 7)
    assert shown(rig)["tonnes"] == tonnes + 7
    assert len(rig.of("output_counter_odd")) == 1


def test_a_restart_loses_nothing(skip: Any) -> None:
    """What moved since the last entry is counted from the counter itself."""
    rig = skip()
    put(rig, SKIP=1_050)
    assert recover(rig.events) == rig.state.durable
    rig.restart()
    put(rig, SKIP=1_090)
    assert shown(rig)["tonnes"] == 90
    assert len(rig.of("output_recorded")) == 1


def test_a_month_ends_and_another_begins(skip: Any) -> None:
    """What was mined belongs to the month in which it was read; the new one begins at zero."""
    rig = skip()
    put(rig, SKIP=1_060)
    end_ms = int(datetime(2023, 12, 1, tzinfo=LOCAL).timestamp() * 1000)
    put(rig, end_ms - rig.wall_ms - 1)
    assert not rig.of("output_month_closed")
    put(rig, SKIP=1_090)
    (closed,) = rig.of("output_month_closed")
    assert closed.data == {"month": "2023-11", "tonnes": 90, "approved": 50_000}
    assert shown(rig) == {"month": "2023-12", "tonnes": 0, "approved": 50_000}
    put(rig, SKIP=1_091)
    assert shown(rig)["tonnes"] == 1
    assert recover(rig.events) == rig.state.durable


def test_a_clock_put_back_begins_no_month(skip: Any) -> None:
    """Months only go on."""
    rig = skip()
    rig.wall_ms -= 40 * 24 * HOUR_MS
    put(rig, SKIP=1_010)
    assert not rig.of("output_month_closed")
    assert shown(rig)["month"] == "2023-11"


def test_an_untrusted_clock_counts_nothing_yet(skip: Any) -> None:
    """What moved meanwhile is taken once the time is known."""
    rig = skip(trusted=False)
    put(rig, SKIP=1_020)
    assert shown(rig) is None
    assert not rig.of("output_recorded")
    rig.wall_trusted = True
    put(rig)
    put(rig, SKIP=1_050)
    assert shown(rig)["tonnes"] == 30


@pytest.mark.parametrize(("short", "told"), [(1, False), (0, True)])
def test_the_approved_capacity_is_said_once(skip: Any, short: int, told: bool) -> None:
    """At 100 %, at that very look, an event and nothing else; again in another month."""
    rig = skip(capacity_10kt=1)
    approved = approved_t(rig.mine)
    assert approved == 833
    for n in range(1, 9):
        put(rig, SKIP=1_000 + 100 * n)
    put(rig, SKIP=1_000 + approved - short)
    assert [e.data for e in rig.of("output_over_capacity")] == (
        [{"month": "2023-11", "tonnes": 833, "approved": 833}] if told else []
    )
    assert not rig.state.durable.alarms.items
    put(rig, SKIP=1_000 + approved + 5)
    put(rig, SKIP=1_000 + approved + 9)
    assert len(rig.of("output_over_capacity")) == 1
    if told:
        put(rig, HOUR_MS)
        assert rig.of("output_recorded")[-1].data["added"] > 0
        assert rig.state.durable.production.over is True
        assert len(rig.of("output_over_capacity")) == 1
    rig.wall_ms += 20 * 24 * HOUR_MS
    put(rig)
    assert rig.state.durable.production.over is False


def test_a_mine_without_a_counter_counts_nothing(rig: Any) -> None:
    """Nothing is looked at and nothing shown."""
    rig.turn(ms=60_000)
    assert shown(rig) is None
    assert rig.state.volatile.production.next_ms == 0
