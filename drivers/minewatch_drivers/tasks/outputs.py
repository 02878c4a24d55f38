"""The relay side of a line: wanted levels become writes, refreshes, heartbeats and read-backs.

A level that changed is written at once; all levels and the relay's heartbeat are repeated at a
quarter of its watchdog time; the coils are read back after every change, before every repetition
and with every scan. Without a fresh wanted table nothing is written: then the relay's own
watchdog acts.
"""

from collections.abc import Mapping, Sequence

from minewatch.model.image import Notice, ReadBack
from minewatch.model.mine import Device, Output
from minewatch_drivers.device_files.device_model import AT_LOSS_BY_ROLE, AtLoss, DeviceModel, Table
from minewatch_drivers.tasks.jobs import BACK_OFF_MAX_US, UnitState
from minewatch_drivers.tasks.outbox import Outbox
from minewatch_drivers.tasks.plan import read_exchange
from minewatch_drivers.wire import modbus
from minewatch_drivers.wire.exchange import Exchange, write_exchange

REFRESH_DEFAULT_US = 1_000_000
RETRY_US = 250_000
RETRY_MAX_US = 2_000_000
"""A module that does not answer is still written this often: what hangs on it is dark or mute."""

LOOKED_US = 100_000
"""A refresh follows a read-back within this time, so that it shows what it is about to undo."""

NEVER_US = 1 << 62

Levels = Mapping[str, bool]


class _Run:
    """Consecutive coils that we own, in coil order.

    `confirmed` are the levels that a read-back has shown since they were written, `changed` the
    outputs that somebody else, or the module itself, has changed since. `looked_us` is when the
    coils were asked last: a refresh looks first, lest it wipe out what it should show.
    """

    def __init__(self, first: int, outputs: tuple[str, ...]) -> None:
        self.first = first
        self.outputs = outputs
        self.written: tuple[bool, ...] | None = None
        self.confirmed: tuple[bool, ...] | None = None
        self.changed: set[str] = set()
        self.looked_us = 0
        self.refresh_us = 0
        self.check_us = 0
        self.misses = 0


class _Task:
    """One question of a relay; what to do with the answer is the bank's business."""

    first_us: int | None = None
    gate = False

    def __init__(
        self, bank: "Bank", exchange: Exchange, run: _Run | None, levels: tuple[bool, ...]
    ):
        self.bank = bank
        self.exchange = exchange
        self.state = bank.state
        self.run = run
        self.levels = levels

    def accept(self, pdu: bytes, first_us: int, now_us: int) -> str:
        """Take the answer."""
        self.bank.answered(self, pdu, first_us, now_us)
        return ""

    def retry(self, _first_us: int) -> bool:
        """Never blindly: the next try is built from the levels that are wanted then."""
        return False

    def refuse(self, now_us: int, first_us: int, _unit_dead: bool) -> None:
        """Say that nothing is known of the coils."""
        self.bank.unanswered(self, now_us, first_us)


class Bank:
    """All outputs on one relay device. `failed` says whether its newest question had no answer."""

    def __init__(
        self,
        *,
        device: Device,
        model: DeviceModel,
        outputs: Sequence[Output],
        state: UnitState,
        outbox: Outbox,
        scan_us: int,
    ) -> None:
        self.state = state
        self.outputs = tuple(output.id for output in outputs)
        self._unit = device.unit
        self._model = model
        self._outbox = outbox
        self._scan_us = scan_us
        self._runs = coil_runs(model, outputs)
        self._keep = _keep_mask(model, outputs)
        watchdog = model.watchdog
        self.refresh_us = watchdog.time_ms * 250 if watchdog else REFRESH_DEFAULT_US
        self._feed_us = 0 if watchdog is not None and watchdog.feed is not None else NEVER_US
        self._beat = 0
        self.failed = False
        self._streak = 0
        self._retry_us = 0
        self._fresh = False
        self._arms = self._armed_last = False
        self._opening = frozenset(
            output.id for output in outputs if AT_LOSS_BY_ROLE[output.role] is AtLoss.OPEN
        )
        self._fed_us = -1
        fed = watchdog is not None and watchdog.feed is not None
        self._alone_us = watchdog.time_ms * 1000 if watchdog and fed else NEVER_US
        self._seen: Levels | None = None

    def reset(self, now_us: int) -> None:
        """A new connection: nothing is known to be written any more, and it is tried at once."""
        self._retry_us = 0
        self._arms = not self._armed_last
        if self._feed_us != NEVER_US:
            self._feed_us = now_us
        if self._fed_us < 0:
            self._fed_us = now_us
        for run in self._runs:
            run.written = run.confirmed = None
            run.check_us = run.refresh_us = now_us

    def next_task(self, now_us: int, wanted: Levels | None) -> _Task | None:
        """Return what to ask now; changes first, then heartbeat, refresh and read-backs.

        After a failure or a new connection the module's watchdog may have run out: it is armed
        first. A heartbeat that nobody confirmed for the watchdog's time counts as none: what the
        module opens by itself then stays open, lest it be energised with nobody to open it.
        """
        if wanted is not None and wanted is not self._seen:
            self._note_change(wanted)
        if now_us < self._retry_us:
            return None
        if self._arms and not self._fresh and wanted is not None and now_us >= self._feed_us:
            self._arms, self._armed_last = False, True
            return self._feed()
        wanted = self._until_armed(wanted, now_us)
        task = None if wanted is None else self._changed(wanted)
        self._fresh = False
        if task is None:
            task = self._unchecked(now_us, at_once=True)
        if task is None and wanted is not None:
            task = self._repeated(now_us, wanted)
        return task or self._unchecked(now_us, at_once=False)

    def _until_armed(self, wanted: Levels | None, now_us: int) -> Levels | None:
        """Return the levels that may be written: none that needs a watchdog which may be off."""
        if wanted is None or now_us - self._fed_us < self._alone_us:
            return wanted
        return {each: wanted[each] and each not in self._opening for each in self.outputs}

    def due_us(self, wanted: Levels | None) -> int:
        """Return when there will be something to ask."""
        times = [max(run.check_us, self.state.hold_us) for run in self._runs]
        if wanted is not None:
            times.append(self._feed_us)
            times += [run.refresh_us for run in self._runs]
        return max(self._retry_us, min(times))

    def lost(self, now_us: int) -> None:
        """Say once a scan that nothing is known of the coils: the line is down."""
        for run in self._runs:
            if now_us >= run.check_us:
                run.check_us = now_us + self._scan_us
                self._unknown(run, now_us)

    def answered(self, task: _Task, pdu: bytes, first_us: int, now_us: int) -> None:
        """Take the answer to `task`."""
        self.state.answered()
        self.failed = False
        run = task.run
        if run is not None and not task.levels:
            self._read_back(run, pdu, first_us, now_us)
            return
        self._streak = 0
        self._retry_us = 0
        if run is None:
            self._feed_us = first_us + self.refresh_us
            self._fed_us = first_us
        else:
            known = task.levels == run.confirmed
            run.written = task.levels
            run.refresh_us = first_us + self.refresh_us
            run.check_us = first_us + self._scan_us if known else 0

    def unanswered(self, task: _Task, now_us: int, first_us: int) -> None:
        """Nothing came: try again at once, then more and more seldom."""
        self.failed = True
        run = task.run
        if run is not None and not task.levels:
            self._missed(run, now_us, first_us)
            return
        self._arms = run is not None
        self._retry_us = now_us + _wait_us(RETRY_US, self._streak, RETRY_MAX_US)
        self._streak += 1
        if run is not None:
            run.written = None
            run.check_us = min(run.check_us, now_us + self._scan_us) or now_us + self._scan_us
            if self._streak > 1:
                self._unknown(run, first_us)

    def _missed(self, run: _Run, now_us: int, first_us: int) -> None:
        """The coils were not read: once more at once, then they are unknown."""
        run.looked_us = now_us
        run.check_us = now_us + _wait_us(self._scan_us, run.misses, BACK_OFF_MAX_US)
        run.misses += 1
        if run.misses > 1:
            self._unknown(run, first_us)

    def _changed(self, wanted: Levels) -> _Task | None:
        for run in self._runs:
            levels = _levels(run, wanted)
            if levels != run.written:
                return self._write(run, levels)
        return None

    def _repeated(self, now_us: int, wanted: Levels) -> _Task | None:
        if now_us >= self._feed_us:
            return self._feed()
        for run in self._runs:
            if now_us >= run.refresh_us:
                if run.confirmed is not None and now_us - run.looked_us > LOOKED_US:
                    return self._read(run)
                return self._write(run, _levels(run, wanted), whole=True)
        return None

    def _unchecked(self, now_us: int, *, at_once: bool) -> _Task | None:
        """Read coils back: those just written (`check_us` 0), or those that are due."""
        if now_us < self.state.hold_us:
            return None
        for run in self._runs:
            if run.check_us == 0 or (not at_once and now_us >= run.check_us):
                return self._read(run)
        return None

    def _note_change(self, wanted: Levels) -> None:
        """A changed level does not wait for a back-off."""
        before, self._seen = self._seen, wanted
        if before is not None and any(before[each] != wanted[each] for each in self.outputs):
            self._retry_us = 0
            self._fresh = True

    def _read_back(self, run: _Run, pdu: bytes, first_us: int, now_us: int) -> None:
        bits = modbus.unpack_bits(pdu[2:], len(run.outputs))
        for output, bit in zip(run.outputs, bits, strict=True):
            self._outbox.read_backs.append(ReadBack(output, bool(bit), first_us // 1000))
        run.misses = 0
        run.looked_us = now_us
        run.check_us = now_us + self._scan_us
        if run.written is None:
            return
        if bits == tuple(map(int, run.written)):
            run.confirmed = run.written
            self._say_changed(run, set())
            return
        if run.written == run.confirmed:
            pairs = zip(run.outputs, bits, run.written, strict=True)
            self._say_changed(run, {output for output, bit, level in pairs if bit != level})
        else:
            self._retry_us = now_us + RETRY_US
        run.written = run.confirmed = None

    def _say_changed(self, run: _Run, changed: set[str]) -> None:
        """Say once which coils no longer stand as they were written and seen, and once the end."""
        for output in sorted(changed ^ run.changed):
            kind = "device_fault" if output in changed else "device_restored"
            self._outbox.notices.append(Notice(kind, output, {"code": "coil_changed"}))
        run.changed = changed

    def _unknown(self, run: _Run, first_us: int) -> None:
        for output in run.outputs:
            self._outbox.read_backs.append(ReadBack(output, None, first_us // 1000))

    def _write(self, run: _Run, levels: tuple[bool, ...], *, whole: bool = False) -> _Task:
        """Write one coil where one changed, else the whole run."""
        self._armed_last = False
        written = run.written
        changed = [n for n, level in enumerate(levels) if written is None or level != written[n]]
        if len(levels) == 1 or (len(changed) == 1 and not whole):
            at = changed[0] if changed else 0
            pdu = modbus.write_coil_pdu(run.first + at, levels[at], self._model.coil_on)
        else:
            pdu = modbus.write_coils_pdu(run.first, levels)
        return _Task(self, write_exchange(self._unit, pdu), run, levels)

    def _feed(self) -> _Task:
        """Write heartbeat, watchdog time and keep mask in one question."""
        watchdog = self._model.watchdog
        assert watchdog is not None
        assert watchdog.feed is not None
        self._beat = self._beat % 0xFFFF + 1
        values = [self._beat]
        if watchdog.time is not None:
            values.append(watchdog.time_ms // watchdog.time_unit_ms)
        if watchdog.keep is not None:
            values.append(self._keep)
        if len(values) == 1:
            pdu = modbus.write_register_pdu(watchdog.feed, values[0])
        else:
            pdu = modbus.write_registers_pdu(watchdog.feed, values)
        return _Task(self, write_exchange(self._unit, pdu), None, ())

    def _read(self, run: _Run) -> _Task:
        exchange = read_exchange(self._unit, Table.COIL, run.first, len(run.outputs))
        return _Task(self, exchange, run, ())


def _wait_us(first_us: int, failures: int, most_us: int) -> int:
    """Return the wait after a failure: none after the first, then doubling up to the most."""
    return min(first_us << min(failures - 1, 8), most_us) if failures else 0


def _levels(run: _Run, wanted: Levels) -> tuple[bool, ...]:
    return tuple(wanted[output] for output in run.outputs)


def coil_runs(model: DeviceModel, outputs: Sequence[Output]) -> tuple[_Run, ...]:
    """Group outputs whose coils follow one another; singly where the relay takes one at a time."""
    ordered = sorted(outputs, key=lambda output: model.channels[output.signal].coil)
    runs: list[_Run] = []
    for output in ordered:
        coil = model.channels[output.signal].coil
        last = runs[-1] if runs and model.write_multiple else None
        if last is not None and coil == last.first + len(last.outputs):
            last.outputs += (output.id,)
        else:
            runs.append(_Run(coil, (output.id,)))
    return tuple(runs)


def _keep_mask(model: DeviceModel, outputs: Sequence[Output]) -> int:
    """Return the mask of channels that keep their state at loss of heartbeat (practice 7)."""
    names = list(model.channels)
    mask = 0
    for output in outputs:
        if AT_LOSS_BY_ROLE[output.role] is AtLoss.KEEP:
            mask |= 1 << names.index(output.signal)
    return mask
