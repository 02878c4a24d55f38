"""Rare turns of the headcount: what a reader may do once in a year, each with its plain outcome."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from minewatch.core.fold import apply
from minewatch.core.people import ears, hearing, roster
from minewatch.core.people.roster import Doubt, Inside
from minewatch.model.event import Event
from minewatch.model.image import Reading, Sample, Sighting
from minewatch.model.mine import Reader
from minewatch.model.quality import Quality


def _event(kind: str, **data: Any) -> Event:
    return Event(kind, 1, 0, 5_000, 5_000, True, data)


def test_a_longer_jump_of_numbers_is_a_restarted_reader(rig: Any) -> None:
    """256 skipped numbers are lost reads that may come; one more is a reader that began anew."""
    rig.sees("r_west", "b1", sequence=1).turn()
    rig.sees("r_west", "b1", sequence=ears.MISSING_MAX + 2).turn()
    assert len(rig.state.volatile.people.ears["r_west"].missing) == ears.MISSING_MAX
    rig.sees("r_face", "b2", sequence=1).turn()
    rig.sees("r_face", "b2", sequence=ears.MISSING_MAX + 3).turn()
    assert rig.state.volatile.people.ears["r_face"].missing == {}
    assert [e.data["count"] for e in rig.events if e.kind == "reads_lost"] == [ears.MISSING_MAX]


def test_a_replay_is_over_after_a_minute(rig: Any) -> None:
    """A reader that played its old log again is believed anew a minute after the last of it."""
    for number in range(1, 71):
        rig.sees("r_west", "b1", sequence=number).turn()
    rig.sees("r_west", "b1", sequence=70 - ears.REPLAY_BACK).turn()
    assert rig.state.volatile.people.ears["r_west"].replayed_ms is None
    rig.sees("r_west", "b1", sequence=69 - ears.REPLAY_BACK).turn()
    assert rig.state.volatile.people.ears["r_west"].replayed_ms is not None
    rig.rest(ears.REPLAY_MS // 1000)
    assert rig.state.volatile.people.ears["r_west"].replayed_ms is not None
    rig.rest(1)
    assert rig.state.volatile.people.ears["r_west"].replayed_ms is None


def _says_overflow(rig: Any, reader: str, overflow: int) -> list[dict[str, Any]]:
    device = rig.mine.reader(reader).device
    reading = Reading(reader, overflow, Quality.GOOD)
    rig._samples.append(Sample(device, rig.now_ms, (reading,)))
    return [e.data for e in rig.turn() if e.kind == "reader_overflowed"]


@pytest.mark.parametrize(
    ("gates", "reader", "blind"),
    [(True, "above", False), (False, "above", True), (False, "r_face", False)],
)
def test_a_reader_says_once_that_it_lost_records(
    rig_of: Callable[..., Any], gates: bool, reader: str, blind: bool
) -> None:
    """Each overflow is one event; it blinds the mouth alone, and only where no gate counts."""
    rig = rig_of(gates=gates)
    assert _says_overflow(rig, reader, 1) == [{"reader": reader, "blind": blind}]
    assert _says_overflow(rig, reader, 1) == []
    assert _says_overflow(rig, reader, 0) == []
    assert len(_says_overflow(rig, reader, 1)) == 1


def test_an_answer_that_is_not_good_is_no_answer(rig: Any) -> None:
    """A reader whose exchange failed has not answered, whatever stands in the sample."""
    rig.silent = {"r_face"}
    for _ in range(12):
        bad = Reading("r_face", None, Quality.COMM_FAULT)
        rig._samples.append(Sample("d_face", rig.now_ms, (bad,)))
        rig.turn()
    assert "r_face" in rig.state.durable.people.lost


def test_a_gate_device_may_say_more_than_its_counters(rig: Any) -> None:
    """Only GOOD counters count: another signal of the device and a bad value are passed over."""
    rig.gate_good = False
    rig.gate = [2, 0]
    extra = (
        Reading("OTHER", 77, Quality.GOOD),
        Reading("IN", None, Quality.COMM_FAULT),
        Reading("IN", 2, Quality.GOOD),
        Reading("OUT", 0, Quality.GOOD),
    )
    rig._samples.append(Sample("gate", rig.now_ms, extra))
    rig.turn()
    assert dict(rig.state.durable.people.gates) == {"IN": 2, "OUT": 0}


@pytest.mark.parametrize(
    ("first", "unread"),
    [([5, 2], 3), ([2, 5], 0), ([260, 0], 260), ([261, 0], 0), ([0, 0], 0)],
)
def test_who_is_inside_when_the_gates_are_first_read(
    rig_of: Callable[..., Any], first: list[int], unread: int
) -> None:
    """In less out are inside unread; a negative or impossible difference is an old counter."""
    fresh = rig_of(headcount_limit=130)
    rig = type(fresh)(fresh.mine)
    rig.gate = first
    rig.turn()
    rig.rest(1)
    assert rig.state.durable.people.came.more == unread


def test_one_gate_counter_alone_tells_nothing(rig_of: Callable[..., Any]) -> None:
    """Where one of two counters is missing at first, nobody is taken to be inside."""
    fresh = rig_of()
    rig = type(fresh)(fresh.mine)
    rig.gate_good = False
    rig._samples.append(Sample("gate", rig.now_ms, (Reading("IN", 9, Quality.GOOD),)))
    rig.turn()
    assert rig.state.durable.people.came.more == 0


def test_a_second_line_is_said_anew_after_it_was_below(rig: Any) -> None:
    """More people than the second line in a face is said once, and again when it comes back."""
    badges = [f"b{n}" for n in range(40)]
    rig.sees("r_face", *badges).turn()
    rig.rest(3)
    rig.sees("r_west", *badges).turn()
    rig.rest(8)
    rig.sees("r_face", *badges).turn()
    rig.rest(3)
    assert rig.kinds().count("major_hazard") == 2


def test_a_record_of_a_reader_that_nobody_knows_is_passed_over(rig: Any) -> None:
    """A foreign reader counts nobody."""
    rig.sees("elsewhere", "b1").turn()
    assert rig.state.durable.people.inside == {}


def test_a_badge_that_was_closed_enters_again_where_it_is_heard(rig: Any) -> None:
    """A repeat of what is known is none any more once its badge is counted no longer."""
    rig.sees("r_west", "b1").turn()
    rig.rest(2)
    assert rig.seconded("close_person", "clerk", "disp", badge="b1").kind == "person_closed"
    assert "b1" not in rig.state.durable.people.inside
    rig.rest(hearing.REPEAT_MS // 1000 + 1)
    rig.sees("r_west", "b1").turn()
    assert "b1" in rig.state.durable.people.inside


def test_a_second_exit_long_after_the_first_is_another_one(rig_of: Callable[..., Any]) -> None:
    """Read at the mouth again on the way out: at once it is the same pass, later one of its own."""
    rig = rig_of(gates=False)
    rig.sees("below", "b1", way=1).turn()
    rig.rest(10)
    rig.sees("below", "b1", way=-1).turn()
    rig.rest(10)
    exits = rig.kinds().count("badge_left")
    rig.sees("below", "b1", way=-1).turn()
    assert rig.kinds().count("badge_left") == exits
    rig.rest(hearing.SAME_PASS_MS // 1000 + 30)
    rig.sees("above", "b1", way=-1).turn()
    assert rig.kinds().count("badge_left") >= exits


def test_a_full_roster_is_said_and_its_end_an_hour_after_the_last_refusal(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A badge that finds no room is refused once aloud; an hour later everybody is counted."""
    monkeypatch.setattr(hearing, "PEOPLE_MAX", 1)
    rig.sees("r_west", "b1", "b2", "b3").turn()
    assert rig.kinds().count("people_full") == 1
    rig.seconded("close_person", "clerk", "disp", badge="b1")
    rig.rest(3_590)
    assert "people_full_ended" not in rig.kinds()
    rig.rest(20)
    assert rig.kinds().count("people_full_ended") == 1


def test_a_directed_reader_inside_proves_the_zone_it_is_left_for(
    rig_of: Callable[..., Any],
) -> None:
    """Outwards past a directed inner reader a badge is in the zone beyond it."""
    inner = Reader("r_face", "face", "face", "d_face", outer="west", directed=True)
    mouth = Reader("below", "below", "pit", "d_below", outer="surface", mouth=True, directed=True)
    rig = rig_of(gates=False, readers=(mouth, inner))
    rig.sees("r_face", "b1", way=1).turn()
    assert rig.state.volatile.people.tracks["b1"].zone == "face"
    rig.rest(10)
    rig.sees("r_face", "b1", way=-1).turn()
    assert rig.state.volatile.people.tracks["b1"].zone == "west"


@pytest.mark.parametrize("counted_out", [0, 1])
def test_an_exit_read_below_alone_waits_for_the_gate(rig: Any, counted_out: int) -> None:
    """Where gates stand, who was seen leaving below has left once they count a body more out."""
    rig.enter("b1")
    rig.rest(70)
    rig.sees("below", "b1", way=-1).turn()
    rig.gate[1] += counted_out
    rig.rest(899)
    assert "badge_left" not in rig.kinds()
    rig.rest(12)
    left = [e.data["how"] for e in rig.events if e.kind == "badge_left"]
    assert left == (["read_below"] if counted_out else [])


def test_the_frame_says_who_is_in_distress_or_too_long_below(rig: Any) -> None:
    """SOS before over time, over time before unseen."""
    rig.enter("b1", "b2", "b3")
    rig.sees("r_west", "b1", flags=2).turn()
    rig.rest(3_700)
    shown = rig.frame["people"]
    assert shown["b1"]["state"] == "sos"
    assert shown["b2"]["state"] == "unseen"
    entered_ms = rig.state.durable.people.inside["b2"].entered_ms
    from minewatch.core.people import people

    late = people.view(rig.mine, rig.state, entered_ms + people.OVER_TIME_MS)["people"]
    early = people.view(rig.mine, rig.state, entered_ms + people.OVER_TIME_MS - 1)["people"]
    assert late["b2"]["state"] == "over_time"
    assert early["b2"]["state"] == "unseen"
    assert late["b1"]["state"] == "sos"


def test_an_old_record_of_somebody_gone_changes_nobody(rig: Any) -> None:
    """A move or a roll call of a badge that is no longer counted is passed over in the fold."""
    rig.sees("r_west", "b1").turn()
    before = rig.state.durable
    moved = apply(before, _event("badges_moved", moves=[["b9", "face", "r_face", ""]]))
    called = apply(before, _event("roll_call_taken", there=1, heard=[["b9", 5], ["b1", 7]]))
    assert moved.people.inside == before.people.inside
    assert called.people.inside["b1"].seen_ms == 5_000 - 7
    assert set(called.people.inside) == {"b1"}


@pytest.mark.parametrize(
    ("entered_trusted", "trusted", "entered_ms"),
    [(True, True, -8_000), (True, False, -2_000), (False, True, -2_000)],
)
def test_time_away_counts_as_time_underground_where_both_clocks_are_trusted(
    rig: Any, entered_trusted: bool, trusted: bool, entered_ms: int
) -> None:
    """After a reboot an entry moves with the wall clock, unless one of the two was not trusted."""
    person = Inside("west", "r_west", Doubt.NONE, 1_000, 100_000, entered_trusted, 2_000)
    people = roster.PeopleDurable(inside={"b1": person})
    before = replace(rig.state.durable, people=people, now_ms=4_000)
    data = {"config": "", "prior": "crash", "run": "", "version": ""}
    event = Event("controller_started", 1, 0, 1_000, 109_000, trusted, data)
    after = apply(before, event).people.inside["b1"]
    assert after.entered_ms == entered_ms
    assert after.seen_ms == -1_000


def test_a_nameless_record_known_already_counts_once(rig_of: Callable[..., Any]) -> None:
    """A read without a badge widens the count once, however often its number is told."""
    rig = rig_of(gates=False)
    for _ in range(3):
        rig._sightings.append(Sighting("below", "", rig.now_ms, 0, 0, 5, None))
        rig.turn()
    assert [e.data["count"] for e in rig.events if e.kind == "reads_lost"] == [1]


def test_an_exit_told_again_after_a_crash_is_older_than_the_entry_that_ended_a_doubt(
    rig_of: Callable[..., Any],
) -> None:
    """Out and in again within one backlog: the exit, told anew to the next run, is none."""
    rig = rig_of(gates=False)
    rig.sees("above", "b1", way=1, sequence=1).turn()
    rig.rest(20)
    rig.sees("below", "b1", way=-1, sequence=1).turn()
    rig.rest(20)
    rig.crash()
    rig.sees("above", "b1", way=1, sequence=3).sees("above", "b1", way=-1, sequence=2).turn()
    assert rig.state.durable.people.inside["b1"].doubt is Doubt.NONE
    rig.crash()
    rig.sees("above", "b1", way=-1, sequence=2).turn()
    rig.rest(5)
    assert "b1" in rig.state.durable.people.inside


def test_a_repeat_outside_long_after_is_a_pass_of_its_own(rig_of: Callable[..., Any]) -> None:
    """The same reader, way and side again: within the time of a pass it says nothing new."""
    rig = rig_of(gates=False)
    rig.sees("above", "b1", way=1).turn()
    rig.rest(10)
    rig.sees("above", "b1", way=-1).turn()
    rig.rest(hearing.SAME_PASS_MS // 1000 - 5)
    rig.sees("above", "b1", way=-1).turn()
    assert [e.data["how"] for e in rig.events if e.kind == "badge_left"] == ["read"]
    rig.rest(hearing.SAME_PASS_MS // 1000 + 5)
    rig.sees("above", "b1", way=-1).turn()
    assert [e.data["how"] for e in rig.events if e.kind == "badge_left"] == [
        "read",
        "unknown_inside",
    ]


def test_a_reader_that_says_more_than_its_name_is_heard_as_before(rig: Any) -> None:
    """Another signal of a reader's device, or its own without a value, is no overflow."""
    readings = (Reading("OTHER", 1, Quality.GOOD), Reading("r_face", None, Quality.GOOD))
    rig._samples.append(Sample("d_face", rig.now_ms, readings))
    assert "reader_overflowed" not in [e.kind for e in rig.turn()]
