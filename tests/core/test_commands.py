"""Who may do what; what is malformed is refused, never a crash, and each command has one answer."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minewatch.core.desk.approval import APPROVAL_MS
from minewatch.core.desk.commands import ACTS
from minewatch.core.step import step
from minewatch.model.canonical import canonical
from minewatch.model.image import Command, Image
from minewatch.model.mine import Role

CODES = {
    Role.DISPATCHER: "S1",
    Role.MONITORING_OPERATOR: "S2",
    Role.DUTY_LEADER: "S3",
    Role.CHIEF_ENGINEER: "S4",
    Role.MINE_HEAD: "S5",
    Role.FIELD_ENGINEER: "S6",
    Role.GAS_CHECKER: "S7",
    Role.LAMP_ROOM_CLERK: "S8",
    Role.VIEWER: "S9",
}
WORDS = {
    "acknowledge": {"alarms": ["A0"]},
    "close_out": {"alarms": ["A0"], "cause": "x"},
    "silence": {},
    "hand_value": {"point": "Z0_H0", "value": 3},
    "hand_cover": {"point": "Z0_H0", "checker": "S7"},
    "end_hand_cover": {"point": "Z0_H0"},
    "release": {"outputs": ["cut_Z0"]},
    "bypass": {"point": "Z0_H0", "minutes": 5},
    "end_bypass": {"point": "Z0_H0"},
    "calibrate": {"point": "Z0_H0"},
    "extend_calibration": {"point": "Z0_H0"},
    "end_calibration": {"point": "Z0_H0"},
    "cut": {"output": "cut_Z0"},
}
DESK = {Role.DISPATCHER, Role.MONITORING_OPERATOR, Role.DUTY_LEADER}
ENGINEERS = {Role.FIELD_ENGINEER, Role.MONITORING_OPERATOR}
MAY = {
    "acknowledge": DESK,
    "close_out": DESK,
    "silence": set(Role) - {Role.VIEWER},
    "hand_value": {Role.GAS_CHECKER, Role.DISPATCHER},
    "hand_cover": {Role.CHIEF_ENGINEER},
    "end_hand_cover": {Role.CHIEF_ENGINEER},
    "release": {Role.DISPATCHER},
    "bypass": {Role.CHIEF_ENGINEER},
    "end_bypass": {Role.CHIEF_ENGINEER, Role.DUTY_LEADER},
    "calibrate": ENGINEERS,
    "extend_calibration": ENGINEERS,
    "end_calibration": ENGINEERS,
    "cut": {Role.DISPATCHER},
}
LOCAL = {"acknowledge", "silence"}


@pytest.mark.parametrize("kind", WORDS)
@pytest.mark.parametrize("role", CODES)
def test_roles(rig, kind: str, role: Role) -> None:
    """The table of ARCHITECTURE §4, for every command and every role."""
    answer = rig.command(kind, CODES[role], **WORDS[kind])
    refused = "not_permitted" in answer.data.get("reasons", ())
    assert refused is (role not in MAY[kind])


@pytest.mark.parametrize("kind", WORDS)
@pytest.mark.parametrize(
    ("by", "origin", "reason"),
    [("", "local:1000", "name_needed"), ("S4", "local:0", "not_permitted"),
     ("", "page:d1", "name_needed"), ("S99", "page:d1", "unknown_person")],
)  # fmt: skip
def test_only_a_page_names_people(rig, kind: str, by: str, origin: str, reason: str) -> None:
    """The command line acts unnamed and only where that is enough; a name from it is refused."""
    answer = rig.command(kind, by, origin=origin, **WORDS[kind])
    if origin == "local:1000" and kind in LOCAL:
        assert reason not in answer.data.get("reasons", ())
    else:
        assert answer.data["reasons"] == [reason]


@pytest.mark.parametrize("kind", sorted(ACTS))
@pytest.mark.parametrize(
    "arguments",
    [
        {"x": 1},
        {"point": 1},
        {"point": ""},
        {"point": "p" * 200},
        {"outputs": "cut_Z0"},
        {"outputs": []},
        {"outputs": ["cut_Z0", "cut_Z0"]},
        {"alarms": [1]},
        {"point": "Z0_H0", "value": True},
        {"point": "Z0_H0", "value": -1},
        {"point": "Z0_H0", "value": 70_000},
        {"point": {"a": 1}},
        {"config": None},
        {"badge": 3, "approval": []},
        {"zones": [None]},
    ],
)
def test_malformed_arguments_are_refused(rig, kind: str, arguments: dict[str, Any]) -> None:
    """Arguments that are not exactly the named ones of the named types change nothing."""
    before = rig.state.durable
    answer = rig.command(kind, "S1", **arguments)
    assert answer.kind == "command_refused"
    assert answer.data["reasons"] == ["malformed"]
    assert rig.state.durable.interlock == before.interlock
    assert rig.state.durable.withdrawal == before.withdrawal


@pytest.mark.parametrize("kind", ["", "nobody", "approve", "state", "controller_started"])
def test_unknown_kinds(rig, kind: str) -> None:
    """An event's kind is no command; an unknown one is refused by name."""
    assert rig.command(kind, "S1").kind == "command_refused"


def test_the_supervisor_alone_reloads(rig) -> None:
    """`reload` comes from the supervisor; a person on a page or a shell is refused."""
    assert rig.command("reload", "S4", config="c" * 64).data["reasons"] == ["not_permitted"]
    refused = rig.command("reload", "", origin="local:0", config="c" * 64)
    assert refused.data["reasons"] == ["not_permitted"]
    answer = rig.command("reload", "", origin="supervisor", config="c" * 64)
    assert answer.kind == "reload_ordered"


def test_a_second_name_that_comes_at_its_time_is_too_late(rig) -> None:
    """Ten minutes are over for the image that brings the second name as well."""
    asked = rig.command("cut", "S1", output="cut_Z0")
    rig.turn(ms=APPROVAL_MS - 100)
    refused = rig.command("approve", "S3", approval=asked.data["approval"])
    assert refused.data["reasons"] == ["unknown_approval"]
    assert rig.of("approval_expired")
    assert not rig.of("cut_ordered")


def test_the_first_name_is_judged_again_with_the_second(rig) -> None:
    """Who is no longer of the staff orders nothing, whoever seconds it."""
    asked = rig.command("cut", "S1", output="cut_Z0")
    rig.mine = replace(rig.mine, staff=tuple(s for s in rig.mine.staff if s.code != "S1"))
    refused = rig.command("approve", "S3", approval=asked.data["approval"])
    assert refused.data["reasons"] == ["unknown_person"]
    assert not rig.of("cut_ordered")


def test_open_approvals_are_bounded(rig) -> None:
    """At most 32 wait for a second name; the next is refused."""
    for _ in range(32):
        assert rig.command("cut", "S1", output="cut_Z0").kind == "approval_asked"
    assert rig.command("cut", "S1", output="cut_Z0").data["reasons"] == ["too_many"]


def test_a_cut_wants_a_second_person(rig) -> None:
    """Manual cut: any second name but the same person; a viewer's is none."""
    asked = rig.command("cut", "S1", output="cut_Z0")
    for by, reason in (("S1", "same_person"), ("S9", "not_permitted"), ("", "name_needed")):
        refused = rig.command("approve", by, approval=asked.data["approval"])
        assert refused.data["reasons"] == [reason]
    assert rig.command("approve", "S8", approval=asked.data["approval"]).kind == "cut_ordered"
    assert rig.last.outputs["cut_Z0"] is False


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["point", "value", "alarms", "outputs", "output", "approval", "zones", "badge", "checker",
     "minutes", "cause", "config", "withdrawal"]
)  # fmt: skip
ARGUMENTS = st.dictionaries(NAMES | st.text(max_size=6), JSON | st.sampled_from(["Z0_H0"])) | JSON
KINDS = st.sampled_from([*ACTS, "approve"]) | st.text(max_size=8)


@settings(max_examples=300, deadline=None)
@given(kind=KINDS, arguments=ARGUMENTS, by=st.sampled_from(["", *CODES.values(), "x"]), text=JSON)
def test_no_command_can_crash_a_step(mine_in_service, kind, arguments, by, text) -> None:
    """Whatever arrives, the step answers exactly once, in data that a leaf can hold."""
    mine, state, now_ms = mine_in_service
    command = Command("c1", kind, by, "page:d1", arguments, text)
    image = Image(9999, now_ms + 100, 1, True, 10**6, commands=(command,))
    decided = step(mine, state, image)
    answers = [each for each in decided.events if each.data.get("command") == "c1"]
    assert len(answers) == 1
    for event in decided.events:
        canonical(event.data)


@pytest.fixture(scope="module")
def mine_in_service(request):
    """Return a mine, its state after a start, and the time: one for all examples."""
    conftest = request.getfixturevalue("core_tools")
    rig = conftest.Rig(conftest.build_mine()).start()
    return rig.mine, rig.state, rig.now_ms
