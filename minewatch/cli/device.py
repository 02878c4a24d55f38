"""`device list`, `show`, `test`, `new`: device files, from the first look to the proof.

Exit codes: 1 a file does not hold what its frames say · 74 it cannot be read, or nobody answers ·
78 it is no device file.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from minewatch_drivers.commission import device_check
from minewatch_drivers.commission.device_check import Problem
from minewatch_drivers.commission.examples import ExampleSeen, examples
from minewatch_drivers.commission.live import look
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.device_model import DeviceModel
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table as Grid

from minewatch.cli import exit_codes
from minewatch.cli.bus_door import door_of, line_options, opened
from minewatch.cli.bus_show import look_grid, look_report
from minewatch.cli.device_load import load_model
from minewatch.cli.device_new import new
from minewatch.cli.reach import json_option, lang_option, state_option, texts
from minewatch.model.kind import UNITS, Kind, format_value
from minewatch.model.quality import Quality
from minewatch.text import Catalogue


@click.group()
def device() -> None:
    """Device files: list, show, test, new 设备文件."""


device.add_command(new)


@device.command("list")
@lang_option
@json_option
def list_(lang: str | None, as_json: bool) -> None:
    """List the shipped device files. 设备文件列表."""
    say = texts(lang)
    models = [device_file.load(name) for name in device_file.catalogue()]
    if as_json:
        rows = [{"name": m.name, "category": m.category, "identity": m.identity,
                 "maker": m.maker, "maturity": m.maturity} for m in models]  # fmt: skip
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    grid = Grid(box=SIMPLE, pad_edge=False, padding=(0, 0))
    for key in ("name", "category", "maturity", "identity"):
        grid.add_column(say.say(f"device.{key}"), no_wrap=key != "identity", overflow="fold")
    for model in sorted(models, key=lambda each: (each.category, each.name)):
        grid.add_row(model.name, model.category, model.maturity, model.identity)
    Console().print(grid)


@device.command()
@click.argument("name")
@lang_option
def show(name: str, lang: str | None) -> None:
    """Show a device file by NAME or path: head, traps, signals. 查看设备文件."""
    say = texts(lang)
    model = load_model(name, say)
    console = Console(highlight=False)
    console.print(say.say("device.title", name=model.name, identity=model.identity), style="bold")
    for key, value in (("maker", model.maker), ("maturity", model.maturity),
                       ("source", model.source)):  # fmt: skip
        console.print(f"{say.say(f'device.{key}')}: {value}", markup=False)
    for trap in model.traps:
        console.print(f"! {trap}", markup=False)
    console.print(_signal_grid(model, say))


@device.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--on", "on", nargs=2, metavar="URL UNIT", help="Read the live device too 在线对照.")
@line_options()
@state_option
@lang_option
@json_option
def test(
    file: Path, on: tuple[str, str] | None, timeout_ms: int, listen_s: float | None, foreign: bool,
    state: Path | None, lang: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Hold a device FILE (path or name) against its frames; --on reads a device. 检验."""
    say = texts(lang)
    model = load_model(str(file), say)
    problems = device_check.check(model)
    told = tuple(examples(model.serial)) if model.serial is not None else ()
    wrong = [each for each in told if each.expected != each.found]
    foreigner = False
    report: dict[str, object] = {"model": model.name, "problems": [
        *({"code": each.code, "frame": each.frame, **each.fields} for each in problems),
        *({"code": "example", "frame": each.number, "expected": each.expected,
           "found": each.found} for each in wrong),
    ]}  # fmt: skip
    if not as_json:
        _print_frames(model, problems, told, say)
    if on is not None:
        if not on[1].isdigit() or not 1 <= int(on[1]) <= 255:
            raise click.BadParameter("1-255", param_hint="UNIT")
        door = door_of(say, on[0], state)
        with opened(door, foreign=foreign, listen_s=listen_s, timeout_ms=timeout_ms) as asker:
            seen = look(asker, int(on[1]), model)
        foreigner = seen.identity is False
        report["live"] = look_report(seen)
        if not as_json:
            Console().print(look_grid(seen, say))
        if seen.shown and all(each.error for each in seen.shown):
            _finish(report, exit_codes.IO_ERROR, as_json=as_json)
    failed = bool(problems or wrong or foreigner)
    _finish(report, exit_codes.CHECK_FAILED if failed else exit_codes.OK, as_json=as_json)


def _finish(report: dict[str, object], code: int, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False, indent=2))
    sys.exit(code)


def _signal_grid(model: DeviceModel, say: Catalogue) -> Grid:
    grid = Grid()
    for key in ("bus.signal", "bus.address", "device.kind", "device.range"):
        grid.add_column(say.say(key))
    for name, signal in model.signals.items():
        kind = say.say(f"kind.{signal.kind.value}") if signal.kind else "—"
        span = "—"
        if signal.kind and signal.low is not None and signal.high is not None:
            low, high = (format_value(signal.kind, each) for each in (signal.low, signal.high))
            span = f"{low} … {high} {UNITS[signal.kind].text}".strip()
        where = f"{signal.at.table.value} {signal.at.address} {signal.type.value}"
        grid.add_row(name, where, kind, span)
    for name, channel in model.channels.items():
        losses = " ".join(say.say(f"at_loss.{each.value}") for each in channel.at_loss)
        grid.add_row(name, f"coil {channel.coil}", "—", losses)
    return grid


def _print_frames(
    model: DeviceModel, problems: Sequence[Problem], told: Sequence[ExampleSeen], say: Catalogue
) -> None:
    console = Console(highlight=False)
    console.print(say.say("device.title", name=model.name, identity=model.identity), style="bold")
    grid = Grid()
    for key in ("device.frame", "bus.signal", "device.expected", "device.found"):
        grid.add_column(say.say(key))
    for each in told:
        what = say.say("device.example")
        row = (str(each.number), what, each.expected or "—", each.found or "—")
        grid.add_row(*row, style="" if each.expected == each.found else "red")
    shown: dict[tuple[str, str], dict[str, str]] = {}
    for row in _frame_rows(model, say):
        shown[row[:2]] = {"expected": row[2], "found": row[3]}
        grid.add_row(*row, style="" if row[2] == row[3] else "red")
    if grid.row_count:
        console.print(grid)
    for problem in problems:
        key = f"device_problem.{problem.code}"
        fields = dict(problem.fields)
        if problem.code == "meaning":  # in the unit of the signal, as in the table
            fields |= shown.get((str(problem.frame), str(fields["signal"])), {})
        words = say.say(key, frame=problem.frame, **fields)
        console.print(f"✗ {words}", style="red", markup=False)
    count = len(problems) + sum(each.expected != each.found for each in told)
    if count:
        console.print(say.say("device.problems", count=count), style="bold red")
    else:
        frames = len(model.frames) + len(told)
        console.print(say.say("device.holds", frames=frames), style="bold green")


def _frame_rows(model: DeviceModel, say: Catalogue) -> Iterator[tuple[str, str, str, str]]:
    for number, frame in enumerate(model.frames, 1):
        try:
            answer = device_check.read_answer(model, frame)
        except (ValueError, IndexError):
            continue  # `check` says what is wrong with this frame
        for name, value, quality in frame.expect if answer is not None else ():
            signal = model.signals[name]
            found = device_check.decode_answer(signal, answer) if answer is not None else None
            texts_of = [
                "—" if each is None else _told(signal.kind, *each, say)
                for each in ((value, quality), found)
            ]
            yield str(number), name, texts_of[0], texts_of[1]


def _told(kind: Kind | None, value: int | None, quality: Quality, say: Catalogue) -> str:
    word = say.say(f"quality.{quality.name.lower()}")
    if value is None:
        return word
    return f"{value if kind is None else format_value(kind, value)} {word}"
