"""The real clock: monotonic time that counts suspend, and wall time with its trust."""

import ctypes
import time

from minewatch.ports import WallTime

_TIME_ERROR = 5
"""adjtimex(2): the kernel's clock is not synchronised."""

_TIMEX_BYTES = 256
"""Larger than struct timex on every Linux platform; a zeroed one only asks."""


class SystemClock:
    """CLOCK_BOOTTIME and the wall clock of this machine."""

    def __init__(self) -> None:
        self._adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)

    def now_ms(self) -> int:
        """Return ms since boot, suspend included."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def now_us(self) -> int:
        """Return µs since boot, suspend included."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000

    def wall(self) -> WallTime:
        """Return the wall clock; trusted only while the kernel says that it is synchronised."""
        return WallTime(time.time_ns() // 1_000_000, self._synchronised())

    def _synchronised(self) -> bool:
        if self._adjtimex is None:
            return False
        state: int = self._adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
        return 0 <= state < _TIME_ERROR
