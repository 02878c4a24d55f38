"""The kernel's own numbers: indexes, deadlines, the shape of a command, what the disk says."""

from typing import Any

import pytest

from minewatch.core import house, snapshot
from minewatch.core.deadline import Deadline
from minewatch.core.desk import act, approval, commands
from minewatch.core.desk.act import is_id, is_ids, is_integer
from minewatch.core.draft import Draft
from minewatch.core.fold import FOLDS, apply, recover
from minewatch.core.folding import without
from minewatch.core.state import Durable, State
from minewatch.model.event import Event
from minewatch.model.image import Command, Image, Notice


def _event(kind: str, now_ms: int, wall_ms: int, **data: Any) -> Event:
    return Event(kind, 1, 0, now_ms, wall_ms, True, data)


def test_every_event_has_the_index_that_it_is_stored_under(rig: Any) -> None:
    """`emit` returns the number of entries before it; the fold counts each entry once."""
    assert rig.state.durable.index == len(rig.events)
    draft = Draft(rig.mine, rig.state, rig.image)
    first = draft.emit("journal_sealed", "words", chunk=1)
    assert first == len(rig.events)
    assert draft.emit("journal_sealed") == first + 1
    assert draft.durable.index == first + 2
    event = draft.events[0]
    assert (event.version, event.text, event.data) == (1, "words", {"chunk": 1})
    assert (event.cycle, event.now_ms, event.wall_ms, event.wall_trusted) == (
        rig.image.cycle,
        rig.image.now_ms,
        rig.image.wall_ms,
        True,
    )
    assert draft.durable.now_ms == rig.image.now_ms
    assert draft.events[1].text == ""


@pytest.mark.parametrize(("durable_index", "on_disk"), [(4, False), (5, False), (6, True)])
@pytest.mark.parametrize("faulty", [False, True])
def test_on_disk_is_below_what_the_store_has_synced(
    rig: Any, durable_index: int, on_disk: bool, faulty: bool
) -> None:
    """Entry 5 is on disk once six entries are, and never while the ledger has a fault."""
    if faulty:
        rig.turn(notices=(Notice("ledger_fault", "ledger", {}),))
    image = Image(0, rig.now_ms, rig.wall_ms, True, durable_index)
    assert Draft(rig.mine, rig.state, image).is_on_disk(5) is (on_disk and not faulty)


@pytest.mark.parametrize(
    ("now_ms", "wall_ms", "last_ms", "left_ms"),
    [
        (5_000, 65_000, 5_000, 95_000),
        (7_000, 67_000, 5_000, 93_000),
        (5_000, 160_000, 5_000, 0),
        (5_000, 165_000, 5_000, -5_000),
        (100, 65_000, 5_000, 95_000),
        (100, 10_000, 5_000, 95_000),
        (100, 90_000, 5_000, 70_000),
        (200_000, 10_000, 5_000, -100_000),
    ],
)
def test_a_deadline_ends_at_the_earlier_of_two_clocks(
    now_ms: int, wall_ms: int, last_ms: int, left_ms: int
) -> None:
    """What is left is the lesser of both clocks' remainders; neither clock gives time back."""
    before = Deadline(100_000, 160_000)
    after = before.rebased(_event("controller_started", now_ms, wall_ms), last_ms)
    assert after == Deadline(now_ms + left_ms, 160_000)


def test_a_deadline_begins_on_both_clocks() -> None:
    """It is so long after its event on each."""
    assert Deadline.after(_event("x", 5, 70), 10) == Deadline(15, 80)


@pytest.mark.parametrize(
    ("value", "holds"),
    [("x", True), ("x" * 120, True), ("", False), ("x" * 121, False), (5, False), (None, False)],
)
def test_an_id_is_a_text_of_1_to_120(value: Any, holds: bool) -> None:
    """Nothing empty, nothing long, nothing else."""
    assert is_id(value) is holds


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        (["a"], True),
        (("a", "b"), True),
        ([str(n) for n in range(1000)], True),
        ([str(n) for n in range(1001)], False),
        ([], False),
        (["a", "a"], False),
        (["a", ""], False),
        (["", ""], False),
        ("ab", False),
        ({"a"}, False),
    ],
)
def test_ids_are_1_to_1000_different_ones(value: Any, holds: bool) -> None:
    """A list or tuple, each an id, none twice."""
    assert is_ids(value) is holds


@pytest.mark.parametrize(
    ("value", "holds"),
    [(2, True), (5, True), (1, False), (6, False), (True, False), (3.0, False), ("3", False)],
)
def test_an_integer_lies_within_its_bounds(value: Any, holds: bool) -> None:
    """Both bounds belong to it; a bool is no integer here."""
    assert is_integer(2, 5)(value) is holds


def test_an_act_is_for_anybody_and_nothing_more_unless_it_says_so() -> None:
    """The defaults of a row in a table of commands open no door but the plain one."""
    plain = act.Act(do=lambda draft, given: None)
    assert plain.roles == act.ANYONE
    assert (plain.second, plain.local, plain.unnamed) == (None, False, False)
    assert (plain.other_terminal, plain.supervisor) == (False, False)
    assert act.Given(Command("c", "k", "", "", {}, ""), "a").second == ""


LONG = {"id": 120, "kind": 120, "by": 120, "origin": 120, "text": 4_000}


@pytest.mark.parametrize("field", LONG)
@pytest.mark.parametrize("over", [0, 1])
def test_each_word_of_a_command_is_bounded(rig: Any, field: str, over: int) -> None:
    """At its bound a word is read, one letter longer the command is malformed."""
    plain = Command("c", "nothing", "S1", "page:d1", {}, "")
    command = plain._replace(**{field: "x" * (LONG[field] + over)})
    (answer,) = [e for e in rig.turn(commands=(command,)).events if "reasons" in e.data]
    assert answer.data["reasons"] == (["malformed"] if over else ["unknown_command"])
    assert len(answer.data["asked"]) <= 40
    assert answer.data["asked"] == command.kind[:40]
    assert answer.data["by"] == command.by[:40]
    assert answer.data["origin"] == command.origin[:40]
    assert answer.data["command"] == command.id[:120]


@pytest.mark.parametrize(
    "wrong", [{"id": ""}, {"id": 5}, {"by": None}, {"arguments": []}, {"text": None}, {"kind": 7}]
)
def test_what_is_no_command_is_refused_as_malformed(rig: Any, wrong: dict[str, Any]) -> None:
    """One wrong part is enough, whatever the others are."""
    command = Command("c", "silence", "S1", "page:d1", {}, "")._replace(**wrong)
    (answer,) = [e for e in rig.turn(commands=(command,)).events if "reasons" in e.data]
    assert answer.data["reasons"] == ["malformed"]


@pytest.mark.parametrize("arguments", [{}, {"approval": ""}, {"approval": "P1", "more": 1}])
def test_an_approval_names_one_approval_alone(rig: Any, arguments: dict[str, Any]) -> None:
    """Nothing else, nothing more."""
    assert rig.command("approve", "S3", **arguments).data["reasons"] == ["malformed"]


def test_approvals_are_few_and_named_after_their_entry(rig: Any) -> None:
    """32 may wait at a time; each is known by P and the number of its entry."""
    asked = [rig.command("cut", "S1", output="cut_Z0") for _ in range(approval.OPEN_MAX)]
    index = {e.data["approval"]: n for n, e in enumerate(rig.events) if e in asked}
    assert all(name == f"P{n}" for name, n in index.items())
    assert len(index) == 32
    refused = rig.command("cut", "S1", output="cut_Z0")
    assert refused.data["reasons"] == ["too_many"]


@pytest.mark.parametrize(("ms", "expires"), [(599_999, False), (600_000, True)])
def test_an_approval_waits_ten_minutes(rig: Any, ms: int, expires: bool) -> None:
    """And is named, with what it asked for, when nobody came."""
    asked = rig.command("cut", "S1", output="cut_Z0")
    rig.turn(ms=ms)
    expired = [e.data for e in rig.events if e.kind == "approval_expired"]
    assert expired == ([{"approval": asked.data["approval"], "asked": "cut"}] if expires else [])


def test_an_approval_outlives_a_restart_and_a_clock_step_by_no_more_than_its_time(rig: Any) -> None:
    """Both are folded: the wall clock put on by ten minutes ends it at once."""
    for kind in ("controller_started", "clock_stepped"):
        approval_id = rig.command("cut", "S1", output="cut_Z0").data["approval"]
        before = rig.state.durable
        data = {"config": "", "prior": "crash", "run": "", "version": "", "step_ms": 1}
        event = _event(kind, rig.now_ms, rig.wall_ms + 600_000, **data)
        after = apply(before, event).approvals.open[approval_id]
        assert after.until.ms <= rig.now_ms


@pytest.mark.parametrize(("said", "prior"), [({}, "crash"), ({"prior": "clean"}, "clean")])
def test_a_start_that_nobody_explains_is_a_crash(
    rig: Any, said: dict[str, Any], prior: str
) -> None:
    """Unless the ledger is empty: then it is the first. The controller's own word comes first."""
    assert rig.events[0].data["prior"] == "first"
    rig.state = State(durable=rig.state.durable)
    told = (Notice("controller_started", "", {**said, "version": "9", "run": "r"}),)
    rig.turn(notices=told)
    (started,) = [e for e in rig.events[1:] if e.kind == "controller_started"]
    assert (started.data["prior"], started.data["version"]) == (prior, "9")
    assert started.data["run"] == "r"
    assert rig.state.durable.house.prior == prior
    assert rig.state.durable.house.version == "9"


@pytest.mark.parametrize(
    ("step_ms", "stepped"), [(1_000, False), (1_001, True), (-1_000, False), (-1_001, True)]
)
def test_a_clock_step_is_more_than_a_second(rig: Any, step_ms: int, stepped: bool) -> None:
    """Either way, and it says by how much."""
    rig.wall_ms += step_ms
    decided = rig.turn()
    said = [e.data for e in decided.events if e.kind == "clock_stepped"]
    assert said == ([{"step_ms": step_ms}] if stepped else [])


@pytest.mark.parametrize(("ms", "gap"), [(2_000, False), (2_001, True)])
def test_a_gap_is_more_than_two_seconds(rig: Any, ms: int, gap: bool) -> None:
    """After it every value is forgotten and the outputs are proven anew."""
    decided = rig.turn(ms=ms)
    assert [e.data for e in decided.events if e.kind == "time_gap"] == (
        [{"gap_ms": ms}] if gap else []
    )
    assert (decided.outputs is None) is gap
    if gap:
        assert decided.state.volatile.house.prior == "gap"


def test_a_page_is_unheard_after_a_minute(rig: Any) -> None:
    """Once there was one that sounds; at a minute and a millisecond, not before."""
    rig.run(61, scan_ms=1_000)
    assert "sound" not in rig.state.durable.house.faults
    rig.turn(notices=(Notice("console_seen", "", {}),))
    for _ in range(60):
        rig.turn(ms=1_000)
    assert "sound" not in rig.state.durable.house.faults
    rig.turn(ms=1)
    assert "sound" in rig.state.durable.house.faults


EVIDENCE = (
    "journal_sealed",
    "journal_retired",
    "controller_stopping",
    "configuration_loaded",
    "message_sent",
    "message_failed",
)


@pytest.mark.parametrize("kind", EVIDENCE)
def test_a_fact_of_the_house_comes_out_as_its_event(rig: Any, kind: str) -> None:
    """Each with what it says and what it is about; it can be folded."""
    decided = rig.turn(notices=(Notice(kind, "it", {"a": 1, "b": "x"}),))
    (event,) = [e for e in decided.events if e.kind == kind]
    assert event.data == {"a": 1, "b": "x", "subject": "it"}


def test_a_notice_is_cut_to_sixteen_words_of_two_hundred_letters(rig: Any) -> None:
    """More than that, and what a leaf cannot hold, is left out."""
    data = {f"k{n:02}": "x" * 201 for n in range(17)}
    decided = rig.turn(notices=(Notice("journal_sealed", "s" * 121, data),))
    (event,) = [e for e in decided.events if e.kind == "journal_sealed"]
    assert len(event.data) == 17
    assert set(event.data) == {f"k{n:02}" for n in range(16)} | {"subject"}
    assert {len(value) for key, value in event.data.items() if key != "subject"} == {200}
    assert len(event.data["subject"]) == 120
    odd = rig.turn(notices=(Notice("journal_sealed", "", {"f": 1.5, "l": [1], "n": None}),))
    assert odd.events[0].data == {"n": None, "subject": ""}


def test_every_kind_that_the_house_says_is_folded() -> None:
    """What is evidence alone is folded by changing nothing but the count."""
    for kind in (*EVIDENCE, *house._EVIDENCE, "command_refused", "reload_ordered", "time_gap"):
        assert kind in FOLDS
    before = Durable()
    for kind in ("journal_retired", "message_sent", "message_failed", "time_gap", "reload_ordered"):
        after = apply(before, _event(kind, 7, 7))
        assert (after.index, after.now_ms) == (1, 7)
        assert after.house == before.house


def test_an_empty_ledger_recovers_to_nothing() -> None:
    """No events, no state; and one plain event is folded from there."""
    assert recover([]) == Durable()
    assert (Durable().index, Durable().now_ms, Durable().house.state_index) == (0, 0, 0)
    assert recover([_event("journal_sealed", 7, 7)]).index == 1


def test_a_table_without_keys_keeps_the_others() -> None:
    """Several keys at once, some of them not there."""
    assert without({"a": 1, "b": 2, "c": 3}, "a", "c", "z") == {"b": 2}


def test_a_snapshot_is_told_where_it_stands(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry that holds the state is known by its own index."""
    monkeypatch.setattr(snapshot, "EVENTS_MAX", 1)
    decided = rig.turn(readings={"Z0_H0": 160})
    assert decided.events[-1].kind == "state"
    assert rig.events[rig.state.durable.house.state_index].kind == "state"


def test_commands_of_every_room_are_in_one_table() -> None:
    """No kind of command stands in two rooms."""
    assert {"cut", "release", "calibrate", "silence", "withdraw"} <= commands.ACTS.keys()
    assert commands.TEXT_LENGTH_MAX == 4_000
