"""The ends of a proxied wire: a TCP connection, a pty under a path, a serial port.

They move bytes, say when they are gone and decide nothing.
"""

import asyncio
import contextlib
import os
import termios
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import serial
from minewatch_drivers.address import Address

READ_MAX = 4096
PTY_FOLDER = "/dev/pts/"


class End(Protocol):
    """One side of a pass: bytes out, and away with it."""

    def write(self, data: bytes) -> None:
        """Send bytes, as far as somebody is there."""
        ...

    def close(self) -> None:
        """Close at once."""
        ...


class SocketEnd(asyncio.Protocol):
    """A TCP connection as one side of a pass."""

    def __init__(
        self, heard: Callable[[bytes], None], gone: Callable[[], None], *, refused: bool = False
    ) -> None:
        self._heard = heard
        self._gone = gone
        self._refused = refused
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, or close it at once."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._refused:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Pass bytes on."""
        self._heard(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 — asyncio's signature
        """Say that this side is gone."""
        self._transport = None
        self._gone()

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


class FileEnd:
    """A pty or serial port as one side of a pass; `also` is closed with it."""

    def __init__(
        self, file: int, heard: Callable[[bytes], None], gone: Callable[[], None], also: int = -1
    ) -> None:
        self._file = file
        self._also = also
        self._heard = heard
        self._gone = gone
        os.set_blocking(file, False)
        asyncio.get_running_loop().add_reader(file, self._readable)

    def write(self, data: bytes) -> None:
        """Send bytes; what a full buffer does not take is lost, as on a wire."""
        if self._file >= 0:
            with contextlib.suppress(BlockingIOError, OSError):
                os.write(self._file, data)

    def close(self) -> None:
        """Close at once."""
        if self._file < 0:
            return
        asyncio.get_running_loop().remove_reader(self._file)
        os.close(self._file)
        if self._also >= 0:
            os.close(self._also)
        self._file = self._also = -1

    def _readable(self) -> None:
        try:
            data = os.read(self._file, READ_MAX)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._heard(data)
        else:
            self.close()
            self._gone()


class Adapter:
    """A pty under a path that can be pulled and come back; `point_to` makes it another's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._end: FileEnd | None = None

    def plug(self, heard: Callable[[bytes], None], gone: Callable[[], None]) -> FileEnd:
        """Make a new pty and let the path lead to it."""
        master, slave = os.openpty()
        for file in (master, slave):
            tty.setraw(file)
        self.lead_to(os.ttyname(slave))
        self._end = FileEnd(master, heard, gone, also=slave)
        return self._end

    def lead_to(self, port: str) -> None:
        """Let the path lead to a port, atomically; it must be a link of ours or not be there."""
        if self.path.exists() and not self.path.is_symlink():
            raise FileExistsError(str(self.path))
        beside = self.path.with_name(f".{self.path.name}.new")
        beside.unlink(missing_ok=True)
        beside.symlink_to(port)
        beside.replace(self.path)

    def unplug(self) -> None:
        """Pull it: the port breaks for whoever holds it, and the path is gone."""
        if self._end is not None:
            self._end.close()
            self._end = None
        if self.path.is_symlink():
            self.path.unlink()


def open_port(address: Address) -> int:
    """Open a serial port raw at its speed; returns the file.

    Raises:
        OSError: it cannot be opened or is taken.
    """
    is_pty = os.path.realpath(address.path).startswith(PTY_FOLDER)
    try:
        with serial.Serial(
            address.path,
            address.baud,
            parity=serial.PARITY_NONE if is_pty else address.parity,
            stopbits=address.stop_bits,
            timeout=0,
            exclusive=True,
        ) as port:
            return os.dup(port.fileno())
    except (serial.SerialException, ValueError, termios.error) as error:
        raise OSError(str(error)) from error
