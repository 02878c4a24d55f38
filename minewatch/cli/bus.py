"""`bus read`, `write`, `scan`, `monitor`: what is on a wire, for the engineer who connects it.

Exit codes: 69 the daemon went away · 74 no port or no answer · 77 not permitted (another master, a
rule of a device file, an output of ours) · 1 a write that does not read back.
"""

import json
import sys
import time
from contextlib import suppress
from pathlib import Path

import click
from minewatch_drivers.commission.ask import Asker, AskError, read_block
from minewatch_drivers.commission.live import look
from minewatch_drivers.commission.permit import refusal, refusal_of_model
from minewatch_drivers.device_files.device_model import DeviceModel, Table
from minewatch_drivers.wire import modbus
from rich.console import Console

from minewatch.cli import exit_codes
from minewatch.cli.bus_door import Door, door_of, line_options, opened
from minewatch.cli.bus_monitor import monitor
from minewatch.cli.bus_scan import scan
from minewatch.cli.bus_show import bits_grid, look_grid, look_report, words_grid, words_report
from minewatch.cli.device_load import load_model
from minewatch.cli.reach import json_option, lang_option, state_option, texts

READ_TABLES = click.Choice([table.value for table in Table])
WRITE_TABLES = click.Choice([Table.COIL.value, Table.HOLDING.value])
COUNT_MAX = {True: 2000, False: 125}
WRITE_MAX = 64


@click.group()
def bus() -> None:
    """Look at a bus and the devices on it 总线调试: scan, read, write, monitor."""


bus.add_command(scan)
bus.add_command(monitor)


@bus.command()
@click.argument("url")
@click.argument("unit", type=click.IntRange(1, 255))
@click.argument("table", type=READ_TABLES, required=False)
@click.argument("address", type=click.IntRange(0, 65535), required=False)
@click.argument("count", type=click.IntRange(1, 2000), default=8)
@click.option("--model", help="Show the signals of this device file instead 按设备文件解码.")
@click.option("--all", "everything", is_flag=True, help="Implausible meanings too 全部解释.")
@click.option("--watch", "every_s", type=click.FloatRange(0.2, 3600), help="Repeat 每隔秒数重复.")
@click.option("--times", type=click.IntRange(1), help="End after so many 次数.")
@line_options()
@state_option
@lang_option
@json_option
def read(
    url: str, unit: int, table: str | None, address: int | None, count: int, model: str | None,
    everything: bool, every_s: float | None, times: int | None, timeout_ms: int,
    listen_s: float | None, foreign: bool, state: Path | None, lang: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Read UNIT's COUNT addresses of TABLE from ADDRESS, and what they could mean. 读寄存器."""
    door = door_of(texts(lang), url, state)
    if (model is None) == (table is None) or (table is not None and address is None):
        raise click.UsageError(door.say.say("bus.table_or_model"))
    known = load_model(model, door.say) if model else None
    wanted = Table(table) if table else Table.HOLDING
    if count > COUNT_MAX[wanted.bits] or (address or 0) + count > 0x10000:
        raise click.BadParameter(door.say.say("bus.count"), param_hint="COUNT")
    rounds = times or (1 if every_s is None else None)
    with suppress(KeyboardInterrupt), opened(
        door, foreign=foreign, listen_s=listen_s, timeout_ms=timeout_ms
    ) as asker:  # fmt: skip
        while rounds is None or rounds > 0:
            _show(door, asker, unit, known or (wanted, address or 0, count), as_json, everything)
            rounds = None if rounds is None else rounds - 1
            if rounds != 0:
                time.sleep(every_s or 1.0)


def _show(
    door: Door,
    asker: Asker,
    unit: int,
    what: DeviceModel | tuple[Table, int, int],
    as_json: bool,
    everything: bool,
) -> None:
    """Read once and print it."""
    try:
        if isinstance(what, DeviceModel):
            seen = look(asker, unit, what)
            report: object = look_report(seen)
            grid = look_grid(seen, door.say)
        else:
            table, first, count = what
            words = read_block(asker, unit, table, first, count)
            report = words_report(first, words, bits=table.bits)
            if table.bits:
                grid = bits_grid(first, words, door.say)
            else:
                grid = words_grid(first, words, door.say, everything=everything)
    except AskError as error:
        door.failed(error)
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        Console().print(grid)


@bus.command()
@click.argument("url")
@click.argument("unit", type=click.IntRange(1, 247))
@click.argument("table", type=WRITE_TABLES)
@click.argument("address", type=click.IntRange(0, 65535))
@click.argument("value", type=click.IntRange(0, 65535), nargs=-1, required=True)
@click.option("--reason", help="Why, for the record 原因.")
@click.option("--yes", is_flag=True, help="Do not ask; needs --reason 不再确认.")
@click.option("--model", help="Device file of the unit: what it forbids is refused 设备文件.")
@line_options()
@state_option
@lang_option
def write(
    url: str, unit: int, table: str, address: int, value: tuple[int, ...], reason: str | None,
    yes: bool, model: str | None, timeout_ms: int, listen_s: float | None, foreign: bool,
    state: Path | None, lang: str | None,
) -> None:  # fmt: skip
    """Write VALUE… to UNIT by hand, guarded, and read it back. 手动写入."""
    door = door_of(texts(lang), url, state)
    if yes and not (reason or "").strip():
        raise click.UsageError(door.say.say("bus.yes_needs_reason"))
    wanted = Table(table)
    if len(value) > WRITE_MAX or (wanted.bits and not set(value) <= {0, 1}):
        raise click.BadParameter(door.say.say("bus.values"), param_hint="VALUE")
    pdu = write_pdu(wanted, address, value)
    if model and (refused := refusal_of_model(load_model(model, door.say), pdu)):
        door.failed(AskError(refused))
    if door.mine is not None and door.bus is not None:
        refused = refusal(door.mine, door.bus, unit, pdu)
        if refused:
            door.failed(AskError(refused))
    if not yes:
        reason = reason or click.prompt(door.say.say("bus.why"))
    with opened(door, foreign=foreign, listen_s=listen_s, timeout_ms=timeout_ms,
                reason=reason or "") as asker:  # fmt: skip
        _write(door, asker, unit, (wanted, address, value), yes=yes)


def _write(
    door: Door, asker: Asker, unit: int, what: tuple[Table, int, tuple[int, ...]], *, yes: bool
) -> None:
    """Show what stands there and what will, have the unit typed again, write, read back."""
    table, first, values = what
    try:
        before = read_block(asker, unit, table, first, len(values))
        for at, (old, new) in enumerate(zip(before, values, strict=True)):
            click.echo(door.say.say("bus.will_write", unit=unit, table=table.value,
                                    address=first + at, before=old, after=new))  # fmt: skip
        if not yes and click.prompt(door.say.say("bus.type_unit"), type=int) != unit:
            door.leave("bus.not_typed", exit_codes.NOT_PERMITTED)
        asker.ask(unit, write_pdu(table, first, values))
        after = read_block(asker, unit, table, first, len(values))
    except AskError as error:
        door.failed(error)
    for at, value in enumerate(after):
        click.echo(door.say.say("bus.now", address=first + at, value=value))
    if after != values:
        click.echo(door.say.say("bus.not_taken"), err=True)
        sys.exit(exit_codes.CHECK_FAILED)


def write_pdu(table: Table, address: int, values: tuple[int, ...]) -> bytes:
    """Return the question that writes one or several values."""
    if table is Table.COIL:
        if len(values) == 1:
            return modbus.write_coil_pdu(address, bool(values[0]))
        return modbus.write_coils_pdu(address, [bool(each) for each in values])
    if len(values) == 1:
        return modbus.write_register_pdu(address, values[0])
    return modbus.write_registers_pdu(address, values)
