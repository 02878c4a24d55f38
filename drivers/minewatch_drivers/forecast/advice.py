"""What would help a line that cannot do what is asked of it: another baud, or one device fewer.

Tried out by predicting the changed line anew, so that whoever follows the advice is not refused
again for the same reason.
"""

import dataclasses
import re

from minewatch.model.mine import Bus, Mine
from minewatch_drivers.address import parse_address
from minewatch_drivers.forecast.budget import LineBudget, predict_line

BAUDS = (2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200)
"""Rates that heads and converters of the trade offer."""


@dataclasses.dataclass(frozen=True, slots=True)
class Advice:
    """`baud` is the least rate at which the line can do it all, 0 where none helps.

    `devices` are those to move to another line, dearest first, until the rest fits; empty where
    even the last one alone is too much, and then only a longer scan or a shorter timeout helps.
    """

    baud: int
    devices: tuple[str, ...]


def advise(mine: Mine, budget: LineBudget) -> Advice:
    """Return what helps the line of `budget`, which is not possible as it is."""
    bus = mine.bus(budget.bus)
    return Advice(_baud(mine, bus), _to_move(mine, bus))


def _baud(mine: Mine, bus: Bus) -> int:
    address = parse_address(bus.url)
    if not address.serial or "baud=" not in bus.url:
        return 0
    for baud in BAUDS:
        if baud > address.baud:
            url = re.sub(r"baud=\d+", f"baud={baud}", bus.url)
            if _possible(mine, dataclasses.replace(bus, url=url)):
                return baud
    return 0


def _to_move(mine: Mine, bus: Bus) -> tuple[str, ...]:
    """Return the fewest devices, by their share of the line's time, whose move is enough."""
    left = [device.id for device in mine.devices if device.bus == bus.id]
    shares = {device: _load(mine, bus, {device}) for device in left}
    ordered = sorted(left, key=lambda device: (-shares[device], left.index(device)))
    low, high = 1, len(ordered)
    while low < high:
        middle = (low + high) // 2
        if _possible(_without(mine, set(ordered[:middle])), bus):
            high = middle
        else:
            low = middle + 1
    return tuple(ordered[:low]) if low < len(ordered) else ()


def _load(mine: Mine, bus: Bus, devices: set[str]) -> float:
    others = {device.id for device in mine.devices} - devices
    budget = predict_line(_without(mine, others), bus)
    return 0.0 if budget is None else budget.load


def _possible(mine: Mine, bus: Bus) -> bool:
    budget = predict_line(mine, bus)
    return budget is None or budget.possible


def _without(mine: Mine, devices: set[str]) -> Mine:
    """Return the mine without these devices and all that hangs on them, for prediction alone."""
    return dataclasses.replace(
        mine,
        devices=tuple(each for each in mine.devices if each.id not in devices),
        points=tuple(each for each in mine.points if each.device not in devices),
        outputs=tuple(each for each in mine.outputs if each.device not in devices),
        readers=tuple(each for each in mine.readers if each.device not in devices),
    )
