"""One trap of each real device, as its manual sets it, against the device file of the house."""

import struct
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers import codec, device_file
from minewatch_drivers.device_model import AT_LOSS_BY_ROLE, Register, Table
from minewatch_drivers.line import Line

from minewatch.model.mine import Bus, Device, OutputRole
from minewatch.model.quality import Quality


def holding(first: int, *words: int) -> dict[Register, int]:
    """Return holding registers from `first` on."""
    return {Register(Table.HOLDING, first + n): word for n, word in enumerate(words)}


def floats(number: float) -> tuple[int, int]:
    """Return a float as two words, high word first."""
    high, low = struct.unpack(">HH", struct.pack(">f", number))
    return high, low


@pytest.mark.parametrize(
    ("mode", "quality"),
    [(1, Quality.GOOD), (2, Quality.WARMUP), (3, Quality.INHIBITED), (12, Quality.CALIBRATION),
     (4, Quality.IMPLAUSIBLE), (0, Quality.IMPLAUSIBLE)],
)  # fmt: skip
def test_xrl_mode_decides_over_a_frozen_value(mode: int, quality: Quality) -> None:
    """Only mode 1 makes the value of an XRL good; a mode that its manual does not name is bad."""
    registers = holding(102, *floats(0.4), 0, 0, mode, 17, 0, 0, 5)

    value, said = codec.decode(device_file.load("honeywell-xrl-methane"), "methane", registers)

    assert said is quality
    assert (value == 40) is (quality is not Quality.IMPLAUSIBLE)


@pytest.mark.parametrize("bit", [5, 6])
def test_xrl_fault_counts_in_both_places_of_its_manual(bit: int) -> None:
    """The manual gives the fault bit as 5 and as 6: either makes the value bad."""
    registers = holding(102, *floats(0.4), 0, 1 << bit, 1, 17, 0, 0, 5)

    decoded = codec.decode(device_file.load("honeywell-xrl-methane"), "methane", registers)

    assert decoded == (None, Quality.IMPLAUSIBLE)


@pytest.mark.parametrize("number", [0.25, 0.5, 1.0, 1.5, 2.25, 4.75])
def test_polytron_words_the_wrong_way_round_show_no_reading(number: float) -> None:
    """40.00 is 4220 0000: a short fraction with its words swapped is no value, and never zero.

    Long fractions with swapped words may still round to zero: the commissioning check with a known
    gas is what finds those.
    """
    model = device_file.load("draeger-polytron-8000-methane")
    high, low = floats(number)

    right = codec.decode(model, "methane", holding(506, high, low))
    swapped, quality = codec.decode(model, "methane", holding(506, low, high))

    assert right == (round(number * 100), Quality.GOOD)
    assert (swapped, quality) == (None, Quality.IMPLAUSIBLE)


def wired(kit: SimpleNamespace, model: str) -> tuple[Any, Line]:
    """Return a line with one relay of `model` on a virtual wire and two sirens on it."""
    bus = Bus("line", "tcp://127.0.0.1:1502", scan_ms=500, timeout_ms=60)
    outputs = tuple(
        kit.output(name, OutputRole.SIREN, "relay", coil)
        for name, coil in (("one", "coil_1"), ("two", "coil_3"))
    )
    mine = kit.bare_mine(bus, (Device("relay", "line", 1, model),), outputs=outputs)
    line = Line(mine, bus, writes=True)
    return kit.Virtual(line, kit.Slave(rtu=False, timeout_us=60_000)), line


@pytest.mark.parametrize("model", ["waveshare-relay-8", "icpdas-tm-r5"])
def test_real_relays_are_never_toggled_or_reset(kit: SimpleNamespace, model: str) -> None:
    """Only coils of the file are written, with FF00, 0000 or function 15, never a register."""
    virtual, line = wired(kit, model)
    virtual.on_turn = lambda now_us: line.want(
        {"one": now_us // 1_000_000 % 2 == 0, "two": now_us // 3_000_000 % 2 == 0}, now_us
    )

    virtual.run(30_000_000)

    writes = [data[7:] for _, data in virtual.sent if data[7] not in (1, 2, 3, 4)]
    singles = [struct.unpack(">HH", pdu[1:5]) for pdu in writes if pdu[0] == 5]
    many = [struct.unpack(">HH", pdu[1:5]) for pdu in writes if pdu[0] == 15]
    assert len(writes) > 10
    assert len(singles) + len(many) == len(writes)
    assert {value for _, value in singles} <= {0x0000, 0xFF00}
    assert {address for address, _ in singles} <= {0, 2}
    assert all(first + count <= 3 for first, count in many)


@pytest.mark.parametrize(
    ("model", "role"),
    [
        ("relay-drop-all", OutputRole.SIREN),
        ("icpdas-tm-r5", OutputRole.SIREN),
        ("waveshare-relay-8", OutputRole.POWER_CUT),
    ],
)
def test_what_a_relay_cannot_do_at_loss_stands_in_its_file(model: str, role: OutputRole) -> None:
    """`check` refuses these pairs from the file: the needed behaviour is not among the possible."""
    assert AT_LOSS_BY_ROLE[role] not in device_file.load(model).at_loss("coil_1")
