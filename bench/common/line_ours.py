"""Our side of `lines.py`: lines with their runners, as the controller runs them.

Its clock and its way with garbage are the controller's own: everything that stands at the start is
frozen, and what comes later is looked through as seldom as `GC_THRESHOLD` says. What the lines
bring is fetched as the board fetches it, and counted.
"""

import gc
from functools import partial

from line_cost import REGISTERS, main
from line_mine import line_mine
from minewatch_drivers.modbus_line.line import Line
from minewatch_drivers.runners.runners import open_runner
from minewatch_drivers.tasks.jobs import Job

from minewatch.controller.__main__ import GC_THRESHOLD
from minewatch.controller.clock import SystemClock
from minewatch.model.mine import Bus, Mine

UNITS = {1: 16, 16: 4, 200: 2}
"""Connections → units per line: as many as keep it busy with scans that are due each ms."""

UNITS_OTHERWISE = 2


class _Watched(Line):
    """A line that notes how long each answer took."""

    def __init__(self, mine: Mine, bus: Bus, took_us: list[int]) -> None:
        super().__init__(mine, bus, writes=False)
        self._took_us = took_us

    def _answered(self, job: Job, pdu: bytes, now_us: int) -> None:
        self._took_us.append(now_us - self._start_us)
        super()._answered(job, pdu, now_us)


class Ours:
    """So many lines with their runners."""

    def __init__(self, port: int, connections: int, timed: bool) -> None:
        clock = SystemClock()
        bus = Bus("line", f"tcp://127.0.0.1:{port}", scan_ms=1, timeout_ms=2000)
        mine = line_mine(bus, UNITS.get(connections, UNITS_OTHERWISE), REGISTERS)
        self.took_us: list[int] = []
        self._readings = 0
        lines = [
            _Watched(mine, bus, self.took_us) if timed else Line(mine, bus, writes=False)
            for _ in range(connections)
        ]
        self._runners = [open_runner(line, bus, clock, partial(self._take, line)) for line in lines]

    @property
    def answered(self) -> int:
        """How many requests have been answered with ten good values."""
        return self._readings // REGISTERS

    async def start(self) -> None:
        """Freeze what stands, as the controller does, and connect."""
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLD)
        for runner in self._runners:
            await runner.start()

    async def stop(self) -> None:
        """Close everything."""
        for runner in self._runners:
            await runner.stop()

    def _take(self, line: Line) -> None:
        for sample in line.take().samples:
            self._readings += len(sample.readings)


if __name__ == "__main__":
    main(Ours)
