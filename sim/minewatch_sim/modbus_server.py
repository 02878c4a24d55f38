"""The serving side of Modbus: frames in and out, and one PDU answered from four tables.

Written apart from the drivers' line machine on purpose: the two check each other, and mbpoll checks
both. Functions 1–6, 15 and 16 of the Modbus application protocol 1.1b3.
"""

import struct
from collections.abc import Sequence
from typing import Protocol

ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3
BITS_MAX = 2000
REGISTERS_MAX = 125
BUFFER_MAX = 4096
FIXED_REQUEST = 8


class Refusal(Exception):  # noqa: N818 — an exception reply is no error of ours
    """The device answers with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class Tables(Protocol):
    """What a device holds; addresses are 0-based. Both raise `Refusal` for what is not there.

    `coil_on` is the value of function 5 that closes a coil: FF00 but for odd boards.
    """

    coil_on: int

    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        """Return `count` bits (functions 1, 2), or the registers of `count` addresses (3, 4)."""
        ...

    def write(self, function: int, address: int, values: Sequence[int]) -> None:
        """Write coils (5, 15) or holding registers (6, 16)."""
        ...


def answer(pdu: bytes, tables: Tables) -> bytes:
    """Return the reply PDU to a request PDU, an exception reply where it is refused."""
    function = pdu[0]
    try:
        return _answer(function, pdu, tables)
    except Refusal as refusal:
        return bytes((function | 0x80, refusal.code))
    except (struct.error, IndexError):
        return bytes((function | 0x80, ILLEGAL_VALUE))


def _answer(function: int, pdu: bytes, tables: Tables) -> bytes:
    if function in (1, 2, 3, 4):
        address, count = struct.unpack(">HH", pdu[1:5])
        if not 1 <= count <= (BITS_MAX if function < 3 else REGISTERS_MAX):
            raise Refusal(ILLEGAL_VALUE)
        values = tables.read(function, address, count)
        body = _pack_bits(values) if function < 3 else struct.pack(f">{len(values)}H", *values)
        if len(body) > 2 * REGISTERS_MAX:
            raise Refusal(ILLEGAL_VALUE)
        return bytes((function, len(body))) + body
    if function == 5:
        address, value = struct.unpack(">HH", pdu[1:5])
        if value not in (0x0000, tables.coil_on):
            raise Refusal(ILLEGAL_VALUE)
        tables.write(5, address, (int(value == tables.coil_on),))
        return pdu[:5]
    if function == 6:
        address, value = struct.unpack(">HH", pdu[1:5])
        tables.write(6, address, (value,))
        return pdu[:5]
    if function in (15, 16):
        return _write_many(function, pdu, tables)
    raise Refusal(ILLEGAL_FUNCTION)


def _write_many(function: int, pdu: bytes, tables: Tables) -> bytes:
    address, count, size = struct.unpack(">HHB", pdu[1:6])
    body = pdu[6:]
    expected = (count + 7) // 8 if function == 15 else 2 * count
    if count == 0 or size != expected or len(body) != size:
        raise Refusal(ILLEGAL_VALUE)
    if function == 15:
        values: Sequence[int] = [(body[n // 8] >> (n % 8)) & 1 for n in range(count)]
    else:
        values = struct.unpack(f">{count}H", body)
    tables.write(function, address, values)
    return pdu[:5]


def _pack_bits(values: Sequence[int]) -> bytes:
    packed = bytearray((len(values) + 7) // 8)
    for n, value in enumerate(values):
        packed[n // 8] |= (value & 1) << (n % 8)
    return bytes(packed)


def crc16(data: bytes) -> int:
    """Return the Modbus checksum (polynomial 0xA001, start 0xFFFF), bit by bit."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


class Request:
    """One whole request: its unit, PDU and what its answer needs to fit into the frame."""

    __slots__ = ("pdu", "tid", "unit")

    def __init__(self, unit: int, pdu: bytes, tid: int | None) -> None:
        self.unit = unit
        self.pdu = pdu
        self.tid = tid

    def frame(self, pdu: bytes, unit: int | None = None, tid_offset: int = 0) -> bytes:
        """Return the reply's frame; the offsets make a lying one."""
        unit = self.unit if unit is None else unit
        if self.tid is not None:
            tid = (self.tid + tid_offset) & 0xFFFF
            return struct.pack(">HHHB", tid, 0, len(pdu) + 1, unit) + pdu
        body = bytes((unit,)) + pdu
        return body + struct.pack("<H", crc16(body) ^ tid_offset)


class TcpFraming:
    """Splits a byte stream into MBAP requests."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Request]:
        """Take bytes, return whole requests.

        Raises:
            ValueError: no MBAP header; the connection is worth nothing any more.
        """
        self._buffer += data
        found = []
        while len(self._buffer) >= 8:
            tid, protocol, length, unit = struct.unpack(">HHHB", self._buffer[:7])
            if protocol != 0 or not 2 <= length <= 254:
                raise ValueError("no MBAP header")
            if len(self._buffer) < 6 + length:
                break
            found.append(Request(unit, bytes(self._buffer[7 : 6 + length]), tid))
            del self._buffer[: 6 + length]
        return found

    @property
    def pending(self) -> bool:
        """Return whether a request has begun and not ended."""
        return bool(self._buffer)


class RtuFraming:
    """Splits a byte stream into RTU requests; a wrong checksum throws everything away."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.checksum_errors = 0

    def feed(self, data: bytes) -> list[Request]:
        """Take bytes, return whole requests with a right checksum."""
        self._buffer += data
        found = []
        while len(self._buffer) >= 4:
            length = _request_length(self._buffer)
            if length is None or len(self._buffer) < length:
                break
            frame = bytes(self._buffer[:length])
            if crc16(frame[:-2]) != struct.unpack("<H", frame[-2:])[0]:
                self.checksum_errors += 1
                self._buffer.clear()
                break
            found.append(Request(frame[0], frame[1:-2], None))
            del self._buffer[:length]
        if len(self._buffer) > BUFFER_MAX:
            self._buffer.clear()
        return found

    @property
    def pending(self) -> bool:
        """Return whether a request has begun and not ended."""
        return bool(self._buffer)

    def silence(self) -> None:
        """Forget an unfinished request: the line was silent longer than t3.5."""
        self._buffer.clear()


def _request_length(buffer: bytearray) -> int | None:
    function = buffer[1]
    if function in (15, 16):
        return 9 + buffer[6] if len(buffer) > 6 else None
    return FIXED_REQUEST
