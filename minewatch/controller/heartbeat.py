"""Signs of life: to the supervisor's pipe and to systemd, sent only while the loop turns.

Nothing here runs on a thread or timer of its own. A hung loop therefore stops all of them: the
supervisor restarts the process, systemd restarts the unit, the relays' own watchdogs act by role.
"""

import os
import socket

INTERVAL_MS = 1000
"""Often enough for a supervisor that waits 10 s and a WatchdogSec of the same size."""


class Heartbeat:
    """Sends at most one sign of life a second. `pipe` is an inherited descriptor or None."""

    def __init__(self, pipe: int | None) -> None:
        self._pipe = pipe
        self._sent_ms = 0
        self._systemd = os.environ.get("NOTIFY_SOCKET", "")

    def beat(self, now_ms: int) -> None:
        """The loop has turned."""
        if now_ms - self._sent_ms < INTERVAL_MS:
            return
        self._sent_ms = now_ms
        self._to_pipe()
        self._to_systemd("WATCHDOG=1")

    def ready(self) -> None:
        """The first turn is over."""
        self._to_systemd("READY=1")

    def stopping(self) -> None:
        """The process ends on purpose."""
        self._to_systemd("STOPPING=1")

    def _to_pipe(self) -> None:
        if self._pipe is None:
            return
        try:
            os.write(self._pipe, b".")
        except BlockingIOError:
            return  # a full pipe means that the supervisor is slow, not that we are dead
        except BrokenPipeError:
            self._pipe = None

    def _to_systemd(self, message: str) -> None:
        if not self._systemd:
            return
        address = "\0" + self._systemd[1:] if self._systemd.startswith("@") else self._systemd
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            try:
                notify.sendto(message.encode(), address)
            except OSError:
                self._systemd = ""
