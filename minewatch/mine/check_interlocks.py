"""Interlocks: what each scheme must reach, who may vote, what may stand as a permissive.

Looks at resolved points and at the causes that `schemes` finds, and at the rows for where things
stand. That every trip cuts something at all is checked in `check_safety`.
"""

from collections.abc import Iterator

from minewatch.mine import schemes
from minewatch.mine.check_rules import AREAS
from minewatch.mine.fault import Faults
from minewatch.mine.limits import units
from minewatch.mine.rules import Rules
from minewatch.mine.schema import InterlockTable, OutputTable
from minewatch.mine.shape import Row, Shaped
from minewatch.model.kind import UNITS
from minewatch.model.mine import Condition, OutputRole, Point, ZoneKind

RECORD_PLACE = "record_only"
"""The row of points that are written down and judge nothing."""

HEADS_FOR_TWO = 3
"""Two votes are asked for only where three heads stand: 2oo2 would weaken a single head."""


def check(shaped: Shaped, points: tuple[Point, ...], rules: Rules, faults: Faults) -> None:
    """Report interlocks that name the wrong points, weaken a head or cut another area."""
    checker = _Interlocks(shaped, points, rules, faults)
    for row in shaped.interlocks:
        if row.whole:
            checker.row(row)
    if shaped.whole("zone", "point", "output", "interlock"):
        checker.reaches()


class _Interlocks:
    """Holds the indexes that the checks share."""

    def __init__(
        self, shaped: Shaped, points: tuple[Point, ...], rules: Rules, faults: Faults
    ) -> None:
        self._shaped = shaped
        self._faults = faults
        self._rules = rules
        self._points = {point.id: point for point in points}
        self._outputs = {row.table.id: row.table for row in shaped.outputs}
        self._zones = {row.table.id: row.table for row in shaped.zones}

    def row(self, row: Row[InterlockTable]) -> None:
        found = schemes.causes_of(row.table, self._shaped, self._points)
        if not found and self._shaped.whole("point", "zone"):
            self._faults.add(row.where, "causes", "interlock_empty", id=row.table.id)
        for index, cause in enumerate(row.table.causes):
            point = self._points.get(cause.point)
            if point is not None and point.place == RECORD_PLACE:
                key = f"causes.{index}.point"
                self._faults.add(row.where, key, "cause_monitoring_only", point=point.id)
        for index, name in enumerate(row.table.permissives):
            self._permissive(row, index, self._points.get(name))
        if row.table.votes_needed is not None:
            trips = [each.point for each in found if each.condition is Condition.TRIP]
            self._votes(row, [self._points[each] for each in trips if each in self._points])
        elif row.table.votes_spread is not None:
            self._faults.add(row.where, "votes_spread", "spread_without_votes", id=row.table.id)

    def _permissive(self, row: Row[InterlockTable], index: int, point: Point | None) -> None:
        if point is None:
            return
        limits = point.limits
        given = (limits.alarm, limits.trip, limits.low_alarm)
        if point.place == schemes.CERTIFIED_PLACE:
            key = f"permissives.{index}"
            self._faults.add(row.where, key, "certified_decides", point=point.id)
        elif point.citation and all(each is None for each in given):
            key = f"permissives.{index}"
            self._faults.add(row.where, key, "permissive_without_limit", point=point.id)

    # ------------------------------------------------------------ votes

    def _votes(self, row: Row[InterlockTable], heads: list[Point]) -> None:
        """Refuse a vote that could be laxer than a single head, and heads of different places."""
        table = row.table
        places = {(each.kind, each.zone, each.place) for each in heads}
        if len(heads) < 2 or len(places) > 1:
            self._faults.add(row.where, "votes_needed", "votes_mixed_places", id=table.id)
            return
        if table.votes_needed != 1 and len(heads) < HEADS_FOR_TWO:
            self._faults.add(row.where, "votes_needed", "votes_too_few_heads", id=table.id)
        for head in heads:
            if head.citation and head.limits.alarm is None:
                self._faults.add(row.where, "votes_needed", "vote_without_alarm", point=head.id)
        kind = heads[0].kind
        if table.votes_spread is not None and units(kind, table.votes_spread) is None:
            self._faults.add(
                row.where, "votes_spread", "not_whole_units", id=table.id,
                limit="votes_spread", value=table.votes_spread, decimals=UNITS[kind].decimals,
            )  # fmt: skip

    # ------------------------------------------------------------ areas

    def reaches(self) -> None:
        """Compare what each statutory head cuts with the area that its row names."""
        demanded = self._demanded()
        for row in self._shaped.points:
            point = self._points[row.table.id]
            place = self._rules.places.get(point.place)
            outputs = demanded.get(point.id)
            if place is None or not place.cuts or not outputs or point.limits.trip is None:
                continue
            areas = self._areas(point)
            if point.place in schemes.SERIES_PLACES:
                if not self._cuts_any(outputs, areas):
                    self._faults.add(
                        row.where, "place", "series_without_downstream",
                        id=point.id, cuts=place.cuts, areas=", ".join(sorted(areas)) or "—",
                    )  # fmt: skip
            elif areas and not self._cuts_any(outputs, areas):
                self._faults.add(
                    row.where, "place", "cut_wrong_area",
                    id=point.id, cuts=place.cuts, areas=", ".join(sorted(areas)),
                )  # fmt: skip

    def _demanded(self) -> dict[str, set[str]]:
        """Return the power cuts that each point demands by its trip."""
        demanded: dict[str, set[str]] = {}
        for row in self._shaped.interlocks:
            cuts = {name for name in row.table.outputs if self._is_cut(name)}
            for cause in schemes.causes_of(row.table, self._shaped, self._points):
                if cause.condition is Condition.TRIP:
                    demanded.setdefault(cause.point, set()).update(cuts)
        return demanded

    def _is_cut(self, name: str) -> bool:
        table = self._outputs.get(name)
        return table is not None and table.role is OutputRole.POWER_CUT

    def _areas(self, point: Point) -> set[str]:
        """Return the faces and headings that a head stands in, before, or behind in the air.

        A head in a return belongs to those that its return is downwind of, one in an intake to
        those that are downwind of it; a head of neither belongs to none.
        """
        zone = self._zones.get(point.zone)
        if zone is None:
            return set()
        if zone.kind in AREAS:
            return {zone.id}
        if zone.kind is ZoneKind.RETURN:
            return {each for each in zone.downwind_of if self._is_area(each)}
        return {
            each.id
            for each in self._zones.values()
            if zone.id in each.downwind_of and each.kind in AREAS
        }

    def _is_area(self, zone: str) -> bool:
        return zone in self._zones and self._zones[zone].kind in AREAS

    def _cuts_any(self, outputs: set[str], areas: set[str]) -> bool:
        """Say whether an output lies in one of the areas, or feeds a switch there."""
        below = {
            above
            for table in self._outputs.values()
            if table.zone in areas and table.role is OutputRole.POWER_CUT
            for above in self._chain(table)
        }
        return not outputs.isdisjoint(below)

    def _chain(self, table: OutputTable) -> Iterator[str]:
        """Yield an output and all the switches above it; a cycle is another fault."""
        seen: set[str] = set()
        name: str | None = table.id
        while name is not None and name in self._outputs and name not in seen:
            seen.add(name)
            yield name
            name = self._outputs[name].upstream
