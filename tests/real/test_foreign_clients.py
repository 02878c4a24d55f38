"""Our simulator's server, read and written by a client of another maker: pymodbus, TCP and pty.

mbpoll reads it in tests/sim/test_endpoints.py.
"""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from minewatch_drivers.device_files import device_file
from minewatch_sim.endpoints import Endpoints
from minewatch_sim.people import Habits
from minewatch_sim.plant import Plant
from minewatch_sim.scenario import Scenario
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient

from minewatch.mine import load

DEMO = Path(__file__).resolve().parents[2] / "config" / "demo-mine"


def plant() -> Plant:
    """Return a quiet plant of the demo mine."""
    loaded = load(DEMO)
    assert loaded.mine is not None, loaded.faults
    return Plant(loaded.mine, 1, Scenario("quiet", Habits(underground=20)))


def client_of(url: str) -> AsyncModbusTcpClient | AsyncModbusSerialClient:
    """Return a pymodbus client for an address of the simulator."""
    parts = urlsplit(url)
    if parts.scheme == "rtu":
        return AsyncModbusSerialClient(parts.path, baudrate=9600, parity="N", timeout=1)
    assert parts.hostname is not None
    assert parts.port is not None
    return AsyncModbusTcpClient(parts.hostname, port=parts.port, timeout=1)


@pytest.mark.parametrize("bus", ["gw_east", "line_headings"])
async def test_pymodbus_reads_every_head_of_a_bus(bus: str) -> None:
    """Identity of each device on the bus comes as its file says, and no exception with it."""
    made = plant()
    wanted, got = {}, {}
    async with Endpoints(made.mine, made) as endpoints:
        client = client_of(endpoints.addresses()[bus])
        assert await client.connect()
        for device in made.mine.devices:
            if device.bus != bus:
                continue
            sentinel = device_file.load(device.model).sentinel
            if sentinel is not None:
                wanted[device.unit] = sentinel.expected
                reply = await client.read_input_registers(
                    sentinel.at.address, count=1, device_id=device.unit
                )
                got[device.unit] = None if reply.isError() else reply.registers[0]
        client.close()

    assert len(wanted) >= 2
    assert got == wanted


async def test_pymodbus_drives_a_relay_and_reads_it_back() -> None:
    """A coil written with functions 5 and 15 reads back with function 1."""
    made = plant()
    relay = next(d for d in made.mine.devices if d.model == "relay-module-8-watchdog")
    async with Endpoints(made.mine, made) as endpoints:
        client = client_of(endpoints.addresses()[relay.bus])
        assert await client.connect()
        before = (await client.read_coils(0, count=4, device_id=relay.unit)).bits[:4]
        await client.write_coil(2, not before[2], device_id=relay.unit)
        one = await client.read_coils(0, count=4, device_id=relay.unit)
        turned = [not bit for bit in one.bits[:4]]
        await client.write_coils(0, turned, device_id=relay.unit)
        many = await client.read_coils(0, count=4, device_id=relay.unit)
        missing = await client.read_coils(60_000, count=4, device_id=relay.unit)
        client.close()

    assert one.bits[:4] == [*before[:2], not before[2], before[3]]
    assert many.bits[:4] == turned
    assert missing.isError()
