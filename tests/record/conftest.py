"""Builders of small records: a toy run, decided cheaply, that passes through the real store."""

import importlib.util
import os
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from minewatch.model.canonical import encode
from minewatch.model.event import Event
from minewatch.model.image import Image, Notice, Reading, Sample
from minewatch.model.quality import Quality
from minewatch.record.digest import DecisionDigest
from minewatch.record.journal import JournalLimits, Start
from minewatch.record.store import RecordStore, StoreLimits

ORIGIN = "minewatch/v1/140000/140000000001"
WALL_MS = 1_790_000_000_000

QUICK = StoreLimits(
    retry_s=0.0,
    idle_s=0.005,
    checkpoint_ms=40_000,
    journal=JournalLimits(free_bytes=0, part_ms=5_000, chunk_ms=20_000, chunks_per_block=2),
)


def image_of(cycle: int, **parts: Any) -> Image:
    """Return an image with two heads in one exchange, one of them without a value at times."""
    now_ms = cycle * 1000
    quality = Quality.COMM_FAULT if cycle % 7 == 0 else Quality.GOOD
    readings = (
        Reading("head_a", 40 + cycle % 5, Quality.GOOD),
        Reading("head_b", None if quality is Quality.COMM_FAULT else 7, quality),
    )
    samples = (Sample("gateway", now_ms - 30, readings),)
    return Image(cycle, now_ms, WALL_MS + now_ms, True, 0, samples, **parts)


def event_of(image: Image, kind: str, text: str = "", **data: Any) -> Event:
    """Return an event of the image's cycle."""
    return Event(kind, 1, image.cycle, image.now_ms, image.wall_ms, image.wall_trusted, data, text)


def decide(image: Image) -> tuple[Event, ...]:
    """Decide as a toy core does: an alarm every nineteenth cycle, and what the house noticed."""
    events = [event_of(image, each.kind, **_named(each)) for each in image.notices]
    if image.cycle % 19 == 0:
        events.append(event_of(image, "alarm_raised", text="顶板淋水 reason", point="head_a"))
    return tuple(events)


def _named(notice: Notice) -> dict[str, Any]:
    return {"subject": notice.subject, **notice.data}


def is_alarm(event: Event) -> bool:
    """Tell whether a checkpoint follows at once."""
    return event.kind == "alarm_raised"


class ToyRun:
    """Feeds a store cycle by cycle and waits for its thread where a test needs to know."""

    def __init__(self, folder: Path, limits: StoreLimits = QUICK, run: str = "run-1") -> None:
        self.digest = DecisionDigest()
        self.store = RecordStore(folder, ORIGIN, digest=self.digest, urgent=is_alarm, limits=limits)
        self.store.start_run(Start(run, {"index": 0}, "0.1", "c0ffee", 1))
        self.images: list[bytes] = []
        self.events: list[Event] = []
        self.notices: list[Notice] = []
        self.cycle = 0

    def turn(self) -> None:
        """Run one cycle."""
        self.cycle += 1
        notices = self.store.take_notices()
        self.notices += notices
        image = image_of(self.cycle, notices=notices)
        events = decide(image)
        self.digest.update(self.cycle, events, {"siren": True})
        self.images.append(encode(image.to_row()))
        self.events += events
        self.store.submit(self.images[-1], events, image.samples)

    def turns(self, count: int) -> None:
        """Run `count` cycles, each seen by the thread before the next one."""
        for _ in range(count):
            self.turn()
            self.settle()

    def settle(self) -> None:
        """Wait until the thread has taken everything."""
        wait_until(lambda: not self.store.pending)


def wait_until(true: Callable[[], bool], limit_s: float = 10.0) -> None:
    """Wait for a condition that another thread makes true."""
    import time

    end = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > end:
            raise AssertionError("the thread did not get there")
        time.sleep(0.001)


@pytest.fixture
def toy_run(tmp_path: Path) -> Callable[..., ToyRun]:
    """Return a maker of toy runs in the test's folder."""
    return lambda **given: ToyRun(given.pop("folder", tmp_path), **given)


@pytest.fixture(scope="session")
def sound_record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a closed record: several checkpoints, sealed chunks, texts. Copy it to change it."""
    folder = tmp_path_factory.mktemp("record")
    run = ToyRun(folder)
    run.turns(230)
    run.store.close()
    return folder


@pytest.fixture(scope="session")
def killed_record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the record of a killed process: everything is signed, all of it still in the logs."""
    folder = tmp_path_factory.mktemp("killed") / "state"
    child = os.fork()
    if child == 0:
        run = ToyRun(folder)
        run.turns(95)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    for each in folder.glob("*/*-shm"):
        each.unlink()
    return folder


@pytest.fixture(scope="session")
def stand_alone() -> ModuleType:
    """Return tools/verify.py as a module."""
    path = Path(__file__).parents[2] / "tools" / "verify.py"
    spec = importlib.util.spec_from_file_location("stand_alone_verify", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def contents() -> Callable[[Path], Any]:
    """Return a reader of everything that the record promises, or of the error that it gives."""
    return read_contents


def read_contents(folder: Path) -> Any:
    """Return entries, checkpoints and sealed journal lines as they can be read now."""
    try:
        return _entries(folder), _sealed_lines(folder), _notes(folder)
    except (sqlite3.Error, zlib.error, OSError, TypeError, ValueError) as error:
        return repr(error)


def _query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return database.execute(sql).fetchall()
    finally:
        database.close()


def _entries(folder: Path) -> list[tuple[Any, ...]]:
    path = folder / "ledger" / "ledger.db"
    return _query(
        path, "SELECT idx, CAST(leaf AS BLOB), CAST(text AS BLOB) FROM entry ORDER BY idx"
    )


def _sealed_lines(folder: Path) -> list[tuple[Any, ...]]:
    found = []
    for path in sorted((folder / "journal").glob("*.db")):
        rows = _query(path, "SELECT chunk, lines FROM part WHERE chunk <= 4 ORDER BY chunk, number")
        found += [(path.name, chunk, zlib.decompress(lines)) for chunk, lines in rows]
    return found


def _notes(folder: Path) -> tuple[bytes, list[tuple[Any, ...]]]:
    text = (folder / "ledger" / "checkpoints.txt").read_bytes()
    stored = _query(
        folder / "ledger" / "ledger.db",
        "SELECT size, CAST(note AS BLOB) FROM checkpoint ORDER BY size",
    )
    return text, stored
