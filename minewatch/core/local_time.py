"""The mine's own clock: UTC+8 all year, from the wall clock's ms; nothing here looks at a clock."""

LOCAL_MS = 8 * 3_600_000
MINUTE_MS = 60_000
DAY_MS = 86_400_000
DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES
_EPOCH_DAYS = 3
"""1 January 1970 was a Thursday: three days after a Monday."""


def week_minute(wall_ms: int) -> int:
    """Return the minute of the local week, 0 = Monday 00:00."""
    minutes = (wall_ms + LOCAL_MS) // MINUTE_MS
    return (minutes + _EPOCH_DAYS * DAY_MINUTES) % WEEK_MINUTES


def day_minute(wall_ms: int) -> int:
    """Return the minute of the local day."""
    return week_minute(wall_ms) % DAY_MINUTES


def month_of(wall_ms: int) -> str:
    """Return the local month, `yyyy-mm` (civil calendar from days since 1970)."""
    shifted = (wall_ms + LOCAL_MS) // DAY_MS + 719_468
    era, day = divmod(shifted, 146_097)
    year_day = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    rest = day - (365 * year_day + year_day // 4 - year_day // 100)
    turned = (5 * rest + 2) // 153
    month = turned + 3 if turned < 10 else turned - 9
    return f"{era * 400 + year_day + (month <= 2):04}-{month:02}"
