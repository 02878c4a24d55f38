"""What the upload's tests share: a small mine, a ledger, a controller's socket, real brokers.

Everything listens on loopback, on ports of its own, and ends with its test.
"""

import asyncio
import contextlib
import ipaddress
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from minewatch.folder import Folder
from minewatch.model.canonical import canonical
from minewatch.model.kind import Kind
from minewatch.model.mine import (
    Bus,
    Cause,
    Condition,
    Device,
    Interlock,
    Limits,
    Mine,
    Mode,
    Output,
    OutputRole,
    Point,
    Role,
    Staff,
    Upload,
    Zone,
    ZoneKind,
)
from minewatch.publisher.outbox import Outbox
from minewatch.publisher.publisher import Publisher
from minewatch.record.ledger import Ledger

ROOT = "minewatch/v1/220181/220181004688/"
ORIGIN = "minewatch/220181004688"
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


def small_mine(url: str, **changes: Any) -> Mine:
    """Return a mine of one zone, two methane heads, one switch; `changes` replace fields."""
    face = Limits(pre_alarm=80, alarm=100, trip=150, restore=100, clear=80)
    fields: dict[str, Any] = {
        "code": "220181004688",
        "name": "示范煤矿",
        "county": "220181",
        "language": "zh-CN",
        "gas_class": "high",
        "capacity_10kt": 60,
        "severe": True,
        "mode": Mode.CONTROL,
        "headcount_limit": 130,
        "headcount_citation": "38号",
        "profile": "2024",
        "zones": (Zone("face", "工作面", ZoneKind.FACE, headcount_limit=16),),
        "buses": (Bus("bus", "tcp://127.0.0.1:1"),),
        "devices": (Device("head", "bus", 1, "methane-head-generic"),),
        "points": tuple(
            Point(f"T{n}", f"甲烷T{n}", Kind.METHANE, "face", "head", "methane", "face", face)
            for n in (1, 2)
        ),
        "outputs": (
            Output("cut", "开关", OutputRole.POWER_CUT, "face", "head", "coil_1", proof="T2"),
        ),
        "interlocks": (Interlock("lock", "闭锁", (Cause("T1", Condition.TRIP),), ("cut",)),),
        "staff": (Staff("S001", "张海", Role.DISPATCHER),),
        "uploads": (Upload("county", url),) if url else (),
    }
    return Mine(**{**fields, **changes})


def small_frame(**changes: Any) -> dict[str, Any]:
    """Return a full frame of that mine's controller."""
    frame = {
        "type": "full",
        "run": "run-1",
        "cycle": 10,
        "t_ms": 100_000,
        "wall_ms": 1_700_000_000_000,
        "wall_trusted": True,
        "since_wall_ms": 1_699_999_000_000,
        "durable_index": 0,
        "mode": "control",
        "config": "0" * 64,
        "version": "0.1.0",
        "points": {
            name: {
                "value": 30,
                "quality": "GOOD",
                "sampled_ms": 99_500,
                "last": 30,
                "level": 0,
            }
            for name in ("T1", "T2")
        },
        "outputs": {"cut": {"wanted": True, "energised": True, "proved": True, "failed": False}},
        "causes": {},
        "alarms": {},
        "headcount": {
            "lo": 3,
            "hi": 4,
            "limit": 130,
            "state": "normal",
            "reasons": [{"code": "missed_read", "source": "gate", "count": 1}],
            "zones": {"face": {"lo": 3, "hi": 4, "limit": 16, "state": "normal"}},
            "handover_until_ms": None,
        },
        "withdrawals": {},
        "no_descent": False,
        "calibrations": {},
        "hand_covers": {},
        "bypasses": {},
        "approvals": {},
        "horn": False,
        "silenced_until_ms": None,
        "health": {"buses": {}, "console": {"up": True, "pages": 1}},
    }
    return {**frame, **changes}


def alarm_entry(**changes: Any) -> dict[str, Any]:
    """Return one alarm as the controller's frame holds it."""
    entry = {
        "kind": "gas_over_limit",
        "priority": 2,
        "source": "T1",
        "zone": "face",
        "value": 102,
        "limit": 100,
        "peak": 102,
        "raised_ms": 99_000,
        "raised_wall_ms": 1_699_999_999_000,
        "state": "unacknowledged",
        "active": True,
        "acknowledged_by": None,
        "closed": False,
        "first_out": True,
        "occurrences": 1,
        "planned": False,
    }
    return {**entry, **changes}


class FakeController:
    """A controller's socket: sends `frame` to a watcher, then deltas; keeps what is reported."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frame = small_frame()
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


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Broker:
    """A mosquitto of one test; `config` are further lines of its configuration."""

    def __init__(self, folder: Path, config: str = "allow_anonymous true") -> None:
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._path = folder / "mosquitto.conf"
        folder.mkdir(parents=True, exist_ok=True)
        self._path.write_text(
            f"listener {self.port} 127.0.0.1\nset_tcp_nodelay true\nmax_queued_messages 100000\n"
            f"persistence true\npersistence_location {folder}/\nautosave_interval 1\n"
            f"user root\n{config}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._path)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline_s = time.monotonic() + 10
        while time.monotonic() < deadline_s:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), 1),
            ):
                return
            time.sleep(0.02)
        raise TimeoutError("mosquitto does not listen")

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it with a signal."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(10)
            self._process = None


@dataclass
class Message:
    """One message as a subscriber got it."""

    topic: str
    payload: bytes
    retain: bool

    @property
    def stream(self) -> str:
        """Return the first word below the mine's root."""
        return self.topic.removeprefix(ROOT).partition("/")[0]

    @property
    def body(self) -> dict[str, Any]:
        """Return the payload as JSON."""
        body: dict[str, Any] = json.loads(self.payload)
        return body


@dataclass
class Listener:
    """A county's subscriber: a foreign client that keeps everything it gets."""

    port: int
    client: paho.Client
    messages: list[Message] = field(default_factory=list)

    def of(self, stream: str) -> list[Message]:
        """Return the messages of a stream in order of arrival."""
        return [each for each in self.messages if each.stream == stream]

    def bodies(self, stream: str) -> list[dict[str, Any]]:
        """Return their bodies, without empty payloads."""
        return [each.body for each in self.of(stream) if each.payload]

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish below the mine's root, as a county does."""
        self.client.publish(ROOT + topic, payload, qos=1)


def subscriber(port: int, name: str = "county") -> Listener:
    """Return a connected subscriber to everything of the mine, with a session that lasts."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        name,
        protocol=MQTTProtocolVersion.MQTTv311,
        clean_session=False,
    )
    client.reconnect_delay_set(1, 1)
    listener = Listener(port, client)

    def connected(client: paho.Client, *_: Any) -> None:
        client.subscribe(ROOT + "#", qos=1)

    def heard(_client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        listener.messages.append(Message(message.topic, message.payload, message.retain))

    client.on_connect = connected
    client.on_message = heard
    client.connect("127.0.0.1", port)
    client.loop_start()
    return listener


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
        self.folder.activate(small_mine(url, **changes))

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

    def publish_here(self, *, full: bool = False) -> Outbox:
        """Run the publisher in this process; `full` lets its database grow no more."""
        self.folder.outbox.mkdir(parents=True, exist_ok=True)
        outbox = Outbox(self.folder.outbox / "outbox.db")
        if full:
            outbox._db.execute("PRAGMA max_page_count = 1")
        self._stop.clear()
        self._running = asyncio.create_task(Publisher(self.folder, outbox).run(self._stop))
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
def make_broker(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    """Return a maker of running brokers; skips where there is no mosquitto."""
    if not Path(MOSQUITTO).exists():
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    brokers: list[Broker] = []

    def make(config: str = "allow_anonymous true") -> Broker:
        broker = Broker(tmp_path / f"broker{len(brokers)}", config)
        brokers.append(broker)
        broker.start()
        return broker

    yield make
    for broker in brokers:
        broker.end(signal.SIGKILL)


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    """Return a maker of subscribers."""
    listeners: list[Listener] = []

    def make(port: int, name: str = "county") -> Listener:
        listeners.append(subscriber(port, name))
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
    return alarm_entry


@pytest.fixture(name="small_mine")
def _small_mine() -> Callable[..., Mine]:
    return small_mine


@pytest.fixture(name="small_frame")
def _small_frame() -> Callable[..., dict[str, Any]]:
    return small_frame


class Proxy:
    """A TCP line between publisher and broker that can be cut; it may refuse MQTT 5.

    `refuse_v5` is the answer to a CONNECT of version 5: bytes, or empty to close without a word.
    """

    def __init__(self, port: int, refuse_v5: bytes | None = None) -> None:
        self._target = port
        self._refuse_v5 = refuse_v5
        self._server: asyncio.Server | None = None
        self._pumps: set[asyncio.Task[None]] = set()
        self._swallowing: set[asyncio.Task[None] | None] = set()
        self.connections = 0
        self.refused = 0
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Listen no more and break what there is."""
        if self._server is not None:
            self._server.close()
        self.cut()

    def swallow(self) -> None:
        """Let what passes now reach nobody, without a word; new connections work."""
        self._swallowing.update(self._pumps)

    def cut(self) -> None:
        """Break every connection at once."""
        for pump in self._pumps:
            pump.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        first = await reader.read(4096)
        if self._refuse_v5 is not None and b"MQTT\x05" in first:
            self.refused += 1
            writer.write(self._refuse_v5)
            writer.close()
            return
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        forth.write(first)
        for source, sink in ((reader, forth), (back, writer)):
            pump = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                if asyncio.current_task() not in self._swallowing:
                    sink.write(data)
                    await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()


@pytest.fixture
async def make_proxy() -> AsyncIterator[Callable[..., Any]]:
    """Return a maker of running proxies."""
    proxies: list[Proxy] = []

    async def make(port: int, refuse_v5: bytes | None = None) -> Proxy:
        proxies.append(Proxy(port, refuse_v5))
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
    ca_key, ca_name = ec.generate_private_key(ec.SECP256R1()), _name("test CA")
    (folder / "ca.pem").write_bytes(_certificate(ca_name, ca_name, ca_key, ca_key, ca=True))
    for file, common_name in (
        ("server", "127.0.0.1"),
        ("mine", "220181004688"),
        ("other", "220181009999"),
    ):
        key = ec.generate_private_key(ec.SECP256R1())
        pem = _certificate(_name(common_name), ca_name, key, ca_key, ca=False)
        (folder / f"{file}.pem").write_bytes(pem)
        (folder / f"{file}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    return folder


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
) -> bytes:
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


class World:
    """House, broker, proxy and county of one test, for tests that need them all."""

    def __init__(self, house: House, broker: Broker, proxy: Proxy, county: Listener) -> None:
        self.house = house
        self.broker = broker
        self.proxy = proxy
        self.county = county


@pytest.fixture
async def make_world(
    house: House,
    make_broker: Callable[..., Broker],
    make_proxy: Callable[..., Any],
    listen: Callable[..., Listener],
) -> Callable[..., Any]:
    """Return a maker of worlds whose publisher goes through a proxy; it is not started yet."""

    async def make(refuse_v5: bytes | None = None) -> World:
        broker = make_broker()
        proxy = await make_proxy(broker.port, refuse_v5)
        house.configure(proxy.url)
        return World(house, broker, proxy, listen(broker.port))

    return make
