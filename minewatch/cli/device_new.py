"""`device new`: the first device file of an unknown device, from what it lets one read."""

import datetime
import re
from collections.abc import Sequence
from pathlib import Path

import click
from minewatch_drivers.commission.skeleton import Guess, decodings, skeleton
from minewatch_drivers.commission.survey import QUESTIONS_MAX, Range, Survey, guesses
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.device_fields import REGISTERS_MAX
from minewatch_drivers.device_files.device_model import Table
from rich.console import Console
from rich.progress import Progress, TextColumn

from minewatch.cli import exit_codes
from minewatch.cli.bus_door import Door, door_of, line_options, opened
from minewatch.cli.reach import lang_option, state_option, texts

FRAMES_MAX = 8
NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")
PLACE = (click.Choice([each.value for each in Table]), click.IntRange(0, 65535),
         click.IntRange(1, REGISTERS_MAX))  # fmt: skip


@click.command()
@click.argument("name")
@click.option("--from", "source", nargs=2, required=True, metavar="URL UNIT",
              help="The device to look at 现场设备.")  # fmt: skip
@click.option("--questions", type=click.IntRange(10, 5000), default=QUESTIONS_MAX,
              show_default=True, help="At most so many reads 最多询问次数.")  # fmt: skip
@click.option("--single", is_flag=True,
              help="Register by register; finds lone ones, misses pairs 逐个寄存器.")  # fmt: skip
@click.option("--at", "places", nargs=3, multiple=True, metavar="TABLE ADDRESS COUNT", type=PLACE,
              help="Only here, from 0 as on the wire; may be repeated 只读此处.")  # fmt: skip
@line_options()
@state_option
@lang_option
def new(
    name: str, source: tuple[str, str], questions: int, single: bool,
    places: tuple[tuple[str, int, int], ...], timeout_ms: int,
    listen_s: float | None, foreign: bool, state: Path | None, lang: str | None,
) -> None:  # fmt: skip
    """Write NAME.toml here from what a live device lets one read. 从现场设备生成文件."""
    say = texts(lang)
    if not NAME.fullmatch(name):
        raise click.BadParameter(say.say("device.bad_name", name=name), param_hint="NAME")
    if not source[1].isdigit() or not 1 <= int(source[1]) <= 255:
        raise click.BadParameter("1-255", param_hint="UNIT")
    door, unit = door_of(say, source[0], state), int(source[1])
    if name in device_file.catalogue():
        door.leave("device.shadow", exit_codes.CONFIGURATION, name=name)
    path = Path(f"{name}.toml")
    if path.exists():
        door.leave("device.exists", exit_codes.IO_ERROR, file=path)
    with opened(door, foreign=foreign, listen_s=listen_s, timeout_ms=timeout_ms) as asker:
        at = [(Table(table), first, count) for table, first, count in places]
        survey = Survey(asker, unit, lambda *_: None, questions, single, at)
        found = _run(door, survey)
    if not found:
        code = "device.mute" if survey.mute else "device.nothing"
        door.leave(code, exit_codes.IO_ERROR, unit=unit, questions=survey.questions)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text_of(name, found))
    except OSError as error:
        door.leave("device.unreadable", exit_codes.IO_ERROR, file=path, why=error.strerror)
    click.echo(say.say("device.written", file=path, ranges=len(found), questions=survey.questions))
    if not survey.complete:
        click.echo(say.say("device.incomplete"), err=True)
    click.echo(say.say("device.next", file=path))


def _run(door: Door, survey: Survey) -> list[Range]:
    """Run the survey behind a line that says what is asked; Ctrl-C keeps what was found."""
    console = Console(stderr=True)
    found: list[Range] = []
    with Progress(TextColumn("{task.description}"), console=console,
                  disable=not console.is_terminal) as bars:  # fmt: skip
        bar = bars.add_task("", total=None)

        def tell(number: int, table: Table) -> None:
            words = door.say.say("device.surveying", table=table.value, number=number)
            bars.update(bar, description=words)

        survey.tell = tell
        try:
            for each in survey.run():
                found.append(each)
        except KeyboardInterrupt:
            survey.complete = False
    return found


def text_of(name: str, found: Sequence[Range]) -> str:
    """Return the device file: guesses as signals, all that was read as comments, the frames."""
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    source = f"read from the device on {today}"
    guessed = [guess for each in found for guess in guesses(each)] or [_first(found[0])]
    frames = [(each.asked, each.told) for each in found[:FRAMES_MAX]]
    text = skeleton(name, "?", source, frames, guessed)
    text = text.replace('source = "read from the device"', f'source = "{source}"')
    text = re.sub(r'^(?:kind|low|high) = ""\n', "", text, flags=re.MULTILINE)
    text = re.sub(
        r'^\[signals\."?([^"\]]+)"?\]$',
        "# name, kind and range are guesses: compare with the display of the device\n\\g<0>",
        text,
        flags=re.MULTILINE,
    )
    return _comments(found) + text


def _first(found: Range) -> Guess:
    """Return a signal for a device whose registers were all 0, so that the file loads."""
    return guesses(Range(found.table, found.first, (1, *found.words[1:]), b"", b""))[0]


def _comments(found: Sequence[Range]) -> str:
    """Return what was read, range by range, each word with what it could mean."""
    lines = ["# What the device let us read, and what each word could mean:"]
    for each in found:
        last = each.first + len(each.words) - 1
        lines.append(f"# {each.table.value} {each.first}-{last}")
        if each.table.bits:
            lines.append("#   " + "".join(str(bit) for bit in each.words))
            continue
        told: dict[int, list[str]] = {}
        for one in decodings(each.first, each.words):
            order = " low_first" if one.low_word_first else ""
            told.setdefault(one.address, []).append(f"{one.type.value}{order} {one.text}")
        for address, texts_of in told.items():
            if each.words[address - each.first]:
                lines.append(f"#   {address}: {', '.join(texts_of)}")
    return "\n".join(lines) + "\n\n"
