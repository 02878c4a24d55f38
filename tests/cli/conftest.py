"""Slaves for the verbs that speak on a bus: scripted registers behind a real socket or a pty."""

import os
import select
import socket
import struct
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from minewatch_drivers.wire import modbus

Registers = dict[tuple[int, int], int]
"""(function that reads it, address) → number."""


@dataclass
class Slave:
    """Units with registers; `asked` is every question that reached one. `stuck` takes no writes."""

    units: dict[int, Registers]
    asked: list[tuple[int, bytes]] = field(default_factory=list)
    stuck: bool = False
    every_unit: bool = False

    def answer(self, unit: int, pdu: bytes) -> bytes | None:
        """Return the PDU that answers, None from a unit that is not there."""
        registers = self.units.get(1 if self.every_unit else unit)
        if registers is None:
            return None
        self.asked.append((unit, pdu))
        try:
            request = modbus.parse_request(unit, pdu)
        except modbus.ModbusError as error:
            return modbus.exception_pdu(pdu[0], error.code)
        table = {5: 1, 15: 1, 6: 3, 16: 3}.get(request.function, request.function)
        places = [(table, request.address + n) for n in range(request.count)]
        if not all(place in registers for place in places):
            return modbus.exception_pdu(request.function, modbus.ILLEGAL_ADDRESS)
        if request.values is not None:
            if not self.stuck:
                registers.update(zip(places, request.values, strict=True))
            return modbus.reply_pdu(request)
        return modbus.reply_pdu(request, [registers[place] for place in places])


class TcpSlave(threading.Thread):
    """Serves a slave on a loopback port until stopped."""

    def __init__(self, slave: Slave) -> None:
        super().__init__(daemon=True)
        self._slave = slave
        self._server = socket.create_server(("127.0.0.1", 0))
        self._stopping = False
        self.url = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"

    def run(self) -> None:
        """Serve one connection after the other."""
        self._server.settimeout(0.05)
        while not self._stopping:
            try:
                connection, _ = self._server.accept()
            except TimeoutError:
                continue
            with connection:
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(0.05)
        buffer = bytearray()
        while not self._stopping:
            try:
                data = connection.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                return
            if not data:
                return
            buffer += data
            while (frame := modbus.split_tcp(buffer)) is not None:
                transaction, unit, pdu = frame
                reply = self._slave.answer(unit, pdu)
                if reply is not None:
                    connection.sendall(modbus.tcp_frame(transaction, unit, reply))

    def stop(self) -> None:
        """End; returns when the thread has."""
        self._stopping = True
        self.join()
        self._server.close()


class PtySlave(threading.Thread):
    """Serves a slave on a pty; at another speed than `baud` it hears garbage and answers some."""

    def __init__(self, slave: Slave, path: Path, baud: int) -> None:
        super().__init__(daemon=True)
        self._slave = slave
        self._baud = getattr(termios, f"B{baud}")
        self.master, self._end = os.openpty()
        tty.setraw(self.master)
        tty.setraw(self._end)
        path.symlink_to(os.ttyname(self._end))
        self._stopping = False
        self.heard = bytearray()
        self.url = f"rtu://{path}?baud={baud}&parity=E"

    def run(self) -> None:
        """Answer each question; none is longer than its first read here."""
        while not self._stopping:
            ready, _, _ = select.select([self.master], [], [], 0.05)
            if ready:
                self._answer(os.read(self.master, 512))

    def _answer(self, data: bytes) -> None:
        self.heard += data
        if termios.tcgetattr(self._end)[5] != self._baud:
            os.write(self.master, b"\xfe\x00\xfe")
            return
        if len(data) >= 8 and modbus.crc16(data[:-2]) == struct.unpack("<H", data[-2:])[0]:
            reply = self._slave.answer(data[0], data[1:-2])
            if reply is not None:
                os.write(self.master, modbus.rtu_frame(data[0], reply))

    def stop(self) -> None:
        """End; returns when the thread has."""
        self._stopping = True
        self.join()
        os.close(self.master)
        os.close(self._end)


@pytest.fixture
def tcp() -> Iterator[Callable[[Slave], str]]:
    """Return what serves a slave on TCP and gives its url."""
    running: list[TcpSlave] = []

    def serve(slave: Slave) -> str:
        running.append(TcpSlave(slave))
        running[-1].start()
        return running[-1].url

    yield serve
    for each in running:
        each.stop()


@pytest.fixture
def pty(tmp_path: Path) -> Iterator[Callable[[Slave, int], PtySlave]]:
    """Return what serves a slave on a pty at one speed."""
    running: list[PtySlave] = []

    def serve(slave: Slave, baud: int) -> PtySlave:
        running.append(PtySlave(slave, tmp_path / f"port{len(running)}", baud))
        running[-1].start()
        return running[-1]

    yield serve
    for each in running:
        each.stop()


@pytest.fixture
def slave() -> Callable[..., Slave]:
    """Return the maker of slaves: `slave({unit: registers})`."""
    return Slave


@pytest.fixture
def talk() -> Iterator[Callable[[int, bytes], None]]:
    """Return what lets another master speak on a pty: the same bytes every 50 ms."""
    stopping = threading.Event()
    threads: list[threading.Thread] = []

    def begin(file: int, data: bytes) -> None:
        def run() -> None:
            while not stopping.is_set():
                os.write(file, data)
                time.sleep(0.05)

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()

    yield begin
    stopping.set()
    for each in threads:
        each.join()


@pytest.fixture(autouse=True)
def no_house(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let no house of this machine be found, and English be spoken."""
    monkeypatch.setenv("MINEWATCH_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("LANG", "en_US.UTF-8")
