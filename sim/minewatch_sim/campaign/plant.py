"""The plant of a campaign: air that stands still until the schedule moves it, and a bench for it.

Every value is known to the judge with the time from which it stood, so that a value that was never
there is seen. Power, coils, people and readers are those of the simulator.
"""

from collections.abc import Callable

from minewatch.model.kind import Kind
from minewatch.model.mine import Mine, Point
from minewatch_sim.people import Habits
from minewatch_sim.plant import Plant
from minewatch_sim.scenario import Scenario
from minewatch_sim.virtual import StoreHabits
from minewatch_sim.virtual_bench import Guard, VirtualBench

TICK_US = 250_000
"""The plant moves this often: fine enough for faults that last seconds."""

PEOPLE = 7
KICK_TURNS = 10
"""Lines that drive nothing look at new orders this seldom, as in the controller's process."""

QUEUE_MAX = 64
"""The virtual disk's queue: a full disk sheds images within seconds, never events."""

QUIET: dict[Kind, int] = {
    Kind.CARBON_MONOXIDE: 5,
    Kind.OXYGEN: 2070,
    Kind.TEMPERATURE: 220,
    Kind.AIR_SPEED: 180,
    Kind.NEGATIVE_PRESSURE: 1800,
    Kind.RAIN: 32,
    Kind.FAN_RUN: 1,
    Kind.DUCT_WIND: 1,
    Kind.WIND_DIRECTION: 1,
}
"""What a point shows while nothing happens; methane heads differ from each other."""

METHANE_FIRST, METHANE_STEP = 6, 2


class StillPlant(Plant):
    """A plant without weather: values stand until `show`; people walk and ride as ever."""

    def __init__(self, mine: Mine, seed: int) -> None:
        heads = [p.id for p in mine.points if p.kind is Kind.METHANE]
        self.shown = {p.id: QUIET.get(p.kind, 0) for p in mine.points}
        self.shown |= {
            each: METHANE_FIRST + METHANE_STEP * n for n, each in enumerate(sorted(heads))
        }
        for point in mine.points:
            if point.place.endswith("_standby"):
                self.shown[point.id] = 0
        self.quiet = dict(self.shown)
        self.history: dict[str, list[tuple[int, int]]] = {
            key: [(0, value)] for key, value in self.shown.items()
        }
        self.time_ms: Callable[[], int] = lambda: 0
        self._read = _readers_of(self)
        habits = Habits(underground=PEOPLE, pace=4.0, ride_s=20.0, heard_every_s=30.0)
        super().__init__(mine, seed, Scenario("campaign", habits))

    def show(self, point: str, value: int | None) -> None:
        """Let a point measure `value` (smallest unit) from now on; None is its quiet value."""
        self.shown[point] = self.quiet[point] if value is None else value
        self.history[point].append((self.time_ms(), self.shown[point]))
        self.changes += 1

    def shown_since(self, point: str, since_ms: int) -> set[int]:
        """Return every value that a point has had since a time of the campaign."""
        changes = self.history[point]
        first = max((n for n, (at, _) in enumerate(changes) if at <= since_ms), default=0)
        return {value for _, value in changes[first:]}

    def advance(self, dt_ms: int) -> None:
        """Let `dt_ms` pass in one step."""
        self.now_ms += dt_ms
        self.changes += 1
        self.power.settle()
        self.people.advance(self.now_ms)
        self._react_to_sounders()

    def value(self, point: Point) -> int:
        """Return what a point would measure now, in its kind's smallest unit."""
        read = self._read.get(point.kind)
        return self.shown[point.id] if read is None else read(point)

    def was_read(self, point_id: str) -> None:
        """Nothing here goes by being read."""

    def _note_reached(self) -> None:
        """The judge watches limits itself."""


def _readers_of(plant: StillPlant) -> dict[Kind, Callable[[Point], int]]:
    """Return how to read the kinds whose truth lies in power and people."""
    return {
        Kind.FEED_STATE: lambda point: _proof(plant, point),
        Kind.SOUNDER_STATE: lambda point: _proof(plant, point),
        Kind.GATE_IN: lambda _: plant.people.gate_in,
        Kind.GATE_OUT: lambda _: plant.people.gate_out,
    }


def _proof(plant: StillPlant, point: Point) -> int:
    output = next((each for each in plant.mine.outputs if each.proof == point.id), None)
    return int(output is not None and plant.power.proved(output))


class CampaignBench(VirtualBench):
    """A bench whose plant stands still and whose idle devices cost nothing."""

    plant: StillPlant

    def __init__(self, mine: Mine, seed: int) -> None:
        self._turns = self._armed_ms = 0
        self.hear: Callable[[str], None] = lambda _: None
        self.sent: Callable[[str, int], None] = lambda _, __: None
        super().__init__(mine, Scenario("campaign"), seed, store=StoreHabits(queue_max=QUEUE_MAX))

    def make_plant(self, mine: Mine, seed: int, scenario: Scenario) -> StillPlant:
        """Return the plant; the scenario of a campaign is its schedule."""
        del scenario
        return StillPlant(mine, seed)

    def witness(self, way: bytes, bus_id: str, data: bytes) -> None:
        """Hash bytes on a wire; tell who asks what is sent."""
        super().witness(way, bus_id, data)
        if way == b">":
            self.sent(bus_id, data[1 if self.buses[bus_id].scheme != "tcp" else 7])

    def _tick(self) -> None:
        self.let_pass(TICK_US // 1000)
        for wire in self.wires.values():
            wire.follow()
        self.store.pump(self.clock.now_ms())
        self.at(self.clock.now_us() + TICK_US, self._tick)

    def _turn(self, guard: Guard, generation: int) -> None:
        if guard is not self._guard or generation != self._generation:
            return
        self.store.pump(self.clock.now_ms())
        guard.turn()
        self._turns += 1
        for wire in self.wires.values():
            if wire.line.outputs or self._turns % KICK_TURNS == 0:
                wire.poll()
        self._arm(guard)

    def brought(self) -> None:
        """Drain the line that has something, as the process does; turn sooner only where asked."""
        guard = self._guard
        if guard is None:
            return
        for key, wire in self.wires.items():
            if wire.line.fresh:
                self.hear(key)
        if guard.next_wake_ms < self._armed_ms:
            self._arm(guard)

    def _arm(self, guard: Guard) -> None:
        self._armed_ms = guard.next_wake_ms
        super()._arm(guard)

    def let_pass(self, ms: int) -> None:
        """Let the mine live through `ms`: devices with a time of their own follow."""
        self.plant.advance(ms)
        now_us = self.clock.now_us()
        for bus in self.buses.values():
            for device in bus.devices.values():
                if device.watchdog is not None or device.reader is not None:
                    device.tick(now_us)

    def rebase(self, gone_us: int) -> None:
        """Let the clock begin anew `gone_us` earlier; what waits in the mine waits as long."""
        self.clock.begin_anew(gone_us)
        self._heap = [(due_us - gone_us, serial, act) for due_us, serial, act in self._heap]
        for bus in self.buses.values():
            for device in bus.devices.values():
                if device.watchdog is not None:
                    device.watchdog.rebase(gone_us)
