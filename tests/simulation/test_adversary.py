"""The adversary: everything a board can build, in any order, with crashes, against the core.

Random images of the demo mine: readings of every quality shuffled, repeated, old and from the
future; records of unknown readers and badges; clocks that step and begin anew; commands of every
kind with arguments that fit and that do not, by anybody from anywhere; floods of notices; a disk
that stands; crashes that lose what was not yet on it. A failing seed stands in the test's name.
"""

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest

from minewatch.core.desk.commands import ACTS
from minewatch.core.fold import recover
from minewatch.core.snapshot import durable_from_json, durable_to_json
from minewatch.core.state import Durable, State
from minewatch.core.step import Step, step
from minewatch.core.view import view
from minewatch.model.canonical import canonical, encode
from minewatch.model.event import Event
from minewatch.model.image import Command, Image, Notice, ReadBack, Reading, Sample, Sighting
from minewatch.model.kind import UNITS
from minewatch.model.mine import Mine, OutputRole, Point, Role
from minewatch.model.quality import WIRE_QUALITIES, Quality

VALUES = (-5, 0, 1, 10, 79, 80, 99, 100, 149, 150, 300, 400, 65_535, 2**31)
JUNK = (None, True, -1, 10**30, "", "矿\0", [], ["x"], {"a": [1]}, "a" * 500, [None], [[]], "mine")
NOTICES = (
    *("ledger_fault", "ledger_restored", "bus_lost", "bus_restored", "device_lost", "lost", "x"),
    *("cycle_overrun", "console_seen", "console_lost", "upload_lost", "journal_sealed", "_lost"),
    *("configuration_refused", "county_directive", "duty_check", "upload_acknowledged"),
)
ORIGINS = ("page:d1",) * 8 + ("page:d2", "local:0", "button:b", "supervisor", "", "page:")


class Adversary:
    """One seeded campaign; every step passes through `_check`."""

    def __init__(self, mine: Mine, seed: int) -> None:
        self.mine = mine
        self.rng = random.Random(seed)
        self.state = State()
        self.events: list[Event] = []
        self.durable_index = self.cycle = self.given = 0
        self.now_ms = self.rng.choice([0, 1000, 10**6])
        self.wall_ms = self.rng.choice([0, 10**12])
        self.world: dict[str, tuple[int, Quality]] = {}
        self.numbers = {reader.id: self.rng.choice([0, 65_530]) for reader in mine.readers}
        self.trips = {p.id: p.limits.trip for p in mine.points if p.limits.trip is not None}
        self.wired = {c.point for each in mine.interlocks for c in each.causes}

    def run(self, steps: int) -> None:
        """Turn, and die now and then."""
        for n in range(steps):
            self._turn(self._image())
            if self.rng.random() < 0.01:
                self._release()
            if n % 20 == 0 or n == steps - 1:
                self._check_recovery()
            if self.rng.random() < 0.03:
                self._crash()

    def _turn(self, image: Image) -> None:
        before = self.state.durable
        decided = step(self.mine, self.state, image)
        self.events += decided.events
        self.state = decided.state
        self._check(before, image, decided)

    def _release(self) -> None:
        """Let people do it right for once: calm for a minute, hand values, two names."""
        self.world.clear()
        self._turn(self._calm(notices=(Notice("ledger_restored", "", {}),)))
        for _ in range(65):
            self._turn(self._calm())
        by = {each.role: each.code for each in self.mine.staff}
        heads = sorted(self.trips.keys() | self.wired)
        values = [("hand_value", Role.GAS_CHECKER, {"point": each, "value": 5}) for each in heads]
        held = sorted(self.state.durable.interlock.held)
        standing = self.state.durable.withdrawal.standing
        acts: list[tuple[str, Role, dict[str, Any]]] = [
            ("release", Role.DISPATCHER, {"outputs": held})
        ]
        if standing is not None:
            acts.append(("all_clear", Role.DUTY_LEADER, {"withdrawal": standing.id}))
        self._turn(self._calm([self._by(by[role], kind, a) for kind, role, a in [*values, *acts]]))
        seconds = [
            self._by(by[role], "approve", {"approval": each})
            for each in sorted(self.state.durable.approvals.open)
            for role in (Role.DUTY_LEADER, Role.CHIEF_ENGINEER)
        ]
        self._turn(self._calm(seconds))
        self._turn(self._image() if self.rng.random() < 0.5 else self._calm())

    def _by(self, by: str, kind: str, arguments: dict[str, Any]) -> Command:
        self.given += 1
        return Command(f"g{self.given}", kind, by, "page:d1", arguments, "理由")

    def _calm(self, commands: Sequence[Command] = (), notices: tuple[Notice, ...] = ()) -> Image:
        """Return an image in which a second has passed and all is well."""
        self.now_ms += 1000
        self.wall_ms += 1000
        self.cycle += 1
        self.durable_index = self.state.durable.index
        held = self.state.durable.interlock.held
        proofs = {
            o.proof: int(o.id not in held and o.upstream not in held) for o in self.mine.outputs
        }
        readings = tuple(
            Reading(p.id, proofs.get(p.id, _usual(p)), Quality.GOOD) for p in self.mine.points
        )
        return Image(
            self.cycle,
            self.now_ms,
            self.wall_ms,
            True,
            self.durable_index,
            (Sample("all", self.now_ms - 10, readings),),
            commands=tuple(commands),
            notices=notices,
        )

    def _crash(self) -> None:
        kept = self.rng.randint(self.durable_index, len(self.events))
        self.events = self.events[:kept]
        self.state = State(recover(self.events))
        self.durable_index, self.cycle = kept, 0
        self.now_ms = self.rng.choice([0, 500, self.now_ms, self.now_ms])

    def _image(self) -> Image:
        rng = self.rng
        waits = (0, 20, 100, 100, 500, 1000, 2500, 11_000, 61_000)
        self.now_ms += rng.choices(waits, (1, 1, 9, 9, 9, 9, 1, 1, 2))[0]
        self.wall_ms += rng.choice([100] * 30 + [-(10**9), 10**9, -3_600_000])
        if rng.random() < 0.8:
            self.durable_index = rng.randint(self.durable_index, self.state.durable.index)
        self.cycle += 1
        image = Image(
            self.cycle,
            self.now_ms,
            self.wall_ms,
            rng.random() < 0.9,
            self.durable_index,
            self._samples(),
            self._sightings(),
            self._read_backs(),
            tuple(self._command(n) for n in range(rng.choice([0, 0, 1, 2, 4]))),
            self._notices(),
        )
        return Image.from_row(json.loads(encode(image.to_row())))

    def _samples(self) -> tuple[Sample, ...]:
        rng = self.rng
        points = list(self.mine.points)
        samples = []
        for _ in range(rng.randint(0, 3)):
            some = points if rng.random() < 0.5 else rng.sample(points, rng.randint(1, 9))
            readings = [self._reading(each) for each in some] + [Reading("nobody", 5, Quality.GOOD)]
            rng.shuffle(readings)
            at_ms = self.now_ms - rng.choice([20] * 9 + [5000, 10**7, -(10**6)])
            samples.append(Sample(rng.choice(self.mine.devices).id, at_ms, tuple(readings)))
        answers = [Sample(each.device, self.now_ms - 10, ()) for each in self.mine.readers]
        samples += rng.sample(answers, rng.randint(0, len(answers))) + samples[:1]
        rng.shuffle(samples)
        return tuple(samples)

    def _reading(self, point: Point) -> Reading:
        rng = self.rng
        if rng.random() < 0.02:
            quality = rng.choice([Quality.GOOD, *sorted(WIRE_QUALITIES)])
            self.world[point.id] = (rng.choice(VALUES), quality)
        value, quality = self.world.get(point.id, (_usual(point), Quality.GOOD))
        return Reading(point.id, None if rng.random() < 0.01 else value, quality)

    def _sightings(self) -> tuple[Sighting, ...]:
        rng, heard = self.rng, []
        badges = [each.badge for each in self.mine.people[:6]] + ["stranger", ""]
        for _ in range(rng.choice([0, 0, 1, 4])):
            reader = rng.choice([*self.numbers, "nobody"])
            number = None
            if reader in self.numbers and rng.random() < 0.7:
                self.numbers[reader] = (self.numbers[reader] + rng.choice([1, 1, 2, 300])) % 65_536
                number = self.numbers[reader] if rng.random() < 0.95 else rng.randint(0, 65_535)
            heard.append(
                Sighting(
                    reader,
                    rng.choice(badges),
                    self.now_ms - rng.choice([5, 9000, 10**7, -99]),
                    rng.choice([1, -1, 0, 7]),
                    rng.choice([0, 0, 1, 2, 3]),
                    number,
                    rng.choice([None, 0, self.now_ms // 1000, 2**32]),
                )
            )
        return tuple(heard)

    def _read_backs(self) -> tuple[ReadBack, ...]:
        rng = self.rng
        names = [each.id for each in self.mine.outputs] + ["nobody"]
        return tuple(
            ReadBack(
                each, rng.choice([True, False, None]), self.now_ms - rng.choice([0, 10, 10**6])
            )
            for each in names
            if rng.random() < 0.3
        )

    def _notices(self) -> tuple[Notice, ...]:
        rng = self.rng
        order = {"nonce": f"n{rng.randint(0, 9)}", "kind": "withdraw", "document": "D", "zones": []}
        wrong = {**order, "zones": [["x"], None, 1], "nonce": rng.choice([None, 1, [], ""])}
        said = ({}, {"a": 1}, {"reasons": ["x"], "config": 5}, {"error": None, "b": [1]})
        said = (*said, order, {**order, "zones": ["mine"]}, wrong)
        return tuple(
            Notice(rng.choice(NOTICES), f"d{rng.randint(0, 500)}", dict(rng.choice(said)))
            for _ in range(rng.choice([0] * 9 + [1, 60]))
        )

    def _command(self, n: int) -> Command:
        rng = self.rng
        kind = rng.choice([*ACTS, "approve", "approve", "nonsense"])
        act = ACTS.get(kind)
        roles = act.roles if act is not None else frozenset(each.role for each in self.mine.staff)
        fitting = [each.code for each in self.mine.staff if each.role in roles]
        by = rng.choice(fitting) if fitting and rng.random() < 0.8 else rng.choice(["", "x" * 130])
        names = [*act.arguments, *act.optional] if act is not None else ["approval"]
        arguments = {
            name: self._argument(name) if rng.random() < 0.9 else rng.choice(JUNK) for name in names
        }
        text = rng.choice(["", "理由", "x" * 5000])
        return Command(f"{self.cycle}.{n}", kind, by, rng.choice(ORIGINS), arguments, text)

    def _argument(self, name: str) -> Any:
        rng, durable = self.rng, self.state.durable
        standing = durable.withdrawal.standing
        values: dict[str, Any] = {
            "alarm_kind": rng.choice(["low", "trip", "pre_alarm"]),
            "alarms": sorted(durable.alarms.items)[:3],
            "applicant": rng.choice(self.mine.staff).code,
            "approval": rng.choice(sorted(durable.approvals.open) or ["P1"]),
            "badge": rng.choice([self.mine.people[0].badge, "unbadged"]),
            "caller": rng.choice(self.mine.staff).code,
            "cause": "work",
            "check": rng.choice(sorted(durable.duty.checks) or ["D1"]),
            "checker": rng.choice(self.mine.staff).code,
            "config": "abc",
            "document": f"D{rng.randint(0, 99)}",
            "in_minutes": rng.choice([0, 1, 60]),
            "minutes": rng.choice([1, 480, 481]),
            "minutes_ago": rng.choice([0, 5]),
            "notice": rng.choice(sorted(durable.works.open) or ["N1"]),
            "output": rng.choice(self.mine.outputs).id,
            "outputs": sorted(durable.interlock.held) or ["x"],
            "passed": rng.choice([True, False]),
            "point": rng.choice(sorted(self.wired)),
            "points": [rng.choice(sorted(self.wired))],
            "source": rng.choice(sorted(self.wired)),
            "value": rng.choice([0, 5, 99, 150, 65_535]),
            "verdict": rng.choice(["true", "false", "drill", "test"]),
            "withdrawal": rng.choice(
                [standing.id if standing else "W1", *durable.withdrawal.past.over]
            ),
            "work": rng.choice(["calibration", "blasting", "x"]),
            "zones": rng.choice([["mine"], [rng.choice(self.mine.zones).id]]),
        }
        return values[name]

    def _check(self, before: Durable, image: Image, decided: Step) -> None:
        for event in decided.events:
            event.leaf()
        view(self.mine, self.state, self.now_ms)
        for command in image.commands:
            answers = [e for e in decided.events if e.data.get("command") == command.id]
            assert len(answers) == 1, (command, answers)
        held = self.state.durable.interlock.held
        released = {
            output
            for event in decided.events
            if event.kind == "released" and self._is_proper(event)
            for output in event.data["outputs"]
        }
        assert set(before.interlock.held) - set(held) <= released
        self._check_trips(before, image)
        self._check_people(before, decided)
        if decided.outputs is not None:
            for output in self.mine.outputs:
                if output.role is OutputRole.POWER_CUT:
                    assert decided.outputs[output.id] is (output.id not in held)
        standing = before.withdrawal.standing
        if standing is not None and self.state.durable.withdrawal.standing is None:
            cleared = [e for e in self.events[: self.durable_index] if e.kind == "all_clear_given"]
            assert any(e.data["withdrawal"] == standing.id for e in cleared)

    def _is_proper(self, event: Event) -> bool:
        """Say whether two names granted the release and the disk has it."""
        granted = [
            (n, each.data)
            for n, each in enumerate(self.events)
            if each.kind == "release_granted" and each.data["release"] == event.data["release"]
        ]
        assert len(granted) == 1
        index, data = granted[0]
        return index < self.durable_index and bool(data["by"]) and data["by"] != data["second"]

    def _check_trips(self, before: Durable, image: Image) -> None:
        """A reading at trip has cut when its cycle is over, unless a named act holds the head."""
        causes = self.state.durable.interlock.causes
        for sample in image.samples:
            for point, value, quality in sample.readings:
                trip = self.trips.get(point)
                if trip is None or point not in self.wired:
                    continue
                if point in before.calibrations.open or point in before.interlock.bypasses:
                    continue
                good = quality == Quality.GOOD and value is not None and value >= trip
                if good or quality == Quality.OVER_RANGE:
                    assert f"trip:{point}" in causes, (point, value, quality)

    def _check_people(self, before: Durable, decided: Step) -> None:
        gone = before.people.inside.keys() - self.state.durable.people.inside.keys()
        left = {
            e.data["badge"] for e in decided.events if e.kind in ("badge_left", "person_closed")
        }
        assert gone <= left

    def _check_recovery(self) -> None:
        durable = self.state.durable
        assert durable_from_json(json.loads(canonical(durable_to_json(durable)))) == durable
        assert recover(self.events) == durable


def _usual(point: Point) -> int:
    """Return a value that concerns nobody."""
    if UNITS[point.kind].switch:
        return 1
    return 10 if point.limits.low_alarm is None else (point.limits.low_clear or 0) + 10_000


@pytest.mark.parametrize("seed", range(6))
def test_nothing_that_arrives_breaks_the_core(demo_mine: Mine, seed: int) -> None:
    """No image raises or un-latches; what survives is the fold; every command has one answer."""
    Adversary(demo_mine, seed).run(200)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(100, 200))
def test_nothing_that_arrives_breaks_the_core_for_long(demo_mine: Mine, seed: int) -> None:
    """The same for a night."""
    Adversary(demo_mine, seed).run(600)
