"""`minewatch-sim` from outside: prints endpoints, stops by itself and on a signal, says faults."""

import json
import signal
import subprocess
import sys

import pytest

from minewatch.mine import load

COMMAND = [sys.executable, "-m", "minewatch_sim.cli"]


def test_run_prints_endpoints_renders_and_stops(demo_folder, tmp_path) -> None:
    """With --json one line names every bus; the rendered folder loads with these addresses."""
    options = ["--seconds", "0.5", "--json", "--control", "127.0.0.1:0"]
    done = subprocess.run(
        [*COMMAND, "run", "demo", "--config", demo_folder, "--render", tmp_path / "mine", *options],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    shown = json.loads(done.stdout)
    mine = load(tmp_path / "mine").mine
    assert mine is not None
    assert {bus.id: bus.url for bus in mine.buses} == shown["endpoints"]
    assert mine.zone("face_12301").walk_out_s == 20
    assert shown["control"].startswith("127.0.0.1:")
    assert done.stderr == ""


def test_sigterm_stops_in_order(demo_folder) -> None:
    """A terminated simulator ends with code 0."""
    process = subprocess.Popen(
        [*COMMAND, "run", "normal-shift", "--config", demo_folder, "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["endpoints"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    process.stdout.close()


@pytest.mark.parametrize(("scenario", "word"), [("no-such", "gas-rise"), ("demo", "mine.toml")])
def test_faults_of_the_start_give_exit_code_78(tmp_path, scenario, word) -> None:
    """An unknown scenario or a broken configuration is said on one line, without a traceback."""
    (tmp_path / "mine.toml").write_text("[mine\n", encoding="utf-8")
    done = subprocess.run(
        [*COMMAND, "run", scenario, "--config", tmp_path],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 78
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_scenarios_are_listed() -> None:
    """`scenarios` names each story with its title in both languages."""
    done = subprocess.run(
        [*COMMAND, "scenarios"], capture_output=True, text=True, timeout=30, check=True
    )
    assert "gas-rise" in done.stdout
    assert "瓦斯上升" in done.stdout
