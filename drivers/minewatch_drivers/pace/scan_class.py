"""Scan classes: how often each kind of quantity needs to be read, and why.

A line's `scan_ms` is the pace of everything that can hurt within seconds. Kinds named here change
slowly and leave the time of the line to those; a point's own `scan_ms` goes before this table.
Change a row only with a better reason.
"""

from dataclasses import dataclass

from minewatch.model.kind import Kind
from minewatch.model.scan import STALE_SCANS


@dataclass(frozen=True, slots=True)
class ScanClass:
    """`kind` need not be read more often than every `every_ms`; `reason` says why not."""

    kind: Kind
    every_ms: int
    reason: str


SCAN_CLASSES: tuple[ScanClass, ...] = (
    ScanClass(Kind.TEMPERATURE, 3_000, "rock and air warm over minutes; fire shows as CO"),
    ScanClass(Kind.NEGATIVE_PRESSURE, 2_000, "follows the fan, whose contact is scanned fast"),
    ScanClass(Kind.AIR_SPEED, 2_000, "gusts are noise; a fan that stops shows in its own contact"),
    ScanClass(Kind.RAIN, 3_000, "a sum over 24 h"),
    ScanClass(Kind.WATER_LEVEL, 3_000, "sumps fill over minutes; its limits leave hours"),
    ScanClass(Kind.DUST, 3_000, "sensors average over many seconds; it starts sprays, not cuts"),
)
"""All other kinds go at the pace of their line: gases, smoke, switch states, proofs and the gate
counters, which bound the number of people underground."""

_EVERY_MS = {row.kind: row.every_ms for row in SCAN_CLASSES}


def class_ms(kind: Kind, line_ms: int, fault_after_ms: int) -> int:
    """Return the scan class in ms of a point of `kind` on a line with `scan_ms` = `line_ms`.

    0 stands for the line's own pace. A class is never so slow that three scans miss the fault
    limit of the point.
    """
    slow_ms = min(_EVERY_MS.get(kind, 0), fault_after_ms // STALE_SCANS)
    return slow_ms if slow_ms > line_ms else 0
