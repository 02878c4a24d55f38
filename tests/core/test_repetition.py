"""Repetition: a passage that is played again value by value, told from noise and from rest."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minewatch.core.readings.repetition import is_replayed, period_of


def _slow_period(values: list[int]) -> int | None:
    """Return the shortest shift at which values lie upon themselves, looking at each."""
    for shift in range(1, len(values)):
        if values[shift:] == values[:-shift]:
            return shift
    return None


@given(st.lists(st.integers(0, 2), max_size=30))
def test_the_period_is_that_of_a_plain_search(values: list[int]) -> None:
    """The quick search finds what trying every shift finds."""
    assert period_of(values) == _slow_period(values)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(2, 4), st.integers(1, 6))
def test_what_is_played_twice_is_found(stretch: list[int], times: int, changes_min: int) -> None:
    """A stretch played at least twice is a replay where it changes often enough within itself."""
    values = stretch * times
    period = _slow_period(values)
    assert period is not None
    changes = sum(one != other for one, other in pairwise(values[:period]))
    assert is_replayed(values, changes_min) is (changes >= changes_min)


@pytest.mark.parametrize(
    ("values", "replayed"),
    [
        ([], False),
        ([1], False),
        ([1] * 20, False),
        ([1, 2] * 10, False),
        ([1, 2, 3, 4] * 2, True),
        ([1, 2, 3, 4, 1, 2, 3], False),
        ([1, 2, 3, 4, 1, 2, 3, 5], False),
        ([1, 2, 3, 4, 1, 2, 3, 4, 1], True),
    ],
)
def test_what_counts_as_a_replay(values: list[int], replayed: bool) -> None:
    """Twice at least and with three changes: rest, a flicker and one and a half times are none."""
    assert is_replayed(values, 3) is replayed


def test_noise_is_no_replay() -> None:
    """A thousand passages of a head that wobbles by one unit: none repeats."""
    chance = random.Random(5)
    for _ in range(1000):
        values = [20 + chance.choice((0, 0, 0, 1)) for _ in range(240)]
        assert not is_replayed(values, 12)
