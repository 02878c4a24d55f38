"""Cause and effect: every trip cuts something that is proved, no cut takes away what keeps alive.

Looks at the built mine for resolved limits and at the rows for where things stand.
"""

from collections.abc import Iterator

from minewatch.mine import schema, schemes
from minewatch.mine.check_rules import AREAS
from minewatch.mine.fault import Faults
from minewatch.mine.rules import LoadRule, Rules
from minewatch.mine.shape import Row, Shaped
from minewatch.model.kind import UNITS, Kind
from minewatch.model.mine import Cause, Condition, Mode, OutputRole, Point, ZoneKind

PROOF_KIND: dict[OutputRole, Kind] = {
    OutputRole.POWER_CUT: Kind.FEED_STATE,
    OutputRole.SIREN: Kind.SOUNDER_STATE,
    OutputRole.BROADCAST: Kind.SOUNDER_STATE,
    OutputRole.HORN: Kind.SOUNDER_STATE,
    OutputRole.SURFACE_HORN: Kind.SOUNDER_STATE,
}
"""The kind of input that proves each role; a gate is proved by its counts."""

SOUNDING = (OutputRole.SIREN, OutputRole.BROADCAST)
VENTILATION = (Kind.DUCT_WIND, Kind.FAN_RUN)


def check(shaped: Shaped, points: tuple[Point, ...], rules: Rules, faults: Faults) -> None:
    """Report outputs, interlocks and areas that would not protect."""
    checker = _Safety(shaped, points, rules, faults)
    checker.outputs()
    checker.interlocks()
    if shaped.whole("zone", "point", "output", "interlock"):
        checker.areas()
        checker.sirens()
    if shaped.whole("zone", "reader") and shaped.readers:
        checker.readers()


class _Safety:
    """Holds the indexes that the checks share."""

    def __init__(
        self, shaped: Shaped, points: tuple[Point, ...], rules: Rules, faults: Faults
    ) -> None:
        self._shaped = shaped
        self._rules = rules
        self._faults = faults
        self._points = {point.id: point for point in points}
        self._outputs = {row.table.id: row.table for row in shaped.outputs}
        self._demands = list(self._causes())

    def _causes(self) -> Iterator[tuple[Cause, str]]:
        """Yield each cause with each power cut that it demands."""
        for row in self._shaped.interlocks:
            causes = schemes.causes_of(row.table, self._shaped, self._points)
            for output in row.table.outputs:
                table = self._outputs.get(output)
                if table is not None and table.role is OutputRole.POWER_CUT:
                    for cause in causes:
                        yield cause, output

    # ------------------------------------------------------------ outputs

    def outputs(self) -> None:
        wired = {name for row in self._shaped.interlocks for name in row.table.outputs}
        for row in self._shaped.outputs:
            table = row.table
            if not row.whole:
                continue
            self._proof(row)
            if table.role is OutputRole.POWER_CUT:
                self._loads(row)
                self._upstream(row)
                if self._shaped.whole("interlock") and table.id not in wired:
                    self._faults.add(row.where, "id", "cut_not_wired", id=table.id)

    def _proof(self, row: Row[schema.OutputTable]) -> None:
        table = row.table
        wanted = PROOF_KIND.get(table.role)
        if table.proof is None:
            if table.role is OutputRole.POWER_CUT:
                self._faults.add(row.where, "proof", "proof_missing", id=table.id)
            elif wanted is not None:
                self._faults.warn(row.where, "proof", "siren_unproved", id=table.id)
            return
        point = self._points.get(table.proof)
        if point is None:
            return
        if wanted is not None and point.kind is not wanted:
            self._faults.add(
                row.where, "proof", "proof_wrong_kind",
                id=table.id, kind=f"@kind.{point.kind.value}", wanted=f"@kind.{wanted.value}",
            )  # fmt: skip
        if point.device == table.device:
            self._faults.add(
                row.where, "proof", "proof_not_independent", id=table.id, device=table.device
            )

    def _loads(self, row: Row[schema.OutputTable]) -> None:
        if not row.table.cuts:
            self._faults.add(row.where, "cuts", "loads_missing", id=row.table.id)
        permitted = self._permitted(row.table.id)
        for index, load in enumerate(row.table.cuts):
            rule = self._forbidden(load)
            if rule is not None and rule.kind not in permitted:
                self._faults.add(
                    row.where, f"cuts.{index}", "forbidden_load",
                    id=row.table.id, load=load.name, rule=rule.name, citation=rule.source,
                )  # fmt: skip

    def _forbidden(self, load: schema.LoadTable) -> LoadRule | None:
        """Return the rule that forbids a load, by its kind or by the words of its name."""
        for rule in self._rules.loads.values():
            words = load.name.lower()
            named = rule.kind == load.kind or any(word in words for word in rule.words)
            if rule.forbidden and named:
                return rule
        return None

    def _permitted(self, output: str) -> frozenset[str]:
        """Return load kinds that every statutory row behind this output names."""
        rows = [
            self._rules.places[self._points[cause.point].place].permits_loads
            for cause, demanded in self._demands
            if demanded == output
            and cause.point in self._points
            and self._points[cause.point].place in self._rules.places
        ]
        return frozenset(rows[0]).intersection(*rows[1:]) if rows else frozenset()

    def _upstream(self, row: Row[schema.OutputTable]) -> None:
        above, steps = row.table.upstream, 0
        while above in self._outputs and above != row.table.id and steps <= len(self._outputs):
            if self._outputs[above].role is not OutputRole.POWER_CUT:
                self._faults.add(row.where, "upstream", "upstream_wrong_role", other=above)
                return
            above, steps = self._outputs[above].upstream, steps + 1
        if above == row.table.id:
            self._faults.add(row.where, "upstream", "upstream_cycle", id=row.table.id)

    # ------------------------------------------------------------ interlocks

    def interlocks(self) -> None:
        for row in self._shaped.interlocks:
            for index, cause in enumerate(row.table.causes):
                point = self._points.get(cause.point)
                if point is None or not point.citation:
                    continue
                key = f"causes.{index}"
                if cause.condition is Condition.TRIP and point.limits.trip is None:
                    self._faults.add(row.where, key, "cause_without_limit", point=point.id)
                if cause.condition is Condition.OFF and not UNITS[point.kind].switch:
                    kind = f"@kind.{point.kind.value}"
                    self._faults.add(row.where, key, "cause_wrong_kind", point=point.id, kind=kind)

    # ------------------------------------------------------------ areas

    def areas(self) -> None:
        tripping = {c.point for c, _ in self._demands if c.condition is Condition.TRIP}
        told: set[str] = set()
        for row in self._shaped.zones:
            if row.table.kind in AREAS:
                told |= self._area(row, tripping)
        for point in self._shaped.points:
            resolved = self._points[point.table.id]
            if (
                resolved.limits.trip is not None
                and resolved.id not in tripping
                and resolved.zone not in told
            ):
                self._faults.add(point.where, "id", "trip_not_wired", id=resolved.id)

    def _area(self, row: Row[schema.ZoneTable], tripping: set[str]) -> set[str]:
        """Check one face or heading; return its id where a fault already says all of it."""
        zone = row.table
        heads = [p for p in self._points.values() if p.zone == zone.id and p.kind is Kind.METHANE]
        places = self._rules.places
        if not any(p.place in places and places[p.place].guards is zone.kind for p in heads):
            wanted = [place.id for place in places.values() if place.guards is zone.kind]
            self._faults.add(
                row.where, "id", "area_without_head", id=zone.id, places=", ".join(wanted)
            )
            return {zone.id}
        if not any(head.id in tripping for head in heads):
            self._faults.add(row.where, "id", "area_without_cutoff", id=zone.id)
            return {zone.id}
        if zone.kind is ZoneKind.HEADING and not self._fan_interlock(zone.id):
            self._faults.add(row.where, "id", "heading_without_fan_interlock", id=zone.id)
        return set()

    def _fan_interlock(self, zone: str) -> bool:
        return any(
            cause.condition is Condition.OFF
            and cause.point in self._points
            and self._points[cause.point].zone == zone
            and self._points[cause.point].kind in VENTILATION
            for cause, _ in self._demands
        )

    def sirens(self) -> None:
        """Warn of zones whose people would hear nothing."""
        mine = self._shaped.mine
        if mine is None or mine.table.mode is Mode.MONITOR:
            return
        heard: set[str] = set()
        for table in self._outputs.values():
            if table.role in SOUNDING:
                heard.update(table.covers or [table.zone])
        silent = (ZoneKind.MINE, ZoneKind.SURFACE)
        for row in self._shaped.zones:
            if row.table.kind not in silent and row.table.id not in heard:
                self._faults.warn(row.where, "id", "zone_without_siren", id=row.table.id)

    def readers(self) -> None:
        """Refuse faces and headings whose headcount limit nobody could hold."""
        seen = {row.table.zone for row in self._shaped.readers}
        for row in self._shaped.zones:
            if row.table.kind in AREAS and row.table.id not in seen:
                self._faults.add(row.where, "id", "zone_without_reader", id=row.table.id)
