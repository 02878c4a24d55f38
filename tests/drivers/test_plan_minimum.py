"""No planner that keeps the device's rules asks fewer questions: held against every grouping."""

from functools import cache
from itertools import combinations
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.codec import needs
from minewatch_drivers.device_files.device_file import DeviceFileError
from minewatch_drivers.device_files.device_model import DeviceModel, Table
from minewatch_drivers.tasks.plan import BITS_MAX, DevicePlan, plan_device

from minewatch.model.kind import Kind
from minewatch.model.mine import Device, Point

DEVICE = Device("d", "line", 3, "x")
IDENTITY_SHARE = 0.1
"""An identity block of its own is read every 10 s, the others each second."""

REGISTERS = st.sampled_from(("input", "holding"))
ADDRESS = st.integers(0, 60)


@st.composite
def signal(draw: Any) -> dict[str, Any]:
    """Return a signal of one or two registers, perhaps with a status word far away, or a bit."""
    if draw(st.integers(0, 4)) == 0:
        table = draw(st.sampled_from(("coil", "discrete")))
        return {"table": table, "address": draw(st.integers(0, 600)), "type": "bit"}
    kind = draw(st.sampled_from(("u16", "u32")))
    made = {"table": draw(REGISTERS), "address": draw(ADDRESS), "type": kind}
    made |= {"kind": "carbon_monoxide", "low": "0", "high": "9"}
    if draw(st.integers(0, 2)) == 0:
        made["status_at"] = max(0, made["address"] + draw(st.integers(-25, 25)))
    return made


@st.composite
def model_of(draw: Any) -> DeviceModel:
    """Return a device of up to nine signals with limits, forbidden ranges and perhaps identity."""
    signals = draw(st.lists(signal(), min_size=1, max_size=9))
    closed = draw(st.lists(st.tuples(ADDRESS, st.integers(0, 3)), max_size=2))
    tree: dict[str, Any] = {
        "device": {"identity": "x", "maker": "x", "maturity": "beta", "source": "x"},
        "read": {
            "registers_max": draw(st.integers(2, 40)),
            "gap_max": draw(st.integers(0, 12)),
            "forbidden": [[at, at + more] for at, more in closed],
        },
        "status": {
            f"w{n}": {"table": each["table"], "address": each["status_at"], "bits": {"0": "warmup"}}
            for n, each in enumerate(signals)
            if "status_at" in each
        },
        "signals": {
            f"s{n}": {k: v for k, v in each.items() if k != "status_at"}
            | ({"status": [f"w{n}"]} if "status_at" in each else {})
            for n, each in enumerate(signals)
        },
        "frames": [{"source": "x", "request": "01", "reply": "01"}],
    }
    if draw(st.booleans()):
        tree["sentinel"] = {"table": draw(REGISTERS), "address": draw(ADDRESS), "expected": 1}
    try:
        return device_file.build("x", "x", tree)
    except DeviceFileError:
        assume(False)
        raise


def points_of(model: DeviceModel) -> list[Point]:
    """Return a point for each signal."""
    return [
        Point(f"p{n}", "", Kind.DOOR if s.kind is None else s.kind, "z", "d", s.name, "no_rule")
        for n, s in enumerate(model.signals.values())
    ]


Span = tuple[Table, int, int]


def allowed(model: DeviceModel, spans: tuple[Span, ...]) -> bool:
    """Return whether one question may read these spans, written down anew from the rules."""
    if len(spans) == 1:
        return True
    if len({table for table, _, _ in spans}) > 1:
        return False
    low, high = min(first for _, first, _ in spans), max(last for _, _, last in spans)
    used = {at for _, first, last in spans for at in range(first, last + 1)}
    unused = "".join("x" if at in used else "." for at in range(low, high + 1))
    gap, most = model.gap_max, model.registers_max
    if spans[0][0].bits:
        gap = most = BITS_MAX
    return high - low < most and "." * (gap + 1) not in unused and model.may_read(low, high)


def least(model: DeviceModel, spans: tuple[Span, ...], extra: tuple[Span, ...]) -> float:
    """Return the fewest questions over every grouping, `extra` being in each group; inf for none.

    Every subset of the spans is tried as the question that reads the first of those left.
    """
    feasible = cache(lambda group: allowed(model, tuple(spans[n] for n in group) + extra))

    @cache
    def fewest(left: tuple[int, ...]) -> float:
        if not left:
            return 0
        first, others = left[0], left[1:]
        best = float("inf")
        for size in range(len(others) + 1):
            for more in combinations(others, size):
                if feasible((first, *more)):
                    best = min(best, 1 + fewest(tuple(n for n in others if n not in more)))
        return best

    return fewest(tuple(range(len(spans))))


def rate(plan: DevicePlan) -> float:
    """Return the questions per second of a plan."""
    return len(plan.blocks) + (IDENTITY_SHARE if plan.identity is not None else 0)


@settings(max_examples=150, deadline=None)
@given(model_of())
def test_no_grouping_takes_fewer_questions(model: DeviceModel) -> None:
    """On maps of up to nine points the plan asks no more than the best of all groupings."""
    spans = tuple((s.at.table, min(needs(s)), max(needs(s))) for s in model.signals.values())
    best = least(model, spans, ())
    if model.sentinel is not None:
        at = model.sentinel.at
        mark = (at.table, at.address, at.address)
        best = min(best + IDENTITY_SHARE, least(model, spans, (mark,)))

    plan = plan_device(DEVICE, model, points_of(model))

    assert rate(plan) <= 1.05 * best
    for block in plan.blocks:
        read = [n for n, p in enumerate(points_of(model)) if p.id in block.points]
        own = tuple(spans[n] for n in read)
        low, high = block.address, block.address + block.count - 1
        assert allowed(model, own)
        assert all(t is block.table and low <= a and b <= high for t, a, b in own)
        assert len(own) == 1 or model.may_read(low, high)


@settings(max_examples=150, deadline=None)
@given(model_of(), st.lists(st.sampled_from((0, 500, 1000, 3000)), min_size=9, max_size=9))
def test_slow_points_ride_along_or_have_their_own_class(
    model: DeviceModel, classes: list[int]
) -> None:
    """Every point is read once, often enough, and in no more questions a second than apart."""
    points = [
        Point(p.id, "", p.kind, "z", "d", p.signal, "no_rule", scan_ms=ms)
        for p, ms in zip(points_of(model), classes, strict=False)
    ]
    paces = {point.id: point.scan_ms or 1000 for point in points}

    plan = plan_device(DEVICE, model, points)

    read = [(name, block.scan_ms) for block in plan.blocks for name in block.points]
    assert sorted(name for name, _ in read) == sorted(paces)
    assert all(scan_ms <= paces[name] for name, scan_ms in read)
    apart = 0.0
    for pace in set(paces.values()):
        group = [point for point in points if paces[point.id] == pace]
        apart += len(plan_device(DEVICE, model, group).blocks) * 1000 / pace
    assert sum(1000 / block.scan_ms for block in plan.blocks) <= apart + 1e-9
