"""Emergencies: what demands that the mine be left, with a clock that starts it by itself.

The main fans stand, 50 mm of rain fell in 24 h, an order came from above or from the county
(practice 16, 18; `mine.emergencies` has each time and its source). A demand is an alarm at once and
a countdown for everybody to see. Nobody can refuse it: it is met by a withdrawal of the mine that a
person orders, or by its own clock. A fan that runs again, or rain below its clear limit, ends it;
what is not GOOD ends nothing. Until it has ended it forbids the all-clear.

The clock leads towards safety. It survives a restart and then ends at the earlier of the monotonic
and the wall deadline; a step of the wall clock alone moves nothing. In a mine without
`flood_threat` rain alarms and is shown, and waits for a person.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from minewatch.core.alarms import alarm
from minewatch.core.deadline import Deadline
from minewatch.core.desk.act import is_id, is_ids
from minewatch.core.folding import Fold, with_entry, without
from minewatch.core.withdrawals import withdrawal
from minewatch.core.withdrawals.withdrawal import WHOLE_MINE
from minewatch.model.alarm import AlarmKind
from minewatch.model.event import Event
from minewatch.model.image import Notice
from minewatch.model.kind import Kind
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable, State

MAIN_FAN_STOP = "main_fan_stop"
RAIN = "rain_24h"
ORDER = "order_from_above"
DIRECTIVE = "county_directive"
"""The kinds of demands, and the name of the notice in which a county's directive arrives."""

MAIN_FAN = "main_fan"
STANDBY = "main_fan_standby"
"""Places of the statutory table: in each zone as many fans must run as it has main fans."""

OPEN_MAX = 64
"""Demands of people that stand at once; gauges and fans are bounded by the configuration."""

NONCES_MAX = 64
"""Directives remembered, so that one that comes again changes nothing."""

_OF_A_STATE = frozenset({MAIN_FAN_STOP, RAIN})


@dataclass(frozen=True, slots=True)
class Emergency:
    """A demand that stands. `starts` is None where it waits for a person; `met`: people are out.

    `source` is the gauge, the zone of the fans, the document or the nonce that it came by.
    """

    id: str
    kind: str
    source: str
    zones: tuple[str, ...]
    points: tuple[str, ...]
    document: str
    by: str
    since: Deadline
    starts: Deadline | None
    met: bool = False


@dataclass(frozen=True, slots=True)
class EmergenciesDurable:
    """Standing demands by id, and the nonces of the newest directives, oldest first."""

    open: Mapping[str, Emergency] = field(default_factory=dict)
    nonces: tuple[str, ...] = ()


class Seen(NamedTuple):
    """What a gauge or the fans of a zone say: it begins, it is over, or neither."""

    kind: str
    source: str
    points: tuple[str, ...]
    begins: bool
    over: bool


def decide(draft: "Draft") -> None:
    """Begin, meet and end demands; a mine without gauge, fan or order returns at once."""
    for notice in draft.image.notices:
        if notice.kind == DIRECTIVE:
            _directive(draft, notice)
    seen = _fans(draft) | _rain(draft)
    for demand_id, each in seen.items():
        if each.begins and demand_id not in draft.durable.emergencies.open:
            demand(draft, each.kind, each.source, points=each.points)
    opened = draft.durable.emergencies.open
    for demand_id in sorted(opened):
        _run(draft, opened[demand_id], seen.get(demand_id))


def _run(draft: "Draft", each: Emergency, seen: Seen | None) -> None:
    if each.kind in _OF_A_STATE and (seen is None or seen.over):
        _end(draft, each, "removed" if seen is None else "over")
    elif not each.met:
        standing = draft.durable.withdrawal.standing
        if standing is not None and withdrawal.is_covered(standing, each.zones):
            _meet(draft, each, "withdrawal")
        elif each.starts is not None and draft.image.now_ms >= each.starts.ms:
            _meet(draft, each, "clock")


def _meet(draft: "Draft", each: Emergency, by: str) -> None:
    """Let people out, or name this cause in the withdrawal that is on already."""
    draft.emit("withdrawal_demand_met", by=by, demand=each.id)
    withdrawal.demand(draft, each.zones, each.id)
    if each.kind not in _OF_A_STATE:
        alarm.clear(draft, AlarmKind.WITHDRAWAL_DEMANDED, each.id)


def _end(draft: "Draft", each: Emergency, reason: str) -> None:
    draft.emit(
        "withdrawal_demand_ended",
        demand=each.id,
        duration_ms=draft.image.now_ms - each.since.ms,
        met=each.met,
        reason=reason,
    )
    alarm.clear(draft, AlarmKind.WITHDRAWAL_DEMANDED, each.id)


def demand(
    draft: "Draft",
    kind: str,
    source: str,
    *,
    zones: tuple[str, ...] = (WHOLE_MINE,),
    points: tuple[str, ...] = (),
    text: str = "",
    **said: Any,
) -> None:
    """Begin a demand of a kind that the mine's rules know; `said` is part of its event."""
    rule = draft.mine.emergencies.demand(kind)
    assert rule is not None, f"nobody asks for {kind} before looking at its rule"
    waits = kind == RAIN and not draft.mine.flood_threat
    demand_id = f"{kind}:{source}"
    draft.emit(
        "withdrawal_demanded",
        text,
        after_ms=None if waits else rule.after_ms,
        demand=demand_id,
        demand_kind=kind,
        points=list(points),
        source=source,
        zones=list(zones),
        **{"by": "", "document": "", "nonce": "", **said},
    )
    alarm.raise_(draft, AlarmKind.WITHDRAWAL_DEMANDED, demand_id)


def is_full(durable: "Durable") -> bool:
    """Say whether no more demands of people are taken."""
    opened = durable.emergencies.open.values()
    return sum(each.kind not in _OF_A_STATE for each in opened) >= OPEN_MAX


def sounds(draft: "Draft") -> bool:
    """Say whether the dispatch horn sounds for a demand that nobody has acknowledged."""
    durable = draft.durable
    if not durable.emergencies.open or draft.image.now_ms < durable.alarms.silenced_until_ms:
        return False
    alarms = (
        alarm.find(durable, AlarmKind.WITHDRAWAL_DEMANDED, each)
        for each in durable.emergencies.open
    )
    return any(each is not None and each.unanswered for each in alarms)


def _rain(draft: "Draft") -> dict[str, Seen]:
    """Return what each gauge says: from the limit on it demands, below its clear limit it ends."""
    gauges = draft.plan.by_kind.get(Kind.RAIN, ())
    rule = draft.mine.emergencies.demand(RAIN) if gauges else None
    if rule is None or rule.value is None:
        return {}
    seen = {}
    for point_id in gauges:
        live, clear = draft.live[point_id], min(draft.plan.points[point_id].clear, rule.value)
        fallen = live.value if live.quality is Quality.GOOD else None
        begins = live.quality is Quality.OVER_RANGE or (fallen is not None and fallen >= rule.value)
        over = fallen is not None and fallen < clear
        seen[f"{RAIN}:{point_id}"] = Seen(RAIN, point_id, (point_id,), begins, over)
    return seen


def _fans(draft: "Draft") -> dict[str, Seen]:
    """Return what the fans of each zone say: too few are known to run, or enough are.

    A main fan that cannot be read may run, so it begins no clock; it does not end one either.
    """
    mains = draft.plan.by_place.get(MAIN_FAN, ())
    if not mains or draft.mine.emergencies.demand(MAIN_FAN_STOP) is None:
        return {}
    points = draft.plan.points
    fans = (*mains, *draft.plan.by_place.get(STANDBY, ()))
    seen = {}
    for zone in sorted({points[each].zone for each in mains}):
        here = tuple(each for each in fans if points[each].zone == zone)
        wanted = sum(each in mains for each in here)
        runs = {each: _runs(draft, each) for each in here}
        running = sum(each is True for each in runs.values())
        unknown = sum(runs[each] is None for each in here if each in mains)
        seen[f"{MAIN_FAN_STOP}:{zone}"] = Seen(
            MAIN_FAN_STOP, zone, here, running + unknown < wanted, running >= wanted
        )
    return seen


def _runs(draft: "Draft", point_id: str) -> bool | None:
    live = draft.live[point_id]
    return bool(live.value) if live.quality is Quality.GOOD else None


def _directive(draft: "Draft", notice: Notice) -> None:
    """Take a directive of the county. It only ever orders people out, and each nonce only once."""
    said = notice.data
    nonce = str(said["nonce"]) if is_id(said.get("nonce")) else ""
    if nonce in draft.durable.emergencies.nonces:
        return
    reasons = _against(draft, said)
    if reasons:
        draft.emit("county_directive_refused", nonce=nonce, reasons=reasons)
        return
    zones = tuple(sorted(said.get("zones") or (WHOLE_MINE,)))
    demand(draft, DIRECTIVE, nonce, zones=zones, document=said["document"], nonce=nonce)


def _against(draft: "Draft", said: Mapping[str, Any]) -> list[str]:
    """Return why a directive is not taken; its freshness is judged by who received it."""
    zones = said.get("zones") or [WHOLE_MINE]
    if not (is_id(said.get("nonce")) and is_id(said.get("document")) and is_ids(zones)):
        return ["malformed"]
    known = {WHOLE_MINE, *(zone.id for zone in draft.mine.zones)}
    reasons = [f"unknown_zone:{each}" for each in zones if each not in known]
    if said.get("kind") != "withdraw" or draft.mine.emergencies.demand(DIRECTIVE) is None:
        reasons.append("unknown_directive")
    return reasons or (["too_many"] if is_full(draft.durable) else [])


def _demanded(durable: "Durable", event: Event) -> "Durable":
    data, part = event.data, durable.emergencies
    after_ms = data["after_ms"]
    begun = Emergency(
        id=data["demand"],
        kind=data["demand_kind"],
        source=data["source"],
        zones=tuple(data["zones"]),
        points=tuple(data["points"]),
        document=data["document"],
        by=data["by"],
        since=Deadline.after(event, 0),
        starts=None if after_ms is None else Deadline.after(event, after_ms),
    )
    part = replace(part, open=with_entry(part.open, begun.id, begun))
    return _heard(_set(durable, part), event) if data["nonce"] else _set(durable, part)


def _heard(durable: "Durable", event: Event) -> "Durable":
    """Remember a nonce, whatever came of it."""
    part = durable.emergencies
    nonces = (*part.nonces, event.data["nonce"])[-NONCES_MAX:]
    return _set(durable, replace(part, nonces=nonces))


def _met(durable: "Durable", event: Event) -> "Durable":
    part, demand_id = durable.emergencies, event.data["demand"]
    each = part.open[demand_id]
    if each.kind in _OF_A_STATE:
        opened = with_entry(part.open, demand_id, replace(each, met=True))
    else:
        opened = without(part.open, demand_id)
    return _set(durable, replace(part, open=opened))


def _ended(durable: "Durable", event: Event) -> "Durable":
    part = durable.emergencies
    return _set(durable, replace(part, open=without(part.open, event.data["demand"])))


def _restarted(durable: "Durable", event: Event) -> "Durable":
    last_ms = durable.now_ms
    return _moved(durable, lambda each: each.rebased(event, last_ms))


def _stepped(durable: "Durable", event: Event) -> "Durable":
    step_ms = event.data["step_ms"]
    return _moved(durable, lambda each: replace(each, wall_ms=each.wall_ms + step_ms))


def _moved(durable: "Durable", move: Callable[[Deadline], Deadline]) -> "Durable":
    part = durable.emergencies
    if not part.open:
        return durable
    opened = {
        key: replace(
            each,
            since=move(each.since),
            starts=None if each.starts is None else move(each.starts),
        )
        for key, each in part.open.items()
    }
    return _set(durable, replace(part, open=opened))


def _set(durable: "Durable", part: EmergenciesDurable) -> "Durable":
    return replace(durable, emergencies=part)


FOLDS: dict[str, Fold] = {
    "withdrawal_demanded": _demanded,
    "withdrawal_demand_met": _met,
    "withdrawal_demand_ended": _ended,
    "county_directive_refused": _heard,
    "controller_started": _restarted,
    "clock_stepped": _stepped,
}


def view(state: "State") -> dict[str, Any]:
    """Return the frame's `emergencies`: the demands that stand, each with its countdown."""
    return {
        "emergencies": {
            each.id: {
                "kind": each.kind,
                "source": each.source,
                "zones": list(each.zones),
                "document": each.document,
                "by": each.by,
                "since_ms": each.since.ms,
                "starts_ms": None if each.starts is None else each.starts.ms,
                "met": each.met,
            }
            for each in state.durable.emergencies.open.values()
        }
    }
