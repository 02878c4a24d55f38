"""The life of an alarm to ISA-18.2: every state under every move, latches, what sounds again."""

from dataclasses import replace

import pytest

from minewatch.core.alarms import alarm, life
from minewatch.core.alarms.alarm import AlarmsDurable
from minewatch.core.power.interlock import Cause
from minewatch.core.state import Durable
from minewatch.model.alarm import (
    ACTIVE,
    HELD,
    LIFE_CYCLE,
    PRIORITY,
    SHELVABLE,
    STANDING,
    AlarmKind,
    AlarmMove,
    AlarmState,
)
from minewatch.model.event import Event
from minewatch.model.quality import Quality

N, U, A, R = (
    AlarmState.NORMAL,
    AlarmState.UNACKNOWLEDGED,
    AlarmState.ACKNOWLEDGED,
    AlarmState.RETURNED,
)
L, S, D, O = (  # noqa: E741  the letters of the table below
    AlarmState.LATCHED,
    AlarmState.SHELVED,
    AlarmState.SUPPRESSED,
    AlarmState.OUT_OF_SERVICE,
)
ISA = {
    "raise": {N: U, U: U, A: A, R: U, L: U, S: S, D: D, O: O},
    "clear": {N: N, U: R, A: N, R: R, L: L, S: N, D: N, O: N},
    "acknowledge": {N: N, U: A, A: A, R: N, L: L, S: S, D: D, O: O},
    "latch": {N: L, U: U, A: A, R: R, L: L, S: S, D: D, O: O},
    "reset": {N: N, U: U, A: A, R: R, L: N, S: S, D: D, O: O},
    "shelve": {N: N, U: S, A: S, R: R, L: L, S: S, D: D, O: O},
    "suppress": {N: N, U: D, A: D, R: R, L: L, S: S, D: D, O: O},
    "remove": {N: N, U: O, A: O, R: R, L: L, S: S, D: D, O: O},
    "restore": {N: N, U: U, A: A, R: R, L: L, S: U, D: U, O: U},
}
"""The whole life cycle, written out by hand."""

POINT, LINE = "Z0_H0", "line:gas"


@pytest.mark.parametrize("move", list(AlarmMove))
@pytest.mark.parametrize("state", list(AlarmState))
def test_every_state_under_every_move(alarm_of, state: AlarmState, move: AlarmMove) -> None:
    """72 pairs end where ISA-18.2 says, and the table of standing alarms follows."""
    item = alarm_of(state)
    table = AlarmsDurable({"A1": item}, {"sensor_fault/Z0_H0": "A1"})
    after = life.moved(table, "A1", move)
    expected = ISA[move.value][state]
    assert after.items["A1"].state is expected
    assert LIFE_CYCLE.get((state, move), state) is expected
    assert ("sensor_fault/Z0_H0" in after.standing) is (expected is not N)


def test_the_states_that_stand() -> None:
    """The condition stands in five states, and three of them are silent."""
    assert {U, A} == ACTIVE
    assert {S, D, O} == HELD
    assert STANDING == ACTIVE | HELD


@pytest.mark.parametrize("state", list(AlarmState))
def test_what_sounds_and_what_stands(alarm_of, state: AlarmState) -> None:
    """Only the unacknowledged and the returned wait for an answer; what is held still stands."""
    item = alarm_of(state)
    assert item.unanswered is (state in {U, R})
    assert item.active is (state in {U, A, S, D, O})


def test_no_kind_of_priority_1_and_no_limit_of_gas_or_people_is_ever_held() -> None:
    """I13: trips, withdrawals, failed cuts, gas and people over a limit cannot be put aside."""
    assert not any(PRIORITY[kind] == 1 for kind in SHELVABLE)
    for kind in ("gas_over_limit", "over_limit", "restricted_zone", "nobody_reachable"):
        assert AlarmKind(kind) not in SHELVABLE
    assert len(SHELVABLE) >= 9


def _durable(item, *, causes=()) -> Durable:
    latched = {each: Cause(each, "", (), (), 0, 0, 0, False) for each in causes}
    empty = Durable()
    return replace(
        empty,
        alarms=AlarmsDurable({"A1": item}, {f"{item.kind}/{item.source}": "A1"}),
        interlock=replace(empty.interlock, causes=latched),
    )


@pytest.mark.parametrize(
    ("kind", "source", "cause", "latched"),
    [
        (AlarmKind.TRIP, POINT, f"trip:{POINT}", True),
        (AlarmKind.TRIP, POINT, f"off:{POINT}", True),
        (AlarmKind.TRIP, POINT, f"fault:{POINT}", False),
        (AlarmKind.TRIP, POINT, "trip:another", False),
        (AlarmKind.SENSOR_FAULT, POINT, f"fault:{POINT}", True),
        (AlarmKind.SENSOR_FAULT, POINT, f"trip:{POINT}", False),
        (AlarmKind.SENSOR_FAULT, LINE, LINE, True),
        (AlarmKind.SENSOR_FAULT, LINE, f"fault:{LINE}", True),
        (AlarmKind.WITHDRAW, POINT, f"trip:{POINT}", False),
        (AlarmKind.GAS_OVER_LIMIT, POINT, POINT, False),
    ],
)
def test_what_an_alarm_latches(alarm_of, kind, source, cause, latched) -> None:
    """A trip is latched by its cut, a fault by its lock, a lost line by its own cause."""
    item = alarm_of(A, kind, source=source)
    assert life.is_latched(_durable(item, causes=(cause,)), item) is latched
    assert life.is_latched(_durable(item), item) is False


def test_a_trip_stays_latched_until_its_release(rig) -> None:
    """Gone and acknowledged, a trip stands as latched; the release of its cut ends it."""
    rig.turn(readings={"Z0_H0": 160})
    rig.world["Z0_H0"] = 160
    rig.run(1)
    trip = alarm.find(rig.state.durable, AlarmKind.TRIP, "Z0_H0")
    rig.command("acknowledge", "S1", alarms=[trip.id])
    rig.world["Z0_H0"] = 0
    rig.run(1)
    assert rig.state.durable.alarms.items[trip.id].state is L
    rig.command("close_out", "S1", alarms=[trip.id], cause="gas_rise")
    rig.run(62)
    rig.command("acknowledge", "S1", alarms=sorted(rig.state.durable.alarms.items))
    rig.release("cut_Z0", values={"Z0_H0": 5})
    rig.run(1)
    assert rig.causes == []
    assert trip.id not in rig.state.durable.alarms.items


def test_a_trip_seen_after_it_is_gone_is_latched_too(rig) -> None:
    """Acknowledging what has returned does not end it while its cut is latched."""
    for value in (160, 0):
        rig.turn(readings={"Z0_H0": value})
    trip = alarm.find(rig.state.durable, AlarmKind.TRIP, "Z0_H0")
    assert trip.state is R
    rig.command("acknowledge", "S1", alarms=[trip.id])
    latched = rig.state.durable.alarms.items[trip.id]
    assert (latched.state, latched.acknowledged_by) == (L, "S1")


def test_a_latched_trip_that_comes_again_begins_anew(rig) -> None:
    """The new raise has its own time, its own escalation and its own close-out."""
    for value in (160, 0):
        rig.turn(readings={"Z0_H0": value})
    trip = alarm.find(rig.state.durable, AlarmKind.TRIP, "Z0_H0")
    rig.command("acknowledge", "S1", alarms=[trip.id])
    rig.command("close_out", "S1", alarms=[trip.id], cause="gas_rise")
    rig.run(400, scan_ms=1000)
    rig.turn(readings={"Z0_H0": 170})
    again = rig.state.durable.alarms.items[trip.id]
    assert (again.state, again.occurrences, again.raised_ms) == (U, 2, rig.now_ms)
    assert (again.acknowledged_by, again.closed, again.step, again.peak) == ("", False, 0, 170)


def test_a_lost_over_range_is_latched_until_it_is_unlatched(rig) -> None:
    """Beyond range, back and seen: it stands as latched while its head is not believed."""
    rig.turn(readings={"FEED_Z0": 0, "Z0_H0": Quality.OVER_RANGE})
    over = alarm.find(rig.state.durable, AlarmKind.OVER_RANGE, "Z0_H0")
    item = replace(over, state=A)
    assert life.is_latched(rig.state.durable, item)
    assert not life.is_latched(rig.state.durable, replace(item, source="Z0_H1"))


def _event(kind: str, **data) -> Event:
    return Event(kind, 1, 0, 5_000, 0, True, data)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("A1-2-S3", ("screen:x", "sms:S4")),
        ("A1-1-S3", ("screen:x", "sms:S3", "sms:S4")),
        ("A1-2", ("screen:x", "sms:S3", "sms:S4")),
        ("A2-2-S3", ("screen:x", "sms:S3", "sms:S4")),
        ("A1-2-S9", ("screen:x", "sms:S3", "sms:S4")),
        ("", ("screen:x", "sms:S3", "sms:S4")),
        (None, ("screen:x", "sms:S3", "sms:S4")),
    ],
)
def test_a_message_that_failed_reached_nobody(alarm_of, message, told) -> None:
    """Only the message of this very step takes its person off the list of who was told."""
    item = alarm_of(kind=AlarmKind.TRIP, step=2, told=("screen:x", "sms:S3", "sms:S4"))
    durable = _durable(item)
    after = life.FOLDS["message_failed"](durable, _event("message_failed", message=message))
    assert after.alarms.items["A1"].told == told


def test_a_message_with_a_dash_in_the_code(alarm_of) -> None:
    """A staff code may hold dashes; the name of a message is still told apart."""
    item = alarm_of(kind=AlarmKind.TRIP, step=3, told=("sms:S-3-x",))
    event = _event("message_failed", message="A1-3-S-3-x")
    assert life.FOLDS["message_failed"](_durable(item), event).alarms.items["A1"].told == ()


def test_an_escalation_of_an_older_version_told_nobody_known(alarm_of) -> None:
    """A recorded escalation without `told` still replays."""
    event = _event("escalated", alarm="A1", step=2, to="duty_leader", source="Z0_H0")
    after = life.FOLDS["escalated"](_durable(alarm_of()), event).alarms.items["A1"]
    assert (after.step, after.told, after.stepped_ms) == (2, (), 5_000)


def test_a_raise_of_an_older_version_sounds(alarm_of) -> None:
    """A recorded raise without `held` still replays, and counts as one that sounded."""
    data = {
        "alarm": "A9", "alarm_kind": "low", "first_out": True, "limit": 1, "occurrences": 1,
        "planned": False, "priority": 2, "source": "p", "value": 0, "zone": "z",
    }  # fmt: skip
    after = life.FOLDS["alarm_raised"](Durable(), _event("alarm_raised", **data)).alarms
    assert after.items["A9"].state is U
    assert (after.recent, after.groups) == ((5_000,), {"z": 5_000})


@pytest.mark.parametrize(
    ("priority", "kind", "held", "breaks"),
    [
        (1, "trip", "", True),
        (2, "low", "", True),
        (3, "over_time", "", False),
        (2, "nobody_reachable", "", False),
        (2, "low", "shelve", False),
    ],
)
def test_what_ends_a_silence(priority, kind, held, breaks) -> None:
    """A new alarm of priority 1 or 2 is heard at once, unless it is held or says nothing new."""
    before = Durable()
    before = replace(before, alarms=replace(before.alarms, silenced_until_ms=9_000))
    data = {
        "alarm": "A9", "alarm_kind": kind, "first_out": False, "limit": 1, "occurrences": 1,
        "planned": False, "priority": priority, "source": "p", "value": 0, "zone": "z",
        "held": held,
    }  # fmt: skip
    after = life.FOLDS["alarm_raised"](before, _event("alarm_raised", **data)).alarms
    assert after.silenced_until_ms == (0 if breaks else 9_000)
    assert len(after.recent) == (0 if held else 1)


@pytest.mark.parametrize("shift_ms", [-1, 0, 1])
def test_a_clock_that_began_anew_carries_ages_over(alarm_of, shift_ms: int) -> None:
    """After a reboot ages stay what they were; a silence and a first-out do not outlive it."""
    item = alarm_of(raised_ms=100, told_ms=200, stepped_ms=300)
    before = replace(_durable(item), now_ms=5_000 - shift_ms)
    flood_ms = 400
    alarms = replace(
        before.alarms,
        silenced_until_ms=6_000,
        groups={"Z0": 100},
        recent=(100, 200),
        flood=life.flood.Flood(flood_ms, 12),
    )
    after = life.FOLDS["controller_started"](
        replace(before, alarms=alarms), _event("controller_started")
    ).alarms
    moved_ms = min(shift_ms, 0)
    item = after.items["A1"]
    assert (item.raised_ms, item.told_ms, item.stepped_ms) == (
        100 + moved_ms, 200 + moved_ms, 300 + moved_ms,
    )  # fmt: skip
    assert after.recent == (100 + moved_ms, 200 + moved_ms)
    assert after.flood.since_ms == flood_ms + moved_ms
    assert after.silenced_until_ms == (0 if moved_ms else 6_000)
    assert after.groups == ({} if moved_ms else {"Z0": 100})
