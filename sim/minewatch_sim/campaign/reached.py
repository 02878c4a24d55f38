"""Rare states: moments that a campaign must have lived through, counted as they come.

`MUST` is the list; a campaign that never reached one of them has proven less than it says.
"""

from collections import Counter
from collections.abc import Callable

from minewatch.model.mine import OutputRole
from minewatch_sim.campaign.invariant import Frame
from minewatch_sim.campaign.invariants_power import demands
from minewatch_sim.campaign.witness import SOUNDERS, Turn, Witness

Test = Callable[[Witness, Turn], bool]


def _has(kind: str, **said: object) -> Test:
    """Return a test for an event of a kind with these fields."""
    return lambda _, t: any(
        e.kind == kind and all(e.data.get(k) == v for k, v in said.items()) for e in t.events
    )


def _refused(reason: str) -> Test:
    return lambda _, t: any(
        e.kind == "command_refused" and any(r.startswith(reason) for r in e.data["reasons"])
        for e in t.events
    )


def _voided(reason: str) -> Test:
    return lambda _, t: any(
        e.kind == "release_voided" and any(r.startswith(reason) for r in e.data["reasons"])
        for e in t.events
    )


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


def _cut_after_dark(w: Witness, t: Turn) -> bool:
    """A relay opened by itself although its controller lives: its line was silent."""
    del t
    now_ms = w.house.now_ms
    return w.outputs is not None and any(
        silent_ms > 3_000 and now_ms - w.began_ms > 8_000
        for silent_ms in w.unfed_ms(now_ms).values()
    )


def _released_over(w: Witness, t: Turn) -> bool:
    del w
    return any(e.kind == "released" and e.data["over"] for e in t.events)


def _shed(w: Witness, t: Turn) -> bool:
    del t
    return w.house.bench.store.shed > 0


TURNS: dict[str, Test] = {
    "approval by the same person refused": _refused("same_person"),
    "approval without the right refused": _refused("not_permitted"),
    "bypass ran out": _has("bypass_ended", reason="expired"),
    "calibration of the last head refused": _refused("last_head"),
    "clock untrusted": _has("clock_trust_changed", trusted=False),
    "clock stepped": _has("clock_stepped"),
    "configuration refused at a start": _has("configuration_refused"),
    "cover ended over a dead head": _has("hand_cover_ended", reason="ordered"),
    "descent resumed": _has("descent_resumed"),
    "double head loss in calibration": _double_loss,
    "feed abnormal": _has("alarm_raised", alarm_kind="feed_abnormal"),
    "gap in time during a withdrawal": _gap_in_withdrawal,
    "gas while a start is not proven": _demand_unproven,
    "images shed, events kept": _shed,
    "line lost: one cause": _has("cause_latched", cause_kind="line"),
    "our absence latched": _has("cause_latched", cause_kind="controller_lost"),
    "over-range latched": _has("over_range_latched"),
    "over-range released": _released_over,
    "people over the limit": _has("alarm_raised", alarm_kind="over_limit"),
    "reader lost": _has("reader_lost"),
    "release acted": _has("released"),
    "release on a full disk": _pending_on_full_disk,
    "release refused: no hand value": _refused("hand_value_missing"),
    "release refused: not yet 60 s": _refused("not_yet_60_s"),
    "release voided by a demand": _voided("demand:"),
    "relay opened by itself": _cut_after_dark,
    "shelf ran out": _has("shelving_ended", reason="expired"),
    "shelving of a trip refused": _refused("never_shelved"),
    "siren found sounding at a start": _first_table(_raised_by_siren),
    "start with a silent contact": _first_table(_silent_contact),
    "switch failed": _has("alarm_raised", alarm_kind="failed_actuation"),
    "test overdue": _has("alarm_raised", alarm_kind="test_overdue"),
    "upstream cut": _has("cause_latched", cause_kind="upstream"),
    "upstream cut failed": _upstream_fails,
    "withdrawal ended": _has("withdrawal_ended"),
    "withdrawal extended while cleared": _has("withdrawal_extended"),
}

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
)
MUST = tuple(sorted([*TURNS, *LOST.values(), *BOX]))


class Reached:
    """Counts in how many schedules each rare state was met."""

    def __init__(self) -> None:
        self.states: Counter[str] = Counter()

    def turn(self, w: Witness, t: Turn) -> None:
        """Look at one cycle."""
        for name, test in TURNS.items():
            if name not in self.states and test(w, t):
                self._meet(name)

    def second(self, w: Witness, frame: Frame) -> None:
        """Look at one frame."""
        del w
        if frame["headcount"]["at_least"]:
            self._meet("count at least")

    def died(self, w: Witness) -> None:
        """Look at what the crash took."""
        durable = len(w.house.bench.store.events)
        lost = w.history[len(w.history) - (w.account.index - durable) :]
        if w.account.index > durable:
            for _, event in lost:
                if event.kind in LOST:
                    self._meet(LOST[event.kind])
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
            if output.role is OutputRole.POWER_CUT and w.account.held(output.id):
                if w.house.rebooted_ms is not None and w.house.now_ms == w.house.rebooted_ms:
                    self._meet("reboot with a latched cut")

    def met(self, name: str) -> None:
        """Count a state that somebody else has seen."""
        self._meet(name)

    def _meet(self, name: str) -> None:
        self.states[name] = 1
