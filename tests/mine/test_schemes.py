"""Schemes find their causes; what may vote, permit, start and ventilate is checked."""

from dataclasses import replace
from typing import Any

import pytest

from minewatch.mine import check_interlocks
from minewatch.mine.build import Builder
from minewatch.mine.fault import Faults
from minewatch.mine.rules import load_rules
from minewatch.mine.rules.fans import load_restart
from minewatch.mine.shape import shape
from minewatch.mine.source import read
from minewatch.model.mine import Cause, Condition, Mine, Scheme


def _interlock(mine: Mine, key: str) -> dict[Condition, list[str]]:
    """Return the points of an interlock's causes by condition."""
    (row,) = [each for each in mine.interlocks if each.id == key]
    found: dict[Condition, list[str]] = {}
    for cause in row.causes:
        found.setdefault(cause.condition, []).append(cause.point)
    return found


def _with(spoiled: Any, row: str) -> Mine:
    spoiled.append("outputs.toml", f"\n[[interlock]]\n{row}\n")
    loaded = spoiled.load()
    assert loaded.mine is not None, [str(fault) for fault in loaded.faults]
    return loaded.mine


FOUND = {
    "methane_electric": (
        'zones = ["face_12301", "return_12301"]',
        {
            Condition.TRIP: ["12301_T0", "12301_T1", "12301_T2", "12301_T3"],
            Condition.FAULT: ["12301_T0", "12301_T1", "12301_T2", "12301_T3"],
        },
    ),
    "fault_lock": ('zones = ["heading_12303"]', {Condition.FAULT: ["12303_T1", "12303_T2"]}),
    "fan_electric": (
        'zones = ["heading_12303"]',
        {Condition.OFF: ["12303_WIND"], Condition.FAULT: ["12303_WIND"]},
    ),
    "remote_cut": (
        'zones = ["heading_12303"]\ncauses = [{ point = "12303_T1", condition = "trip" }]',
        {Condition.TRIP: ["12303_T1"], Condition.FAULT: ["12303_T1"]},
    ),
}


@pytest.mark.parametrize("scheme", FOUND)
def test_a_scheme_finds_its_causes(scheme: str, spoiled: Any) -> None:
    """Named zones are enough: heads with a trip limit, ducts, and the fault of each."""
    keys, wanted = FOUND[scheme]
    output = "cut_12301" if scheme == "methane_electric" else "cut_12303"
    mine = _with(
        spoiled, f'id = "x"\nname = "x"\nscheme = "{scheme}"\n{keys}\noutputs = ["{output}"]'
    )
    assert {k: sorted(v) for k, v in _interlock(mine, "x").items()} == wanted
    (row,) = [each for each in mine.interlocks if each.id == "x"]
    assert row.scheme is Scheme(scheme)


def test_a_heading_without_its_row_of_fans_is_cut_by_the_fan_itself(spoiled: Any) -> None:
    """Where nobody watches a changeover the stop of the main fan is a cause of its own."""
    text = spoiled.text("outputs.toml")
    spoiled.write("outputs.toml", text[: text.index("# Two fans for each heading")])
    row = 'id = "x"\nname = "x"\nscheme = "fan_electric"\nzones = ["heading_12303"]'
    mine = _with(spoiled, f'{row}\noutputs = ["cut_12303"]')
    assert _interlock(mine, "x")[Condition.OFF] == ["12303_FAN1", "12303_WIND"]
    assert {fault.code for fault in spoiled.load().faults} == {"fan_not_watched"}


def test_a_scheme_and_a_name_give_a_cause_once(spoiled: Any) -> None:
    """A head that is named and found stands once, in the order of naming first."""
    mine = _with(
        spoiled,
        'id = "x"\nname = "x"\nscheme = "methane_electric"\nzones = ["heading_12303"]\n'
        'causes = [{ point = "12303_T2", condition = "trip" }]\noutputs = ["cut_12303"]',
    )
    (row,) = [each for each in mine.interlocks if each.id == "x"]
    assert row.causes[0] == Cause("12303_T2", Condition.TRIP)
    assert len(row.causes) == len(set(row.causes)) == 4


def test_the_demo_mine_has_its_fans(demo: Any) -> None:
    """Both headings have main, standby and duct, and the figures of the rule."""
    limits = load_restart()
    for row, zone in zip(demo.mine.local_fans, ("heading_12303", "heading_12304"), strict=True):
        number = zone[-5:]
        assert (row.zone, row.main, row.standby) == (zone, f"{number}_FAN1", f"{number}_FAN2")
        assert row.duct == (f"{number}_WIND",)
        assert row.changeover_ms == 10_000
        assert (row.block_cpct, row.controlled_cpct, row.fan_air_cpct) == (300, 100, 50)
        assert row.citation == limits.citation


@pytest.mark.parametrize(
    ("old", "new", "changeover_ms", "ducts"),
    [
        ('duct = ["12303_WIND"]\n', "changeover_s = 4\n", 4_000, ("12303_WIND",)),
        ('standby = "12303_FAN2"\n', "", 0, ("12303_WIND",)),
    ],
)
def test_what_a_row_of_fans_leaves_out(
    old: str, new: str, changeover_ms: int, ducts: tuple[str, ...], spoiled: Any
) -> None:
    """Without a duct all of the heading's count; without a standby fan there is no changeover."""
    spoiled.replace("outputs.toml", old, new)
    loaded = spoiled.load()
    assert loaded.mine is not None
    row = loaded.mine.local_fans[0]
    assert (row.changeover_ms, row.duct) == (changeover_ms, ducts)


# ---------------------------------------------------------------- refusals

PLAIN = 'id = "x"\nname = "x"\noutputs = ["cut_12303"]\n'
ONE = '{ point = "12303_T1", condition = "trip" }'
TWO = '{ point = "12303_T2", condition = "trip" }'
DISTRICT = 'id = "methane_district"'
REFUSED = {
    "no cause": (f"{PLAIN}", "interlock_empty"),
    "zone without such points": (
        f'{PLAIN}scheme = "series"\nzones = ["heading_12303"]',
        "interlock_empty",
    ),
    "record only": (
        f'{PLAIN}causes = [{{ point = "DR_DOOR1", condition = "fault" }}, '
        '{ point = "TR_TEMP", condition = "fault" }]',
        "cause_monitoring_only",
    ),
    "votes of two places": (
        f"{PLAIN}votes_needed = 1\ncauses = [{ONE}, {TWO}]",
        "votes_mixed_places",
    ),
    "vote of one": (f"{PLAIN}votes_needed = 1\ncauses = [{ONE}]", "votes_mixed_places"),
    "spread without votes": (
        f'{PLAIN}votes_spread = "0.30"\ncauses = [{ONE}]',
        "spread_without_votes",
    ),
    "permissive without limit": (
        f'{PLAIN}causes = [{ONE}]\npermissives = ["DR_DOOR1"]',
        "permissive_without_limit",
    ),
    "votes out of range": (f"{PLAIN}votes_needed = 3\ncauses = [{ONE}]", "out_of_bounds"),
    "unknown scheme": (f'{PLAIN}scheme = "series_x"\ncauses = [{ONE}]', "bad_choice"),
}


@pytest.mark.parametrize("slip", REFUSED)
def test_an_interlock_that_is_refused(slip: str, spoiled: Any) -> None:
    """One slip is one fault."""
    text, code = REFUSED[slip]
    spoiled.append("outputs.toml", f"\n[[interlock]]\n{text}\n")
    assert {each[0] for each in spoiled.faults()} == {code}


@pytest.mark.parametrize(
    ("needed", "spread", "codes"),
    [(1, "0.30", set()), (2, "0.30", {"votes_too_few_heads"}), (1, "0.301", {"not_whole_units"})],
)
def test_two_heads_of_one_place(needed: int, spread: str, codes: set[str], spoiled: Any) -> None:
    """Two heads may watch each other, but two of two is refused; a spread is in whole units."""
    spoiled.replace(
        "outputs.toml",
        'name = "采区回风甲烷电闭锁"\n',
        f'name = "采区回风甲烷电闭锁"\nvotes_needed = {needed}\nvotes_spread = "{spread}"\n',
    )
    assert {each[0] for each in spoiled.faults()} == codes
    if not codes:
        (row,) = [i for i in spoiled.load().mine.interlocks if i.id == "methane_district"]
        assert (row.votes_needed, row.spread) == (1, 30)


def test_three_heads_may_need_two_votes(spoiled: Any) -> None:
    """2oo3 is taken where three heads stand at one place."""
    rows = spoiled.text("points.csv")
    head = "DR_CH4_1,采区回风甲烷1,methane,district_return,head_DR_CH4_1,methane"
    assert rows.count(head) == 1
    third = next(line for line in rows.splitlines() if line.startswith("DR_CH4_2")).replace(
        "DR_CH4_2", "DR_CH4_3"
    )
    spoiled.write("points.csv", f"{rows}{third}\n")
    spoiled.append(
        "devices.toml",
        '\n[[device]]\nid = "head_DR_CH4_3"\nbus = "gw_west"\nunit = 30\n'
        'model = "methane-head-generic"\n',
    )
    spoiled.replace(
        "outputs.toml",
        '    { point = "DR_CH4_2", condition = "trip" },\n',
        '    { point = "DR_CH4_2", condition = "trip" },\n'
        '    { point = "DR_CH4_3", condition = "trip" },\n',
    )
    spoiled.replace(
        "outputs.toml",
        'name = "采区回风甲烷电闭锁"\n',
        'name = "采区回风甲烷电闭锁"\nvotes_needed = 2\n',
    )
    assert spoiled.faults() == set()


AREA = {
    "face head cuts another face": ("12301_T1", "cut_12301", "cut_12302", "cut_wrong_area"),
    "return head cuts another face": ("12301_T2", "cut_12301", "cut_12302", "cut_wrong_area"),
}


@pytest.mark.parametrize("how", AREA)
def test_a_head_must_cut_its_own_area(how: str, spoiled: Any) -> None:
    """A trip that reaches only another face is refused with the words of the row."""
    point, own, other, code = AREA[how]
    cause = f'    {{ point = "{point}", condition = "trip" }},\n'
    spoiled.replace("outputs.toml", cause, "")
    spoiled.append(
        "outputs.toml",
        f'\n[[interlock]]\nid = "x"\nname = "x"\noutputs = ["{other}"]\ncauses = [\n{cause}]\n',
    )
    assert {each[0] for each in spoiled.faults()} == {code}
    spoiled.replace("outputs.toml", f'id = "x"\nname = "x"\noutputs = ["{other}"]',
                    'id = "x"\nname = "x"\noutputs = ["cut_west"]')  # fmt: skip
    assert spoiled.faults() == set(), "a switch above the area's own cuts it too"
    assert own == "cut_12301"


SERIES = (
    "12304_T3,12304局部通风机前甲烷T3,methane,{zone},head_S,methane,heading_series_intake,,,,,,,"
)


def _series(spoiled: Any, zone: str, output: str) -> set[str]:
    rows = spoiled.text("points.csv")
    spoiled.write("points.csv", f"{rows}{SERIES.format(zone=zone)}\n")
    spoiled.append(
        "devices.toml",
        '\n[[device]]\nid = "head_S"\nbus = "gw_west"\nunit = 30\nmodel = "methane-head-generic"\n',
    )
    spoiled.append(
        "outputs.toml",
        f'\n[[interlock]]\nid = "x"\nname = "x"\nscheme = "series"\nzones = ["{zone}"]\n'
        f'outputs = ["{output}"]\n',
    )
    return {each[0] for each in spoiled.faults()}


def test_a_series_head_cuts_the_area_downstream(spoiled: Any) -> None:
    """In the heading itself it cuts that heading."""
    assert _series(spoiled, "heading_12304", "cut_12304") == set()


@pytest.mark.parametrize(
    ("zone", "output"), [("heading_12304", "cut_12303"), ("pit_bottom", "cut_12304")]
)
def test_a_series_head_without_its_downstream_area(zone: str, output: str, spoiled: Any) -> None:
    """Another heading's cut, or a place that no area is downwind of, is refused."""
    assert _series(spoiled, zone, output) == {"series_without_downstream"}


FAN = 'main = "12303_FAN1"\nstandby = "12303_FAN2"\nduct = ["12303_WIND"]'
FANS: dict[str, tuple[str, str, set[str]]] = {
    "main is no fan": (FAN, FAN.replace("12303_FAN1", "12303_T1"), {"local_fan_wrong_kind"}),
    "standby is no fan": (FAN, FAN.replace("12303_FAN2", "DR_DOOR1"), {"local_fan_wrong_kind"}),
    "duct is no duct": (FAN, FAN.replace('WIND"]', 'WIND", "DR_DOOR1"]'), {"local_fan_wrong_kind"}),
    "near is no head": (FAN, f'{FAN}\nnear = ["12303_CO"]', {"local_fan_wrong_kind"}),
    "a head near it": (FAN, f'{FAN}\nnear = ["12303_T2"]', set()),
    "one fan twice": (FAN, FAN.replace("12303_FAN2", "12303_FAN1"), {"local_fan_shared"}),
    "another's fan": (FAN, FAN.replace("12303_FAN2", "12304_FAN2"), {"local_fan_shared"}),
    "no heading": ('zone = "heading_12303"\nmain', 'zone = "face_12301"\nmain',
                   {"local_fan_zone", "fan_not_watched"}),
    "start without head": (FAN, f'{FAN}\nstart = "cut_12303"',
                           {"fan_start_without_head", "fan_start_wrong_role"}),
    "start of a wrong role": (FAN, f'{FAN}\nnear = ["12303_T2"]\nstart = "cut_12303"',
                              {"fan_start_wrong_role"}),
    "too slow": (FAN, f"{FAN}\nchangeover_s = 11", {"looser_bound"}),
    "certified": (FAN, FAN.replace('"12303_FAN2"', '"CERT"'), {"unknown_reference"}),
}  # fmt: skip


@pytest.mark.parametrize("slip", FANS)
def test_a_row_of_fans_that_is_refused(slip: str, spoiled: Any) -> None:
    """Each point of a row says what it is named for, and stands in one row."""
    old, new, codes = FANS[slip]
    spoiled.replace("outputs.toml", old, new)
    assert {each[0] for each in spoiled.faults()} == codes


START = """
[[output]]
id = "start_12303"
name = "12303局部通风机启动许可"
role = "fan_start"
zone = "heading_12303"
device = "relay_2"
signal = "coil_5"
"""


def test_a_start_permit_belongs_to_a_fan(spoiled: Any) -> None:
    """Alone it is refused; named by a row with a head near the fan it loads."""
    spoiled.append("outputs.toml", START)
    assert {each[0] for each in spoiled.faults()} == {"fan_start_unused"}
    spoiled.replace("outputs.toml", FAN, f'{FAN}\nnear = ["12303_T2"]\nstart = "start_12303"')
    assert spoiled.faults() == set()
    assert spoiled.load().mine.local_fans[0].start == "start_12303"


def test_a_second_duct_alone_is_no_interlock_of_these_fans(spoiled: Any) -> None:
    """Fans whose own points cut nothing are refused although something in the heading does."""
    spoiled.replace(
        "outputs.toml",
        '    { point = "12303_WIND", condition = "off" },\n',
        '    { point = "12303_O", condition = "off" },\n',
    )
    rows = spoiled.text("points.csv")
    other = "12303_O,12303风筒风量2,duct_wind,heading_12303,switch_12303,input_4,duct_wind,,,,,,,"
    spoiled.write("points.csv", f"{rows}{other}\n")
    assert {each[0] for each in spoiled.faults()} == {"local_fan_without_interlock"}


def test_a_certified_point_decides_nothing(spoiled: Any) -> None:
    """A value of the certified system's files is no head near a fan and no permissive."""
    spoiled.replace("outputs.toml", FAN, f'{FAN}\nnear = ["KJ_12301_T1"]')
    spoiled.append(
        "outputs.toml",
        f'\n[[interlock]]\n{PLAIN}causes = [{ONE}]\npermissives = ["KJ_12301_T1"]\n',
    )
    assert [each[0] for each in sorted(spoiled.faults())] == ["certified_decides"] * 2


def test_a_head_without_an_alarm_limit_may_not_vote(spoiled: Any) -> None:
    """Each single head must alarm by itself, whatever the rows of the table will say one day."""
    spoiled.replace(
        "outputs.toml",
        'name = "采区回风甲烷电闭锁"\n',
        'name = "采区回风甲烷电闭锁"\nvotes_needed = 1\n',
    )
    faults = Faults()
    shaped = shape(read(spoiled.folder, faults), faults)
    builder = Builder(shaped, load_rules(), faults)
    builder.build()
    points = tuple(
        replace(p, limits=replace(p.limits, alarm=None)) if p.id == "DR_CH4_2" else p
        for p in builder.points
    )
    check_interlocks.check(shaped, points, load_rules(), faults)
    (fault,) = faults.sorted()
    assert (fault.code, fault.fields["point"]) == ("vote_without_alarm", "DR_CH4_2")
