"""The figures of a line's punctuality, the scan classes, and what would help a refused line."""

import dataclasses
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from minewatch_drivers.forecast.advice import advise
from minewatch_drivers.forecast.budget import predict, predict_line
from minewatch_drivers.pace.rhythm import STEPS, ClassMeter
from minewatch_drivers.pace.scan_class import SCAN_CLASSES, class_ms

from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Point
from minewatch.model.scan import deadline_ms, stale_ms

PERIOD_US = 1_000_000
RTU = "rtu:///dev/ttyTEST?baud=9600&parity=E"


@given(st.lists(st.integers(500_000, 5_900_000), min_size=1, max_size=300))
def test_p99_is_exact_to_a_step(periods_us: list[int]) -> None:
    """The figure lies at most a twentieth of the period above the true 99th percentile."""
    meter = ClassMeter(1000, PERIOD_US)
    for period_us in periods_us:
        meter.note(period_us, period_us, False, 1)
    ordered = sorted(periods_us, reverse=True)
    true_us = ordered[len(ordered) // 100]

    figure = meter.rhythm()

    assert true_us / 1000 <= figure.p99_ms + 1 <= (true_us + PERIOD_US / STEPS) / 1000 + 1
    assert figure.reaction_ms >= max(periods_us) / 1000
    assert figure.scans == len(periods_us)


def test_a_bad_minute_is_forgotten_after_two() -> None:
    """The worst reaction and late scans stay for one full window and then go."""
    meter = ClassMeter(1000, PERIOD_US)
    worst = []
    for second in range(240):
        bad = second == 30
        meter.note(PERIOD_US, 9_000_000 if bad else 1_010_000, bad, (second + 1) * PERIOD_US)
        worst.append((meter.rhythm().reaction_ms, meter.rhythm().late))

    assert worst[31:110] == [(9000, 1)] * 79
    assert set(worst[130:]) == {(1010, 0)}


def test_every_slow_kind_has_its_reason_once() -> None:
    """The table names a kind once, says why, and never what can kill within seconds."""
    kinds = [row.kind for row in SCAN_CLASSES]
    fast = {Kind.METHANE, Kind.CARBON_MONOXIDE, Kind.OXYGEN, Kind.SMOKE, Kind.FEED_STATE}

    assert len(set(kinds)) == len(kinds)
    assert not fast & set(kinds)
    assert all(row.reason and row.every_ms > 1000 for row in SCAN_CLASSES)


@given(st.sampled_from(Kind), st.integers(50, 60_000), st.integers(1, 30))
def test_a_class_never_outlasts_the_fault_limit(kind: Kind, line_ms: int, fault_s: int) -> None:
    """A class is slower than its line or 0, and three of its scans fit into the fault limit."""
    every_ms = class_ms(kind, line_ms, fault_s * 1000)

    assert every_ms == 0 or line_ms < every_ms <= fault_s * 1000 // 3


def test_a_deadline_is_what_the_core_calls_stale() -> None:
    """Three scans within 2 to 10 s, or the fault limit where that is shorter."""
    point = Point("p", "", Kind.METHANE, "z", "d", "s", "no_rule")
    table = {100: 2000, 1000: 3000, 3000: 9000, 5000: 10_000}

    assert {ms: stale_ms(ms) for ms in table} == table
    assert {ms: deadline_ms(point, Bus("b", RTU, scan_ms=ms)) for ms in table} == table
    hasty = dataclasses.replace(point, fault_after_ms=2_500, scan_ms=3000)
    assert deadline_ms(hasty, Bus("b", RTU)) == 2_500


def test_advice_is_enough_and_no_more(kit: SimpleNamespace) -> None:
    """The named baud makes the line possible and the one before does not; so do the devices."""
    bus = Bus("line", RTU, scan_ms=1000, timeout_ms=300)
    devices = tuple(Device(f"d{n}", "line", n, "methane-head-generic") for n in range(1, 31))
    points = tuple(Point(d.id, "", Kind.METHANE, "z", d.id, "methane", "heading") for d in devices)
    mine = kit.bare_mine(bus, devices, points=points)
    (budget,) = predict(mine)
    assert not budget.possible

    advice = advise(mine, budget)

    def possible(url: str, moved: set[str]) -> bool:
        left = dataclasses.replace(
            mine,
            devices=tuple(d for d in devices if d.id not in moved),
            points=tuple(p for p in points if p.device not in moved),
        )
        budget = predict_line(left, dataclasses.replace(bus, url=url))
        return budget is not None and budget.possible

    assert advice.baud == 19_200
    assert possible(RTU.replace("9600", "19200"), set())
    assert possible(RTU, set(advice.devices))
    assert not possible(RTU, set(advice.devices[:-1]))
