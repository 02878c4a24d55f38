"""The messages of the upload, version 1: pure functions from the controller's view to JSON.

Topics, fields and their meaning are the public contract (docs/upload.md); each message has a JSON
Schema in docs/schemas, and tests validate what is published against it. Fields may be added,
never removed or changed. People are staff codes turned into roles; no free text leaves the mine.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from minewatch.client import Frame
from minewatch.model.kind import UNITS
from minewatch.model.mine import Limits, Mine, Output, Point, Zone

Body = dict[str, Any]

FORMATS = ("json-v1",)
LIMIT_NAMES = (
    "pre_alarm",
    "alarm",
    "trip",
    "restore",
    "withdraw",
    "clear",
    "low_alarm",
    "low_clear",
    "rise_alarm",
    "rise_withdraw",
)


@dataclass(frozen=True, slots=True)
class Head:
    """What every message carries. `t_ms` is wall time; `seq` counts in its stream from 1."""

    boot: str
    run: str
    seq: int
    t_ms: int
    trusted: bool

    def fields(self) -> Body:
        """Return the common fields of a message."""
        return {
            "boot": self.boot,
            "run": self.run,
            "seq": self.seq,
            "t": utc(self.t_ms),
            "trusted": self.trusted,
        }


@dataclass(frozen=True, slots=True)
class Watched:
    """What the publisher knows of the controller: whether it answers and what it last said."""

    up: bool
    since_ms: int
    frame: Frame
    config: str


def topic_root(mine: Mine) -> str:
    """Return the root of all topics of a mine, with a slash at its end."""
    return f"minewatch/v1/{mine.county}/{mine.code}/"


def utc(wall_ms: int) -> str:
    """Return wall ms as UTC, ISO-8601 with ms."""
    stamp = datetime.fromtimestamp(wall_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{wall_ms % 1000:03d}Z"


def status(head: Head, state: str, mine: Mine, watched: Watched) -> Body:
    """Return `status`: `state` is online, offline or standby."""
    frame = watched.frame
    return {
        **head.fields(),
        "state": state,
        "controller": {"up": watched.up, "since": utc(watched.since_ms)},
        "mode": frame.body.get("mode", mine.mode.value),
        "version": frame.body.get("version", ""),
        "config": watched.config,
        "counts": counts(frame),
        "console": _console(frame),
        "nonce": secrets.token_hex(16),
    }


def counts(frame: Frame) -> dict[str, int]:
    """Return how many things are muted, bypassed, calibrating, disabled, covered, not closed."""
    silenced_until_ms = frame.body.get("silenced_until_ms") or 0
    points = frame.section("points").values()
    alarms = frame.section("alarms").values()
    return {
        "muted": int(silenced_until_ms > frame.body.get("t_ms", 0)),
        "bypassed": len(frame.section("bypasses")),
        "calibrating": len(frame.section("calibrations")),
        "disabled": sum(each.get("quality") == "INHIBITED" for each in points),
        "hand_covered": len(frame.section("hand_covers")),
        "shelved": len(frame.section("shelved")),
        "unclosed": sum(not each.get("closed", False) for each in alarms),
    }


def _console(frame: Frame) -> Body:
    console = frame.section("health").get("console") or {}
    return {"watched": bool(console.get("up", False)), "pages": int(console.get("pages", 0))}


def birth(head: Head, mine: Mine, config: str) -> Body:
    """Return `birth`: what this mine is made of and every limit with its citation."""
    return {
        **head.fields(),
        "mine": {
            "code": mine.code,
            "name": mine.name,
            "county": mine.county,
            "gas_class": mine.gas_class,
            "mode": mine.mode.value,
            "profile": mine.profile,
            "headcount_limit": mine.headcount_limit,
            "headcount_citation": mine.headcount_citation,
        },
        "config": config,
        "formats": list(FORMATS),
        "zones": {each.id: _zone(each) for each in mine.zones},
        "points": {each.id: _point(each) for each in mine.points},
        "outputs": {each.id: _output(each) for each in mine.outputs},
        "interlocks": {
            each.id: {
                "name": each.name,
                "causes": [[cause.point, cause.condition.value] for cause in each.causes],
                "outputs": list(each.outputs),
            }
            for each in mine.interlocks
        },
    }


def _zone(zone: Zone) -> Body:
    return {
        "name": zone.name,
        "kind": zone.kind.value,
        "parent": zone.parent,
        "downwind_of": list(zone.downwind_of),
        "headcount_limit": zone.headcount_limit,
        "headcount_citation": zone.headcount_citation,
        "restricted": zone.restricted,
        "declared": zone.declared,
    }


def _point(point: Point) -> Body:
    unit = UNITS[point.kind]
    return {
        "name": point.name,
        "kind": point.kind.value,
        "zone": point.zone,
        "place": point.place,
        "unit": unit.text,
        "decimals": unit.decimals,
        "limits": _limits(point.limits),
        "citation": point.citation,
        "fault_after_ms": point.fault_after_ms,
    }


def _limits(limits: Limits) -> dict[str, int]:
    pairs = ((name, getattr(limits, name)) for name in LIMIT_NAMES)
    return {name: value for name, value in pairs if value is not None}


def _output(output: Output) -> Body:
    return {
        "name": output.name,
        "role": output.role.value,
        "zone": output.zone,
        "proof": output.proof,
        "proof_within_ms": output.proof_within_ms,
        "upstream": output.upstream,
        "cuts": [{"kind": each.kind, "name": each.name} for each in output.cuts],
        "covers": list(output.covers),
    }


def live(head: Head, frame: Frame, points: Iterable[str]) -> Body:
    """Return `live`: `{point: [value, quality, age_ms, level]}` of the points that changed."""
    return {**head.fields(), **_moment(frame), "points": _readings(frame, points)}


def snapshot(head: Head, mine: Mine, frame: Frame) -> Body:
    """Return `snapshot`: every point, headcount, alarms and outputs at one moment."""
    return {
        **head.fields(),
        **_moment(frame),
        "points": _readings(frame, frame.section("points")),
        "headcount": headcount_view(frame),
        "alarms": {
            ident: alarm_view(mine, each) for ident, each in frame.section("alarms").items()
        },
        "outputs": {
            ident: {key: each.get(key) for key in ("wanted", "energised", "proved", "failed")}
            for ident, each in frame.section("outputs").items()
        },
        "withdrawals": {
            ident: {
                "zones": each.get("zones", []),
                "underground": each.get("underground"),
                "unaccounted": each.get("unaccounted"),
            }
            for ident, each in frame.section("withdrawals").items()
        },
    }


def _moment(frame: Frame) -> Body:
    return {"index": frame.body.get("durable_index", 0), "cycle": frame.body.get("cycle", 0)}


def _readings(frame: Frame, points: Iterable[str]) -> Body:
    section = frame.section("points")
    return {
        point: [
            section[point].get("value"),
            section[point].get("quality"),
            frame.age_ms(point),
            section[point].get("level", 0),
        ]
        for point in points
        if point in section
    }


def reading_key(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what makes a reading worth a place in the next `live`."""
    return (entry.get("value"), entry.get("quality"), entry.get("level"))


def headcount(head: Head, frame: Frame) -> Body:
    """Return `headcount`: lo, hi, limit and state of the mine and of each zone, with doubts."""
    return {**head.fields(), "index": frame.body.get("durable_index", 0), **headcount_view(frame)}


def headcount_view(frame: Frame) -> Body:
    """Return the headcount's own fields; they decide whether it changed."""
    section = frame.section("headcount")
    zones = section.get("zones") or {}
    return {
        **{key: section.get(key) for key in ("lo", "hi", "limit", "state")},
        "zones": {
            ident: {key: zone.get(key) for key in ("lo", "hi", "limit", "state")}
            for ident, zone in zones.items()
        },
        "reasons": [
            {key: each.get(key) for key in ("code", "source", "count")}
            for each in section.get("reasons") or []
        ],
    }


ALARM_FIELDS = (
    "kind",
    "priority",
    "source",
    "zone",
    "value",
    "limit",
    "peak",
    "state",
    "active",
    "closed",
    "first_out",
    "occurrences",
    "planned",
    "cause",
)


def alarm_view(mine: Mine, entry: Mapping[str, Any]) -> Body:
    """Return an alarm's own fields; who acknowledged is a role, never a code or a name."""
    view = {key: entry.get(key) for key in ALARM_FIELDS}
    place = entry.get("source")
    point = next((each for each in mine.points if each.id == place), None)
    view["place"] = point.place if point is not None else None
    raised_wall_ms = entry.get("raised_wall_ms")
    view["raised"] = utc(raised_wall_ms) if raised_wall_ms is not None else None
    view["acknowledged_by"] = _role(mine, entry.get("acknowledged_by"))
    return view


def _role(mine: Mine, code: str | None) -> str | None:
    if not code:
        return None
    member = mine.staff_member(code)
    return member.role.value if member is not None else "unnamed"


def alarm(head: Head, ident: str, view: Body, states: list[list[str]]) -> Body:
    """Return `alarm/<id>`; `states` are `[state, t]` in order, as the publisher saw them."""
    return {**head.fields(), "id": ident, **view, "states": states}


def event(head: Head, origin: str, leaf: bytes, leaf_hash: bytes, *, backfill: bool) -> Body:
    """Return `event`: the leaf verbatim as a string; `head.seq` is its ledger index + 1."""
    return {
        **head.fields(),
        "origin": origin,
        "leaf": leaf.decode(),
        "hash": leaf_hash.hex(),
        "backfill": backfill,
    }


def checkpoint(head: Head, origin: str, size: int, note: str) -> Body:
    """Return `checkpoint`: `note` is the signed tree head in C2SP text form."""
    return {**head.fields(), "origin": origin, "size": size, "note": note}
