"""Raw → value + quality: exact, total, and the inverse of what the simulator writes."""

import math
import re
import struct
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minewatch_drivers.device_files import codec, device_file
from minewatch_drivers.device_files.device_model import (
    DeviceModel,
    RawType,
    Register,
    Signal,
    StatusWord,
    Table,
)
from minewatch_drivers.device_files.encode import encode

from minewatch.model.kind import UNITS, Kind
from minewatch.model.quality import WIRE_QUALITIES, Quality

AT = Register(Table.INPUT, 10)
NAMES = device_file.catalogue()
VALUELESS = {
    Quality.OVER_RANGE,
    Quality.UNDER_RANGE,
    Quality.IMPLAUSIBLE,
    Quality.COMM_FAULT,
}


def signal(
    raw_type: RawType = RawType.U16,
    scale: str = "0.01",
    kind: Kind = Kind.METHANE,
    low: int = 0,
    high: int = 400,
    **more: object,
) -> Signal:
    """Return a signal at input register 10."""
    return Signal("s", AT, raw_type, Fraction(scale), kind, low=low, high=high, **more)  # type: ignore[arg-type]


def floats(number: float) -> list[int]:
    """Return the two registers of a float, high word first."""
    return list(struct.unpack(">HH", struct.pack(">f", number)))


@pytest.mark.parametrize("raw_type", [RawType.U16, RawType.S16])
@pytest.mark.parametrize("scale", ["0.01", "0.1", "1", "0.001", "0.025", "0.003"])
@pytest.mark.parametrize("kind", [Kind.METHANE, Kind.OXYGEN])
def test_all_65536_raw_numbers(raw_type: RawType, scale: str, kind: Kind) -> None:
    """Every raw number gives the exactly rounded decimal or a quality; nothing is off by one."""
    decode = codec.decoder(signal(raw_type, scale, kind, low=-50, high=3000), Table.INPUT, 10)
    up = kind is Kind.METHANE

    for raw in range(0x10000):
        count = raw - 0x10000 if raw_type is RawType.S16 and raw >= 0x8000 else raw
        exact = count * Decimal(scale) * 100
        flipped = exact if up else -exact
        nearest = int((flipped + 10**9).quantize(Decimal(1), ROUND_HALF_UP)) - 10**9
        nearest = nearest if up else -nearest
        if nearest > 3000:
            expected: tuple[int | None, Quality] = (None, Quality.OVER_RANGE)
        elif nearest < -50:
            expected = (None, Quality.UNDER_RANGE)
        else:
            expected = (nearest, Quality.GOOD)
        assert decode([raw]) == expected, raw


def test_all_two_digit_decimals_of_a_float_head() -> None:
    """A float register of 0.00 … 4.00 %CH4 becomes exactly 0 … 400, none a unit beside."""
    decode = codec.decoder(signal(RawType.F32, "1"), Table.INPUT, 10)

    decoded = [decode(floats(value / 100)) for value in range(401)]

    assert decoded == [(value, Quality.GOOD) for value in range(401)]


def test_a_tie_goes_towards_the_alarm() -> None:
    """Half a unit rounds up where high is dangerous, down where low is."""
    methane = codec.decoder(signal(RawType.F32, "1"), Table.INPUT, 10)
    oxygen = codec.decoder(signal(RawType.F32, "1", Kind.OXYGEN, high=3000), Table.INPUT, 10)

    assert methane(floats(0.125)) == (13, Quality.GOOD)
    assert oxygen(floats(18.125)) == (1812, Quality.GOOD)


@pytest.mark.parametrize(
    ("bits", "quality"),
    [
        (0x7FC00000, Quality.IMPLAUSIBLE),
        (0xFFC00000, Quality.IMPLAUSIBLE),
        (0x7F800000, Quality.IMPLAUSIBLE),
        (0xFF800000, Quality.IMPLAUSIBLE),
        (0x7F7FFFFF, Quality.OVER_RANGE),
        (0xFF7FFFFF, Quality.UNDER_RANGE),
        (0x80000000, Quality.GOOD),
        (0x00000001, Quality.IMPLAUSIBLE),
        (0x807FFFFF, Quality.IMPLAUSIBLE),
        (0x00800000, Quality.GOOD),
        (0x00000000, Quality.GOOD),
    ],
)
def test_odd_floats(bits: int, quality: Quality) -> None:
    """NaN, infinity and the largest floats and denormals are no values; both zeros are 0."""
    decode = codec.decoder(signal(RawType.F32, "1"), Table.INPUT, 10)

    value, said = decode([bits >> 16, bits & 0xFFFF])

    assert said is quality
    assert value == (0 if quality is Quality.GOOD else None)


@given(st.integers(0, 0xFFFFFFFF))
@settings(max_examples=2000, deadline=None)
def test_a_float_is_good_only_within_its_range(bits: int) -> None:
    """Whatever 32 bits say, GOOD comes with an integer in range and nothing else does."""
    decode = codec.decoder(signal(RawType.F32, "1"), Table.INPUT, 10)
    (number,) = struct.unpack(">f", bits.to_bytes(4, "big"))

    value, quality = decode([bits >> 16, bits & 0xFFFF])

    assert (quality is Quality.GOOD) == (value is not None)
    if value is not None:
        assert 0 <= value <= 400
        assert abs(Fraction(number) * 100 - value) <= Fraction(1, 2)
    elif not math.isfinite(number) or abs(number) < 2.0**-126:
        assert quality is Quality.IMPLAUSIBLE
    else:
        assert quality is (Quality.OVER_RANGE if number > 0 else Quality.UNDER_RANGE)


@pytest.mark.parametrize(
    ("raw_type", "words", "low_first", "value"),
    [
        (RawType.U32, [1, 5], False, 0x10005),
        (RawType.U32, [5, 1], True, 0x10005),
        (RawType.S32, [0xFFFF, 0xFFFE], False, -2),
        (RawType.S32, [0xFFFE, 0xFFFF], True, -2),
    ],
)
def test_word_order_and_sign(
    raw_type: RawType, words: list[int], low_first: bool, value: int
) -> None:
    """32-bit values in both word orders, signed and not."""
    made = signal(
        raw_type, "1", Kind.GATE_IN, low=-(2**31), high=2**32 - 1, low_word_first=low_first
    )

    assert codec.decoder(made, Table.INPUT, 10)(words) == (value, Quality.GOOD)


def test_codes_stand_for_qualities() -> None:
    """A raw number that the maker reserves is never a value."""
    decode = codec.decoder(signal(codes=((65535, Quality.WARMUP),)), Table.INPUT, 10)

    assert decode([65535]) == (None, Quality.WARMUP)


MODE = StatusWord(
    "mode",
    Register(Table.INPUT, 11),
    values=((1, 1, Quality.GOOD), (2, 2, Quality.WARMUP)),
    otherwise=Quality.IMPLAUSIBLE,
)
BITS = StatusWord(
    "bits",
    Register(Table.INPUT, 12),
    bits=((0, Quality.IMPLAUSIBLE), (2, Quality.CALIBRATION), (4, Quality.OVER_RANGE)),
)


@pytest.mark.parametrize(
    ("mode", "bits", "expected"),
    [
        (1, 0, (50, Quality.GOOD)),
        (1, 0b10, (50, Quality.GOOD)),
        (2, 0, (50, Quality.WARMUP)),
        (9, 0, (None, Quality.IMPLAUSIBLE)),
        (1, 0b1, (None, Quality.IMPLAUSIBLE)),
        (1, 0b101, (50, Quality.CALIBRATION)),
        (1, 0b10001, (None, Quality.OVER_RANGE)),
    ],
)
def test_status_words_speak_by_strength(
    mode: int, bits: int, expected: tuple[int | None, Quality]
) -> None:
    """The strongest statement counts; calibration shows its value, a fault shows none."""
    decode = codec.decoder(signal(status=(MODE, BITS)), Table.INPUT, 10)

    assert decode([50, mode, bits]) == expected


def test_every_wire_quality_has_a_strength() -> None:
    """No quality that a device file may name is without a rank."""
    assert set(codec.STRENGTH) == WIRE_QUALITIES


def show(model: DeviceModel, name: str, value: int | None, quality: Quality) -> codec.Decoded:
    """Write a value into registers as the simulator does and decode it again."""
    made = model.signals[name]
    registers = {Register(made.at.table, address): 0 for address in codec.needs(made)}
    for write in encode(model, name, value, quality):
        old = registers[write.at]
        registers[write.at] = old & ~write.mask | write.value & write.mask
    return codec.decode(model, name, registers)


def families(model: DeviceModel) -> list[str]:
    """Return one signal of each kind of port: `methane_1` stands for sixty-four of them."""
    return list({re.sub(r"_\d+$", "", name): name for name in model.signals}.values())


def coarseness(made: Signal) -> int:
    """Return by how many smallest units a value may move on its way through whole raw counts."""
    if made.levels or made.type in (RawType.BIT, RawType.F32):
        return 0
    finest = min(
        math.prod(
            (codec.factor_of(f.role, n) for f, n in zip(made.factors, numbers, strict=True)),
            start=codec.scale_of(made, made.kind)[0],
        )
        for numbers in product(*(factor.allowed for factor in made.factors))
    )
    return 0 if finest <= 1 else math.ceil(finest / 2 + Fraction(1, 2))


@pytest.mark.parametrize("name", NAMES)
def test_encode_is_the_inverse_of_decode(name: str) -> None:
    """Every device file can be rendered into registers and read back, value by value."""
    model = device_file.load(name)
    for each in families(model):
        made = model.signals[each]
        off = coarseness(made)
        low, high = made.low or 0, 1 if made.high is None else made.high
        for value in {low, high, *range(low, high + 1, max(1, (high - low) // 500))}:
            read, quality = show(model, each, value, Quality.GOOD)
            assert quality is Quality.GOOD or off
            assert read is None or abs(read - value) <= off


@pytest.mark.parametrize("name", NAMES)
def test_every_quality_that_a_file_can_say_is_read_back(name: str) -> None:
    """What the simulator can show, the codec understands; what it cannot show is refused."""
    model = device_file.load(name)
    for each in families(model):
        for quality in sorted(WIRE_QUALITIES):
            try:
                value, said = show(model, each, 1, quality)
            except ValueError:
                continue
            assert said is quality
            assert (value is None) == (quality in VALUELESS)


def test_a_head_can_show_what_the_stories_need() -> None:
    """Calibration, warm-up, over and under range and faults of the generic head."""
    model = device_file.load("methane-head-generic")

    for quality in WIRE_QUALITIES:
        assert show(model, "methane", 100, quality)[1] is quality


def test_units_of_every_kind_fit_their_device_ranges() -> None:
    """A file's range is written in its kind's own decimals."""
    for name in NAMES:
        for made in device_file.load(name).signals.values():
            assert made.kind is None or made.kind in UNITS
