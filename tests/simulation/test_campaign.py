"""The campaign: a thousand schedules of faults and people over the whole house, none may break it.

Each chunk of seeds leaves its counts in a folder that all workers share; whichever is the last of a
whole campaign asks whether every rare state was lived through.
"""

import json
import logging
import os
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from minewatch_sim.campaign.cli import told
from minewatch_sim.campaign.reached import MUST
from minewatch_sim.campaign.run import run
from minewatch_sim.campaign.schedule import Mode
from minewatch_sim.campaign.tally import Tally, modes_of

CHUNK = 40
FAST = range(0, 1_000, CHUNK)
NIGHT_CHUNK = 250
NIGHT = range(10_000, 20_000, NIGHT_CHUNK)
REGRESSIONS = Path(__file__).parent / "regressions.toml"


@pytest.fixture(autouse=True)
def quiet():
    """Refused configurations are meant here and are no news."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def shared(tmp_path_factory) -> Path:
    """A folder that every worker of this test run sees."""
    own = tmp_path_factory.getbasetemp()
    folder = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    (folder / "campaign").mkdir(exist_ok=True)
    return folder / "campaign"


def campaign(seeds: range) -> Tally:
    """Run seeds and fail with the first violations, each with its replay."""
    tally, broken = Tally(), []
    for seed in seeds:
        for mode in modes_of(seed):
            result = run(seed, mode)
            tally.take(result)
            broken += [told(result, each) for each in result.violations]
    assert not broken, "\n\n".join(broken[:5])
    return tally


def check(tally: Tally, seeds: range) -> None:
    """Hold a chunk against what a schedule must be."""
    assert sum(tally.schedules.values()) == len(seeds)
    assert tally.least_devices >= 12
    assert tally.least_faults >= 5
    assert tally.least_ms >= 120_000


def settle(tally: Tally, folder: Path, name: str, chunks: int) -> None:
    """Leave the counts of a chunk; ask for every rare state where all chunks are there."""
    counts = {"reached": tally.reached, "crashed": tally.crashed, "runs": tally.schedules.total()}
    (folder / f"{name}.json").write_text(json.dumps(counts))
    kind = name.partition("-")[0]
    known = [json.loads(each.read_text()) for each in folder.glob(f"{kind}-*.json")]
    if len(known) < chunks:
        return
    reached: Counter[str] = Counter()
    for each in known:
        reached.update(each["reached"])
    assert not [state for state in MUST if not reached[state]]
    assert sum(each["crashed"] for each in known) >= sum(each["runs"] for each in known) / 2


@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", FAST)
def test_no_schedule_breaks_the_house(first: int, shared: Path) -> None:
    """No invariant is broken by any schedule, and every rare state is lived through by some."""
    seeds = range(first, first + CHUNK)
    tally = campaign(seeds)
    check(tally, seeds)
    settle(tally, shared, f"fast-{first}", len(FAST))


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", NIGHT)
def test_no_schedule_of_a_night_breaks_the_house(first: int, shared: Path) -> None:
    """The same with ten thousand others."""
    seeds = range(first, first + NIGHT_CHUNK)
    tally = campaign(seeds)
    check(tally, seeds)
    settle(tally, shared, f"night-{first}", len(NIGHT))


def _regressions() -> list[dict[str, object]]:
    return tomllib.loads(REGRESSIONS.read_text(encoding="utf-8"))["regression"]


@pytest.mark.parametrize("known", _regressions(), ids=lambda each: f"{each['seed']}-{each['mode']}")
def test_what_once_failed_holds(known: dict[str, object]) -> None:
    """A seed that once found a bug finds nothing any more."""
    result = run(int(str(known["seed"])), Mode(known["mode"]))
    assert not result.violations, "\n".join(told(result, each) for each in result.violations)


def test_a_seed_gives_the_same_bytes_in_any_process() -> None:
    """The digest over decisions and wires hangs on the seed alone, not on hashes of a process."""
    digests = set()
    for hash_seed in ("0", "4711"):
        done = subprocess.run(
            [sys.executable, "-m", "minewatch_sim.campaign", "--seed", "7", "--mode", "safety"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1
