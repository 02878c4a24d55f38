"""First contact with a bus: meanings, surveys, fits and scans, and what may be asked."""

import math
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minewatch_drivers.address import parse_address
from minewatch_drivers.commission.ask import AskError
from minewatch_drivers.commission.fit import fits
from minewatch_drivers.commission.permit import refusal
from minewatch_drivers.commission.scan import (
    Found,
    Probe,
    questions,
    safe_address,
    scan,
    settings_of,
)
from minewatch_drivers.commission.survey import NEAR, Survey
from minewatch_drivers.commission.words import ORDERS, meanings
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.device_model import Table
from minewatch_drivers.wire import modbus

from minewatch.model.mine import Bus, Device, Mine, Mode, OutputRole, Reader

ORDER = st.sampled_from(sorted(ORDERS))


def in_order(data: bytes, order: str) -> list[int]:
    """Return the two registers of a device that sends the bytes of `data` in this order."""
    wire = bytearray(4)
    for place, source in enumerate(ORDERS[order]):
        wire[source] = data[place]
    return list(struct.unpack(">HH", wire))


@given(st.floats(width=32), ORDER)
def test_every_float_is_among_the_meanings(number: float, order: str) -> None:
    """Encoded by `struct` in any byte order it is shown, and is plausible only if finite."""
    words = in_order(struct.pack(">f", number), order)

    found = [m for m in meanings(9, words) if (m.type, m.order) == ("f32", order)]

    assert [m.text for m in found] == [f"{number:.7g}"]
    assert not found[0].plausible or (math.isfinite(number) and 1e-3 <= abs(number) <= 1e6)


@given(st.integers(-(2**31), 2**32 - 1), ORDER)
def test_every_32_bit_count_is_among_the_meanings(number: int, order: str) -> None:
    """Signed and unsigned, in any byte order."""
    data = (number % 2**32).to_bytes(4, "big")

    found = {(m.type, m.order, m.text) for m in meanings(0, in_order(data, order))}

    assert ("s32" if number < 0 else "u32", order, str(number)) in found


@given(st.integers(0, 0xFFFF))
def test_every_word_is_among_its_meanings(word: int) -> None:
    """As a count, as a negative number, with its bytes swapped, as bits, digits and characters."""
    found = {(m.type, m.order, m.text) for m in meanings(0, [word])}

    assert ("u16", "AB", str(word)) in found
    assert ("u16", "BA", str(int.from_bytes(word.to_bytes(2, "little"), "big"))) in found
    assert ("bits", "AB", f"{word:016b}") in found
    assert ("s16", "AB", str(struct.unpack(">h", struct.pack(">H", word))[0])) in found
    digits = f"{word:04x}"
    shown = {text for kind, _, text in found if kind == "bcd"}
    assert shown == ({str(int(digits))} if digits.isdigit() else set())


# Devices.


@dataclass
class Device0:
    """A device in memory: (function, address) → number; `asked` are the spans that were read."""

    registers: dict[tuple[int, int], int]
    asked: list[tuple[int, int, int]] = field(default_factory=list)
    most: int = 125
    functions: frozenset[int] = frozenset({1, 2, 3, 4})

    def ask(self, unit: int, pdu: bytes) -> bytes:
        """Answer a read, or refuse as devices do."""
        request = modbus.parse_request(unit, pdu)
        self.asked.append((request.function, request.address, request.count))
        if request.function not in self.functions:
            raise AskError("exception_1")
        places = [(request.function, request.address + n) for n in range(request.count)]
        if request.count > self.most or not all(place in self.registers for place in places):
            raise AskError("exception_2")
        return modbus.reply_pdu(request, [self.registers[place] for place in places])


SPANS = st.lists(
    st.tuples(st.sampled_from([3, 4]), st.integers(0, NEAR // 2 - 8), st.integers(1, 8)),
    max_size=4,
)


@given(SPANS, st.sampled_from([4, 16, 125]))
@settings(max_examples=40, deadline=None)
def test_a_survey_finds_every_whole_pair(spans: list[tuple[int, int, int]], most: int) -> None:
    """Any map of 32-bit values near the beginning is found whole, whatever a question may hold."""
    registers = {
        (function, address): address
        for function, pair, pairs in spans
        for address in range(2 * pair, 2 * (pair + pairs))
    }
    device = Device0(registers, most=most, functions=frozenset({3, 4}))
    survey = Survey(device, 1, lambda *_: None)

    found = {
        (3 if each.table.value == "holding" else 4, each.first + n): word
        for each in survey.run()
        for n, word in enumerate(each.words)
    }

    assert found == registers
    assert survey.complete


def test_a_survey_finds_odd_ends_and_far_beginnings() -> None:
    """A range that begins and ends between pairs, one at a usual base, and coils."""
    registers = {(3, a): 1 for a in (*range(11, 16), *range(4096, 4101))}
    registers |= {(1, a): 1 for a in range(5)}
    device = Device0(registers, functions=frozenset({1, 3}))

    found = [(e.table.value, e.first, len(e.words)) for e in Survey(device, 1, _quiet).run()]

    assert found == [("holding", 11, 5), ("holding", 4096, 5), ("coil", 0, 5)]


def test_a_lone_register_is_found_one_by_one() -> None:
    """Between refused neighbours only `single` finds it."""
    device = Device0({(4, 21): 7}, functions=frozenset({4}))

    assert list(Survey(device, 1, _quiet).run()) == []
    (found,) = Survey(device, 1, _quiet, single=True).run()
    assert (found.first, found.words) == (21, (7,))


def test_places_from_a_makers_sheet_are_read_and_nothing_else() -> None:
    """Where `at` says, in as many pieces as the device takes; a neighbour too much costs halves."""
    device = Device0({(3, a): 1 for a in (200, 201, 202)}, functions=frozenset({3}))

    (found,) = Survey(device, 1, _quiet, at=[(Table.HOLDING, 200, 3)]).run()
    parts = [each.first for each in Survey(device, 1, _quiet, at=[(Table.HOLDING, 199, 4)]).run()]

    assert (found.first, found.words) == (200, (1, 1, 1))
    assert parts == [200, 201]
    assert list(Survey(device, 1, _quiet).run()) == []


def _quiet(*_: object) -> None:
    """Say nothing."""


MODELS = tuple(device_file.load(name) for name in device_file.catalogue())


@pytest.mark.parametrize(
    "name",
    ["methane-head-generic", "environment-head-generic", "gate-counter-generic",
     "relay-module-8-watchdog", "switch-module-8", "weather-station-generic"],
)  # fmt: skip
def test_a_device_is_known_by_its_identity(name: str) -> None:
    """Where only the identity differs from zero, it decides; files that fit anything are left."""
    model = device_file.load(name)
    assert model.sentinel is not None
    function = {"holding": 3, "input": 4, "coil": 1, "discrete": 2}
    registers = {(function[t], a): 0 for t in function for a in range(100)}
    at = model.sentinel.at
    registers[function[at.table.value], at.address] = model.sentinel.expected

    found = fits(Device0(registers), 1, MODELS, MODELS)

    assert name in {each.model for each in found}
    assert {each.reason for each in found} == {"identity"}


@pytest.mark.parametrize("name", [m.name for m in MODELS if m.forbidden])
def test_nothing_is_read_that_the_device_might_forbid(name: str) -> None:
    """On a device that only its own file fits, no address that the file forbids is ever asked."""
    model = device_file.load(name)
    held = {(f, a): 1 for f in (1, 2, 3, 4) for a in range(2_100)}
    if model.sentinel is not None:
        held[3, model.sentinel.at.address] = held[4, model.sentinel.at.address] = (
            model.sentinel.expected
        )
    device = Device0(held)

    fits(device, 1, MODELS, MODELS)

    probe = safe_address(MODELS)
    spans = [*((a, a + n - 1) for _, a, n in device.asked), (probe, probe)]
    assert all(model.may_read(first, last) for first, last in spans)


@dataclass
class Bus0:
    """A gateway in memory: unit → device; the others are refused as gateways do, or not at all."""

    units: dict[int, Device0]
    refusal: str = "exception_11"

    def ask(self, unit: int, pdu: bytes) -> bytes:
        """Pass a question on."""
        if unit not in self.units:
            raise AskError(self.refusal)
        return self.units[unit].ask(unit, pdu)


@contextmanager
def _at(asker: Bus0) -> Iterator[Bus0]:
    yield asker


def _found(wire: Bus0, asked: tuple[bytes, ...]) -> list[tuple[int, str]]:
    """Return who is found behind a gateway, and how each answered."""
    address = parse_address("tcp://10.0.0.1:502")
    steps = scan((address,), range(1, 20), asked, (), MODELS, lambda _: _at(wire))
    return [(each.unit, each.answer) for each in steps if isinstance(each, Found)]


@pytest.mark.parametrize("refusal", ["exception_10", "exception_11", "timeout", "bad_unit"])
def test_only_units_that_answer_are_found(refusal: str) -> None:
    """A gateway that says nobody is there speaks for nobody; a device that refuses is there."""
    held = {(3, safe_address(MODELS)): 1}
    wire = Bus0({3: Device0(held), 9: Device0({})}, refusal)

    assert _found(wire, questions(MODELS)) == [(3, "value"), (9, "exception_2")]


@dataclass
class Mute(Device0):
    """A device that keeps silent where others refuse."""

    def ask(self, unit: int, pdu: bytes) -> bytes:
        """Answer what can be read."""
        try:
            return super().ask(unit, pdu)
        except AskError:
            raise AskError("timeout") from None


def test_a_device_that_keeps_silent_is_found_by_what_it_has() -> None:
    """By its identity where a person names its file, by any table with `thorough`."""
    model = device_file.load("methane-head-generic")
    assert model.sentinel is not None
    named = Bus0({4: Mute({(4, model.sentinel.at.address): model.sentinel.expected})})
    coils = Bus0({5: Mute({(1, safe_address(MODELS)): 0})})

    assert _found(named, questions(MODELS, (model,))) == [(4, "value")]
    assert _found(coils, questions(MODELS)) == []
    assert _found(coils, questions(MODELS, thorough=True)) == [(5, "value")]


@pytest.mark.parametrize(("unit", "asked"), [(3, 3 * 16 + 84 - 16), (60, 3 * 16 + 2 * 68)])
def test_low_units_are_asked_at_every_speed_first(unit: int, asked: int) -> None:
    """Whoever is numbered low is found soon; then the rest is asked at that speed alone."""
    address = parse_address("rtu:///dev/null?baud=9600&parity=N")
    settings = settings_of(address, (9600, 4800, 19200), ("N",))
    buses = {each: Bus0({}, "timeout") for each in settings}
    third = buses[settings[1 if unit > 16 else 2]]
    third.units[unit] = Device0({(3, safe_address(MODELS)): 1})

    steps = list(
        scan(settings, range(1, 85), questions(MODELS), (), MODELS, lambda at: _at(buses[at]))
    )

    (found,) = [each for each in steps if isinstance(each, Found)]
    assert (found.unit, found.address.baud) == (unit, 4800 if unit > 16 else 19200)
    assert sum(isinstance(each, Probe) for each in steps) == asked


def test_no_question_of_a_scan_is_forbidden_by_any_file() -> None:
    """Even with every file meant and every table asked."""
    for pdu in questions(MODELS, MODELS, thorough=True):
        request = modbus.parse_request(1, pdu)
        assert request.function in modbus.READS
        assert all(model.may_read(request.address, request.address) for model in MODELS)


# What may be asked.

BUS = Bus("line", "tcp://127.0.0.1:502")


@pytest.fixture
def house(kit: Any) -> Callable[[Mode], Mine]:
    """Return a mine with a relay module whose first channel is used, two heads and a reader."""
    channel = next(iter(device_file.load("relay-module-8-watchdog").channels))
    devices = (
        Device("relay", "line", 1, "relay-module-8-watchdog"),
        Device("head", "line", 2, "oldham-itrans-2"),
        Device("wind", "line", 3, "lambrecht-air-speed"),
        Device("reader", "line", 4, "badge-reader-queue"),
    )
    outputs = (kit.output("siren", OutputRole.SIREN, "relay", channel),)
    readers = (Reader("mouth", "", "z", "reader", "z"),)

    def built(mode: Mode) -> Mine:
        mine: Mine = kit.bare_mine(BUS, devices, outputs=outputs, readers=readers)
        return replace(mine, mode=mode)

    return built


COIL_ON = modbus.write_coil_pdu


@pytest.mark.parametrize(
    ("unit", "pdu", "why"),
    [
        (0, modbus.read_pdu(3, 0, 1), "broadcast"),
        (1, b"\x11", "no_question"),
        (1, modbus.read_pdu(3, 0, 8), ""),
        (1, COIL_ON(0, on=True), "owned"),
        (1, COIL_ON(7, on=True), ""),
        (1, modbus.write_coils_pdu(0, [True] * 8), "owned"),
        (1, modbus.write_register_pdu(2, 1), "owned"),
        (2, modbus.write_register_pdu(9, 1), "never_write"),
        (3, modbus.read_pdu(4, 0, 1), ""),
        (3, modbus.read_pdu(4, 0, 4), "forbidden"),
        (4, modbus.write_register_pdu(900, 1), "owned"),
        (9, modbus.write_register_pdu(9, 1), ""),
    ],
)
def test_what_may_be_asked_by_hand(
    house: Callable[[Mode], Mine], unit: int, pdu: bytes, why: str
) -> None:
    """Reads without side effects, writes where neither a device file nor the house forbids."""
    assert refusal(house(Mode.CONTROL), BUS, unit, pdu) == why
    watched = refusal(house(Mode.MONITOR), BUS, unit, pdu)
    assert watched == (why if pdu[0] in modbus.READS or unit == 0 or pdu == b"\x11" else "monitor")
