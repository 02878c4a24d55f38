"""`calibrate`, `notice`, `bypass`: which acts that take a head's word away stand, and until when.

They look and change nothing: such acts need a named person, most a second one, and are given on the
page. Exit codes: 69 where no daemon answers.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.console import Console
from rich.table import Table

from minewatch.cli.reach import (
    folder_of,
    json_option,
    lang_option,
    mine_of,
    name_of,
    state_option,
    texts,
    view_of,
)
from minewatch.client import Frame
from minewatch.text import Catalogue

SECTIONS = {
    "calibrate": ("calibrations", "head_works", "warm_ups", "due"),
    "notice": ("notices",),
    "bypass": ("bypasses", "hand_covers"),
}
"""Which sections of the frame each verb shows."""

MINUTE_MS = 60_000


class Row(NamedTuple):
    """One act that stands: what, where, whose, until when on the frame's clock, and its state."""

    what: str
    places: tuple[str, ...]
    by: str
    until_ms: int
    state: str


@click.command()
@state_option
@lang_option
@json_option
def calibrate(state: Path | None, lang: str | None, as_json: bool) -> None:
    """Heads in calibration, moved, warming up, and what is due. 标校、移设、到期."""
    _show("calibrate", state, lang, as_json=as_json)


@click.command()
@state_option
@lang_option
@json_option
def notice(state: Path | None, lang: str | None, as_json: bool) -> None:
    """Planned work: announced, acknowledged, running. 报备."""
    _show("notice", state, lang, as_json=as_json)


@click.command()
@state_option
@lang_option
@json_option
def bypass(state: Path | None, lang: str | None, as_json: bool) -> None:
    """Heads out of service and heads covered by hand. 停用、人工监测."""
    _show("bypass", state, lang, as_json=as_json)


def _show(verb: str, state: Path | None, lang: str | None, *, as_json: bool) -> None:
    say, folder = texts(lang), folder_of(state)
    frame = view_of(folder, say)
    sections = {name: frame.section(name) for name in SECTIONS[verb]}
    if as_json:
        click.echo(json.dumps(sections, ensure_ascii=False, sort_keys=True, indent=2))
        return
    mine = mine_of(folder)
    table = Table(title=say.say(f"command.{verb}"))
    for column in ("what", "place", "by", "left", "state"):
        table.add_column(say.say(f"open_act.{column}"))
    for row in rows(sections):
        table.add_row(
            say.say(row.what),
            ", ".join(name_of(mine, each) for each in row.places),
            row.by,
            _left(frame, row.until_ms, say),
            say.say(f"open_act.{row.state}") if row.state else "",
        )
    Console().print(table)
    click.echo(say.say("open_act.on_the_page"))


def rows(sections: Mapping[str, Mapping[str, Any]]) -> Iterable[Row]:
    """Yield the acts of these sections of a frame in their order."""
    for name, section in sections.items():
        for key, each in section.items():
            if name == "notices":
                yield _work(each)
            elif name == "due":
                state = "overdue" if each["overdue"] else "due"
                what = f"open_act.{each['test']}"
                yield Row(what, (each["source"],), "", each["due_ms"], state)
            else:
                yield Row(f"open_act.{name}", (key,), each.get("by", ""), each["until_ms"], "")


def _work(each: Mapping[str, Any]) -> Row:
    told = each["acknowledged"] or each["called"]
    state = "running" if each["started_by"] else "may_start" if told else "not_acknowledged"
    places = (*each["zones"], *each["points"])
    return Row(f"work.{each['work']}", places, each["by"], each["until_ms"], state)


def _left(frame: Frame, until_ms: int, say: Catalogue) -> str:
    """Return how many minutes are left, rounded down, or since when it is over."""
    minutes = (until_ms - int(frame.body["t_ms"])) // MINUTE_MS
    return say.say("open_act.minutes", minutes=minutes)
