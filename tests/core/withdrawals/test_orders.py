"""Orders of people about withdrawals, what speaks against them, and the heads that empty a mine."""

from dataclasses import replace
from typing import Any

import pytest

from minewatch.core.view import view
from minewatch.model.quality import Quality

OVER = Quality.OVER_RANGE
BAD = Quality.COMM_FAULT


def ordered(rig: Any) -> Any:
    """Return the id of the standing withdrawal."""
    (name,) = view(rig.mine, rig.state, rig.now_ms)["withdrawals"]
    return name


def test_only_the_standing_withdrawal_is_cleared_and_only_once(storm: Any) -> None:
    """No withdrawal, another one, or one that is cleared and waits for the disk."""
    rig = storm()
    refused = rig.command("all_clear", "S3", withdrawal="W1")
    assert refused.data["reasons"] == ["no_such_withdrawal:W1"]
    rig.command("withdraw", "S1", zones=["Z0"])
    refused = rig.command("all_clear", "S3", withdrawal="W1")
    assert refused.data["reasons"] == ["no_such_withdrawal:W1"]
    name = ordered(rig)
    rig.disk_stands = True
    assert rig.approved("all_clear", "S3", "S4", withdrawal=name).kind == "all_clear_given"
    refused = rig.command("all_clear", "S3", withdrawal=name)
    assert refused.data["reasons"] == ["already_cleared"]
    rig.turn()
    assert ordered(rig) == name
    rig.disk_stands = False
    rig.turn()
    assert rig.state.durable.withdrawal.standing is None


def test_a_demand_of_the_same_cycle_speaks_against_it(storm: Any) -> None:
    """The demand wins, and the refusal says both reasons."""
    rig = storm()
    rig.command("withdraw", "S1", zones=["Z0"])
    rig.world["Z0_H0"] = 150
    asked = rig.command("all_clear", "S3", withdrawal=ordered(rig))
    assert asked.kind in {"command_refused", "approval_asked"}
    rig.turn(readings={"Z0_H0": 150})
    refused = rig.command("all_clear", "S3", withdrawal=ordered(rig))
    assert refused.data["reasons"] == ["cause_stands:Z0_H0"]


@pytest.mark.parametrize(
    ("one", "other", "mine"),
    [
        (300, 300, True),
        (300, 299, False),
        (299, 300, False),
        (301, 300, True),
        (300, OVER, True),
        (OVER, OVER, True),
        (300, BAD, False),
        (BAD, BAD, False),
    ],
)
def test_three_percent_at_two_heads(storm: Any, one: Any, other: Any, mine: bool) -> None:
    """At the limit both count; what is not GOOD counts only beyond its range."""
    rig = storm()
    rig.turn(readings={"Z0_H0": one})
    rig.turn(readings={"Z0_H1": other})
    standing = rig.state.durable.withdrawal.standing
    assert (standing is not None and standing.zones == ("mine",)) is mine
    assert (standing is not None and "gas:two_heads" in standing.causes) is mine


def test_how_many_heads_and_how_high_is_the_rule_of_the_mine(storm: Any) -> None:
    """A mine may be stricter; its configuration carries the numbers."""
    rules = storm().mine.emergencies
    rig = storm(emergencies=replace(rules, two_heads_cpct=160, heads=1))
    rig.turn(readings={"Z0_H0": 159})
    assert rig.state.durable.withdrawal.standing.zones == ("Z0",)
    rig.turn(readings={"Z0_H0": 160})
    assert rig.state.durable.withdrawal.standing.zones == ("mine",)
    three = storm(emergencies=replace(rules, heads=3))
    three.turn(readings={"Z0_H0": 400, "Z0_H1": 400})
    assert three.state.durable.withdrawal.standing.zones == ("Z0",)


@pytest.mark.parametrize("reboot", [False, True])
def test_an_order_keeps_its_age_over_a_restart(storm: Any, reboot: bool) -> None:
    """A clock that begins anew does not make an order young or old."""
    rig = storm()
    rig.command("withdraw", "S1", zones=["Z0"])
    raised_ms = rig.state.durable.withdrawal.standing.raised_ms
    age_ms = rig.state.durable.now_ms - raised_ms
    if reboot:
        rig.now_ms = 1_000
    rig.restart(down_ms=2_000)
    standing = rig.state.durable.withdrawal.standing
    assert standing.raised_ms == (rig.now_ms - age_ms if reboot else raised_ms)


def test_resumption_waits_for_the_end(storm: Any) -> None:
    """Nobody signs descent while people are ordered out, nor twice."""
    rig = storm()
    rig.command("withdraw", "S1", zones=["Z0"])
    name = ordered(rig)
    refused = rig.command("resume_descent", "S4")
    assert refused.data["reasons"] == [f"withdrawal_stands:{name}"]
    rig.approved("all_clear", "S3", "S4", withdrawal=name)
    rig.turn()
    rig.disk_stands = True
    assert rig.approved("resume_descent", "S4", "S5").kind == "resumption_signed"
    assert rig.command("resume_descent", "S4").data["reasons"] == ["no_stop"]
    assert view(rig.mine, rig.state, rig.now_ms)["no_descent"] is True
