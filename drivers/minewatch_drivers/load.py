"""How busy a line is: the share of time in which an exchange was under way."""

WINDOW_US = 10_000_000


class LoadMeter:
    """Sums busy time in windows of ten seconds; `load` is that of the last full window."""

    def __init__(self) -> None:
        self.load = 0.0
        self._busy_us = 0
        self._window_us = 0

    def busy(self, start_us: int, end_us: int) -> None:
        """Count one exchange."""
        self._busy_us += end_us - start_us
        if self._window_us == 0:
            self._window_us = start_us
        elapsed_us = end_us - self._window_us
        if elapsed_us >= WINDOW_US:
            self.load = self._busy_us / elapsed_us
            self._busy_us, self._window_us = 0, end_us
