"""The hub: one epoll for all TCP sockets of an event loop, one heap for all their wake times.

An asyncio transport costs several times the system calls that it wraps. The hub hands ready
sockets to its members itself and takes part in any loop that has `add_reader`, as a single
descriptor with a single timer. It knows neither lines nor bytes; `runners.TcpRunner` does. All
of it runs in the loop's thread.
"""

import asyncio
import heapq
import itertools
import logging
import select
from collections.abc import Callable
from typing import Protocol

from minewatch.ports import Clock

NEVER_US = 1 << 62

BATCH_MAX = 64
"""Sockets served before what they brought is told and the loop has its turn; others come next.

A batch takes a few ms at most, and what it brings still lies in the cache when it is fetched.
"""

HEAP_SPARE = 64

READ, WRITE = select.EPOLLIN, select.EPOLLOUT

log = logging.getLogger(__name__)


class Member(Protocol):
    """Somebody with at most one socket. `armed_us` belongs to the hub; it starts as NEVER_US."""

    armed_us: int

    def ready(self, events: int, now_us: int) -> None:
        """The socket can be read, written, or is broken; `events` is the mask of epoll.

        `now_us` is when the kernel said so: one time for all that were ready together.
        """
        ...

    def ring(self) -> None:
        """The time given to `wake_at` has come, or something else wants to be looked at."""
        ...

    def fail(self) -> None:
        """A bug came out of `ready` or `ring`; it is logged, the socket must go."""
        ...


class Hub:
    """Sockets and wake times of one loop. It is open while it has members."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self.loop = loop
        self.clock = clock
        self._now_us = clock.now_us
        self._epoll: select.epoll | None = None
        self._members: set[Member] = set()
        self._by_file: dict[int, Member] = {}
        self._wakes: list[tuple[int, int, Member]] = []
        self._serial = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_us = NEVER_US
        self._kicked: dict[Member, None] = {}
        self._news: dict[Callable[[], None], None] = {}

    def join(self, member: Member) -> None:
        """Take a member in."""
        if self._epoll is None:
            self._epoll = select.epoll()
            self.loop.add_reader(self._epoll.fileno(), self._ready)
            _OPEN.append(self)
        self._members.add(member)

    def leave(self, member: Member) -> None:
        """Forget a member; the last one closes the hub. Its socket was unwatched before."""
        self._members.discard(member)
        self._kicked.pop(member, None)
        member.armed_us = NEVER_US
        if self._members or self._epoll is None:
            return
        self.loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._epoll = None
        self._wakes.clear()
        self._disarm()
        _OPEN.remove(self)

    def watch(self, file: int, member: Member, events: int) -> None:
        """Tell `member` when the socket `file` is ready for `events`."""
        assert self._epoll is not None
        self._epoll.register(file, events)
        self._by_file[file] = member

    def rewatch(self, file: int, events: int) -> None:
        """Look for other events on a watched socket."""
        assert self._epoll is not None
        self._epoll.modify(file, events)

    def unwatch(self, file: int) -> None:
        """Forget a socket; call it before the socket is closed."""
        assert self._epoll is not None
        del self._by_file[file]
        self._epoll.unregister(file)

    def wake_at(self, member: Member, wake_us: int) -> None:
        """Ring `member` at `wake_us` at the latest; a wake that stands earlier stays."""
        if wake_us >= member.armed_us:
            return
        member.armed_us = wake_us
        if len(self._wakes) > 4 * len(self._members) + HEAP_SPARE:
            self._wakes = [wake for wake in self._wakes if wake[2].armed_us == wake[0]]
            heapq.heapify(self._wakes)
        heapq.heappush(self._wakes, (wake_us, next(self._serial), member))

    def kick(self, member: Member) -> None:
        """Ring `member` in the loop's next turn, together with all who are kicked in this one."""
        if not self._kicked:
            self.loop.call_soon(self._ring_kicked)
        self._kicked[member] = None

    def tell(self, notify: Callable[[], None]) -> None:
        """Call `notify` once when everything that is ready now has been served."""
        self._news[notify] = None

    def settle(self) -> None:
        """End a batch: pass on what is new and set the timer to the earliest wake."""
        wakes = self._wakes
        if wakes and wakes[0][0] < self._timer_us:
            self._disarm()
            self._timer_us = wakes[0][0]
            wait_us = max(0, self._timer_us - self._now_us())
            self._timer = self.loop.call_later(wait_us / 1e6, self._ring)
        while self._news:
            notify, _ = self._news.popitem()
            notify()

    def _ready(self) -> None:
        by_file, left = self._by_file, BATCH_MAX
        while left > 0 and self._epoll is not None:
            events = self._epoll.poll(0, left)
            if not events:
                break
            left -= len(events)
            now_us = self._now_us()
            for file, mask in events:
                member = by_file.get(file)
                if member is not None:
                    try:
                        member.ready(mask, now_us)
                    except Exception:  # a bug of one line must not end the others
                        log.exception("a line failed")
                        member.fail()
        self.settle()

    def _ring(self) -> None:
        self._timer = None
        self._timer_us = NEVER_US
        now_us = self._now_us()
        while self._wakes and self._wakes[0][0] <= now_us:
            wake_us, _, member = heapq.heappop(self._wakes)
            if member.armed_us == wake_us:
                member.armed_us = NEVER_US
                self._ring_one(member)
        self.settle()

    def _ring_kicked(self) -> None:
        kicked, self._kicked = self._kicked, {}
        for member in kicked:
            self._ring_one(member)
        self.settle()

    def _ring_one(self, member: Member) -> None:
        try:
            member.ring()
        except Exception:  # a bug of one line must not end the others
            log.exception("a line failed")
            member.fail()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._timer_us = NEVER_US


_OPEN: list[Hub] = []
"""Hubs with members; a hub enters with its first and goes with its last."""


def hub_of(loop: asyncio.AbstractEventLoop, clock: Clock) -> Hub:
    """Return the hub of `loop` for those who live by `clock`; a house has one clock and one hub."""
    for hub in _OPEN:
        if hub.loop is loop and hub.clock is clock:
            return hub
    return Hub(loop, clock)
