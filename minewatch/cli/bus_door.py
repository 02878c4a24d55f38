"""How a tool gets at a bus: through the controller that owns it, or by a port of its own.

A bus of a running controller is asked through it; any other is opened here, exclusively. On serial
wires a tool listens before it first speaks, 10 s on a bus that no configuration of ours has, and
where another master speaks it does not speak at all (practice 32).
"""

import errno
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from minewatch_drivers.address import Address, parse_address
from minewatch_drivers.commission.ask import Asker, AskError
from minewatch_drivers.commission.frames import Heard, RtuWatcher
from minewatch_drivers.commission.permit import refusal
from minewatch_drivers.commission.wire import Wire
from minewatch_drivers.device_files import device_file
from minewatch_drivers.modbus_line.inquiry import Traffic

from minewatch.cli import exit_codes
from minewatch.cli.bus_daemon import DaemonAsker, answers
from minewatch.cli.reach import folder_of, mine_of
from minewatch.folder import Folder
from minewatch.model.mine import Bus, Mine
from minewatch.text import Catalogue

Verb = TypeVar("Verb", bound=Callable[..., Any])

FOREIGN_S = 10.0
OWN_S = 2.0
HEARD_ENOUGH = 64
"""So many bytes tell that somebody speaks; there is no need to hear more."""

NOT_PERMITTED = frozenset(
    {"broadcast", "forbidden", "monitor", "never_write", "owned", "no_reason", "no_writes"}
)
"""Refusals by rule, not by the device: exit code 77."""

CLOSED = {
    errno.EAGAIN: "bus.in_use", errno.EBUSY: "bus.in_use", errno.EACCES: "bus.no_access",
    errno.ENOENT: "bus.no_port",
}  # fmt: skip
"""Why a serial port does not open, where the system says it."""


@dataclass(frozen=True)
class Door:
    """A bus that a person named. `mine` and `bus` where the active configuration has it."""

    say: Catalogue
    folder: Folder
    url: str
    address: Address
    mine: Mine | None
    bus: Bus | None
    running: bool

    def leave(self, code: str, exit_code: int, /, **fields: object) -> NoReturn:
        """Say why it ends, and end."""
        click.echo(self.say.say(code, **fields), err=True)
        sys.exit(exit_code)

    def told(self, error: AskError) -> str:
        """Return a refusal in words."""
        return error_text(self.say, error.code)

    def failed(self, error: AskError) -> NoReturn:
        """Leave with what a question came to."""
        if error.code in NOT_PERMITTED:
            self.leave("bus.not_permitted", exit_codes.NOT_PERMITTED, why=self.told(error))
        text = "bus.refused" if error.refused else "bus.failed"
        self.leave(text, exit_codes.IO_ERROR, why=self.told(error))

    def closed(self, error: OSError) -> NoReturn:
        """Leave where the port or the address cannot be opened."""
        code = CLOSED.get(error.errno or 0) if self.address.path else None
        self.leave(code or "bus.cannot_open", exit_codes.IO_ERROR, url=self.url, why=error,
                   path=self.address.path)  # fmt: skip


def error_text(say: Catalogue, code: str) -> str:
    """Return a code of `AskError` in words; the code itself where there are none."""
    word, _, number = code.rpartition("_")
    if word == "exception":
        key = f"bus_error.exception_{number}"
        return say.say(key if key in say else "bus_error.exception", number=number)
    key = f"bus_error.{code}"
    return say.say(key) if key in say else code


def line_options(timeout_ms: int = 500) -> Callable[[Verb], Verb]:
    """Return what adds the options that every verb takes that speaks on a bus."""
    options = (
        click.option("--timeout", "timeout_ms", type=click.IntRange(20, 10_000),
                     default=timeout_ms, show_default=True, help="ms for an answer 应答时限."),
        click.option("--listen", "listen_s", type=click.FloatRange(0.2, 600),
                     help="s to listen first 先监听秒数; 2 on a configured serial line, else 10."),
        click.option("--foreign", is_flag=True,
                     help="The bus is not ours: listen 10 s first 非本系统总线, 未经联检不得连接."),
    )  # fmt: skip

    def add(verb: Verb) -> Verb:
        for option in options:
            verb = option(verb)
        return verb

    return add


def door_of(say: Catalogue, url: str, state: Path | None) -> Door:
    """Find out whose bus `url` is; a wrong url is a usage error."""
    try:
        address = parse_address(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="URL") from error
    if address.transport == "serial":
        raise click.BadParameter(say.say("bus.not_modbus"), param_hint="URL")
    folder = folder_of(state)
    mine = mine_of(folder)
    if mine is not None:
        device_file.provide(mine.device_files)
    bus = _owned(mine, address) if mine is not None else None
    running = bus is not None and answers(folder.socket)
    return Door(say, folder, url, address, mine, bus, running)


@contextmanager
def opened(
    door: Door, *, foreign: bool, listen_s: float | None, timeout_ms: int, reason: str = ""
) -> Iterator[Asker]:
    """Open the bus for questions; leaves with 69, 74 or 77 where that cannot be."""
    try:
        if door.running and door.bus is not None:
            with DaemonAsker(door.folder.socket, door.bus.id, reason) as daemon:
                yield daemon
            return
        with Wire(door.address, timeout_ms) as wire:
            listen_first(door, wire, foreign=foreign, listen_s=listen_s)
            yield _Checked(door, wire)
    except ConnectionError as error:
        if door.running:
            door.leave("bus.daemon_gone", exit_codes.UNREACHABLE, why=error)
        door.closed(error)
    except OSError as error:
        door.closed(error)


def listen_first(door: Door, wire: Wire, *, foreign: bool, listen_s: float | None) -> None:
    """Listen; leave with 77 where anybody speaks, or where nothing could be heard."""
    if not door.address.serial:
        if foreign:
            door.leave("bus.foreign_tcp", exit_codes.NOT_PERMITTED)
        return
    seconds = listen_s or (OWN_S if door.bus is not None else FOREIGN_S)
    if foreign:
        seconds = max(seconds, FOREIGN_S)
    click.echo(door.say.say("bus.listening", seconds=f"{seconds:g}"), err=True)
    watcher = RtuWatcher(door.address.silence_us, door.address.byte_us)
    frames: list[Heard] = []

    def heard(piece: Traffic) -> None:
        frames.extend(watcher.take(piece, passive=True))

    count = wire.listen(seconds, heard, HEARD_ENOUGH)
    if count:
        frames.extend(watcher.flush())
        told = next((each for each in frames if each.what != "noise"), frames[0])
        click.echo(door.say.say("bus.heard", count=count, data=told.data.hex(" ")), err=True)
        door.leave("bus.another_master", exit_codes.NOT_PERMITTED)


@dataclass(frozen=True)
class _Checked:
    """A port of our own; the rules of the active configuration hold although nobody runs it."""

    door: Door
    inner: Wire

    def ask(self, unit: int, pdu: bytes) -> bytes:
        door = self.door
        if door.mine is not None and door.bus is not None:
            refused = refusal(door.mine, door.bus, unit, pdu)
            if refused:
                raise AskError(refused)
        return self.inner.ask(unit, pdu)


def _owned(mine: Mine, address: Address) -> Bus | None:
    """Return the bus of `mine` at this address: the same port, or the same host and port."""
    for bus in mine.buses:
        if not bus.certified and _is_same(parse_address(bus.url), address):
            return bus
    return None


def _is_same(one: Address, other: Address) -> bool:
    if one.path or other.path:
        return bool(one.path and other.path) and _port(one) == _port(other)
    return one.port == other.port and not _hosts(one).isdisjoint(_hosts(other))


def _port(address: Address) -> Path:
    """Return the port behind links such as /dev/serial/by-id/…"""
    return Path(address.path).resolve()


def _hosts(address: Address) -> frozenset[str]:
    """Return a host by its numbers and its name, so that neither way leads past the daemon."""
    found = {address.host}
    with suppress(OSError, UnicodeError):  # a name that nobody knows is only itself
        for *_, place in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM):
            found.add(str(place[0]))
    return frozenset(found)
