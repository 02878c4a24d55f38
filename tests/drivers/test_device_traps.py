"""The traps of real devices that an answer can hold: units, factors, states, currents."""

import math
import struct
from fractions import Fraction

import pytest
from minewatch_drivers.commission import device_check
from minewatch_drivers.device_files import codec, device_file
from minewatch_drivers.device_files.device_model import Register, Table
from minewatch_drivers.tasks.plan import plan_device

from minewatch.model.kind import Kind
from minewatch.model.mine import Device, Point
from minewatch.model.quality import Quality

BAD = (None, Quality.IMPLAUSIBLE)


def words(table: Table, first: int, *numbers: int | float) -> dict[Register, int]:
    """Return registers from `first` on; a float takes two, high word first."""
    flat: list[int] = []
    for number in numbers:
        if isinstance(number, float):
            flat += struct.unpack(">HH", struct.pack(">f", number))
        else:
            flat.append(number & 0xFFFF)
    return {Register(table, first + n): word for n, word in enumerate(flat)}


def decoded(name: str, signal: str, registers: dict[Register, int]) -> codec.Decoded:
    """Return what a device of the house says in these registers."""
    return codec.decode(device_file.load(name), signal, registers)


@pytest.mark.parametrize("unit", range(16))
@pytest.mark.parametrize(("name", "right", "gas"), [("vol", 3, 1.5), ("lel", 5, 30.0)])
def test_xcd_unit_must_be_the_one_that_its_file_assumes(
    name: str, right: int, gas: float, unit: int
) -> None:
    """%vol, %LEL, ppm or mg/m3: the same number in another unit is no value (fault 28)."""
    registers = words(Table.HOLDING, 0, 0x2507, 0x2507, gas, 0, 0, 1, 0, 0.0, unit)

    value = decoded(f"honeywell-xcd-methane-{name}", "methane", registers)

    assert value == ((150, Quality.GOOD) if unit == right else BAD)


@pytest.mark.parametrize("fault", [0, 1, 15, 999, 1099, 1100, 1150, 1199, 1200])
def test_xcd_warnings_leave_the_value_and_faults_take_it(fault: int) -> None:
    """Below 1100 the number is a warning; from there on the head is broken."""
    registers = words(Table.HOLDING, 0, 0x2507, 0x2507, 1.5, fault, 0, 1, 0, 0.0, 3)

    value = decoded("honeywell-xcd-methane-vol", "methane", registers)

    assert value == (BAD if 1100 <= fault <= 1199 else (150, Quality.GOOD))


@pytest.mark.parametrize("divisor", [0, 1, 2, 9, 10, 11, 100, 1000, 65535])
def test_e3point_reading_means_nothing_without_its_divisor(divisor: int) -> None:
    """Known divisors scale exactly; any other, zero too, is implausible."""
    registers = words(Table.HOLDING, 21, 700, 0, divisor, 0, 0, 0)

    value, quality = decoded("honeywell-e3point-carbon-monoxide", "carbon_monoxide", registers)

    known = {1: 700, 10: 70, 100: 7}
    assert (value, quality) == ((known[divisor], Quality.GOOD) if divisor in known else BAD)


@pytest.mark.parametrize("decimals", [0, 1, 2, 3, 9, 255])
@pytest.mark.parametrize("sensor", [3, 4, 5, 6, 7, 0])
def test_itrans_needs_its_decimals_and_its_sensor(sensor: int, decimals: int) -> None:
    """An unknown place of the point, or a toxic cell where methane was, is no methane value."""
    registers = words(Table.HOLDING, 100, sensor << 8 | 6, 2, decimals, *[0] * 8, 1, 0)

    value = decoded("oldham-itrans-2", "methane", registers)

    known = {0: 200, 1: 20, 2: 2}
    good = sensor in (3, 7) and decimals in known
    assert value == ((known[decimals], Quality.GOOD) if good else BAD)


@pytest.mark.parametrize("span", [0, 1, 4, 5, 50, 100, 500])
def test_regard_level_is_no_value_without_its_range(span: int) -> None:
    """Level x range / 1000: a channel with another range than the file's is implausible."""
    registers = words(Table.INPUT, 1, 300, span, 5, 2, 0)

    value = decoded("draeger-regard-3900-methane", "methane_1", registers)

    assert value == ((150, Quality.GOOD) if span == 5 else BAD)


@pytest.mark.parametrize("mode", range(16))
@pytest.mark.parametrize("fault", range(4))
@pytest.mark.parametrize("beat", [0, 0x0800])
def test_midas_mode_and_fault_share_a_register_with_its_heartbeat(
    mode: int, fault: int, beat: int
) -> None:
    """Alarm, relay and heartbeat bits change nothing; mode and fault class decide."""
    registers = words(Table.HOLDING, 0, mode | fault << 4 | 0x07C0 | beat, 0, 24.0, 0, 0, 0x0100)
    stages = {0: Quality.WARMUP, 1: Quality.GOOD, 2: Quality.INHIBITED, 3: Quality.INHIBITED,
              4: Quality.INHIBITED, 5: Quality.CALIBRATION, 6: Quality.CALIBRATION,
              7: Quality.CALIBRATION, 8: Quality.CALIBRATION}  # fmt: skip
    said = [stages.get(mode, Quality.IMPLAUSIBLE)]
    said += [Quality.IMPLAUSIBLE] if fault > 1 else []

    _, quality = decoded("honeywell-midas-carbon-monoxide", "carbon_monoxide", registers)

    assert quality is codec.strongest(said)


def test_gasmaster_answer_of_the_usual_size_is_refused() -> None:
    """A panel that answers two bytes for an address is not read as if it answered four."""
    model = device_file.load("crowcon-gasmaster-methane")
    frame = model.frames[0]
    short = frame.reply[:2] + bytes((16,)) + frame.reply[3:19] + b"\0\0"

    whole = device_check.read_answer(model, frame)

    assert whole is not None
    assert len(whole.block) == 16
    with pytest.raises(ValueError, match="reply"):
        device_check.read_answer(model, type(frame)(frame.source, frame.request, short, ()))


def test_gasmaster_status_is_the_address_behind_the_value() -> None:
    """506 is the float and 507 its status: the planner asks for both, neither is half the other."""
    model = device_file.load("crowcon-gasmaster-methane")
    point = Point("p", "", Kind.METHANE, "z", "d", "methane_1", "record_only")

    plan = plan_device(Device("d", "b", 1, model.name), model, (point,))

    (block,) = plan.blocks
    assert (block.address, block.count) == (506, 2)
    assert block.exchange.reply_size == 2 + 8
    assert decoded(model.name, "methane_1", {
        Register(Table.HOLDING, 506): 0x41A00000, Register(Table.HOLDING, 507): 0,
    }) == (100, Quality.GOOD)  # fmt: skip
    assert decoded(model.name, "methane_1", {
        Register(Table.HOLDING, 506): 0x41A00000, Register(Table.HOLDING, 507): 0x10000,
    }) == BAD  # fmt: skip


@pytest.mark.parametrize(
    ("name", "table", "first", "last"),
    [
        ("msa-ultima-x-methane", Table.COIL, 0, 11),
        ("msa-ultima-x-methane", Table.COIL, 18, 19),
        ("honeywell-e3point-carbon-monoxide", Table.HOLDING, 21, 21),
        ("generalmonitors-ir400-methane", Table.HOLDING, 8, 8),
        ("adtek-wsa-air-speed", Table.HOLDING, 0x07D0, 0x07D1),
        ("moxa-iologik-e1214", Table.COIL, 0x10, 0x10),
        ("advantech-adam-4056so", Table.COIL, 28, 30),
        ("icpdas-tm-r5", Table.COIL, 260, 260),
        ("relay-board-4-0100", Table.COIL, 0xFF, 0xFF),
    ],
)
def test_what_nobody_may_write_stands_in_the_file(
    name: str, table: Table, first: int, last: int
) -> None:
    """Calibration, reset, address and pulse registers are refused, also at the edge of a range."""
    model = device_file.load(name)

    assert not model.may_write(table, first, last)
    assert not model.may_write(table, max(0, first - 3), first)
    assert all(model.may_write(Table.COIL, c.coil, c.coil) for c in model.channels.values())


def test_lambrecht_average_is_never_read() -> None:
    """Asking for it resets maximum and minimum: no question of any plan touches it."""
    model = device_file.load("lambrecht-air-speed")
    point = Point("p", "", Kind.AIR_SPEED, "z", "d", "air_speed", "record_only")

    plan = plan_device(Device("d", "b", 1, model.name), model, (point,))

    assert [(block.address, block.count) for block in plan.blocks] == [(0, 1)]
    assert not model.may_read(0, 1)


@pytest.mark.parametrize("bits", range(16))
def test_detcon_with_a_relay_of_the_other_sense_is_not_believed(bits: int) -> None:
    """Bit 0 means the opposite where bit 2 is set: neither is guessed."""
    registers = words(Table.HOLDING, 1, 100, 235, 10, 20, bits)

    value = decoded("detcon-1000-methane", "methane", registers)

    assert value == (BAD if bits & 0b101 else (118, Quality.GOOD))


def test_ir400_counts_become_current_and_gas_without_loss() -> None:
    """65535 counts are 21.7 mA, which no decimal per count can say: every count is exact."""
    model = device_file.load("generalmonitors-ir400-methane")
    for raw in range(0, 0x10000, 7):
        current = Fraction(raw * 217, 655350)
        exact = (current - 4) * 500 / 16
        value, quality = codec.decode(model, "methane", words(Table.HOLDING, 0, raw, 1, 0, 4, 2104))
        if current < Fraction("3.6"):
            assert (value, quality) == (None, Quality.UNDER_RANGE)
        elif math.floor(exact + Fraction(1, 2)) > 500:
            assert (value, quality) == (None, Quality.OVER_RANGE)
        elif math.floor(exact + Fraction(1, 2)) >= -10:
            assert (value, quality) == (math.floor(exact + Fraction(1, 2)), Quality.GOOD)
        else:
            assert (value, quality) == (None, Quality.UNDER_RANGE)


@pytest.mark.parametrize(
    ("name", "signal", "broken", "zero", "full", "shorted"),
    [
        ("current-converter-4-20ma", "methane_4_1", 3599, 4000, 20000, 21001),
        ("current-converter-1-5ma", "methane_4_1", 899, 1000, 5000, 5251),
        ("frequency-converter-200-1000hz", "methane_4_1", 1899, 2000, 10000, 10201),
    ],
)
def test_a_broken_wire_is_never_zero_gas(
    name: str, signal: str, broken: int, zero: int, full: int, shorted: int
) -> None:
    """The whole sweep (fault 24): below and above there is no value, between it is exact."""
    model = device_file.load(name)
    made = model.signals[signal]
    decode = codec.decoder(made, made.at.table, made.at.address)
    for raw in range(0x10000):
        value, quality = decode([raw])
        if raw <= broken:
            assert (value, quality) == (None, Quality.UNDER_RANGE), raw
        elif raw >= shorted:
            assert (value, quality) == (None, Quality.OVER_RANGE), raw
        elif zero <= raw <= full:
            exact = Fraction(400 * (raw - zero), full - zero)
            assert (value, quality) == (math.floor(exact + Fraction(1, 2)), Quality.GOOD), raw


def test_a_dead_wire_is_no_switch_state() -> None:
    """1 mA is off, 5 mA is on, and everything else is neither (practice: feed state, fan run)."""
    model = device_file.load("contact-converter-1-5ma")
    made = model.signals["input_1"]
    decode = codec.decoder(made, made.at.table, made.at.address)
    seen = {raw: decode([raw]) for raw in range(7000)}

    assert {raw for raw, (value, _) in seen.items() if value == 0} == set(range(500, 1501))
    assert {raw for raw, (value, _) in seen.items() if value == 1} == set(range(4000, 6001))
    assert {q for raw, (_, q) in seen.items() if raw < 100} == {Quality.COMM_FAULT}
    assert all((value is None) == (quality is not Quality.GOOD) for value, quality in seen.values())


@pytest.mark.parametrize("wired", [1, 2, 3, 4, 6, 12, 14, 64, 0, 99])
def test_an_exchanged_plug_shows_no_wrong_gas(wired: int) -> None:
    """A port of the sub-station says what hangs on it: every other kind is implausible."""
    model = device_file.load("substation-64")
    kinds = {1: "methane", 2: "air_speed", 3: "temperature", 4: "carbon_monoxide",
             6: "negative_pressure", 12: "oxygen", 14: "dust", 64: "switch"}  # fmt: skip
    registers = words(Table.INPUT, 78, wired << 8, 1)

    good = {name for name in kinds.values()
            if codec.decode(model, f"{name}_32", registers)[1] is Quality.GOOD}  # fmt: skip

    assert good == ({kinds[wired]} if wired in kinds else set())
