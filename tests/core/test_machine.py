"""The core against the reference model, under random readings, acts, crashes and disk faults.

After every step the core's wanted outputs, standing withdrawal, open acts and latched over-ranges
are those of `reference_model.py`, no cause latches without a reason there, no release acts that it
forbids, and what may be asked back is what it says. Beside it: the fold of the ledger is the
durable state, and the same step from a state that went through JSON decides the same.
"""

import importlib.util
import json
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from minewatch.core.fold import recover
from minewatch.core.snapshot import durable_from_json, durable_to_json
from minewatch.core.state import State
from minewatch.core.step import Step, step
from minewatch.model.canonical import canonical
from minewatch.model.event import Event
from minewatch.model.image import Command, Image, Notice
from minewatch.model.quality import Quality


def _reference() -> ModuleType:
    path = Path(__file__).with_name("reference_model.py")
    spec = importlib.util.spec_from_file_location("reference_model", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = _reference()
HEADS = ("Z0_H0", "Z0_H1", "Z1_H0", "Z1_H1")
WINDS = ("Z0_WIND", "Z1_WIND")
VALUES = st.sampled_from([0, 20, 79, 80, 99, 100, 101, 149, 150, 151, 299, 300, 400])
BAD = st.sampled_from([q for q in Quality if q not in {Quality.GOOD, Quality.STALE}])
NAMES = st.sampled_from([f"S{n}" for n in range(1, 10)])
LEADERS = ("S3", "S4")
JSON_EVERY = 16
"""Each so many steps the state goes through JSON as well."""


class Witness:
    """Holds the reference model beside a rig: what was seen, what was written, what must be so."""

    def __init__(self, rig: Any) -> None:
        self.rig, self.steps, self.faulty = rig, 0, False
        zones = {point: point[:2] for point in (*HEADS, *WINDS)}
        self.model = reference.Reference(
            {head: zones[head] for head in HEADS}, {wind: zones[wind] for wind in WINDS}
        )
        self.written = [(0, deepcopy(self.model.paper))]

    def check(self, before: State, image: Image, decided: Step) -> None:
        """Let the model see and judge one step."""
        model = self.model
        self.steps += 1
        readings = [
            (r.point, r.value, r.quality.name) for sample in image.samples for r in sample.readings
        ]
        model.see(image.now_ms, image.durable_index, self.faulty, readings)
        for n, event in enumerate(decided.events):
            self._heed(event, before.durable.index + n)
        self._compare(decided)
        if decided.events:
            self.written.append((decided.state.durable.index, deepcopy(model.paper)))
            del self.written[:-400]
        if decided.outputs is not None:
            self._ask(decided.state, image)
        if self.steps % JSON_EVERY == 0:
            again = State(_through_json(before.durable), before.volatile)
            twin = step(self.rig.mine, again, image)
            assert [e.leaf() for e in twin.events] == [e.leaf() for e in decided.events]
            assert twin.outputs == decided.outputs

    def crash(self, index: int) -> None:
        """Forget all but what was synced; the relays have dropped."""
        (kept,) = [paper for at, paper in self.written if at == index][-1:]
        self.model.paper, self.model.now = deepcopy(kept), None
        self.written = [(index, deepcopy(kept))]
        self.faulty = False

    def _compare(self, decided: Step) -> None:
        model, durable = self.model, decided.state.durable
        paper, interlock = model.paper, durable.interlock
        assert set(interlock.causes) == set(paper.causes)
        assert set(interlock.covers) == set(paper.covers)
        assert set(interlock.bypasses) == set(paper.bypasses)
        assert set(interlock.pending) == set(paper.granted)
        assert set(durable.calibrations.open) == set(paper.calibrations)
        assert set(durable.points.over) == paper.over
        standing = durable.withdrawal.standing
        assert frozenset(() if standing is None else standing.zones) == paper.zones
        held = model.held()
        assert {f"cut_{zone}" for zone in model.must_cut()} <= held
        for output, level in (decided.outputs or {}).items():
            if output.startswith("cut_"):
                assert level is (output not in held), output
            if output.startswith("siren_"):
                assert level is bool(paper.zones & {"mine", output.removeprefix("siren_")}), output
        for outputs, written_at in paper.granted.values():
            assert not model.on_disk(written_at), f"{outputs} should have been given back or voided"

    def _ask(self, state: State, image: Image) -> None:
        """Ask for all that is cut, as if: the core permits what the model permits, no more."""
        held = self.model.held()
        if not held or len(state.durable.approvals.open) >= 30:
            return
        asked = Command("as-if", "release", "S1", "page:d1", {"outputs": sorted(held)}, "")
        as_if = replace(image, samples=(), sightings=(), read_backs=(), notices=())
        decided = step(self.rig.mine, state, replace(as_if, commands=(asked,)))
        (answer,) = [e for e in decided.events if e.data.get("command") == "as-if"]
        permitted = self.model.may_release(held)
        assert (answer.kind == "approval_asked") is permitted, (answer.data, permitted)

    def _heed(self, event: Event, index: int) -> None:
        """Write down what the core recorded, having judged whether it may be so."""
        judge = getattr(self, f"_{event.kind}", None)
        if judge is not None:
            judge(event.data, index)

    def _cause_latched(self, data: dict[str, Any], index: int) -> None:
        points, outputs = set(data["points"]), set(data["outputs"])
        _, _, about = data["cause"].partition(":")
        before, _ = self.model.paper.causes.get(data["cause"], (set(), set()))
        assert self.model.may_latch(data["cause_kind"], about, points - before), data
        self.model.paper.causes[data["cause"]] = (points, outputs)

    def _hand_value_recorded(self, data: dict[str, Any], index: int) -> None:
        model, point, value = self.model, data["point"], data["value"]
        model.paper.hand[point] = (value, model.now)
        model.measure(point, value)
        if point in model.paper.covers:
            at, ends, _ = model.paper.covers[point]
            model.paper.covers[point] = (at, ends, model.now + reference.READING_MS)
            if model.is_covered(point) and value < reference.CLEAR:
                model.paper.high.discard(point)

    def _hand_cover_started(self, data: dict[str, Any], index: int) -> None:
        now = self.model.now
        ends, reading = now + reference.COVER_MS, now + reference.READING_MS
        first, *_ = self.model.paper.covers.get(data["point"], (index,))
        self.model.paper.covers[data["point"]] = (first, ends, reading)

    def _hand_cover_ended(self, data: dict[str, Any], index: int) -> None:
        if data["reason"] == "ordered":
            del self.model.paper.covers[data["point"]]
            self.model.ended.add(data["point"])

    def _calibration_started(self, data: dict[str, Any], index: int) -> None:
        model, point = self.model, data["point"]
        same_zone = [h for h in model.paper.calibrations if h[:2] == point[:2]]
        assert point not in model.paper.high
        assert not same_zone
        assert len(model.paper.calibrations) < 2
        assert model.is_guarded(point)
        model.paper.calibrations[point] = (index, model.now + reference.CALIBRATION_MS)

    def _calibration_extended(self, data: dict[str, Any], index: int) -> None:
        at, ends = self.model.paper.calibrations[data["point"]]
        self.model.paper.calibrations[data["point"]] = (at, ends + reference.EXTENSION_MS)

    def _calibration_ended(self, data: dict[str, Any], index: int) -> None:
        if data["reason"] == "ended":
            del self.model.paper.calibrations[data["point"]]
            self.model.guard[data["point"]] = self.model.now

    def _bypass_started(self, data: dict[str, Any], index: int) -> None:
        assert data["by"] == "S4"
        assert data["second"] == "S3"
        ends = self.model.now + data["minutes"] * reference.MIN
        first, *_ = self.model.paper.bypasses.get(data["point"], (index,))
        self.model.paper.bypasses[data["point"]] = (first, ends)

    def _bypass_ended(self, data: dict[str, Any], index: int) -> None:
        if data["reason"] == "ordered":
            del self.model.paper.bypasses[data["point"]]
            self.model.guard[data["point"]] = self.model.now

    def _release_granted(self, data: dict[str, Any], index: int) -> None:
        outputs = set(data["outputs"])
        assert data["by"] == "S1"
        assert data["second"] in LEADERS
        assert self.model.may_release(outputs), data
        self.model.paper.granted[data["release"]] = (outputs, index)

    def _release_voided(self, data: dict[str, Any], index: int) -> None:
        del self.model.paper.granted[data["release"]]

    def _released(self, data: dict[str, Any], index: int) -> None:
        model = self.model
        outputs, written_at = model.paper.granted.pop(data["release"])
        assert model.on_disk(written_at)
        assert model.may_release(outputs), data
        assert not {f"cut_{zone}" for zone in model.must_cut()} & outputs
        for cause in data["causes"]:
            model.paper.over -= model.paper.causes.pop(cause)[0]

    def _over_range_unlatched(self, data: dict[str, Any], index: int) -> None:
        assert self.model.permits(data["point"])
        self.model.paper.over.discard(data["point"])

    def _withdrawal_raised(self, data: dict[str, Any], index: int) -> None:
        if data["by"] or data["cause"] == "controller_lost":
            self.model.order_out(frozenset(data["zones"]))

    def _withdrawal_extended(self, data: dict[str, Any], index: int) -> None:
        self._withdrawal_raised(data, index)

    def _all_clear_given(self, data: dict[str, Any], index: int) -> None:
        assert data["by"] == "S3"
        assert data["second"] in ("S4", "S5")
        assert not self.model.paper.high
        self.model.paper.all_clear = index

    def _withdrawal_ended(self, data: dict[str, Any], index: int) -> None:
        paper = self.model.paper
        assert paper.all_clear is not None
        assert self.model.on_disk(paper.all_clear)
        paper.zones, paper.all_clear = frozenset(), None

    def _controller_started(self, data: dict[str, Any], index: int) -> None:
        self.model.paper.granted.clear()


def _watched(core_tools: Any) -> tuple[Any, Witness]:
    """Return a rig in service, every turn of which a witness judges."""
    rig = core_tools.Rig(core_tools.build_mine())
    witness, plain = Witness(rig), rig.turn

    def checked(**how: Any) -> Step:
        before = rig.state
        decided = plain(**how)
        witness.check(before, rig.image, decided)
        return decided

    rig.turn = checked
    rig.start()
    return rig, witness


class CoreMachine(RuleBasedStateMachine):
    """Turns a rig; every step passes before the witness."""

    tools: Any
    steps = 0

    @initialize()
    def begin(self) -> None:
        """Bring the mine into service."""
        self.rig, self.witness = _watched(self.tools)
        self.folded: tuple[Any, int] = (None, 0)

    def teardown(self) -> None:
        """Count what was checked."""
        type(self).steps += self.witness.steps if hasattr(self, "witness") else 0

    @rule(head=st.sampled_from(HEADS), value=VALUES)
    def read(self, head: str, value: int) -> None:
        """A head reads something and goes on reading it."""
        self.rig.world[head] = value
        self.rig.turn(readings={head: value})

    @rule(head=st.sampled_from(HEADS), value=VALUES)
    def flicker(self, head: str, value: int) -> None:
        """A head reads something once."""
        self.rig.turn(readings={head: value})

    @rule(wind=st.sampled_from(WINDS), blows=st.integers(0, 1))
    def blow(self, wind: str, blows: int) -> None:
        """The duct's wind stops or comes back."""
        self.rig.world[wind] = blows
        self.rig.turn(readings={wind: blows})

    @rule(point=st.sampled_from(HEADS + WINDS), quality=BAD)
    def spoil(self, point: str, quality: Quality) -> None:
        """A point goes bad."""
        self.rig.world[point] = quality
        self.rig.run(1)

    @rule(quality=st.sampled_from([Quality.COMM_FAULT, Quality.WARMUP]))
    def lose_the_line(self, quality: Quality) -> None:
        """All heads fail at once."""
        self.rig.world.update(dict.fromkeys(HEADS, quality))
        self.rig.run(1)

    @rule()
    def calm(self) -> None:
        """Every head reads little, every duct blows, for more than a minute."""
        self.rig.world.update({**dict.fromkeys(HEADS, 10), **dict.fromkeys(WINDS, 1)})
        self.rig.run(62, scan_ms=1000)

    @rule(seconds=st.sampled_from([1, 5, 11, 31, 59]))
    def wait(self, seconds: int) -> None:
        """Time passes under whole scans."""
        self.rig.run(seconds, scan_ms=1000)

    @rule(ms=st.sampled_from([500, 1500, 2500, 20_000, 870_000, 1_830_000]))
    def pause(self, ms: int) -> None:
        """Nothing is read for a while; beyond 2 s it is a gap."""
        self.rig.turn(ms=ms)

    @rule(down_ms=st.sampled_from([100, 5_000, 600_000]), unsynced=st.booleans())
    def crash(self, down_ms: int, unsynced: bool) -> None:
        """The controller dies and comes back from its ledger, or from what of it was synced."""
        rig = self.rig
        last = rig.durable_index if unsynced else len(rig.events)
        last = max(last, self.witness.written[0][0])
        kept = max(at for at, _ in self.witness.written if at <= last)
        rig.events = rig.events[:kept]
        self.folded = (None, 0)
        self.witness.crash(kept)
        rig.restart(durable=recover(rig.events), down_ms=down_ms)
        if down_ms < 600_000:
            rig.run(3)

    @rule(stands=st.booleans())
    def disk(self, stands: bool) -> None:
        """The disk stops taking entries, or goes on."""
        self.rig.disk_stands = stands

    @rule(faulty=st.booleans())
    def ledger(self, faulty: bool) -> None:
        """The store says that its disk fails, or that it is well again."""
        self.witness.faulty = faulty
        kind = "ledger_fault" if faulty else "ledger_restored"
        self.rig.turn(notices=(Notice(kind, "ledger", {}),))

    @rule(by=NAMES, head=st.sampled_from(HEADS), value=VALUES)
    def measure(self, by: str, head: str, value: int) -> None:
        """Somebody gives a hand value."""
        self.rig.command("hand_value", by, point=head, value=value)

    @rule(head=st.sampled_from(HEADS), kind=st.sampled_from(["hand_cover", "calibrate"]))
    def act(self, head: str, kind: str) -> None:
        """A cover or a calibration is ordered."""
        if kind == "hand_cover":
            self.rig.command(kind, "S4", point=head, checker="S7")
        else:
            self.rig.command(kind, "S6", point=head)

    @rule(head=st.sampled_from(HEADS), which=st.sampled_from(["hand_cover", "calibration"]))
    def end_an_act(self, head: str, which: str) -> None:
        """A cover or a calibration is ended, or a calibration extended."""
        self.rig.command(f"end_{which}", "S4" if which == "hand_cover" else "S6", point=head)
        self.rig.command("extend_calibration", "S6", point=HEADS[0])

    @rule(head=st.sampled_from(HEADS), second=NAMES)
    def bypass(self, head: str, second: str) -> None:
        """A bypass is asked and seconded by somebody."""
        self._seconded("bypass", "S4", second, point=head, minutes=30)

    @rule(zone=st.sampled_from(["Z0", "Z1", "cut_Z0", "cut_Z1"]), second=NAMES)
    def demand(self, zone: str, second: str) -> None:
        """A person orders a zone out, or cuts its power."""
        if zone.startswith("cut"):
            self._seconded("cut", "S1", second, output=zone)
        else:
            self.rig.command("withdraw", "S1", zones=[zone])

    @precondition(lambda self: self.rig.state.durable.interlock.held)
    @rule(second=NAMES, measured=st.booleans(), trip=st.sampled_from([None, *HEADS]))
    def release(self, second: str, measured: bool, trip: str | None) -> None:
        """Everything latched is asked for at once; a head may trip in the cycle of the release."""
        held = sorted(self.rig.state.durable.interlock.held)
        if measured:
            for head in HEADS:
                self.rig.command("hand_value", "S7", point=head, value=10)
        self._seconded("release", "S1", second, outputs=held)
        self.rig.turn(readings={} if trip is None else {trip: 200})

    @precondition(lambda self: self.rig.state.durable.withdrawal.standing)
    @rule(by=NAMES, second=NAMES, trip=st.sampled_from([None, *HEADS]))
    def all_clear(self, by: str, second: str, trip: str | None) -> None:
        """Two names say that people may return; a head may read high in the same cycle."""
        standing = self.rig.state.durable.withdrawal.standing
        for head in HEADS:
            self.rig.command("hand_value", "S7", point=head, value=10)
        self._seconded("all_clear", by, second, withdrawal=standing.id)
        self.rig.turn(readings={} if trip is None else {trip: 200})

    @rule()
    def acknowledge(self) -> None:
        """Everything is acknowledged: no output changes by it."""
        alarms = sorted(self.rig.state.durable.alarms.items)
        if alarms:
            self.rig.command("acknowledge", "S1", alarms=alarms[:100])

    def _seconded(self, kind: str, by: str, second: str, **arguments: Any) -> None:
        asked = self.rig.command(kind, by, **arguments)
        if asked.kind == "approval_asked":
            self.rig.command("approve", second, approval=asked.data["approval"])

    @invariant()
    def the_fold_of_the_ledger_is_what_survives(self) -> None:
        """I3, I4, I22: recover(events) == durable, after every rule."""
        if hasattr(self, "rig"):
            events = self.rig.events
            before, at = self.folded
            durable = recover(events[at:], before)
            assert durable == self.rig.state.durable
            self.folded = (durable, len(events))


def _through_json(durable: Any) -> Any:
    return durable_from_json(json.loads(canonical(durable_to_json(durable))))


def _run(core_tools: Any, examples: int, rules: int) -> int:
    """Run so many days of so many rules; return how many steps the witness judged."""
    machine = type("Machine", (CoreMachine,), {"tools": core_tools})
    case = machine.TestCase
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=rules,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    case().runTest()
    return machine.steps


@pytest.mark.timeout(600)
def test_the_core_against_the_model(core_tools: Any) -> None:
    """20 000 steps: every promise of the module's first lines, on random days."""
    steps = 0
    while steps < 20_000:
        steps += _run(core_tools, examples=50, rules=30)


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_the_core_against_the_model_for_long(core_tools: Any) -> None:
    """The same for a night: a million steps."""
    steps = 0
    while steps < 1_000_000:
        steps += _run(core_tools, examples=500, rules=60)


PLANTED: Iterable[tuple[str, Any]] = [
    ("power.release.BELOW_MS", 0),
    ("power.release.HAND_VALUE_MS", 3_600_000),
    ("power.release._hand_reasons", lambda draft, plan: []),
    ("readings.points.latch_over", lambda draft, plan: None),
    ("power.interlock.void", lambda draft, outputs, *reasons: None),
    ("withdrawals.withdrawal.standing_zones", lambda durable: ()),
    ("withdrawals.withdrawal.demand", lambda draft, zones, cause: None),
    ("readings.points.is_open", lambda draft, point: False),
    ("draft.Draft.is_on_disk", lambda draft, index: True),
    ("readings.fault.lock", lambda draft, plan: None),
]


def _story(rig: Any) -> None:
    """One day on which each planted fault shows."""
    rig.turn(readings={"Z0_H0": 160})
    rig.run(2)
    rig.command("hand_value", "S7", point="Z0_H0", value=10)
    rig.run(62)
    rig.turn(ms=15 * 60_000)
    rig.run(64)
    rig.disk_stands = True
    asked = rig.release("cut_Z0", values={"Z0_H0": 10})
    assert asked.kind == "release_granted"
    rig.turn()
    rig.disk_stands = False
    rig.turn(readings={"Z0_H0": 160})
    rig.turn(readings={"Z0_H1": Quality.OVER_RANGE})
    rig.command("withdraw", "S1", zones=["Z1"])
    rig.command("calibrate", "S6", point="Z1_H0")
    rig.run(2)
    rig.turn(readings={"Z1_H0": 160})
    rig.command("end_calibration", "S6", point="Z1_H0")
    rig.world["Z1_H1"] = Quality.COMM_FAULT
    rig.run(12)


def test_the_story_alone_is_sound(core_tools: Any) -> None:
    """Without a planted fault the witness has nothing to say against the day of the next test."""
    rig, witness = _watched(core_tools)
    _story(rig)
    assert witness.steps > 100


@pytest.mark.parametrize(("where", "what"), PLANTED, ids=[where for where, _ in PLANTED])
def test_the_witness_finds_a_planted_fault(
    core_tools: Any, monkeypatch: Any, where: str, what: Any
) -> None:
    """The campaign can fail: each planted fault makes the core differ from the model."""
    monkeypatch.setattr(f"minewatch.core.{where}", what)
    rig, _ = _watched(core_tools)
    with pytest.raises((AssertionError, KeyError)):
        _story(rig)


def test_a_crash_between_every_two_events_recovers_to_a_latched_state(core_tools: Any) -> None:
    """Cut off after any entry, the ledger alone keeps every latch that it has seen."""
    rig = core_tools.Rig(core_tools.build_mine()).start()
    rig.turn(readings={"Z0_H0": 160})
    rig.run(3)
    rig.world["Z0_H0"] = 5
    rig.run(62)
    rig.release("cut_Z0", values={"Z0_H0": 5})
    rig.run(2)
    latched: set[str] = set()
    for n, event in enumerate(rig.events):
        if event.kind == "cause_latched":
            latched.add(event.data["cause"])
        if event.kind == "released":
            latched -= set(event.data["causes"])
        durable = recover(rig.events[: n + 1])
        assert set(durable.interlock.causes) == latched
        after = core_tools.Rig(rig.mine, state=State(durable), now_ms=rig.now_ms)
        after.run(4)
        assert latched <= set(after.causes)


def test_an_unsynced_tail_of_the_ledger_loses_no_latch_while_contacts_answer(
    core_tools: Any,
) -> None:
    """Act before record: a trip whose entry was lost is found again in the open contact."""
    rig = core_tools.Rig(core_tools.build_mine()).start()
    kept = len(rig.events)
    rig.turn(readings={"Z0_H0": 160})
    assert rig.written["cut_Z0"] is False
    after = core_tools.Rig(
        rig.mine,
        state=State(recover(rig.events[:kept])),
        now_ms=rig.now_ms + 5000,
        written=dict(rig.written),
    )
    after.run(4)
    assert after.causes == ["controller_lost"]
    assert after.written["cut_Z0"] is False
    assert after.written["cut_Z1"] is True


def test_commands_in_one_image_are_decided_in_order(core_tools: Any) -> None:
    """Two commands of one cycle each get their own answer, in the order in which they came."""
    rig = core_tools.Rig(core_tools.build_mine()).start()
    commands = tuple(
        Command(f"x{n}", "calibrate", "S6", "page:d1", {"point": head}, "")
        for n, head in enumerate(HEADS[:2])
    )
    decided = rig.turn(commands=commands)
    answers = [(e.data["command"], e.kind) for e in decided.events if "command" in e.data]
    assert answers == [("x0", "calibration_started"), ("x1", "command_refused")]
