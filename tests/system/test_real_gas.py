"""Real gas through the whole house: on virtual wires from end to end, and over real Modbus TCP."""

import csv
import gzip
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from minewatch_sim.people import Habits
from minewatch_sim.scenario import Recorded, Scenario
from minewatch_sim.virtual_bench import VirtualBench
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from minewatch.controller.cycle import Controller
from minewatch.core.state import State
from minewatch.core.step import Step
from minewatch.mine import load
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
SOCKET_ROWS = 1101
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


def _play(mine: Mine, recorded: Recorded, rows: int) -> Played:
    """Play rows of the series as bytes on virtual wires through lines and controller."""
    bench = VirtualBench(mine, Scenario("series", Habits(underground=0), recorded=recorded))
    controller = Controller(
        mine, State(), bench.clock, bench.store, bench.lines, digest=DecisionDigest()
    )
    controller.notice(
        "controller_started", "controller", run="r", version="v", config="c", prior="first"
    )
    played = Played()
    controller.listeners.append(played.turned)
    for _ in range(2 * rows):
        if len(played.values) >= rows:
            return played
        bench.run_for(controller, 10 * SCAN_MS)
    raise AssertionError(f"only {len(played.values)} of {rows} rows were read")


def test_the_whole_series_on_virtual_wires_gives_fifteen_alarms(
    tmp_path: Path, series_file: Path, series_cpct: list[int]
) -> None:
    """As bytes through Line and Controller: 15 alarms at the bare rows, around all 99 runs."""
    mine = _mine(_folder(tmp_path, RETURN, mode="monitor"))
    rows = len(series_cpct)
    played = _play(mine, Recorded(series_file, COLUMN, HEAD), rows)

    assert played.values[:rows] == series_cpct
    assert (played.raised, played.cleared) == _bare(series_cpct)
    assert len(played.raised) == 15
    runs = _runs(series_cpct, 100)
    assert len(runs) == 99
    ends = [*played.cleared, rows]
    intervals = list(zip(played.raised, ends, strict=False))
    assert all(any(a <= first and last < b for a, b in intervals) for first, last in runs)


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
    series_file: Path,
    series_cpct: list[int],
) -> None:
    """Rows 0–1100 at a 50 ms scan: 6 alarms at the bare rows, every leaf once at a subscriber."""
    rows = series_cpct[:SOCKET_ROWS]
    story = tmp_path / "series.toml"
    story.write_text(
        "[scenario]\nunderground = 0\n\n"
        f'[recorded]\nfile = "{series_file}"\ncolumn = "{COLUMN}"\npoint = "{HEAD}"\n'
        f'advance = "read"\nfirst = 0\nrows = {SOCKET_ROWS}\n',
        encoding="utf-8",
    )
    house.config = _folder(tmp_path, RETURN, mode="monitor")
    house.start_simulator(str(story))
    house.start()
    asked = SOCKET_ROWS + 20
    waiting(lambda: house.plant.do("status")["requests"]["gateway"] >= asked, 80, "every row read")
    size = _ledger_size(house.folder.root)
    waiting(lambda: set(county) >= set(range(1, size + 1)), 10, "every event at the county")
    house.stop()

    entries = _entries(house.folder.root)
    recorded = {entry.index + 1: {entry.leaf.decode()} for entry in entries}
    assert county.items() <= recorded.items()
    images = _images(house.folder.root)
    seen = [value for image in images for value in _values(image)]
    assert seen[:SOCKET_ROWS] == rows
    raised, cleared = _bare(rows)
    assert _alarm_rows(entries, images, "alarm_raised") == raised
    assert _alarm_rows(entries, images, "alarm_cleared") == cleared
    assert len(raised) == 6
    alarms = [each["data"] for each in _gas(entries, "alarm_raised")]
    assert [each["value"] for each in alarms] == [rows[n] for n in raised]


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
