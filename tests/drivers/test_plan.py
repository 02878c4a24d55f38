"""Poll blocks: few questions, nothing read that must not be, value and status together."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.device_model import Table
from minewatch_drivers.tasks.plan import plan_device

from minewatch.model.kind import Kind
from minewatch.model.mine import Device, Point

DEVICE = Device("d", "line", 3, "x")


def points(*signals: str) -> tuple[Point, ...]:
    """Return a point for each signal."""
    return tuple(
        Point(f"p_{s}", "", Kind.CARBON_MONOXIDE, "z", "d", s, "record_only") for s in signals
    )


def tree(addresses: list[int], **read: Any) -> dict[str, Any]:
    """Return a device file with a signal at each input register."""
    return {
        "device": {"identity": "x", "maker": "x", "maturity": "beta", "source": "x"},
        "read": read,
        "signals": {
            f"s{at}": {
                "table": "input",
                "address": at,
                "type": "u16",
                "kind": "carbon_monoxide",
                "low": "0",
                "high": "9",
            }
            for at in addresses
        },
        "frames": [{"source": "x", "request": "01", "reply": "01"}],
    }


@pytest.mark.parametrize(
    ("addresses", "read", "blocks"),
    [
        ([0, 1, 2], {}, [(0, 3)]),
        ([0, 5], {"gap_max": 4}, [(0, 6)]),
        ([0, 6], {"gap_max": 4}, [(0, 1), (6, 1)]),
        ([0, 1, 2, 3], {"registers_max": 2}, [(0, 2), (2, 2)]),
        ([0, 4], {"forbidden": [[2, 2]]}, [(0, 1), (4, 1)]),
        ([9, 3, 6], {"gap_max": 2}, [(3, 7)]),
    ],
)
def test_neighbours_are_merged(
    addresses: list[int], read: dict[str, Any], blocks: list[tuple[int, int]]
) -> None:
    """Over small gaps, up to the device's limit, never across a forbidden register."""
    model = device_file.build("x", "x", tree(addresses, **read))

    plan = plan_device(DEVICE, model, points(*model.signals))

    assert [(block.address, block.count) for block in plan.blocks] == blocks


@given(
    st.sets(st.integers(0, 400), min_size=1, max_size=40),
    st.integers(1, 125),
    st.integers(0, 20),
    st.lists(st.integers(0, 400), max_size=3),
)
@settings(max_examples=300, deadline=None)
def test_every_plan_keeps_its_promises(
    addresses: set[int], registers_max: int, gap_max: int, closed: list[int]
) -> None:
    """Each point is read exactly once, within limits, and no forbidden register is touched."""
    open_ones = sorted(addresses - set(closed))
    if not open_ones:
        return
    made = tree(open_ones, registers_max=registers_max, gap_max=gap_max)
    made["read"]["forbidden"] = [[at, at] for at in closed]
    model = device_file.build("x", "x", made)

    plan = plan_device(DEVICE, model, points(*model.signals))

    read = [point for block in plan.blocks for point in block.points]
    assert sorted(read) == sorted(f"p_s{at}" for at in open_ones)
    for block in plan.blocks:
        span = range(block.address, block.address + block.count)
        assert block.count <= registers_max
        assert not set(closed) & set(span)
        assert all(int(point[3:]) in span for point in block.points)


def test_real_devices_take_few_questions() -> None:
    """Heads take one question; switches take one, and one for their identity."""
    counted = {}
    for name in ("methane-head-generic", "environment-head-generic", "honeywell-xrl-methane"):
        model = device_file.load(name)
        plan = plan_device(DEVICE, model, points(*model.signals))
        counted[name] = (len(plan.blocks), plan.identity)
    switch = plan_device(
        DEVICE, device_file.load("switch-module-8"), points("input_1", "input_3", "input_8")
    )

    assert set(counted.values()) == {(1, None)}
    (block,) = switch.blocks
    assert (block.table, block.address, block.count) == (Table.DISCRETE, 0, 8)
    assert switch.identity is not None
    assert switch.identity.sentinel is not None


def test_a_signal_that_the_model_lacks_is_an_error() -> None:
    """A point of an unknown signal never becomes a silent hole."""
    with pytest.raises(KeyError):
        plan_device(DEVICE, device_file.load("methane-head-generic"), points("carbon_monoxide"))
