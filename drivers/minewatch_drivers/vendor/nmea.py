"""Date and time from NMEA 0183 sentences, and when they may be believed.

ZDA carries date and time, RMC date, time and validity. A receiver without satellites goes on
telling a time: once it has shown RMC, nothing is believed while RMC says void.
"""

from datetime import UTC, datetime, timedelta

YEAR_MIN = 2026
"""A receiver that counts weeks wrongly is 1024 weeks late: older than this software is wrong."""

YEARS = 60


class TimeSentences:
    """Takes sentences of one receiver; `take` returns the UTC time in ms since 1970 or None."""

    def __init__(self) -> None:
        self.void = False

    def take(self, payload: bytes) -> int | None:
        """Return what time a sentence tells, None where it tells none that may be believed."""
        fields = payload.decode("ascii", "replace").split(",")
        kind = fields[0][2:]
        if kind == "RMC" and len(fields) > 9:
            self.void = fields[2] != "A"
            told = _utc(fields[1], fields[9][0:2], fields[9][2:4], f"20{fields[9][4:6]}")
        elif kind == "ZDA" and len(fields) > 4:
            told = _utc(fields[1], fields[2], fields[3], fields[4])
        else:
            return None
        return None if self.void else told


def _utc(clock: str, day: str, month: str, year: str) -> int | None:
    """Return ms since 1970; None for anything that is no time of this century's age."""
    whole, _, part = clock.partition(".")
    texts = (whole, day, month, year, part or "0")
    if len(whole) != 6 or not all(each.isascii() and each.isdigit() for each in texts):
        return None
    if not YEAR_MIN <= int(year) < YEAR_MIN + YEARS:
        return None
    try:
        at = datetime(
            int(year), int(month), int(day), int(whole[:2]), int(whole[2:4]), tzinfo=UTC
        ) + timedelta(seconds=int(whole[4:]), milliseconds=int(f"{part:0<3}"[:3]))
    except ValueError:
        return None
    if int(whole[4:]) > 60:
        return None
    return int(at.timestamp()) * 1000 + at.microsecond // 1000
