"""Alarm rates: the figures of EEMUA 191 from nothing but events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minewatch.core.alarms import flood, rates
from minewatch.model.event import Event

HOUR_MS = 3_600_000
TEN_MS = 600_000


def _event(kind: str, ms: int, *, wall_ms: int | None = None, **data) -> Event:
    return Event(kind, 1, 0, ms, ms if wall_ms is None else wall_ms, True, data)


def _raised(ms: int, source: str = "p", kind: str = "low", **data) -> Event:
    said = {"alarm": f"A{ms}{source}", "alarm_kind": kind, "source": source, "priority": 2}
    return _event("alarm_raised", ms, **{**said, "planned": False, **data})


def test_a_quiet_hour() -> None:
    """No alarms: every figure is zero and the time is known."""
    found = rates.rates([_event("controller_started", 0), _event("journal_sealed", HOUR_MS)])
    assert found == rates.Rates(HOUR_MS, 0, 0, 0, 0, 0, 0, 0, (), {})


def test_nothing_at_all() -> None:
    """An empty record gives zeros, never an error."""
    assert rates.rates([]).span_ms == 0


def test_counts_priorities_and_what_is_planned_or_held() -> None:
    """Held alarms are counted beside those that sounded, and in no other figure."""
    found = rates.rates(
        [
            _raised(0, priority=1),
            _raised(1, planned=True),
            _raised(2, held="shelve", planned=True),
            _raised(3, priority=4, kind="pre_alarm"),
            _raised(4, held="", answered=None),
            _raised(5, answered=""),
        ]
    )
    assert (found.raised, found.held, found.planned, found.peak) == (4, 2, 1, 4)
    assert found.priorities == {1: 1, 2: 2, 4: 1}
    assert found.standing == 6


def test_standing_and_stale() -> None:
    """What has not cleared stands; after 24 h it is stale, to the millisecond."""
    day = rates.STALE_MS
    events = [
        _raised(0, "a"), _raised(1, "b"), _raised(2, "c"),
        _event("alarm_cleared", 5, alarm="A2c"), _event("alarm_cleared", 6, alarm="unknown"),
        _event("journal_sealed", day),
    ]  # fmt: skip
    found = rates.rates(events)
    assert (found.standing, found.stale) == (2, 1)


def test_an_alarm_raised_again_keeps_its_age() -> None:
    """Its first raise counts until it clears."""
    again = _event(
        "alarm_raised", 10, alarm="A0p", alarm_kind="low", source="p", priority=2, planned=False
    )
    found = rates.rates([_raised(0), again, _event("journal_sealed", rates.STALE_MS)])
    assert (found.standing, found.stale, found.raised) == (1, 1, 2)


@pytest.mark.parametrize(("since", "raised"), [(0, 3), (100, 2), (101, 1), (201, 0)])
def test_a_stretch_of_time(since: int, raised: int) -> None:
    """Only what was raised in it counts; what was raised before may still stand."""
    events = [_raised(0, "a"), _raised(100, "b"), _raised(200, "c"), _event("journal_sealed", 300)]
    found = rates.rates(events, since)
    assert (found.raised, found.standing) == (raised, 3)
    assert found.span_ms == 300 - min(each for each in (0, 100, 200, 300) if each >= since)


def test_the_most_frequent_in_a_fixed_order() -> None:
    """At most ten, by count, then by name."""
    events = [_raised(n, f"s{n % 12:02d}") for n in range(30)]
    found = rates.rates(events).chattering
    assert len(found) == 10
    assert [(each.source, each.count) for each in found[:7]] == [
        ("s00", 3), ("s01", 3), ("s02", 3), ("s03", 3), ("s04", 3), ("s05", 3), ("s06", 2),
    ]  # fmt: skip
    assert found[0].alarm_kind == "low"


@pytest.mark.parametrize(
    ("times", "most"),
    [
        ([], 0),
        ([5], 1),
        ([0, TEN_MS - 1], 2),
        ([0, TEN_MS], 1),
        ([0, 1, 2, TEN_MS, TEN_MS + 1, TEN_MS + 1], 4),
    ],
)
def test_the_peak_of_ten_minutes(times: list[int], most: int) -> None:
    """Any ten minutes, the end not included."""
    assert rates.peak(times) == most


@pytest.mark.parametrize(
    ("times", "end_ms", "flooded"),
    [
        ([0] * 10, 10 * TEN_MS, 0),
        ([0] * 11, 10 * TEN_MS, TEN_MS),
        ([0] * 11, 1000, 1000),
        ([0] * 11 + [1000], 10 * TEN_MS, TEN_MS),
        ([0] * 11 + [1000] * 5, 10 * TEN_MS, TEN_MS + 1000),
        ([0] * 11 + [TEN_MS] * 11, 10 * TEN_MS, 2 * TEN_MS),
        ([0] * 11 + [5 * TEN_MS] * 11, 10 * TEN_MS, 2 * TEN_MS),
        ([0] * 6 + [TEN_MS - 1] * 5, 10 * TEN_MS, TEN_MS),
    ],
)
def test_time_in_flood(times: list[int], end_ms: int, flooded: int) -> None:
    """From the eleventh alarm until the fifth from the end is ten minutes old."""
    assert rates.flooded_ms(times, end_ms) == flooded


@given(st.lists(st.integers(0, 60_000), max_size=60))
def test_the_figures_follow_the_rule_of_the_live_flood(gaps: list[int]) -> None:
    """Turned second by second, the live rule stands as long as the figure says."""
    at_ms, times = 0, []
    for gap in gaps:
        at_ms += gap // 1000 * 1000
        times.append(at_ms)
    end_ms = at_ms + 2 * TEN_MS
    recent: tuple[int, ...] = ()
    standing, total_ms, left = False, 0, list(times)
    for now_ms in range(0, end_ms, 1000):
        while left and left[0] == now_ms:
            recent = flood.with_recent(recent, left.pop(0))
        if standing:
            standing = not flood.is_over(recent, now_ms)
        if not standing:
            standing = flood.begins(recent, now_ms)
        total_ms += 1000 * standing
    assert rates.flooded_ms(times, end_ms) == total_ms


def test_a_reboot_between_two_events() -> None:
    """The wall clock says how long the box was away; a clock put back gives nothing."""
    events = [
        _event("controller_started", 5_000, wall_ms=1_000_000),
        _event("controller_started", 10, wall_ms=1_060_000),
        _event("journal_sealed", 110, wall_ms=1_060_100),
        _event("controller_started", 1, wall_ms=50),
        _event("journal_sealed", 101, wall_ms=150),
    ]
    assert rates.rates(events).span_ms == 60_000 + 100 + 100


def test_a_clock_that_was_set_gives_no_time() -> None:
    """Two events of one moment are no time apart, whatever the wall clock says between them."""
    events = [_event("controller_started", 7, wall_ms=0), _event("journal_sealed", 7, wall_ms=500)]
    assert rates.rates(events).span_ms == 0


def test_what_the_figures_are_made_of() -> None:
    """These kinds alone need be read from a record; the seal of each minute carries the time on."""
    assert {
        "alarm_raised", "alarm_cleared", "controller_started", "journal_sealed",
    } == rates.KINDS  # fmt: skip


def test_the_targets() -> None:
    """One alarm in ten minutes, ten after an upset, a hundredth of the time."""
    assert (rates.PER_HOUR_MAX, rates.PEAK_MAX, rates.FLOOD_PERCENT_MAX) == (6, 10, 1)
    assert (rates.TOP, rates.STALE_MS) == (10, 24 * HOUR_MS)
