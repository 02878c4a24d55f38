"""How long one step takes: 2 000 points, 200 readings per image, ten images a second.

Run as `python bench/step.py [cycles]`. Prints one JSON line: median and p99 of a busy cycle and of
an idle one, in ms, beside a floor (the same readings copied into a table and nothing decided).
"""

import gc
import json
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
READINGS = 200
CYCLE_MS = 100
LIMITS = Limits(pre_alarm=80, alarm=100, trip=150, restore=100, withdraw=150, clear=80)


def build_mine() -> Mine:
    """Return a mine of 2 000 methane heads on 20 lines, each ten of them guarding one output."""
    zones = [f"Z{n}" for n in range(POINTS // 10)]
    points = [
        Point(f"P{n}", "", Kind.METHANE, zones[n // 10], f"D{n // 100}", f"s{n}", "", LIMITS)
        for n in range(POINTS)
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
    buses = [Bus(f"B{n}", f"tcp://127.0.0.1:{n + 1}") for n in range(POINTS // 100)]
    devices = [Device(f"D{n}", f"B{n}", 1, "m") for n in range(POINTS // 100)]
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
    """Return one image; two devices of 100 readings each where it is busy."""
    now_ms = 1_000_000 + cycle * CYCLE_MS
    samples: tuple[Sample, ...] = ()
    read_backs: tuple[ReadBack, ...] = ()
    notices: tuple[Notice, ...] = ()
    if busy:
        first = cycle * READINGS % POINTS
        samples = tuple(
            Sample(
                f"D{start // 100}",
                now_ms - 50,
                tuple(
                    Reading(f"P{n}", (n + cycle) % 60, Quality.GOOD)
                    for n in range(start, start + 100)
                ),
            )
            for start in (first, first + 100)
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


def timed(images: list[Image], turn: Callable[[Image], None]) -> dict[str, float]:
    """Return median and p99 in ms of one call per image."""
    spent_ms = []
    for image in images:
        begun = time.perf_counter()
        turn(image)
        spent_ms.append((time.perf_counter() - begun) * 1000)
    spent_ms.sort()
    return {
        "median_ms": round(statistics.median(spent_ms), 3),
        "p99_ms": round(spent_ms[int(len(spent_ms) * 0.99)], 3),
    }


def main() -> None:
    """Measure and print."""
    cycles = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    mine = build_mine()
    state = State()

    def turn(image: Image) -> None:
        nonlocal state
        state = step(mine, state, image).state

    table: dict[str, Reading] = {}

    def copy(image: Image) -> None:
        nonlocal table
        table = dict(table)
        for sample in image.samples:
            for reading in sample.readings:
                table[reading.point] = reading

    for cycle in range(50):
        turn(image_of(cycle, mine, busy=True))
    gc.freeze()
    busy = [image_of(cycle, mine, busy=True) for cycle in range(50, 50 + cycles)]
    result = {"points": POINTS, "readings": READINGS, "cycles": cycles, "busy": timed(busy, turn)}
    idle = [image_of(50 + cycles + n, mine, busy=False) for n in range(10)]
    result["idle"] = timed(idle, turn)
    result["floor"] = timed(busy, copy)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
