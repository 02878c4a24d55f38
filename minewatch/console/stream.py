"""From the controller's watch stream to many pages, as server-sent events.

One hub follows the controller and keeps the merged view. Each page has one slot: a page that has
not taken its last change when the next one comes gets a fresh full frame instead. Whoever is not
logged in gets counts without people; a heartbeat each second says how old the data are.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any

from starlette.types import Receive, Scope, Send

from minewatch.client import Client, Frame

CLIENTS_MAX = 64
HEARTBEAT_S = 1.0
WRITE_S = 20.0
REPORT_S = 5.0
QUIET_S = 2.5
RETRY_S = 0.2
PAGE_QUIET_S = 3.0

_log = logging.getLogger("minewatch.console")


class Slot:
    """One page: what it has not taken yet, at most one change, and whether anybody can hear it."""

    def __init__(self, terminal: str = "", *, audible: bool = True) -> None:
        self.terminal, self.audible = terminal, audible
        self.filled = asyncio.Event()
        self.change: tuple[str, Mapping[str, Any]] | None = None
        self.behind = True
        self.gone = False

    def end(self) -> None:
        """Say that the page has gone: its stream ends at once, however quiet it is."""
        self.gone = True
        self.filled.set()

    def put(self, kind: str, body: Mapping[str, Any]) -> None:
        """Offer a change; a second one before the first was taken means a full frame."""
        if self.change is not None:
            self.behind = True
        self.change = (kind, body)
        self.filled.set()

    def take(self) -> tuple[str, Mapping[str, Any]] | None:
        """Return the change; None where nothing waits or a full frame must be sent instead."""
        change, self.change = self.change, None
        self.filled.clear()
        return None if self.behind else change


class Hub:
    """The merged view of the controller and everybody who looks at it."""

    def __init__(
        self, connect: Callable[[], Client], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._connect = connect
        self.client = connect()
        self.frame = Frame()
        self.closing = False
        self._now_s = now_s
        self._heard_s: float | None = None
        self._slots: set[Slot] = set()
        self._encoded: tuple[Any, dict[tuple[str, bool], bytes]] = (None, {})

    @property
    def pages(self) -> int:
        """Return how many pages are open."""
        return len(self._slots)

    @property
    def quiet_ms(self) -> int | None:
        """Return ms since the controller was last heard; None before the first frame."""
        if self._heard_s is None:
            return None
        return max(0, round((self._now_s() - self._heard_s) * 1000))

    @property
    def alive(self) -> bool:
        """Say whether the controller was heard within the limit of a page."""
        quiet_ms = self.quiet_ms
        return quiet_ms is not None and quiet_ms <= PAGE_QUIET_S * 1000

    def wall_ms(self) -> int:
        """Return the controller's wall clock carried on from its last frame, else our own."""
        known = self.frame.body.get("wall_ms")
        return int(time.time() * 1000) if known is None else int(known) + (self.quiet_ms or 0)

    async def follow(self) -> None:
        """Follow the controller until cancelled; a lost controller is tried again for ever.

        A connection inherited from the supervisor outlives the controller at its other end, so a
        client that has lost it is replaced by a new one on the same connection.
        """
        while True:
            async with self.client, aclosing(self.client.watch(True, QUIET_S)) as messages:
                async for message in messages:
                    self._take(message)
            await asyncio.sleep(RETRY_S)
            self.client = self._connect()

    async def report(self) -> None:
        """Tell the controller every 5 s which pages are open and heard (practice 15)."""
        while True:
            heard = [each for each in self._slots if each.audible]
            terminals = sorted({each.terminal for each in heard if each.terminal})
            said = {"pages": self.pages, "audible": bool(heard), "terminals": terminals}
            await self.client.report("console", said)
            await asyncio.sleep(REPORT_S)

    def close(self) -> None:
        """End all streams, so that the server can stop."""
        self.closing = True
        for slot in self._slots:
            slot.filled.set()

    def join(self, terminal: str = "", *, audible: bool = True) -> Slot | None:
        """Return a slot for a new page, or None where 64 are open already."""
        if len(self._slots) >= CLIENTS_MAX:
            return None
        slot = Slot(terminal, audible=audible)
        self._slots.add(slot)
        return slot

    def leave(self, slot: Slot) -> None:
        """Forget a page."""
        self._slots.discard(slot)

    def _take(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind in ("full", "delta"):
            self._heard_s = self._now_s()
            self.frame = self.client.frame
        elif kind != "lost":
            return
        for slot in self._slots:
            slot.behind = slot.behind or kind == "full"
            slot.put(kind, message)

    async def events(self, slot: Slot, is_staff: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Yield the server-sent events of one page until the hub closes.

        `is_staff` is asked before every event; when its answer changes the page starts afresh.
        """
        staff = is_staff()
        beat_s = self._now_s()
        while not (self.closing or slot.gone):
            if (now_staff := is_staff()) is not staff:
                staff, slot.behind = now_staff, True
            if chunk := self._next(slot, staff):
                yield chunk
            if self._now_s() >= beat_s:
                beat_s = self._now_s() + HEARTBEAT_S
                yield self._heartbeat()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.01, beat_s - self._now_s())):
                    await slot.filled.wait()

    def _next(self, slot: Slot, staff: bool) -> bytes:
        change = slot.take()
        if slot.behind:
            if not self.frame.body:
                return b""
            slot.behind = False
            return self._encode("full", self.frame.body, staff)
        if change is None:
            return b""
        return self._encode(*change, staff)

    def _encode(self, kind: str, body: Mapping[str, Any], staff: bool) -> bytes:
        """Return one event; the same body for many pages is written once."""
        if self._encoded[0] is not body:
            self._encoded = (body, {})
        made = self._encoded[1]
        if (kind, staff) not in made:
            shown = body if staff else without_people(body, self.frame)
            made[kind, staff] = sse(kind, shown)
        return made[kind, staff]

    def _heartbeat(self) -> bytes:
        return sse("heartbeat", {"quiet_ms": self.quiet_ms, "pages": self.pages})


def without_people(body: Mapping[str, Any], frame: Frame) -> Mapping[str, Any]:
    """Return a frame or delta for somebody not logged in (practice 26).

    Only the badges that a standing withdrawal misses stay, for whoever looks for them.
    """
    if "people" not in body:
        return body
    missed = {
        badge for each in frame.section("withdrawals").values() for badge in each["unaccounted"]
    }
    people = {badge: each for badge, each in (body["people"] or {}).items() if badge in missed}
    return {**body, "people": people}


def sse(kind: str, body: Any) -> bytes:
    """Return one server-sent event; JSON never holds a bare line break."""
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()


class EventStream:
    """The ASGI response of one page: events until it goes, the hub closes or a write hangs."""

    def __init__(self, hub: Hub, slot: Slot, is_staff: Callable[[], bool]) -> None:
        self._hub, self._slot, self._is_staff = hub, slot, is_staff

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send until the page is gone."""
        gone = asyncio.create_task(_disconnected(receive))
        gone.add_done_callback(lambda _: self._slot.end())
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
            async with aclosing(self._hub.events(self._slot, self._is_staff)) as events:  # type: ignore[type-var]
                async for chunk in events:
                    part = {"type": "http.response.body", "body": chunk, "more_body": True}
                    async with asyncio.timeout(WRITE_S):
                        await send(part)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            _log.info("a page took nothing for %g s and was let go", WRITE_S)
        finally:
            gone.cancel()
            self._hub.leave(self._slot)


_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
