"""A device as its file sees it, read once from the wire: value, quality and the words behind it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from minewatch.model.kind import Kind
from minewatch.model.mine import Device, Point
from minewatch.model.quality import Quality
from minewatch_drivers.commission.ask import Asker, AskError, read_block
from minewatch_drivers.device_files.device_model import DeviceModel, Signal
from minewatch_drivers.tasks.plan import Block, plan_device


@dataclass(frozen=True, slots=True)
class Shown:
    """One signal now. `raw` are the words that it is made of; `error` a code where none came.

    `value` counts in the smallest unit of the signal's kind.
    """

    signal: str
    kind: Kind | None
    value: int | None
    quality: Quality
    raw: tuple[int, ...]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a device brought. `identity` is None where its file names none."""

    identity: bool | None
    shown: tuple[Shown, ...]


def blocks_of(model: DeviceModel) -> tuple[Block | None, tuple[Block, ...]]:
    """Return the question for the identity, where it needs its own, and those for all signals."""
    device = Device("device", "bus", 1, model.name)
    points = [_point(signal) for signal in model.signals.values()]
    plan = plan_device(device, model, points)
    return plan.identity, plan.blocks


def look(asker: Asker, unit: int, model: DeviceModel) -> Look:
    """Read identity and every signal of `unit` once, as `model` allows.

    Raises:
        OSError: the port or the daemon is gone.
    """
    identity_block, blocks = blocks_of(model)
    identity: bool | None = None
    shown: list[Shown] = []
    for block in (*((identity_block,) if identity_block else ()), *blocks):
        try:
            words = _ask(asker, unit, block, model)
        except AskError as error:
            if block.sentinel is not None and not block.points:
                identity = False
            shown += [_missing(model, name, error.code) for name in block.points]
            continue
        if block.sentinel is not None:
            at, expected = block.sentinel
            identity = identity is not False and words[at] == expected
        shown += _decoded(model, block, words)
    order = {name: n for n, name in enumerate(model.signals)}
    return Look(identity, tuple(sorted(shown, key=lambda each: order[each.signal])))


def _ask(asker: Asker, unit: int, block: Block, model: DeviceModel) -> tuple[int, ...]:
    """Return the words of a block. Where addresses hold 32 bits the answer fits no common rule."""
    if model.stride != 1 and not block.table.bits:
        raise AskError("wide_addresses")
    return read_block(asker, unit, block.table, block.address, block.count)


def _decoded(model: DeviceModel, block: Block, words: Sequence[int]) -> Iterator[Shown]:
    for name, meaning, places in zip(block.points, block.meanings, block.words, strict=True):
        raw = tuple(words[place] for place in sorted(places))
        value, quality = meaning[raw[0] if len(raw) == 1 else raw]
        yield Shown(name, model.signals[name].kind, value, quality, raw)


def _missing(model: DeviceModel, name: str, code: str) -> Shown:
    return Shown(name, model.signals[name].kind, None, Quality.COMM_FAULT, (), code)


def _point(signal: Signal) -> Point:
    kind = signal.kind or (Kind.DOOR if signal.at.table.bits else Kind.GATE_IN)
    return Point(signal.name, signal.name, kind, "", "device", signal.name, "")
