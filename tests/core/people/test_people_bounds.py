"""The headcount's own numbers at their bounds: one less, the bound, one more."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from minewatch.core import local_time
from minewatch.core.deadline import Deadline
from minewatch.core.draft import Draft
from minewatch.core.people import ears, gates, headcount, hearing, people, tally
from minewatch.core.people.ears import Ears
from minewatch.core.people.roster import Balance, Ear, Missing, Span
from minewatch.model.image import Image, Reading, Sample
from minewatch.model.mine import Handover
from minewatch.model.quality import Quality


def test_the_figures_of_the_headcount() -> None:
    """Practice 25 and the faults that readers have: these times and numbers, no others."""
    assert (ears.SLACK_MS, ears.BACKLOG_MS, ears.REPLAY_MS, ears.LATE_MS) == (
        2_000,
        3_000,
        60_000,
        60_000,
    )
    assert (ears.MISSING_MAX, ears.WRAP, ears.WRAP_FALL, ears.REPLAY_BACK) == (
        256,
        65_536,
        61_440,
        64,
    )
    assert (gates.GATE_LOST_MS, gates.STEP_MAX, gates.LEAD_MS) == (10_000, 500, 300_000)
    assert gates.WIDTHS == (65_536, 4_294_967_296)
    assert (hearing.REPEAT_MS, hearing.SAME_PASS_MS, hearing.REHEARD_MS) == (
        2_000,
        600_000,
        3_600_000,
    )
    assert (people.UNSEEN_MS, people.OVER_TIME_MS, people.OVER_TIME_SECOND_MS) == (
        3_600_000,
        36_000_000,
        43_200_000,
    )
    assert (people.BATTERY_LOW, people.SOS, people.LEFT_MS) == (1, 2, 900_000)
    assert (tally.REHEARD_MS, tally.RECOUNT_MS) == (3_600_000, 1_000)
    assert (local_time.DAY_MINUTES, local_time.MINUTE_MS) == (1_440, 60_000)


@pytest.mark.parametrize(
    ("known", "value", "step"),
    [
        (5, 5, 0),
        (5, 6, 1),
        (0, 500, 500),
        (0, 501, None),
        (6, 5, None),
        (65_535, 0, 1),
        (65_535, 499, 500),
        (65_535, 500, None),
        (4_294_967_295, 3, 4),
        (4_294_967_295, 499, 500),
        (4_294_967_295, 500, None),
    ],
)
def test_how_many_passed_between_two_counters(known: int, value: int, step: int | None) -> None:
    """Up to 500, also around the end of 16 or 32 bits; else the counter is not believed."""
    assert gates._step(known, value) == step


def _draft(rig: Any, ms: int = 0, samples: tuple[Sample, ...] = ()) -> Draft:
    """Return a draft so long after the rig's last cycle."""
    now_ms = rig.state.durable.now_ms if ms < 0 else rig.state.volatile.house.now_ms + ms
    return Draft(rig.mine, rig.state, Image(9, now_ms, now_ms, True, 10**6, samples))


@pytest.mark.parametrize(("ms", "good"), [(9_999, True), (10_000, True), (10_001, False)])
def test_a_gate_bounds_for_ten_seconds(rig: Any, ms: int, good: bool) -> None:
    """From its last GOOD answer on; both gates are needed."""
    layout = rig.state.volatile.people.layout
    assert gates.is_good(_draft(rig, ms), layout) is good
    one = {"IN": rig.state.volatile.people.gate_good_ms["IN"]}
    volatile = rig.state.volatile
    rig.state = replace(
        rig.state,
        volatile=replace(volatile, people=replace(volatile.people, gate_good_ms=one)),
    )
    assert not gates.is_good(_draft(rig, 0), layout)


def test_a_gate_is_never_good_ahead_of_time(rig: Any) -> None:
    """An answer that is stamped in the future counts from now."""
    now_ms = rig.state.volatile.house.now_ms + 100
    sample = Sample("gate", now_ms + 5_000, (Reading("IN", 0, Quality.GOOD),))
    draft = _draft(rig, 100, (sample,))
    gates._take(draft, rig.state.volatile.people.layout)
    assert draft.volatile.people.gate_good_ms["IN"] == now_ms


@pytest.mark.parametrize(("ms", "settled"), [(300_000, False), (300_001, True)])
def test_reads_that_no_body_followed_are_let_go(rig: Any, ms: int, settled: bool) -> None:
    """After five minutes ahead of the gate; a good balance meanwhile forgets the wait."""
    layout = rig.state.volatile.people.layout
    ahead = replace(rig.state.durable.people, came=Balance(0, 2))
    state = replace(rig.state, durable=replace(rig.state.durable, people=ahead))
    now_ms = rig.state.volatile.house.now_ms
    draft = Draft(rig.mine, state, Image(9, now_ms, now_ms, True, 10**6))
    gates._settle(draft, layout)
    assert draft.volatile.people.ahead_since_ms == now_ms
    good = {"IN": now_ms + ms, "OUT": now_ms + ms}
    waiting = replace(draft.volatile.people, gate_good_ms=good)
    state = replace(state, volatile=replace(state.volatile, people=waiting))
    later = Draft(rig.mine, state, Image(9, now_ms + ms, now_ms, True, 10**6))
    gates._settle(later, layout)
    assert [e.data for e in later.events] == ([{"came": -2, "went": 0}] if settled else [])
    even = replace(state.durable.people, came=Balance(2, 2))
    state = replace(state, durable=replace(state.durable, people=even))
    again = Draft(rig.mine, state, Image(9, now_ms + ms, now_ms, True, 10**6))
    gates._settle(again, layout)
    assert again.volatile.people.ahead_since_ms is None


def _ears(rig: Any, ms: int = 0, **table: Ear) -> Ears:
    draft = _draft(rig, ms)
    made = Ears(draft, rig.state.volatile.people.layout)
    made.table.update(table)
    return made


@pytest.mark.parametrize(
    ("ear", "earliest"),
    [
        (Ear(answered_ms=7_000, backlog_ms=3_000), 3_000),
        (Ear(answered_ms=7_000), 5_000),
        (Ear(), None),
    ],
)
def test_how_old_a_record_may_be(rig: Any, ear: Ear, earliest: int | None) -> None:
    """Since the backlog began, else two seconds before the last answer, else now."""
    made = _ears(rig, above=ear)
    assert made.earliest_ms("above") == (made.now_ms if earliest is None else earliest)


def test_an_answer_with_records_keeps_the_backlog_busy(rig: Any) -> None:
    """Delivering is answering; while records come the reader may have more."""
    made = _ears(rig, above=Ear(answered_ms=5, backlog_ms=1), below=Ear(answered_ms=5))
    made.delivered("above", 9)
    made.delivered("below", 9)
    assert (made.table["above"].answered_ms, made.table["above"].busy_ms) == (9, made.now_ms)
    assert (made.table["below"].answered_ms, made.table["below"].busy_ms) == (9, 0)
    made.answered("below", 9)
    made.answered("below", 8)
    assert made.table["below"].answered_ms == 9


@pytest.mark.parametrize(("ms", "drained"), [(3_000, False), (3_001, True)])
def test_a_reader_is_drained_after_three_silent_seconds(rig: Any, ms: int, drained: bool) -> None:
    """Answering, and nothing to say: then its records are new again."""
    made = _ears(rig, ms=1_000_000)
    busy = Ear(answered_ms=made.now_ms, backlog_ms=1, busy_ms=made.now_ms - ms)
    made.table["above"] = busy
    made.table["below"] = busy._replace(answered_ms=None)
    made.settle()
    assert (made.table["above"].backlog_ms is None) is drained
    assert made.table["below"].backlog_ms == 1


@pytest.mark.parametrize(("ms", "forgotten"), [(60_000, False), (60_001, True)])
def test_a_skipped_number_is_waited_for_a_minute(rig: Any, ms: int, forgotten: bool) -> None:
    """Then it will not come; a replay is over after the same time."""
    made = _ears(rig, ms=1_000_000)
    since_ms = made.now_ms - ms
    made.table["above"] = Ear(missing={4: Missing(1, since_ms)}, replayed_ms=since_ms)
    made.settle()
    assert (made.table["above"].missing == {}) is forgotten
    assert (made.table["above"].replayed_ms is None) is forgotten


def test_numbers_of_a_reader(rig_of: Callable[..., Any]) -> None:
    """Skipped is lost, found is one less, a known number is nothing, a new clock is a new count."""
    rig = rig_of(gates=False)
    made = _ears(rig, above=Ear(newest=10, newest_time_s=100))
    assert made.place("above", 13, 101, 5) == (13, 5)
    assert set(made.table["above"].missing) == {11, 12}
    assert made.place("above", 12, 101, 9) == (12, 5)
    assert set(made.table["above"].missing) == {11}
    assert made.place("above", 13, 101, 9) is None
    assert made.place("above", 3, 101, 9) is None
    assert made.place("above", 3, 102, 9) == (65_539, 9)
    assert made.table["above"].missing == {}
    said = [(e.kind, e.data) for e in made.draft.events]
    assert said == [
        ("reads_lost", {"reader": "above", "count": 2, "widens": 2}),
        ("reads_found", {"reader": "above", "count": 1, "widens": 1}),
        ("reader_restarted", {"reader": "above", "blind": True}),
    ]


@pytest.mark.parametrize(
    ("reader", "gated", "blind", "widens"),
    [("above", True, False, 0), ("above", False, True, 1), ("r_face", False, False, 0)],
)
def test_only_an_ungated_mouth_is_blind(
    rig_of: Callable[..., Any], reader: str, gated: bool, blind: bool, widens: int
) -> None:
    """A restarted or losing reader elsewhere leaves the mine's count as it is."""
    made = _ears(rig_of(gates=gated), **{reader: Ear(newest=10, newest_time_s=1)})
    made.lost(reader, 1)
    made.lost(reader, 0)
    made.place(reader, 2, 2, 1)
    assert [(e.kind, e.data) for e in made.draft.events] == [
        ("reads_lost", {"reader": reader, "count": 1, "widens": widens}),
        ("reader_restarted", {"reader": reader, "blind": blind}),
    ]


@pytest.mark.parametrize(("back", "replayed"), [(64, False), (65, True)])
def test_a_number_far_back_is_an_old_log(rig: Any, back: int, replayed: bool) -> None:
    """64 back is a repeat, 65 an old log being played again, said once."""
    made = _ears(rig, above=Ear(newest=1_000))
    for _ in range(2):
        assert made.place("above", 1_000 - back, None, 1) is None
    assert (made.table["above"].replayed_ms == made.now_ms) is replayed
    assert [e.kind for e in made.draft.events] == (["reads_replayed"] if replayed else [])


@pytest.mark.parametrize(
    ("newest", "number", "sequence"),
    [(65_535, 0, 65_536), (61_441, 0, 65_536), (65_536 + 5, 7, 65_543), (100, 101, 101)],
)
def test_a_number_that_falls_by_nearly_all_has_wrapped(
    rig: Any, newest: int, number: int, sequence: int
) -> None:
    """Inside the core a reader's numbers always rise."""
    made = _ears(rig, above=Ear(newest=newest))
    placed = made.place("above", number, None, 1)
    assert placed is not None
    assert placed[0] == sequence


@pytest.mark.parametrize(("lo", "limit", "permitted"), [(9, 10, True), (10, 10, False)])
def test_the_gate_lets_in_below_the_limit(rig: Any, lo: int, limit: int, permitted: bool) -> None:
    """At the limit nobody more goes in."""
    mine = replace(rig.mine, headcount_limit=limit)
    count = SimpleNamespace(mine=SimpleNamespace(lo=lo))
    volatile = rig.state.volatile
    state = replace(
        rig.state,
        volatile=replace(volatile, people=replace(volatile.people, count=count)),  # type: ignore[arg-type]
    )
    image = Image(9, volatile.house.now_ms, rig.wall_ms, True, 10**6)
    assert headcount.entry_permitted(Draft(mine, state, image)) is permitted


MIDNIGHT_MS = 1_790_006_400_000
"""2026-09-21 16:00 UTC: midnight of the mine's clock."""


def _with(rig: Any, wall_ms: int, *, trusted: bool = True, ms: int = 0, **parts: Any) -> Draft:
    """Return a draft at a wall time; `parts` replace those of what survives about people."""
    durable = replace(rig.state.durable, people=replace(rig.state.durable.people, **parts))
    now_ms = rig.state.volatile.house.now_ms + ms
    image = Image(9, now_ms, wall_ms, trusted, 10**6)
    return Draft(rig.mine, replace(rig.state, durable=durable), image)


@pytest.mark.parametrize(
    ("minutes", "end"),
    [(-31, None), (-30, 30), (-1, 30), (0, 30), (29, 30), (30, None), (469, None), (470, 500)],
)
@pytest.mark.parametrize("within_ms", [0, 59_999])
def test_when_a_handover_ends(
    rig_of: Callable[..., Any], minutes: int, end: int | None, within_ms: int
) -> None:
    """Local time, to the minute: 23:30 for an hour past midnight, 07:50 for half of one."""
    rig = rig_of(handover=Handover(("23:30",), 60, 8))
    if minutes >= 469:
        rig = rig_of(handover=Handover(("02:00", "07:50"), 30, 8))
    draft = _with(rig, MIDNIGHT_MS + minutes * 60_000 + within_ms)
    assert headcount._window_end(draft) == (None if end is None else MIDNIGHT_MS + end * 60_000)


@pytest.mark.parametrize(("now_off", "wall_off"), [(-1, -1), (0, -1), (-1, 0)])
@pytest.mark.parametrize("trusted", [True, False])
def test_the_window_is_open_below_both_of_its_ends(
    rig: Any, now_off: int, wall_off: int, trusted: bool
) -> None:
    """By the run's clock and by a trusted wall clock."""
    now_ms = rig.state.volatile.house.now_ms
    window = Deadline(now_ms - now_off, MIDNIGHT_MS - wall_off)
    draft = _with(rig, MIDNIGHT_MS, trusted=trusted, handover=window)
    assert headcount._in_handover(draft) is (trusted and now_off < 0 and wall_off < 0)


@pytest.mark.parametrize(("hi", "held"), [(7, True), (8, True), (9, False), (None, False)])
@pytest.mark.parametrize("is_open", [True, False])
def test_the_window_holds_the_total_up_to_its_own_limit(
    rig_of: Callable[..., Any], hi: int | None, held: bool, is_open: bool
) -> None:
    """At most so many as the window permits; nobody knows how many is not few."""
    rig = rig_of(handover=Handover(("23:30",), 60, 8))
    ends = rig.state.volatile.house.now_ms + (1 if is_open else 0)
    draft = _with(rig, MIDNIGHT_MS, handover=Deadline(ends, MIDNIGHT_MS + 1))
    span = Span(5, hi)
    assert headcount._held(draft, span) == (Span(0, 0) if held and is_open else span)


@pytest.mark.parametrize(
    ("span", "alarms"),
    [
        (Span(0, 10), set()),
        (Span(10, 10), set()),
        (Span(10, 11), {"maybe_over_limit"}),
        (Span(11, 11), {"over_limit"}),
        (Span(11, None), {"over_limit"}),
        (Span(3, None), {"maybe_over_limit"}),
    ],
)
@pytest.mark.parametrize("before", [Span(0, 0), Span(11, 11), Span(10, 11)])
def test_what_a_span_says_against_its_limit(
    rig: Any, span: Span, alarms: set[str], before: Span
) -> None:
    """Surely over, perhaps over, or neither: whatever was said before, one of them stands."""
    rig.rest(12)
    draft = _with(rig, MIDNIGHT_MS)
    for each in (before, span):
        headcount._judge(draft, "face", "face", each, 10)
    items = draft.durable.alarms.items.values()
    assert {str(a.kind) for a in items if a.active and a.source == "face"} == alarms
    assert {a.limit for a in items if a.source == "face"} <= {10}


@pytest.mark.parametrize(("ms", "starting"), [(10_000, True), (10_001, False)])
def test_a_run_is_starting_for_as_long_as_a_reader_may_be_silent(
    rig: Any, ms: int, starting: bool
) -> None:
    """Then an unbounded count says so."""
    since_ms = rig.state.volatile.people.start_ms - rig.state.volatile.house.now_ms
    draft = _with(rig, MIDNIGHT_MS, ms=since_ms + ms)
    assert headcount._is_starting(draft) is starting
    headcount._judge(draft, "face", "face", Span(3, None), 10)
    assert bool(draft.events) is not starting


@pytest.mark.parametrize(
    ("window_end", "opens"), [(MIDNIGHT_MS + 1_800_000, False), (MIDNIGHT_MS + 1_799_999, True)]
)
def test_one_window_opens_once(rig_of: Callable[..., Any], window_end: int, opens: bool) -> None:
    """A window that was open to this end does not open again, whatever the run's clock says."""
    rig = rig_of(handover=Handover(("23:30",), 60, 8))
    draft = _with(rig, MIDNIGHT_MS, handover=Deadline(0, window_end))
    headcount._follow_handover(draft)
    said = [e.data for e in draft.events]
    now_ms = rig.state.volatile.house.now_ms
    started = {"until_ms": now_ms + 1_800_000, "until_wall_ms": MIDNIGHT_MS + 1_800_000}
    assert said == ([started] if opens else [])
    assert draft.volatile.people.handover is opens
