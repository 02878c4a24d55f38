"""Real gas: a longwall's series through the core gives the alarms of the bare comparison."""

import csv
import gzip
import os
from pathlib import Path

import pytest

from minewatch.model.mine import Limits
from minewatch.model.values import Values

SERIES = "polish_longwall_30s.csv.gz"
COLUMN = "CH4_MM116_pct"
RETURN = Limits(alarm=100, clear=80)
FACE = Limits(alarm=100, trip=150, restore=100, withdraw=150, clear=80)


@pytest.fixture(scope="module")
def series_cpct() -> list[int]:
    """Return the whole series in 0.01 %CH4."""
    roots = [os.environ.get("MINEWATCH_TEST_DATA"), Path(__file__).parents[3] / "shared" / "data"]
    for root in roots:
        path = Path(root) / SERIES if root else None
        if path is not None and path.exists():
            with gzip.open(path, "rt", encoding="utf-8") as file:
                return [round(float(row[COLUMN]) * 100) for row in csv.DictReader(file)]
    pytest.skip(f"{SERIES} not found: set MINEWATCH_TEST_DATA to the folder that holds it")


def _runs(values: list[int], limit: int) -> list[tuple[int, int]]:
    """Return (first, last) of each run of samples at or above the limit."""
    runs: list[tuple[int, int]] = []
    for n, value in enumerate(values):
        if value >= limit and (n == 0 or values[n - 1] < limit):
            runs.append((n, n))
        if value >= limit:
            runs[-1] = (runs[-1][0], n)
    return runs


def _play(rig, values: list[int]) -> dict[str, list[int]]:
    """Turn one cycle per row; return the rows at which alarms were raised and cleared."""
    rows: dict[str, list[int]] = {"alarm_raised": [], "alarm_cleared": []}
    for n, value in enumerate(values):
        for event in rig.turn(ms=1000, readings={"Z0_H0": value}).events:
            if event.kind in rows and event.data["alarm_kind"] == "gas_over_limit":
                rows[event.kind].append(n)
    return rows


def _bare(values: list[int]) -> tuple[list[int], list[int]]:
    """Return raises and clears of a comparison with a clear band, and nothing else."""
    raised, cleared, stands = [], [], False
    for n, value in enumerate(values):
        if not stands and value >= 100:
            raised.append(n)
            stands = True
        elif stands and value < 80:
            cleared.append(n)
            stands = False
    return raised, cleared


def test_fifteen_alarms_at_the_sample_of_the_bare_comparison(
    rig_of, mine_of, series_cpct: list[int]
) -> None:
    """15 alarms, each raised and cleared at the very sample; their intervals hold all 99 runs."""
    rig = rig_of(mine_of(zones=1, heads=1, limits=RETURN, interlocks=())).start()
    rows = _play(rig, series_cpct)
    assert (rows["alarm_raised"], rows["alarm_cleared"]) == _bare(series_cpct)
    assert len(rows["alarm_raised"]) == 15
    runs = _runs(series_cpct, 100)
    assert len(runs) == 99
    ends = [*rows["alarm_cleared"], len(series_cpct)]
    intervals = list(zip(rows["alarm_raised"], ends, strict=False))
    assert all(
        any(first >= begin and last < end for begin, end in intervals) for first, last in runs
    )


def test_at_the_recorded_pace_an_answered_alarm_comes_back_with_a_sound(
    rig_of, mine_of, series_cpct: list[int]
) -> None:
    """With the times as shipped and each alarm answered at once, none of nine comes in silence.

    The closest two of the series are among them, 12 min from one sound to the next: what returns in
    silence is chatter within ten minutes, and this face had none.
    """
    rows = series_cpct[:2_300]
    values = Values(clear_ms=3_000, repeat_ms=600_000)
    mine = mine_of(zones=1, heads=1, limits=RETURN, interlocks=(), values=values)
    rig = rig_of(mine).start()
    raised, cleared = [], []
    for n, value in enumerate(rows):
        turns = [rig.turn(ms=10_000, readings={"Z0_H0": value}) for _ in range(3)]
        for event in [each for decided in turns for each in decided.events]:
            if event.kind == "alarm_raised":
                raised.append(n)
                assert event.data["answered"] is None, n
                rig.command("acknowledge", "S1", alarms=[event.data["alarm"]])
            elif event.kind == "alarm_cleared":
                cleared.append(n)
    assert (raised, cleared) == _bare(rows)
    assert len(raised) == 9


def test_a_demand_at_the_first_sample_of_each_run_at_trip(
    rig_of, mine_of, series_cpct: list[int]
) -> None:
    """As a face head: a cut at the first sample of each of the 14 runs, released in between."""
    rig = rig_of(mine_of(zones=1, heads=1, limits=FACE)).start()
    rig.world.pop("Z0_H0")
    runs = _runs(series_cpct, 150)
    assert len(runs) == 14
    firsts, before = [], -1
    for begin, end in runs:
        rig.world["Z0_H0"] = 20
        rig.run(1)
        assert not rig.causes
        assert rig.last.outputs["cut_Z0"] is True
        rig.world.pop("Z0_H0")
        for n in range(max(before + 1, begin - 3), end + 1):
            decided = rig.turn(readings={"Z0_H0": series_cpct[n]})
            if any(event.kind == "cause_latched" for event in decided.events):
                firsts.append(n)
                assert decided.outputs["cut_Z0"] is False
        before = end
        rig.world["Z0_H0"] = 20
        rig.run(62)
        assert rig.release("cut_Z0", values={"Z0_H0": 20}).kind == "release_granted"
    assert firsts == [begin for begin, _ in runs]
