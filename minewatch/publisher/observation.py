"""The county's side of one mine: what its messages prove, and what is wrong with them.

The other end of `json_v1`, without a network: messages go in, findings and questions come out.
Numbers are checked per (boot, stream), events by ledger index; every leaf is hashed again. Where
the leaves are there from index 0, each checkpoint's root is computed from them; an observer that
came later asks for inclusion and consistency proofs instead. A gap in events is asked for again.
"""

import json
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from minewatch.record.merkle import Frontier, consistency_holds, inclusion_holds, leaf_hash
from minewatch.record.note import Checkpoint, parse_notes, signature_holds

LOSSLESS = frozenset({"event", "alarm"})
"""Streams in which a missing number is a fault; in the others it was shed and shows as such."""

MISSING_MAX = 100_000
QUESTIONS_MAX = 256
FILL = 500
"""Entries asked for at once."""

HISTORY_MAX = 20_000
"""An observer that comes later fetches what went before where it is not more than this."""

HASHES_MAX = 200_000
ASKED_MAX = 1024
TRIES_MAX = 3
PROOFS_A_CHECKPOINT = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong; `code` names it, `detail` says where."""

    code: str
    detail: str


class Numbers:
    """The numbers of one stream: from the first one seen, which are missing?"""

    def __init__(self) -> None:
        self.first = 0
        self.last = 0
        self.missing: set[int] = set()
        self.uncounted = 0

    def note(self, number: int) -> bool:
        """Take a number; False when it was there before, or lies before the first."""
        if not self.first:
            self.first = self.last = number
            return True
        if number > self.last:
            gap = range(self.last + 1, number)
            room = MISSING_MAX - len(self.missing)
            self.missing.update(gap[:room])
            self.uncounted += max(0, len(gap) - room)
            self.last = number
            return True
        if number in self.missing:
            self.missing.discard(number)
            return True
        return False

    @property
    def lost(self) -> int:
        """Return how many numbers are missing."""
        return len(self.missing) + self.uncounted


class Observation:
    """Everything observed of one mine. `key` is the verifier key: name and public bytes."""

    def __init__(self, client: str, key: tuple[str, bytes] | None = None) -> None:
        self._client = client
        self._key = key
        self._hashes: dict[int, bytes] = {}
        self._tree = Frontier()
        self._roots: dict[int, bytes] = {}
        self._pending: dict[int, Checkpoint] = {}
        self._asked: dict[str, tuple[dict[str, Any], int]] = {}
        self._count = 0
        self._newest: Checkpoint | None = None
        self._filling: set[int] = set()
        self.origin = ""
        self.numbers: dict[tuple[str, str], Numbers] = {}
        self.events = Numbers()
        self.findings: list[Finding] = []
        self.questions: deque[dict[str, Any]] = deque(maxlen=QUESTIONS_MAX)
        self.latest: dict[str, dict[str, Any]] = {}
        self.alarms: dict[str, dict[str, Any]] = {}
        self.tally: Counter[str] = Counter()

    def take(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """Take one message; `topic` stands below the mine's root."""
        stream, _, rest = topic.partition("/")
        if stream == "request":
            return
        if stream == "reply" and rest != self._client:
            return
        self.tally["messages"] += 1
        if stream == "alarm" and not payload:
            self.alarms.pop(rest, None)
            return
        try:
            body = json.loads(payload)
            self._sort(stream, rest, body, retained)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self._find("malformed", f"{topic}: {error!r:.120}")

    def verdict(self) -> dict[str, Any]:
        """Return what was seen and whether it is whole."""
        lost = self._lost()
        bad = self.events.lost + sum(lost[name] for name in LOSSLESS) + len(self.findings)
        return {
            "whole": bad == 0,
            "origin": self.origin,
            "events": self.tally["events"],
            "first_index": self.events.first - 1 if self.events.first else None,
            "last_index": self.events.last - 1 if self.events.first else None,
            "missing_events": self.events.lost,
            "duplicates": self.tally["duplicates"],
            "backfilled": self.tally["backfilled"],
            "filled_on_request": self.tally["filled"],
            "checkpoints": self.tally["checkpoints"],
            "roots_verified": self.tally["roots"],
            "signatures_verified": self.tally["signatures"],
            "inclusions_verified": self.tally["inclusions"],
            "consistencies_verified": self.tally["consistencies"],
            "boots": len({boot for boot, _ in self.numbers}),
            "lost_numbers": {name: count for name, count in sorted(lost.items()) if count},
            "findings": [{"code": each.code, "detail": each.detail} for each in self.findings],
        }

    def ask_again(self) -> None:
        """Ask once more what was not answered; after some tries it is given up."""
        for ident, (question, tries) in list(self._asked.items()):
            if tries >= TRIES_MAX:
                del self._asked[ident]
            else:
                self._asked[ident] = (question, tries + 1)
                self.questions.append(question)

    def unfilled(self) -> bool:
        """Tell whether something that was asked for may still come."""
        return bool(self.questions or self._asked)

    def _lost(self) -> Counter[str]:
        lost: Counter[str] = Counter()
        for (_, stream), numbers in self.numbers.items():
            lost[stream] += numbers.lost
        return lost

    def _find(self, code: str, detail: str) -> None:
        if len(self.findings) < MISSING_MAX:
            self.findings.append(Finding(code, detail))

    def _sort(self, stream: str, rest: str, body: dict[str, Any], retained: bool) -> None:
        if stream == "event":
            self._event(body["origin"], body["seq"] - 1, body["leaf"].encode(), body)
            return
        if stream == "reply":
            self._replied(body)
            return
        number = body["seq"]
        if number and not retained:
            self.numbers.setdefault((body["boot"], stream), Numbers()).note(number)
        if stream == "checkpoint":
            self._checkpoint(body)
        elif stream == "alarm":
            self.alarms[rest] = body
        elif not body.get("backfill"):
            self.latest[stream] = body

    def _event(self, origin: str, index: int, leaf: bytes, body: Mapping[str, Any]) -> None:
        self.origin = self.origin or origin
        if origin != self.origin:
            self._find("other_ledger", f"{origin} instead of {self.origin}")
            return
        hashed = leaf_hash(leaf)
        if hashed.hex() != body["hash"]:
            self._find("leaf_altered", f"entry {index}: the leaf does not give its hash")
            return
        self.tally["backfilled"] += body.get("backfill") is True
        if not self.events.first and 0 < index <= HISTORY_MAX:
            self._ask("entries", **{"from": 0, "to": min(index, FILL)})
        self._leaf(index, hashed)
        if self.events.missing:
            self._fill()

    def _leaf(self, index: int, hashed: bytes) -> None:
        known = self._hashes.get(index)
        if known is not None and known != hashed:
            self._find("entry_rewritten", f"entry {index} came with two different leaves")
            return
        if not self.events.note(index + 1):
            self.tally["duplicates" if known is not None else "earlier"] += 1
        if known is None:
            self._hashes[index] = hashed
            self.tally["events"] += 1
        while self._tree.size in self._hashes:
            self._tree.append(self._hashes[self._tree.size])
            pending = self._pending.pop(self._tree.size, None)
            if pending is not None:
                self._compare(pending)
        self._hashes.pop(self._tree.size - HASHES_MAX, None)

    def _fill(self) -> None:
        """Ask for the first gap, once for each place where it begins."""
        start = min(self.events.missing)
        if start not in self._filling:
            self._filling.add(start)
            self._ask("entries", **{"from": start - 1, "to": start - 1 + FILL})

    def _checkpoint(self, body: Mapping[str, Any]) -> None:
        notes = [each.checkpoint for each in parse_notes(body["note"].encode())]
        checkpoint = notes[0] if len(notes) == 1 else None
        if checkpoint is None or checkpoint.size != body["size"]:
            self._find("checkpoint_malformed", str(body["note"])[:120])
            return
        self.tally["checkpoints"] += 1
        self.origin = self.origin or checkpoint.origin
        if self._key is not None:
            if not signature_holds(checkpoint, *self._key):
                self._find("signature_forged", f"checkpoint of {checkpoint.size} entries")
                return
            self.tally["signatures"] += 1
        known = self._roots.get(checkpoint.size)
        if known is not None and known != checkpoint.root:
            self._find("split_view", f"two roots for {checkpoint.size} entries")
            return
        if known is None:
            self._roots[checkpoint.size] = checkpoint.root
            self._prove(checkpoint)

    def _prove(self, checkpoint: Checkpoint) -> None:
        """Compute the root where the leaves are there; ask for what ties it to the last one."""
        size = checkpoint.size
        if size == self._tree.size:
            self._compare(checkpoint)
        elif size > self._tree.size and len(self._pending) < ASKED_MAX:
            self._pending[size] = checkpoint
        before = self._newest
        if before is not None and before.size != size and min(before.size, size) > 0:
            old, new = sorted((before.size, size))
            self._ask("consistency", old=old, new=new)
        if self.events.first > HISTORY_MAX:
            recent = range(max(self.events.first - 1, size - PROOFS_A_CHECKPOINT), size)
            for index in recent:
                if index in self._hashes:
                    self._ask("inclusion", index=index, size=size)
        if before is None or size > before.size:
            self._newest = checkpoint

    def _compare(self, checkpoint: Checkpoint) -> None:
        if self._tree.root() == checkpoint.root:
            self.tally["roots"] += 1
        else:
            self._find("root_differs", f"the first {checkpoint.size} entries are not those signed")

    def _ask(self, want: str, **about: int) -> None:
        self._count += 1
        ident = f"{want}-{self._count}"
        question = {"client": self._client, "id": ident, "want": want, **about}
        self.questions.append(question)
        self._asked[ident] = (question, 1)
        if len(self._asked) > ASKED_MAX:
            del self._asked[next(iter(self._asked))]

    def _replied(self, body: Mapping[str, Any]) -> None:
        question, _ = self._asked.pop(body["id"], ({}, 0))
        if not question or "error" in body:
            return
        if question["want"] == "entries":
            self._entries(question, body)
            return
        proof = [bytes.fromhex(each) for each in body["proof"]]
        if question["want"] == "inclusion":
            index, size = question["index"], question["size"]
            leaf, root = self._hashes[index], self._roots[size]
            self._proved("inclusions", inclusion_holds(index, size, leaf, proof, root), index)
        else:
            old, new = question["old"], question["new"]
            roots = self._roots[old], self._roots[new]
            self._proved("consistencies", consistency_holds(old, new, *roots, proof), new)

    def _entries(self, question: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        for index, leaf in body["entries"]:
            self.tally["filled"] += index + 1 in self.events.missing
            self._leaf(index, leaf_hash(leaf.encode()))
        place = body["next"]
        if question["from"] < place < self.events.first - 1:
            self._ask("entries", **{"from": place, "to": min(self.events.first - 1, place + FILL)})
        if self.events.missing:
            self._fill()

    def _proved(self, what: str, holds: bool, place: int) -> None:
        if holds:
            self.tally[what] += 1
        else:
            self._find("proof_fails", f"{what} at {place}")
