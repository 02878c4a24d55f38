"""What the controller holds of a line, whatever runs on its wire, and which machine a url takes.

`tcp`, `rtu` and `rtu+tcp` speak Modbus (`line.Line`), `serial` a vendor's protocol
(`serial_line.SerialLine`) or a modem's dialogue (`gsm_line.GsmLine`), `files` reads the certified
system's files (`files_line.FilesLine`). Every machine is sans-IO: a runner (`runners.open_runner`)
moves its bytes, or its files, and calls it with the time.
"""

from collections.abc import Collection, Mapping
from typing import Protocol, runtime_checkable

from minewatch.model.mine import Bus, Mine
from minewatch_drivers.address import parse_address
from minewatch_drivers.certified.files_line import FilesLine
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.serial_model import Says
from minewatch_drivers.modbus_line.line import Line, LineStatus, Turn
from minewatch_drivers.modbus_line.pipeline import PipelinedLine, questions_at_once
from minewatch_drivers.pace.rhythm import LineRhythm
from minewatch_drivers.tasks.outbox import Taken
from minewatch_drivers.vendor.gsm_line import GsmLine
from minewatch_drivers.vendor.serial_line import SerialLine


class AnyLine(Protocol):
    """A line as the controller sees it; these may be called from any one thread."""

    bus: Bus
    outputs: tuple[str, ...]

    def want(self, table: Mapping[str, bool], now_us: int) -> None:
        """Set the wanted level of every output of this line."""
        ...

    def urge(self, points: Collection[str], scan_ms: int) -> None:
        """Scan these points every `scan_ms` and all others as configured; empty is normal."""
        ...

    def take(self) -> Taken:
        """Return what was learned since the last call."""
        ...

    def status(self) -> LineStatus:
        """Return how the line is."""
        ...


@runtime_checkable
class Measured(Protocol):
    """A line that knows how punctual its scans are."""

    def rhythm(self) -> LineRhythm:
        """Return how punctual the scans of this line are."""
        ...


@runtime_checkable
class ByteLine(AnyLine, Protocol):
    """A line whose wire carries bytes, as its runner sees it."""

    def connected(self, now_us: int) -> None:
        """The connection or port is open."""
        ...

    def lost(self, now_us: int, why: str) -> None:
        """The connection or port is gone, or could not be opened; `why` is a code."""
        ...

    def feed(self, data: bytes, now_us: int) -> None:
        """Take bytes that arrived; `poll` follows."""
        ...

    def poll(self, now_us: int) -> Turn:
        """Return what to do now."""
        ...

    @property
    def missing_bytes(self) -> int:
        """How many bytes are surely still to come."""
        ...

    @property
    def answered_since_open(self) -> bool:
        """Whether anything good has come since the connection was opened last."""
        ...

    @property
    def fresh(self) -> bool:
        """Whether `take` would return anything."""
        ...


def open_line(mine: Mine, bus: Bus, *, writes: bool) -> AnyLine:
    """Return the machine for `bus`; `writes=False` constructs no way to write an output at all.

    Raises:
        ValueError: the url is none that a line can have.
    """
    if bus.certified:
        return FilesLine(mine, bus)
    if parse_address(bus.url).transport == "serial":
        return GsmLine(mine, bus) if _is_modem(mine, bus) else SerialLine(mine, bus)
    depth = questions_at_once(mine, bus)
    if depth > 1:
        return PipelinedLine(mine, bus, writes=writes, depth=depth)
    return Line(mine, bus, writes=writes)


def _is_modem(mine: Mine, bus: Bus) -> bool:
    protocols = [device_file.load(each.model).serial for each in mine.devices if each.bus == bus.id]
    return any(each is not None and each.says is Says.SMS for each in protocols)
