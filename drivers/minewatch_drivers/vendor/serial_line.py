"""A vendor serial line that is not Modbus, without a port or a clock: same face as `line.Line`.

Two manners: devices that wait to be asked share the line, one question at a time and silence
after a failure; a device that talks by itself is alone on it. What frames look like stands in the
device file. Nothing is ever written but the question, so a line of this kind has no outputs.
"""

from collections.abc import Collection, Mapping

from minewatch.model.image import Notice, Reading, Sample, Sighting
from minewatch.model.mine import Bus, Device, Mine
from minewatch.model.quality import Quality
from minewatch_drivers.address import parse_address
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.serial_model import Says, SerialProtocol
from minewatch_drivers.modbus_line.line import STARTING, STARTING_US, LineStatus, Turn
from minewatch_drivers.pace.load import LoadMeter
from minewatch_drivers.tasks.jobs import next_due
from minewatch_drivers.tasks.outbox import Outbox, Taken
from minewatch_drivers.vendor.nmea import TimeSentences
from minewatch_drivers.vendor.serial_decode import NotAnAnswerError, cards, standing
from minewatch_drivers.wire.framing import Framer, wrap

AGAIN_US = 30_000_000
"""A card that stays at a reader is told again this often, so that its age is known."""

HELD_US = 3_000_000
"""A card that was not told for so long has been taken away; the next time is a new read."""

BETWEEN_BYTES_US = 100_000
"""Half a frame older than this will not be finished: a new one begins with the next byte."""

BACK_OFF_MAX_US = 5_000_000
FRAMES_MAX = 16
"""Frames of one answer; a device that goes on beyond is not believed."""

PRESENT_MAX = 1_000
"""Cards remembered at one reader; the oldest go first and are told once more."""


class _Unit:
    """One device of the line and what it owes."""

    def __init__(self, mine: Mine, device: Device, protocol: SerialProtocol, scan_ms: int) -> None:
        assert protocol.framing is not None
        self.id = device.id
        self.unit = device.unit
        self.protocol = protocol
        self.framer = Framer(protocol.framing)
        self.readers = [each for each in mine.readers if each.device == device.id]
        self.period_us = scan_ms * 1000
        self.due_us = 0
        self.streak = 0
        self.heard_us = -1
        self.damaged = 0
        self.missed = False
        """Whether a card was heard that nobody had room for."""
        self.sentences = TimeSentences()
        self._present: dict[str, tuple[int, int]] = {}

    def question(self) -> bytes:
        """Return the frame that asks this device."""
        ask, framing = self.protocol.ask, self.protocol.framing
        assert ask is not None
        assert framing is not None
        return wrap(framing, ask.to(self.unit))

    def is_new(self, card: str, now_us: int) -> bool:
        """Say whether a card is to be told: new at the reader, or there for another while."""
        told_us, seen_us = self._present.pop(card, (-AGAIN_US, -HELD_US))
        away = now_us - seen_us > max(HELD_US, 3 * self.period_us)
        new = away or now_us - told_us >= AGAIN_US
        self._present[card] = (now_us if new else told_us, now_us)
        if len(self._present) > PRESENT_MAX:
            del self._present[next(iter(self._present))]
        return new


class SerialLine:
    """The machine of one vendor line."""

    outputs: tuple[str, ...] = ()

    def __init__(self, mine: Mine, bus: Bus) -> None:
        self.bus = bus
        address = parse_address(bus.url)
        self._byte_us = address.byte_us
        self._timeout_us = bus.timeout_ms * 1000
        self._pause_us = bus.pause_ms * 1000
        self._outbox = Outbox()
        self._units = [
            _Unit(mine, device, protocol, bus.scan_ms)
            for device in mine.devices
            if device.bus == bus.id
            and (protocol := device_file.load(device.model).serial) is not None
        ]
        self._asked: _Unit | None = None
        self._asked_us = self._deadline_us = self._quiet_us = 0
        self._frames = 0
        self._connected = False
        self._opened_us = self._last_us = self._byte_at_us = 0
        self._up, self._error, self._since_us = False, STARTING, 0
        self._exchanges = self._failures = self._violations = 0
        self._meter = LoadMeter()

    # What the runner calls.

    def connected(self, now_us: int) -> None:
        """The port is open; everything is due."""
        self._connected = True
        self._opened_us = now_us
        self._quiet_us = now_us
        for unit in self._units:
            unit.framer.reset()
            unit.damaged = unit.framer.damaged
            unit.due_us = now_us if unit.protocol.ask else now_us + unit.period_us
            unit.streak = 0
            unit.heard_us = now_us
            if unit.protocol.ask is None:
                self._alive(now_us)

    def lost(self, now_us: int, why: str) -> None:
        """The port is gone, or could not be opened; `why` is a code."""
        self._connected = False
        if self._asked is not None:
            self._give_up(self._asked, now_us, why)
        self._is_down(why, now_us)

    def feed(self, data: bytes, now_us: int) -> None:
        """Take bytes that arrived; `poll` follows."""
        if not self._connected:
            return
        stale = now_us - self._byte_at_us > BETWEEN_BYTES_US
        self._byte_at_us = now_us
        unit = self._asked or self._talker()
        if unit is None:
            self._violations += 1
            self._quiet_us = max(self._quiet_us, now_us + self._timeout_us // 2)
            return
        if stale and unit.framer.waiting and unit is not self._asked:
            unit.framer.reset()
        for payload in unit.framer.feed(data):
            self._frame(unit, payload, now_us)

    def poll(self, now_us: int) -> Turn:
        """Return what to do now."""
        if not self._connected:
            if self._error == STARTING:
                return Turn(None, now_us + STARTING_US, reconnect=False)
            return Turn(None, self._fail_due(now_us), reconnect=False)
        if self._asked is not None:
            if now_us < self._deadline_us:
                return Turn(None, self._deadline_us, reconnect=False)
            self._give_up(self._asked, now_us, "timeout")
        unit = min(self._units, key=lambda each: each.due_us, default=None)
        if unit is None:
            return Turn(None, now_us + BACK_OFF_MAX_US, reconnect=False)
        if unit.protocol.ask is None:
            if now_us >= unit.due_us:
                self._report(unit, now_us)
            return Turn(None, unit.due_us, reconnect=False)
        ready_us = max(unit.due_us, self._quiet_us)
        if now_us < ready_us:
            return Turn(None, ready_us, reconnect=False)
        return Turn(self._ask(unit, now_us), self._deadline_us, reconnect=False)

    @property
    def missing_bytes(self) -> int:
        """How many bytes are surely still to come: a vendor frame does not tell beforehand."""
        return 0

    @property
    def answered_since_open(self) -> bool:
        """Whether a good frame has come since the port was opened last."""
        return self._last_us >= self._opened_us > 0

    @property
    def fresh(self) -> bool:
        """Whether `take` would return anything."""
        return bool(self._outbox)

    # What the controller calls.

    def want(self, table: Mapping[str, bool], now_us: int) -> None:
        """Take no table: no output lies on a line of this kind."""

    def urge(self, points: Collection[str], scan_ms: int) -> None:
        """Scan as configured: no point with a limit lies on a line of this kind."""

    def take(self) -> Taken:
        """Return what was learned since the last call."""
        return self._outbox.take()

    def status(self) -> LineStatus:
        """Return how the line is."""
        damaged = sum(unit.framer.damaged for unit in self._units)
        return LineStatus(
            self._up,
            self._error,
            self._since_us,
            self._exchanges,
            self._failures,
            self._violations + damaged,
            self._last_us,
            self._meter.load,
        )

    # Asking.

    def _ask(self, unit: _Unit, now_us: int) -> bytes:
        data = unit.question()
        unit.framer.reset()
        unit.damaged = unit.framer.damaged
        self._asked = unit
        self._asked_us = now_us
        self._frames = 0
        wire_us = self._byte_us * (len(data) + _answer_max(unit.protocol))
        self._deadline_us = now_us + self._timeout_us + int(wire_us)
        return data

    def _frame(self, unit: _Unit, payload: bytes, now_us: int) -> None:
        protocol = unit.protocol
        self._frames += 1
        try:
            how = standing(protocol, unit.unit, payload)
            found = cards(protocol, payload) if _tells(protocol, how) else ()
        except NotAnAnswerError as wrong:
            self._violations += 1
            if self._asked is not None:
                self._give_up(unit, now_us, wrong.why)
            return
        unit.heard_us = self._last_us = now_us
        self._exchanges += 1
        self._alive(now_us)
        if protocol.says is Says.TIME:
            self._time(unit, payload, now_us)
            return
        self._sight(unit, found, now_us)
        if self._asked is not None and (how != "more" or self._frames >= FRAMES_MAX):
            self._answered(unit, now_us)

    def _answered(self, unit: _Unit, now_us: int) -> None:
        self._asked = None
        unit.streak = 0
        self._meter.busy(self._asked_us, now_us)
        self._quiet_us = now_us + self._pause_us
        unit.due_us = next_due(unit.due_us, unit.period_us, now_us)
        self._say(unit, Quality.GOOD, self._asked_us)

    def _give_up(self, unit: _Unit, now_us: int, why: str) -> None:
        """End a question without an answer: once more at once, then more and more seldom."""
        self._asked = None
        self._failures += 1
        self._meter.busy(self._asked_us, now_us)
        self._quiet_us = now_us + max(self._timeout_us // 2, self._pause_us)
        unit.streak += 1
        if unit.streak == 1:
            unit.due_us = now_us
            return
        wait_us = min(unit.period_us << min(unit.streak - 2, 8), BACK_OFF_MAX_US)
        unit.due_us = now_us + wait_us
        self._say(unit, Quality.COMM_FAULT, self._asked_us)
        if all(each.streak for each in self._units):
            self._is_down(why, now_us)

    # Listening.

    def _talker(self) -> _Unit | None:
        """Return the device that talks by itself, the only one on its line."""
        only = self._units[0] if len(self._units) == 1 else None
        return only if only is not None and only.protocol.ask is None else None

    def _report(self, unit: _Unit, now_us: int) -> None:
        """Say once a scan how a device that talks by itself is."""
        unit.due_us = next_due(unit.due_us, unit.period_us, now_us)
        silent_us = unit.protocol.silent_ms * 1000
        if silent_us and now_us - unit.heard_us > silent_us:
            self._is_down("silent", now_us)
            self._say(unit, Quality.COMM_FAULT, now_us)
        else:
            self._say(unit, Quality.GOOD, now_us)

    def _time(self, unit: _Unit, payload: bytes, now_us: int) -> None:
        wall_ms = unit.sentences.take(payload)
        if wall_ms is not None:
            wire_ms = int(self._byte_us * (len(payload) + 6)) // 1000
            said = {"wall_ms": wall_ms + wire_ms, "at_ms": now_us // 1000}
            self._outbox.notices.append(Notice("time_received", unit.id, said))

    # What is learned.

    def _sight(self, unit: _Unit, found: tuple[str, ...], now_us: int) -> None:
        at_us = self._asked_us if self._asked is not None else now_us
        for card in found:
            unit.missed = unit.missed or self._outbox.full
            if self._outbox.full or not unit.is_new(card, now_us):
                continue
            for reader in unit.readers:
                self._outbox.sight(Sighting(reader.id, card, at_us // 1000, 0, 0, None, None))

    def _say(self, unit: _Unit, quality: Quality, at_us: int) -> None:
        """Say how the readers of a device are; a damaged frame may have been a lost read."""
        damaged, unit.damaged = unit.framer.damaged - unit.damaged, unit.framer.damaged
        lost = int(damaged > 0 or unit.missed)
        unit.missed = False
        value = lost if quality is Quality.GOOD else None
        readings = tuple(Reading(reader.id, value, quality) for reader in unit.readers)
        if readings:
            self._outbox.samples.append(Sample(unit.id, at_us // 1000, readings))

    def _fail_due(self, now_us: int) -> int:
        """Let everything that is due fail; returns when more will be due."""
        for unit in self._units:
            if now_us >= unit.due_us:
                unit.due_us = next_due(unit.due_us, unit.period_us, now_us)
                self._say(unit, Quality.COMM_FAULT, now_us)
        return min((unit.due_us for unit in self._units), default=now_us + BACK_OFF_MAX_US)

    def _alive(self, now_us: int) -> None:
        if not self._up:
            self._up, self._error, self._since_us = True, "", now_us

    def _is_down(self, why: str, now_us: int) -> None:
        if self._up or self._error == STARTING:
            self._since_us = now_us
        self._up, self._error = False, why


def _answer_max(protocol: SerialProtocol) -> int:
    assert protocol.framing is not None
    return protocol.framing.bytes_max


def _tells(protocol: SerialProtocol, how: str) -> bool:
    return protocol.says in (Says.CARD, Says.INVENTORY) and how != "empty"
