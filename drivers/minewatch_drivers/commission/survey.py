"""What an unknown device lets one read: tables and address ranges, found with bounded questions.

Refused blocks are halved until single addresses remain. Only reads; but an unknown device may do
something when a register is read, so a person decides to run it (docs/commissioning.md).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from minewatch_drivers import modbus
from minewatch_drivers.commission.ask import Asker, AskError
from minewatch_drivers.device_model import READ_FUNCTION, RawType, Table
from minewatch_drivers.skeleton import FLOAT_LEAST, Guess, decodings

BLOCK = 16
NEAR = 128
"""Every address below is looked at; above it, only where makers like to begin."""

BASES = (256, 500, 512, 1000, 1024, 2000, 2048, 3000, 4096, 8192, 40000, 40960)
REACH_MAX = 256
"""How far a range above `NEAR` is followed."""

QUESTIONS_MAX = 400
SILENT_MAX = 3
"""So many silences in a row end the survey: the device is gone, or does not like it."""

SIGNALS_MAX = 32
FLOAT_GUESS_MAX = 10_000.0


@dataclass(frozen=True, slots=True)
class Range:
    """Consecutive addresses that can be read, what stood there, and the exchange as RTU frames."""

    table: Table
    first: int
    words: tuple[int, ...]
    asked: bytes
    told: bytes


@dataclass
class Survey:
    """Looks at one unit. `complete` is False where questions ran out or the device fell mute."""

    asker: Asker
    unit: int
    tell: Callable[[int, Table], None]
    questions_max: int = QUESTIONS_MAX
    complete: bool = True
    questions: int = 0
    _silent: int = field(default=0, init=False)

    def run(self) -> Iterator[Range]:
        """Yield what can be read.

        Raises:
            OSError: the port or the daemon is gone.
        """
        for table in (Table.HOLDING, Table.INPUT, Table.COIL, Table.DISCRETE):
            blocks = [(first, BLOCK) for first in range(0, NEAR, BLOCK)]
            try:
                for first, count in _joined(self._table(table, blocks)):
                    found = self._read(table, first, count)
                    if found is not None:
                        yield found
            except _NoSuchTableError:
                continue
            except _EnoughError:
                self.complete = False
                return

    def _table(self, table: Table, blocks: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        for first, count in blocks:
            yield from self._halve(table, first, count)
        for base in BASES:
            reach = base
            while reach < base + REACH_MAX and self._read(table, reach, 1) is not None:
                parts = list(self._halve(table, reach, BLOCK))
                yield from parts
                if parts != [(reach, BLOCK)]:
                    break
                reach += BLOCK

    def _halve(self, table: Table, first: int, count: int) -> Iterator[tuple[int, int]]:
        if self._read(table, first, count) is not None:
            yield first, count
        elif count > 1:
            half = count // 2
            yield from self._halve(table, first, half)
            yield from self._halve(table, first + half, count - half)

    def _read(self, table: Table, first: int, count: int) -> Range | None:
        """Return what one question brings, None where the device refuses it."""
        if self.questions >= self.questions_max or self._silent >= SILENT_MAX:
            raise _EnoughError
        self.questions += 1
        self.tell(self.questions, table)
        pdu = modbus.read_pdu(READ_FUNCTION[table], first, count)
        try:
            reply = self.asker.ask(self.unit, pdu)
        except AskError as error:
            if error.code == "exception_1":
                raise _NoSuchTableError from error
            self._silent = 0 if error.refused else self._silent + 1
            return None
        self._silent = 0
        if table.bits:
            words = modbus.unpack_bits(reply[2:], count)
        else:
            words = tuple(
                int.from_bytes(reply[at : at + 2], "big") for at in range(2, len(reply), 2)
            )
        return Range(table, first, words, modbus.rtu_frame(self.unit, pdu),
                     modbus.rtu_frame(self.unit, reply))  # fmt: skip


class _EnoughError(Exception):
    """No more questions."""


class _NoSuchTableError(Exception):
    """The device does not know the function."""


def _joined(parts: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield neighbours as one, at most as many registers as one question may ask for."""
    first, count = 0, 0
    for at, size in parts:
        if count and (at != first + count or count + size > 4 * BLOCK):
            yield first, count
            count = 0
        if not count:
            first = at
        count += size
    if count:
        yield first, count


def guesses(found: Range) -> tuple[Guess, ...]:
    """Return signals that a range might hold; a person names them, and gives kind and range."""
    guessed: list[Guess] = []
    place = 0
    while place < len(found.words) and len(guessed) < SIGNALS_MAX:
        guess, width = _guess(found, place)
        if guess is not None:
            guessed.append(guess)
        place += width
    return tuple(guessed)


def _guess(found: Range, place: int) -> tuple[Guess | None, int]:
    """Return what begins at a place, nothing where it is 0, and how many words it takes."""
    address, words = found.first + place, found.words[place : place + 2]
    name = f"{found.table}_{address}"
    if not words[0] and not any(words):
        return None, 1
    if found.table.bits:
        return Guess(name, found.table, address, RawType.BIT, "", "", ""), 1
    for each in decodings(address, words) if len(words) == 2 else ():
        if each.type is RawType.F32 and FLOAT_LEAST < abs(float(each.text)) < FLOAT_GUESS_MAX:
            return Guess(name, found.table, address, RawType.F32, "water_level", "0", "100",
                         low_word_first=each.low_word_first), 2  # fmt: skip
    if not words[0]:
        return None, 1
    return Guess(name, found.table, address, RawType.U16, "gate_in", "0", "65535"), 1
