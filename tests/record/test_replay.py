"""Replay: the recorded inputs give the recorded decisions, in any process; a change is located."""

import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
import zlib
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from minewatch.core.snapshot import durable_to_json
from minewatch.core.state import State
from minewatch.core.step import step
from minewatch.folder import Folder
from minewatch.mine import load
from minewatch.model.canonical import encode
from minewatch.model.image import Image, Notice, Reading, Sample
from minewatch.model.kind import UNITS
from minewatch.model.mine import Mine
from minewatch.model.quality import Quality
from minewatch.record import RecordError
from minewatch.record.digest import DecisionDigest
from minewatch.record.journal import JournalLimits, Start
from minewatch.record.ledger import Ledger
from minewatch.record.store import RecordStore, StoreLimits
from minewatch.record.verify import verify
from minewatch.replay.again import replay

DEMO = Path(__file__).parents[2] / "config" / "demo-mine"
CYCLES = 900
LIMITS = StoreLimits(
    idle_s=0.005,
    checkpoint_ms=20_000,
    images=5000,
    journal=JournalLimits(free_bytes=0, part_ms=5_000, chunk_ms=15_000, chunks_per_block=2),
)


@pytest.fixture(scope="module")
def mine() -> Mine:
    """Return the demo mine."""
    loaded = load(DEMO).mine
    assert loaded is not None
    return loaded


def _samples(mine: Mine, now_ms: int, chance: random.Random) -> tuple[Sample, ...]:
    """Return one exchange per device with readings that wander, sometimes over every limit."""
    found = []
    for device in mine.devices:
        points = [each for each in mine.points if each.device == device.id]
        readings = tuple(
            Reading(
                each.id,
                chance.randrange(2) if UNITS[each.kind].switch else chance.randrange(160),
                Quality.GOOD if chance.random() > 0.02 else Quality.OVER_RANGE,
            )
            for each in points
        )
        if readings:
            found.append(Sample(device.id, now_ms - chance.randrange(40), readings))
    return tuple(found)


def _record(mine: Mine, folder: Path, cycles: int) -> None:
    """Run the core on made-up inputs and record it as the controller does."""
    config = Folder(folder).activate(mine)
    chance = random.Random(7)
    state, digest = State(), DecisionDigest()
    store = RecordStore(folder, "test/replay", digest=digest, urgent=lambda _: False, limits=LIMITS)
    store.start_run(Start("run-1", durable_to_json(state.durable), "0", config, 0))
    notices = (Notice("controller_started", "controller", {"run": "run-1", "config": config}),)
    for cycle in range(cycles):
        now_ms = 5_000 + cycle * 100
        samples = _samples(mine, now_ms, chance) if cycle % 10 == 0 else ()
        image = Image(
            cycle,
            now_ms,
            1_790_000_000_000 + now_ms,
            True,
            store.durable_index,
            samples,
            notices=notices,
        )
        decided = step(mine, state, image)
        state = decided.state
        digest.update(cycle, decided.events, decided.outputs)
        store.submit(encode(image.to_row()), decided.events, image.samples)
        while cycle % 50 == 0 and store.pending:
            time.sleep(0.001)
        notices = store.take_notices()
    store.close()


@pytest.fixture(scope="module")
def recorded(mine: Mine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a state folder with one recorded run of the demo mine."""
    folder = tmp_path_factory.mktemp("run")
    _record(mine, folder, CYCLES)
    return folder


def test_replay_is_equal(recorded: Path) -> None:
    """Every cycle is replayed, every sealed chunk has the recorded digest, nothing differs."""
    found = replay(recorded)
    assert found.equal
    assert found.cycles == CYCLES
    assert found.chunks >= 2
    assert found.events > 20
    assert found.recorded_kinds == found.replayed_kinds
    assert verify(recorded).findings == []


@pytest.mark.parametrize("seed", ["0", "4242"])
def test_replay_in_another_process(recorded: Path, seed: str) -> None:
    """Another process with another hash seed comes to the same digest."""
    code = "from minewatch.cli import main; main()"
    words = [sys.executable, "-c", code, "replay", str(recorded), "--json"]
    ran = subprocess.run(
        words, capture_output=True, check=False, env={**os.environ, "PYTHONHASHSEED": seed}
    )
    assert ran.returncode == 0, ran.stderr.decode()
    assert json.loads(ran.stdout)["digest"] == replay(recorded).digest


def test_altered_input_is_located(recorded: Path, tmp_path: Path) -> None:
    """An input changed in the journal, its own hash made to fit, is told by cycle and by chunk."""
    copy = tmp_path / "copy"
    shutil.copytree(recorded, copy)
    ledger = Ledger.open(copy, origin="", writable=False)
    cycles = [json.loads(each.leaf)["cycle"] for each in ledger.all_entries()]
    ledger.close()
    wanted = next(each for each in cycles if each > CYCLES // 3)
    with closing(sqlite3.connect(copy / "journal" / "000001.db")) as database:
        number, packed = database.execute(
            "SELECT number, lines FROM part WHERE first_cycle <= ? AND last_cycle >= ?",
            (wanted, wanted),
        ).fetchone()
        changed = b"\n".join(map(partial(_later, wanted), zlib.decompress(packed).splitlines()))
        database.execute(
            "UPDATE part SET lines = ?, sha256 = ? WHERE number = ?",
            (zlib.compress(changed + b"\n"), hashlib.sha256(changed + b"\n").hexdigest(), number),
        )
        database.commit()
    found = replay(copy)
    assert found.difference is not None
    assert found.difference.cycle == wanted
    assert any(each.code == "chunk_altered" for each in verify(copy).findings)


def _later(cycle: int, line: bytes) -> bytes:
    row = json.loads(line)
    if row[0] != cycle:
        return line
    row[2] += 1
    return encode(row)


def test_unknown_run_refused(recorded: Path, tmp_path: Path) -> None:
    """A run that is not there, or a folder without a record, is an error and no empty success."""
    with pytest.raises(RecordError):
        replay(recorded, "nobody")
    with pytest.raises(RecordError):
        replay(tmp_path)
