"""Past withdrawals: what each was, as a person says after its end (practice 16).

The newest stay to be classified, true, false, drill or test; a verdict may be corrected by another
one. Every verdict is counted for ever, and the ledger keeps each with its reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from minewatch.core.folding import with_entry, without
from minewatch.model.event import Event

VERDICTS = ("true", "false", "drill", "test")

OVER_MAX = 64
"""Withdrawals kept to be classified; beyond it the oldest leaves and stays counted as it is."""


def is_verdict(value: Any) -> bool:
    """Say whether the value is one of the verdicts."""
    return isinstance(value, str) and value in VERDICTS


@dataclass(frozen=True, slots=True)
class Over:
    """A withdrawal that has ended; `verdict` is empty until somebody has said what it was."""

    id: str
    zones: tuple[str, ...]
    causes: tuple[str, ...]
    raised_wall_ms: int
    duration_ms: int
    verdict: str = ""
    by: str = ""
    second: str = ""


@dataclass(frozen=True, slots=True)
class Past:
    """`over` are the newest, oldest first; `ended` counts all, `counts` those with each verdict."""

    over: Mapping[str, Over] = field(default_factory=dict)
    ended: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)


def with_ended(past: Past, over: Over) -> Past:
    """Return the past with one more."""
    kept = with_entry(past.over, over.id, over)
    if len(kept) > OVER_MAX:
        kept = without(kept, next(iter(kept)))
    return replace(past, over=kept, ended=past.ended + 1)


def with_verdict(past: Past, event: Event) -> Past:
    """Return the past with one verdict given or corrected."""
    data = event.data
    before, verdict = past.over[data["withdrawal"]], data["verdict"]
    counts = {**past.counts, verdict: past.counts.get(verdict, 0) + 1}
    if before.verdict:
        counts[before.verdict] -= 1
    after = replace(before, verdict=verdict, by=data["by"], second=data["second"])
    return replace(past, over=with_entry(past.over, after.id, after), counts=counts)


def shown(past: Past) -> dict[str, Any]:
    """Return the frame's `past_withdrawals` and how many there were of each verdict."""
    counts = {each: past.counts.get(each, 0) for each in VERDICTS}
    return {
        "past_withdrawals": {
            each.id: {
                "zones": list(each.zones),
                "causes": list(each.causes),
                "raised_wall_ms": each.raised_wall_ms,
                "duration_ms": each.duration_ms,
                "verdict": each.verdict,
                "by": each.by,
                "second": each.second,
            }
            for each in past.over.values()
        },
        "withdrawal_counts": {**counts, "unclassified": past.ended - sum(counts.values())},
    }
