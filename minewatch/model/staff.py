"""People: who goes underground, who may act in the house, who is told and when."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a named person may do; which acts need which roles is decided in the core."""

    VIEWER = "viewer"
    DISPATCHER = "dispatcher"
    MONITORING_OPERATOR = "monitoring_operator"
    DUTY_LEADER = "duty_leader"
    CHIEF_ENGINEER = "chief_engineer"
    MINE_HEAD = "mine_head"
    FIELD_ENGINEER = "field_engineer"
    GAS_CHECKER = "gas_checker"
    LAMP_ROOM_CLERK = "lamp_room_clerk"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may go underground; `code` is what leaves the mine, never the name."""

    code: str
    name: str
    badge: str
    trade: str = ""
    team: str = ""
    leader: bool = False
    visitor: bool = False


@dataclass(frozen=True, slots=True)
class Staff:
    """Somebody who may act in the house; a modem dials `phone` where there is one."""

    code: str
    name: str
    role: Role
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Escalation:
    """Seconds from an unanswered alarm to each next step (practice 13).

    `message` is the text of a short message in the mine's language, with the fields mine, kind,
    source, value and minutes; `kind_words` are the words for the kinds of alarms in it.
    """

    horn_s: int = 30
    duty_leader_s: int = 60
    mine_head_s: int = 180
    county_s: int = 300
    repeat_s: int = 300
    silence_s: int = 120
    message: str = ""
    kind_words: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Handover:
    """The shift change in which the mine total may exceed its limit (practice 20)."""

    starts: tuple[str, ...] = ()
    minutes: int = 60
    people_max: int = 1000
