"""Helpers for the tests of alarms: find rows, let one step run on a bare state."""

from collections.abc import Callable
from typing import Any

import pytest

from minewatch.core.alarms import alarm
from minewatch.core.alarms.alarm import Alarm
from minewatch.core.draft import Draft
from minewatch.core.state import State
from minewatch.model.alarm import PRIORITY, AlarmKind, AlarmState
from minewatch.model.image import Image


def build_alarm(
    state: AlarmState = AlarmState.UNACKNOWLEDGED,
    kind: AlarmKind = AlarmKind.SENSOR_FAULT,
    **parts: Any,
) -> Alarm:
    """Return an alarm `A1` of `Z0_H0` in `Z0` that was raised at 0."""
    settings: dict[str, Any] = {
        "id": "A1",
        "kind": kind,
        "priority": PRIORITY[kind],
        "source": "Z0_H0",
        "zone": "Z0",
        "value": 1,
        "limit": 1,
        "peak": 1,
        "raised_ms": 0,
        "raised_wall_ms": 0,
        "state": state,
        "first_out": False,
    }
    return Alarm(**{**settings, **parts})


def open_draft(rig: Any, *, ms: int = 100) -> Draft:
    """Return a draft of the rig's next moment; what it decides is not kept by the rig."""
    image = Image(
        rig.cycle, rig.now_ms + ms, rig.wall_ms + ms, True, rig.state.durable.index
    )  # fmt: skip
    return Draft(rig.mine, rig.state, image)


@pytest.fixture
def alarm_of() -> Callable[..., Alarm]:
    """Return the builder of alarms."""
    return build_alarm


@pytest.fixture
def draft_of() -> Callable[..., Draft]:
    """Return what opens a draft on a rig."""
    return open_draft


@pytest.fixture
def row() -> Callable[..., Alarm | None]:
    """Return what finds the alarm of a kind and source."""

    def find(rig: Any, kind: AlarmKind, source: str) -> Alarm | None:
        return alarm.find(rig.state.durable, kind, source)

    return find


@pytest.fixture
def give() -> Callable[..., None]:
    """Return what lets the rig's plant raise or clear an alarm by itself, outside a step."""

    def act(rig: Any, do: Callable[[Draft], None], *, ms: int = 0) -> None:
        draft = open_draft(rig, ms=ms)
        do(draft)
        rig.events += draft.events
        rig.state = State(draft.durable, draft.volatile)

    return act
