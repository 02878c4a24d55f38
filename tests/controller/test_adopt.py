"""A start with another configuration: taken up, or refused as a reload would refuse it."""

from dataclasses import replace
from pathlib import Path

import pytest

from minewatch.controller.adopt import adopt
from minewatch.core.state import Durable, State
from minewatch.core.step import step
from minewatch.folder import Folder
from minewatch.mine import load
from minewatch.model.image import Command, Image, Notice
from minewatch.model.mine import Mine, Mode


@pytest.fixture(scope="module")
def mine() -> Mine:
    """Return the demo mine."""
    loaded = load("config/demo-mine").mine
    assert loaded is not None
    return loaded


def _lived(mine: Mine, config: str, *commands: Command) -> Durable:
    """Return what survives of a short run under `config`."""
    said = Notice("controller_started", "", {"config": config, "prior": "first", "run": "r"})
    first = step(mine, State(), Image(0, 1000, 10**12, True, 0, notices=(said,)))
    second = Image(1, 1100, 10**12 + 100, True, 99, commands=commands)
    return step(mine, first.state, second).state.durable


def _withdraw(mine: Mine) -> Command:
    zones = {"zones": ["mine"]}
    return Command("c1", "withdraw", mine.staff[0].code, "page:x", zones, "")


def test_a_start_takes_up_another_configuration(mine: Mine, tmp_path: Path) -> None:
    """With nothing latched and nothing in use a stricter or other mine is guarded as asked."""
    folder = Folder(tmp_path)
    durable = _lived(mine, folder.activate(mine))
    new = replace(mine, name="另一个")
    wanted = folder.activate(new)
    adopted = adopt(folder, durable)
    assert (adopted.mine, adopted.config, adopted.reasons) == (new, wanted, ())


def test_a_restart_is_no_way_to_lower_protection(mine: Mine, tmp_path: Path) -> None:
    """I21: while a withdrawal stands the run before's configuration guards on and is active."""
    folder = Folder(tmp_path)
    before = folder.activate(mine)
    durable = _lived(mine, before, _withdraw(mine))
    wanted = folder.activate(replace(mine, mode=Mode.MONITOR))
    adopted = adopt(folder, durable)
    assert adopted.mine == mine
    assert (adopted.config, adopted.refused) == (before, wanted)
    assert "mode_lowered" in adopted.reasons
    assert folder.active_hash() == before
    said = Notice("configuration_refused", "", {"config": wanted, "reasons": list(adopted.reasons)})
    events = step(mine, State(durable), Image(0, 9000, 10**12, True, 99, notices=(said,))).events
    (refused,) = [each for each in events if each.kind == "configuration_refused"]
    assert refused.data["reasons"] == list(adopted.reasons)


def test_without_the_old_configuration_nothing_is_guessed(mine: Mine, tmp_path: Path) -> None:
    """A refused configuration does not start where the one before is gone."""
    folder = Folder(tmp_path)
    durable = _lived(mine, folder.activate(mine))
    point = mine.points[0].id
    started = Image(1, 1100, 10**12, True, 99, notices=())
    state = State(durable)
    cover = Command(
        "c1",
        "hand_cover",
        next(s.code for s in mine.staff if s.role.value == "chief_engineer"),
        "page:x",
        {
            "point": point,
            "checker": next(s.code for s in mine.staff if s.role.value == "gas_checker"),
        },
        "",
    )
    durable = step(mine, state, replace(started, commands=(cover,))).state.durable
    assert point in durable.interlock.covers
    (folder.config / f"{durable.house.config}.json").unlink()
    folder.activate(
        replace(
            mine,
            points=tuple(each for each in mine.points if each.id != point),
            interlocks=(),
        )
    )
    with pytest.raises(ValueError, match="is not kept"):
        adopt(folder, durable)
