"""Simulated personnel readers: what each style of reader keeps of whom it heard, as registers.

`memory_of` makes the memory that a device file describes. Numbers, clocks and restarts are the
reader's own; `people.Lies` say how it departs from what truly passed.
"""

from collections.abc import Iterable
from typing import Protocol

from minewatch_drivers.device_files.device_model import Table
from minewatch_drivers.device_files.reader_model import Drain, Flag, Queue, ReaderForm, Snapshot

from minewatch_sim.badge_list import BadgeList, CardFlag
from minewatch_sim.badge_queue import BadgeDrain, BadgeQueue
from minewatch_sim.people import Heard, Lies

Registers = dict[Table, dict[int, int]]


class ReaderMemory(Protocol):
    """What a simulated device asks of its reader; times are plant time in ms."""

    def tick(self, heard: Iterable[Heard], now_ms: int) -> None:
        """Take whom the reader has heard since the last call; follow its lies."""
        ...

    def registers(self) -> Registers:
        """Return the words of the reader's whole window."""
        ...

    def was_read(self, table: Table, address: int, count: int) -> None:
        """Registers were read; some readers forget them now."""
        ...

    def write(self, table: Table, address: int, value: int) -> bool:
        """Take a write; False where the reader has nothing at that address."""
        ...

    def restart(self) -> None:
        """Lose what a loss of power takes."""
        ...


def memory_of(form: ReaderForm | None, lies: Lies) -> ReaderMemory | None:
    """Return the empty memory of a reader, None where the device is none."""
    if isinstance(form, Queue):
        return BadgeQueue(form, lies)
    if isinstance(form, Drain):
        return BadgeDrain(form, lies)
    if isinstance(form, Snapshot):
        return BadgeList(form, lies)
    return CardFlag(form, lies) if isinstance(form, Flag) else None
