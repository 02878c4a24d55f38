"""An event: one decision, in the past tense. Each becomes exactly one leaf of the ledger."""

import hashlib
from dataclasses import dataclass
from typing import Any

from minewatch.model.canonical import canonical


@dataclass(frozen=True, slots=True)
class Event:
    """What was decided in one cycle. `data` holds codes and integers, `text` what a person wrote.

    `text` is stored beside the leaf and only its hash is in it, so that names and free words
    never leave the mine with the events.
    """

    kind: str
    version: int
    cycle: int
    now_ms: int
    wall_ms: int
    wall_trusted: bool
    data: dict[str, Any]
    text: str = ""

    def leaf(self) -> bytes:
        """Return the canonical bytes that are stored verbatim and hashed as an RFC 6962 leaf."""
        body: dict[str, Any] = {
            "cycle": self.cycle,
            "data": self.data,
            "kind": self.kind,
            "t_ms": self.now_ms,
            "trusted": self.wall_trusted,
            "v": self.version,
            "wall_ms": self.wall_ms,
        }
        if self.text:
            body["text_sha256"] = hashlib.sha256(self.text.encode()).hexdigest()
        return canonical(body)

    @classmethod
    def from_leaf(cls, body: dict[str, Any], text: str = "") -> "Event":
        """Build the event whose parsed leaf is `body`."""
        return cls(
            body["kind"],
            body["v"],
            body["cycle"],
            body["t_ms"],
            body["wall_ms"],
            body["trusted"],
            body["data"],
            text,
        )
