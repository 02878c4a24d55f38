"""The speaker: turns what the controller shows into the messages of the upload.

It numbers every message in its stream, remembers what was said last, and decides where a message
goes: alarms, headcount and snapshots through the outbox, what only a listening broker needs
(status, birth, live, checkpoints, replies) straight to the lanes. What cannot be said keeps its
number.
"""

import secrets
import time
from collections import Counter
from dataclasses import replace
from typing import Any

from minewatch.client import Frame
from minewatch.model.canonical import encode
from minewatch.model.mine import Mine
from minewatch.publisher import json_v1
from minewatch.publisher.answers import Answer
from minewatch.publisher.json_v1 import Body, Head, Watched
from minewatch.publisher.lanes import Lanes
from minewatch.publisher.ledger_follow import LedgerFollow
from minewatch.publisher.outbox import Class, Outbox
from minewatch.publisher.standing import Change, Standing
from minewatch.record.ledger import Entry
from minewatch.record.merkle import leaf_hash

STATUS_EVERY_MS = 30_000
SNAPSHOT_EVERY_MS = 30_000
CHECKPOINT_EVERY_MS = 60_000
LIVE_EVERY_MS = 200
"""Shortest distance of two `live` messages; what changes in between goes with the next."""

CRITICAL = ("controller", "mode", "config", "version", "trusted")
"""Fields of `status` whose change the county must learn of afterwards, too."""


class Due:
    """When things are due that happen every so often."""

    def __init__(self) -> None:
        self._at_ms: dict[str, int] = {}

    def now(self, what: str, every_ms: int) -> bool:
        """Tell whether it is due; if so it is due again `every_ms` later."""
        at_ms = now_ms()
        if at_ms < self._at_ms.get(what, 0):
            return False
        self._at_ms[what] = at_ms + every_ms
        return True

    def reset(self, what: str, in_ms: int = 0) -> None:
        """Make it due `in_ms` from now."""
        self._at_ms[what] = now_ms() + in_ms


class Speaker:
    """Says what is to be said about one mine. `mine` is None until a configuration is active."""

    def __init__(self, outbox: Outbox, ledger: LedgerFollow, lanes: Lanes) -> None:
        self.boot = secrets.token_hex(8)
        self.mine: Mine | None = None
        self.watched = Watched(False, wall_ms(), Frame(), "")
        self.shed = 0
        self._outbox = outbox
        self._ledger = ledger
        self._lanes = lanes
        self._standing = Standing(outbox)
        self._seq: Counter[str] = Counter()
        self._due = Due()
        self._readings: dict[str, tuple[Any, ...]] = {}
        self._status_said: Body = {}
        self._headcount_said: Body = {}
        self._checkpoint_size = -1

    def configured(self, mine: Mine, config: str) -> None:
        """Speak of another configuration from now on."""
        self.mine = mine
        self.watched = replace(self.watched, config=config)

    def viewed(self, up: bool, frame: Frame) -> None:
        """Take the controller's new view, or its absence."""
        before = self.watched
        if up:
            since_ms = frame.body.get("since_wall_ms") or before.since_ms
        else:
            since_ms = wall_ms() if before.up else before.since_ms
            frame = before.frame
        self.watched = Watched(up, since_ms, frame, before.config)
        if self.mine is None:
            return
        self._status_if_changed(self.mine)
        if up:
            self._alarms(self.mine, frame)
            self._headcount(frame)
            self._live(frame)
        else:
            self._readings.clear()

    def greet(self) -> None:
        """Say everything that a broker retains; it may have forgotten."""
        mine, watched = self.mine, self.watched
        if not self._lanes.open or mine is None:
            return
        self._status(mine, "online")
        body = json_v1.birth(self._head("birth"), mine, watched.config)
        self._offer("birth", body, retain=True)
        for change in self._standing.all():
            self._alarm(change)
        self._readings.clear()
        self._headcount_said = {}
        self._due.reset("snapshot")
        self._due.reset("checkpoint")
        if watched.up:
            self.viewed(True, watched.frame)

    def farewell(self) -> None:
        """Say offline, retained."""
        if self.mine is not None:
            self._status(self.mine, "offline")

    def tick(self) -> None:
        """Say what is due."""
        mine = self.mine
        if mine is None:
            return
        if self._lanes.open and self._due.now("status", STATUS_EVERY_MS):
            self._status(mine, "online")
        if self.watched.up and self._due.now("snapshot", SNAPSHOT_EVERY_MS):
            body = json_v1.snapshot(self._head("snapshot"), mine, self.watched.frame)
            self._keep(Class.TELEMETRY, "snapshot", body)
        if self._lanes.open:
            self._checkpoint()

    def will(self, mine: Mine) -> bytes:
        """Return the will; its number is 0, since it is written before it is published."""
        head = Head(self.boot, self._run(), 0, wall_ms(), self._trusted())
        return encode(json_v1.status(head, "offline", mine, self.watched))

    def event(self, entry: Entry, backfill: bool) -> bytes:
        """Return the message of one ledger entry; its number is the index + 1."""
        head = Head(self.boot, self._run(), entry.index + 1, wall_ms(), self._trusted())
        body = json_v1.event(
            head, self._ledger.origin, entry.leaf, leaf_hash(entry.leaf), backfill=backfill
        )
        return encode(body)

    def reply(self, answer: Answer) -> None:
        """Answer a question of the county."""
        body = {**self._head("reply").fields(), **answer.body}
        self._offer(f"reply/{answer.client}", body, retain=False)

    def _status_if_changed(self, mine: Mine) -> None:
        """Say a change at once; one that matters afterwards is kept for a broker that is away."""
        said = json_v1.status(Head("", "", 0, 0, self._trusted()), "online", mine, self.watched)
        del said["nonce"]
        before, self._status_said = self._status_said, said
        if said == before:
            return
        if self._lanes.open:
            self._status(mine, "online")
        elif any(said[key] != before.get(key) for key in CRITICAL):
            body = json_v1.status(self._head("status"), "online", mine, self.watched)
            self._keep(Class.STATE, "status", body)

    def _status(self, mine: Mine, state: str) -> None:
        body = json_v1.status(self._head("status"), state, mine, self.watched)
        self._offer("status", body, retain=True)

    def _alarms(self, mine: Mine, frame: Frame) -> None:
        for change in self._standing.changes(mine, frame, json_v1.utc(wall_ms())):
            self._alarm(change)

    def _alarm(self, change: Change) -> None:
        topic = f"alarm/{change.alarm}"
        body = json_v1.alarm(self._head("alarm"), change.alarm, change.view, change.states)
        self._keep(Class.ALARM, topic, body, retain=not change.gone)
        if change.gone:
            self._push(Class.ALARM, topic, b"", retain=True)

    def _headcount(self, frame: Frame) -> None:
        view = json_v1.headcount_view(frame)
        if view != self._headcount_said and frame.section("headcount"):
            self._headcount_said = view
            self._keep(Class.STATE, "headcount", json_v1.headcount(self._head("headcount"), frame))

    def _live(self, frame: Frame) -> None:
        if not self._due.now("live", LIVE_EVERY_MS):
            return
        points = frame.section("points")
        readings = {ident: json_v1.reading_key(each) for ident, each in points.items()}
        changed = [ident for ident, key in readings.items() if self._readings.get(ident) != key]
        if self._offer("live", json_v1.live(self._head("live"), frame, changed), retain=False):
            self._readings = readings

    def _checkpoint(self) -> None:
        """Send the newest tree head whose events have been sent; each minute in any case."""
        new = self._ledger.checkpoints(self._checkpoint_size)
        sent = [each for each in new if each.size <= self._lanes.event_next]
        newest = sent[-1] if sent else None
        if newest is None and self._due.now("checkpoint", CHECKPOINT_EVERY_MS):
            newest = self._ledger.newest_checkpoint()
        if newest is None:
            return
        self._due.reset("checkpoint", CHECKPOINT_EVERY_MS)
        self._checkpoint_size = max(self._checkpoint_size, newest.size)
        head = self._head("checkpoint")
        body = json_v1.checkpoint(head, newest.origin, newest.size, newest.note)
        self._offer("checkpoint", body, retain=True)

    def _keep(self, klass: Class, topic: str, body: Body, *, retain: bool = True) -> None:
        self._push(klass, topic, encode(body), retain=retain)

    def _push(self, klass: Class, topic: str, payload: bytes, *, retain: bool) -> None:
        """Keep a message for the broker; where the disk refuses, it goes straight or is shed."""
        kept = self._outbox.push(klass, topic, payload, retain=retain)
        if not kept and not self._lanes.offer(topic, payload, retain=retain):
            self.shed += 1

    def _offer(self, topic: str, body: Body, *, retain: bool) -> bool:
        taken = self._lanes.offer(topic, encode(body), retain=retain)
        if not taken:
            self.shed += 1
        return taken

    def _head(self, stream: str) -> Head:
        self._seq[stream] += 1
        return Head(self.boot, self._run(), self._seq[stream], wall_ms(), self._trusted())

    def _run(self) -> str:
        return str(self.watched.frame.body.get("run", ""))

    def _trusted(self) -> bool:
        return self.watched.up and self.watched.frame.body.get("wall_trusted") is True


def wall_ms() -> int:
    """Return UTC wall ms; a label, never used for a delay."""
    return time.time_ns() // 1_000_000


def now_ms() -> int:
    """Return ms of the clock that counts suspend."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
