"""Release: all of practice 2, and every order in which a demand and a release can meet."""

import pytest

from minewatch.model.image import Notice
from minewatch.model.quality import Quality

FAULT = Notice("ledger_fault", "ledger", {})
RESTORED = Notice("ledger_restored", "ledger", {})


@pytest.fixture
def tripped(rig):
    """Return a mine whose face Z0 tripped and has been low for 70 s."""
    rig.turn(readings={"Z0_H0": 160})
    rig.world["Z0_H0"] = 40
    rig.run(70)
    return rig


def test_a_release_with_everything_in_place(tripped) -> None:
    """60 s low, a hand value, two names: the output is energised again, once, and stays so."""
    assert tripped.release("cut_Z0", values={"Z0_H0": 30}).kind == "release_granted"
    assert tripped.written["cut_Z0"] is False
    tripped.turn()
    assert tripped.written["cut_Z0"] is True
    assert tripped.of("released")[-1].data["causes"] == ["trip:Z0_H0"]
    assert not tripped.causes


def test_sixty_seconds_are_counted_from_the_first_good_sample_below(rig) -> None:
    """At 59.9 s it is refused, at 60 s granted; one value at restore starts the count anew."""
    rig.turn(readings={"Z0_H0": 160})
    rig.world["Z0_H0"] = 99
    rig.run(30)
    rig.turn(readings={"Z0_H0": 100})
    below_ms = rig.now_ms + 500
    rig.run(59)
    rig.command("hand_value", "S7", point="Z0_H0", value=30)
    while rig.now_ms + 100 < below_ms + 60_000:
        refused = rig.command("release", "S1", outputs=["cut_Z0"])
        assert refused.data["reasons"] == ["not_yet_60_s:Z0_H0"]
    rig.turn(ms=0, scan=True)
    assert rig.command("release", "S1", outputs=["cut_Z0"]).kind == "approval_asked"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda r: r.world.update(Z0_H0=100), "not_below_restore:Z0_H0"),
        (lambda r: r.world.update(Z0_H0=Quality.COMM_FAULT), "not_good:Z0_H0"),
        (lambda r: r.world.update(Z0_H0=Quality.OVER_RANGE), "not_good:Z0_H0"),
    ],
)
def test_every_reason_is_said(tripped, spoil, reason: str) -> None:
    """A refused release lists each thing that is missing, together."""
    spoil(tripped)
    tripped.run(1)
    refused = tripped.command("release", "S1", outputs=["cut_Z0"])
    assert refused.kind == "command_refused"
    assert reason in refused.data["reasons"]
    assert "hand_value_missing:Z0_H0" in refused.data["reasons"]


@pytest.mark.parametrize(
    ("value", "age_s", "reason"),
    [
        (99, 0, None),
        (99, 14 * 60, None),
        (99, 15 * 60, "hand_value_missing:Z0_H0"),
        (100, 0, "hand_value_high:Z0_H0"),
    ],
)
def test_the_hand_value(tripped, value: int, age_s: int, reason: str | None) -> None:
    """A hand value counts for 15 min and only below restore."""
    tripped.command("hand_value", "S7", point="Z0_H0", value=value)
    tripped.run(age_s, scan_ms=1000)
    tripped.run(61)
    answer = tripped.command("release", "S1", outputs=["cut_Z0"])
    if reason is None and age_s + 61 < 15 * 60:
        assert answer.kind == "approval_asked"
    else:
        assert answer.kind == "command_refused"
        assert (reason or "hand_value_missing:Z0_H0") in answer.data["reasons"]


def test_a_hand_value_raises(rig) -> None:
    """A checker who measures a trip value trips the place, whatever the head says."""
    answer = rig.command("hand_value", "S7", point="Z0_H0", value=150)
    assert answer.kind == "hand_value_recorded"
    assert rig.last.outputs["cut_Z0"] is False


@pytest.mark.parametrize(
    ("by", "second", "reason"),
    [
        ("S1", "S1", "same_person"),
        ("S1", "S2", "not_permitted"),
        ("S1", "S7", "not_permitted"),
        ("S1", "S99", "unknown_person"),
    ],
)
def test_the_second_name(tripped, by: str, second: str, reason: str) -> None:
    """The second name is another person, duty leader or chief engineer."""
    tripped.command("hand_value", "S7", point="Z0_H0", value=30)
    asked = tripped.command("release", by, outputs=["cut_Z0"])
    refused = tripped.command("approve", second, approval=asked.data["approval"])
    assert refused.data["reasons"] == [reason]
    tripped.run(2)
    assert tripped.written["cut_Z0"] is False


def test_an_approval_lasts_ten_minutes(tripped) -> None:
    """After ten minutes the second name comes too late."""
    tripped.command("hand_value", "S7", point="Z0_H0", value=30)
    asked = tripped.command("release", "S1", outputs=["cut_Z0"])
    tripped.run(600, scan_ms=1000)
    assert tripped.of("approval_expired")
    refused = tripped.command("approve", "S3", approval=asked.data["approval"])
    assert refused.data["reasons"] == ["unknown_approval"]


def test_a_release_is_checked_again_when_the_second_name_comes(tripped) -> None:
    """What was permitted when asked and is not when seconded is refused."""
    tripped.command("hand_value", "S7", point="Z0_H0", value=30)
    asked = tripped.command("release", "S1", outputs=["cut_Z0"])
    tripped.turn(readings={"Z0_H0": 100})
    refused = tripped.command("approve", "S3", approval=asked.data["approval"])
    assert "not_below_restore:Z0_H0" in refused.data["reasons"]


def test_a_release_acts_only_when_it_is_on_disk(tripped) -> None:
    """Granted but not durable, nothing moves; after a minute of that the grant is void."""
    tripped.command("hand_value", "S7", point="Z0_H0", value=30)
    asked = tripped.command("release", "S1", outputs=["cut_Z0"])
    tripped.turn()
    tripped.disk_stands = True
    tripped.command("approve", "S3", approval=asked.data["approval"])
    tripped.run(30)
    assert tripped.written["cut_Z0"] is False
    tripped.run(40)
    assert tripped.of("release_voided")[-1].data["reasons"] == ["not_durable"]
    tripped.disk_stands = False
    tripped.run(5)
    assert tripped.written["cut_Z0"] is False


def test_nothing_is_released_while_the_ledger_has_a_fault(tripped) -> None:
    """With a failing disk trips go on and nothing is released."""
    tripped.command("hand_value", "S7", point="Z0_H0", value=30)
    tripped.turn(notices=(FAULT,))
    assert tripped.command("release", "S1", outputs=["cut_Z0"]).data["reasons"] == ["ledger_fault"]
    tripped.turn(readings={"Z1_H0": 160})
    assert tripped.written["cut_Z1"] is False
    tripped.turn(notices=(RESTORED,))
    assert tripped.command("release", "S1", outputs=["cut_Z0"]).kind == "approval_asked"


@pytest.mark.parametrize("meets", ["same_cycle", "between", "other_head", "hand"])
def test_trip_wins(tripped, meets: str) -> None:
    """A demand in the cycle of the act, or between grant and act, voids the release."""
    tripped.command("hand_value", "S7", point="Z0_H0", value=30)
    asked = tripped.command("release", "S1", outputs=["cut_Z0"])
    tripped.disk_stands = True
    tripped.command("approve", "S3", approval=asked.data["approval"])
    if meets == "between":
        tripped.turn(readings={"Z0_H0": 155})
        tripped.turn(readings={"Z0_H0": 20})
    tripped.disk_stands = False
    if meets == "hand":
        tripped.command("hand_value", "S7", point="Z0_H1", value=155)
    else:
        head = "Z0_H1" if meets == "other_head" else "Z0_H0"
        tripped.turn(readings={head: 155 if meets != "between" else 20})
    tripped.run(5)
    assert tripped.written["cut_Z0"] is False
    assert tripped.of("release_voided")
    assert not tripped.of("released")


def test_a_cause_over_two_outputs_needs_both_on_the_form(rig_of, mine_of) -> None:
    """All outputs of a cause are released together or not at all."""
    rig = rig_of(mine_of()).start()
    for head in ("Z0_H0", "Z0_H1", "Z1_H0", "Z1_H1"):
        rig.world[head] = Quality.COMM_FAULT
    rig.run(12)
    assert rig.causes == ["line:gas"]
    for head in ("Z0_H0", "Z0_H1", "Z1_H0", "Z1_H1"):
        rig.world[head] = 5
    rig.run(62)
    refused = rig.command("release", "S1", outputs=["cut_Z0"])
    assert "output_missing:cut_Z1" in refused.data["reasons"]


@pytest.mark.parametrize("outputs", [["nobody"], ["cut_Z1"], ["siren_Z0"]])
def test_what_is_not_latched_cannot_be_released(tripped, outputs: list[str]) -> None:
    """Unknown outputs and outputs that nothing holds are refused with their names."""
    reasons = tripped.command("release", "S1", outputs=outputs).data["reasons"]
    assert any(each.endswith(outputs[0]) for each in reasons)


def test_a_grant_does_not_outlive_the_run(tripped) -> None:
    """Granted, not acted, crashed: after the restart the place is still cut and stays cut."""
    tripped.command("hand_value", "S7", point="Z0_H0", value=30)
    asked = tripped.command("release", "S1", outputs=["cut_Z0"])
    tripped.disk_stands = True
    tripped.command("approve", "S3", approval=asked.data["approval"])
    tripped.disk_stands = False
    tripped.restart()
    tripped.run(10)
    assert "trip:Z0_H0" in tripped.causes
    assert tripped.written["cut_Z0"] is False


def test_a_manual_cut_ends_by_release(rig) -> None:
    """手动断电 needs two names to begin, hand value and two names to end."""
    rig.approved("cut", "S1", "S7", output="cut_Z0")
    assert rig.written["cut_Z0"] is False
    rig.run(2)
    reasons = rig.command("release", "S1", outputs=["cut_Z0"]).data["reasons"]
    assert reasons == ["hand_value_missing:cut_Z0"]
    assert rig.release("cut_Z0", values={"Z0_H1": 5}).kind == "release_granted"
    rig.run(1)
    assert rig.written["cut_Z0"] is True


def test_hand_cover_stands_in_for_a_dead_head_alone(rig) -> None:
    """A covered head that lives and reads above restore keeps its cut, whatever a hand says."""
    rig.turn(readings={"Z0_H0": 160})
    rig.world["Z0_H0"] = 120
    rig.run(62)
    rig.command("hand_cover", "S4", point="Z0_H0", checker="S7")
    rig.run(1)
    rig.command("hand_value", "S7", point="Z0_H0", value=20)
    refused = rig.command("release", "S1", outputs=["cut_Z0"])
    assert refused.data["reasons"] == ["not_below_restore:Z0_H0"]


def test_a_voided_release_never_acts(rig) -> None:
    """Of two granted releases that wait for one disk, the one that the other voids stays void."""
    rig.turn(readings={"Z0_H0": 160})
    rig.turn(readings={"Z1_H0": 160})
    rig.run(62)
    for head in ("Z0_H0", "Z1_H0"):
        rig.command("hand_value", "S7", point=head, value=5)
    rig.turn()
    rig.disk_stands = True
    both = rig.release("cut_Z0", "cut_Z1").data["release"]
    one = rig.release("cut_Z0").data["release"]
    assert both < one
    rig.turn(readings={"Z1_H0": 120})
    rig.disk_stands = False
    for _ in range(3):
        rig.turn()
    assert {e.data["release"] for e in rig.of("release_voided")} == {both, one}
    assert not rig.of("released")
    assert rig.written["cut_Z0"] is False
