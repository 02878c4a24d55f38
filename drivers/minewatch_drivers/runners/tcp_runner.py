"""The runner of a line on TCP: connect, move bytes, come back after a loss; decides nothing.

Modbus TCP and RTU frames alike. Its socket and its times belong to the hub of the event loop; no
task and no transport stands between the kernel and the line.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

from minewatch.ports import Clock
from minewatch_drivers.address import Address
from minewatch_drivers.lines import ByteLine
from minewatch_drivers.runners.hub import NEVER_US, READ, WRITE, Hub, hub_of

CONNECT_LIMIT_US = 3_000_000
"""A connection that does not stand by then is given up, name lookup included."""

AGAIN_US = 20_000
"""The least wait before a connection that brought answers is opened again."""

RECEIVE_MAX = 4096
"""Bytes taken from one socket before the others have their turn."""

UNSENT_MAX = 8192
"""Bytes that the peer does not take; more means that nobody reads there."""

_Target = tuple[socket.AddressFamily, Any]


class TcpRunner:
    """Runs one line on a TCP connection."""

    __slots__ = (
        "_address", "_back_off_s", "_clock", "_failures", "_hub", "_line", "_lookup", "_notify",
        "_now_us", "_open", "_opened_us", "_receive", "_socket", "_step_us", "_targets",
        "_transmit", "_unsent", "armed_us",
    )  # fmt: skip

    def __init__(
        self,
        line: ByteLine,
        address: Address,
        clock: Clock,
        notify: Callable[[], None],
        back_off_s: Callable[[int], float],
    ) -> None:
        self.armed_us = NEVER_US
        self._line = line
        self._address = address
        self._clock = clock
        self._now_us = clock.now_us
        self._notify = notify
        self._back_off_s = back_off_s
        self._hub: Hub | None = None
        self._socket: socket.socket | None = None
        self._open = False
        self._receive: Callable[[int], bytes] = _nothing
        self._transmit: Callable[[bytes], int] = _nowhere
        self._opened_us = 0
        self._unsent = b""
        self._targets: list[_Target] = []
        self._lookup: asyncio.Task[None] | None = None
        self._failures = 0
        self._step_us = 0
        """When the connection must stand, or is tried again; NEVER_US while it stands."""

    async def start(self) -> None:
        """Begin; returns at once."""
        self._hub = hub_of(asyncio.get_running_loop(), self._clock)
        self._hub.join(self)
        self._begin(self._now_us())
        self._turn(self._now_us())
        self._hub.settle()

    async def stop(self) -> None:
        """Close the connection and end."""
        hub, self._hub = self._hub, None
        if hub is None:
            return
        self._drop(hub)
        lookup, self._lookup = self._lookup, None
        if lookup is not None:
            lookup.cancel()
            await asyncio.gather(lookup, return_exceptions=True)
        hub.leave(self)

    def kick(self) -> None:
        """Look at the line in the loop's next turn."""
        if self._hub is not None:
            self._hub.kick(self)

    def ready(self, events: int, now_us: int) -> None:
        """The hub says that the socket can be used, or is broken."""
        if events != READ or not self._open:
            if not self._open:
                self._connected(now_us)
            elif events & WRITE:
                self._flush(now_us)
            if events == WRITE or not self._open:
                return
        receive = self._receive
        try:
            data = receive(RECEIVE_MAX)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._lost("broken", now_us)
            return
        if data:
            self._line.feed(data, now_us)
            self._turn(now_us)
        else:
            self._lost("closed", now_us)

    def ring(self) -> None:
        """The hub says that it is time, or that somebody wants the line looked at."""
        if self._open and self._address.serial:
            # A late answer that lies unread must not be taken for that to the next question.
            self.ready(READ, self._now_us())
        now_us = self._now_us()
        if now_us >= self._step_us:
            if self._socket is not None and _stands(self._socket):
                # The loop was held up, not the peer: its word to us still waits to be heard.
                self._connected(now_us)
            elif self._targets or self._lookup is not None:
                self._give_up(now_us)
            else:
                self._begin(now_us)
        self._turn(now_us)

    def fail(self) -> None:
        """A bug in the line must not end its owner; it shows as down."""
        self._lost("runner_fault", self._now_us())

    def _turn(self, now_us: int) -> None:
        """Do what the line says and have oneself rung when it wants to be asked again."""
        hub = self._hub
        if hub is None:
            return
        line = self._line
        send, wake_us, reconnect = line.poll(now_us)
        if self._open:
            if send is not None:
                self._send(send, now_us)
            if reconnect and self._open:
                self._lost(line.status().error, now_us)
                return
        if wake_us < self.armed_us or self._step_us < self.armed_us:
            hub.wake_at(self, min(wake_us, self._step_us))
        if line.fresh:
            hub.tell(self._notify)

    # The connection.

    def _begin(self, now_us: int) -> None:
        """Find out where the peer is, off the loop unless its host is a number, and connect."""
        self._step_us = now_us + CONNECT_LIMIT_US
        host, port = self._address.host, self._address.port
        target = numeric(host, port)
        if target is not None:
            self._targets = [target]
            self._next_target(now_us)
            return
        assert self._hub is not None
        name = f"line {self._line.bus.id}"
        self._lookup = self._hub.loop.create_task(self._look_up(host, port), name=name)

    async def _look_up(self, host: str, port: int) -> None:
        targets: list[_Target] = []
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
            targets = [(family, address) for family, _, _, _, address in found]
        except (OSError, UnicodeError):  # no such name, or none that could be one
            targets = []
        self._lookup = None
        if self._hub is not None:
            self._targets = targets
            self._next_target(self._now_us())
            self._turn(self._now_us())
            self._hub.settle()

    def _next_target(self, now_us: int) -> None:
        """Begin to connect to the next address of the host, or give up where there is none."""
        hub = self._hub
        assert hub is not None
        while self._targets:
            family, address = self._targets[0]
            try:
                made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            except OSError:
                break
            code = made.connect_ex(address)
            if code in (0, errno.EINPROGRESS):
                self._socket = made
                hub.watch(made.fileno(), self, WRITE)
                return
            made.close()
            self._targets.pop(0)
        self._give_up(now_us)

    def _connected(self, now_us: int) -> None:
        """The attempt has an outcome."""
        made = self._socket
        if made is None or self._hub is None:
            return
        if made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or not _stands(made):
            self._drop(self._hub)
            self._targets.pop(0)
            self._next_target(now_us)
            return
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._hub.rewatch(made.fileno(), READ)
        self._open = True
        self._receive, self._transmit = made.recv, made.send
        self._opened_us = now_us
        self._targets = []
        self._step_us = NEVER_US
        self._line.connected(now_us)
        self._turn(now_us)

    def _give_up(self, now_us: int) -> None:
        """The connection does not come; the next try begins with the first address again."""
        self._targets = []
        if self._lookup is not None:
            self._lookup.cancel()
            self._lookup = None
        self._lost("connect", now_us)

    def _lost(self, why: str, now_us: int) -> None:
        """Nothing stands any more: tell the line, and try again after a growing wait."""
        if self._hub is None:
            return
        self._drop(self._hub)
        self._line.lost(now_us, why)
        wait_us = int(self._back_off_s(self._failures) * 1e6)
        if self._line.answered_since_open:
            # Once a second at most, and at once after a connection that has stood for longer.
            self._failures = 0
            wait_us = max(AGAIN_US, self._opened_us + int(self._back_off_s(0) * 1e6) - now_us)
        self._step_us = now_us + wait_us
        self._failures += 1
        self._turn(now_us)

    def _drop(self, hub: Hub) -> None:
        gone, self._socket = self._socket, None
        self._open = False
        self._receive, self._transmit = _nothing, _nowhere
        self._unsent = b""
        if gone is not None:
            hub.unwatch(gone.fileno())
            gone.close()

    # Bytes.

    def _send(self, data: bytes, now_us: int) -> None:
        if self._unsent:
            self._unsent += data
            if len(self._unsent) > UNSENT_MAX:
                self._lost("broken", now_us)
            return
        transmit = self._transmit
        try:
            sent = transmit(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._lost("broken", now_us)
            return
        if sent < len(data):
            self._unsent = data[sent:]
            self._watch(READ | WRITE)

    def _flush(self, now_us: int) -> None:
        """The peer takes bytes again."""
        data, self._unsent = self._unsent, b""
        self._watch(READ)
        if data:
            self._send(data, now_us)

    def _watch(self, events: int) -> None:
        if self._hub is not None and self._socket is not None:
            self._hub.rewatch(self._socket.fileno(), events)


def numeric(host: str, port: int) -> _Target | None:
    """Return where to connect if `host` is an address and no name."""
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        try:
            socket.inet_pton(socket.AF_INET6, host)
        except OSError:
            return None
        return socket.AF_INET6, (host, port, 0, 0)
    return socket.AF_INET, (host, port)


def _nothing(_size: int) -> bytes:
    """Stand for a socket that is not there."""
    raise BlockingIOError


def _nowhere(_data: bytes) -> int:
    """Stand for a socket that is not there."""
    raise BlockingIOError


def _stands(made: socket.socket) -> bool:
    """Return whether the socket has a peer: an event may be left from an earlier one."""
    try:
        made.getpeername()
    except OSError:
        return False
    return True
