"""People of a dispatch room for campaigns on virtual time: they answer, write, and do what is due.

They see the frame's sections and the plant's notes and give commands, as a good shift would: an
alarm is acknowledged within half a minute, closed out within ten, work is announced before it
starts, a cut is released by two names once the gas checker has measured. They know no truth.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from minewatch.model.image import Command
from minewatch.model.mine import Mine, Role

Sections = Mapping[str, Any]
ANSWER_MS = (5_000, 30_000)
CLOSE_OUT_MS = 600_000
RELEASE_EVERY_MS = 90_000
CALM = 10
"""What the checker measures at a place, in 0.01 %CH4, when the air is good again."""


@dataclass
class DispatchRoom:
    """Answers what the frames ask. Give `due` what the plant announced since the last call."""

    mine: Mine
    rng: random.Random
    answers_ms: dict[str, int] = field(default_factory=dict)
    given: int = 0
    _waiting: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    _released_ms: int = 0

    def act(self, now_ms: int, frame: Sections, due: Iterable[Mapping[str, Any]]) -> list[Command]:
        """Return what is done now; `due` are (what, point) of the plant's announcements."""
        return [
            *self._answer(now_ms, frame["alarms"]),
            *self._close_out(now_ms, frame["alarms"]),
            *self._announced(due),
            *self._works(frame),
            *self._confirm(frame),
            *self._release(now_ms, frame),
            *self._second(frame),
        ]

    def by(self, role: Role, kind: str, text: str = "", **arguments: Any) -> Command:
        """Return a command of the first person of a role, from the dispatch terminal."""
        self.given += 1
        code = next(each.code for each in self.mine.staff if each.role is role)
        return Command(f"d{self.given}", kind, code, "page:dispatch-1", arguments, text)

    def _answer(self, now_ms: int, alarms: Sections) -> list[Command]:
        """Acknowledge each alarm a little after it came, all that are due with one key."""
        waiting = {k for k, a in alarms.items() if a["state"] in ("unacknowledged", "returned")}
        for alarm in sorted(waiting - self.answers_ms.keys()):
            self.answers_ms[alarm] = now_ms + self.rng.randint(*ANSWER_MS)
        self.answers_ms = {k: at for k, at in self.answers_ms.items() if k in waiting}
        due = sorted(k for k, at_ms in self.answers_ms.items() if at_ms <= now_ms)
        return [self.by(Role.DISPATCHER, "acknowledge", alarms=due[:50])] if due else []

    def _close_out(self, now_ms: int, alarms: Sections) -> list[Command]:
        old = sorted(
            key
            for key, each in alarms.items()
            if each["priority"] <= 2 and not each["closed"]
            if each["acknowledged_by"] and now_ms - each["raised_ms"] > CLOSE_OUT_MS
        )
        return (
            [self.by(Role.DISPATCHER, "close_out", "已处理", alarms=old[:50], cause="other")]
            if old
            else []
        )

    def _announced(self, due: Iterable[Mapping[str, Any]]) -> list[Command]:
        """Give notice of work that the plant says is due, or end it."""
        commands = []
        for each in due:
            what, point = each.get("what", ""), each.get("point", "")
            if what in ("calibration_due", "blasting_due"):
                work = what.removesuffix("_due")
                self._waiting[point] = (work, "", 0)
                commands.append(
                    self.by(
                        Role.FIELD_ENGINEER,
                        "notice",
                        work=work,
                        applicant=self._code(Role.FIELD_ENGINEER),
                        minutes=30,
                        points=[point],
                        zones=[self.mine.point(point).zone],
                    )
                )
            elif what == "calibration_done":
                commands.append(self.by(Role.FIELD_ENGINEER, "end_calibration", point=point))
        return commands

    def _works(self, frame: Sections) -> list[Command]:
        """Start announced work once the county has it, then calibrate; end it when it is done."""
        commands = []
        calibrated = frame["calibrations"]
        for notice, work in sorted(frame.get("notices", {}).items()):
            point = work["points"][0] if work["points"] else ""
            if not work["started_by"] and (work["acknowledged"] or work["called"]):
                commands.append(self.by(Role.FIELD_ENGINEER, "start_work", notice=notice))
            elif work["started_by"] and work["work"] == "calibration":
                known = self._waiting.get(point)
                if known and not known[1]:
                    self._waiting[point] = (known[0], notice, 0)
                    commands.append(self.by(Role.FIELD_ENGINEER, "calibrate", point=point))
                elif known and point in calibrated:
                    self._waiting[point] = (known[0], notice, 1)
                elif known and known[2]:
                    del self._waiting[point]
                    commands.append(self.by(Role.FIELD_ENGINEER, "end_work", notice=notice))
        return commands

    def _confirm(self, frame: Sections) -> list[Command]:
        """Say that somebody is awake where the house asks."""
        duty = frame.get("duty", {})
        return [self.by(Role.DISPATCHER, "on_duty")] if duty.get("asked_ms") else []

    def _release(self, now_ms: int, frame: Sections) -> list[Command]:
        """Try to give the power back: the checker measures each place, the dispatcher asks."""
        causes = frame["causes"]
        if not causes or now_ms - self._released_ms < RELEASE_EVERY_MS:
            return []
        self._released_ms = now_ms
        places = {point for each in causes.values() for point in each["points"]}
        outputs = sorted({output for each in causes.values() for output in each["outputs"]})
        heads = sorted({*places, *self._guards(outputs)})
        checker = self._code(Role.GAS_CHECKER)
        measured = [
            self.by(Role.DISPATCHER, "hand_value", point=each, value=CALM, checker=checker)
            for each in heads
            if self.mine.point(each).kind == "methane"
        ]
        return [*measured, self.by(Role.DISPATCHER, "release", outputs=outputs)]

    def _guards(self, outputs: list[str]) -> set[str]:
        zones = {self.mine.output(each).zone for each in outputs}
        return {p.id for p in self.mine.points if p.zone in zones and p.kind == "methane"}

    def _second(self, frame: Sections) -> list[Command]:
        """Give the second name to every open approval."""
        return [
            self.by(Role.DUTY_LEADER, "approve", approval=each)
            for each in sorted(frame["approvals"])
        ]

    def _code(self, role: Role) -> str:
        return next(each.code for each in self.mine.staff if each.role is role)
