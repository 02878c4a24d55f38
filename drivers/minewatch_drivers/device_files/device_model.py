"""What a device file says, as frozen data: tables, signals, status words, relay channels, queues.

`device_file` builds these and is the only place that may; everybody else reads them. Addresses
are 0-based as they stand on the wire. Ranges are integers in the smallest unit of the signal's
kind (`minewatch.model.kind`).
"""

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from minewatch.model.kind import Kind
from minewatch.model.mine import OutputRole
from minewatch.model.quality import Quality
from minewatch_drivers.device_files.reader_model import ReaderForm
from minewatch_drivers.device_files.serial_model import SerialProtocol


class Table(StrEnum):
    """One of the four Modbus tables."""

    COIL = "coil"
    DISCRETE = "discrete"
    INPUT = "input"
    HOLDING = "holding"

    @property
    def bits(self) -> bool:
        """True where one address is one bit."""
        return self in (Table.COIL, Table.DISCRETE)


READ_FUNCTION: dict[Table, int] = {
    Table.COIL: 1,
    Table.DISCRETE: 2,
    Table.HOLDING: 3,
    Table.INPUT: 4,
}
"""The function code that reads a table."""


class RawType(StrEnum):
    """How a raw value lies in registers."""

    U16 = "u16"
    S16 = "s16"
    U32 = "u32"
    S32 = "s32"
    F32 = "f32"
    BIT = "bit"

    @property
    def width(self) -> int:
        """Return how many addresses a value takes."""
        return 2 if self in (RawType.U32, RawType.S32, RawType.F32) else 1


class AtLoss(StrEnum):
    """What a relay channel does when its watchdog no longer hears us."""

    OPEN = "open"
    CLOSE = "close"
    KEEP = "keep"


AT_LOSS_BY_ROLE: dict[OutputRole, AtLoss] = {
    OutputRole.POWER_CUT: AtLoss.OPEN,
    OutputRole.GATE: AtLoss.OPEN,
    OutputRole.FAN_START: AtLoss.OPEN,
    OutputRole.SIREN: AtLoss.KEEP,
    OutputRole.BROADCAST: AtLoss.KEEP,
    OutputRole.HORN: AtLoss.KEEP,
    OutputRole.SURFACE_HORN: AtLoss.KEEP,
}
"""What each role needs at loss of heartbeat (practice 7); a gate's exit is free when it is
open, and no fan starts by hand where nobody looks at the gas."""


@dataclass(frozen=True, slots=True)
class Register:
    """An address in a table."""

    table: Table
    address: int


@dataclass(frozen=True, slots=True)
class Sentinel:
    """The identity register: an answer without `expected` in it is not this device's."""

    at: Register
    expected: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What the device moves at least every `every_ms` while it measures: a counter or a bit.

    Only the bits of `mask` count; a toggling bit needs scans at least as often as it toggles.
    """

    at: Register
    every_ms: int
    mask: int = 0xFFFF


@dataclass(frozen=True, slots=True)
class Part:
    """Some bits of a word: shifted down by `shift`, then cut by `mask`. None is the whole word."""

    shift: int
    mask: int


@dataclass(frozen=True, slots=True)
class StatusWord:
    """A register that says how far values may be believed.

    A set bit of `bits` gives its quality. Where `values` stand, the word is a number: the first
    (low, high, quality) that holds it counts, and any other number gives `otherwise`. A `wide`
    word has 32 bits.
    """

    name: str
    at: Register
    bits: tuple[tuple[int, Quality], ...] = ()
    values: tuple[tuple[int, int, Quality], ...] = ()
    otherwise: Quality = Quality.GOOD
    wide: bool = False
    low_word_first: bool = False
    part: Part | None = None


class Role(StrEnum):
    """What the number in a second register does to a value."""

    MULTIPLIER = "multiplier"
    DIVISOR = "divisor"
    DECIMALS = "decimals"


@dataclass(frozen=True, slots=True)
class Factor:
    """A second register without which a value means nothing; other numbers than `allowed` are bad.

    The value is multiplied by it, divided by it, or divided by ten to its power.
    """

    role: Role
    at: Register
    allowed: tuple[int, ...]
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A current, voltage or frequency that stands for a value.

    Raw count times scale is measured in the unit of `zero_at` and `full_at`; these two stand for
    the values `zero_is` and `full_is`. Below `under` and above `over` there is no value, and
    `bands` (from, to, quality) name what a measured number stands for instead.
    """

    zero_at: Fraction
    full_at: Fraction
    zero_is: Fraction
    full_is: Fraction
    under: Fraction
    over: Fraction
    bands: tuple[tuple[Fraction, Fraction, Quality], ...] = ()


@dataclass(frozen=True, slots=True)
class Level:
    """Raw counts from `low` to `high` mean the switch state `state`, or `quality` without one."""

    low: int
    high: int
    state: int | None
    quality: Quality


@dataclass(frozen=True, slots=True)
class Signal:
    """One value of a device. `kind` None takes the kind of the point (a plain switch input).

    `scale` turns raw counts into engineering units and `offset` is added to them; `low` and `high`
    are the measuring range in the kind's smallest unit, `codes` are raw numbers that stand for a
    quality instead of a value. `levels` make a switch of a number, `span` a value of a current.
    `stride` is how many registers stand behind one address.
    """

    name: str
    at: Register
    type: RawType
    scale: Fraction
    kind: Kind | None
    low_word_first: bool = False
    inverted: bool = False
    low: int | None = None
    high: int | None = None
    codes: tuple[tuple[int, Quality], ...] = ()
    status: tuple[StatusWord, ...] = ()
    offset: Fraction = Fraction(0)
    factors: tuple[Factor, ...] = ()
    span: Span | None = None
    levels: tuple[Level, ...] = ()
    part: Part | None = None
    stride: int = 1


@dataclass(frozen=True, slots=True)
class Setting:
    """What a device must hold when it is connected: a safe value, a watchdog, a firmware version.

    A register or bit that lies outside `low`…`high` is wrong. Of a `channel` it matters only where
    an output uses it. With `identity` a wrong one means another device or another map: then no
    value of the device is believed. `needed` says to a person what to set.
    """

    name: str
    at: Register
    low: int
    high: int
    needed: str
    channel: str | None = None
    identity: bool = False
    part: Part | None = None

    def holds(self, raw: int) -> bool:
        """Return whether `raw` is what it must be."""
        number = raw >> self.part.shift & self.part.mask if self.part else raw
        return self.low <= number <= self.high


@dataclass(frozen=True, slots=True)
class Channel:
    """A relay output and what it can be made to do at loss of heartbeat."""

    name: str
    coil: int
    at_loss: tuple[AtLoss, ...]


@dataclass(frozen=True, slots=True)
class Watchdog:
    """A relay's own watchdog. Holding registers `feed`, `time`, `keep` follow one another.

    `feed` takes a counter; None means that any valid request feeds it. `time` takes the limit in
    units of `time_unit_ms`; `keep` takes a mask, bit n = channel n of the file keeps its state.
    `commissioning` names settings that a person must make in the module once.
    """

    time_ms: int
    feed: int | None = None
    time: int | None = None
    time_unit_ms: int = 100
    keep: int | None = None
    commissioning: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """A question and its answer as RTU bytes from another source, with what they must mean.

    `expect` maps signal → (value in the smallest unit or None, quality).
    """

    source: str
    request: bytes
    reply: bytes
    expect: tuple[tuple[str, int | None, Quality], ...]


@dataclass(frozen=True)
class DeviceModel:
    """One model of device. Look signals and channels up by name.

    `registers_max` counts addresses; behind each stand `stride` registers. `in_flight_max` is how
    many questions it takes at once on TCP, `pause_ms` the rest it wants after each answer.
    """

    name: str
    category: str
    identity: str
    maker: str
    maturity: str
    source: str
    traps: tuple[str, ...]
    registers_max: int
    gap_max: int
    turnaround_ms: int
    write_multiple: bool
    forbidden: tuple[tuple[int, int], ...]
    sentinel: Sentinel | None
    heartbeat: Heartbeat | None
    signals: dict[str, Signal]
    channels: dict[str, Channel]
    watchdog: Watchdog | None
    reader: ReaderForm | None
    serial: SerialProtocol | None = None
    frames: tuple[Frame, ...] = field(default=(), repr=False)
    in_flight_max: int = 1
    pause_ms: int = 0
    stride: int = 1
    coil_on: int = 0xFF00
    never_write: tuple[tuple[Table, int, int], ...] = ()
    settings: tuple[Setting, ...] = ()
    principle: str = ""
    """How a gas head measures; empty where the file does not say: then a head is taken strictly."""

    def at_loss(self, channel: str) -> tuple[AtLoss, ...]:
        """Return what `channel` can be made to do at loss of heartbeat; KeyError for no channel."""
        return self.channels[channel].at_loss

    def may_write(self, table: Table, first: int, last: int) -> bool:
        """Return whether anybody at all may write these addresses."""
        return not any(
            each is table and first <= high and low <= last for each, low, high in self.never_write
        )

    def may_read(self, first: int, last: int) -> bool:
        """Return whether reading these addresses is without side effect."""
        return not any(first <= high and low <= last for low, high in self.forbidden)
