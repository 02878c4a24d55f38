"""Writes what ran on a wire as a capture file that Wireshark and tshark open.

Modbus TCP becomes TCP segments between two made-up hosts, port 502. Serial frames carry link type
147 (`USER0`), which says nothing about itself: docs/commissioning.md names the preference that
tells Wireshark to read it as Modbus RTU.
"""

import struct
from typing import BinaryIO

LINK_RAW_IP, LINK_USER0 = 101, 147
SNAP_BYTES = 65_535
CLIENT, SERVER = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
CLIENT_PORT, SERVER_PORT = 50_000, 502
PUSH_ACK = 0x18


class Capture:
    """One file that is being written; `us` are microseconds since 1970."""

    def __init__(self, file: BinaryIO, *, serial: bool) -> None:
        self._file = file
        self._serial = serial
        self._next = {True: 1, False: 1}
        link = LINK_USER0 if serial else LINK_RAW_IP
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAP_BYTES, link))

    def put(self, us: int, data: bytes, *, sent: bool) -> None:
        """Append one frame."""
        packet = data if self._serial else self._segment(data, sent=sent)
        self._file.write(struct.pack("<IIII", us // 10**6, us % 10**6, len(packet), len(packet)))
        self._file.write(packet)
        self._file.flush()

    def _segment(self, data: bytes, *, sent: bool) -> bytes:
        source, target = (CLIENT, SERVER) if sent else (SERVER, CLIENT)
        ports = (CLIENT_PORT, SERVER_PORT) if sent else (SERVER_PORT, CLIENT_PORT)
        tcp = struct.pack(
            ">HHIIBBHHH", *ports, self._next[sent], self._next[not sent], 5 << 4, PUSH_ACK,
            SNAP_BYTES, 0, 0,
        )  # fmt: skip
        self._next[sent] += len(data)
        pseudo = source + target + struct.pack(">BBH", 0, 6, len(tcp) + len(data))
        total = _checksum(pseudo + tcp + data)
        tcp = tcp[:16] + total.to_bytes(2, "big") + tcp[18:]
        head = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(data), 0, 0, 64, 6, 0) + source + target
        head = head[:10] + _checksum(head).to_bytes(2, "big") + head[12:]
        return head + tcp + data


def _checksum(data: bytes) -> int:
    """Return the Internet checksum."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
