"""Two hundred heads trip once each: every coil is written, every feeder proved or its failure told.

The measuring is `bench/latency.py`'s; here its run is judged by what happened, not by how fast.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

BENCH = Path(__file__).parents[2] / "bench"
WELDED = ("cut_3", "cut_77", "cut_198")
PROOF_MS = 2000
TURN_MS = 500
"""The proof is judged by the turn after its time; a loaded machine may be late by some turns."""


@pytest.fixture
def latency(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module of the bench."""
    monkeypatch.syspath_prepend(str(BENCH))
    module = importlib.import_module("latency")
    yield module
    for name in [each for each in sys.modules if each.partition(".")[0] in ("latency", "common")]:
        del sys.modules[name]


def test_two_hundred_trips_write_two_hundred_coils(latency: Any, tmp_path: Path) -> None:
    """A page is open and no broker answers: 200 coils drop, 197 feeders prove it, 3 are told."""
    played = latency.play_tcp(tmp_path, welded=WELDED)

    assert len(played.trips) == 200
    assert [trip.output for trip in played.trips if trip.coil_us is None] == []
    failed = {key for key, each in played.outputs.items() if each["failed"]}
    proved = {key for key, each in played.outputs.items() if each["proved"]}
    assert failed == set(WELDED)
    assert proved == {trip.output for trip in played.trips} - failed
    latched_ms = {
        output: event["t_ms"]
        for event in played.events
        if event["kind"] == "cause_latched"
        for output in event["data"]["outputs"]
    }
    told_ms = {
        event["data"]["source"]: event["t_ms"]
        for event in played.events
        if event["kind"] == "alarm_raised" and event["data"]["alarm_kind"] == "failed_actuation"
    }
    assert set(told_ms) == set(WELDED)
    for output, at_ms in told_ms.items():
        assert at_ms - latched_ms[output] <= PROOF_MS + TURN_MS, output


def test_a_shared_serial_line_writes_every_coil(latency: Any, tmp_path: Path) -> None:
    """Sixteen heads and their relays on one RS-485: every trip drops its coil and is proved."""
    played = latency.play_rtu(tmp_path)

    assert all(trip.coil_us is not None for trip in played.trips)
    assert all(each["proved"] and not each["failed"] for each in played.outputs.values())
