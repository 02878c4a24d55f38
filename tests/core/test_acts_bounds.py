"""Calibration, hand cover and bypass at their bounds: each to the millisecond, each refusal."""

import pytest

from minewatch.core.readings import cover
from minewatch.core.readings.calibration import CALIBRATION_MS, EXTENSION_MS
from minewatch.core.readings.cover import BYPASS_MINUTES_MAX, COVER_MS, READING_MS
from minewatch.core.view import view
from minewatch.model.quality import Quality

HEAD = "Z0_H0"
MINUTE_MS = 60_000


def _turn_to(rig, at_ms: int) -> None:
    rig.turn(ms=at_ms - rig.now_ms)


@pytest.mark.parametrize("extended", [False, True])
def test_the_end_of_a_calibration(rig, *, extended: bool) -> None:
    """15 min, with its extension 25, and not a millisecond less or more."""
    begun = rig.command("calibrate", "S6", point=HEAD)
    if extended:
        rig.command("extend_calibration", "S6", point=HEAD)
    end_ms = begun.now_ms + CALIBRATION_MS + (EXTENSION_MS if extended else 0)
    assert end_ms - begun.now_ms == (25 if extended else 15) * MINUTE_MS
    _turn_to(rig, end_ms - 1)
    assert not rig.of("calibration_ended")
    rig.turn(ms=1)
    (ended,) = rig.of("calibration_ended")
    assert (ended.data["reason"], ended.data["duration_ms"]) == ("expired", end_ms - begun.now_ms)
    assert ended.data["started_by"] == "S6"


@pytest.mark.parametrize(("ms", "reason"), [(READING_MS, "late"), (COVER_MS, "expired")])
def test_the_end_of_a_cover(rig, ms: int, reason: str) -> None:
    """A reading is due within 30 min, the whole lasts 8 h; a reading just in time prolongs."""
    begun = rig.command("hand_cover", "S4", point=HEAD, checker="S7")
    if reason == "expired":
        while rig.now_ms + READING_MS < begun.now_ms + ms:
            _turn_to(rig, rig.state.durable.interlock.covers[HEAD].next.ms - 101)
            rig.command("hand_value", "S7", point=HEAD, value=5)
    _turn_to(rig, begun.now_ms + ms - 1)
    assert not rig.of("hand_cover_ended")
    rig.turn(ms=1)
    assert [each.data["reason"] for each in rig.of("hand_cover_ended")] == [reason]
    assert {"late": 30 * MINUTE_MS, "expired": 480 * MINUTE_MS}[reason] == ms


@pytest.mark.parametrize("minutes", [1, BYPASS_MINUTES_MAX])
def test_the_end_of_a_bypass(rig, minutes: int) -> None:
    """The minutes that two names asked for, 8 h at most."""
    begun = rig.approved("bypass", "S4", "S3", point=HEAD, minutes=minutes)
    _turn_to(rig, begun.now_ms + minutes * MINUTE_MS - 1)
    assert not rig.of("bypass_ended")
    rig.turn(ms=1)
    assert [each.data["reason"] for each in rig.of("bypass_ended")] == ["expired"]
    assert BYPASS_MINUTES_MAX == 480


def test_open_covers_and_bypasses_are_bounded(rig, monkeypatch) -> None:
    """One more is refused; one that stands may be given anew."""
    assert cover.OPEN_MAX == 64
    monkeypatch.setattr(cover, "OPEN_MAX", 1)
    again = [("hand_cover", {"checker": "S7"}), ("bypass", {})]
    rig.command("hand_cover", "S4", point=HEAD, checker="S7")
    rig.approved("bypass", "S4", "S3", point=HEAD)
    for kind, words in again:
        assert rig.command(kind, "S4", point="Z1_H0", **words).data["reasons"] == ["too_many"]
        assert rig.command(kind, "S4", point=HEAD, **words).kind != "command_refused"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("calibrate", "unknown_point:X"),
        ("extend_calibration", "not_in_calibration"),
        ("end_calibration", "not_in_calibration"),
        ("hand_cover", "not_a_gas_head:X"),
        ("end_hand_cover", "no_cover:X"),
        ("bypass", "unknown_point:X"),
        ("end_bypass", "no_bypass:X"),
    ],
)
def test_an_unknown_point(rig, kind: str, reason: str) -> None:
    """A name that is no point is refused by its name."""
    by = "S4" if "cover" in kind or "bypass" in kind else "S6"
    words = {"checker": "S7"} if kind == "hand_cover" else {}
    assert rig.command(kind, by, point="X", **words).data["reasons"] == [reason]


def test_a_switch_is_not_covered_by_hand(rig) -> None:
    """Nobody measures a feed or a fan: hand cover of it would be a word against a contact."""
    for point in ("FEED_Z0", "Z0_WIND"):
        answer = rig.command("hand_cover", "S4", point=point, checker="S7")
        assert answer.data["reasons"] == [f"not_a_gas_head:{point}"]


def test_while_the_guard_fails_a_calibration_locks(rig) -> None:
    """Practice 8: the head that guards the place fails meanwhile, and the fault lock applies."""
    rig.command("calibrate", "S6", point=HEAD)
    rig.run(3)
    rig.world["Z0_H1"] = Quality.COMM_FAULT
    rig.run(9)
    assert not rig.causes
    rig.run(3)
    assert f"fault:{HEAD}" in rig.causes


def test_outputs_are_held_through_a_calibration(rig) -> None:
    """What was cut stays cut and what was live stays live, whatever gas the head shows."""
    rig.turn(readings={"Z1_H0": 160})
    before = dict(rig.last.outputs)
    rig.command("calibrate", "S6", point=HEAD)
    for value in (0, 102, 200, 400, 0):
        rig.world[HEAD] = value
        rig.run(8)
        cuts = {each: level for each, level in rig.last.outputs.items() if each.startswith("cut")}
        assert cuts.items() <= before.items()
    assert rig.command("end_calibration", "S6", point=HEAD).data["highest"] == 400


def test_a_bypass_stands_in_the_ledger_and_the_frame(rig) -> None:
    """Both names, the point, its minutes: in the entry of that cycle, and the upload follows."""
    begun = rig.approved("bypass", "S4", "S3", point=HEAD, minutes=30)
    assert begun.kind == "bypass_started"
    assert rig.events[-1] is begun
    assert {k: begun.data[k] for k in ("by", "second", "point", "minutes")} == {
        "by": "S4", "second": "S3", "point": HEAD, "minutes": 30,
    }  # fmt: skip
    shown = view(rig.mine, rig.state, rig.now_ms)["bypasses"]
    assert shown == {HEAD: {"by": "S4", "second": "S3", "until_ms": begun.now_ms + 30 * MINUTE_MS}}
