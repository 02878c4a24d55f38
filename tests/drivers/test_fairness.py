"""Whose turn it is: dead units, points in pre-alarm and slow things take nobody's time from him."""

import dataclasses
import itertools
import statistics
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.forecast.budget import predict
from minewatch_drivers.modbus_line.line import Line

from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mine, Point
from minewatch.model.quality import Quality
from minewatch.model.scan import deadline_ms

RTU = "rtu:///dev/ttyTEST?baud=9600&parity=E"
MUTE: Any = {"twist": lambda slave, envelope, pdu: [], "share": 1.0}


def bench(kit: SimpleNamespace, mine: Mine, bus: Bus | None = None, **slave: Any) -> Any:
    """Return one line of `mine` on a virtual wire, its devices answering after 10 ms."""
    bus = bus or mine.buses[0]
    line = Line(mine, bus, writes=False)
    rtu = not bus.url.startswith("tcp")
    made = kit.Slave(rtu=rtu, timeout_us=bus.timeout_ms * 1000, delay_us=10_000, **slave)
    return kit.Virtual(line, made)


def ages_ms(virtual: Any, point: str) -> list[int]:
    """Return how old each answered sample of a point is when the next one has come."""
    pairs = [
        (sample.sampled_ms, taken_us // 1000)
        for sample, taken_us in zip(virtual.samples, virtual.taken_us, strict=True)
        for reading in sample.readings
        if reading.point == point and reading.quality is not Quality.COMM_FAULT
    ]
    return [after[1] - before[0] for before, after in itertools.pairwise(pairs)]


def periods_ms(virtual: Any, point: str) -> list[int]:
    """Return the distances of the answered samples of a point."""
    times = [
        sample.sampled_ms
        for sample in virtual.samples
        for reading in sample.readings
        if reading.point == point and reading.quality is not Quality.COMM_FAULT
    ]
    return [after - before for before, after in itertools.pairwise(times)]


def test_one_dead_unit_of_thirty_at_9600_baud_delays_nobody(kit: SimpleNamespace) -> None:
    """At a 5 s scan every healthy point stays within its deadline, whichever unit dies."""
    mine = kit.one_bus(RTU, units=30, scan_ms=5000, timeout_ms=500)
    (budget,) = predict(mine)
    assert budget.possible
    for dead in (1, 15, 30):
        virtual = bench(kit, mine, bad=frozenset({dead}), **MUTE)

        virtual.run(120_000_000)

        for point in mine.points:
            if not point.id.startswith(f"{dead}_"):
                ages = ages_ms(virtual, point.id)
                assert len(ages) >= 20
                assert max(ages) <= deadline_ms(point, mine.buses[0])


def house(kit: SimpleNamespace, lines: int, units: int) -> Mine:
    """Return so many TCP lines with so many devices each, scanned each second."""
    buses = tuple(Bus(f"l{n}", f"tcp://127.0.0.1:{2000 + n}", timeout_ms=300) for n in range(lines))
    devices = tuple(
        Device(f"d{n}_{u}", bus.id, u, "two-blocks")
        for n, bus in enumerate(buses)
        for u in range(1, units + 1)
    )
    points = tuple(
        Point(f"{d.id}_near", "", Kind.CARBON_MONOXIDE, "z", d.id, "near", "no_rule")
        for d in devices
    )
    made: Mine = kit.bare_mine(buses[0], devices, points=points)
    return dataclasses.replace(made, buses=buses)


@pytest.mark.parametrize(("lines", "units", "p99_ms"), [(200, 1, 1_100), (25, 8, 1_300)])
def test_ten_dead_of_two_hundred_tcp_devices_delay_nobody(
    kit: SimpleNamespace, lines: int, units: int, p99_ms: int
) -> None:
    """The others' period p99 is at most 1.1 s; behind one gateway they wait for its timeout."""
    mine = house(kit, lines, units)
    periods: list[int] = []
    for n, bus in enumerate(mine.buses):
        dead = n < 10
        virtual = bench(kit, mine, bus, bad=frozenset({1} if dead else ()), **MUTE)
        virtual.run(60_000_000)
        for unit in range(1 + dead, units + 1):
            periods += periods_ms(virtual, f"d{n}_{unit}_near")[1:]

    assert len(periods) >= 190 * 55
    assert statistics.quantiles(periods, n=100)[98] <= p99_ms
    assert max(periods) <= 1_000 + 2 * 300


@pytest.mark.parametrize("limit_ms", [10_000, 3_000])
def test_a_dead_unit_is_asked_before_its_alarm_is_due(kit: SimpleNamespace, limit_ms: int) -> None:
    """The back-off ends at half the fault limit of the unit's points, and at 5 s at the latest."""
    bus = Bus("line", RTU, timeout_ms=200)
    point = Point(
        "p", "", Kind.CARBON_MONOXIDE, "z", "d1", "near", "no_rule", fault_after_ms=limit_ms
    )
    mine = kit.bare_mine(bus, (Device("d1", "line", 1, "two-blocks"),), points=(point,))
    virtual = bench(kit, mine, **MUTE)

    virtual.run(60_000_000)

    asked = [at for at, _ in virtual.sent]
    assert max(b - a for a, b in itertools.pairwise(asked)) <= limit_ms * 500 + 2_000_000
    assert len(asked) >= 60_000 / (limit_ms / 2 + 2_000)


def test_many_dead_units_leave_the_living_their_time(kit: SimpleNamespace) -> None:
    """Ten of sixteen units of a slow line are dead: the others are in time, the dead are asked."""
    mine = kit.one_bus(RTU, units=16, scan_ms=2000, timeout_ms=500)
    dead = frozenset(range(1, 11))
    virtual = bench(kit, mine, bad=dead, **MUTE)
    virtual.run(30_000_000)
    virtual.samples.clear()
    virtual.taken_us.clear()
    start = len(virtual.sent)

    virtual.run(150_000_000)

    for unit in range(11, 17):
        for name in ("near", "far"):
            assert max(ages_ms(virtual, f"{unit}_{name}")) <= 6_000
    asked = {data[0] for _, data in virtual.sent[start:]}
    assert asked == set(range(1, 17))


def test_a_unit_that_dies_is_asked_twice_whatever_it_has(kit: SimpleNamespace) -> None:
    """The first question and one retry settle it for all blocks of the unit."""
    mine = kit.one_bus("tcp://127.0.0.1:1502", units=3, scan_ms=1000, timeout_ms=100)
    virtual = bench(kit, mine, bad=frozenset({2}), twist=MUTE["twist"], share=0.0)
    virtual.run(5_000_000)
    virtual.slave.share = 1.0
    start = len(virtual.sent)

    virtual.run(6_150_000)

    lost = [data for _, data in virtual.sent[start:] if data[6] == 2]
    assert len(lost) == 2
    assert lost[0][7:] == lost[1][7:]


def urged_bench(kit: SimpleNamespace, units: int) -> Any:
    """Return a 9600-baud line of so many heads, all of which are in pre-alarm."""
    bus = Bus("line", RTU, scan_ms=1000, timeout_ms=300)
    devices = tuple(Device(f"d{n}", "line", n, "two-blocks") for n in range(1, units + 1))
    points = tuple(
        Point(f"{n}_near", "", Kind.CARBON_MONOXIDE, "z", f"d{n}", "near", "no_rule")
        for n in range(1, units + 1)
    )
    virtual = bench(kit, kit.bare_mine(bus, devices, points=points))
    virtual.run(10_000_000)
    return virtual


def test_fast_scans_stretch_where_the_line_has_no_room(kit: SimpleNamespace) -> None:
    """Twelve heads in pre-alarm take no more than the line bears; all are as fast, and it shows."""
    virtual = urged_bench(kit, 18)
    fast = {f"{n}_near" for n in range(1, 13)}
    virtual.line.urge(fast, 200)
    virtual.run(20_000_000)
    virtual.samples.clear()
    virtual.taken_us.clear()

    virtual.run(80_000_000)

    rhythm = virtual.line.rhythm()
    urged = [statistics.median(periods_ms(virtual, point)) for point in fast]
    assert rhythm.stretched
    assert 200 < rhythm.urged_ms < 1000
    assert max(urged) - min(urged) <= 60
    assert max(urged) <= rhythm.urged_ms + 20
    for n in range(13, 19):
        assert max(ages_ms(virtual, f"{n}_near")) <= 2_000
    assert virtual.line.status().load <= 0.95


def test_one_head_in_pre_alarm_is_scanned_as_fast_as_wanted(kit: SimpleNamespace) -> None:
    """Where there is room nothing stretches, and afterwards all is as before."""
    virtual = urged_bench(kit, 8)
    virtual.line.urge({"3_near"}, 200)
    virtual.run(20_000_000)
    fast = virtual.line.rhythm()
    virtual.samples.clear()
    virtual.taken_us.clear()
    virtual.run(40_000_000)
    urged = periods_ms(virtual, "3_near")
    virtual.line.urge(set(), 200)
    virtual.run(41_500_000)
    virtual.samples.clear()
    virtual.taken_us.clear()
    virtual.run(60_000_000)

    assert (fast.urged_ms, fast.stretched) == (200, False)
    assert statistics.median(urged) == 200
    assert set(periods_ms(virtual, "3_near")) == {1000}
    assert virtual.line.rhythm().urged_ms == 0


def test_slow_things_are_read_at_their_own_pace(kit: SimpleNamespace) -> None:
    """A point's class is its period; the faster neighbours of the line do not change it."""
    bus = Bus("line", "tcp://127.0.0.1:1502", scan_ms=1000, timeout_ms=200)
    devices = (Device("d1", "line", 1, "two-blocks"), Device("d2", "line", 2, "two-blocks"))
    points = tuple(
        Point(f"{d}_{s}", "", Kind.CARBON_MONOXIDE, "z", d, s, "no_rule", scan_ms=ms)
        for d, s, ms in (("d1", "near", 0), ("d1", "far", 3000), ("d2", "near", 250))
    )
    virtual = bench(kit, kit.bare_mine(bus, devices, points=points))

    virtual.run(62_000_000)

    steady = {p.id: statistics.median(periods_ms(virtual, p.id)) for p in points}
    assert steady == {"d1_near": 1000, "d1_far": 3000, "d2_near": 250}
    assert [each.scan_ms for each in virtual.line.rhythm().classes] == [250, 1000, 3000]
