"""`minewatch demo`: a simulated mine, a broker and a house of three processes that guard it.

Nothing outlives this verb: Ctrl-C ends the house in order and the broker last; a killed demo takes
its children with it by their parent-death signal.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import click
from minewatch_sim.render import write_config
from minewatch_sim.scenario import Scenario

from minewatch.cli import broker, exit_codes
from minewatch.cli.run import activate
from minewatch.cli.story import Story
from minewatch.console.auth import set_pin
from minewatch.folder import Folder
from minewatch.process import die_with_parent
from minewatch.supervise import Supervisor
from minewatch.text import Catalogue

DEMO_PIN = "2468"


@click.command()
@click.option("--scenario", default="demo", show_default=True, help="Scenario 场景.")
@click.option("--speed", type=click.FloatRange(0.1, 100), default=1.0, help="Plant speed 倍速.")
@click.option("--seconds", type=click.FloatRange(0), default=0.0, help="Stop after; 0 = never.")
@click.option("--port", type=int, default=8080, help="Port of the page 页面端口.")
@click.option("--config", type=click.Path(exists=True, path_type=Path), default="config/demo-mine")
@click.option("--state", type=click.Path(path_type=Path), help="Keep the state folder here.")
def demo(
    *, scenario: str, speed: float, seconds: float, port: int, config: Path, state: Path | None
) -> None:
    """Show a simulated mine being guarded. 演示：一座被守护的模拟矿井。"""
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda signum, _frame: stopping.append(signum))
    scratch = Path(tempfile.mkdtemp(prefix="minewatch-demo-"))
    try:
        stage = Stage(scratch, state or scratch / "state")
        stage.open(scenario, speed, port, config)
        ends_s = time.monotonic() + seconds if seconds else float("inf")
        stage.play(lambda: bool(stopping) or time.monotonic() >= ends_s)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class Stage:
    """The processes of one demo."""

    def __init__(self, scratch: Path, state: Path) -> None:
        self._scratch = scratch
        self._folder = Folder(state)
        self._text = Catalogue.load("zh-CN"), Catalogue.load("en")
        self._simulator: subprocess.Popen[bytes] | None = None
        self._broker: subprocess.Popen[bytes] | None = None
        self._supervisor: Supervisor | None = None
        self._story: Story | None = None

    def open(self, scenario: str, speed: float, port: int, config: Path) -> None:
        """Start simulator and broker, activate the configuration on their addresses."""
        os.environ.setdefault("MINEWATCH_LOG_LEVEL", "WARNING")
        mqtt_port = broker.free_port()
        self._broker = broker.start(self._scratch, mqtt_port)
        if self._broker is None:
            self._say("story.no_broker")
        control = self._scratch / "plant.sock"
        addresses = self._start_simulator(scenario, speed, config, control)
        rendered = write_config(
            config,
            self._scratch / "config",
            addresses,
            listen=f"127.0.0.1:{port}",
            mqtt_url=f"mqtt://127.0.0.1:{mqtt_port}",
            pace=Scenario.load(scenario).habits.pace,
        )
        activate(rendered, self._folder)
        for member in self._folder.active_mine().staff:
            set_pin(self._folder.root, member.code, DEMO_PIN)
        self._supervisor = Supervisor(self._folder)
        self._story = Story(self._folder, self._supervisor, control, port, speed, DEMO_PIN)
        page = f"http://127.0.0.1:{port}/"
        self._say("story.open", page=page, broker=f"127.0.0.1:{mqtt_port}", pin=DEMO_PIN)

    def play(self, stop: Callable[[], bool]) -> None:
        """Tend the house and tell the story until `stop()`; then end everything in order."""
        assert self._supervisor is not None
        assert self._story is not None
        teller = threading.Thread(target=self._story.tell, name="story", daemon=True)
        teller.start()
        try:
            self._supervisor.run(stop)
        finally:
            self._story.stop()
            self._say("story.close")
            for process in (self._simulator, self._broker):
                if process is not None and process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                    process.wait(10)

    def _start_simulator(
        self, scenario: str, speed: float, config: Path, control: Path
    ) -> dict[str, str]:
        parent = os.getpid()
        command = [sys.executable, "-m", "minewatch_sim.cli", "run", scenario, "--json"]
        command += ["--config", str(config), "--speed", str(speed), "--control", str(control)]
        self._simulator = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(parent),
        )
        assert self._simulator.stdout is not None
        line = self._simulator.stdout.readline()
        if not line:
            self._say("story.no_simulator")
            sys.exit(exit_codes.IO_ERROR)
        addresses: dict[str, str] = json.loads(line)["endpoints"]
        return addresses

    def _say(self, key: str, **fields: object) -> None:
        for text in self._text:
            click.echo(text.say(key, **fields))
