"""What a line can do before it is built: load, cycle, and worst time to a reading and to a write.

Worst cases are upper bounds for lines that are not overloaded: everything is due at once, the
longest exchange has just begun, and (`…_one_dead_ms`) one unit of the line does not answer. Times
of the devices are those of their files, times of the wire follow from baud and frame lengths.
"""

import math
from dataclasses import dataclass

from minewatch.model.mine import Bus, Device, Mine, Output
from minewatch_drivers import device_file
from minewatch_drivers.address import Address, parse_address
from minewatch_drivers.device_model import DeviceModel
from minewatch_drivers.exchange import Exchange
from minewatch_drivers.line import QUIET_MARGIN_US
from minewatch_drivers.outputs import REFRESH_DEFAULT_US, coil_runs
from minewatch_drivers.plan import plan_device
from minewatch_drivers.reader import reader_exchanges
from minewatch_drivers.schedule import GATE_US, GATE_WITHOUT_HEARTBEAT_US, may_drive

LOAD_MAX = 0.9
"""Above this share of its time a line has no room for a retry."""

URGED_SCAN_MS = 200
OVERHEAD_US = 2_000
"""Our own time for one exchange: waking up, decoding, a loaded machine."""


@dataclass(frozen=True, slots=True)
class PointBudget:
    """Worst ms from a change of the register to its reading, healthy and with one dead unit."""

    point: str
    reaction_ms: int
    reaction_one_dead_ms: int


@dataclass(frozen=True, slots=True)
class LineBudget:
    """One line. `load` is the busy share of its time, `load_urged` with one head scanned fast.

    `cycle_ms` is the time of everything once; `write_ms` the worst from a wanted level to the
    relay's echo, None on a line without outputs.
    """

    bus: str
    load: float
    load_urged: float
    cycle_ms: int
    points: tuple[PointBudget, ...]
    write_ms: int | None
    write_one_dead_ms: int | None

    @property
    def possible(self) -> bool:
        """Whether the line keeps up, also while a head in pre-alarm is scanned fast."""
        return self.load_urged <= LOAD_MAX


@dataclass(frozen=True, slots=True)
class _Job:
    cost_us: int
    period_us: int
    points: tuple[str, ...] = ()
    write: bool = False


def predict(mine: Mine) -> tuple[LineBudget, ...]:
    """Return the budget of every bus of `mine` that asks devices, in order.

    Raises:
        DeviceFileError, KeyError, ValueError: the mine was not checked and names what is not there.
    """
    return tuple(_line(mine, bus) for bus in mine.buses if not bus.certified)


def _line(mine: Mine, bus: Bus) -> LineBudget:
    address = parse_address(bus.url)
    jobs: list[_Job] = []
    for device in mine.devices:
        if device.bus == bus.id:
            model = device_file.load(device.model)
            jobs += _reads(mine, bus, address, device, model)
            jobs += _writes(mine, bus, address, device, model)
    load = sum(job.cost_us / job.period_us for job in jobs)
    urged = max((_urged_load(job) for job in jobs if job.points), default=0.0)
    cycle_us = sum(job.cost_us for job in jobs)
    longest_us = max((job.cost_us for job in jobs), default=0)
    writes_us = sum(job.cost_us for job in jobs if job.write)
    dead_us = _dead_us(bus, address)
    points = tuple(
        PointBudget(point, _ms(job.period_us + cycle_us), _ms(job.period_us + cycle_us + dead_us))
        for job in jobs
        for point in job.points
    )
    return LineBudget(
        bus=bus.id,
        load=load,
        load_urged=load + urged,
        cycle_ms=_ms(cycle_us),
        points=points,
        write_ms=_ms(longest_us + writes_us) if writes_us else None,
        write_one_dead_ms=_ms(dead_us + longest_us + writes_us) if writes_us else None,
    )


def _urged_load(job: _Job) -> float:
    """Return what scanning this block fast adds."""
    fast_us = min(URGED_SCAN_MS * 1000, job.period_us)
    return job.cost_us / fast_us - job.cost_us / job.period_us


def _reads(
    mine: Mine, bus: Bus, address: Address, device: Device, model: DeviceModel
) -> list[_Job]:
    scan_us = bus.scan_ms * 1000
    points = [point for point in mine.points if point.device == device.id]
    jobs = []
    if points:
        plan = plan_device(device, model, points)
        for block in plan.blocks:
            jobs.append(_Job(_cost_us(bus, address, model, block.exchange), scan_us, block.points))
        if plan.identity is not None:
            slow_us = GATE_US if model.heartbeat else GATE_WITHOUT_HEARTBEAT_US
            cost_us = _cost_us(bus, address, model, plan.identity.exchange)
            jobs.append(_Job(cost_us, max(scan_us, slow_us)))
    for reader in mine.readers:
        if reader.device == device.id:
            asked = reader_exchanges(device, model)
            cost_us = sum(_cost_us(bus, address, model, each) for each in asked)
            jobs.append(_Job(cost_us, scan_us, (reader.id,)))
    return jobs


def _writes(
    mine: Mine, bus: Bus, address: Address, device: Device, model: DeviceModel
) -> list[_Job]:
    """Return heartbeat, refresh and read-backs of a relay, all at its refresh time."""
    outputs = [o for o in mine.outputs if o.device == device.id and may_drive(mine.mode, o)]
    if not outputs:
        return []
    watchdog = model.watchdog
    period_us = watchdog.time_ms * 250 if watchdog is not None else REFRESH_DEFAULT_US
    jobs = [
        _Job(cost_us, period_us, write=True)
        for size in _run_sizes(model, outputs)
        for cost_us in (
            _frames_us(bus, address, model, 7 + (size + 7) // 8 if size > 1 else 6, 6),
            _frames_us(bus, address, model, 6, 3 + (size + 7) // 8),
        )
    ]
    if watchdog is not None and watchdog.feed is not None:
        settings = 1 + (watchdog.time is not None) + (watchdog.keep is not None)
        cost_us = _frames_us(bus, address, model, 7 + 2 * settings, 6)
        jobs.append(_Job(cost_us, period_us, write=True))
    return jobs


def _run_sizes(model: DeviceModel, outputs: list[Output]) -> list[int]:
    return [len(run.outputs) for run in coil_runs(model, outputs)]


def _cost_us(bus: Bus, address: Address, model: DeviceModel, exchange: Exchange) -> int:
    return _frames_us(bus, address, model, len(exchange.pdu) + 1, exchange.reply_size + 1)


def _frames_us(bus: Bus, address: Address, model: DeviceModel, asked: int, told: int) -> int:
    """Return the time of one exchange whose frames have these bytes without their checksums."""
    wire_us = (asked + told + 4) * address.byte_us
    silence_us = max(address.silence_us, bus.pause_ms * 1000)
    return math.ceil(wire_us) + silence_us + model.turnaround_ms * 1000 + OVERHEAD_US


def _dead_us(bus: Bus, address: Address) -> int:
    """Return what one try at a mute unit costs the line: the timeout, and silence on RTU."""
    if not address.serial:
        return bus.timeout_ms * 1000
    frame_us = math.ceil(64 * address.byte_us)
    return bus.timeout_ms * 1500 + QUIET_MARGIN_US + frame_us


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
