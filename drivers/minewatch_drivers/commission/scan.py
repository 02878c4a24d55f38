"""Finds who is on a bus: at which speed and parity, under which unit, as which device file.

Harmless reads alone: one holding register at an address that no device file forbids. A setting at
which only noise answers is left after a few questions, and once units have answered properly at
one setting the others are not tried: a bus has one speed.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from minewatch_drivers import modbus
from minewatch_drivers.address import Address
from minewatch_drivers.commission.ask import GATEWAY_REFUSALS, Asker, AskError
from minewatch_drivers.commission.fit import Fit, fits
from minewatch_drivers.commission.wire import Wire, units_in
from minewatch_drivers.device_model import READ_FUNCTION, DeviceModel, Table

NOISE_MAX = 2
"""Garbled answers without a proper one after which a setting cannot be the right one."""

ALIKE_MAX = 8
"""So many units that all answer, and alike, behind one TCP address are one device."""

DAMAGED = frozenset({"bad_reply", "noise", "flood"})


@dataclass(frozen=True, slots=True)
class Probe:
    """The next question: `done` of `total`, at which setting and unit."""

    done: int
    total: int
    baud: int
    parity: str
    unit: int


@dataclass(frozen=True, slots=True)
class Found:
    """A unit that answered. `answer` is `value`, `exception_…` or `late` (slower than the scan)."""

    address: Address
    unit: int
    answer: str
    fits: tuple[Fit, ...]
    any_unit: bool = False


@dataclass(frozen=True, slots=True)
class Left:
    """A setting that was given up: only noise answered."""

    baud: int
    parity: str


Step = Probe | Found | Left
Opener = Callable[[Address], AbstractContextManager[Asker]]


def settings_of(
    address: Address, bauds: Sequence[int], parities: Sequence[str]
) -> tuple[Address, ...]:
    """Return the settings to try; the url's own alone where no speed can be set from here."""
    if not address.path:
        return (address,)
    return tuple(
        dataclasses.replace(address, baud=baud, parity=parity)
        for baud in bauds
        for parity in parities
    )


def safe_address(models: Sequence[DeviceModel]) -> int:
    """Return the lowest address that no device file forbids to read."""
    address = 0
    while not all(model.may_read(address, address) for model in models):
        address += 1
    return address


def scan(
    settings: Sequence[Address],
    units: Sequence[int],
    models: Sequence[DeviceModel],
    known: Sequence[DeviceModel],
    open_wire: Opener,
) -> Iterator[Step]:
    """Yield what is asked and found. `models` are tried on who answers, `known` forbid reads.

    Raises:
        OSError: the port cannot be opened, or broke.
    """
    question = modbus.read_pdu(READ_FUNCTION[Table.HOLDING], safe_address(known), 1)
    for number, address in enumerate(settings):
        before, total = number * len(units), len(settings) * len(units)
        with open_wire(address) as wire:
            found = False
            for step in _units(wire, address, units, question):
                if isinstance(step, Probe):
                    yield dataclasses.replace(step, done=before + step.done, total=total)
                elif isinstance(step, Found):
                    found = True
                    told = fits(wire, step.unit, models, known) if step.answer != "late" else ()
                    yield dataclasses.replace(step, fits=told)
                else:
                    yield step
        if found:
            return


def _units(wire: Asker, address: Address, units: Sequence[int], question: bytes) -> Iterator[Step]:
    """Ask one unit after the other at one setting."""
    noise = 0
    answered: dict[int, bytes] = {}
    for done, unit in enumerate(units):
        yield Probe(done, len(units), address.baud, address.parity, unit)
        told, words = _probe(wire, unit, question)
        if told in DAMAGED and not answered:
            noise += 1
            if noise >= NOISE_MAX:
                yield Left(address.baud, address.parity)
                return
        elif told:
            answered[unit] = words
            yield Found(address, unit, told, ())
        if _is_one_device(address, answered, done + 1):
            yield Found(address, unit, "value", (), any_unit=True)
            return
    late = units_in(wire.late) if isinstance(wire, Wire) else set()
    for unit in sorted(late & set(units) - answered.keys()):
        yield Found(address, unit, "late", ())


def _probe(wire: Asker, unit: int, question: bytes) -> tuple[str, bytes]:
    """Return how a unit answered, nothing where it did not, and its words."""
    try:
        return "value", wire.ask(unit, question)
    except AskError as error:
        if error.code in DAMAGED or (error.refused and error.code not in GATEWAY_REFUSALS):
            return error.code, b""
        return "", b""


def _is_one_device(address: Address, answered: dict[int, bytes], asked: int) -> bool:
    """Return whether everything so far answered alike: a device that does not look at the unit."""
    alike = len(set(answered.values())) == 1
    return not address.path and asked == ALIKE_MAX == len(answered) and alike
