"""What the verbs that speak to a running daemon share: where it is, in which language to answer."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from minewatch.cli import exit_codes
from minewatch.client import Frame, UnreachableError, frame_now
from minewatch.folder import Folder, default_folder
from minewatch.model.kind import UNITS, format_value
from minewatch.model.mine import Mine
from minewatch.text import Catalogue

Verb = TypeVar("Verb", bound=Callable[..., Any])


def state_option(verb: Verb) -> Verb:
    """Add `--state`."""
    return click.option("--state", type=click.Path(path_type=Path), help="State folder 状态目录.")(
        verb
    )


def lang_option(verb: Verb) -> Verb:
    """Add `--lang`."""
    return click.option("--lang", help="zh-CN or en 语言; default by LANG.")(verb)


def json_option(verb: Verb) -> Verb:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON 输出 JSON.")(verb)


def texts(lang: str | None) -> Catalogue:
    """Return the catalogue of `--lang`, else English where LANG says so, else Chinese."""
    if lang is None:
        lang = "en" if os.environ.get("LANG", "").startswith("en") else "zh-CN"
    try:
        return Catalogue.load(lang)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--lang") from error


def folder_of(state: Path | None) -> Folder:
    """Return the state folder of `--state`, else this machine's."""
    return Folder(state or default_folder())


def view_of(folder: Folder, say: Catalogue, *, people: bool = False) -> Frame:
    """Return the daemon's view; leave with 69 where there is none."""
    try:
        return frame_now(folder.socket, people=people)
    except UnreachableError as error:
        unreachable(say, folder, str(error))


def unreachable(say: Catalogue, folder: Folder, why: str) -> NoReturn:
    """Say that no daemon answers and leave with 69."""
    click.echo(say.say("look.unreachable", socket=folder.socket, why=why), err=True)
    sys.exit(exit_codes.UNREACHABLE)


def mine_of(folder: Folder) -> Mine | None:
    """Return the active configuration for names and units, None where it cannot be read."""
    try:
        return folder.active_mine()
    except (OSError, ValueError):
        return None


def name_of(mine: Mine | None, ident: str) -> str:
    """Return the name of a point, output, zone, reader or person; its id where it has none."""
    if mine is not None:
        for lookup in (mine.point, mine.output, mine.zone, mine.reader):
            try:
                return lookup(ident).name
            except KeyError:
                continue
        person = mine.person(ident)
        if person is not None:
            return f"{person.code} {person.name}"
    return ident


def span_text(lo: int | None, hi: int | None) -> str:
    """Return a headcount as lo–hi; without an upper bound it is at least lo."""
    if hi is None:
        return "?" if lo is None else f"≥ {lo}"
    return str(lo) if lo == hi else f"{lo}–{hi}"


def value_text(mine: Mine | None, source: str, value: int | None) -> str:
    """Return a value with its unit, as the kind of its source prints it."""
    if value is None:
        return ""
    try:
        kind = mine.point(source).kind if mine is not None else None
    except KeyError:
        kind = None
    return str(value) if kind is None else f"{format_value(kind, value)} {UNITS[kind].text}".strip()
