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

from minewatch_drivers.device_files import device_file
from minewatch_drivers.lines import open_line
from minewatch_drivers.runners.runners import open_runner

from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mine, Mode, Point
from minewatch.ports import WallTime

UNITS = 8
"""Units on our line, all due all the time, so that a question follows each answer at once."""

WARM_S = 0.5
Result = tuple[int, int, float, float]


class _Clock:
    def now_us(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000

    def now_ms(self) -> int:
        return self.now_us() // 1_000

    def wall(self) -> WallTime:
        return WallTime(0, trusted=False)


def _mine(url: str, registers: int) -> Mine:
    signal = {"table": "input", "type": "u16", "kind": "carbon_monoxide", "low": "0"}
    signals = {f"s{n}": {**signal, "high": "999", "address": n} for n in range(registers)}
    head = {"identity": "x", "maker": "x", "maturity": "beta", "source": "x"}
    frames = [{"source": "x", "request": "01", "reply": "01"}]
    tree = {"device": head, "signals": signals, "frames": frames}
    made = device_file.build("bench", "bench", tree)
    device_file.load = lambda _: made  # type: ignore[assignment]
    units = range(1, UNITS + 1)
    return Mine(
        code="0" * 12,
        name="bench",
        county="0" * 6,
        language="en",
        gas_class="low",
        capacity_10kt=1,
        severe=False,
        mode=Mode.MONITOR,
        headcount_limit=1,
        headcount_citation="",
        profile="bench",
        zones=(),
        buses=(Bus("line", url, scan_ms=1, timeout_ms=500),),
        devices=tuple(Device(f"d{unit}", "line", unit, "bench") for unit in units),
        points=tuple(
            Point(f"p{u}_{n}", "", Kind.CARBON_MONOXIDE, "z", f"d{u}", f"s{n}", "record_only")
            for u in units
            for n in range(registers)
        ),
    )


async def _ours(path: str, baud: int, registers: int, seconds: float) -> Result:
    """Run the line with its thread; time is taken from one answer to another."""
    mine = _mine(f"rtu://{path}?baud={baud}&parity=E", registers)
    line = open_line(mine, mine.buses[0], writes=False)
    runner = open_runner(line, line.bus, _Clock(), lambda: line.take() and None)
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
