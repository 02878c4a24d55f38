"""The outbox: what must reach the county, kept on disk until the broker has acknowledged it.

Alarms, headcount, status and snapshots stand here; events do not, they are read from the ledger
by a cursor that is kept here. The outbox is bounded. At its bound it sheds the oldest telemetry,
then the oldest states, then alarm states that a newer message of the same alarm supersedes; the
newest message of an alarm is never shed. What is shed keeps its number, so that the gap shows.

A disk that refuses is said once and never stops the upload: `push` then gives False. A damaged
database is put aside at the next start; what is lost with it are unsent messages, never events.
"""

import json
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable
from enum import IntEnum
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

ROWS_MAX = 20_000
BYTES_MAX = 64 * 1024 * 1024
CALM_S = 30.0
"""How long writing must have worked until a fault of the disk counts as gone."""

SCHEMA_VERSION = 1

_log = logging.getLogger("minewatch.publisher")


class Class(IntEnum):
    """How dear a message is; the numbers are stored and never change meaning."""

    ALARM = 0
    STATE = 1
    TELEMETRY = 2


class Row(NamedTuple):
    """One message that waits; `topic` stands below the mine's root."""

    id: int
    klass: Class
    stream: str
    topic: str
    payload: bytes
    retain: bool


class OutboxError(Exception):
    """The database cannot be opened or is of a later version."""


class Outbox:
    """The publisher's database. Every call is one short transaction."""

    def __init__(
        self, path: Path | str, *, rows_max: int = ROWS_MAX, bytes_max: int = BYTES_MAX
    ) -> None:
        self._rows_max = rows_max
        self._bytes_max = bytes_max
        self.fault = ""
        self._failed_s = 0.0
        try:
            self._db = _open(path)
        except sqlite3.OperationalError as error:
            raise OutboxError(f"cannot open the outbox {path}: {error}") from error
        except sqlite3.DatabaseError as error:
            _log.error("the outbox is damaged and put aside: %s", error)
            _put_aside(Path(path))
            self._db = _open(path)
        rows, size = self._db.execute(
            "SELECT count(*), coalesce(sum(length(payload)), 0) FROM message"
        ).fetchone()
        self.rows, self.bytes = int(rows), int(size)
        self.shed = int(self._fact("shed", "0"))
        self.install = self._fact("install", "")
        if not self.install:
            self.install = secrets.token_hex(4)
            self._write(lambda: self._set_facts(install=self.install))

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def push(self, klass: Class, topic: str, payload: bytes, *, retain: bool) -> bool:
        """Keep one message; False where the disk refuses it.

        What does not fit is shed as the head of this file says.
        """

        def insert() -> None:
            self._db.execute(
                "INSERT INTO message (class, stream, topic, payload, retain) VALUES (?,?,?,?,?)",
                (klass, topic.partition("/")[0], topic, payload, retain),
            )
            self.rows += 1
            self.bytes += len(payload)
            if self._over():
                self._shed()

        return self._write(insert)

    def pending(self, klass: Class, after: int, limit: int) -> list[Row]:
        """Return the oldest messages of a class with an id above `after`."""
        rows = self._db.execute(
            "SELECT id, class, stream, topic, payload, retain FROM message "
            "WHERE class = ? AND id > ? ORDER BY id LIMIT ?",
            (klass, after, limit),
        )
        return [Row(i, Class(c), s, t, bytes(p), bool(r)) for i, c, s, t, p, r in rows]

    def newest(self) -> int:
        """Return the id of the newest message, 0 where none waits."""
        (found,) = self._db.execute("SELECT coalesce(max(id), 0) FROM message").fetchone()
        return int(found)

    def done(self, ids: Iterable[int]) -> bool:
        """Forget messages that the broker has acknowledged; False where the disk refuses."""
        wanted = tuple(ids)
        return self._write(lambda: [self._remove("id = ?", (each,)) for each in wanted])

    def cursor(self, origin: str) -> int:
        """Return how many events of this ledger were received; 0 for a ledger unknown here."""
        if self._fact("origin", "") != origin:
            return 0
        return int(self._fact("cursor", "0"))

    def set_cursor(self, origin: str, received: int) -> bool:
        """Remember that the first `received` events of this ledger reached the broker."""
        return self._write(lambda: self._set_facts(origin=origin, cursor=str(received)))

    def standing(self) -> dict[str, dict[str, Any]]:
        """Return the last published view of each alarm that the broker retains."""
        rows = self._db.execute("SELECT alarm, view FROM standing")
        return {alarm: json.loads(view) for alarm, view in rows}

    def set_standing(self, alarm: str, view: dict[str, Any] | None) -> bool:
        """Remember what the broker retains of an alarm; None when nothing."""
        if view is None:
            query, values = "DELETE FROM standing WHERE alarm = ?", [alarm]
        else:
            query, values = (
                "INSERT OR REPLACE INTO standing VALUES (?,?)",
                [alarm, json.dumps(view)],
            )
        return self._write(lambda: self._db.execute(query, values))

    def _shed(self) -> None:
        before = self.rows
        for klass in (Class.TELEMETRY, Class.STATE):
            while self._over():
                if not self._remove("id = (SELECT min(id) FROM message WHERE class = ?)", (klass,)):
                    break
        while self._over():
            if not self._remove(
                "id = (SELECT min(id) FROM message AS old WHERE EXISTS (SELECT 1 FROM message "
                "AS new WHERE new.topic = old.topic AND new.id > old.id))",
                (),
            ):
                break
        self.shed += before - self.rows
        self._set_facts(shed=str(self.shed))

    def _over(self) -> bool:
        return self.rows > self._rows_max or self.bytes > self._bytes_max

    def _remove(self, where: str, values: tuple[int, ...]) -> bool:
        found = self._db.execute(
            f"DELETE FROM message WHERE {where} RETURNING length(payload)",
            values,
        ).fetchall()
        self.rows -= len(found)
        self.bytes -= sum(size for (size,) in found)
        return bool(found)

    def _fact(self, name: str, default: str) -> str:
        row = self._db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row is not None else default

    def _set_facts(self, **facts: str) -> None:
        self._db.executemany("INSERT OR REPLACE INTO fact VALUES (?,?)", facts.items())

    def _write(self, work: Callable[[], object]) -> bool:
        """Run one transaction; False, and counts as before, where the disk refuses it."""
        counts = self.rows, self.bytes, self.shed
        try:
            with self._db:
                work()
        except sqlite3.OperationalError as error:
            self.rows, self.bytes, self.shed = counts
            self._failed_s = time.monotonic()
            if not self.fault:
                _log.error("the outbox cannot be written: %s", error)
            self.fault = str(error)
            return False
        if self.fault and time.monotonic() - self._failed_s > CALM_S:
            _log.warning("the outbox can be written again")
            self.fault = ""
        return True


def _open(path: Path | str) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=5.0)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version not in {0, SCHEMA_VERSION}:
            raise OutboxError(f"the outbox {path} is of version {version}, not {SCHEMA_VERSION}")
        (found,) = db.execute("PRAGMA quick_check").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        db.executescript(resources.files(__package__).joinpath("outbox.sql").read_text("utf-8"))
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except (sqlite3.Error, OutboxError):
        db.close()
        raise
    return db


def _put_aside(path: Path) -> None:
    """Keep one damaged database for whoever wants to look at it."""
    path.replace(path.with_suffix(".damaged"))
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
