"""Mouth gates: the second source of the headcount. They count bodies, the readers count badges.

Counters are cumulative, so that nothing is lost while a gate is away. More bodies out than exits
read lowers lo, more bodies in than entries read raises hi; both stay until people are read out or
closed by two names. All gates together are taken to stand around the whole mouth.
"""

from typing import TYPE_CHECKING

from minewatch.core.people import roster
from minewatch.core.people.layout import Layout
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

GATE_LOST_MS = 10_000
"""A gate whose last good answer is older cannot bound a headcount."""

STEP_MAX = 500
"""More people between two readings than this is a counter's fault, not a crowd."""

LEAD_MS = 300_000
"""Reads may run ahead of their bodies for so long; what then remains the gate has missed."""

WIDTHS = (2**16, 2**32)


def observe(draft: "Draft", layout: Layout) -> None:
    """Take the gates' counters from the image and settle reads that ran ahead of them."""
    if not layout.gates:
        return
    _take(draft, layout)
    _settle(draft, layout)


def is_good(draft: "Draft", layout: Layout) -> bool:
    """Say whether every gate has answered well within the last 10 s."""
    good_ms = draft.volatile.people.gate_good_ms
    oldest_ms = draft.image.now_ms - GATE_LOST_MS
    return bool(layout.gates) and all(
        good_ms.get(g, oldest_ms - 1) >= oldest_ms for g in layout.gates
    )


def _take(draft: "Draft", layout: Layout) -> None:
    values: dict[str, int] = {}
    good_ms = dict(draft.volatile.people.gate_good_ms)
    for sample in draft.image.samples:
        if sample.device not in layout.gate_devices:
            continue
        for point, value, quality in sample.readings:
            if point in layout.gates and quality is Quality.GOOD and value is not None:
                values[point] = value
                good_ms[point] = min(sample.sampled_ms, draft.image.now_ms)
    if not values:
        return
    roster.update(draft, gate_good_ms=good_ms)
    known = draft.durable.people.gates
    if any(known.get(point) != value for point, value in values.items()):
        _count(draft, layout, values)


def _count(draft: "Draft", layout: Layout, values: dict[str, int]) -> None:
    known = draft.durable.people.gates
    passed = {1: 0, -1: 0}
    odd: dict[str, int] = {}
    for point, value in values.items():
        if point not in known:
            continue
        step = _step(known[point], value)
        if step is None:
            odd[point] = value
        else:
            passed[layout.gates[point]] += step
    if not known:
        passed = _baseline(draft, layout, values)
    even = {point: value for point, value in values.items() if point not in odd}
    if odd:
        draft.emit("gate_reset", counters=odd, came=0, went=0)
    if any(known.get(point) != value for point, value in even.items()):
        draft.emit("gate_counted", counters=even, came=passed[1], went=passed[-1])


def _step(known: int, value: int) -> int | None:
    """Return how many passed between two counters, None where that cannot be known."""
    steps = [value - known, *(value + width - known for width in WIDTHS)]
    possible = [step for step in steps if 0 <= step <= STEP_MAX]
    return possible[0] if possible else None


def _baseline(draft: "Draft", layout: Layout, values: dict[str, int]) -> dict[int, int]:
    """Return what makes the balances begin at the very first counters.

    Whoever was read before has passed the gates before: those reads are ahead of nothing.
    """
    people = draft.durable.people
    unread = _already_inside(draft, layout, values)
    return {1: unread - people.came.more, -1: -people.went.more}


def _already_inside(draft: "Draft", layout: Layout, values: dict[str, int]) -> int:
    """Return how many the gates say are inside when the very first counters are read.

    Who was read before is among them; the others may be anywhere from none to all of them until
    they are read: hi counts them at once.
    """
    if set(values) != set(layout.gates):
        return 0
    net = sum(layout.gates[point] * value for point, value in values.items())
    if not 0 <= net <= 2 * draft.mine.headcount_limit:
        return 0
    return max(0, net - len(draft.durable.people.inside))


def _settle(draft: "Draft", layout: Layout) -> None:
    """Let go of reads that no body followed, lest they hide the next lost reads."""
    people = draft.durable.people
    now_ms = draft.image.now_ms
    ahead = people.came.more < 0 or people.went.more < 0
    if not ahead or not is_good(draft, layout):
        if draft.volatile.people.ahead_since_ms is not None:
            roster.update(draft, ahead_since_ms=None)
        return
    since_ms = draft.volatile.people.ahead_since_ms
    if since_ms is None:
        roster.update(draft, ahead_since_ms=now_ms)
    elif now_ms - since_ms > LEAD_MS:
        draft.emit("gate_settled", came=people.came.more, went=people.went.more)
