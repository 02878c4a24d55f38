"""The cycle's pace: every 100 ms, at once for what cannot wait, never faster than 20 ms."""

from types import SimpleNamespace
from typing import Any

import pytest

from minewatch.controller import cycle
from minewatch.controller.actuate import Actuator
from minewatch.controller.cycle import COALESCE_MS, CYCLE_MS, Controller
from minewatch.core.state import State
from minewatch.mine import load
from minewatch.model.mine import Mine, Mode, OutputRole
from minewatch.ports import WallTime
from minewatch.record.digest import DecisionDigest


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.ms = 1000

    def now_ms(self) -> int:
        """Return the test's time."""
        return self.ms

    def now_us(self) -> int:
        """Return the test's time in µs."""
        return self.ms * 1000

    def wall(self) -> WallTime:
        """Return the same time as wall clock."""
        return WallTime(self.ms, True)


class Store:
    """A store that keeps events and is always durable."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    @property
    def durable_index(self) -> int:
        """Return how many events came."""
        return len(self.events)

    def submit(self, _image: bytes, events: tuple[Any, ...], _samples: tuple[Any, ...]) -> None:
        """Keep the events."""
        self.events.extend(events)

    def faults(self) -> tuple[str, ...]:
        """Return no faults."""
        return ()


@pytest.fixture(scope="module")
def mine() -> Mine:
    """Return the demo mine."""
    loaded = load("config/demo-mine").mine
    assert loaded is not None
    return loaded


@pytest.fixture
def controller(mine: Mine) -> Controller:
    """Return a controller without lines, on the test's clock."""
    return Controller(mine, State(), Clock(), Store(), {}, digest=DecisionDigest())


def _notices(controller: Controller) -> list[str]:
    return [each.kind for each in controller.board._notices]


def test_a_late_turn_does_not_shift_the_beat(controller: Controller) -> None:
    """A turn that starts a little late is followed by one at the old beat, not 100 ms later."""
    controller.turn()
    due_ms = controller.next_wake_ms
    controller.clock.ms = due_ms + 30
    controller.turn()

    assert controller.next_wake_ms == due_ms + CYCLE_MS


def test_an_urgent_reading_turns_after_the_coalescing_time(controller: Controller) -> None:
    """What cannot wait is decided 20 ms after the last turn, never sooner."""
    controller.turn()
    turned_ms = controller.clock.ms
    controller.board.urgent = True

    assert controller.next_wake_ms == turned_ms + COALESCE_MS


def test_three_overruns_in_a_row_are_a_fault_said_once(controller: Controller) -> None:
    """Each late turn is counted; the third in a row is a notice, the recovery another."""
    controller.turn()
    for _ in range(5):
        controller.clock.ms = controller.next_wake_ms + CYCLE_MS + 1
        controller.turn()
        controller.board._notices[:] = [n for n in controller.board._notices if "cycle" in n.kind]
    controller.clock.ms = controller.next_wake_ms
    controller.turn()
    said = [event.kind for event in controller.store.events if event.kind.startswith("house_")]

    assert controller.overruns == 5
    assert said.count("house_fault") == 1


@pytest.mark.parametrize(
    ("mode", "roles"),
    [
        (
            Mode.CONTROL,
            set(OutputRole) - {OutputRole.BROADCAST, OutputRole.SURFACE_HORN, OutputRole.FAN_START},
        ),
        (Mode.ALARM, {OutputRole.SIREN, OutputRole.HORN, OutputRole.GATE}),
    ],
)
def test_a_mode_writes_only_what_it_may(mine: Mine, mode: Mode, roles: set[OutputRole]) -> None:
    """Mode alarm never hands a power cut to a line, mode control hands over all (practice 1)."""
    wanted: dict[str, bool] = {}
    line = SimpleNamespace(want=lambda table, _now_us: wanted.update(table))
    lines = {bus.id: line for bus in mine.buses}
    moded = SimpleNamespace(mode=mode, outputs=mine.outputs, device=mine.device)
    actuator = Actuator(moded, lines)  # type: ignore[arg-type]  # stand-ins of the same shape
    actuator.want({output.id: True for output in mine.outputs}, 0)

    assert {mine.output(key).role for key in wanted} == roles


def test_nothing_proven_gives_nobody_a_table(mine: Mine) -> None:
    """While a start is not proven no line gets a table, so that no heartbeat is fed."""
    got: list[Any] = []
    line = SimpleNamespace(want=lambda table, _now_us: got.append(table))
    actuator = Actuator(mine, {bus.id: line for bus in mine.buses})  # type: ignore[arg-type]
    actuator.want(None, 0)

    assert got == []


def test_monitor_constructs_no_way_to_write(mine: Mine, monkeypatch: pytest.MonkeyPatch) -> None:
    """In mode monitor the actuator is not even made."""
    made: list[Any] = []
    monkeypatch.setattr(cycle, "Actuator", lambda *_: made.append(1))
    object.__setattr__(mine, "mode", Mode.MONITOR)
    try:
        Controller(mine, State(), Clock(), Store(), {}, digest=DecisionDigest())
    finally:
        object.__setattr__(mine, "mode", Mode.CONTROL)

    assert made == []
