"""Withdrawals after their end: classified by two names, corrected, counted for ever."""

from typing import Any

import pytest

from minewatch.core.fold import recover
from minewatch.core.view import view
from minewatch.model.image import Command

VERDICTS = ("true", "false", "drill", "test")


def frame(rig: Any) -> Any:
    """Return the frame."""
    return view(rig.mine, rig.state, rig.now_ms)


def finish(rig: Any, zone: str = "Z0") -> str:
    """Raise a withdrawal, clear it and let people descend again; return its id."""
    rig.command("withdraw", "S1", zones=[zone])
    (name,) = frame(rig)["withdrawals"]
    rig.turn(scan=True)
    assert rig.approved("all_clear", "S3", "S4", withdrawal=name).kind == "all_clear_given"
    rig.turn(scan=True)
    rig.turn(scan=True)
    assert rig.approved("resume_descent", "S4", "S5").kind == "resumption_signed"
    rig.turn()
    assert not frame(rig)["no_descent"]
    return str(name)


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("second", ["S4", "S5"])
def test_a_duty_leader_and_a_second_name_say_what_it_was(
    storm: Any, verdict: str, second: str
) -> None:
    """It is unclassified until then, and on record with both names and the reason."""
    rig = storm()
    name = finish(rig)
    assert frame(rig)["withdrawal_counts"]["unclassified"] == 1
    asked = rig.command("classify_withdrawal", "S3", withdrawal=name, verdict=verdict)
    assert (asked.kind, asked.text) == ("approval_asked", "理由")
    event = rig.command("approve", second, approval=asked.data["approval"])
    assert event.kind == "withdrawal_classified"
    assert (event.data["by"], event.data["second"]) == ("S3", second)
    expected = dict.fromkeys((*VERDICTS, "unclassified"), 0) | {verdict: 1}
    assert frame(rig)["withdrawal_counts"] == expected
    shown = frame(rig)["past_withdrawals"][name]
    assert (shown["verdict"], shown["zones"], shown["causes"]) == (verdict, ["Z0"], ["person:S1"])
    assert (shown["by"], shown["second"]) == ("S3", second)
    ended, raised = rig.of("withdrawal_ended")[0], rig.of("withdrawal_raised")[0]
    assert shown["duration_ms"] == ended.data["duration_ms"] == ended.now_ms - raised.now_ms
    assert shown["raised_wall_ms"] == rig.of("withdrawal_raised")[0].wall_ms
    assert recover(rig.events) == rig.state.durable


def test_a_verdict_may_be_corrected(storm: Any) -> None:
    """The newer one counts, the older stays in the record; the same twice counts once."""
    rig = storm()
    first, second = finish(rig), finish(rig)
    for name, verdict in ((first, "false"), (second, "false"), (first, "drill"), (second, "false")):
        rig.approved("classify_withdrawal", "S3", "S4", withdrawal=name, verdict=verdict)
    counts = frame(rig)["withdrawal_counts"]
    assert counts == {"true": 0, "false": 1, "drill": 1, "test": 0, "unclassified": 0}
    assert len(rig.of("withdrawal_classified")) == 4


@pytest.mark.parametrize(
    ("by", "verdict", "reason"),
    [
        ("S3", "maybe", "malformed"),
        ("S3", 1, "malformed"),
        ("S1", "false", "not_permitted"),
    ],
)
def test_who_and_what(storm: Any, by: str, verdict: Any, reason: str) -> None:
    """Only the four verdicts, only by a duty leader."""
    rig = storm()
    name = finish(rig)
    event = rig.command("classify_withdrawal", by, withdrawal=name, verdict=verdict)
    assert event.data["reasons"] == [reason]


def test_not_before_its_end_and_not_without_a_reason(storm: Any) -> None:
    """A standing withdrawal is not judged, and a verdict has words."""
    rig = storm()
    rig.command("withdraw", "S1", zones=["Z0"])
    (standing,) = frame(rig)["withdrawals"]
    event = rig.command("classify_withdrawal", "S3", withdrawal=standing, verdict="false")
    assert event.data["reasons"] == [f"no_such_withdrawal:{standing}"]
    other = storm()
    name = finish(other)
    said = {"withdrawal": name, "verdict": "false"}
    silent = Command("x", "classify_withdrawal", "S3", "page:d1", said, "  ")
    (refused,) = other.turn(commands=(silent,)).events
    assert refused.data["reasons"] == ["reason_missing"]


def test_the_newest_64_are_kept_and_all_are_counted(storm: Any) -> None:
    """Memory stays bounded, the counts do not forget."""
    rig = storm()
    first = finish(rig)
    rig.approved("classify_withdrawal", "S3", "S4", withdrawal=first, verdict="false")
    names = [first, *(finish(rig) for _ in range(64))]
    assert list(frame(rig)["past_withdrawals"]) == names[1:]
    counts = frame(rig)["withdrawal_counts"]
    assert (counts["false"], counts["unclassified"]) == (1, 64)
    event = rig.command("classify_withdrawal", "S3", withdrawal=first, verdict="true")
    assert event.data["reasons"] == [f"no_such_withdrawal:{first}"]


def test_resumption_forgets_nothing_of_the_past(storm: Any) -> None:
    """Descent that is permitted again leaves the counts as they are."""
    rig = storm()
    finish(rig)
    assert rig.state.durable.withdrawal.past.ended == 1
    assert rig.state.durable.withdrawal.resumed_index is None
    assert rig.command("resume_descent", "S4").data["reasons"] == ["no_stop"]
