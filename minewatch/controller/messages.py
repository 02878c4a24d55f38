"""Escalation by short message: who is told what, through whichever modem the mine has.

Practice 14. A listener of the cycle: nothing here decides. The core has named whom each step tells
from the duty roster and the lines that live; this carries it to their phones.
The words come with the configuration; a message names no person.
"""

from collections.abc import Callable, Iterable

from minewatch_drivers.lines import AnyLine
from minewatch_drivers.vendor.gsm_line import GsmLine, Message

from minewatch.core.alarms.alarm import Alarm
from minewatch.core.step import Step
from minewatch.model.event import Event
from minewatch.model.image import Image, Notice
from minewatch.model.kind import UNITS
from minewatch.model.mine import Mine, Point

BY_MESSAGE = "sms:"
"""How the core names whom a step reaches by short message (`alarms/on_call.py`)."""


class Messages:
    """Tells escalations to the phones that the core has named; `heard` is a cycle's listener."""

    def __init__(
        self, mine: Mine, lines: Iterable[AnyLine], notice: Callable[[Notice], None]
    ) -> None:
        self._mine = mine
        self._modems = [line for line in lines if isinstance(line, GsmLine)]
        self._notice = notice
        self._words = dict(mine.escalation.kind_words)
        self._points = {point.id: point for point in mine.points}
        self._names = {
            **{zone.id: zone.name for zone in mine.zones},
            **{interlock.id: interlock.name for interlock in mine.interlocks},
            **{fan.id: mine.zone(fan.zone).name for fan in mine.local_fans},
            **{output.id: output.name for output in mine.outputs},
            **{point.id: point.name for point in mine.points},
        }

    def heard(self, decided: Step, image: Image) -> None:
        """Send what this step escalated; without a modem there is nothing to send by."""
        if not self._modems:
            return
        for event in decided.events:
            if event.kind == "escalated":
                alarm = decided.state.durable.alarms.items.get(event.data["alarm"])
                if alarm is not None:
                    self._tell(alarm, event, image.now_ms)

    def _tell(self, alarm: Alarm, event: Event, now_ms: int) -> None:
        """Send to the phones that the core has named; a step that reaches nobody at all is said."""
        step, told = event.data["step"], event.data["told"]
        text = self._text(alarm, now_ms)
        codes = {each.removeprefix(BY_MESSAGE) for each in told if each.startswith(BY_MESSAGE)}
        for person in self._mine.staff:
            if person.code in codes:
                name = f"{alarm.id}-{step}-{person.code}"
                self._send(Message(name, person.code, person.phone, text), now_ms * 1000)
        if not told:
            self._failed(f"{alarm.id}-{step}", event.data["to"], "nobody")

    def _send(self, message: Message, now_us: int) -> None:
        """Take the modem that is in its network, else the first: its message waits there."""
        modem = min(self._modems, key=lambda each: not each.status().up)
        if not modem.tell(message, now_us):
            self._failed(message.id, message.to, "queue")

    def _failed(self, message: str, to: str, error: str) -> None:
        said = {"message": message, "to": to, "tries": 0, "error": error}
        self._notice(Notice("message_failed", "", said))

    def _text(self, alarm: Alarm, now_ms: int) -> str:
        point = self._points.get(alarm.source)
        return self._mine.escalation.message.format(
            mine=self._mine.name,
            kind=self._words.get(alarm.kind.value, alarm.kind.value),
            source=self._names.get(alarm.source) or alarm.source,
            value=_printed(point, alarm.value),
            minutes=max(1, (now_ms - alarm.raised_ms) // 60_000),
        )


def _printed(point: Point | None, value: int | None) -> str:
    """Return a value as people read it, with its unit; nothing where there is none."""
    if point is None or value is None:
        return ""
    unit = UNITS[point.kind]
    whole = f"{value / 10**unit.decimals:.{unit.decimals}f}"
    return f"{whole} {unit.text}"
