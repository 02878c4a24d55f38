"""One thing of a schedule, and what a story is: shared words of `schedule` and `stories`."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Draw = random.Random


@dataclass(frozen=True, slots=True)
class Planned:
    """One thing that happens: a fault, its end, or an act of people; `arguments` are plain data."""

    at_ms: int
    do: str
    arguments: dict[str, Any] = field(default_factory=dict)


Story = Callable[[Draw, int, bool], list[Planned]]
"""Draws one story: (chance, latest ms, whether the controller crashes in it)."""
