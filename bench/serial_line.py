"""How much of a serial line's time carries frames: our line on a pty at 9600 baud, 8E1.

A scripted slave in a thread answers at the pace of the wire, eight bytes at a time, and counts the
questions that came before the silent interval t3.5 was over. Efficiency is the time that the wire
needs (question + t3.5 + answer + t3.5) over the time that passed.

    python bench/serial_line.py [seconds]
"""

import asyncio
import os
import select
import sys
import threading
import time
import tty

from minewatch_drivers import device_file, modbus
from minewatch_drivers.address import Address, parse_address
from minewatch_drivers.line import Line
from minewatch_drivers.runners import open_runner

from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mine, Mode, Point
from minewatch.ports import WallTime

REGISTERS = (10, 50)
QUERY = "baud=9600&parity=E"
QUESTION_BYTES = 8
PIECE_BYTES = 8
WARM_S = 1.0


class _Clock:
    def now_us(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000

    def now_ms(self) -> int:
        return self.now_us() // 1_000

    def wall(self) -> WallTime:
        return WallTime(0, trusted=False)


class _Slave(threading.Thread):
    """Answers every question with zeros; `asked` and `short_gaps` are what it saw."""

    def __init__(self, wire: Address) -> None:
        super().__init__(daemon=True)
        self.asked = self.short_gaps = 0
        self.stopping = False
        self._wire = wire
        self._due_us = 0.0
        self._master, self._port = os.openpty()
        tty.setraw(self._port)
        self.path = os.ttyname(self._port)

    def run(self) -> None:
        """Serve until `stopping`."""
        buffer, last_us, now_us = b"", 0, _Clock().now_us
        while not self.stopping:
            if not select.select([self._master], [], [], 0.1)[0]:
                continue
            if not buffer:
                self.short_gaps += now_us() - last_us < self._wire.silence_us
                self._due_us = now_us()
            buffer += os.read(self._master, 256)
            if len(buffer) >= QUESTION_BYTES:
                self.asked += 1
                self._pass(QUESTION_BYTES)
                last_us = self._answer(buffer)
                buffer = b""

    def _answer(self, question: bytes) -> int:
        """Send the answer piece by piece; returns when its last byte was on the wire."""
        size = 2 * int.from_bytes(question[4:6], "big")
        frame = modbus.rtu_frame(question[0], bytes((question[1], size)) + bytes(size))
        self._pass(self._wire.silence_us / self._wire.byte_us)
        for start in range(0, len(frame), PIECE_BYTES):
            piece = frame[start : start + PIECE_BYTES]
            self._pass(len(piece))
            last_us = _Clock().now_us()
            os.write(self._master, piece)
        return last_us

    def _pass(self, octets: float) -> None:
        """Sleep until so many bytes later; what one sleep was too long the next is shorter."""
        self._due_us += octets * self._wire.byte_us
        time.sleep(max(0.0, self._due_us - _Clock().now_us()) / 1e6)


def _mine(url: str, registers: int) -> Mine:
    bus = Bus("line", url, scan_ms=10, timeout_ms=500)
    points = tuple(
        Point(f"p{n}", "", Kind.CARBON_MONOXIDE, "z", "d1", f"s{n}", "record_only")
        for n in range(registers)
    )
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
        buses=(bus,),
        devices=(Device("d1", "line", 1, "bench"),),
        points=points,
    )


async def _measure(registers: int, seconds: float) -> str:
    wire = parse_address(f"rtu:///x?{QUERY}")
    slave = _Slave(wire)
    slave.start()
    mine = _mine(f"rtu://{slave.path}?{QUERY}", registers)
    line = Line(mine, mine.buses[0], writes=False)
    runner = open_runner(line, line.bus, _Clock(), lambda: line.take() and None)
    await runner.start()
    await asyncio.sleep(WARM_S)
    first, cpu_s, begun = line.status().exchanges, time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    done, wall_s = line.status().exchanges - first, time.monotonic() - begun
    cpu_s = time.process_time() - cpu_s
    await runner.stop()
    slave.stopping = True
    slave.join(2)
    answer_bytes = 5 + 2 * registers
    ideal_s = ((QUESTION_BYTES + answer_bytes) * wire.byte_us + 2 * wire.silence_us) / 1e6
    return (
        f"{registers:3} registers  {done / wall_s:5.1f} exchanges/s  bus time used "
        f"{done * ideal_s / wall_s:.1%}  CPU with the slave {cpu_s / done * 1e3:.2f} ms each  "
        f"short gaps {slave.short_gaps} of {slave.asked}  failures {line.status().failures}"
    )


def main() -> None:
    """Measure both lengths."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 8.0
    for registers in REGISTERS:
        signal = {"table": "input", "type": "u16", "kind": "carbon_monoxide", "low": "0"}
        signals = {f"s{n}": {**signal, "high": "9", "address": n} for n in range(registers)}
        head = {"identity": "x", "maker": "x", "maturity": "beta", "source": "x"}
        frames = [{"source": "x", "request": "01", "reply": "01"}]
        tree = {"device": head, "signals": signals, "frames": frames}
        made = device_file.build("bench", "bench", tree)
        device_file.load = lambda _, made=made: made  # type: ignore[assignment]
        print(asyncio.run(_measure(registers, seconds)))


if __name__ == "__main__":
    main()
