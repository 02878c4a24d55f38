"""Builders for the core's tests: a small mine, and a rig that turns it cycle by cycle.

The rig plays the plant as far as proofs go: relays answer with the level last written, feeds and
sounders follow them; a welded switch or a dead head is one entry of a dict.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from minewatch.core.fold import recover
from minewatch.core.state import Durable, State
from minewatch.core.step import Step, step
from minewatch.model.event import Event
from minewatch.model.image import Command, Image, Notice, ReadBack, Reading, Sample
from minewatch.model.kind import Kind
from minewatch.model.mine import (
    Bus,
    Cause,
    Condition,
    Device,
    Interlock,
    Limits,
    Mine,
    Mode,
    Output,
    OutputRole,
    Point,
    Role,
    Staff,
    Zone,
    ZoneKind,
)
from minewatch.model.quality import Quality

FACE = Limits(pre_alarm=80, alarm=100, trip=150, restore=100, withdraw=150, clear=80)
WALL_MS = 1_700_000_000_000

STAFF = (
    Staff("S1", "甲", Role.DISPATCHER),
    Staff("S2", "乙", Role.MONITORING_OPERATOR),
    Staff("S3", "丙", Role.DUTY_LEADER),
    Staff("S4", "丁", Role.CHIEF_ENGINEER),
    Staff("S5", "戊", Role.MINE_HEAD),
    Staff("S6", "己", Role.FIELD_ENGINEER),
    Staff("S7", "庚", Role.GAS_CHECKER),
    Staff("S8", "辛", Role.LAMP_ROOM_CLERK),
    Staff("S9", "壬", Role.VIEWER),
)


def build_mine(
    zones: int = 2,
    heads: int = 2,
    *,
    limits: Limits = FACE,
    mode: Mode = Mode.CONTROL,
    fault_after_ms: int = 10_000,
    **parts: Any,
) -> Mine:
    """Return a mine of faces `Z0`…, each with heads `Z0_H0`…, a fan wind `Z0_WIND` and `cut_Z0`.

    Heads stand on bus `gas`, relays on `relay`, proofs (`FEED_Z0`, `SOUND_Z0`, `SOUND_HORN`,
    `FEED_MAIN`) on `proof`. `cut_main` is upstream of every cut.
    """
    names = [f"Z{n}" for n in range(zones)]
    settings: dict[str, Any] = {
        "code": "220181000000",
        "name": "测试矿",
        "county": "220181",
        "language": "zh-CN",
        "gas_class": "high",
        "capacity_10kt": 60,
        "severe": True,
        "mode": mode,
        "headcount_limit": 100,
        "headcount_citation": "",
        "profile": "test",
        "zones": (
            Zone("mine", "", ZoneKind.MINE),
            Zone("surface", "", ZoneKind.SURFACE, "mine"),
            *(Zone(z, "", ZoneKind.FACE, "mine") for z in names),
        ),
        "buses": tuple(
            Bus(b, f"tcp://127.0.0.1:{n}")
            for n, b in enumerate(("gas", "fan", "relay", "proof"), start=1)
        ),
        "devices": (
            Device("head", "gas", 1, "m"),
            Device("fan", "fan", 1, "m"),
            Device("relay", "relay", 1, "m"),
            Device("input", "proof", 1, "m"),
        ),
        "points": (*_heads(names, heads, limits, fault_after_ms), *_switches(names)),
        "outputs": _outputs(names),
        "interlocks": _interlocks(names, heads),
        "staff": STAFF,
    }
    return Mine(**{**settings, **parts})


def _heads(zones: list[str], each: int, limits: Limits, fault_after_ms: int) -> list[Point]:
    """Return the methane heads, zone by zone."""
    return [
        Point(
            f"{z}_H{n}",
            "",
            Kind.METHANE,
            z,
            "head",
            f"s_{z}_{n}",
            "face",
            limits,
            "",
            fault_after_ms,
        )
        for z in zones
        for n in range(each)
    ]


def _switches(zones: list[str]) -> list[Point]:
    """Return the winds of the fans, then what proves outputs: feeds and sounders."""
    return [
        *(Point(f"{z}_WIND", "", Kind.DUCT_WIND, z, "fan", z, "duct_wind") for z in zones),
        *(Point(f"FEED_{z}", "", Kind.FEED_STATE, z, "input", f"f_{z}", "") for z in zones),
        *(Point(f"SOUND_{z}", "", Kind.SOUNDER_STATE, z, "input", f"b_{z}", "") for z in zones),
        Point("FEED_MAIN", "", Kind.FEED_STATE, "mine", "input", "main", ""),
        Point("SOUND_HORN", "", Kind.SOUNDER_STATE, "surface", "input", "horn", ""),
    ]


def _outputs(zones: list[str]) -> tuple[Output, ...]:
    """Return a cut and a siren per zone, then the main cut, the horn and the gate."""
    cuts = (
        Output(
            f"cut_{z}",
            "",
            OutputRole.POWER_CUT,
            z,
            "relay",
            f"c_{z}",
            f"FEED_{z}",
            upstream="cut_main",
        )
        for z in zones
    )
    return (
        *cuts,
        *(
            Output(f"siren_{z}", "", OutputRole.SIREN, z, "relay", f"s_{z}", f"SOUND_{z}")
            for z in zones
        ),
        Output("cut_main", "", OutputRole.POWER_CUT, "mine", "relay", "main", "FEED_MAIN"),
        Output("horn", "", OutputRole.HORN, "surface", "relay", "horn", "SOUND_HORN"),
        Output("gate", "", OutputRole.GATE, "surface", "relay", "gate", None),
    )


def _interlocks(zones: list[str], heads: int) -> tuple[Interlock, ...]:
    """Return what cuts each zone: a trip or a fault of any of its heads, then its fan's wind."""
    by_gas = (
        Interlock(
            f"gas_{z}",
            "",
            tuple(
                Cause(f"{z}_H{n}", c)
                for n in range(heads)
                for c in (Condition.TRIP, Condition.FAULT)
            ),
            (f"cut_{z}",),
        )
        for z in zones
    )
    by_fan = (
        Interlock(f"fan_{z}", "", (Cause(f"{z}_WIND", Condition.OFF),), (f"cut_{z}",))
        for z in zones
    )
    return (*by_gas, *by_fan)


@dataclass
class Rig:
    """Turns a mine. `world` is what each point reads now: a value, or a Quality without one."""

    mine: Mine
    state: State = field(default_factory=State)
    now_ms: int = 1_000_000
    wall_ms: int = WALL_MS
    wall_trusted: bool = True
    cycle: int = 0
    world: dict[str, int | Quality] = field(default_factory=dict)
    welded: set[str] = field(default_factory=set)
    silent_relays: bool = False
    disk_stands: bool = False
    durable_index: int = 0
    written: dict[str, bool] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    last: Step | None = None
    image: Image | None = None
    _commands: int = 0
    _scanned_ms: int = 0

    def __post_init__(self) -> None:
        """Let every point read its normal value and every relay be closed."""
        for point in self.mine.points:
            self.world.setdefault(point.id, 1 if point.kind is Kind.DUCT_WIND else 0)
        for output in self.mine.outputs:
            closed = output.role in {OutputRole.POWER_CUT, OutputRole.GATE}
            self.written.setdefault(output.id, closed)

    def turn(
        self,
        *,
        ms: int = 100,
        readings: Mapping[str, int | Quality] | None = None,
        commands: tuple[Command, ...] = (),
        notices: tuple[Notice, ...] = (),
        scan: bool = False,
    ) -> Step:
        """Run one cycle `ms` later; with `scan` every point is read, else only `readings`."""
        self.now_ms += ms
        self.wall_ms += ms
        if not self.disk_stands:
            self.durable_index = self.state.durable.index
        if scan:
            self._scanned_ms = self.now_ms
        shown = {**(self._plant() if scan else {}), **(readings or {})}
        image = Image(
            self.cycle,
            self.now_ms,
            self.wall_ms,
            self.wall_trusted,
            self.durable_index,
            self._samples(shown),
            (),
            self._read_backs() if scan else (),
            commands,
            notices,
        )
        self.image = image
        decided = step(self.mine, self.state, image)
        self.state = decided.state
        self.events += decided.events
        self.cycle += 1
        self.last = decided
        if decided.outputs is not None:
            self.written.update(decided.outputs)
        return decided

    def run(self, seconds: float, scan_ms: int = 500) -> list[Event]:
        """Run whole scans for this long; return what was decided."""
        first = len(self.events)
        for _ in range(round(seconds * 1000 / scan_ms)):
            self.turn(ms=scan_ms, scan=True)
        return self.events[first:]

    def start(self) -> "Rig":
        """Bring the mine into service: proofs and read-backs answer, everything GOOD."""
        self.turn(scan=True, ms=0)
        self.run(3)
        return self

    def restart(self, *, durable: Durable | None = None, down_ms: int = 5_000) -> "Rig":
        """Kill the controller and start it from its ledger alone; relays have dropped."""
        self.state = State(durable=durable if durable is not None else recover(self.events))
        for output in self.mine.outputs:
            if output.role is OutputRole.POWER_CUT:
                self.written[output.id] = False
        self.turn(ms=down_ms, scan=True)
        return self

    def command(
        self, kind: str, by: str = "S1", /, origin: str = "page:d1", **arguments: Any
    ) -> Event:
        """Give one command; return the event that answers it."""
        self._commands += 1
        asked = Command(f"c{self._commands}", kind, by, origin, arguments, "理由")
        decided = self.turn(commands=(asked,), scan=self.now_ms - self._scanned_ms >= 1000)
        answers = [e for e in decided.events if e.data.get("command") == asked.id]
        assert len(answers) == 1, f"{kind} has {len(answers)} answers"
        return answers[0]

    def approved(self, kind: str, by: str, second: str, /, **arguments: Any) -> Event:
        """Give a command and its second name; return the event that answers the approval."""
        asked = self.command(kind, by, **arguments)
        assert asked.kind == "approval_asked", asked.data
        return self.command("approve", second, approval=asked.data["approval"])

    def release(self, *outputs: str, values: Mapping[str, int] | None = None) -> Event:
        """Give the hand values, ask for the release, second it."""
        for point, value in (values or {}).items():
            self.command("hand_value", "S7", point=point, value=value)
        return self.approved("release", "S1", "S3", outputs=list(outputs))

    def kinds(self, first: int = 0) -> list[str]:
        """Return the kinds of all events from the `first` on."""
        return [event.kind for event in self.events[first:]]

    def of(self, kind: str) -> list[Event]:
        """Return the events of one kind."""
        return [event for event in self.events if event.kind == kind]

    @property
    def causes(self) -> list[str]:
        """Return the latched causes."""
        return sorted(self.state.durable.interlock.causes)

    def _plant(self) -> dict[str, int | Quality]:
        shown = dict(self.world)
        for output in self.mine.outputs:
            if output.proof is None or isinstance(shown[output.proof], Quality):
                continue
            level = self.written[output.id] or output.id in self.welded
            above = output.upstream is None or self.written[output.upstream]
            shown[output.proof] = int(level and above)
        return shown

    def _samples(self, shown: Mapping[str, int | Quality]) -> tuple[Sample, ...]:
        by_device: dict[str, list[Reading]] = {}
        for point_id, value in shown.items():
            device = self.mine.point(point_id).device
            reading = (
                Reading(point_id, None, value)
                if isinstance(value, Quality)
                else Reading(point_id, value, Quality.GOOD)
            )
            by_device.setdefault(device, []).append(reading)
        return tuple(Sample(d, self.now_ms, tuple(each)) for d, each in by_device.items())

    def _read_backs(self) -> tuple[ReadBack, ...]:
        if self.silent_relays:
            return ()
        return tuple(ReadBack(o, level, self.now_ms) for o, level in self.written.items())


@pytest.fixture
def mine_of() -> Callable[..., Mine]:
    """Return the builder of small mines."""
    return build_mine


@pytest.fixture
def rig_of() -> type[Rig]:
    """Return the rig's class."""
    return Rig


@pytest.fixture
def rig() -> Rig:
    """Return a small mine in service."""
    return Rig(build_mine()).start()


@pytest.fixture(scope="session")
def core_tools() -> SimpleNamespace:
    """Return builder and rig for fixtures that live longer than one test."""
    return SimpleNamespace(build_mine=build_mine, Rig=Rig)
