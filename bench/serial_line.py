"""How much of a serial line's time carries frames: our line beside other masters, on ptys.

The slave is a process of its own (common/pty_slave.c): it answers at the pace of the wire (8E1, 11
bits) and counts the questions that came before the silent interval t3.5 was over. Efficiency is the
time that the wire needs (question + t3.5 + answer + t3.5) over the time that passed; above 100 %
the master breaks the silent interval. Up to 19 200 baud every byte wakes the master, at 115 200
fourteen come at once, as out of a UART's FIFO. Medians of all rounds; the median cycle (from one
question to the next, on the slave's side) hardly feels what else runs on the machine.

    python bench/serial_line.py [seconds per measurement [rounds [name of one master]]]
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from common.serial_clients import CLIENTS
from minewatch_drivers.address import Address, parse_address

CELLS = ((9_600, 1), (19_200, 1), (115_200, 14))
"""Baud and how many bytes wake the master at once."""

REGISTERS = (10, 50)
BITS = 11
QUESTION_BYTES = 8
GAPLESS_SHARE = 0.01
"""Up to this share of short gaps a master counts as one that keeps the gap."""

COMMON = Path(__file__).resolve().parent / "common"


class Cell(NamedTuple):
    """One measurement.

    Bus time used over all and of the median cycle, CPU ms per exchange, short gaps, questions,
    failures, least gap in µs.
    """

    used: float
    typical: float
    cpu_ms: float
    short: int
    asked: int
    failures: int
    least_us: int


def _built(folder: str, name: str, *libraries: str) -> str:
    """Compile a source of `common`; returns the program."""
    program = f"{folder}/{name}"
    source = str(COMMON / f"{name}.c")
    subprocess.run(["gcc", "-O2", "-Wall", "-o", program, source, *libraries], check=True)
    return program


def _libmodbus() -> list[str]:
    words = ["pkg-config", "--cflags", "--libs", "libmodbus"]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    return found.stdout.split()


def _ideal_us(wire: Address, registers: int) -> float:
    return (QUESTION_BYTES + 5 + 2 * registers) * wire.byte_us + 2 * wire.silence_us


class Bench:
    """The programs of one run."""

    def __init__(self, folder: str, seconds: float) -> None:
        self._seconds = seconds
        self._slave = _built(folder, "pty_slave")
        client = [sys.executable, str(COMMON / "serial_clients.py")]
        self.masters = {name: [*client, name] for name in CLIENTS}
        if libraries := _libmodbus():
            self.masters["libmodbus"] = [_built(folder, "libmodbus_client", *libraries)]

    def measure(self, name: str, baud: int, fifo: int, registers: int) -> Cell:
        """Run one master against a fresh slave."""
        wire = parse_address(f"rtu:///x?baud={baud}&parity=E")
        words = [self._slave, str(baud), str(BITS), str(wire.silence_us), str(fifo)]
        with subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as slave:
            assert slave.stdin is not None
            assert slave.stdout is not None
            path = slave.stdout.readline().strip()
            command = [*self.masters[name], path, str(baud), str(registers), str(self._seconds)]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            slave.stdin.write("\n")
            slave.stdin.flush()
            asked, short, damaged, least_us, cycle_us = map(int, slave.stdout.readline().split())
            slave.stdin.close()
        done, failures, wall_s, cpu_s = map(float, said.split())
        ideal_us = _ideal_us(wire, registers)
        used = done * ideal_us / 1e6 / wall_s
        cpu_ms = cpu_s / max(done, 1) * 1e3
        return Cell(
            used, ideal_us / cycle_us, cpu_ms, short, asked, int(failures) + damaged, least_us
        )


def _median(cells: list[Cell]) -> Cell:
    return Cell(
        statistics.median(cell.used for cell in cells),
        statistics.median(cell.typical for cell in cells),
        statistics.median(cell.cpu_ms for cell in cells),
        sum(cell.short for cell in cells),
        sum(cell.asked for cell in cells),
        sum(cell.failures for cell in cells),
        min(cell.least_us for cell in cells),
    )


def _rows(cells: dict[str, Cell]) -> Iterator[str]:
    for name, cell in cells.items():
        yield (
            f"  {name:17} bus time used {cell.used:6.1%}, median cycle {cell.typical:6.1%}  "
            f"CPU {cell.cpu_ms:4.2f} ms each  "
            f"short gaps {cell.short} of {cell.asked} ({cell.short / max(cell.asked, 1):.0%}), "
            f"least {cell.least_us} µs  failures {cell.failures}"
        )
    kept = [
        name
        for name, cell in cells.items()
        if name != "minewatch" and cell.short <= GAPLESS_SHARE * cell.asked
    ]
    if kept and "minewatch" in cells:
        ours = cells["minewatch"]
        used = ours.used - max(cells[name].used for name in kept)
        typical = ours.typical - max(cells[name].typical for name in kept)
        yield (
            f"  ahead of the best that keeps the gap ({', '.join(kept)}): {used * 100:+.1f} points "
            f"of bus time, {typical * 100:+.1f} in the median cycle"
        )


def main() -> None:
    """Measure every master in every cell, in turn, round after round."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.5
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    chosen = sys.argv[3] if len(sys.argv) > 3 else ""
    print(f"{os.cpu_count()} cores, {rounds} rounds of {seconds} s, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(folder, seconds)
        masters = [name for name in bench.masters if chosen in ("", name)]
        for baud, fifo in CELLS:
            for registers in REGISTERS:
                cells: dict[str, list[Cell]] = {name: [] for name in masters}
                for _ in range(rounds):
                    for name in masters:
                        cells[name].append(bench.measure(name, baud, fifo, registers))
                print(f"{baud} baud, {fifo} bytes at once, {registers} registers")
                for row in _rows({name: _median(cell) for name, cell in cells.items()}):
                    print(row, flush=True)
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
