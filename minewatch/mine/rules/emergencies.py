"""Turns `withdrawals.toml` and `grades.toml` into the `Emergencies` that every mine carries."""

import tomllib
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

from minewatch.mine.rules import Source, Status, Withdrawal, load_rules
from minewatch.model.emergency import DemandRule, Emergencies, GradeRule
from minewatch.model.kind import UNITS, Kind

FILE = "grades.toml"
TWO_HEADS = "two_heads_3_percent"
MINUTE_MS = 60_000


@cache
def load_emergencies() -> Emergencies:
    """Return the emergencies that this version ships.

    Raises:
        ValueError: a row that starts by itself for less than the mine, or heads without a value.
    """
    rows = load_rules().withdrawals
    heads = rows[TWO_HEADS]
    text = resources.files("minewatch.mine.rules").joinpath(FILE).read_text("utf-8")
    data = tomllib.loads(text)
    source = str(Source(data["document"], Status(data["status"])))
    return Emergencies(
        demands=tuple(_demand(row) for row in rows.values() if row.after_minutes),
        grades=tuple(_grade(row, source) for row in data["grade"]),
        two_heads_cpct=_value(heads),
        heads=heads.heads,
    )


def _demand(row: Withdrawal) -> DemandRule:
    if row.scope != "mine":
        raise ValueError(f"{row.id}: what starts by itself empties the mine")
    value = None if row.value is None else _value(row)
    return DemandRule(row.id, row.after_minutes * MINUTE_MS, value, str(row.source))


def _value(row: Withdrawal) -> int:
    if row.kind is None or row.value is None:
        raise ValueError(f"{row.id} has no value")
    return _units(row.kind, row.value)


def _grade(row: dict[str, Any], source: str) -> GradeRule:
    value = _units(Kind.METHANE, Decimal(row["value"])) if "value" in row else None
    return GradeRule(row["of"], row["grade"], row["after_minutes"] * MINUTE_MS, value, source)


def _units(kind: Kind, printed: Decimal) -> int:
    return int(printed.scaleb(UNITS[kind].decimals))
