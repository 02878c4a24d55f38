"""The real clock: monotonic time that counts suspend, and wall time with its trust.

The kernel is believed while it says that it is synchronised; else a time receiver on a serial
line, once it has said the same thing three times (practice 28: time server → receiver → people).
"""

import ctypes
import time

from minewatch.ports import WallTime

_TIME_ERROR = 5
"""adjtimex(2): the kernel's clock is not synchronised."""

VOUCHED_MS = 3_600_000
"""So long after its last word a receiver is believed: this machine drifts by less than a second."""

AGREES_MS = 1_000
SAID_MIN = 3
"""So often a receiver must have said the same, within `AGREES_MS`, before it is believed."""

OFF_MS = 5_000
"""A wall clock that is further from the receiver than this is wrong (practice 28)."""

_TIMEX_BYTES = 256
"""Larger than struct timex on every Linux platform; a zeroed one only asks."""


class SystemClock:
    """CLOCK_BOOTTIME and the wall clock of this machine."""

    def __init__(self) -> None:
        self._adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
        self._receiver = Receiver()

    def now_ms(self) -> int:
        """Return ms since boot, suspend included."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def now_us(self) -> int:
        """Return µs since boot, suspend included."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000

    def wall(self) -> WallTime:
        """Return the wall clock, or the receiver's time where only that one can be trusted."""
        own_ms = time.time_ns() // 1_000_000
        if self._synchronised():
            return WallTime(own_ms, trusted=True)
        told_ms = self._receiver.wall_ms(self.now_ms())
        return WallTime(own_ms, False) if told_ms is None else WallTime(told_ms, True)

    def vouch(self, wall_ms: int, at_ms: int) -> None:
        """Take the time that a receiver told at `at_ms` of this clock."""
        self._receiver.take(wall_ms, at_ms)

    def off_ms(self) -> int:
        """Return how far this machine's wall clock is from the receiver's; 0 without a receiver."""
        told_ms = self._receiver.wall_ms(self.now_ms())
        return 0 if told_ms is None else time.time_ns() // 1_000_000 - told_ms

    def _synchronised(self) -> bool:
        if self._adjtimex is None:
            return False
        state: int = self._adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
        return 0 <= state < _TIME_ERROR


class Receiver:
    """What a time receiver has said, as an offset between wall and monotonic time."""

    def __init__(self) -> None:
        self._offset_ms: int | None = None
        self._vouched_ms = 0
        self._candidate_ms = 0
        self._said = 0

    def take(self, wall_ms: int, at_ms: int) -> None:
        """Take one word; a word unlike the ones before has to be said three times over."""
        offset_ms = wall_ms - at_ms
        if self._said and abs(offset_ms - self._candidate_ms) <= AGREES_MS:
            self._said += 1
        else:
            self._candidate_ms, self._said = offset_ms, 1
        if self._said < SAID_MIN:
            return
        self._vouched_ms = at_ms
        if self._offset_ms is None or abs(offset_ms - self._offset_ms) > AGREES_MS // 2:
            self._offset_ms = offset_ms

    def wall_ms(self, now_ms: int) -> int | None:
        """Return the wall time in ms since 1970, None where nobody has vouched for an hour."""
        if self._offset_ms is None or now_ms - self._vouched_ms > VOUCHED_MS:
            return None
        return now_ms + self._offset_ms
