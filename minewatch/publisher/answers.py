"""Answers to the county's questions: a range of entries, an inclusion or a consistency proof.

Read-only and rate-limited: nothing that arrives here changes anything. A question is JSON on the
topic `request`: `{"client", "id", "want": "entries"|"inclusion"|"consistency", …}`; its answer goes
to `reply/<client>`, at most 64 KiB. What is malformed is counted and said once.
"""

import json
import logging
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from minewatch.publisher.ledger_follow import LedgerFollow

QUESTION_BYTES_MAX = 4096
ANSWER_BYTES_MAX = 60 * 1024
"""Of entries; the head of the message has room up to 64 KiB."""

RATE_PER_S = 5
BURST = 20
INDEX_MAX = 2**53

_CLIENT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")

_log = logging.getLogger("minewatch.publisher")


class Answer(NamedTuple):
    """What goes to `reply/<client>`, without the fields that every message has."""

    client: str
    body: dict[str, Any]


class Answers:
    """Serves questions from the ledger."""

    def __init__(self, ledger: LedgerFollow) -> None:
        self._ledger = ledger
        self._tokens_ms = BURST * 1000
        self._asked_ms: int | None = None
        self._said = False
        self.malformed = 0
        self.limited = 0

    def answer(self, payload: bytes, now_ms: int) -> Answer | None:
        """Return the answer, None to a question that is malformed or one too many."""
        if not self._permitted(now_ms):
            self.limited += 1
            return None
        try:
            question = _parse(payload)
            body = self._serve(question)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            self.malformed += 1
            if not self._said:
                self._said = True
                _log.warning("malformed request from the county: %.200r", error)
            return None
        common = {"id": question["id"], "want": question["want"], "origin": self._ledger.origin}
        return Answer(question["client"], {**common, **body})

    def _permitted(self, now_ms: int) -> bool:
        if self._asked_ms is not None:
            refill = (now_ms - self._asked_ms) * RATE_PER_S
            self._tokens_ms = min(BURST * 1000, self._tokens_ms + refill)
        self._asked_ms = now_ms
        if self._tokens_ms < 1000:
            return False
        self._tokens_ms -= 1000
        return True

    def _serve(self, question: Mapping[str, Any]) -> dict[str, Any]:
        size = self._ledger.size()
        try:
            match question["want"]:
                case "entries":
                    return self._entries(_index(question, "from"), _index(question, "to"))
                case "inclusion":
                    index, tree = _index(question, "index"), _index(question, "size")
                    return _proof(self._ledger.inclusion(index, tree), index=index, size=tree)
                case "consistency":
                    old, new = _index(question, "old"), _index(question, "new")
                    return _proof(self._ledger.consistency(old, new), old=old, new=new)
        except _QuestionError:
            raise
        except ValueError:
            return {"error": "outside", "size": size}
        raise _QuestionError("unknown want")

    def _entries(self, start: int, end: int) -> dict[str, Any]:
        """Return entries `start` ≤ index < `end`, as many as fit; `next` is where to go on."""
        leaves: list[list[Any]] = []
        room, place = ANSWER_BYTES_MAX, start
        for entry in self._ledger.entries(start, max(0, end - start)):
            leaf = entry.leaf.decode()
            room -= len(json.dumps(leaf)) + 24
            if room < 0 and leaves:
                break
            leaves.append([entry.index, leaf])
            place = entry.index + 1
        return {"entries": leaves, "next": place, "size": self._ledger.size()}


class _QuestionError(ValueError):
    """The question itself is malformed, rather than about something that is not there."""


def _parse(payload: bytes) -> dict[str, Any]:
    if len(payload) > QUESTION_BYTES_MAX:
        raise ValueError(f"{len(payload)} bytes")
    question = json.loads(payload)
    if not isinstance(question, dict):
        raise TypeError("no object")
    client, ident, want = question["client"], question["id"], question["want"]
    if not (isinstance(client, str) and _CLIENT.fullmatch(client)):
        raise ValueError("client")
    if not (isinstance(ident, str) and _ID.fullmatch(ident)):
        raise ValueError("id")
    if not isinstance(want, str):
        raise TypeError("want")
    return question


def _index(question: Mapping[str, Any], name: str) -> int:
    value = question[name]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= INDEX_MAX:
        raise _QuestionError(name)
    return value


def _proof(hashes: list[bytes] | None, **about: int) -> dict[str, Any]:
    if hashes is None:
        return {"error": "unreadable", **about}
    return {**about, "proof": [each.hex() for each in hashes]}
