"""The core against a small reference model, under random readings, acts, crashes and disk faults.

After every step: the fold of the ledger is the durable state; the same step from a state that went
through JSON decides the same; a head at trip cuts now; nothing un-latches but by a release that the
model, which knows nothing of the core's code, finds permitted.
"""

import json
from typing import Any

import pytest
from hypothesis import settings
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

HEADS = ("Z0_H0", "Z0_H1", "Z1_H0", "Z1_H1")
TRIP, RESTORE = 150, 100
VALUES = st.sampled_from([0, 20, 79, 80, 99, 100, 101, 149, 150, 151, 400])
BAD = st.sampled_from([q for q in Quality if q not in {Quality.GOOD, Quality.STALE}])
NAMES = st.sampled_from([f"S{n}" for n in range(1, 10)])


class Model:
    """What a careful person would write down: values, since when low, measured by hand, covered."""

    def __init__(self) -> None:
        self.low_ms: dict[str, int] = {}
        self.hand: dict[str, tuple[int, int]] = {}
        self.covered: set[str] = set()
        self.bypassed: set[str] = set()

    def read(self, image: Image) -> list[str]:
        """Take one image; return the heads that demand a cut by a reading at trip."""
        demands = []
        for sample in image.samples:
            for point, value, quality in sample.readings:
                if point not in HEADS:
                    continue
                if quality is Quality.GOOD and value < RESTORE:
                    self.low_ms.setdefault(point, sample.sampled_ms)
                else:
                    self.low_ms.pop(point, None)
                if quality is Quality.OVER_RANGE or (quality is Quality.GOOD and value >= TRIP):
                    demands.append(point)
        return demands

    def heed(self, event: Event) -> None:
        """Take what the core recorded about people's acts."""
        match event.kind:
            case "hand_value_recorded":
                self.hand[event.data["point"]] = (event.data["value"], event.now_ms)
            case "hand_cover_started":
                self.covered.add(event.data["point"])
            case "hand_cover_ended":
                self.covered.discard(event.data["point"])
            case "bypass_started":
                self.bypassed.add(event.data["point"])
            case "bypass_ended":
                self.bypassed.discard(event.data["point"])
            case "controller_started" | "time_gap":
                self.low_ms.clear()

    def permits(self, point: str, now_ms: int) -> bool:
        """Say whether the place of a head may have power again."""
        value, at_ms = self.hand.get(point, (TRIP, 0))
        measured = value < RESTORE and now_ms - at_ms < 15 * 60_000
        low_ms = self.low_ms.get(point)
        low = low_ms is not None and now_ms - low_ms >= 60_000
        return measured and (low or point in self.covered or point in self.bypassed)


class CoreMachine(RuleBasedStateMachine):
    """Turns a rig; every step passes through `_check`."""

    tools: Any

    @initialize()
    def begin(self) -> None:
        """Bring the mine into service."""
        self.rig = self.tools.Rig(self.tools.build_mine())
        self.model = Model()
        self.faulty = False
        self._wrap()
        self.rig.start()

    def _wrap(self) -> None:
        """Check every turn of the rig, also those within its own helpers."""
        plain, rig = self.rig.turn, self.rig

        def checked(**how: Any) -> Step:
            before = (rig.state, dict(rig.written))
            decided = plain(**how)
            self._check(*before, rig.image, decided)
            return decided

        rig.turn = checked

    def _check(self, state: State, written: dict[str, bool], image: Image, decided: Step) -> None:
        rig = self.rig
        again = State(_through_json(state.durable), state.volatile)
        twin = step(rig.mine, again, image)
        assert [e.leaf() for e in twin.events] == [e.leaf() for e in decided.events]
        assert twin.outputs == decided.outputs
        demands = self.model.read(image)
        released: set[str] = set()
        for event in decided.events:
            if event.kind == "released":
                self._check_release(event, image, state)
                released.update(event.data["outputs"])
            self.model.heed(event)
        if decided.outputs is None:
            return
        held = decided.state.durable.interlock.held
        for head in demands:
            if head not in self.model.bypassed and head not in state.durable.calibrations.open:
                assert decided.outputs[f"cut_{head[:2]}"] is False
        for output, level in decided.outputs.items():
            if output.startswith("cut"):
                assert level is (output not in held)
                if level and not written[output] and output in state.durable.interlock.held:
                    assert output in released

    def _check_release(self, event: Event, image: Image, state: State) -> None:
        assert not self.faulty
        granted = [
            n
            for n, each in enumerate(self.rig.events)
            if each.kind == "release_granted" and each.data["release"] == event.data["release"]
        ]
        assert len(granted) == 1
        assert granted[0] < image.durable_index
        names = self.rig.events[granted[0]].data
        assert names["by"] != names["second"]
        for cause in event.data["causes"]:
            for point in state.durable.interlock.causes[cause].points:
                if point in HEADS:
                    assert self.model.permits(point, image.now_ms), (cause, point)

    @rule(head=st.sampled_from(HEADS), value=VALUES)
    def read(self, head: str, value: int) -> None:
        """A head reads something and goes on reading it."""
        self.rig.world[head] = value
        self.rig.turn(readings={head: value})

    @rule(head=st.sampled_from(HEADS), value=VALUES)
    def flicker(self, head: str, value: int) -> None:
        """A head reads something once."""
        self.rig.turn(readings={head: value})

    @rule(head=st.sampled_from(HEADS), quality=BAD)
    def spoil(self, head: str, quality: Quality) -> None:
        """A head goes bad."""
        self.rig.world[head] = quality
        self.rig.run(1)

    @rule()
    def calm(self) -> None:
        """Every head reads little for more than a minute."""
        self.rig.world.update(dict.fromkeys(HEADS, 10))
        self.rig.run(62, scan_ms=1000)

    @rule(seconds=st.sampled_from([1, 5, 11, 31]))
    def wait(self, seconds: int) -> None:
        """Time passes under whole scans."""
        self.rig.run(seconds, scan_ms=1000)

    @rule(ms=st.sampled_from([500, 1500, 2500, 20_000]))
    def pause(self, ms: int) -> None:
        """Nothing is read for a while; beyond 2 s it is a gap."""
        self.rig.turn(ms=ms)

    @rule(down_ms=st.sampled_from([100, 5_000, 600_000]))
    def crash(self, down_ms: int) -> None:
        """The controller dies and comes back from its ledger."""
        self.rig.restart(down_ms=down_ms)
        self.faulty = False

    @rule(stands=st.booleans())
    def disk(self, stands: bool) -> None:
        """The disk stops taking entries, or goes on."""
        self.rig.disk_stands = stands

    @rule(faulty=st.booleans())
    def ledger(self, faulty: bool) -> None:
        """The store says that its disk fails, or that it is well again."""
        kind = "ledger_fault" if faulty else "ledger_restored"
        self.rig.turn(notices=(Notice(kind, "ledger", {}),))
        self.faulty = faulty

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

    @rule(head=st.sampled_from(HEADS), second=NAMES)
    def bypass(self, head: str, second: str) -> None:
        """A bypass is asked and seconded by somebody."""
        self._seconded("bypass", "S4", second, point=head, minutes=30)

    @precondition(lambda self: self.rig.state.durable.interlock.held)
    @rule(second=NAMES, measured=st.booleans())
    def release(self, second: str, measured: bool) -> None:
        """Everything latched is asked for at once, with or without fresh hand values."""
        held = sorted(self.rig.state.durable.interlock.held)
        if measured:
            for head in HEADS:
                self.rig.command("hand_value", "S7", point=head, value=10)
        self._seconded("release", "S1", second, outputs=held)
        self.rig.turn()

    @rule()
    def acknowledge(self) -> None:
        """Everything is acknowledged."""
        alarms = sorted(self.rig.state.durable.alarms.items)
        if alarms:
            self.rig.command("acknowledge", "S1", alarms=alarms)

    def _seconded(self, kind: str, by: str, second: str, **arguments: Any) -> None:
        asked = self.rig.command(kind, by, **arguments)
        if asked.kind == "approval_asked":
            self.rig.command("approve", second, approval=asked.data["approval"])

    @invariant()
    def the_fold_of_the_ledger_is_what_survives(self) -> None:
        """I3, I4, I22: recover(events) == durable, after every rule."""
        if hasattr(self, "rig"):
            assert recover(self.rig.events) == self.rig.state.durable


def _through_json(durable: Any) -> Any:
    return durable_from_json(json.loads(canonical(durable_to_json(durable))))


def _run(core_tools: Any, examples: int, steps: int) -> None:
    machine = type("Machine", (CoreMachine,), {"tools": core_tools})
    case = machine.TestCase
    case.settings = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, database=None
    )
    case().runTest()


def test_the_core_against_the_model(core_tools: Any) -> None:
    """A short campaign: every invariant of the module's first lines, on random days."""
    _run(core_tools, examples=25, steps=25)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_the_core_against_the_model_for_long(core_tools: Any) -> None:
    """The same for a night."""
    _run(core_tools, examples=1000, steps=60)


def test_the_model_finds_a_core_that_forgets(core_tools: Any, monkeypatch: Any) -> None:
    """The campaign can fail: without the 60 s it finds a forbidden release."""
    from minewatch.core.power import release

    monkeypatch.setattr(release, "BELOW_MS", 0)
    rig = core_tools.Rig(core_tools.build_mine()).start()
    machine = CoreMachine.__new__(CoreMachine)
    machine.rig, machine.model, machine.faulty = rig, Model(), False
    CoreMachine._wrap(machine)
    rig.turn(readings={"Z0_H0": 160})
    rig.run(2)
    rig.release("cut_Z0", values={"Z0_H0": 10})
    with pytest.raises(AssertionError, match="trip:Z0_H0"):
        rig.run(2)


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
