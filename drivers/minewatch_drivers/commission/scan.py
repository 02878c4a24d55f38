"""Finds who is on a bus: at which speed and parity, under which unit, as which device file.

Harmless reads alone: identities of the files that a person has in mind, then one register at an
address that no device file forbids. A setting at
which only noise answers is left after a few questions, and once units have answered properly at
one setting the others are not tried: a bus has one speed.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from minewatch_drivers.address import Address
from minewatch_drivers.commission.ask import GATEWAY_REFUSALS, Asker, AskError
from minewatch_drivers.commission.fit import Fit, fits
from minewatch_drivers.commission.wire import Wire, units_in
from minewatch_drivers.device_files.device_model import READ_FUNCTION, DeviceModel, Table
from minewatch_drivers.wire import modbus

NOISE_MAX = 2
"""Garbled answers without a proper one after which a setting cannot be the right one."""

FIRST_UNITS = 16
"""These are asked at every setting first: installers number from 1."""

ALIKE_MAX = 8
STRANGERS = (247, 239, 211)
"""Where the first `ALIKE_MAX` units behind one TCP address answer alike and these answer as well,
there is one device that does not look at the unit."""

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
    address: Address, bauds: Iterable[int], parities: Iterable[str]
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


def questions(
    known: Sequence[DeviceModel], meant: Sequence[DeviceModel] = (), *, thorough: bool = False
) -> tuple[bytes, ...]:
    """Return what each unit is asked until it answers; `known` are the files that forbid reads.

    The identities of the files that are `meant` come first. Some devices keep silent where others
    refuse: `thorough` asks for an input register and a coil as well.
    """
    asked: dict[bytes, None] = {}
    for model in meant:
        if model.sentinel is not None:
            at = model.sentinel.at
            if all(each.may_read(at.address, at.address) for each in known):
                asked[modbus.read_pdu(READ_FUNCTION[at.table], at.address, 1)] = None
    tables = (Table.HOLDING, Table.INPUT, Table.COIL) if thorough else (Table.HOLDING,)
    for table in tables:
        asked[modbus.read_pdu(READ_FUNCTION[table], safe_address(known), 1)] = None
    return tuple(asked)


def scan(
    settings: Sequence[Address],
    units: Sequence[int],
    asked: Sequence[bytes],
    models: Sequence[DeviceModel],
    known: Sequence[DeviceModel],
    open_wire: Opener,
) -> Iterator[Step]:
    """Yield what is asked and found. `models` are tried on who answers, `known` forbid reads.

    Raises:
        OSError: the port cannot be opened, or broke.
    """
    whole = len(settings) == 1
    first, rest = (units, units[:0]) if whole else (units[:FIRST_UNITS], units[FIRST_UNITS:])
    left: set[Address] = set()
    done, total = 0, len(settings) * len(units)
    for some, more in ((first, rest), (rest, rest[:0])):
        for address in settings:
            if not some or address in left:
                continue
            answered = False
            with open_wire(address) as wire:
                for step in _units(wire, address, some, more, asked):
                    if isinstance(step, Probe):
                        yield dataclasses.replace(step, done=done, total=total)
                        done += 1
                    elif isinstance(step, Found):
                        prompt = step.answer != "late"
                        answered = answered or prompt
                        told = fits(wire, step.unit, models, known) if prompt else ()
                        yield dataclasses.replace(step, fits=told)
                    else:
                        left.add(address)
                        yield step
            if answered:
                return


def _units(
    wire: Asker,
    address: Address,
    units: Sequence[int],
    more: Sequence[int],
    asked: Sequence[bytes],
) -> Iterator[Step]:
    """Ask one unit after the other at one setting, and `more` of them once any has answered."""
    noise = 0
    answered: dict[int, bytes] = {}
    for unit in _lengthened(units, more, answered):
        yield Probe(0, 0, address.baud, address.parity, unit)
        told, words = _probe(wire, unit, asked)
        if told in DAMAGED and not answered:
            noise += 1
            if noise >= NOISE_MAX:
                yield Left(address.baud, address.parity)
                return
        elif told:
            answered[unit] = words
            yield Found(address, unit, told, ())
        if len(answered) == ALIKE_MAX and told and _is_one_device(wire, address, answered, asked):
            yield Found(address, unit, "value", (), any_unit=True)
            return
    late = units_in(wire.late) if isinstance(wire, Wire) else set()
    for unit in sorted(late & {*units, *more} - answered.keys()):
        yield Found(address, unit, "late", ())


def _lengthened(
    units: Sequence[int], more: Sequence[int], answered: Mapping[int, bytes]
) -> Iterator[int]:
    yield from units
    if answered:
        yield from more


def _is_one_device(
    wire: Asker, address: Address, answered: Mapping[int, bytes], asked: Sequence[bytes]
) -> bool:
    """Return whether everybody answers alike on TCP, those whom nobody has as well."""
    if address.path or len(set(answered.values())) != 1:
        return False
    return all(_probe(wire, unit, asked)[0] for unit in STRANGERS)


def _probe(wire: Asker, unit: int, asked: Sequence[bytes]) -> tuple[str, bytes]:
    """Return how a unit answered, nothing where it answered no question, and its words."""
    for question in asked:
        try:
            return "value", wire.ask(unit, question)
        except AskError as error:
            if error.code in DAMAGED or (error.refused and error.code not in GATEWAY_REFUSALS):
                return error.code, b""
    return "", b""
