"""在岗确认 and 查岗: asked by night and by the county, answered by name, missed once."""

from dataclasses import replace

import pytest

from minewatch.core.alarms import duty
from minewatch.core.fold import recover
from minewatch.core.state import Durable
from minewatch.core.view import view
from minewatch.model.alarm import AlarmKind, AlarmState
from minewatch.model.event import Event
from minewatch.model.image import Notice
from minewatch.model.mine import Watch

MINUTE_MS = 60_000
MONDAY_MS = 1_700_409_600_000
HOURLY = Watch(every_minutes=60)


@pytest.fixture
def night(rig_of, mine_of):
    """Return a mine at 23:00 whose presence is asked for every hour; asked already once."""
    return rig_of(mine_of(watch=HOURLY), wall_ms=MONDAY_MS + 23 * 60 * MINUTE_MS).start()


def _open(rig) -> list[str]:
    return list(rig.state.durable.duty.checks)


def _ask(rig, nonce: object = "n1") -> list[str]:
    """Let the county ask; return the open questions."""
    rig.turn(notices=(Notice("duty_check", "", {"nonce": nonce}),))
    return _open(rig)


@pytest.mark.parametrize(
    ("minute", "is_night"),
    [
        (21 * 60 + 59, False), (22 * 60, True), (23 * 60 + 59, True), (0, True),
        (5 * 60 + 59, True), (6 * 60, False), (12 * 60, False),
    ],
)  # fmt: skip
def test_the_night(minute: int, is_night) -> None:
    """From 22:00 until 06:00, the first minute in and the last one out."""
    assert Watch().is_night(minute) is is_night


def test_a_night_within_one_day_and_none_at_all() -> None:
    """A watch may lie within one day; one that ends where it begins never is."""
    assert [Watch(60, 120).is_night(each) for each in (59, 60, 119, 120)] == [
        False, True, True, False,
    ]  # fmt: skip
    assert not any(Watch(60, 60).is_night(each) for each in range(1440))


def test_hourly_at_night_and_never_by_day(rig_of, mine_of) -> None:
    """From 21:00 to 07:00 of the next day: asked at 22:00 and each hour until 05:00."""
    rig = rig_of(mine_of(watch=HOURLY), wall_ms=MONDAY_MS + 21 * 60 * MINUTE_MS).start()
    rig.run(10 * 3600, scan_ms=60_000)
    hours = [((e.wall_ms - MONDAY_MS) // 3_600_000) % 24 for e in rig.of("duty_check_asked")]
    assert hours == [22, 23, 0, 1, 2, 3, 4, 5]
    assert {e.data["origin"] for e in rig.of("duty_check_asked")} == {"clock"}
    assert recover(rig.events) == rig.state.durable


def test_nobody_is_asked_where_the_watch_is_off(rig_of, mine_of) -> None:
    """Without the table of the configuration nobody is asked."""
    rig = rig_of(mine_of(), wall_ms=MONDAY_MS).start()
    rig.run(7200, scan_ms=60_000)
    assert not rig.of("duty_check_asked")


def test_without_a_trusted_clock_every_hour_is_night(rig_of, mine_of) -> None:
    """Nobody knows whether it is day, so presence is asked for."""
    wall_ms = MONDAY_MS + 12 * 60 * MINUTE_MS
    rig = rig_of(mine_of(watch=HOURLY), wall_ms=wall_ms, wall_trusted=False).start()
    assert len(rig.of("duty_check_asked")) == 1


@pytest.mark.parametrize(("off_ms", "asked"), [(-1, 1), (0, 2)])
def test_the_next_question_is_due_an_hour_after_the_last(night, off_ms: int, asked: int) -> None:
    """To the millisecond; the one that nobody answered gives way to it."""
    first = night.of("duty_check_asked")[0]
    night.turn(ms=first.now_ms + 60 * MINUTE_MS + off_ms - night.now_ms)
    assert len(night.of("duty_check_asked")) == asked
    assert len(_open(night)) == 1
    assert [e.data["reason"] for e in night.of("duty_check_ended")] == ["superseded"] * (asked - 1)


def test_an_answer_says_who_and_how_long_it_took(night) -> None:
    """One key of a named person; the question is gone and nothing is missed."""
    (check,) = _open(night)
    asked_ms = night.of("duty_check_asked")[0].now_ms
    shown = view(night.mine, night.state, night.now_ms)["duty_checks"]
    assert shown == {check: {"origin": "clock", "asked_ms": asked_ms, "missed": False}}
    night.run(20)
    answer = night.command("on_duty", "S1", check=check)
    assert answer.kind == "duty_check_answered"
    assert answer.data == {
        "by": "S1", "check": check, "command": answer.data["command"],
        "delay_ms": answer.now_ms - asked_ms, "nonce": "", "origin": "clock",
    }  # fmt: skip
    night.run(3000, scan_ms=60_000)
    assert not night.of("duty_check_missed")
    assert _open(night) == []


@pytest.mark.parametrize(("off_ms", "missed"), [(-1, 0), (0, 1), (1, 1)])
def test_five_minutes_without_an_answer(night, row, off_ms: int, missed: int) -> None:
    """Then it is missed, once, and an alarm of priority 1 climbs the ladder."""
    asked_ms = night.of("duty_check_asked")[0].now_ms
    night.turn(ms=asked_ms + 5 * MINUTE_MS + off_ms - night.now_ms)
    night.turn(ms=0)
    assert len(night.of("duty_check_missed")) == missed
    item = row(night, AlarmKind.DUTY_CHECK_MISSED, "dispatch")
    assert (item is not None) == bool(missed)
    if item is not None:
        assert (item.priority, item.state) == (1, AlarmState.UNACKNOWLEDGED)


def test_a_missed_question_calls_the_duty_leader(night, row) -> None:
    """The ladder runs as for a trip; the late answer ends and acknowledges the alarm."""
    night.run(300 + 61, scan_ms=1000)
    assert [e.data["to"] for e in night.of("escalated")] == ["horn", "duty_leader"]
    (check,) = _open(night)
    answer = night.command("on_duty", "S2", check=check)
    assert answer.data["delay_ms"] > 300_000
    item = row(night, AlarmKind.DUTY_CHECK_MISSED, "dispatch")
    assert item is None
    night.run(600, scan_ms=1000)
    assert len(night.of("escalated")) == 2
    assert recover(night.events) == night.state.durable


def test_an_alarm_that_was_acknowledged_is_not_acknowledged_again(night, row) -> None:
    """Silencing the horn is no answer: the question stays open until it is answered."""
    night.run(310, scan_ms=1000)
    item = row(night, AlarmKind.DUTY_CHECK_MISSED, "dispatch")
    night.command("acknowledge", "S2", alarms=[item.id])
    (check,) = _open(night)
    night.command("on_duty", "S1", check=check)
    assert [e.data["by"] for e in night.of("alarms_acknowledged")] == ["S2"]
    assert row(night, AlarmKind.DUTY_CHECK_MISSED, "dispatch") is None


def test_the_alarm_stands_while_another_missed_question_is_open(night, row) -> None:
    """Two were missed: the first answer does not end the alarm, the second does."""
    checks = _ask(night)
    night.run(310, scan_ms=1000)
    assert len(night.of("duty_check_missed")) == 2
    night.command("on_duty", "S1", check=checks[0])
    assert row(night, AlarmKind.DUTY_CHECK_MISSED, "dispatch").active
    night.command("on_duty", "S1", check=checks[1])
    assert row(night, AlarmKind.DUTY_CHECK_MISSED, "dispatch") is None


def test_the_county_asks_and_sees_the_delay(rig) -> None:
    """At any hour and without a configured watch; the nonce comes back with the answer."""
    (check,) = _ask(rig, "abc")
    rig.run(10)
    answer = rig.command("on_duty", "S3", check=check)
    assert (answer.data["origin"], answer.data["nonce"]) == ("county", "abc")
    assert answer.data["delay_ms"] == answer.now_ms - rig.of("duty_check_asked")[0].now_ms


@pytest.mark.parametrize("nonce", [None, 7, "", "x" * 65, ["n"]])
def test_a_question_without_a_proper_nonce_is_none(rig, nonce) -> None:
    """What is no text of 1 to 64 characters asks nothing."""
    assert _ask(rig, nonce) == []


def test_the_same_nonce_is_the_same_question(rig) -> None:
    """A repeated question is not another one; 64 characters are allowed."""
    assert len(_ask(rig, "x" * 64)) == 1
    assert len(_ask(rig, "x" * 64)) == 1
    assert len(_ask(rig, "y")) == 2


def test_the_countys_questions_are_bounded(night) -> None:
    """The fifth ends the oldest of its kind; the clock's own question stays."""
    (own,) = _open(night)
    for n in range(5):
        _ask(night, f"n{n}")
    nonces = [night.state.durable.duty.checks[each].nonce for each in _open(night)]
    assert _open(night)[0] == own
    assert nonces[1:] == ["n1", "n2", "n3", "n4"]
    assert [(e.data["reason"], e.data["origin"]) for e in night.of("duty_check_ended")] == [
        ("too_many", "county")
    ]


@pytest.mark.parametrize("by", ["S4", "S5", "S6", "S7", "S8", "S9", ""])
def test_who_cannot_answer(night, by: str) -> None:
    """Presence is confirmed by a named person of the desk, or the duty leader."""
    (check,) = _open(night)
    assert night.command("on_duty", by, check=check).kind == "command_refused"


def test_an_answer_to_no_question_is_refused(rig) -> None:
    """There is nothing to confirm."""
    assert rig.command("on_duty", "S1", check="D1").data["reasons"] == ["unknown_check:D1"]


@pytest.mark.parametrize("rebooted", [False, True])
def test_a_restart_forgets_no_question(night, rebooted) -> None:
    """Its age goes on; after a reboot the night asks anew, at once."""
    (check,) = _open(night)
    asked_ms = night.state.durable.duty.checks[check].asked_ms
    before_ms = night.now_ms
    if rebooted:
        night.now_ms = 1_000
    night.restart(down_ms=5_000)
    after = night.state.durable.duty.checks
    if not rebooted:
        assert after[check].asked_ms == asked_ms
        assert list(after) == [check]
    else:
        assert check not in after
        (ended,) = night.of("duty_check_ended")
        assert ended.data["check"] == check
        assert len(after) == 1
    assert before_ms > 6_000


@pytest.mark.parametrize(("shift_ms", "kept"), [(-1, False), (0, True), (1, True)])
def test_only_a_clock_that_began_anew_lets_the_night_ask_at_once(shift_ms: int, kept) -> None:
    """A start at the very moment of the last event is no reboot."""
    check = duty.Check("D1", "clock", 900)
    before = replace(Durable(), now_ms=1_000, duty=duty.DutyDurable({"D1": check}, 900))
    event = Event("controller_started", 1, 0, 1_000 + shift_ms, 0, True, {})
    after = duty.FOLDS["controller_started"](before, event).duty
    assert after.asked_ms == (900 if kept else None)
    assert after.checks["D1"].asked_ms == (900 if kept else 899)


def test_a_county_question_keeps_its_age_over_a_reboot(rig) -> None:
    """Carried over to the clock that began anew, it is missed when its time is up."""
    (check,) = _ask(rig)
    rig.run(100)
    age_ms = rig.now_ms - rig.state.durable.duty.checks[check].asked_ms
    newest_ms = rig.events[-1].now_ms
    rig.now_ms = 1_000
    rig.restart(down_ms=0)
    asked_ms = rig.state.durable.duty.checks[check].asked_ms
    lost_ms = age_ms - (newest_ms - rig.of("duty_check_asked")[0].now_ms)
    assert 1_000 - asked_ms == age_ms - lost_ms
