"""How long one step takes in a mine of 2 000 points and in one of 10 000, ten images a second.

Run as `python bench/step.py [cycles]`. In each second a tenth of the points is read in each image,
every value another one than before; in the next second nothing is. Prints one JSON line per mine:
median and p99 in ms of a busy cycle and of an idle one, beside a floor (the same readings copied
into a table and nothing decided) and the limits that the medians must keep; exits 1 beyond one.
"""

import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable

from minewatch.core.state import State
from minewatch.core.step import step
from minewatch.model.image import Image, Notice, ReadBack, Reading, Sample
from minewatch.model.kind import Kind
from minewatch.model.mine import (
    Bus,
    Cause,
    Condition,
    Device,
    Interlock,
    Limits,
    Mine,
    Mode,
    Output,
    OutputRole,
    Point,
    Zone,
    ZoneKind,
)
from minewatch.model.quality import Quality

POINTS = 2_000
BUSY_CYCLES = 10
"""So many cycles read every point once; as many idle ones follow."""

LIMITS_MS: dict[int, dict[str, float]] = {POINTS: {"busy": 0.5}, 10_000: {"busy": 2.5, "idle": 0.2}}
"""Points → what the median of a cycle may take."""

CYCLE_MS = 100
PER_DEVICE = 100
LIMITS = Limits(pre_alarm=80, alarm=100, trip=150, restore=100, withdraw=150, clear=80)


def build_mine(count: int = POINTS) -> Mine:
    """Return a mine of methane heads, a hundred on each line, each ten guarding one output."""
    zones = [f"Z{n}" for n in range(count // 10)]
    lines = range(count // PER_DEVICE)
    points = [
        Point(f"P{n}", "", Kind.METHANE, zones[n // 10], f"D{n // PER_DEVICE}", f"s{n}", "", LIMITS)
        for n in range(count)
    ]
    outputs = [
        Output(f"O{n}", "", OutputRole.POWER_CUT, zone, "R", f"c{n}", None)
        for n, zone in enumerate(zones)
    ]
    interlocks = [
        Interlock(
            f"I{n}",
            "",
            tuple(Cause(f"P{n * 10 + m}", Condition.TRIP) for m in range(10)),
            (f"O{n}",),
        )
        for n in range(len(zones))
    ]
    buses = [Bus(f"B{n}", f"tcp://127.0.0.1:{n + 1}") for n in lines]
    devices = [Device(f"D{n}", f"B{n}", 1, "m") for n in lines]
    return Mine(
        code="220181000000",
        name="bench",
        county="220181",
        language="en",
        gas_class="high",
        capacity_10kt=60,
        severe=True,
        mode=Mode.CONTROL,
        headcount_limit=200,
        headcount_citation="",
        profile="bench",
        zones=tuple(
            [Zone("mine", "", ZoneKind.MINE)] + [Zone(z, "", ZoneKind.FACE) for z in zones]
        ),
        buses=tuple(buses),
        devices=(*devices, Device("R", "B0", 2, "r")),
        points=tuple(points),
        outputs=tuple(outputs),
        interlocks=tuple(interlocks),
    )


def image_of(cycle: int, mine: Mine, *, busy: bool) -> Image:
    """Return one image; where it is busy it reads its tenth of the points, device by device."""
    now_ms = 1_000_000 + cycle * CYCLE_MS
    samples: tuple[Sample, ...] = ()
    read_backs: tuple[ReadBack, ...] = ()
    notices: tuple[Notice, ...] = ()
    if busy:
        share = len(mine.points) // BUSY_CYCLES
        first = cycle % BUSY_CYCLES * share
        samples = tuple(
            Sample(
                f"D{start // PER_DEVICE}",
                now_ms - 50,
                tuple(
                    Reading(f"P{n}", (n + cycle) % 60, Quality.GOOD)
                    for n in range(start, start + PER_DEVICE)
                ),
            )
            for start in range(first, first + share, PER_DEVICE)
        )
    if cycle < 3:
        read_backs = tuple(ReadBack(each.id, True, now_ms) for each in mine.outputs)
        notices = (Notice("controller_started", "", {"prior": "first"}),) if cycle == 0 else ()
    return Image(
        cycle,
        now_ms,
        1_700_000_000_000 + now_ms,
        True,
        2**40,
        samples,
        (),
        read_backs,
        (),
        notices,
    )


def timed(images: list[Image], turn: Callable[[Image], None]) -> list[float]:
    """Return the ms of one call per image."""
    spent_ms = []
    for image in images:
        begun = time.perf_counter()
        turn(image)
        spent_ms.append((time.perf_counter() - begun) * 1000)
    return spent_ms


def spread(spent_ms: list[float]) -> dict[str, float]:
    """Return median and p99."""
    in_order = sorted(spent_ms)
    return {
        "median_ms": round(statistics.median(in_order), 3),
        "p99_ms": round(in_order[int(len(in_order) * 0.99)], 3),
    }


def measure(mine: Mine, cycles: int) -> dict[str, dict[str, float]]:
    """Return the spread of busy cycles, of idle ones, and of the floor under the busy ones."""
    state, table = State(), dict[str, Reading]()

    def turn(image: Image) -> None:
        nonlocal state
        state = step(mine, state, image).state

    def copy(image: Image) -> None:
        nonlocal table
        table = dict(table)
        for sample in image.samples:
            for reading in sample.readings:
                table[reading.point] = reading

    for cycle in range(5 * BUSY_CYCLES):
        turn(image_of(cycle, mine, busy=True))
    gc.freeze()
    spent: dict[str, list[float]] = {"busy": [], "idle": [], "floor": []}
    for second in range(5, 5 + 2 * cycles // BUSY_CYCLES):
        busy = second % 2 == 0
        first = second * BUSY_CYCLES
        images = [image_of(first + n, mine, busy=busy) for n in range(BUSY_CYCLES)]
        spent["busy" if busy else "idle"] += timed(images, turn)
        if busy:
            spent["floor"] += timed(images, copy)
    return {name: spread(each) for name, each in spent.items()}


def main() -> None:
    """Measure and print; exit 1 where a median is beyond its limit."""
    cycles = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    missed = False
    for count, limits_ms in LIMITS_MS.items():
        measured = measure(build_mine(count), cycles)
        missed |= any(measured[name]["median_ms"] > most for name, most in limits_ms.items())
        shape = {"points": count, "readings": count // BUSY_CYCLES, "cycles": cycles}
        print(json.dumps({**shape, **measured, "limits_ms": limits_ms, "load": os.getloadavg()[0]}))
    sys.exit(missed)


if __name__ == "__main__":
    main()
