"""Orders of people about withdrawals, what speaks against them, and the heads that empty a mine."""

from dataclasses import replace
from typing import Any

import pytest

from minewatch.core.step import step
from minewatch.core.view import view
from minewatch.model.alarm import AlarmKind
from minewatch.model.image import Command
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
    (raised,) = rig.of("withdrawal_raised")
    assert (name, raised.data["notice"]) == (f"W{rig.events.index(raised)}", "")
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


def test_a_withdrawal_of_this_very_cycle_is_not_cleared(storm: Any) -> None:
    """Nobody can know its name yet; who guesses it is told that it was demanded just now."""
    rig = storm()
    state, high = rig.state, {"Z0_H0": 150}
    decided = rig.turn(readings=high)
    (name,) = (e.data["withdrawal"] for e in decided.events if e.kind == "withdrawal_raised")
    guess = Command("g", "all_clear", "S3", "page:d1", {"withdrawal": name}, "")
    again = step(rig.mine, state, replace(rig.image, commands=(guess,)))
    (refused,) = (e for e in again.events if e.kind == "command_refused")
    assert refused.data["reasons"] == ["demand_now", "cause_stands:Z0_H0"]


def test_an_empty_zone_is_said_to_be_empty_once(storm: Any) -> None:
    """With its time since the order; the frame shows it, and that it is not cleared."""
    rig = storm()
    rig.command("withdraw", "S1", zones=["Z0"])
    rig.run(3)
    (emptied,) = rig.of("withdrawal_emptied")
    (raised,) = rig.of("withdrawal_raised")
    assert emptied.data["after_ms"] == emptied.now_ms - raised.now_ms
    (shown,) = view(rig.mine, rig.state, rig.now_ms)["withdrawals"].values()
    assert (shown["cleared"], shown["underground"]) == (False, 0)
    rig.disk_stands = True
    rig.approved("all_clear", "S3", "S4", withdrawal=ordered(rig))
    (shown,) = view(rig.mine, rig.state, rig.now_ms)["withdrawals"].values()
    assert shown["cleared"] is True


def test_a_wider_order_has_to_be_told_anew(storm: Any) -> None:
    """The same zones again keep the time at which they were told; more zones do not."""
    rig = storm()
    rig.command("withdraw", "S1", zones=["Z0"])
    rig.run(3)
    before = rig.state.durable.withdrawal.standing
    assert before.notified_ms is not None
    assert before.emptied_ms is not None
    rig.command("withdraw", "S3", zones=["Z0"])
    after = rig.state.durable.withdrawal.standing
    assert (after.notified_ms, after.emptied_ms) == (before.notified_ms, before.emptied_ms)
    rig.command("withdraw", "S3", zones=["surface"])
    wider = rig.state.durable.withdrawal.standing
    assert wider.notified_ms != before.notified_ms
    assert wider.emptied_ms != before.emptied_ms


def test_a_wider_order_is_counted_at_once(storm: Any) -> None:
    """Who is there is looked up in the next cycle, not at the next second."""
    rig = storm()
    rig.command("withdraw", "S1", zones=["Z0"])
    rig.turn()
    rig.command("withdraw", "S1", zones=["mine"])
    rig.turn(ms=10)
    assert rig.state.volatile.withdrawal.looked_ms == rig.now_ms


def test_three_minutes_to_tell_everybody(storm: Any) -> None:
    """A zone without a sounder is never told; that it is late is said after 3 min, once."""
    rig = storm()
    rig.command("withdraw", "S1", zones=["surface"])
    raised_ms = rig.state.durable.withdrawal.standing.raised_ms
    rig.turn(ms=raised_ms + 180_000 - rig.now_ms)
    assert not rig.of("withdrawal_notice_late")
    rig.turn(ms=1)
    rig.turn(ms=1)
    (late,) = rig.of("withdrawal_notice_late")
    assert late.data["after_ms"] == 180_001


def test_what_the_frame_says_of_a_withdrawal(storm: Any) -> None:
    """Every key of the contract."""
    rig = storm()
    rig.command("withdraw", "S1", zones=["Z0"])
    rig.command("withdraw", "S3", zones=["surface"])
    rig.run(1)
    (shown,) = view(rig.mine, rig.state, rig.now_ms)["withdrawals"].values()
    standing = rig.state.durable.withdrawal.standing
    assert shown == {
        "zones": ["Z0", "surface"],
        "cause": "person:S1",
        "causes": ["person:S1", "person:S3"],
        "raised_ms": standing.raised_ms,
        "by": "S1",
        "notified_ms": standing.notified_ms,
        "emptied_ms": standing.emptied_ms,
        "underground": 0,
        "unaccounted": [],
        "cleared": False,
    }


def test_sirens_sound_where_people_are_ordered_out(rig: Any) -> None:
    """Those of the zone, not those of another; all of them for the mine."""
    rig.command("withdraw", "S1", zones=["Z0"])
    assert (rig.last.outputs["siren_Z0"], rig.last.outputs["siren_Z1"]) == (True, False)
    rig.command("withdraw", "S1", zones=["mine"])
    assert rig.last.outputs["siren_Z1"] is True


def test_the_end_ends_the_search(storm: Any) -> None:
    """Who was missed is not missed any more once everybody may return."""
    rig = storm()
    rig.command("withdraw", "S1", zones=["Z0"])
    rig.run(1)
    rig.approved("all_clear", "S3", "S4", withdrawal=ordered(rig))
    rig.turn()
    volatile = rig.state.volatile.withdrawal
    assert (volatile.looked_ms, volatile.missed, volatile.underground) == (0, (), 0)
    kinds = {a.kind for a in rig.state.durable.alarms.items.values() if a.active}
    assert AlarmKind.UNACCOUNTED not in kinds
