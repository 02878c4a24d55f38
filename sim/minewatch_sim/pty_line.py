"""A serial line on a pty, with the time that bytes take at its baud rate.

A pty moves bytes at once. So a request counts as received one byte time per byte after it came,
and replies go out in pieces at the line's own pace. What a master must keep, a silence of 3.5
characters before each request, is measured here.
"""

import asyncio
import os
import tty
from collections import deque
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from minewatch_sim.bus import SimulatedBus
from minewatch_sim.modbus_server import RtuFraming

PIECE_BYTES = 8
FAST_BAUD = 19_200
T35_FAST_US = 1_750
READ_MAX = 4096


class LineTiming:
    """Byte time and t3.5 of a serial URL such as `rtu:///dev/ttyS0?baud=9600&parity=E`."""

    def __init__(self, url: str) -> None:
        self.query = urlsplit(url).query
        values = {key: each[-1] for key, each in parse_qs(self.query).items()}
        baud = int(values.get("baud", "9600"))
        parity = 0 if values.get("parity", "N") == "N" else 1
        bits = 1 + 8 + parity + int(values.get("stop", "1"))
        self.byte_us = bits * 1_000_000 / baud
        self.t35_us = 3.5 * self.byte_us if baud <= FAST_BAUD else T35_FAST_US


class PtyLine:
    """A bus on a pty; its URL names the path that a master opens, a link to that pty.

    An adapter can be pulled, and can change its path with that of its `partner`.
    """

    def __init__(self, bus: SimulatedBus, now_us: Callable[[], int], path: Path) -> None:
        self.bus = bus
        self.path = path
        self.partner: PtyLine | None = None
        self.timing = LineTiming(bus.bus.url)
        self.short_gaps = 0
        self.requests = 0
        self._now_us = now_us
        self._framing = RtuFraming()
        self._master = -1
        self._slave = -1
        self._name = ""
        self._renumbered = False
        self._last_byte_us = 0
        self._pieces: deque[tuple[int, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def url(self) -> str:
        """Return the address that a line opens."""
        return f"rtu://{self.path}" + (f"?{self.timing.query}" if self.timing.query else "")

    async def open(self) -> None:
        """Make the pty. Its own slave end stays open, so that a master may come and go."""
        self._master, self._slave = os.openpty()
        tty.setraw(self._master)
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._name = os.ttyname(self._slave)
        asyncio.get_running_loop().add_reader(self._master, self._readable)
        partner = self.partner
        self._lead_here(partner.path if self._renumbered and partner is not None else self.path)

    async def follow(self) -> None:
        """Be where the faults say: pulled, under the partner's path, or at home.

        A rebooting device of a serial line is simply silent: there are no connections.
        """
        if self.bus.unplugged():
            await self.close()
            return
        partner = self.partner
        swapped = self.bus.renumbered() or (partner is not None and partner.bus.renumbered())
        if swapped != self._renumbered:
            await self.close()
            self._renumbered = swapped
        if self._master < 0:
            await self.open()

    async def close(self) -> None:
        """Close both ends; the path goes with them."""
        if self._master < 0:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._pieces.clear()
        self._framing = RtuFraming()
        for path in (self.path, *([self.partner.path] if self.partner is not None else [])):
            if path.is_symlink() and str(path.readlink()) == self._name:
                path.unlink()
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1

    def _lead_here(self, path: Path) -> None:
        beside = path.with_name(f".{path.name}.new")
        beside.unlink(missing_ok=True)
        beside.symlink_to(self._name)
        beside.replace(path)

    def _readable(self) -> None:
        now_us = self._now_us()
        data = os.read(self._master, READ_MAX)
        silence_us = now_us - self._last_byte_us
        if silence_us >= self.timing.t35_us:
            self._framing.silence()
        elif self._last_byte_us and not self._framing.pending:
            self.short_gaps += 1
        started_us = max(now_us, self._last_byte_us) if self._framing.pending else now_us
        received_us = started_us + round(len(data) * self.timing.byte_us)
        self._last_byte_us = received_us
        for request in self._framing.feed(data):
            self.requests += 1
            for delay_us, reply in self.bus.respond(request, now_us):
                self._queue(received_us + delay_us, reply)

    def _queue(self, start_us: int, data: bytes) -> None:
        """Cut a reply into pieces, each due when its last byte would have passed the wire."""
        if self._pieces:
            start_us = max(start_us, self._pieces[-1][0])
        for offset in range(0, len(data), PIECE_BYTES):
            piece = data[offset : offset + PIECE_BYTES]
            start_us += round(len(piece) * self.timing.byte_us)
            self._pieces.append((start_us, piece))
        if self._timer is None:
            self._arm()

    def _arm(self) -> None:
        wait_s = max(0, self._pieces[0][0] - self._now_us()) / 1e6
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._send)

    def _send(self) -> None:
        self._timer = None
        _, piece = self._pieces.popleft()
        # Stamped before the write: a master may answer before this process runs on.
        self._last_byte_us = self._now_us()
        try:
            os.write(self._master, piece)
        except BlockingIOError:
            self._pieces.clear()
        if self._pieces:
            self._arm()
