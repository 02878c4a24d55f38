"""What another configuration would have decided on a recorded run.

The run is decided twice, side by side: as it was, and under the other configuration on the same
gas, the same people and the same acts (`counterfactual` says what is translated). The result is
told in episodes. It is a calculation, not a forecast: gas would not have been other, people might.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from minewatch.core.plan import build
from minewatch.core.step import step
from minewatch.model.codec import mine_hash
from minewatch.model.image import Image
from minewatch.model.mine import Limits, Mine
from minewatch.replay.counterfactual import Translation, Wanted, Worlds
from minewatch.replay.episodes import Chronicle, Subject, Tally, tally
from minewatch.replay.recording import (
    Began,
    Missing,
    Progress,
    Recorded,
    Turned,
    chosen,
    configuration,
    recorded,
    silent,
)
from minewatch.replay.traces import Traces


@dataclass(frozen=True, slots=True)
class LimitChange:
    """One limit of one point in both configurations; None where there is none."""

    point: str
    name: str
    recorded: int | None
    other: int | None


@dataclass(frozen=True, slots=True)
class Row:
    """One subject on which the worlds differ, with the figures of both."""

    subject: Subject
    recorded: Tally
    other: Tally


@dataclass(slots=True)
class WhatIf:
    """Both worlds of one run. `wall_ms` is the wall clock at `first_ms` of the run's own clock."""

    run: str
    config: str
    other_config: str
    mine: Mine
    other: Mine
    recorded: Chronicle
    calculated: Chronicle
    traces: Traces
    first_ms: int = 0
    end_ms: int = 0
    wall_ms: int = 0
    cycles: int = 0
    seconds: float = 0.0
    without_object: int = 0
    hole: tuple[int, int] | None = None
    limits: tuple[LimitChange, ...] = field(default=())

    @property
    def equal(self) -> bool:
        """Tell whether the other configuration decides the same episodes at the same times."""
        return self.recorded.episodes == self.calculated.episodes

    def rows(self) -> list[Row]:
        """Return what differs: withdrawals first, then cuts, then alarms by kind and source."""
        before, after = self.recorded.episodes, self.calculated.episodes
        order = ("withdrawal", "cut", "alarm")
        apart = (
            each for each in before.keys() | after.keys() if before.get(each) != after.get(each)
        )
        return [
            Row(s, tally(before.get(s, ()), self.end_ms), tally(after.get(s, ()), self.end_ms))
            for s in sorted(apart, key=lambda s: (order.index(s.matter), s.kind, s.source))
        ]

    def to_json(self) -> dict[str, Any]:
        """Return everything for `--json`; times in ms from the start of the run."""
        return {
            "run": self.run,
            "config": self.config,
            "other_config": self.other_config,
            "equal": self.equal,
            "cycles": self.cycles,
            "plant_ms": self.end_ms - self.first_ms,
            "wall_ms": self.wall_ms,
            "hole": self.hole,
            "acts_without_object": self.without_object,
            "acts_refused": {"recorded": self.recorded.refused, "other": self.calculated.refused},
            "limits": [
                {"point": c.point, "limit": c.name, "recorded": c.recorded, "other": c.other}
                for c in self.limits
            ],
            "differences": [
                {
                    "matter": str(row.subject.matter),
                    "kind": row.subject.kind,
                    "source": row.subject.source,
                    "recorded": self._intervals(self.recorded, row.subject),
                    "other": self._intervals(self.calculated, row.subject),
                }
                for row in self.rows()
            ],
        }

    def _intervals(self, world: Chronicle, subject: Subject) -> list[list[int | None]]:
        return [
            [e.began_ms - self.first_ms, None if e.ended_ms is None else e.ended_ms - self.first_ms]
            for e in world.episodes.get(subject, ())
        ]


def what_if(
    state_folder: Path, other: Mine, run: str | None = None, progress: Progress = silent
) -> WhatIf:
    """Decide a run (the newest by default) as it was and under `other`, up to its end or a hole.

    Raises:
        RecordError: no such run, its configuration is not kept, or the record is unreadable.
    """
    wanted = chosen(state_folder, run)
    return _Both(state_folder, other).through(recorded(state_folder, wanted, progress))


class _Both:
    """Two worlds on their way through `step`."""

    def __init__(self, state_folder: Path, other: Mine) -> None:
        self._folder = state_folder
        self._other_mine = other
        self._translation = Translation(other)
        self._found: WhatIf | None = None
        self._wanted: tuple[Wanted, Wanted] = (None, None)

    def through(self, inputs: Iterable[Recorded]) -> WhatIf:
        """Decide everything twice."""
        began = time.monotonic()
        for each in inputs:
            match each:
                case Began():
                    self._start(each)
                case Turned():
                    self._turn(each.image)
                case Missing():
                    self._known.hole = (each.first_cycle, each.last_cycle)
        found = self._known
        found.without_object = self._translation.without_object
        found.seconds = time.monotonic() - began
        return found

    @property
    def _known(self) -> WhatIf:
        assert self._found is not None, "a run begins with its start"
        return self._found

    def _start(self, began: Began) -> None:
        mine, other = configuration(self._folder, began.config), self._other_mine
        changed = limit_changes(mine, other)
        self._state = self._other = began.state
        self._translation.begin(began.state.durable, began.state.durable)
        self._found = WhatIf(
            run=began.run,
            config=began.config,
            other_config=mine_hash(other),
            mine=mine,
            other=other,
            recorded=Chronicle(),
            calculated=Chronicle(),
            traces=Traces(_changed_points(mine, other)),
            limits=changed,
        )

    def _turn(self, image: Image) -> None:
        found, before, after = self._known, self._state, self._other
        if found.cycles == 0:
            found.first_ms, found.wall_ms = image.now_ms, image.wall_ms
            for world in (found.recorded, found.calculated):
                world.begin(before.durable, image.now_ms)
        worlds = Worlds(before.durable, after.durable, *self._wanted)
        decided = step(found.mine, before, image)
        calculated = step(found.other, after, self._translation.image(image, worlds))
        self._state, self._other = decided.state, calculated.state
        self._wanted = (decided.outputs, calculated.outputs)
        self._translation.decided(decided.state.durable, calculated.state.durable)
        found.recorded.heard(decided, image.now_ms)
        found.calculated.heard(calculated, image.now_ms)
        found.traces.take(image.samples, image.now_ms)
        found.cycles += 1
        found.end_ms = image.now_ms


def limit_changes(mine: Mine, other: Mine) -> tuple[LimitChange, ...]:
    """Return every limit that differs between two configurations, by point and limit."""
    there = {point.id: point.limits for point in other.points}
    return tuple(
        LimitChange(point.id, each.name, getattr(point.limits, each.name), value)
        for point in mine.points
        if point.id in there
        for each in fields(Limits)
        if (value := getattr(there[point.id], each.name)) != getattr(point.limits, each.name)
    )


def _changed_points(mine: Mine, other: Mine) -> list[str]:
    """Return the points that the two configurations do not treat alike, in the mine's order."""
    before, after = build(mine).points, build(other).points
    return [each for each, plan in before.items() if each in after and after[each] != plan]
