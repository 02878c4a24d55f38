"""The parser of the certified system's files: what is whole counts, nothing else ever does."""

import random
import re
from decimal import ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minewatch_drivers.certified.files_dialect import build_dialect, dialects, load_dialect
from minewatch_drivers.certified.files_parse import (
    FileRefusedError,
    Said,
    parse_gas,
    parse_people,
    stamp_of,
    wall_ms_of,
)
from minewatch_drivers.device_files.device_file import DeviceFileError

from minewatch.model.kind import UNITS, Kind
from minewatch.model.quality import Quality

CODE = "220181004688"
T1, T2 = f"{CODE}01MN0001T1", f"{CODE}01MN0001T2"
FAN = f"{CODE}01KG1001FAN"
WANTED = {T1: Kind.METHANE, T2: Kind.METHANE, FAN: Kind.FAN_RUN}
TIME = "2026-07-01 08:00:30"
WALL_MS = 1_782_864_030_000
D = load_dialect("2019")


def row(point=T1, sensor="环境瓦斯", value="0.52", unit="%CH4", state="0", time=TIME) -> str:
    """Write one row of realtime values."""
    return ";".join((point, sensor, "12301工作面", value, unit, state, time))


def gas(*rows: str, time: str = TIME, code: str = CODE) -> str:
    """Write a whole file."""
    return "".join(f"{each}~" for each in (f"{code};示范煤矿;{time}", *rows)) + "||"


def said(text: str, encoding: str = "utf-8") -> dict[str, Said]:
    """Read a whole file."""
    return parse_gas(D, text.encode(encoding), CODE, WANTED).points


def person(card: str, flag: str = "1", area: str = "A1", since: str = TIME) -> str:
    """Write one row of a snapshot of people."""
    fields = [card, "某", flag, TIME, "", area, since, "R1", since, "三八制", "0", "正常", "0", "0"]
    return ";".join([*fields, ""])


def people(*rows: str) -> str:
    """Write a snapshot of people."""
    return gas(*rows)


def counts(*rows: str) -> dict[str, Said]:
    """Count the people of a snapshot."""
    return parse_people(D, people(*rows).encode(), CODE, ("mine", "A1", "A2")).counts


def test_the_clock_of_the_files_is_local_time() -> None:
    """A printed time is +08:00, and goes back into the name of a file."""
    assert wall_ms_of(D, TIME) == WALL_MS
    assert stamp_of(D, WALL_MS) == "20260701080030"
    for wrong in ("2026-02-30 00:00:00", "2026-7-1 8:00:00", "2026-07-01T08:00:30", "", TIME + " "):
        assert wall_ms_of(D, wrong) is None


@given(
    value=st.decimals("0", "100", places=3),
    state=st.sampled_from(["0", "1", "3"]),
    kind=st.sampled_from(
        [
            (Kind.METHANE, "%CH4"),
            (Kind.OXYGEN, "%"),
            (Kind.AIR_SPEED, "m/s"),
            (Kind.TEMPERATURE, "℃"),
        ]
    ),
)
def test_what_is_printed_is_what_is_read(value: Decimal, state: str, kind) -> None:
    """A printed number becomes the nearest unit, ties towards the alarm, by decimal arithmetic."""
    made, unit = kind
    low = made in (Kind.OXYGEN, Kind.AIR_SPEED)
    step = Decimal(1).scaleb(-UNITS[made].decimals)
    nearest = value.quantize(step, ROUND_HALF_DOWN if low else ROUND_HALF_UP)
    expected = int(nearest.scaleb(UNITS[made].decimals))
    text = gas(row(sensor="", value=str(value), unit=unit, state=state))
    got = parse_gas(D, text.encode(), CODE, {T1: made}).points[T1]
    limits = D.quantities[made]
    if limits.low <= expected <= limits.high:
        assert got == (expected, Quality.GOOD, WALL_MS)
    else:
        assert got[:2] == (None, Quality.IMPLAUSIBLE)


@pytest.mark.parametrize(
    ("state", "quality", "value"),
    [
        ("0", Quality.GOOD, 52), ("1", Quality.GOOD, 52), ("2", Quality.GOOD, 52),
        ("4", Quality.CALIBRATION, 52), ("5", Quality.CALIBRATION, 52),
        ("8", Quality.OVER_RANGE, None), ("9", Quality.OVER_RANGE, None),
        ("16", Quality.COMM_FAULT, None), ("32", Quality.COMM_FAULT, None),
        ("64", Quality.INHIBITED, 52), ("128", Quality.IMPLAUSIBLE, None),
        ("256", Quality.IMPLAUSIBLE, None), ("", Quality.IMPLAUSIBLE, None),
        ("-1", Quality.IMPLAUSIBLE, None), ("0.0", Quality.IMPLAUSIBLE, None),
        ("正常", Quality.IMPLAUSIBLE, None), ("٣", Quality.IMPLAUSIBLE, None),
    ],
)  # fmt: skip
def test_states_are_bits(state: str, quality: Quality, value: int | None) -> None:
    """Each state code gives its quality; a code that nobody has named is never GOOD."""
    assert said(gas(row(state=state)))[T1][:2] == (value, quality)


@pytest.mark.parametrize(
    "bad",
    [
        {"unit": "%LEL"}, {"unit": ""}, {"unit": "ppm"}, {"unit": "%ch4"}, {"value": ""},
        {"value": "--"}, {"value": "1,5"}, {"value": "1e1"}, {"value": "nan"}, {"value": "+1"},
        {"value": " 0.52"}, {"value": "0.52 "}, {"value": "１.0"}, {"value": "101"},
        {"value": "-0.01"}, {"value": "9" * 12}, {"time": ""}, {"time": "2026-07-01 08:00:33"},
        {"sensor": "一氧化碳"}, {"point": T1 + ";"},
    ],
    ids=str,
)  # fmt: skip
def test_a_row_that_is_not_right_has_no_value(bad: dict[str, str]) -> None:
    """Unit, number, time, sensor and field count are checked; what fails is IMPLAUSIBLE."""
    points = said(gas(row(**bad), row(T2, value="0.10")))
    assert points[T1][:2] == (None, Quality.IMPLAUSIBLE)
    assert points[T2][:2] == (10, Quality.GOOD)


def test_a_point_that_is_absent_is_lost_at_once() -> None:
    """A whole file without a row for a point says that the certified system has lost it."""
    assert said(gas(row(T2)))[T1] == (None, Quality.COMM_FAULT, WALL_MS)
    assert said(gas())[FAN] == (None, Quality.COMM_FAULT, WALL_MS)


def test_two_rows_of_one_point_must_agree() -> None:
    """The same row twice is one; two that differ are no value."""
    assert said(gas(row(), row()))[T1][:2] == (52, Quality.GOOD)
    assert said(gas(row(), row(value="0.60"), row()))[T1][:2] == (None, Quality.IMPLAUSIBLE)


def test_a_value_is_as_old_as_its_row() -> None:
    """A row stamped before its file gives the older time; a switch takes 0 and 1 alone."""
    early = "2026-07-01 08:00:00"
    assert said(gas(row(time=early)))[T1] == (52, Quality.GOOD, WALL_MS - 30_000)
    for value, expected in (("1", 1), ("0", 0), ("2", None), ("开", None)):
        got = said(gas(row(FAN, "局部通风机", value, "")))[FAN]
        assert got.value == expected
        assert (got.quality is Quality.GOOD) == (expected is not None)


@pytest.mark.parametrize(
    ("code", "spoil"),
    [
        ("unfinished", lambda t: t[:-2]), ("unfinished", lambda t: t[:-1]),
        ("unfinished", lambda t: t.replace("~||", "||")), ("unfinished", lambda t: ""),
        ("after_end", lambda t: t + t), ("unfinished", lambda t: t + "x"),
        ("control_characters", lambda t: t.replace("~", "~\r\n")),
        ("control_characters", lambda t: t + "\n"), ("control_characters", lambda t: "\0" + t),
        ("full_width", lambda t: t.replace(";", "；")),
        ("full_width", lambda t: t.replace("工作面", "面；")),
        ("wrong_mine", lambda t: t.replace(CODE, "220181004689")),
        ("wrong_mine", lambda t: "x" + t), ("header", lambda t: t.replace(";示范煤矿", "", 1)),
        ("bad_time", lambda t: t.replace(TIME, "2026-13-01 08:00:30", 1)),
        ("too_many_records", lambda t: t.replace("~||", "~" * 60_000 + "||")),
    ],
)  # fmt: skip
def test_a_file_that_is_not_whole_counts_for_nothing(code: str, spoil) -> None:
    """Every fault of a file has its own word, and no value of such a file is used."""
    with pytest.raises(FileRefusedError) as refused:
        said(spoil(gas(row())))
    assert refused.value.code == code


def test_both_encodings_are_read_and_no_other() -> None:
    """UTF-8, with or without its mark, and GBK give the same; other bytes are refused."""
    text = gas(row())
    assert said(text) == said(text, "gbk") == said("\ufeff" + text)
    with pytest.raises(FileRefusedError, match="encoding"):
        parse_gas(D, text.encode("utf-16"), CODE, WANTED)


def test_a_file_cut_at_any_byte_is_no_file() -> None:
    """Half-written at whatever byte, in either encoding: refused, never a shorter truth."""
    for data in (gas(row(), row(T2)).encode(), gas(row(), row(T2)).encode("gbk")):
        for end in range(len(data)):
            with pytest.raises(FileRefusedError):
                parse_gas(D, data[:end], CODE, WANTED)


def oracle(text: str) -> dict[str, tuple[int, str]]:
    """Read GOOD rows another way: one expression over the whole text, no splitting."""
    line = re.compile(
        rf"(?:(?<=~))({T1}|{T2});(?:环境瓦斯|[^;~]*);[^;~]*;(\d+(?:\.\d+)?);(%CH4|%|％CH4|％);0*[0123];"
        r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)~"
    )
    found: dict[str, tuple[int, str]] = {}
    rest = text
    while (match := line.search(rest)) is not None:
        cents = (Decimal(match[2]) * 100).quantize(Decimal(1), ROUND_HALF_UP)
        found[match[1]] = (int(cents), match[4])
        rest = rest[match.end() - 1 :]
    return found


def mutate(rng: random.Random, data: bytes) -> bytes:
    """Spoil a few bytes."""
    for _ in range(rng.randint(1, 3)):
        at, way = rng.randrange(len(data)), rng.randrange(4)
        piece = bytes((rng.choice(b"0123456789.;~|%-: \n\x00\xff\xa3"),))
        if way == 0:
            data = data[:at] + piece + data[at + 1 :]
        elif way == 1:
            data = data[:at] + piece + data[at:]
        elif way == 2:
            data = data[:at] + data[at + rng.randint(1, 9) :]
        else:
            other = rng.randrange(len(data))
            data = data[:at] + data[other : other + 40] + data[at:]
        if not data:
            return data
    return data


def test_no_mutation_makes_a_wrong_value_good() -> None:
    """Of 20 000 spoiled files none escapes, and what is GOOD is what another reader reads there."""
    rng = random.Random(20_260)
    text = gas(row(), row(T2, value="1.05", unit="%"), row(FAN, "局部通风机", "1", ""))
    data, believed = text.encode(), 0
    for _ in range(20_000):
        spoiled = mutate(rng, data)
        try:
            points = parse_gas(D, spoiled, CODE, WANTED).points
        except FileRefusedError:
            continue
        truth = oracle(spoiled.decode())
        for point in (T1, T2):
            if points[point].quality is Quality.GOOD:
                believed += 1
                assert points[point].value == truth[point][0], spoiled.decode()
                assert (points[point].value is None) == (points[point].quality is not Quality.GOOD)
    assert believed > 1_000


@given(data=st.binary(max_size=400))
@settings(max_examples=300)
def test_bytes_of_any_kind_are_only_refused(data: bytes) -> None:
    """Whatever lies in the folder, the parser refuses it and nothing else."""
    for parse, wanted in ((parse_gas, WANTED), (parse_people, {"mine"})):
        with pytest.raises(FileRefusedError):
            parse(D, data, CODE, wanted)  # type: ignore[operator]


def test_an_empty_snapshot_means_nobody() -> None:
    """A file of people without rows is legal and counts zero, GOOD."""
    assert counts() == dict.fromkeys(("mine", "A1", "A2"), Said(0, Quality.GOOD, WALL_MS))


def test_people_are_counted_by_flag_and_area() -> None:
    """Flag 1 is underground; at the mouth and just out are not; a card twice is one person."""
    got = counts(
        person("c1"), person("c1"), person("c2", area="A2"), person("c3", flag="0"),
        person("c4", flag="2"), person("c5", area="A9"),
    )  # fmt: skip
    assert [got[each].value for each in ("mine", "A1", "A2")] == [3, 1, 1]


def test_the_newer_row_of_a_card_counts() -> None:
    """A card that is in two areas, or in and out, is where it was heard last; a tie is no count."""
    early = "2026-07-01 07:00:00"
    moved = counts(person("c1", area="A1", since=early), person("c1", area="A2"))
    assert [moved[each].value for each in ("mine", "A1", "A2")] == [1, 0, 1]
    left = counts(person("c1", since=early), person("c1", flag="2"))
    assert left["mine"].value == 0
    tie = counts(person("c1", area="A1"), person("c1", area="A2"), person("c2"))
    assert tie["mine"] == (2, Quality.GOOD, WALL_MS)
    assert tie["A1"][:2] == tie["A2"][:2] == (None, Quality.IMPLAUSIBLE)
    unsure = counts(person("c1"), person("c1", flag="2"))
    assert unsure["mine"][:2] == (None, Quality.IMPLAUSIBLE)


@pytest.mark.parametrize(
    "torn", ["c9;某;1", person("c9", flag="3"), person(""), person("c9") + ";"]
)
def test_one_torn_row_spoils_a_count(torn: str) -> None:
    """People cannot be counted around a row that nobody can read: the file is refused."""
    with pytest.raises(FileRefusedError, match="bad_row"):
        counts(person("c1"), torn)


def test_the_second_dialect_has_its_own_marks() -> None:
    """The N variant ends records with ^ and files with ]]], and refuses the other's."""
    dialect = load_dialect("2019-n")
    text = gas(row()).replace("~", "^").replace("||", "]]]")
    assert parse_gas(dialect, text.encode(), CODE, WANTED).points[T1][:2] == (52, Quality.GOOD)
    assert dialect.gas.type == "NCDSS"
    with pytest.raises(FileRefusedError, match="unfinished"):
        parse_gas(dialect, gas(row()).encode(), CODE, WANTED)


def test_every_dialect_says_where_it_is_from() -> None:
    """Each dialect loads, cites its source and names no quality that a wire cannot give."""
    assert set(dialects()) >= {"2019", "2019-n"}
    for name in dialects():
        assert load_dialect(name).source


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("text", "field", "~"), ("text", "end", "~~"), ("text", "encodings", ["ascii"]),
        ("gas", "fields", ["point"]), ("gas", "stale_s", 30), ("gas", "unknown", 1),
        ("people", "flags", {"inside": ["1"], "outside": ["1"]}), ("states", "3", "good"),
        ("states", "1", "stale"), ("dialect", "maturity", "sure"),
    ],
)  # fmt: skip
def test_a_wrong_dialect_is_refused_with_its_key(table: str, key: str, value: object) -> None:
    """A dialect file that cannot be says where, instead of reading files some other way."""
    import copy
    import tomllib
    from importlib import resources

    path = resources.files("minewatch_drivers").joinpath("dialects", "2019.toml")
    tree = copy.deepcopy(tomllib.loads(path.read_text("utf-8")))
    tree[table][key] = value
    with pytest.raises(DeviceFileError, match=r"dialects/x\.toml"):
        build_dialect("x", tree)
