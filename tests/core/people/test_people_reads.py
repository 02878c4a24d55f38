"""What single reads prove: order, repeats, mouths with and without direction, lost readers."""

from collections.abc import Callable
from typing import Any

import pytest

from minewatch.core.fold import recover
from minewatch.core.people import hearing
from minewatch.core.snapshot import durable_from_json, durable_to_json
from minewatch.model.image import Reading, Sample, Sighting
from minewatch.model.mine import Reader
from minewatch.model.quality import Quality

ONE_MOUTH = (
    Reader("mouth", "mouth", "pit", "d_mouth", outer="surface", mouth=True),
    Reader("r_face", "face", "face", "d_face", outer="pit"),
    Reader("lamps", "lamp room", "surface", "d_lamps"),
)
PAIR = (
    Reader("outer", "outer", "surface", "d_outer", mouth=True),
    Reader("inner", "inner", "pit", "d_inner", outer="surface", mouth=True),
)


@pytest.mark.parametrize("flip", [1, -1])
def test_an_undirected_mouth_never_toggles(rig_of: Callable[..., Any], flip: int) -> None:
    """A lone undirected mouth reader widens the interval, whatever its records claim (21)."""
    rig = rig_of(gates=False, readers=ONE_MOUTH)
    rig.rest(3)
    for _ in range(4):
        rig.sees("mouth", "b1", way=flip)
        rig.rest(4)
        assert rig.span == (0, 1)
    rig.sees("r_face", "b1")
    rig.rest(7)
    assert rig.span == (1, 1)
    rig.sees("mouth", "b1", way=flip)
    rig.rest(7)
    assert rig.span == (0, 1)
    rig.sees("lamps", "b1")
    rig.turn()
    assert rig.span == (0, 0)


def test_an_undirected_pair_gives_the_direction_by_its_order(rig_of: Callable[..., Any]) -> None:
    """Outer then inner is in, inner then outer is out; passing by outside is neither."""
    rig = rig_of(gates=False, readers=PAIR)
    rig.rest(5)
    rig.sees("outer", "b1")
    rig.rest(8)
    assert rig.span == (0, 0)
    rig.sees("inner", "b1")
    rig.rest(8)
    assert rig.span == (1, 1)
    rig.sees("outer", "b1")
    rig.turn()
    assert rig.span == (0, 0)


def test_a_badge_read_leaving_below_is_out_only_above(rig: Any) -> None:
    """In the cage a person is neither surely in nor out."""
    rig.enter("b1")
    rig.sees("below", "b1", way=-1)
    rig.turn()
    assert rig.span == (0, 1)
    assert rig.frame["people"]["b1"]["state"] == "leaving"
    rig.sees("below", "b1", way=1)
    rig.turn()
    assert rig.span == (1, 1)


def test_a_badge_seen_without_an_entry_is_added_at_first_sight(rig: Any) -> None:
    """A missed entry is corrected in the same cycle and said (fault 31)."""
    events = rig.sees("r_face", "b1").turn()
    assert [e.kind for e in events if e.kind != "gate_counted"] == ["entry_missed"]
    assert rig.zone_span("face") == (1, 1)


def test_a_missed_exit_stays_counted_and_becomes_over_time(rig_of: Callable[..., Any]) -> None:
    """Nobody is removed by time: 60 min unseen, 10 h alarm, 12 h second event (practice 25)."""
    rig = rig_of(gates=False)
    rig.enter("b1")
    rig.pass_time(3_600_000)
    rig.rest(2)
    assert "badge_unseen" in rig.kinds()
    rig.pass_time(9 * 3_600_000)
    rig.rest(2)
    assert ("over_time", "b1") in rig.alarms()
    rig.pass_time(2 * 3_600_000)
    rig.rest(2)
    assert "over_time_second" in rig.kinds()
    assert rig.state.durable.people.inside.keys() == {"b1"}
    rig.leave("b1")
    rig.rest(12)
    assert ("over_time", "b1") not in rig.alarms()


def test_an_unknown_badge_is_a_person(rig: Any) -> None:
    """A card that nobody was given counts as a visitor and is said."""
    rig.enter("777777")
    assert rig.span == (1, 1)
    assert "badge_unknown" in rig.kinds()


def test_repeats_count_once(rig: Any) -> None:
    """The same badge at the same reader within 2 s, or the same number again, is one record."""
    rig.gate[0] += 1
    for _ in range(3):
        rig.sees("above", "b1", "b1", way=1, sequence=7)
        rig.turn(passed_ms=300)
    assert rig.kinds().count("badge_entered") == 1
    assert rig.span == (1, 1)


def test_a_late_read_does_not_undo_a_newer_one(rig: Any) -> None:
    """An exit that waited in a silent reader meets a newer sighting below: doubt, not removal."""
    rig.enter("b1")
    rig.silent = {"above"}
    rig.rest(15)
    rig.sees("r_face", "b1")
    rig.rest(5)
    rig.silent = set()
    rig.sees("above", "b1", way=-1)
    rig.turn()
    assert rig.span == (0, 1)
    assert rig.frame["people"]["b1"]["state"] == "late_read"
    rig.rest(3)
    rig.sees("r_face", "b1")
    rig.rest(7)
    rig.sees("r_face", "b1")
    rig.turn()
    assert rig.span == (1, 1)


def test_records_of_one_reader_are_ordered_by_their_numbers(rig: Any) -> None:
    """An exit of number 5 that comes after the entry of number 6 changes nothing (fault 36)."""
    rig.enter("b1")
    rig.sees("above", "b2", way=1, sequence=4)
    rig.turn()
    rig.sees("above", "b1", way=1, sequence=6)
    rig.turn()
    rig.sees("above", "b1", way=-1, sequence=5)
    rig.turn()
    assert "b1" in rig.state.durable.people.inside


def test_a_log_played_again_changes_nothing_and_is_said(rig: Any) -> None:
    """A reader that replays its old log is dropped and counts as silent (fault 39)."""
    for number in range(1, 400):
        rig.sees(
            "above", f"b{number % 50}", way=1 - 2 * (number % 2), sequence=number, time_s=number
        )
    rig.turn()
    before = rig.state.durable.people
    for number in range(1, 300):
        rig.sees("above", f"b{number % 50}", way=-1, sequence=number, time_s=number)
    rig.turn()
    assert rig.state.durable.people == before
    assert rig.kinds().count("reads_replayed") == 1
    assert rig.headcount["at_least"]


def test_a_reader_that_restarts_its_numbers_is_heard(rig: Any) -> None:
    """Numbers from one again with a clock that went on are new records."""
    rig.sees("above", "b1", way=1, sequence=500, time_s=1000)
    rig.rest(5)
    rig.sees("above", "b1", way=-1, sequence=1, time_s=1010)
    rig.turn()
    assert "reader_restarted" in rig.kinds()
    assert rig.state.durable.people.inside == {}
    rig.sees("above", "b1", way=1, sequence=2, time_s=1020)
    rig.turn()
    assert "b1" in rig.state.durable.people.inside


def test_numbers_wrap_at_sixteen_bits(rig: Any) -> None:
    """65535 is followed by 0 without a loss."""
    rig.sees("r_west", "b1", sequence=65_535)
    rig.turn()
    rig.sees("r_west", "b2", sequence=0)
    rig.turn()
    assert "reads_lost" not in rig.kinds()
    assert len(rig.state.durable.people.inside) == 2


def test_a_wrong_reader_clock_orders_nothing(rig: Any) -> None:
    """A reader a day ahead does not outrank another reader's newer record (fault 38)."""
    rig.gate[0] += 1
    rig.sees("above", "b1", way=1, sequence=1, time_s=10**9 + 86_400)
    rig.rest(10)
    rig.sees("r_west", "b1", sequence=1, time_s=10**9)
    rig.turn()
    assert rig.frame["people"]["b1"]["zone"] == "west"


def test_an_overflowed_reader_widens_its_zone(rig: Any) -> None:
    """A reader that reports lost records makes its zone uncertain until everybody is heard."""
    rig.enter("b1", "b2")
    rig.sees("r_west", "b1", "b2")
    rig.rest(3)
    reading = Reading("r_face", 1, Quality.GOOD)
    rig._samples.append(Sample("d_face", rig.now_ms, (reading,)))
    rig.turn()
    assert "reader_overflowed" in rig.kinds()
    assert rig.zone_span("face") == (0, 2)
    rig.rest(4)
    rig.sees("r_west", "b1", "b2")
    rig.rest(2)
    assert rig.zone_span("face") == (0, 0)


@pytest.mark.parametrize("gates", [True, False])
def test_reads_without_a_badge_widen_the_count(rig_of: Callable[..., Any], gates: bool) -> None:
    """Three lost reads at a mouth are said once; without a gate they widen both bounds by three."""
    rig = rig_of(gates=gates)
    badges = [f"b{n}" for n in range(5)]
    rig.enter(*badges)
    rig.sees("above", "", "", "")
    rig.turn()

    (lost,) = [event for event in rig.events if event.kind == "reads_lost"]
    assert lost.data["count"] == 3
    assert rig.span == ((5, 5) if gates else (2, 8))


def test_a_numbered_read_without_a_badge_counts_once(rig_of: Callable[..., Any]) -> None:
    """An unreadable card that comes again is known by its number, and leaves no gap behind it."""
    rig = rig_of(gates=False)
    rig.enter("b1")
    for _ in range(3):
        rig.sees("above", "", way=1, sequence=7)
        rig.turn()
    rig.sees("above", "b2", way=1, sequence=8)
    rig.turn()

    lost = [event.data["count"] for event in rig.events if event.kind == "reads_lost"]
    assert lost == [1]
    assert rig.span == (1, 3)


def test_a_record_that_waited_in_a_rush_undoes_nothing(rig: Any) -> None:
    """An entry that is delivered late is older than its stamp says at most: nobody left unread."""
    rig.enter("b1")
    rig.rest(20)
    stamp_ms = rig.now_ms
    rig.gate[0] += 1
    rig.rest(8)
    rig.sees("r_west", "b2")
    rig.turn()
    rig.rest(8)
    record = Sighting("above", "b2", stamp_ms, 1, 0, 40, None)
    rig._sightings.append(record)
    rig.turn()

    assert not [e for e in rig.events if e.kind == "badge_left"]
    assert rig.span == (2, 2)


def test_a_silent_mouth_shows_at_least_and_is_bounded_by_the_gate(rig: Any) -> None:
    """With a good gate a lost mouth reader leaves both bounds, marked as at least (I7)."""
    rig.enter("b1", "b2")
    rig.silent = {"above", "below"}
    rig.rest(12)
    assert ("reader_lost", "above") in rig.alarms()
    assert rig.headcount["at_least"]
    rig.gate[0] += 3
    rig.gate[1] += 1
    rig.turn()
    assert rig.span == (1, 5)


def test_a_blind_mouth_without_a_gate_has_no_upper_bound(rig_of: Callable[..., Any]) -> None:
    """Nothing counts who passes: hi is unknown, lo is who was heard too lately to be out."""
    rig = rig_of(gates=False)
    rig.enter("b1", "b2")
    rig.silent = {"above", "below"}
    rig.rest(12)
    assert rig.span[1] is None
    assert ("maybe_over_limit", "mine") in rig.alarms()
    rig.sees("r_face", "b1")
    rig.turn()
    assert rig.span == (2, None)
    rig.rest(80)
    assert rig.span == (1, None)
    rig.silent = set()
    rig.rest(2)
    assert not rig.headcount["at_least"]


def test_a_record_out_of_a_backlog_does_not_say_who_is_inside_now(
    rig_of: Callable[..., Any],
) -> None:
    """A reader that comes back tells who was there once: he may be out of a blind mouth by now."""
    rig = rig_of(gates=False)
    rig.enter("b1")
    rig.silent = {"above", "below", "r_face"}
    rig.rest(500)
    rig.silent = {"above", "below"}
    rig.sees("r_face", "b1", sequence=1)
    rig.turn()
    assert rig.span == (0, None)
    rig.rest(5)
    rig.sees("r_face", "b1", sequence=2)
    rig.turn()
    assert rig.span == (1, None)


def test_a_lost_read_widens_for_whom_a_backlog_names_later(rig: Any) -> None:
    """A record that waited in a silent reader may be older than the loss: nobody was heard since.

    Found by a random walk: somebody went to the face and back while its reader was silent, and the
    read of his way back was lost.
    """
    rig.enter("b1", "b2")
    rig.sees("r_west", "b1", sequence=1)
    rig.rest(5)
    rig.silent = {"r_face"}
    rig.rest(20)
    rig.sees("r_west", "b2", sequence=3)
    rig.turn()
    rig.silent = set()
    rig.sees("r_face", "b1", sequence=1)
    rig.turn()
    assert rig.zone_span("face") == (0, 1)
    rig.rest(5)
    rig.sees("r_face", "b1", sequence=2)
    rig.rest(2)
    assert rig.zone_span("face") == (1, 1)


def test_a_silent_face_reader_widens_its_zone(rig: Any) -> None:
    """Who stood beyond the silent reader may have walked in."""
    rig.enter("b1", "b2")
    rig.sees("r_west", "b1", "b2")
    rig.rest(2)
    assert rig.zone_span("face") == (0, 0)
    rig.silent = {"r_face"}
    rig.rest(12)
    assert rig.zone_span("face") == (0, 2)


def test_the_roster_is_bounded(rig_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """At its limit a new badge is not taken and hi is unknown until all can have been heard."""
    monkeypatch.setattr(hearing, "PEOPLE_MAX", 3)
    rig = rig_of(gates=False)
    rig.enter("b1", "b2", "b3", "b4", "b5")
    assert len(rig.state.durable.people.inside) == 3
    assert rig.span == (3, None)
    assert rig.kinds().count("people_full") == 1
    rig.leave("b1")
    rig.pass_time(3_700_000)
    rig.rest(2)
    assert rig.kinds().count("people_full_ended") == 1
    assert rig.span == (2, 2)


def test_tracks_of_people_outside_are_bounded(
    rig_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Badges heard only outside are forgotten, those inside never."""
    monkeypatch.setattr(hearing, "PEOPLE_MAX", 10)
    monkeypatch.setattr(hearing, "TRACKS_MAX", 20)
    rig = rig_of()
    rig.enter("b1")
    rig.sees("above", *(f"x{n}" for n in range(100)), way=-1)
    rig.rest(3)
    tracks = rig.state.volatile.people.tracks
    assert len(tracks) <= 20
    assert "b1" in tracks


def test_closing_a_person_needs_two_names_from_two_terminals(rig: Any) -> None:
    """Nobody alone takes anybody off the roster; what was closed stays in the ledger (I5)."""
    rig.enter("b1")
    assert rig.command("close_person", "clerk", badge="b1").data["reasons"] == ["reason_missing"]
    assert rig.command("close_person", "disp", "x", badge="b1").kind == "command_refused"
    asked = rig.command("close_person", "clerk", "left by the drift", badge="b1")
    assert asked.kind == "approval_asked"
    same = rig.command("approve", "disp", approval=asked.data["approval"])
    assert same.data["reasons"] == ["same_terminal"]
    assert rig.span == (1, 1)
    done = rig.command("approve", "disp", terminal="t2", approval=asked.data["approval"])
    assert (done.kind, done.data["badge"]) == ("person_closed", "b1")
    assert rig.span[1] == 0
    again = rig.command("close_person", "clerk", "x", badge="b1")
    assert again.data["reasons"] == ["not_inside:b1"]


@pytest.mark.parametrize("reboot", [False, True])
def test_people_survive_a_crash(rig: Any, reboot: bool) -> None:
    """Places, stays and doubts are the fold of the ledger; a reboot's time away counts as stay."""
    rig.enter("b1", "b2")
    rig.rest(20)
    rig.sees("r_face", "b1")
    rig.sees("below", "b2", way=-1)
    rig.turn()
    before = rig.frame["people"]
    rig.crash(away_ms=3_600_000, reboot=reboot)
    rig.turn()
    after = rig.frame["people"]
    assert {b: (p["zone"], p["state"]) for b, p in after.items()} == {
        b: (p["zone"], p["state"]) for b, p in before.items()
    }
    stay_ms = rig.now_ms - after["b1"]["entered_ms"]
    assert stay_ms >= 3_600_000
    rig.sees("above", "b2", way=-1)
    rig.turn()
    assert rig.span == (1, 1)


def test_the_roster_is_the_fold_of_the_ledger(rig: Any) -> None:
    """recover(events) equals the durable state, also through a snapshot's JSON."""
    rig.enter("b1", "b2", "b3")
    rig.leave("b1", unread=1)
    rig.sees("r_face", "b2", flags=2)
    rig.rest(3)
    durable = recover(rig.events)
    assert durable == rig.state.durable
    assert durable_from_json(durable_to_json(durable)) == durable


def test_sos_and_battery_are_heard(rig: Any) -> None:
    """The SOS button raises an alarm where the badge is; a weak battery is said once."""
    rig.enter("b1")
    rig.sees("r_face", "b1", flags=2)
    rig.turn()
    assert ("sos", "b1") in rig.alarms()
    assert rig.frame["people"]["b1"]["state"] == "sos"
    rig.rest(3)
    for _ in range(3):
        rig.sees("r_face", "b1", flags=1)
        rig.rest(3)
    assert ("sos", "b1") not in rig.alarms()
    assert rig.kinds().count("battery_low") == 1


def test_a_flapping_badge_stays_small_in_the_ledger(rig: Any) -> None:
    """A badge between two readers is at most one move in five seconds."""
    rig.enter("b1")
    rig.rest(10)
    for n in range(60):
        rig.sees(("r_west", "r_face")[n % 2], "b1")
        rig.turn()
    assert rig.kinds().count("badges_moved") <= 13
