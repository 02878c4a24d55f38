"""The six phases in order: collect → freeze → decide → act → record → publish.

`turn` is plain and synchronous, so that the same controller runs on real time (`rhythm.py`) and on
virtual time. It never touches a socket, a disk or a port: lines, store and watchers are handed in.
"""

from collections.abc import Callable, Mapping

from minewatch_drivers.lines import AnyLine
from minewatch_drivers.modbus_line.line import STARTING

from minewatch.controller.actuate import FAST_SCAN_MS, Actuator
from minewatch.controller.board import Board
from minewatch.core.state import State
from minewatch.core.step import Step, step
from minewatch.model.image import Command, Image, Notice
from minewatch.model.image_line import ImageLines
from minewatch.model.mine import Mine, Mode
from minewatch.ports import Clock, Store
from minewatch.record.digest import DecisionDigest

CYCLE_MS = 100
"""Nominal period of the loop."""

COALESCE_MS = 20
"""A reading at a limit turns the loop at once, but never sooner than this after the last turn."""

OVERRUNS_MAX = 3
"""So many late turns in a row are a fault of the house."""

Listener = Callable[[Step, Image], None]


class Controller:
    """One mine being guarded. `listeners` hear each step after it was acted on and recorded."""

    def __init__(
        self,
        mine: Mine,
        state: State,
        clock: Clock,
        store: Store,
        lines: Mapping[str, AnyLine],
        *,
        digest: DecisionDigest,
    ) -> None:
        self.mine = mine
        self.state = state
        self.clock = clock
        self.store = store
        self.lines = lines
        self.board = Board(mine, lines.values())
        self.listeners: list[Listener] = []
        self.overruns = 0
        self.cycle = 0
        self._digest = digest
        self._image_lines = ImageLines()
        self._actuator = None if mine.mode is Mode.MONITOR else Actuator(mine, lines)
        self._due_ms = clock.now_ms()
        self._late_in_a_row = 0
        self._buses_up: dict[str, bool] = dict.fromkeys(lines, True)
        self.urged: frozenset[str] = frozenset()

    @property
    def next_wake_ms(self) -> int:
        """Return when the next turn is due: the period, or sooner for what cannot wait."""
        if self.board.urgent:
            return self._due_ms - CYCLE_MS + COALESCE_MS
        return self._due_ms

    def collect(self) -> None:
        """Phase 1: take what the lines have brought."""
        self.board.collect()

    def hear(self, bus_id: str) -> None:
        """Take what one line has brought, between two turns."""
        self.board.collect_from(self.lines[bus_id])

    def turn(self) -> Step:
        """Run one cycle and return what it decided."""
        self._pace()
        self.collect()
        self._watch_buses()
        image = self.board.freeze(self.cycle, self.clock, self.store.durable_index)
        decided = step(self.mine, self.state, image)
        self.state = decided.state
        if self._actuator is not None:
            self._actuator.want(decided.outputs, self.clock.now_us())
        self._urge(decided)
        self._digest.update(self.cycle, decided.events, decided.outputs)
        self.store.submit(self._image_lines.line(image), decided.events, image.samples)
        for listener in self.listeners:
            listener(decided, image)
        self.cycle += 1
        return decided

    def command(self, command: Command) -> bool:
        """Queue a command for the next turn; False where too many wait."""
        return self.board.command(command)

    def notice(self, kind: str, subject: str, **data: object) -> None:
        """Queue a fact of the house for the next turn."""
        self.board.notice(Notice(kind, subject, dict(data)))

    def _pace(self) -> None:
        now_ms = self.clock.now_ms()
        lag_ms = now_ms - self._due_ms
        late = lag_ms > CYCLE_MS and self.cycle > 0
        on_time = 0 <= lag_ms <= CYCLE_MS
        self._due_ms = (self._due_ms if on_time else now_ms) + CYCLE_MS
        if late:
            self.overruns += 1
            self._late_in_a_row += 1
            if self._late_in_a_row == OVERRUNS_MAX:
                self.notice("cycle_overrun", "controller", overruns=self.overruns)
        elif self._late_in_a_row:
            if self._late_in_a_row >= OVERRUNS_MAX:
                self.notice("cycle_restored", "controller", overruns=self.overruns)
            self._late_in_a_row = 0

    def _watch_buses(self) -> None:
        for bus_id, line in self.lines.items():
            status = line.status()
            if status.error == STARTING:
                continue  # a line that was never opened yet is no lost line
            if status.up != self._buses_up[bus_id]:
                self._buses_up[bus_id] = status.up
                kind = "bus_restored" if status.up else "bus_lost"
                self.notice(kind, bus_id, error=status.error)

    def _urge(self, decided: Step) -> None:
        """Scan faster where a point is in pre-alarm or above; told to the lines only on change."""
        urged = frozenset(decided.state.volatile.points.raised)
        if urged != self.urged:
            self.urged = urged
            for line in self.lines.values():
                line.urge(urged, FAST_SCAN_MS)
