"""`alarms --since`: how often the alarms of this mine sound, from the record, read only.

The daemon need not run. Exit code 74 where the record cannot be read.
"""

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from rich.console import Console, Group
from rich.table import Table

from minewatch.cli import exit_codes
from minewatch.cli.reach import folder_of, mine_of, name_of
from minewatch.core.alarms.rates import (
    FLOOD_PERCENT_MAX,
    KINDS,
    PEAK_MAX,
    PER_HOUR_MAX,
    Rates,
    rates,
)
from minewatch.model.event import Event
from minewatch.model.mine import Mine
from minewatch.record import RecordError
from minewatch.record.ledger import Ledger
from minewatch.text import Catalogue

HOUR_MS = 3_600_000
SPAN_MIN_MS = 600_000
"""A rate over less than ten minutes says nothing."""

_UNITS_MS = {"m": 60_000, "h": HOUR_MS, "d": 24 * HOUR_MS}
_MARKS = tuple(f'"kind":"{kind}"'.encode() for kind in sorted(KINDS))


class Since(click.ParamType[int]):
    """A time such as `30m`, `12h` or `7d`, as ms."""

    name = "since"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the time in ms."""
        found = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", str(value))
        if found is None:
            self.fail("30m, 12h, 7d", param, ctx)
        return int(found[1]) * _UNITS_MS[found[2]]


def show_rates(
    state: Path | None, say: Catalogue, since_ms: int, operators: int, *, as_json: bool
) -> None:
    """Print the figures of the last `since_ms`."""
    folder = folder_of(state)
    since_wall_ms = int(time.time() * 1000) - since_ms
    try:
        found = rates(_events(folder.root), since_wall_ms)
    except (RecordError, OSError) as error:
        click.echo(say.say("rates.unreadable", why=error), err=True)
        sys.exit(exit_codes.IO_ERROR)
    if as_json:
        click.echo(json.dumps(to_json(found, operators), ensure_ascii=False, indent=2))
    else:
        Console().print(rates_view(found, operators, say, mine_of(folder)))


def to_json(found: Rates, operators: int) -> dict[str, Any]:
    """Return the figures with what follows from them; a rate over too little time is None."""
    hours = found.span_ms / HOUR_MS
    enough = found.span_ms >= SPAN_MIN_MS
    return {
        "hours": round(hours, 2),
        "operators": operators,
        "raised": found.raised,
        "held": found.held,
        "planned": found.planned,
        "per_hour": round(found.raised / hours / operators, 2) if enough else None,
        "peak": found.peak,
        "flood_percent": round(100 * found.flood_ms / found.span_ms, 2) if enough else None,
        "standing": found.standing,
        "stale": found.stale,
        "chattering": [
            {"alarm_kind": each.alarm_kind, "source": each.source, "count": each.count}
            for each in found.chattering
        ],
        "priorities": {str(key): count for key, count in found.priorities.items()},
    }


def rates_view(found: Rates, operators: int, say: Catalogue, mine: Mine | None) -> Group:
    """Return the figures as tables."""
    return Group(_figures(to_json(found, operators), say), _often(found, say, mine))


def _figures(body: dict[str, Any], say: Catalogue) -> Table:
    table = Table(title=say.say("rates.title"))
    for key in ("figure", "value", "target"):
        table.add_column(say.say(f"rates.{key}"))
    targets = {"per_hour": PER_HOUR_MAX, "peak": PEAK_MAX, "flood": FLOOD_PERCENT_MAX}
    shown = {**body, "flood": body["flood_percent"]}
    for key in (
        "hours",
        "raised",
        "held",
        "planned",
        "per_hour",
        "peak",
        "flood",
        "standing",
        "stale",
    ):
        value, target = shown[key], targets.get(key)
        unit = " %" if key == "flood" else ""
        table.add_row(
            say.say(f"rates.{key}"),
            "—" if value is None else f"{value}{unit}",
            "" if target is None else f"≤ {target}{unit}",
            style="red" if target is not None and value is not None and value > target else "",
        )
    for priority, count in body["priorities"].items():
        share = f"{count}  {100 * count // body['raised']} %"
        table.add_row(f"{say.say('rates.priority')} {priority}", share, "")
    return table


def _often(found: Rates, say: Catalogue, mine: Mine | None) -> Table:
    table = Table(title=say.say("rates.chattering"))
    table.add_column(say.say("look.alarm"))
    table.add_column(say.say("look.source"), overflow="fold")
    table.add_column(say.say("rates.count"))
    for each in found.chattering:
        kind = say.say(f"alarm_kind.{each.alarm_kind}")
        table.add_row(kind, name_of(mine, each.source), str(each.count))
    return table


def _events(root: Path) -> Iterator[Event]:
    """Yield the events that the figures are made of; leaves of other kinds are not even parsed."""
    with closing(Ledger.open(root, origin="", writable=False)) as ledger:
        for entry in ledger.all_entries():
            if any(mark in entry.leaf for mark in _MARKS):
                yield Event.from_leaf(json.loads(entry.leaf))
