"""The decision digest: one hash chain over everything that was decided, cycle by cycle.

Controller and replay feed it the same way; equal digests mean equal decisions, bit for bit.
"""

import hashlib
from collections.abc import Iterable, Mapping

from minewatch.model.canonical import encode
from minewatch.model.event import Event


class DecisionDigest:
    """SHA-256 over (previous digest, canonical [cycle, [leaf hashes], sorted outputs])."""

    __slots__ = ("_value",)

    def __init__(self) -> None:
        self._value = bytes(32)

    def update(
        self, cycle: int, events: Iterable[Event], outputs: Mapping[str, bool] | None
    ) -> None:
        """Add the decisions of one cycle; `outputs` is None where nothing may be written yet."""
        leaves = [hashlib.sha256(each.leaf()).hexdigest() for each in events]
        table = None if outputs is None else sorted(outputs.items())
        self._value = hashlib.sha256(self._value + encode([cycle, leaves, table])).digest()

    def hex(self) -> str:
        """Return the digest after the last cycle, as hex."""
        return self._value.hex()
