"""Fixtures of the console's tests: the demo mine, a scripted controller, a real server, a page."""

import asyncio
import importlib.util
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from minewatch.console.auth import set_pin
from minewatch.mine import load
from minewatch.model.mine import Mine

ROOT = Path(__file__).resolve().parents[2]
PIN = "246810"
CHROMIUM = Path("/usr/bin/chromium")
STARTS_WITHIN_S = 20.0
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def fake() -> ModuleType:
    """Return the module of the scripted controller."""
    path = Path(__file__).with_name("fake_controller.py")
    spec = importlib.util.spec_from_file_location("fake_controller", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fake_controller"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def mine() -> Mine:
    """Return the demo mine as its files say it."""
    loaded = load(ROOT / "config" / "demo-mine")
    assert loaded.mine is not None, loaded.faults
    return loaded.mine


class Stage:
    """A state folder with a scripted controller in a thread and, once asked for, a real server."""

    def __init__(self, folder: Path, fake: ModuleType, mine: Mine) -> None:
        self.folder, self.fake, self.mine = folder, fake, mine
        self.loop = asyncio.new_event_loop()
        self.controller = fake.FakeController(mine, folder / "run" / "control.sock")
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.server: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.log = folder / "console.log"

    def start(self) -> None:
        """Begin to play."""
        self.fake.activate(self.folder, self.mine)
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.controller.start(), self.loop).result(5)

    def serve(self, *extra: str, pass_fds: tuple[int, ...] = ()) -> str:
        """Start the console's process and return its address once it answers."""
        for number in range(1, 9):
            set_pin(self.folder, f"S{number:03d}", PIN)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "minewatch.console", "--state", str(self.folder)]
        with self.log.open("ab") as log:
            self.server = subprocess.Popen(
                [*command, "--listen", f"127.0.0.1:{port}", *extra],
                stderr=log,
                pass_fds=pass_fds,
                env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            )
        self.until(self._is_up, "the server answers")
        return self.url

    def _is_up(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def play(self, scene: str | Callable[[Any, Mine], None]) -> None:
        """Show another scene."""
        wanted = self.fake.SCENES[scene] if isinstance(scene, str) else scene
        self.loop.call_soon_threadsafe(self.controller.play, wanted)

    def mute(self, muted: bool) -> None:
        """Let the controller fall silent, or speak again."""
        self.loop.call_soon_threadsafe(setattr, self.controller, "muted", muted)

    def commands(self, kind: str) -> list[dict[str, Any]]:
        """Return the commands of a kind that have arrived."""
        return [each for each in tuple(self.controller.commands) if each["kind"] == kind]

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until something holds, at most as long as a process may take to start."""
        deadline_s = time.monotonic() + STARTS_WITHIN_S
        while not condition():
            assert time.monotonic() < deadline_s, f"not within {STARTS_WITHIN_S} s: {what}"
            time.sleep(0.02)

    def end(self) -> None:
        """Stop the server and the controller."""
        if self.server is not None:
            self.server.terminate()
            self.server.wait(10)
        asyncio.run_coroutine_threadsafe(self.controller.stop(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)


@pytest.fixture(scope="module")
def stage(
    fake: ModuleType, mine: Mine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """Return a stage whose controller plays; its server is not started."""
    built = Stage(tmp_path_factory.mktemp("state"), fake, mine)
    built.start()
    yield built
    built.end()


@pytest.fixture(scope="module")
def served(stage: Stage) -> Stage:
    """Return a stage with its server running."""
    stage.serve()
    return stage


@pytest.fixture
def web(served: Stage) -> Iterator[httpx.Client]:
    """Return a client of the real server that speaks as our own page does."""
    served.play("normal")
    with httpx.Client(base_url=served.url, headers={"origin": served.url}, timeout=10) as client:
        yield client


@pytest.fixture
def staff(web: httpx.Client) -> Callable[[str], httpx.Client]:
    """Return a function that logs a staff code in and returns the client."""

    def log_in(code: str) -> httpx.Client:
        answer = web.post("/api/v1/login", json={"code": code, "pin": PIN})
        assert answer.status_code == 200, answer.text
        web.headers["x-csrf-token"] = answer.json()["csrf"]
        return web

    return log_in


@pytest.fixture(scope="session")
def pin() -> str:
    """Return the PIN of everybody on a stage."""
    return PIN


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a headless Chromium."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser, served: Any) -> Iterator[Callable[..., Page]]:
    """Return a function that opens the page; foreign requests and console errors fail the test."""
    problems: list[str] = []
    contexts = []

    def watch(route: Route) -> None:
        if route.request.url.startswith(served.url):
            route.continue_()
        else:
            problems.append(f"foreign request: {route.request.url}")
            route.abort()

    def opened(
        scene: Any,
        size: tuple[int, int] = (1366, 768),
        language: str = "zh-CN",
        theme: str = "night",
    ) -> Page:
        served.mute(False)
        served.play(scene)
        context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        contexts.append(context)
        context.route("**/*", watch)
        page = context.new_page()
        page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.add_init_script(
            f"localStorage['minewatch.language'] ??= '{language}';"
            f"localStorage['minewatch.theme'] ??= '{theme}'"
        )
        page.goto(served.url)
        page.wait_for_selector("body[data-stream=live] .mine .chip")
        return page

    yield opened
    for context in contexts:
        context.close()
    served.mute(False)
    assert problems == []
