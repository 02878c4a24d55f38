"""What a head showed while it was calibrated, and whether that was a bottle's gas.

Pure arithmetic on samples: extremes, plateaus, and the recognition of the steps that a bottle
shows (zero, 1 %, 2 %, zero). It judges the calibration, never the head's readings in service.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from minewatch.model.acts import Bottle

PLATEAU_MS = 5_000
PLATEAU_BAND = 5
"""A plateau stays within this many units (0.05 %CH4) of its first value for at least 5 s."""

PLATEAUS_MAX = 12

SEEN, NOT_SEEN, UNKNOWN = "seen", "not_seen", "unknown"
"""Whether the bottle's steps were shown; unknown where nobody says which they are."""


class Plateau(NamedTuple):
    """A steady stretch of a calibration: its first value, begin, end and number of samples."""

    value: int
    began_ms: int
    ended_ms: int
    samples: int


@dataclass(frozen=True, slots=True)
class Profile:
    """What a head showed while it was calibrated; `running` may still become a plateau."""

    lowest: int | None = None
    highest: int | None = None
    samples: int = 0
    plateaus: tuple[Plateau, ...] = ()
    running: Plateau | None = None


def extended_by(profile: Profile, value: int, at_ms: int) -> Profile:
    """Return the profile with one more sample."""
    lowest = value if profile.lowest is None else min(profile.lowest, value)
    highest = value if profile.highest is None else max(profile.highest, value)
    running, plateaus = profile.running, profile.plateaus
    if running is not None and abs(value - running.value) <= PLATEAU_BAND:
        running = running._replace(ended_ms=at_ms, samples=running.samples + 1)
    else:
        plateaus = _with(plateaus, running)
        running = Plateau(value, at_ms, at_ms, 1)
    return Profile(lowest, highest, profile.samples + 1, plateaus, running)


def plateaus_of(profile: Profile) -> tuple[Plateau, ...]:
    """Return every plateau of a profile, the one that still runs included."""
    return _with(profile.plateaus, profile.running)


def judged(bottle: Bottle | None, values: Sequence[int]) -> tuple[str, int | None]:
    """Return whether plateaus of these values show the bottle's steps in order, and the span.

    Other plateaus may lie between. The span is what the head read at the bottle's highest step.
    """
    if bottle is None:
        return UNKNOWN, None
    steps, highest = iter(bottle.steps), max(bottle.steps)
    span: int | None = None
    wanted = next(steps, None)
    for value in values:
        if wanted is None:
            break
        if abs(value - wanted) <= bottle.tolerance:
            span = value if wanted == highest else span
            wanted = next(steps, None)
    return (SEEN, span) if wanted is None else (NOT_SEEN, span)


def _with(plateaus: tuple[Plateau, ...], running: Plateau | None) -> tuple[Plateau, ...]:
    if running is None or running.ended_ms - running.began_ms < PLATEAU_MS:
        return plateaus
    return (*plateaus, running)[-PLATEAUS_MAX:]
