"""The fault-injecting proxy between a master and what it asks, without a socket or a clock.

Questions and answers go in (`from_master`, `from_device`), timed bytes for both sides come out of
`poll`. It knows whole frames, so that a fault can lie inside one and mend its checksum; what it
does to an answer is `faults.spoil`, the same as in a simulated bus. Faults stand on the targets
`wire` and `unit <n>`. Runners for sockets and ptys are in `proxy_runner`, for virtual time in
`virtual_line`.
"""

import heapq
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from minewatch_sim.faults import CLOSING, Fault, Faults
from minewatch_sim.modbus_server import Request, RtuFraming, TcpFraming, crc16
from minewatch_sim.second_master import SecondMaster

WIRE = "wire"
GAP_US = 200_000
"""An unfinished question that is older than this is forgotten."""
BUSY_US = 100_000
"""So long another master waits for an answer to our question before it takes the bus."""
PATIENCE_US = 500_000
"""So long another master waits for its own answer."""
OPEN_MAX = 64
PENDING_MAX = 10_000
"""Pieces that wait to be sent; beyond it the newest are lost."""
NEVER_US = 1 << 62

TO_MASTER, TO_DEVICE, FOREIGN = 0, 1, 2


def unit_target(unit: int) -> str:
    """Return the target on which faults of one unit stand."""
    return f"unit {unit}"


@dataclass
class Counts:
    """What passed: questions, answers, frames of another master, what nobody asked for."""

    questions: int = 0
    answers: int = 0
    foreign: int = 0
    collisions: int = 0
    strays: int = 0
    connections: int = 0


class Turn(NamedTuple):
    """What a runner does next: pass these on, close the master's connection, come again then."""

    to_master: tuple[bytes, ...]
    to_device: tuple[bytes, ...]
    close: bool
    wake_us: int


class Proxy:
    """One connection or port through which a master asks; `serial` where frames are RTU.

    `byte_us` is what a byte takes on a serial wire whose time is kept outside: two masters collide
    when their questions overlap. `faults` and `counts` may be shared by many proxies. The same
    seed, bytes and times give the same bytes and times.
    """

    def __init__(
        self, faults: Faults, *, serial: bool, counts: Counts | None = None, byte_us: float = 0.0
    ) -> None:
        self.faults = faults
        self.counts = counts or Counts()
        self.serial = serial
        self._byte_us = byte_us
        self._second = SecondMaster(faults.rng)
        self._serial_no = 0
        self.connected()

    def connected(self) -> None:
        """The master's connection or port is new: nothing of the one before is left."""
        self._asking: TcpFraming | RtuFraming = RtuFraming() if self.serial else TcpFraming()
        self._answering = _RtuReplies() if self.serial else TcpFraming()
        self._heap: list[tuple[int, int, int, bytes]] = []
        self._open: deque[Request] = deque(maxlen=OPEN_MAX)
        self._foreign: Request | None = None
        self._foreign_us = self._foreign_done_us = 0
        self._garbled = False
        self._deferred: Fault | None = None
        self._broken = False
        self._heard_us = self._asked_us = 0
        self._waiting = False
        self.counts.connections += 1

    def from_master(self, data: bytes, now_us: int) -> None:
        """Take bytes that the master sent; `poll` follows."""
        if isinstance(self._asking, RtuFraming) and now_us - self._heard_us > GAP_US:
            self._asking.silence()
        self._heard_us = now_us
        try:
            requests = self._asking.feed(data)
        except ValueError:
            self._broken = True
            return
        for request in requests:
            self._ask(request, now_us)

    def from_device(self, data: bytes, now_us: int) -> None:
        """Take bytes that came from the other side; `poll` follows."""
        try:
            replies = self._answering.feed(data)
        except ValueError:
            self._broken = True
            return
        for reply in replies:
            self._answer(reply, now_us)

    def poll(self, now_us: int) -> Turn:
        """Return what is due now."""
        out: tuple[list[bytes], list[bytes]] = ([], [])
        while self._heap and self._heap[0][0] <= now_us:
            _, _, way, data = heapq.heappop(self._heap)
            if way == FOREIGN:
                self._speak(Fault(data.decode()), now_us)
            else:
                out[way].append(data)
        close = self._broken or any(self.faults.has(WIRE, each) for each in CLOSING)
        wake_us = self._heap[0][0] if self._heap else NEVER_US
        return Turn(tuple(out[TO_MASTER]), tuple(out[TO_DEVICE]), close, wake_us)

    def _ask(self, request: Request, now_us: int) -> None:
        self.counts.questions += 1
        began_us = now_us - round(self._byte_us * (len(request.pdu) + 3))
        if self.serial and (self._foreign is not None or began_us < self._foreign_done_us):
            # Two masters at once: neither question reaches a device whole.
            self.counts.collisions += 1
            self._garbled = True
            return
        self._open.append(request)
        self._asked_us = now_us
        self._waiting = True
        self._second.heard(request)
        self._push(now_us, TO_DEVICE, request.frame(request.pdu))

    def _answer(self, reply: Request, now_us: int) -> None:
        """Pass an answer on, bent; let another master speak after it."""
        if self._is_foreign(reply):
            frame = reply.frame(reply.pdu)
            if self.serial and not self._garbled:
                self._push(now_us, TO_MASTER, frame)
            self._foreign, self._garbled = None, False
            self._foreign_done_us = now_us + round(self._byte_us * len(frame))
            return
        request = self._question_of(reply)
        if request is None:
            self.counts.strays += 1
            self._push(now_us, TO_MASTER, reply.frame(reply.pdu))
            return
        self.counts.answers += 1
        self._waiting = False
        targets = (WIRE, unit_target(request.unit))
        last_us = now_us
        for delay_us, data in self.faults.spoil(request, reply.pdu, *targets):
            last_us = max(last_us, now_us + delay_us)
            self._push(now_us + delay_us, TO_MASTER, data)
        self._let_speak(last_us, targets)

    def _let_speak(self, after_us: int, targets: tuple[str, ...]) -> None:
        deferred, self._deferred = self._deferred, None
        if deferred is not None:
            self._push(after_us, FOREIGN, deferred.value.encode())
            return
        foreign = self.faults.foreign(*targets)
        if foreign is not None:
            fault, delay_us = foreign
            self._push(after_us + delay_us, FOREIGN, fault.value.encode())

    def _speak(self, fault: Fault, now_us: int) -> None:
        """Let the other master ask, unless it hears that the bus is taken."""
        if self._foreign is not None and now_us - self._foreign_us >= PATIENCE_US:
            self._foreign = None
        ours = self.serial and self._waiting and now_us - self._asked_us < BUSY_US
        if ours or self._foreign is not None:
            self._deferred = fault
            return
        question = self._second.question(fault)
        if question is None:
            return
        self.counts.foreign += 1
        self.faults.struck[fault.value] += 1
        self._foreign, self._garbled = question, False
        self._foreign_us = now_us
        frame = question.frame(question.pdu)
        self._push(now_us + round(self._byte_us * len(frame)), TO_DEVICE, frame)
        if self.serial:
            self._push(now_us, TO_MASTER, frame)

    def _is_foreign(self, reply: Request) -> bool:
        asked = self._foreign
        if asked is None or asked.unit != reply.unit or asked.tid != reply.tid:
            return False
        return asked.pdu[0] == reply.pdu[0] & 0x7F

    def _question_of(self, reply: Request) -> Request | None:
        """Return the oldest open question that this can answer; older ones were given up."""
        for place, request in enumerate(self._open):
            same = request.unit == reply.unit and request.pdu[0] == reply.pdu[0] & 0x7F
            if same and request.tid == reply.tid:
                if self.serial:
                    for _ in range(place):
                        self._open.popleft()
                del self._open[0 if self.serial else place]
                return request
        return None

    def _push(self, due_us: int, way: int, data: bytes) -> None:
        if len(self._heap) < PENDING_MAX:
            self._serial_no += 1
            heapq.heappush(self._heap, (due_us, self._serial_no, way, data))


class _RtuReplies:
    """Splits a byte stream into RTU answers; what has no right checksum is thrown away."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Request]:
        """Take bytes, return whole answers."""
        buffer = self._buffer
        buffer += data
        found = []
        while (length := _reply_length(buffer)) is not None and len(buffer) >= length:
            frame = bytes(buffer[:length])
            if crc16(frame[:-2]) != int.from_bytes(frame[-2:], "little"):
                buffer.clear()
                break
            found.append(Request(frame[0], frame[1:-2], None))
            del buffer[:length]
        return found


def _reply_length(buffer: bytearray) -> int | None:
    """Return how long the RTU answer at the front is; None while that cannot be known."""
    if len(buffer) < 3:
        return None
    function = buffer[1]
    if function & 0x80:
        return 5
    return 5 + buffer[2] if function <= 4 else 8
