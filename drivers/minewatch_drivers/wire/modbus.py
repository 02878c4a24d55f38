"""Modbus on the wire: CRC, protocol data units and their two envelopes, for both sides.

The line machine builds questions and checks answers with it, the simulator reads questions and
builds answers. Nothing here waits, keeps state or knows a device.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT = 1, 2, 3, 4
WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS = 5, 6, 15, 16

BIT_READS = frozenset({READ_COILS, READ_DISCRETE})
REGISTER_READS = frozenset({READ_HOLDING, READ_INPUT})
READS = BIT_READS | REGISTER_READS

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE = 1, 2, 3, 4
ACKNOWLEDGE, BUSY, PATH_UNAVAILABLE, NO_RESPONSE = 5, 6, 10, 11

RTU_FRAME_MAX = 256
TCP_HEADER = struct.Struct(">HHHB")
TCP_LENGTH_MAX = 254


class ModbusError(Exception):
    """A question that a server must answer with exception `code`."""

    def __init__(self, code: int) -> None:
        super().__init__(f"modbus exception {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed question. `values` are registers or bits to write, None for reads."""

    unit: int
    function: int
    address: int
    count: int
    values: tuple[int, ...] | None


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC = _crc_table()


def crc16(data: bytes | bytearray | memoryview) -> int:
    """Return the Modbus CRC of `data`; it is sent low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc


def rtu_frame(unit: int, pdu: bytes) -> bytes:
    """Return `pdu` in an RTU envelope."""
    body = bytes((unit,)) + pdu
    return body + crc16(body).to_bytes(2, "little")


def tcp_frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """Return `pdu` in a TCP envelope."""
    return TCP_HEADER.pack(transaction, 0, len(pdu) + 1, unit) + pdu


def read_pdu(function: int, address: int, count: int) -> bytes:
    """Return the question for `count` bits or registers from `address`."""
    return struct.pack(">BHH", function, address, count)


def write_coil_pdu(address: int, on: bool, value_on: int = 0xFF00) -> bytes:
    """Return the question that sets one coil; odd boards take another `value_on` for on."""
    return struct.pack(">BHH", WRITE_COIL, address, value_on if on else 0)


def write_register_pdu(address: int, value: int) -> bytes:
    """Return the question that sets one holding register."""
    return struct.pack(">BHH", WRITE_REGISTER, address, value)


def write_coils_pdu(address: int, bits: Sequence[bool]) -> bytes:
    """Return the question that sets consecutive coils."""
    packed = pack_bits(bits)
    return struct.pack(">BHHB", WRITE_COILS, address, len(bits), len(packed)) + packed


def write_registers_pdu(address: int, values: Sequence[int]) -> bytes:
    """Return the question that sets consecutive holding registers."""
    head = struct.pack(">BHHB", WRITE_REGISTERS, address, len(values), 2 * len(values))
    return head + struct.pack(f">{len(values)}H", *values)


def pack_bits(bits: Sequence[bool] | Sequence[int]) -> bytes:
    """Return bits as bytes, the first bit lowest."""
    number = 0
    for position, bit in enumerate(bits):
        if bit:
            number |= 1 << position
    return number.to_bytes((len(bits) + 7) // 8, "little")


def unpack_bits(data: bytes, count: int) -> tuple[int, ...]:
    """Return `count` bits, the first bit lowest."""
    number = int.from_bytes(data, "little")
    return tuple(number >> position & 1 for position in range(count))


def reply_length(function: int, count: int) -> int:
    """Return how many bytes the PDU of a proper reply has."""
    if function in REGISTER_READS:
        return 2 + 2 * count
    if function in BIT_READS:
        return 2 + (count + 7) // 8
    return 5


def parse_request(unit: int, pdu: bytes) -> Request:
    """Return what a client asks.

    Raises:
        ModbusError: not a question that a server understands; `code` is the exception to answer.
    """
    if len(pdu) < 5 or pdu[0] not in READS | {5, 6, 15, 16}:
        raise ModbusError(ILLEGAL_FUNCTION if pdu and len(pdu) >= 5 else ILLEGAL_VALUE)
    function, address, third = struct.unpack_from(">BHH", pdu)
    if function in READS:
        limit = 2000 if function in BIT_READS else 125
        if len(pdu) != 5 or not 1 <= third <= limit:
            raise ModbusError(ILLEGAL_VALUE)
        return Request(unit, function, address, third, None)
    if function == WRITE_COIL:
        if len(pdu) != 5 or third not in (0, 0xFF00):
            raise ModbusError(ILLEGAL_VALUE)
        return Request(unit, function, address, 1, (int(third == 0xFF00),))
    if function == WRITE_REGISTER:
        if len(pdu) != 5:
            raise ModbusError(ILLEGAL_VALUE)
        return Request(unit, function, address, 1, (third,))
    return Request(unit, function, address, third, _written(function, third, pdu))


def _written(function: int, count: int, pdu: bytes) -> tuple[int, ...]:
    size = 2 * count if function == WRITE_REGISTERS else (count + 7) // 8
    limit = 123 if function == WRITE_REGISTERS else 1968
    if not 1 <= count <= limit or len(pdu) != 6 + size or pdu[5] != size:
        raise ModbusError(ILLEGAL_VALUE)
    if function == WRITE_REGISTERS:
        return struct.unpack(f">{count}H", pdu[6:])
    return unpack_bits(pdu[6:], count)


def reply_pdu(request: Request, values: Sequence[int] = ()) -> bytes:
    """Return the answer: `values` for a read, an echo for a write."""
    function, address, count = request.function, request.address, request.count
    if function in REGISTER_READS:
        return struct.pack(f">BB{count}H", function, 2 * count, *values)
    if function in BIT_READS:
        packed = pack_bits(values)
        return bytes((function, len(packed))) + packed
    written = request.values or ()
    if function == WRITE_COIL:
        return write_coil_pdu(address, bool(written[0]))
    if function == WRITE_REGISTER:
        return write_register_pdu(address, written[0])
    return struct.pack(">BHH", function, address, count)


def exception_pdu(function: int, code: int) -> bytes:
    """Return the answer that refuses a question."""
    return bytes((function | 0x80, code))


def rtu_request_length(data: bytes | bytearray) -> int | None:
    """Return the length of the RTU question that starts `data`; None while it cannot be known."""
    if len(data) < 2:
        return None
    if data[1] in (WRITE_COILS, WRITE_REGISTERS):
        return 9 + data[6] if len(data) >= 7 else None
    return 8


def split_tcp(data: bytearray) -> tuple[int, int, bytes] | None:
    """Take one frame off the front of `data`: (transaction, unit, pdu), or None if incomplete.

    Raises:
        ValueError: this is no Modbus TCP stream; there is no way to find the next frame.
    """
    if len(data) < TCP_HEADER.size:
        return None
    transaction, protocol, length, unit = TCP_HEADER.unpack_from(data)
    if protocol != 0 or not 2 <= length <= TCP_LENGTH_MAX:
        raise ValueError("not a Modbus TCP frame")
    end = 6 + length
    if len(data) < end:
        return None
    pdu = bytes(data[TCP_HEADER.size : end])
    del data[:end]
    return transaction, unit, pdu
