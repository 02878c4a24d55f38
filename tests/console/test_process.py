"""The console as a process: the inherited connection, the end with open pages, odd starts."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from minewatch.model.mine import Mine

ENDS_WITHIN_S = 4.0


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return both ends of a supervisor's connection, kept open as the supervisor keeps them."""
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_the_inherited_connection_outlives_the_controller(
    stage: Any, fake: ModuleType, mine: Mine, pair: tuple[socket.socket, socket.socket]
) -> None:
    """A controller that is replaced at the other end is watched again, on the same connection."""
    theirs, ours = pair
    controllers = [fake.FakeController(mine, stage.folder / f"{n}.sock") for n in range(2)]

    def start(controller: Any) -> None:
        for work in (controller.start(), controller.adopt(ours)):
            asyncio.run_coroutine_threadsafe(work, stage.loop).result(5)

    start(controllers[0])
    url = stage.serve("--fd", str(theirs.fileno()), pass_fds=(theirs.fileno(),))
    asyncio.run_coroutine_threadsafe(controllers[0].stop(), stage.loop).result(5)
    stage.until(lambda: httpx.get(f"{url}/healthz").status_code == 503, "the loss is said")
    start(controllers[1])
    stage.until(lambda: httpx.get(f"{url}/healthz").status_code == 200, "it is heard again")
    body = {"kind": "withdraw", "arguments": {"zones": ["mine"]}}
    answer = httpx.post(f"{url}/api/v1/command", json=body, headers={"origin": url})
    assert answer.json()["accepted"]
    assert [each["kind"] for each in controllers[1].commands] == ["withdraw"]
    assert stage.controller.commands == [], "nothing went over the socket of the folder"
    asyncio.run_coroutine_threadsafe(controllers[1].stop(), stage.loop).result(5)
    stage.server.terminate()
    stage.server.wait(10)


def test_it_ends_at_once_although_pages_are_open(stage: Any) -> None:
    """SIGTERM closes every stream and leaves with 0."""
    url = stage.serve()
    with httpx.stream("GET", f"{url}/api/v1/stream", timeout=10) as stream:
        next(stream.iter_lines())
        asked_s = time.monotonic()
        stage.server.send_signal(signal.SIGTERM)
        assert stage.server.wait(10) == 0
        assert time.monotonic() - asked_s < ENDS_WITHIN_S


@pytest.mark.parametrize("listen", ["nowhere", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000"])
def test_a_wrong_address_is_said(listen: str, tmp_path: Path) -> None:
    """A page that cannot listen says so and leaves with an error."""
    command = [sys.executable, "-m", "minewatch.console", "--state", str(tmp_path)]
    done = subprocess.run(
        [*command, "--listen", listen], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode != 0
    assert listen in done.stderr


def test_without_a_configuration_it_waits_and_says_so(stage: Any) -> None:
    """The mine is unknown until one is active: 503 with words, never an empty mine."""
    (stage.folder / "config" / "active").rename(stage.folder / "config" / "away")
    url = stage.serve()
    try:
        answer = httpx.get(f"{url}/api/v1/mine")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_configuration")
        assert httpx.get(f"{url}/api/v1/state").status_code in (200, 503)
    finally:
        (stage.folder / "config" / "away").rename(stage.folder / "config" / "active")
    assert httpx.get(f"{url}/api/v1/mine").status_code == 200
