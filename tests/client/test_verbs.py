"""The verbs that look and act: what they print, in which language, and how they end."""

import asyncio
import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from minewatch.cli import main

ALARM: dict[str, Any] = {
    "kind": "gas_over_limit",
    "priority": 2,
    "source": "T1",
    "zone": "face",
    "value": 102,
    "limit": 100,
    "peak": 110,
    "raised_ms": 1000,
    "raised_wall_ms": 1_700_000_000_000,
    "state": "unacknowledged",
    "active": True,
    "closed": False,
}


async def _run(controller, *arguments: str) -> Result:
    """Run a verb against the fake controller in a thread of its own."""
    state = str(controller.path.parents[1])
    command = [*arguments, "--state", state]
    runner = CliRunner(env={"COLUMNS": "200"})
    return await asyncio.to_thread(runner.invoke, main, command)


@pytest.mark.parametrize("verb", ["status", "alarms", "people"])
@pytest.mark.parametrize(("lang", "word"), [("en", "headcount"), ("zh-CN", "井下人数")])
async def test_looking_is_in_the_language_asked_for(controller, verb, lang, word) -> None:
    """Tables come in Chinese and English; without an alarm the verbs end with 0."""
    result = await _run(controller, verb, "--lang", lang)
    assert result.exit_code == 0, result.output
    if verb != "alarms":
        assert word in result.output


@pytest.mark.parametrize("verb", ["status", "alarms"])
async def test_standing_alarm_ends_with_1(controller, verb) -> None:
    """A script sees from the code that an alarm stands."""
    controller.frame["alarms"] = {"A1": ALARM}
    result = await _run(controller, verb, "--lang", "en")
    assert result.exit_code == 1
    if verb == "alarms":
        assert "gas over limit" in result.output.lower()


@pytest.mark.parametrize("verb", ["status", "alarms", "people"])
async def test_json_is_json(controller, verb) -> None:
    """--json prints one document with the sections that the verb is about."""
    controller.frame["alarms"] = {"A1": ALARM}
    result = await _run(controller, verb, "--json")
    body = json.loads(result.output)
    expected = {"status": "headcount", "alarms": "A1", "people": "people"}[verb]
    assert expected in body


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["alarms"],
        ["people"],
        ["watch"],
        ["ack", "A1"],
        ["silence"],
        ["withdraw", "mine", "--reason", "水"],
    ],
)
def test_no_daemon_ends_with_69(tmp_path, arguments) -> None:
    """Every verb says that nobody answers and leaves with 69."""
    result = CliRunner().invoke(main, [*arguments, "--state", str(tmp_path), "--lang", "en"])
    assert result.exit_code == 69
    assert "no daemon answers" in result.output


async def test_watch_stops_after_its_time(controller) -> None:
    """The live view runs for --seconds and ends with 0."""
    result = await _run(controller, "watch", "--seconds", "0.5", "--lang", "en")
    assert result.exit_code == 0, result.output


async def test_ack_all_names_what_waits(controller) -> None:
    """--all acknowledges exactly the alarms that nobody has acknowledged."""
    acknowledged = {**ALARM, "state": "acknowledged"}
    controller.frame["alarms"] = {"A1": ALARM, "A2": acknowledged}
    result = await _run(controller, "ack", "--all", "--lang", "en")
    assert result.exit_code == 0, result.output
    asked = controller.requests[-1]
    assert (asked["kind"], asked["arguments"]) == ("acknowledge", {"alarms": ["A1"]})
    assert asked["by"] == ""


async def test_withdraw_carries_zones_and_reason(controller) -> None:
    """The order names its zones, and the reason goes as text."""
    result = await _run(controller, "withdraw", "face", "heading", "--reason", "顶板来压")
    assert result.exit_code == 0, result.output
    asked = controller.requests[-1]
    assert (asked["kind"], asked["text"]) == ("withdraw", "顶板来压")
    assert asked["arguments"] == {"zones": ["face", "heading"]}


async def test_refusal_ends_with_77_and_its_reasons(controller) -> None:
    """What is refused is told with every reason."""
    controller.reply = {"accepted": False, "reasons": ["unknown_alarm:A9", "odd"], "index": 4}
    result = await _run(controller, "ack", "A9", "--lang", "en")
    assert result.exit_code == 77
    assert "A9" in result.output
    assert "odd" in result.output


@pytest.mark.parametrize("arguments", [["ack"], ["ack", "A1", "--all"], ["withdraw", "mine"]])
def test_half_an_order_is_a_usage_error(tmp_path, arguments) -> None:
    """What is not said completely is not guessed."""
    result = CliRunner().invoke(main, [*arguments, "--state", str(tmp_path)])
    assert result.exit_code == 2
