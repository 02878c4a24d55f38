"""The table of points as JSON text: the one part of a frame that is large and changes every second.

The text says exactly what `core.view.view` shows in `points`; it is put together by hand because
20 000 entries a second are too many for a general encoder.
"""

import json
from collections.abc import Iterable
from functools import lru_cache

from minewatch.core.readings.points import NEVER_MS, Live
from minewatch.core.shelves import Shelves
from minewatch.model.quality import Quality

_NAMES = tuple(quality.name for quality in Quality)
"""Names by number: an enumeration answers slowly."""


class Spelled(str):
    """JSON text that goes into a line as it is."""

    __slots__ = ()


def spell_points(live: Shelves[Live]) -> Spelled:
    """Return the whole table."""
    return Spelled(
        f"{{{','.join(_entries(each for part in live.shelves.values() for each in part.items()))}}}"
    )


def changed_points(before: Shelves[Live], now: Shelves[Live]) -> Spelled | None:
    """Return the entries of points that were read since `before`, null for those that are gone.

    None where there is none. A point that was not touched is the same object still.
    """
    moved, gone = now.changed(before)
    entries = _entries(moved)
    entries += [f"{_quoted(point)}:null" for point in gone]
    return Spelled(f"{{{','.join(entries)}}}") if entries else None


def _entries(items: Iterable[tuple[str, Live]]) -> list[str]:
    entries = []
    for point, live in items:
        value, _, quality, sampled_ms, level, last, *_ = live
        entries.append(
            f'{_quoted(point)}:{{"value":{"null" if value is None else value},'
            f'"quality":"{_NAMES[quality]}",'
            f'"sampled_ms":{"null" if sampled_ms == NEVER_MS else sampled_ms},'
            f'"last":{"null" if last is None else last},"level":{level}}}'
        )
    return entries


@lru_cache(maxsize=65_536)
def _quoted(point: str) -> str:
    return json.dumps(point, ensure_ascii=False)
