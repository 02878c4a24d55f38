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


class Rung(StrEnum):
    """A rung of the ladder that an unanswered alarm climbs: 班组, 区队, 矿, 公司."""

    POST = "post"
    DISTRICT = "district"
    MINE = "mine"
    COMPANY = "company"


WEEK_MINUTES = 7 * 24 * 60


@dataclass(frozen=True, slots=True)
class Duty:
    """A row of the duty roster (值班表): who stands on a rung, and when.

    `start_minute` counts from local midnight, `weekdays` are 1 (Monday) to 7 and name the day that
    the duty starts on; it may run into the next day. `screen` is the console terminal in the
    office of who is on duty; its live page reaches them like a short message.
    """

    rung: Rung
    staff: tuple[str, ...]
    start_minute: int = 0
    minutes: int = 24 * 60
    weekdays: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)
    screen: str = ""

    def is_on(self, week_minute: int) -> bool:
        """Say whether the duty runs in this minute of the week, 0 = Monday 00:00 local time."""
        return any(
            (week_minute - (day - 1) * 24 * 60 - self.start_minute) % WEEK_MINUTES < self.minutes
            for day in self.weekdays
        )


@dataclass(frozen=True, slots=True)
class Watch:
    """How the dispatcher's presence is checked (在岗确认, practice 15).

    Within the night, local minutes `from_minute`..`until_minute`, presence is asked for every
    `every_minutes` (0: never) and must be confirmed within `answer_minutes`.
    """

    from_minute: int = 22 * 60
    until_minute: int = 6 * 60
    every_minutes: int = 0
    answer_minutes: int = 5

    def is_night(self, day_minute: int) -> bool:
        """Say whether this minute of the local day is one of the night."""
        length = (self.until_minute - self.from_minute) % (24 * 60)
        return (day_minute - self.from_minute) % (24 * 60) < length


@dataclass(frozen=True, slots=True)
class Escalation:
    """Seconds from an unanswered alarm to each next step (practice 13).

    `company_s` counts where the roster has somebody of the company. `shelve_max_minutes` bounds how
    long an alarm may be shelved, `shelves_max` how many at once.

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
    company_s: int = 240
    shelve_max_minutes: int = 480
    shelves_max: int = 32


@dataclass(frozen=True, slots=True)
class Handover:
    """The shift change in which the mine total may exceed its limit (practice 20)."""

    starts: tuple[str, ...] = ()
    minutes: int = 60
    people_max: int = 1000
