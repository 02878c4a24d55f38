"""Planted bugs: each invariant of the campaign sees what breaks it, by the recorded seed."""

import logging
from pathlib import Path

import pytest
from minewatch_sim.campaign.court import EVERY
from minewatch_sim.campaign.mutations import MUTATIONS, catches, planted
from minewatch_sim.campaign.report import caught_by, mutation_table
from minewatch_sim.campaign.run import run

HERE = Path(__file__).parent
CAUGHT = caught_by(HERE / "mutations.toml")
DOCS = HERE.parents[1] / "docs" / "simulation.md"


@pytest.fixture(autouse=True)
def quiet():
    """Refused configurations are meant here and are no news."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", sorted(MUTATIONS))
def test_a_planted_bug_is_seen(name: str) -> None:
    """With the bug the recorded seed breaks the invariant that the bug is against."""
    with planted(name) as mutation:
        assert catches(mutation, CAUGHT[name])


def test_a_bug_is_gone_with_its_block() -> None:
    """What was planted is taken back: the seed that found it is clean again."""
    with planted("power_returns") as mutation:
        assert catches(mutation, CAUGHT["power_returns"])
    assert not run(CAUGHT["power_returns"], mutation.mode).violations


def test_every_invariant_has_a_planted_bug() -> None:
    """No invariant is there that no bug was ever held against."""
    assert {each.code for each in EVERY} <= {each.code for each in MUTATIONS.values()}


def test_the_document_names_bugs_and_seeds_as_they_are() -> None:
    """The table in docs/simulation.md is the generated one."""
    assert mutation_table(CAUGHT) in DOCS.read_text(encoding="utf-8")
