"""One question and its answer, in the two envelopes of Modbus: what is accepted and what is not.

Here stands every check of an answer: transaction, unit, function, byte count, echo of a write,
CRC. An envelope keeps no time; the line does.
"""

from dataclasses import dataclass, field

from minewatch_drivers.wire import modbus
from minewatch_drivers.wire.modbus import TCP_HEADER

TRANSACTION_STEP = 40_503
"""Numbers follow one another by far steps: an answer that is off by one or two is not ours."""

EXCHANGE_BYTES_MAX = 2048
"""More bytes than this between two questions is a flood, never an answer."""


class BadReplyError(Exception):
    """Something answered, but not what was asked: `why` is a code."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class StreamError(Exception):
    """The byte stream cannot be trusted any more; only a new connection helps."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class DeviceRefusalError(Exception):
    """The device answered properly that it will not: a Modbus exception `code`."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question. `reply_size` is the length of a proper reply PDU, `echo` the exact one if known.

    For multiple writes `echo` is the address and count that come back. `tcp_question` is the
    question on Modbus TCP behind its transaction number; a frame of `tcp_size` bytes whose bytes
    behind the number begin with `tcp_answer` is a proper answer, every check included.
    """

    unit: int
    pdu: bytes
    function: int
    reply_size: int
    echo: bytes | None
    tcp_question: bytes = field(init=False, repr=False, compare=False)
    tcp_answer: bytes = field(init=False, repr=False, compare=False)
    tcp_size: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        answer = self.echo or bytes((self.function, self.reply_size - 2))
        length = (self.reply_size + 1).to_bytes(2, "big")
        put = object.__setattr__  # the only way into a frozen object that is being made
        put(self, "tcp_question", modbus.tcp_frame(0, self.unit, self.pdu)[2:])
        put(self, "tcp_answer", bytes(2) + length + bytes((self.unit,)) + answer)
        put(self, "tcp_size", TCP_HEADER.size + self.reply_size)

    def check(self, unit: int, pdu: bytes) -> bytes:
        """Return `pdu` if it answers this question.

        Raises:
            BadReplyError: it does not.
            DeviceRefusalError: it is a proper exception reply.
        """
        if unit != self.unit:
            raise BadReplyError("unit")
        if pdu[0] != self.function:
            if pdu[0] == self.function | 0x80 and len(pdu) == 2:
                raise DeviceRefusalError(pdu[1])
            raise BadReplyError("function")
        if self.echo is not None:
            if pdu != self.echo:
                raise BadReplyError("echo")
        elif len(pdu) != self.reply_size or pdu[1] != len(pdu) - 2:
            raise BadReplyError("count")
        return pdu


def write_exchange(unit: int, pdu: bytes) -> Exchange:
    """Return the exchange that writes `pdu`; its echo is known to the last byte."""
    return Exchange(unit, pdu, pdu[0], 5, pdu[:5])


def exchange_of(unit: int, pdu: bytes) -> Exchange:
    """Return the exchange that asks `pdu`: a read or a write of the eight common functions.

    Raises:
        ValueError: it is none of them, or no unit has this number.
    """
    if not 0 <= unit <= 255:
        raise ValueError(f"no unit {unit}")
    try:
        request = modbus.parse_request(unit, pdu)
    except modbus.ModbusError as error:
        raise ValueError(f"no question: {pdu.hex()}") from error
    if request.function in modbus.READS:
        reply_size = modbus.reply_length(request.function, request.count)
        return Exchange(unit, pdu, request.function, reply_size, None)
    return write_exchange(unit, pdu)


def next_transaction(number: int) -> int:
    """Return the transaction number that follows `number`; 65 535 come before one comes again."""
    return (number + TRANSACTION_STEP) & 0xFFFF or TRANSACTION_STEP


class TcpEnvelope:
    """Modbus TCP: the transaction number finds the answer; older answers are late and dropped.

    `soiled` says that half a frame lay there before the question.
    """

    __slots__ = (
        "_answer", "_buffer", "_bytes", "_exchange", "_size", "_transaction", "soiled",
        "violations",
    )  # fmt: skip

    def __init__(self) -> None:
        self.violations = 0
        self.soiled = False
        self._buffer = bytearray()
        self._transaction = 0
        self._exchange: Exchange | None = None
        self._answer = b""
        self._size = 0
        self._bytes = 0

    def reset(self) -> None:
        """Forget everything: a new connection."""
        self._buffer.clear()
        self._exchange = None
        self._size = self._bytes = 0

    def open(self, exchange: Exchange) -> bytes:
        """Return the bytes that ask; transaction numbers are never 0."""
        self._transaction = transaction = (
            self._transaction + TRANSACTION_STEP
        ) & 0xFFFF or TRANSACTION_STEP
        number = transaction.to_bytes(2, "big")
        self._exchange = exchange
        self._answer = number + exchange.tcp_answer
        self._size = exchange.tcp_size
        self.soiled = bool(self._buffer)
        self._bytes = 0
        return number + exchange.tcp_question

    def close(self) -> bool:
        """Give the question up; returns whether half an answer lies there."""
        self._exchange = None
        self._size = 0
        return bool(self._buffer)

    def receive(self, data: bytes) -> bytes | None:
        """Return the reply PDU once it is whole.

        Raises:
            BadReplyError, DeviceRefusalError: see `Exchange.check`.
            StreamError: no Modbus TCP, or a flood.
        """
        if len(data) == self._size and not self._buffer and data.startswith(self._answer):
            self._exchange = None
            self._size = 0
            return data[7:]
        self._bytes += len(data)
        if self._bytes > EXCHANGE_BYTES_MAX:
            raise StreamError("flood")
        self._buffer += data
        return self._from_buffer()

    def _from_buffer(self) -> bytes | None:
        while True:
            try:
                frame = modbus.split_tcp(self._buffer)
            except ValueError as error:
                raise StreamError("framing") from error
            if frame is None:
                return None
            transaction, unit, pdu = frame
            exchange = self._exchange
            if exchange is not None and transaction == self._transaction:
                exchange.check(unit, pdu)
                self.close()
                return pdu
            self.violations += 1

    asked_by_another = 0
    """No other master is heard here."""

    questions_heard = answers_heard = 0

    @property
    def missing(self) -> int:
        """How many bytes are surely still to come."""
        return 0


class RtuEnvelope:
    """Modbus RTU: unit, function, size and CRC find the answer, also behind noise.

    `asked_by_another` is the unit that another master has asked while its answer is still to come,
    whatever noise came meanwhile, 0 for none; `questions_heard` counts such questions and
    `answers_heard` their answers. Who asks a unit again before it has answered may get two.
    """

    soiled = False

    def __init__(self) -> None:
        self.violations = 0
        self.asked_by_another = 0
        self.questions_heard = self.answers_heard = 0
        self._owed = self._asked_function = self._looked_at = 0
        self._overheard = 0
        self._buffer = bytearray()
        self._exchange: Exchange | None = None
        self._bytes = 0

    def reset(self) -> None:
        """Forget everything: a new connection."""
        self._exchange = None
        self._forget()

    def open(self, exchange: Exchange) -> bytes:
        """Return the bytes that ask; whatever came before is gone."""
        self._forget()
        self._exchange = exchange
        return modbus.rtu_frame(exchange.unit, exchange.pdu)

    def close(self) -> bool:
        """Give the question up; returns whether bytes lie there that were no answer."""
        self._exchange = None
        self._overhear(len(self._buffer))
        return bool(self._buffer)

    def receive(self, data: bytes) -> bytes | None:
        """Return the reply PDU once it is whole.

        Raises:
            BadReplyError, DeviceRefusalError: see `Exchange.check`.
            StreamError: a flood.
        """
        self._bytes += len(data)
        if self._bytes > EXCHANGE_BYTES_MAX:
            self._forget()
            self._bytes = EXCHANGE_BYTES_MAX
            raise StreamError("flood")
        exchange = self._exchange
        if exchange is None:
            self.violations += 1
            self._buffer += data
            self._overhear(len(self._buffer))
            return None
        buffer = self._buffer
        buffer += data
        size = exchange.reply_size + 3
        at = buffer.find(exchange.unit)
        while 0 <= at <= len(buffer) - 5:
            if buffer[at + 1] == exchange.function:
                pdu = _cut(buffer, at, size)
                if pdu and (exchange.echo is not None or pdu[1] == len(pdu) - 2):
                    if _of_another(buffer, at, exchange):
                        raise BadReplyError("foreign")
                    self._exchange = None
                    if len(buffer) > size:
                        self._overhear(at)
                        self._overheard = at + size
                        self._overhear(len(buffer))
                    return exchange.check(exchange.unit, pdu)
            elif buffer[at + 1] == exchange.function | 0x80:
                pdu = _cut(buffer, at, 5)
                if pdu:
                    return exchange.check(exchange.unit, pdu)
            at = buffer.find(exchange.unit, at + 1)
        return None

    def _forget(self) -> None:
        self._buffer.clear()
        self._bytes = self._overheard = self.asked_by_another = 0

    def _overhear(self, end: int) -> None:
        """Follow what others say, from the last look up to `end`."""
        buffer = self._buffer
        self._hear_answers()
        for at in range(self._overheard, end - 7):
            if at >= self._overheard and 1 <= buffer[at + 1] <= 6 and _cut(buffer, at, 8):
                unit, function = buffer[at], buffer[at + 1]
                if (unit, function) != (self.asked_by_another, self._asked_function):
                    self._owed, self._looked_at = 0, at + 8
                self.asked_by_another, self._asked_function = unit, function
                self._owed += 1
                self.questions_heard += 1
                self._hear_answers()
        self._overheard = max(self._overheard, end - 7)

    def _hear_answers(self) -> None:
        """Strike off what has been answered of what another master has asked."""
        while self.asked_by_another:
            unit, function = self.asked_by_another, self._asked_function
            end = _answer_end(self._buffer, unit, function, self._looked_at)
            if not end:
                return
            self._looked_at = end
            self._overheard = max(self._overheard, end)
            self.answers_heard += 1
            self._owed -= 1
            if not self._owed:
                self.asked_by_another = 0

    @property
    def missing(self) -> int:
        """How many bytes are surely still to come."""
        if self._exchange is None:
            return 0
        exchange, buffer = self._exchange, self._buffer
        at = max(0, buffer.find(exchange.unit))
        have = len(buffer) - at
        if have < 2:
            return 5 - have
        function = buffer[at + 1]
        if function == exchange.function:
            return max(1, exchange.reply_size + 3 - have)
        return max(1, 5 - have) if function == exchange.function | 0x80 else 1


def _of_another(buffer: bytearray, at: int, exchange: Exchange) -> bool:
    """Return whether a question to the same unit that is not ours came before the frame at `at`."""
    asked_at = buffer.find(exchange.unit, 0, at)
    while 0 <= asked_at <= at - 8:
        if buffer[asked_at + 1] == exchange.function:
            asked = _cut(buffer, asked_at, 8)
            if asked and asked != exchange.pdu:
                return True
        asked_at = buffer.find(exchange.unit, asked_at + 1, at)
    return False


def _answer_end(buffer: bytearray, unit: int, function: int, start: int) -> int:
    """Return where the first whole answer of a unit behind `start` ends, 0 where there is none."""
    at = buffer.find(unit, start)
    while 0 <= at <= len(buffer) - 5:
        said = buffer[at + 1]
        size = 5 if said > 0x80 else 8 if function > 4 else 5 + buffer[at + 2]
        if said & 0x7F == function and _cut(buffer, at, size):
            return at + size
        at = buffer.find(unit, at + 1)
    return 0


def _cut(buffer: bytearray, at: int, size: int) -> bytes:
    """Return the PDU of the frame at `at` if it is whole and its CRC right; else nothing."""
    end = at + size
    if end > len(buffer) or modbus.crc16(buffer[at : end - 2]) != int.from_bytes(
        buffer[end - 2 : end], "little"
    ):
        return b""
    return bytes(buffer[at + 1 : end - 2])
