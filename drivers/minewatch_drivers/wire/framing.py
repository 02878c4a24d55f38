"""Frames of vendor serial lines as data: where one begins and ends, and what proves it.

A `Framing` comes from the `[serial.frame]` table of a device file; `Framer` cuts a byte stream
into payloads whose checksum is right. Nothing here waits or knows what a payload means.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from operator import xor

from minewatch_drivers.wire import modbus


class Cut(StrEnum):
    """How the end of a frame is found."""

    MARKED = "marked"
    """An end mark closes it; the start mark, where there is one, opens it."""
    COUNTED = "counted"
    """A length byte says how many bytes follow it."""


class Sum(StrEnum):
    """How a frame proves itself."""

    NONE = "none"
    XOR = "xor"
    ADD = "add"
    CRC_MODBUS = "crc_modbus"
    CRC_MCRF4XX = "crc_mcrf4xx"


class Form(StrEnum):
    """How payload and checksum lie on the wire."""

    BYTES = "bytes"
    """Sum over the bytes as they are; the checksum is binary, low byte first."""
    TEXT = "text"
    """Sum over the characters; the checksum is written as hexadecimal digits."""
    HEX = "hex"
    """Payload and checksum are hexadecimal digits; the sum goes over the bytes that they spell."""


@dataclass(frozen=True, slots=True)
class Framing:
    """One way to frame. `mark` stands between payload and checksum (`*` in NMEA 0183)."""

    cut: Cut
    start: bytes
    end: bytes
    length_at: int
    bytes_max: int
    sum: Sum
    form: Form
    mark: bytes

    @property
    def sum_size(self) -> int:
        """Bytes that the checksum takes at the end of the payload, its mark included."""
        width = 0 if self.sum is Sum.NONE else 2 if self.sum in _CRC else 1
        digits = width if self.form is Form.BYTES else 2 * width
        return digits + (len(self.mark) if width else 0)


def _crc_mcrf4xx(data: bytes) -> int:
    """Return the CRC that EPC readers use: reflected 0x1021, preset 0xFFFF, not inverted."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
    return crc


_CRC = frozenset({Sum.CRC_MODBUS, Sum.CRC_MCRF4XX})

_SUMS: dict[Sum, Callable[[bytes], int]] = {
    Sum.XOR: lambda data: reduce(xor, data, 0),
    Sum.ADD: lambda data: sum(data) & 0xFF,
    Sum.CRC_MODBUS: modbus.crc16,
    Sum.CRC_MCRF4XX: _crc_mcrf4xx,
}


def checksum(framing: Framing, payload: bytes) -> bytes:
    """Return the checksum of `payload` as it stands on the wire, without its mark.

    Raises:
        ValueError: the payload should be hexadecimal digits and is not.
    """
    if framing.sum is Sum.NONE:
        return b""
    data = bytes.fromhex(payload.decode("ascii")) if framing.form is Form.HEX else payload
    number = _SUMS[framing.sum](data)
    width = 2 if framing.sum in _CRC else 1
    if framing.form is Form.BYTES:
        return number.to_bytes(width, "little")
    return f"{number:0{2 * width}X}".encode("ascii")


def wrap(framing: Framing, payload: bytes) -> bytes:
    """Return the frame that carries `payload`; a counted frame's length byte is put in.

    Raises:
        ValueError: the payload does not fit.
    """
    if framing.cut is Cut.COUNTED:
        at = framing.length_at
        rest = len(payload) - at + framing.sum_size + len(framing.end)
        payload = payload[:at] + bytes((rest,)) + payload[at:]
    proof = checksum(framing, payload)
    frame = framing.start + payload + (framing.mark if proof else b"") + proof + framing.end
    if len(frame) > framing.bytes_max:
        raise ValueError(f"a frame of {len(frame)} bytes; at most {framing.bytes_max}")
    return frame


class Framer:
    """Cuts a stream into payloads. `damaged` counts frames that did not prove themselves."""

    def __init__(self, framing: Framing) -> None:
        self.damaged = 0
        self._framing = framing
        self._buffer = bytearray()

    def reset(self) -> None:
        """Forget half a frame: a new connection, or a pause that no frame survives."""
        self.damaged += bool(self._buffer)
        self._buffer.clear()

    @property
    def waiting(self) -> bool:
        """True while half a frame lies there."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the payloads (without marks and checksum) of whole frames."""
        self._buffer += data
        counted = self._framing.cut is Cut.COUNTED
        take = self._take_counted if counted else self._take_marked
        payloads = []
        while (frame := take()) is not None:
            payload = self._proved(frame)
            if payload is None:
                self.damaged += 1
            else:
                payloads.append(payload)
        return payloads

    def _take_marked(self) -> bytes | None:
        """Take what lies before the first end mark, from the last start mark on."""
        framing, buffer = self._framing, self._buffer
        end = buffer.find(framing.end)
        if end < 0:
            if len(buffer) > framing.bytes_max:
                self.reset()
            return None
        before = bytes(buffer[:end])
        del buffer[: end + len(framing.end)]
        if not framing.start:
            return before if len(before) <= framing.bytes_max else b""
        noise, found, frame = before.rpartition(framing.start)
        self.damaged += framing.start in noise
        return frame if found and len(frame) <= framing.bytes_max else b""

    def _take_counted(self) -> bytes | None:
        """Take as many bytes as the length says; an impossible length is noise, told as `b""`."""
        framing, buffer = self._framing, self._buffer
        if framing.start:
            begin = buffer.find(framing.start)
            if begin < 0:
                self._drop_noise(len(framing.start) - 1)
                return None
            del buffer[:begin]
        at = len(framing.start) + framing.length_at
        if len(buffer) <= at:
            return None
        size = at + 1 + buffer[at]
        if not at + 1 + framing.sum_size <= size <= framing.bytes_max:
            del buffer[0]
            return b""
        if len(buffer) < size:
            return None
        frame = bytes(buffer[len(framing.start) : size - len(framing.end)])
        del buffer[:size]
        return frame

    def _drop_noise(self, keep: int) -> None:
        del self._buffer[: max(0, len(self._buffer) - keep)]

    def _proved(self, frame: bytes) -> bytes | None:
        """Return the payload of a frame whose checksum is right."""
        framing = self._framing
        size = framing.sum_size
        if not size:
            return frame or None
        payload, proof = frame[:-size], frame[-size:]
        if not payload or not proof.startswith(framing.mark):
            return None
        try:
            right = checksum(framing, payload)
        except ValueError:
            return None
        told = proof[len(framing.mark) :]
        return payload if (told if framing.form is Form.BYTES else told.upper()) == right else None
