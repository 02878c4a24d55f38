"""Whatever a mine writes, its resolved limits are never looser than the statutory row."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minewatch.mine.fault import Faults
from minewatch.mine.limits import LOW, ORDER, LimitResolver, units
from minewatch.mine.locate import Where
from minewatch.mine.rules import LIMITS, load_rules
from minewatch.mine.schema import PointTable
from minewatch.mine.shape import Row
from minewatch.model.kind import UNITS, Kind
from minewatch.model.mine import Limits

RULES = load_rules()
PLACES = [
    place
    for place in RULES.places.values()
    if not UNITS[place.kinds[0]].switch and place.id != "certified"
]
"""Places that may have limits of ours; the certified system's are refused in check_certified."""


def _resolve(place_id: str, own: dict[str, Decimal]) -> tuple[Limits, bool]:
    """Return the resolved limits of a point at a place, and whether they were refused."""
    place = RULES.places[place_id]
    table = PointTable.model_validate(
        {
            "id": "P", "name": "P", "kind": place.kinds[0], "zone": "z", "device": "d",
            "signal": "s", "place": place.id, **{name: str(value) for name, value in own.items()},
        }
    )  # fmt: skip
    faults = Faults()
    limits, _ = LimitResolver(Row(table, Where("points.csv")), place, RULES, faults).resolve()
    return limits, faults.refuse


OWN = st.dictionaries(
    st.sampled_from(LIMITS),
    st.decimals("-0.5", "60", places=3, allow_nan=False) | st.sampled_from([Decimal("0.9")]),
    max_size=4,
)


@given(st.sampled_from([place.id for place in PLACES]), OWN)
def test_resolved_limits_are_never_looser(place_id: str, own: dict[str, Decimal]) -> None:
    """Refused or not, no limit of the row is crossed towards danger or lost."""
    place = RULES.places[place_id]
    limits, _ = _resolve(place_id, own)

    for name, printed in place.limits.items():
        bound, value = units(place.kinds[0], printed), getattr(limits, name)
        assert bound is not None
        assert value is not None
        assert value >= bound if name in LOW else value <= bound


@given(st.sampled_from([place.id for place in PLACES]), OWN)
def test_accepted_limits_are_the_written_ones_in_order(
    place_id: str, own: dict[str, Decimal]
) -> None:
    """What is accepted is exactly what was written, and its order makes sense."""
    kind = RULES.places[place_id].kinds[0]
    limits, refused = _resolve(place_id, own)

    if refused:
        return
    assert {name: getattr(limits, name) for name in own} == {
        name: units(kind, printed) for name, printed in own.items()
    }
    for lower, upper in ORDER:
        low, high = getattr(limits, lower), getattr(limits, upper)
        assert low is None or high is None or low <= high
    assert limits.trip is None or limits.restore is not None


@pytest.mark.parametrize("step", [-1, 0, 1])
@pytest.mark.parametrize("name", ["alarm", "trip", "restore", "withdraw"])
def test_one_unit_decides(name: str, step: int) -> None:
    """One hundredth above the row is refused, the row and one below are not (order apart)."""
    row = units(Kind.METHANE, RULES.places["heading"].limits[name])
    assert row is not None
    _, refused = _resolve("heading", {name: Decimal(row + step).scaleb(-2)})

    assert refused == (step > 0)


@pytest.mark.parametrize(
    ("printed", "integer"), [("0.57", 57), ("1.005", None), ("1.50", 150), ("100", 10000)]
)
def test_units_are_exact(printed: str, integer: int | None) -> None:
    """A decimal is a whole number of units or nothing."""
    assert units(Kind.METHANE, Decimal(printed)) == integer
