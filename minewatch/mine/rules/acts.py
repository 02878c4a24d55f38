"""Turns `acts.toml` into the frozen `Acts` that every resolved mine carries."""

import tomllib
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

from minewatch.mine.rules import Source, Status
from minewatch.model.acts import Acts, Bottle, CalibrationPeriod, WorkRule
from minewatch.model.kind import UNITS, Kind

FILE = "acts.toml"


@cache
def load_acts() -> Acts:
    """Return the acts that this version ships."""
    text = resources.files("minewatch.mine.rules").joinpath(FILE).read_text("utf-8")
    data = tomllib.loads(text)
    return Acts(
        works=tuple(_work(row) for row in data["work"]),
        bottles=tuple(_bottle(row) for row in data["bottle"]),
        periods=tuple(_period(row) for row in data["calibration"]),
        interlock_test_days=data["interlock_test"]["days"],
        warm_up_minutes=data["warm_up"]["minutes"],
        head_work_minutes=data["head_work"]["minutes"],
        head_work_minutes_max=data["head_work"]["minutes_max"],
    )


def _cited(row: dict[str, Any]) -> str:
    return str(Source(row["citation"], Status(row["status"])))


def _work(row: dict[str, Any]) -> WorkRule:
    return WorkRule(
        row["kind"],
        row["minutes_max"],
        row["ahead_minutes_max"],
        row["in_handover"],
        _cited(row),
    )


def _bottle(row: dict[str, Any]) -> Bottle:
    kind = Kind(row["kind"])
    scale = 10 ** UNITS[kind].decimals
    return Bottle(
        kind,
        tuple(int(Decimal(each) * scale) for each in row["steps"]),
        int(Decimal(row["tolerance"]) * scale),
        _cited(row),
    )


def _period(row: dict[str, Any]) -> CalibrationPeriod:
    principle = row.get("principle")
    catalytic = None if principle is None else principle == "catalytic"
    kinds = tuple(Kind(each) for each in row["kinds"])
    return CalibrationPeriod(kinds, row["days"], catalytic, _cited(row))
