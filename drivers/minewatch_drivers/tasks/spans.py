"""Which spans of addresses go into one question: the fewest questions that a device allows.

Pure counting without a device or a wire. `plan` gives it spans, `tests/drivers/test_plan.py` holds
it against every possible grouping of small maps.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from minewatch_drivers.device_files.device_model import Table


class Span(NamedTuple):
    """Addresses `first`…`last` of a table that must come from one answer, for point `name`."""

    table: Table
    first: int
    last: int
    order: int
    name: str


class Window(NamedTuple):
    """What one question may span: addresses, unused addresses in a row, and what it may not touch.

    A span by itself is always taken as it is: its device file answers for it.
    """

    size: int
    gap: int
    forbidden: tuple[tuple[int, int], ...]

    def holds(self, spans: Collection[Span]) -> bool:
        """Return whether one question may read all of `spans`, which lie in one table."""
        ordered = sorted(spans)
        low, high = ordered[0].first, ordered[0].last
        for span in ordered[1:]:
            if span.first - high - 1 > self.gap:
                return False
            high = max(high, span.last)
        return high - low < self.size and not self.crosses(low, high)

    def crosses(self, low: int, high: int) -> bool:
        """Return whether `low`…`high` touches a forbidden address."""
        return any(low <= b and a <= high for a, b in self.forbidden)


def fewest(spans: Sequence[Span], window: Window, around: int | None) -> list[list[Span]]:
    """Return the fewest groups of `spans` that `window` allows, each in order of address.

    `around` is the address that proves a device's identity: where it costs no question, every
    group lies so that it can be read along.
    """
    groups = _from_the_left(spans, window)
    if around is None or len(groups) < 2:
        return groups
    proven = _around(spans, window, around)
    return proven if len(proven) == len(groups) else groups


def _from_the_left(spans: Sequence[Span], window: Window) -> list[list[Span]]:
    """Group by windows that each begin with the first span that is left.

    Some question must read that span, and none that does can reach further; whatever this one
    can read with it may leave the others without making them longer or their gaps wider, because
    every span that stays reaches beyond it. So the count is the least possible.
    """
    left = sorted(spans)
    groups: list[list[Span]] = []
    while left:
        group, rest = [left[0]], []
        low, high = left[0].first, left[0].last
        for span in left[1:]:
            end = max(high, span.last)
            near = span.first - high - 1 <= window.gap and end - low < window.size
            if near and not window.crosses(low, end):
                group.append(span)
                high = end
            else:
                rest.append(span)
        groups.append(group)
        left = rest
    return groups


def _around(spans: Sequence[Span], window: Window, at: int) -> list[list[Span]]:
    """Return the fewest groups that can all read `at` along; nothing where there are none."""
    stretched = sorted((min(span.first, at), max(span.last, at), span) for span in spans)
    groups: list[list[Span]] = []
    while stretched:
        low = stretched[0][0]
        group = [span for _, last, span in stretched if last - low < window.size]
        stretched = [each for each in stretched if each[1] - low >= window.size]
        if not group or not window.holds([*group, Span(group[0].table, at, at, 0, "")]):
            return []
        groups.append(sorted(group))
    return groups
