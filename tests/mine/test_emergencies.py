"""Withdrawals and grades as data: what the tables say is what every mine carries."""

from dataclasses import replace
from typing import Any

import pytest

from minewatch.mine.rules import emergencies, load_rules
from minewatch.mine.rules.emergencies import load_emergencies
from minewatch.model.emergency import Emergencies

MINUTE_MS = 60_000


@pytest.mark.parametrize(
    ("kind", "minutes", "value"),
    [
        ("rain_24h", 5, 500),
        ("main_fan_stop", 10, None),
        ("order_from_above", 5, None),
        ("county_directive", 3, None),
    ],
)
def test_what_starts_by_itself(kind: str, minutes: int, value: int | None) -> None:
    """Practice 16 and 18, number by number, each with its source."""
    rule = load_emergencies().demand(kind)

    assert rule is not None
    assert (rule.after_ms, rule.value) == (minutes * MINUTE_MS, value)
    assert rule.citation


def test_nothing_else_starts_by_itself() -> None:
    """Gas and inrush act at once; they have no clock."""
    rules = load_emergencies()
    assert len(rules.demands) == 4
    assert rules.demand("working_air") is None


@pytest.mark.parametrize(("of", "minutes"), [("gas", (0, 1, 30, 60)), ("main_fan", (0, 1, 10, 30))])
def test_the_ladder(of: str, minutes: tuple[int, ...]) -> None:
    """Practice 19: four grades that rise, and 3.0 % for the province alone."""
    rules = load_emergencies().grades_of(of)

    assert [each.grade for each in rules] == ["mine", "county", "city", "province"]
    assert [each.after_ms for each in rules] == [each * MINUTE_MS for each in minutes]
    assert [each.value for each in rules] == [None, None, None, 300 if of == "gas" else None]
    assert all("uncertain" in each.citation for each in rules)


def test_two_heads() -> None:
    """3.00 at two heads; an older configuration has the same without saying so."""
    rules = load_emergencies()
    assert (rules.two_heads_cpct, rules.heads) == (300, 2)
    assert (Emergencies().two_heads_cpct, Emergencies().heads) == (300, 2)
    assert Emergencies().demand("rain_24h") is None


def test_a_clock_for_less_than_the_mine_is_refused() -> None:
    """What starts by itself has one scope; a table that says otherwise does not load."""
    row = load_rules().withdrawals["rain_24h"]
    with pytest.raises(ValueError, match="empties the mine"):
        emergencies._demand(replace(row, scope="zone_and_downwind"))


@pytest.mark.parametrize("parts", [{"value": None}, {"kind": None}])
def test_heads_without_a_value_are_refused(parts: dict[str, Any]) -> None:
    """A row for heads says at which gas."""
    row = load_rules().withdrawals["two_heads_3_percent"]
    with pytest.raises(ValueError, match="has no value"):
        emergencies._value(replace(row, **parts))
