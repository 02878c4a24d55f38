"""The shape of a configuration: one pydantic model per table, strict, unknown keys refused.

From these models come the validation, the JSON Schema, the reference configuration and the CSV
columns. What a key means stands in the catalogue (`config_key.<table>.<key>`). Meaning that spans
tables is checked elsewhere; only shape, type and range live here. pydantic stays in this room.
"""

import math
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from minewatch.model.kind import Kind
from minewatch.model.mine import Condition, Mode, OutputRole, Role, Rung, Scheme, ZoneKind


def _decimal(value: Any) -> Decimal:
    """Take a number as printed; floats by their shortest decimal, never by their binary value."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        text = repr(value) if isinstance(value, float) else str(value)[:40]
        if not (isinstance(value, float) and not math.isfinite(value)):
            try:
                number = Decimal(text)
            except InvalidOperation:
                number = Decimal("NaN")
            if number.is_finite() and abs(number) < 1_000_000:
                return number
    raise PydanticCustomError("decimal_type", "not a decimal number")


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Name = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")]
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{0,256}$")]
Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Listen = Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$")]
Printed = Annotated[Decimal, BeforeValidator(_decimal)]
Coordinate = Annotated[int, Field(ge=0, le=100_000)]
Spot = Annotated[list[Coordinate], Field(min_length=2, max_length=2)]
People = Annotated[int, Field(ge=0, le=100_000)]
Seconds = Annotated[int, Field(ge=1, le=86_400)]
Weekday = Annotated[int, Field(ge=1, le=7)]

KindWord = Annotated[Kind, Field(strict=False)]
ZoneWord = Annotated[ZoneKind, Field(strict=False)]
RoleWord = Annotated[Role, Field(strict=False)]
RungWord = Annotated[Rung, Field(strict=False)]
OutputWord = Annotated[OutputRole, Field(strict=False)]
ConditionWord = Annotated[Condition, Field(strict=False)]
ModeWord = Annotated[Mode, Field(strict=False)]
SchemeWord = Annotated[Scheme, Field(strict=False)]


class Table(BaseModel):
    """A table of the configuration."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class MineTable(Table):
    """The mine itself."""

    code: Annotated[str, Field(pattern=r"^[0-9]{12}$")]
    name: Name
    county: Annotated[str, Field(pattern=r"^[0-9]{6}$")]
    language: Literal["zh-CN", "en"] = "zh-CN"
    gas_class: Literal["low", "high", "outburst"]
    capacity_10kt: Annotated[int, Field(ge=1, le=10_000)]
    hazard_class: Literal["severe", "other"]
    headcount_limit: People | None = None
    mode: ModeWord = Mode.MONITOR
    certified_system: Line = ""
    signed_off_by: Line = ""
    flood_threat: bool = True
    unaccounted_margin_s: Seconds = 600


class HandoverTable(Table):
    """The shift change."""

    starts: Annotated[list[Clock], Field(max_length=12)] = []
    minutes: Annotated[int, Field(ge=0, le=1440)] = 60
    people_max: People = 1000


class EscalationTable(Table):
    """Who hears of an unanswered alarm, and when."""

    horn_s: Seconds = 30
    duty_leader_s: Seconds = 60
    mine_head_s: Seconds = 180
    county_s: Seconds = 300
    repeat_s: Seconds = 300
    silence_s: Seconds = 120
    company_s: Seconds = 240
    shelve_max_minutes: Annotated[int, Field(ge=1, le=1440)] = 480
    shelves_max: Annotated[int, Field(ge=0, le=256)] = 32


class ConsoleTable(Table):
    """The dispatch page."""

    listen: Listen = "127.0.0.1:8080"
    terminals: Annotated[list[Id], Field(max_length=64)] = []


class ZoneTable(Table):
    """A node of the mine's tree."""

    id: Id
    name: Name
    kind: ZoneWord
    parent: Id | None = None
    downwind_of: Annotated[list[Id], Field(max_length=64)] = []
    headcount_limit: People | None = None
    shift: Literal["production", "maintenance"] = "production"
    mechanised: bool | None = None
    restricted: bool = False
    walk_out_s: Annotated[int, Field(ge=1, le=14_400)] = 1800
    declared: Literal["production", "maintenance", "stopped", "upgrade", "closed"] = "production"
    path: Annotated[list[Spot], Field(max_length=256)] = []


class BusTable(Table):
    """A line."""

    id: Id
    url: Line
    scan_ms: Annotated[int, Field(ge=50, le=60_000)] = 1000
    timeout_ms: Annotated[int, Field(ge=10, le=10_000)] = 500
    pause_ms: Annotated[int, Field(ge=0, le=5_000)] = 0


class DeviceTable(Table):
    """A device on a line."""

    id: Id
    bus: Id
    unit: Annotated[int, Field(ge=1, le=255)]
    model: Id


class PointTable(Table):
    """A measured or reported quantity."""

    id: Id
    name: Name
    kind: KindWord
    zone: Id
    device: Id
    signal: Id
    place: Id
    at: Spot | None = None
    pre_alarm: Printed | None = None
    alarm: Printed | None = None
    trip: Printed | None = None
    restore: Printed | None = None
    withdraw: Printed | None = None
    clear: Printed | None = None
    low_alarm: Printed | None = None
    low_clear: Printed | None = None
    rise_alarm: Printed | None = None
    rise_withdraw: Printed | None = None
    fault_after_s: Seconds = 10
    fault_after_signed_by: Id | None = None
    scan_ms: Annotated[int, Field(ge=50, le=60_000)] | None = None
    compare_with: Id | None = None
    companions: Annotated[list[Id], Field(max_length=8)] = []


class LoadTable(Table):
    """A consumer that an output takes away."""

    kind: Id
    name: Name


class OutputTable(Table):
    """A relay channel."""

    id: Id
    name: Name
    role: OutputWord
    zone: Id
    device: Id
    signal: Id
    proof: Id | None = None
    proof_within_ms: Annotated[int, Field(ge=100, le=60_000)] = 2000
    cuts: Annotated[list[LoadTable], Field(max_length=64)] = []
    upstream: Id | None = None
    covers: Annotated[list[Id], Field(max_length=256)] = []


class CauseTable(Table):
    """A point and the condition under which it demands an interlock."""

    point: Id
    condition: ConditionWord


class InterlockTable(Table):
    """Cause and effect."""

    id: Id
    name: Name
    scheme: SchemeWord = Scheme.MATRIX
    zones: Annotated[list[Id], Field(max_length=64)] = []
    causes: Annotated[list[CauseTable], Field(max_length=256)] = []
    outputs: Annotated[list[Id], Field(min_length=1, max_length=64)]
    votes_needed: Annotated[int, Field(ge=1, le=2)] | None = None
    votes_spread: Printed | None = None
    permissives: Annotated[list[Id], Field(max_length=64)] = []


class LocalFanTable(Table):
    """The local fans of a heading."""

    id: Id
    zone: Id
    main: Id
    standby: Id | None = None
    duct: Annotated[list[Id], Field(max_length=8)] = []
    near: Annotated[list[Id], Field(max_length=8)] = []
    start: Id | None = None
    changeover_s: Annotated[int, Field(ge=0, le=60)] = 10


class ReaderTable(Table):
    """A personnel reader."""

    id: Id
    name: Name
    zone: Id
    device: Id
    outer: Id | None = None
    mouth: bool = False
    directed: bool = False
    at: Spot | None = None


class StaffTable(Table):
    """Somebody who may act in the house."""

    code: Id
    name: Name
    role: RoleWord
    phone: Annotated[str, Field(pattern=r"^(\+?[0-9]{3,15})?$")] = ""


class DutyTable(Table):
    """A row of the duty roster."""

    rung: RungWord
    staff: Annotated[list[Id], Field(min_length=1, max_length=32)]
    start: Clock = "00:00"
    minutes: Annotated[int, Field(ge=1, le=1440)] = 1440
    weekdays: Annotated[list[Weekday], Field(min_length=1, max_length=7)] = [1, 2, 3, 4, 5, 6, 7]
    screen: Id | None = None


class WatchTable(Table):
    """How the dispatcher's presence is checked at night."""

    night: Annotated[list[Clock], Field(min_length=2, max_length=2)] = ["22:00", "06:00"]
    every_minutes: Annotated[int, Field(ge=0, le=1440)] = 60
    answer_minutes: Annotated[int, Field(ge=1, le=60)] = 5


class PersonTable(Table):
    """Somebody who may go underground."""

    code: Id
    name: Name
    badge: Id
    trade: Line = ""
    team: Line = ""
    leader: bool = False
    visitor: bool = False


class MqttTable(Table):
    """A broker of the county."""

    id: Id
    url: Line
    username: Line = ""
    password_file: Line = ""
    ca_file: Line = ""
    certificate_file: Line = ""
    key_file: Line = ""


SINGLE: dict[str, type[Table]] = {
    "mine": MineTable,
    "handover": HandoverTable,
    "escalation": EscalationTable,
    "console": ConsoleTable,
    "watch": WatchTable,
}
"""Tables that stand once: `[name]`."""

MANY: dict[str, type[Table]] = {
    "zone": ZoneTable,
    "bus": BusTable,
    "device": DeviceTable,
    "point": PointTable,
    "output": OutputTable,
    "interlock": InterlockTable,
    "local_fan": LocalFanTable,
    "reader": ReaderTable,
    "person": PersonTable,
    "staff": StaffTable,
    "duty": DutyTable,
    "mqtt": MqttTable,
}
"""Tables that stand many times: `[[name]]`, each with how many there may be in `ROWS_MAX`."""

ROWS_MAX: dict[str, int] = {
    "zone": 1000,
    "bus": 512,
    "device": 2000,
    "point": 25_000,
    "output": 500,
    "interlock": 500,
    "local_fan": 200,
    "reader": 500,
    "person": 20_000,
    "staff": 500,
    "duty": 200,
    "mqtt": 8,
}

INNER: dict[tuple[str, str], type[Table]] = {
    ("output", "cuts"): LoadTable,
    ("interlock", "causes"): CauseTable,
}
"""Tables inside tables, by the table and the key that holds them."""


class FileTable(Table):
    """One configuration file, as editors see it through the JSON Schema."""

    include: list[str] = []
    points: str | list[str] = []
    people: str | list[str] = []
    mine: MineTable | None = None
    handover: HandoverTable | None = None
    escalation: EscalationTable | None = None
    console: ConsoleTable | None = None
    watch: WatchTable | None = None
    zone: list[ZoneTable] = []
    bus: list[BusTable] = []
    device: list[DeviceTable] = []
    point: list[PointTable] = []
    output: list[OutputTable] = []
    interlock: list[InterlockTable] = []
    local_fan: list[LocalFanTable] = []
    reader: list[ReaderTable] = []
    person: list[PersonTable] = []
    staff: list[StaffTable] = []
    duty: list[DutyTable] = []
    mqtt: list[MqttTable] = []


CSV_TABLES: dict[str, type[Table]] = {"point": PointTable, "person": PersonTable}
"""Tables that may also come as rows of a CSV file."""

TOP_KEYS = ("include", "points", "people")
"""Keys at the top of a file that name other files."""


def is_delay(key: str) -> bool:
    """Say whether a key would delay an alarm or a trip; none exists, and why is told."""
    return "delay" in key.lower()


def is_secret(key: str) -> bool:
    """Say whether a key would hold a secret in the open."""
    return key.lower() in {"password", "passwd", "secret", "token", "pin", "private_key"}
