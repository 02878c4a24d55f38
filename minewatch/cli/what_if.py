"""How a what-if is said in a terminal: limits that changed, a table of what would have differed."""

from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from minewatch.model.kind import format_value
from minewatch.replay.episodes import Matter, Subject, Tally
from minewatch.replay.what_if import LimitChange, Row, WhatIf
from minewatch.text import Catalogue

ROWS_MAX = 60
"""Rows printed of each table; `--json` has all of them."""


def print_what_if(found: WhatIf, say: Catalogue) -> None:
    """Print what another configuration would have decided."""
    console = Console()
    seconds = max(found.seconds, 0.001)
    plant_s = (found.end_ms - found.first_ms) // 1000
    figures = {"seconds": f"{seconds:.1f}", "speed": f"{plant_s / seconds:.0f}"}
    said = say.say(
        "what_if.looked_at", run=found.run, cycles=found.cycles, plant_s=plant_s, **figures
    )
    console.print(said, markup=False, highlight=False)
    if found.hole is not None:
        console.print(say.say("verify.hole", first=found.hole[0], last=found.hole[1]))
    if found.limits:
        console.print(_limits(found, say))
    rows = found.rows()
    if not rows:
        console.print(say.say("what_if.equal"), style="bold green")
    else:
        console.print(_differences(found, rows, say))
        _note_more(console, len(rows), say)
    acts = {
        "without": found.without_object,
        "recorded": found.recorded.refused,
        "other": found.calculated.refused,
    }
    console.print(say.say("what_if.acts", **acts), markup=False, highlight=False)
    console.print(say.say("what_if.assumes"), style="dim", markup=False, highlight=False)


def _note_more(console: Console, count: int, say: Catalogue) -> None:
    if count > ROWS_MAX:
        console.print(say.say("verify.more", count=count - ROWS_MAX))


def _limits(found: WhatIf, say: Catalogue) -> Table:
    table = Table(title=say.say("what_if.limits"), title_justify="left", title_style="bold")
    for name in ("point", "limit", "recorded", "other"):
        table.add_column(say.say(f"what_if.{name}"), justify="right" if "r" in name[:1] else "left")
    for change in found.limits[:ROWS_MAX]:
        table.add_row(
            _name(found, change.point),
            say.say(f"limit.{change.name}"),
            _printed(found, change, change.recorded),
            _printed(found, change, change.other),
        )
    return table


def _printed(found: WhatIf, change: LimitChange, value: int | None) -> str:
    return "—" if value is None else format_value(found.mine.point(change.point).kind, value)


def _differences(found: WhatIf, rows: list[Row], say: Catalogue) -> Table:
    table = Table(title=say.say("what_if.differences"), title_justify="left", title_style="bold")
    table.add_column(say.say("what_if.matter"))
    table.add_column(say.say("what_if.source"))
    for world in ("recorded", "other"):
        for name in ("count", "total", "first"):
            title = f"{say.say(f'what_if.{world}')}\n{say.say(f'what_if.{name}')}"
            table.add_column(title, justify="right")
    for row in rows[:ROWS_MAX]:
        figures = (*_figures(found, row.recorded), *_figures(found, row.other))
        table.add_row(_matter(row.subject, say), _name(found, row.subject.source), *figures)
    return table


def _matter(subject: Subject, say: Catalogue) -> Text:
    what = say.say(f"what_if.{subject.matter}")
    if subject.matter is Matter.ALARM:
        return Text(f"{what} {say.say(f'alarm_kind.{subject.kind}')}")
    return Text(what, style="bold red")


def _figures(found: WhatIf, world: Tally) -> tuple[str, str, str]:
    if world.first_ms is None:
        return "0", "—", "—"
    wall_ms = found.wall_ms + world.first_ms - found.first_ms
    moment = datetime.fromtimestamp(wall_ms / 1000).astimezone()
    minutes, rest_s = divmod(round(world.total_ms / 1000), 60)
    return str(world.count), f"{minutes}:{rest_s:02}", f"{moment:%m-%d %H:%M:%S}"


def _name(found: WhatIf, source: str) -> str:
    """Return an id with the name that people know, where it has one."""
    for mine in (found.mine, found.other):
        for group in (mine.points, mine.outputs, mine.zones):
            for each in group:
                if each.id == source:
                    return f"{each.id} {each.name}"
    return source
