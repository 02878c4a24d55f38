"""`alarms --since`: the figures of a real ledger, as a table and as JSON, without a daemon."""

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from minewatch.cli import exit_codes, main
from minewatch.model.event import Event
from minewatch.record.ledger import Ledger

HOUR_MS = 3_600_000


def _record(folder: Path, count: int, *, hours: int = 2) -> None:
    """Write a ledger of the last hours: `count` alarms within a second, one held, one cleared."""
    begin_ms = int(time.time() * 1000) - hours * HOUR_MS
    events = [_event("controller_started", 0, begin_ms)]
    for n in range(count):
        data = {"alarm": f"A{n}", "alarm_kind": "low", "source": f"p{n % 3}", "priority": 2}
        events.append(_event("alarm_raised", 1000 + n, begin_ms, **data, planned=n == 0))
    held = {"alarm": "H", "alarm_kind": "low", "source": "q", "priority": 2, "held": "shelve"}
    events.append(_event("alarm_raised", 5_000, begin_ms, **held, planned=False))
    events.append(_event("alarm_cleared", 6_000, begin_ms, alarm="A0"))
    events.append(_event("state", 7_000, begin_ms, durable={"kind": "other"}))
    events.append(_event("journal_sealed", hours * HOUR_MS, begin_ms, subject=""))
    ledger = Ledger.open(folder, origin="minewatch/test", writable=True)
    ledger.append([(each.leaf(), each.text) for each in events])
    ledger.close()


def _event(kind: str, ms: int, begin_ms: int, **data: object) -> Event:
    return Event(kind, 1, 0, ms, begin_ms + ms, True, dict(data))


def _run(folder: Path, *more: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["alarms", "--state", str(folder), "--lang", "en", *more])
    return result.exit_code, result.output


def test_the_figures_as_json(tmp_path: Path) -> None:
    """Two hours, twelve alarms, two operators: three an hour each, and a flood of ten minutes."""
    _record(tmp_path, 12)
    code, output = _run(tmp_path, "--since", "3h", "--operators", "2", "--json")
    assert code == exit_codes.OK
    body = json.loads(output)
    assert body["chattering"] == [
        {"alarm_kind": "low", "source": f"p{n}", "count": 4} for n in range(3)
    ]
    assert {key: body[key] for key in body if key != "chattering"} == {
        "hours": 2.0, "operators": 2, "raised": 12, "held": 1, "planned": 1, "per_hour": 3.0,
        "peak": 12, "flood_percent": 8.33, "standing": 12, "stale": 0, "priorities": {"2": 12},
    }  # fmt: skip


def test_the_figures_as_a_table(tmp_path: Path) -> None:
    """What is beyond its target shows beside it; kinds are in words."""
    _record(tmp_path, 12)
    code, output = _run(tmp_path, "--since", "3h")
    assert code == exit_codes.OK
    for words in ("Alarm rates", "6.0", "≤ 6", "12", "≤ 10", "8.33 %", "≤ 1 %", "p0", "100 %"):
        assert words in output


def test_too_little_time_gives_no_rate(tmp_path: Path) -> None:
    """A rate over nothing is no number."""
    _record(tmp_path, 1)
    _, output = _run(tmp_path, "--since", "1m", "--json")
    body = json.loads(output)
    assert (body["per_hour"], body["flood_percent"], body["raised"]) == (None, None, 0)
    _, output = _run(tmp_path, "--since", "1m")
    assert "—" in output


@pytest.mark.parametrize("since", ["", "3", "h", "0h", "-1h", "1w", "123456h", "1.5h"])
def test_a_time_that_is_none(tmp_path: Path, since: str) -> None:
    """Anything but a number and m, h or d is refused as usage."""
    code, output = _run(tmp_path, "--since", since)
    assert code == 2
    assert "30m, 12h, 7d" in output


def test_no_record_is_said(tmp_path: Path) -> None:
    """Where no ledger is, the exit code and one sentence say so."""
    code, output = _run(tmp_path, "--since", "1d")
    assert code == exit_codes.IO_ERROR
    assert "cannot be read" in output
