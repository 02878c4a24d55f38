"""What a line can do before it is built: load, cycle, and worst time to a reading and to a write.

Worst cases are upper bounds: every scan is asked once before the one looked at, and again where
its deadline comes first, the longest exchange has just begun, and (`…_one_dead_ms`) one other unit
of the line does not answer. `turns` is the order that these bounds describe, `timing` the wire.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from minewatch.model.mine import Bus, Device, Mine, Output
from minewatch.model.scan import deadline_ms
from minewatch_drivers.address import parse_address
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.device_model import DeviceModel
from minewatch_drivers.modbus_line.schedule import may_drive
from minewatch_drivers.modbus_line.urgency import LOAD_MAX, URGED_MS
from minewatch_drivers.pace.timing import Timing
from minewatch_drivers.readers.reader import reader_exchanges
from minewatch_drivers.tasks.outputs import REFRESH_DEFAULT_US, coil_runs
from minewatch_drivers.tasks.unit import gate_ms, plan_unit

MODBUS = frozenset({"tcp", "rtu", "rtu+tcp"})
"""The lines that ask; what the others do follows from their devices alone."""

ROUNDS_MAX = 64
"""Steps towards a fixed point; a line that has not found one by then is overloaded."""

NEVER_MS = 1 << 31
"""The reaction time of a line that does not keep up."""


@dataclass(frozen=True, slots=True)
class PointBudget:
    """Worst ms from a change of the register to its reading, healthy and with one dead unit.

    `scan_ms` is the scan class of the block that reads the point, `deadline_ms` how old a reading
    may be when the next one comes (`minewatch.model.scan`); 0 for a reader, which has none.
    """

    point: str
    scan_ms: int
    reaction_ms: int
    reaction_one_dead_ms: int
    deadline_ms: int

    @property
    def in_time(self) -> bool:
        """Whether one dead unit leaves the point within its deadline."""
        return not self.deadline_ms or self.reaction_one_dead_ms <= self.deadline_ms


@dataclass(frozen=True, slots=True)
class ClassBudget:
    """The points of one scan class: how many, and the worst of them."""

    scan_ms: int
    points: int
    reaction_ms: int
    reaction_one_dead_ms: int
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class LineBudget:
    """One line. `load` is the busy share of its time, `load_urged` with one head scanned fast.

    `urged_ms` is how often that head is then scanned and `urged_reaction_ms` its worst reaction,
    one other unit being dead; `cycle_ms` is the time of everything once, `write_ms` the worst from
    a wanted level to the relay's echo, None on a line without outputs.
    """

    bus: str
    load: float
    load_urged: float
    urged_ms: int
    urged_reaction_ms: int
    cycle_ms: int
    points: tuple[PointBudget, ...]
    write_ms: int | None
    write_one_dead_ms: int | None

    @property
    def keeps_up(self) -> bool:
        """Whether there is time for everything, also while a head in pre-alarm is scanned fast."""
        return self.load_urged <= LOAD_MAX

    @property
    def late(self) -> tuple[PointBudget, ...]:
        """The points that a dead neighbour would push beyond their deadline."""
        return tuple(point for point in self.points if not point.in_time)

    @property
    def possible(self) -> bool:
        """Whether the line keeps up and every point stays within its deadline."""
        return self.keeps_up and not self.late

    @property
    def classes(self) -> tuple[ClassBudget, ...]:
        """The scan classes of the line, fastest first."""
        groups: dict[int, list[PointBudget]] = {}
        for point in self.points:
            groups.setdefault(point.scan_ms, []).append(point)
        return tuple(_class_of(scan_ms, groups[scan_ms]) for scan_ms in sorted(groups))


@dataclass(frozen=True, slots=True)
class _Job:
    """Something that a line asks of `unit` every `period_us`, and should within a period."""

    unit: int
    cost_us: int
    period_us: int
    points: tuple[str, ...] = ()
    write: bool = False
    reader: bool = False


def predict(mine: Mine) -> tuple[LineBudget, ...]:
    """Return the budget of every bus of `mine` whose line asks questions, in order.

    Raises:
        DeviceFileError, KeyError, ValueError: the mine was not checked and names what is not there.
    """
    budgets = (predict_line(mine, bus) for bus in mine.buses)
    return tuple(budget for budget in budgets if budget is not None)


def predict_line(mine: Mine, bus: Bus) -> LineBudget | None:
    """Return the budget of one bus, None where its line only listens or reads files."""
    if bus.certified or parse_address(bus.url).transport not in MODBUS:
        return None
    timing = Timing(bus)
    jobs: list[_Job] = []
    for device in mine.devices:
        if device.bus == bus.id:
            model = device_file.load(device.model)
            jobs += _reads(mine, bus, timing, device, model)
            jobs += _writes(mine, timing, device, model)
    return _Line(mine, bus, timing, jobs).budget()


class _Line:
    """The jobs of one line and what follows from them."""

    def __init__(self, mine: Mine, bus: Bus, timing: Timing, jobs: list[_Job]) -> None:
        self._mine = mine
        self._bus = bus
        self._reads = [job for job in jobs if not job.write]
        self._writes = [job for job in jobs if job.write]
        self._reads_us = sum(job.cost_us for job in self._reads)
        self._by_period: Counter[int] = Counter()
        for job in self._reads:
            self._by_period[job.period_us] += job.cost_us
        self._load = sum(job.cost_us / job.period_us for job in jobs)
        self._longest_us = max((job.cost_us for job in jobs), default=0)
        self._cycle_us = sum(job.cost_us for job in jobs)
        self._dead_us = timing.dead_us(self._longest_us)
        self._units = {job.unit for job in jobs}

    def budget(self) -> LineBudget:
        """Return the budget of the line."""
        urged = max((self._urged_load(job) for job in self._reads if job.points), default=0.0)
        urged_ms = self._urged_ms()
        writes_us = sum(job.cost_us for job in self._writes)
        write_us = self._longest_us + writes_us
        return LineBudget(
            bus=self._bus.id,
            load=self._load,
            load_urged=self._load + urged,
            urged_ms=urged_ms,
            urged_reaction_ms=self._reaction_ms(0, urged_ms * 1000, self._dead_us),
            cycle_ms=_ms(self._cycle_us),
            points=tuple(each for job in self._reads for each in self._points(job)),
            write_ms=_ms(write_us) if writes_us else None,
            write_one_dead_ms=_ms(write_us + self._dead_us) if writes_us else None,
        )

    def _points(self, job: _Job) -> Iterable[PointBudget]:
        dead_us = self._dead_us if self._units - {job.unit} else 0
        healthy_ms = self._reaction_ms(job.cost_us, job.period_us, 0)
        dead_ms = self._reaction_ms(job.cost_us, job.period_us, dead_us)
        for name in job.points:
            limit_ms = 0 if job.reader else deadline_ms(self._mine.point(name), self._bus)
            yield PointBudget(name, job.period_us // 1000, healthy_ms, dead_ms, limit_ms)

    def _reaction_ms(self, cost_us: int, period_us: int, dead_us: int) -> int:
        """Return the worst time from a change to its reading: a period, and the wait after it."""
        wait_us = self._wait_us(cost_us, period_us, dead_us)
        if wait_us is None:
            return NEVER_MS
        done_us = wait_us + cost_us
        again_us = cost_us if done_us > period_us else 0
        return _ms(period_us + done_us + again_us)

    def _wait_us(self, cost_us: int, period_us: int, dead_us: int) -> int | None:
        """Return the longest wait of a due scan, None where it never ends.

        Before it go the exchange that is under way, every scan that is due once, those whose
        deadline comes first once more for each time they are due meanwhile, and all writes.
        A unit that has just died is asked, and once more where its deadline comes first.
        """
        once_us = self._longest_us + self._reads_us - cost_us + dead_us
        if dead_us and any(each < period_us for each in self._by_period):
            once_us += dead_us
        wait_us = once_us
        for _ in range(ROUNDS_MAX):
            longer_us = once_us + sum(
                sum_us * _more(each, period_us, wait_us) for each, sum_us in self._by_period.items()
            )
            longer_us += sum(job.cost_us * (wait_us // job.period_us + 1) for job in self._writes)
            if longer_us == wait_us:
                return wait_us
            wait_us = longer_us
        return None

    def _urged_load(self, job: _Job) -> float:
        """Return what scanning this block fast adds."""
        fast_us = min(URGED_MS * 1000, job.period_us)
        return job.cost_us / fast_us - job.cost_us / job.period_us

    def _urged_ms(self) -> int:
        """Return how often the dearest head is scanned when it is in pre-alarm."""
        worst_ms = URGED_MS
        for job in self._reads:
            room = LOAD_MAX - self._load + job.cost_us / job.period_us
            if job.points and job.cost_us > room * URGED_MS * 1000:
                stretched_us = job.period_us if room <= 0 else job.cost_us / room
                worst_ms = max(worst_ms, _ms(min(job.period_us, stretched_us)))
        return worst_ms


def _more(other_us: int, period_us: int, wait_us: int) -> int:
    """Return how often a scan goes again before one of `period_us` that waits for `wait_us`.

    Only those of a shorter period `other_us` do, until their deadline is the later one.
    """
    nearer_us = period_us - other_us
    return min(wait_us, nearer_us) // other_us + 1 if nearer_us > 0 else 0


def _class_of(scan_ms: int, points: list[PointBudget]) -> ClassBudget:
    return ClassBudget(
        scan_ms,
        len(points),
        max(point.reaction_ms for point in points),
        max(point.reaction_one_dead_ms for point in points),
        min((point.deadline_ms for point in points if point.deadline_ms), default=0),
    )


def _reads(mine: Mine, bus: Bus, timing: Timing, device: Device, model: DeviceModel) -> list[_Job]:
    points = mine.points_of(device.id)
    jobs = []
    if points:
        plan = plan_unit(device, model, points, timing, bus.scan_ms)
        for block in plan.blocks:
            cost_us = timing.exchange_us(model, block.exchange)
            jobs.append(_Job(device.unit, cost_us, block.scan_ms * 1000, block.points))
        for alone in (plan.identity, plan.heartbeat):
            if alone is not None:
                cost_us = timing.exchange_us(model, alone.exchange)
                jobs.append(_Job(device.unit, cost_us, gate_ms(model, bus.scan_ms) * 1000))
    for reader in mine.readers:
        if reader.device == device.id:
            asked = reader_exchanges(device, model)
            cost_us = sum(timing.exchange_us(model, each) for each in asked)
            jobs.append(_Job(device.unit, cost_us, bus.scan_ms * 1000, (reader.id,), reader=True))
    return jobs


def _writes(mine: Mine, timing: Timing, device: Device, model: DeviceModel) -> list[_Job]:
    """Return heartbeat, refresh and read-backs of a relay, all at its refresh time."""
    outputs = [o for o in mine.outputs if o.device == device.id and may_drive(mine.mode, o)]
    if not outputs:
        return []
    watchdog = model.watchdog
    period_us = watchdog.time_ms * 250 if watchdog is not None else REFRESH_DEFAULT_US
    costs_us = [
        cost_us
        for size in _run_sizes(model, outputs)
        for cost_us in (
            timing.frames_us(model, 7 + (size + 7) // 8 if size > 1 else 6, 6),
            timing.frames_us(model, 6, 3 + (size + 7) // 8),
        )
    ]
    if watchdog is not None and watchdog.feed is not None:
        settings = 1 + (watchdog.time is not None) + (watchdog.keep is not None)
        costs_us.append(timing.frames_us(model, 7 + 2 * settings, 6))
    return [_Job(device.unit, cost_us, period_us, write=True) for cost_us in costs_us]


def _run_sizes(model: DeviceModel, outputs: list[Output]) -> list[int]:
    return [len(run.outputs) for run in coil_runs(model, outputs)]


def _ms(us: float) -> int:
    return math.ceil(us / 1000)


@dataclass(frozen=True, slots=True)
class LateProof:
    """An output whose proving input may answer later than the output allows."""

    output: str
    proof: str
    needs_ms: int
    within_ms: int


def late_proofs(mine: Mine, budgets: tuple[LineBudget, ...]) -> tuple[LateProof, ...]:
    """Return the outputs whose good cut would be told as failed: write plus reading takes longer.

    Such an output cuts its upstream switch for nothing, and is then bypassed by somebody.
    """
    reaction_ms = {each.point: each.reaction_ms for line in budgets for each in line.points}
    write_ms = {line.bus: line.write_ms or 0 for line in budgets}
    late = []
    for output in mine.outputs:
        if output.proof is None or output.proof not in reaction_ms:
            continue
        needs_ms = write_ms.get(mine.device(output.device).bus, 0) + reaction_ms[output.proof]
        if needs_ms > output.proof_within_ms:
            late.append(LateProof(output.id, output.proof, needs_ms, output.proof_within_ms))
    return tuple(late)
