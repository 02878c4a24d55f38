"""Act: hand every line its part of the complete wanted table, every cycle, as levels.

In mode monitor this file is not even constructed and the lines have no write path (practice 1).
"""

from collections.abc import Mapping

from minewatch_drivers.lines import AnyLine

from minewatch.model.mine import Mine, Mode, OutputRole
from minewatch.model.wiring import CONTROL_ONLY

FAST_SCAN_MS = 200
"""Scan of a head in pre-alarm or above."""


class Actuator:
    """Splits the wanted table over the lines that own the relays."""

    def __init__(self, mine: Mine, lines: Mapping[str, AnyLine]) -> None:
        self._parts: list[tuple[AnyLine, tuple[str, ...]]] = []
        for bus_id, line in lines.items():
            owned = tuple(
                output.id
                for output in mine.outputs
                if mine.device(output.device).bus == bus_id and _allowed(mine.mode, output.role)
            )
            if owned:
                self._parts.append((line, owned))

    def want(self, outputs: Mapping[str, bool] | None, now_us: int) -> None:
        """Give each line its levels; None (start, nothing proven yet) gives nobody anything."""
        if outputs is None:
            return
        for line, owned in self._parts:
            line.want({each: outputs[each] for each in owned if each in outputs}, now_us)


def _allowed(mode: Mode, role: OutputRole) -> bool:
    return mode is Mode.CONTROL or (mode is Mode.ALARM and role not in CONTROL_ONLY)
