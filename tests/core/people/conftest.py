"""A mine with people in it, and a rig that turns it cycle by cycle through the whole `step`."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from minewatch.core import view as core_view
from minewatch.core.fold import recover
from minewatch.core.people import headcount
from minewatch.core.state import State
from minewatch.core.step import step
from minewatch.model.event import Event
from minewatch.model.image import Command, Image, Notice, Reading, Sample, Sighting
from minewatch.model.kind import Kind
from minewatch.model.mine import (
    Bus,
    Console,
    Device,
    Handover,
    Limits,
    Mine,
    Mode,
    Output,
    OutputRole,
    Person,
    Point,
    Reader,
    Role,
    Staff,
    Zone,
    ZoneKind,
)
from minewatch.model.quality import Quality

WALL_MS = 1_790_000_000_000
"""A Monday, 2026-09-21, 14:13 UTC = 22:13 local: outside every window of these tests."""

ZONES = (
    Zone("mine", "mine", ZoneKind.MINE),
    Zone("surface", "surface", ZoneKind.SURFACE, "mine"),
    Zone("pit", "pit", ZoneKind.INTAKE, "mine", walk_out_s=300),
    Zone("west", "west", ZoneKind.INTAKE, "mine", walk_out_s=900),
    Zone("face", "face", ZoneKind.FACE, "mine", headcount_limit=25, walk_out_s=1800),
    Zone("return", "return", ZoneKind.RETURN, "mine", downwind_of=("face",)),
    Zone("total", "total", ZoneKind.RETURN, "mine", downwind_of=("return",)),
    Zone("old", "old", ZoneKind.RETURN, "mine", restricted=True),
)
READERS = (
    Reader("above", "above", "surface", "d_above", mouth=True, directed=True),
    Reader("below", "below", "pit", "d_below", outer="surface", mouth=True, directed=True),
    Reader("r_west", "west", "west", "d_west", outer="pit"),
    Reader("r_face", "face", "face", "d_face", outer="west"),
    Reader("r_old", "old", "old", "d_old", outer="west"),
)
GATES = (
    Point("IN", "in", Kind.GATE_IN, "surface", "gate", "count_in", "record_only"),
    Point("OUT", "out", Kind.GATE_OUT, "surface", "gate", "count_out", "record_only"),
)
HEADS = tuple(
    Point(
        f"T{n}",
        f"T{n}",
        Kind.METHANE,
        zone,
        f"head{n}",
        "methane",
        "face_air",
        Limits(alarm=100, trip=150, restore=100, withdraw=150, clear=80),
    )
    for n, zone in ((1, "face"), (2, "return"))
)
STAFF = tuple(
    Staff(code, code, role)
    for code, role in (
        ("disp", Role.DISPATCHER),
        ("lead", Role.DUTY_LEADER),
        ("chief", Role.CHIEF_ENGINEER),
        ("head", Role.MINE_HEAD),
        ("clerk", Role.LAMP_ROOM_CLERK),
        ("viewer", Role.VIEWER),
    )
)


def build_mine(
    *, gates: bool = True, heads: bool = False, people: Iterable[Person] = (), **parts: Any
) -> Mine:
    """Return a mine with one mouth, one face and 30 known badges; limit 130."""
    readers = parts.pop("readers", READERS)
    points = (GATES if gates else ()) + (HEADS if heads else ())
    devices = {each.device for each in (*readers, *points)} | {"relay"}
    known = tuple(Person(f"P{n}", f"name {n}", f"b{n}") for n in range(200))
    return Mine(
        **{
            "code": "220181004688",
            "name": "test",
            "county": "220181",
            "language": "en",
            "gas_class": "high",
            "capacity_10kt": 60,
            "severe": True,
            "mode": Mode.CONTROL,
            "headcount_limit": 130,
            "headcount_citation": "test",
            "profile": "test",
            "zones": ZONES,
            "buses": (Bus("bus", "tcp://127.0.0.1:1"),),
            "devices": tuple(Device(each, "bus", 1, "model") for each in sorted(devices)),
            "points": points,
            "outputs": (
                Output("siren", "siren", OutputRole.SIREN, "face", "relay", "c1", None),
                Output("gate", "gate", OutputRole.GATE, "surface", "relay", "c2", None),
            ),
            "readers": readers,
            "people": (*known, *people),
            "staff": STAFF,
            "console": Console(terminals=("t1",)),
            "handover": Handover(),
            **parts,
        }
    )


class Rig:
    """Turns a mine. `sees` and `counts` queue inputs; `turn` runs one cycle of the whole core."""

    def __init__(self, mine: Mine, now_ms: int = 1_000_000, every_ms: int = 1000) -> None:
        self.mine = mine
        self.state = State()
        self.now_ms = now_ms
        self.every_ms = every_ms
        self.wall_ms = WALL_MS
        self.wall_trusted = True
        self.silent: set[str] = set()
        self.events: list[Event] = []
        self.outputs: Any = None
        self.durable_lag = 0
        self.gate = [0, 0]
        self.gate_good = True
        self._cycle = 0
        self._commands = 0
        self._sightings: list[Sighting] = []
        self._samples: list[Sample] = []

    def sees(
        self,
        reader: str,
        *badges: str,
        way: int = 0,
        flags: int = 0,
        sequence: int | None = None,
        time_s: int | None = None,
    ) -> "Rig":
        """Queue records of a reader for the next cycle."""
        for badge in badges:
            sighting = Sighting(reader, badge, self.now_ms, way, flags, sequence, time_s)
            self._sightings.append(sighting)
        return self

    def reads(self, point: str, value: int | None, quality: Quality = Quality.GOOD) -> "Rig":
        """Queue a reading of a point for the next cycle."""
        device = self.mine.point(point).device
        self._samples.append(Sample(device, self.now_ms, (Reading(point, value, quality),)))
        return self

    def turn(
        self, *commands: Command, notices: tuple[Notice, ...] = (), passed_ms: int | None = None
    ) -> tuple[Event, ...]:
        """Run one cycle in which every reader that is not silent answers; return its events."""
        if any(point.kind is Kind.GATE_IN for point in self.mine.points) and self.gate_good:
            readings = tuple(
                Reading(name, value, Quality.GOOD)
                for name, value in zip(("IN", "OUT"), self.gate, strict=True)
            )
            self._samples.append(Sample("gate", self.now_ms, readings))
        for reader in self.mine.readers:
            if reader.id not in self.silent:
                self._samples.append(Sample(reader.device, self.now_ms, ()))
        image = Image(
            self._cycle,
            self.now_ms,
            self.wall_ms,
            self.wall_trusted,
            max(0, self.state.durable.index - self.durable_lag),
            tuple(self._samples),
            tuple(self._sightings),
            (),
            commands,
            notices,
        )
        decided = step(self.mine, self.state, image)
        self.state, self.outputs = decided.state, decided.outputs
        self.events.extend(decided.events)
        self._cycle += 1
        self._samples, self._sightings = [], []
        self.pass_time(self.every_ms if passed_ms is None else passed_ms)
        return decided.events

    def pass_time(self, ms: int) -> None:
        """Let time go by without a cycle."""
        self.now_ms += ms
        self.wall_ms += ms

    def rest(self, seconds: int) -> None:
        """Run one cycle a second for so long."""
        for _ in range(seconds):
            self.turn()

    def crash(self, away_ms: int = 5000, reboot: bool = False) -> None:
        """Lose everything but the ledger, and begin again after a time."""
        self.state = State(durable=recover(self.events))
        self.pass_time(away_ms)
        if reboot:
            self.now_ms = 60_000

    def command(self, kind: str, by: str, text: str = "", terminal: str = "t1", **args: Any) -> Any:
        """Give a command in a cycle of its own and return the reply: kind and data of its event."""
        self._commands += 1
        command = Command(f"c{self._commands}", kind, by, f"page:{terminal}", args, text)
        events = self.turn(command)
        self.turn()
        for event in events:
            if event.data.get("command") == command.id:
                return event
        raise AssertionError(f"{kind} was not answered")

    def seconded(self, kind: str, by: str, second: str, text: str = "why", **args: Any) -> Any:
        """Give a command and its second name from another terminal; return the last reply."""
        asked = self.command(kind, by, text, **args)
        if asked.kind != "approval_asked":
            return asked
        return self.command("approve", second, terminal="t2", approval=asked.data["approval"])

    def kinds(self) -> list[str]:
        """Return the kinds of all events so far, in order."""
        return [event.kind for event in self.events]

    @property
    def headcount(self) -> dict[str, Any]:
        """Return the frame's headcount as of the last cycle."""
        shown: dict[str, Any] = headcount.view(self.mine, self.state, self.now_ms)["headcount"]
        return shown

    @property
    def frame(self) -> dict[str, Any]:
        """Return the frame's sections as of the last cycle."""
        return core_view.view(self.mine, self.state, self.now_ms)

    @property
    def span(self) -> tuple[Any, ...]:
        """Return lo and hi of the mine."""
        return tuple(self.state.volatile.people.count.mine)

    def zone_span(self, zone: str) -> tuple[Any, ...]:
        """Return lo and hi of a zone."""
        return tuple(self.state.volatile.people.count.zones[zone])

    def alarms(self) -> set[tuple[str, str]]:
        """Return (kind, source) of every alarm whose condition stands."""
        return {
            (str(each.kind), each.source)
            for each in self.state.durable.alarms.items.values()
            if each.active
        }

    def enter(self, *badges: str) -> None:
        """Bring badges in through the gate and past both mouth readers."""
        self.gate[0] += len(badges)
        self.sees("above", *badges, way=1)
        self.turn()
        self.rest(3)
        self.sees("below", *badges, way=1)
        self.turn()

    def leave(self, *badges: str, unread: int = 0) -> None:
        """Bring badges out through the gate; `unread` more go out without any read."""
        self.sees("below", *badges, way=-1)
        self.turn()
        self.rest(3)
        self.gate[1] += len(badges) + unread
        self.sees("above", *badges, way=-1)
        self.turn()


@pytest.fixture
def mine_of() -> Callable[..., Mine]:
    """Return the factory of mines."""
    return build_mine


@pytest.fixture
def rig_of() -> Callable[..., Rig]:
    """Return the factory of rigs: the parts are those of the mine."""

    def rig(**parts: Any) -> Rig:
        made = Rig(build_mine(**parts))
        made.rest(2)
        return made

    return rig


@pytest.fixture
def rig(rig_of: Callable[..., Rig]) -> Rig:
    """Return a rig of the plain mine, its readers and gates already heard."""
    return rig_of()


def replaced(mine: Mine, **parts: Any) -> Mine:
    """Return the mine with some parts changed."""
    return replace(mine, **parts)
