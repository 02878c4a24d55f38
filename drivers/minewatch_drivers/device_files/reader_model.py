"""What a device file says of a personnel reader: one of four styles, as frozen data.

A `Queue` keeps records until their sequence is written back, a `Drain` forgets them as it is read,
a `Snapshot` lists who is there now, a `Flag` shows one card and reads no other until its flag is
written back. `reader_file` builds these and is the only place that may. Addresses are 0-based.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minewatch_drivers.device_files.device_model import Register, Table


class BadgeText(StrEnum):
    """How a card number becomes the text that names a badge everywhere else."""

    DECIMAL = "decimal"
    HEX = "hex"
    ASCII = "ascii"


@dataclass(frozen=True, slots=True)
class BadgeWords:
    """Where a card number lies: `words` registers from offset `at`, high word first or low first.

    Decimal holds up to 64 bits; hexadecimal digits stand for whole words and are at least 24, so
    that no hexadecimal number is ever the text of a decimal one.
    """

    at: int
    words: int = 2
    text: BadgeText = BadgeText.DECIMAL
    low_word_first: bool = False


@dataclass(frozen=True, slots=True)
class RecordFields:
    """Offsets within a record; None where the reader does not say it.

    `battery_bit` and `sos_bit` are bits of the register `flags`. `boot` is the restart in which
    the reader made the record.
    """

    badge: BadgeWords
    sequence: int | None = None
    direction: int | None = None
    flags: int | None = None
    battery_bit: int | None = 0
    sos_bit: int | None = 1
    time_s: int | None = None
    boot: int | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """Records that stand at their place until their sequence is written to `acknowledge`.

    That write drops all records up to it and clears `overflow`. `boot` counts restarts. Without
    `log_kept` numbers start anew with each and what was waiting is gone. With it records outlive a
    restart and may come again: their numbers go on, or each record says its own `boot`.
    """

    table: "Table"
    count: int
    overflow: int
    boot: int | None
    log_kept: bool
    records: int
    record_size: int
    records_max: int
    acknowledge: int
    fields: RecordFields


@dataclass(frozen=True, slots=True)
class Drain:
    """Records that are gone once they are read: an answer that gets lost takes them with it.

    `count` says without a side effect how many wait; a reader without it is asked for
    `records_max` each time. A read asks for no more than are known to wait. `overflow` counts the
    records that found no room (or is a flag): what changes there is told once.
    """

    table: "Table"
    count: int | None
    overflow: int | None
    boot: int | None
    records: int
    record_size: int
    records_max: int
    fields: RecordFields


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The badges that are there now, `count` of them, `records_max` at most; no events."""

    table: "Table"
    count: int
    overflow: int | None
    records: int
    record_size: int
    records_max: int
    fields: RecordFields


@dataclass(frozen=True, slots=True)
class Flag:
    """One card at a time: `flag` is 1 while `records` holds a card that nobody has taken.

    Writing 0 back lets the reader read the next; whoever passes before is not read at all.
    `power_on` is 1 since a restart until 0 is written.
    """

    flag: "Register"
    power_on: "Register | None"
    table: "Table"
    records: int
    record_size: int
    fields: RecordFields


ReaderForm = Queue | Drain | Snapshot | Flag
