"""Readers of every style between a true population and the headcount, on virtual lines.

A thousand badges pass the mouth within a minute. Readers miss, repeat, shuffle and delay; answers
get lost; readers restart, overflow and give old logs again. The true count stays within lo and hi.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from minewatch_sim.people import Habits, Walker
from minewatch_sim.scenario import Scenario
from minewatch_sim.virtual_bench import VirtualBench

from minewatch.core.state import State
from minewatch.core.step import step
from minewatch.model.event import Event
from minewatch.model.image import Image, Sample, Sighting
from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mine, Mode, Person, Point, Reader, Zone, ZoneKind

QUIET = Scenario("quiet", Habits(underground=0))
SHIFT = 500
LAG_MS = 3_000
"""What a gate's scan and a turn of the core may take until both show."""

QUEUE, EPC, DRAIN = "badge-reader-queue", "uhf-portal-queue", "rf-reader-drain"
SNAPSHOT, FLAG, UWB = "badge-reader-snapshot", "inveo-rfid-ind", "uwb-substation-generic"


def _mine(mouth: str, inner: str, *, directed: bool, gates: bool) -> Mine:
    """Return a mine with one mouth reader on the surface, one reader inside, and perhaps gates."""
    buses = tuple(
        Bus(name, f"tcp://127.0.0.{n}:1", scan_ms=500, timeout_ms=200)
        for n, name in enumerate(("b_mouth", "b_west", "b_gate"), 1)
    )
    devices = (Device("d_mouth", "b_mouth", 1, mouth), Device("d_west", "b_west", 1, inner))
    points = tuple(
        Point(name, name, kind, "surface", "d_gate", signal, "record_only")
        for name, kind, signal in (
            ("IN", Kind.GATE_IN, "count_in"),
            ("OUT", Kind.GATE_OUT, "count_out"),
        )
    )
    if gates:
        devices += (Device("d_gate", "b_gate", 1, "gate-counter-generic"),)
    readers = (
        Reader("mouth", "mouth", "surface", "d_mouth", mouth=True, directed=directed),
        Reader("west", "west", "west", "d_west"),
    )
    people = tuple(Person(f"P{n}", f"p{n}", str(100_000 + n)) for n in range(2 * SHIFT))
    return Mine(
        code="000000000000", name="bench", county="000000", language="en", gas_class="high",
        capacity_10kt=1, severe=True, mode=Mode.MONITOR, headcount_limit=600,
        headcount_citation="", profile="",
        zones=(
            Zone("mine", "mine", ZoneKind.MINE),
            Zone("surface", "surface", ZoneKind.SURFACE, "mine"),
            Zone("west", "west", ZoneKind.INTAKE, "mine", walk_out_s=900),
        ),
        buses=buses if gates else buses[:2], devices=devices, points=points if gates else (),
        outputs=(), readers=readers, people=people,
    )  # fmt: skip


class Watch:
    """Guards the bench with the bare core: every 200 ms one image, one step."""

    def __init__(self, bench: VirtualBench) -> None:
        self.bench = bench
        self.state = State()
        self.events: list[Event] = []
        self.sightings = 0
        self.check: Callable[[], None] = lambda: None
        self.next_wake_ms = bench.clock.now_ms()
        self._samples: list[Sample] = []
        self._heard: list[Sighting] = []
        self._cycle = 0

    def collect(self) -> None:
        """Take what the lines have brought."""
        for line in self.bench.lines.values():
            taken = line.take()
            self._samples += taken.samples
            self._heard += taken.sightings
        self.sightings += len(self._heard) if self._heard else 0

    def turn(self) -> None:
        """Run one cycle."""
        self.collect()
        now_ms = self.bench.clock.now_ms()
        image = Image(
            self._cycle, now_ms, self.bench.clock.wall().ms, True, self.state.durable.index,
            tuple(self._samples), tuple(self._heard),
        )  # fmt: skip
        decided = step(self.bench.mine, self.state, image)
        self.state = decided.state
        self.events += decided.events
        self._samples, self._heard = [], []
        self._cycle += 1
        self.next_wake_ms = now_ms + 200
        self.check()

    @property
    def span(self) -> tuple[int, int | None]:
        """Return lo and hi of the mine."""
        lo, hi = self.state.volatile.people.count.mine
        return lo, hi

    def kinds(self) -> list[str]:
        """Return the kinds of all events."""
        return [event.kind for event in self.events]


@dataclass
class Crowd:
    """Who truly passes the mouth, and when; every pass is counted by the gate."""

    bench: VirtualBench
    passes: list[tuple[int, int]] = field(default_factory=list)

    @property
    def now_ms(self) -> int:
        """Return plant time."""
        return self.bench.plant.now_ms

    def passes_mouth(self, badge: str, way: int) -> None:
        """Let somebody pass the gate and the mouth reader; who enters is heard inside later."""
        people, mine = self.bench.plant.people, self.bench.mine
        people._now_ms = self.now_ms
        people.gate_in += way > 0
        people.gate_out += way < 0
        self.passes.append((self.bench.clock.now_ms(), way))
        reader = mine.reader("mouth")
        people._record(reader, Walker(badge, "", ""), way if reader.directed else 0)

    def is_heard(self, badge: str) -> None:
        """Let the reader inside hear somebody."""
        people = self.bench.plant.people
        people._now_ms = self.now_ms
        people._record(self.bench.mine.reader("west"), Walker(badge, "", ""), 0)

    def truth(self, in_until_ms: int, out_until_ms: int) -> int:
        """Return how many are inside, counting entries and exits up to two times."""
        came = sum(1 for at_ms, way in self.passes if way > 0 and at_ms <= in_until_ms)
        went = sum(1 for at_ms, way in self.passes if way < 0 and at_ms <= out_until_ms)
        return came - went

    @property
    def inside(self) -> int:
        """Return how many are inside now."""
        return sum(way for _, way in self.passes)


@dataclass
class Scene:
    """A bench with its watch and its crowd."""

    bench: VirtualBench
    watch: Watch
    crowd: Crowd

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.bench.run_for(self.watch, int(seconds * 1000))

    def do(self, act: str, /, **arguments: Any) -> None:
        """Do one act of the simulator."""
        self.bench.plant.do(act, **arguments)

    def memory(self, device: str) -> Any:
        """Return the memory of a simulated reader."""
        bus = self.bench.mine.device(device).bus
        (found,) = self.bench.buses[bus].devices.values()
        return found.reader

    def change_shift(self, seconds: int = 60) -> None:
        """Let one shift enter, then the other enter while the first leaves, one every 1/17 s."""
        first = [str(100_000 + n) for n in range(SHIFT)]
        second = [str(100_000 + SHIFT + n) for n in range(SHIFT)]
        self._let_pass([(badge, 1) for badge in first], seconds / 2)
        self.run(20)
        both = [step for b, a in zip(first, second, strict=True) for step in ((b, -1), (a, 1))]
        self._let_pass(both, seconds)

    def _let_pass(self, steps: list[tuple[str, int]], seconds: float) -> None:
        heard_later: list[str] = []
        each_s = 0.5
        count = round(len(steps) * each_s / seconds)
        for start in range(0, len(steps), count):
            for badge in heard_later:
                self.crowd.is_heard(badge)
            heard_later = []
            for badge, way in steps[start : start + count]:
                self.crowd.passes_mouth(badge, way)
                heard_later += [badge] if way > 0 else []
            self.run(each_s)
        for badge in heard_later:
            self.crowd.is_heard(badge)


Open = Callable[..., Scene]


@pytest.fixture
def scene() -> Iterator[Open]:
    """Open a scene; every cycle of it is checked against the truth, and in the end every stay."""
    opened: list[Scene] = []

    def make(
        mouth: str,
        inner: str = QUEUE,
        *,
        directed: bool = False,
        gates: bool = True,
        checked: bool = True,
        seed: int = 1,
    ) -> Scene:
        bench = VirtualBench(
            _mine(mouth, inner, directed=directed, gates=gates), QUIET, seed, writes=False
        )
        watch = Watch(bench)
        made = Scene(bench, watch, Crowd(bench))
        if checked:
            watch.check = _bracketed(made) if gates else _bracketed_when_empty(made)
        opened.append(made)
        made.run(4)
        return made

    yield make
    for each in opened:
        _no_stay_is_negative(each)


def _bracketed(scene: Scene) -> Callable[[], None]:
    """With a gate lo and hi bracket the truth at every cycle, but for what is under way."""

    def check() -> None:
        now_ms = scene.bench.clock.now_ms()
        lo, hi = scene.watch.span
        assert lo <= scene.crowd.truth(now_ms, now_ms - LAG_MS)
        assert hi is None or hi >= scene.crowd.truth(now_ms - LAG_MS, now_ms)

    return check


def _bracketed_when_empty(scene: Scene) -> Callable[[], None]:
    """Without a gate only the readers count: once nothing has waited in them for a while."""
    waited_ms = 0

    def check() -> None:
        nonlocal waited_ms
        now_ms = scene.bench.clock.now_ms()
        if len(scene.memory("d_mouth")):
            waited_ms = now_ms
        elif now_ms - waited_ms > LAG_MS:
            lo, hi = scene.watch.span
            assert lo <= scene.crowd.truth(now_ms, now_ms - LAG_MS)
            assert hi is None or hi >= scene.crowd.truth(now_ms - LAG_MS, now_ms)

    return check


def _no_stay_is_negative(scene: Scene) -> None:
    now_ms = scene.bench.clock.now_ms()
    for each in scene.watch.state.durable.people.inside.values():
        assert 0 <= each.entered_ms <= each.seen_ms <= now_ms


@pytest.mark.parametrize("gates", [True, False])
@pytest.mark.parametrize("model", [QUEUE, EPC])
def test_a_shift_change_past_a_complete_queue_is_exact(
    scene: Open, model: str, gates: bool
) -> None:
    """Repeats, swapped records and a clock a day off cost nothing: the end is exact."""
    made = scene(model, model, directed=True, gates=gates)
    made.do("repeat_reads", reader="mouth", share=0.1)
    made.do("shuffle_reads", reader="mouth", share=0.1)
    made.do("reader_clock", reader="mouth", by_s=86_400)
    made.do("reader_clock", reader="west", by_s=-86_400)
    made.change_shift()
    made.run(30)

    assert made.watch.span == (SHIFT, SHIFT) == (made.crowd.inside,) * 2
    assert "badge_unknown" not in made.watch.kinds() or model == EPC


STYLES = (QUEUE, EPC, DRAIN, SNAPSHOT, UWB, FLAG)
RUNS = [
    *[pytest.param(model, 1) for model in STYLES],
    *[
        pytest.param(model, seed, marks=pytest.mark.nightly)
        for model in STYLES
        for seed in range(2, 22)
    ],
]


@pytest.mark.parametrize(("model", "seed"), RUNS)
def test_a_shift_change_past_a_bad_reader_brackets_the_truth(
    scene: Open, model: str, seed: int
) -> None:
    """Reads missed, repeated and swapped, answers lost, a silence, a restart: lo <= truth <= hi."""
    inner = model if model in (EPC, FLAG) else QUEUE
    made = scene(model, inner, directed=model in (QUEUE, EPC), seed=seed)
    for name in ("lose_reads", "repeat_reads", "shuffle_reads"):
        made.do(name, reader="mouth", share=0.1)
    made.do("fault", target="b_mouth", name="drop", share=0.1)
    made.bench.at(made.bench.clock.now_us() + 20_000_000, lambda: _mute(made, on=True))
    made.bench.at(made.bench.clock.now_us() + 35_000_000, lambda: _mute(made, on=False))
    restart = lambda: made.do("restart_reader", reader="mouth")  # noqa: E731
    made.bench.at(made.bench.clock.now_us() + 70_000_000, restart)
    made.change_shift()
    made.do("end_fault", target="b_mouth")
    made.run(30)

    lo, hi = made.watch.span
    assert lo <= SHIFT
    assert hi is None or hi >= SHIFT
    assert "reader_lost" in made.watch.kinds()


def _mute(scene: Scene, *, on: bool) -> None:
    if on:
        scene.do("fault", target="d_mouth", name="mute")
    else:
        scene.do("end_fault", target="d_mouth", name="mute")


@pytest.mark.parametrize("model", [QUEUE, DRAIN, SNAPSHOT, UWB, FLAG])
def test_an_undirected_mouth_toggles_nobody(scene: Open, model: str) -> None:
    """Passing an undirected mouth reader ten times lets nobody in or out (practice 21)."""
    made = scene(model, gates=False, checked=False)
    for _ in range(10):
        for badge in ("100001", "100002"):
            made.crowd.passes_mouth(badge, 1)
            made.run(4)

    assert "badge_left" not in made.watch.kinds()
    assert made.watch.span[0] == 0
    assert made.watch.span[1] in (None, 2)


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_a_drain_without_a_gate_brackets_the_truth(scene: Open, share: float) -> None:
    """Answers that take their records with them widen the count by as many."""
    made = scene(DRAIN, gates=False)
    if share:
        made.do("fault", target="b_mouth", name="drop", share=share)
    made._let_pass([(str(100_000 + n), 1) for n in range(300)], 30)
    made.do("end_fault", target="b_mouth")
    made.run(30)
    people = made.watch.state.durable.people

    lo, hi = made.watch.span
    assert hi is None
    assert people.blind_ms is not None
    assert lo <= 300 <= len(people.inside) + people.gaps_in
    assert ("reads_lost" in made.watch.kinds()) is (share > 0)


def test_an_old_log_of_ten_thousand_records_changes_nobody(scene: Open) -> None:
    """A reader that restarts and gives its whole log again: nobody moves (fault 39)."""
    made = scene(EPC, EPC, directed=True, checked=False)
    made.do("reader_capacity", reader="mouth", records=20_000)
    for n in range(10_000):
        made.crowd.passes_mouth(str(100_000 + n % 50), 1 if n // 50 % 2 == 0 else -1)
    made.run(700)
    assert len(made.memory("d_mouth")) == 0
    before = dict(made.watch.state.durable.people.inside)
    events = len(made.watch.events)
    made.do("replay_reader", reader="mouth")
    made.run(700)

    said = {e.kind for e in made.watch.events[events:]}
    assert len(made.memory("d_mouth")) == 0
    assert dict(made.watch.state.durable.people.inside) == before
    assert not said & {"badge_entered", "entry_missed", "badge_left", "badge_doubted"}


def test_a_small_memory_overflows_and_says_so(scene: Open) -> None:
    """Twenty places and ten seconds of silence: the reader reports it, the gate brackets it."""
    made = scene(QUEUE, directed=True)
    made.do("reader_capacity", reader="mouth", records=20)
    _mute(made, on=True)
    made._let_pass([(str(100_000 + n), 1) for n in range(150)], 10)
    _mute(made, on=False)
    made.run(30)

    assert "reader_overflowed" in made.watch.kinds()
    assert made.watch.span[0] <= 150
    assert made.watch.span[1] == 150
