"""Modbus RTU masters that read one register block as fast as they go, each run as its own process.

    python bench/common/serial_clients.py NAME PATH BAUD REGISTERS SECONDS

Prints "exchanges failures wall_s cpu_s", counted from the end of the warming up, so that starting
an interpreter costs nobody anything. NAME is one of `CLIENTS`. Masters that set their port up twice
do so without parity, because a pty answers that with an error; the time of a byte is the slave's
affair.
"""

import asyncio
import sys
import time
from collections.abc import Callable

from minewatch_drivers.lines import open_line
from minewatch_drivers.runners.runners import open_runner

from minewatch.controller.clock import SystemClock
from minewatch.model.mine import Bus

UNITS = 8
"""Units on our line, all due all the time, so that a question follows each answer at once."""

WARM_S = 0.5
Result = tuple[int, int, float, float]


async def _ours(path: str, baud: int, registers: int, seconds: float) -> Result:
    """Run the line with its thread; time is taken from one answer to another."""
    from line_mine import line_mine  # noqa: PLC0415 — found where this file is run, not imported

    bus = Bus("line", f"rtu://{path}?baud={baud}&parity=E", scan_ms=1, timeout_ms=500)
    line = open_line(line_mine(bus, UNITS, registers), bus, writes=False)
    runner = open_runner(line, bus, SystemClock(), lambda: line.take() and None)
    await runner.start()
    await asyncio.sleep(WARM_S)
    before, cpu_s = line.status(), time.process_time()
    await asyncio.sleep(seconds)
    after, cpu_s = line.status(), time.process_time() - cpu_s
    await runner.stop()
    wall_s = (after.last_us - before.last_us) / 1e6
    return after.exchanges - before.exchanges, after.failures - before.failures, wall_s, cpu_s


def _repeat(read: Callable[[], bool], seconds: float) -> Result:
    """Call `read` until the time is up; the warming up is not counted."""
    warm_s = time.monotonic() + WARM_S
    while time.monotonic() < warm_s:
        read()
    done = failures = 0
    begun_s, cpu_s, wall_s = time.monotonic(), time.process_time(), 0.0
    while wall_s < seconds:
        good = read()
        done += good
        failures += not good
        wall_s = time.monotonic() - begun_s
    return done, failures, wall_s, time.process_time() - cpu_s


def _minimalmodbus(path: str, baud: int, registers: int, seconds: float) -> Result:
    import minimalmodbus  # noqa: PLC0415 — only the process that measures it

    instrument = minimalmodbus.Instrument(path, 1)
    instrument.serial.baudrate = baud
    instrument.serial.timeout = 1.0
    return _repeat(
        lambda: len(instrument.read_registers(0, registers, functioncode=4)) == registers, seconds
    )


def _pymodbus_sync(path: str, baud: int, registers: int, seconds: float) -> Result:
    from pymodbus.client import ModbusSerialClient  # noqa: PLC0415 — as above

    client = ModbusSerialClient(path, baudrate=baud, parity="N", timeout=1)
    client.connect()

    def read() -> bool:
        reply = client.read_input_registers(0, count=registers, device_id=1)
        return not reply.isError() and len(reply.registers) == registers

    result = _repeat(read, seconds)
    client.close()
    return result


async def _pymodbus_asyncio(path: str, baud: int, registers: int, seconds: float) -> Result:
    from pymodbus.client import AsyncModbusSerialClient  # noqa: PLC0415 — as above

    client = AsyncModbusSerialClient(path, baudrate=baud, parity="N", timeout=1)
    await client.connect()

    async def read() -> bool:
        reply = await client.read_input_registers(0, count=registers, device_id=1)
        return not reply.isError() and len(reply.registers) == registers

    warm_s = time.monotonic() + WARM_S
    while time.monotonic() < warm_s:
        await read()
    done = failures = 0
    begun_s, cpu_s, wall_s = time.monotonic(), time.process_time(), 0.0
    while wall_s < seconds:
        good = await read()
        done += good
        failures += not good
        wall_s = time.monotonic() - begun_s
    client.close()
    return done, failures, wall_s, time.process_time() - cpu_s


CLIENTS: dict[str, Callable[[str, int, int, float], Result]] = {
    "minewatch": lambda *words: asyncio.run(_ours(*words)),
    "minimalmodbus": _minimalmodbus,
    "pymodbus": _pymodbus_sync,
    "pymodbus asyncio": lambda *words: asyncio.run(_pymodbus_asyncio(*words)),
}


def main() -> None:
    """Run the client that the command line names."""
    name, path, baud, registers, seconds = sys.argv[1:]
    print(*CLIENTS[name](path, int(baud), int(registers), float(seconds)))


if __name__ == "__main__":
    main()
