"""Rare turns of power, the desk and what survives: branches that no other test has reason for."""

from dataclasses import replace
from typing import Any

import pytest

from minewatch.core.fold import apply
from minewatch.core.power import release
from minewatch.core.readings import fault
from minewatch.core.rebase import refusals
from minewatch.core.snapshot import _build
from minewatch.model.alarm import AlarmKind
from minewatch.model.event import Event
from minewatch.model.image import Command, ReadBack, Reading, Sample
from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Comparison, Device, Limits, Mode, Point
from minewatch.model.quality import Quality


def _refused(rig: Any, kind: str, by: str = "S1", **arguments: Any) -> list[str]:
    """Return the reasons for which a command is refused."""
    answer = rig.command(kind, by, **arguments)
    assert answer.kind == "command_refused"
    reasons: list[str] = answer.data["reasons"]
    return reasons


def _cut(rig: Any, output: str) -> None:
    """Cut an area by hand."""
    assert rig.approved("cut", "S1", "S3", output=output).kind == "cut_ordered"


def test_a_second_name_needs_a_name_and_a_page(rig: Any) -> None:
    """An approval from nobody, or from elsewhere than a page, is refused, whoever asks."""
    asked = rig.command("cut", "S1", output="cut_Z0").data["approval"]
    unnamed = Command("n", "approve", "", "page:d1", {"approval": asked}, "")
    elsewhere = Command("e", "approve", "S3", "local:0", {"approval": asked}, "")
    decided = rig.turn(commands=(unnamed, elsewhere))
    reasons = {e.data["command"]: e.data["reasons"] for e in decided.events}
    assert reasons == {"n": ["name_needed"], "e": ["not_permitted"]}
    assert rig.causes == []


@pytest.mark.parametrize("output", ["siren_Z0", "nothing"])
def test_only_what_cuts_power_is_cut(rig: Any, output: str) -> None:
    """A siren is not cut, nor what nobody knows."""
    assert _refused(rig, "cut", output=output) == [f"not_a_power_cut:{output}"]


def test_nothing_is_cut_that_the_mode_does_not_drive(rig_of: Any, mine_of: Any) -> None:
    """In mode alarm no power-cut output is driven, so none can be cut by hand."""
    rig = rig_of(mine_of(mode=Mode.ALARM)).start()
    assert _refused(rig, "cut", output="cut_Z0") == ["not_a_power_cut:cut_Z0"]


def test_a_demand_voids_only_the_releases_that_it_touches(rig: Any) -> None:
    """Two releases wait for the disk: a trip of one zone leaves the other's standing."""
    for zone in ("Z0", "Z1"):
        _cut(rig, f"cut_{zone}")
    rig.run(61)
    rig.disk_stands = True
    for zone in ("Z0", "Z1"):
        rig.release(f"cut_{zone}", values={f"{zone}_H0": 5, f"{zone}_H1": 5})
    assert len(rig.state.durable.interlock.pending) == 2
    rig.turn(readings={"Z0_H0": 160})
    (left,) = rig.state.durable.interlock.pending.values()
    assert left.outputs == ("cut_Z1",)


def test_a_release_voids_itself_where_another_cause_came(rig: Any) -> None:
    """What was granted is what acts: a cause that the grant does not name is never released."""
    _cut(rig, "cut_Z0")
    rig.run(61)
    rig.disk_stands = True
    rig.release("cut_Z0", values={"Z0_H0": 5, "Z0_H1": 5})
    data = {
        "cause": "cut:other",
        "cause_kind": "cut",
        "first_out": False,
        "outputs": ["cut_Z0"],
        "points": [],
    }
    latched = Event("cause_latched", 1, rig.cycle, rig.now_ms, rig.wall_ms, True, data)
    rig.state = replace(rig.state, durable=apply(rig.state.durable, latched))
    rig.events.append(latched)
    rig.disk_stands = False
    rig.turn()
    assert rig.of("released") == []
    assert rig.of("release_voided")[0].data["reasons"] == ["another_cause"]


def test_a_point_that_is_gone_says_nothing_against_a_release(rig: Any, mine_of: Any) -> None:
    """A cause over a point that the configuration has lost ends by what is left of it."""
    rig.turn(readings={"Z0_H1": 160})
    plan = rig.state.volatile.plan
    assert "Z0_H1" in plan.points
    without = replace(
        rig.mine,
        points=tuple(p for p in rig.mine.points if p.id != "Z0_H1"),
        interlocks=tuple(
            replace(i, causes=tuple(c for c in i.causes if c.point != "Z0_H1"))
            for i in rig.mine.interlocks
        ),
    )
    rig.mine = without
    rig.world.pop("Z0_H1")
    rig.run(62)
    assert rig.causes == ["trip:Z0_H1"]
    rig.command("hand_value", "S7", point="Z0_H0", value=5)
    assert rig.command("release", "S1", outputs=["cut_Z0"]).kind == "approval_asked"


@pytest.mark.parametrize("feed", [0, 1])
def test_the_switch_above_waits_for_the_feed_below(rig: Any, feed: int) -> None:
    """An upstream cut ends while the switch below is latched only where its feed is proved off."""
    rig.welded.add("cut_Z0")
    rig.turn(readings={"Z0_H0": 160})
    rig.run(4)
    assert "upstream:cut_Z0" in rig.causes
    rig.run(62)
    if not feed:
        rig.welded.clear()
    rig.world["FEED_Z0"] = 0 if not feed else Quality.COMM_FAULT
    rig.run(2)
    for head in ("Z0_H0", "Z0_H1"):
        rig.command("hand_value", "S7", point=head, value=5)
    answer = rig.command("release", "S1", outputs=["cut_main"])
    if feed:
        assert answer.data["reasons"] == ["feed_not_off:cut_Z0"]
    else:
        assert answer.kind == "approval_asked"


def test_the_switch_above_is_free_once_the_one_below_is(rig: Any) -> None:
    """Released below, an upstream cut has nothing more to wait for."""
    rig.welded.add("cut_Z0")
    rig.turn(readings={"Z0_H0": 160})
    rig.run(64)
    rig.welded.clear()
    rig.run(2)
    both = ["cut_Z0", "cut_main"]
    rig.release(*both, values={"Z0_H0": 5, "Z0_H1": 5})
    rig.run(2)
    assert rig.causes == []


def test_an_upstream_cause_of_an_unknown_switch_holds_nothing_back(rig: Any) -> None:
    """Where the switch below is no output of ours any more, its feed is not asked for."""
    assert release._upstream_reasons(_Asked(rig), "nothing") == []
    assert release._upstream_reasons(_Asked(rig), "gate") == []
    assert release._upstream_reasons(_Asked(rig), "cut_Z0") == []


class _Asked:
    """What `_upstream_reasons` reads of a draft."""

    def __init__(self, rig: Any) -> None:
        self.plan, self.durable = rig.state.volatile.plan, rig.state.durable
        self.live = rig.state.volatile.points.live


@pytest.mark.parametrize(
    ("point", "reason"),
    [("nothing", "unknown_point:nothing"), ("FEED_Z0", "not_a_gas_head:FEED_Z0")],
)
def test_a_hand_value_belongs_to_a_head(rig: Any, point: str, reason: str) -> None:
    """Nobody measures a point that does not exist, or a switch."""
    assert _refused(rig, "hand_value", "S7", point=point, value=5) == [reason]


def test_an_older_read_back_does_not_overwrite_a_newer_one(rig: Any) -> None:
    """Answers of a relay that come late change nothing; of the same time, the later one counts."""
    now_ms = rig.now_ms + 100

    def answered(*backs: ReadBack) -> bool | None:
        rig._read_backs = lambda: backs
        rig.turn(scan=True, ms=100)
        known: bool | None = rig.state.volatile.interlock.read_backs["cut_Z0"].energised
        return known

    assert answered(ReadBack("cut_Z0", False, now_ms)) is False
    assert answered(ReadBack("cut_Z0", True, now_ms - 1)) is False
    assert answered(ReadBack("cut_Z0", True, now_ms)) is True


def test_a_head_that_fails_while_its_line_is_back_has_its_own_alarm_later(rig: Any) -> None:
    """While the line's alarm stands its heads raise none; those still silent are named after it."""
    heads = [p.id for p in rig.mine.points if p.id.endswith(("H0", "H1"))]
    rig.world.update(dict.fromkeys(heads, Quality.COMM_FAULT))
    rig.run(12)

    def lost() -> list[str]:
        items = rig.state.durable.alarms.items.values()
        return [a.source for a in items if a.kind is AlarmKind.SENSOR_FAULT and a.active]

    assert lost() == ["line:gas"]
    rig.command("hand_cover", "S4", point="Z1_H0", checker="S7")
    rig.world["Z0_H0"] = Quality.IMPLAUSIBLE
    rig.run(fault.ALARM_MS // 1000 + 2)
    assert lost() == ["line:gas"]
    rig.world.update({**dict.fromkeys(heads, 5), "Z0_H1": Quality.COMM_FAULT})
    rig.run(fault.LINE_GRACE_MS // 1000 + 12)
    assert lost() == ["Z0_H1"]


def test_an_output_moved_to_another_channel_is_refused_only_while_both_drive_it(rig: Any) -> None:
    """A cut that one of two configurations does not drive has no channel to compare."""
    _cut(rig, "cut_Z0")
    moved = replace(
        rig.mine,
        outputs=tuple(
            replace(o, signal="elsewhere") if o.id == "cut_Z0" else o for o in rig.mine.outputs
        ),
    )
    assert "output_moved:cut_Z0" in refusals(rig.mine, moved, rig.state.durable)
    alarm_only = replace(moved, mode=Mode.ALARM)
    reasons = refusals(rig.mine, alarm_only, rig.state.durable)
    assert "mode_lowered" in reasons
    assert "output_moved:cut_Z0" not in reasons


def test_tuples_of_any_shape_come_back_from_json() -> None:
    """Named tuples and fixed tuples are built entry by entry, by their own types."""
    assert _build(ReadBack, ["cut", True, 5]) == ReadBack("cut", True, 5)
    assert _build(tuple[int, Mode], [1, "alarm"]) == (1, Mode.ALARM)
    assert _build(tuple[Mode, ...], ["alarm", "monitor"]) == (Mode.ALARM, Mode.MONITOR)
    with pytest.raises(ValueError, match="zip"):
        _build(tuple[int, Mode], [1])
    with pytest.raises(ValueError, match="zip"):
        _build(ReadBack, ["cut", True])


def test_a_level_read_exactly_one_look_ago_is_not_taken_twice(rig_of: Any, mine_of: Any) -> None:
    """A slow gauge that is still GOOD at the next look brings no new level."""
    sump = Point(
        "SUMP", "", Kind.WATER_LEVEL, "Z0", "input", "sump", "water_level",
        Limits(rise_alarm=20), rise_over_ms=1_800_000, scan_ms=5_000,
    )  # fmt: skip
    mine = mine_of(zones=1, heads=1)
    rig = rig_of(replace(mine, points=(*mine.points, sump)))
    rig.world["SUMP"] = 100
    rig.start()
    due_ms = rig.state.volatile.rise.next_ms
    while rig.now_ms + 1_000 < due_ms:
        rig.turn(ms=1_000, scan=True)
    rig.turn(ms=due_ms - rig.now_ms, readings={"SUMP": 100})
    taken = rig.state.volatile.rise.of["SUMP"]
    assert taken.sampled_ms == due_ms
    for _ in range(10):
        rig.turn(ms=1_000, readings={"Z0_H0": 0})
    assert rig.now_ms == due_ms + 10_000
    assert rig.state.volatile.points.live["SUMP"].quality is Quality.GOOD
    assert rig.state.volatile.rise.of["SUMP"] == taken


@pytest.mark.parametrize("quality", [Quality.WARMUP, Quality.CALIBRATION, Quality.INHIBITED])
def test_a_value_beside_itself_is_not_compared(rig_of: Any, mine_of: Any, quality: Quality) -> None:
    """A certified value that is shown but not GOOD stands beside nothing."""
    pair = Comparison("Z0_H0", "Z0_H0", "KJ", Kind.METHANE, 20, 60_000)
    mine = mine_of()
    point = Point("KJ", "", Kind.METHANE, "Z0", "kj", "x", "certified", stale_ms=90_000)
    rig = rig_of(
        replace(
            mine,
            buses=(*mine.buses, Bus("kj", "files:///x")),
            devices=(*mine.devices, Device("kj", "kj", 1, "certified-cdss")),
            points=(*mine.points, point),
            comparisons=(pair,),
        )
    ).start()
    plain = rig._samples

    def samples(shown: Any) -> tuple[Sample, ...]:
        told = plain({each: value for each, value in shown.items() if each != "KJ"})
        return (*told, Sample("kj", rig.now_ms, (Reading("KJ", 300, quality),)))

    rig._samples = samples
    rig.run(130, 1000)
    assert [e.kind for e in rig.events if e.kind == "comparison_opened"] == []
    assert rig.state.volatile.points.live["KJ"].value == 300
