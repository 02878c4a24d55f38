"""The budget that `check` prints is an upper bound of what the line then does."""

import itertools
import random
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.forecast.budget import predict
from minewatch_drivers.modbus_line.line import Line

from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mine, OutputRole, Point

URL = "rtu:///dev/ttyTEST?baud=9600&parity=E"
TURNAROUND_US = 10_000


def shared_line(kit: SimpleNamespace, heads: int = 6) -> Mine:
    """Return a 9600-baud line with heads and a relay module."""
    bus = Bus("line", URL, scan_ms=1000, timeout_ms=300)
    names = [f"h{n}" for n in range(1, heads + 1)]
    devices = [Device(n, "line", k, "methane-head-generic") for k, n in enumerate(names, 1)]
    devices.append(Device("relay", "line", 20, "relay-module-8-watchdog"))
    outputs = (
        kit.output("cut", OutputRole.POWER_CUT, "relay", "coil_1"),
        kit.output("siren", OutputRole.SIREN, "relay", "coil_2"),
    )
    points = tuple(Point(n, "", Kind.METHANE, "z", n, "methane", "heading") for n in names)
    made: Mine = kit.bare_mine(bus, tuple(devices), points=points, outputs=outputs)
    return made


class Heads:
    """Input registers that suit every methane head."""

    beat = 0

    def get(self, address: int, default: int = 0) -> int:
        """Return one register."""
        Heads.beat = Heads.beat + 1 & 0xFFFF
        return {0: 0x4D48, 1: Heads.beat, 3: 50}.get(address, default)


def trips(kit: SimpleNamespace, mine: Mine, **slave: Any) -> tuple[list[int], Any]:
    """Return the ms from each of 100 changes of the wanted level to the coil, and the bench."""
    line = Line(mine, mine.buses[0], writes=True)
    made = kit.Slave(rtu=True, timeout_us=300_000, delay_us=TURNAROUND_US, **slave)
    made.inputs = Heads()
    written: list[int] = []
    wanted = {"cut": True, "siren": False}
    virtual = kit.Virtual(line, made)
    made.on_write = lambda s, q: s.coils.get(0) == wanted["cut"] and written.append(virtual.now_us)
    rng = random.Random(5)
    virtual.on_turn = lambda now_us: line.want(wanted, now_us)
    virtual.run(10_000_000)
    took = []
    for _ in range(100):
        virtual.run(virtual.now_us + rng.randrange(400_000, 1_400_000))
        wanted["cut"] = not wanted["cut"]
        start_us = virtual.now_us
        written.clear()
        virtual.run(start_us + 4_000_000)
        took.append((written[0] - start_us) // 1000)
    return took, virtual


def test_writes_come_within_the_predicted_time(kit: SimpleNamespace) -> None:
    """A hundred trips at random phases of a shared 9600-baud line stay within the bound."""
    mine = shared_line(kit)
    (budget,) = predict(mine)
    assert budget.write_ms is not None

    took, virtual = trips(kit, mine)

    assert max(took) <= budget.write_ms
    assert budget.write_ms <= 250
    assert virtual.line.status().load <= budget.load


def test_writes_pass_a_dead_neighbour_within_the_predicted_time(kit: SimpleNamespace) -> None:
    """With a mute head on the line the larger bound holds."""
    mine = shared_line(kit)
    (budget,) = predict(mine)
    assert budget.write_one_dead_ms is not None

    took, _ = trips(kit, mine, twist=lambda s, e, p: [], bad=frozenset({3}), share=1.0)

    assert max(took) <= budget.write_one_dead_ms


def test_readings_come_within_the_predicted_time(kit: SimpleNamespace) -> None:
    """The longest distance of two samples, plus its exchange, stays within the reaction time."""
    mine = shared_line(kit)
    (budget,) = predict(mine)

    _, virtual = trips(kit, mine)

    for point in budget.points:
        times = [s.sampled_ms for s in virtual.samples if s.readings[0].point == point.point]
        assert max(b - a for a, b in itertools.pairwise(times)) <= point.reaction_ms


def test_an_overloaded_line_is_not_possible(kit: SimpleNamespace) -> None:
    """Forty heads at 9600 baud and a scan of one second are refused, twelve are not."""
    (many,) = predict(shared_line(kit, heads=40))
    (few,) = predict(shared_line(kit, heads=12))

    assert not many.possible
    assert many.load > 1
    assert few.possible


@pytest.mark.parametrize("units", [1, 5])
def test_tcp_lines_are_counted_too(kit: SimpleNamespace, units: int) -> None:
    """On TCP the time is the devices' own, and there is no write without outputs."""
    (budget,) = predict(kit.one_bus("tcp://127.0.0.1:1502", units=units, scan_ms=1000))

    assert budget.write_ms is None
    assert 0 < budget.load < 0.1
    assert len(budget.points) == 2 * units
