"""Servers of five makers, polled and driven right by our line, over TCP and over a serial line.

Each runs as a process of its own and holds the same image in unit 1: every table, every type, both
word orders. A server whose tools are missing is skipped by name.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from minewatch_drivers.device_files import device_file
from minewatch_drivers.lines import ByteLine, open_line
from minewatch_drivers.runners.runners import open_runner

from minewatch.model.image import Reading
from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mine, Mode, Output, OutputRole, Point
from minewatch.model.quality import Quality
from minewatch.ports import WallTime

FOREIGN = Path(__file__).with_name("foreign")
MAKERS = ("libmodbus", "modbus_tk", "umodbus", "pymodbus", "modbus-serial")
QUERY = "baud=19200&parity=N"
LIMIT_S = 15.0
ROUNDS = 3
"""How often every point must have come before a server is believed."""

MODEL = """
[device]
identity = "Every table and type"
maker = "test"
maturity = "experimental"
source = "made for this test"
[read]
registers_max = 16
gap_max = 4
[sentinel]
table = "input"
address = 0
expected = 0x4D48
[signals.u16]
table = "input"
address = 1
type = "u16"
kind = "carbon_monoxide"
low = "0"
high = "65535"
[signals.s16]
table = "input"
address = 2
type = "s16"
scale = "0.1"
kind = "temperature"
low = "-1000.0"
high = "1000.0"
[signals.u32]
table = "input"
address = 20
type = "u32"
kind = "gate_in"
low = "0"
high = "4294967295"
[signals.s32]
table = "input"
address = 22
type = "s32"
word_order = "low_first"
scale = "0.1"
kind = "temperature"
low = "-100000.0"
high = "100000.0"
[signals.f32]
table = "holding"
address = 100
type = "f32"
kind = "methane"
low = "0"
high = "5.00"
[signals.f32_low]
table = "holding"
address = 102
type = "f32"
word_order = "low_first"
kind = "methane"
low = "0"
high = "5.00"
[signals.discrete]
table = "discrete"
address = 9
kind = "fan_run"
[signals.coil]
table = "coil"
address = 30
kind = "fan_run"
[channels.siren]
coil = 3
at_loss = ["keep"]
[channels.horn]
coil = 4
at_loss = ["keep"]
[[frames]]
source = "none"
request = "01"
reply = "01"
expect = {}
"""

POINTS = {
    "u16": (Kind.CARBON_MONOXIDE, 54_321),
    "s16": (Kind.TEMPERATURE, -123),
    "u32": (Kind.GATE_IN, 70_000),
    "s32": (Kind.TEMPERATURE, -70_000),
    "f32": (Kind.METHANE, 123),
    "f32_low": (Kind.METHANE, 40),
    "discrete": (Kind.FAN_RUN, 1),
    "coil": (Kind.FAN_RUN, 1),
}


def words(layout: str, number: float) -> list[int]:
    """Return a number as registers, high word first."""
    return list(struct.unpack(">2H", struct.pack(layout, number)))


IMAGE = {
    ("input", 0): [0x4D48, 54_321, 65_536 - 123],
    ("input", 20): [*words(">I", 70_000), *words(">i", -70_000)[::-1]],
    ("holding", 100): [*words(">f", 1.23), *words(">f", 0.4)[::-1]],
    ("discrete", 9): [1],
    ("coil", 30): [1],
    ("coil", 4): [1],
}


class Clock:
    """CLOCK_BOOTTIME."""

    def now_us(self) -> int:
        """Return monotonic µs."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000

    def now_ms(self) -> int:
        """Return monotonic ms."""
        return self.now_us() // 1_000

    def wall(self) -> WallTime:
        """Return a wall time that nobody vouches for."""
        return WallTime(0, trusted=False)


def tool(name: str) -> str:
    """Return the path of a program, or skip."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def libmodbus_server(folder: Path) -> list[str]:
    """Compile the server of libmodbus."""
    ask = [tool("pkg-config"), "--cflags", "--libs", "libmodbus"]
    flags = subprocess.run(ask, capture_output=True, text=True, check=False)
    if flags.returncode:
        pytest.skip("libmodbus-dev is not installed")
    program = str(folder / "libmodbus_server")
    source = str(FOREIGN / "libmodbus_server.c")
    subprocess.run([tool("gcc"), "-o", program, source, *flags.stdout.split()], check=True)
    return [program]


def node_server() -> list[str]:
    """Install modbus-serial as its lock file says, once per machine, and return its server."""
    node, npm = tool("node"), tool("npm")
    lock = (FOREIGN / "package-lock.json").read_bytes()
    name = f"minewatch-modbus-serial-{hashlib.sha256(lock).hexdigest()[:16]}"
    folder = Path(tempfile.gettempdir()) / name
    folder.mkdir(exist_ok=True)
    with open(folder / "lock", "w", encoding="utf-8") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        done = folder / "done"
        if not done.exists():
            for file in ("package.json", "package-lock.json"):
                shutil.copy(FOREIGN / file, folder)
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            try:
                made = subprocess.run(
                    command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
                )
            except subprocess.TimeoutExpired:
                pytest.skip("npm could not install modbus-serial within a minute")
            if made.returncode:
                pytest.skip(f"npm could not install modbus-serial: {made.stderr[-200:]}")
            done.touch()
    shutil.copy(FOREIGN / "server.js", folder)
    return [node, str(folder / "server.js")]


def server_command(maker: str, folder: Path) -> list[str]:
    """Return what starts the server of a maker, or skip."""
    if maker == "libmodbus":
        return libmodbus_server(folder)
    if maker == "modbus-serial":
        return node_server()
    return [sys.executable, str(FOREIGN / "server.py"), maker]


@contextlib.asynccontextmanager
async def running(*command: str, image: str = "", ready: bytes = b"ready") -> AsyncIterator[None]:
    """Run a process from the line that says `ready` to the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(image.encode())
        process.stdin.close()
        said = await asyncio.wait_for(process.stdout.readline(), 10)
        assert said.strip() == ready, command
        yield
    finally:
        process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def joined(folder: Path) -> AsyncIterator[tuple[str, str]]:
    """Two ptys whose far ends socat joins."""
    ends = [str(folder / name) for name in ("theirs", "ours")]
    pair = await asyncio.create_subprocess_exec(
        tool("socat"), *(f"pty,raw,echo=0,link={end}" for end in ends)
    )
    try:
        limit_s = time.monotonic() + 5
        while not all(Path(end).exists() for end in ends) and time.monotonic() < limit_s:
            await asyncio.sleep(0.01)
        yield ends[0], ends[1]
    finally:
        pair.kill()
        await pair.wait()


@contextlib.asynccontextmanager
async def served(maker: str, transport: str, folder: Path) -> AsyncIterator[str]:
    """Run a server; yields the url that our line takes."""
    command = await asyncio.to_thread(server_command, maker, folder)
    image = "".join(
        f"{table} {first + n} {value}\n"
        for (table, first), values in IMAGE.items()
        for n, value in enumerate(values)
    )
    if transport == "rtu":
        async with joined(folder) as (theirs, ours), running(*command, "rtu", theirs, image=image):
            yield f"rtu://{ours}?{QUERY}"
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    async with running(*command, "tcp", port, image=image):
        yield f"tcp://127.0.0.1:{port}"


def mine_on(url: str) -> Mine:
    """Return the mine that reads the image."""
    return Mine(
        code="000000000000",
        name="foreign",
        county="000000",
        language="en",
        gas_class="low",
        capacity_10kt=1,
        severe=False,
        mode=Mode.CONTROL,
        headcount_limit=1,
        headcount_citation="",
        profile="test",
        zones=(),
        buses=(Bus("line", url, scan_ms=100, timeout_ms=3000),),
        devices=(Device("d1", "line", 1, "everything"),),
        points=tuple(
            Point(name, "", kind, "z", "d1", name, "record_only")
            for name, (kind, _) in POINTS.items()
        ),
        outputs=(
            Output("siren", "", OutputRole.SIREN, "z", "d1", "siren", None),
            Output("horn", "", OutputRole.HORN, "z", "d1", "horn", None),
        ),
    )


@pytest.fixture(autouse=True)
def everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lines know the device file of this test."""
    made = device_file.parse("everything", "test", MODEL)
    monkeypatch.setattr(device_file, "load", lambda _: made)


class Seen:
    """What a line brought, in order."""

    def __init__(self, line: ByteLine) -> None:
        self.line = line
        self.readings: list[Reading] = []
        self.coils: list[tuple[str, bool]] = []

    def take(self) -> None:
        """Fetch what is new."""
        taken = self.line.take()
        self.readings += [r for sample in taken.samples for r in sample.readings]
        self.coils += [(each.output, each.energised) for each in taken.read_backs]

    @property
    def complete(self) -> bool:
        """Whether each point came often enough and both coils were read back as wanted."""
        names = [reading.point for reading in self.readings]
        often = all(names.count(point) >= ROUNDS for point in POINTS)
        return often and self.coils.count(("siren", True)) >= ROUNDS


async def watch(line: ByteLine, done: Callable[[Seen], bool]) -> Seen:
    """Run the line, wanting the siren and no horn, until `done` or the limit."""
    seen, clock = Seen(line), Clock()
    runner = open_runner(line, line.bus, clock, seen.take)
    await runner.start()
    end_s = time.monotonic() + LIMIT_S
    while not done(seen) and time.monotonic() < end_s:
        line.want({"siren": True, "horn": False}, clock.now_us())
        runner.kick()
        await asyncio.sleep(0.05)
    await runner.stop()
    return seen


@pytest.mark.parametrize("transport", ["tcp", "rtu"])
@pytest.mark.parametrize("maker", MAKERS)
async def test_a_foreign_server_is_read_and_driven_right(
    maker: str, transport: str, tmp_path: Path
) -> None:
    """From its first answer on every value is as the server holds it, and no exchange is lost.

    Until then the server may not have been listening: that is the machine's, not the line's.
    """
    async with served(maker, transport, tmp_path) as url:
        mine = mine_on(url)
        line = open_line(mine, mine.buses[0], writes=True)
        seen = await watch(line, lambda so_far: so_far.complete)

    wanted = {Reading(name, value, Quality.GOOD) for name, (_, value) in POINTS.items()}
    assert seen.complete
    first = next(at for at, each in enumerate(seen.readings) if each.quality is Quality.GOOD)
    assert set(seen.readings[first:]) == wanted
    assert seen.coils[-2:] == [("siren", True), ("horn", False)]
    assert (line.status().violations, line.status().failures) == (0, 0)
