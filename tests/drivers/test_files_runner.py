"""The runner of a files line on a real folder: it reads, and leaves everything as it was."""

import asyncio
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from minewatch_drivers.lines import open_line
from minewatch_drivers.runners import files_runner
from minewatch_drivers.runners.files_runner import FilesRunner
from minewatch_drivers.runners.runners import open_runner

from minewatch.controller.clock import SystemClock
from minewatch.model.image import Reading, Sample
from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Point
from minewatch.model.quality import Quality

CODE = "000000000000"
T1 = f"{CODE}01MN0001T1"


def text(value: str, moment: datetime) -> bytes:
    """Write a file of one point."""
    at = moment.strftime("%Y-%m-%d %H:%M:%S")
    return f"{CODE};矿;{at}~{T1};环境瓦斯;面;{value};%CH4;0;{at}~||".encode()


def name(moment: datetime) -> str:
    """Return the name of a file of this moment."""
    return f"{CODE}_CDSS_{moment.strftime('%Y%m%d%H%M%S')}.txt"


def beijing(ago_s: float = 0) -> datetime:
    """Return the time that the files print."""
    return datetime.now(UTC) + timedelta(hours=8, seconds=-ago_s)


def put(folder: Path, value: str, ago_s: float = 0) -> Path:
    """Write a whole file the proper way: under another name first."""
    moment = beijing(ago_s)
    path = folder / name(moment)
    (folder / "writing").write_bytes(text(value, moment))
    (folder / "writing").rename(path)
    return path


class Bench:
    """A line on a folder, turned by hand."""

    def __init__(self, kit: Any, folder: Path) -> None:
        bus = Bus("kj", f"files://{folder}")
        point = Point("KJ_T1", "", Kind.METHANE, "z", "gas", T1, "certified")
        device = Device("gas", "kj", 1, "certified-cdss")
        self.line: Any = open_line(
            kit.bare_mine(bus, (device,), points=(point,)), bus, writes=False
        )
        self.samples: list[Sample] = []
        self.news = asyncio.Event()
        self.runner: Any = open_runner(self.line, bus, SystemClock(), self._take)
        assert isinstance(self.runner, FilesRunner)

    def turn(self) -> list[Reading]:
        """List and read once; return the readings of this turn."""
        self.runner.turn()
        return [each for sample in self.line.take().samples for each in sample.readings]

    def _take(self) -> None:
        self.samples += self.line.take().samples
        self.news.set()


@pytest.fixture
def bench(kit: Any, tmp_path: Path) -> Bench:
    """Return a bench on an empty folder, looked at once."""
    made = Bench(kit, tmp_path)
    made.turn()
    return made


def test_reading_changes_nothing(bench: Bench, tmp_path: Path) -> None:
    """Names, bytes, modes and times of every file, the access time too, are as before."""
    path = put(tmp_path, "0.52")
    os.chmod(path, 0o444)
    os.utime(path, (1_000_000_000, path.stat().st_mtime))
    before = {each.name: (each.read_bytes(), each.stat()) for each in tmp_path.iterdir()}
    os.utime(path, (1_000_000_000, path.stat().st_mtime))
    assert bench.turn() == [Reading("KJ_T1", 52, Quality.GOOD)]
    assert {each.name for each in tmp_path.iterdir()} == set(before)
    after = path.stat()
    assert after.st_atime == 1_000_000_000
    assert (after.st_mtime_ns, after.st_mode) == (before[path.name][1].st_mtime_ns, 0o100444)
    assert path.read_bytes() == before[path.name][0]


def test_a_folder_that_is_not_there_is_said_and_then_found(kit: Any, tmp_path: Path) -> None:
    """A missing folder is `open`; it is read as soon as it is mounted."""
    bench = Bench(kit, tmp_path / "later")
    with pytest.raises(OSError, match="later"):
        bench.turn()
    (tmp_path / "later").mkdir()
    put(tmp_path / "later", "0.52")
    assert bench.turn() == [Reading("KJ_T1", 52, Quality.GOOD)]


def test_only_plain_files_are_read(bench: Bench, tmp_path: Path) -> None:
    """A link, a pipe, a directory and a file without permission never block and never count."""
    real = tmp_path / "real"
    real.write_bytes(text("0.52", beijing()))
    (tmp_path / name(beijing(1))).symlink_to(real)
    os.mkfifo(tmp_path / name(beijing(2)))
    (tmp_path / name(beijing(3))).mkdir()
    assert bench.turn() == []
    assert bench.line.status().error == "unreadable"


def test_a_file_that_vanishes_is_no_fault_of_the_runner(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collector takes files away between listing and reading; the next turn goes on."""
    path = put(tmp_path, "0.52", ago_s=2)
    real = files_runner._open

    def taken_away(wanted: str) -> int:
        path.unlink(missing_ok=True)
        return real(wanted)

    monkeypatch.setattr(files_runner, "_open", taken_away)
    assert bench.turn() == []
    assert bench.line.status().error == "vanished"
    monkeypatch.setattr(files_runner, "_open", real)
    put(tmp_path, "0.53")
    assert bench.turn() == [Reading("KJ_T1", 53, Quality.GOOD)]


def test_a_file_that_changes_while_it_is_read_waits(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes read while the writer was at work are thrown away, and read again later."""
    path = put(tmp_path, "0.52", ago_s=2)
    real = files_runner._bytes

    def meanwhile(file: int) -> bytes:
        data = real(file)
        with path.open("ab") as more:
            more.write(b"x")
        return data

    monkeypatch.setattr(files_runner, "_bytes", meanwhile)
    assert bench.turn() == []
    assert bench.line.status().error == "unsettled"
    monkeypatch.setattr(files_runner, "_bytes", real)
    path.write_bytes(text("0.54", beijing(1)))
    assert bench.turn() == [Reading("KJ_T1", 54, Quality.GOOD)]


def test_too_many_entries_are_not_read(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that nobody cleans is said, not worked through."""
    monkeypatch.setattr(files_runner, "ENTRIES_MAX", 3)
    for n in range(5):
        put(tmp_path, "0.52", ago_s=n)
    assert bench.turn() == []
    assert bench.line.status().error == "crowded"


async def test_a_running_writer_is_followed(kit: Any, tmp_path: Path) -> None:
    """On its thread the runner tells of each new file, and leaves no thread behind."""
    bench = Bench(kit, tmp_path)
    put(tmp_path, "0.52", ago_s=5)
    await bench.runner.start()
    try:
        for value in ("0.52", "0.61"):
            if value != "0.52":
                put(tmp_path, value)
            bench.news.clear()
            async with asyncio.timeout(10):
                while not bench.samples or str(bench.samples[-1].readings[0].value) != value[2:]:
                    await bench.news.wait()
                    bench.news.clear()
    finally:
        await bench.runner.stop()
    assert [sample.readings[0].value for sample in bench.samples] == [52, 61]
    assert "line kj" not in {each.name for each in threading.enumerate()}


async def test_a_share_that_hangs_holds_nobody_else(
    kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn that does not come back is said by `kick`, once, and stopping does not wait for it."""
    bench = Bench(kit, tmp_path)
    let_go = threading.Event()
    monkeypatch.setattr(files_runner, "HUNG_US", 0)
    monkeypatch.setattr(files_runner, "STOP_LIMIT_S", 0.1)
    monkeypatch.setattr(bench.runner, "turn", lambda: let_go.wait(20))
    await bench.runner.start()
    try:
        async with asyncio.timeout(10):
            while bench.line.status().error != "hung":
                await asyncio.sleep(0.01)
                bench.runner.kick()
        bench.runner.kick()
        assert bench.line.status().failures == 1
        started_s = time.monotonic()
        await bench.runner.stop()
        assert time.monotonic() - started_s < 10
    finally:
        let_go.set()
