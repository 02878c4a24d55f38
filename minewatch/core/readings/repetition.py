"""Repetition: whether a passage of values is one shorter passage, played again and again.

A gas head's noise never comes back value by value; a recorded buffer that is played back does.
"""

from collections.abc import Sequence
from itertools import pairwise


def is_replayed(values: Sequence[int], changes_min: int) -> bool:
    """Say whether `values` repeat, at least twice, a stretch that changes so often in itself."""
    period = period_of(values)
    if period is None or 2 * period > len(values):
        return False
    stretch = values[:period]
    changes = sum(one != other for one, other in pairwise(stretch))
    return changes >= changes_min


def period_of(values: Sequence[int]) -> int | None:
    """Return the shortest shift at which `values` lie upon themselves; None where none is."""
    borders = [0] * len(values)
    border = 0
    for n in range(1, len(values)):
        while border and values[n] != values[border]:
            border = borders[border - 1]
        border += values[n] == values[border]
        borders[n] = border
    return len(values) - border if border else None
