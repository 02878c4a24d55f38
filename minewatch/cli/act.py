"""`ack`, `silence`, `unshelve`, `withdraw`: what a person at this machine may do without a name.

Acts from here are recorded as `local:<uid>` and never count as a named person; what needs a name
or a second one is done from the page. Exit codes: 69 no daemon, 77 refused with its reasons.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from minewatch.cli import exit_codes
from minewatch.cli.reach import folder_of, lang_option, state_option, texts, unreachable, view_of
from minewatch.client import Reply, UnreachableError, command_now
from minewatch.folder import Folder
from minewatch.text import Catalogue


@click.command()
@click.argument("alarm", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every alarm not acknowledged 全部.")
@state_option
@lang_option
def ack(alarm: tuple[str, ...], everything: bool, state: Path | None, lang: str | None) -> None:
    """Acknowledge alarms; this changes sound only. 确认报警."""
    if bool(alarm) == everything:
        raise click.UsageError("name alarms, or --all 请给出报警编号或 --all")
    say, folder = texts(lang), folder_of(state)
    if everything:
        alarm = tuple(
            ident
            for ident, each in view_of(folder, say).section("alarms").items()
            if each["state"] in {"unacknowledged", "returned"}
        )
    if not alarm:
        click.echo(say.say("act.nothing_to_acknowledge"))
        return
    _act(folder, say, "acknowledge", {"alarms": list(alarm)})


@click.command()
@state_option
@lang_option
def silence(state: Path | None, lang: str | None) -> None:
    """Silence the horn for two minutes; nothing else changes. 消音."""
    _act(folder_of(state), texts(lang), "silence", {})


@click.command()
@click.argument("kind")
@click.argument("source")
@state_option
@lang_option
def unshelve(kind: str, source: str, state: Path | None, lang: str | None) -> None:
    """Let a shelved alarm sound again, such as `pre_alarm 12301_T1`. 取消搁置."""
    _act(folder_of(state), texts(lang), "unshelve", {"alarm_kind": kind, "source": source})


@click.command()
@click.argument("zone", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why, for the record 原因.")
@state_option
@lang_option
def withdraw(zone: tuple[str, ...], reason: str, state: Path | None, lang: str | None) -> None:
    """Order people out of zones, or of `mine`. 撤人."""
    _act(folder_of(state), texts(lang), "withdraw", {"zones": list(zone)}, reason)


def _act(
    folder: Folder, say: Catalogue, kind: str, arguments: Mapping[str, Any], text: str = ""
) -> None:
    try:
        reply = command_now(folder.socket, kind, arguments, text)
    except UnreachableError as error:
        unreachable(say, folder, str(error))
    _answer(say, kind, reply)


def _answer(say: Catalogue, kind: str, reply: Reply) -> None:
    what = say.say(f"command.{kind}")
    if reply.accepted:
        click.echo(say.say("act.accepted", what=what, index=reply.index))
        return
    reasons = "; ".join(_reason(say, each) for each in reply.reasons)
    click.echo(say.say("act.refused", what=what, reasons=reasons), err=True)
    sys.exit(exit_codes.NOT_PERMITTED)


def _reason(say: Catalogue, code: str) -> str:
    """Return a reason in words where the catalogue has them; `code:subject` keeps its subject."""
    word, _, subject = code.partition(":")
    key = f"reason.{word}"
    return f"{say.say(key) if key in say else word} {subject}".strip()
