"""A whole house on virtual time: bench, store and controller, that can die and come back."""

from collections.abc import Callable
from pathlib import Path

import pytest
from minewatch_sim.scenario import Scenario
from minewatch_sim.virtual_bench import VirtualBench

from minewatch.controller.cycle import Controller
from minewatch.core.fold import recover
from minewatch.core.state import State
from minewatch.core.step import Step
from minewatch.core.view import view
from minewatch.mine import load
from minewatch.model.event import Event
from minewatch.model.image import Command, Image
from minewatch.model.mine import Mine
from minewatch.record.digest import DecisionDigest

PAGE_REPORTS_MS = 5_000
"""A page tells the controller this often that it is there (practice 15)."""

DEMO = Path(__file__).resolve().parents[2] / "config" / "demo-mine"


class House:
    """A controller on a bench. `decided` holds every event of this and earlier lives, in order."""

    def __init__(self, mine: Mine, scenario: Scenario, seed: int = 1) -> None:
        self.mine = mine
        self.bench = VirtualBench(mine, scenario, seed)
        self.plant = self.bench.plant
        self.decided: list[tuple[int, Event]] = []
        self.digest = DecisionDigest()
        self.lives = 0
        self._commands = 0
        self._watch: list[Callable[[Step, Image], None]] = []
        self.controller = self._live()

    def run(self, seconds: float) -> None:
        """Let time pass with the controller turning and one dispatch page open and heard."""
        left_ms = round(seconds * 1000)
        while left_ms > 0:
            self.controller.notice("console_seen", "", pages=1, audible=True, terminals=[])
            self.bench.run_for(self.controller, min(left_ms, PAGE_REPORTS_MS))
            left_ms -= PAGE_REPORTS_MS

    def watch(self, listener: Callable[[Step, Image], None]) -> None:
        """Hear every step, in this life and the next ones."""
        self._watch.append(listener)
        self.controller.listeners.append(listener)

    def crash(self, down_s: float = 0.0) -> int:
        """Kill the controller, let the mine go on alone, start it again; return lost events."""
        self.bench.stop_lines()
        lost = self.bench.store.crash()
        if down_s:
            self.bench.run_for(None, round(down_s * 1000))
        self.bench.restart()
        self.controller = self._live()
        return lost

    def command(self, kind: str, by: str, text: str = "", **arguments: object) -> str:
        """Queue a command as the page would; return its id."""
        self._commands += 1
        name = f"c{self._commands}"
        self.controller.command(Command(name, kind, by, "page:dispatch-1", arguments, text))
        return name

    def kinds(self, kind: str) -> list[Event]:
        """Return the events of one kind."""
        return [event for _, event in self.decided if event.kind == kind]

    def view(self) -> dict[str, dict[str, object]]:
        """Return what a watcher would see now."""
        return view(self.mine, self.controller.state, self.bench.clock.now_ms())

    def value(self, point: str) -> int:
        """Return what a point truly is."""
        return self.plant.value(self.mine.point(point))

    def _live(self) -> Controller:
        self.lives += 1
        prior = "first" if self.lives == 1 else "crash"
        state = State(recover(self.bench.store.events))
        controller = Controller(
            self.mine,
            state,
            self.bench.clock,
            self.bench.store,
            self.bench.lines,
            digest=self.digest,
        )
        run = f"run{self.lives}"
        controller.notice(
            "controller_started", "controller", run=run, version="test", config="test", prior=prior
        )
        controller.listeners.append(self._heard)
        controller.listeners += self._watch
        return controller

    def _heard(self, decided: Step, image: Image) -> None:
        self.decided += [(image.now_ms, event) for event in decided.events]


MakeHouse = Callable[..., House]


@pytest.fixture(scope="session")
def demo_mine() -> Mine:
    """The demo mine, loaded as the daemon loads it."""
    loaded = load(DEMO)
    assert loaded.mine is not None, loaded.faults
    return loaded.mine


@pytest.fixture
def make_house(demo_mine: Mine) -> MakeHouse:
    """Make a house on the demo mine with a scenario (a name or a Scenario) and a seed."""

    def make(scenario: str | Scenario, seed: int = 1) -> House:
        story = Scenario.load(scenario) if isinstance(scenario, str) else scenario
        return House(demo_mine, story, seed)

    return make
