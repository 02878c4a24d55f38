"""The house itself: start and stop, clock, faults of disk, lines, upload and page.

Facts that the house learns arrive as `Notice`s and come out as events, each once when it begins and
once when it ends (design rule 14). Clock steps and gaps in time are seen here, from the image.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from minewatch.core.alarms import alarm
from minewatch.core.desk import due
from minewatch.core.desk.act import Act, Given, is_id
from minewatch.core.folding import Fold, keep, with_entry, without
from minewatch.core.power import proof
from minewatch.core.readings import points
from minewatch.model.alarm import AlarmKind
from minewatch.model.event import Event
from minewatch.model.image import Notice

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable

GAP_MS = 2_000
STEP_MS = 1_000
CONSOLE_MS = 60_000
FAULTS_MAX = 256
"""At most so many faults stand at once (lines, disk, upload, page …); more are not told apart,
but for the few that have an alarm of their own: a failing ledger must always hold releases."""

SCREENS_MAX = 64
"""Terminals whose pages are told apart; the console serves no more."""

_REASONS_MAX = 64
_ALARMED = frozenset({"ledger", "journal", "cycle", "upload", "clock"})
"""Faults of the house that raise a system-fault alarm; a lost line has its places' own."""

_OF_THE_PLANT = frozenset(
    {
        AlarmKind.PRE_ALARM,
        AlarmKind.GAS_OVER_LIMIT,
        AlarmKind.TRIP,
        AlarmKind.WITHDRAW,
        AlarmKind.LOW,
        AlarmKind.OVER_RANGE,
        AlarmKind.SENSOR_FAULT,
        AlarmKind.FAILED_ACTUATION,
        AlarmKind.FEED_ABNORMAL,
        AlarmKind.CALIBRATION_OVERRUN,
        AlarmKind.HEAD_WORK_OVERRUN,
        AlarmKind.TEST_FAILED,
        AlarmKind.HAND_COVER_LATE,
        AlarmKind.COMPARISON,
        AlarmKind.LOW_OXYGEN,
        AlarmKind.HAND_CHECK,
        AlarmKind.RISE,
        AlarmKind.INRUSH,
    }
)
"""Alarms whose source is a point, an output or a line of the configuration."""


@dataclass(frozen=True, slots=True)
class HouseDurable:
    """`faults` are what is wrong now, by `family` or `family:subject`, with the ms since when."""

    run: str = ""
    version: str = ""
    config: str = ""
    prior: str = ""
    faults: Mapping[str, int] = field(default_factory=dict)
    state_index: int = 0


@dataclass(frozen=True, slots=True)
class HouseVolatile:
    """The last image's clocks; `proving_since_ms` is set while outputs are not yet proven.

    A dispatch page was last live at `console_seen_ms` (the start of the run counts), and last
    audible at `console_heard_ms`, which is None until this run has seen a page.
    """

    now_ms: int | None = None
    wall_offset_ms: int = 0
    wall_trusted: bool = False
    proving_since_ms: int | None = None
    prior: str = "first"
    console_seen_ms: int | None = None
    console_heard_ms: int | None = None


def observe(draft: "Draft") -> None:
    """Take the image's clocks and notices."""
    house = draft.volatile.house
    if house.now_ms is None:
        _start(draft)
    else:
        _compare_clocks(draft, house)
    for notice in draft.image.notices:
        _take(draft, notice)
    _watch_console(draft)
    image = draft.image
    draft.update_volatile(
        house=replace(
            draft.volatile.house,
            now_ms=image.now_ms,
            wall_offset_ms=image.wall_ms - image.now_ms,
            wall_trusted=image.wall_trusted,
        )
    )


def begin(draft: "Draft", family: str, subject: str, said: Mapping[str, Any]) -> None:
    """Say once that something of the house is wrong."""
    key = f"{family}:{subject}" if subject else family
    faults = draft.durable.house.faults
    if key in faults or (len(faults) >= FAULTS_MAX and family not in _ALARMED):
        return
    draft.emit("house_fault", family=family, said=_plain(said), subject=subject)
    if family in _ALARMED:
        alarm.raise_(draft, AlarmKind.SYSTEM_FAULT, key)


def end(draft: "Draft", family: str, subject: str, said: Mapping[str, Any]) -> None:
    """Say once that it is over."""
    key = f"{family}:{subject}" if subject else family
    if key in draft.durable.house.faults:
        draft.emit("house_restored", family=family, said=_plain(said), subject=subject)
        alarm.clear(draft, AlarmKind.SYSTEM_FAULT, key)


def _start(draft: "Draft") -> None:
    """Begin a run: say so, forget every value, let no output act before it is proven (rule 6).

    `prior` is what the controller says, else what the ledger says: nothing in it is a first start.
    """
    said = next((n.data for n in draft.image.notices if n.kind == "controller_started"), {})
    prior = said.get("prior")
    if prior not in {"clean", "crash", "first"}:
        prior = "first" if draft.durable.index == 0 else "crash"
    stale_faults = sorted(draft.durable.house.faults)
    draft.emit(
        "controller_started",
        config=_text(said.get("config")),
        prior=prior,
        run=_text(said.get("run")),
        version=_text(said.get("version")),
    )
    for key in stale_faults:
        alarm.clear(draft, AlarmKind.SYSTEM_FAULT, key)
    _clear_orphans(draft)
    _prove(draft, prior)


def _clear_orphans(draft: "Draft") -> None:
    """End alarms of points and outputs that the configuration has lost: nothing else could."""
    known = {*draft.plan.points, *draft.plan.guards, *(f"line:{b}" for b in draft.plan.bus_points)}
    items = draft.durable.alarms.items
    for alarm_id in sorted(draft.durable.alarms.standing.values()):
        if items[alarm_id].kind in _OF_THE_PLANT and items[alarm_id].source not in known:
            alarm.clear(draft, items[alarm_id].kind, items[alarm_id].source)


def _prove(draft: "Draft", prior: str) -> None:
    points.forget_all(draft)
    proof.forget_all(draft)
    house = replace(draft.volatile.house, proving_since_ms=draft.image.now_ms, prior=prior)
    draft.update_volatile(house=house)


def _compare_clocks(draft: "Draft", house: HouseVolatile) -> None:
    image = draft.image
    assert house.now_ms is not None
    gap_ms = image.now_ms - house.now_ms
    step_ms = image.wall_ms - image.now_ms - house.wall_offset_ms
    if abs(step_ms) > STEP_MS:
        draft.emit("clock_stepped", step_ms=step_ms)
    if image.wall_trusted != house.wall_trusted:
        draft.emit("clock_trust_changed", trusted=image.wall_trusted)
        due.look_soon(draft)
    if gap_ms > GAP_MS:
        draft.emit("time_gap", gap_ms=gap_ms)
        _prove(draft, "gap")


def _take(draft: "Draft", notice: Notice) -> None:
    family, _, what = notice.kind.rpartition("_")
    if what in {"lost", "fault", "overrun"}:
        begin(draft, family, _subject(family, notice), notice.data)
    elif what == "restored":
        end(draft, family, _subject(family, notice), notice.data)
    elif notice.kind in _EVIDENCE:
        draft.emit(notice.kind, **_EVIDENCE[notice.kind](notice))
    elif notice.kind == "console_seen":
        _console_seen(draft, notice)


def _subject(family: str, notice: Notice) -> str:
    """Return what the fault is about; there is one ledger, one journal, one cycle, one page."""
    return notice.subject if family in {"bus", "device", "watcher"} else ""


def _console_seen(draft: "Draft", notice: Notice) -> None:
    """Take which dispatch pages are live, and whether any of them is heard."""
    said, now_ms = notice.data, draft.image.now_ms
    if said.get("pages", 1) == 0:
        return
    house = replace(draft.volatile.house, console_seen_ms=now_ms)
    if said.get("audible", True) is not False:
        house = replace(house, console_heard_ms=now_ms)
        _screens_seen(draft, said.get("terminals"))
    elif house.console_heard_ms is None:
        house = replace(house, console_heard_ms=now_ms)
    draft.update_volatile(house=house)


def _screens_seen(draft: "Draft", terminals: Any) -> None:
    """Note the terminals whose pages are heard; a page without a name counts as `page`."""
    named = terminals if isinstance(terminals, list | tuple) else ()
    names = [_text(each) for each in named[:SCREENS_MAX] if _text(each)] or ["page"]
    alarms, now_ms = draft.volatile.alarms, draft.image.now_ms
    live = {key: ms for key, ms in alarms.screens.items() if now_ms - ms <= CONSOLE_MS}
    screens = {**live, **dict.fromkeys(names, now_ms)}
    draft.update_volatile(alarms=replace(alarms, screens=screens))


def _watch_console(draft: "Draft") -> None:
    """No live page for 60 s with people underground is an event, and sounds (practice 15).

    Neither is a page that nobody hears: from then on the corridor horn stands in for it.
    """
    house, now_ms = draft.volatile.house, draft.image.now_ms
    if house.console_seen_ms is None:
        draft.update_volatile(house=replace(house, console_seen_ms=now_ms))
        return
    unwatched = now_ms - house.console_seen_ms > CONSOLE_MS
    _stand(draft, "console", stands=unwatched and _anybody(draft))
    heard_ms = house.console_heard_ms
    unheard = heard_ms is not None and now_ms - heard_ms > CONSOLE_MS
    _stand(draft, "sound", stands=unheard)


def _stand(draft: "Draft", family: str, *, stands: bool) -> None:
    if stands:
        begin(draft, family, "", {})
    elif family in draft.durable.house.faults:
        end(draft, family, "", {})


def _anybody(draft: "Draft") -> bool:
    """Say whether anybody is, or may be, underground."""
    hi = draft.volatile.people.count.mine.hi
    return hi is None or hi > 0


def _text(value: Any) -> str:
    return value[:120] if isinstance(value, str) else ""


def _plain(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a notice said, bounded, without anything that a leaf cannot hold."""
    plain: dict[str, Any] = {}
    for key in sorted(said)[:16]:
        value = said[key]
        if isinstance(value, str):
            plain[key] = value[:200]
        elif value is None or isinstance(value, int):
            plain[key] = value
    return plain


def _sealed(notice: Notice) -> dict[str, Any]:
    return {**_plain(notice.data), "subject": _text(notice.subject)}


def _refused(notice: Notice) -> dict[str, Any]:
    reasons = [_text(each) for each in notice.data.get("reasons", ())][:_REASONS_MAX]
    return {"config": _text(notice.data.get("config")), "reasons": reasons, "subject": ""}


def _by_hand(notice: Notice) -> dict[str, Any]:
    """Keep a person's words out of the leaf: they are its text."""
    said = _sealed(notice)
    reason = said.pop("reason", "")
    return {**said, "text": _text(reason)}


_EVIDENCE: dict[str, Callable[[Notice], dict[str, Any]]] = {
    "journal_sealed": _sealed,
    "journal_retired": _sealed,
    "controller_stopping": _sealed,
    "configuration_loaded": _sealed,
    "configuration_refused": _refused,
    "message_sent": _sealed,
    "message_failed": _sealed,
    "bus_write_ordered": _by_hand,
    "bus_written": _by_hand,
}


def _started(durable: "Durable", event: Event) -> "Durable":
    data = event.data
    house = replace(
        durable.house,
        run=data["run"],
        version=data["version"],
        config=data["config"] or durable.house.config,
        prior=data["prior"],
        faults={},
    )
    return replace(durable, house=house)


def _fault(durable: "Durable", event: Event) -> "Durable":
    faults = with_entry(durable.house.faults, _key(event), event.now_ms)
    return replace(durable, house=replace(durable.house, faults=faults))


def _restored(durable: "Durable", event: Event) -> "Durable":
    faults = without(durable.house.faults, _key(event))
    return replace(durable, house=replace(durable.house, faults=faults))


def _key(event: Event) -> str:
    family, subject = event.data["family"], event.data["subject"]
    return f"{family}:{subject}" if subject else str(family)


def _loaded(durable: "Durable", event: Event) -> "Durable":
    config = event.data.get("config", durable.house.config)
    return replace(durable, house=replace(durable.house, config=config))


def _stated(durable: "Durable", event: Event) -> "Durable":
    del event
    return replace(durable, house=replace(durable.house, state_index=durable.index))


FOLDS: dict[str, Fold] = {
    "controller_started": _started,
    "controller_stopping": keep,
    "house_fault": _fault,
    "house_restored": _restored,
    "clock_stepped": keep,
    "clock_trust_changed": keep,
    "time_gap": keep,
    "journal_sealed": keep,
    "journal_retired": keep,
    "configuration_loaded": _loaded,
    "configuration_refused": keep,
    "message_sent": keep,
    "message_failed": keep,
    "bus_write_ordered": keep,
    "bus_written": keep,
    "reload_ordered": keep,
    "command_refused": keep,
    "state": _stated,
}


def _reload(draft: "Draft", given: Given) -> None:
    config = given.command.arguments["config"]
    draft.emit("reload_ordered", command=given.answer, config=config)


COMMANDS: dict[str, Act] = {"reload": Act(do=_reload, arguments={"config": is_id}, supervisor=True)}
