"""The mine: one frozen description of zones, lines, points, outputs and people.

It is the same for every process of the house: `minewatch.mine` loads it from TOML, everybody
else reads its canonical JSON (`model.codec`). All limits are resolved here, each with the words
of the rule that it comes from; nothing later looks a limit up again.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from minewatch.model.acts import Acts
from minewatch.model.device_text import DeviceText
from minewatch.model.emergency import Emergencies
from minewatch.model.kind import Kind
from minewatch.model.point import Limits, Point
from minewatch.model.staff import (
    Duty,
    Escalation,
    Handover,
    Person,
    Role,
    Rung,
    Staff,
    Watch,
)
from minewatch.model.values import Values
from minewatch.model.wiring import (
    Cause,
    Condition,
    Interlock,
    Load,
    LocalFan,
    Output,
    OutputRole,
    Scheme,
)

__all__ = [
    "Bus",
    "Cause",
    "Comparison",
    "Condition",
    "Console",
    "Device",
    "Duty",
    "Escalation",
    "Handover",
    "Interlock",
    "Limits",
    "Load",
    "LocalFan",
    "Mine",
    "Mode",
    "Output",
    "OutputRole",
    "Person",
    "Point",
    "Reader",
    "Role",
    "Rung",
    "Scheme",
    "Staff",
    "Upload",
    "Watch",
    "Zone",
    "ZoneKind",
]


class Mode(StrEnum):
    """How far minewatch may act (practice 1)."""

    MONITOR = "monitor"
    ALARM = "alarm"
    CONTROL = "control"


class ZoneKind(StrEnum):
    """What a zone is; faces and headings have headcount limits of their own."""

    MINE = "mine"
    SURFACE = "surface"
    MOUTH = "mouth"
    INTAKE = "intake"
    FACE = "face"
    HEADING = "heading"
    RETURN = "return"
    ROOM = "room"


@dataclass(frozen=True, slots=True)
class Zone:
    """A node of the mine's tree. `path` is its roadway on the map, in map units."""

    id: str
    name: str
    kind: ZoneKind
    parent: str | None = None
    downwind_of: tuple[str, ...] = ()
    headcount_limit: int | None = None
    headcount_citation: str = ""
    restricted: bool = False
    walk_out_s: int = 1800
    declared: str = "production"
    path: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Bus:
    """One line with one owner. `url`: tcp://host:port, rtu+tcp://host:port, rtu:///dev/…?baud=…"""

    id: str
    url: str
    scan_ms: int = 1000
    timeout_ms: int = 500
    pause_ms: int = 0

    @property
    def certified(self) -> bool:
        """Whether it reads the certified system's files: beside our points, never instead."""
        return self.url.startswith("files:")


@dataclass(frozen=True, slots=True)
class Device:
    """A device on a bus; `model` names its device file."""

    id: str
    bus: str
    unit: int
    model: str


@dataclass(frozen=True, slots=True)
class Reader:
    """A personnel reader. Seen there, a badge is in `zone`; `outer` is the zone beyond it.

    A `mouth` reader stands between the surface and the mine. `directed` says that its records
    carry a direction; an undirected mouth reader never toggles anybody in or out (practice 21).
    """

    id: str
    name: str
    zone: str
    device: str
    outer: str | None = None
    mouth: bool = False
    directed: bool = False
    at: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """One broker of the county; secrets only by file."""

    id: str
    url: str
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours beside the certified system's (practice 33), both of `kind`.

    `ours` is a point, or for a headcount the zone that is counted; `theirs` is the certified point.
    A difference above `more_than` (smallest unit) that lasts `for_ms` is an event.
    """

    id: str
    ours: str
    theirs: str
    kind: Kind
    more_than: int
    for_ms: int
    citation: str = ""


@dataclass(frozen=True, slots=True)
class Console:
    """The dispatch page: where it listens, which terminals may raise a withdrawal unnamed."""

    listen: str = "127.0.0.1:8080"
    terminals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mine:
    """The whole configuration, checked and resolved. Look things up with `point()` and friends."""

    code: str
    name: str
    county: str
    language: str
    gas_class: str
    capacity_10kt: int
    severe: bool
    mode: Mode
    headcount_limit: int
    headcount_citation: str
    profile: str
    zones: tuple[Zone, ...]
    buses: tuple[Bus, ...]
    devices: tuple[Device, ...]
    points: tuple[Point, ...]
    outputs: tuple[Output, ...] = ()
    interlocks: tuple[Interlock, ...] = ()
    readers: tuple[Reader, ...] = ()
    people: tuple[Person, ...] = ()
    staff: tuple[Staff, ...] = ()
    uploads: tuple[Upload, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    device_files: tuple[DeviceText, ...] = ()
    certified_system: str = ""
    signed_off_by: str = ""
    flood_threat: bool = True
    unaccounted_margin_s: int = 600
    handover: Handover = field(default_factory=Handover)
    escalation: Escalation = field(default_factory=Escalation)
    console: Console = field(default_factory=Console)
    acts: Acts = field(default_factory=Acts)
    emergencies: Emergencies = field(default_factory=Emergencies)
    duties: tuple[Duty, ...] = ()
    watch: Watch = field(default_factory=Watch)
    modems: tuple[str, ...] = ()
    """Lines that carry short messages."""
    values: Values = field(default_factory=Values)
    local_fans: tuple[LocalFan, ...] = ()

    def __post_init__(self) -> None:
        """Index the tuples once; the order of each stays the order of the file."""
        for name in ("zones", "buses", "devices", "points", "outputs", "readers"):
            index = {each.id: each for each in getattr(self, name)}
            object.__setattr__(self, f"_{name}", index)
        by_device: dict[str, list[Point]] = {}
        for point in self.points:
            by_device.setdefault(point.device, []).append(point)
        object.__setattr__(self, "_by_device", by_device)
        object.__setattr__(self, "_people", {each.badge: each for each in self.people})
        object.__setattr__(self, "_staff", {each.code: each for each in self.staff})

    _by_device: dict[str, list[Point]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )
    _zones: dict[str, Zone] = field(init=False, repr=False, compare=False, default_factory=dict)
    _buses: dict[str, Bus] = field(init=False, repr=False, compare=False, default_factory=dict)
    _devices: dict[str, Device] = field(init=False, repr=False, compare=False, default_factory=dict)
    _points: dict[str, Point] = field(init=False, repr=False, compare=False, default_factory=dict)
    _outputs: dict[str, Output] = field(init=False, repr=False, compare=False, default_factory=dict)
    _readers: dict[str, Reader] = field(init=False, repr=False, compare=False, default_factory=dict)
    _people: dict[str, Person] = field(init=False, repr=False, compare=False, default_factory=dict)
    _staff: dict[str, Staff] = field(init=False, repr=False, compare=False, default_factory=dict)

    def zone(self, zone_id: str) -> Zone:
        """Return the zone; KeyError where there is none."""
        return self._zones[zone_id]

    def bus(self, bus_id: str) -> Bus:
        """Return the bus; KeyError where there is none."""
        return self._buses[bus_id]

    def device(self, device_id: str) -> Device:
        """Return the device; KeyError where there is none."""
        return self._devices[device_id]

    def point(self, point_id: str) -> Point:
        """Return the point; KeyError where there is none."""
        return self._points[point_id]

    def points_of(self, device_id: str) -> tuple[Point, ...]:
        """Return the points that `device_id` measures, in the order of the file."""
        return tuple(self._by_device.get(device_id, ()))

    def output(self, output_id: str) -> Output:
        """Return the output; KeyError where there is none."""
        return self._outputs[output_id]

    def reader(self, reader_id: str) -> Reader:
        """Return the reader; KeyError where there is none."""
        return self._readers[reader_id]

    def person(self, badge: str) -> Person | None:
        """Return who carries the badge, or None for a badge that nobody was given."""
        return self._people.get(badge)

    def staff_member(self, code: str) -> Staff | None:
        """Return the staff member with this code, or None."""
        return self._staff.get(code)
