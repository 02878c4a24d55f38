"""Escalation by short message: the right people, their language, and nobody reached is said."""

from types import SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.vendor.gsm_line import MESSAGES_MAX, GsmLine, Message

from minewatch.controller.messages import Messages
from minewatch.core.alarms.alarm import Alarm
from minewatch.model.alarm import AlarmKind, AlarmState
from minewatch.model.event import Event
from minewatch.model.image import Notice
from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Escalation, Limits, Mine, Mode, Point, Role, Staff

NOW_MS = 500_000
MINE = Mine(
    code="0" * 12,
    name="东山矿",
    county="0" * 6,
    language="zh-CN",
    gas_class="low",
    capacity_10kt=1,
    severe=False,
    mode=Mode.MONITOR,
    headcount_limit=1,
    headcount_citation="",
    profile="test",
    zones=(),
    buses=(),
    devices=(),
    points=(Point("T1", "T1 {甲烷}", Kind.METHANE, "face", "d", "s", "face", Limits(trip=150)),),
    staff=(
        Staff("S3", "丙", Role.DUTY_LEADER, "+8613800000003"),
        Staff("S4", "丁", Role.CHIEF_ENGINEER, "13800000004"),
        Staff("S5", "戊", Role.MINE_HEAD),
        Staff("S9", "壬", Role.VIEWER, "13800000009"),
    ),
    escalation=Escalation(
        message="{mine}:{kind}:{source}:{value}:{minutes}", kind_words=(("trip", "断电"),)
    ),
)
ALARM = Alarm(
    "A7", AlarmKind.TRIP, 1, "T1", "face", 152, 150, 152,
    NOW_MS - 200_000, 0, AlarmState.UNACKNOWLEDGED, first_out=True,
)  # fmt: skip


class Modem(GsmLine):
    """A modem that keeps what it is told; `room` is how much more it takes."""

    def __init__(self, room: int = MESSAGES_MAX) -> None:
        super().__init__(MINE, Bus("sms", "serial:///dev/none"))
        self.told: list[Message] = []
        self.room = room

    def tell(self, message: Message, now_us: int) -> bool:
        """Keep the message while there is room."""
        assert now_us == NOW_MS * 1000
        if len(self.told) < self.room:
            self.told.append(message)
            return True
        return False


def escalate(to: str, mine: Mine = MINE, modem: Modem | None = None) -> tuple[Modem, list[Notice]]:
    """Let one step escalate the alarm to `to`; return the modem and what was noticed."""
    modem = modem or Modem()
    noticed: list[Notice] = []
    messages = Messages(mine, [modem], noticed.append)
    event = Event(
        "escalated", 1, 0, NOW_MS, 0, False, {"alarm": "A7", "source": "T1", "step": 2, "to": to}
    )
    durable = SimpleNamespace(alarms=SimpleNamespace(items={"A7": ALARM}))
    decided: Any = SimpleNamespace(events=(event,), state=SimpleNamespace(durable=durable))
    messages.heard(decided, SimpleNamespace(now_ms=NOW_MS))  # type: ignore[arg-type]
    return modem, noticed


@pytest.mark.parametrize(
    ("to", "numbers"),
    [
        ("horn", []),
        ("duty_leader", ["+8613800000003"]),
        ("mine_head", ["13800000004"]),
        ("unanswered", ["+8613800000003", "13800000004"]),
    ],
)
def test_each_step_reaches_those_whose_turn_it_is(to: str, numbers: list[str]) -> None:
    """A step dials everybody of its roles who has a phone, and nobody else."""
    modem, noticed = escalate(to)
    assert [each.number for each in modem.told] == numbers
    assert noticed == []


def test_the_text_says_what_where_how_much_and_since_when_and_names_nobody() -> None:
    """A message holds mine, kind, place, value with unit and minutes, and no person's name."""
    modem, _ = escalate("duty_leader")
    assert modem.told[0].text == "东山矿:断电:T1 {甲烷}:1.52 %CH4:3"
    assert modem.told[0].to == "S3"


def test_nobody_to_reach_is_said() -> None:
    """A step whose roles have no phone ends in one notice, not in silence."""
    mine = Mine(**{**_fields(MINE), "staff": (Staff("S5", "戊", Role.MINE_HEAD),)})
    _, noticed = escalate("mine_head", mine)
    assert [(n.kind, n.data["error"]) for n in noticed] == [("message_failed", "nobody")]


def test_a_full_modem_is_said() -> None:
    """A message that finds no room is told as failed at once."""
    _, noticed = escalate("unanswered", modem=Modem(room=1))
    assert [(n.data["to"], n.data["error"]) for n in noticed] == [("S4", "queue")]


def _fields(mine: Mine) -> dict[str, Any]:
    return {
        name: getattr(mine, name) for name, field in Mine.__dataclass_fields__.items() if field.init
    }
