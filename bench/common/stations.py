"""Two hundred stations of a hundred registers: the mine that reads them and the server they are.

Every register changes each second, ten of each station are methane heads with limits, ninety are
temperatures that are only recorded. The device file exists for this bench alone, so it is put
beside the shipped ones by `register` before a mine is loaded or a line is opened.
"""

import asyncio
import socket
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from minewatch_drivers.device_files import device_file

STATIONS = 200
REGISTERS = 100
HEADS = 10
"""Registers of a station that are methane heads and so have limits."""

MODEL = "bench-station-100"
METHANE_SPAN = 40
TEMPERATURE_LOW, TEMPERATURE_SPAN = 180, 140
_ASKED = struct.Struct(">HHHBBHH")

HEADER = """points = "points.csv"

[mine]
code = "220181000300"
name = "stations"
county = "220181"
language = "en"
gas_class = "high"
capacity_10kt = 60
hazard_class = "severe"
mode = "monitor"
certified_system = "stations"

[[zone]]
id = "mine"
name = "mine"
kind = "mine"
"""


def register() -> None:
    """Put the bench's device file beside the shipped ones, in this process."""
    tables = [
        "[device]\nidentity = 'station'\nmaker = 'bench'\nmaturity = 'beta'\nsource = 'bench'\n"
    ]
    for address in range(REGISTERS):
        methane = address < HEADS
        tables.append(
            f"[signals.register_{address}]\ntable = 'input'\naddress = {address}\ntype = 'u16'\n"
            f"kind = '{'methane' if methane else 'temperature'}'\n"
            f"scale = '{'0.01' if methane else '0.1'}'\nlow = '0'\n"
            f"high = '{'4.00' if methane else '100'}'\n"
        )
    tables.append("[[frames]]\nsource = 'bench'\nrequest = '01'\nreply = '01'\n")
    device_file._paths()[MODEL] = ("station", "".join(tables))


def write_mine(folder: Path, ports: Sequence[int], scan_ms: int = 1000) -> Path:
    """Write the configuration of one TCP line and one station for each of `ports`."""
    folder.mkdir(parents=True)
    tables = [HEADER]
    rows = ["id,name,kind,zone,device,signal,place"]
    for n, port in enumerate(ports):
        tables.append(
            f'[[zone]]\nid = "return_{n}"\nname = "return {n}"\nkind = "return"\nparent = "mine"\n'
            f'[[bus]]\nid = "line_{n}"\nurl = "tcp://127.0.0.1:{port}"\nscan_ms = {scan_ms}\n'
            f'[[device]]\nid = "station_{n}"\nbus = "line_{n}"\nunit = 1\nmodel = "{MODEL}"\n'
        )
        for m in range(REGISTERS):
            kind, place = (
                ("methane", "sealed_area_outside") if m < HEADS else ("temperature", "record_only")
            )
            rows.append(
                f"station_{n}_{m},point {m},{kind},return_{n},station_{n},register_{m},{place}"
            )
    (folder / "mine.toml").write_text("\n".join(tables), encoding="utf-8")
    (folder / "points.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def register_value(station: int, register_: int, second: int) -> int:
    """Return what a register shows in a second; the next second shows another number."""
    turn = second + 7 * register_ + 3 * station
    if register_ < HEADS:
        return turn % METHANE_SPAN
    return TEMPERATURE_LOW + turn % TEMPERATURE_SPAN


class _Station(asyncio.Protocol):
    """Answers every question for input registers; the registers change with the second."""

    def __init__(self, number: int) -> None:
        self._number = number

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        transaction, _, _, unit, function, first, count = _ASKED.unpack(data)
        second = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000_000
        station = self._number + unit
        values = [register_value(station, n, second) for n in range(first, first + count)]
        head = struct.pack(">HHHBBB", transaction, 0, 3 + 2 * count, unit, function, 2 * count)
        self._transport.write(head + struct.pack(f">{count}H", *values))


class _Mute(asyncio.Protocol):
    """Accepts a connection and never says a word."""


async def _serve(alive: int, mute: int, refused: int) -> None:
    """Open all stations, print their ports in one line and answer until stdin ends."""
    loop = asyncio.get_running_loop()
    ports = []
    with ExitStack() as held:
        for number in range(alive):
            server = await loop.create_server(
                lambda n=number: _Station(n),
                "127.0.0.1",
                0,  # type: ignore[misc]
            )
            ports.append(server.sockets[0].getsockname()[1])
        for _ in range(mute):
            server = await loop.create_server(_Mute, "127.0.0.1", 0)
            ports.append(server.sockets[0].getsockname()[1])
        for _ in range(refused):
            taken = held.enter_context(socket.socket())
            taken.bind(("127.0.0.1", 0))
            ports.append(taken.getsockname()[1])
        print(*ports, flush=True)
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(*map(int, sys.argv[1:4])))
