"""What our lines and our simulator say to each other, read by a decoder of another maker: tshark.

Capturing on loopback needs rights, so the bytes that a line sent and received are laid into a
packet file here, segment by segment, as a TCP connection to port 502.
"""

import asyncio
import shutil
import struct
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from minewatch_drivers.modbus_line.inquiry import Traffic
from minewatch_drivers.modbus_line.line import Line
from minewatch_drivers.runners.runners import open_runner
from minewatch_drivers.wire import modbus
from minewatch_sim.endpoints import Endpoints, boottime_us
from minewatch_sim.people import Habits
from minewatch_sim.plant import Plant
from minewatch_sim.scenario import Scenario

from minewatch.mine import load
from minewatch.ports import WallTime

DEMO = Path(__file__).resolve().parents[2] / "config" / "demo-mine"
BUSES = ("gw_east", "line_headings", "relay_1", "gw_relay", "gw_people")
"""Heads and gates on TCP, a serial line, relays on TCP and behind a serial server, readers."""

SECONDS = 2.0
SERVER_PORT, CLIENT_PORT = 502, 40_000
FIELDS = ("tcp.dstport", "modbus.func_code", "modbus.reference_num", "_ws.malformed",
          "modbus.exception_code", "mbrtu.crc16.status")  # fmt: skip
TSHARK = shutil.which("tshark")
pytestmark = pytest.mark.skipif(TSHARK is None, reason="tshark (Debian) is not installed")


class Clock:
    """The clock of the simulator's endpoints."""

    def now_us(self) -> int:
        """Return monotonic µs."""
        return boottime_us()

    def now_ms(self) -> int:
        """Return monotonic ms."""
        return boottime_us() // 1_000

    def wall(self) -> WallTime:
        """Return a wall time that nobody vouches for."""
        return WallTime(0, trusted=False)


def packets(traffic: list[Traffic]) -> bytes:
    """Return a packet file (raw IP) of one TCP connection with one segment per piece of traffic."""
    file = bytearray(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101))
    sequence = {True: 1, False: 1}
    for piece in traffic:
        ports = (CLIENT_PORT, SERVER_PORT) if piece.sent else (SERVER_PORT, CLIENT_PORT)
        hosts = (b"\x7f\0\0\1", b"\x7f\0\0\2") if piece.sent else (b"\x7f\0\0\2", b"\x7f\0\0\1")
        numbers = (sequence[piece.sent], sequence[not piece.sent])
        tcp = struct.pack(">HHIIBBHHH", *ports, *numbers, 5 << 4, 0x18, 65_535, 0, 0)
        size = 20 + len(tcp) + len(piece.data)
        ip = struct.pack(">BBHHHBBH", 0x45, 0, size, 0, 0, 64, 6, 0) + hosts[0] + hosts[1]
        seconds, part = divmod(piece.t_us, 1_000_000)
        file += struct.pack("<IIII", seconds, part, size, size) + ip + tcp + piece.data
        sequence[piece.sent] += len(piece.data)
    return bytes(file)


def decoded(path: Path, rtu: bool) -> list[dict[str, str]]:
    """Return what tshark makes of each packet that ends a Modbus frame."""
    assert TSHARK is not None
    protocol = "mbrtu" if rtu else "mbtcp"
    command = [TSHARK, "-r", str(path), "-d", f"tcp.port=={SERVER_PORT},{protocol}"]
    command += ["-o", "mbrtu.crc_verification:TRUE", "-Y", protocol, "-T", "fields"]
    command += [word for field in FIELDS for word in ("-e", field)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return [dict(zip(FIELDS, row.split("\t"), strict=True)) for row in said.splitlines()]


async def traffic_of(bus_id: str) -> tuple[list[Traffic], bool]:
    """Run our line against our simulator; returns what ran and whether it was RTU."""
    loaded = load(DEMO)
    assert loaded.mine is not None, loaded.faults
    plant = Plant(loaded.mine, 1, Scenario("quiet", Habits(underground=20)))
    traffic: list[Traffic] = []
    async with Endpoints(plant.mine, plant) as endpoints:
        bus = next(each for each in plant.mine.buses if each.id == bus_id)
        bus = replace(bus, url=endpoints.addresses()[bus_id])
        mine = replace(plant.mine, buses=(bus,))
        line = Line(mine, bus, writes=True)
        line.tap(True)
        runner = open_runner(line, bus, Clock(), lambda: line.take() and None)
        await runner.start()
        end_s, level = time.monotonic() + SECONDS, False
        while time.monotonic() < end_s:
            level = not level
            line.want(dict.fromkeys(line.outputs, level), boottime_us())
            runner.kick()
            await asyncio.sleep(0.2)
            traffic += line.tapped()
        await runner.stop()
        assert line.tap_dropped == 0
    rtu = not bus.url.startswith("tcp")
    return (joined(traffic) if rtu else traffic), rtu


def joined(traffic: list[Traffic]) -> list[Traffic]:
    """Make one piece of each serial answer: tshark joins the parts on TCP alone."""
    whole: list[Traffic] = []
    for piece in traffic:
        if whole and not piece.sent and not whole[-1].sent:
            piece = replace(piece, data=whole.pop().data + piece.data)  # noqa: PLW2901 — grows
        whole.append(piece)
    return whole


@pytest.mark.parametrize("bus_id", BUSES)
async def test_tshark_decodes_all_that_runs_on_a_line(bus_id: str, tmp_path: Path) -> None:
    """No malformed frame, no wrong checksum; each question is to tshark what it is to us."""
    traffic, rtu = await traffic_of(bus_id)
    path = tmp_path / "line.pcap"
    path.write_bytes(packets(traffic))

    frames = decoded(path, rtu)

    asked = []
    for piece in traffic:
        if piece.sent:
            pdu = piece.data[1:-2] if rtu else piece.data[7:]
            request = modbus.parse_request(1, pdu)
            asked.append((str(request.function), str(request.address)))
    told = [f for f in frames if f["tcp.dstport"] == str(SERVER_PORT)]
    replies = [f for f in frames if f["tcp.dstport"] == str(CLIENT_PORT)]
    assert len(asked) >= 4
    assert [(f["modbus.func_code"], f["modbus.reference_num"]) for f in told] == asked
    assert {f["_ws.malformed"] for f in frames} == {""}
    assert {f["modbus.exception_code"] for f in frames} == {""}
    assert len(replies) in (len(asked), len(asked) - 1)
    assert {f["mbrtu.crc16.status"] for f in frames} == ({"1"} if rtu else {""})
