"""Real gas through the whole house: on virtual wires from end to end, and over real Modbus TCP."""

import csv
import gzip
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from minewatch_sim.people import Habits
from minewatch_sim.recorded import Series
from minewatch_sim.scenario import Recorded, Scenario
from minewatch_sim.virtual_bench import VirtualBench
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from minewatch.controller.cycle import Controller
from minewatch.core.state import State
from minewatch.core.step import Step
from minewatch.mine import load
from minewatch.model.event import Event
from minewatch.model.image import Image
from minewatch.model.mine import Mine
from minewatch.model.quality import Quality
from minewatch.record.digest import DecisionDigest
from minewatch.record.journal_files import (
    chunk_numbers,
    file_numbers,
    file_path,
    open_reader,
    read_chunk,
)
from minewatch.record.ledger import Ledger

SERIES = "polish_longwall_30s.csv.gz"
COLUMN = "CH4_MM116_pct"
HEAD = "MM116"
CUT = "cut_face"
SCAN_MS = 50
ROW_MS = 30_000
HELD_READS = ROW_MS // SCAN_MS
"""Reads of one row at the pace at which it was recorded."""

SOCKET_ROWS = 1101
SOCKET_REACH = 10
SOCKET_HELD_READS = 70
"""Over sockets only what lies near a rise or an end is read, and an end is held for 3.5 s."""

WEEKEND_ROW, WEEKEND_ROWS = 6_600, 120
"""Within the longest run of one value, 11.8 h with no coal cut; an hour of it is played."""

CUTTING_ROW, CUTTING_ROWS = 1_425, 40
"""Coal is cut from here on, and the second head moves; 20 min are played."""

LEAD_ROWS = 20
"""Rows of quiet gas played before a run where the series has them: the feeder is live by then."""

COMMON = """
[mine]
code = "220181000116"
name = "longwall"
county = "220181"
language = "en"
gas_class = "high"
capacity_10kt = 60
hazard_class = "severe"
mode = "{mode}"
certified_system = "recorded"
signed_off_by = "S004"

[console]
listen = "127.0.0.1:8080"

[[mqtt]]
id = "county"
url = "mqtt://127.0.0.1:1883"

[[zone]]
id = "mine"
name = "mine"
kind = "mine"

[[staff]]
code = "S004"
name = "S004"
role = "chief_engineer"

[[bus]]
id = "gateway"
url = "tcp://127.0.0.1:15031"
scan_ms = 50
timeout_ms = 500

[[device]]
id = "head"
bus = "gateway"
unit = 1
model = "methane-head-generic"
"""

RETURN = """
[[zone]]
id = "return"
name = "return"
kind = "return"
parent = "mine"

[[point]]
id = "MM116"
name = "MM116"
kind = "methane"
zone = "return"
device = "head"
signal = "methane"
place = "sealed_area_outside"
"""

COMPANIONS = """
[[zone]]
id = "return"
name = "return"
kind = "return"
parent = "mine"

[[device]]
id = "second_head"
bus = "gateway"
unit = 3
model = "methane-head-generic"

[[device]]
id = "contacts"
bus = "gateway"
unit = 4
model = "switch-module-8"

[[point]]
id = "CUTTING"
name = "CUTTING"
kind = "coal_cutting"
zone = "return"
device = "contacts"
signal = "input_1"
place = "record_only"

[[point]]
id = "MM116"
name = "MM116"
kind = "methane"
zone = "return"
device = "head"
signal = "methane"
place = "sealed_area_outside"
scan_ms = 1000
companions = {companions}

[[point]]
id = "MM31"
name = "MM31"
kind = "methane"
zone = "return"
device = "second_head"
signal = "methane"
place = "sealed_area_outside"
scan_ms = 1000
"""

FACE = """
[[zone]]
id = "face"
name = "face"
kind = "face"
parent = "mine"
mechanised = true

[[point]]
id = "MM116"
name = "MM116"
kind = "methane"
zone = "face"
device = "head"
signal = "methane"
place = "face"

[[bus]]
id = "relay_line"
url = "tcp://127.0.0.1:15032"
scan_ms = 200
timeout_ms = 300

[[device]]
id = "relay"
bus = "relay_line"
unit = 1
model = "relay-module-8-watchdog"

[[device]]
id = "feeders"
bus = "gateway"
unit = 2
model = "switch-module-8"

[[point]]
id = "FEED"
name = "FEED"
kind = "feed_state"
zone = "face"
device = "feeders"
signal = "input_1"
place = "feed_state"

[[output]]
id = "cut_face"
name = "cut_face"
role = "power_cut"
zone = "face"
device = "relay"
signal = "coil_1"
proof = "FEED"
cuts = [{ kind = "shearer", name = "shearer" }]

[[interlock]]
id = "methane"
name = "methane"
causes = [{ point = "MM116", condition = "trip" }]
outputs = ["cut_face"]
"""


@pytest.fixture(scope="module")
def series_file() -> Path:
    """Return the file of the real series; skips where the data folder is absent."""
    roots = [os.environ.get("MINEWATCH_TEST_DATA"), Path(__file__).parents[3] / "shared" / "data"]
    for root in roots:
        path = Path(root) / SERIES if root else None
        if path is not None and path.is_file():
            return path
    pytest.skip(f"{SERIES} not found: set MINEWATCH_TEST_DATA to the folder that holds it")


@pytest.fixture(scope="module")
def series_cpct(series_file: Path) -> list[int]:
    """Return the whole series in 0.01 %CH4."""
    with gzip.open(series_file, "rt", encoding="utf-8") as file:
        return [round(float(row[COLUMN]) * 100) for row in csv.DictReader(file)]


def _folder(root: Path, *parts: str, mode: str) -> Path:
    folder = root / "mine"
    folder.mkdir()
    (folder / "mine.toml").write_text(COMMON.format(mode=mode) + "".join(parts), encoding="utf-8")
    return folder


def _mine(folder: Path) -> Mine:
    loaded = load(folder)
    assert loaded.mine is not None, loaded.faults
    return loaded.mine


def _runs(values: list[int], limit: int) -> list[tuple[int, int]]:
    """Return (first, last) of each run of samples at or above the limit."""
    found: list[tuple[int, int]] = []
    for n, value in enumerate(values):
        if value >= limit:
            if found and found[-1][1] == n - 1:
                found[-1] = (found[-1][0], n)
            else:
                found.append((n, n))
    return found


def _bare(values: list[int]) -> tuple[list[int], list[int]]:
    """Return the rows at which a mere comparison with a clear band goes on and off."""
    raised: list[int] = []
    cleared: list[int] = []
    for n, value in enumerate(values):
        stands = len(raised) > len(cleared)
        if not stands and value >= 100:
            raised.append(n)
        elif stands and value < 80:
            cleared.append(n)
    return raised, cleared


def _reads(values: list[int], held_reads: int, reach: int | None = None) -> list[int]:
    """Return the row that each read shows: one read a row, but for rows at which an alarm ends.

    An alarm ends after a time below its clear limit (`minewatch.core.readings.chatter`), which one
    read of a row of 30 s would leave out: such a row is read `held_reads` times. With `reach` only
    rows so near to a rise or an end are read at all; between them the alarm stands or does not.
    """
    raised, cleared = _bare(values)
    turns, found = {*raised, *cleared}, []
    for row in range(len(values)):
        if reach is None or any(abs(row - each) <= reach for each in turns):
            found += [row] * (held_reads if row in cleared else 1)
    return found


def _recorded(folder: Path, values: list[int]) -> Recorded:
    """Write these values as a series of its own, one row for each read."""
    file = folder / "reads.csv"
    file.write_text(
        "".join(f"{each}\n" for each in (COLUMN, *(value / 100 for value in values))),
        encoding="utf-8",
    )
    return Recorded(file, COLUMN, HEAD)


@dataclass
class Played:
    """What was seen of a series: values in order of reading, rows of events, wanted levels."""

    values: list[int] = field(default_factory=list)
    raised: list[int] = field(default_factory=list)
    cleared: list[int] = field(default_factory=list)
    wanted: list[bool] = field(default_factory=list)

    def turned(self, decided: Step, image: Image) -> None:
        """Hear one step; it may hold several readings of the head, or none."""
        fresh = _values(image)
        self.values += fresh
        for event in decided.events:
            if event.data.get("alarm_kind") == "gas_over_limit":
                row = self.row(event.kind, fresh)
                {"alarm_raised": self.raised, "alarm_cleared": self.cleared}[event.kind].append(row)
        outputs = decided.outputs or {}
        self.wanted += [outputs.get(CUT, True)] * len(fresh)

    def row(self, kind: str, fresh: list[int]) -> int:
        """Return the row of this image that an event of `kind` belongs to."""
        meets = (lambda value: value >= 100) if kind == "alarm_raised" else (lambda v: v < 80)
        first = next(n for n, value in enumerate(fresh) if meets(value))
        return len(self.values) - len(fresh) + first


def _values(image: Image) -> list[int]:
    """Return what the head showed; a read that failed is no row, and then rows are missing."""
    found = []
    for sample in image.samples:
        for reading in sample.readings:
            if reading.point == HEAD and reading.quality is Quality.GOOD:
                assert reading.value is not None
                found.append(reading.value)
    return found


def _open(mine: Mine, recorded: Recorded) -> tuple[VirtualBench, Controller]:
    """Return a bench on virtual time that plays the series, and the controller that guards it."""
    bench = VirtualBench(mine, Scenario("series", Habits(underground=0), recorded=recorded))
    controller = Controller(
        mine, State(), bench.clock, bench.store, bench.lines, digest=DecisionDigest()
    )
    controller.notice(
        "controller_started", "controller", run="r", version="v", config="c", prior="first"
    )
    return bench, controller


def _play(mine: Mine, recorded: Recorded, rows: int) -> Played:
    """Play rows of the series as bytes on virtual wires through lines and controller."""
    bench, controller = _open(mine, recorded)
    played = Played()
    controller.listeners.append(played.turned)
    for _ in range(2 * rows):
        if len(played.values) >= rows:
            return played
        bench.run_for(controller, 10 * SCAN_MS)
    raise AssertionError(f"only {len(played.values)} of {rows} rows were read")


def test_the_whole_series_on_virtual_wires_gives_fifteen_alarms(
    tmp_path: Path, series_cpct: list[int]
) -> None:
    """As bytes through Line and Controller: 15 alarms at the bare rows, around all 99 runs.

    A row at which an alarm ends is held for its recorded 30 s, the others are read once.
    """
    mine = _mine(_folder(tmp_path, RETURN, mode="monitor"))
    reads = _reads(series_cpct, HELD_READS)
    shown = [series_cpct[row] for row in reads]
    played = _play(mine, _recorded(tmp_path, shown), len(reads))

    assert played.values[: len(reads)] == shown
    raised = [reads[n] for n in played.raised]
    cleared = [reads[n] for n in played.cleared]
    assert (raised, cleared) == _bare(series_cpct)
    assert len(raised) == 15
    runs = _runs(series_cpct, 100)
    assert len(runs) == 99
    intervals = list(zip(raised, [*cleared, len(series_cpct)], strict=False))
    assert all(any(a <= first and last < b for a, b in intervals) for first, last in runs)


def _watch(
    folder: Path, series_file: Path, companions: list[str], rows: tuple[int, int], stuck: int | None
) -> list[Event]:
    """Play both heads and the production flag at their recorded pace, a row each 30 s.

    `rows` are the first and how many; with `stuck` the head stands still on that row. Returns
    what was said of heads that stand still, up to the first that is held to be stuck.
    """
    first, count = rows
    mine = _mine(_folder(folder, COMPANIONS.format(companions=companions), mode="monitor"))

    def column(name: str, point: str) -> Recorded:
        return Recorded(series_file, name, point, advance="time", first=first, rows=count)

    head = column(COLUMN, HEAD)
    bench, controller = _open(mine, head if stuck is None else replace(head, first=stuck, rows=1))
    for name, point in (("CH4_MM31_pct", "MM31"), ("PRODUCTION_PD", "CUTTING")):
        bench.plant.series[point] = Series(column(name, point))
    said: list[Event] = []
    controller.listeners.append(
        lambda decided, _: said.extend(
            each for each in decided.events if each.kind in ("frozen_found", "value_suspected")
        )
    )
    for _ in range(count):
        bench.run_for(controller, ROW_MS)
        if said:
            break
    return said


@pytest.mark.parametrize(("companions", "stuck"), [(["MM31", "CUTTING"], False), (["MM31"], True)])
def test_the_idle_weekend_holds_no_head_stuck(
    tmp_path: Path, series_file: Path, companions: list[str], stuck: bool
) -> None:
    """On one value for an hour while no coal is cut: no head is stuck beside head and flag.

    Beside the second head alone the law would find one, so that the flag is what it rests on. The
    head reads in finer steps than the series has, which gives it the shorter time of 15 min.
    """
    said = _watch(tmp_path, series_file, companions, (WEEKEND_ROW, WEEKEND_ROWS), None)
    assert bool(said) is stuck, said
    assert {each.data["point"] for each in said} <= {HEAD}


def test_a_head_that_stands_still_while_coal_is_cut_is_found(
    tmp_path: Path, series_file: Path
) -> None:
    """Beside the production flag and the second head, within 20 min, and it is no other head."""
    rows = (CUTTING_ROW, CUTTING_ROWS)
    said = _watch(tmp_path, series_file, ["MM31", "CUTTING"], rows, CUTTING_ROW)
    assert [(each.kind, each.data["point"]) for each in said] == [("frozen_found", HEAD)]


def test_a_face_head_demands_at_the_first_sample_of_each_run(
    tmp_path: Path, series_file: Path, series_cpct: list[int]
) -> None:
    """At 1.5 the cut is demanded by the image that brings the first sample of each of 14 runs."""
    mine = _mine(_folder(tmp_path, FACE, mode="control"))
    runs = _runs(series_cpct, 150)
    assert len(runs) == 14
    live_before = 0
    for number, (first, _) in enumerate(runs):
        earliest = runs[number - 1][1] + 1 if number else 0
        start = max(earliest, first - LEAD_ROWS)
        lead = first - start
        played = _play(mine, Recorded(series_file, COLUMN, HEAD, first=start), lead + 1)
        assert played.values[: lead + 1] == series_cpct[start : first + 1]
        assert played.wanted[lead] is False, (number, first)
        if lead == LEAD_ROWS:
            assert played.wanted[lead - 1] is True, (number, first)
            live_before += 1
    assert live_before > 0


@pytest.fixture
def county(house: Any) -> Iterator[dict[int, set[str]]]:
    """Return what a subscriber holds after de-duplication: the leaves of each `seq`."""
    house.start_broker()
    leaves: dict[int, set[str]] = {}

    def heard(_client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        body = json.loads(message.payload)
        leaves.setdefault(body["seq"], set()).add(body["leaf"])

    client = paho.Client(CallbackAPIVersion.VERSION2, "county", protocol=MQTTProtocolVersion.MQTTv5)
    client.on_connect = lambda *_: client.subscribe("minewatch/v1/+/+/event", qos=1)
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = heard
    client.reconnect_delay_set(1, 1)
    client.connect_async("127.0.0.1", house.mqtt_port)
    client.loop_start()
    assert subscribed.wait(15), "nothing is kept for whoever subscribes after the first event"
    yield leaves
    client.disconnect()
    client.loop_stop()


@pytest.mark.system
@pytest.mark.timeout(120)
def test_rows_over_real_modbus_reach_the_county_once(
    house: Any,
    waiting: Callable[..., Any],
    county: dict[int, set[str]],
    tmp_path: Path,
    series_cpct: list[int],
) -> None:
    """Rows 0–1100 at a 50 ms scan: 6 alarms at the bare rows, every leaf once at a subscriber.

    Only rows near a rise or an end are read; at an end long enough for the alarm to end.
    """
    values = series_cpct[:SOCKET_ROWS]
    reads = _reads(values, SOCKET_HELD_READS, SOCKET_REACH)
    rows = [values[row] for row in reads]
    file = _recorded(tmp_path, rows).file
    story = tmp_path / "series.toml"
    story.write_text(
        "[scenario]\nunderground = 0\n\n"
        f'[recorded]\nfile = "{file}"\ncolumn = "{COLUMN}"\npoint = "{HEAD}"\n'
        f'advance = "read"\nfirst = 0\nrows = {len(rows)}\n',
        encoding="utf-8",
    )
    house.config = _folder(tmp_path, RETURN, mode="monitor")
    house.start_simulator(str(story))
    house.start()
    asked = len(rows) + 20
    waiting(lambda: house.plant.do("status")["requests"]["gateway"] >= asked, 80, "every row read")
    size = _ledger_size(house.folder.root)
    waiting(lambda: set(county) >= set(range(1, size + 1)), 10, "every event at the county")
    house.stop()

    entries = _entries(house.folder.root)
    recorded = {entry.index + 1: {entry.leaf.decode()} for entry in entries}
    assert county.items() <= recorded.items()
    images = _images(house.folder.root)
    seen = [value for image in images for value in _values(image)]
    assert seen[: len(rows)] == rows
    raised, cleared = _bare(values)
    assert [reads[n] for n in _alarm_rows(entries, images, "alarm_raised")] == raised
    assert [reads[n] for n in _alarm_rows(entries, images, "alarm_cleared")] == cleared
    assert len(raised) == 6
    alarms = [each["data"] for each in _gas(entries, "alarm_raised")]
    assert [each["value"] for each in alarms] == [values[n] for n in raised]


def _ledger_size(state: Path) -> int:
    with closing(Ledger.open(state, origin="", writable=False)) as ledger:
        return ledger.size


def _entries(state: Path) -> list[Any]:
    with closing(Ledger.open(state, origin="", writable=False)) as ledger:
        return list(ledger.all_entries())


def _images(state: Path) -> list[Image]:
    """Return every recorded image, in order."""
    images = []
    for number in file_numbers(state):
        with closing(open_reader(file_path(state, number))) as database:
            for chunk in chunk_numbers(database):
                for part in read_chunk(database, chunk):
                    lines = [line for line in part.lines.splitlines() if line.startswith(b"[")]
                    images += [Image.from_row(json.loads(line)) for line in lines]
    return images


def _gas(entries: list[Any], kind: str) -> list[dict[str, Any]]:
    leaves = [json.loads(entry.leaf) for entry in entries]
    return [
        each
        for each in leaves
        if each["kind"] == kind and each["data"]["alarm_kind"] == "gas_over_limit"
    ]


def _alarm_rows(entries: list[Any], images: list[Image], kind: str) -> list[int]:
    """Return the row that each alarm event of `kind` was decided on, by the image of its cycle."""
    played = Played()
    wanted = {leaf["cycle"] for leaf in _gas(entries, kind)}
    rows = []
    for image in images:
        fresh = _values(image)
        played.values += fresh
        if image.cycle in wanted:
            rows.append(played.row(kind, fresh))
    return rows
