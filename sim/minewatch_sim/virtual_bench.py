"""A bench on virtual time: real `Line` machines, simulated buses, a plant, one heap of events.

No loop, no socket, no thread; the same seed gives the same bytes at the same µs. Whatever guards
the mine is handed in and needs only `collect`, `turn` and `next_wake_ms`, as the controller has.
"""

import hashlib
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from minewatch_drivers.certified.files_line import FilesLine
from minewatch_drivers.lines import AnyLine, ByteLine, open_line

from minewatch.model.image import ReadBack, Sample, Sighting
from minewatch.model.mine import Mine
from minewatch_sim.bus import SimulatedBus, pairs
from minewatch_sim.certified import CertifiedSystem, VirtualFolder
from minewatch_sim.plant import Plant
from minewatch_sim.pty_line import LineTiming
from minewatch_sim.scenario import Scenario
from minewatch_sim.virtual import StoreHabits, VirtualClock, VirtualStore

TICK_US = 100_000
TCP_TRAVEL_US = 300
RECONNECT_US = 1_000_000


class Guard(Protocol):
    """What guards the mine: the controller, or a stand-in of a test."""

    @property
    def next_wake_ms(self) -> int:
        """Return when the next turn is due; may become sooner after `collect`."""
        ...

    def collect(self) -> None:
        """Take what the lines have brought."""
        ...

    def turn(self) -> object:
        """Run one cycle."""
        ...


class VirtualWire:
    """The way between one line and its simulated bus, with the time that bytes take.

    Implements `ports.Wire`. Bytes that are under way when the connection drops are lost.
    """

    def __init__(self, bench: "VirtualBench", line: ByteLine, bus: SimulatedBus) -> None:
        self._bench = bench
        self.line = line
        self._bus = bus
        self._framing = bus.framing()
        self._connection = 0
        self._connected = False
        self._buried = False
        self._opened_us = -RECONNECT_US
        self._wake_us = -1
        self._busy_until_us = 0
        self._last_byte_us = 0
        timing = LineTiming(bus.bus.url)
        self._byte_us = 0.0 if bus.scheme == "tcp" else timing.byte_us
        self._travel_us = 0 if bus.scheme == "rtu" else TCP_TRAVEL_US
        self._gap_us = timing.t35_us if bus.scheme == "rtu" else 0.0
        self.short_gaps = 0

    def open(self) -> None:
        """Connect, or try again later where the gateway refuses."""
        if self._buried:
            return
        now_us = self._bench.clock.now_us()
        if self._bus.closed():
            self.line.lost(now_us, "refused")
            self._bench.at(now_us + RECONNECT_US, self.open)
        else:
            self._connected = True
            self._opened_us = now_us
            self._connection += 1
            self._framing = self._bus.framing()
            self.line.connected(now_us)
        self.poll()

    def close(self) -> None:
        """Drop the connection; what is under way is lost."""
        self._connected = False
        self._connection += 1

    def bury(self) -> None:
        """Drop the connection for good: the process that owned the line is dead."""
        self.close()
        self._buried = True

    def follow(self) -> None:
        """Lose the connection where the gateway has closed it or the adapter has moved."""
        behind = self._bench.behind(self.line.bus.id)
        moved, self._bus = behind is not self._bus, behind
        if self._connected and (moved or self._bus.closed()):
            self._reopen("broken" if moved else "closed")

    def send(self, data: bytes) -> None:
        """Put a request on the wire; its answers come as events of the bench."""
        bench, now_us = self._bench, self._bench.clock.now_us()
        bench.witness(b">", self._bus.bus.id, data)
        if self._last_byte_us and now_us - self._last_byte_us < self._gap_us:
            self.short_gaps += 1
        arrives_us = now_us + self._travel_us + round(len(data) * self._byte_us)
        self._last_byte_us = arrives_us
        bench.at(arrives_us, Arrival(self, self._connection, data))

    def poll(self) -> None:
        """Let the line do what is due and remember when it wants to be polled again."""
        if self._buried:
            return
        now_us = self._bench.clock.now_us()
        turn = self.line.poll(now_us)
        if turn.send is not None:
            self.send(turn.send)
        if turn.reconnect:
            self._reopen("reconnect")
        elif self._wake_us <= now_us or turn.wake_us < self._wake_us:
            self._wake_us = max(turn.wake_us, now_us + 1)
            self._bench.at(self._wake_us, self._woken)

    def _woken(self) -> None:
        if self._wake_us <= self._bench.clock.now_us():
            self.poll()

    def _reopen(self, why: str) -> None:
        now_us = self._bench.clock.now_us()
        self.close()
        self.line.lost(now_us, why)
        again_us = max(now_us + 1_000, self._opened_us + RECONNECT_US)
        self._bench.at(again_us, self.open)

    def arrive(self, connection: int, data: bytes) -> None:
        """Let a request reach the bus, and its answers begin their way back."""
        if connection != self._connection:
            return
        now_us = self._bench.clock.now_us()
        try:
            requests = self._framing.feed(data)
        except ValueError:
            self._reopen("closed")
            return
        for request in requests:
            for delay_us, reply in self._bus.respond(request, now_us):
                start_us = max(now_us + delay_us, self._busy_until_us)
                done_us = start_us + self._travel_us + round(len(reply) * self._byte_us)
                self._busy_until_us = done_us if self._byte_us else 0
                self._bench.at(done_us, lambda r=reply: self._deliver(connection, r))  # type: ignore[misc]

    def _deliver(self, connection: int, data: bytes) -> None:
        if connection != self._connection:
            return
        now_us = self._bench.clock.now_us()
        self._bench.witness(b"<", self._bus.bus.id, data)
        self._last_byte_us = now_us
        self.line.feed(data, now_us)
        self.poll()
        if self.line.fresh:
            self._bench.brought()


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request on its way: it reaches the bus whatever becomes of who sent it."""

    wire: VirtualWire
    connection: int
    data: bytes

    def __call__(self) -> None:
        """Arrive."""
        self.wire.arrive(self.connection, self.data)


class VirtualBench:
    """A mine, its plant and its lines on virtual time. `run` moves time; the rest is state."""

    def __init__(
        self,
        mine: Mine,
        scenario: Scenario,
        seed: int = 1,
        *,
        speed: float = 1.0,
        writes: bool = True,
        store: StoreHabits | None = None,
    ) -> None:
        self.mine = mine
        self.clock = VirtualClock()
        self.plant = self.make_plant(mine, seed, scenario)
        self.plant.clock_us = self.clock.now_us
        self.store = VirtualStore(random.Random(f"{seed}/store"), store or StoreHabits())
        buses = [each for each in mine.buses if not each.certified]
        self.buses = {each.id: SimulatedBus(each, self.plant) for each in buses}
        self._pairs = pairs(self.buses)
        self.lines: dict[str, AnyLine] = {}
        self._folders: list[VirtualFolder] = []
        self.wires: dict[str, VirtualWire] = {}
        self._speed = speed
        self._writes = writes
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._serial = 0
        self._generation = 0
        self._guard: Guard | None = None
        self._hash = hashlib.sha256()
        self.restart()
        self.at(self.clock.now_us() + TICK_US, self._tick)

    def make_plant(self, mine: Mine, seed: int, scenario: Scenario) -> Plant:
        """Return the plant that this bench stands on."""
        return Plant(mine, seed, scenario)

    def restart(self) -> None:
        """Build every line anew and connect it, as a new process does; the plant goes on."""
        self._guard = None
        for wire in self.wires.values():
            wire.bury()
        opened = [open_line(self.mine, each, writes=self._writes) for each in self.mine.buses]
        self.lines = {each.bus.id: each for each in opened}
        self._folders = [
            VirtualFolder(CertifiedSystem(self.mine, line.bus, self.plant), line)
            for line in opened
            if isinstance(line, FilesLine)
        ]
        self.wires = {
            key: VirtualWire(self, line, self.buses[key])
            for key, line in self.lines.items()
            if isinstance(line, ByteLine)
        }
        for wire in self.wires.values():
            wire.open()

    def behind(self, bus_id: str) -> SimulatedBus:
        """Return the bus that a line's port leads to now; renumbered adapters change places."""
        home = self.buses[bus_id]
        other = self.buses.get(self._pairs.get(bus_id, ""))
        swapped = other is not None and (home.renumbered() or other.renumbered())
        return other if other is not None and swapped else home

    def stop_lines(self) -> None:
        """Let every line fall silent, as at the death of its process."""
        self._guard = None
        for wire in self.wires.values():
            wire.bury()
        self.wires.clear()

    def at(self, due_us: int, act: Callable[[], None]) -> None:
        """Let something happen at a time; what is due at the same µs happens in order of asking."""
        self._serial += 1
        heapq.heappush(self._heap, (due_us, self._serial, act))

    def witness(self, way: bytes, bus_id: str, data: bytes) -> None:
        """Hash bytes on a wire together with their time."""
        self._hash.update(b"%d%s%s" % (self.clock.now_us(), way, bus_id.encode()) + data)

    def brought(self) -> None:
        """Say that a line may have something new; a guard may want to turn sooner."""
        if self._guard is not None:
            self._guard.collect()
            self._arm(self._guard)

    def run(self, guard: Guard | None, until_ms: int) -> None:
        """Let time pass up to `until_ms` on the clock, with `guard` turning when it is due."""
        self._guard = guard
        if guard is not None:
            self._arm(guard)
        until_us = until_ms * 1000
        while self._heap and self._heap[0][0] <= until_us:
            due_us, _, act = heapq.heappop(self._heap)
            self.clock.move_to(max(due_us, self.clock.now_us()))
            act()
        self.clock.move_to(max(until_us, self.clock.now_us()))

    def run_for(self, guard: Guard | None, ms: int) -> None:
        """Let `ms` pass."""
        self.run(guard, self.clock.now_ms() + ms)

    def land(self, until_us: int) -> None:
        """Let what was sent arrive by then, and nothing else happen: who sent it stands still."""
        landing = [each for each in self._heap if isinstance(each[2], Arrival)]
        landing = sorted(each for each in landing if each[0] <= until_us)
        self._heap = [each for each in self._heap if each not in landing]
        heapq.heapify(self._heap)
        for due_us, _, arrive in landing:
            self.clock.move_to(max(due_us, self.clock.now_us()))
            arrive()

    def digest(self) -> str:
        """Return a hash over all bytes on all wires with their times, and over the plant."""
        both = self._hash.copy()
        both.update(self.plant.digest().encode())
        return both.hexdigest()

    def short_gaps(self) -> int:
        """Return how many requests came sooner than t3.5 after the last byte of their line."""
        return sum(wire.short_gaps for wire in self.wires.values())

    def _arm(self, guard: Guard) -> None:
        self._generation += 1
        generation = self._generation
        due_us = max(guard.next_wake_ms * 1000, self.clock.now_us())
        self.at(due_us, lambda: self._turn(guard, generation))

    def _turn(self, guard: Guard, generation: int) -> None:
        if guard is not self._guard or generation != self._generation:
            return
        self.store.pump(self.clock.now_ms())
        guard.turn()
        for wire in self.wires.values():
            wire.poll()
        self._arm(guard)

    def _tick(self) -> None:
        self.plant.advance(round(TICK_US / 1000 * self._speed))
        for bus in self.buses.values():
            bus.tick(self.clock.now_us())
        for wire in self.wires.values():
            wire.follow()
        for folder in self._folders:
            folder.tick(self.clock.now_us(), self.clock.wall().ms)
        self.store.pump(self.clock.now_ms())
        self.at(self.clock.now_us() + TICK_US, self._tick)


class Listener:
    """A guard that decides nothing: it takes what the lines bring, every 100 ms, and keeps it."""

    def __init__(self, bench: VirtualBench) -> None:
        self._bench = bench
        self.next_wake_ms = bench.clock.now_ms()
        self.samples: list[Sample] = []
        self.sightings: list[Sighting] = []
        self.read_backs: list[ReadBack] = []

    def collect(self) -> None:
        """Take what the lines have brought."""
        for line in self._bench.lines.values():
            taken = line.take()
            self.samples += taken.samples
            self.sightings += taken.sightings
            self.read_backs += taken.read_backs

    def turn(self) -> None:
        """Collect and come again in 100 ms."""
        self.collect()
        self.next_wake_ms = self._bench.clock.now_ms() + TICK_US // 1000
