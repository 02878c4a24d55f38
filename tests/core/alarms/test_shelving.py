"""Shelving: by name, for a while, never what protects; it ends by itself (I13)."""

import pytest

from minewatch.core.alarms import alarm
from minewatch.core.fold import recover
from minewatch.core.view import view
from minewatch.model.alarm import PRIORITY, SHELVABLE, AlarmKind, AlarmState
from minewatch.model.image import Command, Notice
from minewatch.model.mine import Escalation, Reader
from minewatch.model.quality import Quality

MINUTE_MS = 60_000
OVER = {"alarm_kind": "over_time", "source": "Z0"}


def _shelve(rig, kind: str = "pre_alarm", source: str = "Z0_H0", minutes: int = 30, by="S1"):
    return rig.command("shelve", by, alarm_kind=kind, source=source, minutes=minutes)


@pytest.fixture
def warned(rig):
    """Return a mine in which `Z0_H0` stands in pre-alarm."""
    rig.world["Z0_H0"] = 85
    rig.run(1)
    return rig


def test_a_shelved_alarm_makes_no_sound_and_is_shown(warned, row) -> None:
    """One name is enough for priority 4; the shelf is in the frame with its end."""
    answer = _shelve(warned)
    assert (answer.kind, answer.data["by"], answer.data["minutes"]) == (
        "shelving_ordered",
        "S1",
        30,
    )
    assert answer.text == "理由"
    warned.turn()
    item = row(warned, AlarmKind.PRE_ALARM, "Z0_H0")
    assert (item.state, item.active) == (AlarmState.SHELVED, True)
    shown = view(warned.mine, warned.state, warned.now_ms)
    assert shown["alarms"][item.id]["sounds"] is False
    assert shown["shelved"]["pre_alarm/Z0_H0"] == {
        "alarm_kind": "pre_alarm", "source": "Z0_H0", "by": "S1", "second": "",
        "until_ms": answer.now_ms + 30 * MINUTE_MS, "in_force": True,
        "index": warned.events.index(answer),
    }  # fmt: skip


@pytest.mark.parametrize(("off_ms", "stands"), [(-1, True), (0, False), (1, False)])
def test_a_shelf_ends_by_itself_and_the_alarm_sounds_again(warned, row, off_ms, stands) -> None:
    """At its time to the millisecond the shelf is gone, with an event, and the alarm sounds."""
    until_ms = _shelve(warned, minutes=1).now_ms + MINUTE_MS
    warned.turn()
    warned.turn(ms=until_ms + off_ms - warned.now_ms)
    assert bool(warned.state.durable.alarms.shelves) is stands
    item = row(warned, AlarmKind.PRE_ALARM, "Z0_H0")
    assert item.state is (AlarmState.SHELVED if stands else AlarmState.UNACKNOWLEDGED)
    assert [(e.data["reason"], e.data["by"]) for e in warned.of("shelving_ended")] == (
        [] if stands else [("expired", "")]
    )


def test_a_shelved_alarm_that_clears_is_gone_and_comes_back_without_a_sound(warned, row) -> None:
    """Clearing ends it; while the shelf holds the next raise is recorded and silent."""
    _shelve(warned)
    warned.turn()
    warned.turn(readings={"Z0_H0": 0})
    assert row(warned, AlarmKind.PRE_ALARM, "Z0_H0") is None
    warned.turn(readings={"Z0_H0": 90})
    assert row(warned, AlarmKind.PRE_ALARM, "Z0_H0").state is AlarmState.SHELVED
    assert warned.of("alarm_raised")[-1].data["held"] == "shelve"


def test_a_higher_level_of_the_same_head_sounds(warned, row) -> None:
    """A shelved pre-alarm hides no alarm and no trip."""
    _shelve(warned)
    warned.turn()
    warned.turn(readings={"Z0_H0": 160})
    for kind in (AlarmKind.GAS_OVER_LIMIT, AlarmKind.TRIP, AlarmKind.WITHDRAW):
        assert row(warned, kind, "Z0_H0").state is AlarmState.UNACKNOWLEDGED
    assert warned.causes == ["trip:Z0_H0"]


def test_a_shelf_acts_once_it_is_on_disk(warned, row) -> None:
    """Until its event is durable the alarm sounds on; so it does while the ledger fails."""
    warned.disk_stands = True
    _shelve(warned)
    warned.turn()
    assert row(warned, AlarmKind.PRE_ALARM, "Z0_H0").state is AlarmState.UNACKNOWLEDGED
    assert not warned.state.durable.alarms.shelves["pre_alarm/Z0_H0"].in_force
    warned.disk_stands = False
    warned.turn(notices=(Notice("ledger_fault", "ledger", {}),))
    assert row(warned, AlarmKind.PRE_ALARM, "Z0_H0").state is AlarmState.UNACKNOWLEDGED
    warned.turn(notices=(Notice("ledger_restored", "ledger", {}),))
    warned.turn()
    assert row(warned, AlarmKind.PRE_ALARM, "Z0_H0").state is AlarmState.SHELVED


@pytest.mark.parametrize("kind", sorted(set(AlarmKind) - SHELVABLE))
def test_what_protects_is_never_shelved(rig, kind: AlarmKind) -> None:
    """I13: each kind that is not on the list is refused, with that reason."""
    answer = _shelve(rig, str(kind))
    assert (answer.kind, answer.data["reasons"]) == ("command_refused", [f"never_shelved:{kind}"])


@pytest.mark.parametrize("kind", sorted(SHELVABLE))
def test_priority_2_needs_the_duty_leader(rig, kind: AlarmKind) -> None:
    """What needs a person now takes a second name; the rest takes one."""
    answer = _shelve(rig, str(kind))
    alone = PRIORITY[kind] >= 3
    assert answer.kind == ("shelving_ordered" if alone else "approval_asked")
    if not alone:
        refused = rig.command("approve", "S2", approval=answer.data["approval"])
        assert refused.data["reasons"] == ["not_permitted"]
        given = rig.command("approve", "S3", approval=answer.data["approval"])
        assert (given.kind, given.data["second"]) == ("shelving_ordered", "S3")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"minutes": 481}, "too_long:480"),
        ({"source": "nothing"}, "unknown_source:nothing"),
        ({"source": "line:nothing"}, "unknown_source:line:nothing"),
        ({"source": "mine:gas"}, "unknown_source:mine:gas"),
        ({"minutes": 0}, "malformed"),
        ({"minutes": 1441}, "malformed"),
        ({"minutes": True}, "malformed"),
        ({"kind": "no_such_kind"}, "malformed"),
        ({"kind": 7}, "malformed"),
    ],
)
def test_what_is_refused(rig, change, reason) -> None:
    """Each slip is refused with its reason."""
    said = {"kind": "over_time", "source": "Z0", "minutes": 480, **change}
    assert _shelve(rig, **said).data["reasons"] == [reason]


@pytest.mark.parametrize("source", ["Z0_H0", "cut_Z0", "line:gas", "Z0", "mine", "reader_1"])
def test_whatever_is_configured_may_be_a_source(rig_of, mine_of, source) -> None:
    """Points, outputs, lines, zones and readers are known without a standing alarm."""
    mine = mine_of(readers=(Reader("reader_1", "", "Z0", "head"),))
    assert _shelve(rig_of(mine).start(), "reader_lost", source, 480).kind == "shelving_ordered"


def test_a_badge_is_a_source_while_its_alarm_stands(rig, give, row) -> None:
    """What is no part of the configuration may be shelved while it has an alarm."""
    assert _shelve(rig, "over_time", "B1").data["reasons"] == ["unknown_source:B1"]
    give(rig, lambda draft: alarm.raise_(draft, AlarmKind.OVER_TIME, "B1"))
    assert _shelve(rig, "over_time", "B1").kind == "shelving_ordered"


def test_shelving_twice_and_too_many(rig_of, mine_of) -> None:
    """A shelf is not prolonged by another, and their number is bounded."""
    mine = mine_of(escalation=Escalation(shelves_max=2))
    rig = rig_of(mine).start()
    assert _shelve(rig, source="Z0_H0").kind == "shelving_ordered"
    assert _shelve(rig, source="Z0_H0").data["reasons"] == ["already_shelved:pre_alarm/Z0_H0"]
    assert _shelve(rig, source="Z0_H1").kind == "shelving_ordered"
    assert _shelve(rig, source="Z1_H0").data["reasons"] == ["too_many"]


@pytest.mark.parametrize("by", ["S4", "S5", "S6", "S7", "S8", "S9", ""])
def test_who_may_not_shelve(rig, by: str) -> None:
    """Only the desk shelves, and only by name."""
    assert _shelve(rig, by=by).kind == "command_refused"


def test_a_shelf_needs_a_reason(rig) -> None:
    """Nothing is put aside without a word why; blanks are no word."""
    for text in ("", "  "):
        asked = Command("x1", "shelve", "S1", "page:d1", {**OVER, "minutes": 5}, text)
        (event,) = rig.turn(commands=(asked,)).events
        assert event.data["reasons"] == ["reason_missing"]


def test_a_shelf_may_be_ended_early_by_anybody_at_the_desk(warned, row) -> None:
    """Unshelving is towards safety: at once, and by the one who sits there."""
    _shelve(warned)
    warned.turn()
    key = {"alarm_kind": "pre_alarm", "source": "Z0_H0"}
    answer = warned.command("unshelve", "", origin="local:0", **key)
    assert (answer.kind, answer.data["reason"], answer.data["by"]) == (
        "shelving_ended", "ordered", "local:0",
    )  # fmt: skip
    assert row(warned, AlarmKind.PRE_ALARM, "Z0_H0").state is AlarmState.UNACKNOWLEDGED
    assert warned.command("unshelve", "S2", **key).data["reasons"] == [
        "not_shelved:pre_alarm/Z0_H0"
    ]


@pytest.mark.parametrize("jump_ms", [-1_800_000, 0, 1_800_000])
def test_no_clock_prolongs_a_shelf(warned, jump_ms: int) -> None:
    """A wall clock put back or forth, and a restart, end it at the earlier of the two clocks."""
    until_ms = _shelve(warned, minutes=60).now_ms + 60 * MINUTE_MS
    warned.turn()
    warned.wall_ms += jump_ms
    warned.turn()
    assert warned.state.durable.alarms.shelves["pre_alarm/Z0_H0"].until.ms == (
        until_ms - max(jump_ms, 0)
    )


def test_a_shelf_survives_a_restart_with_what_is_left_of_it(warned, row) -> None:
    """The fold of the ledger holds it; the time that the box was down has passed as well."""
    until_ms = _shelve(warned, minutes=60).now_ms + 60 * MINUTE_MS
    warned.turn()
    assert recover(warned.events) == warned.state.durable
    warned.restart(down_ms=10 * MINUTE_MS)
    assert warned.state.durable.alarms.shelves["pre_alarm/Z0_H0"].until.ms == until_ms
    assert row(warned, AlarmKind.PRE_ALARM, "Z0_H0").state is AlarmState.SHELVED


def test_a_head_out_of_service_and_one_of_a_lost_line(rig, row) -> None:
    """A bypassed head's fault is out of service, a lost line's places are folded into the line."""
    rig.world["Z0_H0"] = Quality.COMM_FAULT
    rig.run(15)
    assert row(rig, AlarmKind.SENSOR_FAULT, "Z0_H0").state is AlarmState.UNACKNOWLEDGED
    rig.approved("bypass", "S4", "S3", point="Z0_H0", minutes=30)
    rig.run(1)
    assert row(rig, AlarmKind.SENSOR_FAULT, "Z0_H0").state is AlarmState.OUT_OF_SERVICE
    rig.command("end_bypass", "S4", point="Z0_H0")
    rig.run(1)
    assert row(rig, AlarmKind.SENSOR_FAULT, "Z0_H0").state is AlarmState.UNACKNOWLEDGED
    for point in rig.mine.points:
        if point.device == "head":
            rig.world[point.id] = Quality.COMM_FAULT
    rig.run(30)
    assert row(rig, AlarmKind.SENSOR_FAULT, "line:gas").state is AlarmState.UNACKNOWLEDGED
    assert row(rig, AlarmKind.SENSOR_FAULT, "Z0_H0").state is AlarmState.SUPPRESSED
    rig.command("acknowledge", "S1", alarms=[row(rig, AlarmKind.SENSOR_FAULT, "line:gas").id])
    rig.world |= dict.fromkeys(("Z0_H1", "Z1_H0", "Z1_H1"), 0)
    rig.run(30)
    assert row(rig, AlarmKind.SENSOR_FAULT, "line:gas").state is AlarmState.LATCHED
    assert row(rig, AlarmKind.SENSOR_FAULT, "Z0_H0").state is AlarmState.UNACKNOWLEDGED
    assert [e.data["held"] for e in rig.of("alarm_held")] == ["remove", "suppress"]
    assert [e.data["held"] for e in rig.of("alarm_restored")] == ["out_of_service", "suppressed"]
    assert recover(rig.events) == rig.state.durable


def test_a_shelf_outranks_a_bypass(rig, row) -> None:
    """One hold at a time, the named one first; when it ends the other takes over."""
    rig.world["Z0_H0"] = Quality.COMM_FAULT
    rig.run(15)
    rig.approved("bypass", "S4", "S3", point="Z0_H0", minutes=30)
    asked = _shelve(rig, "sensor_fault", minutes=1)
    rig.command("approve", "S3", approval=asked.data["approval"])
    rig.run(2)
    assert row(rig, AlarmKind.SENSOR_FAULT, "Z0_H0").state is AlarmState.SHELVED
    rig.run(62, scan_ms=1000)
    assert row(rig, AlarmKind.SENSOR_FAULT, "Z0_H0").state is AlarmState.OUT_OF_SERVICE


def test_a_waiting_second_name_of_another_command_is_no_reason(rig) -> None:
    """The reason of one command never stands for another's."""
    _shelve(rig, "sensor_fault")
    waiting = next(iter(rig.state.durable.approvals.open.values()))
    assert waiting.kind == "shelve"
    asked = Command("other", "shelve", "S1", "page:d1", {**OVER, "minutes": 5}, "")
    (event,) = rig.turn(commands=(asked,)).events
    assert event.data["reasons"] == ["reason_missing"]
