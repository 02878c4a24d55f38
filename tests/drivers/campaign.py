"""A campaign against one line: a fault stands on the wire, values say where and when they are from.

Loaded by path (tests import no neighbours). A device shows u32 values made of unit, block and time,
so that any answer which reaches another question, or the same one later, is seen. `Campaign`
counts what met the fault; one that never met it proves nothing and says so.
"""

import itertools
import random
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from minewatch_drivers.lines import open_line
from minewatch_sim.faults import Fault, Faults
from minewatch_sim.modbus_server import Request
from minewatch_sim.proxy import WIRE, unit_target
from minewatch_sim.virtual_line import START_US, VirtualLine

from minewatch.model.image import Sample
from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mine, Mode, Point
from minewatch.model.quality import Quality

FRAMES = (
    "mute", "late", "drop", "duplicated", "one_behind", "split", "halves", "truncated",
    "wrong_unit", "wrong_function", "wrong_count", "wrong_transaction", "zero_transaction",
    "noise", "noise_after", "corrupt", "mangled", "echo", "flood", "exception", "second_master",
)  # fmt: skip
"""What can happen to an answer. A forged value is none of them: nothing on a wire shows it."""

DELAY_MAX = {"duplicated": 1.0, "split": 1.0}
"""Timeouts that an answer is late at most; beyond 3 in all no line without identity can tell."""

STEP_US = 5_000
TIMEOUT_MS = 60
UNITS = 3
BLOCKS = (0, 100)
SIGNALS = ("near", "far")
URLS = {
    "tcp": "tcp://127.0.0.1:1502",
    "rtu": "rtu:///dev/ttyTEST?baud=19200&parity=E",
    "rtu+tcp": "rtu+tcp://127.0.0.1:1502?baud=38400",
}

MODEL = """
[device]
identity = "Two blocks of equal size whose u32 values say unit, block and time"
maker = "test"
maturity = "experimental"
source = "made for this test"
[read]
registers_max = 2
gap_max = 0
turnaround_ms = 5
[signals.near]
table = "input"
address = 0
type = "u32"
kind = "carbon_monoxide"
low = "0"
high = "4294967295"
[signals.far]
table = "input"
address = 100
type = "u32"
kind = "carbon_monoxide"
low = "0"
high = "4294967295"
[[frames]]
source = "none"
request = "01"
reply = "01"
expect = {}
"""

NAMED = MODEL.replace("registers_max = 2", "registers_max = 3").replace(
    "[signals.near]",
    """[sentinel]
table = "input"
address = 2
expected = 19784
[signals.near]""",
)
"""The same with an identity register that rides along with one block: no two sizes are equal."""

MODELS = {"stamped": MODEL, "named": NAMED}


def stamped(unit: int, block: int, now_us: int) -> int:
    """Return what a register pair shows: unit, block and time in steps of 5 ms, unique for 46 h."""
    return unit << 27 | block << 25 | now_us // STEP_US & 0x1FFFFFF


def respond(request: Request, now_us: int) -> bytes:
    """Answer a read of one block honestly; identity registers show their number."""
    address, count = struct.unpack_from(">HH", request.pdu, 1)
    words = {2: 19784}
    for block, first in enumerate(BLOCKS):
        value = stamped(request.unit, block, now_us)
        words[first], words[first + 1] = value >> 16, value & 0xFFFF
    shown = [words.get(address + n, 0) for n in range(count)]
    return struct.pack(f">BB{count}H", request.pdu[0], 2 * count, *shown)


def one_bus(
    url: str,
    *,
    units: int = UNITS,
    scan_ms: int = 200,
    model: str = "stamped",
    timeout_ms: int = TIMEOUT_MS,
) -> Mine:
    """Return a mine of one bus whose units show stamped values; points are `<unit>_<signal>`."""
    numbers = range(1, units + 1)
    return Mine(
        code="0" * 12, name="campaign", county="0" * 6, language="en", gas_class="low",
        capacity_10kt=1, severe=False, mode=Mode.MONITOR, headcount_limit=1, headcount_citation="",
        profile="test", zones=(),
        buses=(Bus("line", url, scan_ms=scan_ms, timeout_ms=timeout_ms),),
        devices=tuple(Device(f"d{n}", "line", n, model) for n in numbers),
        points=tuple(
            Point(f"{n}_{s}", "", Kind.CARBON_MONOXIDE, "z", f"d{n}", s, "record_only")
            for n in numbers
            for s in SIGNALS
        ),
    )  # fmt: skip


class Judge:
    """Hears samples and finds every GOOD value that its registers did not hold meanwhile."""

    def __init__(self) -> None:
        self.wrong: list[tuple[str, int, int, int]] = []
        self.qualities: Counter[Quality] = Counter()
        self.last_good_ms: dict[str, int] = {}
        self.times_ms: dict[str, list[int]] = {}
        self.record = False

    def hear(self, sample: Sample, taken_us: int) -> None:
        """Hold one sample against what was true between its first question and now."""
        for reading in sample.readings:
            self.qualities[reading.quality] += 1
            if reading.quality is not Quality.GOOD or reading.value is None:
                assert reading.value is None or reading.quality is not Quality.COMM_FAULT
                continue
            unit, signal = reading.point.split("_")[:2]
            first = stamped(int(unit), SIGNALS.index(signal), sample.sampled_ms * 1000)
            last = stamped(int(unit), SIGNALS.index(signal), taken_us)
            if not first <= reading.value <= last:
                self.wrong.append((reading.point, reading.value, sample.sampled_ms, taken_us))
            self.last_good_ms[reading.point] = sample.sampled_ms
            if self.record:
                self.times_ms.setdefault(reading.point, []).append(sample.sampled_ms)


class Result(NamedTuple):
    """What a campaign counted; `met` are reads that the fault struck."""

    transport: str
    kind: str
    reads: int
    met: int
    good: int
    violations: int
    wrong: int
    short_gaps: int
    recovery_ms: int


@dataclass
class Campaign:
    """One line under one kind of fault on virtual time."""

    transport: str
    kind: str
    seed: int = 1
    share: float = 0.4
    targets: tuple[str, ...] = (WIRE,)
    model: str = "stamped"
    scan_ms: int = 200
    units: int = UNITS
    judge: Judge = field(default_factory=Judge)

    def __post_init__(self) -> None:
        mine = one_bus(
            URLS[self.transport], units=self.units, scan_ms=self.scan_ms, model=self.model
        )
        self.faults = Faults(random.Random(f"{self.seed}/{self.transport}/{self.kind}"))
        self.rng = random.Random(f"{self.seed}/{self.kind}/delays")
        self.line = open_line(mine, mine.buses[0], writes=False)
        self.virtual = VirtualLine(self.line, respond, self.faults, self.judge.hear)

    def suffer(self, reads: int) -> None:
        """Run under the fault for that many questions, its delay drawn anew every 200."""
        goal = self.virtual.counts.questions + reads
        while self.virtual.counts.questions < goal:
            self.begin()
            until = min(goal, self.virtual.counts.questions + 200)
            self.virtual.run(
                self.virtual.now_us + 600_000_000,
                lambda until=until: self.virtual.counts.questions >= until,
            )
        self.end()

    def begin(self) -> None:
        """Switch the fault on, with a new delay where it is one of time."""
        delay_ms = round(TIMEOUT_MS * self.rng.uniform(0.0, DELAY_MAX.get(self.kind, 2.9)))
        for target in self.targets:
            self.faults.on(target, self.kind, self.share, delay_ms, self.rng.choice((1, 2, 4, 6)))

    def end(self) -> None:
        """Switch it off."""
        for target in self.targets:
            self.faults.off(target)

    def recover(self, limit_ms: int = 20_000) -> int:
        """Run without the fault until every point is GOOD again; return how long that took, ms."""
        ended_us = self.virtual.now_us
        self.judge.last_good_ms.clear()
        wanted = self.units * len(SIGNALS)
        self.virtual.run(ended_us + limit_ms * 1000, lambda: len(self.judge.last_good_ms) == wanted)
        back = len(self.judge.last_good_ms) == wanted
        return (self.virtual.now_us - ended_us) // 1000 if back else limit_ms

    def result(self, recovery_ms: int) -> Result:
        """Return the counts."""
        counts, status = self.virtual.counts, self.line.status()
        return Result(
            self.transport, self.kind, counts.questions, self.faults.struck[self.kind],
            self.judge.qualities[Quality.GOOD], status.violations + status.failures,
            len(self.judge.wrong), self.virtual.short_gaps, recovery_ms,
        )  # fmt: skip


def steps_off(judge: Judge, units: range, after_ms: int, period_ms: int) -> list[float]:
    """Return by which share of its period each step between GOOD values of `units` is off."""
    found = []
    for point, times in judge.times_ms.items():
        if int(point.split("_")[0]) in units:
            kept = [each for each in times if each > after_ms]
            found += [abs(b - a - period_ms) / period_ms for a, b in itertools.pairwise(kept)]
    return sorted(found)


__all__ = ["START_US", "Campaign", "Fault", "Judge", "unit_target"]
