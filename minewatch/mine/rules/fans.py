"""Turns `fans.toml` into the figures that every resolved `LocalFan` carries."""

import tomllib
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import resources

from minewatch.mine.rules import Source, Status
from minewatch.model.kind import UNITS, Kind


@dataclass(frozen=True, slots=True)
class Restart:
    """Methane limits of a restart in 0.01 %CH4, with where they come from."""

    block_cpct: int
    controlled_cpct: int
    fan_air_cpct: int
    citation: str


@cache
def load_restart() -> Restart:
    """Return the figures that this version ships."""
    text = resources.files("minewatch.mine.rules").joinpath("fans.toml").read_text("utf-8")
    row = tomllib.loads(text)["restart"]
    return Restart(
        block_cpct=_units(row["block"]),
        controlled_cpct=_units(row["controlled"]),
        fan_air_cpct=_units(row["fan_air"]),
        citation=str(Source(row["citation"], Status(row["status"]))),
    )


def _units(printed: str) -> int:
    return int(Decimal(printed).scaleb(UNITS[Kind.METHANE].decimals))
