"""Whose turn it is on a line: writes, acknowledgements, then the scan that is longest due.

Built once from the mine; it knows no bytes and no silence, only jobs and when they are due.
"""

from collections.abc import Collection

from minewatch.model.mine import Bus, Device, Mine, Mode, Output, OutputRole
from minewatch_drivers import device_file
from minewatch_drivers.device_model import DeviceModel
from minewatch_drivers.jobs import Job, Outbox, Poll, UnitState
from minewatch_drivers.outputs import Bank, Levels
from minewatch_drivers.plan import plan_device
from minewatch_drivers.reader import ReaderScan, open_reader

GATE_US = 2_000_000
GATE_WITHOUT_HEARTBEAT_US = 10_000_000
"""How often an identity block of its own is read where nothing has failed."""

ACKNOWLEDGE_WAIT_US = 50_000
SPREAD_MAX_US = 1_000_000
"""Scans of a line are spread over their period, at most over this time."""

OVERDUE_US = 4_000_000
"""A line that noise keeps from asking for this long has no values."""

NEVER_US = 1 << 62


class Schedule:
    """The jobs of one bus. `writes=False` constructs no way to write an output at all."""

    def __init__(self, mine: Mine, bus: Bus, outbox: Outbox, *, writes: bool) -> None:
        self._outbox = outbox
        self._scan_us = bus.scan_ms * 1000
        self._states: list[UnitState] = []
        self._by_unit: dict[int, UnitState] = {}
        self._polls: list[Poll] = []
        self._gates: dict[int, Poll] = {}
        self._readers: list[ReaderScan] = []
        self._banks: list[Bank] = []
        for device in mine.devices:
            if device.bus == bus.id:
                self._add(mine, device, writes)
        self._scans: list[Poll | ReaderScan] = [*self._polls, *self._readers]
        self.outputs = tuple(output for bank in self._banks for output in bank.outputs)

    def restart(self, now_us: int) -> None:
        """A new connection: every unit is unproven, everything is due, nothing is written.

        Each scan is due since a time of its own, and keeps that phase: otherwise all of a line,
        and all lines of a house, would be asked in one burst every period and wait for each other.
        """
        for state in self._states:
            state.reset()
        for reader in self._readers:
            reader.reset(now_us)
        count = len(self._scans)
        for place, scan in enumerate(self._scans, 1):
            spread_us = min(scan.period_us, SPREAD_MAX_US)
            scan.due_us = now_us - spread_us * (count - place) // count
            scan.first_us = None
        for bank in self._banks:
            bank.reset(now_us)

    def next_job(
        self, now_us: int, wanted: Levels | None, flying: Collection[Job] = ()
    ) -> Job | None:
        """Return what to ask now, or None; nothing of `flying`, which waits for its answer."""
        return self.next_write(now_us, wanted) or self.next_scan(now_us, flying)

    def next_write(self, now_us: int, wanted: Levels | None) -> Job | None:
        """Return what relays and readers need now, or None."""
        for bank in self._banks:
            task = bank.next_task(now_us, wanted)
            if task is not None:
                return task
        for reader in self._readers:
            acknowledge = reader.acknowledge(now_us)
            if acknowledge is not None:
                return acknowledge
        return None

    def state_of(self, unit: int) -> UnitState | None:
        """Return what is remembered of a unit number, None where no device of ours has it."""
        return self._by_unit.get(unit)

    def due_us(self, now_us: int, wanted: Levels | None, flying: Collection[Job] = ()) -> int:
        """Return when there will be something to ask beside `flying`."""
        due = NEVER_US
        for scan in self._scans:
            if scan not in flying:
                due = min(due, max(scan.due_us, scan.state.hold_us))
        for bank in self._banks:
            due = min(due, bank.due_us(wanted))
        for reader in self._readers:
            due = min(due, max(reader.acknowledge_us, now_us + ACKNOWLEDGE_WAIT_US))
        return due

    def overdue(self, now_us: int) -> bool:
        """Return whether scans have been kept waiting for too long."""
        return any(scan.due_us + OVERDUE_US < now_us for scan in self._scans)

    def fail_due(self, now_us: int) -> int:
        """Let everything that is due fail unasked; returns when more will be due."""
        for scan in self._scans:
            if scan.due_us <= now_us:
                scan.refuse(now_us, scan.first_us or now_us, False)
        for bank in self._banks:
            bank.lost(now_us)
        return min((scan.due_us for scan in self._scans), default=now_us + self._scan_us)

    def urge(self, now_us: int, points: Collection[str], period_us: int) -> None:
        """Scan the blocks of `points` this often, all others as configured."""
        urged = frozenset(points)
        for poll in self._polls:
            fast = not urged.isdisjoint(poll.points)
            poll.urge(now_us, min(period_us, poll.normal_us) if fast else poll.normal_us)

    def next_scan(self, now_us: int, flying: Collection[Job] = ()) -> Job | None:
        """Return the scan that is longest due; scans of dead units fail without being asked."""
        best: Poll | ReaderScan | None = None
        best_due = now_us + 1
        for scan in self._scans:
            if scan.due_us < best_due and scan not in flying:
                state = scan.state
                if now_us < state.skip_us:
                    scan.refuse(now_us, scan.first_us or now_us, False)
                elif now_us >= state.hold_us:
                    best, best_due = scan, scan.due_us
        if best is not None and not best.state.proved:
            gate = self._gates.get(id(best.state), best)
            return None if gate in flying else gate
        return best

    def _add(self, mine: Mine, device: Device, writes: bool) -> None:
        model = device_file.load(device.model)
        state = UnitState(model.heartbeat.every_ms if model.heartbeat else None)
        self._states.append(state)
        self._by_unit[device.unit] = state
        self._add_polls(mine, device, model, state)
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

    def _add_polls(self, mine: Mine, device: Device, model: DeviceModel, state: UnitState) -> None:
        points = [point for point in mine.points if point.device == device.id]
        if not points:
            return
        plan = plan_device(device, model, points)
        for block in plan.blocks:
            self._polls.append(Poll(device.id, block, state, self._outbox, self._scan_us))
        if plan.identity is not None:
            slow = GATE_US if model.heartbeat else GATE_WITHOUT_HEARTBEAT_US
            period_us = max(self._scan_us, slow)
            gate = Poll(device.id, plan.identity, state, self._outbox, period_us)
            self._polls.append(gate)
            if plan.identity.sentinel is not None:
                gate.gate = True
                self._gates[id(state)] = gate


def may_drive(mode: Mode, output: Output) -> bool:
    """Practice 1: `alarm` sounds, only `control` also cuts, `monitor` drives nothing."""
    return mode is Mode.CONTROL or (mode is Mode.ALARM and output.role is not OutputRole.POWER_CUT)
