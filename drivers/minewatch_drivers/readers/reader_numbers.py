"""A reader's 16-bit numbers made to rise for ever: over wraps, over restarts, out of order.

A number that was delivered lately is known and comes only once. One that is older than what is
remembered is passed on: the core knows more, and says so when an old log is played again.
"""

from collections import deque

WRAP = 0x10000
KNOWN_MAX = 1024
"""Numbers remembered: many times what a reader shows at once."""

BOOT_SHIFT = 20
"""Room for sixteen wraps within one restart of a reader that dates its records by restart."""


class Numbers:
    """The numbers of one reader: `number` makes a record's rise, `is_new` says it once."""

    def __init__(self) -> None:
        self._newest: int | None = None
        self._base = 0
        self._boot: int | None = None
        self._order: deque[int] = deque()
        self._known: set[int] = set()

    def restarted(self) -> None:
        """The reader counts anew: what comes now is newer than everything before.

        Two wraps lie between, so that nobody takes the jump for a few lost reads.
        """
        if self._newest is not None:
            self._base = (self._newest // WRAP + 2) * WRAP
            self._newest = None

    def number(self, sequence: int, boot: int | None = None) -> int:
        """Return the rising number of a record; `boot` is the restart that it says itself."""
        return self._unwrapped(sequence) if boot is None else self._dated(sequence, boot)

    def is_new(self, number: int) -> bool:
        """Return whether a number was not delivered lately, and remember it."""
        if number in self._known:
            return False
        self._known.add(number)
        self._order.append(number)
        if len(self._order) > KNOWN_MAX:
            self._known.discard(self._order.popleft())
        return True

    def _unwrapped(self, sequence: int) -> int:
        if self._newest is None:
            self._newest = self._base + sequence
            return self._newest
        ahead = (sequence - self._newest + WRAP // 2) % WRAP - WRAP // 2
        number = self._newest + ahead
        self._newest = max(self._newest, number)
        return number

    def _dated(self, sequence: int, boot: int) -> int:
        """Return the number of a record that says in which restart it was made."""
        base = boot + 1 << BOOT_SHIFT
        if self._boot is None or boot > self._boot:
            self._boot, self._base, self._newest = boot, base, None
        return self._unwrapped(sequence) if boot == self._boot else base + sequence
