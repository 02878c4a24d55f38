"""Holds a device file against its own frames and traps: what `device test` and our tests run.

A file cannot agree with itself here: its frames come from a manual, a bus or another program, and
what they must mean is written beside them. Every fault is a code with fields; the words stand in
the message catalogue under `device_problem`.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from minewatch.model.quality import Quality
from minewatch_drivers.device_files.codec import Decoded, decoder, needs
from minewatch_drivers.device_files.device_model import (
    READ_FUNCTION,
    DeviceModel,
    Frame,
    Signal,
    Table,
)
from minewatch_drivers.tasks.plan import read_exchange
from minewatch_drivers.wire import modbus
from minewatch_drivers.wire.exchange import BadReplyError, DeviceRefusalError

TABLE_OF = {function: table for table, function in READ_FUNCTION.items()}


@dataclass(frozen=True, slots=True)
class Problem:
    """What a file promises and does not keep: a code, the frame (from 1, 0 for none), fields."""

    code: str
    frame: int = 0
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """A read of a frame: the table, its first address, and the registers or bits that came."""

    table: Table
    first: int
    last: int
    block: tuple[int, ...]


def check(model: DeviceModel) -> tuple[Problem, ...]:
    """Return everything that the frames of `model` contradict; empty for a file that holds.

    Shape: frames carry right checksums and fit their questions, mean what `expect` says, write
    only what may be written, show every kind of signal, and tell the word order of floats.
    """
    if model.serial is not None:
        return ()
    problems: list[Problem] = []
    for number, frame in enumerate(model.frames, 1):
        problems += _check_frame(model, frame, number)
    problems += _check_shown(model)
    if not problems:
        problems += _check_word_order(model)
    return tuple(problems)


def read_answer(model: DeviceModel, frame: Frame) -> Answer | None:
    """Return what a frame reads, None for one that writes.

    Raises:
        ValueError: the answer does not fit the question; the text is a code.
    """
    unit, pdu = frame.request[0], frame.request[1:-2]
    table = TABLE_OF.get(pdu[0])
    if table is None:
        return None
    first, count = struct.unpack(">HH", pdu[1:5])
    exchange = read_exchange(unit, table, first, count, model.stride)
    try:
        reply = exchange.check(frame.reply[0], frame.reply[1:-2])
    except (BadReplyError, DeviceRefusalError, IndexError) as error:
        raise ValueError("reply") from error
    if table.bits:
        block = modbus.unpack_bits(reply[2:], count)
    else:
        block = struct.unpack(f">{reply[1] // 2}H", reply[2:])
    return Answer(table, first, first + count - 1, block)


def decode_answer(signal: Signal, answer: Answer) -> Decoded | None:
    """Return what `signal` means in an answer, None where the answer does not hold all of it."""
    addresses = needs(signal)
    inside = answer.first <= min(addresses) and max(addresses) <= answer.last
    if signal.at.table is not answer.table or not inside:
        return None
    return decoder(signal, answer.table, answer.first)(answer.block)


def family(name: str) -> str:
    """Return the name of a repeated signal without its number: `methane_12` is `methane`."""
    return re.sub(r"_\d+$", "", name)


def _check_frame(model: DeviceModel, frame: Frame, number: int) -> Iterator[Problem]:
    for part, data in (("request", frame.request), ("reply", frame.reply)):
        if len(data) < 4 or modbus.crc16(data[:-2]) != int.from_bytes(data[-2:], "little"):
            yield Problem("checksum", number, {"part": part})
            return
    if len(frame.request) < 8 or len(frame.reply) > modbus.RTU_FRAME_MAX:
        yield Problem("size", number)
        return
    try:
        answer = read_answer(model, frame)
    except ValueError:
        yield Problem("reply", number)
        return
    if answer is None:
        yield from _check_write(model, frame, number)
        return
    if model.reader is None and not model.may_read(answer.first, answer.last):
        yield Problem("side_effect", number)
    for name, value, quality in frame.expect:
        decoded = decode_answer(model.signals[name], answer)
        if decoded != (value, quality):
            yield Problem("meaning", number, _told(name, (value, quality), decoded))


def _told(name: str, expected: Decoded, decoded: Decoded | None) -> dict[str, object]:
    found = "-" if decoded is None else f"{decoded[0]} {decoded[1].name.lower()}"
    return {
        "signal": name,
        "expected": f"{expected[0]} {expected[1].name.lower()}",
        "found": found,
    }


def _check_write(model: DeviceModel, frame: Frame, number: int) -> Iterator[Problem]:
    """A frame that writes shows only what this file may write, and its echo."""
    pdu, echo = frame.request[1:-2], frame.reply[1:-2]
    function, first, value = struct.unpack(">BHH", pdu[:5])
    if function not in (5, 6, 15, 16) or echo != pdu[:5] or frame.reply[0] != frame.request[0]:
        yield Problem("reply", number)
        return
    table = Table.COIL if function in (5, 15) else Table.HOLDING
    last = first + value - 1 if function in (15, 16) else first
    if not model.may_write(table, first, last):
        yield Problem("never_write", number)
    if function == 5 and value not in (0, model.coil_on):
        yield Problem("coil_value", number, {"value": f"{value:04X}"})


def _check_shown(model: DeviceModel) -> Iterator[Problem]:
    """Every kind of signal is seen in a frame; a file that measures shows a good value of each."""
    shown: dict[str, set[Quality]] = {}
    for frame in model.frames:
        for name, _, quality in frame.expect:
            shown.setdefault(family(name), set()).add(quality)
    for name in dict.fromkeys(map(family, model.signals)):
        if name not in shown:
            yield Problem("not_shown", fields={"signal": name})
    goods = any(Quality.GOOD in qualities for qualities in shown.values())
    if model.signals and shown and not goods and model.maturity != "experimental":
        yield Problem("never_good")


def _check_word_order(model: DeviceModel) -> Iterator[Problem]:
    """With the words of its 32-bit values the other way round, the frames must not hold."""
    for name in dict.fromkeys(map(family, model.signals)):
        members = [n for n in model.signals if family(n) == name]
        if model.signals[members[0]].type.width != 2:
            continue
        if not any(_tells_order(model, model.signals[member]) for member in members):
            yield Problem("word_order", fields={"signal": name})


def _tells_order(model: DeviceModel, signal: Signal) -> bool:
    """Return whether a frame means something else with the words of `signal` swapped."""
    other = replace(signal, low_word_first=not signal.low_word_first)
    for frame in model.frames:
        answer = read_answer(model, frame)
        if answer is None or signal.name not in {name for name, _, _ in frame.expect}:
            continue
        if decode_answer(signal, answer) != decode_answer(other, answer):
            return True
    return False
