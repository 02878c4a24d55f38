"""`verify` and `replay`: is the record whole, and would the same be decided again?

Exit codes: 0 sound or equal · 1 something was found or differs · 74 nothing could be read.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import Progress

from minewatch.cli import exit_codes
from minewatch.cli.reach import json_option, lang_option, texts
from minewatch.mine import load
from minewatch.model.mine import Mine
from minewatch.record import RecordError
from minewatch.record.findings import Finding, Report
from minewatch.text import Catalogue

if TYPE_CHECKING:
    from minewatch.replay.again import Comparison

FOUND_MAX = 50
"""Findings printed; `--json` has all of them."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--checkpoints",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Checkpoints that left the mine earlier 以前送出的检查点文件.",
)
@click.option("--key", help="Verifier key that you already trust 可信的校验公钥.")
@lang_option
@json_option
def verify(
    folder: Path, checkpoints: Path | None, key: str | None, lang: str | None, as_json: bool
) -> None:
    """Check ledger and journal of a state FOLDER or a copy of it. 校验记录."""
    from minewatch.record.verify import verify as check  # noqa: PLC0415  not needed by `replay`

    say = texts(lang)
    try:
        with _progress(say, quiet=as_json) as tell:
            report = check(folder, checkpoints, key=key, progress=tell)
    except OSError as error:
        click.echo(say.say("verify.unreadable", why=error), err=True)
        sys.exit(exit_codes.IO_ERROR)
    if as_json:
        click.echo(json.dumps(report.to_json(), ensure_ascii=False, indent=2))
    else:
        _print_report(report, say)
    sys.exit(exit_codes.OK if report.sound else exit_codes.CHECK_FAILED)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--run", "run_id", help="Run to replay; the newest by default 运行编号.")
@click.option(
    "--config",
    type=click.Path(exists=True, path_type=Path),
    help="What this configuration would have decided 用另一份配置重算.",
)
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Draw it as an SVG sheet (with --config) 画成一张图.",
)
@lang_option
@json_option
def replay(
    folder: Path,
    run_id: str | None,
    config: Path | None,
    picture: Path | None,
    lang: str | None,
    as_json: bool,
) -> None:
    """Run the recorded inputs of a state FOLDER again and compare. 重放记录."""
    say = texts(lang)
    if picture is not None and config is None:
        raise click.UsageError(say.say("what_if.picture_of_what"))
    other = _other(config, say)
    try:
        equal = (
            _again(folder, run_id, say, as_json=as_json)
            if other is None
            else _what_if(folder, run_id, other, say, picture, as_json=as_json)
        )
    except (RecordError, OSError) as error:
        click.echo(say.say("verify.unreadable", why=error), err=True)
        sys.exit(exit_codes.IO_ERROR)
    sys.exit(exit_codes.OK if equal else exit_codes.CHECK_FAILED)


def _again(folder: Path, run_id: str | None, say: Catalogue, *, as_json: bool) -> bool:
    from minewatch.replay.again import replay as again  # noqa: PLC0415  loads the core

    with _progress(say, quiet=as_json) as tell:
        found = again(folder, run_id, partial(tell, "replay"))
    if as_json:
        click.echo(json.dumps(found.to_json(), ensure_ascii=False, indent=2))
    else:
        _print_comparison(found, say)
    return found.equal


def _what_if(
    folder: Path,
    run_id: str | None,
    other: Mine,
    say: Catalogue,
    sheet: Path | None,
    *,
    as_json: bool,
) -> bool:
    from minewatch.cli.what_if import print_what_if  # noqa: PLC0415  loads the core
    from minewatch.replay.picture import picture  # noqa: PLC0415  loads the core
    from minewatch.replay.what_if import what_if  # noqa: PLC0415  loads the core

    with _progress(say, quiet=as_json) as tell:
        found = what_if(folder, other, run_id, partial(tell, "replay"))
    if as_json:
        click.echo(json.dumps(found.to_json(), ensure_ascii=False, indent=2))
    else:
        print_what_if(found, say)
    if sheet is not None:
        sheet.write_text(picture(found, say), "utf-8")
        click.echo(say.say("what_if.drawn", file=sheet), err=True)
    return found.equal


def _other(config: Path | None, say: Catalogue) -> Mine | None:
    if config is None:
        return None
    loaded = load(config)
    if loaded.mine is None:
        click.echo(say.say("verify.other_refused", config=config), err=True)
        sys.exit(exit_codes.CONFIGURATION)
    return loaded.mine


@contextmanager
def _progress(say: Catalogue, *, quiet: bool) -> Iterator[Any]:
    """Give a callback (what, done, total) that moves a bar on a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, disable=quiet or not console.is_terminal) as bars:
        tasks = {
            what: bars.add_task(say.say(f"verify.{what}"), total=None, visible=False)
            for what in ("ledger", "journal", "replay")
        }

        def tell(what: str, done: int, total: int) -> None:
            bars.update(tasks[what], completed=done, total=total or None, visible=True)

        yield tell


def _print_report(report: Report, say: Catalogue) -> None:
    console = Console()
    for each in report.findings[:FOUND_MAX]:
        console.print(_finding(each, say), style="bold red", markup=False, highlight=False)
    if len(report.findings) > FOUND_MAX:
        console.print(say.say("verify.more", count=len(report.findings) - FOUND_MAX))
    console.print(
        say.say(
            "verify.looked_at",
            origin=report.origin,
            size=report.size,
            covered=report.covered,
            checkpoints=report.checkpoints,
            chunks=report.chunks,
            unsealed=report.unsealed_chunks,
        ),
        markup=False,
        highlight=False,
    )
    if report.sound:
        console.print(say.say("verify.sound"), style="bold green")
    else:
        console.print(say.say("verify.not_sound", count=len(report.findings)), style="bold red")


def _finding(finding: Finding, say: Catalogue) -> str:
    place = {key: "—" if value is None else value for key, value in finding.place.items()}
    near_ms = place.pop("near_ms", 0)
    if isinstance(near_ms, int) and near_ms:
        near = datetime.fromtimestamp(near_ms / 1000).astimezone().isoformat(timespec="seconds")
        place["near"] = say.say("verify.near", time=near)
    if "start" in place:
        place["at"] = say.say("verify.bytes", start=place["start"], end=place.get("end", ""))
    return say.say(f"verify.{finding.code}", **{"near": "", "reason": "", "at": "", **place})


def _print_comparison(found: "Comparison", say: Catalogue) -> None:
    console = Console()
    seconds = max(found.seconds, 0.001)
    console.print(
        say.say(
            "verify.replayed",
            run=found.run,
            cycles=found.cycles,
            events=found.events,
            chunks=found.chunks,
            plant_s=found.plant_ms // 1000,
            seconds=f"{seconds:.1f}",
            speed=f"{found.plant_ms / 1000 / seconds:.0f}",
        ),
        markup=False,
        highlight=False,
    )
    if found.hole is not None:
        console.print(say.say("verify.hole", first=found.hole[0], last=found.hole[1]))
    apart = found.difference
    if apart is None:
        console.print(say.say("verify.equal"), style="bold green")
        return
    console.print(say.say("verify.differs", cycle=apart.cycle, index=apart.index), style="bold red")
    for key, leaf in (("recorded", apart.recorded), ("again", apart.replayed)):
        if leaf:
            console.print(
                say.say(f"verify.{key}", leaf=leaf), markup=False, highlight=False, soft_wrap=True
            )
