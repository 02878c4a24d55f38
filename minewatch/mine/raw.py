"""One raw table: what a file says, before anybody knows what it means."""

from dataclasses import dataclass
from typing import Any

from minewatch.mine.locate import Where


@dataclass(frozen=True, slots=True)
class Raw:
    """Keys and values of a `[table]` (`alone`), of one `[[table]]`, or of one CSV row.

    `loose` marks a plain key at the top level, which belongs to no table; `torn` a row that lost
    cells: its id is known, so that references to it are not faults of their own.
    """

    values: dict[str, Any]
    where: Where
    alone: bool = False
    loose: bool = False
    torn: bool = False
