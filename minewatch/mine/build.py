"""Typed rows to the one frozen `Mine`, with limits, quotas and fault causes resolved."""

from minewatch_drivers.pace.scan_class import class_ms

from minewatch.mine import build_duty, schema, schemes
from minewatch.mine.certified import Certified
from minewatch.mine.fault import Faults
from minewatch.mine.heads import Heads
from minewatch.mine.limits import LimitResolver
from minewatch.mine.rules import Rules
from minewatch.mine.rules.acts import load_acts
from minewatch.mine.rules.emergencies import load_emergencies
from minewatch.mine.rules.values import load_values
from minewatch.mine.shape import Row, Shaped
from minewatch.model import mine as model
from minewatch.model.alarm import AlarmKind
from minewatch.text import Catalogue


def is_severe(table: schema.MineTable) -> bool:
    """Say whether the mine counts as 灾害严重 (headcount rule of 2018)."""
    return table.hazard_class == "severe"


class Builder:
    """Builds the mine; faults of limits and quotas are reported on the way."""

    def __init__(self, shaped: Shaped, rules: Rules, faults: Faults) -> None:
        self._shaped = shaped
        self._rules = rules
        self._faults = faults
        self._certified = Certified(shaped, rules)
        self._heads = Heads(shaped)
        self.points: tuple[model.Point, ...] = ()
        paces = {row.table.id: row.table.scan_ms for row in shaped.buses}
        self._pace_ms = {row.table.id: paces.get(row.table.bus, 0) for row in shaped.devices}

    def build(self) -> model.Mine | None:
        """Return the mine, or None where the `[mine]` table itself could not be read."""
        shaped = self._shaped
        zones = tuple(self._zone(row) for row in shaped.zones)
        self.points = tuple(self._point(row) for row in shaped.points)
        if shaped.mine is None:
            return None
        table = shaped.mine.table
        by_id = {each.id: each for each in self.points}
        limit, citation = self._mine_limit(shaped.mine)
        return model.Mine(
            code=table.code,
            name=table.name,
            county=table.county,
            language=table.language,
            gas_class=table.gas_class,
            capacity_10kt=table.capacity_10kt,
            severe=is_severe(table),
            mode=table.mode,
            headcount_limit=limit,
            headcount_citation=citation,
            profile=self._rules.profile,
            zones=zones,
            buses=tuple(model.Bus(**row.table.model_dump()) for row in shaped.buses),
            devices=tuple(model.Device(**row.table.model_dump()) for row in shaped.devices),
            points=self.points,
            outputs=tuple(_output(row.table) for row in shaped.outputs),
            interlocks=tuple(
                schemes.interlock(row.table, shaped, by_id) for row in shaped.interlocks
            ),
            local_fans=tuple(schemes.local_fan(row.table, by_id) for row in shaped.local_fans),
            readers=tuple(_reader(row.table) for row in shaped.readers),
            people=tuple(model.Person(**row.table.model_dump()) for row in shaped.people),
            staff=tuple(model.Staff(**row.table.model_dump()) for row in shaped.staff),
            comparisons=self._certified.comparisons(),
            uploads=tuple(model.Upload(**row.table.model_dump()) for row in shaped.mqtt),
            certified_system=table.certified_system,
            signed_off_by=table.signed_off_by,
            flood_threat=table.flood_threat,
            unaccounted_margin_s=table.unaccounted_margin_s,
            handover=_handover(shaped),
            escalation=_escalation(shaped, table.language),
            console=_console(shaped),
            **build_duty.parts(shaped),
            acts=load_acts(),
            values=load_values(),
            emergencies=load_emergencies(),
        )

    def _point(self, row: Row[schema.PointTable]) -> model.Point:
        table = row.table
        limits, citation = model.Limits(), ""
        place = self._rules.places.get(table.place)
        if place is not None and table.kind in place.kinds and not place.legacy:
            limits, citation = LimitResolver(row, place, self._rules, self._faults).resolve()
        return model.Point(
            id=table.id,
            name=table.name,
            kind=table.kind,
            zone=table.zone,
            device=table.device,
            signal=table.signal,
            place=table.place,
            limits=limits,
            citation=citation,
            fault_after_ms=table.fault_after_s * 1000,
            at=_spot(table.at),
            scan_ms=table.scan_ms or self._class_ms(table),
            compare_with=table.compare_with or "",
            stale_ms=self._certified.stale_ms(table.device),
            rise_over_ms=0 if place is None else place.rise_over_minutes * 60_000,
            catalytic=self._heads.is_catalytic(table),
            companions=tuple(table.companions),
            stuck_after_ms=self._heads.stuck_after_ms(table),
            withdraws_mine=place is not None and place.withdraws_mine,
        )

    def _class_ms(self, table: schema.PointTable) -> int:
        """Return the scan class of the point's kind, 0 where it goes at the pace of its line."""
        pace_ms = self._pace_ms.get(table.device, 0)
        return class_ms(table.kind, pace_ms, table.fault_after_s * 1000)

    def _zone(self, row: Row[schema.ZoneTable]) -> model.Zone:
        table = row.table
        limit, citation = self._zone_limit(row)
        return model.Zone(
            id=table.id,
            name=table.name,
            kind=table.kind,
            parent=table.parent,
            downwind_of=tuple(table.downwind_of),
            headcount_limit=limit,
            headcount_citation=citation,
            restricted=table.restricted,
            walk_out_s=table.walk_out_s,
            declared=table.declared,
            path=tuple((x, y) for x, y in table.path),
        )

    def _mine_limit(self, row: Row[schema.MineTable]) -> tuple[int, str]:
        quota = self._rules.mine_quota(row.table.capacity_10kt)
        bound = quota.limit(is_severe(row.table))
        return self._stricter(row.table.headcount_limit, bound, str(quota.source), row)

    def _zone_limit(self, row: Row[schema.ZoneTable]) -> tuple[int | None, str]:
        table, mine = row.table, self._shaped.mine
        if mine is None or table.mechanised is None:
            quota = None
        else:
            quota = self._rules.area_quota(table.kind, table.mechanised, table.shift)
        if quota is None or mine is None:
            given = table.headcount_limit
            return given, "" if given is None else "本矿规定"
        bound = quota.limit(is_severe(mine.table))
        return self._stricter(table.headcount_limit, bound, str(quota.source), row)

    def _stricter(
        self,
        given: int | None,
        bound: int,
        citation: str,
        row: Row[schema.ZoneTable] | Row[schema.MineTable],
    ) -> tuple[int, str]:
        if given is None or given == bound:
            return bound, citation
        if given < bound:
            return given, f"本矿从严 {given}；{citation}：{bound}"
        self._faults.add(
            row.where, "headcount_limit", "looser_headcount",
            value=given, bound=bound, citation=citation,
        )  # fmt: skip
        return bound, citation


def _spot(at: list[int] | None) -> tuple[int, int] | None:
    return None if at is None else (at[0], at[1])


def _output(table: schema.OutputTable) -> model.Output:
    return model.Output(
        id=table.id,
        name=table.name,
        role=table.role,
        zone=table.zone,
        device=table.device,
        signal=table.signal,
        proof=table.proof,
        proof_within_ms=table.proof_within_ms,
        cuts=tuple(model.Load(each.kind, each.name) for each in table.cuts),
        upstream=table.upstream,
        covers=tuple(table.covers),
    )


def _reader(table: schema.ReaderTable) -> model.Reader:
    return model.Reader(
        id=table.id,
        name=table.name,
        zone=table.zone,
        device=table.device,
        outer=table.outer,
        mouth=table.mouth,
        directed=table.directed,
        at=_spot(table.at),
    )


def _handover(shaped: Shaped) -> model.Handover:
    if shaped.handover is None:
        return model.Handover()
    table = shaped.handover.table
    return model.Handover(tuple(table.starts), table.minutes, table.people_max)


def _escalation(shaped: Shaped, language: str) -> model.Escalation:
    """Resolve the words of a short message here: the controller speaks no language."""
    words = Catalogue.load(language)
    seconds = {} if shaped.escalation is None else shaped.escalation.table.model_dump()
    return model.Escalation(
        **seconds,
        message=words.say("message.escalated"),
        kind_words=tuple((kind.value, words.say(f"alarm_kind.{kind.value}")) for kind in AlarmKind),
    )


def _console(shaped: Shaped) -> model.Console:
    if shaped.console is None:
        return model.Console()
    table = shaped.console.table
    return model.Console(table.listen, tuple(table.terminals))
