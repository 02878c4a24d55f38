"""Escalation by short message: the right people, their language, and nobody reached is said."""

from dataclasses import replace
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
from minewatch.model.mine import (
    Bus,
    Escalation,
    Interlock,
    Limits,
    LocalFan,
    Mine,
    Mode,
    Output,
    OutputRole,
    Point,
    Role,
    Staff,
    Zone,
    ZoneKind,
)

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


def escalate(*told: str, modem: Modem | None = None) -> tuple[Modem, list[Notice]]:
    """Let one step tell the alarm to `told`; return the modem and what was noticed."""
    modem = modem or Modem()
    noticed: list[Notice] = []
    messages = Messages(MINE, [modem], noticed.append)
    data = {"alarm": "A7", "source": "T1", "step": 2, "to": "mine_head", "told": list(told)}
    event = Event("escalated", 1, 0, NOW_MS, 0, False, data)
    durable = SimpleNamespace(alarms=SimpleNamespace(items={"A7": ALARM}))
    decided: Any = SimpleNamespace(events=(event,), state=SimpleNamespace(durable=durable))
    messages.heard(decided, SimpleNamespace(now_ms=NOW_MS))  # type: ignore[arg-type]
    return modem, noticed


@pytest.mark.parametrize(
    ("told", "numbers"),
    [
        (["horn"], []),
        (["sms:S3"], ["+8613800000003"]),
        (["screen:leader", "sms:S3", "sms:S4", "upload"], ["+8613800000003", "13800000004"]),
        (["sms:S8"], []),
    ],
)
def test_each_step_reaches_whom_the_core_has_named(told: list[str], numbers: list[str]) -> None:
    """Every named phone is dialled, and nobody else; other channels are not a modem's business."""
    modem, noticed = escalate(*told)
    assert [each.number for each in modem.told] == numbers
    assert noticed == []


def test_the_text_says_what_where_how_much_and_since_when_and_names_nobody() -> None:
    """A message holds mine, kind, place, value with unit and minutes, and no person's name."""
    modem, _ = escalate("sms:S3")
    assert modem.told[0].text == "东山矿:断电:T1 {甲烷}:1.52 %CH4:3"
    assert modem.told[0].to == "S3"


def test_nobody_to_reach_is_said() -> None:
    """A step that reaches nobody ends in one notice, not in silence."""
    _, noticed = escalate()
    assert [(n.data["message"], n.data["to"], n.data["error"]) for n in noticed] == [
        ("A7-2", "mine_head", "nobody")
    ]


def test_a_full_modem_is_said() -> None:
    """A message that finds no room is told as failed at once."""
    _, noticed = escalate("sms:S3", "sms:S4", modem=Modem(room=1))
    assert [(n.data["to"], n.data["error"]) for n in noticed] == [("S4", "queue")]


NAMED = replace(
    MINE,
    zones=(
        Zone("face", "1号工作面", ZoneKind.FACE),
        Zone("heading", "2号掘进面", ZoneKind.HEADING),
    ),
    outputs=(Output("cut", "1号开关", OutputRole.POWER_CUT, "face", "d", "c", None),),
    interlocks=(Interlock("vote", "1号甲烷电闭锁", (), ("cut",)),),
    local_fans=(LocalFan("fans", "heading", "F1"),),
)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("T1", "T1 {甲烷}"),
        ("cut", "1号开关"),
        ("vote", "1号甲烷电闭锁"),
        ("fans", "2号掘进面"),
        ("face", "1号工作面"),
        ("line:gas", "line:gas"),
    ],
)
def test_a_message_names_what_it_is_about(source: str, said: str) -> None:
    """People read the name of a point, output, interlock, heading or zone; else its id."""
    modem = Modem()
    about = replace(ALARM, source=source)
    told = {"alarm": "A7", "step": 2, "to": "duty_leader", "told": ["sms:S3"]}
    event = Event("escalated", 1, 1, NOW_MS, 0, True, told, "")
    durable = SimpleNamespace(alarms=SimpleNamespace(items={"A7": about}))
    decided: Any = SimpleNamespace(events=(event,), state=SimpleNamespace(durable=durable))
    image: Any = SimpleNamespace(now_ms=NOW_MS)
    Messages(NAMED, (modem,), lambda notice: None).heard(decided, image)
    (message,) = modem.told
    assert message.text.split(":断电:")[1].startswith(said)
