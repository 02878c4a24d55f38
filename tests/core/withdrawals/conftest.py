"""A mine with two fan stations, a rain gauge and a sump, judged by the shipped rules."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from minewatch.mine.rules.emergencies import load_emergencies
from minewatch.model.kind import Kind
from minewatch.model.mine import Limits, Mine, Point

RAIN = Limits(pre_alarm=400, alarm=500, clear=400)
FAN = Limits(low_alarm=1, low_clear=1)
EXTRA = (
    Point("FAN_A", "", Kind.FAN_RUN, "surface", "fan", "a", "main_fan", FAN),
    Point("FAN_B", "", Kind.FAN_RUN, "surface", "fan", "b", "main_fan_standby"),
    Point("RAIN", "", Kind.RAIN, "surface", "fan", "rain", "rain", RAIN),
)


@pytest.fixture
def weathered(mine_of: Callable[..., Mine]) -> Callable[..., Mine]:
    """Return the builder of such mines; `points` are more points, other parts those of the mine."""

    def build(*points: Point, **parts: Any) -> Mine:
        mine = mine_of(zones=1, heads=2)
        parts.setdefault("emergencies", load_emergencies())
        return replace(mine, points=(*mine.points, *EXTRA, *points), **parts)

    return build


@pytest.fixture
def storm(rig_of: Any, weathered: Callable[..., Mine]) -> Callable[..., Any]:
    """Return the builder of rigs in service: the main fan runs, its standby rests, it is dry."""

    def build(*points: Point, world: dict[str, Any] | None = None, **parts: Any) -> Any:
        rig = rig_of(weathered(*points, **parts))
        rig.world.update({"FAN_A": 1, **(world or {})})
        return rig.start()

    return build
