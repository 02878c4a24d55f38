"""Shared makers of the simulator's tests: the demo mine, plants and scenarios without actions."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from minewatch_sim.people import Habits
from minewatch_sim.plant import Plant
from minewatch_sim.scenario import Scenario

from minewatch.mine import load
from minewatch.model.mine import Mine

CHECKOUT = Path(__file__).resolve().parents[2]
DEMO = CHECKOUT / "config" / "demo-mine"

MakePlant = Callable[..., Plant]


@pytest.fixture(scope="session")
def demo_folder() -> Path:
    """The demo mine's configuration folder."""
    return DEMO


@pytest.fixture(scope="session")
def demo_mine() -> Mine:
    """The demo mine, loaded as the daemon loads it."""
    loaded = load(DEMO)
    assert loaded.mine is not None, loaded.faults
    return loaded.mine


@pytest.fixture
def make_plant(demo_mine: Mine) -> MakePlant:
    """Make a plant of the demo mine with a scenario (quiet by default) and a seed."""

    def make(scenario: Scenario | None = None, seed: int = 1, **habits: float) -> Plant:
        quiet = Scenario("quiet", Habits(**{"underground": 112, **habits}))  # type: ignore[arg-type]
        return Plant(demo_mine, seed, scenario or quiet)

    return make


@pytest.fixture
def real_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of recorded real data; skips where it is absent."""
    named = os.environ.get("MINEWATCH_TEST_DATA")
    folder = Path(named) if named else CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no recorded data: set MINEWATCH_TEST_DATA")
    monkeypatch.setenv("MINEWATCH_TEST_DATA", str(folder))
    return folder
