"""Whose turn it is on a line: writes, acknowledgements, then the scan whose deadline is nearest.

Built once from the mine; it knows no bytes and no silence, only jobs and when they are due.
"""

from collections.abc import Collection, Sequence

from minewatch.model.image import Notice
from minewatch.model.mine import Bus, Device, Mine, Mode, Output, Point
from minewatch.model.wiring import CONTROL_ONLY
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.device_model import DeviceModel
from minewatch_drivers.modbus_line.turns import Turns
from minewatch_drivers.modbus_line.urgency import Urgency
from minewatch_drivers.pace.rhythm import ClassMeter, LineRhythm
from minewatch_drivers.pace.timing import Timing
from minewatch_drivers.readers.reader import ReaderScan, open_reader
from minewatch_drivers.tasks.jobs import BACK_OFF_MAX_US, SIZE_REFUSALS, Job, Poll, UnitState
from minewatch_drivers.tasks.outbox import Outbox
from minewatch_drivers.tasks.outputs import Bank, Levels
from minewatch_drivers.tasks.settings import SettingsScan, used_settings
from minewatch_drivers.tasks.unit import Surroundings, Unit

ACKNOWLEDGE_WAIT_US = 50_000

OVERDUE_US = 4_000_000
"""A line that noise keeps from asking for this long has no values."""

BRIEF_US = 1_500_000
"""A line that was away for less keeps the phases of its scans and what it knows of dead units."""

NEVER_US = 1 << 62


class Schedule:
    """The jobs of one bus. `writes=False` constructs no way to write an output at all."""

    def __init__(self, mine: Mine, bus: Bus, outbox: Outbox, *, writes: bool) -> None:
        self._outbox = outbox
        self._scan_us = bus.scan_ms * 1000
        self._meters: dict[int, ClassMeter] = {}
        timing = Timing(bus)
        self._around = Surroundings(timing, bus.scan_ms, self, outbox, self._meters)
        self._share = mine.buses.index(bus) / len(mine.buses) if bus in mine.buses else 0.0
        self._by_unit: dict[int, UnitState] = {}
        self._units: list[Unit] = []
        self._readers: list[ReaderScan | SettingsScan] = []
        self._banks: list[Bank] = []
        self._bank_asked: Bank | None = None
        self._refused: dict[str, str] = {}
        self._ready_us = 0
        for device in mine.devices:
            if device.bus == bus.id:
                self._add(mine, device, mine.points_of(device.id), writes)
        longest_us = max((unit.longest_us for unit in self._units), default=0)
        self._turns = Turns(timing.dead_us(longest_us))
        readers = [each for each in self._readers if isinstance(each, ReaderScan)]
        self._urgency = Urgency(self._units, readers, self._banks, timing.gap_us)
        self.outputs = tuple(output for bank in self._banks for output in bank.outputs)
        self.writes = bool(self._banks or self._readers)
        """Whether anything here may want to write: relays, or readers to acknowledge."""
        for unit in self._units:
            for poll in unit.polls:
                poll.begin(0)

    def restart(self, now_us: int) -> None:
        """A new connection: every unit is unproven, everything is due, nothing is written.

        Questions that the device refused are asked whole again. Each scan is due since a time of
        its own, and keeps that phase: otherwise all of a line, and all lines of a house, would be
        asked in one burst every period and wait for each other.
        """
        brief = self._ready_us > 0 and now_us - self._ready_us < BRIEF_US
        alive = brief and any(not state.streak for state in self._by_unit.values())
        for state in self._by_unit.values():
            state.reset(failures=not alive)
        for unit in self._units:
            unit.whole()
        gates = {id(unit.state): unit.gate for unit in self._units if unit.gate is not None}
        self._turns.clear()
        self._turns.gates.update(gates)
        self._ready_us = now_us
        polls = [poll for unit in self._units for poll in unit.polls]
        scans: list[Poll | ReaderScan | SettingsScan] = [*polls, *self._readers]
        for place, scan in enumerate(scans, 1):
            since_us = int(scan.period_us * (len(scans) - place + self._share)) // len(scans)
            due_us = scan.due_us if brief else now_us - since_us
            if isinstance(scan, Poll):
                scan.begin(due_us)
            else:
                scan.reset(now_us)
                scan.due_us = due_us
        self._let_others_begin()
        for bank in self._banks:
            bank.reset(now_us)
        self._urgency.renew(now_us)

    def _let_others_begin(self) -> None:
        """Let the module that was asked last wait behind the others.

        Where its noise ends each connection, or costs a silence each time, they would starve.
        """
        if self._bank_asked is not None:
            self._banks.remove(self._bank_asked)
            self._banks.append(self._bank_asked)
            self._bank_asked = None

    def next_job(
        self, now_us: int, wanted: Levels | None, flying: Collection[Job] = ()
    ) -> Job | None:
        """Return what to ask now, or None; nothing of `flying`, which waits for its answer."""
        return self.next_write(now_us, wanted) or self.next_scan(now_us, flying)

    def next_write(self, now_us: int, wanted: Levels | None) -> Job | None:
        """Return what relays and readers need now, or None."""
        if self._bank_asked is not None and self._bank_asked.failed:
            self._let_others_begin()
        for bank in self._banks:
            task = bank.next_task(now_us, wanted)
            if task is not None:
                self._bank_asked = bank
                return task
        for reader in self._readers:
            acknowledge = reader.acknowledge(now_us)
            if acknowledge is not None:
                return acknowledge
        return None

    def next_scan(self, now_us: int, flying: Collection[Job] = ()) -> Job | None:
        """Return the due scan whose deadline is nearest; those of dead units fail without a word.

        What is returned must come back by `accept`, `retry` or `refuse` before it is asked again.
        """
        self._ready_us = now_us
        if now_us >= self._urgency.review_us:
            self._urgency.renew(now_us)
        turns = self._turns
        if self._readers:
            poll = turns.peek(now_us)
            latest_us = NEVER_US if poll is None else turns.deadline_us
            reader = self._due_reader(now_us, latest_us, flying)
            if reader is not None:
                return self._behind_gate(reader)
            return None if poll is None else turns.take(now_us)
        return turns.next(now_us)

    def state_of(self, unit: int) -> UnitState | None:
        """Return what is remembered of a unit number, None where no device of ours has it."""
        return self._by_unit.get(unit)

    def due_us(self, now_us: int, wanted: Levels | None, flying: Collection[Job] = ()) -> int:
        """Return when there will be something to ask beside `flying`; `next_scan` comes first."""
        due = self._turns.due_us(now_us)
        for bank in self._banks:
            due = min(due, bank.due_us(wanted))
        for reader in self._readers:
            if reader not in flying:
                due = min(due, max(reader.due_us, reader.state.hold_us))
            due = min(due, max(reader.acknowledge_us, now_us + ACKNOWLEDGE_WAIT_US))
        return due

    def overdue(self, now_us: int) -> bool:
        """Return whether nothing could be asked for too long although something was due."""
        if now_us - self._ready_us < OVERDUE_US:
            return False
        due_us = min([self._turns.due_us(now_us), *(reader.due_us for reader in self._readers)])
        return due_us <= now_us

    def fail_due(self, now_us: int) -> int:
        """Let everything that is due fail unasked; returns when more will be due."""
        for poll in self._turns.drain(now_us):
            poll.lose(now_us, now_us if poll.first_us is None else poll.first_us)
        due_us = self._turns.due_us(now_us)
        for reader in self._readers:
            if reader.due_us <= now_us:
                reader.refuse(now_us, reader.first_us or now_us, False)
            due_us = min(due_us, reader.due_us)
        for bank in self._banks:
            bank.lost(now_us)
        return due_us if due_us < NEVER_US else now_us + self._scan_us

    def urge(self, now_us: int, points: Collection[str], period_us: int) -> None:
        """Scan the blocks of `points` this often, all others as configured.

        Where the line has no room for that they are scanned as often as it can bear.
        """
        self._urgency.want(now_us, frozenset(points), period_us)

    def rhythm(self) -> LineRhythm:
        """Return how punctual the scans are; may be called from another thread."""
        urgency = self._urgency
        meters = [urgency.meter, *self._meters.values()]
        classes = sorted(meter.rhythm() for meter in meters)
        return LineRhythm(
            tuple(each for each in classes if each.scans),
            urgency.every_us // 1000,
            urgency.stretched,
            tuple(self._refused.items()),
        )

    # What polls say of themselves (`jobs.Keeper`).

    def again(self, poll: Poll) -> None:
        """The poll waits for its next turn."""
        self._turns.add(poll)

    def divide(self, poll: Poll, now_us: int) -> bool:
        """Put smaller polls in the place of one that the device refuses to answer whole."""
        unit = next(unit for unit in self._units if unit.state is poll.state)
        parts = unit.divided(poll)
        if unit.gate is not None:
            self._turns.gates[id(unit.state)] = unit.gate
        for part in parts:
            part.begin(now_us)
        self._urgency.renew(now_us)
        return bool(parts)

    def said(self, poll: Poll, code: str) -> None:
        """Remember what the device refuses; say once when a map or a size is refused, and its end.

        Other refusals show in `rhythm` and as the quality of the points alone.
        """
        for point in poll.points:
            before = self._refused.pop(point, "")
            if code:
                self._refused[point] = code
            if code in SIZE_REFUSALS and before not in SIZE_REFUSALS:
                self._outbox.notices.append(Notice("device_fault", point, {"code": code}))
            elif before in SIZE_REFUSALS and code not in SIZE_REFUSALS:
                self._outbox.notices.append(Notice("device_restored", point, {"code": before}))

    def _due_reader(
        self, now_us: int, latest_us: int, flying: Collection[Job]
    ) -> ReaderScan | SettingsScan | None:
        """Return the due reader with the nearest deadline before `latest_us`."""
        best: ReaderScan | SettingsScan | None = None
        hasty = latest_us < NEVER_US and now_us < self._turns.probe_us
        for reader in self._readers:
            if reader.due_us > now_us or reader in flying:
                continue
            state, deadline_us = reader.state, reader.due_us + reader.period_us
            may_go = now_us >= state.hold_us and not (hasty and state.streak)
            if now_us < state.skip_us:
                reader.refuse(now_us, reader.first_us or now_us, False)
            elif may_go and deadline_us < latest_us:
                best, latest_us = reader, deadline_us
        if best is not None and best.state.streak:
            self._turns.probed(now_us)
        return best

    def _behind_gate(self, reader: ReaderScan | SettingsScan) -> Job | None:
        gate = None if reader.state.proved else self._turns.gates.get(id(reader.state))
        return reader if gate is None else self._turns.take_gate(gate)

    def _add(self, mine: Mine, device: Device, points: Sequence[Point], writes: bool) -> None:
        model, bus_ms = device_file.load(device.model), self._scan_us // 1000
        limit_us = min((point.fault_after_ms * 500 for point in points), default=BACK_OFF_MAX_US)
        # A counter that is looked at seldom is not seen to move sooner than that.
        beats_ms = max(model.heartbeat.every_ms, bus_ms) if model.heartbeat else None
        state = UnitState(beats_ms, limit_us)
        state.pause_us = model.pause_ms * 1000
        if model.heartbeat is not None:
            state.beat_mask = model.heartbeat.mask
        self._by_unit[device.unit] = state
        if points:
            self._units.append(Unit(device, model, points, state, self._around))
        self._readers += [
            open_reader(
                reader=reader,
                device=device,
                model=model,
                state=state,
                outbox=self._outbox,
                period_us=self._scan_us,
            )
            for reader in mine.readers
            if reader.device == device.id
        ]
        channels = [each.signal for each in mine.outputs if each.device == device.id]
        settings = used_settings(model, channels)
        if settings:
            self._readers.append(SettingsScan(device, model, settings, state, self._outbox))
        self._add_bank(mine, device, model, state, writes)

    def _add_bank(
        self, mine: Mine, device: Device, model: DeviceModel, state: UnitState, writes: bool
    ) -> None:
        outputs = [each for each in mine.outputs if each.device == device.id]
        owned = [each for each in outputs if writes and may_drive(mine.mode, each)]
        if owned:
            self._banks.append(
                Bank(
                    device=device,
                    model=model,
                    outputs=owned,
                    state=state,
                    outbox=self._outbox,
                    scan_us=self._scan_us,
                )
            )


def may_drive(mode: Mode, output: Output) -> bool:
    """Practice 1: `alarm` sounds, only `control` also cuts, `monitor` drives nothing."""
    return mode is Mode.CONTROL or (mode is Mode.ALARM and output.role not in CONTROL_ONLY)
