"""What a line learns of its own pace: the share of time that is busy, the slowest answer."""

WINDOW_US = 10_000_000


class LoadMeter:
    """Sums busy time in windows of ten seconds; `load` is that of the last full window.

    Where `depth` exchanges may run at once, the load is the share of that room.
    """

    __slots__ = (
        "_busy_us", "_depth", "_window_us", "load",
    )  # fmt: skip

    def __init__(self, depth: int = 1) -> None:
        self.load = 0.0
        self._depth = depth
        self._busy_us = 0
        self._window_us = 0

    def busy(self, start_us: int, end_us: int) -> None:
        """Count one exchange."""
        self._busy_us += end_us - start_us
        if self._window_us == 0:
            self._window_us = start_us
        elapsed_us = end_us - self._window_us
        if elapsed_us >= WINDOW_US:
            self.load = self._busy_us / elapsed_us / self._depth
            self._busy_us, self._window_us = 0, end_us


WORST_WINDOW_US = 600_000_000


class WorstReply:
    """The slowest answer of the last ten to twenty minutes, in µs."""

    __slots__ = (
        "_now_us", "_window_us", "us",
    )  # fmt: skip

    def __init__(self) -> None:
        self.us = 0
        self._now_us = 0
        self._window_us = 0

    def note(self, took_us: int, now_us: int) -> None:
        """Count one answer, also one that came too late."""
        if now_us - self._window_us >= WORST_WINDOW_US:
            self.us, self._now_us, self._window_us = self._now_us, 0, now_us
        if took_us > self._now_us:
            self._now_us = took_us
            self.us = max(self.us, took_us)
