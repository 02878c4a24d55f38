"""`minewatch demo` ends clean: by Ctrl-C typed on its terminal, and by the death of its parent."""

import json
import os
import pty
import queue
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from minewatch.cli import broker

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]


class Demo:
    """A demo on a terminal of its own, with everything that it prints."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.port = broker.free_port()
        self._master, slave = pty.openpty()
        command = [sys.executable, "-m", "minewatch.cli", "demo", "--scenario", "normal-shift"]
        command += ["--port", str(self.port), "--state", str(state)]
        self.started_s = time.monotonic()
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(slave)
        self.text = ""
        os.set_blocking(self._master, False)

    def type(self, keys: bytes) -> None:
        """Type on the terminal."""
        os.write(self._master, keys)

    def read(self) -> str:
        """Return everything printed so far."""
        with suppress(OSError):  # nothing new, or the terminal is closed
            self.text += os.read(self._master, 65536).decode(errors="replace")
        return self.text

    def alive(self) -> list[int]:
        """Return every living process that this demo started."""
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                raw = Path(f"/proc/{entry}/environ").read_bytes()
                state = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[0]
            except OSError:
                continue
            if f"MINEWATCH_DEMO_TEST={self.port}".encode() in raw and state != "Z":
                found.append(int(entry))
        return found


def _take_terminal() -> None:
    """Make the pty of standard input the controlling terminal, so that Ctrl-C is a signal."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Demo]:
    """Return a demo that is starting."""
    if broker.find() is None:
        pytest.skip("mosquitto is not installed")
    port = broker.free_port()
    monkeypatch.setattr(broker, "free_port", lambda: port)
    monkeypatch.setenv("MINEWATCH_DEMO_TEST", str(port))
    demo = Demo(tmp_path / "state")
    assert demo.port == port
    yield demo
    for pid in demo.alive():
        os.kill(pid, signal.SIGKILL)
    demo.process.wait()


def _subscribe(address: str) -> "queue.Queue[dict[str, Any]]":
    """Return the status messages of the broker at `host:port`, as they come."""
    host, port = address.rsplit(":", 1)
    messages: queue.Queue[dict[str, Any]] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: messages.put(json.loads(message.payload))
    client.connect(host, int(port))
    client.subscribe("minewatch/v1/+/+/status", qos=1)
    client.loop_start()
    return messages


def _live(demo: Demo) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{demo.port}/api/v1/state", timeout=2) as answer:
        points = json.load(answer)["points"]
    return bool(points) and all(each["quality"] == "GOOD" for each in points.values())


def _broker_of(demo: Demo) -> str:
    words = demo.read().split("MQTT ")
    return words[1].split(";")[0].split("；")[0].strip() if len(words) > 1 else ""


@pytest.mark.parametrize("how", ["ctrl-c", "killed"])
def test_a_demo_says_offline_and_leaves_no_process(
    demo: Demo, waiting: Callable[..., Any], how: str
) -> None:
    """Live within 60 s; at the end a clean `offline` on the broker, and every process is gone."""
    waiting(lambda: _live(demo), 60, "live values on the page")
    messages = _subscribe(waiting(lambda: _broker_of(demo), 5, "the broker's address"))
    waiting(lambda: messages.get(timeout=5)["state"] == "online", 20, "online")
    if how == "ctrl-c":
        demo.type(b"\x03")
        within_s = 15.0
    else:
        demo.process.send_signal(signal.SIGKILL)
        within_s = 5.0
    offline = waiting(
        lambda: (m := messages.get(timeout=5))["state"] == "offline" and m, within_s, "offline"
    )
    demo.process.wait(15)
    waiting(lambda: not demo.alive(), within_s, "no process is left")

    assert offline["seq"] > 0, "the will says 0: it was written before it was published"
