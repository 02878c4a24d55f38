"""What the upload's tests share: a house with a ledger and a controller's socket, and fixtures.

The mine, the network and the certificates stand in files of their own beside this one.
"""

import asyncio
import contextlib
import importlib.util
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from minewatch.folder import Folder
from minewatch.model.canonical import canonical
from minewatch.publisher.outbox import Outbox
from minewatch.publisher.publisher import Publisher
from minewatch.record.ledger import Ledger

ORIGIN = "minewatch/220181004688"


def _beside(name: str) -> ModuleType:
    """Load a helper of this folder; importlib mode knows no siblings."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"publisher_tests_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


mine = _beside("mine")
network = _beside("network")
authority = _beside("authority")


class FakeController:
    """A controller's socket: sends `frame` to a watcher, then deltas; keeps what is reported."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frame = mine.small_frame()
        self.reports: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self._beat: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))
        self._beat = asyncio.create_task(self._beats())

    async def stop(self) -> None:
        """Go away, as a killed controller does."""
        if self._beat is not None:
            self._beat.cancel()
        for writer in self._writers:
            writer.close()
        self._writers.clear()
        if self._server is not None:
            self._server.close()
        self.path.unlink(missing_ok=True)

    def change(self, **sections: Any) -> None:
        """Send a delta and keep it in the full frame."""
        self.frame["cycle"] += 1
        self.frame["t_ms"] += 100
        for name, part in sections.items():
            if isinstance(part, dict):
                whole = {**self.frame[name], **part}
                self.frame[name] = {k: v for k, v in whole.items() if v is not None}
            else:
                self.frame[name] = part
        self._send(
            {
                "type": "delta",
                "cycle": self.frame["cycle"],
                "t_ms": self.frame["t_ms"],
                **sections,
            }
        )

    def _send(self, message: dict[str, Any]) -> None:
        for writer in self._writers:
            writer.write(json.dumps(message).encode() + b"\n")

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(0.3)
            self.change()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await self._converse(reader, writer)
        if writer in self._writers:
            self._writers.remove(writer)
        writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            request = json.loads(line)
            self.requests.append(request)
            if request["do"] == "watch":
                writer.write(json.dumps(self.frame).encode() + b"\n")
                self._writers.append(writer)
            elif request["do"] == "report":
                self.reports.append(request["data"])


async def until(condition: Callable[[], Any], within_s: float = 15.0) -> Any:
    """Wait until `condition()` holds and return what it gave."""
    deadline_s = time.monotonic() + within_s
    while not (found := condition()):
        if time.monotonic() > deadline_s:
            raise AssertionError(f"did not happen within {within_s:g} s")
        await asyncio.sleep(0.02)
    return found


class House:
    """A state folder with a configuration, a ledger and a controller's socket."""

    def __init__(self, root: Path) -> None:
        self.folder = Folder(root)
        self.controller = FakeController(self.folder.socket)
        self.ledger = Ledger.open(root, origin=ORIGIN, writable=True)
        self._stop = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self, url: str, **changes: Any) -> None:
        """Make a small mine the active one."""
        self.folder.activate(mine.small_mine(url, **changes))

    def record(self, count: int) -> None:
        """Append events as the controller's store thread does."""
        start = self.ledger.size
        entries = []
        for index in range(start, start + count):
            leaf = canonical(
                {
                    "cycle": index,
                    "data": {"n": index},
                    "kind": "tested",
                    "t_ms": index * 100,
                    "trusted": True,
                    "v": 1,
                    "wall_ms": 1_700_000_000_000 + index,
                }
            )
            entries.append((leaf, "张三的话" if index % 3 == 0 else ""))
        self.ledger.append(entries)

    def sign(self) -> None:
        """Sign a checkpoint."""
        self.ledger.sign_checkpoint()

    def publish_here(self, *, full: bool = False, fd: int | None = None) -> Outbox:
        """Run the publisher in this process; `full` lets its database grow no more.

        `fd` is the connection that a supervisor would hand to it.
        """
        self.folder.outbox.mkdir(parents=True, exist_ok=True)
        outbox = Outbox(self.folder.outbox / "outbox.db")
        if full:
            outbox._db.execute("PRAGMA max_page_count = 1")
        self._stop.clear()
        self._running = asyncio.create_task(Publisher(self.folder, outbox, fd).run(self._stop))
        return outbox

    async def end_here(self) -> None:
        """End the publisher of this process cleanly."""
        self._stop.set()
        if self._running is not None:
            await self._running
            self._running = None

    def publish_apart(self) -> subprocess.Popen[bytes]:
        """Run the publisher as a process of its own."""
        command = [sys.executable, "-m", "minewatch.publisher", "--state", str(self.folder.root)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        return self._process

    async def close(self) -> None:
        """End everything."""
        await self.end_here()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        await self.controller.stop()
        self.ledger.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Return a house whose controller listens; nothing is published yet."""
    house = House(tmp_path / "state")
    await house.controller.start()
    yield house
    await house.close()


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Return a maker of running brokers; skips where there is no mosquitto."""
    if not Path(network.MOSQUITTO).exists():
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    brokers: list[Any] = []

    def make(config: str = "allow_anonymous true") -> Any:
        broker = network.Broker(tmp_path / f"broker{len(brokers)}", config)
        brokers.append(broker)
        broker.start()
        return broker

    yield make
    for broker in brokers:
        broker.end(signal.SIGKILL)


@pytest.fixture
def listen() -> Iterator[Callable[..., Any]]:
    """Return a maker of subscribers."""
    listeners: list[Any] = []

    def make(port: int, name: str = "county") -> Any:
        listeners.append(network.subscriber(port, name))
        return listeners[-1]

    yield make
    for listener in listeners:
        listener.client.disconnect()
        listener.client.loop_stop()


@pytest.fixture(name="until")
def _until() -> Callable[..., Any]:
    return until


@pytest.fixture(name="alarm_entry")
def _alarm_entry() -> Callable[..., dict[str, Any]]:
    return mine.alarm_entry


@pytest.fixture(name="small_mine")
def _small_mine() -> Callable[..., Any]:
    return mine.small_mine


@pytest.fixture(name="small_frame")
def _small_frame() -> Callable[..., dict[str, Any]]:
    return mine.small_frame


@pytest.fixture
async def make_proxy() -> AsyncIterator[Callable[..., Any]]:
    """Return a maker of running proxies."""
    proxies: list[Any] = []

    async def make(port: int, refuse_v5: bytes | None = None) -> Any:
        proxies.append(network.Proxy(port, refuse_v5))
        await proxies[-1].start()
        return proxies[-1]

    yield make
    for proxy in proxies:
        await proxy.stop()


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """Return a folder with ca.pem, server.pem/.key and two clients, each named by its mine."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    authority.make_certificates(folder)
    return folder


class World:
    """House, broker, proxy and county of one test, for tests that need them all."""

    def __init__(self, house: House, broker: Any, proxy: Any, county: Any) -> None:
        self.house = house
        self.broker = broker
        self.proxy = proxy
        self.county = county


@pytest.fixture
async def make_world(
    house: House,
    make_broker: Callable[..., Any],
    make_proxy: Callable[..., Any],
    listen: Callable[..., Any],
) -> Callable[..., Any]:
    """Return a maker of worlds whose publisher goes through a proxy; it is not started yet."""

    async def make(refuse_v5: bytes | None = None) -> World:
        broker = make_broker()
        proxy = await make_proxy(broker.port, refuse_v5)
        house.configure(proxy.url)
        return World(house, broker, proxy, listen(broker.port))

    return make
