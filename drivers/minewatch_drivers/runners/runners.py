"""Runners move the bytes of a line: the loop's hub for TCP, a thread for a serial port.

A runner decides nothing. It opens the connection, again and again with a growing wait, hands
bytes and time to the line and sends what the line says. `notify` runs in the loop's thread
whenever `line.take()` has something new.
"""

import random
from collections.abc import Callable
from typing import Protocol

from minewatch.model.mine import Bus
from minewatch.ports import Clock
from minewatch_drivers.address import parse_address
from minewatch_drivers.certified.files_line import FilesLine
from minewatch_drivers.lines import AnyLine, ByteLine
from minewatch_drivers.runners.files_runner import FilesRunner
from minewatch_drivers.runners.serial_runner import SerialRunner
from minewatch_drivers.runners.tcp_runner import TcpRunner

BACK_OFF_MIN_S, BACK_OFF_MAX_S = 1.0, 5.0


class Runner(Protocol):
    """What the controller holds of a line that runs."""

    async def start(self) -> None:
        """Begin; returns at once, the connection comes when it comes."""
        ...

    async def stop(self) -> None:
        """End and close; returns when nothing of it is left."""
        ...

    def kick(self) -> None:
        """Look at the line now: new wanted levels or another scan stand there."""
        ...


def open_runner(line: AnyLine, bus: Bus, clock: Clock, notify: Callable[[], None]) -> Runner:
    """Return the runner for the url of `bus`; nothing is opened before `start`.

    Raises:
        ValueError: the url is none that a line can have.
    """
    if isinstance(line, FilesLine):
        return FilesRunner(line, clock, notify)
    address = parse_address(bus.url)
    if not isinstance(line, ByteLine):
        raise ValueError(f"no runner moves bytes for {bus.url!r}")
    if address.transport in ("rtu", "serial"):
        return SerialRunner(line, address, clock, notify, back_off_s)
    return TcpRunner(line, address, clock, notify, back_off_s)


def back_off_s(failures: int) -> float:
    """Return the wait before try `failures` + 1: 1 s doubling to 5 s, up to a fifth longer.

    Never shorter: a device that flaps is connected once a second at most.
    """
    wait: float = min(BACK_OFF_MIN_S * 2 ** min(failures, 8), BACK_OFF_MAX_S)
    return wait * random.uniform(1.0, 1.2)
