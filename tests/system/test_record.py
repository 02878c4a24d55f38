"""The record of a whole house: replayed and verified elsewhere, and a changed byte is located."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from minewatch_sim.scenario import Scenario
from minewatch_sim.virtual_bench import VirtualBench

from minewatch import __version__
from minewatch.controller.cycle import Controller
from minewatch.core.snapshot import durable_to_json
from minewatch.core.state import State
from minewatch.core.step import Step
from minewatch.folder import Folder
from minewatch.mine import load
from minewatch.model.image import Image
from minewatch.record.digest import DecisionDigest
from minewatch.record.journal import JournalLimits, Start
from minewatch.record.recover import read_state
from minewatch.record.store import RecordStore, StoreLimits

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "verify.py"

BEHIND_MAX = 100
"""Cycles that the store's thread may be behind; at real speed it is never more than a few."""

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def _minewatch(*words: str | Path, hash_seed: int = 4242) -> tuple[int, dict[str, Any]]:
    """Run a verb in a process with a hash seed of its own; return (exit code, its JSON)."""
    ran = subprocess.run(
        [sys.executable, "-m", "minewatch.cli", *map(str, words), "--json"],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout, ran.stderr
    return ran.returncode, json.loads(ran.stdout)


def _tool(folder: Path) -> tuple[int, str]:
    """Run the stand-alone verifier without any of our packages; return (exit code, its words)."""
    ran = subprocess.run(
        [sys.executable, "-I", "-S", str(TOOL), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout + ran.stderr


def _stop(house: Any) -> None:
    """Ask the supervisor to end, as systemd does, and wait for it."""
    process = house.processes["house"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    assert house.pids() == []


def _copy(folder: Path, copy: Path) -> Path:
    """Copy the evidence, with its write-ahead logs moved into the databases."""
    for part in ("ledger", "journal", "config"):
        shutil.copytree(folder / part, copy / part)
    for path in copy.glob("*/*.db"):
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return copy


def _flip(path: Path, needle: bytes) -> None:
    """Flip one bit in the middle of some bytes of a file."""
    data = bytearray(path.read_bytes())
    data[data.index(needle) + len(needle) // 2] ^= 1
    path.write_bytes(data)


def _packed_lines(path: Path) -> tuple[int, bytes]:
    """Return the first cycle and the first packed bytes of the second part of a journal file."""
    with closing(sqlite3.connect(path)) as database:
        first, lines = database.execute(
            "SELECT first_cycle, lines FROM part ORDER BY number LIMIT 1 OFFSET 1"
        ).fetchone()
    return first, lines[:200]


def _run_twice(house: Any, waiting: Callable[..., Any]) -> int:
    """Live through a gas rise, stop, and live a moment longer; return a cycle of the first run."""
    house.start_simulator("gas-rise", speed=8.0)
    house.start()
    began_s = time.monotonic()
    waiting(lambda: house.frame().section("causes"), 60, "a cut")
    waiting(lambda: time.monotonic() - began_s > 25 and house.frame().body["cycle"] > 200, 60)
    cycle = int(house.frame().body["cycle"])
    _stop(house)
    house.start()
    waiting(lambda: house.frame().body["cycle"] > 20, 20, "the second run")
    waiting(lambda: _sealed(house.folder.root), 10, "the first run's last chunk is sealed")
    _stop(house)
    return cycle


def _sealed(folder: Path) -> list[str]:
    events = read_state(folder).events
    return [each.data["subject"] for each in events if each.kind == "journal_sealed"]


def test_a_house_is_replayed_and_verified_elsewhere(
    house: Any, waiting: Callable[..., Any], tmp_path: Path
) -> None:
    """Both runs of a house replay equal under another hash seed; a flip is located by both."""
    cycle = _run_twice(house, waiting)
    folder = house.folder.root
    events = read_state(folder).events
    runs = [each.data["run"] for each in events if each.kind == "controller_started"]
    assert len(runs) == 2
    replayed = [_minewatch("replay", folder, "--run", run) for run in runs]
    assert [code for code, _ in replayed] == [0, 0]
    assert all(each["equal"] and each["hole"] is None for _, each in replayed)
    assert replayed[0][1]["cycles"] > cycle
    assert sum(each["events"] for _, each in replayed) == len(events)
    assert replayed[0][1]["chunks"] == len(_sealed(folder)) >= 1
    code, report = _minewatch("verify", folder)
    assert (code, report["findings"], report["covered"]) == (0, [], len(events))
    assert _tool(folder)[0] == 0
    _check_flipped_ledger(_copy(folder, tmp_path / "ledger_flipped"))
    _check_flipped_journal(_copy(folder, tmp_path / "journal_flipped"))


def _check_flipped_ledger(copy: Path) -> None:
    events = read_state(copy).events
    index = next(n for n, each in enumerate(events) if each.kind == "cause_latched")
    _flip(copy / "ledger" / "ledger.db", events[index].leaf())
    code, report = _minewatch("verify", copy)
    assert code == 1
    assert index in [each.get("index") for each in report["findings"]]
    code, words = _tool(copy)
    assert code == 1
    assert f"entry {index} " in words


def _check_flipped_journal(copy: Path) -> None:
    path = copy / "journal" / "000001.db"
    cycle, packed = _packed_lines(path)
    _flip(path, packed)
    code, report = _minewatch("verify", copy)
    assert code == 1
    found = [each for each in report["findings"] if each.get("part") == 2]
    assert [each["chunk"] for each in found] == ["000001-000001"]
    code, words = _tool(copy)
    assert code == 1
    assert "journal chunk 000001-000001" in words
    assert "part 2" in words
    assert cycle > 0


def _record_on_virtual_time(folder: Path, minutes: int) -> tuple[DecisionDigest, int]:
    """Guard the demo mine's gas rise on virtual time with the real store; return digest, cycles."""
    mine = load(ROOT / "config" / "demo-mine").mine
    assert mine is not None
    bench, digest = VirtualBench(mine, Scenario.load("gas-rise"), 5), DecisionDigest()
    limits = StoreLimits(images=20_000, image_bytes=1 << 30, journal=JournalLimits(free_bytes=0))
    store = RecordStore(
        folder, "virtual/mine", digest=digest, urgent=lambda _event: False, limits=limits
    )
    state = State()
    config = Folder(folder).activate(mine)
    store.start_run(Start("virtual", durable_to_json(state.durable), __version__, config, 0))
    controller = Controller(mine, state, bench.clock, store, bench.lines, digest=digest)

    def turned(_decided: Step, _image: Image) -> None:
        for notice in store.take_notices():
            controller.board.notice(notice)
        while store.pending > BEHIND_MAX:  # virtual time outruns any disk
            time.sleep(0.001)

    controller.listeners.append(turned)
    bench.run_for(controller, minutes * 60_000)
    store.close()
    return digest, controller.cycle


def test_ten_minutes_replay_equal_in_another_process(tmp_path: Path) -> None:
    """10 minutes of plant time through real lines give one digest, here and under other seeds."""
    digest, cycles = _record_on_virtual_time(tmp_path, 10)
    for hash_seed in (1, 4242):
        code, found = _minewatch("replay", tmp_path, hash_seed=hash_seed)
        assert (code, found["equal"], found["hole"]) == (0, True, None)
        assert (found["digest"], found["cycles"]) == (digest.hex(), cycles)
        assert found["chunks"] >= 9
        assert found["recorded_kinds"] == found["replayed_kinds"]
        assert found["recorded_kinds"]["cause_latched"] >= 1
    assert _minewatch("verify", tmp_path)[0] == _tool(tmp_path)[0] == 0
