"""Planting a bug of `bugs.py` and looking for the seed whose schedule sees it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from minewatch_sim.campaign.bugs import MUTATIONS, Mutation
from minewatch_sim.campaign.run import run


@contextmanager
def planted(name: str) -> Iterator[Mutation]:
    """Plant one bug for as long as the block lasts."""
    undo: list[Callable[[], None]] = []

    def patch(owner: Any, attribute: str, value: Any) -> None:
        known = owner[attribute] if isinstance(owner, dict) else getattr(owner, attribute)
        put = owner.__setitem__ if isinstance(owner, dict) else _setter(owner)
        undo.append(lambda: put(attribute, known))
        put(attribute, value)

    mutation = MUTATIONS[name]
    try:
        mutation.plant(patch)
        yield mutation
    finally:
        for each in reversed(undo):
            each()


def search(name: str, seeds: range) -> int | None:
    """Return the first seed of a range that finds a planted bug, None where none does."""
    logging.disable(logging.ERROR)
    with planted(name) as mutation:
        for seed in seeds:
            if catches(mutation, seed):
                return seed
    return None


def catches(mutation: Mutation, seed: int) -> bool:
    """Say whether a seed finds the bug that is planted now; a crash of the core finds it too."""
    result = run(seed, mutation.mode)
    return any(each.code == mutation.code for each in result.violations)


def _setter(owner: Any) -> Callable[[str, Any], None]:
    return lambda attribute, value: setattr(owner, attribute, value)
