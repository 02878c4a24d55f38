"""What an unknown device lets one read: tables and address ranges, found with bounded questions.

Small chunks side by side, so that a refused one costs a single question, then neighbours read as
one. Only reads; but an unknown device may do something when a register is read, so a person decides
to run it (docs/commissioning.md).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from minewatch_drivers.commission.ask import Asker, AskError
from minewatch_drivers.commission.skeleton import FLOAT_LEAST, Guess, decodings
from minewatch_drivers.device_files.device_model import READ_FUNCTION, RawType, Table
from minewatch_drivers.wire import modbus

NEAR = 128
"""Every address below is looked at; above it, only where makers like to begin."""

BASES = (256, 500, 512, 1000, 1024, 2000, 2048, 3000, 4096, 8192, 40000, 40960)
REACH_MAX = 256
"""How far a range above `NEAR` is followed."""

CHUNK = {False: 2, True: 8}
"""Addresses of the smallest question: a 32-bit value may not be read by halves; bits come by 8."""

RANGE_MAX = {False: 64, True: 256}
"""Neighbours that are read as one."""

QUESTIONS_MAX = 400
SILENT_MAX = 3
"""So many silences in a row end the survey: the device is gone, or does not like it."""

SIGNALS_MAX = 32
FLOAT_GUESS_MAX = 1_000.0


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
    """Looks at one unit, register by register with `single`, else by pairs; or only `at` places
    (table, first address, count) that a person has from the maker.

    `complete` is False where questions ran out or the device fell mute.
    """

    asker: Asker
    unit: int
    tell: Callable[[int, Table], None]
    questions_max: int = QUESTIONS_MAX
    single: bool = False
    at: Sequence[tuple[Table, int, int]] = ()
    complete: bool = True
    questions: int = 0
    _silent: int = field(default=0, init=False)

    @property
    def mute(self) -> bool:
        """Whether the last question got no answer at all."""
        return self._silent > 0

    def run(self) -> Iterator[Range]:
        """Yield what can be read.

        Raises:
            OSError: the port or the daemon is gone.
        """
        for place in self.at:
            yield from self._whole(*place)
        if self.at:
            return
        for table in (Table.HOLDING, Table.INPUT, Table.COIL, Table.DISCRETE):
            parts: list[tuple[int, int]] = []
            try:
                self._look(table, parts)
            except _NoSuchTableError:
                continue
            except _EnoughError:
                self.complete = False
            for first, count in _joined(sorted(parts), RANGE_MAX[table.bits]):
                yield from self._whole(table, first, count)
            if not self.complete:
                return

    def _look(self, table: Table, parts: list[tuple[int, int]]) -> None:
        """Add to `parts` what can be read: near the beginning, then where makers begin."""
        self._follow(table, 0, NEAR, parts, give_up=False)
        for base in BASES:
            self._follow(table, base, base + REACH_MAX, parts, give_up=True)

    def _follow(
        self, table: Table, first: int, end: int, parts: list[tuple[int, int]], *, give_up: bool
    ) -> None:
        """Look at chunk after chunk; with `give_up` only as long as they can be read."""
        chunk, readable = 1 if self.single else CHUNK[table.bits], True
        for at in range(first, end, chunk):
            before, readable = readable, self._read(table, at, chunk) is not None
            if readable:
                parts.append((at, chunk))
                if not before and self._read(table, at - 1, 1) is not None:
                    parts.append((at - 1, 1))
            elif before:
                parts += self._singles(table, at, chunk)
            if give_up and not readable:
                return

    def _singles(self, table: Table, first: int, count: int) -> Iterator[tuple[int, int]]:
        """Yield the addresses at the end of a range that are no whole chunk."""
        for at in range(first, first + count):
            if self._read(table, at, 1) is None:
                return
            yield at, 1

    def _whole(self, table: Table, first: int, count: int) -> Iterator[Range]:
        """Yield a range in one piece, or in as few as the device takes."""
        try:
            found = self._read(table, first, count, searching=False)
        except (_EnoughError, _NoSuchTableError):
            self.complete = False
            return
        if found is not None:
            yield found
        elif count > 1:
            yield from self._whole(table, first, count // 2)
            yield from self._whole(table, first + count // 2, count - count // 2)

    def _read(
        self, table: Table, first: int, count: int, *, searching: bool = True
    ) -> Range | None:
        """Return what one question brings, None where the device refuses it."""
        spent = searching and self.questions >= self.questions_max
        if spent or self._silent >= SILENT_MAX:
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


def _joined(parts: Iterable[tuple[int, int]], most: int) -> Iterator[tuple[int, int]]:
    """Yield neighbours as one, at most `most` addresses each."""
    first, count = 0, 0
    for at, size in parts:
        if count and (at != first + count or count + size > most):
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
    name = f"{found.table}{address}"
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
