"""The image: everything one cycle may know. It is frozen once and is all that `step` reads.

Samples, sightings, read-backs and notices are named tuples so that an image is written to the
journal as nested JSON arrays without a copy. Times are integers in ms: `now_ms`, `sampled_ms` on
the clock that counts suspend; `wall_ms` is a label with a trust flag.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from minewatch.model.quality import Quality


class Reading(NamedTuple):
    """One point's value in its kind's smallest unit; `value` is None where quality has none."""

    point: str
    value: int | None
    quality: Quality


class Sample(NamedTuple):
    """All readings of one exchange; `sampled_ms` is the start of its first try."""

    device: str
    sampled_ms: int
    readings: tuple[Reading, ...]


class Sighting(NamedTuple):
    """A badge heard by a reader, in the reader's own order.

    `direction` is +1 in, -1 out, 0 undirected; `flags` bit 0 low battery, bit 1 SOS;
    `sequence` counts in the reader (None where it has none), `reader_time_s` is its own clock.
    `sampled_ms` is a time at which the reader surely had not made the record yet.
    An empty badge is a read that is lost for good: somebody passed whom nobody can name.
    """

    reader: str
    badge: str
    sampled_ms: int
    direction: int
    flags: int
    sequence: int | None
    reader_time_s: int | None


class ReadBack(NamedTuple):
    """The coil of an output as the relay reports it; None where it did not answer."""

    output: str
    energised: bool | None
    sampled_ms: int


class Command(NamedTuple):
    """An act of a person or of the house. `by` is a staff code, empty where nobody is named.

    `origin` is `page:<terminal>`, `local:<uid>`, `button:<id>` or `supervisor`; only a page names
    people.
    `text` is free text (a reason, a measure): stored beside the leaf, hashed in it.
    """

    id: str
    kind: str
    by: str
    origin: str
    arguments: dict[str, Any]
    text: str


class Notice(NamedTuple):
    """A fact from the house itself: clock step, overrun, ledger fault, sealed journal chunk."""

    kind: str
    subject: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Image:
    """One cycle's inputs; `durable_index` counts the ledger entries known to be on disk."""

    cycle: int
    now_ms: int
    wall_ms: int
    wall_trusted: bool
    durable_index: int
    samples: tuple[Sample, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    read_backs: tuple[ReadBack, ...] = ()
    commands: tuple[Command, ...] = ()
    notices: tuple[Notice, ...] = field(default=())

    def to_row(self) -> list[Any]:
        """Return the image as nested lists for canonical JSON; `from_row` is its inverse."""
        return [
            self.cycle,
            self.now_ms,
            self.wall_ms,
            self.wall_trusted,
            self.durable_index,
            self.samples,
            self.sightings,
            self.read_backs,
            self.commands,
            self.notices,
        ]

    @classmethod
    def from_row(cls, row: list[Any]) -> "Image":
        """Build the image that `to_row` wrote."""
        cycle, now_ms, wall_ms, trusted, durable_index, *parts = row
        samples, sightings, read_backs, commands, notices = parts
        return cls(
            cycle,
            now_ms,
            wall_ms,
            trusted,
            durable_index,
            tuple(
                Sample(device, at, tuple(Reading(p, v, Quality(q)) for p, v, q in readings))
                for device, at, readings in samples
            ),
            tuple(Sighting(*each) for each in sightings),
            tuple(ReadBack(*each) for each in read_backs),
            tuple(Command(*each) for each in commands),
            tuple(Notice(*each) for each in notices),
        )
