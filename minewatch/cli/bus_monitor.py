"""`bus monitor`: every frame of a bus in words, with times; on a serial wire it never transmits.

A bus of a running daemon is heard through the daemon's own tap, a serial wire by listening.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import click
from minewatch_drivers.commission.ask import AskError
from minewatch_drivers.commission.capture import Capture
from minewatch_drivers.commission.frames import Heard, RtuWatcher, Tally, TcpWatcher
from minewatch_drivers.commission.wire import Wire
from minewatch_drivers.modbus_line.inquiry import Traffic
from rich.console import Console
from rich.table import Table as Grid

from minewatch.cli import exit_codes
from minewatch.cli.bus_daemon import DaemonAsker
from minewatch.cli.bus_door import Door, door_of, error_text
from minewatch.cli.reach import json_option, lang_option, state_option, texts
from minewatch.text import Catalogue

TURN_S = 0.25
STYLES = {"exception": "yellow", "late": "magenta", "noise": "red"}
DATA_SHOWN = 24


@click.command()
@click.argument("url")
@click.option("--seconds", type=click.FloatRange(0.1), help="Stop after so long 运行秒数.")
@click.option("--pcap", type=click.Path(dir_okay=False, path_type=Path), help="Capture file 抓包.")
@state_option
@lang_option
@json_option
def monitor(
    url: str, seconds: float | None, pcap: Path | None, state: Path | None, lang: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Show every frame of a bus; on a serial wire it only listens. 监视总线."""
    door = door_of(texts(lang), url, state)
    if not door.running and not door.address.serial:
        door.leave("bus.monitor_tcp", exit_codes.UNREACHABLE)
    tally = Tally()
    with ExitStack() as stack:
        capture = None
        try:
            if pcap is not None:
                file = stack.enter_context(_created(door, pcap))
                capture = Capture(file, serial=door.address.serial)
            _follow(door, _pieces(door, stack, seconds), tally, capture, as_json=as_json)
        except KeyboardInterrupt:
            pass
        except BrokenPipeError:
            sys.exit(exit_codes.OK)  # whoever read our lines has seen enough
        except AskError as error:
            door.failed(error)
        except ConnectionError as error:
            door.leave("bus.daemon_gone", exit_codes.UNREACHABLE, why=error)
        except OSError as error:
            door.closed(error)
    if as_json:
        return
    if tally.units or tally.noise:
        Console().print(_tally_grid(tally, door.say))
    else:
        click.echo(door.say.say("bus.silence"))


def _created(door: Door, pcap: Path) -> BinaryIO:
    """Return a new file for the frames; leave with 74 where it is there or cannot be."""
    try:
        return pcap.open("xb")
    except FileExistsError:
        door.leave("device.exists", exit_codes.IO_ERROR, file=pcap)
    except OSError as error:
        door.leave("bus.cannot_open", exit_codes.IO_ERROR, url=pcap, why=error.strerror)


def _pieces(door: Door, stack: ExitStack, seconds: float | None) -> Iterator[Traffic | None]:
    """Yield what runs, and None in between, until the time is over."""
    until_s = None if seconds is None else time.monotonic() + seconds
    if door.running and door.bus is not None:
        daemon = stack.enter_context(DaemonAsker(door.folder.socket, door.bus.id))
        for piece in daemon.tap(TURN_S):
            yield piece
            if until_s is not None and time.monotonic() >= until_s:
                return
        return
    wire = stack.enter_context(Wire(door.address))
    heard: list[Traffic] = []
    while until_s is None or time.monotonic() < until_s:
        wire.listen(TURN_S, heard.append, enough=1)
        yield from heard
        if not heard:
            yield None
        heard.clear()


def _follow(
    door: Door,
    pieces: Iterator[Traffic | None],
    tally: Tally,
    capture: Capture | None,
    *,
    as_json: bool,
) -> None:
    address = door.address
    watcher: RtuWatcher | TcpWatcher = (
        RtuWatcher(address.silence_us, address.byte_us) if address.serial else TcpWatcher()
    )
    offset_us = time.time_ns() // 1000 - time.monotonic_ns() // 1000
    console = Console(soft_wrap=True, highlight=False)
    for piece in pieces:
        frames = watcher.flush() if piece is None else watcher.take(piece, passive=not door.running)
        for heard in frames:
            tally.note(heard)
            if capture is not None:
                sent = heard.what == "question" if heard.sent is None else heard.sent
                capture.put(heard.t_us + offset_us, heard.data, sent=sent)
            if as_json:
                click.echo(json.dumps(_report(heard)))
            else:
                console.print(_line(heard, door.say), style=STYLES.get(heard.what, ""),
                              markup=False)  # fmt: skip
    for heard in watcher.flush():
        tally.note(heard)


def _report(heard: Heard) -> dict[str, Any]:
    return {
        "t_us": heard.t_us, "gap_us": heard.gap_us, "sent": heard.sent, "what": heard.what,
        "unit": heard.unit, "function": heard.function, "address": heard.address,
        "count": heard.count, "exception": heard.exception, "missing": heard.missing,
        "data": heard.data.hex(),
    }  # fmt: skip


def _line(heard: Heard, say: Catalogue) -> str:
    """Return one frame as a line: time, gap, direction, words, bytes."""
    way = {True: "→", False: "←", None: "→" if heard.what == "question" else "←"}[heard.sent]
    seconds = heard.t_us / 1e6
    head = f"{seconds:12.4f} +{heard.gap_us / 1000:8.1f} ms {way if heard.what != 'noise' else '?'}"
    words = _words(heard, say)
    if heard.missing >= 0:
        words = f"{words}  ({say.say('bus.was_missing', unit=heard.missing)})"
    shown = heard.data[:DATA_SHOWN].hex(" ") + (" …" if len(heard.data) > DATA_SHOWN else "")
    return f"{head} {words}  [{shown}]"


def _words(heard: Heard, say: Catalogue) -> str:
    if heard.what == "noise":
        return say.say("bus.frame_noise", count=len(heard.data))
    function = f"bus_function.{heard.function}"
    name = say.say(function) if function in say else str(heard.function)
    where = "" if heard.address < 0 else f" {heard.address}+{heard.count}"
    if heard.what == "exception":
        name = f"{name}: {error_text(say, f'exception_{heard.exception}')}"
    return say.say(f"bus.frame_{heard.what}", unit=heard.unit, name=name) + where


def _tally_grid(tally: Tally, say: Catalogue) -> Grid:
    grid = Grid(caption=say.say("bus.noise_in_all", count=tally.noise))
    for key in ("unit", "questions", "answers", "exceptions", "missing", "late"):
        grid.add_column(say.say(f"bus.{key}"))
    for unit in tally.units:
        columns = (tally.questions, tally.answers, tally.exceptions, tally.missing, tally.late)
        grid.add_row(str(unit), *(str(column[unit]) for column in columns))
    return grid
