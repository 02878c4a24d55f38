"""`calibrate`, `notice`, `bypass`: what stands is listed with its place, person and time."""

import json
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from minewatch.cli import look_acts

WORK = {
    "work": "blasting", "zones": ["Z0"], "points": ["P0"], "applicant": "S6", "caller": "S6",
    "by": "S6", "begins_ms": 0, "until_ms": 700_000, "acknowledged": False, "called": False,
    "started_by": "",
}  # fmt: skip
FRAME = {
    "t_ms": 100_000,
    "notices": {"N1": WORK},
    "calibrations": {"P1": {"by": "S6", "until_ms": 160_000}},
    "warm_ups": {"P2": {"until_ms": 159_999}},
    "due": {
        "calibration/P3": {
            "test": "calibration", "source": "P3", "due_ms": 40_000, "overdue": True,
        }
    },
    "bypasses": {"P4": {"by": "S4", "second": "S3", "until_ms": 220_000}},
}  # fmt: skip


@pytest.fixture
def shown(monkeypatch):
    """Return a runner of the verbs against a daemon whose frame is `FRAME`."""
    frame = SimpleNamespace(body=FRAME, section=lambda name: FRAME.get(name, {}))
    monkeypatch.setattr(look_acts, "view_of", lambda folder, say: frame)
    monkeypatch.setenv("COLUMNS", "160")

    def run(verb: str, *options: str) -> str:
        result = CliRunner().invoke(getattr(look_acts, verb), [*options, "--lang", "en"])
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_each_verb_lists_its_own(shown) -> None:
    """Places, persons, minutes left; an overdue date counts below zero; where acts are given."""
    said = shown("calibrate")
    for part in ("P1", "S6", "1 min", "P2", "0 min", "P3", "overdue", "-1 min", "on the page"):
        assert part in said
    assert "P4" not in said
    assert "P4" in shown("bypass")
    assert "2 min" in shown("bypass")
    said = shown("notice")
    for part in ("blasting", "Z0, P0", "10 min", "not acknowledged"):
        assert part in said


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ({}, "not_acknowledged"),
        ({"acknowledged": True}, "may_start"),
        ({"called": True}, "may_start"),
        ({"called": True, "started_by": "S1"}, "running"),
    ],
)
def test_how_far_a_notice_is(answers, state: str) -> None:
    """Announced, told to the county, running."""
    (row,) = look_acts.rows({"notices": {"N1": {**WORK, **answers}}})
    assert row.state == state


def test_json_is_the_frames_own(shown) -> None:
    """Tools get the sections as the daemon says them."""
    assert json.loads(shown("notice", "--json")) == {"notices": FRAME["notices"]}
    assert set(json.loads(shown("bypass", "--json"))) == {"bypasses", "hand_covers"}
