"""What is predicted of a line bounds what the line then does on virtual time, and not by far."""

import random
import statistics
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.device_files import device_file
from minewatch_drivers.forecast.budget import LineBudget, predict
from minewatch_drivers.modbus_line.line import Line

from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mine, Point

TURNAROUND_MS = 10
URLS = (
    "rtu:///dev/ttyTEST?baud=9600&parity=E",
    "rtu:///dev/ttyTEST?baud=19200&parity=E",
    "rtu+tcp://127.0.0.1:1502?baud=9600",
    "tcp://127.0.0.1:1502",
)
PLACES = (0, 3, 40, 43, 200, 420)
"""Addresses of the signals of a test device: neighbours, and too far for one question."""

DEVICE = f"""
[device]
identity = "Registers near and far"
maker = "test"
maturity = "experimental"
source = "made for this test"
[read]
registers_max = 20
gap_max = 4
turnaround_ms = {TURNAROUND_MS}
"""
SIGNAL = """
[signals.s{at}]
table = "input"
address = {at}
type = "u16"
kind = "carbon_monoxide"
low = "0"
high = "60000"
"""
FRAME = '[[frames]]\nsource = "none"\nrequest = "01"\nreply = "01"\nexpect = {}\n'


@pytest.fixture(autouse=True)
def scattered(monkeypatch: pytest.MonkeyPatch, two_blocks: None) -> None:
    """Let lines know a device with registers near and far."""
    del two_blocks
    text = DEVICE + "".join(SIGNAL.format(at=at) for at in PLACES) + FRAME
    made = device_file.parse("scattered", "test", text)
    known = device_file.load
    monkeypatch.setattr(device_file, "load", lambda n: made if n == "scattered" else known(n))


def random_mine(kit: SimpleNamespace, rng: random.Random) -> Mine:
    """Return one line of random speed, devices, points and scan classes."""
    bus = Bus("line", rng.choice(URLS), scan_ms=rng.choice((500, 1000, 2000)), timeout_ms=200)
    devices = tuple(Device(f"d{n}", "line", n, "scattered") for n in range(1, rng.randint(3, 24)))
    points = tuple(
        Point(
            f"{device.unit}_{at}", "", Kind.CARBON_MONOXIDE, "z", device.id, f"s{at}", "no_rule",
            scan_ms=rng.choice((0, 0, 1000, 2000, 3000)),
        )
        for device in devices
        for at in rng.sample(PLACES, rng.randint(1, 3))
    )  # fmt: skip
    made: Mine = kit.bare_mine(bus, devices, points=points)
    return made


def possible_mines(
    kit: SimpleNamespace, count: int, seed: int
) -> Iterator[tuple[Mine, LineBudget]]:
    """Yield random mines whose line is neither refused nor idle."""
    rng = random.Random(seed)
    while count:
        mine = random_mine(kit, rng)
        (budget,) = predict(mine)
        if budget.possible and budget.load > 0.02:
            count -= 1
            yield mine, budget


def reactions_ms(virtual: Any) -> dict[str, int]:
    """Return per point the longest time from one GOOD sample to the arrival of the next."""
    last: dict[str, int] = {}
    worst: dict[str, int] = {}
    for sample, taken_us in zip(virtual.samples, virtual.taken_us, strict=True):
        for reading in sample.readings:
            if reading.value is None:
                last.pop(reading.point, None)
                continue
            if reading.point in last:
                took_ms = taken_us // 1000 - last[reading.point]
                worst[reading.point] = max(worst.get(reading.point, 0), took_ms)
            last[reading.point] = sample.sampled_ms
    return worst


def bench(kit: SimpleNamespace, mine: Mine, **slave: Any) -> Any:
    """Return the line of `mine` on a virtual wire, its devices as slow as their file says."""
    bus = mine.buses[0]
    line = Line(mine, bus, writes=False)
    made = kit.Slave(
        rtu=not bus.url.startswith("tcp"), timeout_us=bus.timeout_ms * 1000,
        delay_us=TURNAROUND_MS * 1000, **slave,
    )  # fmt: skip
    return kit.Virtual(line, made)


def test_no_healthy_line_is_slower_than_predicted(kit: SimpleNamespace) -> None:
    """Each point's worst reaction on 25 random lines is predicted, the median within threefold."""
    shares = []
    for mine, budget in possible_mines(kit, 25, seed=11):
        virtual = bench(kit, mine)
        virtual.run(60_000_000)
        measured = reactions_ms(virtual)
        for point in budget.points:
            assert measured[point.point] <= point.reaction_ms, (mine.buses, point)
            shares.append(point.reaction_ms / measured[point.point])
        assert virtual.line.status().load <= budget.load
        classes = {each.scan_ms: each for each in budget.classes}
        for each in virtual.line.rhythm().classes:
            assert each.reaction_ms <= classes[each.scan_ms].reaction_ms
            assert each.p99_ms <= 1.25 * each.scan_ms + budget.cycle_ms
            assert each.late == 0

    assert statistics.median(shares) <= 3


@pytest.mark.parametrize("seed", range(3))
def test_a_unit_that_dies_costs_the_others_no_more_than_predicted(
    kit: SimpleNamespace, seed: int
) -> None:
    """One unit of a random line is silent for half a minute: the others stay in time."""
    shares = []
    for mine, budget in possible_mines(kit, 8, seed=100 + seed):
        rng = random.Random(seed)
        dead = rng.choice(mine.devices).unit
        virtual = bench(kit, mine, twist=lambda s, e, p: [], bad=frozenset({dead}), share=0.0)
        virtual.run(10_000_000 + rng.randrange(3_000_000))
        virtual.slave.share = 1.0
        virtual.run(40_000_000)
        virtual.slave.share = 0.0
        virtual.run(60_000_000)
        measured = reactions_ms(virtual)
        for point in budget.points:
            if not point.point.startswith(f"{dead}_"):
                assert measured[point.point] <= point.reaction_one_dead_ms, (mine.buses, point)
                assert measured[point.point] <= point.deadline_ms
                shares.append(point.reaction_one_dead_ms / measured[point.point])

    assert statistics.median(shares) <= 3
