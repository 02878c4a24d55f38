"""The health of the lines: how each is, and how punctual its scans are beside what was predicted.

`check` predicts every line (`minewatch_drivers.forecast.budget`), the line measures itself
(`minewatch_drivers.pace.rhythm`); where measured exceeds predicted, `over` says so: then a device
answers more slowly than its file says, or the machine is too busy.
"""

from collections.abc import Mapping
from typing import Any

from minewatch_drivers.forecast.budget import LineBudget, predict
from minewatch_drivers.lines import AnyLine, Measured
from minewatch_drivers.pace.rhythm import ClassRhythm, LineRhythm

from minewatch.model.mine import Mine

RENEW_MS = 5_000
"""How often the punctuality is looked at; what is counted are minutes."""


class LinesHealth:
    """Reports on all lines of one controller."""

    def __init__(self, mine: Mine, lines: Mapping[str, AnyLine]) -> None:
        self._lines = lines
        self._budgets = {budget.bus: budget for budget in predict(mine)}
        self._rhythms: dict[str, dict[str, Any]] = {}
        self._until_ms = 0

    def report(self, now_ms: int) -> dict[str, dict[str, Any]]:
        """Return `health.buses` of the frame: integers and codes by id of the line."""
        if now_ms >= self._until_ms:
            self._until_ms = now_ms + RENEW_MS
            self._rhythms = {
                bus: _rhythm(line.rhythm(), self._budgets.get(bus))
                for bus, line in self._lines.items()
                if isinstance(line, Measured)
            }
        return {bus: self._line(bus, line) for bus, line in self._lines.items()}

    def _line(self, bus: str, line: AnyLine) -> dict[str, Any]:
        status = line.status()
        return {
            "up": status.up,
            "error": status.error,
            "since_ms": status.since_us // 1000,
            "load_pct": round(status.load * 100),
            "exchanges": status.exchanges,
            "failures": status.failures,
            "last_failure": status.last_failure,
            "last_failure_unit": status.last_failure_unit,
            **self._rhythms.get(bus, {}),
        }


def _rhythm(rhythm: LineRhythm, budget: LineBudget | None) -> dict[str, Any]:
    """Return the punctuality of one line; without a prediction nothing is ever over."""
    return {
        "predicted_load_pct": None if budget is None else round(budget.load * 100),
        "classes": [_class(each, budget) for each in rhythm.classes],
        "urged_ms": rhythm.urged_ms,
        "stretched": rhythm.stretched,
        "refused": dict(rhythm.refused),
    }


def _class(rhythm: ClassRhythm, budget: LineBudget | None) -> dict[str, Any]:
    predicted_ms = _predicted_ms(rhythm.scan_ms, budget)
    return {
        "scan_ms": rhythm.scan_ms,
        "p99_ms": rhythm.p99_ms,
        "reaction_ms": rhythm.reaction_ms,
        "predicted_ms": predicted_ms,
        "late": rhythm.late,
        "over": predicted_ms is not None and rhythm.reaction_ms > predicted_ms,
    }


def _predicted_ms(scan_ms: int, budget: LineBudget | None) -> int | None:
    """Return the worst reaction predicted for a scan class, one dead unit included."""
    if budget is None:
        return None
    if scan_ms == 0:
        return budget.urged_reaction_ms
    worst = [each.reaction_one_dead_ms for each in budget.classes if each.scan_ms == scan_ms]
    return worst[0] if worst else None
