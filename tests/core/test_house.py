"""The house's own facts: each said once when it begins and once when it ends."""

import pytest

from minewatch.core.alarms.alarm import is_active
from minewatch.model.alarm import AlarmKind
from minewatch.model.image import Notice


def _say(rig, kind: str, subject: str = "", **data) -> list[str]:
    first = len(rig.events)
    rig.turn(notices=(Notice(kind, subject, data),))
    return rig.kinds(first)


@pytest.mark.parametrize(
    ("begins", "ends", "subject", "alarmed"),
    [
        ("ledger_fault", "ledger_restored", "ledger", True),
        ("journal_fault", "journal_restored", "journal", True),
        ("cycle_overrun", "cycle_restored", "controller", True),
        ("upload_lost", "upload_restored", "upload", True),
        ("bus_lost", "bus_restored", "gas", False),
    ],
)
def test_each_failure_is_said_once(rig, begins, ends, subject, *, alarmed: bool) -> None:
    """Repeated notices of one failure are one event; its end is one event."""
    assert _say(rig, begins, subject, error="x")[:1] == ["house_fault"]
    assert _say(rig, begins, subject, error="y") == []
    family = begins.rpartition("_")[0]
    assert is_active(rig.state.durable, AlarmKind.SYSTEM_FAULT, family) is alarmed
    assert _say(rig, ends, subject)[:1] == ["house_restored"]
    assert _say(rig, ends, subject) == []
    assert not is_active(rig.state.durable, AlarmKind.SYSTEM_FAULT, family)


def test_two_lines_are_two_failures(rig) -> None:
    """Lines are told apart by their id."""
    _say(rig, "bus_lost", "gas")
    assert _say(rig, "bus_lost", "fan") == ["house_fault"]
    assert set(rig.state.durable.house.faults) == {"bus:gas", "bus:fan"}


def test_faults_do_not_outlive_the_process(rig) -> None:
    """A new run has seen no failure yet; what still fails is said again."""
    _say(rig, "ledger_fault", "ledger")
    rig.restart()
    assert not rig.state.durable.house.faults
    assert not is_active(rig.state.durable, AlarmKind.SYSTEM_FAULT, "ledger")


def test_sealed_chunks_are_evidence(rig) -> None:
    """A sealed journal chunk comes out as an event with its hashes, without floats."""
    said = {"chunk": 7, "sha256": "a" * 64, "digest": "b" * 64, "cycles": 600, "bad": 1.5}
    assert _say(rig, "journal_sealed", "", **said) == ["journal_sealed"]
    data = rig.events[-1].data
    assert (data["chunk"], data["cycles"], data["sha256"]) == (7, 600, "a" * 64)
    assert "bad" not in data


def test_an_unknown_notice_changes_nothing(rig) -> None:
    """A notice of a kind that this version does not know is no decision."""
    assert _say(rig, "whatever", "x", a=1) == []


@pytest.mark.parametrize(("step_ms", "said"), [(900, 0), (-900, 0), (1100, 1), (-3_600_000, 1)])
def test_clock_steps_are_seen_from_the_image(rig, step_ms: int, said: int) -> None:
    """A wall clock that moves against the monotonic one by more than a second is an event."""
    rig.wall_ms += step_ms
    rig.turn()
    events = rig.of("clock_stepped")
    assert [each.data["step_ms"] for each in events] == [step_ms] * said


def test_wall_clock_shifts_change_no_output_and_no_delay(rig_of, mine_of) -> None:
    """I20: the same run under a jumping wall clock decides the same outputs at the same cycles."""
    tables = []
    for jump_ms in (0, 3_600_000, -86_400_000):
        rig = rig_of(mine_of()).start()
        shown = []
        for second in range(40):
            if second % 7 == 3:
                rig.wall_ms += jump_ms
            value = 155 if 10 <= second < 15 else 0
            shown.append(dict(rig.turn(ms=1000, scan=True, readings={"Z0_H0": value}).outputs))
        tables.append(shown)
    assert tables[0] == tables[1] == tables[2]


def test_a_flood_of_faults_never_hides_a_failing_ledger(rig) -> None:
    """Beyond the bound of faults the ledger's own still stands and still holds releases."""
    rig.turn(notices=tuple(Notice("device_lost", f"d{n}", {}) for n in range(400)))
    assert _say(rig, "ledger_fault", "ledger")[:1] == ["house_fault"]
    assert "ledger" in rig.state.durable.house.faults
    assert len(rig.state.durable.house.faults) == 257


def test_a_clock_that_is_vouched_for_or_no_longer_is_said(rig) -> None:
    """Each change of trust is one event; nothing is said while it stays."""
    for trusted in (False, False, True, True):
        rig.wall_trusted = trusted
        rig.turn()
    assert [each.data["trusted"] for each in rig.of("clock_trust_changed")] == [False, True]


def test_a_refused_configuration_is_evidence_with_bounded_reasons(rig) -> None:
    """At most 64 reasons and 120 characters of each; what is no text is empty."""
    said = {"config": 7, "reasons": ["x" * 200, 5, *["r"] * 100]}
    assert _say(rig, "configuration_refused", "s", **said) == ["configuration_refused"]
    data = rig.events[-1].data
    assert (data["config"], data["subject"], len(data["reasons"])) == ("", "", 64)
    assert data["reasons"][:3] == ["x" * 120, "", "r"]


def test_a_write_by_hand_keeps_the_words_of_a_person_out_of_the_leaf(rig) -> None:
    """The reason is the event's text; in the data there are codes alone."""
    said = {"unit": 3, "pdu": "0501", "reason": "换继电器"}
    assert _say(rig, "bus_write_ordered", "line_1", **said) == ["bus_write_ordered"]
    event = rig.events[-1]
    assert (event.text, event.data) == (
        "换继电器", {"pdu": "0501", "subject": "line_1", "unit": 3},
    )  # fmt: skip
