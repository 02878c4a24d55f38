"""The publisher: ties the controller's stream, the ledger, the outbox and the link together.

One loop: what the controller says becomes messages, what the broker says moves the lanes, and a
tick four times a second does what is due. Nothing waits for anything else. When the controller is
gone this is said (`status`), `live` stops, and the record goes on being uploaded.
"""

import asyncio
import logging
import secrets
import sqlite3
import time
from collections import Counter
from contextlib import suppress
from typing import Any

from minewatch.client import Client, Frame
from minewatch.folder import Folder
from minewatch.model.canonical import encode
from minewatch.model.mine import Mine
from minewatch.publisher import json_v1
from minewatch.publisher.active import Active, ActiveConfig
from minewatch.publisher.answers import Answers
from minewatch.publisher.json_v1 import Body, Head, Watched
from minewatch.publisher.lanes import Lanes
from minewatch.publisher.ledger_follow import LedgerFollow
from minewatch.publisher.link import Acked, Down, Heard, Link, News, Refused, Up, Will
from minewatch.publisher.outbox import Class, Outbox
from minewatch.publisher.standing import Change, Standing
from minewatch.record.ledger import Entry
from minewatch.record.merkle import leaf_hash

TICK_S = 0.25
STATUS_EVERY_MS = 30_000
SNAPSHOT_EVERY_MS = 30_000
CHECKPOINT_EVERY_MS = 60_000
REPORT_EVERY_MS = 5_000
CONFIG_EVERY_MS = 1_000
LIVE_EVERY_MS = 200
"""Shortest distance of two `live` messages; what changes in between goes with the next."""

ACK_WITHIN_MS = 30_000
FAREWELL_WITHIN_S = 2.0

_log = logging.getLogger("minewatch.publisher")


class Publisher:
    """The upload of one mine to its county. Give it a state folder and await `run`."""

    def __init__(self, folder: Folder, outbox: Outbox) -> None:
        self.boot = secrets.token_hex(8)
        self._folder = folder
        self._outbox = outbox
        self._ledger = LedgerFollow(folder.root)
        self._answers = Answers(self._ledger)
        self._standing = Standing(outbox)
        self._lanes = Lanes(outbox, self._ledger, self._send, self._event)
        self._config = ActiveConfig(folder)
        self._client = Client(folder.socket)
        self._seq: Counter[str] = Counter()
        self._active: Active | None = None
        self._watched = Watched(False, wall_ms(), Frame(), "")
        self._link: Link | None = None
        self._session = 0
        self._protocol = ""
        self._fault = "starting"
        self._since_ms = wall_ms()
        self._shed = 0
        self._due_ms: dict[str, int] = {}
        self._sent_readings: dict[str, tuple[Any, ...]] = {}
        self._sent_status: Body = {}
        self._sent_headcount: Body = {}
        self._sent_report: Body = {}
        self._checkpoint_size = -1

    async def run(self, stop: asyncio.Event) -> None:
        """Upload until `stop` is set, then say a clean goodbye."""
        watching = asyncio.create_task(self._watch())
        try:
            while not stop.is_set():
                if watching.done():
                    watching.result()
                await self._tick()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), TICK_S)
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await self._goodbye()
            await self._client.close()
            self._ledger.close()

    async def _watch(self) -> None:
        async for message in self._client.watch():
            up = message["type"] != "lost"
            if message["type"] in {"full", "delta", "lost"}:
                self._viewed(up, self._client.frame)
            self._lanes.pump(now_ms())

    def _viewed(self, up: bool, frame: Frame) -> None:
        """Take the controller's new view, or its absence."""
        active = self._active
        if up:
            since_ms = frame.body.get("since_wall_ms") or self._watched.since_ms
        else:
            since_ms = wall_ms() if self._watched.up else self._watched.since_ms
        config = active.config if active is not None else ""
        self._watched = Watched(up, since_ms, frame if up else self._watched.frame, config)
        if active is None:
            return
        self._status_if_changed(active.mine)
        if not up:
            self._sent_readings.clear()
            return
        for change in self._standing.changes(active.mine, frame, json_v1.utc(wall_ms())):
            self._alarm(change)
        view = json_v1.headcount_view(frame)
        if view != self._sent_headcount and frame.section("headcount"):
            self._sent_headcount = view
            self._keep(Class.STATE, "headcount", json_v1.headcount(self._head("headcount"), frame))
        self._live(frame)

    def _live(self, frame: Frame) -> None:
        if not self._due("live", LIVE_EVERY_MS):
            return
        keys = {point: json_v1.reading_key(e) for point, e in frame.section("points").items()}
        changed = [point for point, key in keys.items() if self._sent_readings.get(point) != key]
        body = json_v1.live(self._head("live"), frame, changed)
        if self._offer("live", body, retain=False):
            self._sent_readings = keys

    async def _tick(self) -> None:
        """Do what is due."""
        at_ms = now_ms()
        if self._due("config", CONFIG_EVERY_MS):
            self._follow_config()
        active = self._active
        if active is not None:
            if self._lanes.open and self._due("status", STATUS_EVERY_MS):
                self._status(active.mine)
            if self._watched.up and self._due("snapshot", SNAPSHOT_EVERY_MS):
                self._snapshot(active.mine)
            self._checkpoint()
        oldest_ms = self._lanes.oldest_ms()
        if oldest_ms is not None and at_ms - oldest_ms > ACK_WITHIN_MS and self._link is not None:
            self._link.cut()
        self._lanes.tick()
        self._lanes.pump(at_ms)
        await self._report()

    def _follow_config(self) -> None:
        changed = self._config.changed()
        if changed is None:
            return
        before, self._active = self._active, changed
        self._watched = Watched(
            self._watched.up, self._watched.since_ms, self._watched.frame, changed.config
        )
        if len(changed.mine.uploads) > 1:
            _log.error("more than one [[mqtt]]: only %r is used", changed.mine.uploads[0].id)
        if before is not None and _route(before.mine) == _route(changed.mine):
            self._greet(changed.mine)
            return
        self._relink(changed.mine)

    def _relink(self, mine: Mine) -> None:
        """Begin a link to the (new) broker; the old one is told goodbye in the background."""
        old, self._link = self._link, None
        if old is not None:
            asyncio.get_running_loop().run_in_executor(None, old.stop)
            self._down("configuration")
        if not mine.uploads:
            self._fault = "no_broker"
            _log.warning("no [[mqtt]] is configured: nothing is uploaded")
            return
        loop = asyncio.get_running_loop()
        root = json_v1.topic_root(mine)

        def tell(news: News) -> None:
            with suppress(RuntimeError):  # the loop has ended before the link's thread
                loop.call_soon_threadsafe(self._hear, link, news)

        link = Link(
            mine.uploads[0],
            f"minewatch-{mine.code}-{self._outbox.install}",
            will=lambda: self._will(mine),
            subscribe=root + "request",
            tell=tell,
        )
        self._link = link
        link.start()

    def _will(self, mine: Mine) -> Will:
        """Return the will; its number is 0, since it is written before it is published."""
        head = Head(self.boot, self._run_id(), 0, wall_ms(), self._trusted())
        body = json_v1.status(head, "offline", mine, self._watched)
        return Will(json_v1.topic_root(mine) + "status", encode(body))

    def _hear(self, link: Link, news: News) -> None:
        if link is not self._link:
            return
        match news:
            case Up():
                self._up(news)
            case Down():
                if news.session == self._session or news.reason != self._fault:
                    _log.warning("upload down: %s %s", news.reason, news.detail)
                self._down(news.reason)
            case Acked(session=self._session):
                self._lanes.acked(news.mid, news.refused, now_ms())
                if news.refused and news.refused != self._fault:
                    _log.error("the broker refuses messages: %s", news.refused)
            case Heard():
                self._heard(news)
            case Refused():
                _log.error("the broker lets nobody ask us: %s", news.reason)
        self._lanes.pump(now_ms())

    def _up(self, news: Up) -> None:
        active = self._active
        if active is None:
            return
        self._session, self._protocol, self._fault = news.session, news.protocol, ""
        self._since_ms = wall_ms()
        _log.info("upload up, MQTT %s", news.protocol)
        self._lanes.opened()
        self._greet(active.mine)

    def _greet(self, mine: Mine) -> None:
        """Say everything that a broker retains; it may have forgotten."""
        if not self._lanes.open:
            return
        self._status(mine)
        watched = self._watched
        self._offer("birth", json_v1.birth(self._head("birth"), mine, watched.config), retain=True)
        for change in self._standing.all():
            self._alarm(change)
        self._sent_readings.clear()
        self._sent_headcount.clear()
        self._due_ms.pop("snapshot", None)
        self._due_ms.pop("checkpoint", None)
        if watched.up:
            self._viewed(True, watched.frame)

    def _down(self, reason: str) -> None:
        if self._lanes.open or not self._fault:
            self._since_ms = wall_ms()
        self._fault, self._session = reason, 0
        self._lanes.closed()

    def _heard(self, news: Heard) -> None:
        answer = self._answers.answer(news.payload, now_ms())
        if answer is not None:
            body = {**self._head("reply").fields(), **answer.body}
            self._offer(f"reply/{answer.client}", body, retain=False)

    def _status_if_changed(self, mine: Mine) -> None:
        """Say a change at once; one that matters afterwards is kept for a broker that is away."""
        head = Head("", "", 0, 0, self._trusted())
        body = json_v1.status(head, "online", mine, self._watched)
        body.pop("nonce")
        if body == self._sent_status:
            return
        critical = ("controller", "mode", "config", "version", "trusted")
        kept = any(body[each] != self._sent_status.get(each) for each in critical)
        self._sent_status = body
        if kept and not self._lanes.open and self._active is not None:
            message = json_v1.status(self._head("status"), "online", mine, self._watched)
            self._keep(Class.STATE, "status", message)
        elif self._lanes.open:
            self._status(mine)

    def _status(self, mine: Mine) -> None:
        body = json_v1.status(self._head("status"), "online", mine, self._watched)
        self._offer("status", body, retain=True)

    def _snapshot(self, mine: Mine) -> None:
        body = json_v1.snapshot(self._head("snapshot"), mine, self._watched.frame)
        self._keep(Class.TELEMETRY, "snapshot", body)

    def _checkpoint(self) -> None:
        """Send the newest tree head whose events have been sent; each minute in any case."""
        if not self._lanes.open:
            return
        sent = [
            each
            for each in self._ledger.checkpoints(self._checkpoint_size)
            if each.size <= self._lanes.event_next
        ]
        newest = sent[-1] if sent else None
        if newest is None and self._due("checkpoint", CHECKPOINT_EVERY_MS):
            newest = self._ledger.newest_checkpoint()
        if newest is None:
            return
        self._due_ms["checkpoint"] = now_ms() + CHECKPOINT_EVERY_MS
        self._checkpoint_size = max(self._checkpoint_size, newest.size)
        head = self._head("checkpoint")
        body = json_v1.checkpoint(head, newest.origin, newest.size, newest.note)
        self._offer("checkpoint", body, retain=True)

    def _alarm(self, change: Change) -> None:
        topic = f"alarm/{change.alarm}"
        body = json_v1.alarm(self._head("alarm"), change.alarm, change.view, change.states)
        self._keep(Class.ALARM, topic, body, retain=not change.gone)
        if change.gone:
            self._push(Class.ALARM, topic, b"", retain=True)

    def _event(self, entry: Entry, backfill: bool) -> bytes:
        head = Head(self.boot, self._run_id(), entry.index + 1, wall_ms(), self._trusted())
        hashed = leaf_hash(entry.leaf)
        return encode(
            json_v1.event(head, self._ledger.origin, entry.leaf, hashed, backfill=backfill)
        )

    async def _report(self) -> None:
        refusal = self._lanes.refusal
        body: Body = {
            "up": self._lanes.open and not refusal,
            "since_ms": self._since_ms,
            "backlog": self._lanes.backlog(),
            "shed": self._outbox.shed + self._shed,
            "rejected": self._lanes.rejected + self._answers.malformed + self._answers.limited,
            "fault": refusal or self._fault or ("ledger" if self._ledger.fault else ""),
            "protocol": self._protocol,
        }
        changed = any(body[key] != self._sent_report.get(key) for key in ("up", "fault"))
        if self._watched.up and (changed or self._due("report", REPORT_EVERY_MS)):
            self._due_ms["report"] = now_ms() + REPORT_EVERY_MS
            if await self._client.report("upload", body):
                self._sent_report = body

    async def _goodbye(self) -> None:
        """Publish a retained offline and leave, so that the will does not fire."""
        link, active = self._link, self._active
        if link is None:
            return
        if self._lanes.open and active is not None:
            body = json_v1.status(self._head("status"), "offline", active.mine, self._watched)
            self._offer("status", body, retain=True)
            self._lanes.pump(now_ms())
            deadline_ms = now_ms() + int(FAREWELL_WITHIN_S * 1000)
            while not self._lanes.idle() and now_ms() < deadline_ms:
                await asyncio.sleep(0.01)
        self._lanes.closed()
        await asyncio.get_running_loop().run_in_executor(None, link.stop)

    def _keep(self, klass: Class, topic: str, body: Body, *, retain: bool = True) -> None:
        self._push(klass, topic, encode(body), retain=retain)

    def _push(self, klass: Class, topic: str, payload: bytes, *, retain: bool) -> None:
        try:
            self._outbox.push(klass, topic, payload, retain=retain)
        except sqlite3.Error:
            _log.exception("the outbox takes nothing")
            self._shed += 1

    def _offer(self, topic: str, body: Body, *, retain: bool) -> bool:
        taken = self._lanes.offer(topic, encode(body), retain=retain)
        if not taken:
            self._shed += 1
        return taken

    def _send(self, topic: str, payload: bytes, retain: bool) -> int | None:
        if self._link is None or self._active is None:
            return None
        full = json_v1.topic_root(self._active.mine) + topic
        return self._link.publish(self._session, full, payload, retain=retain)

    def _head(self, stream: str) -> Head:
        self._seq[stream] += 1
        return Head(self.boot, self._run_id(), self._seq[stream], wall_ms(), self._trusted())

    def _run_id(self) -> str:
        return str(self._watched.frame.body.get("run", ""))

    def _trusted(self) -> bool:
        return self._watched.up and self._watched.frame.body.get("wall_trusted") is True

    def _due(self, what: str, every_ms: int) -> bool:
        at_ms = now_ms()
        if at_ms < self._due_ms.get(what, 0):
            return False
        self._due_ms[what] = at_ms + every_ms
        return True


def _route(mine: Mine) -> tuple[Any, ...]:
    return (json_v1.topic_root(mine), mine.uploads)


def wall_ms() -> int:
    """Return UTC wall ms; a label, never used for a delay."""
    return time.time_ns() // 1_000_000


def now_ms() -> int:
    """Return ms of the clock that counts suspend."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
