"""Turns `values.toml` into the frozen `Values` of a resolved mine, and finds how long a head may
stand still while its companions move.
"""

import tomllib
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

from minewatch.mine.rules import Source, Status
from minewatch.model.kind import UNITS, Kind
from minewatch.model.values import Tolerance, Values

FILE = "values.toml"


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(resources.files("minewatch.mine.rules").joinpath(FILE).read_text("utf-8"))


@cache
def load_values() -> Values:
    """Return the values that this version ships."""
    data = _data()
    oxygen, suspect = data["oxygen"], data["suspect"]
    return Values(
        oxygen_low=_units(Kind.OXYGEN, oxygen["low"]),
        oxygen_clear=_units(Kind.OXYGEN, oxygen["clear"]),
        hand_check_ms=data["hand_check"]["hours"] * 3_600_000,
        tolerances=tuple(_tolerance(row) for row in data["tolerance"]),
        clear_ms=data["alarm"]["clear_s"] * 1000,
        repeat_ms=data["alarm"]["repeat_s"] * 1000,
        suspect_ms=suspect["constant_hours"] * 3_600_000,
        replay_values_max=suspect["replay_values_max"],
        replay_changes_min=suspect["replay_changes_min"],
    )


def stuck_after_ms(quantum: int) -> int:
    """Return how long a head that reads in steps of `quantum` units may stand still, in ms.

    Companions must move all that time. 0 where it reads so coarsely that no row fits.
    """
    rows = _data()["stuck"]
    return next((row["minutes"] * 60_000 for row in rows if quantum <= row["quantum_max"]), 0)


def _tolerance(row: dict[str, Any]) -> Tolerance:
    kind = Kind(row["kind"])
    source = str(Source(row["citation"], Status(row["status"])))
    return Tolerance(kind, _units(kind, row["more_than"]), source)


def _units(kind: Kind, printed: str) -> int:
    return int(Decimal(printed) * 10 ** UNITS[kind].decimals)
