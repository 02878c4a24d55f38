"""The part of a device file that describes values: status words, requirements and signals.

`device_file` calls these; nobody else reads TOML. A `stride` of 2 means that one address holds 32
bits. What each key means stands in drivers/README.md.
"""

from fractions import Fraction
from typing import Any

from minewatch.model.kind import UNITS, Kind
from minewatch.model.quality import WIRE_QUALITIES, Quality
from minewatch_drivers.device_files.device_fields import Fields
from minewatch_drivers.device_files.device_model import (
    Factor,
    Level,
    Part,
    RawType,
    Register,
    Role,
    Signal,
    Span,
    StatusWord,
    Table,
)

ALLOWED_MAX = 64
"""Numbers that a second register may show; each has its own exact scale."""

STATES = {"off": 0, "on": 1}


def read_register(fields: Fields) -> Register:
    """Return where a word lies: `table` and `address`."""
    table = Table(fields.choice("table", tuple(Table)))
    return Register(table, fields.integer("address", 0, 0xFFFF))


def read_quality(fields: Fields, key: str, word: Any) -> Quality:
    """Return the quality called `word`; only those that a wire can say."""
    names = {q.name.lower(): q for q in WIRE_QUALITIES}
    if not isinstance(word, str) or word not in names:
        raise fields.wrong(key, f"{word!r} is not one of {', '.join(sorted(names))}")
    return names[word]


def read_part(fields: Fields, bits: int = 16) -> Part | None:
    """Return the bits that `field = [lowest, highest]` names, None for the whole word."""
    row = fields.row("field", 2)
    if row is None:
        return None
    low, high = (fields.between("field", each, 0, bits - 1) for each in row)
    if low > high:
        raise fields.wrong("field", "the lowest bit comes first")
    return Part(low, (1 << (high - low + 1)) - 1)


def read_status(name: str, fields: Fields, stride: int) -> StatusWord:
    """Return the status word that `[status.<name>]` describes."""
    at, wide, part = _word(fields, stride)
    top = part.mask if part else 0xFFFFFFFF if wide else 0xFFFF
    bits = tuple(
        (fields.number(key, 0, top.bit_length() - 1), read_quality(fields, "bits", word))
        for key, word in fields.pairs("bits")
    )
    values = []
    for row in fields.rows("values", 3):
        low, high = (fields.between("values", each, 0, top) for each in row[:2])
        values.append((low, high, read_quality(fields, "values", row[2])))
    otherwise = Quality.IMPLAUSIBLE if values else Quality.GOOD
    word = fields.text("otherwise", "")
    if word:
        otherwise = read_quality(fields, "otherwise", word)
    made = StatusWord(name, at, bits, tuple(values), otherwise, wide, _low_first(fields), part)
    fields.done()
    if not bits and not values:
        raise fields.wrong("bits", "a status word needs bits or values")
    return made


def read_require(name: str, fields: Fields, stride: int) -> StatusWord:
    """Return the word that `[require.<name>]` describes: anything but `expected` is implausible."""
    at, wide, part = _word(fields, stride)
    top = part.mask if part else 0xFFFFFFFF if wide else 0xFFFF
    expected = [fields.between("expected", each, 0, top) for each in fields.integers("expected")]
    fields.text("means")
    made = StatusWord(
        name,
        at,
        values=tuple((each, each, Quality.GOOD) for each in expected),
        otherwise=Quality.IMPLAUSIBLE,
        wide=wide,
        low_word_first=_low_first(fields),
        part=part,
    )
    fields.done()
    if not expected:
        raise fields.wrong("expected", "say what the register must hold")
    return made


def read_signal(name: str, fields: Fields, status: dict[str, StatusWord], stride: int) -> Signal:
    """Return the signal that `[signals.<name>]` describes."""
    at = read_register(fields)
    raw_type = RawType(fields.choice("type", tuple(RawType), "bit" if at.table.bits else None))
    kind_name = fields.choice("kind", tuple(Kind), "")
    kind = Kind(kind_name) if kind_name else None
    words = fields.texts("status")
    for word in words:
        if word not in status:
            raise fields.wrong("status", f"there is no [status.{word}] and no [require.{word}]")
    made = Signal(
        name=name,
        at=at,
        type=raw_type,
        scale=_scale(fields),
        kind=kind,
        low_word_first=_low_first(fields),
        inverted=fields.flag("inverted", default=False),
        low=_bound(fields, "low", kind),
        high=_bound(fields, "high", kind),
        codes=_codes(fields, raw_type),
        status=tuple(status[word] for word in words),
        offset=fields.decimal("offset", "0"),
        factors=tuple(
            _factor(role, at.table, f) for role in Role if (f := fields.optional(role.value))
        ),
        span=_span(fields.optional("span")),
        levels=_levels(fields),
        part=read_part(fields),
        stride=stride,
    )
    fields.done()
    _check_type(fields, made)
    _check_meaning(fields, made)
    return made


def _word(fields: Fields, stride: int) -> tuple[Register, bool, Part | None]:
    """Return where a status word lies, whether it has 32 bits, and which of them count."""
    at = read_register(fields)
    if at.table.bits:
        raise fields.wrong("table", "a status word is a register")
    wide = fields.choice("type", ("u16", "u32"), "u32" if stride == 2 else "u16") == "u32"
    if stride == 2 and not wide:
        raise fields.wrong("type", "an address of this device holds 32 bits")
    return at, wide, read_part(fields, 32 if wide else 16)


def _low_first(fields: Fields) -> bool:
    return fields.choice("word_order", ("high_first", "low_first"), "high_first") == "low_first"


def _scale(fields: Fields) -> Fraction:
    """Return `scale` / `divide_by`, exactly: 21.7 mA at 65535 counts is no decimal."""
    value = fields.decimal("scale", "1")
    if value <= 0:
        raise fields.wrong("scale", "must be a decimal above 0, written as text")
    return value / fields.integer("divide_by", 1, 0xFFFFFFFF, 1)


def _bound(fields: Fields, key: str, kind: Kind | None) -> int | None:
    value = fields.decimal(key, None)
    if value is None:
        return None
    if kind is None:
        raise fields.wrong(key, "a range needs a kind")
    exact = value * 10 ** UNITS[kind].decimals
    if exact.denominator != 1:
        raise fields.wrong(key, f"finer than the smallest unit of {kind}")
    return int(exact)


def _codes(fields: Fields, raw_type: RawType) -> tuple[tuple[int, Quality], ...]:
    top = (1 << 16 * raw_type.width) - 1
    return tuple(
        (fields.number(key, 0, top), read_quality(fields, "codes", word))
        for key, word in fields.pairs("codes")
    )


def _factor(role: Role, table: Table, fields: Fields) -> Factor:
    at = Register(table, fields.integer("address", 0, 0xFFFF))
    part = read_part(fields)
    low, high = (0, 9) if role is Role.DECIMALS else (1, part.mask if part else 0xFFFF)
    allowed = tuple(
        fields.between("allowed", each, low, high)
        for each in fields.integers("allowed")[:ALLOWED_MAX]
    )
    fields.done()
    if not allowed:
        raise fields.wrong("allowed", "say which numbers are known; any other is implausible")
    return Factor(role, at, allowed, part)


def _span(fields: Fields | None) -> Span | None:
    if fields is None:
        return None
    bands = tuple(
        (
            fields.as_decimal("bands", row[0]),
            fields.as_decimal("bands", row[1]),
            read_quality(fields, "bands", row[2]),
        )
        for row in fields.rows("bands", 3)
    )
    made = Span(
        zero_at=fields.decimal("zero_at"),
        full_at=fields.decimal("full_at"),
        zero_is=fields.decimal("zero_is"),
        full_is=fields.decimal("full_is"),
        under=fields.decimal("under"),
        over=fields.decimal("over"),
        bands=bands,
    )
    fields.done()
    if not made.under < made.zero_at < made.full_at < made.over:
        raise fields.wrong("under", "the order is under < zero_at < full_at < over")
    if made.zero_is >= made.full_is:
        raise fields.wrong("full_is", "must lie above zero_is")
    if any(low > high for low, high, _ in bands):
        raise fields.wrong("bands", "from lies behind to")
    return made


def _levels(fields: Fields) -> tuple[Level, ...]:
    levels: list[Level] = []
    for row in fields.rows("levels", 3):
        low, high = (fields.between("levels", each, 0, 0xFFFF) for each in row[:2])
        state = STATES.get(row[2]) if isinstance(row[2], str) else None
        quality = Quality.GOOD if state is not None else read_quality(fields, "levels", row[2])
        if low > high or (state is None and quality is Quality.GOOD):
            raise fields.wrong("levels", "a row is [lowest, highest, on | off | a bad quality]")
        if any(low <= other.high and other.low <= high for other in levels):
            raise fields.wrong("levels", "two rows overlap")
        levels.append(Level(low, high, state, quality))
    return tuple(levels)


def _check_type(fields: Fields, signal: Signal) -> None:
    """Refuse raw types that do not fit their table, their address or their other keys."""
    bit = signal.type is RawType.BIT
    if signal.at.table.bits and not bit:
        raise fields.wrong("type", "coils and discrete inputs hold bits")
    if bit and not signal.at.table.bits:
        raise fields.wrong(
            "type", "a bit lies in a coil or discrete input; of a register see levels"
        )
    if not bit and signal.stride == 2 and signal.type.width != 2:
        raise fields.wrong("type", "an address of this device holds 32 bits")
    if signal.stride == 2 and (signal.low_word_first or signal.factors):
        raise fields.wrong("word_order", "not with addresses of 32 bits")
    if signal.part is not None and signal.type is not RawType.U16:
        raise fields.wrong("field", "only a u16 has fields")
    if signal.low_word_first and signal.type.width == 1:
        raise fields.wrong("word_order", "one register has no word order")
    if (signal.factors or signal.span) and signal.type in (RawType.BIT, RawType.F32):
        raise fields.wrong("type", "an integer takes a second register or a span")
    if bit and (signal.status or signal.codes):
        raise fields.wrong("status", "a bit is read alone; a status word is a register")


def _check_meaning(fields: Fields, signal: Signal) -> None:
    """Refuse a value without kind or range, and a switch that is also a value."""
    switch = signal.type is RawType.BIT or bool(signal.levels)
    if switch and (signal.low is not None or signal.high is not None or signal.span):
        raise fields.wrong("low", "a switch has no range")
    if signal.type is RawType.BIT:
        return
    if signal.levels:
        if signal.type is not RawType.U16 or signal.factors or signal.codes:
            raise fields.wrong("levels", "a switch level is a plain u16")
        if {0, 1} - {level.state for level in signal.levels}:
            raise fields.wrong("levels", "say which counts are on and which are off")
        return
    if signal.kind is None:
        raise fields.wrong("kind", "a measured value needs a kind; only switches take the point's")
    if signal.low is None or signal.high is None or signal.low >= signal.high:
        raise fields.wrong("high", "a measured value needs low < high")
    if signal.span and signal.offset:
        raise fields.wrong("offset", "zero_is of the span says it")
    if len({factor.role for factor in signal.factors}) != len(signal.factors):
        raise fields.wrong("multiplier", "twice")
