"""A GSM modem as a channel: short messages go out, whether the network took them comes back.

A machine without a port or a clock, same face as `line.Line`, and `tell` besides. It speaks AT
commands in text mode with UCS2 (3GPP TS 27.005, 27.007). Sent means that the network took it; that
a person read it, no modem can say. Every message ends in one notice, `message_sent` or
`message_failed`.
"""

from collections import deque
from collections.abc import Collection, Mapping
from typing import NamedTuple

from minewatch.model.image import Notice
from minewatch.model.mine import Bus, Mine
from minewatch_drivers.modbus_line.line import STARTING, STARTING_US, LineStatus, Turn
from minewatch_drivers.pace.load import LoadMeter
from minewatch_drivers.tasks.outbox import Outbox, Taken

MESSAGES_MAX = 32
"""Messages waiting; a further one is refused, and whoever tells it learns that at once."""

TRIES_MAX = 3
EXPIRES_US = 600_000_000
"""A message older than ten minutes alarms nobody to anything; it counts as failed."""

UNITS_MAX = 70
"""UCS2 characters of one short message; a longer text goes out in several."""

PARTS_MAX = 4
REPLY_US = 5_000_000
NETWORK_US = 60_000_000
CHECK_US = 30_000_000
LINE_MAX = 512
ROUNDS_MAX = 3
"""Checks in a row that fail before the modem is set up from the beginning."""

_PROMPT = b"> "
_SEND, _LEAVE = b"\x1a", b"\x1b"
_REGISTERED = frozenset({"1", "5"})
_SETUP = ("ATE0", "AT+CMEE=1", "AT+CPIN?", "AT+CMGF=1", 'AT+CSCS="UCS2"', "AT+CSMP=17,167,0,8")


class Message(NamedTuple):
    """A text for one person: `to` is a staff code, `number` is dialled, `id` names the message."""

    id: str
    to: str
    number: str
    text: str


class _Part(NamedTuple):
    message: Message
    text: str
    last: bool


class GsmLine:
    """The machine of one modem."""

    outputs: tuple[str, ...] = ()

    def __init__(self, mine: Mine, bus: Bus) -> None:
        self.bus = bus
        self._device = next((each.id for each in mine.devices if each.bus == bus.id), bus.id)
        self._outbox = Outbox()
        self._waiting: deque[tuple[Message, int]] = deque()
        self._parts: deque[_Part] = deque()
        self._tries = 0
        self._told_us = 0
        self._leave = False
        self._setup: deque[str] = deque()
        self._sent = ""
        self._begun_us = self._deadline_us = self._next_us = 0
        self._buffer = bytearray()
        self._connected = False
        self._ready = False
        self._rounds = 0
        self._opened_us = self._last_us = 0
        self._up, self._error, self._since_us = False, STARTING, 0
        self._exchanges = self._failures = self._violations = 0
        self._meter = LoadMeter()

    # What the runner calls.

    def connected(self, now_us: int) -> None:
        """The port is open: set the modem up."""
        self._connected = True
        self._opened_us = now_us
        self._begin(now_us)

    def lost(self, now_us: int, why: str) -> None:
        """The port is gone; what waits goes on waiting until it is too old."""
        self._connected = self._ready = False
        self._sent = ""
        self._is_down(why, now_us)

    def feed(self, data: bytes, now_us: int) -> None:
        """Take bytes that arrived; `poll` follows."""
        self._buffer += data
        if self._sent.startswith("AT+CMGS") and self._buffer.endswith(_PROMPT):
            self._buffer.clear()
            self._sent = "text"
            self._deadline_us = now_us
            return
        while (end := self._buffer.find(b"\n")) >= 0:
            line = self._buffer[:end].decode("ascii", "replace").strip()
            del self._buffer[: end + 1]
            if line:
                self._line(line, now_us)
        if len(self._buffer) > LINE_MAX:
            self._violations += 1
            self._buffer.clear()

    def poll(self, now_us: int) -> Turn:
        """Return what to do now."""
        self._drop_old(now_us)
        if not self._connected:
            wait_us = STARTING_US if self._error == STARTING else CHECK_US
            return Turn(None, now_us + wait_us, reconnect=False)
        if self._sent == "text":
            return self._send_text(now_us)
        if self._sent:
            if now_us < self._deadline_us:
                return Turn(None, self._deadline_us, reconnect=False)
            self._refused("timeout", now_us)
        if now_us < self._next_us and not (self._ready and self._has_work()):
            return Turn(None, self._next_us, reconnect=False)
        return self._say_next(now_us)

    @property
    def missing_bytes(self) -> int:
        """How many bytes are surely still to come: unknown in a dialogue of lines."""
        return 0

    @property
    def answered_since_open(self) -> bool:
        """Whether the modem has answered since the port was opened last."""
        return self._last_us >= self._opened_us > 0

    @property
    def fresh(self) -> bool:
        """Whether `take` would return anything."""
        return bool(self._outbox)

    # What the controller calls.

    def tell(self, message: Message, now_us: int) -> bool:
        """Queue a message; False where too many wait."""
        if len(self._waiting) >= MESSAGES_MAX:
            return False
        self._waiting.append((message, now_us))
        return True

    def want(self, table: Mapping[str, bool], now_us: int) -> None:
        """Take no table: no output lies on a line of this kind."""

    def urge(self, points: Collection[str], scan_ms: int) -> None:
        """Do nothing: no point lies on a line of this kind."""

    def take(self) -> Taken:
        """Return what was learned since the last call."""
        return self._outbox.take()

    def status(self) -> LineStatus:
        """Return how the line is: up while the modem is registered in a network."""
        return LineStatus(
            self._up,
            self._error,
            self._since_us,
            self._exchanges,
            self._failures,
            self._violations,
            self._last_us,
            self._meter.load,
        )

    # The dialogue.

    def _begin(self, now_us: int) -> None:
        self._buffer.clear()
        self._setup = deque(_SETUP)
        self._sent = ""
        self._ready = False
        self._leave = True  # it may have waited for a text since before we came
        self._next_us = now_us

    def _has_work(self) -> bool:
        return bool(self._parts or self._waiting)

    def _say_next(self, now_us: int) -> Turn:
        if self._setup:
            return self._command(self._setup[0], REPLY_US, now_us)
        if not self._ready or now_us >= self._next_us:
            return self._command("AT+CREG?", REPLY_US, now_us)
        if not self._parts:
            message, self._told_us = self._waiting.popleft()
            self._parts = deque(_parts(message))
            self._tries = 0
        self._tries += 1
        number = _ucs2(self._parts[0].message.number)
        return self._command(f'AT+CMGS="{number}"', REPLY_US, now_us)

    def _command(self, command: str, within_us: int, now_us: int) -> Turn:
        self._sent = command
        self._begun_us, self._deadline_us = now_us, now_us + within_us
        data = (_LEAVE if self._leave else b"") + f"{command}\r".encode("ascii")
        self._leave = False
        return Turn(data, self._deadline_us, reconnect=False)

    def _send_text(self, now_us: int) -> Turn:
        self._sent = "sending"
        self._deadline_us = now_us + NETWORK_US
        data = _ucs2(self._parts[0].text).encode("ascii") + _SEND
        return Turn(data, self._deadline_us, reconnect=False)

    def _line(self, line: str, now_us: int) -> None:
        """Take one line of the modem: an answer to what was sent, or something of its own."""
        if not self._sent or line.startswith(self._sent[:8]):
            return
        if line == "OK":
            self._exchanges += 1
            self._last_us = now_us
            self._meter.busy(self._begun_us, now_us)
            self._agreed(now_us)
        elif line.startswith("+CREG:") and self._sent == "AT+CREG?":
            self._registration(line.rpartition(",")[2].strip(), now_us)
        elif line.startswith("+CPIN:") and "READY" not in line:
            self._refused("sim", now_us)
        elif line == "ERROR" or line.startswith(("+CMS ERROR", "+CME ERROR")):
            code = line.rpartition(":")[2].strip()
            self._refused(f"refused_{code}" if code.isdigit() else "refused", now_us)

    def _registration(self, state: str, now_us: int) -> None:
        self._ready = state in _REGISTERED
        if self._ready and not self._up:
            self._up, self._error, self._since_us = True, "", now_us
        elif not self._ready:
            self._is_down("not_registered", now_us)

    def _agreed(self, now_us: int) -> None:
        if self._sent.startswith("AT+CMGS"):
            self._refused("no_prompt", now_us)
            return
        sent, self._sent = self._sent, ""
        self._rounds = 0
        if self._setup:
            self._setup.popleft()
            self._next_us = now_us
        elif sent == "AT+CREG?":
            self._next_us = now_us + CHECK_US // (1 if self._ready else 6)
        elif sent == "sending":
            part = self._parts.popleft()
            if part.last:
                self._end(part.message, "message_sent", "")
            else:
                self._tries = 0

    def _refused(self, why: str, now_us: int) -> None:
        """A command failed: a message is tried again, a setup starts anew after a pause."""
        sent, self._sent = self._sent, ""
        self._failures += 1
        self._meter.busy(self._begun_us, now_us)
        if sent.startswith(("AT+CMGS", "sending")):
            if self._tries >= TRIES_MAX:
                message = self._parts[0].message
                self._parts.clear()
                self._end(message, "message_failed", why)
            self._leave = True  # the modem may still wait for a text
            self._ready = False
            self._next_us = now_us + REPLY_US
            return
        self._rounds += 1
        if self._setup or self._rounds >= ROUNDS_MAX:
            self._is_down(why, now_us)
            self._begin(now_us)
        self._next_us = now_us + REPLY_US

    def _drop_old(self, now_us: int) -> None:
        while self._waiting and now_us - self._waiting[0][1] > EXPIRES_US:
            self._end(self._waiting.popleft()[0], "message_failed", "too_old")
        if self._parts and now_us - self._told_us > EXPIRES_US and self._sent != "sending":
            message = self._parts[0].message
            self._parts.clear()
            self._end(message, "message_failed", "too_old")

    def _end(self, message: Message, kind: str, error: str) -> None:
        said = {"message": message.id, "to": message.to, "tries": self._tries, "error": error}
        self._outbox.notices.append(Notice(kind, self._device, said))

    def _is_down(self, why: str, now_us: int) -> None:
        if self._up or self._error == STARTING:
            self._since_us = now_us
        self._up, self._error = False, why


def _ucs2(text: str) -> str:
    return text.encode("utf-16-be", "replace").hex().upper()


def _parts(message: Message) -> list[_Part]:
    """Split a text into numbered parts; what is beyond the last is cut, with a mark."""
    text = message.text
    if _units(text) <= UNITS_MAX:
        return [_Part(message, text, last=True)]
    room = UNITS_MAX - len("1/4 ")
    pieces: list[str] = [""]
    for letter in text:
        if _units(pieces[-1] + letter) > room:
            pieces.append("")
        pieces[-1] += letter
    if len(pieces) > PARTS_MAX:
        pieces = [*pieces[: PARTS_MAX - 1], pieces[PARTS_MAX - 1][: room - 1] + "…"]
    count = len(pieces)
    return [
        _Part(message, f"{n}/{count} {piece}", last=n == count)
        for n, piece in enumerate(pieces, start=1)
    ]


def _units(text: str) -> int:
    """Return how many 16-bit units a text takes."""
    return len(text.encode("utf-16-be", "replace")) // 2
