"""The runner of a serial port: a thread that owns it, sleeps between bytes and holds t3.5.

The port is opened exclusively, anew by its path each time: a link that names an adapter by its
serial number (/dev/serial/by-id/…) is followed wherever the adapter comes back. The thread touches
the line's byte side alone; `want`, `urge` and `take` come from the loop's thread, `kick` wakes this
one.

A line is fast where nobody wakes late or for nothing: the thread wakes promptly (`prompt_thread`),
it sleeps until the last byte of an answer is due instead of waking for each, and it passes the last
0.1 ms of a silence awake, looking for bytes once more before it asks.
"""

import asyncio
import contextlib
import fcntl
import logging
import math
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
from minewatch_drivers.runners.prompt_thread import be_prompt

READ_MAX = 4096
SLEEP_MAX_S = 0.05
"""Longest sleep for bytes that are surely still to come."""

AWAKE_US = 100
"""What passes awake before a question: about how late a sleeping thread is woken."""

EARLY_US = 200
"""How long before the last byte of an answer the thread is there to wait for it."""

WAIT_MAX_S = 1.0
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
        self._heard, self._begun_us = 0, math.inf

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
        be_prompt()
        failures = 0
        while not self._stopping.is_set():
            try:
                self._own_port()
                if self._line.answered_since_open:
                    failures = 0
                self._idle(self._back_off_s(failures))
            except Exception:  # a bug must not end the owner of a line: it goes on a second later
                log.exception("the line %s failed", self._line.bus.id)
                self._stopping.wait(WAIT_MAX_S)
            failures += 1

    def _own_port(self) -> None:
        """Open the port and serve the line until one of them ends it."""
        why = "open"
        try:
            with open_port(self._address) as port:
                self._line.connected(self._now_us())
                why = "broken"
                self._serve(port.fileno())
            if not self._stopping.is_set():
                self._line.lost(self._now_us(), self._line.status().error or "reconnect")
        except (OSError, ValueError, termios.error):
            self._line.lost(self._now_us(), why)
        except Exception:  # a bug must not end the owner of a line; it shows as down
            log.exception("the runner of %s failed", self._line.bus.id)
            self._line.lost(self._now_us(), "runner_fault")

    def _serve(self, file: int) -> None:
        """Move bytes until the line wants the port opened anew or the house stops.

        Raises:
            OSError: the port broke.
        """
        while not self._stopping.is_set():
            # The time is taken before the look: bytes from before it were heard, however late
            # this thread runs again, and no late answer waits unread when a question leaves.
            now_us = self._now_us()
            if select.select([file], [], [], 0)[0]:
                self._read(file)
            turn = self._line.poll(now_us)
            if turn.reconnect:
                return
            if turn.send is not None:
                _write(file, turn.send)
                self._heard, self._begun_us = 0, math.inf
            self._say_fresh()
            if self._wait(turn.wake_us, file):
                self._read(file)

    def _read(self, file: int) -> None:
        data = os.read(file, READ_MAX)
        if not data:
            raise OSError("the port is gone")
        now_us = self._now_us()
        self._line.feed(data, now_us)
        self._heard += len(data)
        missing = self._line.missing_bytes
        if missing > 1:
            self._sleep_until_due(missing - 1, now_us)

    def _sleep_until_due(self, missing: int, now_us: int) -> None:
        """Sleep while `missing` bytes come; the earliest sign tells best when they began."""
        byte_us = self._address.byte_us
        self._begun_us = min(self._begun_us, now_us - self._heard * byte_us)
        due_us = self._begun_us + (self._heard + missing) * byte_us
        sleep_s = (due_us - EARLY_US - now_us) / 1e6
        if sleep_s > 0:
            time.sleep(min(sleep_s, SLEEP_MAX_S))

    def _wait(self, wake_us: int, *files: int) -> bool:
        """Wait until bytes, a ring or `wake_us`; returns whether bytes are there."""
        heard = [self._bell, *files]
        wait_s = max(0, wake_us - AWAKE_US - self._now_us()) / 1e6
        ready, _, _ = select.select(heard, [], [], min(wait_s, WAIT_MAX_S))
        if not ready and wait_s < WAIT_MAX_S:
            while self._now_us() < wake_us:
                pass
            ready, _, _ = select.select(heard, [], [], 0)
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


def open_port(address: Address) -> serial.Serial:
    """Open the port for ourselves alone, as `address` says.

    Raises:
        OSError, ValueError, termios.error: it cannot be opened so.
    """
    port = serial.Serial(
        address.path,
        address.baud,
        parity=_parity(address),
        stopbits=address.stop_bits,
        timeout=0,
        exclusive=True,
    )
    if not _is_pty(address):
        # pyserial's lock keeps out only those who ask for it. A pty would keep this mark after
        # us, because its other side holds it open, and nobody could open it again.
        fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
    with contextlib.suppress(ValueError, OSError):  # only some adapters know it
        port.set_low_latency_mode(True)
    return port


def _write(file: int, data: bytes) -> None:
    """Hand a question to the port; a port that does not take it whole is stuck.

    Raises:
        OSError: it is stuck or gone.
    """
    if os.write(file, data) != len(data):
        raise OSError("the port takes no more")


def _is_pty(address: Address) -> bool:
    return os.path.realpath(address.path).startswith(PTY_FOLDER)


def _parity(address: Address) -> str:
    """Return the parity to set. A pty has none and refuses it when it is opened again."""
    return serial.PARITY_NONE if _is_pty(address) else address.parity
