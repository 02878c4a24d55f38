"""What ran on a wire, taken apart into frames: who asked what, who answered, who did not.

Works on pieces of bytes with times, from a port that only listens or from a line's tap. Serial
frames are found by their checksum, because adapters hand bytes over late and in lumps; pauses only
decide how long half a frame is waited for. Pure and bounded.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from minewatch_drivers.modbus_line.inquiry import Traffic
from minewatch_drivers.wire import modbus

PAUSE_MIN_US = 20_000
"""No frame goes on after this: USB adapters hold bytes back for up to 16 ms."""

MISSING_US = 3_000_000
OPEN_MAX = 64
"""Questions that fly on TCP at once; beyond it the oldest counts as missing."""

FUNCTIONS = modbus.READS | {5, 6, 15, 16}


@dataclass(frozen=True, slots=True)
class Heard:
    """One frame, or bytes that are none. `gap_us` is the pause before it.

    `what` is `question`, `answer`, `exception`, `late` (an answer to nothing that is open) or
    `noise`. `address` and `count` stand for questions and where the question is known; `missing`
    names the unit of the question before this one, which nobody answered. `sent` is None where
    nobody knows who sent.
    """

    t_us: int
    gap_us: int
    sent: bool | None
    data: bytes
    what: str
    unit: int = -1
    function: int = 0
    address: int = -1
    count: int = 0
    exception: int = 0
    missing: int = -1


@dataclass
class Tally:
    """How each unit did: questions, answers, exceptions, missing, late; and noise on the whole."""

    questions: Counter[int] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)
    exceptions: Counter[int] = field(default_factory=Counter)
    missing: Counter[int] = field(default_factory=Counter)
    late: Counter[int] = field(default_factory=Counter)
    noise: int = 0

    def note(self, heard: Heard) -> None:
        """Count one frame."""
        columns = {"question": self.questions, "answer": self.answers,
                   "exception": self.exceptions, "late": self.late}  # fmt: skip
        if heard.what in columns:
            columns[heard.what][heard.unit] += 1
        else:
            self.noise += 1
        if heard.missing >= 0:
            self.missing[heard.missing] += 1

    @property
    def units(self) -> list[int]:
        """All units that were asked or spoke."""
        counted = (self.questions, self.answers, self.exceptions, self.late)
        return sorted(set().union(*counted))


class Pairing:
    """Puts answers to their questions; one question is open at a time, as on a bus."""

    def __init__(self) -> None:
        self._open: Heard | None = None
        self._last_us = -1

    def expects(self, unit: int, function: int) -> int:
        """Return how many bytes of PDU the open question wants from this unit, 0 for none."""
        asked = self._open
        if asked is None or (asked.unit, asked.function) != (unit, function & 0x7F):
            return 0
        return modbus.reply_length(asked.function, asked.count)

    def place(self, t_us: int, sent: bool | None, data: bytes, unit: int, pdu: bytes) -> Heard:
        """Return what a proper frame is."""
        gap_us = 0 if self._last_us < 0 else max(0, t_us - self._last_us)
        self._last_us = t_us
        heard = Heard(t_us, gap_us, sent, data, "late", unit, pdu[0] & 0x7F)
        wanted = self.expects(unit, pdu[0])
        if pdu[0] & 0x80:
            heard = replace(heard, what="exception", exception=pdu[1] if len(pdu) > 1 else 0)
        elif sent is True or (sent is None and _is_question(pdu, wanted)):
            return self._ask(heard, pdu)
        elif wanted == len(pdu):
            heard = replace(heard, what="answer")
        asked = self._open
        if wanted and asked is not None:
            self._open = None
            return replace(heard, address=asked.address, count=asked.count)
        return heard

    def noise(self, t_us: int, sent: bool | None, data: bytes) -> Heard:
        """Return what bytes without a frame are."""
        gap_us = 0 if self._last_us < 0 else max(0, t_us - self._last_us)
        self._last_us = t_us
        return Heard(t_us, gap_us, sent, data, "noise")

    def _ask(self, heard: Heard, pdu: bytes) -> Heard:
        try:
            asked = modbus.parse_request(heard.unit, pdu)
        except modbus.ModbusError:
            return replace(heard, what="noise")
        missing = self._open.unit if self._open is not None else -1
        question = replace(heard, what="question", address=asked.address, count=asked.count,
                           missing=missing)  # fmt: skip
        self._open = question if heard.unit else None
        return question


def _is_question(pdu: bytes, wanted: int) -> bool:
    """Return whether a PDU of unknown direction asks; `wanted` is what an answer would measure."""
    if wanted == len(pdu) and (pdu[0] not in modbus.READS or pdu[1] == len(pdu) - 2):
        return False
    if pdu[0] in modbus.READS:
        return len(pdu) == 5
    return pdu[0] in (5, 6) or len(pdu) > 5


class RtuWatcher:
    """Cuts serial traffic into frames; `flush` gives what is left."""

    def __init__(self, silence_us: int, byte_us: float) -> None:
        self._pause_us = max(silence_us, PAUSE_MIN_US)
        self._byte_us = byte_us
        self._buffer = bytearray()
        self._sent: bool | None = None
        self._end_us = 0
        self._pairing = Pairing()

    def take(self, piece: Traffic, *, passive: bool) -> Iterator[Heard]:
        """Yield the frames that end in this piece."""
        sent = None if passive else piece.sent
        begin_us = piece.t_us - (0 if piece.sent else int(len(piece.data) * self._byte_us))
        if self._buffer and (begin_us - self._end_us > self._pause_us or sent is not self._sent):
            yield from self.flush()
        self._sent, self._end_us = sent, piece.t_us
        self._buffer += piece.data
        yield from self._cut(final=False)

    def flush(self) -> Iterator[Heard]:
        """Yield what lies there: no more will come."""
        yield from self._cut(final=True)

    def _cut(self, *, final: bool) -> Iterator[Heard]:
        noise = bytearray()
        while self._buffer:
            size = self._frame_size()
            if size:
                if noise:
                    yield self._noise(noise)
                    noise = bytearray()
                yield self._frame(size)
            elif final or len(self._buffer) > modbus.RTU_FRAME_MAX:
                noise.append(self._buffer.pop(0))
            else:
                later = self._next_frame()
                if not later:
                    break
                noise += self._buffer[:later]
                del self._buffer[:later]
        if noise:
            yield self._noise(noise)

    def _noise(self, noise: bytearray) -> Heard:
        return self._pairing.noise(self._end_us, self._sent, bytes(noise))

    def _frame(self, size: int) -> Heard:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        left_us = int(len(self._buffer) * self._byte_us)
        return self._pairing.place(self._end_us - left_us, self._sent, data, data[0], data[1:-2])

    def _next_frame(self) -> int:
        """Return where a whole frame begins behind noise, 0 where none does yet."""
        for at in range(1, len(self._buffer) - 4):
            if self._frame_size(at):
                return at
        return 0

    def _frame_size(self, at: int = 0) -> int:
        """Return the length of the whole frame at `at`, 0 where there is none."""
        data = memoryview(bytes(self._buffer))[at:]
        if len(data) < 5 or data[1] & 0x7F not in FUNCTIONS:
            return 0
        for size in self._sizes(bytes(data[:7])):
            if size <= len(data) and modbus.crc16(data[: size - 2]) == int.from_bytes(
                data[size - 2 : size], "little"
            ):
                return size
        return 0

    def _sizes(self, head: bytes) -> Iterator[int]:
        """Yield the lengths that a frame with this head may have, the expected one first."""
        if head[1] & 0x80:
            yield 5
            return
        wanted = self._pairing.expects(head[0], head[1])
        if wanted:
            yield wanted + 3
        yield 8
        if head[1] in modbus.READS:
            yield 5 + head[2]
        elif head[1] in (15, 16) and len(head) >= 7:
            yield 9 + head[6]


class TcpWatcher:
    """Cuts Modbus TCP traffic of a tap into frames; transaction numbers pair them, several may fly.

    A question is missing its answer once `MISSING_US` have passed and another question is sent.
    """

    def __init__(self) -> None:
        self._buffers = {True: bytearray(), False: bytearray()}
        self._open: dict[int, Heard] = {}
        self._last_us = -1

    def take(self, piece: Traffic, *, passive: bool) -> Iterator[Heard]:
        """Yield the frames that end in this piece; `passive` never is: there are two ways."""
        del passive
        buffer = self._buffers[piece.sent]
        buffer += piece.data
        while True:
            try:
                frame = modbus.split_tcp(buffer)
            except ValueError:
                yield self._heard(piece.t_us, piece.sent, bytes(buffer))
                buffer.clear()
                return
            if frame is None:
                return
            yield self._placed(piece, *frame)

    def flush(self) -> Iterator[Heard]:
        """Yield the halves that lie there."""
        for sent, buffer in self._buffers.items():
            if buffer:
                yield self._heard(max(0, self._last_us), sent, bytes(buffer))
                buffer.clear()

    def _heard(self, t_us: int, sent: bool, data: bytes) -> Heard:
        """Return bytes that are nothing yet, behind the pause before them."""
        gap_us = 0 if self._last_us < 0 else max(0, t_us - self._last_us)
        self._last_us = t_us
        return Heard(t_us, gap_us, sent, data, "noise")

    def _placed(self, piece: Traffic, transaction: int, unit: int, pdu: bytes) -> Heard:
        data = modbus.tcp_frame(transaction, unit, pdu)
        heard = self._heard(piece.t_us, piece.sent, data)
        heard = replace(heard, what="late", unit=unit, function=pdu[0] & 0x7F)
        if piece.sent:
            return self._ask(heard, transaction, pdu)
        asked = self._open.get(transaction)
        if asked is None or (asked.unit, asked.function) != (unit, heard.function):
            return heard
        del self._open[transaction]
        heard = replace(heard, what="answer", address=asked.address, count=asked.count)
        if pdu[0] & 0x80:
            heard = replace(heard, what="exception", exception=pdu[1] if len(pdu) > 1 else 0)
        return heard

    def _ask(self, heard: Heard, transaction: int, pdu: bytes) -> Heard:
        try:
            asked = modbus.parse_request(heard.unit, pdu)
        except modbus.ModbusError:
            return replace(heard, what="noise")
        question = replace(
            heard, what="question", address=asked.address, count=asked.count,
            missing=self._given_up(heard.t_us),
        )  # fmt: skip
        self._open[transaction] = question
        return question

    def _given_up(self, now_us: int) -> int:
        """Return the unit of the oldest question that nobody will answer, -1 for none."""
        oldest = next(iter(self._open.items()), None)
        if oldest is None or (now_us - oldest[1].t_us < MISSING_US and len(self._open) < OPEN_MAX):
            return -1
        del self._open[oldest[0]]
        return oldest[1].unit
