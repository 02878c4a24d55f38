"""What can be done to the plant, by name: the words of scenarios, of the control socket and tests.

Each act is one small function with keyword arguments; add one here and it can be used everywhere.
Values are in the unit that people read (%CH4, m/s), times in s of plant time.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minewatch_sim.air import Bottle
from minewatch_sim.certified import Trouble
from minewatch_sim.faults import Fault
from minewatch_sim.scenario import Scenario, ScenarioError

if TYPE_CHECKING:
    from minewatch_sim.plant import Plant

Act = Callable[..., Any]

CALIBRATION_STEPS = ((8.0, 0.0), (8.0, 1.02), (8.0, 2.00), (8.0, 0.0))
"""Zero, alarm and span gas, then the head in clean air: (s, %CH4)."""


def ramp_gas(plant: Plant, point: str, to: float, over_s: float = 30.0) -> None:
    """Let the emission at a methane head run to `to` within `over_s`."""
    plant.air.ramp(point, to, over_s)


def set_value(plant: Plant, point: str, value: float) -> None:
    """Hold any point at a value, whatever the plant does."""
    plant.force(point, value)


def free_value(plant: Plant, point: str) -> None:
    """Let a held point follow the plant again."""
    plant.force(point, None)


def bottle(plant: Plant, point: str, steps: list[list[float]] | None = None) -> None:
    """Hold test gas to a head: [[seconds, value], …]; its calibration status stays unset."""
    profile = [(s, v) for s, v in steps] if steps else list(CALIBRATION_STEPS)
    plant.air.bottles[point] = Bottle(profile, level=plant.air.value(plant.mine.point(point)))


def head_state(plant: Plant, device: str, state: str, on: bool = True) -> None:
    """Set or unset a state in a device's status word, by the name of its quality."""
    plant.mine.device(device)
    states = plant.head_states.setdefault(device, set())
    (states.add if on else states.discard)(state)


def weld(plant: Plant, output: str, on: bool = True) -> None:
    """Weld the contact of a power-cut switch, so that it stays live when its coil drops."""
    plant.power.feeders[output].welded = on
    plant.power.settle()


def break_circuit(plant: Plant, output: str, on: bool = True) -> None:
    """Break the circuit of a siren or horn: its coil energises and nobody hears it."""
    plant.mine.output(output)
    (plant.power.broken.add if on else plant.power.broken.discard)(output)


def close_switch(plant: Plant, output: str) -> bool:
    """Close a switch by hand at its place; False while its coil inhibits it."""
    return plant.power.close_by_hand(output)


def switch(plant: Plant, point: str, on: bool) -> None:
    """Set a switch point of the plant: a fan, a door, smoke."""
    if point not in plant.air.switches:
        raise KeyError(point)
    plant.air.switches[point] = on


def cage(plant: Plant, come: int = 0, go: int = 0, lost: int = 0) -> tuple[int, int]:
    """Bring people in and out; `lost` of those leaving are read by no mouth reader."""
    return plant.people.cage(come, go, lost, plant.power.entry_shut())


def shift_change(plant: Plant, over_s: float = 1800.0) -> tuple[int, int]:
    """Let the shift underground go home within `over_s` and the next one come down."""
    return plant.people.change_shift(over_s, plant.power.entry_shut())


def silent_badge(plant: Plant, zone: str) -> str | None:
    """Let one badge of a zone fall silent and its bearer stay there."""
    plant.mine.zone(zone)
    return plant.people.silence(zone)


def send(plant: Plant, badge: str, to: str) -> bool:
    """Send somebody underground to another zone."""
    plant.mine.zone(to)
    return plant.people.send(badge, to)


def sos(plant: Plant, badge: str) -> None:
    """Press the SOS button of a badge."""
    plant.people.call_sos(badge)


def lose_reads(plant: Plant, reader: str, share: float) -> None:
    """Let a reader miss a share of the badges that pass."""
    plant.people.lies[reader].loss = share


def repeat_reads(plant: Plant, reader: str, share: float) -> None:
    """Let a reader record a share of the badges twice."""
    plant.people.lies[reader].duplicates = share


def shuffle_reads(plant: Plant, reader: str, share: float) -> None:
    """Let a share of a reader's records change places with the record before."""
    plant.people.lies[reader].shuffled = share


def reader_clock(plant: Plant, reader: str, by_s: int) -> None:
    """Set a reader's own clock wrong by so many seconds."""
    plant.people.lies[reader].clock_s = by_s


def reader_capacity(plant: Plant, reader: str, records: int) -> None:
    """Let a reader hold no more than so many records."""
    plant.people.lies[reader].capacity = records


def restart_reader(plant: Plant, reader: str) -> None:
    """Take a reader's power for a moment."""
    plant.people.lies[reader].restarts += 1


def replay_reader(plant: Plant, reader: str) -> None:
    """Let a reader restart and give its old log again, where it keeps one."""
    plant.people.lies[reader].replays += 1


def fault(
    plant: Plant,
    target: str,
    name: str,
    *,
    share: float = 1.0,
    delay_ms: int = 1000,
    code: int = 4,
) -> None:
    """Begin a fault of a device or bus (`minewatch_sim.faults.Fault`)."""
    _known_target(plant, target)
    plant.faults.on(target, name, share, delay_ms, code)


def end_fault(plant: Plant, target: str, name: str | None = None) -> None:
    """End one fault of a device or bus, or all of them."""
    _known_target(plant, target)
    plant.faults.off(target, name)


def certified(
    plant: Plant,
    *,
    point: str = "",
    shift: float = 0.0,
    trouble: str = "",
    clock_s: float = 0.0,
    late_s: float = 0.0,
) -> None:
    """Let the certified system's files be wrong (`minewatch_sim.certified.Trouble`), or right."""
    lies = plant.certified
    lies.trouble, lies.clock_s, lies.late_s = Trouble(trouble), clock_s, late_s
    if point:
        lies.shifts[plant.mine.point(point).id] = shift


def announce(plant: Plant, what: str, point: str = "") -> None:
    """Do nothing: the note of this act tells whoever plays the people what is due now."""
    del plant, what, point


def lose_device(plant: Plant, device: str) -> None:
    """Take the power from a device."""
    fault(plant, device, Fault.LOST)


def restore_device(plant: Plant, device: str) -> None:
    """Give a device its power back; it starts with empty state."""
    end_fault(plant, device, Fault.LOST)


ACTS: dict[str, Act] = {
    each.__name__: each
    for each in (
        ramp_gas,
        set_value,
        free_value,
        bottle,
        head_state,
        weld,
        break_circuit,
        close_switch,
        switch,
        cage,
        shift_change,
        silent_badge,
        send,
        sos,
        lose_reads,
        repeat_reads,
        shuffle_reads,
        reader_clock,
        reader_capacity,
        restart_reader,
        replay_reader,
        announce,
        certified,
        fault,
        end_fault,
        lose_device,
        restore_device,
    )
}


def do(plant: Plant, name: str, arguments: dict[str, Any]) -> Any:
    """Do one act.

    Raises:
        ScenarioError: no such act, wrong arguments, or an id that the mine has not.
    """
    act = _act(name, arguments)
    try:
        return act(plant, **arguments)
    except (KeyError, ValueError, TypeError) as error:
        raise ScenarioError(f"{name}: {error!r}") from error


def check(plant: Plant, scenario: Scenario) -> None:
    """Refuse a scenario that names an unknown act, argument, id or fault before it runs.

    Raises:
        ScenarioError: what is wrong.
    """
    mine = plant.mine
    looks: dict[str, Callable[[Any], object]] = {
        "point": mine.point,
        "output": mine.output,
        "device": mine.device,
        "zone": mine.zone,
        "to": lambda goal: mine.zone(goal) if isinstance(goal, str) else None,
        "reader": mine.reader,
        "target": lambda target: _known_target(plant, target),
        "name": Fault,
    }
    for action in scenario.actions:
        _act(action.do, action.arguments)
        named = [(looks[key], each) for key, each in action.arguments.items() if key in looks]
        if action.when is not None:
            named.append((mine.point, action.when.point))
            named += [(mine.output, o) for o in (action.when.energised, action.when.dropped)]
        for look, each in named:
            try:
                _ = look(each) if each != "" else None
            except (KeyError, ValueError) as error:
                raise ScenarioError(f"{scenario.name}: there is no {each}") from error


def _act(name: str, arguments: dict[str, Any]) -> Act:
    act = ACTS.get(name)
    if act is None:
        raise ScenarioError(f"no act {name}; there are: {', '.join(sorted(ACTS))}")
    try:
        inspect.signature(act).bind(None, **arguments)
    except TypeError as error:
        raise ScenarioError(f"{name}: {error}") from error
    return act


def _known_target(plant: Plant, target: str) -> None:
    known = {d.id for d in plant.mine.devices} | {b.id for b in plant.mine.buses}
    if target not in known:
        raise KeyError(target)
