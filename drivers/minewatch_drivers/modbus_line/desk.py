"""The controller's side of a line: what it wants, takes, asks and is told, whatever is under way.

`want`, `urge`, `take`, `status`, inquiries and the tap may be called from one other thread than
the line's; they only exchange whole objects. `line` does the exchanges.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from minewatch.model.mine import Bus, Mine
from minewatch_drivers.modbus_line.inquiry import (
    Inquiries,
    Inquiry,
    InquiryJob,
    InquiryReply,
    Tap,
    Traffic,
)
from minewatch_drivers.modbus_line.schedule import Schedule
from minewatch_drivers.pace.load import LoadMeter
from minewatch_drivers.pace.rhythm import LineRhythm
from minewatch_drivers.tasks.jobs import Job
from minewatch_drivers.tasks.outbox import Outbox, Taken
from minewatch_drivers.tasks.outputs import Levels

WANTED_AGE_MAX_US = 500_000

STARTING = "starting"


class LineStatus(NamedTuple):
    """How a line is. `error` is a code, empty when up; `load` is the busy share of its time.

    `last_failure` is the code of the newest exchange without a value, of `last_failure_unit`: a
    gateway's `exception_10` shows here while the line itself is up.
    """

    up: bool
    error: str
    since_us: int
    exchanges: int
    failures: int
    violations: int
    last_us: int
    load: float
    last_failure: str = ""
    last_failure_unit: int = 0


class Desk:
    """What a line knows of its bus and tells of itself."""

    __slots__ = (
        "_error", "_exchanges", "_failures", "_inquiries", "_last_failure", "_last_failure_unit",
        "_last_us", "_meter", "_outbox", "_polled_us", "_schedule", "_since_us", "_tap", "_up",
        "_urged", "_urged_now", "_violations", "_wanted", "bus", "outputs",
    )  # fmt: skip

    def __init__(self, mine: Mine, bus: Bus, *, writes: bool) -> None:
        self.bus = bus
        self._outbox = Outbox()
        self._schedule = Schedule(mine, bus, self._outbox, writes=writes)
        self.outputs = self._schedule.outputs
        self._wanted: tuple[Levels, int] | None = None
        self._urged: tuple[frozenset[str], int] = (frozenset(), 0)
        self._urged_now = self._urged
        self._up, self._error, self._since_us, self._last_us = False, STARTING, 0, 0
        self._exchanges = self._failures = self._violations = self._polled_us = 0
        self._last_failure, self._last_failure_unit = "", 0
        self._meter = LoadMeter()
        self._inquiries = Inquiries(writes=writes, state_of=self._schedule.state_of)
        self._tap: Tap | None = None

    @property
    def fresh(self) -> bool:
        """Whether `take` would return anything."""
        box = self._outbox
        return bool(box.samples or box.sightings or box.read_backs or box.notices)

    def want(self, table: Mapping[str, bool], now_us: int) -> None:
        """Set the wanted level of every output of this line.

        A table that leaves one of `outputs` out is refused: then, as without any table, neither
        levels nor heartbeat are written and the relay's own watchdog acts.
        """
        complete = all(output in table for output in self.outputs)
        self._wanted = (dict(table), now_us) if complete and self.outputs else None

    def urge(self, points: Collection[str], scan_ms: int) -> None:
        """Scan these points every `scan_ms` and all others as configured; empty is normal."""
        self._urged = (frozenset(points), scan_ms * 1000)

    def take(self) -> Taken:
        """Return what was learned since the last call."""
        return self._outbox.take()

    def status(self) -> LineStatus:
        """Return how the line is."""
        return LineStatus(
            self._up,
            self._error,
            self._since_us,
            self._exchanges,
            self._failures,
            self._violations + self._stray_frames,
            self._last_us,
            self._meter.load,
            self._last_failure,
            self._last_failure_unit,
        )

    def rhythm(self) -> LineRhythm:
        """Return how punctual the scans of this line are."""
        return self._schedule.rhythm()

    def inquire(self, inquiry: Inquiry) -> bool:
        """Queue a question of a person; False where too many wait. Kick the runner afterwards."""
        return self._inquiries.ask(inquiry, self._polled_us)

    def replies(self) -> tuple[InquiryReply, ...]:
        """Return what came of inquiries since the last call."""
        return self._inquiries.take()

    def tap(self, on: bool) -> None:
        """Begin or end to copy what runs on the line."""
        self._tap = Tap() if on else None

    def tapped(self) -> tuple[Traffic, ...]:
        """Return what ran since the last call, in order; nothing without `tap`."""
        tap = self._tap
        return () if tap is None else tap.take()

    @property
    def tap_dropped(self) -> int:
        """How many pieces of traffic nobody fetched in time since `tap`."""
        tap = self._tap
        return 0 if tap is None else tap.dropped

    @property
    def _stray_frames(self) -> int:
        """Frames that answered nothing; the line counts them."""
        return 0

    # What the line itself needs of it.

    def _fresh_table(self, now_us: int) -> Levels | None:
        wanted = self._wanted
        if wanted is None or now_us - wanted[1] > WANTED_AGE_MAX_US:
            return None
        return wanted[0]

    def _next_job(self, now_us: int) -> Job | None:
        """Writes, then scans, then inquiries; an inquiry that has waited long goes before scans."""
        schedule, inquiries = self._schedule, self._inquiries
        if schedule.writes:
            job = schedule.next_write(now_us, self._fresh_table(now_us))
            if job is not None:
                return job
        if not inquiries.waiting:
            return schedule.next_scan(now_us)
        job = inquiries.next_job(now_us) if inquiries.impatient(now_us) else None
        return job or schedule.next_scan(now_us) or inquiries.next_job(now_us)

    def _heed_urgency(self, now_us: int) -> None:
        """Take up what `urge` said last."""
        if self._urged_now is not self._urged:
            self._urged_now = points, period_us = self._urged
            self._schedule.urge(now_us, points, period_us)

    def _due_us(self, now_us: int, flying: Collection[Job] = ()) -> int:
        """Return when there will be something to ask beside `flying`."""
        due_us = self._schedule.due_us(now_us, self._fresh_table(now_us), flying)
        if self._inquiries.waiting:
            due_us = min(due_us, self._inquiries.due_us(now_us))
        return due_us

    def _is_down(self, why: str, now_us: int) -> None:
        if self._up or self._error == STARTING:
            self._since_us = now_us
        self._up, self._error = False, why

    def _count_failure(self, job: Job, why: str, start_us: int, now_us: int) -> None:
        """Count an exchange that brought no value, and remember why; inquiries do not tell."""
        self._failures += 1
        self._meter.busy(start_us, now_us)
        job.state.why = why
        if not isinstance(job, InquiryJob):
            self._last_failure, self._last_failure_unit = why, job.exchange.unit
