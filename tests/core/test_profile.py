"""Which edition of the statutory tables is the rule: said once, and again when it changes."""

from dataclasses import replace
from typing import Any

import pytest

from minewatch.core.fold import recover
from minewatch.mine.rules import load_rules


def test_it_is_said_at_the_first_start_and_not_again(rig: Any) -> None:
    """After the start itself, with edition, hash and signer."""
    assert rig.kinds()[:2] == ["controller_started", "profile_in_force"]
    assert rig.events[1].data == {"profile": "test", "sha256": "", "signed_off_by": ""}
    rig.restart()
    assert len(rig.of("profile_in_force")) == 1
    assert recover(rig.events) == rig.state.durable


@pytest.mark.parametrize(
    "parts",
    [{"profile": "test+ff"}, {"signed_off_by": "S4"}, {"profile": "b", "signed_off_by": "S5"}],
)
def test_another_edition_or_signer_is_said(rig: Any, parts: dict[str, str]) -> None:
    """Either of the two is a decision of somebody."""
    rig.mine = replace(rig.mine, **parts)
    rig.restart()
    assert len(rig.of("profile_in_force")) == 2
    said = rig.of("profile_in_force")[-1].data
    whole = {"profile": "test", "signed_off_by": "", **parts}
    assert "+".join(filter(None, (said["profile"], said["sha256"]))) == whole["profile"]
    assert said["signed_off_by"] == whole["signed_off_by"]
    rig.turn()
    assert len(rig.of("profile_in_force")) == 2


def test_the_shipped_edition_comes_back_whole(rig_of: Any, mine_of: Any) -> None:
    """Edition and hash are parted and joined without loss."""
    profile = load_rules().profile
    rig = rig_of(mine_of(profile=profile)).start()
    assert rig.state.durable.profile.profile == profile
    assert len(rig.of("profile_in_force")[0].data["sha256"]) == 64
