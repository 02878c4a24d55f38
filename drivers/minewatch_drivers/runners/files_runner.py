"""The runner of a files line: a thread that lists a folder and reads files, and changes nothing.

Files are opened for reading alone, without a lock, without following a link, without touching
their access time where the system allows it. Each turn reads a bounded number of files and bytes.
A share that hangs holds this thread and nothing else; `kick` sees it and says so.
"""

import asyncio
import contextlib
import logging
import os
import stat
import threading
from collections.abc import Callable
from itertools import islice

from minewatch.ports import Clock
from minewatch_drivers.certified.files_line import BYTES_MAX, FilesLine, Moment, Stamp

ENTRIES_MAX = 200_000
"""A folder with more entries is not read: whoever owns it must clean it."""

HUNG_US = 15_000_000
"""A turn that takes longer is a share that hangs."""

REST = 20
"""The thread rests at least this many times as long as its last turn took."""

STOP_LIMIT_S = 2.0

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC

log = logging.getLogger(__name__)


class FilesRunner:
    """Runs one files line on one folder."""

    def __init__(self, line: FilesLine, clock: Clock, notify: Callable[[], None]) -> None:
        self._line = line
        self._clock = clock
        self._notify = notify
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._since_us: int | None = None

    async def start(self) -> None:
        """Begin; returns at once."""
        self._loop = asyncio.get_running_loop()
        name = f"line {self._line.bus.id}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """End the thread; one that hangs in the kernel is left to it."""
        thread, self._thread = self._thread, None
        self._stopping.set()
        if thread is not None:
            await asyncio.to_thread(thread.join, STOP_LIMIT_S)

    def kick(self) -> None:
        """Look whether the thread still turns; nothing of a files line is in a hurry."""
        since_us, now_us = self._since_us, self._clock.now_us()
        hangs = since_us is not None and now_us - since_us > HUNG_US
        if hangs and self._line.status().error != "hung":
            self._line.failed("hung", now_us)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._since_us = started_us = self._clock.now_us()
            try:
                self.turn()
            except OSError:
                self._line.failed("open", self._clock.now_us())
            except Exception:  # a bug must not end the owner of a line; it shows as down
                log.exception("the runner of %s failed", self._line.bus.id)
                self._line.failed("runner_fault", self._clock.now_us())
            self._since_us = None
            if self._line.fresh and self._loop is not None:
                with contextlib.suppress(RuntimeError):  # the loop has ended before us
                    self._loop.call_soon_threadsafe(self._notify)
            took_us = self._clock.now_us() - started_us
            self._stopping.wait(max(self._line.poll_us, REST * took_us) / 1e6)

    def turn(self) -> None:
        """List the folder once and read what is new in it.

        Raises:
            OSError: the folder cannot be listed.
        """
        with os.scandir(self._line.path) as entries:
            names = [entry.name for entry in islice(entries, ENTRIES_MAX + 1)]
        if len(names) > ENTRIES_MAX:
            self._line.failed("crowded", self._clock.now_us())
            return
        for name in self._line.pick(names, self._moment()):
            self._look_at(name)
        self._line.listed(self._moment())

    def _look_at(self, name: str) -> None:
        try:
            file = _open(os.path.join(self._line.path, name))
        except FileNotFoundError:
            self._line.unread(name, "vanished")
            return
        except OSError:
            self._line.unread(name, "unreadable")
            return
        try:
            self._read(name, file)
        except OSError:
            self._line.unread(name, "unreadable")
        finally:
            os.close(file)

    def _read(self, name: str, file: int) -> None:
        before = os.fstat(file)
        if not stat.S_ISREG(before.st_mode):
            self._line.unread(name, "unreadable")
        elif self._line.wants(name, _stamp(before)):
            data = _bytes(file)
            if _stamp(os.fstat(file)) == _stamp(before) and len(data) >= min(
                before.st_size, BYTES_MAX + 1
            ):
                self._line.feed_file(name, _stamp(before), data, self._moment())
            else:
                self._line.unread(name, "unsettled")

    def _moment(self) -> Moment:
        return Moment(self._clock.now_us(), self._clock.wall().ms)


def _open(path: str) -> int:
    """Open for reading; without a new access time where we own the file."""
    try:
        return os.open(path, _FLAGS | os.O_NOATIME)
    except PermissionError:
        return os.open(path, _FLAGS)


def _bytes(file: int) -> bytes:
    """Read at most one byte more than a file may have."""
    data = bytearray()
    while len(data) <= BYTES_MAX and (chunk := os.read(file, BYTES_MAX + 1 - len(data))):
        data += chunk
    return bytes(data)


def _stamp(seen: os.stat_result) -> Stamp:
    return seen.st_ino, seen.st_size, seen.st_mtime_ns
