"""The board: where lines, people and the house leave their facts until the next freeze.

Everything that arrives between two freezes is kept in order, so that no exceedance is lost to a
newer value. Queues of commands and notices are bounded; what does not fit is refused at the door.
"""

import math
from collections.abc import Iterable

from minewatch_drivers.lines import AnyLine

from minewatch.model.image import Command, Image, Notice, ReadBack, Reading, Sample, Sighting
from minewatch.model.mine import Limits, Mine
from minewatch.model.quality import Quality
from minewatch.ports import Clock

COMMANDS_MAX = 256
"""Commands waiting for one freeze; a fuller queue answers `busy`."""

NOTICES_MAX = 1024
"""Notices waiting for one freeze; beyond it the house is flooding itself and the rest is shed."""


EXCHANGES_MAX = 4096
"""Exchanges (by their points) of which is remembered where limits stand."""

_Watched = tuple[int, float, float]
"""A reading's place in its exchange; below the first number or from the second on it is urgent."""


class Board:
    """Collects, then freezes. `urgent` says that a reading at a limit waits for the next turn."""

    def __init__(self, mine: Mine, lines: Iterable[AnyLine]) -> None:
        self._lines = tuple(lines)
        self._limits = {
            point.id: limits for point in mine.points if (limits := _first_limits(point.limits))
        }
        self._watched: dict[tuple[str, ...], tuple[_Watched, ...]] = {}
        self._samples: list[Sample] = []
        self._sightings: list[Sighting] = []
        self._read_backs: list[ReadBack] = []
        self._commands: list[Command] = []
        self._notices: list[Notice] = []
        self.urgent = False

    @property
    def commands_waiting(self) -> int:
        """Return how many commands wait for the next freeze."""
        return len(self._commands)

    @property
    def notices_waiting(self) -> int:
        """Return how many notices wait for the next freeze."""
        return len(self._notices)

    def collect(self) -> None:
        """Drain every line; sets `urgent` when a reading at or beyond a limit is among it."""
        for line in self._lines:
            self.collect_from(line)

    def collect_from(self, line: AnyLine) -> None:
        """Drain one line."""
        taken = line.take()
        self._sightings.extend(taken.sightings)
        self._read_backs.extend(taken.read_backs)
        for notice in taken.notices:
            self.notice(notice)
        for sample in taken.samples:
            self._samples.append(sample)
            self.urgent = self.urgent or self._is_at_limit(sample.readings)

    def command(self, command: Command) -> bool:
        """Queue a command for the next image; False where the queue is full."""
        if len(self._commands) >= COMMANDS_MAX:
            return False
        self._commands.append(command)
        self.urgent = True
        return True

    def notice(self, notice: Notice) -> None:
        """Queue a fact of the house for the next image."""
        if len(self._notices) < NOTICES_MAX:
            self._notices.append(notice)

    def freeze(self, cycle: int, clock: Clock, durable_index: int) -> Image:
        """Return everything since the last freeze as one image and start anew."""
        wall = clock.wall()
        image = Image(
            cycle,
            clock.now_ms(),
            wall.ms,
            wall.trusted,
            durable_index,
            tuple(self._samples),
            tuple(self._sightings),
            tuple(self._read_backs),
            tuple(self._commands),
            tuple(self._notices),
        )
        for queue in (
            self._samples,
            self._sightings,
            self._read_backs,
            self._commands,
            self._notices,
        ):
            queue.clear()
        self.urgent = False
        return image

    def _is_at_limit(self, readings: tuple[Reading, ...]) -> bool:
        """Say whether one of the readings of an exchange is at or beyond a limit or its range."""
        if not readings:
            return False
        points, values, qualities = zip(*readings, strict=True)
        watched = self._watched.get(points)
        if watched is None:
            watched = self._watch(points)
        for at, low, high in watched:
            value = values[at]
            if value is not None and not low <= value < high and qualities[at] is Quality.GOOD:
                return True
        return any(qualities) and Quality.OVER_RANGE in qualities

    def _watch(self, points: tuple[str, ...]) -> tuple[_Watched, ...]:
        """Find out once which of the points of an exchange have limits."""
        if len(self._watched) >= EXCHANGES_MAX:
            self._watched.clear()
        found = tuple(
            (at, *self._limits[point]) for at, point in enumerate(points) if point in self._limits
        )
        self._watched[points] = found
        return found


def _first_limits(limits: Limits) -> tuple[float, float] | None:
    """Return the limit met on the way down and the first on the way up; None without any."""
    rises = (limits.pre_alarm, limits.alarm, limits.trip, limits.withdraw)
    high = min((each for each in rises if each is not None), default=math.inf)
    low = -math.inf if limits.low_alarm is None else limits.low_alarm
    return None if (low, high) == (-math.inf, math.inf) else (low, high)
