"""The client of the controller's local socket: watch, command, report.

Everybody who looks at the running daemon or asks something of it comes through here: publisher,
console and the verbs. It speaks newline JSON (ARCHITECTURE.md §4) over the socket of the state
folder, or over a connection inherited from the supervisor. Input is bounded and never trusted to
be well formed; a controller that falls silent is said to be lost, an old value is never repeated.
"""

import asyncio
import json
import logging
import secrets
import socket
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Message = dict[str, Any]

LINE_BYTES_MAX = 8 * 1024 * 1024
COMMAND_BYTES_MAX = 64 * 1024
WAITING_MAX = 256
BACK_OFF_FIRST_S = 0.2
BACK_OFF_LAST_S = 1.0

NESTED = frozenset({("headcount", "zones"), ("health", "buses")})
"""Tables within a section; any other entry of a section is replaced whole by a delta."""

_log = logging.getLogger("minewatch.client")


class UnreachableError(Exception):
    """The controller cannot be reached, or went away before it answered."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The controller's answer to a command, given once its event is durable."""

    accepted: bool
    reasons: tuple[str, ...] = ()
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """The controller's whole view, as the last full frame and its deltas made it.

    `body` has the shape of ARCHITECTURE.md §4; it is replaced by `apply`, never changed in place.
    """

    body: Mapping[str, Any] = field(default_factory=dict)

    def apply(self, message: Mapping[str, Any]) -> "Frame":
        """Return the view after a `full` or `delta` message; other types change nothing.

        Raises:
            ValueError: a delta without a full frame before it, or a section that is no object.
        """
        kind = message.get("type")
        if kind == "full":
            return Frame({key: each for key, each in message.items() if key != "type"})
        if kind != "delta":
            return self
        if not self.body:
            raise ValueError("a delta came before any full frame")
        body = dict(self.body)
        for key, value in message.items():
            if isinstance(value, dict) or isinstance(body.get(key), dict):
                body[key] = _merged(key, body.get(key, {}), value)
            elif key != "type":
                body[key] = value
        return Frame(body)

    def section(self, name: str) -> Mapping[str, Any]:
        """Return one section of the view, empty where the controller has sent none."""
        part = self.body.get(name)
        return part if isinstance(part, dict) else {}

    def age_ms(self, point: str) -> int | None:
        """Return how old a point's sample was when the frame was made; None where it has none."""
        entry = self.section("points").get(point)
        if entry is None or entry.get("sampled_ms") is None:
            return None
        return max(0, int(self.body["t_ms"]) - int(entry["sampled_ms"]))


def _merged(name: str, old: Mapping[str, Any], changes: Any) -> dict[str, Any]:
    """Return a section after a delta: an entry is replaced whole, null removes it."""
    if not isinstance(changes, dict):
        raise ValueError(f"section {name!r} of a frame is no object")
    merged = dict(old)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif (name, key) in NESTED:
            merged[key] = _merged(key, merged.get(key) or {}, value)
        else:
            merged[key] = value
    return merged


def socket_path(state_folder: str | Path) -> Path:
    """Return where the controller of a state folder listens."""
    return Path(state_folder) / "run" / "control.sock"


class Client:
    """One connection to the controller, opened when first needed and opened again when lost.

    `fd` is a connected stream socket inherited from the supervisor; it is used first, `path`
    afterwards. `say` is told in one short line when something is wrong, once per episode.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        fd: int | None = None,
        say: Callable[[str], None] = _log.warning,
    ) -> None:
        if path is None and fd is None:
            raise ValueError("a client needs a socket path or an inherited connection")
        self.frame = Frame()
        self.malformed = 0
        self.inherited = False
        self._view = Frame()
        self._path = path
        self._fd = fd
        self._say = say
        self._bad = False
        self._opening = asyncio.Lock()
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._pending: dict[str, asyncio.Future[Reply]] = {}
        self._slot: _Slot | None = None

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop the connection; whoever still waits for a reply gets `UnreachableError`."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
        self._drop("closed")

    async def watch(
        self, people: bool = False, quiet_s: float = 3.0
    ) -> AsyncGenerator[Message, None]:
        """Yield `full`, `delta` and `event` messages for ever, and `lost` when the stream breaks.

        `frame` holds the merged view of the yielded message. The controller is lost when the
        connection breaks or nothing came for `quiet_s`; it is then tried again with back-off.
        A consumer that falls behind gets a fresh full frame instead of what it missed.
        """
        if self._slot is not None:
            raise RuntimeError("this client is watching already")
        self._slot = slot = _Slot()
        wait_s = BACK_OFF_FIRST_S
        told = False
        try:
            while True:
                lost = None
                try:
                    await self._send({"do": "watch", "people": people})
                except UnreachableError as error:
                    lost = str(error)
                while lost is None:
                    message, view = await slot.take(quiet_s)
                    if message is None:
                        self._drop(f"nothing heard for {quiet_s:g} s")
                    elif message["type"] == "lost":
                        lost = str(message["error"])
                    else:
                        wait_s, told = BACK_OFF_FIRST_S, False
                        self.frame = view
                        yield message
                slot.clear()
                if not told:
                    told = True
                    yield {"type": "lost", "error": lost}
                if self._path is None:
                    return
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, BACK_OFF_LAST_S)
        finally:
            self._slot = None

    async def command(
        self,
        kind: str,
        arguments: Mapping[str, Any],
        text: str = "",
        *,
        by: str = "",
        origin: str = "",
        timeout_s: float = 10.0,
    ) -> Reply:
        """Ask the controller for an act and return its answer once the event is durable.

        Raises:
            UnreachableError: no controller, or no answer in time; the act may still happen.
            ValueError: the request is larger than 64 KiB.
        """
        ident = secrets.token_hex(8)
        request = {
            "do": "command",
            "id": ident,
            "kind": kind,
            "by": by,
            "origin": origin,
            "arguments": dict(arguments),
            "text": text,
        }
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._pending[ident] = future
        try:
            await self._send(request)
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            raise UnreachableError(f"no answer within {timeout_s:g} s") from None
        finally:
            self._pending.pop(ident, None)

    async def report(self, subject: str, data: Mapping[str, Any]) -> bool:
        """Tell the controller a fact of `upload` or `console`; False where it cannot be told."""
        try:
            await self._send({"do": "report", "subject": subject, "data": dict(data)})
        except UnreachableError:
            return False
        return True

    async def _send(self, request: Message) -> None:
        line = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        if len(line) > COMMAND_BYTES_MAX:
            raise ValueError(f"a request of {len(line)} bytes is larger than {COMMAND_BYTES_MAX}")
        async with self._opening:
            if self._writer is None:
                await self._open()
            writer = self._writer
        if writer is None:
            raise UnreachableError("the connection was lost")
        try:
            writer.write(line)
            await writer.drain()
        except OSError as error:
            self._drop(str(error))
            raise UnreachableError(str(error)) from error

    async def _open(self) -> None:
        try:
            reader, writer = await self._streams()
        except OSError as error:
            raise UnreachableError(str(error)) from error
        self._writer = writer
        self._view = Frame()
        self._reading = asyncio.create_task(self._read(reader, writer))

    async def _streams(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        fd, self._fd = self._fd, None
        self.inherited = fd is not None
        if fd is not None:
            inherited = socket.socket(fileno=fd)
            return await asyncio.open_unix_connection(sock=inherited, limit=LINE_BYTES_MAX)
        if self._path is None:
            raise OSError("the inherited connection is gone")
        return await asyncio.open_unix_connection(str(self._path), limit=LINE_BYTES_MAX)

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        error = "the controller closed the connection"
        try:
            while line := await reader.readline():
                self._take(line)
        except ValueError:
            error = f"a line of more than {LINE_BYTES_MAX} bytes"
            self._complain(error)
        except OSError as broken:
            error = str(broken)
        if self._writer is writer:
            self._drop(error)

    def _take(self, line: bytes) -> None:
        """Sort one line: a reply to whoever waits for it, the rest into the view and the slot."""
        try:
            message = json.loads(line)
            kind = message["type"]
            if kind == "reply":
                self._answer(message)
            elif kind == "error":
                self._say(f"the controller refused a request: {message['code']:.80}")
            else:
                self._view = self._view.apply(message)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            self._complain(f"malformed message from the controller: {error!r:.200}")
            return
        if self._bad:
            self._bad = False
            self._say(f"messages from the controller are well formed again, {self.malformed} lost")
        if kind not in {"reply", "error"} and self._slot is not None:
            self._slot.put(message, self._view)

    def _answer(self, message: Message) -> None:
        index = message.get("index")
        reply = Reply(
            message["accepted"] is True,
            tuple(str(each) for each in message.get("reasons", ())),
            index if isinstance(index, int) else None,
        )
        future = self._pending.get(message["id"])
        if future is not None and not future.done():
            future.set_result(reply)

    def _complain(self, words: str) -> None:
        self.malformed += 1
        if not self._bad:
            self._bad = True
            self._say(words)

    def _drop(self, error: str) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        writer.close()
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()
        self._reading = None
        for future in self._pending.values():
            if not future.done():
                future.set_exception(UnreachableError(error))
        if self._slot is not None:
            self._slot.put({"type": "lost", "error": error}, self._view)


class _Slot:
    """What a watcher has not taken yet; at its bound the view itself replaces what was missed."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Message, Frame]] = deque()
        self._filled = asyncio.Event()

    def put(self, message: Message, view: Frame) -> None:
        if len(self._waiting) >= WAITING_MAX and message["type"] != "lost":
            self._waiting.clear()
            message = {"type": "full", **view.body}
        self._waiting.append((message, view))
        self._filled.set()

    def clear(self) -> None:
        self._waiting.clear()

    async def take(self, timeout_s: float) -> tuple[Message | None, Frame]:
        """Return the next message with the view that it made, or None after silence."""
        if not self._waiting:
            self._filled.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._filled.wait()
        return self._waiting.popleft() if self._waiting else (None, Frame())


def frame_now(path: str | Path, *, people: bool = False, timeout_s: float = 5.0) -> Frame:
    """Return the controller's view at this moment, for callers without a loop.

    Raises:
        UnreachableError: no controller, or no frame within `timeout_s`.
    """

    async def first() -> Frame:
        async with Client(path) as client:
            async for message in client.watch(people=people, quiet_s=timeout_s):
                if message["type"] == "full":
                    return client.frame
                if message["type"] == "lost":
                    raise UnreachableError(str(message["error"]))
        raise UnreachableError("the controller closed the connection")

    return asyncio.run(first())


def command_now(path: str | Path, kind: str, arguments: Mapping[str, Any], text: str = "") -> Reply:
    """Ask for an act from a caller without a loop; see `Client.command`."""

    async def ask() -> Reply:
        async with Client(path) as client:
            return await client.command(kind, arguments, text)

    return asyncio.run(ask())
