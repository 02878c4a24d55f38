"""What the house needs from the world, as small Protocols; the real ones live beside their users.

Virtual twins of all three stand in `minewatch_sim.virtual`: the same controller runs on them.
"""

from typing import NamedTuple, Protocol

from minewatch.model.event import Event
from minewatch.model.image import Sample


class WallTime(NamedTuple):
    """Wall clock in ms since 1970 UTC, and whether anybody vouches for it."""

    ms: int
    trusted: bool


class Clock(Protocol):
    """Time that counts suspend (CLOCK_BOOTTIME); it never runs backwards."""

    def now_ms(self) -> int:
        """Return monotonic ms."""
        ...

    def now_us(self) -> int:
        """Return monotonic µs, for the silent intervals of a serial line."""
        ...

    def wall(self) -> WallTime:
        """Return the wall clock with its trust."""
        ...


class Wire(Protocol):
    """A way for bytes to one line; it only moves them."""

    def send(self, data: bytes) -> None:
        """Queue bytes to the line; errors arrive as a lost connection, never here."""
        ...

    def close(self) -> None:
        """Drop the connection or port; the runner opens it again when the line asks."""
        ...


class Store(Protocol):
    """Where decisions and inputs go. Nothing here blocks; what is full says so.

    `submit` hands over one cycle: its canonical image bytes and its events, in order, and the
    samples of that image once more, for curves. Events get consecutive ledger indices;
    `durable_index` is how many entries are known to be on disk.
    """

    @property
    def durable_index(self) -> int:
        """Return the number of ledger entries on disk."""
        ...

    def submit(
        self, image: bytes, events: tuple[Event, ...], samples: tuple[Sample, ...], /
    ) -> None:
        """Take one cycle; a full queue sheds the image, never an event."""
        ...

    def faults(self) -> tuple[str, ...]:
        """Return codes of what is wrong now: `disk`, `queue`, `journal`; empty when all is well."""
        ...
