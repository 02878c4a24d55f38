"""`minewatch check` and the supervisor's child: exit codes, both languages, canonical bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from minewatch.cli import exit_codes, main
from minewatch.mine import Loaded
from minewatch.mine.__main__ import main as child
from minewatch.model.codec import mine_from_json, mine_hash

DEMO = Path(__file__).parents[2] / "config/demo-mine"


def _check(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["check", *arguments])


def test_a_sound_mine_is_explained(demo: Loaded) -> None:
    """Zones, outputs, limits with their words and line loads are shown; the code is 0."""
    result = _check(str(DEMO))

    assert result.exit_code == exit_codes.OK
    for word in ("示范煤矿", "12301_T1", "AQ 1029", "cut_12301", "130", "The configuration loads."):
        assert word in result.stdout


def test_a_refused_mine_shows_line_rule_and_advice_in_both_languages(spoiled: Any) -> None:
    """The page names file and line and speaks Chinese and English."""
    line = spoiled.replace("mine.toml", "minutes = 60", "minutes = 121")
    result = _check(str(spoiled.folder))

    assert result.exit_code == exit_codes.CONFIGURATION
    flat = "".join(result.stdout.split()).replace("│", "")
    assert str(line) in result.stdout
    assert "minutes=121" in flat
    assert "129号" in flat
    assert "Refused: 1 errors." in result.stdout


def test_json_says_the_same_to_machines() -> None:
    """`--json` is one document with hash, limits and lines."""
    report = json.loads(_check(str(DEMO), "--json").stdout)

    assert report["ok"] is True
    assert len(report["config"]) == 64
    head = next(row for row in report["limits"] if row["point"] == "12301_T1")
    assert head["limits"]["trip"] == "1.50"
    assert {row["bus"] for row in report["lines"]} >= {"gw_east", "line_headings", "relay_1"}


def test_an_overloaded_line_is_a_failed_check(spoiled: Any) -> None:
    """A mine that loads but whose line cannot keep up leaves with 1 and names the line."""
    fast = "scan_ms = 1000\ntimeout_ms = 300"
    spoiled.replace("buses.toml", fast, fast.replace("1000", "100"))
    result = _check(str(spoiled.folder))

    assert result.exit_code == exit_codes.CHECK_FAILED
    assert "line_headings" in result.stdout
    assert "cannot keep up" in " ".join(result.stdout.split())


def test_a_proof_that_comes_too_late_is_a_failed_check(spoiled: Any) -> None:
    """An input that is read too seldom to prove a cut in time is named, and the code is 1."""
    path = spoiled.folder / "buses.toml"
    head, mark, tail = path.read_text(encoding="utf-8").partition('id = "gw_relay"')
    slow = tail.replace("scan_ms = 500", "scan_ms = 5000", 1)
    path.write_text(head + mark + slow, encoding="utf-8")
    result = _check(str(spoiled.folder), "--json")
    late = {each["proof"] for each in json.loads(result.stdout)["late_proofs"]}

    assert result.exit_code == exit_codes.CHECK_FAILED
    assert {"FEED_12301", "FEED_12302", "FEED_WEST"} <= late


def test_canonical_is_written_for_a_sound_mine_only(
    tmp_path: Path, spoiled: Any, demo: Loaded
) -> None:
    """The canonical file is the mine; a refused one writes nothing; a bad path is 74."""
    out = tmp_path / "mine.json"
    assert _check(str(DEMO), "--json", "--canonical", str(out)).exit_code == exit_codes.OK
    assert mine_from_json(out.read_bytes()) == demo.mine

    spoiled.replace("mine.toml", "minutes = 60", "minutes = 121")
    refused = tmp_path / "refused.json"
    _check(str(spoiled.folder), "--canonical", str(refused))
    assert not refused.exists()

    nowhere = str(tmp_path / "no" / "mine.json")
    result = _check(str(DEMO), "--json", "--canonical", nowhere)
    assert result.exit_code == exit_codes.IO_ERROR


def test_the_child_process_writes_the_same_bytes_under_any_hash_seed(tmp_path: Path) -> None:
    """Two children with different hash seeds and languages write one file."""
    written = []
    for seed in ("0", "4242"):
        out = tmp_path / f"{seed}.json"
        environment = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": "C"}
        command = [sys.executable, "-m", "minewatch.mine", str(DEMO), str(out)]
        subprocess.run(command, env=environment, check=True, timeout=60)
        written.append(out.read_bytes())

    assert written[0] == written[1]


def test_the_child_refuses_with_78_and_says_why(spoiled: Any, tmp_path: Path, capsys: Any) -> None:
    """Faults go to standard error with file and line; nothing is written."""
    line = spoiled.replace("mine.toml", "minutes = 60", "minutes = 121")
    out = tmp_path / "mine.json"

    code = child([str(spoiled.folder), str(out)])

    errors = capsys.readouterr().err
    assert code == exit_codes.CONFIGURATION
    assert f"mine.toml:{line}:" in errors
    assert not out.exists()


def test_the_child_knows_usage_and_io_errors(tmp_path: Path, capsys: Any) -> None:
    """Wrong arguments are 2, an unwritable file 74, as the command line has them."""
    assert child([]) == exit_codes.USAGE
    assert child([str(DEMO), str(tmp_path / "no" / "x.json")]) == exit_codes.IO_ERROR


def test_the_hash_follows_every_change(spoiled: Any, demo: Loaded) -> None:
    """A changed limit is another configuration."""
    assert demo.mine is not None
    before = mine_hash(demo.mine)
    spoiled.replace("mine.toml", "headcount_limit = 130 ", "headcount_limit = 129 ")

    changed = spoiled.load().mine

    assert changed is not None
    assert mine_hash(changed) != before


def test_what_helps_a_refused_line_is_named(spoiled: Any) -> None:
    """The report names a baud rate and devices to move; with either the line is possible."""
    fast = "scan_ms = 1000\ntimeout_ms = 300"
    spoiled.replace("buses.toml", fast, fast.replace("1000", "500"))
    result = _check(str(spoiled.folder), "--json")
    (line,) = (each for each in json.loads(result.stdout)["lines"] if not each["possible"])

    assert result.exit_code == exit_codes.CHECK_FAILED
    assert line["bus"] == "line_headings"
    assert line["advice"]["baud"] in (19_200, 38_400)
    assert line["advice"]["devices"]

    spoiled.replace("buses.toml", "baud=9600", f"baud={line['advice']['baud']}")
    assert _check(str(spoiled.folder), "--json").exit_code == exit_codes.OK
