"""Stuck heads on a real longwall's series: none is named wrongly, what is planted is found."""

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOUND_WITHIN_MS = 150 * 60_000
"""Of coal cutting: the time of the law, and what rests of the companions come to on this series."""


@pytest.fixture(scope="module")
def longwall() -> ModuleType:
    """Return the player of the series that the measurement uses."""
    path = Path(__file__).parents[2] / "bench" / "common" / "longwall.py"
    spec = importlib.util.spec_from_file_location("longwall_player", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def series(longwall):
    """Return the series, or skip."""
    path = longwall.find()
    if path is None:
        pytest.skip(f"{longwall.SERIES} not found: set MINEWATCH_TEST_DATA to its folder")
    return longwall.load(path)


@pytest.mark.parametrize("beside_head", [True, False])
def test_two_living_heads_are_never_held_stuck(longwall, series, beside_head: bool) -> None:
    """91 h with an idle weekend of 12 h on one value: not one event, not even a suspicion."""
    player = longwall.Player(series, longwall.mine(beside_head=beside_head))
    assert [event for _ in range(series.rows) for event in player.turn()] == []


def test_the_weekend_is_in_the_series(longwall, series) -> None:
    """The constant run that must not trip it really is there, and it is longer than any limit."""
    longest, run, before = 0, 0, None
    for value in series.values[longwall.COARSE]:
        run = run + 1 if value == before else 1
        longest, before = max(longest, run), value
    assert longest * longwall.ROW_MS > 11 * 3_600_000


@pytest.mark.parametrize("head", ["COARSE", "FINE"])
def test_a_freeze_planted_while_coal_is_cut_is_found(longwall, series, head: str) -> None:
    """Fifty random moments: each is found, within two and a half hours of coal cutting."""
    for row in random.Random(11).sample(series.cutting(480), 50):
        found = longwall.plant(series, longwall.mine(), head, row)
        assert found is not None
        after_ms = found.cutting_rows * longwall.ROW_MS
        assert longwall.STUCK_AFTER_MS[head] <= after_ms <= FOUND_WITHIN_MS
