"""A whole house reads a real folder that the simulated certified system writes."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from minewatch.record.ledger import Ledger

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

ORIGIN = "minewatch/v1/220181/220181004688"
POINT = "KJ_12301_T1"


def _ours(house: Any) -> Any:
    return house.frame().section("points")["12301_T1"]


def _point(house: Any) -> dict[str, Any]:
    shown: dict[str, Any] = house.frame().section("points")[POINT]
    return shown


def test_the_files_reach_the_frame_of_a_house_in_monitor(
    house: Any, waiting: Callable[..., Any]
) -> None:
    """A value from a file is shown GOOD with the file's age; in monitor, without any output."""
    house.start_simulator("normal-shift")
    house.start(mode="monitor")
    waiting(lambda: _point(house)["quality"] == "GOOD", 45, "the first file is read")
    waiting(lambda: _ours(house)["quality"] == "GOOD", 20, "our own head is read")
    frame = house.frame()
    ours = frame.section("points")["12301_T1"]["value"]
    assert abs(_point(house)["value"] - ours) <= 20
    assert frame.body["health"]["buses"]["certified"]["up"]
    assert frame.body["t_ms"] - _point(house)["sampled_ms"] < 45_000


@pytest.mark.nightly
def test_a_shifted_file_is_on_the_ledger_within_its_time(
    house: Any, waiting: Callable[..., Any]
) -> None:
    """In real time: one file period and 60 s after the shift the event is durable and shown."""
    house.start_simulator("normal-shift")
    house.start()
    waiting(lambda: _point(house)["quality"] == "GOOD", 45, "the first file is read")
    house.plant.do("certified", point=POINT, shift=0.4)
    waiting(lambda: house.frame().section("comparisons"), 100, "the difference is told")
    standing = house.frame().section("comparisons")["12301_T1"]
    assert standing["other"] == POINT
    house.stop()
    ledger = Ledger.open(house.folder.root, origin=ORIGIN, writable=False)
    kinds = [json.loads(entry.leaf)["kind"] for entry in ledger.all_entries()]
    ledger.close()
    assert kinds.count("comparison_opened") == 1
