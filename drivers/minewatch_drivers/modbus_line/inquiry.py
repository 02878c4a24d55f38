"""Questions that a person asks through a line that is ours, and the copy of what runs on it.

An inquiry waits its turn behind writes and due scans, two seconds at most, and obeys every rule
of an exchange; its failure says nothing about the unit. The controller's thread asks and takes,
the line's thread answers: both queues are bounded deques and nothing else is shared.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from minewatch_drivers.tasks.jobs import UnitState
from minewatch_drivers.wire import modbus
from minewatch_drivers.wire.exchange import Exchange, exchange_of

WAITING_MAX = 8
"""Inquiries that wait at one line; one more is told to come later."""

REPLIES_MAX = 64
"""Replies kept for somebody who does not fetch them; the oldest go first."""

PATIENCE_US = 2_000_000
"""After this an inquiry goes before scans that are due, never before a write."""

TURN_LIMIT_US = 10_000_000
"""An inquiry that could not be asked by then (noise, a unit under silence) is given up."""

TRAFFIC_MAX = 2_000
"""Pieces of traffic kept for a watcher of the line; the oldest go first and are counted."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A question for one unit; `pdu` is function and data, `id` comes back with the reply."""

    id: str
    unit: int
    pdu: bytes


@dataclass(frozen=True, slots=True)
class InquiryReply:
    """What came of an inquiry: the reply's PDU, or None and a code; times in µs of the line.

    `error` is `timeout`, `bad_…` or `exception_…` as for any exchange, `no_question` for a PDU
    that is none, `no_writes` where the line constructs no write, `not_open`, or `no_turn`.
    """

    id: str
    pdu: bytes | None
    error: str
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes that were sent or received at once."""

    t_us: int
    sent: bool
    data: bytes


class InquiryJob:
    """An inquiry as something a line asks: once, and without a word about the unit's health."""

    first_us: int | None = None
    gate = False

    def __init__(
        self,
        inquiry: Inquiry,
        exchange: Exchange,
        state: UnitState,
        say: Callable[[InquiryReply], None],
    ) -> None:
        self.exchange = exchange
        self.state = state
        self._inquiry = inquiry
        self._say = say

    def accept(self, pdu: bytes, first_us: int, now_us: int) -> str:
        """Pass the answer on."""
        self._say(InquiryReply(self._inquiry.id, pdu, "", first_us, now_us))
        return ""

    def retry(self, _first_us: int) -> bool:
        """Never: a person asks again."""
        return False

    def refuse(self, now_us: int, first_us: int, _unit_dead: bool) -> None:
        """Pass the reason on; the unit's own scans keep their opinion of it."""
        why, self.state.why = self.state.why, ""
        self._say(InquiryReply(self._inquiry.id, None, why, first_us, now_us))


class Inquiries:
    """The queue of one line. `writes` False refuses every question that changes something.

    `state_of` gives what the line remembers of a unit, so that the silence owed to a unit holds
    for scans and inquiries alike.
    """

    def __init__(self, *, writes: bool, state_of: Callable[[int], UnitState | None]) -> None:
        self.waiting: deque[tuple[Inquiry, int]] = deque()
        self._writes = writes
        self._state_of = state_of
        self._strangers: dict[int, UnitState] = {}
        self._replies: deque[InquiryReply] = deque(maxlen=REPLIES_MAX)

    def ask(self, inquiry: Inquiry, now_us: int) -> bool:
        """Queue an inquiry; False where too many wait. A wrong one is answered at once."""
        error = self._wrong(inquiry)
        if error:
            self._replies.append(InquiryReply(inquiry.id, None, error, now_us, now_us))
            return True
        if len(self.waiting) >= WAITING_MAX:
            return False
        self.waiting.append((inquiry, now_us))
        return True

    def take(self) -> tuple[InquiryReply, ...]:
        """Return the replies since the last call, in order."""
        replies = self._replies
        return tuple([replies.popleft() for _ in range(len(replies))])

    def impatient(self, now_us: int) -> bool:
        """Return whether the first inquiry has waited long enough to go before due scans."""
        return bool(self.waiting) and now_us - self.waiting[0][1] >= PATIENCE_US

    def next_job(self, now_us: int) -> InquiryJob | None:
        """Return the inquiry to ask now: the first whose unit is not under silence."""
        while self.waiting and now_us - self.waiting[0][1] > TURN_LIMIT_US:
            self._give_up("no_turn", now_us)
        for place, (inquiry, _) in enumerate(tuple(self.waiting)):
            state = self._state(inquiry.unit)
            if state.hold_us <= now_us:
                del self.waiting[place]
                exchange = exchange_of(inquiry.unit, inquiry.pdu)
                return InquiryJob(inquiry, exchange, state, self._replies.append)
        return None

    def due_us(self, now_us: int) -> int:
        """Return when an inquiry that waits may be asked; call it only while one waits."""
        waiting = tuple(self.waiting)
        return min(max(now_us, self._state(each.unit).hold_us) for each, _ in waiting)

    def fail_all(self, now_us: int) -> None:
        """The line is not open: nothing that waits can be asked."""
        while self.waiting:
            self._give_up("not_open", now_us)

    def _give_up(self, error: str, now_us: int) -> None:
        inquiry, asked_us = self.waiting.popleft()
        self._replies.append(InquiryReply(inquiry.id, None, error, asked_us, now_us))

    def _wrong(self, inquiry: Inquiry) -> str:
        try:
            exchange = exchange_of(inquiry.unit, inquiry.pdu)
        except ValueError:
            return "no_question"
        return "" if self._writes or exchange.function in modbus.READS else "no_writes"

    def _state(self, unit: int) -> UnitState:
        known = self._state_of(unit)
        if known is not None:
            return known
        return self._strangers.setdefault(unit, UnitState(None))


class Tap:
    """A bounded copy of the bytes of a line; `dropped` counts what nobody fetched in time."""

    def __init__(self) -> None:
        self.dropped = 0
        self._kept: deque[Traffic] = deque(maxlen=TRAFFIC_MAX)

    def put(self, t_us: int, data: bytes, *, sent: bool) -> None:
        """Keep one piece."""
        self.dropped += len(self._kept) == TRAFFIC_MAX
        self._kept.append(Traffic(t_us, sent, data))

    def take(self) -> tuple[Traffic, ...]:
        """Return what ran since the last call, in order."""
        kept = self._kept
        return tuple([kept.popleft() for _ in range(len(kept))])
