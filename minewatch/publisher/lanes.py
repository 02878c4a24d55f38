"""The lanes: what goes out next, and what is done with the broker's answer.

At most `WINDOW_MAX` messages are unacknowledged, fewer where the broker asks for it. Alarms go
first, then states, then what is said only to a broker that listens now (status, birth, live,
replies), then events in ledger order, then stored telemetry. Backlog never takes the whole
window, so that live stays live. A session that ends takes its window with it: rows and events are
sent again, de-duplicated by their number. A stream that the broker refused rests, then one message
of it tries: brokers cut off who insists.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from minewatch.publisher.ledger_follow import LedgerFollow
from minewatch.publisher.link import WINDOW_MAX
from minewatch.publisher.outbox import Class, Outbox, Row
from minewatch.record.ledger import Entry

LIVE_ROOM = 6
"""Places of the window that backlog leaves free."""

DIRECT_MAX = 64
BATCH = 32
HOLD_MS = 10_000
HOLD_MAX_MS = 600_000
"""How long a stream rests after the broker refused a message of it: first, and after doubling."""

DONE_MAX = 20

CURSOR_EVERY = 256

Send = Callable[[str, bytes, bool], int | None]
Encode = Callable[[Entry, bool], bytes]
BACKFILL = b'{"backfill":true,'


class Lane(Enum):
    """Where a message came from, the most urgent first."""

    ALARM = "alarm"
    STATE = "state"
    DIRECT = "direct"
    EVENT = "event"
    TELEMETRY = "telemetry"


STORED = {Lane.ALARM: Class.ALARM, Lane.STATE: Class.STATE, Lane.TELEMETRY: Class.TELEMETRY}


@dataclass(frozen=True, slots=True)
class Job:
    """One message on its way; `key` is an outbox id or a ledger index."""

    lane: Lane
    stream: str
    key: int
    sent_ms: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the broker refused a stream, until when it rests and how long that is."""

    reason: str
    until_ms: int
    hold_ms: int


class Lanes:
    """Feeds one session after the other.

    `send(topic, payload, retain)` gives a mid, or None when the session is gone; `encode(entry,
    backfill)` gives the payload of an event.
    """

    def __init__(self, outbox: Outbox, ledger: LedgerFollow, send: Send, encode: Encode) -> None:
        self._outbox = outbox
        self._ledger = ledger
        self._send = send
        self._encode = encode
        self._in_flight: dict[int, Job] = {}
        self._direct: deque[tuple[str, bytes, bool]] = deque()
        self._rows: dict[Lane, deque[Row]] = {lane: deque() for lane in STORED}
        self._read_to: dict[Lane, int] = dict.fromkeys(STORED, 0)
        self._refusals: dict[str, Refusal] = {}
        self._window = WINDOW_MAX
        self._done: list[int] = []
        self._entries: deque[Entry] = deque()
        self._acked: set[int] = set()
        self._backlog_rows = 0
        self._backlog_end = 0
        self._saved = 0
        self.open = False
        self.cursor = 0
        self.event_next = 0
        self.rejected = 0

    @property
    def refusal(self) -> str:
        """Return why the broker refuses a stream, empty when it takes them all."""
        return next((each.reason for each in self._refusals.values()), "")

    def forget_refusals(self) -> None:
        """Begin afresh: another broker, another configuration."""
        self._refusals.clear()

    def opened(self, window: int = WINDOW_MAX) -> None:
        """Start a session: everything unacknowledged goes out again."""
        self._window = max(1, window)
        self._save()
        self.cursor = self._saved = self._outbox.cursor(self._ledger.origin)
        self._in_flight.clear()
        self._direct.clear()
        self._restart_events()
        for lane in STORED:
            self._restart_rows(lane)
        self._backlog_rows = self._outbox.newest()
        self._backlog_end = self._ledger.size()
        self.open = True

    def closed(self) -> None:
        """End a session."""
        self.open = False
        self._in_flight.clear()
        self._direct.clear()
        self._save()

    def offer(self, topic: str, payload: bytes, *, retain: bool) -> bool:
        """Send something that is only said to a broker that listens now; False when it is shed."""
        if not self.open or len(self._direct) >= DIRECT_MAX:
            return False
        self._direct.append((topic, payload, retain))
        return True

    def pump(self, now_ms: int) -> None:
        """Fill the window."""
        if not self.open:
            return
        for lane in Lane:
            while len(self._in_flight) < self._window and self._send_next(lane, now_ms):
                pass

    def acked(self, mid: int, refused: str, now_ms: int) -> None:
        """Take the broker's answer to one message."""
        job = self._in_flight.pop(mid, None)
        if job is None:
            return
        if refused:
            self._refused(job, refused, now_ms)
            return
        self._refusals.pop(job.stream, None)
        if job.lane is Lane.EVENT:
            self._received(job.key)
        elif job.lane in STORED:
            self._done.append(job.key)
            if len(self._done) >= DONE_MAX:
                self._save()

    def tick(self) -> None:
        """Put on disk what was received."""
        self._save()

    def oldest_ms(self) -> int | None:
        """Return when the oldest unacknowledged message was sent."""
        return min((job.sent_ms for job in self._in_flight.values()), default=None)

    def idle(self) -> bool:
        """Tell whether nothing waits for an answer of the broker."""
        return not self._in_flight and not self._direct

    def backlog(self) -> int:
        """Return how many stored messages and events the broker has not got."""
        return self._outbox.rows + max(0, self._ledger.size() - self.cursor)

    def _send_next(self, lane: Lane, now_ms: int) -> bool:
        if lane is Lane.DIRECT:
            return self._send_direct(now_ms)
        return self._send_event(now_ms) if lane is Lane.EVENT else self._send_row(lane, now_ms)

    def _send_row(self, lane: Lane, now_ms: int) -> bool:
        waiting = self._rows[lane]
        if not waiting:
            waiting.extend(self._outbox.pending(STORED[lane], self._read_to[lane], BATCH))
            if not waiting:
                return False
            self._read_to[lane] = waiting[-1].id
        row = waiting[0]
        if self._resting(row.stream, now_ms):
            return False
        old = row.id <= self._backlog_rows
        if old and self._backlog_is_wide(lane):
            return False
        payload, retain = row.payload, row.retain
        if old and payload:
            payload = BACKFILL + payload[1:]
            retain = retain and lane is Lane.ALARM
        if not self._put(Job(lane, row.stream, row.id, now_ms), row.topic, payload, retain=retain):
            return False
        waiting.popleft()
        return True

    def _send_direct(self, now_ms: int) -> bool:
        if not self._direct:
            return False
        topic, payload, retain = self._direct[0]
        stream = topic.partition("/")[0]
        if self._resting(stream, now_ms):
            self._direct.popleft()
            return True
        if not self._put(Job(Lane.DIRECT, stream, 0, now_ms), topic, payload, retain=retain):
            return False
        self._direct.popleft()
        return True

    def _send_event(self, now_ms: int) -> bool:
        if self._resting("event", now_ms) or self._backlog_is_wide(Lane.EVENT):
            return False
        if not self._entries:
            self._entries.extend(self._ledger.entries(self.event_next, BATCH))
            if not self._entries:
                return False
        entry = self._entries[0]
        payload = self._encode(entry, entry.index < self._backlog_end)
        job = Job(Lane.EVENT, "event", entry.index, now_ms)
        if not self._put(job, "event", payload, retain=False):
            return False
        self._entries.popleft()
        self.event_next = entry.index + 1
        return True

    def _put(self, job: Job, topic: str, payload: bytes, *, retain: bool) -> bool:
        mid = self._send(topic, payload, retain)
        if mid is None:
            self.open = False
            return False
        self._in_flight[mid] = job
        return True

    def _backlog_is_wide(self, lane: Lane) -> bool:
        room = max(1, self._window - LIVE_ROOM)
        return sum(job.lane is lane for job in self._in_flight.values()) >= room

    def _resting(self, stream: str, now_ms: int) -> bool:
        refusal = self._refusals.get(stream)
        if refusal is None:
            return False
        trying = any(job.stream == stream for job in self._in_flight.values())
        return trying or now_ms < refusal.until_ms

    def _refused(self, job: Job, reason: str, now_ms: int) -> None:
        """Let the stream rest and start again at what the broker has not taken."""
        self.rejected += 1
        before = self._refusals.get(job.stream)
        if before is None or now_ms >= before.until_ms:
            hold_ms = HOLD_MS if before is None else min(2 * before.hold_ms, HOLD_MAX_MS)
            self._refusals[job.stream] = Refusal(reason, now_ms + hold_ms, hold_ms)
        if job.lane is Lane.EVENT:
            self._restart_events()
        elif job.lane in STORED:
            self._save()
            self._restart_rows(job.lane)

    def _received(self, index: int) -> None:
        self._acked.add(index)
        while self.cursor in self._acked:
            self._acked.discard(self.cursor)
            self.cursor += 1
        if self.cursor - self._saved >= CURSOR_EVERY:
            self._save()

    def _restart_events(self) -> None:
        self._entries.clear()
        self._acked.clear()
        self.event_next = self.cursor

    def _restart_rows(self, lane: Lane) -> None:
        self._rows[lane].clear()
        self._read_to[lane] = 0

    def _save(self) -> None:
        """Put on disk what was received; what the disk refuses is tried again."""
        if self._done and self._outbox.done(self._done):
            self._done.clear()
        if self.cursor != self._saved and self._outbox.set_cursor(self._ledger.origin, self.cursor):
            self._saved = self.cursor
