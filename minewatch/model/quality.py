"""Quality: what a value may be used for. Bad is never a number."""

from enum import IntEnum


class Quality(IntEnum):
    """How far a reading may be believed; the numbers are stored and never change meaning."""

    GOOD = 0
    OVER_RANGE = 1
    CALIBRATION = 2
    INHIBITED = 3
    WARMUP = 4
    STALE = 5
    COMM_FAULT = 6
    UNDER_RANGE = 7
    FROZEN = 8
    IMPLAUSIBLE = 9

    @property
    def raises(self) -> bool:
        """May raise an alarm or a demand."""
        return self in RAISES

    @property
    def clears(self) -> bool:
        """May clear, release or lower a vote."""
        return self is Quality.GOOD

    @property
    def locks(self) -> bool:
        """Makes a fault lock once the point's fault time has passed."""
        return self in LOCKS


RAISES = frozenset({Quality.GOOD, Quality.OVER_RANGE})

LOCKS = frozenset(
    {
        Quality.OVER_RANGE,
        Quality.WARMUP,
        Quality.STALE,
        Quality.COMM_FAULT,
        Quality.UNDER_RANGE,
        Quality.FROZEN,
        Quality.IMPLAUSIBLE,
    }
)
"""CALIBRATION and INHIBITED are absent: they lock only where no GOOD neighbour guards the zone."""

WIRE_QUALITIES = frozenset(
    {
        Quality.GOOD,
        Quality.OVER_RANGE,
        Quality.UNDER_RANGE,
        Quality.WARMUP,
        Quality.CALIBRATION,
        Quality.INHIBITED,
        Quality.COMM_FAULT,
        Quality.IMPLAUSIBLE,
    }
)
"""What a codec or a line may say; STALE and FROZEN come from the core alone."""
