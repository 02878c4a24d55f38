"""The judge's own account of what was decided, kept from events alone and by its own rules.

It shares no code with the core: what is latched, who granted what, which acts are open, which
alarms stand. After a crash it is made anew from what the disk had taken.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from minewatch.model.event import Event

Data = dict[str, Any]


class Latched(NamedTuple):
    """A latched cause: the places that need a hand value, the outputs that it holds."""

    kind: str
    points: tuple[str, ...]
    outputs: tuple[str, ...]
    at_ms: int


class Granted(NamedTuple):
    """A granted release that has not acted: where it stands in the ledger and who gave it."""

    place: int
    by: str
    second: str
    outputs: tuple[str, ...]
    command: str


class Open(NamedTuple):
    """An act that lowers protection: where it stands in the ledger, since when, how long."""

    place: int
    at_ms: int
    by: str
    most_ms: int | None


class Hand(NamedTuple):
    """A value measured by hand."""

    value: int
    at_ms: int
    checker: str


@dataclass
class Stands:
    """An alarm: what it is about and what has happened to it."""

    id: str
    kind: str
    source: str
    priority: int
    at_ms: int
    active: bool = True
    answered: bool = False
    closed: bool = False
    held: str = ""


@dataclass
class Withdrawal:
    """A standing order; `cleared` is the ledger index of its all-clear."""

    id: str
    zones: tuple[str, ...]
    cleared: int | None = None


ACTS = {
    "calibration_started": "calibration",
    "bypass_started": "bypass",
    "hand_cover_started": "cover",
    "head_work_started": "head_work",
    "warm_up_started": "warm_up",
}
ACTS_ENDED = {
    "calibration_ended": "calibration",
    "bypass_ended": "bypass",
    "hand_cover_ended": "cover",
    "head_work_ended": "head_work",
    "warm_up_ended": "warm_up",
}
CALIBRATION_MOST_MS = 25 * 60_000
COVER_MOST_MS = 8 * 3_600_000


@dataclass
class Account:
    """What stands, by the events so far. `take` folds one more."""

    index: int = 0
    causes: dict[str, Latched] = field(default_factory=dict)
    restored_ms: dict[str, int] = field(default_factory=dict)
    freed: dict[str, Latched] = field(default_factory=dict)
    grants: dict[str, Granted] = field(default_factory=dict)
    acts: dict[tuple[str, str], Open] = field(default_factory=dict)
    ended_ms: dict[str, int] = field(default_factory=dict)
    hands: dict[str, Hand] = field(default_factory=dict)
    alarms: dict[str, Stands] = field(default_factory=dict)
    shelves: dict[str, Open] = field(default_factory=dict)
    tested_ms: dict[str, int] = field(default_factory=dict)
    faults: set[str] = field(default_factory=set)
    withdrawal: Withdrawal | None = None
    silenced_ms: int = 0
    config: str = ""
    closed: int = 0
    """People whom two names have taken off the roster, wherever they truly are."""

    def __post_init__(self) -> None:
        """Name the folds once."""
        self._folds: dict[str, Callable[[Data, int], None]] = {
            "cause_latched": self._latched,
            "released": self._released,
            "release_granted": self._granted,
            "release_voided": lambda data, _: self._drop_grant(data),
            "hand_value_recorded": self._hand,
            "alarm_raised": self._raised,
            "alarm_cleared": self._cleared,
            "alarm_held": self._held,
            "alarm_restored": self._restored,
            "alarms_acknowledged": self._answered,
            "alarms_closed": self._closed,
            "alarm_dropped": lambda data, _: self._drop_alarm(data),
            "silenced": self._silenced,
            "withdrawal_raised": self._withdrawn,
            "withdrawal_extended": self._withdrawn,
            "all_clear_given": self._all_clear,
            "withdrawal_ended": lambda _, __: self._withdrawal_ended(),
            "controller_started": self._started,
            "shelving_ordered": self._shelved,
            "shelving_ended": lambda data, _: self._unshelved(data),
            "house_fault": lambda data, _: self.faults.add(data["family"]),
            "house_restored": lambda data, _: self.faults.discard(data["family"]),
            "person_closed": lambda _, __: self._close_person(),
            "due_dates_set": self._due,
            "interlock_tested": self._tested,
        }

    @classmethod
    def of(cls, events: Iterable[tuple[Event, int]]) -> "Account":
        """Return the account of a ledger: each event with its time of the campaign."""
        account = cls()
        for event, at_ms in events:
            account.take(event, at_ms)
        return account

    def take(self, event: Event, at_ms: int) -> None:
        """Fold one event that was decided at a time of the campaign."""
        kind, data = event.kind, event.data
        fold = self._folds.get(kind)
        if fold is not None:
            fold(data, at_ms)
        elif kind in ACTS:
            self.acts[ACTS[kind], data["point"]] = Open(
                self.index, at_ms, data.get("by", ""), _most_ms(kind, data)
            )
        elif kind in ACTS_ENDED:
            self.acts.pop((ACTS_ENDED[kind], data["point"]), None)
            self.ended_ms[data["point"]] = at_ms
        self.index += 1

    def held(self, output: str) -> bool:
        """Say whether a latched cause holds an output."""
        return any(output in each.outputs for each in self.causes.values())

    def touched(self, point: str) -> bool:
        """Say whether any act on a point is open."""
        return any(each == point for _, each in self.acts)

    def stands(self, kind: str, *sources: str) -> bool:
        """Say whether the condition of an alarm stands at one of these sources."""
        return any(
            each.active and each.kind == kind and each.source in sources
            for each in self.alarms.values()
        )

    def _latched(self, data: Data, at_ms: int) -> None:
        known = self.causes.get(data["cause"])
        since_ms = known.at_ms if known else at_ms
        self.causes[data["cause"]] = Latched(
            data["cause_kind"], tuple(data["points"]), tuple(data["outputs"]), since_ms
        )

    def _released(self, data: Data, at_ms: int) -> None:
        del at_ms
        for each in data["causes"]:
            self.freed[each] = self.causes.pop(each)
        self.grants.pop(data["release"], None)

    def _granted(self, data: Data, at_ms: int) -> None:
        del at_ms
        self.grants[data["release"]] = Granted(
            self.index, data["by"], data["second"], tuple(data["outputs"]), data["command"]
        )

    def _drop_grant(self, data: Data) -> None:
        self.grants.pop(data["release"], None)

    def _hand(self, data: Data, at_ms: int) -> None:
        self.hands[data["point"]] = Hand(data["value"], at_ms, data["checker"])

    def _raised(self, data: Data, at_ms: int) -> None:
        known = self.alarms.get(data["alarm"])
        answered = data.get("answered") is not None
        self.alarms[data["alarm"]] = Stands(
            data["alarm"],
            data["alarm_kind"],
            data["source"],
            data["priority"],
            known.at_ms if known and not known.answered else at_ms,
            answered=answered or bool(known and known.active and known.answered),
            closed=bool(known and known.closed),
            held=data.get("held", ""),
        )
        self._break_silence(data, answered=answered)

    def _break_silence(self, data: Data, *, answered: bool) -> None:
        heard = not answered and not data.get("held")
        if data["priority"] <= 2 and heard and data["alarm_kind"] != "nobody_reachable":
            self.silenced_ms = 0

    def _cleared(self, data: Data, at_ms: int) -> None:
        if data["alarm_kind"] == "sensor_fault":
            self.restored_ms[data["source"]] = at_ms
        if data["alarm"] in self.alarms:
            alarm = self.alarms[data["alarm"]]
            alarm.active = False
            alarm.answered = alarm.answered or bool(alarm.held)
            alarm.held = ""

    def _held(self, data: Data, at_ms: int) -> None:
        del at_ms
        self.alarms[data["alarm"]].held = data["held"]

    def _restored(self, data: Data, at_ms: int) -> None:
        alarm = self.alarms[data["alarm"]]
        alarm.held, alarm.answered, alarm.at_ms = "", False, at_ms

    def _answered(self, data: Data, at_ms: int) -> None:
        del at_ms
        for each in data["alarms"]:
            if each in self.alarms:
                self.alarms[each].answered = True

    def _closed(self, data: Data, at_ms: int) -> None:
        del at_ms
        for each in data["alarms"]:
            if each in self.alarms:
                self.alarms[each].closed = True

    def _drop_alarm(self, data: Data) -> None:
        self.alarms.pop(data["alarm"], None)

    def _silenced(self, data: Data, at_ms: int) -> None:
        del data
        self.silenced_ms = at_ms + 120_000

    def _withdrawn(self, data: Data, at_ms: int) -> None:
        del at_ms
        self.withdrawal = Withdrawal(data["withdrawal"], tuple(data["zones"]))

    def _all_clear(self, data: Data, at_ms: int) -> None:
        del data, at_ms
        if self.withdrawal is not None:
            self.withdrawal.cleared = self.index

    def _withdrawal_ended(self) -> None:
        self.withdrawal = None

    def _started(self, data: Data, at_ms: int) -> None:
        del at_ms
        self.grants.clear()
        self.faults.clear()
        self.config = data["config"]

    def _shelved(self, data: Data, at_ms: int) -> None:
        key = f"{data['alarm_kind']}/{data['source']}"
        self.shelves[key] = Open(self.index, at_ms, data["by"], data["minutes"] * 60_000)

    def _unshelved(self, data: Data) -> None:
        self.shelves.pop(f"{data['alarm_kind']}/{data['source']}", None)

    def _close_person(self) -> None:
        self.closed += 1

    def _due(self, data: Data, at_ms: int) -> None:
        for key, _ in data["begun"]:
            if key.startswith("interlock_test/"):
                self.tested_ms[key] = at_ms
        for key in data["dropped"]:
            self.tested_ms.pop(key, None)

    def _tested(self, data: Data, at_ms: int) -> None:
        if data["result"] == "passed" and data["days"]:
            self.tested_ms[f"interlock_test/{data['output']}"] = at_ms


def _most_ms(kind: str, data: Data) -> int | None:
    """Return how long an act may last at most."""
    if kind == "calibration_started":
        return CALIBRATION_MOST_MS
    if kind == "hand_cover_started":
        return COVER_MOST_MS
    minutes = data.get("minutes")
    return None if minutes is None else int(minutes) * 60_000
