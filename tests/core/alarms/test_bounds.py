"""Times and bounds of alarms to the millisecond and to the one: limits at -1, 0 and +1."""

from dataclasses import replace

import pytest

from minewatch.core.alarms import alarm
from minewatch.core.alarms.alarm import AlarmsDurable
from minewatch.model.alarm import AlarmKind, AlarmState

MINUTE_MS = 60_000


@pytest.mark.parametrize(("after_ms", "first"), [(9_999, False), (10_000, False), (10_001, True)])
def test_a_first_out_stands_for_ten_seconds(rig, after_ms: int, first) -> None:
    """The next alarm of a zone is a first-out again only beyond ten seconds."""
    rig.turn(readings={"Z0_H0": 120})
    rig.turn(ms=after_ms, readings={"Z0_H1": 120})
    (raised,) = [
        e for e in rig.of("alarm_raised")
        if e.data["source"] == "Z0_H1" and e.data["alarm_kind"] == "gas_over_limit"
    ]  # fmt: skip
    assert raised.data["first_out"] is first


@pytest.mark.parametrize("kind", [AlarmKind.PRE_ALARM, AlarmKind.COMPARISON])
def test_a_warning_is_never_a_first_out(rig, draft_of, kind: AlarmKind) -> None:
    """It neither is one nor takes the place of the one that follows."""
    draft = draft_of(rig)
    alarm.raise_(draft, kind, "Z0_H0", zone="Z0")
    alarm.raise_(draft, AlarmKind.LOW, "Z0_H0", zone="Z0")
    assert [e.data["first_out"] for e in draft.events] == [False, True]


@pytest.mark.parametrize(("gone", "dropped"), [(499, 0), (500, 0), (501, 1)])
def test_gone_alarms_wait_in_bounded_number(
    rig, draft_of, alarm_of, gone: int, dropped: int
) -> None:
    """At most 500 wait for their close-out; the one that went longest ago gives way."""
    draft = draft_of(rig)
    items = {f"G{n}": alarm_of(AlarmState.NORMAL, id=f"G{n}", raised_ms=n) for n in range(gone)}
    draft.durable = replace(draft.durable, alarms=AlarmsDurable(items))
    alarm.raise_(draft, AlarmKind.LOW, "Z0_H1")
    said = [e.data for e in draft.events if e.kind == "alarm_dropped"]
    assert said == [{"alarm": "G0", "alarm_kind": "sensor_fault", "source": "Z0_H0"}] * dropped


@pytest.mark.parametrize(("after_ms", "said"), [(-1, 0), (0, 1), (1, 1)])
def test_a_standing_trip_is_said_again_after_a_quarter_of_an_hour(rig, after_ms, said) -> None:
    """Acknowledged and standing: a reminder to the millisecond."""
    rig.turn(readings={"Z0_H0": 155})
    raised_ms = rig.now_ms
    rig.command("acknowledge", "S1", alarms=sorted(rig.state.durable.alarms.items))
    rig.turn(ms=raised_ms + 15 * MINUTE_MS + after_ms - rig.now_ms)
    reminded = [e.data["source"] for e in rig.of("reminded")]
    assert reminded == ["Z0_H0"] * said


@pytest.mark.parametrize(("after_ms", "sounds"), [(-1, False), (0, True), (1, True)])
def test_a_silence_ends_by_itself(rig, after_ms: int, sounds) -> None:
    """After 120 s to the millisecond the horn sounds on."""
    rig.turn(readings={"Z0_H0": 155})
    rig.world["Z0_H0"] = 155
    rig.run(65, scan_ms=500)
    silenced = rig.command("silence", "", origin="local:7")
    assert silenced.data["by"] == "local:7"
    assert silenced.data["until_ms"] == silenced.now_ms + 120_000
    while rig.now_ms + 1_000 < silenced.data["until_ms"]:
        rig.turn(ms=1_000, scan=True)
        assert rig.state.volatile.alarms.horn is False
    rig.turn(ms=silenced.data["until_ms"] + after_ms - rig.now_ms)
    assert rig.state.volatile.alarms.horn is sounds


@pytest.mark.parametrize(
    ("by", "origin", "who"), [("S1", "page:d1", "S1"), ("", "local:7", "local:7")]
)
def test_who_acknowledged_is_kept(rig, by: str, origin: str, who: str) -> None:
    """The name, or the account of this machine; a later one changes nothing of it."""
    rig.turn(readings={"Z0_H0": 120})
    ids = sorted(rig.state.durable.alarms.items)
    rig.command("acknowledge", by, origin=origin, alarms=ids)
    rig.command("acknowledge", "S3", alarms=ids)
    assert {each.acknowledged_by for each in rig.state.durable.alarms.items.values()} == {who}


def test_acts_on_an_alarm_that_is_not_there(rig) -> None:
    """Every unknown one is named, and nothing is done to the others."""
    rig.turn(readings={"Z0_H0": 120})
    known = sorted(rig.state.durable.alarms.items)[0]
    for kind, more in (("acknowledge", {}), ("close_out", {"cause": "x"})):
        answer = rig.command(kind, "S1", alarms=["A9998", known, "A9999"], **more)
        assert answer.data["reasons"] == ["unknown_alarm:A9998", "unknown_alarm:A9999"]
    item = rig.state.durable.alarms.items[known]
    assert (item.acknowledged_by, item.closed) == ("", False)


@pytest.mark.parametrize(
    ("kind", "local"), [("acknowledge", True), ("silence", True), ("close_out", False)]
)
def test_what_this_machine_may_do_without_a_name(rig, kind: str, local) -> None:
    """Sound only: a cause and a measure take a name."""
    rig.turn(readings={"Z0_H0": 120})
    ids = sorted(rig.state.durable.alarms.items)
    said = {
        "acknowledge": {"alarms": ids},
        "silence": {},
        "close_out": {"alarms": ids, "cause": "x"},
    }
    answer = rig.command(kind, "", origin="local:7", **said[kind])
    assert (answer.kind != "command_refused") is local


@pytest.mark.parametrize(
    ("kind", "values", "peak"),
    [
        (AlarmKind.TRIP, (150, 170, 160), 170),
        (AlarmKind.LOW, (18, 15, 17), 15),
        (AlarmKind.TRIP, (None, 160, None), 160),
        (AlarmKind.TRIP, (160, None), 160),
        (AlarmKind.OVER_RANGE, (None, None), None),
    ],
)
def test_the_furthest_value_is_kept(rig, draft_of, kind, values, peak) -> None:
    """The highest of a rise, the lowest of a fall; a value that is none changes nothing."""
    draft = draft_of(rig)
    for value in values:
        alarm.raise_(draft, kind, "Z0_H0", value=value)
    assert len(draft.events) == 1
    alarm.clear(draft, kind, "Z0_H0")
    assert draft.events[-1].data["peak"] == peak
    assert draft.volatile.alarms.peaks == {}


def test_clearing_what_does_not_stand_says_nothing(rig, draft_of) -> None:
    """Neither an alarm that never was nor one that has returned clears again."""
    draft = draft_of(rig)
    alarm.clear(draft, AlarmKind.LOW, "Z0_H0")
    alarm.raise_(draft, AlarmKind.LOW, "Z0_H0")
    for _ in range(2):
        alarm.clear(draft, AlarmKind.LOW, "Z0_H0")
    assert [e.kind for e in draft.events] == ["alarm_raised", "alarm_cleared"]
    assert draft.events[-1].data["duration_ms"] == 0


def test_the_first_raise_is_the_first_occurrence(rig, draft_of) -> None:
    """Each raise before anybody answered is one more; a new instance has climbed no step."""
    draft = draft_of(rig)
    for _ in range(2):
        alarm.raise_(draft, AlarmKind.LOW, "Z0_H0")
        alarm.clear(draft, AlarmKind.LOW, "Z0_H0")
    counts = [e.data["occurrences"] for e in draft.events if e.kind == "alarm_raised"]
    assert counts == [1, 2]
    item = alarm.find(draft.durable, AlarmKind.LOW, "Z0_H0")
    assert (item.step, item.stepped_ms, item.told, item.occurrences) == (0, 0, (), 2)
    alarm.raise_(draft, AlarmKind.LOW, "Z0_H1")
    assert alarm.find(draft.durable, AlarmKind.LOW, "Z0_H1").occurrences == 1
