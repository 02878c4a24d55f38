"""A whole house for measurements: simulator outside, `minewatch run` with its three processes.

Everything is on loopback in a scratch folder and ends with the `with` block. Nothing is measured
here; a bench asks the plant (`do`), the controller (`frame`) or the kernel (`pids`).
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from minewatch_sim.render import write_config

from minewatch.cli import broker
from minewatch.client import Client, Frame
from minewatch.folder import Folder

ROOMS = ("controller", "publisher", "console")
STOP_WITHIN_S = 15.0


def wait_for(look: Callable[[], Any], within_s: float, what: str) -> Any:
    """Return the first true answer of `look`.

    Raises:
        TimeoutError: none came within `within_s`.
    """
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        with suppress(OSError, ValueError, KeyError):
            found = look()
            if found:
                return found
        time.sleep(0.1)
    raise TimeoutError(f"not within {within_s:g} s: {what}")


class House:
    """A house that guards the mine of `config` while a simulator plays `scenario`."""

    def __init__(self, scratch: Path, config: Path, scenario: str, *, with_broker: bool) -> None:
        self.scratch = scratch
        self.folder = Folder(scratch / "state")
        self.page_port = broker.free_port()
        self._mqtt_port = broker.free_port()
        self._config = config
        self._scenario = scenario
        self._with_broker = with_broker
        self._control = scratch / "plant.sock"
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "House":
        try:
            self._start()
        except BaseException:  # whatever went wrong, no process may stay behind
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def do(self, name: str, **arguments: Any) -> Any:
        """Ask the simulator for one act or question; return its result."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._control))
            connection.sendall(json.dumps({"do": name, **arguments}).encode() + b"\n")
            answer = json.loads(connection.makefile().readline())
        if not answer["ok"]:
            raise ValueError(answer["error"])
        return answer.get("result")

    def frame(self) -> Frame:
        """Return the controller's view of this moment."""
        return asyncio.run(self._frame())

    def pids(self) -> dict[str, int]:
        """Return the process id of each of the three rooms that lives now."""
        found: dict[str, int] = {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError):
                words = Path(f"/proc/{entry}/cmdline").read_bytes().decode().split("\0")
                if str(self.folder.root) in words:
                    found |= {room: int(entry) for room in ROOMS if f"minewatch.{room}" in words}
        return found

    @contextmanager
    def page(self) -> Iterator[None]:
        """Hold the event stream of the console open and read it, as a page does."""
        closing = threading.Event()
        url = f"http://127.0.0.1:{self.page_port}/api/v1/stream"
        stream = wait_for(lambda: urllib.request.urlopen(url, timeout=5), 15, "the console")

        def drain() -> None:
            while not closing.is_set():
                if not stream.readline():
                    return

        reader = threading.Thread(target=drain, daemon=True)
        reader.start()
        try:
            yield
            if not reader.is_alive():
                raise ConnectionError("the page lost its stream")
        finally:
            closing.set()
            reader.join(5)
            stream.close()

    async def _frame(self) -> Frame:
        async with Client(self.folder.socket, say=lambda _words: None) as client:
            async for message in client.watch():
                if message["type"] == "full":
                    return client.frame
        raise OSError("no frame")

    def _start(self) -> None:
        command = [sys.executable, "-m", "minewatch_sim.cli", "run", self._scenario, "--json"]
        command += ["--config", str(self._config), "--control", str(self._control)]
        simulator = self._spawn(command, stdout=subprocess.PIPE)
        assert simulator.stdout is not None
        addresses = json.loads(simulator.stdout.readline())["endpoints"]
        if self._with_broker:
            self._start_broker()
        rendered = write_config(
            self._config,
            self.scratch / "rendered",
            addresses,
            listen=f"127.0.0.1:{self.page_port}",
            mqtt_url=f"mqtt://127.0.0.1:{self._mqtt_port}",
        )
        command = [sys.executable, "-m", "minewatch.cli", "run", str(rendered)]
        log = (self.scratch / "house.log").open("ab")
        self._spawn([*command, "--state", str(self.folder.root)], stderr=log)
        wait_for(lambda: self.frame().section("points"), 30, "the first frame")

    def _start_broker(self) -> None:
        program = broker.find()
        if program is None:
            raise FileNotFoundError("mosquitto is not installed")
        settings = self.scratch / "mosquitto.conf"
        settings.write_text(broker.SETTINGS.format(port=self._mqtt_port))
        self._spawn([program, "-c", str(settings)])

    def _spawn(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, start_new_session=True, **options)
        self._processes.append(process)
        return process

    def _stop(self) -> None:
        """End everything, the newest first: the house before its broker and its plant."""
        while self._processes:
            process = self._processes.pop()
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_WITHIN_S)
            if process.poll() is None:
                process.kill()
                process.wait()
