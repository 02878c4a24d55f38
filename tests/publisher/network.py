"""Brokers, subscribers and breakable lines for the upload's tests, all on loopback."""

import asyncio
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

ROOT = "minewatch/v1/220181/220181004688/"
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


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
