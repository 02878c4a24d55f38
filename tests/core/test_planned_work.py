"""Planned work (报备): who may announce and start it, what it labels, and its end."""

import json
from dataclasses import replace

import pytest

from minewatch.core.alarms.alarm import is_active
from minewatch.core.desk import planned_work
from minewatch.core.desk.planned_work import ACKNOWLEDGES_MS, OPEN_MAX
from minewatch.core.draft import Draft
from minewatch.core.fold import recover
from minewatch.core.snapshot import durable_from_json, durable_to_json
from minewatch.core.state import State
from minewatch.core.view import view
from minewatch.mine.rules.acts import load_acts
from minewatch.model.acts import Acts
from minewatch.model.alarm import AlarmKind
from minewatch.model.canonical import canonical
from minewatch.model.image import Command, Notice
from minewatch.model.mine import Handover, Person, Upload

UPLOAD = (Upload("county", "mqtt://127.0.0.1:1883"),)
MINUTE_MS = 60_000
WORDS = {"work": "blasting", "applicant": "S6", "minutes": 30, "zones": ["Z0"]}


@pytest.fixture
def told(rig_of, mine_of):
    """Return a rig of a mine with an upload and the shipped rules."""
    return rig_of(
        mine_of(
            uploads=UPLOAD,
            acts=load_acts(),
            people=(Person("P1", "", "B1"), Person("P2", "", "B2")),
        )
    ).start()


def _give(rig, **words) -> str:
    answer = rig.command("notice", "S6", **{**WORDS, **words})
    assert answer.kind == "notice_given", answer.data
    return answer.data["notice"]


def _acknowledge(rig, index=None) -> None:
    """Let the publisher say how much of the ledger the broker has."""
    reached = rig.state.durable.index if index is None else index
    rig.turn(notices=(Notice("upload_acknowledged", "upload", {"index": reached}),))


def _run(rig, **words) -> str:
    """Announce, acknowledge and start work."""
    notice = _give(rig, **words)
    _acknowledge(rig)
    answer = rig.command("start_work", "S6", notice=notice)
    assert answer.kind == "work_started", answer.data
    rig.turn()
    return notice


def _refused(answer) -> list[str]:
    assert answer.kind == "command_refused", answer.kind
    return answer.data["reasons"]


@pytest.mark.parametrize(
    ("words", "reasons"),
    [
        ({}, []),
        ({"zones": [], "points": ["Z0_H0"]}, None),
        ({"work": "dancing"}, ["unknown_work:dancing"]),
        ({"zones": ["Z9"]}, ["unknown_zone:Z9"]),
        ({"points": ["Z9_H0"]}, ["unknown_point:Z9_H0"]),
        ({"applicant": "X"}, ["not_a_person:X"]),
        ({"caller": "X"}, ["not_a_person:X"]),
        ({"applicant": "P1", "caller": "S1"}, []),
        ({"minutes": 120}, []),
        ({"minutes": 121}, ["window_too_long:120"]),
        ({"in_minutes": 1440}, []),
        ({"in_minutes": 1441}, ["too_far_ahead:1440"]),
        ({"minutes": 2880}, ["window_too_long:120"]),
        ({"minutes": 0}, ["malformed"]),
        ({"minutes": 2881}, ["malformed"]),
        ({"in_minutes": -1}, ["malformed"]),
        ({"in_minutes": 2881}, ["malformed"]),
    ],
)
def test_what_a_notice_may_say(told, words, reasons) -> None:
    """Kind, place, people and window are checked against the rules, each at its bound."""
    answer = told.command("notice", "S6", **{**WORDS, **words})
    if reasons is None:
        assert answer.data["reasons"] == ["malformed"]
    elif reasons:
        assert _refused(answer) == reasons
    else:
        assert answer.kind == "notice_given"
        assert answer.data["caller"] == words.get("caller", "S6")


def test_a_notice_needs_a_place(told) -> None:
    """A window without zone or point would label the whole mine or nothing."""
    words = {key: value for key, value in WORDS.items() if key != "zones"}
    assert _refused(told.command("notice", "S6", **words)) == ["place_missing"]
    answer = told.command("notice", "S6", **words, points=["Z0_H1", "Z0_H0"])
    assert (answer.data["points"], answer.data["zones"]) == (["Z0_H0", "Z0_H1"], [])


def test_open_notices_are_bounded(told) -> None:
    """At most 64 are open; the next is refused."""
    assert (OPEN_MAX, planned_work.MINUTES_MAX, planned_work.CALL_MINUTES_MAX) == (64, 2880, 120)
    assert ACKNOWLEDGES_MS == 120_000
    for _ in range(OPEN_MAX):
        _give(told)
    assert _refused(told.command("notice", "S6", **WORDS)) == ["too_many"]


def test_it_starts_once_the_broker_has_it(told) -> None:
    """Refused until the broker has the very entry; then a named person starts it, once."""
    notice = _give(told)
    index = told.state.durable.works.open[notice].index
    assert _refused(told.command("start_work", "S6", notice=notice)) == ["not_acknowledged"]
    _acknowledge(told, index)
    assert _refused(told.command("start_work", "S6", notice=notice)) == ["not_acknowledged"]
    _acknowledge(told, index + 1)
    _acknowledge(told, index + 2)
    assert len(told.of("notice_acknowledged")) == 1
    started = told.command("start_work", "S6", notice=notice)
    assert (started.data["how"], started.data["work"]) == ("acknowledged", "blasting")
    assert told.state.durable.works.open[notice].started_by == "S6"
    assert _refused(told.command("start_work", "S6", notice=notice)) == ["already_started"]
    for kind in ("start_work", "end_work"):
        assert _refused(told.command(kind, "S6", notice="N9")) == ["unknown_notice:N9"]


@pytest.mark.parametrize("said", [None, "9", True, 9.0, [9]])
def test_only_a_count_acknowledges(told, said) -> None:
    """Whatever is no whole number says nothing: neither an answer nor a sign of life."""
    notice = _give(told)
    told.turn(notices=(Notice("upload_acknowledged", "upload", {"index": said}),))
    told.turn(notices=(Notice("upload_restored", "upload", {"index": 10**6}),))
    assert not told.state.durable.works.open[notice].acknowledged
    assert told.state.volatile.works.heard_ms is None


def _call(rig, notice: str, text: str = "县调度 王", by: str = "S1", ms: int = 100, **words):
    command = Command(
        "call", "record_call", by, "page:d1", {"notice": notice, "caller": "S1", **words}, text
    )
    decided = rig.turn(commands=(command,), ms=ms)
    (answer,) = [each for each in decided.events if each.data.get("command") == "call"]
    return answer


def test_a_call_stands_in_while_the_upload_is_down(told) -> None:
    """With the link down a recorded call starts the work; who answered is text, not in the leaf."""
    told.turn(notices=(Notice("upload_lost", "upload", {}),))
    notice = _give(told)
    answer = _call(told, notice, minutes_ago=120)
    assert (answer.kind, answer.data["minutes_ago"]) == ("notice_called", 120)
    assert (answer.text, "县" in answer.leaf().decode()) == ("县调度 王", False)
    started = told.command("start_work", "S6", notice=notice)
    assert started.data["how"] == "called"


def test_what_a_call_needs(told) -> None:
    """A caller whom we know, somebody who answered, a notice that nobody has acknowledged."""
    notice = _give(told)
    assert _refused(_call(told, "N9")) == ["unknown_notice:N9"]
    assert _refused(_call(told, notice, text=" \n")) == ["callee_missing"]
    assert _refused(_call(told, notice, caller="X")) == ["not_a_person:X"]
    assert _refused(_call(told, notice, minutes_ago=121)) == ["malformed"]
    assert _call(told, notice).data["minutes_ago"] == 0
    _acknowledge(told)
    assert _refused(_call(told, notice)) == ["already_acknowledged"]


def test_a_call_is_no_way_round_an_upload_that_lives(told) -> None:
    """Refused while the broker answered within two minutes and no fault of the upload stands."""
    _acknowledge(told, 0)
    notice = _give(told)
    assert _refused(_call(told, notice)) == ["upload_is_up"]
    told.turn(notices=(Notice("upload_lost", "upload", {}),))
    told.turn(notices=(Notice("upload_restored", "upload", {}),))
    heard_ms = told.state.volatile.works.heard_ms
    assert _refused(_call(told, notice, ms=heard_ms + ACKNOWLEDGES_MS - 1 - told.now_ms)) == [
        "upload_is_up"
    ]
    assert _call(told, notice, ms=1).kind == "notice_called"


def test_a_fault_of_the_upload_is_enough_for_a_call(told) -> None:
    """The link that was lost a second ago is down, however lately it answered."""
    _acknowledge(told, 0)
    told.turn(notices=(Notice("upload_lost", "upload", {}),))
    assert _call(told, _give(told)).kind == "notice_called"


def test_a_mine_without_an_upload_announces_by_telephone(rig_of, mine_of) -> None:
    """Nothing can acknowledge there; an answer that comes all the same counts."""
    rig = rig_of(mine_of(acts=load_acts())).start()
    _acknowledge(rig, 0)
    notice = _give(rig)
    assert _refused(rig.command("start_work", "S6", notice=notice)) == ["not_acknowledged"]
    assert _call(rig, notice).kind == "notice_called"


def test_the_window_has_two_ends(told) -> None:
    """Not before it begins, to the millisecond; gone at its end, started or not."""
    notice = _give(told, in_minutes=1, minutes=1)
    given_ms = told.now_ms
    _acknowledge(told)
    told.turn(ms=given_ms + MINUTE_MS - 2 - told.now_ms)
    for answer in ("command_refused", "work_started"):
        command = Command(answer, "start_work", "S6", "page:d1", {"notice": notice}, "")
        (decided,) = told.turn(commands=(command,), ms=1).events
        assert decided.kind == answer
        assert decided.data.get("reasons", ["not_yet"]) == ["not_yet"]
    other = _give(told, minutes=1)
    told.turn(ms=given_ms + 2 * MINUTE_MS - 1 - told.now_ms)
    assert notice in told.state.durable.works.open
    told.turn(ms=1)
    assert set(told.state.durable.works.open) == {other}
    told.run(61)
    ended = {e.data["notice"]: e.data for e in told.of("work_ended")}
    assert ended[notice] == {
        "by": "", "notice": notice, "reason": "expired", "started": True, "work": "blasting",
    }  # fmt: skip
    assert (ended[other]["reason"], ended[other]["started"]) == ("expired", False)


def test_it_ends_by_order(told) -> None:
    """Ended by who says so; what never ran is cancelled."""
    running, waiting = _run(told), _give(told)
    for notice, reason in ((running, "ended"), (waiting, "cancelled")):
        answer = told.command("end_work", "S1", notice=notice)
        assert (answer.kind, answer.data["reason"], answer.data["by"]) == (
            "work_ended",
            reason,
            "S1",
        )
    assert not told.state.durable.works.open


@pytest.mark.parametrize(
    ("words", "planned"),
    [
        ({"zones": ["Z0"]}, {"Z0_H0": True, "Z0_H1": True, "Z1_H0": False}),
        ({"zones": ["mine"]}, {"Z0_H0": True, "Z0_H1": True, "Z1_H0": True}),
        ({"points": ["Z0_H1"]}, {"Z0_H0": False, "Z0_H1": True, "Z1_H0": False}),
    ],
)
def test_alarms_in_the_window_are_labelled_never_suppressed(told, words, planned) -> None:
    """Every alarm, cut and withdrawal comes as ever; those of the announced place say 计划性."""
    base = {key: value for key, value in WORDS.items() if key != "zones"}
    answer = told.command("notice", "S6", **base, **words)
    _acknowledge(told)
    told.command("start_work", "S6", notice=answer.data["notice"])
    told.turn()
    told.turn(readings=dict.fromkeys(planned, 160))
    for point, label in planned.items():
        found = [e.data for e in told.of("alarm_raised") if e.data["source"] == point]
        assert {"pre_alarm", "gas_over_limit", "trip", "withdraw"} == {
            each["alarm_kind"] for each in found
        }
        assert {each["planned"] for each in found} == {label}
        assert f"trip:{point}" in told.causes
    assert told.last.outputs["cut_Z0"] is False
    shown = view(told.mine, told.state, told.now_ms)["alarms"].values()
    assert {each["source"]: each["planned"] for each in shown if each["kind"] == "trip"} == planned


def test_a_label_needs_a_running_notice_on_disk(told) -> None:
    """Announced is not started, and started is not in force before it is on disk."""
    notice = _give(told)
    _acknowledge(told)
    told.turn(readings={"Z0_H0": 85})
    told.disk_stands = True
    told.command("start_work", "S6", notice=notice)
    told.turn(readings={"Z0_H1": 85})
    told.disk_stands = False
    told.turn(readings={"Z0_H1": 105})
    labels = [each.data["planned"] for each in told.of("alarm_raised")]
    assert labels == [False, False, True]


def test_each_work_labels_its_own_places(told) -> None:
    """Two notices run at once: either is enough for an alarm of its place, none for others."""
    first, second = _run(told, zones=["Z1"]), _run(told, points=["Z0_H0"], zones=["Z1"])
    assert {first[0], second[0]} == {"N"}
    told.turn(readings={"Z0_H0": 85, "Z0_H1": 85, "Z1_H0": 85})
    labels = {each.data["source"]: each.data["planned"] for each in told.of("alarm_raised")}
    assert labels == {"Z0_H0": True, "Z0_H1": False, "Z1_H0": True}


def test_a_label_follows_each_raise(told) -> None:
    """An alarm that comes again after the work has ended is planned no longer."""
    notice = _run(told)
    told.turn(readings={"Z0_H0": 85})
    told.turn(readings={"Z0_H0": 10})
    told.command("end_work", "S6", notice=notice)
    told.run(10)
    told.turn(readings={"Z0_H0": 85})
    alarms = told.state.durable.alarms
    standing = alarms.items[alarms.standing["pre_alarm/Z0_H0"]]
    assert not standing.planned


KINDS = {
    "calibration": True, "head_move": True, "power_work": True, "blasting": False,
    "gas_release": False, "unsealing": False, "hot_work": False,
}  # fmt: skip
"""Which works may run while the mine's total is outside its limit (practice 20)."""


@pytest.mark.parametrize("work", KINDS)
def test_the_shift_change(rig_of, mine_of, work: str) -> None:
    """In the handover window some kinds do not start, and those that run end with its beginning."""
    mine = mine_of(
        uploads=UPLOAD, acts=load_acts(), handover=Handover(starts=("06:15",), minutes=60)
    )
    rig = rig_of(mine).start()
    running, waiting = _run(rig, work=work), _give(rig, work=work)
    _acknowledge(rig)
    rig.run(60, scan_ms=1000)
    assert running in rig.state.durable.works.open
    rig.run(40, scan_ms=1000)
    assert rig.of("handover_started")
    assert (running in rig.state.durable.works.open) is KINDS[work]
    if not KINDS[work]:
        ended = rig.of("work_ended")[-1].data
        assert (ended["reason"], ended["by"]) == ("handover", "")
    assert waiting in rig.state.durable.works.open
    answer = rig.command("start_work", "S6", notice=waiting)
    assert answer.kind == ("work_started" if KINDS[work] else "command_refused")
    if not KINDS[work]:
        assert answer.data["reasons"] == ["in_handover"]


def test_a_kind_that_the_rules_lost_does_not_run_in_the_shift_change(told) -> None:
    """Nobody knows whether it may: it may not."""
    mine, people = told.mine, told.state.volatile.people
    for handover in (False, True):
        volatile = replace(told.state.volatile, people=replace(people, handover=handover))
        draft = Draft(mine, replace(told.state, volatile=volatile), told.image)
        assert planned_work._in_handover(draft, "dancing") is handover


def test_windows_after_a_restart(told) -> None:
    """They survive; after a reboot they begin no earlier and end no later than a clock says."""
    notice = _give(told, in_minutes=10, minutes=30)
    before = told.state.durable.works.open[notice]
    told.restart(down_ms=5_000)
    assert told.state.durable.works.open[notice] == before
    now_ms = told.now_ms
    told.now_ms = 1_000
    told.wall_ms += 60_000
    told.restart(down_ms=0)
    after = told.state.durable.works.open[notice]
    left_ms = before.until.ms - now_ms
    assert told.now_ms + left_ms - 60_000 == after.until.ms
    assert after.begins.ms - told.now_ms == before.begins.ms - now_ms
    assert after.until.wall_ms == before.until.wall_ms


def test_a_clock_set_on_ends_windows_and_begins_none(told) -> None:
    """A wall clock an hour on: what has run out by it is over, what had not begun still waits."""
    running, waiting = _run(told), _give(told, in_minutes=50, minutes=60)
    begins = told.state.durable.works.open[waiting].begins
    told.wall_ms += 40 * MINUTE_MS
    told.turn()
    told.turn()
    assert running not in told.state.durable.works.open
    assert told.state.durable.works.open[waiting].begins == begins


def test_they_survive_as_json(told) -> None:
    """The snapshot holds every notice, and folding the ledger gives the same."""
    _run(told)
    _give(told, in_minutes=5)
    durable = told.state.durable
    assert durable_from_json(json.loads(canonical(durable_to_json(durable)))) == durable
    assert recover(told.events) == durable


def test_what_a_watcher_sees(told) -> None:
    """Every open notice with its window, its answers and who started it."""
    notice = _run(told, in_minutes=0, minutes=5, points=["Z1_H0"], caller="S1")
    work = told.state.durable.works.open[notice]
    assert view(told.mine, told.state, told.now_ms)["notices"] == {
        notice: {
            "work": "blasting", "zones": ["Z0"], "points": ["Z1_H0"], "applicant": "S6",
            "caller": "S1", "by": "S6", "begins_ms": work.begins.ms, "until_ms": work.until.ms,
            "acknowledged": True, "called": False, "started_by": "S6",
        }
    }  # fmt: skip
    assert work.until.ms - work.begins.ms == 5 * MINUTE_MS


ROLES = {"S1", "S2", "S3", "S4", "S6"}


@pytest.mark.parametrize("code", [f"S{n}" for n in range(1, 10)])
def test_who_may(told, code: str) -> None:
    """Desk, field and chief engineer announce, start and end; a call is the desk's to record."""
    notice = _give(told)
    for kind in ("notice", "start_work", "end_work"):
        words = WORDS if kind == "notice" else {"notice": notice}
        refused = "not_permitted" in told.command(kind, code, **words).data.get("reasons", ())
        assert refused is (code not in ROLES), kind
        if kind == "end_work" and not refused:
            notice = _give(told)
    answer = _call(told, _give(told), by=code)
    assert (answer.kind == "notice_called") is (code in {"S1", "S2", "S3"})


def test_a_head_is_calibrated_once_that_is_announced(told) -> None:
    """With an upload a calibration needs its own running notice over the head or its zone."""
    assert _refused(told.command("calibrate", "S6", point="Z0_H0")) == ["notice_missing"]
    _run(told, work="blasting")
    assert _refused(told.command("calibrate", "S6", point="Z0_H0")) == ["notice_missing"]
    _give(told, work="calibration")
    assert _refused(told.command("calibrate", "S6", point="Z0_H0")) == ["notice_missing"]
    _run(told, work="calibration", zones=["Z1"])
    assert _refused(told.command("calibrate", "S6", point="Z0_H0")) == ["notice_missing"]
    _run(told, work="calibration")
    assert told.command("calibrate", "S6", point="Z0_H0").kind == "calibration_started"


@pytest.mark.parametrize(("uploads", "acts"), [((), load_acts()), (UPLOAD, Acts()), ((), Acts())])
def test_where_nobody_is_to_be_told(rig_of, mine_of, uploads, acts) -> None:
    """Without an upload, or under a configuration of older rules, a head is calibrated as ever."""
    rig = rig_of(mine_of(uploads=uploads, acts=acts)).start()
    assert rig.command("calibrate", "S6", point="Z0_H0").kind == "calibration_started"


def test_a_blast_with_a_peak_of_gas(told) -> None:
    """Blasting is announced, gas peaks: alarm, cut and withdrawal as ever, labelled as planned."""
    _run(told, work="blasting")
    told.world["Z0_H0"] = 155
    told.run(3)
    assert is_active(told.state.durable, AlarmKind.WITHDRAW, "Z0_H0")
    assert told.state.durable.withdrawal.standing is not None
    assert not any(
        each.data["planned"] for each in told.of("alarm_raised") if each.data["source"] == "Z1_H0"
    )
    assert State(recover(told.events)).durable == told.state.durable
