"""The statutory tables and the loader that turns them into frozen rows.

Numbers and citations live in the `*.toml` files beside this one; nothing here knows a threshold.
Touch the files to follow a new text, bump `version` in `gas_places.toml`, and read `profile`: the
version with the sha256 of all files, which every resolved mine carries.
"""

import hashlib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

from minewatch.model.kind import Kind
from minewatch.model.mine import ZoneKind

FILES = (
    "acts.toml", "bounds.toml", "comparisons.toml", "fans.toml", "gas_places.toml", "grades.toml",
    "headcount.toml", "loads.toml", "withdrawals.toml",
)  # fmt: skip

LIMITS = (
    "pre_alarm", "alarm", "trip", "restore", "withdraw", "clear", "low_alarm", "low_clear",
    "rise_alarm", "rise_withdraw",
)  # fmt: skip
"""The fields of `model.Limits`, in the order of a warning that grows."""


class Status(StrEnum):
    """How sure a row is; the words are explained at the head of `gas_places.toml`."""

    VERIFIED = "verified"
    RECALLED = "recalled"
    UNCERTAIN = "uncertain"
    UNCONFIRMED = "unconfirmed"
    HOUSE = "house"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a number comes from; `also` is a second rule that the same row rests on."""

    citation: str
    status: Status
    also: "Source | None" = None

    def __str__(self) -> str:
        own = f"{self.citation} [{self.status.value}]"
        return own if self.also is None else f"{own}；{self.also}"


@dataclass(frozen=True, slots=True)
class Place:
    """A statutory row. `limits` holds the printed decimals of the limits that the row gives."""

    id: str
    name: str
    kinds: tuple[Kind, ...]
    zones: tuple[ZoneKind, ...]
    limits: dict[str, Decimal]
    source: Source
    guards: ZoneKind | None = None
    cuts: str = ""
    permits_loads: tuple[str, ...] = ()
    legacy: bool = False
    needs: tuple[str, ...] = ()
    rise_over_minutes: int = 0
    withdraws_mine: bool = False

    @property
    def own_limits(self) -> frozenset[str]:
        """Return the limits that only the mine itself can give here."""
        rises = ("rise_alarm", "rise_withdraw") if self.rise_over_minutes else ()
        return frozenset((*self.needs, *rises))


@dataclass(frozen=True, slots=True)
class Derived:
    """A limit that follows the effective alarm limit of its kind, in percent."""

    kind: Kind
    limit: str
    percent: int
    source: Source


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A reason to leave; `value` in the printed unit, None where person, clock or state decides."""

    id: str
    kind: Kind | None
    value: Decimal | None
    scope: str
    after_minutes: int
    source: Source
    heads: int = 1


@dataclass(frozen=True, slots=True)
class Quota:
    """A headcount limit for one shift, for a severe mine and for any other."""

    severe: int
    other: int
    source: Source
    up_to_10kt: int | None = None
    zone: ZoneKind | None = None
    mechanised: bool | None = None
    shift: str | None = None

    def limit(self, severe: bool) -> int:
        """Return the number of people for a mine of this hazard class."""
        return self.severe if severe else self.other


@dataclass(frozen=True, slots=True)
class Bound:
    """The largest value that a configuration key may have; above `signed_above` it is signed."""

    key: str
    at_most: int
    source: Source
    signed_above: int | None = None


@dataclass(frozen=True, slots=True)
class LoadRule:
    """A kind of load; a forbidden one may never be cut, whatever kind it is entered under."""

    kind: str
    name: str
    forbidden: bool
    words: tuple[str, ...]
    source: Source | None


@dataclass(frozen=True, slots=True)
class ComparisonRule:
    """How far ours and the certified system's may differ, printed unit, and for how long."""

    kind: Kind
    more_than: Decimal
    for_s: int
    source: Source


@dataclass(frozen=True, slots=True)
class Rules:
    """All tables of one version."""

    version: str
    profile: str
    places: dict[str, Place]
    derived: tuple[Derived, ...]
    withdrawals: dict[str, Withdrawal]
    mine_quotas: tuple[Quota, ...]
    area_quotas: tuple[Quota, ...]
    bounds: dict[str, Bound]
    loads: dict[str, LoadRule]
    comparisons: dict[Kind, ComparisonRule]

    def mine_quota(self, capacity_10kt: int) -> Quota:
        """Return the band of a capacity in 10 kt a year; the upper bound is included."""
        for quota in self.mine_quotas:
            if quota.up_to_10kt is None or capacity_10kt <= quota.up_to_10kt:
                return quota
        raise LookupError("the last band has no upper end")

    def area_quota(self, zone: ZoneKind, mechanised: bool, shift: str) -> Quota | None:
        """Return the row of a face or heading, or None for a zone that has no limit of its own."""
        for quota in self.area_quotas:
            if (
                quota.zone is zone
                and quota.mechanised == mechanised
                and quota.shift in (None, shift)
            ):
                return quota
        return None

    def sources(self) -> Iterator[Source]:
        """Yield the source of every row, for the summary of how sure the profile is."""
        for table in (self.places, self.withdrawals, self.bounds, self.comparisons):
            yield from (row.source for row in table.values())
        for rows in (self.derived, self.mine_quotas, self.area_quotas):
            yield from (row.source for row in rows)


@cache
def load_rules() -> Rules:
    """Return the tables that this version ships."""
    texts = {name: resources.files(__name__).joinpath(name).read_bytes() for name in FILES}
    data = {name: tomllib.loads(text.decode()) for name, text in texts.items()}
    digest = hashlib.sha256(b"".join(texts[name] for name in FILES)).hexdigest()
    places = data["gas_places.toml"]
    withdrawals = {row["id"]: _withdrawal(row) for row in data["withdrawals.toml"]["withdrawal"]}
    mine_quotas, area_quotas = _quotas(data["headcount.toml"])
    return Rules(
        version=places["version"],
        profile=f"{places['version']}+{digest}",
        places={row["id"]: _place(row, withdrawals) for row in places["place"]},
        derived=tuple(_derived(row) for row in places["derived"]),
        withdrawals=withdrawals,
        mine_quotas=mine_quotas,
        area_quotas=area_quotas,
        bounds={row["key"]: _bound(row) for row in data["bounds.toml"]["bound"]},
        loads={row["kind"]: _load(row) for row in data["loads.toml"]["load"]},
        comparisons={
            Kind(row["kind"]): _comparison(row) for row in data["comparisons.toml"]["comparison"]
        },
    )


def _source(row: dict[str, Any]) -> Source:
    return Source(row["citation"], Status(row["status"]))


def _place(row: dict[str, Any], withdrawals: dict[str, Withdrawal]) -> Place:
    limits = {name: Decimal(row[name]) for name in LIMITS if name in row and name != "withdraw"}
    source = _source(row)
    withdrawal = withdrawals[row["withdraw"]] if "withdraw" in row else None
    if withdrawal is not None:
        if withdrawal.value is not None:
            limits["withdraw"] = withdrawal.value
        elif "needs" not in row:
            raise ValueError(f"{row['id']}: {withdrawal.id} has no value")
        source = Source(source.citation, source.status, withdrawal.source)
    return Place(
        id=row["id"],
        name=row["name"],
        kinds=tuple(Kind(each) for each in row["kinds"]),
        zones=tuple(ZoneKind(each) for each in row.get("zones", ())),
        limits=limits,
        source=source,
        guards=ZoneKind(row["guards"]) if "guards" in row else None,
        cuts=row.get("cuts", ""),
        permits_loads=tuple(row.get("permits_loads", ())),
        legacy=row.get("legacy", False),
        needs=tuple(row.get("needs", ())),
        rise_over_minutes=row.get("rise_over_minutes", 0),
        withdraws_mine=withdrawal is not None and withdrawal.scope == "mine",
    )


def _derived(row: dict[str, Any]) -> Derived:
    return Derived(Kind(row["kind"]), row["limit"], row["percent"], _source(row))


def _withdrawal(row: dict[str, Any]) -> Withdrawal:
    return Withdrawal(
        id=row["id"],
        kind=Kind(row["kind"]) if "kind" in row else None,
        value=Decimal(row["value"]) if "value" in row else None,
        scope=row["scope"],
        after_minutes=row.get("after_minutes", 0),
        source=_source(row),
        heads=row.get("heads", 1),
    )


def _quotas(data: dict[str, Any]) -> tuple[tuple[Quota, ...], tuple[Quota, ...]]:
    status = Status(data["status"])
    document = f"{data['document']}（同一事项另有{data['later']}，未见原文）"
    mine = tuple(
        Quota(
            row["severe"],
            row["other"],
            Source(f"{document} 第四条", status),
            up_to_10kt=row.get("up_to_10kt"),
        )
        for row in data["mine"]
    )
    area = tuple(
        Quota(
            row["severe"],
            row["other"],
            Source(f"{document} {row['article']}", status),
            zone=ZoneKind(row["zone"]),
            mechanised=row["mechanised"],
            shift=row.get("shift"),
        )
        for row in data["area"]
    )
    return mine, area


def _bound(row: dict[str, Any]) -> Bound:
    return Bound(row["key"], row["at_most"], _source(row), row.get("signed_above"))


def _comparison(row: dict[str, Any]) -> ComparisonRule:
    return ComparisonRule(Kind(row["kind"]), Decimal(row["more_than"]), row["for_s"], _source(row))


def _load(row: dict[str, Any]) -> LoadRule:
    source = _source(row) if "citation" in row else None
    words = tuple(row.get("words", ()))
    return LoadRule(row["kind"], row["name"], row.get("forbidden", False), words, source)
