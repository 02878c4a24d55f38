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
    FAN_START = "fan_start"
    """Permits a local fan's start by hand, in its start circuit alone; it never stops a fan."""


CONTROL_ONLY = frozenset({OutputRole.POWER_CUT, OutputRole.FAN_START})
"""Roles that act on machines: driven in mode `control` alone (practice 1)."""


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


class Scheme(StrEnum):
    """What an interlock is for; all but MATRIX find their causes in the zones that they name."""

    MATRIX = "matrix"
    METHANE_ELECTRIC = "methane_electric"
    FAN_ELECTRIC = "fan_electric"
    FAULT_LOCK = "fault_lock"
    SERIES = "series"
    REMOTE_CUT = "remote_cut"


@dataclass(frozen=True, slots=True)
class Interlock:
    """Cause and effect: any of `causes` demands all of `outputs`.

    With `votes_needed` the trip causes are redundant heads of one place: 0 no vote, 1 one of them
    is enough (1oo2), 2 two of them (2oo3). `spread` is how far they may lie apart, in the kind's
    smallest unit. `permissives` are points that must be normal before a cause of it may end.
    """

    id: str
    name: str
    causes: tuple[Cause, ...]
    outputs: tuple[str, ...]
    scheme: Scheme = Scheme.MATRIX
    zones: tuple[str, ...] = ()
    votes_needed: int = 0
    spread: int | None = None
    permissives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalFan:
    """The local fans that ventilate a heading: run states, duct wind, when they may start again.

    `near` are methane heads within 10 m of the fan and its switch; `start` is the output that
    permits a start by hand. Limits in 0.01 %CH4: above `block_cpct` in the heading a start needs
    the special release of gas, from `controlled_cpct` on a controlled one; at the fan the air may
    hold at most `fan_air_cpct`.
    """

    id: str
    zone: str
    main: str
    standby: str | None = None
    duct: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    start: str | None = None
    changeover_ms: int = 10_000
    block_cpct: int = 300
    controlled_cpct: int = 100
    fan_air_cpct: int = 50
    citation: str = ""
