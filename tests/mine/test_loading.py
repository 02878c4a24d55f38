"""The demo mine loads clean; encodings, limits, quotas, fault causes resolve as the tables say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minewatch.mine import Loaded, Severity, load
from minewatch.mine.rules import load_rules
from minewatch.model.codec import mine_from_json, mine_hash, mine_to_json
from minewatch.model.mine import Cause, Condition, Limits, Mine


def _mine(loaded: Loaded) -> Mine:
    assert loaded.mine is not None, loaded.faults
    return loaded.mine


def test_the_demo_mine_loads_without_a_fault(demo: Loaded) -> None:
    """What `make demo` runs is an example without a single fault or warning."""
    assert demo.faults == ()
    mine = _mine(demo)
    assert (len(mine.points), len(mine.outputs), len(mine.readers)) == (62, 10, 7)


def test_the_canonical_form_is_a_round_trip(demo: Loaded) -> None:
    """The canonical bytes hold the whole mine and come out the same every time."""
    mine = _mine(demo)
    data = mine_to_json(mine)

    assert mine_from_json(data) == mine
    assert mine_to_json(mine_from_json(data)) == data


@pytest.mark.parametrize(
    ("point", "limits"),
    [
        ("12301_T0", Limits(80, 100, 150, 100, 150, 80)),
        ("12301_T1", Limits(80, 100, 150, 100, 150, 80)),
        ("12301_T2", Limits(80, 100, 100, 100, 101, 80)),
        ("12301_T3", Limits(40, 50, 50, 50, None, 40)),
        ("TR_CH4_1", Limits(60, 75, clear=60)),
        ("12301_CO", Limits(alarm=24, clear=19)),
        ("12301_O2", Limits(low_alarm=2000, low_clear=2020)),
        ("12301_AIR", Limits(alarm=400, clear=380, low_alarm=25, low_clear=28)),
        ("12303_WIND", Limits(low_alarm=1, low_clear=1)),
        ("SUMP", Limits(alarm=350, clear=280)),
    ],
)
def test_limits_come_from_the_statutory_row(demo: Loaded, point: str, limits: Limits) -> None:
    """A point without limits of its own has those of its place, in integer units."""
    assert _mine(demo).point(point).limits == limits


def test_every_point_carries_the_words_of_its_rule(demo: Loaded) -> None:
    """A limit without a citation does not exist."""
    assert all(point.citation for point in _mine(demo).points)


def test_a_stricter_limit_is_taken_and_named(spoiled: Any) -> None:
    """Stricter local values hold, the derived limits follow, and the citation says so."""
    row = "head_12301_T1,methane,face,670 240,"
    spoiled.replace("points.csv", f"{row}0.80,,,,,", f"{row},0.9,1.20,0.8,1.3,")

    point = _mine(spoiled.load()).point("12301_T1")

    assert point.limits == Limits(72, 90, 120, 80, 130, 72)
    assert "本矿从严" in point.citation
    assert "alarm 0.90" in point.citation


@pytest.mark.parametrize("text", ["1", "1.0", "1.00", "1.000", "1e0", " 1.00 "])
def test_decimals_are_taken_as_printed(text: str, spoiled: Any) -> None:
    """Any spelling of one decimal is one integer; no binary fraction comes between."""
    row = "head_12301_T1,methane,face,670 240,0.80,,,,,"
    spoiled.replace("points.csv", row, f"head_12301_T1,methane,face,670 240,,{text},,,,")

    assert _mine(spoiled.load()).point("12301_T1").limits.alarm == 100


@pytest.mark.parametrize("cpct", [7, 29, 57, 58, 113, 115])
def test_toml_floats_are_their_shortest_decimal(cpct: int, spoiled: Any) -> None:
    """5.7 in TOML is 57 tenths although the float is not."""
    spoiled.append(
        "devices.toml",
        '\n[[point]]\nid = "X"\nname = "X"\nkind = "temperature"\nzone = "surface"\n'
        'device = "env_X"\nsignal = "temperature"\nplace = "record_only"\n'
        f"alarm = {round(cpct / 10, 1)!r}\n"
        '[[device]]\nid = "env_X"\nbus = "gw_west"\nunit = 30\n'
        'model = "environment-head-generic"\n',
    )

    assert _mine(spoiled.load()).point("X").limits.alarm == cpct


def test_headcounts_come_from_the_quota_table(demo: Loaded) -> None:
    """Faces and headings have the table's numbers, the mine its own stricter one."""
    mine = _mine(demo)
    limits = {zone.id: zone.headcount_limit for zone in mine.zones if zone.headcount_limit}

    assert limits == {
        "face_12301": 25, "face_12302": 25, "heading_12303": 18, "heading_12304": 18,
    }  # fmt: skip
    assert mine.headcount_limit == 130
    assert "38号" in mine.headcount_citation


@pytest.mark.parametrize(
    ("capacity", "severe", "people"),
    [(1, True, 100), (30, True, 100), (31, True, 200), (60, False, 100), (61, True, 300),
     (120, False, 180), (180, True, 400), (300, False, 280), (301, True, 800), (501, True, 850),
     (10_000, False, 450)],
)  # fmt: skip
def test_capacity_bands_include_their_upper_bound(capacity: int, severe: bool, people: int) -> None:
    """Article 4: the lower bound is excluded, the upper included."""
    assert load_rules().mine_quota(capacity).limit(severe) == people


def test_a_trip_brings_its_fault_lock(demo: Loaded) -> None:
    """A lost head cuts like a high one (故障闭锁), without being configured."""
    interlock = next(each for each in _mine(demo).interlocks if each.id == "methane_12303")

    assert interlock.causes == (
        Cause("12303_T1", Condition.TRIP),
        Cause("12303_T1", Condition.FAULT),
        Cause("12303_T2", Condition.TRIP),
        Cause("12303_T2", Condition.FAULT),
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030"])
@pytest.mark.parametrize("file", ["points.csv", "people.csv", "mine.toml"])
def test_encodings_of_a_chinese_desk_load(
    file: str, encoding: str, spoiled: Any, demo: Loaded
) -> None:
    """UTF-8, UTF-8 with BOM and GBK give the same mine; so do CRLF line ends."""
    path = spoiled.folder / file
    path.write_bytes(spoiled.text(file).replace("\n", "\r\n").encode(encoding))

    assert mine_hash(_mine(spoiled.load())) == mine_hash(_mine(demo))


def test_damaged_utf8_is_not_taken_for_gbk(spoiled: Any) -> None:
    """A torn Chinese character is a fault on its line, not forty wrong names."""
    path = spoiled.folder / "points.csv"
    data = path.read_bytes()
    at = data.index("工".encode())
    path.write_bytes(data[:at] + data[at + 1 :])

    assert spoiled.faults() == {("bad_encoding", "points.csv", 3)}


@pytest.mark.parametrize("data", [b"\xff\xfe\x00i\x00d", b"id\x00,name\n", b"\x81\x20 \xff\n"])
def test_other_bytes_are_refused(data: bytes, spoiled: Any) -> None:
    """UTF-16, zero bytes and noise are a fault of the encoding."""
    (spoiled.folder / "points.csv").write_bytes(data)

    assert {code for code, _, _ in spoiled.faults()} == {"bad_encoding"}


def test_a_missing_last_newline_is_a_warning(spoiled: Any) -> None:
    """A list that may have been cut off loads, and says so."""
    spoiled.write("points.csv", spoiled.text("points.csv").rstrip("\n"))
    loaded = spoiled.load()

    assert loaded.mine is not None
    assert [(f.code, f.severity) for f in loaded.faults] == [("no_final_newline", Severity.WARNING)]


@pytest.mark.parametrize("name", ["nothing", "mine.toml/deeper"])
def test_a_path_that_is_not_there_is_a_fault(name: str, spoiled: Any) -> None:
    """No path makes the loader raise."""
    loaded = load(spoiled.folder / name)

    assert loaded.mine is None
    assert "file_missing" in {fault.code for fault in loaded.faults}


def test_a_huge_file_is_refused_unread(spoiled: Any) -> None:
    """Every input has a limit."""
    (spoiled.folder / "points.csv").write_bytes(b"x" * (4 * 1024 * 1024 + 1))

    assert {code for code, _, _ in spoiled.faults()} == {"file_too_large"}


HOSTILE = [
    "x = " + "[" * 5000 + "]" * 5000,
    "n = " + "9" * 5000,
    "[mine]\ncapacity_10kt = 99999999999999999999999",
    "[[zone]]\nwalk_out_s = inf",
    "zone = [1, 2]",
    "point = [[]]",
    "include = 3",
    'include = ["."]',
    'include = ["mine.toml"]',
    'points = [""]',
    'points = ["/dev/zero"]',
    "[mine.mode.x]\ny = 1",
    '[[point]]\nkind = ["methane"]\nalarm = true',
    "[[point]]\nalarm = nan",
    "[[output]]\ncuts = [1, {kind = {}}]",
    "[[interlock]]\ncauses = {}",
    "handover = 07:30:00",
    '"" = 1',
    '[[zone]]\n"a.b" = 1\n"0" = 2',
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_files_give_faults(text: str, spoiled: Any) -> None:
    """What no engineer would write is refused like any other slip."""
    spoiled.write("buses.toml", text)

    assert spoiled.load().mine is None


TOKENS = [
    "", "[", "]", "=", '"', "'", ",", "\n", "{", "}", "#", "true", "-1", "1e999", "[[zone]]\n",
    "id", "中", "\x00", "99999999999", "nan", "[mine]\n", '"mine"', "1979-05-27", ".",
]  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    file=st.sampled_from(
        ["mine.toml", "buses.toml", "devices.toml", "outputs.toml", "people.toml", "points.csv"]
    ),
    edits=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 40), st.sampled_from(TOKENS)),
        min_size=1,
        max_size=4,
    ),
)
def test_random_edits_never_crash_the_loader(
    fresh_once: Any, file: str, edits: list[tuple[float, int, str]]
) -> None:
    """Any edit of any file gives a mine or faults, each fault with a real line, never a crash."""
    spoiled, originals = fresh_once
    text = originals[file]
    for place, cut, token in edits:
        at = int(place * len(text))
        text = text[:at] + token + text[at + cut :]
    spoiled.write(file, text)
    try:
        loaded = spoiled.load()
    finally:
        spoiled.write(file, originals[file])

    assert (loaded.mine is None) == any(f.severity is Severity.ERROR for f in loaded.faults)
    for fault in loaded.faults:
        lines = Path(fault.file).read_text(encoding="utf-8").count("\n") + 1
        assert 1 <= fault.line <= max(lines, text.count("\n") + text.count("\r") + 1)


@pytest.fixture
def fresh_once(fresh: Callable[[], Any]) -> Any:
    """Return one copy of the demo mine and the texts of its files."""
    spoiled = fresh()
    return spoiled, {path.name: path.read_text("utf-8") for path in spoiled.folder.iterdir()}
