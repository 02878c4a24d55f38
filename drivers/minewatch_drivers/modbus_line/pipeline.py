"""A Modbus TCP line whose devices take several questions at once.

Each question has its transaction number and its own deadline; answers come in any order, and a
lost one fails alone. Writes, read-backs of relays, acknowledgements and inquiries go one after
another, beside the scans. One exchange at a time is `line.Line`, whose rules hold here as well:
an answer is brought to the exchange that it ends, and from there on there is one way only.
"""

from dataclasses import dataclass

from minewatch.model.mine import Bus, Mine
from minewatch_drivers.address import parse_address
from minewatch_drivers.device_files import device_file
from minewatch_drivers.modbus_line.line import SPIN_US, Line, Turn
from minewatch_drivers.pace.load import LoadMeter
from minewatch_drivers.tasks.jobs import Job
from minewatch_drivers.wire import modbus
from minewatch_drivers.wire.exchange import (
    EXCHANGE_BYTES_MAX,
    BadReplyError,
    DeviceRefusalError,
    Exchange,
    next_transaction,
)

ALONE_WAIT_US = 10_000
"""What waits behind a write is looked for this often at most."""


@dataclass(slots=True)
class _Flight:
    """A question that waits for its answer; of those `alone` there is one at a time."""

    job: Job
    exchange: Exchange
    first_us: int
    start_us: int
    deadline_us: int
    alone: bool


class PipelinedLine(Line):
    """The machine of one Modbus TCP bus with up to `depth` questions under way."""

    __slots__ = ("_buffer", "_bytes", "_depth", "_flights", "_transaction")

    def __init__(self, mine: Mine, bus: Bus, *, writes: bool, depth: int) -> None:
        super().__init__(mine, bus, writes=writes)
        self._depth = depth
        self._meter = LoadMeter(depth)
        self._flights: dict[int, _Flight] = {}
        self._transaction = 0
        self._buffer = bytearray()
        self._bytes = 0

    def connected(self, now_us: int) -> None:
        """The connection is open; every unit is unproven again and everything is due."""
        self._buffer.clear()
        self._bytes = 0
        super().connected(now_us)

    def lost(self, now_us: int, why: str) -> None:
        """The connection is gone: all that waits for an answer has none."""
        flights, self._flights = self._flights, {}
        for flight in flights.values():
            self._bring(flight)
            self._over(flight.job, why, now_us)
            flight.job.refuse(now_us, flight.first_us, False)
        super().lost(now_us, why)

    def feed(self, data: bytes, now_us: int) -> None:
        """Take bytes that arrived; call `poll` afterwards."""
        if not self._connected or not data:
            return
        if self._tap is not None:
            self._tap.put(now_us, data, sent=False)
        self._last_byte_us = now_us
        self._bytes += len(data)
        self._buffer += data
        if self._bytes > EXCHANGE_BYTES_MAX * self._depth:
            self._broken("flood", now_us)
        while (frame := self._next_frame(now_us)) is not None:
            self._land(*frame, now_us)

    def _next_frame(self, now_us: int) -> tuple[int, int, bytes] | None:
        try:
            return modbus.split_tcp(self._buffer)
        except ValueError:  # no Modbus TCP; there is no way to find the next frame
            self._broken("framing", now_us)
            return None

    def poll(self, now_us: int) -> Turn:
        """Return what to do now; several questions may leave in one piece."""
        self._polled_us = now_us
        if not self._connected:
            return self._closed(now_us)
        self._end_overdue(now_us)
        if self._reconnect:
            return Turn(None, now_us, reconnect=True)
        self._heed_urgency(now_us)
        ready_us = self._last_byte_us + self._silence_us
        if self._paced and now_us < ready_us:
            return self._silent(ready_us, now_us)
        questions = []
        while len(self._flights) < self._depth:
            question = self._launch(now_us)
            if question is None:
                break
            questions.append(question)
        return Turn(b"".join(questions) or None, self._wake_us(now_us), reconnect=False)

    def _launch(self, now_us: int) -> bytes | None:
        """Ask one more question, None where there is none."""
        flights = self._flights.values()
        busy = any(flight.alone for flight in flights)
        job = None if busy else self._next_alone(now_us)
        alone = job is not None
        if job is None:
            job = self._schedule.next_scan(now_us, [flight.job for flight in flights])
        if job is None and not busy and self._inquiries.waiting:
            job, alone = self._inquiries.next_job(now_us), True
        if job is None:
            return None
        self._transaction = next_transaction(self._transaction)
        first_us = now_us if job.first_us is None else job.first_us
        deadline_us = now_us + self._timeout_us
        flight = _Flight(job, job.exchange, first_us, now_us, deadline_us, alone)
        self._flights[self._transaction] = flight
        self._bytes = 0
        question = self._transaction.to_bytes(2, "big") + job.exchange.tcp_question
        if self._tap is not None:
            self._tap.put(now_us, question, sent=True)
        return question

    def _next_alone(self, now_us: int) -> Job | None:
        """Return the write, or the inquiry that has waited long, that goes before scans."""
        job = self._schedule.next_write(now_us, self._fresh_table(now_us))
        if job is None and self._inquiries.impatient(now_us):
            return self._inquiries.next_job(now_us)
        return job

    def _wake_us(self, now_us: int) -> int:
        """Return when something is due or overdue."""
        flights = self._flights
        wake_us = min((flight.deadline_us for flight in flights.values()), default=1 << 62)
        if len(flights) < self._depth:
            rest_us = ALONE_WAIT_US if any(f.alone for f in flights.values()) else SPIN_US
            flying = [flight.job for flight in flights.values()]
            wake_us = min(wake_us, max(self._due_us(now_us, flying), now_us + rest_us))
        return wake_us

    def _land(self, transaction: int, unit: int, pdu: bytes, now_us: int) -> None:
        """Bring a frame to the question that it answers; one that answers none is counted."""
        flight = self._flights.pop(transaction, None)
        if flight is None:
            self._violations += 1
            return
        self._bring(flight)
        try:
            flight.exchange.check(unit, pdu)
        except DeviceRefusalError as refusal:
            self._refused(flight.job, refusal.code, now_us)
        except BadReplyError as bad:
            self._violations += 1
            self._failed(f"bad_{bad.why}", now_us)
        else:
            self._answered(flight.job, pdu, now_us)

    def _end_overdue(self, now_us: int) -> None:
        """Fail every question whose own time is over; half a frame then ends the stream."""
        overdue = [n for n, flight in self._flights.items() if now_us >= flight.deadline_us]
        for place, transaction in enumerate(overdue):
            flight = self._flights.pop(transaction)
            self._bring(flight)
            # What is over at one time is one silence: a dead unit behind a gateway has several.
            self._failed("timeout", now_us, late=place == 0)
        if overdue and self._buffer:
            self._broken("framing", now_us)

    def _broken(self, why: str, now_us: int) -> None:
        """The stream is lost; which of the units asked broke it cannot be known."""
        self._violations += 1
        self._buffer.clear()
        self._reconnect = why
        self._is_down(why, now_us)

    def _bring(self, flight: _Flight) -> None:
        """Make `flight` the exchange that ends now."""
        self._job = flight.job
        self._first_us, self._start_us = flight.first_us, flight.start_us


def questions_at_once(mine: Mine, bus: Bus) -> int:
    """Return how many questions all devices of a Modbus TCP bus take at once; 1 on other buses."""
    if parse_address(bus.url).transport != "tcp":
        return 1
    models = [device_file.load(each.model) for each in mine.devices if each.bus == bus.id]
    return min((model.in_flight_max for model in models), default=1)
