"""The link: one connection to the broker, kept up for ever; the only importer of paho.

A thread of its own opens one paho client per session and throws it away when the session ends, so
that nothing is ever queued inside paho: what was not acknowledged is sent again from the outbox.
MQTT 5 is tried first, 3.1.1 where a broker refuses it. Callbacks only hand over what they heard;
an exception in one is said and never ends the thread.
"""

import logging
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from minewatch.model.mine import Upload

KEEPALIVE_S = 20
CONNACK_WITHIN_S = 10.0
STEADY_S = 30.0
"""A session of this length was a success: the next wait starts small again."""

PORTS = {"mqtt": 1883, "mqtts": 8883}
V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
PROTOCOL_NAMES = {V5: "5", V311: "3.1.1"}
PROTOCOL_REFUSED = "unsupported_protocol_version"
NO_ANSWER = "closed_before_answer"
LOST = "connection_lost"
UNSTABLE = "unstable"
UNSTABLE_AFTER = 3
"""So many short sessions in a row are a fault of their own: often two clients with one id."""

WINDOW_MAX = 20

_log = logging.getLogger("minewatch.publisher.link")


@dataclass(frozen=True, slots=True)
class Up:
    """A session began; `window` is how many unacknowledged messages the broker takes."""

    session: int
    protocol: str
    window: int = WINDOW_MAX


@dataclass(frozen=True, slots=True)
class Down:
    """A session ended, or an attempt failed; `reason` is a code, `detail` for the log."""

    session: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Acked:
    """The broker took a message, or refused it with a reason code."""

    session: int
    mid: int
    refused: str


@dataclass(frozen=True, slots=True)
class Heard:
    """Something arrived."""

    topic: str
    payload: bytes
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker will not let us listen to the topic of requests."""

    reason: str


News = Up | Down | Acked | Heard | Refused


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained, when we vanish."""

    topic: str
    payload: bytes


class Link:
    """Keeps a session with one broker.

    `tell` gets the news; it is called from other threads and must only pass them on. `will` is
    asked at each attempt, a mere listener has none. `back_off_s` are the first and the longest
    wait between attempts.
    """

    def __init__(
        self,
        upload: Upload,
        client_id: str,
        *,
        will: Callable[[], Will | None],
        subscribe: str,
        tell: Callable[[News], None],
        back_off_s: tuple[float, float] = (1.0, 30.0),
    ) -> None:
        self._upload = upload
        self._client_id = client_id
        self._will = will
        self._subscribe = subscribe
        self._tell = tell
        self._back_off_s = back_off_s
        self._stopping = threading.Event()
        self._session: _Session | None = None
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)

    def start(self) -> None:
        """Begin connecting."""
        self._thread.start()

    def publish(self, session: int, topic: str, payload: bytes, *, retain: bool) -> int | None:
        """Send at QoS 1 in that session; return the mid, or None where the session is over."""
        current = self._session
        if current is None or current.number != session:
            return None
        return current.publish(topic, payload, retain=retain)

    def cut(self) -> None:
        """Drop the session, so that a new one is made: for a broker that stopped answering."""
        current = self._session
        if current is not None:
            current.over("not_answering", "")

    def stop(self) -> None:
        """Say goodbye (the will does not fire) and end the thread; blocks a few seconds at most."""
        self._stopping.set()
        current = self._session
        if current is not None:
            current.goodbye()
            current.over("stopped", "")
        self._thread.join(CONNACK_WITHIN_S)

    def abandon(self) -> None:
        """Leave without a word, so that the will says offline; blocks like `stop`."""
        self._stopping.set()
        self.cut()
        self._thread.join(CONNACK_WITHIN_S)

    def _run(self) -> None:
        number, short, wait_s = 0, 0, self._back_off_s[0]
        protocol = V5
        while not self._stopping.is_set():
            number += 1
            began_s = time.monotonic()
            reason, detail = self._hold(number, protocol)
            steady = time.monotonic() - began_s > STEADY_S
            short = short + 1 if reason == LOST and not steady else 0
            self._tell(Down(number, UNSTABLE if short >= UNSTABLE_AFTER else reason, detail))
            if reason in {PROTOCOL_REFUSED, NO_ANSWER}:
                protocol = V311 if protocol is V5 else V5
                if protocol is V311:
                    continue
            if steady:
                wait_s = self._back_off_s[0]
            self._stopping.wait(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(2 * wait_s, self._back_off_s[1])

    def _hold(self, number: int, protocol: MQTTProtocolVersion) -> tuple[str, str]:
        """Hold one session from attempt to end; return why it ended, as code and detail."""
        session: _Session | None = None
        try:
            session = _Session(number, self._upload, self._client_id, protocol, self._tell)
            self._session = session
            session.open(self._will(), self._subscribe)
            return session.wait(self._stopping)
        except (OSError, ValueError) as error:
            return ("tls" if isinstance(error, ssl.SSLError) else "unreachable", str(error))
        except Exception as error:  # noqa: BLE001 whatever a library throws, it is tried again
            _log.exception("the link failed")
            return ("internal", repr(error))
        finally:
            self._session = None
            if session is not None:
                session.close()


class _Session:
    """One paho client from CONNECT to its end."""

    def __init__(
        self,
        number: int,
        upload: Upload,
        client_id: str,
        protocol: MQTTProtocolVersion,
        tell: Callable[[News], None],
    ) -> None:
        self.number = number
        self._upload = upload
        self._protocol = protocol
        self._tell = tell
        self._answered = threading.Event()
        self._ended = threading.Event()
        self._end = ("", "")
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=protocol, reconnect_on_failure=False
        )
        client.max_inflight_messages_set(100)
        client.max_queued_messages_set(100)
        client.suppress_exceptions = True
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_socket_open = _tune
        self._client = client

    def open(self, will: Will | None, subscribe: str) -> None:
        """Send CONNECT.

        Raises:
            OSError: nobody there, TLS refused, a secret or certificate file cannot be read.
            ValueError: the address is none.
        """
        upload, client = self._upload, self._client
        url = urlsplit(upload.url)
        if url.scheme not in PORTS or not url.hostname:
            raise ValueError(f"not a broker's address: {upload.url}")
        self._subscription = subscribe
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        if upload.username:
            client.username_pw_set(upload.username, _secret(upload.password_file))
        if url.scheme == "mqtts":
            client.tls_set_context(_tls(upload))
        client.connect(url.hostname, url.port or PORTS[url.scheme], keepalive=KEEPALIVE_S)
        client.loop_start()

    def wait(self, stopping: threading.Event) -> tuple[str, str]:
        """Wait for the end of the session and return its reason and detail."""
        if not self._answered.wait(CONNACK_WITHIN_S):
            return ("not_answering", "no CONNACK")
        if stopping.is_set():
            return ("stopped", "")
        self._ended.wait()
        return self._end

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> int | None:
        """Send one message; None where the connection is gone."""
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        return info.mid if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def goodbye(self) -> None:
        """Send DISCONNECT, so that the broker throws the will away, and wait for its effect."""
        self._client.disconnect()
        self._ended.wait(1.0)

    def over(self, reason: str, detail: str) -> None:
        """End the session with the first reason that was given."""
        if not self._ended.is_set():
            self._end = (reason, detail)
        self._ended.set()
        self._answered.set()

    def close(self) -> None:
        """Break the connection, so that the network thread ends, and wait for it."""
        sock: Any = self._client.socket()
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._client.loop_stop()

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, props: Any
    ) -> None:
        if reason.is_failure:
            self.over(_code(reason), str(reason))
            return
        self._answered.set()
        client.subscribe(self._subscription, qos=1)
        window = min(WINDOW_MAX, getattr(props, "ReceiveMaximum", WINDOW_MAX))
        self._tell(Up(self.number, PROTOCOL_NAMES[self._protocol], window))

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any
    ) -> None:
        if not self._answered.is_set():
            self.over(NO_ANSWER, str(reason))
        else:
            self.over(_code(reason), str(reason))

    def _on_publish(
        self, _client: paho.Client, _data: Any, mid: int, reason: ReasonCode, _props: Any
    ) -> None:
        self._tell(Acked(self.number, mid, _code(reason) if reason.is_failure else ""))

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _props: Any
    ) -> None:
        for reason in reasons:
            if reason.is_failure:
                self._tell(Refused(_code(reason)))

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        self._tell(Heard(message.topic, bytes(message.payload), bool(message.retain)))


def _tune(_client: paho.Client, _data: Any, sock: Any) -> None:
    """Send small packets at once and notice a half-open connection (reliability 73)."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, KEEPALIVE_S * 1500)


def _secret(path: str) -> str | None:
    return Path(path).read_text("utf-8").strip() if path else None


def _tls(upload: Upload) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=upload.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if upload.certificate_file:
        context.load_cert_chain(upload.certificate_file, upload.key_file or None)
    return context


def _code(reason: ReasonCode) -> str:
    """Return a reason as a code; where the broker gave none, the connection just broke."""
    if reason.getName() == "Unspecified error":
        return LOST
    return reason.getName().lower().replace(" ", "_")
