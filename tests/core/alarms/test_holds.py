"""What holds an alarm at a moment: one table over the reasons that there are."""

from dataclasses import replace

import pytest

from minewatch.core.alarms import alarm, holds
from minewatch.core.deadline import Deadline
from minewatch.core.power.interlock import Bypass
from minewatch.model.alarm import SHELVABLE, AlarmKind, AlarmMove
from minewatch.model.image import Image
from minewatch.model.mine import Reader

FAR = Deadline(2**60, 2**60)


@pytest.fixture
def rig(rig_of, mine_of):
    """Return a mine with a reader on the line `gas` and another on the line `fan`."""
    readers = (Reader("reader_gas", "", "Z0", "head"), Reader("reader_fan", "", "Z0", "fan"))
    return rig_of(mine_of(readers=readers)).start()


def _bypassed(draft, point: str, index: int = 0):
    part = draft.durable.interlock
    bypass = Bypass(point, "S4", "S3", index, FAR)
    part = replace(part, bypasses={**part.bypasses, point: bypass})
    draft.durable = replace(draft.durable, interlock=part)
    return draft


@pytest.mark.parametrize("kind", sorted(AlarmKind))
def test_only_what_may_be_held_is_held(rig, draft_of, kind: AlarmKind) -> None:
    """A bypassed head holds its alarms of the listed kinds, and no other, ever."""
    draft = _bypassed(draft_of(rig), "Z0_H0")
    held = kind in SHELVABLE and kind is not AlarmKind.CALIBRATION_OVERRUN
    assert holds.of(draft, kind, "Z0_H0") is (AlarmMove.REMOVE if held else None)
    assert holds.of(draft, kind, "Z0_H1") is None


@pytest.mark.parametrize(("behind", "held"), [(1, True), (0, False)])
def test_a_bypass_holds_once_it_is_on_disk(rig, draft_of, behind: int, held) -> None:
    """Until its entry is durable the alarm sounds."""
    draft = draft_of(rig)
    _bypassed(draft, "Z0_H0", draft.image.durable_index - behind)
    found = holds.of(draft, AlarmKind.SENSOR_FAULT, "Z0_H0")
    assert found is (AlarmMove.REMOVE if held else None)


@pytest.mark.parametrize(
    ("kind", "source", "held"),
    [
        (AlarmKind.SENSOR_FAULT, "Z0_H0", True),
        (AlarmKind.READER_LOST, "reader_gas", True),
        (AlarmKind.READER_LOST, "reader_fan", False),
        (AlarmKind.READER_LOST, "reader_gone", False),
        (AlarmKind.SENSOR_FAULT, "Z0_WIND", False),
        (AlarmKind.LOW, "Z0_H0", False),
        (AlarmKind.SENSOR_FAULT, "line:gas", False),
    ],
)
def test_one_lost_line_stands_for_its_places(rig, draft_of, kind, source, held) -> None:
    """The faults of its own heads and readers are folded into it, nothing else is."""
    draft = draft_of(rig)
    alarm.raise_(draft, AlarmKind.SENSOR_FAULT, "line:gas")
    assert holds.of(draft, kind, source) is (AlarmMove.SUPPRESS if held else None)
    alarm.clear(draft, AlarmKind.SENSOR_FAULT, "line:gas")
    assert holds.of(draft, kind, source) is None


def test_an_acknowledged_line_still_stands_for_its_places(rig, draft_of) -> None:
    """Acknowledging changes sound only, so the places stay folded."""
    draft = draft_of(rig)
    alarm.raise_(draft, AlarmKind.SENSOR_FAULT, "line:gas")
    line = alarm.find(draft.durable, AlarmKind.SENSOR_FAULT, "line:gas")
    draft.emit("alarms_acknowledged", alarms=[line.id], by="S1")
    assert holds.of(draft, AlarmKind.SENSOR_FAULT, "Z0_H0") is AlarmMove.SUPPRESS


def test_a_raise_under_a_hold_is_silent_from_its_first_event(rig, draft_of) -> None:
    """No cycle lies between the raise and its hold."""
    draft = _bypassed(draft_of(rig), "Z0_H0")
    alarm.raise_(draft, AlarmKind.SENSOR_FAULT, "Z0_H0")
    alarm.raise_(draft, AlarmKind.SENSOR_FAULT, "Z0_H1")
    assert [e.data["held"] for e in draft.events] == ["remove", ""]


def test_a_cycle_in_which_nothing_was_decided_looks_at_nothing(rig, draft_of) -> None:
    """Neither an event nor the disk moved: a hold is not even asked for."""
    draft = draft_of(rig)
    alarm.raise_(draft, AlarmKind.SENSOR_FAULT, "Z0_H0")
    draft.events.clear()
    holds.decide(draft)
    _bypassed(draft, "Z0_H0")
    holds.decide(draft)
    assert draft.events == []
    image = draft.image
    draft.image = Image(0, image.now_ms, 0, True, image.durable_index + 1)
    holds.decide(draft)
    assert [e.kind for e in draft.events] == ["alarm_held"]
    holds.decide(draft)
    assert len(draft.events) == 1


def test_what_is_gone_is_not_held(rig, draft_of) -> None:
    """A returned alarm waits for its acknowledgement, bypassed or not."""
    draft = draft_of(rig)
    alarm.raise_(draft, AlarmKind.SENSOR_FAULT, "Z0_H0")
    alarm.clear(draft, AlarmKind.SENSOR_FAULT, "Z0_H0")
    _bypassed(draft, "Z0_H0")
    holds.decide(draft)
    assert [e.kind for e in draft.events] == ["alarm_raised", "alarm_cleared"]
