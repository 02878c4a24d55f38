"""The local socket: newline JSON to watchers, commands from people, reports from the siblings.

A peer can ask, never force: malformed or oversize input is answered once with an error and
changes nothing. Only the connection that the supervisor handed to the console may name people;
on every other one `by` is emptied and the origin is the peer's user id (SO_PEERCRED). What the
console and the publisher report is believed on their inherited connections alone: nobody else can
say that a page is watched or that the county has acknowledged a notice.
"""

import asyncio
import json
import logging
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minewatch.controller.frames import Frames
from minewatch.controller.points import Spelled
from minewatch.core.step import Step
from minewatch.model.image import Command

WATCHERS_MAX = 8
PEERS_MAX = 32
LINE_MAX = 64 * 1024
BACKLOG_MAX = 1024 * 1024
"""Bytes unsent to one watcher; beyond it deltas are dropped and a full frame follows."""

ANSWER_WITHIN_MS = 5000
"""A command whose event is not durable by then is answered `not_durable`: it may still act."""

DEPTH_MAX = 16
"""Lists and tables within each other in what a peer may send; nothing of ours is half as deep."""

WAITING_MAX = 8
"""Commands of one peer between their turn and the disk; the next is answered `busy`."""

CONSOLE, UPLOAD = "console", "upload"
REPORTS = frozenset({CONSOLE, UPLOAD})

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Peer:
    """One connection. `reports` is what an inherited one reports on, "" for everybody else."""

    number: int
    writer: asyncio.StreamWriter
    origin: str
    reports: str
    watching: bool = False
    people: bool = False
    behind: bool = False
    said: bool = False

    @property
    def named(self) -> bool:
        """Whether it may name people: the console's inherited one alone."""
        return self.reports == CONSOLE

    @property
    def closed(self) -> bool:
        """Whether it is gone, or does not read what it is sent."""
        transport = self.writer.transport
        return transport.is_closing() or transport.get_write_buffer_size() > BACKLOG_MAX

    def send(self, message: dict[str, Any]) -> None:
        """Send one message."""
        self.writer.write(_line(message))


@dataclass
class Waiting:
    """A command between its turn and the disk."""

    peer: Peer
    id: str
    deadline_ms: int
    index: int | None = None
    reasons: list[str] = field(default_factory=list)
    accepted: bool = False


class Socket:
    """Serves the watchers and commanders of one controller."""

    def __init__(
        self,
        frames: Frames,
        submit: Callable[[Command], bool],
        notice: Callable[..., None],
        wake: Callable[[], None],
    ) -> None:
        self._frames = frames
        self._submit = submit
        self._notice = notice
        self._wake = wake
        self.bus: Callable[[Peer, Mapping[str, Any]], None] | None = None
        """Takes requests about buses (`bus_desk`)."""
        self._peers: set[Peer] = set()
        self._waiting: dict[str, Waiting] = {}
        self._count = 0
        self._server: asyncio.Server | None = None

    async def listen(self, path: Path) -> None:
        """Listen on a unix socket; a stale file from a dead run is replaced."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(path), limit=LINE_MAX)
        path.chmod(0o660)

    async def adopt(self, fd: int, reports: str) -> None:
        """Serve a connection inherited from the supervisor: the console's or the publisher's."""
        reader, writer = await asyncio.open_unix_connection(
            sock=socket.socket(fileno=fd), limit=LINE_MAX
        )
        await self._converse(reader, writer, reports)

    async def close(self) -> None:
        """Stop listening and drop every peer."""
        if self._server is not None:
            self._server.close()
        for peer in tuple(self._peers):
            peer.writer.close()

    def stepped(self, step: Step, now_ms: int) -> None:
        """Remember which event answers which command."""
        if not self._waiting:
            return
        first = step.state.durable.index - len(step.events)
        for offset, event in enumerate(step.events):
            waiting = self._waiting.get(str(event.data.get("command", "")))
            if waiting is None:
                continue
            waiting.index = first + offset
            waiting.accepted = event.kind != "command_refused"
            waiting.reasons = list(event.data.get("reasons", ()))
        self._expire(now_ms)

    def durable(self, durable_index: int) -> None:
        """Answer every command whose event is on disk."""
        ready = [
            key
            for key, each in self._waiting.items()
            if each.index is not None and each.index < durable_index
        ]
        for key in ready:
            waiting = self._waiting.pop(key)
            self._reply(waiting, waiting.accepted, waiting.reasons, waiting.index)

    def publish(self) -> None:
        """Send what changed to every watcher; one that is behind gets a whole frame later."""
        watchers = [peer for peer in self._peers if peer.watching]
        self._frames.watchers = len(watchers)
        if not watchers:
            return
        delta = self._frames.delta()
        without_people = _line({key: each for key, each in delta.items() if key != "people"})
        with_people = _line(delta) if any(peer.people for peer in watchers) else b""
        for peer in watchers:
            if peer.writer.transport.get_write_buffer_size() > BACKLOG_MAX:
                peer.behind = True
            elif peer.behind:
                self._full(peer)
            else:
                peer.writer.write(with_people if peer.people else without_people)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._converse(reader, writer, "")

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reports: str
    ) -> None:
        self._count += 1
        peer = Peer(self._count, writer, _origin(writer), reports)
        if len(self._peers) >= PEERS_MAX and not reports:
            self._refuse(peer, "too_many_peers")
            writer.close()
            return
        self._peers.add(peer)
        try:
            while data := await self._line_of(reader, peer):
                self._handle(peer, data)
        except ConnectionError:
            log.info("peer %s went away", peer.origin)
        finally:
            self._peers.discard(peer)
            writer.close()

    async def _line_of(self, reader: asyncio.StreamReader, peer: Peer) -> bytes:
        try:
            return await reader.readline()
        except ValueError:
            self._refuse(peer, "line_too_long")
            return b""

    def _handle(self, peer: Peer, data: bytes) -> None:
        try:
            message = json.loads(data)
        except (ValueError, RecursionError):
            self._refuse(peer, "not_json")
            return
        do = message.get("do") if isinstance(message, dict) else None
        if do == "watch":
            self._watch(peer, people=message.get("people") is True)
        elif do == "command":
            self._command(peer, message)
        elif do == "report":
            self._report(peer, message)
        elif do == "bus" and self.bus is not None and _is_recordable(message):
            self.bus(peer, message)
        else:
            self._refuse(peer, "unknown_request")

    def _watch(self, peer: Peer, *, people: bool) -> None:
        if not peer.named and sum(each.watching for each in self._peers) >= WATCHERS_MAX:
            self._refuse(peer, "too_many_watchers")
            return
        if not any(each.watching for each in self._peers):
            self._frames.begin()
        peer.watching, peer.people = True, people
        self._full(peer)

    def _full(self, peer: Peer) -> None:
        frame = self._frames.full()
        if not peer.people:
            frame.pop("people", None)
        peer.behind = False
        peer.writer.write(_line(frame))

    def _command(self, peer: Peer, message: dict[str, Any]) -> None:
        own_id = message.get("id")
        kind, by, text = message.get("kind"), message.get("by", ""), message.get("text", "")
        arguments, origin = message.get("arguments", {}), message.get("origin", "")
        strings = (own_id, kind, by, text, origin)
        if not all(isinstance(each, str) for each in strings) or not isinstance(arguments, dict):
            self._refuse(peer, "malformed_command")
            return
        command_id = f"{peer.number}.{own_id}"[:64]
        if command_id in self._waiting or not _is_recordable([*strings, arguments]):
            self._refuse(peer, "malformed_command")
            return
        if not peer.named:
            by, origin = "", peer.origin
        if sum(each.peer is peer for each in self._waiting.values()) >= WAITING_MAX:
            self._reply(Waiting(peer, str(own_id), 0), False, ["busy"], None)
            return
        waiting = Waiting(peer, str(own_id), self._frames.now_ms() + ANSWER_WITHIN_MS)
        self._waiting[command_id] = waiting
        if not self._submit(Command(command_id, str(kind), by, origin, arguments, text)):
            self._reply(self._waiting.pop(command_id), False, ["busy"], None)
        self._wake()

    def _report(self, peer: Peer, message: dict[str, Any]) -> None:
        subject, data = message.get("subject"), message.get("data")
        if subject not in REPORTS or not isinstance(data, dict) or not _is_recordable(data):
            self._refuse(peer, "malformed_report")
            return
        if subject != peer.reports:
            self._refuse(peer, "not_permitted")
            return
        before = self._frames.reports.get(subject)
        self._frames.reports[subject] = data
        if subject == CONSOLE and data.get("pages"):
            said = {k: data[k] for k in ("pages", "audible", "terminals") if k in data}
            self._notice("console_seen", "", **said)
        nonce = data.get("duty_check")
        if subject == UPLOAD and nonce and nonce != (before or {}).get("duty_check"):
            self._notice("duty_check", "", nonce=nonce)
        reached = data.get("acknowledged")
        if subject == UPLOAD and reached and reached != (before or {}).get("acknowledged"):
            self._notice("upload_acknowledged", subject, index=reached)
        if before is None or before.get("up") != data.get("up"):
            up = data.get("up", True) is not False
            self._notice(f"{subject}_restored" if up else f"{subject}_lost", subject)

    def _expire(self, now_ms: int) -> None:
        late = [key for key, each in self._waiting.items() if each.deadline_ms <= now_ms]
        for key in late:
            waiting = self._waiting.pop(key)
            self._reply(waiting, False, ["not_durable", *waiting.reasons], waiting.index)

    def _reply(
        self, waiting: Waiting, accepted: bool, reasons: list[str], index: int | None
    ) -> None:
        if waiting.peer in self._peers:
            waiting.peer.writer.write(
                _line(
                    {
                        "type": "reply",
                        "id": waiting.id,
                        "accepted": accepted,
                        "reasons": reasons,
                        "index": index,
                    }
                )
            )

    def _refuse(self, peer: Peer, code: str) -> None:
        peer.writer.write(_line({"type": "error", "code": code}))
        if not peer.said:
            peer.said = True
            log.warning("bad input from %s: %s", peer.origin, code)


def _line(message: dict[str, Any]) -> bytes:
    """Return a message as a line; parts that are spelled already go in as they are."""
    spelled = {key: part for key, part in message.items() if isinstance(part, Spelled)}
    plain = {key: part for key, part in message.items() if key not in spelled}
    text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
    ready = "".join(f',"{key}":{part}' for key, part in spelled.items())
    return f"{text[:-1]}{ready}}}\n".encode()


def _origin(writer: asyncio.StreamWriter) -> str:
    sock = writer.get_extra_info("socket")
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return f"local:{uid}"


def _is_recordable(value: Any, depth: int = DEPTH_MAX) -> bool:
    """Say whether a leaf and a frame can hold it: no float, no half of a character, not too deep.

    JSON may spell a lone surrogate as an escape; nothing could ever write it down as UTF-8.
    """
    if isinstance(value, dict):
        return depth > 0 and all(_is_recordable([*each], depth - 1) for each in value.items())
    if isinstance(value, list):
        return depth > 0 and all(_is_recordable(each, depth - 1) for each in value)
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= each <= "\udfff" for each in value)
    return not isinstance(value, float)
