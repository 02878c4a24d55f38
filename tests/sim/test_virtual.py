"""The virtual clock, store and bench: time only forward, what is not durable is lost, digests."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minewatch_sim.people import Habits
from minewatch_sim.scenario import Scenario
from minewatch_sim.virtual import StoreHabits, VirtualClock, VirtualStore
from minewatch_sim.virtual_bench import Listener, VirtualBench

from minewatch.model.event import Event
from minewatch.model.kind import Kind
from minewatch.model.quality import Quality


def _event(number: int) -> Event:
    return Event("test", 1, number, number, number, True, {"n": number})


def test_clock_never_runs_backwards() -> None:
    """Monotonic time cannot be moved into the past."""
    clock = VirtualClock()
    clock.move_to(clock.now_us() + 5)
    with pytest.raises(ValueError, match="backwards"):
        clock.move_to(clock.now_us() - 1)


@given(
    steps=st.lists(st.integers(-86_400_000, 86_400_000), max_size=10),
    drift=st.integers(-500, 500),
)
def test_wall_steps_and_drift_leave_monotonic_time_alone(steps: list[int], drift: int) -> None:
    """Wall time moves by exactly its steps and its drift; monotonic time by what passed."""
    clock = VirtualClock()
    start_ms, wall_ms = clock.now_ms(), clock.wall().ms
    clock.drift_ppm = drift
    for step in steps:
        clock.step_wall(step)
        clock.move_to(clock.now_us() + 1_000_000)
    passed_ms = 1000 * len(steps)
    assert clock.now_ms() == start_ms + passed_ms
    assert clock.wall().ms == wall_ms + passed_ms + sum(steps) + passed_ms * drift // 1_000_000


@given(seed=st.integers(0, 10_000), crash_ms=st.integers(0, 400))
@settings(max_examples=200)
def test_a_crash_leaves_a_prefix(seed: int, crash_ms: int) -> None:
    """What survives a crash is a prefix of what was submitted, and `durable_index` counts it."""
    store = VirtualStore(random.Random(seed), StoreHabits(delay_most_ms=80))
    for cycle in range(40):
        now_ms = cycle * 10
        store.pump(now_ms)
        if now_ms >= crash_ms:
            break
        store.submit(b"image", (_event(2 * cycle), _event(2 * cycle + 1)))
    store.crash()
    numbers = [each.data["n"] for each in store.events]
    assert numbers == list(range(len(numbers)))
    assert store.durable_index == len(numbers)
    assert len(store.images) * 2 == len(numbers)


def test_a_failing_store_says_so_keeps_events_and_sheds_images() -> None:
    """Nothing becomes durable while the disk fails; a full queue costs images, never events."""
    store = VirtualStore(random.Random(1), StoreHabits(queue_max=10))
    store.failing = True
    for cycle in range(30):
        store.submit(b"image", (_event(cycle),) if cycle % 3 == 0 else ())
    store.pump(10_000)
    assert store.durable_index == 0
    assert store.faults() == ("disk", "queue")
    store.failing = False
    store.pump(20_000)
    assert [each.data["n"] for each in store.events] == list(range(0, 30, 3))
    assert len(store.images) == 10
    assert store.shed == 20
    assert store.faults() == ()


def test_a_slow_store_is_late_and_in_order() -> None:
    """A slow disk delays what comes after, and nothing overtakes."""
    store = VirtualStore(random.Random(1), StoreHabits(delay_most_ms=5))
    store.slow_ms = 1000
    store.submit(b"a", (_event(0),))
    store.slow_ms = 0
    store.submit(b"b", (_event(1),))
    store.pump(900)
    assert store.durable_index == 0
    store.pump(1005)
    assert [each.data["n"] for each in store.events] == [0, 1]


def test_twenty_runs_of_a_seed_give_one_digest_under_late_replies(demo_mine) -> None:
    """Late replies on every line, twenty runs of one seed: one digest, no request within t3.5."""
    digests = set()
    for _ in range(20):
        bench = VirtualBench(demo_mine, Scenario("late", Habits(underground=20)), seed=11)
        for bus in demo_mine.buses:
            bench.plant.do("fault", target=bus.id, name="late", share=0.2, delay_ms=700)
        bench.run_for(Listener(bench), 15_000)
        digests.add(bench.digest())
        assert bench.short_gaps() == 0
    assert len(digests) == 1


def test_other_seeds_give_other_bytes(demo_mine) -> None:
    """The digest covers the plant's randomness."""
    digests = set()
    for seed in (1, 2):
        bench = VirtualBench(demo_mine, Scenario.load("normal-shift"), seed)
        bench.run_for(Listener(bench), 5_000)
        digests.add(bench.digest())
    assert len(digests) == 2


def test_a_rebooting_gateway_loses_and_regains_its_line(demo_mine) -> None:
    """While a gateway restarts its line is down and only its line; afterwards it is up again."""
    bench = VirtualBench(demo_mine, Scenario("quiet", Habits(underground=0)))
    listener = Listener(bench)
    bench.run_for(listener, 3_000)
    bench.plant.do("fault", target="gw_west", name="reboot")
    bench.run_for(listener, 5_000)
    up = {key: line.status().up for key, line in bench.lines.items()}
    assert up == {key: key != "gw_west" for key in up}
    bench.plant.do("end_fault", target="gw_west")
    bench.run_for(listener, 3_000)
    assert all(line.status().up for line in bench.lines.values())


def test_restart_builds_new_lines_and_leaves_the_plant(demo_mine) -> None:
    """A restart of the house connects every line anew; the plant's coils stay as they are."""
    bench = VirtualBench(demo_mine, Scenario("quiet", Habits(underground=0)))
    bench.run_for(Listener(bench), 1_000)
    old = dict(bench.lines)
    bench.stop_lines()
    bench.run_for(None, 2_000)
    bench.restart()
    listener = Listener(bench)
    bench.run_for(listener, 2_000)
    assert all(bench.lines[key] is not line for key, line in old.items())
    assert all(line.status().up for line in bench.lines.values())
    assert bench.plant.coils.get("relay_1", "coil_1")


def test_a_pulled_adapter_leaves_no_value_and_comes_back(demo_mine) -> None:
    """While the adapter of the serial line is gone its heads are lost; afterwards they are GOOD."""
    bench = VirtualBench(demo_mine, Scenario("quiet", Habits(underground=0)))
    listener = Listener(bench)
    bench.run_for(listener, 5_000)
    bench.plant.do("fault", target="line_headings", name="unplugged")
    bench.run_for(listener, 500)
    listener.samples.clear()
    bench.run_for(listener, 5_000)
    lost = {d.id for d in demo_mine.devices if d.bus == "line_headings"}
    told = [r for s in listener.samples if s.device in lost for r in s.readings]
    assert told
    assert {r.quality for r in told} == {Quality.COMM_FAULT}
    bench.plant.do("end_fault", target="line_headings")
    bench.run_for(listener, 8_000)
    listener.samples.clear()
    bench.run_for(listener, 4_000)
    told = [r for s in listener.samples if s.device in lost for r in s.readings]
    assert {r.quality for r in told} <= {Quality.GOOD}


def test_another_master_on_the_serial_line_takes_no_value_over(demo_mine) -> None:
    """Somebody else asks our questions after our answers: frozen heads keep their own values."""
    bench = VirtualBench(demo_mine, Scenario("quiet", Habits(underground=0)))
    heads = {d.id for d in demo_mine.devices if d.bus == "line_headings"}
    points = [p for p in demo_mine.points if p.device in heads and p.kind is Kind.METHANE]
    for number, point in enumerate(points, 1):
        bench.plant.force(point.id, number / 100)
    bench.plant.do("fault", target="line_headings", name="second_master", delay_ms=15)
    listener = Listener(bench)
    bench.run_for(listener, 30_000)
    wanted = {point.id: number for number, point in enumerate(points, 1)}
    seen = [r for s in listener.samples for r in s.readings if r.point in wanted]
    good = [r for r in seen if r.quality is Quality.GOOD]
    assert bench.plant.faults.struck["second_master"] >= 20
    assert len(good) >= 20
    assert all(r.value == wanted[r.point] for r in good)
