"""Spike b: a toy core with its ledger through virtual crashes and real kills.

The fold of what is on disk equals the state at that index, nothing un-latches, and nothing that
was told durable is lost.
"""

import importlib.util
import random
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from minewatch_sim.virtual import StoreHabits, VirtualStore

from minewatch.record.recover import read_state
from minewatch.record.verify import verify

TOY = Path(__file__).with_name("toy_core.py")


@pytest.fixture(scope="module")
def toy() -> ModuleType:
    """Return the toy core."""
    spec = importlib.util.spec_from_file_location("toy_core", TOY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["toy_core"] = module
    spec.loader.exec_module(module)
    return module


def _live(toy: ModuleType, core: object, store: VirtualStore, turns: int, now_ms: int) -> int:
    """Run turns on the virtual disk; a coil may only close under a durable release."""
    for _ in range(turns):
        now_ms += 100
        store.pump(now_ms)
        before = set(core.open)
        events = core.turn(store.durable_index)
        for output in before - core.open:
            kinds = [e.kind for e in store.events if e.data.get("output") == output]
            last = [kind for kind in kinds if kind != "acknowledged"][-1]
            assert last == "released", "a coil closed without a durable release"
        store.submit(b"[]", events)
        assert core.toy.latched <= core.open
    return now_ms


def test_virtual_crashes(toy: ModuleType) -> None:
    """10 000 crashes on a disk that loses what was not synced, seeded."""
    chance = random.Random(2)
    store = VirtualStore(chance, StoreHabits(delay_least_ms=1, delay_most_ms=900))
    core, now_ms, lost = toy.Core(toy.Toy(), (), chance), 0, 0
    folded = toy.Toy()
    for crash in range(10_000):
        now_ms = _live(toy, core, store, chance.randrange(1, 12), now_ms)
        owed = set(core.open)
        promised = store.durable_index
        lost += store.crash()
        assert store.durable_index == promised
        for event in store.events[folded.index :]:
            folded = toy.fold(folded, event)
        core = toy.Core(folded, owed, chance)
        assert core.open == owed | folded.latched, "an owed cut was forgotten"
        assert set(core.lost) == owed - folded.latched
        if crash % 50 == 0:
            store.events.clear()
            folded = toy.Toy()
            core = toy.Core(folded, core.open, chance)
    assert lost > 1_000


def test_fold_equals_state_at_every_index(toy: ModuleType) -> None:
    """Whatever prefix survives, its fold is the state the core had at that index."""
    chance = random.Random(3)
    core, events, states = toy.Core(toy.Toy(), (), chance), [], {0: toy.Toy()}
    for _ in range(2_000):
        before = core.toy
        emitted = core.turn(len(events))
        for event in emitted:
            before = toy.fold(before, event)
            states[before.index] = before
        assert before == core.toy
        events += emitted
    for size in range(0, len(events), 37):
        assert toy.fold_all(events[:size]) == states[size]


def _kill_once(folder: Path, seed: int, chance: random.Random) -> tuple[int, str]:
    """Start the toy's process, kill it at a random moment, return the last promise it printed."""
    process = subprocess.Popen(
        [sys.executable, str(TOY), str(folder), str(seed)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(chance.randrange(2, 80))]
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.read().splitlines(keepends=True)
    process.stdout.close()
    process.wait()
    index, state = [line for line in lines if line.endswith("\n")][-1].split()
    return int(index), state


def _kill_rounds(toy: ModuleType, folder: Path, rounds: int) -> None:
    chance = random.Random(rounds)
    for seed in range(rounds):
        index, state = _kill_once(folder, seed, chance)
        events = read_state(folder).events
        assert len(events) >= index, "an event that was told durable is lost"
        assert toy.fold_all(events[:index]).hash() == state, "the fold is not the state"
        assert toy.fold_all(events).latched <= toy.coils_of(folder), "a latched output is closed"
    assert verify(folder).findings == []


@pytest.mark.timeout(300)
def test_real_kills(toy: ModuleType, tmp_path: Path) -> None:
    """Twenty rounds of `kill -9` on the real store, each going on from what the last one left."""
    _kill_rounds(toy, tmp_path, 20)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_many_real_kills(toy: ModuleType, tmp_path: Path) -> None:
    """Two hundred rounds of the same."""
    _kill_rounds(toy, tmp_path, 200)
