"""A running house and an engineer with `minewatch bus`: asked through it, guarded, on record."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from minewatch_drivers.device_files import device_file

from minewatch.cli import exit_codes
from minewatch.cli.bus import bus
from minewatch.record.ledger import Ledger

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

HEADS = Path(device_file.__file__).parents[1] / "devices/gas/methane-head-generic.toml"
OWN = "our-head"


def _with_own_device_file(house: Any) -> None:
    """Let the first head be of a model that only this configuration knows."""
    folder = house.scratch / "own"
    shutil.copytree(house.config, folder)
    (folder / "devices").mkdir()
    shutil.copy(HEADS, folder / f"devices/{OWN}.toml")
    devices = folder / "devices.toml"
    text = devices.read_text("utf-8")
    devices.write_text(text.replace('"methane-head-generic"', f'"{OWN}"', 1), "utf-8")
    house.config = folder


def _quality(house: Any) -> str:
    return str(house.frame().section("points")["12301_T0"]["quality"])


def _written(house: Any) -> list[dict[str, Any]]:
    """Return the entries of the ledger that tell of writes by hand."""
    ledger = Ledger.open(house.folder.root, origin="", writable=False)
    leaves = [json.loads(entry.leaf) for entry in ledger.entries(0, ledger.size)]
    ledger.close()
    return [leaf for leaf in leaves if leaf["kind"].startswith("bus_writ")]


def test_an_engineer_asks_through_the_house(house: Any, waiting: Callable[..., Any]) -> None:
    """Reads by a file that came with the configuration, the tap, refusals, a write on record."""
    _with_own_device_file(house)
    house.start_simulator("normal-shift")
    house.start()
    waiting(lambda: _quality(house) == "GOOD", 30, "the head of our own file")
    heads, relay = house.addresses["gw_east"], house.addresses["relay_1"]

    def run(*arguments: object) -> Result:
        words = [*map(str, arguments), "--state", str(house.folder.root), "--lang", "en"]
        return CliRunner().invoke(bus, words)

    seen = json.loads(run("read", heads, 1, "--model", OWN, "--json").output)
    assert seen["identity"] is True
    assert seen["signals"]["methane"]["quality"] == "GOOD"

    assert run("scan", heads, "--units", "1-2").exit_code == exit_codes.NOT_PERMITTED
    assert run("scan", heads, "--units", "1-2", "--slow").exit_code == exit_codes.OK

    heard = run("monitor", heads, "--seconds", 1.5)
    assert "unit 1 is asked: read input registers" in heard.output
    assert "unit 1 answers" in heard.output

    yes = ("--yes", "--reason", "trial of a free channel")
    owned = run("write", relay, 1, "coil", 0, 1, *yes)
    assert owned.exit_code == exit_codes.NOT_PERMITTED
    assert _written(house) == []

    done = run("write", relay, 1, "coil", 7, 1, *yes)
    assert done.exit_code == exit_codes.OK, done.output
    waiting(lambda: len(_written(house)) == 2, 10, "both entries")
    ordered, written = _written(house)
    assert (ordered["kind"], written["kind"]) == ("bus_write_ordered", "bus_written")
    assert ordered["data"]["pdu"] == "050007ff00"
    assert written["data"]["error"] == ""
    assert "trial" not in json.dumps(ordered)
    assert len(ordered["text_sha256"]) == 64


def test_a_house_that_watches_writes_nothing(house: Any, waiting: Callable[..., Any]) -> None:
    """In mode monitor a write is refused by rule, and nothing reaches the ledger or the wire."""
    house.start_simulator("normal-shift")
    house.start(mode="monitor")
    waiting(lambda: house.frame().section("points"), 20, "a frame")
    relay = house.addresses["relay_1"]

    ended = CliRunner().invoke(
        bus,
        ["write", relay, "1", "coil", "7", "1", "--yes", "--reason", "r", "--lang", "en",
         "--state", str(house.folder.root)],
    )  # fmt: skip

    assert ended.exit_code == exit_codes.NOT_PERMITTED
    assert "monitor" in ended.output
    assert _written(house) == []
