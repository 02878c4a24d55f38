"""One line, the proxy and what answers behind it, on virtual time: for campaigns by the million.

No loop, no socket, no plant: a heap of deliveries and the line's own wake times. Bytes take their
time on a serial wire. The same seed gives the same bytes at the same µs.
"""

import heapq
from collections.abc import Callable

from minewatch_drivers.address import parse_address
from minewatch_drivers.lines import ByteLine

from minewatch.model.image import Sample
from minewatch_sim.faults import CLOSING, Fault, Faults
from minewatch_sim.modbus_server import Request, RtuFraming, TcpFraming
from minewatch_sim.proxy import WIRE, Counts, Proxy

START_US = 1_000_000
TURNAROUND_US = 2_000
TRAVEL_US = 200
AGAIN_US = 20_000

Respond = Callable[[Request, int], bytes | None]
"""What answers: a question and the time → the reply PDU, None for silence."""


class VirtualLine:
    """Runs `line` against `respond`, through a proxy with `faults`.

    `heard` is called with each sample and the time at which it was taken. A connection is opened
    as the runner for sockets does it: once in `reopen_us` at most, at once where it stood longer.
    """

    def __init__(
        self,
        line: ByteLine,
        respond: Respond,
        faults: Faults,
        heard: Callable[[Sample, int], None],
        *,
        reopen_us: int = 1_000_000,
    ) -> None:
        address = parse_address(line.bus.url)
        self.line = line
        self.proxy = Proxy(faults, serial=address.serial, byte_us=address.byte_us)
        self.now_us = START_US
        self.short_gaps = 0
        self.opened: list[int] = []
        self.turnaround_us = TURNAROUND_US
        self._respond = respond
        self._heard = heard
        self._reopen_us = reopen_us
        self._byte_us = address.byte_us
        self._silence_us = address.silence_us
        self._framing = RtuFraming if address.serial else TcpFraming
        self._heap: list[tuple[int, int, Callable[[bytes], None], bytes]] = []
        self._serial_no = 0
        self._last_byte_us = self._free_us = self._woken_us = 0
        self._up = False
        self._open_us = self.now_us
        self._devices = self._framing()

    @property
    def counts(self) -> Counts:
        """Return what has passed the proxy."""
        return self.proxy.counts

    def run(self, until_us: int, done: Callable[[], bool] = lambda: False) -> None:
        """Let time pass until a time or until `done`."""
        while self.now_us < until_us and not done():
            self._follow()
            turn = self.line.poll(self.now_us)
            if turn.send is not None and self._up:
                self._send(turn.send)
                continue
            if turn.reconnect and self._up:
                self._close("reconnect")
                continue
            self._collect()
            self._move(min(turn.wake_us, until_us))

    def pull(self) -> None:
        """Break the connection or pull the adapter now."""
        if self._up:
            self._close("broken")

    def _follow(self) -> None:
        """Open what is closed once it is time, as far as the fault of the day allows."""
        if self._up or self.now_us < self._open_us:
            return
        faults = self.proxy.faults
        self.opened.append(self.now_us)
        if faults.has(WIRE, Fault.REBOOT) or faults.has(WIRE, Fault.UNPLUGGED):
            faults.struck[Fault.REBOOT.value] += 1
            self.line.lost(self.now_us, "connect")
            self._open_us = self.now_us + self._reopen_us
            return
        self._up = True
        self._free_us = self._woken_us = 0
        self._heap.clear()
        self._devices = self._framing()
        self.proxy.connected()
        self.line.connected(self.now_us)
        if any(faults.has(WIRE, each) for each in CLOSING):
            faults.struck[Fault.ACCEPT_THEN_CLOSE.value] += 1
            self._close("closed")

    def _close(self, why: str) -> None:
        self._up = False
        self._heap.clear()
        self._open_us = max(self.now_us + AGAIN_US, self.opened[-1] + self._reopen_us)
        self.line.lost(self.now_us, why)
        self._collect()

    def _send(self, data: bytes) -> None:
        if self._last_byte_us and self.now_us - self._last_byte_us < self._silence_us:
            self.short_gaps += 1
        wire_us = round(self._byte_us * len(data)) or TRAVEL_US
        self._last_byte_us = self.now_us + (wire_us if self._byte_us else 0)
        self._at(self.now_us + wire_us, self._to_proxy, data)

    def _to_proxy(self, data: bytes) -> None:
        self.proxy.from_master(data, self.now_us)
        self._pump()

    def _pump(self) -> None:
        turn = self.proxy.poll(self.now_us)
        for data in turn.to_device:
            for request in self._devices.feed(data):
                pdu = self._respond(request, self.now_us)
                if pdu is not None:
                    frame = request.frame(pdu)
                    self._at(self.now_us + self.turnaround_us, self._from_device, frame)
        for data in turn.to_master:
            self._carry(data)
        if turn.close:
            self._close("closed")
        elif self._woken_us <= self.now_us or turn.wake_us < self._woken_us:
            self._woken_us = turn.wake_us
            self._at(turn.wake_us, self._woken, b"")

    def _carry(self, data: bytes) -> None:
        """Bring bytes to the line; on a serial wire the first is heard long before the last."""
        if not self._byte_us:
            self._at(self.now_us + TRAVEL_US, self._to_line, data)
            return
        start_us = max(self.now_us, self._free_us)
        self._free_us = start_us + round(self._byte_us * len(data))
        self._at(start_us + round(self._byte_us), self._to_line, data[:1])
        if len(data) > 1:
            self._at(self._free_us, self._to_line, data[1:])

    def _woken(self, _: bytes) -> None:
        if self._woken_us <= self.now_us:
            self._pump()

    def _from_device(self, data: bytes) -> None:
        self.proxy.from_device(data, self.now_us)
        self._pump()

    def _to_line(self, data: bytes) -> None:
        self._last_byte_us = self.now_us
        self.line.feed(data, self.now_us)
        self._collect()

    def _at(self, due_us: int, act: Callable[[bytes], None], data: bytes) -> None:
        self._serial_no += 1
        heapq.heappush(self._heap, (due_us, self._serial_no, act, data))

    def _move(self, wake_us: int) -> None:
        """Go to the next delivery or to `wake_us`, whichever is sooner."""
        if not self._up:
            wake_us = min(wake_us, self._open_us)
        if self._heap and self._heap[0][0] <= wake_us:
            due_us, _, act, data = heapq.heappop(self._heap)
            self.now_us = max(due_us, self.now_us)
            act(data)
        else:
            self.now_us = max(wake_us, self.now_us + 1)

    def _collect(self) -> None:
        if self.line.fresh:
            for sample in self.line.take().samples:
                self._heard(sample, self.now_us)
