"""A port or connection that a tool opens for itself: one question at a time, or only listening.

It is the small sister of `line.Line` for a person who waits for each answer: the same envelopes
check what comes, a serial port is opened exclusively, no question leaves sooner than t3.5 after the
last byte, and after a failure the line stays quiet. It never asks twice.
"""

import contextlib
import os
import select
import socket
import termios
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

import serial

from minewatch_drivers.address import Address
from minewatch_drivers.commission.ask import AskError
from minewatch_drivers.modbus_line.inquiry import Traffic
from minewatch_drivers.runners.serial_runner import open_port
from minewatch_drivers.wire import modbus
from minewatch_drivers.wire.exchange import (
    BadReplyError,
    DeviceRefusalError,
    RtuEnvelope,
    StreamError,
    TcpEnvelope,
    exchange_of,
)

READ_MAX = 4096
CONNECT_LIMIT_S = 3.0
QUIET_MAX_S = 2.0
QUIET_MARGIN_S = 0.02
STRANGERS_MAX = 64
"""Bytes of late answers kept for somebody who looks for slow units."""

DRAIN_LIMIT_S = 3.0
"""A line that is not silent for so long cannot be asked anything."""


class Wire:
    """One bus at `address`, ours while this is open; used in a `with`.

    Raises:
        OSError: the port or connection cannot be opened.
    """

    def __init__(self, address: Address, timeout_ms: int = 500) -> None:
        self._address = address
        self._timeout_s = timeout_ms / 1000
        self._rtu = address.serial
        self._port: serial.Serial | None = None
        self._socket: socket.socket | None = None
        self._envelope: TcpEnvelope | RtuEnvelope = RtuEnvelope() if self._rtu else TcpEnvelope()
        self._last_byte_s = self._quiet_s = 0.0
        self._failed_unit = -1
        self.late: deque[bytes] = deque(maxlen=STRANGERS_MAX)
        """What came after its question was given up, in pieces."""
        self.noise = 0
        """Bytes heard within a question that made no answer."""

    def __enter__(self) -> "Wire":
        self._open()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the port or connection; a second time does nothing."""
        for each in (self._port, self._socket):
            if each is not None:
                each.close()
        self._port = self._socket = None

    def ask(self, unit: int, pdu: bytes) -> bytes:
        """Return the PDU that answers; see `ask.Asker`."""
        try:
            exchange = exchange_of(unit, pdu)
        except ValueError as error:
            raise AskError("no_question") from error
        if self._port is None and self._socket is None:
            self._open()
        self._be_silent(unit)
        data = self._envelope.open(exchange)
        self._write(data)
        wire_s = (len(data) + exchange.reply_size + 3) * self._address.byte_us / 1e6
        try:
            return self._answer(time.monotonic() + self._timeout_s + wire_s)
        except AskError as error:
            self._failed(unit, error)
            raise

    def listen(
        self, seconds: float, heard: Callable[[Traffic], None], enough: int | None = None
    ) -> int:
        """Tell `heard` what runs on the wire for so long; returns the bytes. Nothing is sent.

        With `enough` it ends after so many bytes.

        Raises:
            OSError: the port is gone.
        """
        until_s, count = time.monotonic() + seconds, 0
        while (left_s := until_s - time.monotonic()) > 0:
            data = self._read(left_s)
            if data:
                count += len(data)
                heard(Traffic(time.monotonic_ns() // 1000, False, data))
            if enough is not None and count >= enough:
                break
        return count

    def _answer(self, until_s: float) -> bytes:
        while True:
            data = self._read(max(0.0, until_s - time.monotonic()))
            if not data and time.monotonic() >= until_s:
                spoken = self._envelope.close()
                raise AskError("bad_reply" if spoken else "timeout")
            try:
                pdu = self._envelope.receive(data)
            except BadReplyError as bad:
                raise AskError(f"bad_{bad.why}") from bad
            except DeviceRefusalError as refusal:
                raise AskError(f"exception_{refusal.code}") from refusal
            except StreamError as broken:
                self.close()
                raise AskError(broken.why) from broken
            if pdu is not None:
                return pdu
            self.noise += len(data)

    def _failed(self, unit: int, error: AskError) -> None:
        """Owe silence: a late answer must find nobody asking the same unit again."""
        self._envelope.close()
        if error.refused:
            return
        if not self._rtu and error.code == "timeout":
            return  # transaction numbers tell a late answer
        self._failed_unit = unit
        self._quiet_s = time.monotonic() + min(self._timeout_s + QUIET_MARGIN_S, QUIET_MAX_S)

    def _be_silent(self, unit: int) -> None:
        """Wait until the line has been silent as long as it is owed; keep what comes meanwhile."""
        if not self._rtu:
            return
        give_up_s = time.monotonic() + DRAIN_LIMIT_S
        while True:
            owed_s = self._last_byte_s + self._address.silence_us / 1e6
            if self._failed_unit == unit:
                owed_s = max(owed_s, self._quiet_s)
            wait_s = owed_s - time.monotonic()
            data = self._read(max(0.0, wait_s))
            if data:
                self.late.append(data)
            elif wait_s <= 0:
                self._failed_unit = -1
                return
            if time.monotonic() > give_up_s:
                raise AskError("noise")

    def _open(self) -> None:
        address = self._address
        self._envelope.reset()
        if address.path:
            try:
                self._port = open_port(address)
            except (ValueError, termios.error) as error:
                raise OSError(str(error)) from error
            return
        self._socket = socket.create_connection((address.host, address.port), CONNECT_LIMIT_S)
        with contextlib.suppress(OSError):  # a connection is as good without it
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _file(self) -> int:
        open_end = self._port or self._socket
        if open_end is None:
            raise OSError("not open")
        return int(open_end.fileno())

    def _write(self, data: bytes) -> None:
        if os.write(self._file(), data) != len(data):
            raise OSError("the port takes no more")
        self._last_byte_s = time.monotonic() + len(data) * self._address.byte_us / 1e6

    def _read(self, wait_s: float) -> bytes:
        file = self._file()
        ready, _, _ = select.select([file], [], [], wait_s)
        if not ready:
            return b""
        data = os.read(file, READ_MAX)
        if not data:
            self.close()
            raise OSError("the other side has closed")
        self._last_byte_s = time.monotonic()
        return data


def units_in(pieces: deque[bytes]) -> set[int]:
    """Return the units whose whole frames lie in `pieces`: answers that came too late."""
    data = b"".join(pieces)
    found = set()
    for at in range(len(data) - 4):
        for end in range(at + 5, min(len(data), at + modbus.RTU_FRAME_MAX) + 1):
            if _is_frame(data[at:end]):
                found.add(data[at])
                break
    return found


def _is_frame(data: bytes) -> bool:
    function = data[1] & 0x7F
    if function not in modbus.READS | {5, 6, 15, 16}:
        return False
    return modbus.crc16(data[:-2]) == int.from_bytes(data[-2:], "little")
