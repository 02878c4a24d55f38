"""The proxy on real wires: sockets and ptys on either side, one event loop, faults as they stand.

`ProxyServer` listens on `tcp://…`, `rtu+tcp://…` or makes a pty under a path (`rtu:///path`), and
passes what a master asks on to another such place. Both ends must carry the same frames. Where it
makes a pty, the path is a link to it: an adapter that can be pulled, or come back as another one.
"""

import asyncio
import contextlib
import time
from dataclasses import replace
from pathlib import Path

from minewatch_drivers.address import Address, parse_address

from minewatch_sim.faults import CLOSING, Fault, Faults
from minewatch_sim.proxy import WIRE, Counts, Proxy, Turn
from minewatch_sim.proxy_ends import READ_MAX, Adapter, End, FileEnd, SocketEnd, open_port

FOLLOW_S = 0.02
CONNECT_LIMIT_S = 3.0
MASTERS_MAX = 512
AGAIN_US = 500_000
"""So long a pty stays away when its other side is gone: nobody is called in a tight loop."""

AWAY = frozenset({Fault.REBOOT, Fault.UNPLUGGED})


def boottime_us() -> int:
    """Return µs on the clock that counts suspend."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


class Pass:
    """One master, its proxy and the way to what it asks."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.master: End | None = None
        self.device: End | None = None
        self._early = bytearray()
        self._timer: asyncio.TimerHandle | None = None

    def from_master(self, data: bytes) -> None:
        """Take what the master sent."""
        self.proxy.from_master(data, boottime_us())
        self.pump()

    def from_device(self, data: bytes) -> None:
        """Take what came from the other side."""
        self.proxy.from_device(data, boottime_us())
        self.pump()

    def reach(self, device: End) -> None:
        """The other side is there now; questions that came before it go out."""
        self.device = device
        early, self._early = bytes(self._early), bytearray()
        if early:
            device.write(early)

    def close(self) -> None:
        """Close both sides."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        master, device, self.master, self.device = self.master, self.device, None, None
        for end in (master, device):
            if end is not None:
                end.close()

    def pump(self) -> None:
        """Pass on what is due and come again when more is."""
        turn = self.proxy.poll(boottime_us())
        self._send(turn)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if turn.close:
            self.close()
        elif turn.wake_us < 1 << 60 and self.master is not None:
            wait_s = max(0, turn.wake_us - boottime_us()) / 1e6
            self._timer = asyncio.get_running_loop().call_later(wait_s, self.pump)

    def _send(self, turn: Turn) -> None:
        for data in turn.to_master:
            if self.master is not None:
                self.master.write(data)
        for data in turn.to_device:
            if self.device is not None:
                self.device.write(data)
            elif len(self._early) < READ_MAX:
                self._early += data


class ProxyServer:
    """Stands between masters and `to`; `faults` may be changed while it runs.

    `other` is the port to which the path leads while the adapter is renumbered.

    Raises:
        ValueError: an end is no line, or the two carry different frames.
    """

    def __init__(self, listen: str, to: str, faults: Faults, *, other: str = "") -> None:
        self.faults = faults
        self._other = other
        self.counts = Counts()
        self.url = listen
        self._listen = _address(listen)
        self._to = _address(to)
        if self._listen.serial != self._to.serial:
            raise ValueError(f"{listen} and {to} carry different frames")
        self._passes: set[Pass] = set()
        self._reaching: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._port = self._listen.port
        self._adapter: Adapter | None = None
        self._follower: asyncio.Task[None] | None = None
        self._renumbered = False
        self._again_us = 0

    async def start(self) -> None:
        """Listen, or make the pty and its path."""
        await self._open()
        self._follower = asyncio.create_task(self._follow(), name="proxy")

    async def stop(self) -> None:
        """Close everything; nothing is left, not even the path."""
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)
        await self._close()
        for task in list(self._reaching):
            task.cancel()
        await asyncio.gather(*self._reaching, return_exceptions=True)

    async def __aenter__(self) -> "ProxyServer":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _open(self) -> None:
        if self._listen.transport == "rtu":
            made = self._new_pass()
            self._adapter = Adapter(Path(self._listen.path))
            made.master = self._adapter.plug(made.from_master, lambda: self._gone(made))
            return
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, self._listen.host, self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        query = self.url.partition("?")[2]
        self.url = f"{self._listen.transport}://{self._listen.host}:{self._port}"
        self.url += f"?{query}" if query else ""

    async def _close(self) -> None:
        for each in list(self._passes):
            each.close()
        self._passes.clear()
        if self._adapter is not None or self._renumbered:
            Adapter(Path(self._listen.path)).unplug()
            self._adapter, self._renumbered = None, False
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _follow(self) -> None:
        """Bring listener, adapter and connections into the state that the faults ask for."""
        while True:
            await asyncio.sleep(FOLLOW_S)
            elsewhere = bool(self._other) and self.faults.has(WIRE, Fault.RENUMBERED)
            away = elsewhere or any(self.faults.has(WIRE, each) for each in AWAY)
            if away and (self._server is not None or self._adapter is not None):
                await self._leave()
            elif not away and self._server is None and self._adapter is None:
                await self._come_back()
            elif any(self.faults.has(WIRE, each) for each in CLOSING):
                for each in list(self._passes):
                    each.close()
            if elsewhere and not self._renumbered:
                self._renumbered = True
                self.faults.struck[Fault.RENUMBERED.value] += 1
                Adapter(Path(self._listen.path)).lead_to(self._other)

    async def _leave(self) -> None:
        """Be gone, as a gateway that restarts or an adapter that is pulled."""
        if self._server is not None:
            self.faults.struck[Fault.REBOOT.value] += 1
        elif not self.faults.has(WIRE, Fault.RENUMBERED):
            self.faults.struck[Fault.UNPLUGGED.value] += 1
        await self._close()

    async def _come_back(self) -> None:
        if boottime_us() < self._again_us:
            return
        if self._renumbered:
            self._renumbered = False
            Adapter(Path(self._listen.path)).unplug()
        with contextlib.suppress(OSError):  # the port may be taken; it is tried again
            await self._open()

    def _accept(self) -> SocketEnd:
        closes = self.faults.has(WIRE, Fault.ACCEPT_THEN_CLOSE)
        if closes or len(self._passes) >= MASTERS_MAX:
            self.faults.struck[Fault.ACCEPT_THEN_CLOSE.value] += closes
            return SocketEnd(lambda _: None, lambda: None, refused=True)
        made = self._new_pass()
        made.master = end = SocketEnd(made.from_master, lambda: self._gone(made))
        return end

    def _new_pass(self) -> Pass:
        made = Pass(Proxy(self.faults, serial=self._to.serial, counts=self.counts))
        self._passes.add(made)
        task = asyncio.get_running_loop().create_task(self._reach(made))
        self._reaching.add(task)
        task.add_done_callback(self._reaching.discard)
        return made

    async def _reach(self, made: Pass) -> None:
        """Connect a pass with the other side; without one its master is let go."""
        gone = self._gone
        if self._to.transport == "rtu":
            try:
                made.reach(FileEnd(open_port(self._to), made.from_device, lambda: gone(made)))
            except OSError:
                gone(made)
            return
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                _, end = await loop.create_connection(
                    lambda: SocketEnd(made.from_device, lambda: gone(made)),
                    self._to.host,
                    self._to.port,
                )
        except OSError:
            gone(made)
        else:
            made.reach(end)
            if made.master is None:
                made.close()

    def _gone(self, made: Pass) -> None:
        """One side is gone: so is the pass. The pty of a serial line comes anew."""
        made.close()
        self._passes.discard(made)
        if self._adapter is not None:
            self._adapter.unplug()
            self._adapter = None
            self._again_us = boottime_us() + AGAIN_US


def _address(url: str) -> Address:
    """Return what `url` says; on a socket port 0 is any free one."""
    head, mark, query = url.partition("?")
    if head.endswith(":0"):
        return replace(parse_address(head[:-1] + "1" + mark + query), port=0)
    return parse_address(url)
