"""`minewatch observe` beside a real broker: exit codes and verdict of a county's engineer."""

import asyncio
import json
import subprocess
import sys

ROOT = "minewatch/v1/220181/220181004688/"
COMMAND = [sys.executable, "-c", "from minewatch.cli import main; main()", "observe"]


async def _observe(*arguments: str) -> tuple[int, dict, str]:
    """Run the verb and return its exit code, its verdict and what it said of errors."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    verdicts = json.loads(out) if out else {}
    return process.returncode or 0, verdicts, err.decode()


async def _listening(county, until, stored) -> None:
    """Wait until the observer stores what is said."""

    def heard() -> bool:
        county.publish("request", b"{}")
        return stored.exists() and stored.stat().st_size > 0

    await until(heard)


async def test_whole_upload_ends_with_0(house, make_broker, listen, until, tmp_path) -> None:
    """Events, checkpoints and signatures verify; the messages are stored as JSON Lines."""
    broker = make_broker()
    house.configure(broker.url)
    house.record(20)
    house.sign()
    stored = tmp_path / "stored.jsonl"
    observing = asyncio.create_task(
        _observe(
            broker.url,
            "--seconds",
            "4",
            "--key",
            str(house.folder.ledger / "key.pub"),
            "--store",
            str(stored),
        )
    )
    await _listening(listen(broker.port), until, stored)
    house.publish_here()
    code, verdicts, _ = await observing
    verdict = verdicts[ROOT.rstrip("/")]
    assert (code, verdict["whole"]) == (0, True)
    assert verdict["events"] == 20
    assert verdict["roots_verified"] >= 1
    assert verdict["signatures_verified"] >= 1
    lines = stored.read_text("utf-8").splitlines()
    assert sum(json.loads(line)["topic"] == ROOT + "event" for line in lines) == 20


async def test_later_observer_proves_by_request(house, make_broker, until) -> None:
    """Who subscribes after the events asks for them, and verifies the retained checkpoint."""
    broker = make_broker()
    house.configure(broker.url)
    house.record(30)
    house.publish_here()
    await until(lambda: house.controller.reports and house.controller.reports[-1]["up"])
    observing = asyncio.create_task(_observe(broker.url, "--seconds", "5"))
    await asyncio.sleep(2.0)
    house.record(3)
    house.sign()
    code, verdicts, _ = await observing
    verdict = verdicts[ROOT.rstrip("/")]
    assert (code, verdict["whole"]) == (0, True)
    assert verdict["events"] == 33
    assert verdict["roots_verified"] == 1


async def test_forgery_ends_with_1(house, make_broker, listen, until, tmp_path) -> None:
    """A leaf that somebody altered on the way is named."""
    broker = make_broker()
    county = listen(broker.port)
    house.configure(broker.url)
    house.record(5)
    stored = tmp_path / "stored.jsonl"
    observing = asyncio.create_task(_observe(broker.url, "--seconds", "4", "--store", str(stored)))
    await _listening(county, until, stored)
    house.publish_here()
    await until(lambda: len(county.of("event")) == 5)
    forged = {**county.bodies("event")[1], "leaf": "{}"}
    county.publish("event", json.dumps(forged).encode())
    code, verdicts, _ = await observing
    assert code == 1
    assert verdicts[ROOT.rstrip("/")]["findings"][0]["code"] == "leaf_altered"


async def test_no_broker_ends_with_69() -> None:
    """Nobody there is told apart from nothing wrong."""
    code, verdicts, err = await _observe("mqtt://127.0.0.1:1", "--seconds", "0.5", "--lang", "en")
    assert (code, verdicts) == (69, {})
    assert "no mine's upload was heard" in err


async def test_key_that_is_none_is_a_usage_error() -> None:
    """A wrong --key is refused before anything is trusted."""
    code, _, err = await _observe("mqtt://127.0.0.1:1", "--key", "nonsense")
    assert code == 2
    assert "--key" in err
