"""The runner of a serial port: a thread that owns it, sleeps between bytes and holds t3.5.

The port is opened exclusively. The thread touches the line's byte side alone; `want`, `urge` and
`take` come from the loop's thread, `kick` wakes this one.
"""

import asyncio
import contextlib
import logging
import os
import select
import termios
import threading
import time
from collections.abc import Callable

import serial

from minewatch.ports import Clock
from minewatch_drivers.address import Address
from minewatch_drivers.lines import ByteLine

READ_MAX = 4096
SLEEP_MAX_S = 0.05
"""Longest sleep for bytes that are surely still to come."""

STOP_LIMIT_S = 5.0

PTY_FOLDER = "/dev/pts/"

log = logging.getLogger(__name__)


class SerialRunner:
    """Runs one line on one serial port."""

    def __init__(
        self,
        line: ByteLine,
        address: Address,
        clock: Clock,
        notify: Callable[[], None],
        back_off_s: Callable[[int], float],
    ) -> None:
        self._line = line
        self._address = address
        self._now_us = clock.now_us
        self._notify = notify
        self._back_off_s = back_off_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._notified = False
        self._bell, self._hammer = -1, -1

    async def start(self) -> None:
        """Begin; returns at once."""
        self._loop = asyncio.get_running_loop()
        self._bell, self._hammer = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._hammer, False)
        name = f"line {self._line.bus.id}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Close the port and end the thread."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping.set()
        self._ring()
        await asyncio.to_thread(thread.join, STOP_LIMIT_S)
        if not thread.is_alive():
            os.close(self._bell)
            os.close(self._hammer)

    def kick(self) -> None:
        """Look at the line now; may be called from any thread."""
        if self._thread is not None:
            self._ring()

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # a full pipe rings already
            os.write(self._hammer, b"!")

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            why = "open"
            try:
                with self._open() as port:
                    self._line.connected(self._now_us())
                    why = "broken"
                    self._serve(port)
            except (OSError, ValueError, termios.error):
                self._line.lost(self._now_us(), why)
            except Exception:  # a bug must not end the owner of a line; it shows as down
                log.exception("the runner of %s failed", self._line.bus.id)
                self._line.lost(self._now_us(), "runner_fault")
            if self._line.answered_since_open:
                failures = 0
            self._idle(self._back_off_s(failures))
            failures += 1

    def _open(self) -> serial.Serial:
        address = self._address
        port = serial.Serial(
            address.path,
            address.baud,
            parity=_parity(address),
            stopbits=address.stop_bits,
            timeout=0,
            write_timeout=1.0,
            exclusive=True,
        )
        with contextlib.suppress(ValueError, OSError):  # only some adapters know it
            port.set_low_latency_mode(True)
        return port

    def _serve(self, port: serial.Serial) -> None:
        """Move bytes until the port breaks or the house stops."""
        file = port.fileno()
        while not self._stopping.is_set():
            turn = self._line.poll(self._now_us())
            if turn.send is not None:
                port.write(turn.send)
            self._say_fresh()
            if self._wait(turn.wake_us, file):
                self._read(file)

    def _read(self, file: int) -> None:
        data = os.read(file, READ_MAX)
        if not data:
            raise OSError("the port is gone")
        self._line.feed(data, self._now_us())
        sleep_s = (self._line.missing_bytes - 1) * self._address.byte_us / 1e6
        if sleep_s > 0:
            time.sleep(min(sleep_s, SLEEP_MAX_S))

    def _wait(self, wake_us: int, *files: int) -> bool:
        """Sleep until bytes, a ring or `wake_us`; returns whether bytes are there."""
        wait_s = max(0, wake_us - self._now_us()) / 1e6
        ready, _, _ = select.select([self._bell, *files], [], [], min(wait_s, 1.0))
        if self._bell in ready:
            os.read(self._bell, READ_MAX)
        return any(file in ready for file in files)

    def _idle(self, wait_s: float) -> None:
        """Wait before the next try; what falls due meanwhile fails."""
        until_us = self._now_us() + int(wait_s * 1e6)
        while not self._stopping.is_set() and self._now_us() < until_us:
            turn = self._line.poll(self._now_us())
            self._say_fresh()
            self._wait(min(turn.wake_us, until_us))

    def _say_fresh(self) -> None:
        if self._line.fresh and not self._notified and self._loop is not None:
            self._notified = True
            with contextlib.suppress(RuntimeError):  # the loop has ended before us
                self._loop.call_soon_threadsafe(self._say)

    def _say(self) -> None:
        self._notified = False
        self._notify()


def _parity(address: Address) -> str:
    """Return the parity to set. A pty has none and refuses it when it is opened again."""
    is_pty = os.path.realpath(address.path).startswith(PTY_FOLDER)
    return serial.PARITY_NONE if is_pty else address.parity
