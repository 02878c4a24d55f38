"""What if: a recorded run decided again under other limits, on the same gas, people and acts."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from minewatch.cli import exit_codes
from minewatch.cli.record import replay as replay_verb
from minewatch.core.snapshot import durable_to_json
from minewatch.core.state import State
from minewatch.core.step import step
from minewatch.folder import Folder
from minewatch.mine import load
from minewatch.model.canonical import encode
from minewatch.model.image import Command, Image, Notice, ReadBack, Reading, Sample
from minewatch.model.kind import Kind
from minewatch.model.mine import Mine, Mode, OutputRole
from minewatch.model.quality import Quality
from minewatch.record.digest import DecisionDigest
from minewatch.record.journal import JournalLimits, Start
from minewatch.record.store import RecordStore, StoreLimits
from minewatch.replay.episodes import Matter, Subject
from minewatch.replay.picture import picture
from minewatch.replay.what_if import WhatIf, what_if
from minewatch.text import Catalogue

DEMO = Path(__file__).parents[2] / "config" / "demo-mine"
HEAD, CUT = "12301_T1", "cut_12301"
LIMITS = StoreLimits(
    idle_s=0.002, images=5000, journal=JournalLimits(free_bytes=0, part_ms=5_000, chunk_ms=15_000)
)
Ramp = Callable[[int], int]


class Mineshaft:
    """Records a run of the demo mine in which one head follows a ramp and switches obey."""

    def __init__(self, mine: Mine, folder: Path) -> None:
        self.mine, self.folder = mine, folder
        self.state, self.digest = State(), DecisionDigest()
        self.written: dict[str, bool] = {}
        config = Folder(folder).activate(mine)
        self.store = RecordStore(
            folder, "test/what-if", digest=self.digest, urgent=lambda _: False, limits=LIMITS
        )
        self.store.start_run(Start("run-1", durable_to_json(State().durable), "0", config, 0))

    def run(self, seconds: int, ramp: Ramp, commands: dict[int, list[Command]]) -> None:
        """Turn once a second."""
        notices: tuple[Notice, ...] = (
            Notice("controller_started", "controller", {"run": "run-1"}),
        )
        for cycle in range(seconds):
            image = Image(
                cycle,
                5_000 + cycle * 1000,
                1_790_000_000_000 + cycle * 1000,
                True,
                self.state.durable.index,
                self._samples(cycle, ramp),
                read_backs=self._read_backs(cycle),
                commands=tuple(self._command(each) for each in commands.get(cycle, [])),
                notices=notices,
            )
            decided = step(self.mine, self.state, image)
            self.state = decided.state
            self.written = dict(decided.outputs or {})
            self.digest.update(cycle, decided.events, decided.outputs)
            self.store.submit(encode(image.to_row()), decided.events, image.samples)
            notices = ()
        self.store.close()

    def _read_backs(self, cycle: int) -> tuple[ReadBack, ...]:
        at_ms = 5_000 + cycle * 1000 - 20
        return tuple(
            ReadBack(o.id, self.written.get(o.id, o.role is OutputRole.POWER_CUT), at_ms)
            for o in self.mine.outputs
        )

    def _command(self, command: Command) -> Command:
        """Fill in the numbers that only this world knows."""
        items = self.state.durable.alarms.items
        alarms = [each.id for each in items.values() if each.source == HEAD]
        return (
            command._replace(arguments={"alarms": alarms})
            if "alarms" in command.arguments
            else command
        )

    def _samples(self, cycle: int, ramp: Ramp) -> tuple[Sample, ...]:
        proofs = {
            o.proof: int(self.written.get(o.id, o.role is OutputRole.POWER_CUT))
            for o in self.mine.outputs
        }
        return tuple(
            Sample(
                device.id,
                5_000 + cycle * 1000 - 20,
                tuple(
                    Reading(p.id, self._value(p.id, p.kind, cycle, ramp, proofs), Quality.GOOD)
                    for p in self.mine.points_of(device.id)
                ),
            )
            for device in self.mine.devices
            if self.mine.points_of(device.id)
        )

    def _value(self, point: str, kind: Kind, cycle: int, ramp: Ramp, proofs: dict) -> int:
        if point == HEAD:
            return ramp(cycle)
        if point in proofs:
            return proofs[point]
        usual = {Kind.OXYGEN: 2080, Kind.AIR_SPEED: 150, Kind.METHANE: 20, Kind.TEMPERATURE: 200}
        running = {Kind.FAN_RUN, Kind.DUCT_WIND, Kind.WIND_DIRECTION}
        return usual.get(kind, 1 if kind in running else 0)


@pytest.fixture(scope="module")
def mine() -> Mine:
    """Return the demo mine, in control: outputs are driven."""
    loaded = load(DEMO).mine
    assert loaded is not None
    return dataclasses.replace(loaded, mode=Mode.CONTROL)


def with_limits(mine: Mine, **limits: int) -> Mine:
    """Return the mine with other limits at the head."""
    points = tuple(
        dataclasses.replace(p, limits=dataclasses.replace(p.limits, **limits))
        if p.id == HEAD
        else p
        for p in mine.points
    )
    return dataclasses.replace(mine, points=points)


def rise_and_fall(cycle: int) -> int:
    """Rise from 0.20 to 1.60 %CH4 and fall again, two minutes in all."""
    return 20 + min(cycle, 120 - cycle) * 140 // 60


@pytest.fixture(scope="module")
def recorded(mine: Mine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run that alarms and trips; the alarm is acknowledged meanwhile."""
    folder = tmp_path_factory.mktemp("what_if")
    acknowledge = Command("c1", "acknowledge", "", "local:0", {"alarms": []}, "")
    Mineshaft(mine, folder).run(120, rise_and_fall, {65: [acknowledge]})
    return folder


def began_s(found: WhatIf, world: str, subject: Subject) -> list[int]:
    """Return when the episodes of a subject began, in seconds of the run."""
    episodes = getattr(found, world).episodes.get(subject, [])
    return [(each.began_ms - found.first_ms) // 1000 for each in episodes]


def test_same_configuration_decides_the_same(recorded: Path, mine: Mine) -> None:
    """Under its own configuration nothing differs: translating images invents nothing."""
    found = what_if(recorded, mine)
    assert found.equal
    assert found.rows() == []
    assert found.cycles == 120
    assert found.without_object == 0
    assert found.recorded.refused == found.calculated.refused


def test_lower_limits_alarm_and_cut_earlier(recorded: Path, mine: Mine) -> None:
    """Episodes begin at the very second at which the gas reaches the other limits."""
    found = what_if(recorded, with_limits(mine, pre_alarm=40, alarm=60, trip=90, restore=60))
    for kind, before, after in (("gas_over_limit", 100, 60), ("trip", 150, 90)):
        subject = Subject(Matter.ALARM, HEAD, kind)
        reached = [
            next(c for c in range(120) if rise_and_fall(c) >= limit) for limit in (before, after)
        ]
        assert [began_s(found, w, subject) for w in ("recorded", "calculated")] == [
            [reached[0]],
            [reached[1]],
        ]
    assert {(c.name, c.recorded, c.other) for c in found.limits} >= {("alarm", 100, 60)}


def test_switch_obeys_the_other_configuration(recorded: Path, mine: Mine) -> None:
    """A cut that came earlier is proved: no failed actuation, no switch upstream is made up."""
    found = what_if(recorded, with_limits(mine, trip=60, restore=60))
    cut = Subject(Matter.CUT, CUT)
    assert began_s(found, "calculated", cut)[0] < began_s(found, "recorded", cut)[0]
    kinds = {subject.kind for subject in found.calculated.episodes}
    assert not kinds & {"failed_actuation", "feed_abnormal"}


def test_cut_that_never_came_leaves_power_on(recorded: Path, mine: Mine) -> None:
    """With limits that the gas never reaches there is no cut, and its feed counts as on."""
    found = what_if(recorded, with_limits(mine, pre_alarm=300, alarm=300, trip=390, withdraw=395))
    assert Subject(Matter.CUT, CUT) in found.recorded.episodes
    assert Subject(Matter.CUT, CUT) not in found.calculated.episodes
    assert not [s for s in found.calculated.episodes if s.kind == "feed_abnormal"]


def test_act_without_an_object_stays_away(recorded: Path, mine: Mine) -> None:
    """An acknowledgement of alarms that the other world never had is counted, not refused."""
    found = what_if(recorded, with_limits(mine, pre_alarm=395, alarm=396, trip=397, withdraw=398))
    assert found.without_object == 1
    assert found.calculated.refused == 0


def test_act_finds_its_alarm_under_another_number(recorded: Path, mine: Mine) -> None:
    """The acknowledgement reaches the same alarm although it has another id there."""
    found = what_if(recorded, with_limits(mine, pre_alarm=40))
    assert found.without_object == 0
    assert found.calculated.refused == found.recorded.refused == 0


def test_picture_is_well_formed_and_shows_both(recorded: Path, mine: Mine) -> None:
    """The sheet is XML that loads nothing, names the point, and draws curve, limits and lanes."""
    found = what_if(recorded, with_limits(mine, alarm=60))
    sheet = picture(found, Catalogue.load("zh"))
    root = ElementTree.fromstring(sheet)
    words = [each.text for each in root.iter() if each.text]
    assert mine.point(HEAD).name in words
    classes = [each.get("class") for each in root.iter()]
    assert {"curve", "was", "new", "lane"} <= set(classes)
    assert "http" not in sheet.replace("http://www.w3.org/2000/svg", "")


def test_verb_says_table_picture_and_json(recorded: Path, tmp_path: Path) -> None:
    """The command line prints both worlds, writes the sheet; it leaves with 1 where they differ."""
    other = tmp_path / "other"
    other.mkdir()
    for each in DEMO.iterdir():
        (other / each.name).write_bytes(each.read_bytes())
    points = other / "points.csv"
    table = [line.split(",") for line in points.read_text("utf-8").splitlines()]
    for row in table:
        if row[0] == HEAD:
            row[table[0].index("pre_alarm")] = "0.40"
            row[table[0].index("alarm")] = "0.60"
    points.write_text("\n".join(map(",".join, table)) + "\n", "utf-8")
    sheet = tmp_path / "sheet.svg"
    given = [str(recorded), "--config", str(other), "--lang", "en"]
    ran = CliRunner().invoke(replay_verb, [*given, "--picture", str(sheet)])
    assert ran.exit_code == exit_codes.CHECK_FAILED, ran.output
    assert "What would have differed" in ran.output
    assert "0.60" in ran.output
    assert sheet.read_text("utf-8").startswith("<svg")
    said = json.loads(CliRunner().invoke(replay_verb, [*given, "--json"]).output)
    assert {"point": HEAD, "limit": "alarm", "recorded": 100, "other": 60} in said["limits"]
    assert any(each["kind"] == "gas_over_limit" for each in said["differences"])


def test_picture_without_a_configuration_is_refused(recorded: Path, tmp_path: Path) -> None:
    """`--picture` alone is a usage error that says what to give."""
    ran = CliRunner().invoke(replay_verb, [str(recorded), "--picture", str(tmp_path / "x.svg")])
    assert ran.exit_code == exit_codes.USAGE
    assert not (tmp_path / "x.svg").exists()
