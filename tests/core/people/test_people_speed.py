"""What people cost: a full shift heard at once stays far below a cycle."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from minewatch.core.draft import Draft
from minewatch.core.people import headcount, people
from minewatch.model.image import Image, Sample, Sighting

SIGHTINGS = 200


@pytest.mark.parametrize("inside", [120, 1000])
def test_two_hundred_sightings_cost_less_than_a_tenth_of_a_cycle(
    rig_of: Callable[..., Any], inside: int
) -> None:
    """200 records in one image, people and headcount together: ≤ 10 ms at worst, 0.5 ms usual.

    The bound is loose so that a busy machine does not fail it; `make bench` holds the figure.
    """
    rig = rig_of(gates=False, headcount_limit=2000)
    badges = [f"w{n}" for n in range(inside)]
    rig.enter(*badges)
    rig.rest(5)
    best_ms = min(one_image_ms(rig, badges, n) for n in range(20))
    assert best_ms <= 10.0


def one_image_ms(rig: Any, badges: list[str], turn: int) -> float:
    """Return how long one image of 200 sightings takes in people and headcount."""
    first = (turn * SIGHTINGS) % len(badges) < SIGHTINGS
    rig.pass_time(3000 if first else 100)
    heard = [badges[(turn * SIGHTINGS + n) % len(badges)] for n in range(SIGHTINGS)]
    sightings = tuple(Sighting("r_west", each, rig.now_ms, 0, 0, None, None) for each in heard)
    samples = tuple(Sample(each.device, rig.now_ms, ()) for each in rig.mine.readers)
    image = Image(10_000 + turn, rig.now_ms, rig.wall_ms, True, 0, samples, sightings)
    draft = Draft(rig.mine, rig.state, image)
    started = time.perf_counter()
    people.observe(draft)
    headcount.decide(draft)
    took_ms = (time.perf_counter() - started) * 1000
    rig.state = draft.state()
    return took_ms
