"""The life cycle of an alarm, its escalation, and what leaves the table when."""

import pytest

from minewatch.core.alarms import alarm
from minewatch.core.alarms.alarm import Alarm, AlarmsDurable
from minewatch.core.alarms.life import moved
from minewatch.model.alarm import LIFE_CYCLE, PRIORITY, AlarmKind, AlarmMove, AlarmState

MINUTE_MS = 60_000


def _table(state: AlarmState, priority: int = 2, *, closed: bool = False) -> AlarmsDurable:
    each = Alarm("A1", AlarmKind.TRIP, priority, "p", "z", 1, 1, 1, 0, 0, state, True,
                 closed=closed)  # fmt: skip
    return AlarmsDurable({"A1": each}, {"trip/p": "A1"})


@pytest.mark.parametrize("state", list(AlarmState))
@pytest.mark.parametrize("move", list(AlarmMove))
def test_every_state_under_every_move(state: AlarmState, move: AlarmMove) -> None:
    """Each pair ends where the table says; a pair that is not in it changes nothing."""
    after = moved(_table(state), "A1", move)
    expected = LIFE_CYCLE.get((state, move), state)
    assert after.items["A1"].state is expected
    assert ("trip/p" in after.standing) is (expected is not AlarmState.NORMAL)


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("priority", [1, 2, 3, 4])
def test_what_is_gone_leaves_only_when_closed(priority: int, *, closed: bool) -> None:
    """A gone alarm of priority 1 or 2 waits for its cause and measure; others leave at once."""
    after = moved(_table(AlarmState.ACKNOWLEDGED, priority, closed=closed), "A1", AlarmMove.CLEAR)
    assert ("A1" in after.items) is (priority <= 2 and not closed)


def test_every_kind_has_a_priority() -> None:
    """A kind without a priority would crash at the moment that it is needed."""
    assert set(PRIORITY) == set(AlarmKind)


def test_an_alarm_that_returns_unacknowledged_stays_one_instance(rig) -> None:
    """Raised, cleared and raised again before anybody answered: one row, two occurrences."""
    for value in (120, 0, 130, 0):
        rig.turn(readings={"Z0_H0": value})
    rows = [e for e in rig.state.durable.alarms.items.values()
            if e.kind is AlarmKind.GAS_OVER_LIMIT]  # fmt: skip
    assert [(each.state, each.occurrences, each.peak) for each in rows] == [
        (AlarmState.RETURNED, 2, 130)
    ]
    rig.command("acknowledge", "S1", alarms=[rows[0].id])
    rig.turn(readings={"Z0_H0": 140})
    rows = [e for e in rig.state.durable.alarms.items.values()
            if e.kind is AlarmKind.GAS_OVER_LIMIT]  # fmt: skip
    assert [each.state for each in rows] == [AlarmState.NORMAL, AlarmState.UNACKNOWLEDGED]


def test_acknowledging_changes_sound_only(rig) -> None:
    """An acknowledgement moves no output but the horn's, and clears no cause."""
    rig.turn(readings={"Z0_H0": 160})
    rig.world["Z0_H0"] = 160
    rig.run(35)
    before = dict(rig.last.outputs)
    assert before["horn"] is True
    rig.command("acknowledge", "S1", alarms=sorted(rig.state.durable.alarms.items))
    rig.turn()
    assert dict(rig.last.outputs) == {**before, "horn": False}
    assert rig.causes == ["trip:Z0_H0"]


def test_closing_out_is_not_acknowledging(rig) -> None:
    """Cause and measure may come before or after; the alarm leaves when it is also gone."""
    rig.turn(readings={"Z0_H0": 120})
    (alarm_id,) = [
        each.id
        for each in rig.state.durable.alarms.items.values()
        if each.kind is AlarmKind.GAS_OVER_LIMIT
    ]
    assert rig.command("close_out", "S1", alarms=[alarm_id], cause="gas_rise").kind == (
        "alarms_closed"
    )
    assert rig.state.durable.alarms.items[alarm_id].state is AlarmState.UNACKNOWLEDGED
    rig.command("acknowledge", "S1", alarms=[alarm_id])
    rig.turn(readings={"Z0_H0": 0})
    assert alarm_id not in rig.state.durable.alarms.items


def test_escalation_steps_of_an_unanswered_trip(rig) -> None:
    """Horn 30 s, duty leader 60 s, mine head 3 min, county 5 min, then every 5 min."""
    begun_ms = rig.now_ms + 100
    rig.turn(readings={"Z0_H0": 155})
    rig.world["Z0_H0"] = 155
    rig.run(11 * 60)
    trip = alarm.find(rig.state.durable, AlarmKind.TRIP, "Z0_H0")
    said = [
        ((e.now_ms - begun_ms) // 1000, e.data["to"])
        for e in rig.of("escalated")
        if e.data["alarm"] == trip.id
    ]
    assert said == [
        (30, "horn"),
        (60, "duty_leader"),
        (180, "mine_head"),
        (300, "unanswered"),
        (600, "unanswered"),
    ]


def test_silence_lasts_two_minutes_and_a_new_alarm_breaks_it(rig) -> None:
    """Silence stops the horn for 120 s; what comes newly is heard at once when it is due."""
    rig.turn(readings={"Z0_H0": 155})
    rig.world["Z0_H0"] = 155
    rig.run(31)
    rig.command("silence", "S1")
    assert rig.last.outputs["horn"] is False
    rig.run(110)
    assert rig.last.outputs["horn"] is False
    rig.run(12)
    assert rig.last.outputs["horn"] is True
    rig.command("silence", "S1")
    rig.turn(readings={"Z1_H0": 120})
    rig.turn()
    assert rig.last.outputs["horn"] is True


def test_reminder_and_overdue_close_out(rig) -> None:
    """A standing acknowledged trip is said every 15 min; cause and measure are due in 30 min."""
    rig.turn(readings={"Z0_H0": 155})
    rig.world["Z0_H0"] = 155
    rig.command("acknowledge", "S1", alarms=sorted(rig.state.durable.alarms.items))
    rig.run(31 * 60, scan_ms=1000)
    assert len(rig.of("reminded")) == 2
    due = rig.of("close_out_due")
    assert len({each.data["alarm"] for each in due}) == len(due) >= 2


def test_first_out_per_zone(rig) -> None:
    """Of alarms within 10 s in one zone the first is marked; a pre-alarm is never the first."""
    rig.turn(readings={"Z0_H0": 85})
    rig.turn(readings={"Z0_H0": 120})
    rig.turn(readings={"Z0_H1": 120, "Z1_H0": 120})
    first = {
        (e.data["alarm_kind"], e.data["source"])
        for e in rig.of("alarm_raised")
        if e.data["first_out"]
    }
    assert first == {("gas_over_limit", "Z0_H0"), ("gas_over_limit", "Z1_H0")}


def test_gone_alarms_are_bounded_and_the_oldest_is_dropped(rig, monkeypatch) -> None:
    """Beyond the limit of gone unclosed alarms the oldest is dropped, and that is said."""
    monkeypatch.setattr(alarm, "GONE_MAX", 3)
    for _ in range(5):
        rig.turn(readings={"Z0_H0": 120})
        rig.command("acknowledge", "S1", alarms=sorted(rig.state.durable.alarms.standing.values()))
        rig.turn(readings={"Z0_H0": 0})
    items = rig.state.durable.alarms.items
    assert len(items) <= 4
    assert len(rig.of("alarm_dropped")) >= 1
