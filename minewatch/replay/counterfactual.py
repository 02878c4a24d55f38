"""What a recorded image looks like to another configuration: proofs, read-backs, names, counts.

Gas, people and what persons did stay as they were recorded. What follows from our own decisions
cannot: a switch that another configuration opens earlier is taken to obey at once, so its proving
input and its coil follow the other's wanted table until the recorded ones agree with it again.
Acts name alarms, approvals, withdrawals, notices of work and questions by numbers that differ from
world to world; they are translated, and an act whose object the other world does not have stays
away. How much of the ledger is on disk, or with the broker, is so many entries of the other's.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from minewatch.core.alarms import alarm
from minewatch.core.desk import planned_work
from minewatch.core.state import Durable
from minewatch.model.image import Command, Image, Notice, ReadBack, Reading, Sample
from minewatch.model.mine import Mine
from minewatch.model.quality import Quality

Wanted = Mapping[str, bool] | None


@dataclass(frozen=True, slots=True)
class Worlds:
    """Both worlds before the image that is translated: what they know and what they want."""

    recorded: Durable
    other: Durable
    recorded_wanted: Wanted
    other_wanted: Wanted


class _Reach:
    """How much of the other's ledger has got somewhere: as many cycles as of the recorded one."""

    def __init__(self) -> None:
        self._sizes: deque[tuple[int, int]] = deque()
        self._begun = self._reached = 0

    def begin(self, index: int) -> None:
        """Begin a run: what was before it is the same in both."""
        self._sizes.clear()
        self._begun = self._reached = index

    def decided(self, sizes: tuple[int, int]) -> None:
        """Note after a cycle how long the recorded ledger is, and the other."""
        if not self._sizes or self._sizes[-1] != sizes:
            self._sizes.append(sizes)

    def of(self, recorded_index: int) -> int:
        """Return how many of the other's entries there are by then; it never falls."""
        while self._sizes and self._sizes[0][0] <= recorded_index:
            self._reached = self._sizes.popleft()[1]
        return recorded_index if recorded_index < self._begun else self._reached


class Translation:
    """Images of one run for another configuration; it remembers who still has to follow."""

    def __init__(self, other: Mine) -> None:
        self._proofs = {o.proof: o.id for o in other.outputs if o.proof is not None}
        self._apart: set[str] = set()
        self._on_disk, self._at_the_broker = _Reach(), _Reach()
        self.without_object = 0

    def begin(self, recorded: Durable, other: Durable) -> None:
        """Begin a run: what both know is on disk."""
        for reach in (self._on_disk, self._at_the_broker):
            reach.begin(other.index)
        self.decided(recorded, other)

    def decided(self, recorded: Durable, other: Durable) -> None:
        """Note after a cycle how long both ledgers are."""
        for reach in (self._on_disk, self._at_the_broker):
            reach.decided((recorded.index, other.index))

    def image(self, image: Image, worlds: Worlds) -> Image:
        """Return the image as the other configuration would have got it."""
        self._note_apart(worlds)
        return replace(
            image,
            durable_index=self._on_disk.of(image.durable_index),
            samples=tuple(self._sample(each, worlds) for each in image.samples),
            read_backs=tuple(self._read_back(each, worlds) for each in image.read_backs),
            commands=tuple(self._commands(image.commands, worlds)),
            notices=tuple(map(self._notice, image.notices)),
        )

    def _notice(self, notice: Notice) -> Notice:
        index = notice.data.get("index")
        if notice.kind != planned_work.ACKNOWLEDGED or type(index) is not int:
            return notice
        return notice._replace(data={**notice.data, "index": self._at_the_broker.of(index)})

    def _note_apart(self, worlds: Worlds) -> None:
        before, after = worlds.recorded_wanted or {}, worlds.other_wanted or {}
        if before != after:
            self._apart |= {each for each, wanted in after.items() if before.get(each) != wanted}

    def _sample(self, sample: Sample, worlds: Worlds) -> Sample:
        if not self._apart:
            return sample
        readings = tuple(self._reading(each, worlds) for each in sample.readings)
        return sample._replace(readings=readings)

    def _reading(self, reading: Reading, worlds: Worlds) -> Reading:
        output = self._proofs.get(reading.point)
        wanted = None if output is None else (worlds.other_wanted or {}).get(output)
        if output not in self._apart or wanted is None or reading.quality is not Quality.GOOD:
            return reading
        agree = (worlds.recorded_wanted or {}).get(output) == wanted
        if agree and reading.value == int(wanted):
            self._apart.discard(output)
        return reading._replace(value=int(wanted))

    def _read_back(self, read_back: ReadBack, worlds: Worlds) -> ReadBack:
        wanted = (worlds.other_wanted or {}).get(read_back.output)
        if read_back.output not in self._apart or wanted is None or read_back.energised is None:
            return read_back
        return read_back._replace(energised=wanted)

    def _commands(self, commands: tuple[Command, ...], worlds: Worlds) -> Iterator[Command]:
        for command in commands:
            arguments = _translated(command.arguments, worlds)
            if arguments is None:
                self.without_object += 1
            else:
                yield command._replace(arguments=arguments)


def _translated(arguments: dict[str, Any], worlds: Worlds) -> dict[str, Any] | None:
    """Return arguments with the other world's numbers; None where nothing of what they name is."""
    changed = dict(arguments)
    if isinstance(arguments.get("alarms"), list):
        named = [_alarm(each, worlds) for each in arguments["alarms"]]
        changed["alarms"] = [each for each in named if each is not None]
        if not changed["alarms"]:
            return None
    for name, find in _FINDS.items():
        if isinstance(arguments.get(name), str):
            found = find(arguments[name], worlds)
            if found is None:
                return None
            changed[name] = found
    return changed


def _alarm(alarm_id: Any, worlds: Worlds) -> str | None:
    known = worlds.recorded.alarms.items.get(alarm_id) if isinstance(alarm_id, str) else None
    if known is None:
        return None
    there = alarm.find(worlds.other, known.kind, known.source)
    return None if there is None else there.id


def _approval(approval_id: str, worlds: Worlds) -> str | None:
    known = worlds.recorded.approvals.open.get(approval_id)
    if known is None:
        return None
    asked = worlds.other.approvals.open.values()
    return next((each.id for each in asked if each.command == known.command), None)


def _withdrawal(withdrawal_id: str, worlds: Worlds) -> str | None:
    """Return the other's standing withdrawal, or the one that ended when this one did."""
    known, there = worlds.recorded.withdrawal, worlds.other.withdrawal
    if known.standing is not None and known.standing.id == withdrawal_id:
        return None if there.standing is None else there.standing.id
    over = known.past.over.get(withdrawal_id)
    if over is None:
        return None
    ended_ms = over.raised_wall_ms + over.duration_ms
    same = (e.id for e in there.past.over.values() if e.raised_wall_ms + e.duration_ms == ended_ms)
    return next(same, None)


def _work(notice_id: str, worlds: Worlds) -> str | None:
    known = worlds.recorded.works.open.get(notice_id)
    if known is None:
        return None

    def said(work: planned_work.Work) -> tuple[object, ...]:
        return work.kind, work.applicant, work.by, work.zones, work.points, work.begins, work.until

    same = (e.id for e in worlds.other.works.open.values() if said(e) == said(known))
    return next(same, None)


def _question(check_id: str, worlds: Worlds) -> str | None:
    known = worlds.recorded.duty.checks.get(check_id)
    if known is None:
        return None
    open_ = worlds.other.duty.checks.values()
    return next((e.id for e in open_ if (e.origin, e.nonce) == (known.origin, known.nonce)), None)


_FINDS: dict[str, Callable[[str, Worlds], str | None]] = {
    "approval": _approval,
    "withdrawal": _withdrawal,
    "notice": _work,
    "check": _question,
}
"""Arguments that name something by a number of the recorded world."""
