"""`bus scan`: units, speed and parity of a bus, and which device file each unit fits."""

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from minewatch_drivers.address import PARITIES, Address
from minewatch_drivers.commission import scan as scanning
from minewatch_drivers.commission.ask import Asker
from minewatch_drivers.commission.scan import Found, Left, Probe, Step
from minewatch_drivers.commission.wire import Wire
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.device_model import DeviceModel
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as Grid

from minewatch.cli import exit_codes
from minewatch.cli.bus_door import (
    Door,
    door_of,
    error_text,
    line_options,
    listen_first,
    opened,
)
from minewatch.cli.device_load import load_model
from minewatch.cli.reach import json_option, lang_option, state_option, texts
from minewatch.text import Catalogue

BAUDS = (9600, 4800, 19200, 2400, 115200)
UNITS = "1-247"
FITS_SHOWN = 3
TIMEOUT_MS = 150
"""Slower devices show as `late` where they answer at all."""


@click.command()
@click.argument("url")
@click.option("--units", default=UNITS, show_default=True, help="As 1-32,100 站号.")
@click.option("--bauds", help="Speeds to try 波特率; else the url's, 9600,4800,19200,2400,115200.")
@click.option("--parity", help="Parities to try 校验; else the url's, then N,E,O.")
@click.option("--models", help="Device files to try; all by default 设备文件.")
@click.option("--slow", is_flag=True, help="Through the daemon that polls it 经守护进程慢扫.")
@click.option("--thorough", is_flag=True, help="Ask for inputs and coils too 多种询问.")
@line_options(TIMEOUT_MS)
@state_option
@lang_option
@json_option
def scan(
    url: str, units: str, bauds: str | None, parity: str | None, models: str | None, slow: bool,
    thorough: bool, timeout_ms: int, listen_s: float | None, foreign: bool,
    state: Path | None, lang: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Find who is on a bus; only harmless reads. Ctrl-C shows what was found. 扫描总线."""
    door = door_of(texts(lang), url, state)
    asked = _numbers(units, 1, 247, "--units")
    own = door.address
    speeds = _numbers(bauds, 300, 4_000_000, "--bauds") if bauds else (own.baud, *BAUDS)
    named = (own.parity,) if "parity=" in url else ()
    parities = _parities(parity) if parity else (*named, *PARITIES)
    settings = scanning.settings_of(own, dict.fromkeys(speeds), dict.fromkeys(parities))
    if door.running:
        if not slow:
            door.leave("bus.scan_disturbs", exit_codes.NOT_PERMITTED)
        settings = (door.address,)
    tried, known = _models(door, models)
    found: list[Found] = []
    left: list[Left] = []
    whole = True

    @contextmanager
    def open_wire(address: Address) -> Iterator[Asker]:
        if door.running:
            with opened(door, foreign=False, listen_s=None, timeout_ms=timeout_ms) as daemon:
                yield daemon
            return
        with Wire(address, timeout_ms) as wire:
            if address == settings[0]:
                listen_first(door, wire, foreign=foreign, listen_s=listen_s)
            yield wire

    try:
        meant = tried if models else ()
        questions = scanning.questions(known, meant, thorough=thorough)
        steps = scanning.scan(settings, asked, questions, tried, known, open_wire)
        _follow(steps, found, left, door.say, quiet=as_json)
    except KeyboardInterrupt:
        whole = False
    except OSError as error:
        door.closed(error)
    _print(door, found, left, whole=whole, as_json=as_json)
    sys.exit(exit_codes.OK if found else exit_codes.CHECK_FAILED)


def _follow(
    steps: Iterator[Step], found: list[Found], left: list[Left], say: Catalogue, *, quiet: bool
) -> None:
    """Run the scan behind a progress bar; what is found is kept as it comes."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as bars:
        bar = bars.add_task("")
        for step in steps:
            if isinstance(step, Probe):
                label = say.say("bus.asking", baud=step.baud, parity=step.parity, unit=step.unit)
                bars.update(bar, completed=step.done, total=step.total, description=label)
            elif isinstance(step, Found):
                found.append(step)
                if not quiet:
                    bars.console.print(say.say("bus.found", unit=step.unit), highlight=False)
            else:
                left.append(step)


def _print(
    door: Door, found: Sequence[Found], left: Sequence[Left], *, whole: bool, as_json: bool
) -> None:
    say = door.say
    any_unit = any(each.any_unit for each in found)
    units = [each for each in found if not each.any_unit]
    if as_json:
        rows = [_report(each, door) for each in units]
        body = {"units": rows, "any_unit": any_unit, "complete": whole,
                "noise": [dataclasses.asdict(setting) for setting in left]}  # fmt: skip
        click.echo(json.dumps(body, ensure_ascii=False, indent=2))
        return
    if not whole:
        click.echo(say.say("bus.interrupted"))
    if any_unit:
        click.echo(say.say("bus.any_unit"))
    for setting in left:
        click.echo(say.say("bus.only_noise", baud=setting.baud, parity=setting.parity))
    if not units:
        click.echo(say.say("bus.nobody"))
        return
    grid = Grid()
    for key in ("unit", "setting", "answered", "fits"):
        grid.add_column(say.say(f"bus.{key}"))
    for each in units:
        grid.add_row(str(each.unit), _setting(each.address), _answer(each, say), _fits(each, say))
    Console().print(grid)


def _report(each: Found, door: Door) -> dict[str, object]:
    return {
        "unit": each.unit,
        "baud": each.address.baud if each.address.path else None,
        "parity": each.address.parity if each.address.path else None,
        "url": _url(each.address) if each.address.path else door.url,
        "answer": each.answer,
        "fits": [dataclasses.asdict(fit) for fit in each.fits],
    }


def _url(address: Address) -> str:
    stop = f"&stop={address.stop_bits}" if address.stop_bits != 1 else ""
    return f"rtu://{address.path}?baud={address.baud}&parity={address.parity}{stop}"


def _setting(address: Address) -> str:
    return f"{address.baud} 8{address.parity}{address.stop_bits}" if address.path else "TCP"


def _answer(each: Found, say: Catalogue) -> str:
    if each.answer in ("value", "late"):
        return say.say(f"bus.answer_{each.answer}")
    return error_text(say, each.answer)


def _fits(each: Found, say: Catalogue) -> str:
    told = [
        f"{fit.model} — " + say.say(f"bus.fit_{fit.reason}", good=fit.good, count=fit.count)
        for fit in each.fits[:FITS_SHOWN]
    ]
    return "\n".join(told) or "—"


def _models(
    door: Door, names: str | None
) -> tuple[tuple[DeviceModel, ...], tuple[DeviceModel, ...]]:
    """Return the device files to try and all that may forbid reads; leave where one is wrong."""
    known = tuple(load_model(name, door.say) for name in device_file.catalogue())
    if names is None:
        return known, known
    tried = tuple(load_model(name.strip(), door.say) for name in names.split(","))
    return tried, (*known, *tried)


def _numbers(text: str, low: int, high: int, option: str) -> tuple[int, ...]:
    """Return the numbers of `1-32,100`, in order and once each."""
    found: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.strip().partition("-")
            if not low <= int(first) <= int(last or first) <= high:
                raise ValueError(part)
            found += range(int(first), int(last or first) + 1)
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {low}-{high}", param_hint=option) from error
    return tuple(dict.fromkeys(found))


def _parities(text: str) -> tuple[str, ...]:
    found = tuple(part.strip().upper() for part in text.split(","))
    if not set(found) <= set(PARITIES):
        raise click.BadParameter(f"{text!r}: N,E,O", param_hint="--parity")
    return tuple(dict.fromkeys(found))
