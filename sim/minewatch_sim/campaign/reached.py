"""Rare states: moments that a campaign must have lived through, counted as they come.

`MUST` is the list; a campaign that never reached one of them has proven less than it says.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from minewatch_sim.campaign.invariant import Frame
from minewatch_sim.campaign.invariants_power import demands
from minewatch_sim.campaign.witness import SOUNDERS, Turn, Witness

Test = Callable[[Witness, Turn], bool]
Word = Callable[[dict[str, Any]], bool]


def _said(**said: object) -> Word:
    """Return a test for the fields of an event."""
    return lambda data: all(data.get(key) == value for key, value in said.items())


def _because(reason: str) -> Word:
    """Return a test for one of an event's reasons."""
    return lambda data: any(each.startswith(reason) for each in data["reasons"])


def _pending_on_full_disk(w: Witness, t: Turn) -> bool:
    del t
    return bool(w.account.grants) and w.house.bench.store.failing


def _gap_in_withdrawal(w: Witness, t: Turn) -> bool:
    return t.event("time_gap") is not None and w.account.withdrawal is not None


def _double_loss(w: Witness, t: Turn) -> bool:
    """A fault lock of a place whose other head is in calibration."""
    places = {w.wiring.points[p].zone for kind, p in w.account.acts if kind == "calibration"}
    return any(
        e.kind == "cause_latched"
        and e.data["cause_kind"] in ("fault", "line")
        and any(w.wiring.points[p].zone in places for p in e.data["points"])
        for e in t.events
    )


def _demand_unproven(w: Witness, t: Turn) -> bool:
    return t.outputs is None and next(demands(w, t), None) is not None


def _first_table(test: Callable[[Witness, Turn], bool]) -> Test:
    return lambda w, t: w.proved_ms == t.now_ms and test(w, t)


def _silent_contact(w: Witness, t: Turn) -> bool:
    del t
    return any(w.read_backs.get(o) is None for o in w.wiring.driven)


def _raised_by_siren(w: Witness, t: Turn) -> bool:
    return w.prior == "crash" and t.event("withdrawal_raised") is not None


def _upstream_fails(w: Witness, t: Turn) -> bool:
    return any(
        e.kind == "alarm_raised"
        and e.data["alarm_kind"] == "failed_actuation"
        and any(c.kind == "upstream" and e.data["source"] in c.outputs
                for c in w.account.causes.values())
        for e in t.events
    )  # fmt: skip


def _opened_by_itself(w: Witness) -> bool:
    """Say whether a relay acted by itself although its controller lives: its line was silent."""
    now_ms = w.house.now_ms
    return w.outputs is not None and any(
        silent_ms > 3_000 and now_ms - w.began_ms > 8_000
        for silent_ms in w.unfed_ms(now_ms).values()
    )


EVENTS: tuple[tuple[str, str, Word], ...] = (
    ("approval by the same person refused", "command_refused", _because("same_person")),
    ("approval without the right refused", "command_refused", _because("not_permitted")),
    ("bypass ran out", "bypass_ended", _said(reason="expired")),
    ("calibration of the last head refused", "command_refused", _because("last_head")),
    ("clock stepped", "clock_stepped", _said()),
    ("clock untrusted", "clock_trust_changed", _said(trusted=False)),
    ("configuration refused at a start", "configuration_refused", _said()),
    ("cover ended over a dead head", "hand_cover_ended", _said(reason="ordered")),
    ("descent resumed", "descent_resumed", _said()),
    ("fan changed over", "fan_changed_over", _said()),
    ("fan changeover failed", "cause_latched", _said(cause_kind="fan")),
    ("feed abnormal", "alarm_raised", _said(alarm_kind="feed_abnormal")),
    ("flood of alarms", "flood_began", _said()),
    ("interlock tested for real", "interlock_tested", _said(result="passed")),
    ("line lost: one cause", "cause_latched", _said(cause_kind="line")),
    ("our absence latched", "cause_latched", _said(cause_kind="controller_lost")),
    ("over-range latched", "over_range_latched", _said()),
    ("over-range released", "released", lambda data: bool(data["over"])),
    ("people over the limit", "alarm_raised", _said(alarm_kind="over_limit")),
    ("reader lost", "reader_lost", _said()),
    ("release acted", "released", _said()),
    ("release refused: no hand value", "command_refused", _because("hand_value_missing")),
    ("release refused: not yet 60 s", "command_refused", _because("not_yet_60_s")),
    ("release voided by a demand", "release_voided", _because("demand:")),
    ("shelf ran out", "shelving_ended", _said(reason="expired")),
    ("shelving of a trip refused", "command_refused", _because("never_shelved")),
    ("switch failed", "alarm_raised", _said(alarm_kind="failed_actuation")),
    ("test overdue", "alarm_raised", _said(alarm_kind="test_overdue")),
    ("upstream cut", "cause_latched", _said(cause_kind="upstream")),
    ("vote carried", "cause_latched", _said(cause_kind="vote")),
    ("vote: heads disagree", "alarm_raised", _said(alarm_kind="vote_disagreement")),
    (
        "withdrawal by a stopped fan",
        "withdrawal_raised",
        lambda data: data["cause"].startswith("fan:"),
    ),
    ("withdrawal ended", "withdrawal_ended", _said()),
    ("withdrawal extended", "withdrawal_extended", _said()),
)
"""Rare states that one event tells: name, kind, fields."""

BY_KIND: dict[str, list[tuple[str, Word]]] = {}
for _name, _kind, _word in EVENTS:
    BY_KIND.setdefault(_kind, []).append((_name, _word))


def _degraded(w: Witness, t: Turn) -> bool:
    """A vote that was carried although one of its heads was lost."""
    return any(
        e.kind == "cause_latched"
        and e.data["cause_kind"] == "vote"
        and any(not w.seen[p].quality.raises for p in e.data["points"] if p in w.seen)
        for e in t.events
    )


TURNS: dict[str, Test] = {
    "double head loss in calibration": _double_loss,
    "gap in time during a withdrawal": _gap_in_withdrawal,
    "gas while a start is not proven": _demand_unproven,
    "release on a full disk": _pending_on_full_disk,
    "siren found sounding at a start": _first_table(_raised_by_siren),
    "start with a silent contact": _first_table(_silent_contact),
    "upstream cut failed": _upstream_fails,
    "vote degraded by a lost head": _degraded,
}
"""Rare states that a whole cycle tells."""

LOST = {
    "cause_latched": "crash: trip not on disk",
    "release_granted": "crash: grant not on disk",
    "released": "crash: release not on disk",
    "all_clear_given": "crash: all-clear not on disk",
    "withdrawal_raised": "crash: withdrawal not on disk",
    "bypass_started": "crash: bypass not on disk",
}
"""What a crash may take from before the disk."""

BOX = (
    "crash between act and record",
    "crash with a latched cut",
    "siren kept sounding in the dark",
    "reboot with a latched cut",
    "count at least",
    "commands turned away",
    "images shed, events kept",
    "relay opened by itself",
)
MUST = tuple(sorted([*(name for name, _, _ in EVENTS), *TURNS, *LOST.values(), *BOX]))


class Reached:
    """Counts in how many schedules each rare state was met."""

    def __init__(self) -> None:
        self.states: Counter[str] = Counter()

    def turn(self, w: Witness, t: Turn) -> None:
        """Look at one cycle."""
        for event in t.events:
            for name, word in BY_KIND.get(event.kind, ()):
                if name not in self.states and word(event.data):
                    self._meet(name)
        for name, test in TURNS.items():
            if name not in self.states and test(w, t):
                self._meet(name)

    def second(self, w: Witness, frame: Frame) -> None:
        """Look at one frame."""
        if frame["headcount"]["at_least"]:
            self._meet("count at least")
        if w.house.bench.store.shed:
            self._meet("images shed, events kept")
        if "relay opened by itself" not in self.states and _opened_by_itself(w):
            self._meet("relay opened by itself")

    def died(self, w: Witness) -> None:
        """Look at what the crash took."""
        kept = w.house.bench.store.events
        newest = {id(each) for each in kept[-len(w.house.doomed) - 1 :]}
        lost = [each for each in w.house.doomed if id(each) not in newest]
        if w.account.index > len(kept):
            lost += [event for _, event in w.history[len(kept) - w.account.index :]]
        for event in lost:
            if event.kind in LOST:
                self._meet(LOST[event.kind])
        w.house.doomed = ()
        if w.account.causes:
            self._meet("crash with a latched cut")
        if w.house.killed_before_record:
            self._meet("crash between act and record")

    def born(self, w: Witness) -> None:
        """Look at what a new process finds."""
        plant = w.house.plant
        for output in plant.mine.outputs:
            coil = plant.coils.get(output.device, output.signal)
            if output.role in SOUNDERS and coil:
                self._meet("siren kept sounding in the dark")
        if w.account.causes and w.house.rebooted_ms == w.house.now_ms:
            self._meet("reboot with a latched cut")

    def met(self, name: str) -> None:
        """Count a state that somebody else has seen."""
        self._meet(name)

    def _meet(self, name: str) -> None:
        self.states[name] = 1
