"""Traps of real devices that show on the wire: what is written, how fast, and what must move."""

import struct
import tomllib
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.device_files import codec, device_file
from minewatch_drivers.device_files.device_model import AT_LOSS_BY_ROLE, Register, Table
from minewatch_drivers.modbus_line.line import Line

from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, OutputRole, Point
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


MODELS = {
    "waveshare-relay-8": {0, 2},
    "icpdas-tm-r5": {0, 2},
    "moxa-iologik-e1214": {0, 2},
    "advantech-adam-4056so": {16, 18},
}
"""Relays and the coils of their first and third channel."""


@pytest.mark.parametrize("model", MODELS)
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
    coils = MODELS[model]
    assert {value for _, value in singles} <= {0x0000, 0xFF00}
    assert {address for address, _ in singles} <= coils
    assert all(first >= min(coils) and first + count <= max(coils) + 1 for first, count in many)


def test_a_board_that_takes_0100_for_on_is_driven_with_it(kit: SimpleNamespace) -> None:
    """Coils 1 and 3 close with 0100 and open with 0000; FF00 and 5500 are never on the wire."""
    virtual, line = wired(kit, "relay-board-4-0100")
    written: list[tuple[int, int]] = []
    honest = virtual.slave._answer

    def answer(unit: int, pdu: bytes, now_us: int) -> bytes:
        if pdu[0] != 5:
            return bytes(honest(unit, pdu, now_us))
        address, value = struct.unpack(">HH", pdu[1:5])
        written.append((address, value))
        virtual.slave.coils[address] = int(value == 0x0100)
        return pdu

    virtual.slave._answer = answer
    virtual.on_turn = lambda now_us: line.want(
        {"one": now_us // 1_000_000 % 2 == 0, "two": False}, now_us
    )

    virtual.run(20_000_000)

    assert set(written) == {(1, 0x0100), (1, 0), (3, 0)}
    assert {r.energised for r in virtual.read_backs if r.output == "one"} == {True, False}


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


def midas(kit: SimpleNamespace, scan_ms: int = 1000) -> Any:
    """Return a virtual wire with a Midas that measures 24 ppm of carbon monoxide."""
    bus = Bus("line", "tcp://127.0.0.1:1502", scan_ms=scan_ms, timeout_ms=60)
    point = Point("p", "", Kind.CARBON_MONOXIDE, "z", "head", "carbon_monoxide", "record_only")
    device = Device("head", "line", 1, "honeywell-midas-carbon-monoxide")
    mine = kit.bare_mine(bus, (device,), points=(point,))
    high, low = floats(24.0)
    holding = {0: 1, 2: high, 3: low, 6: 0x0100}
    slave = kit.Slave(rtu=False, timeout_us=60_000, holding=holding)
    return kit.Virtual(Line(mine, bus, writes=False), slave)


def qualities(virtual: Any, after_us: int) -> set[Quality]:
    """Return the qualities of the samples that were asked for after a time."""
    return {s.readings[0].quality for s in virtual.samples if s.sampled_ms > after_us // 1000}


def test_midas_is_believed_while_its_heartbeat_bit_turns_over(kit: SimpleNamespace) -> None:
    """Bit 11 of the status toggles every two seconds; then the value is good, scan after scan."""
    virtual = midas(kit)

    def toggle(now_us: int) -> None:
        virtual.slave.holding[0] = 1 | (now_us // 2_000_000 & 1) << 11

    virtual.on_turn = toggle
    virtual.run(40_000_000)

    assert qualities(virtual, 0) == {Quality.GOOD}
    assert len(virtual.samples) > 30


def test_midas_is_not_believed_when_other_bits_move_instead(kit: SimpleNamespace) -> None:
    """Relay and alarm bits of the same register are no heartbeat: three periods later it is bad."""
    virtual = midas(kit)

    def rattle(now_us: int) -> None:
        virtual.slave.holding[0] = 1 | (now_us // 1_000_000 & 7) << 8 & 0x0700

    virtual.on_turn = rattle
    virtual.run(40_000_000)

    assert qualities(virtual, 9_000_000) == {Quality.IMPLAUSIBLE}


def test_a_device_gets_the_rest_that_it_wants_and_others_do_not_wait(
    kit: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between an answer and the next question to that unit pass `pause_ms`; other units go on."""
    tree = tomllib.loads(kit.TWO_BLOCKS)
    tree["read"]["pause_ms"] = 300
    made = device_file.build("two-blocks", "test", tree)
    monkeypatch.setattr(device_file, "load", lambda _: made)
    mine = kit.one_bus("tcp://127.0.0.1:1502", units=2, scan_ms=1000)
    virtual = kit.Virtual(Line(mine, mine.buses[0], writes=False), kit.Slave(False, 60_000))

    virtual.run(30_000_000)

    asked: dict[int, list[int]] = {1: [], 2: []}
    for at_us, data in virtual.sent:
        asked[data[6]].append(at_us)
    gaps = [b - a for times in asked.values() for a, b in pairwise(times)]
    between = [b - a for a, b in pairwise(at_us for at_us, _ in virtual.sent)]
    assert len(gaps) > 80
    assert min(gaps) >= 300_000 + virtual.slave.delay_us
    assert min(between) < 300_000
