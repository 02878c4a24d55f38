"""The plant: one mine's air, power and people, advanced in fixed steps and repeated by its seed.

`Plant` is what the simulated devices read and write. It knows nothing of registers or sockets.
"""

import dataclasses
import hashlib
import random
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from minewatch.model.kind import UNITS, Kind
from minewatch.model.mine import Mine, Output, OutputRole, Point
from minewatch_sim import actions
from minewatch_sim.air import STEP_S, Air, Bottle, bottle_empty
from minewatch_sim.certified import Lies, truth_of
from minewatch_sim.faults import Faults
from minewatch_sim.people import People, Truth
from minewatch_sim.power import SOUNDERS, Coils, Power
from minewatch_sim.recorded import Series
from minewatch_sim.scenario import Action, Condition, Scenario

STEP_MS = round(STEP_S * 1000)
LOG_MAX = 20_000
CERTIFIED = "certified"
"""Place of the points that another system measures; the plant's air knows only our own."""

TENTHS = (1, 10, 100, 1000)


class Logged(NamedTuple):
    """Something measured from outside: when a value was reached or a coil was written."""

    at_us: int
    what: str
    subject: str
    value: int


class Note(NamedTuple):
    """An act that the story did, or announced for people to do."""

    plant_ms: int
    what: str
    arguments: dict[str, Any]


class Plant:
    """The mine itself. `now_ms` is plant time since the start of the simulation."""

    def __init__(self, mine: Mine, seed: int, scenario: Scenario) -> None:
        self.mine = mine
        self.scenario = scenario
        self.now_ms = 0
        self.coils = Coils(mine)
        self.power = Power(mine, self.coils)
        self.certified = Lies()
        self._own = _own(mine)
        self.air = Air(self._own, self.power, random.Random(f"{seed}/air"), scenario.dilution_s)
        self._plain = {
            point.id: (self.air.heads.get(point.id), TENTHS[UNITS[point.kind].decimals])
            for point in self._own.points
            if point.id in self.air.heads or point.id in self.air.analog
        }
        self.people = People(mine, scenario.habits, random.Random(f"{seed}/people"))
        self.faults = Faults(random.Random(f"{seed}/faults"))
        self.series: dict[str, Series] = {}
        self.head_states: dict[str, set[str]] = {}
        self.log: deque[Logged] = deque(maxlen=LOG_MAX)
        self.notes: deque[Note] = deque(maxlen=LOG_MAX)
        self.clock_us: Callable[[], int] = lambda: self.now_ms * 1000
        self.changes = 0
        """Grows with everything that may change what a device shows."""
        self._behind_ms = 0
        self._due = sorted(scenario.actions, key=lambda each: each.at_s)
        self._ripe: dict[int, int] = {}
        self._proofs = {each.proof: each for each in mine.outputs if each.proof}
        self._sounding: set[str] = set()
        self._reached: dict[str, bool] = {}
        self._unread: set[str] = set()
        self._trips = [(p, p.limits.trip) for p in mine.points if p.limits.trip is not None]
        if scenario.recorded is not None:
            self.series[scenario.recorded.point] = Series(scenario.recorded)
        actions.check(self, scenario)

    def advance(self, dt_ms: int) -> None:
        """Let `dt_ms` of plant time pass, in whole steps; what is left over waits."""
        self._behind_ms += dt_ms
        while self._behind_ms >= STEP_MS:
            self._behind_ms -= STEP_MS
            self._step()

    def truth(self) -> Truth:
        """Return who is really underground, in all and per zone."""
        return self.people.truth()

    def value(self, point: Point) -> int:
        """Return what a point would measure now, in its kind's smallest unit."""
        plain, air = self._plain.get(point.id), self.air
        if plain is not None and not (self.series or air.forced or air.bottles):
            head, tenths = plain
            return round((air.analog[point.id] if head is None else head.shown) * tenths)
        if point.place == CERTIFIED:
            return truth_of(self, point)
        series = self.series.get(point.id)
        if series is not None:
            return _units(point, series.value)
        if point.id in self.air.forced:
            return _units(point, self.air.forced[point.id])
        if point.kind is Kind.FEED_STATE or point.kind is Kind.SOUNDER_STATE:
            output = self._proofs.get(point.id)
            return int(output is not None and self.power.proved(output))
        if point.kind is Kind.GATE_IN:
            return self.people.gate_in
        if point.kind is Kind.GATE_OUT:
            return self.people.gate_out
        if point.kind is Kind.COAL_CUTTING:
            return int(self.power.zone_live(point.zone) is not False)
        return _units(point, self.air.value(point))

    def was_read(self, point_id: str) -> None:
        """Say that a device has sent a point; a recorded series goes on by it.

        The first read after a point reached its trip value is logged: until then a master waited.
        """
        if point_id in self._unread:
            self._unread.discard(point_id)
            self._write_log("read", point_id, self.value(self.mine.point(point_id)))
        if point_id in self.series:
            self.series[point_id].was_read()

    def put_coil(self, device: str, signal: str, energised: bool) -> None:
        """Write a relay coil; its output acts at once and the moment of each change is logged."""
        changed = self.coils.get(device, signal) != energised
        self.coils.put(device, signal, energised)
        self.changes += 1
        if not changed:
            return
        subject = self.coils.output_of(device, signal) or f"{device}.{signal}"
        self._write_log("coil", subject, int(energised))
        self.power.settle()
        self._react_to_sounders()

    def force(self, point_id: str, value: float | None) -> None:
        """Hold a point at a value in the unit that people read; None lets it go again."""
        self.changes += 1
        if value is None:
            self.air.forced.pop(point_id, None)
            return
        self.mine.point(point_id)
        self.air.forced[point_id] = value
        self._note_reached()

    def do(self, name: str, /, **arguments: Any) -> Any:
        """Do one act by its name (see `minewatch_sim.actions`).

        Raises:
            ScenarioError: no such act, or wrong arguments.
        """
        self.notes.append(Note(self.now_ms, name, arguments))
        self.changes += 1
        return actions.do(self, name, arguments)

    def digest(self) -> str:
        """Return a hash over everything that a device could show; equal for equal histories."""
        seen = [self.now_ms, *(self.value(p) for p in self._own.points), self.truth()]
        return hashlib.sha256(repr(seen).encode()).hexdigest()

    def _step(self) -> None:
        self.now_ms += STEP_MS
        self.changes += 1
        self._act()
        self.air.advance()
        self.power.settle()
        self.people.advance(self.now_ms)
        self._react_to_sounders()
        for series in self.series.values():
            series.advance_to(self.now_ms)
        for point_id in [key for key, each in self.air.bottles.items() if bottle_empty(each)]:
            del self.air.bottles[point_id]
        self._note_reached()

    def _act(self) -> None:
        still: list[Action] = []
        for action in self._due:
            if action.at_s * 1000 <= self.now_ms and self._is_ripe(action):
                self.notes.append(Note(self.now_ms, action.note or action.do, action.arguments))
                actions.do(self, action.do, action.arguments)
            else:
                still.append(action)
        self._due = still

    def _is_ripe(self, action: Action) -> bool:
        if (
            action.when is not None
            and id(action) not in self._ripe
            and not self._holds(action.when)
        ):
            return False
        ripe_ms = self._ripe.setdefault(id(action), self.now_ms)
        return self.now_ms >= ripe_ms + action.then_s * 1000

    def _holds(self, when: Condition) -> bool:
        if when.point:
            point = self.mine.point(when.point)
            if not when.value_holds(self.value(point) / TENTHS[UNITS[point.kind].decimals]):
                return False
        if when.energised and not self.power.energised(self.mine.output(when.energised)):
            return False
        return not (when.dropped and self.power.energised(self.mine.output(when.dropped)))

    def _react_to_sounders(self) -> None:
        heard = {o.id for o in self.mine.outputs if o.role in SOUNDERS and self.power.sounding(o)}
        if heard == self._sounding:
            return
        for output_id in heard - self._sounding:
            output = self.mine.output(output_id)
            if output.role in (OutputRole.SIREN, OutputRole.BROADCAST):
                self.people.sound(_covered(output))
        self._sounding = heard

    def _note_reached(self) -> None:
        for point, trip in self._trips:
            over = self.value(point) >= trip
            if over and not self._reached.get(point.id, False):
                self._write_log("reached", point.id, self.value(point))
                self._unread.add(point.id)
            self._reached[point.id] = over

    def _write_log(self, what: str, subject: str, value: int) -> None:
        self.log.append(Logged(self.clock_us(), what, subject, value))


def _own(mine: Mine) -> Mine:
    points = tuple(each for each in mine.points if each.place != CERTIFIED)
    return dataclasses.replace(mine, points=points)


def _units(point: Point, value: float) -> int:
    return round(value * TENTHS[UNITS[point.kind].decimals])


def _covered(output: Output) -> frozenset[str]:
    return frozenset(output.covers or (output.zone,))


__all__ = ["STEP_MS", "Bottle", "Logged", "Plant"]
