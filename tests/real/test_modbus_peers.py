"""A Modbus server of another maker, read and written right by our line: pymodbus on TCP and RTU."""

import asyncio
import contextlib
import os
import selectors
import struct
import threading
import tty
from collections.abc import AsyncIterator, Iterator

import pytest
from minewatch_drivers.modbus_line.line import Line, Taken
from minewatch_drivers.runners.runners import open_runner
from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from minewatch.controller.clock import SystemClock
from minewatch.model.image import Reading
from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mine, Mode, Output, OutputRole, Point
from minewatch.model.quality import Quality

QUERY = "baud=19200&parity=N"
Blocks = dict[str, tuple[int, list[int]]]
EXPECTED = {
    "CH4": Reading("CH4", 102, Quality.GOOD),
    "CH4_2": Reading("CH4_2", 123, Quality.GOOD),
    "CH4_3": Reading("CH4_3", 40, Quality.INHIBITED),
    "IN": Reading("IN", 65_541, Quality.GOOD),
    "OUT": Reading("OUT", 65_534, Quality.GOOD),
    "FAN": Reading("FAN", 1, Quality.GOOD),
}


def float_words(number: float) -> list[int]:
    """Return a float as two registers, high word first."""
    return list(struct.unpack(">HH", struct.pack(">f", number)))


def device(unit: int, **blocks: tuple[int, list[int]]) -> SimDevice:
    """Return a pymodbus device with these blocks: table=(first address, registers)."""

    def data(table: str) -> list[SimData]:
        first, values = blocks.get(table, (9_000, [0]))
        return [SimData(first, values=values, datatype=DataType.REGISTERS)]

    def bits(table: str) -> list[SimData]:
        first, values = blocks.get(table, (9_000, [0] * 16))
        return [SimData(first, values=[bool(v) for v in values], datatype=DataType.BITS)]

    return SimDevice(unit, (bits("coil"), bits("discrete"), data("holding"), data("input")))


def devices() -> list[SimDevice]:
    """Return the foreign bus: three heads, a gate, a switch module, a relay."""
    xrl = [*float_words(0.4), 0, 0, 3, 17, 0, 0, 5]
    return [
        device(2, input=(0, [0x4D48, 7, 0, 102])),
        device(3, holding=(506, float_words(1.23))),
        device(4, holding=(102, xrl)),
        device(5, input=(0, [0x4743, 3, 1, 5, 0, 0xFFFE])),
        device(6, input=(0, [0x5349, 3]), discrete=(0, [0, 0, 1, 0] + [0] * 12)),
        device(7, coil=(0, [0] * 16)),
    ]


def mine_on(url: str) -> Mine:
    """Return the mine that reads it."""
    bus = Bus("line", url, scan_ms=300, timeout_ms=300)
    models = {
        2: "methane-head-generic",
        3: "draeger-polytron-8000-methane",
        4: "honeywell-xrl-methane",
        5: "gate-counter-generic",
        6: "switch-module-8",
        7: "waveshare-relay-8",
    }
    wires = [
        ("CH4", Kind.METHANE, 2, "methane"),
        ("CH4_2", Kind.METHANE, 3, "methane"),
        ("CH4_3", Kind.METHANE, 4, "methane"),
        ("IN", Kind.GATE_IN, 5, "count_in"),
        ("OUT", Kind.GATE_OUT, 5, "count_out"),
        ("FAN", Kind.FAN_RUN, 6, "input_3"),
    ]
    return Mine(
        code="000000000000",
        name="foreign",
        county="000000",
        language="en",
        gas_class="low",
        capacity_10kt=1,
        severe=False,
        mode=Mode.CONTROL,
        headcount_limit=1,
        headcount_citation="",
        profile="test",
        zones=(),
        buses=(bus,),
        devices=tuple(Device(f"d{unit}", "line", unit, model) for unit, model in models.items()),
        points=tuple(
            Point(name, "", kind, "z", f"d{unit}", signal, "record_only")
            for name, kind, unit, signal in wires
        ),
        outputs=(
            Output("siren", "", OutputRole.SIREN, "z", "d7", "coil_2", None),
            Output("horn", "", OutputRole.HORN, "z", "d7", "coil_3", None),
        ),
    )


@contextlib.contextmanager
def null_modem() -> Iterator[tuple[str, str]]:
    """Two ptys whose far ends are joined: what one side writes the other reads."""
    pairs = [os.openpty() for _ in range(2)]
    for _, port in pairs:
        tty.setraw(port)
    masters = [master for master, _ in pairs]
    done = threading.Event()

    def pump() -> None:
        with selectors.DefaultSelector() as ready:
            for master, other in (masters, masters[::-1]):
                ready.register(master, selectors.EVENT_READ, other)
            while not done.is_set():
                for key, _ in ready.select(0.05):
                    os.write(key.data, os.read(key.fd, 4096))

    thread = threading.Thread(target=pump, daemon=True)
    thread.start()
    yield os.ttyname(pairs[0][1]), os.ttyname(pairs[1][1])
    done.set()
    thread.join(5)
    for file in (each for pair in pairs for each in pair):
        os.close(file)


@contextlib.asynccontextmanager
async def served(transport: str) -> AsyncIterator[str]:
    """Run the foreign server; yields the url that our line takes."""
    if transport == "rtu":
        with null_modem() as (theirs, ours):
            serial = ModbusSerialServer(
                devices(), port=theirs, baudrate=19200, ignore_missing_devices=True
            )
            await serial.serve_forever(background=True)
            yield f"rtu://{ours}?{QUERY}"
            await serial.shutdown()
        return
    framer = FramerType.RTU if transport == "rtu+tcp" else FramerType.SOCKET
    server = ModbusTcpServer(devices(), framer=framer, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    assert isinstance(server.transport, asyncio.Server)
    port = server.transport.sockets[0].getsockname()[1]
    yield f"{transport}://127.0.0.1:{port}"
    await server.shutdown()


async def read_for(line: Line, seconds: float) -> list[Taken]:
    """Run the line against the server and return all that it brought."""
    taken: list[Taken] = []
    clock = SystemClock()
    runner = open_runner(line, line.bus, clock, lambda: taken.append(line.take()))
    await runner.start()
    end_ms = clock.now_ms() + int(seconds * 1000)
    while clock.now_ms() < end_ms:
        line.want({"siren": True, "horn": False}, clock.now_us())
        runner.kick()
        await asyncio.sleep(0.05)
    await runner.stop()
    return taken


@pytest.mark.parametrize("transport", ["tcp", "rtu+tcp", "rtu"])
async def test_pymodbus_is_read_and_written_right(transport: str) -> None:
    """Four models, five types, coils and inputs of a foreign server: every value as it was set."""
    async with served(transport) as url:
        mine = mine_on(url)
        line = Line(mine, mine.buses[0], writes=True)
        taken = await read_for(line, 3.0)

    readings = [r for each in taken for sample in each.samples for r in sample.readings]
    coils = [(b.output, b.energised) for each in taken for b in each.read_backs]
    assert {each.point for each in readings} == set(EXPECTED)
    assert set(readings) == set(EXPECTED.values())
    assert coils[-2:] == [("siren", True), ("horn", False)]
    assert line.status().violations == 0
