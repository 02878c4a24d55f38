"""A point of the mine and its limits, resolved at loading; nothing later looks a limit up again."""

from dataclasses import dataclass, field

from minewatch.model.kind import Kind


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits in the kind's smallest unit; None where the place has none.

    `alarm`, `trip` and `withdraw` act at value >= limit, `restore` and `clear` permit at
    value < limit. `low_alarm` acts at value < limit (oxygen, air speed). `rise_alarm` and
    `rise_withdraw` act when the value has risen, within the time of `Point.rise_over_ms`, as fast
    as so many units per hour.
    """

    pre_alarm: int | None = None
    alarm: int | None = None
    trip: int | None = None
    restore: int | None = None
    withdraw: int | None = None
    clear: int | None = None
    low_alarm: int | None = None
    low_clear: int | None = None
    rise_alarm: int | None = None
    rise_withdraw: int | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One measured or reported quantity, read as `signal` of `device`.

    `scan_ms` is its scan class (`model.scan`), resolved at loading; 0 is the pace of its line.
    `compare_with` is the point of the certified system that stands beside it (practice 33).
    `stale_ms` is the age limit of a value from a file; 0 follows from the scan class.
    `catalytic` says that its element burns the gas: it needs oxygen and frequent calibration.
    `rise_over_ms` is the time over which a rise is measured. `withdraws_mine` says that its
    withdraw limits empty the whole mine, not its zone and what lies downwind. `companions` are
    points that move when this one should; standing still beside them for `stuck_after_ms` it is
    stuck (0: it is never held to be stuck).
    """

    id: str
    name: str
    kind: Kind
    zone: str
    device: str
    signal: str
    place: str
    limits: Limits = field(default_factory=Limits)
    citation: str = ""
    fault_after_ms: int = 10_000
    at: tuple[int, int] | None = None
    scan_ms: int = 0
    compare_with: str = ""
    stale_ms: int = 0
    catalytic: bool = False
    rise_over_ms: int = 0
    withdraws_mine: bool = False
    companions: tuple[str, ...] = ()
    stuck_after_ms: int = 0
