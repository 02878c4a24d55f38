"""A point's past from the journal, read when somebody asks; loaded late, for it is large."""

from pathlib import Path
from typing import Any

from minewatch.console.api import Curve
from minewatch.console.errors import Refused


def curve_of(folder: Path) -> Curve:
    """Return the history of a state folder's journal."""

    def curve(point: str, hours: int) -> dict[str, Any]:
        raise Refused(503, "no_history")

    return curve
