"""The scans of one line are asked at once when it opens and never in one burst again."""

from collections import Counter
from pathlib import Path

import pytest
from minewatch_drivers.modbus_line.schedule import Schedule
from minewatch_drivers.tasks.outbox import Outbox

from minewatch.mine import load

DEMO = Path(__file__).parents[2] / "config" / "demo-mine"
START_US = 50_000_000


@pytest.mark.parametrize("bus_id", ["gw_east", "gw_west", "gw_people"])
def test_scans_keep_phases_of_their_own(bus_id: str) -> None:
    """After the first round, in which all are due, no 100 ms hold more than their share."""
    mine = load(DEMO).mine
    assert mine is not None
    bus = mine.bus(bus_id)
    schedule = Schedule(mine, bus, Outbox(), writes=False)
    schedule.restart(START_US)
    asked: Counter[int] = Counter()
    for step in range(1_050):
        now_us = START_US + step * 10_000
        while (job := schedule.next_job(now_us, None)) is not None:
            asked[step // 10] += 1
            job.state.proved = True
            job.refuse(now_us, now_us, False)

    scans = max(asked.values())
    steady = [asked[window] for window in range(10, 105)]
    assert asked[0] == scans
    assert max(steady) <= -(-scans // 10) + 1
    assert sum(steady) / 9.5 > scans / 2
