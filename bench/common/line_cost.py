"""What one side of `lines.py` costs, measured in its own process: the common part of the sides.

A side is a program (`line_ours.py`, `line_pymodbus.py`, `line_by_hand.py`) with the arguments
port, connections, seconds and `cost` or `took`; it prints one JSON line. Nothing here touches the
garbage collector: each side runs as its user runs it.
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

REGISTERS = 10

WARM_S = 0.5


class Cost(NamedTuple):
    """CPU seconds per 10 000 requests, those of them in the kernel, and requests per second."""

    cpu_s: float
    kernel_s: float
    rate: float


class Side(Protocol):
    """So many connections that ask as fast as they are answered."""

    @property
    def answered(self) -> int:
        """How many requests have been answered."""
        ...

    @property
    def took_us(self) -> list[int]:
        """How long each answer took, where that was asked for."""
        ...

    async def start(self) -> None:
        """Connect and begin to ask."""
        ...

    async def stop(self) -> None:
        """End in order."""
        ...


async def _run(made: Callable[[int, int, bool], Side]) -> list[float]:
    """Return what requests cost from the end of the warming up on, or how long answers took."""
    port, connections, seconds, what = sys.argv[1:]
    side = made(int(port), int(connections), what == "took")
    await side.start()
    await asyncio.sleep(WARM_S)
    first, before, begun = side.answered, resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    await asyncio.sleep(float(seconds))
    requests, wall = side.answered - first, time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_SELF)
    await side.stop()
    if what == "took":
        took_us = sorted(side.took_us)
        return [took_us[len(took_us) * each // 100] for each in (50, 99)]
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    each = 10_000 / requests
    return list(Cost((user + system) * each, system * each, requests / wall))


def main(made: Callable[[int, int, bool], Side]) -> None:
    """Run the side that `made` makes of port, connections, and whether each answer is timed."""
    print(json.dumps(asyncio.run(_run(made))))
