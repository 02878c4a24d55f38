"""Flood: more alarms than people can read (EEMUA 191), shown as groups with the first on top.

More than ten alarms that sound within ten minutes begin one; fewer than five within ten minutes
end it. Nothing is hidden and nothing is decided by it: while it lasts, alarms are grouped by zone
(by line or source where they have none), and only the first of a group sounds. Priority 1 is never
grouped away.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from minewatch.core.folding import Fold
from minewatch.model.event import Event

if TYPE_CHECKING:
    from minewatch.core.alarms.alarm import Alarm
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable

WINDOW_MS = 10 * 60_000
BEGIN_ABOVE = 10
END_BELOW = 5
NEVER_GROUPED_PRIORITY = 1


@dataclass(frozen=True, slots=True)
class Flood:
    """A flood that stands. It began at `since_ms`; `raised` alarms have sounded in it so far."""

    since_ms: int
    raised: int


def begins(recent: tuple[int, ...], now_ms: int) -> bool:
    """Say whether the times of the newest alarms, oldest first, make a flood begin."""
    return len(recent) > BEGIN_ABOVE and now_ms - recent[-BEGIN_ABOVE - 1] < WINDOW_MS


def is_over(recent: tuple[int, ...], now_ms: int) -> bool:
    """Say whether a flood with these newest alarms is over."""
    return now_ms - recent[-END_BELOW] >= WINDOW_MS


def with_recent(recent: tuple[int, ...], now_ms: int) -> tuple[int, ...]:
    """Return the times with one more; never more than it takes to tell a flood."""
    return (*recent, now_ms)[-(BEGIN_ABOVE + 1) :]


def decide(draft: "Draft") -> None:
    """Say once that a flood begins, and once that it is over."""
    flood, recent = draft.durable.alarms.flood, draft.durable.alarms.recent
    now_ms = draft.image.now_ms
    if flood is None:
        if begins(recent, now_ms):
            draft.emit("flood_began", count=len(recent), window_ms=WINDOW_MS)
    elif is_over(recent, now_ms):
        duration_ms = now_ms - flood.since_ms
        draft.emit("flood_ended", duration_ms=duration_ms, raised=flood.raised)


def group_of(alarm: "Alarm") -> str:
    """Return what the alarm is grouped by: its zone, else its line or source."""
    return alarm.zone or alarm.source


def groups(flood: Flood | None, alarms: Iterable["Alarm"]) -> dict[str, list["Alarm"]]:
    """Return the alarms of a flood by group, each from its first-out on; priority 1 in none."""
    if flood is None:
        return {}
    table: dict[str, list[Alarm]] = {}
    for each in sorted(alarms, key=lambda each: (each.raised_ms, not each.first_out, each.id)):
        if each.priority > NEVER_GROUPED_PRIORITY and each.raised_ms > flood.since_ms - WINDOW_MS:
            table.setdefault(group_of(each), []).append(each)
    return table


def view(durable: "Durable") -> dict[str, Any]:
    """Return the frame's `flood`: since when, and its groups with the most alarms first."""
    flood = durable.alarms.flood
    if flood is None:
        return {"flood": None}
    grouped = groups(flood, durable.alarms.items.values())
    shown = [
        {"group": key, "zone": each[0].zone, "first_out": each[0].id, "count": len(each)}
        for key, each in grouped.items()
    ]
    shown.sort(key=lambda each: (-int(str(each["count"])), str(each["group"])))
    return {"flood": {"since_ms": flood.since_ms, "raised": flood.raised, "groups": shown}}


def silent(durable: "Durable") -> frozenset[str]:
    """Return the alarms that stand behind the first of their group and make no sound of theirs."""
    grouped = groups(durable.alarms.flood, durable.alarms.items.values())
    return frozenset(each.id for group in grouped.values() for each in group[1:])


def _began(durable: "Durable", event: Event) -> "Durable":
    flood = Flood(event.now_ms, event.data["count"])
    return replace(durable, alarms=replace(durable.alarms, flood=flood))


def _ended(durable: "Durable", event: Event) -> "Durable":
    del event
    return replace(durable, alarms=replace(durable.alarms, flood=None))


FOLDS: dict[str, Fold] = {"flood_began": _began, "flood_ended": _ended}
