"""Scripted readers on virtual lines: what a reader shows by table and address, and what it brings.

Loaded by path as `kit.readers`; tests import no neighbours.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from minewatch_drivers.modbus_line.line import Line
from minewatch_drivers.wire import modbus

from minewatch.model.image import Reading
from minewatch.model.mine import Bus, Device, Mode, Reader

URL = "tcp://127.0.0.1:1502"
SECOND_US = 1_000_000


@dataclass
class Words:
    """What a scripted reader shows by table and address; hooks act on what was asked."""

    shown: dict[tuple[int, int], int] = field(default_factory=dict)
    beat: tuple[int, int] | None = (4, 1)
    reads: list[tuple[int, int, int]] = field(default_factory=list)
    writes: list[tuple[int, int, int]] = field(default_factory=list)
    after_read: Callable[[int, int, int], None] = lambda function, address, count: None
    after_write: Callable[[int, int, int], None] = lambda function, address, value: None
    absent: Callable[[int], bool] = lambda question: False
    questions: int = 0


@dataclass
class Bench:
    """One line with one reader, its words and what the line brought."""

    virtual: Any
    words: Words

    @property
    def badges(self) -> list[str]:
        """The badges that came, in order; empty ones are lost reads."""
        return [each.badge for each in self.virtual.sightings]

    @property
    def said(self) -> list[Reading]:
        """What the reader said of itself."""
        return [sample.readings[0] for sample in self.virtual.samples]

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.virtual.run(self.virtual.now_us + int(seconds * SECOND_US))


def _slave(kit: SimpleNamespace, words: Words, *, rtu: bool) -> Any:
    """Return a slave that answers reads and writes of all four tables from `words`."""

    class Scripted(kit.Slave):  # type: ignore[misc, name-defined]
        def _answer(self, unit: int, pdu: bytes, now_us: int) -> bytes:
            request = modbus.parse_request(unit, pdu)
            function, address, count = request.function, request.address, request.count
            if function > 4:
                (value,) = request.values or (0,)
                words.writes.append((function, address, value))
                words.after_write(function, address, value)
                return modbus.reply_pdu(request)
            if words.beat is not None:
                words.shown[words.beat] = now_us // SECOND_US & 0xFFFF
            words.reads.append((function, address, count))
            values = [words.shown.get((function, address + n), 0) for n in range(count)]
            words.after_read(function, address, count)
            return modbus.reply_pdu(request, values)

        def respond(self, data: bytes, now_us: int) -> list[tuple[int, bytes]]:
            replies = super().respond(data, now_us)
            words.questions += 1
            return [] if words.absent(words.questions) else replies

    return Scripted(rtu=rtu, timeout_us=200_000)


def bench(
    kit: SimpleNamespace, model: str, words: Words, *, url: str = URL, directed: bool = False
) -> Bench:
    """Return a line in mode monitor with one reader of `model` on virtual time."""
    bus = Bus("line", url, scan_ms=1000, timeout_ms=200)
    reader = Reader("r", "", "z", "d", directed=directed)
    devices = (Device("d", "line", 1, model),)
    mine = kit.bare_mine(bus, devices, readers=(reader,), mode=Mode.MONITOR)
    line = Line(mine, bus, writes=False)
    return Bench(kit.Virtual(line, _slave(kit, words, rtu=url.startswith("rtu"))), words)


@dataclass
class Drained:
    """The memory behind rf-reader-drain: reading its records empties it."""

    words: Words = field(default_factory=Words)
    waiting: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.words.shown |= {(4, 0): 0x5246, (4, 3): 1}
        self.words.after_read = self._read
        self.show()

    def hear(self, *badges: int) -> None:
        """Let the reader hear badges."""
        self.waiting += badges
        self.show()

    def show(self) -> None:
        """Put the memory into the registers."""
        shown = self.words.shown
        shown[4, 2] = len(self.waiting)
        for place in range(16):
            badge = self.waiting[place] if place < len(self.waiting) else 0
            at = 16 + 4 * place
            shown[4, at], shown[4, at + 1] = badge >> 16, badge & 0xFFFF

    def _read(self, function: int, address: int, count: int) -> None:
        if function == 4 and address == 16:
            self.gone += self.waiting[: count // 4]
            del self.waiting[: count // 4]
            self.show()


@dataclass
class Cards:
    """The reader behind inveo-rfid-ind: a queue of people who hold their cards before it."""

    words: Words = field(default_factory=lambda: Words(beat=None))
    coming: list[int] = field(default_factory=list)
    read: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.words.after_write = self._written
        self.words.shown |= {(1, 1016): 0, (1, 1017): 1}

    def hold(self, *cards: int) -> None:
        """Let people hold their cards before the reader one after the other."""
        self.coming += cards
        self._next()

    def _next(self) -> None:
        shown = self.words.shown
        if not shown[1, 1016] and self.coming:
            card = self.coming.pop(0)
            self.read.append(card)
            shown |= {(1, 1016): 1, (3, 1010): card >> 16, (3, 1011): card & 0xFFFF}

    def _written(self, function: int, address: int, value: int) -> None:
        assert function == 5
        self.words.shown[1, address] = int(value != 0)
        self._next()
