"""A whole house on real sockets: simulator, broker, supervisor and its three processes."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from minewatch_sim.render import write_config

from minewatch.cli import broker
from minewatch.client import Client, Frame
from minewatch.console.auth import set_pin
from minewatch.folder import Folder

ROOT = Path(__file__).parents[2]
PIN = "2468"


def wait_for(look: Callable[[], Any], within_s: float = 20.0, what: str = "") -> Any:
    """Return the first true answer of `look`, or fail after `within_s`."""
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        with suppress(OSError, ValueError, KeyError):
            found = look()
            if found:
                return found
        time.sleep(0.05)
    raise AssertionError(f"not within {within_s:g} s: {what or look}")


class Plant:
    """The simulator's control socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def do(self, name: str, **arguments: Any) -> Any:
        """Ask for one act or question; return its result."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._path))
            connection.sendall(json.dumps({"do": name, **arguments}).encode() + b"\n")
            answer = json.loads(connection.makefile().readline())
        assert answer["ok"], answer
        return answer.get("result")


class House:
    """One running house; `folder` is its state folder, `config` the mine before its addresses."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.folder = Folder(scratch / "state")
        self.plant = Plant(scratch / "plant.sock")
        self.config = ROOT / "config/demo-mine"
        self.mqtt_port = broker.free_port()
        self.page_port = broker.free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def page(self) -> str:
        """Return the address of the dispatch page."""
        return f"http://127.0.0.1:{self.page_port}"

    def start_simulator(self, scenario: str, speed: float = 1.0) -> None:
        """Start the mine and render a configuration on its addresses."""
        command = [sys.executable, "-m", "minewatch_sim.cli", "run", scenario, "--json"]
        command += ["--config", str(self.config), "--speed", str(speed)]
        command += ["--control", str(self.scratch / "plant.sock")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        self.processes["simulator"] = process
        assert process.stdout is not None
        self.addresses = json.loads(process.stdout.readline())["endpoints"]

    def start_broker(self) -> None:
        """Start mosquitto on this house's port; skips where there is none."""
        program = broker.find()
        if program is None:
            pytest.skip("mosquitto is not installed")
        settings = self.scratch / "mosquitto.conf"
        settings.write_text(broker.SETTINGS.format(port=self.mqtt_port))
        self.processes["broker"] = subprocess.Popen([program, "-c", str(settings)])

    def start(self, **overrides: Any) -> None:
        """Start `minewatch run` and wait for its first frame."""
        rendered = write_config(
            self.config,
            self.scratch / "config",
            self.addresses,
            listen=f"127.0.0.1:{self.page_port}",
            mqtt_url=f"mqtt://127.0.0.1:{self.mqtt_port}",
            **overrides,
        )
        for number in range(1, 9):
            set_pin(self.folder.root, f"S{number:03d}", PIN)
        command = [sys.executable, "-m", "minewatch.cli", "run", str(rendered)]
        command += ["--state", str(self.folder.root)]
        log = (self.scratch / "house.log").open("ab")
        self.processes["house"] = subprocess.Popen(command, stderr=log, start_new_session=True)
        wait_for(lambda: self.frame().section("points"), 30, "the first frame")

    def frame(self) -> Frame:
        """Return the controller's view of this moment."""
        return asyncio.run(self._frame())

    async def _frame(self) -> Frame:
        async with Client(self.folder.socket, say=lambda _words: None) as client:
            async for message in client.watch(people=True):
                if message["type"] == "lost":
                    raise OSError(message["error"])
                if message["type"] == "full":
                    return client.frame
        raise OSError("no frame")

    def pid(self, name: str) -> int:
        """Return the process id of controller, publisher or console."""
        found = self.pids(name)
        assert len(found) == 1, found
        return found[0]

    def pids(self, name: str = "") -> list[int]:
        """Return the processes of this house (of one room) that live now."""
        return [
            pid
            for pid, command in _commands()
            if str(self.folder.root) in command and f"minewatch.{name}" in command
        ]

    def stop(self) -> None:
        """End everything, the house first."""
        for name in ("house", "simulator", "broker"):
            process = self.processes.pop(name, None)
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(15)
                if process.poll() is None:
                    process.kill()
                    process.wait()


def _commands() -> list[tuple[int, str]]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):
                raw = Path(f"/proc/{entry}/cmdline").read_bytes()
                found.append((int(entry), raw.replace(b"\0", b" ").decode(errors="replace")))
    return found


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Return a house that is not started yet."""
    house = House(tmp_path)
    yield house
    house.stop()


@pytest.fixture
def waiting() -> Callable[..., Any]:
    """Return `wait_for`, the only way in which these tests wait."""
    return wait_for
