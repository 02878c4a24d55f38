"""The line: one bus, one owner, one exchange at a time, without a socket or a clock.

Bytes and time go in (`connected`, `feed`, `lost`, `poll`), bytes and a wake time come out. A
runner moves the bytes; `want`, `urge`, `take` and `status` belong to the controller and may be
called from another thread. Order of the day: writes, acknowledgements, then the reads that are
due. An answer that is not exactly what was asked is no answer. On a line without transaction
numbers every failure is followed by silence longer than the worst reply seen, and the unit that
failed is left alone until a reply three times later than the timeout would be past.
"""

from typing import NamedTuple

from minewatch.model.mine import Bus, Mine
from minewatch_drivers.address import parse_address
from minewatch_drivers.modbus_line.desk import STARTING, Desk, LineStatus
from minewatch_drivers.modbus_line.inquiry import InquiryJob
from minewatch_drivers.pace.load import WorstReply
from minewatch_drivers.tasks.jobs import Job, UnitState
from minewatch_drivers.tasks.outbox import Taken
from minewatch_drivers.wire.exchange import (
    BadReplyError,
    DeviceRefusalError,
    RtuEnvelope,
    StreamError,
    TcpEnvelope,
)

__all__ = ["STARTING", "STARTING_US", "Line", "LineStatus", "Taken", "Turn"]

QUIET_MAX_US = 2_000_000
QUIET_MARGIN_US = 20_000
MUTE_FAILURES = 3
"""Timeouts in a row without one good answer after which a TCP connection is opened anew."""

STUCK_US = 30_000_000
"""A serial port that brought no answer for this long is opened anew: its adapter may hang."""

FINAL_REFUSALS = frozenset({1, 2, 3, 5, 6, 10})
"""Exceptions after which the same question at once would only be refused again."""

BACK_OFF_REFUSALS = frozenset({5, 6, 10, 11})
"""Exceptions of a device that is busy, or of a gateway that cannot reach it: ask less often."""

STARTING_US = 100_000
"""Until the runner has said how the first opening went, nothing is known and nothing is said."""

SPIN_US = 1_000
"""The shortest sleep between two turns that had nothing to ask."""


class Turn(NamedTuple):
    """What a runner does next: send these bytes now, call `poll` at `wake_us`, open anew."""

    send: bytes | None
    wake_us: int
    reconnect: bool


_new = tuple.__new__
"""Builds a turn from its fields without the detour of a call in Python: one for each question."""


class Line(Desk):
    """The machine of one bus. `writes=False` constructs no way to write an output at all."""

    __slots__ = (
        "_answers", "_asked", "_asked_before", "_byte_us", "_connected", "_deadline_us",
        "_envelope", "_first_us", "_foreign", "_foreign_us", "_heard", "_job", "_last_byte_us",
        "_late_us", "_mute", "_opened_us", "_paced", "_quiet_us", "_reconnect", "_reopens", "_rtu",
        "_silence_us", "_start_us", "_timeout_us", "_unanswered", "_worst",
    )  # fmt: skip

    def __init__(self, mine: Mine, bus: Bus, *, writes: bool) -> None:
        super().__init__(mine, bus, writes=writes)
        address = parse_address(bus.url)
        self._rtu = address.serial
        self._reopens = address.transport != "rtu"
        self._byte_us = address.byte_us
        self._paced = self._rtu or bus.pause_ms > 0
        self._silence_us = max(address.silence_us, bus.pause_ms * 1000)
        self._timeout_us = bus.timeout_ms * 1000
        self._late_us = min(3 * self._timeout_us, self._timeout_us + QUIET_MAX_US) + QUIET_MARGIN_US
        self._envelope: TcpEnvelope | RtuEnvelope = RtuEnvelope() if self._rtu else TcpEnvelope()
        self._job: Job | None = None
        self._first_us = self._start_us = self._deadline_us = 0
        self._last_byte_us = self._quiet_us = self._foreign_us = self._opened_us = self._mute = 0
        self._worst = WorstReply()
        self._heard = self._answers = 0
        self._unanswered = False
        self._connected = False
        self._reconnect = ""
        self._foreign: tuple[UnitState, int] | None = None
        self._asked: UnitState | None = None
        self._asked_before: UnitState | None = None

    # What the runner calls.

    def connected(self, now_us: int) -> None:
        """The connection or port is open; every unit is unproven again and everything is due."""
        self._connected = True
        self._opened_us = now_us
        self._reconnect = ""
        self._mute = 0
        self._envelope.reset()
        self._last_byte_us = now_us
        self._quiet_us = self._start_us + self._late_us if self._rtu and self._start_us else 0
        self._schedule.restart(now_us)

    def lost(self, now_us: int, why: str) -> None:
        """The connection or port is gone, or could not be opened; `why` is a code."""
        self._connected = False
        self._reconnect = ""
        self._envelope.reset()
        if self._job is not None:
            job, self._job = self._job, None
            self._failures += 1
            self._meter.busy(self._start_us, now_us)
            job.state.why = why
            again = self._last_failure_unit == job.exchange.unit
            self._last_failure_unit = job.exchange.unit
            job.refuse(now_us, self._first_us, again)
        self._is_down(why, now_us)

    def feed(self, data: bytes, now_us: int) -> None:
        """Take bytes that arrived; call `poll` afterwards."""
        if not self._connected or not data:
            return
        self._last_byte_us = now_us
        if self._tap is not None:
            self._tap.put(now_us, data, sent=False)
        job = self._job
        if job is None:
            self._stray(data, now_us)
            return
        try:
            pdu = self._envelope.receive(data)
        except DeviceRefusalError as refusal:
            self._refused(job, refusal.code, now_us)
        except BadReplyError as bad:
            self._violations += 1
            self._failed(f"bad_{bad.why}", now_us)
        except StreamError as broken:
            self._broken(broken.why, now_us)
        else:
            if pdu is not None:
                self._answered(job, pdu, now_us)

    def poll(self, now_us: int) -> Turn:
        """Return what to do now; safe to call at any time, as often as one likes."""
        self._polled_us = now_us
        if not self._connected:
            return self._closed(now_us)
        if self._job is not None:
            if now_us < self._deadline_us:
                return _new(Turn, (None, self._deadline_us, False))
            self._timed_out(now_us)
        if self._reconnect:
            return Turn(None, now_us, reconnect=True)
        if self._urged_now is not self._urged:
            self._heed_urgency(now_us)
        if self._paced:
            owed_us = max(self._quiet_us, self._foreign_us)
            ready_us = max(owed_us, self._last_byte_us + self._silence_us)
            if now_us < ready_us:
                return self._silent(ready_us, now_us)
        job = self._next_job(now_us)
        if job is not None:
            return _new(Turn, (self._ask(job, now_us), self._deadline_us, False))
        return Turn(None, max(self._due_us(now_us), now_us + SPIN_US), reconnect=False)

    def _closed(self, now_us: int) -> Turn:
        """Nothing can be asked: what is due fails."""
        if self._error == STARTING:
            return Turn(None, now_us + STARTING_US, reconnect=False)
        self._inquiries.fail_all(now_us)
        return Turn(None, self._schedule.fail_due(now_us), reconnect=False)

    def _silent(self, ready_us: int, now_us: int) -> Turn:
        """Silence is owed until `ready_us`; where noise never lets it pass, what is due fails."""
        if self._schedule.overdue(now_us):
            self._is_down("noise", now_us)
            self._schedule.fail_due(now_us)
        return Turn(None, ready_us, reconnect=False)

    @property
    def missing_bytes(self) -> int:
        """How many bytes of the answer are surely still to come; a runner may sleep that long."""
        return self._envelope.missing

    @property
    def answered_since_open(self) -> bool:
        """Whether any unit has answered since the connection was opened last."""
        return self._last_us >= self._opened_us > 0

    @property
    def _stray_frames(self) -> int:
        return self._envelope.violations

    # One exchange.

    def _ask(self, job: Job, now_us: int) -> bytes:
        self._job = job
        self._start_us = now_us
        first_us = job.first_us
        self._first_us = now_us if first_us is None else first_us
        exchange = job.exchange
        self._asked_before, self._asked = self._asked, job.state
        data = self._envelope.open(exchange)
        self._deadline_us = now_us + self._timeout_us
        if self._rtu:
            self._deadline_us += int(self._byte_us * (len(data) + exchange.reply_size + 3))
            self._last_byte_us = now_us + int(self._byte_us * len(data))
        if self._tap is not None:
            self._tap.put(now_us, data, sent=True)
        return data

    def _answered(self, job: Job, pdu: bytes, now_us: int) -> None:
        refused = job.accept(pdu, self._first_us, now_us)
        if refused:
            self._violations += 1
            self._failed(refused, now_us)
            return
        self._job = None
        self._exchanges += 1
        self._mute = 0
        self._last_us = now_us
        if not self._up:
            self._alive(now_us)
        self._meter.busy(self._start_us, now_us)
        if self._rtu:
            self._unanswered = False
            self._worst.note(now_us - self._start_us, now_us)
            if self._envelope.asked_by_another:
                self._heed_another(now_us)

    def _alive(self, now_us: int) -> None:
        self._mute = 0
        self._last_us = now_us
        if not self._up:
            self._up, self._error, self._since_us = True, "", now_us

    def _timed_out(self, now_us: int) -> None:
        spoken = self._envelope.close()
        self._violations += spoken
        if spoken and not self._rtu:
            self._broken("framing", now_us)
            return
        self._failed("bad_reply" if spoken else "timeout", now_us, late=True)

    def _refused(self, job: Job, code: int, now_us: int) -> None:
        """The device, or the gateway in front of it, said no: proper words, but no value."""
        self._alive(now_us)
        self._over(job, f"exception_{code}", now_us)
        if code in FINAL_REFUSALS or not job.retry(self._first_us):
            job.refuse(now_us, self._first_us, code in BACK_OFF_REFUSALS or job.gate)

    def _failed(self, why: str, now_us: int, *, late: bool = False, final: bool = False) -> None:
        """End the exchange without an answer: retry later or give up, and keep silent (RTU)."""
        job = self._job
        assert job is not None
        self._over(job, why, now_us)
        self._keep_silent(job, now_us)
        if final or not job.retry(self._first_us):
            job.refuse(now_us, self._first_us, True)
        self._mute += late and not isinstance(job, InquiryJob)
        if self._mute >= MUTE_FAILURES:
            self._is_down(why, now_us)
            if self._reopens or now_us - max(self._last_us, self._opened_us) > STUCK_US:
                self._reconnect = why

    def _over(self, job: Job, why: str, now_us: int) -> None:
        """End an exchange that brought no value."""
        self._job = None
        self._envelope.close()
        self._count_failure(job, why, self._start_us, now_us)

    def _keep_silent(self, job: Job, now_us: int) -> None:
        """Owe silence: the line until late bytes are past, the unit until a late reply is."""
        job.state.proved = False
        if not self._rtu:
            return
        quiet_us = max(1.5 * self._worst.us, self._timeout_us / 2) + QUIET_MARGIN_US
        self._quiet_us = now_us + int(min(quiet_us, QUIET_MAX_US))
        job.state.hold_us = max(self._quiet_us, self._start_us + self._late_us)
        self._unanswered = True
        if self._envelope.asked_by_another:
            self._heed_another(now_us)

    def _stray(self, data: bytes, now_us: int) -> None:
        """Bytes that nobody asked for: a late reply, noise or another master."""
        try:
            self._envelope.receive(data)
        except (StreamError, BadReplyError, DeviceRefusalError) as stray:
            if isinstance(stray, StreamError):
                self._broken(stray.why, now_us)
        if self._rtu:
            # Another master's words, and noise where no answer is missing, are no late answer.
            if self._unanswered and now_us >= self._foreign_us:
                self._worst.note(min(now_us - self._start_us, QUIET_MAX_US), now_us)
            self._quiet_us = max(self._quiet_us, now_us + QUIET_MARGIN_US)
            self._heed_another(now_us)

    def _heed_another(self, now_us: int) -> None:
        """Another master's answer is waited for; its unit is left alone while that may be late."""
        unit = self._envelope.asked_by_another
        heard, self._heard = self._heard, self._envelope.questions_heard
        if unit and heard == self._heard:
            return  # noise behind the question: nothing has changed
        answered, self._answers = self._answers, self._envelope.answers_heard
        self._foreign_us = now_us + self._timeout_us if unit else 0
        state, hold_us = self._foreign or (None, 0)
        if state is not None and answered != self._answers:
            state.hold_us = max(hold_us, self._quiet_us)
        self._foreign, asked = None, self._schedule.state_of(unit)
        if asked is not None:
            self._foreign = (asked, hold_us if asked is state else asked.hold_us)
            asked.hold_us = max(asked.hold_us, now_us + self._late_us)

    def _broken(self, why: str, now_us: int) -> None:
        """The stream is lost: a flood, or no frames any more; its culprit must not starve others.

        Bytes from before a question are not the fault of the unit that is asked now.
        """
        self._violations += 1
        culprit: UnitState | None = None
        if self._job is None:
            culprit = self._asked
        else:
            culprit = self._asked_before if self._envelope.soiled else None
            self._failed(why, now_us, final=self._reopens and culprit is None)
        if self._reopens:
            if culprit is not None:
                culprit.failed(now_us, self.bus.scan_ms * 1000)
            self._reconnect = why
            self._is_down(why, now_us)
        else:
            self._envelope.reset()
