"""The publisher: ties the controller's stream, the ledger, the outbox and the link together.

One loop: what the controller says becomes messages, what the broker says moves the lanes, and a
tick four times a second does what is due. Nothing waits for anything else. When the controller is
gone this is said (`status`), `live` stops, and the record goes on being uploaded.
"""

import asyncio
import logging
import os
from contextlib import suppress
from typing import Any

from minewatch.client import Client
from minewatch.folder import Folder
from minewatch.model.mine import Mine
from minewatch.publisher import json_v1
from minewatch.publisher.active import ActiveConfig
from minewatch.publisher.answers import Answers
from minewatch.publisher.json_v1 import Body
from minewatch.publisher.lanes import Lanes
from minewatch.publisher.ledger_follow import LedgerFollow
from minewatch.publisher.link import Acked, Down, Heard, Link, News, Refused, Up, Will
from minewatch.publisher.outbox import Outbox
from minewatch.publisher.speaker import Due, Speaker, now_ms, wall_ms
from minewatch.record.ledger import Entry

TICK_S = 0.25
REPORT_EVERY_MS = 5_000
CONFIG_EVERY_MS = 1_000
ACK_WITHIN_MS = 30_000
FAREWELL_WITHIN_S = 2.0

_log = logging.getLogger("minewatch.publisher")


class Publisher:
    """The upload of one mine to its county. Give it a state folder and await `run`.

    How the upload stands is reported over `fd`, the connection inherited from the supervisor. One
    that runs by hand has none, and a real controller believes nothing that it reports.
    """

    def __init__(self, folder: Folder, outbox: Outbox, fd: int | None = None) -> None:
        self._outbox = outbox
        self._ledger = LedgerFollow(folder.root)
        self._answers = Answers(self._ledger)
        self._lanes = Lanes(outbox, self._ledger, self._send, self._event)
        self._speaker = Speaker(outbox, self._ledger, self._lanes)
        self._config = ActiveConfig(folder)
        self._client = Client(folder.socket)
        self._fd = fd
        self._reporter = self._client if fd is None else Client(fd=os.dup(fd))
        self._due = Due()
        self._link: Link | None = None
        self._root = ""
        self._session = 0
        self._protocol = ""
        self._fault = "starting"
        self._since_ms = wall_ms()
        self._reported: Body = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Upload until `stop` is set, then say a clean goodbye."""
        watching = asyncio.create_task(self._watch())
        try:
            while not stop.is_set():
                if watching.done():
                    watching.result()
                await self._tick()
                with suppress(TimeoutError):
                    async with asyncio.timeout(TICK_S):
                        await stop.wait()
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await self._goodbye()
            await self._reporter.close()
            await self._client.close()
            self._ledger.close()

    async def _watch(self) -> None:
        async for message in self._client.watch():
            if message["type"] in {"full", "delta", "lost"}:
                self._speaker.viewed(message["type"] != "lost", self._client.frame)
            self._lanes.pump(now_ms())

    async def _tick(self) -> None:
        """Do what is due."""
        if self._due.now("config", CONFIG_EVERY_MS):
            self._follow_config()
        self._speaker.tick()
        at_ms, oldest_ms = now_ms(), self._lanes.oldest_ms()
        if oldest_ms is not None and at_ms - oldest_ms > ACK_WITHIN_MS and self._link is not None:
            self._link.cut()
        self._lanes.tick()
        self._lanes.pump(at_ms)
        await self._report()

    def _follow_config(self) -> None:
        changed = self._config.changed()
        if changed is None:
            return
        mine, before = changed.mine, self._speaker.mine
        self._speaker.configured(mine, changed.config)
        if len(mine.uploads) > 1:
            _log.error("more than one [[mqtt]]: only %r is used", mine.uploads[0].id)
        if before is None or _route(before) != _route(mine):
            self._relink(mine)
        else:
            self._speaker.greet()

    def _relink(self, mine: Mine) -> None:
        """Begin a link to the (new) broker; on the old one the will says offline."""
        loop = asyncio.get_running_loop()
        old, self._link = self._link, None
        if old is not None:
            loop.run_in_executor(None, old.abandon)
            self._down("configuration")
        self._lanes.forget_refusals()
        self._root = json_v1.topic_root(mine)
        if not mine.uploads:
            self._fault = "no_broker"
            _log.warning("no [[mqtt]] is configured: nothing is uploaded")
            return

        def tell(news: News) -> None:
            with suppress(RuntimeError):  # the loop has ended before the link's thread
                loop.call_soon_threadsafe(self._hear, link, news)

        link = self._link = Link(
            mine.uploads[0],
            f"minewatch-{mine.code}-{self._outbox.install}",
            will=lambda: Will(self._root + "status", self._speaker.will(mine)),
            subscribe=self._root + "request",
            tell=tell,
        )
        link.start()

    def _hear(self, link: Link, news: News) -> None:
        if link is not self._link:
            return
        match news:
            case Up():
                self._up(news)
            case Down():
                if news.reason != self._fault:
                    _log.warning("upload down: %s %s", news.reason, news.detail)
                self._down(news.reason)
            case Acked(session=self._session):
                self._acked(news)
            case Heard():
                answer = self._answers.answer(news.payload, now_ms())
                if answer is not None:
                    self._speaker.reply(answer)
            case Refused():
                _log.error("the broker lets nobody ask us: %s", news.reason)
        self._lanes.pump(now_ms())

    def _up(self, news: Up) -> None:
        self._session, self._protocol, self._fault = news.session, news.protocol, ""
        self._since_ms = wall_ms()
        _log.info("upload up, MQTT %s", news.protocol)
        self._lanes.opened(news.window)
        self._speaker.greet()

    def _down(self, reason: str) -> None:
        if not self._fault:
            self._since_ms = wall_ms()
        self._fault, self._session = reason, 0
        self._lanes.closed()

    def _acked(self, news: Acked) -> None:
        before = self._lanes.refusal
        self._lanes.acked(news.mid, news.refused, now_ms())
        after = self._lanes.refusal
        if after != before:
            _log.error("the broker refuses messages: %s", after or "nothing any more")

    async def _report(self) -> None:
        refusal = self._lanes.refusal
        body: Body = {
            "up": self._lanes.open and not refusal,
            "since_ms": self._since_ms,
            "backlog": self._lanes.backlog(),
            "shed": self._outbox.shed + self._speaker.shed,
            "rejected": self._lanes.rejected + self._answers.malformed + self._answers.limited,
            "fault": refusal or self._fault or self._own_fault(),
            "protocol": self._protocol,
            "acknowledged": self._lanes.cursor,
        }
        told = ("up", "fault", "acknowledged")
        changed = any(body[key] != self._reported.get(key) for key in told)
        if not self._speaker.watched.up or not (changed or self._due.now("report", 0)):
            return
        if await self._reporter.report("upload", body):
            self._reported = body
            self._due.reset("report", REPORT_EVERY_MS)
        elif self._fd is not None:
            # The connection outlives a controller that is lost; each client closes its own copy.
            await self._reporter.close()
            self._reporter = Client(fd=os.dup(self._fd))

    def _own_fault(self) -> str:
        if self._ledger.fault:
            return "ledger"
        return "outbox" if self._outbox.fault else ""

    async def _goodbye(self) -> None:
        """Publish a retained offline and leave, so that the will does not fire."""
        link = self._link
        if link is None:
            return
        if self._lanes.open:
            self._speaker.farewell()
            deadline_ms = now_ms() + int(FAREWELL_WITHIN_S * 1000)
            while self._lanes.open and not self._lanes.idle() and now_ms() < deadline_ms:
                self._lanes.pump(now_ms())
                await asyncio.sleep(0.01)
        self._lanes.closed()
        self._link = None
        await asyncio.get_running_loop().run_in_executor(None, link.stop)

    def _send(self, topic: str, payload: bytes, retain: bool) -> int | None:
        if self._link is None:
            return None
        return self._link.publish(self._session, self._root + topic, payload, retain=retain)

    def _event(self, entry: Entry, backfill: bool) -> bytes:
        return self._speaker.event(entry, backfill)


def _route(mine: Mine) -> tuple[Any, ...]:
    return (json_v1.topic_root(mine), mine.uploads)
