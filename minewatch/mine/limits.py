"""Limits of a point: the statutory row, the mine's stricter values, and one resolved result.

Alarm, trip and withdraw limits are stricter when lower, low limits when higher; restore and clear
are stricter further inside the safe side. Looser is refused with the words of the row. Where a row
leaves a number to the mine, the mine must give it. Decimals become integers of the kind's smallest
unit here and nowhere later.
"""

from decimal import Decimal

from minewatch.mine.fault import Faults
from minewatch.mine.rules import LIMITS, Place, Rules, Source
from minewatch.mine.schema import PointTable
from minewatch.mine.shape import Row
from minewatch.model.kind import UNITS, Kind, format_value
from minewatch.model.mine import Limits

LOW = frozenset({"low_alarm", "low_clear"})

RISES = ("rise_alarm", "rise_withdraw")

ORDER: tuple[tuple[str, str], ...] = (
    ("pre_alarm", "alarm"),
    ("clear", "alarm"),
    ("alarm", "trip"),
    ("alarm", "withdraw"),
    ("restore", "trip"),
    ("low_alarm", "low_clear"),
    ("low_alarm", "alarm"),
    ("rise_alarm", "rise_withdraw"),
)
"""Pairs whose first may not lie above the second."""


def units(kind: Kind, printed: Decimal) -> int | None:
    """Return a printed decimal in the kind's smallest unit, None where it is no whole number."""
    scaled = printed.scaleb(UNITS[kind].decimals)
    return int(scaled) if scaled == scaled.to_integral_value() else None


class LimitResolver:
    """Resolves one point against its statutory row."""

    def __init__(self, row: Row[PointTable], place: Place, rules: Rules, faults: Faults) -> None:
        self._row = row
        self._kind = row.table.kind
        self._place = place
        self._rules = rules
        self._faults = faults
        self._limits: dict[str, int] = {}
        self._stricter: list[str] = []

    def resolve(self) -> tuple[Limits, str]:
        """Return the effective limits and their citation; faults say what was refused."""
        for name, printed in self._place.limits.items():
            value = units(self._kind, printed)
            if value is None:
                raise ValueError(f"{self._place.id}.{name} is no whole number of units")
            self._limits[name] = value
        local = self._local()
        self._own(local)
        for name in LIMITS:
            if name in local and not self._is_derived(name):
                self._tighten(name, local[name], self._limits.get(name), self._place.source)
        self._derive(local)
        self._complete()
        self._order()
        words = [str(self._place.source)]
        if self._stricter:
            words.append(f"本矿从严 {'，'.join(self._stricter)}")
        return Limits(**self._limits), "；".join(words)

    def _local(self) -> dict[str, int]:
        values: dict[str, int] = {}
        for name in LIMITS:
            printed: Decimal | None = getattr(self._row.table, name)
            if printed is None:
                continue
            value = units(self._kind, printed)
            if UNITS[self._kind].switch:
                self._fault(name, "limit_on_switch")
            elif value is None:
                unit = UNITS[self._kind]
                self._fault(name, "not_whole_units", value=printed, decimals=unit.decimals)
            elif value <= 0:
                self._fault(name, "limit_not_positive", value=printed)
            else:
                values[name] = value
        return values

    def _own(self, local: dict[str, int]) -> None:
        """Hold the mine to the limits that only it can give, and to those that this row can use."""
        needs = self._place.needs
        if needs and not any(getattr(self._row.table, name) is not None for name in needs):
            self._fault(needs[0], "site_limit_missing", citation=self._place.source)
        for name in RISES:
            if name in local and name not in self._place.own_limits:
                self._fault(name, "rise_not_here")
                del local[name]

    def _is_derived(self, name: str) -> bool:
        return name not in self._limits and any(
            each.kind is self._kind and each.limit == name for each in self._rules.derived
        )

    def _tighten(self, name: str, value: int, bound: int | None, source: Source) -> None:
        if bound is not None and (value < bound if name in LOW else value > bound):
            self._fault(
                name,
                "looser_limit",
                value=self._print(value),
                bound=self._print(bound),
                citation=source,
            )
            return
        if value != bound:
            self._stricter.append(f"{name} {self._print(value)}")
        self._limits[name] = value

    def _derive(self, local: dict[str, int]) -> None:
        alarm = self._limits.get("alarm")
        if alarm is None:
            return
        for rule in self._rules.derived:
            if rule.kind is self._kind and rule.limit not in self._place.limits:
                bound = alarm * rule.percent // 100
                if rule.limit in local:
                    self._tighten(rule.limit, local[rule.limit], bound, rule.source)
                self._limits.setdefault(rule.limit, bound)

    def _complete(self) -> None:
        """Give each limit its way back; a trip without a restore limit has none and is refused."""
        for name, back in (("alarm", "clear"), ("low_alarm", "low_clear")):
            if name in self._limits:
                self._limits.setdefault(back, self._limits[name])
        if "trip" in self._limits and "restore" not in self._limits:
            self._fault("trip", "trip_without_restore")

    def _order(self) -> None:
        for lower, upper in ORDER:
            low, high = self._limits.get(lower), self._limits.get(upper)
            if low is not None and high is not None and low > high:
                given = lower if getattr(self._row.table, lower) is not None else upper
                self._fault(
                    given,
                    "limit_order",
                    lower=f"@limit.{lower}",
                    upper=f"@limit.{upper}",
                    low=self._print(low),
                    high=self._print(high),
                )

    def _print(self, value: int) -> str:
        return f"{format_value(self._kind, value)} {UNITS[self._kind].text}".strip()

    def _fault(self, name: str, code: str, **fields: object) -> None:
        point = self._row.table.id
        self._faults.add(
            self._row.where,
            name,
            code,
            id=point,
            limit=f"@limit.{name}",
            place=self._place.name,
            **fields,
        )
