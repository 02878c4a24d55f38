"""The frame that watchers see: the core's view, a header and the health of the house.

A full frame first, then deltas: only entries that changed, None where one is gone. The shape is
the contract of ARCHITECTURE §4; watchers get codes and integers, never sentences. The table of
points, which may be large and change as a whole, is spelled as JSON here (`points.py`).
"""

from collections import deque
from typing import Any

from minewatch.controller.cycle import Controller
from minewatch.controller.lines_health import LinesHealth
from minewatch.controller.points import changed_points, spell_points
from minewatch.core.state import State
from minewatch.core.view import sections

SECTIONS = (
    "outputs",
    "causes",
    "interlocks",
    "local_fans",
    "alarms",
    "people",
    "withdrawals",
    "calibrations",
    "hand_covers",
    "bypasses",
    "approvals",
    "comparisons",
    "shelved",
    "duty_checks",
    "notices",
    "head_works",
    "warm_ups",
    "hand_checks",
    "low_oxygen",
    "frozen",
    "suspects",
    "interlock_tests",
    "emergencies",
    "past_withdrawals",
    "grades",
    "due",
)
"""Parts of a frame that, like `points`, are tables by id, and so are sent entry by entry."""

PERIODS_KEPT = 600
"""One minute of cycle periods for the p99 in health."""


class Frames:
    """Makes full frames and deltas of one controller."""

    def __init__(self, controller: Controller, header: dict[str, Any]) -> None:
        self._controller = controller
        self._header = header
        self._lines = LinesHealth(controller.mine, controller.lines)
        self._last: dict[str, Any] = {}
        self._state = State()
        self._periods_ms: deque[int] = deque(maxlen=PERIODS_KEPT)
        self._turned_ms: int | None = None
        self.reports: dict[str, Any] = {}
        self.watchers = 0

    def turned(self, now_ms: int) -> None:
        """Note the time of a turn for the cycle period."""
        if self._turned_ms is not None:
            self._periods_ms.append(now_ms - self._turned_ms)
        self._turned_ms = now_ms

    def now_ms(self) -> int:
        """Return the controller's clock."""
        return self._controller.clock.now_ms()

    def full(self) -> dict[str, Any]:
        """Return a full frame of this moment, for one who comes after the newest delta."""
        live = self._controller.state.volatile.points.live
        return {"type": "full", **self._now(), "points": spell_points(live)}

    def begin(self) -> None:
        """Let the next delta be against this moment: nobody watched until now."""
        self._last, self._state = self._now(), self._controller.state

    def delta(self) -> dict[str, Any]:
        """Return what changed since the last delta or `begin`; header and health are whole."""
        now = self._now()
        changed: dict[str, Any] = {"type": "delta"}
        for key, value in now.items():
            if key not in SECTIONS:
                changed[key] = value
                continue
            before = self._last.get(key, {})
            part = {each: value[each] for each in value if before.get(each) != value[each]}
            part.update({each: None for each in before if each not in value})
            if part:
                changed[key] = part
        before, self._state = self._state, self._controller.state
        points = changed_points(before.volatile.points.live, self._state.volatile.points.live)
        if points is not None:
            changed["points"] = points
        self._last = now
        return changed

    def _now(self) -> dict[str, Any]:
        controller = self._controller
        now_ms = controller.clock.now_ms()
        wall = controller.clock.wall()
        return {
            **self._header,
            "cycle": controller.cycle,
            "t_ms": now_ms,
            "wall_ms": wall.ms,
            "wall_trusted": wall.trusted,
            "durable_index": controller.store.durable_index,
            **sections(controller.mine, controller.state, now_ms),
            "health": self._health(),
        }

    def _health(self) -> dict[str, Any]:
        controller = self._controller
        return {
            "buses": self._lines.report(controller.clock.now_ms()),
            "overruns": controller.overruns,
            "cycle_p99_ms": self._p99_ms(),
            "faults": list(controller.store.faults()),
            "watchers": self.watchers,
            "upload": self.reports.get("upload", {}),
            "console": self.reports.get("console", {}),
        }

    def _p99_ms(self) -> int | None:
        if not self._periods_ms:
            return None
        ordered = sorted(self._periods_ms)
        return ordered[(len(ordered) * 99) // 100]
