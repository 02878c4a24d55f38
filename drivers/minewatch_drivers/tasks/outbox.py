"""Where the results of a line wait for the controller: bounded queues, the oldest go first.

The line's thread appends and the controller's thread takes; nothing else is shared.
"""

from collections import deque
from typing import NamedTuple, TypeVar

from minewatch.model.image import Notice, ReadBack, Sample, Sighting

KEPT_MAX = 20_000
"""Samples or read-backs kept for a controller that does not take them; the oldest go first."""

NOTICES_MAX = 256
"""Notices kept; the oldest go first."""

SIGHTINGS_MAX = 2_000
"""Sightings kept; beyond that readers are not read any more and keep their own."""


class Taken(NamedTuple):
    """What a line learned since the last `take`, each part in order.

    `notices` are facts that are no reading: a gap in a reader's numbers, the time from a receiver.
    """

    samples: tuple[Sample, ...]
    sightings: tuple[Sighting, ...]
    read_backs: tuple[ReadBack, ...]
    notices: tuple[Notice, ...] = ()


NOTHING = Taken((), (), (), ())
"""What most calls of `take` return: ten times a second from every line."""


_new = tuple.__new__
"""Builds a named tuple from its fields without the detour of a call in Python."""


class Outbox:
    """Results of a line. The line's thread appends, the controller's thread takes."""

    def __init__(self) -> None:
        self.samples: deque[Sample] = deque(maxlen=KEPT_MAX)
        self.sightings: deque[Sighting] = deque()
        self.read_backs: deque[ReadBack] = deque(maxlen=KEPT_MAX)
        self.notices: deque[Notice] = deque(maxlen=NOTICES_MAX)
        self.sightings_put = 0
        self.sightings_taken = 0

    @property
    def full(self) -> bool:
        """True where no more sightings fit."""
        return len(self.sightings) >= SIGHTINGS_MAX

    def __bool__(self) -> bool:
        return bool(self.samples or self.sightings or self.read_backs or self.notices)

    def sight(self, sighting: Sighting) -> None:
        """Keep a sighting; `full` is asked before a reader is read."""
        self.sightings.append(sighting)
        self.sightings_put += 1

    def take(self) -> Taken:
        """Return everything and start anew; safe while the line's thread appends."""
        queue = self.samples
        # Mostly it is one sample, told as soon as it has come.
        samples = (queue.popleft(),) if len(queue) == 1 else _drain(queue)
        if not (self.sightings or self.read_backs or self.notices):
            return _new(Taken, (samples, (), (), ())) if samples else NOTHING
        taken = Taken(
            samples, _drain(self.sightings), _drain(self.read_backs), _drain(self.notices)
        )
        self.sightings_taken += len(taken.sightings)
        return taken


_T = TypeVar("_T")


def _drain(queue: deque[_T]) -> tuple[_T, ...]:
    if not queue:
        return ()
    return tuple([queue.popleft() for _ in range(len(queue))])
