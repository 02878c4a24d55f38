"""The board: where lines, people and the house leave their facts until the next freeze.

Everything that arrives between two freezes is kept in order, so that no exceedance is lost to a
newer value. Queues of commands and notices are bounded; what does not fit is refused at the door.
"""

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


class Board:
    """Collects, then freezes. `urgent` says that a reading at a limit waits for the next turn."""

    def __init__(self, mine: Mine, lines: Iterable[AnyLine]) -> None:
        self._lines = tuple(lines)
        self._limits = {point.id: _first_limits(point.limits) for point in mine.points}
        self._samples: list[Sample] = []
        self._sightings: list[Sighting] = []
        self._read_backs: list[ReadBack] = []
        self._commands: list[Command] = []
        self._notices: list[Notice] = []
        self.urgent = False

    def collect(self) -> None:
        """Drain every line; sets `urgent` when a reading at or beyond a limit is among it."""
        for line in self._lines:
            taken = line.take()
            self._sightings.extend(taken.sightings)
            self._read_backs.extend(taken.read_backs)
            for notice in taken.notices:
                self.notice(notice)
            for sample in taken.samples:
                self._samples.append(sample)
                self.urgent = self.urgent or any(map(self._at_limit, sample.readings))

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

    def _at_limit(self, reading: Reading) -> bool:
        if reading.quality is Quality.OVER_RANGE:
            return True
        if reading.quality is not Quality.GOOD or reading.value is None:
            return False
        high, low = self._limits.get(reading.point, (None, None))
        return (high is not None and reading.value >= high) or (
            low is not None and reading.value < low
        )


def _first_limits(limits: Limits) -> tuple[int | None, int | None]:
    """Return the first limit met on the way up, and the one met on the way down."""
    highs = (limits.pre_alarm, limits.alarm, limits.trip, limits.withdraw)
    return min((each for each in highs if each is not None), default=None), limits.low_alarm
