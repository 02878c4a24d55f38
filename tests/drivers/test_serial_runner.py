"""The owner of a serial port: adapters that vanish, hang, return elsewhere or belong to others."""

import array
import asyncio
import fcntl
import os
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import serial
from minewatch_drivers.address import parse_address
from minewatch_drivers.modbus_line import line as line_module
from minewatch_drivers.modbus_line.line import Line
from minewatch_drivers.runners import runners, serial_runner
from minewatch_drivers.runners.prompt_thread import be_prompt

from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Point
from minewatch.model.quality import Quality

QUERY = "baud=115200&parity=E"
TIOCGEXCL = 0x80045440
MARSH_GAS, TAKEN_FOR_IT = 0x4D48, 0x4743
"""What identity registers hold: the head that is meant, and another device with its unit."""


@pytest.fixture(autouse=True)
def quick_reconnects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Come back in 50 ms here."""
    monkeypatch.setattr(runners, "BACK_OFF_MIN_S", 0.05)
    monkeypatch.setattr(runners, "BACK_OFF_MAX_S", 0.1)


def opened(path: str, parity: str = "E") -> serial.Serial:
    """Open a port as its runner does."""
    url = f"rtu://{urlsplit(path).path}?baud=9600&parity={parity}"
    return serial_runner.open_port(parse_address(url))


@pytest.fixture
def pty() -> Iterator[tuple[int, str]]:
    """Return the far end and the path of a pty."""
    master, slave = os.openpty()
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize("parity", ["E", "O", "N"])
def test_a_port_opens_again_after_its_last_owner_died(pty: tuple[int, str], parity: str) -> None:
    """Parity is set a second time without an error, on a port that cannot have any."""
    master, path = pty

    for _ in range(3):
        with opened(path, parity) as port:
            assert isinstance(port, serial.Serial)
            port.write(b"\x01")
            assert os.read(master, 8) == b"\x01"


@pytest.mark.parametrize(("folder", "marked"), [("/nowhere/", 1), (serial_runner.PTY_FOLDER, 0)])
def test_a_real_port_is_marked_as_taken(
    pty: tuple[int, str], monkeypatch: pytest.MonkeyPatch, folder: str, marked: int
) -> None:
    """The kernel refuses others an adapter while we hold it; a pty would keep the mark for ever."""
    monkeypatch.setattr(serial_runner, "PTY_FOLDER", folder)
    found = array.array("i", [7])

    with opened(pty[1], "N") as port:
        fcntl.ioctl(port.fileno(), TIOCGEXCL, found)
        fcntl.ioctl(port.fileno(), termios.TIOCNXCL)

    assert found[0] == marked


def test_a_port_that_takes_no_more_is_broken_at_once(pty: tuple[int, str]) -> None:
    """A stuck adapter is an error, never a wait of the thread that owns it."""

    def fill(file: int) -> None:
        for _ in range(1_000):
            serial_runner._write(file, bytes(256))

    with opened(pty[1]) as port:
        begun_s = time.monotonic()
        with pytest.raises(OSError, match=r".+"):
            fill(port.fileno())
        assert time.monotonic() - begun_s < 1


@pytest.mark.parametrize("what", ["nothing", "a file", "a folder", "a pipe"])
async def test_what_is_no_port_is_said_and_tried_again(
    kit: SimpleNamespace, tmp_path: Path, what: str
) -> None:
    """No port there: the line is down with a reason, its points fail, nothing is left open."""
    path = tmp_path / "port"
    if what == "a file":
        path.write_text("x")
    elif what == "a folder":
        path.mkdir()
    elif what == "a pipe":
        os.mkfifo(path)
    before = len(os.listdir("/proc/self/fd"))
    mine = kit.one_bus(f"rtu://{path}?{QUERY}", units=1, scan_ms=20, timeout_ms=40)
    watched = kit.peers.Watched(Line(mine, mine.buses[0], writes=False))

    await watched.run(lambda: len(watched.samples) > 10, limit_s=10)

    status = watched.line.status()
    assert (status.up, status.error) == (False, "open")
    assert {r.quality for s in watched.samples for r in s.readings} == {Quality.COMM_FAULT}
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_prompt_thread_keeps_its_niceness_and_policy() -> None:
    """Only timers and slice are sharpened; what the house was given in priority stays."""
    seen: list[tuple[int, int, str]] = []

    def run() -> None:
        os.setpriority(os.PRIO_PROCESS, 0, 3)
        be_prompt()
        slack = Path(f"/proc/{threading.get_native_id()}/timerslack_ns")
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        seen.append((nice, os.sched_getscheduler(0), _text(slack)))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert seen[0][:2] == (3, os.SCHED_OTHER)
    assert seen[0][2] in ("1", "")  # nothing where the kernel does not say it


def _text(path: Path) -> str:
    """Return what a file of the kernel says, nothing where it does not say it."""
    return path.read_text("ascii").strip() if path.exists() else ""


class Adapters:
    """Buses on ptys behind one name, as udev names an adapter by its serial number."""

    def __init__(self, kit: SimpleNamespace, link: Path) -> None:
        self._kit = kit
        self._link = link
        self._made: list[Any] = []

    @property
    def url(self) -> str:
        """The line's url; it names the link."""
        return f"rtu://{self._link}?{QUERY}"

    def bus(self, identity: int, value: int) -> Any:
        """Start a bus whose unit 1 answers with these registers and a beating heart."""
        address = parse_address(self.url)
        slave = self._kit.Slave(rtu=True, timeout_us=100_000, delay_us=500)
        slave.inputs = _Registers(identity, value)
        made = self._kit.peers.PtyPeer(slave, address.byte_us, address.silence_us)
        made.start()
        self._made.append(made)
        return made

    def plug(self, bus: Any) -> None:
        """Let the name lead to this bus."""
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(bus.path)

    def pull(self, bus: Any) -> None:
        """The adapter is gone: its port hangs up."""
        self._made.remove(bus)
        bus.stop()

    def stop(self) -> None:
        """End all buses that still stand."""
        for bus in self._made:
            bus.stop()


class _Registers:
    def __init__(self, identity: int, value: int) -> None:
        self._identity, self._value, self._beat = identity, value, 0

    def get(self, address: int, default: int = 0) -> int:
        """Return one register of a generic methane head."""
        self._beat += address == 1
        known = (self._identity, self._beat & 0xFFFF, 0, self._value)
        return known[address] if address < len(known) else default


@pytest.fixture
def adapters(kit: SimpleNamespace, tmp_path: Path) -> Iterator[Adapters]:
    """Return a name for adapters without any."""
    made = Adapters(kit, tmp_path / "usb-maker_serial-0001")
    yield made
    made.stop()


def watched_head(kit: SimpleNamespace, url: str) -> Any:
    """Return a running-to-be line with one methane head."""
    bus = Bus("line", url, scan_ms=20, timeout_ms=60)
    point = Point("T1", "", Kind.METHANE, "z", "d1", "methane", "face")
    mine = kit.bare_mine(bus, (Device("d1", "line", 1, "methane-head-generic"),), points=(point,))
    return kit.peers.Watched(Line(mine, bus, writes=False))


async def until(done: Callable[[], bool], limit_s: float = 10) -> bool:
    """Wait until `done()`; returns whether it came."""
    end = time.monotonic() + limit_s
    while not done() and time.monotonic() < end:
        await asyncio.sleep(0.01)
    return done()


def good_values(watched: Any, start: int) -> set[int | None]:
    """Return the GOOD values from sample `start` on."""
    readings = [r for s in watched.samples[start:] for r in s.readings]
    return {r.value for r in readings if r.quality is Quality.GOOD}


async def test_a_renumbered_adapter_is_found_by_its_name(
    kit: SimpleNamespace, adapters: Adapters
) -> None:
    """The adapter comes back as another port while its old port is somebody else's: no mix-up."""
    first = adapters.bus(MARSH_GAS, 50)
    adapters.plug(first)
    watched = watched_head(kit, adapters.url)
    await watched.runner.start()
    assert await until(lambda: good_values(watched, 0) == {50})

    adapters.pull(first)
    assert await until(lambda: not watched.line.status().up)
    stranger = adapters.bus(MARSH_GAS, 399)
    adapters.plug(adapters.bus(MARSH_GAS, 51))
    seen = len(watched.samples)
    assert await until(lambda: good_values(watched, seen) >= {51})
    await watched.runner.stop()

    assert good_values(watched, seen) == {51}
    assert stranger.slave.questions == 0


async def test_the_wrong_bus_never_gives_a_value(kit: SimpleNamespace, adapters: Adapters) -> None:
    """A name that leads to another bus with the same unit: identity refuses every answer."""
    right, wrong = adapters.bus(MARSH_GAS, 50), adapters.bus(TAKEN_FOR_IT, 399)
    adapters.plug(right)
    watched = watched_head(kit, adapters.url)
    await watched.runner.start()
    assert await until(lambda: good_values(watched, 0) == {50})

    adapters.plug(wrong)
    adapters.pull(right)
    seen = len(watched.samples)
    assert await until(lambda: wrong.slave.questions > 5)
    refused = watched.line.status().violations
    assert good_values(watched, seen) <= {50}
    adapters.plug(adapters.bus(MARSH_GAS, 52))
    adapters.pull(wrong)
    assert await until(lambda: good_values(watched, seen) >= {52})
    await watched.runner.stop()

    assert refused >= 5
    assert good_values(watched, 0) == {50, 52}


async def test_a_port_that_vanishes_again_and_again_costs_nothing(
    kit: SimpleNamespace, adapters: Adapters
) -> None:
    """Twenty times pulled in the middle of an exchange: always back, files and threads flat."""
    watched = watched_head(kit, adapters.url)
    await watched.runner.start()
    files, threads = [], []
    for value in range(20):
        bus = adapters.bus(MARSH_GAS, value)
        adapters.plug(bus)
        seen = len(watched.samples)
        assert await until(lambda seen=seen, value=value: value in good_values(watched, seen))
        files.append(len(os.listdir("/proc/self/fd")))
        threads.append(threading.active_count())
        asked = bus.slave.questions
        assert await until(lambda bus=bus, asked=asked: bus.slave.questions > asked)
        adapters.pull(bus)
        assert await until(lambda: not watched.line.status().up)
    await watched.runner.stop()

    assert max(files[5:]) <= max(files[:5])
    assert max(threads[5:]) <= max(threads[:5])


async def test_a_port_that_brings_nothing_is_opened_anew(
    kit: SimpleNamespace, adapters: Adapters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adapter that hangs without hanging up is left and opened again after its time."""
    monkeypatch.setattr(line_module, "STUCK_US", 300_000)
    mute = adapters.bus(MARSH_GAS, 50)
    mute.slave.twist, mute.slave.share = kit.twists["mute"], 1.0
    adapters.plug(mute)
    watched = watched_head(kit, adapters.url)
    await watched.runner.start()
    assert await until(lambda: mute.slave.questions >= 3)
    adapters.plug(adapters.bus(MARSH_GAS, 53))

    assert await until(lambda: good_values(watched, 0) == {53})
    await watched.runner.stop()
