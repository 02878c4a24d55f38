"""Wiring: relay channels, what they cut, and which points demand them (the cause-effect matrix)."""

from dataclasses import dataclass
from enum import StrEnum


class OutputRole(StrEnum):
    """What an output is for; its behaviour at loss of heartbeat follows from it (practice 7)."""

    POWER_CUT = "power_cut"
    SIREN = "siren"
    BROADCAST = "broadcast"
    HORN = "horn"
    SURFACE_HORN = "surface_horn"
    GATE = "gate"


class Condition(StrEnum):
    """When a point demands an interlock."""

    TRIP = "trip"
    FAULT = "fault"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Load:
    """A consumer that a power-cut output takes away; `kind` is checked against practice 4."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Output:
    """A relay channel. `proof` is an independent input on another device that shows it acted.

    `covers` are the zones whose people hear it (siren, broadcast); empty means its own zone.
    """

    id: str
    name: str
    role: OutputRole
    zone: str
    device: str
    signal: str
    proof: str | None
    proof_within_ms: int = 2000
    cuts: tuple[Load, ...] = ()
    upstream: str | None = None
    covers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cause:
    """A point and the condition under which it demands an interlock."""

    point: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class Interlock:
    """Cause and effect: any of `causes` demands all of `outputs`."""

    id: str
    name: str
    causes: tuple[Cause, ...]
    outputs: tuple[str, ...]
