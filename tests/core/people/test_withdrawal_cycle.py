"""A withdrawal from the demand to the resumption of descent."""

from collections.abc import Callable
from typing import Any

import pytest

from minewatch.core.draft import Draft
from minewatch.core.withdrawals import withdrawal
from minewatch.model.image import Command, Image
from minewatch.model.mine import Mode
from minewatch.model.quality import Quality


def ordered(rig: Any) -> Any:
    """Return the one withdrawal of the frame."""
    (shown,) = rig.frame["withdrawals"].values()
    return shown


def ident(rig: Any) -> str:
    """Return the id of the standing withdrawal."""
    (name,) = rig.frame["withdrawals"]
    return str(name)


@pytest.fixture
def gassy(rig_of: Callable[..., Any]) -> Any:
    """Return a rig with two heads and people in the face."""
    rig = rig_of(heads=True)
    rig.enter("b1", "b2", "b3")
    rig.rest(4)
    rig.sees("r_face", "b1", "b2")
    rig.reads("T1", 10).reads("T2", 10).turn()
    return rig


def keep_reading(rig: Any, seconds: int, t1: int, t2: int = 10, hear: tuple[str, ...] = ()) -> None:
    """Let time pass with both heads alive and some badges heard in the face."""
    for _ in range(seconds):
        rig.sees("r_face", *hear)
        rig.reads("T1", t1).reads("T2", t2).turn()


def test_gas_withdraws_its_zone_and_the_zones_downwind(gassy: Any) -> None:
    """1.5 in the face withdraws the face, its return and the total return, in the same cycle."""
    gassy.reads("T1", 150)
    events = gassy.turn()
    assert "withdrawal_raised" in [e.kind for e in events]
    assert ordered(gassy)["zones"] == ["face", "return", "total"]
    assert ordered(gassy)["underground"] == 2
    assert gassy.outputs["siren"] is True
    assert gassy.outputs["gate"] is False


def test_a_standing_demand_is_said_once(gassy: Any) -> None:
    """A head that stays high extends nothing and floods nothing."""
    keep_reading(gassy, 10, 160)
    assert gassy.kinds().count("withdrawal_raised") == 1
    assert gassy.kinds().count("withdrawal_extended") == 0


def test_three_percent_on_two_heads_withdraws_the_whole_mine(gassy: Any) -> None:
    """One head at 3.0 withdraws its zones, the second one everybody (practice 16)."""
    keep_reading(gassy, 2, 300)
    assert ordered(gassy)["zones"] == ["face", "return", "total"]
    keep_reading(gassy, 1, 300, 299)
    assert ordered(gassy)["zones"] != ["mine"]
    keep_reading(gassy, 1, 300, 300)
    assert ordered(gassy)["zones"] == ["mine"]
    assert "gas:two_heads" in ordered(gassy)["causes"]


def test_a_head_beyond_its_range_counts_as_three_percent(gassy: Any) -> None:
    """Over range is above every limit."""
    gassy.reads("T1", None, Quality.OVER_RANGE).reads("T2", 310).turn()
    assert ordered(gassy)["zones"] == ["mine"]


def test_people_withdraw_zones_and_extend_what_stands(rig: Any) -> None:
    """A second order widens the first; the whole mine swallows every zone."""
    reply = rig.command("withdraw", "disp", "smoke", zones=["old"])
    assert (reply.kind, reply.text) == ("withdrawal_raised", "smoke")
    reply = rig.command("withdraw", "disp", zones=["face"])
    assert reply.kind == "withdrawal_extended"
    assert ordered(rig)["zones"] == ["face", "old", "return", "total"]
    rig.command("withdraw", "lead", zones=["mine"])
    assert ordered(rig)["zones"] == ["mine"]
    assert ordered(rig)["by"] == "disp"


@pytest.mark.parametrize(
    ("origin", "kind"),
    [
        ("page:t1", "withdrawal_raised"),
        ("button:b7", "withdrawal_raised"),
        ("page:t9", "command_refused"),
        ("local:1000", "command_refused"),
    ],
)
def test_unnamed_only_from_listed_terminals_and_buttons(rig: Any, origin: str, kind: str) -> None:
    """Raising needs no login where the mine allows it, and only there (practice 17)."""
    command = Command("c", "withdraw", "", origin, {"zones": ["mine"]}, "")
    (answer,) = [e for e in rig.turn(command) if e.data.get("command") == "c"]
    assert answer.kind == kind


def test_an_unknown_zone_is_refused(rig: Any) -> None:
    """A zone that the mine does not have withdraws nobody, and says so."""
    reply = rig.command("withdraw", "disp", zones=["nowhere"])
    assert reply.data["reasons"] == ["unknown_zone:nowhere"]


def test_monitor_mode_says_that_it_drives_no_annunciator(rig_of: Callable[..., Any]) -> None:
    """Without a write path the order carries the notice to telephone (practice 1)."""
    rig = rig_of(mode=Mode.MONITOR)
    assert rig.command("withdraw", "disp", zones=["mine"]).data["notice"] == "no_annunciator"
    assert rig.outputs == {}


def test_the_zones_empty_and_the_clocks_say_when(gassy: Any) -> None:
    """Who walks out leaves the count; at none left the time is noted once."""
    keep_reading(gassy, 3, 160)
    gassy.sees("r_west", "b1", "b2")
    keep_reading(gassy, 3, 160)
    assert ordered(gassy)["underground"] == 0
    assert gassy.kinds().count("withdrawal_emptied") == 1
    keep_reading(gassy, 185, 160)
    assert gassy.kinds().count("withdrawal_notice_late") == 1


@pytest.mark.parametrize(("margin_s", "limit_s"), [(20, 20), (600, 3300)])
def test_a_silent_badge_is_unaccounted_after_its_walk(
    rig_of: Callable[..., Any], margin_s: int, limit_s: int
) -> None:
    """Missed after 1.5 times the walk and the margin; a margin below 60 s stands alone (25)."""
    rig = rig_of(unaccounted_margin_s=margin_s)
    rig.enter("b1", "b2")
    rig.rest(4)
    rig.sees("r_face", "b1", "b2")
    rig.turn()
    rig.command("withdraw", "disp", zones=["face"])
    for _ in range(limit_s // 10 - 1):
        rig.sees("r_face", "b2")
        rig.turn(passed_ms=10_000)
    assert ordered(rig)["unaccounted"] == []
    for _ in range(3):
        rig.sees("r_face", "b2")
        rig.turn(passed_ms=10_000)
    assert ordered(rig)["unaccounted"] == ["b1"]
    assert ("unaccounted", "b1") in rig.alarms()
    (missed,) = [a for a in rig.frame["alarms"].values() if a["kind"] == "unaccounted"]
    assert missed["zone"] == "face"
    rig.sees("r_west", "b1")
    rig.rest(2)
    assert ("unaccounted", "b1") not in rig.alarms()


def test_a_record_that_waited_in_its_reader_ends_no_search(rig_of: Callable[..., Any]) -> None:
    """A reader that comes back after the walk tells of before: who is missed stays missed."""
    rig = rig_of(unaccounted_margin_s=20)
    rig.enter("b1", "b2")
    rig.rest(4)
    rig.sees("r_face", "b1", "b2")
    rig.turn()
    rig.command("withdraw", "disp", zones=["face"])
    rig.silent = {"r_face"}
    rig.rest(50)
    assert ordered(rig)["unaccounted"] == ["b1", "b2"]
    rig.silent = set()
    rig.sees("r_face", "b1")
    rig.turn()
    assert ordered(rig)["unaccounted"] == ["b1", "b2"]
    rig.rest(4)
    rig.sees("r_face", "b1")
    rig.rest(2)
    assert ordered(rig)["unaccounted"] == ["b2"]


def test_a_crash_in_a_withdrawal_silences_nothing(gassy: Any) -> None:
    """The order, its clock and who was heard are the fold of the ledger (I4)."""
    keep_reading(gassy, 25, 160, hear=("b1", "b2"))
    before = ordered(gassy)
    gassy.crash(away_ms=5000)
    keep_reading(gassy, 1, 160)
    after = ordered(gassy)
    assert (after["zones"], after["raised_ms"]) == (before["zones"], before["raised_ms"])
    seen_ms = [p["seen_ms"] for b, p in gassy.frame["people"].items() if b != "b3"]
    assert min(seen_ms) > gassy.now_ms - 25_000
    keep_reading(gassy, 4, 160)
    assert gassy.outputs["siren"] is True


def test_the_all_clear_needs_two_names_and_no_cause(gassy: Any) -> None:
    """Gas that stands refuses it; one name is none; the second must be senior (practice 17)."""
    keep_reading(gassy, 3, 160)
    refused = gassy.command("all_clear", "lead", "x", withdrawal=ident(gassy))
    assert refused.data["reasons"] == ["cause_stands:T1"]
    keep_reading(gassy, 3, 70)
    assert gassy.command("all_clear", "disp", withdrawal="W1").kind == "command_refused"
    assert gassy.seconded("all_clear", "lead", "disp", withdrawal=ident(gassy)).kind == (
        "command_refused"
    )
    assert gassy.frame["withdrawals"]
    given = gassy.seconded("all_clear", "lead", "chief", withdrawal=ident(gassy))
    assert given.kind == "all_clear_given"
    gassy.turn()
    assert gassy.frame["withdrawals"] == {}
    assert gassy.frame["no_descent"] is True
    assert gassy.outputs["siren"] is False
    assert gassy.outputs["gate"] is False


def test_sirens_end_only_when_the_all_clear_is_on_disk(rig: Any) -> None:
    """Away from safety is recorded first (design rule 5)."""
    rig.command("withdraw", "disp", zones=["face"])
    rig.durable_lag = 1000
    given = rig.seconded("all_clear", "lead", "head", withdrawal=ident(rig))
    assert given.kind == "all_clear_given"
    rig.rest(5)
    assert rig.outputs["siren"] is True
    rig.durable_lag = 0
    rig.turn()
    assert rig.outputs["siren"] is False


def test_a_demand_voids_an_all_clear_that_has_not_acted(gassy: Any) -> None:
    """Trip wins: gas between the all-clear and its acting keeps the order (design rule 7)."""
    gassy.command("withdraw", "disp", zones=["face"])
    gassy.durable_lag = 1000
    gassy.seconded("all_clear", "lead", "head", withdrawal=ident(gassy))
    gassy.reads("T1", 160).turn()
    gassy.durable_lag = 0
    keep_reading(gassy, 5, 160)
    assert gassy.frame["withdrawals"]
    assert gassy.outputs["siren"] is True


def test_a_demand_and_an_all_clear_in_one_cycle_keep_the_order(gassy: Any) -> None:
    """The order of arrival inside a cycle does not matter: the demand wins (I25)."""
    gassy.command("withdraw", "disp", zones=["old"])
    asked = gassy.command("all_clear", "lead", withdrawal=ident(gassy))
    approve = Command("a", "approve", "head", "page:t2", {"approval": asked.data["approval"]}, "")
    gassy.reads("T1", 160)
    (answer,) = [e for e in gassy.turn(approve) if e.data.get("command") == "a"]
    assert answer.kind == "command_refused"
    assert "demand_now" in answer.data["reasons"]


def test_descent_resumes_by_the_chief_engineer_and_the_mine_head(rig: Any) -> None:
    """After the all-clear the gate stays shut until both have signed and it is on disk (17)."""
    rig.command("withdraw", "disp", zones=["mine"])
    standing = rig.seconded("resume_descent", "chief", "head")
    assert standing.data["reasons"] == [f"withdrawal_stands:{ident(rig)}"]
    rig.seconded("all_clear", "lead", "head", withdrawal=ident(rig))
    rig.turn()
    assert rig.command("resume_descent", "lead").kind == "command_refused"
    rig.durable_lag = 1000
    assert rig.seconded("resume_descent", "chief", "head").kind == "resumption_signed"
    rig.rest(2)
    assert rig.outputs["gate"] is False
    rig.durable_lag = 0
    rig.turn()
    assert rig.outputs["gate"] is True
    assert rig.command("resume_descent", "chief").data["reasons"] == ["no_stop"]


def test_a_crash_between_all_clear_and_resumption_keeps_descent_forbidden(rig: Any) -> None:
    """No restart lifts the stop."""
    rig.command("withdraw", "disp", zones=["mine"])
    rig.seconded("all_clear", "lead", "head", withdrawal=ident(rig))
    rig.turn()
    rig.crash()
    rig.rest(4)
    assert rig.frame["no_descent"] is True
    assert rig.outputs["gate"] is False


def test_causes_are_bounded(rig: Any) -> None:
    """Beyond 64 named causes a further demand of the same zones adds no event."""
    image = Image(9, rig.now_ms, rig.wall_ms, True, 0)
    draft = Draft(rig.mine, rig.state, image)
    for n in range(80):
        withdrawal.demand(draft, ("face",), f"gas:{n}")
    assert len(draft.events) == withdrawal.CAUSES_MAX
    standing = draft.durable.withdrawal.standing
    assert standing is not None
    assert len(standing.causes) == withdrawal.CAUSES_MAX
    withdrawal.demand(draft, ("old",), "gas:new")
    assert "old" in withdrawal.standing_zones(draft.durable)
