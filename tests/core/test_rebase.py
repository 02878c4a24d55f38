"""Reload: whole or not at all; never lower protection while something is latched."""

from dataclasses import replace

import pytest

from minewatch.core.alarms.alarm import is_active
from minewatch.core.rebase import rebase
from minewatch.model.alarm import AlarmKind
from minewatch.model.codec import mine_hash
from minewatch.model.image import Image
from minewatch.model.mine import Limits, Mode


def _reload(rig, new):
    image = Image(rig.cycle, rig.now_ms + 50, rig.wall_ms + 50, True, 10**6)
    return rebase(rig.mine, new, rig.state, image)


def _with_limits(mine, point_id: str, limits: Limits):
    points = tuple(replace(p, limits=limits) if p.id == point_id else p for p in mine.points)
    return replace(mine, points=points)


def _without_output(mine, output_id: str):
    return replace(
        mine,
        outputs=tuple(o for o in mine.outputs if o.id != output_id),
        interlocks=tuple(i for i in mine.interlocks if output_id not in i.outputs),
    )


FACE = Limits(80, 100, 150, 100, 150, 80)
LOWER = {
    "trip": (lambda m: _with_limits(m, "Z0_H0", replace(FACE, trip=160)), "lowered_while_latched"),
    "no_trip": (
        lambda m: _with_limits(m, "Z0_H0", replace(FACE, trip=None)),
        "lowered_while_latched",
    ),
    "restore": (
        lambda m: _with_limits(m, "Z0_H0", replace(FACE, restore=110)),
        "lowered_while_latched",
    ),
    "output": (lambda m: _without_output(m, "cut_Z0"), "output_latched"),
    "mode": (lambda m: replace(m, mode=Mode.ALARM), "mode_lowered"),
    "point": (
        lambda m: replace(m, points=tuple(p for p in m.points if p.id != "Z0_H0")),
        "point_in_use",
    ),
    "interlock": (lambda m: replace(m, interlocks=m.interlocks[1:]), "lowered_while_latched"),
}


@pytest.mark.parametrize("how", LOWER)
@pytest.mark.parametrize("tripped", [False, True])
def test_lowering(rig, how: str, *, tripped: bool) -> None:
    """While a cause is latched each way of lowering its protection is refused; else it is taken."""
    change, reason = LOWER[how]
    if tripped:
        rig.turn(readings={"Z0_H0": 160})
    new = change(rig.mine)
    decided = _reload(rig, new)
    (event,) = decided.events
    if tripped:
        assert event.kind == "configuration_refused"
        assert any(each.startswith(reason) for each in event.data["reasons"])
        assert decided.state.durable.interlock == rig.state.durable.interlock
    else:
        assert (event.kind, event.data["config"]) == ("configuration_loaded", mine_hash(new))


def test_a_stricter_limit_is_taken_while_tripped(rig) -> None:
    """Stricter is always allowed, and holds from the next reading on."""
    rig.turn(readings={"Z0_H0": 160})
    rig.run(3)
    new = _with_limits(rig.mine, "Z1_H0", replace(FACE, trip=120, withdraw=120))
    rig.state, rig.mine = _reload(rig, new).state, new
    rig.turn(readings={"Z1_H0": 120})
    assert rig.causes == ["trip:Z0_H0", "trip:Z1_H0"]


@pytest.mark.parametrize("what", ["kind", "role"])
def test_an_id_never_changes_its_meaning(rig, mine_of, what: str) -> None:
    """A point keeps its kind and an output its role for ever."""
    if what == "kind":
        first, *rest = rig.mine.points
        new = replace(rig.mine, points=(replace(first, kind=rig.mine.points[-1].kind), *rest))
    else:
        first, *rest = rig.mine.outputs
        new = replace(rig.mine, outputs=(replace(first, role=rig.mine.outputs[-1].role), *rest))
    (event,) = _reload(rig, new).events
    assert event.kind == "configuration_refused"


def test_new_points_and_outputs_begin_unproven(rig_of, mine_of) -> None:
    """A new head is STALE until it speaks; a new power-cut contact is first proven."""
    rig = rig_of(mine_of(zones=1)).start()
    new = mine_of(zones=2)
    decided = _reload(rig, new)
    rig = rig_of(new, state=decided.state, now_ms=rig.now_ms, wall_ms=rig.wall_ms)
    assert rig.turn().outputs is None
    assert rig.state.volatile.points.live["Z1_H0"].value is None
    rig.run(3)
    assert rig.last.outputs["cut_Z1"] is True
    rig.turn(readings={"Z1_H0": 150})
    assert rig.last.outputs["cut_Z1"] is False


def test_alarms_of_what_is_gone_end_with_it(rig) -> None:
    """A standing alarm of a removed head ends with the reload, for nothing else could end it."""
    rig.turn(readings={"Z0_H0": 120})
    new = replace(
        rig.mine,
        points=tuple(p for p in rig.mine.points if p.id != "Z0_H0"),
        interlocks=rig.mine.interlocks[1:],
    )
    decided = _reload(rig, new)
    assert not is_active(decided.state.durable, AlarmKind.GAS_OVER_LIMIT, "Z0_H0")
    assert "Z0_H0" not in decided.state.volatile.points.raised


SILENCE = {
    "gone": lambda m: _without_output(m, "siren_Z0"),
    "moved": lambda m: _with_siren(m, signal="elsewhere"),
    "covers": lambda m: _with_siren(m, covers=("Z1",)),
    "mode": lambda m: replace(m, mode=Mode.MONITOR),
}


def _with_siren(mine, **parts):
    outputs = tuple(replace(o, **parts) if o.id == "siren_Z0" else o for o in mine.outputs)
    return replace(mine, outputs=outputs)


@pytest.mark.parametrize("how", SILENCE)
@pytest.mark.parametrize("ordered", [False, True])
def test_a_reload_silences_no_withdrawal(rig, how: str, *, ordered: bool) -> None:
    """I4: while a withdrawal stands its sirens stay where they are and the mode is not lowered."""
    if ordered:
        rig.command("withdraw", "S1", zones=["Z0"])
        rig.run(2)
    (event, *_) = _reload(rig, SILENCE[how](rig.mine)).events
    assert event.kind == ("configuration_refused" if ordered else "configuration_loaded")


def test_a_head_that_still_withdraws_is_not_dropped(rig, mine_of) -> None:
    """A reload is no way to the all-clear: the head whose gas forbids it stays."""
    rig = type(rig)(mine_of(mode=Mode.ALARM)).start()
    rig.turn(readings={"Z0_H0": 160})
    rig.run(2)
    points = tuple(p for p in rig.mine.points if p.id != "Z0_H0")
    event = _reload(rig, replace(rig.mine, points=points)).events[0]
    assert "point_in_use:Z0_H0" in event.data["reasons"]
