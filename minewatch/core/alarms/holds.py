"""Holds: alarms whose condition stands and that make no sound (ISA-18.2).

Shelved by a named person, out of service because the head is bypassed or in calibration, or
suppressed by design because one alarm of the line stands for all of its places. Only kinds in
`SHELVABLE` are ever held; a held alarm is shown, counted, and sounds again when its hold ends.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from minewatch.model.alarm import ACTIVE, HELD, HOLDS, SHELVABLE, AlarmKind, AlarmMove

if TYPE_CHECKING:
    from minewatch.core.alarms.alarm import Alarm
    from minewatch.core.draft import Draft

_OF_A_LINE = frozenset({AlarmKind.SENSOR_FAULT, AlarmKind.READER_LOST})
"""Alarms that one lost line brings along."""


def decide(draft: "Draft") -> None:
    """Let the holds of standing alarms follow what was decided, or is on disk by now.

    A cycle in which neither changed costs nothing.
    """
    durable_index = draft.image.durable_index
    if not draft.events and durable_index == draft.volatile.alarms.held_index:
        return
    draft.update_volatile(alarms=replace(draft.volatile.alarms, held_index=durable_index))
    standing = draft.durable.alarms.standing
    for key in sorted(standing):
        alarm = draft.durable.alarms.items[standing[key]]
        if alarm.kind in SHELVABLE and alarm.active:
            _follow(draft, alarm)


def _follow(draft: "Draft", alarm: "Alarm") -> None:
    move = of(draft, alarm.kind, alarm.source)
    wanted = None if move is None else HOLDS[move]
    held = alarm.state if alarm.state in HELD else None
    if wanted is held:
        return
    if held is not None:
        draft.emit("alarm_restored", alarm=alarm.id, alarm_kind=str(alarm.kind), held=str(held))
    if move is not None:
        draft.emit("alarm_held", alarm=alarm.id, alarm_kind=str(alarm.kind), held=str(move))


def of(draft: "Draft", kind: AlarmKind, source: str) -> AlarmMove | None:
    """Return the move that holds the alarm of (kind, source) now, None where it sounds."""
    if kind not in SHELVABLE:
        return None
    shelf = draft.durable.alarms.shelves.get(f"{kind}/{source}")
    if shelf is not None and shelf.in_force:
        return AlarmMove.SHELVE
    if is_out_of_service(draft, kind, source):
        return AlarmMove.REMOVE
    if _is_of_a_lost_line(draft, kind, source):
        return AlarmMove.SUPPRESS
    return None


def is_out_of_service(draft: "Draft", kind: AlarmKind, source: str) -> bool:
    """Say whether the head of the alarm is bypassed or in calibration, named and on disk.

    A calibration that lasts too long is never silent.
    """
    if kind is AlarmKind.CALIBRATION_OVERRUN:
        return False
    calibration = draft.durable.calibrations.open.get(source)
    bypass = draft.durable.interlock.bypasses.get(source)
    return (calibration is not None and draft.is_on_disk(calibration.index)) or (
        bypass is not None and draft.is_on_disk(bypass.index)
    )


def _is_of_a_lost_line(draft: "Draft", kind: AlarmKind, source: str) -> bool:
    if kind not in _OF_A_LINE:
        return False
    alarms = draft.durable.alarms
    line = alarms.standing.get(f"{AlarmKind.SENSOR_FAULT}/line:{_bus_of(draft, source)}")
    return line is not None and alarms.items[line].state in ACTIVE


def _bus_of(draft: "Draft", source: str) -> str | None:
    """Return the line of a point or reader; None for anything else."""
    plan = draft.plan.points.get(source)
    if plan is not None:
        return plan.bus
    devices = (each.device for each in draft.mine.readers if each.id == source)
    return next((draft.mine.device(each).bus for each in devices), None)
