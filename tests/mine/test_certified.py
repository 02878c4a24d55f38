"""What a configuration may say of the certified system: it is read, shown, compared, no more."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from minewatch.cli import main
from minewatch.mine.rules import load_rules
from minewatch.model.kind import Kind

DEMO = Path(__file__).parents[2] / "config/demo-mine"
GAS_CODE = "22018100468801MN0001011A01"
T1 = f'signal = "{GAS_CODE}"\nplace = "certified"'
PEOPLE = 'kind = "headcount"\nzone = "mine"'


@pytest.mark.parametrize(
    ("code", "key", "old", "new"),
    [
        ("certified_dialect", "url = ", "dialect=2019", "dialect=2099"),
        ("bad_url", "url = ", "files:///var/spool/certified?dialect=2019", "files://host/x"),
        ("bad_url", "url = ", "?dialect=2019", "?dialekt=2019"),
        ("certified_with_limits", "alarm = ", T1, f'{T1}\nalarm = "1.00"'),
        ("certified_kind", "kind = ", T1, T1.replace("MN0001", "MN0004")),
        ("certified_kind", "kind = ", PEOPLE, PEOPLE.replace("headcount", "temperature")),
        ("certified_zone", "zone = ", PEOPLE, PEOPLE.replace('"mine"', '"pit_bottom"')),
        ("unknown_reference", "compare_with", '"12301_T1"', '"12301_T9"'),
        ("compare_not_certified", "compare_with", '"12301_T1"', '"KJ_12302_T1"'),
        ("compare_kind", "compare_with", '"12301_T1"', '"12301_CO"'),
        ("compare_twice", "compare_with", '"12302_T1"', '"12301_T1"'),
    ],
)  # fmt: skip
def test_one_slip_is_one_fault(spoiled: Any, code: str, key: str, old: str, new: str) -> None:
    """Each thing that a certified point may not be has its own code, on its own line."""
    at = spoiled.replace("certified.toml", old, new)
    lines = spoiled.text("certified.toml").split("\n")
    near = [n for n, line in enumerate(lines, 1) if line.startswith(key)]

    faults = spoiled.faults()

    assert {fault[0] for fault in faults} == {code}
    assert {fault[1] for fault in faults} == {"certified.toml"}
    assert {fault[2] for fault in faults} == {min(near, key=lambda n: abs(n - at))}


def test_a_code_that_looks_wrong_is_a_warning(spoiled: Any) -> None:
    """A point code of another province loads, with a word of warning."""
    spoiled.replace("certified.toml", GAS_CODE, "X1")
    loaded = spoiled.load()
    assert [fault.code for fault in loaded.faults] == ["certified_code"]
    assert loaded.mine is not None


def test_a_certified_value_cuts_nothing_and_proves_nothing(spoiled: Any) -> None:
    """As cause of an interlock or proof of a cut it is refused: files come late."""
    text = spoiled.text("outputs.toml")
    point = text.split('point = "')[1].partition('"')[0]
    proof = text.split('proof = "')[1].partition('"')[0]
    spoiled.write(
        "outputs.toml",
        text.replace(f'point = "{point}"', 'point = "KJ_12301_T1"', 1).replace(
            f'proof = "{proof}"', 'proof = "KJ_12301_T1"', 1
        ),
    )
    codes = [fault[0] for fault in spoiled.faults()]
    assert codes.count("certified_decides") == 2


def test_wires_and_files_do_not_mix(spoiled: Any) -> None:
    """A head on a folder, a file on a wire and a reader on a folder are each refused."""
    reader = spoiled.replace("people.toml", 'device = "reader_dev_3"', 'device = "kj_people"')
    devices = '\n[[device]]\nid = "X1"\nbus = "{}"\nunit = 99\nmodel = "{}"\n'
    one = spoiled.append("devices.toml", devices.format("certified", "methane-head-generic"))
    two = spoiled.append(
        "devices.toml", devices.format("gw_east", "certified-cdss").replace("X1", "X2")
    )
    assert spoiled.faults() == {
        ("certified_model", "devices.toml", one + 5),
        ("certified_model", "devices.toml", two + 5),
        ("certified_no_device", "people.toml", reader),
    }


def test_a_wired_point_may_not_hide_behind_the_place(spoiled: Any) -> None:
    """A head of ours with the place `certified` would have no limits; a file has no other place."""
    file = spoiled.replace("certified.toml", T1, T1.replace("certified", "face")) + 1
    row = next(r for r in spoiled.text("points.csv").splitlines() if r.startswith("12301_T2,"))
    line = spoiled.replace("points.csv", row, row.replace(",face_return,", ",certified,"))
    faults = spoiled.faults()
    assert ("certified_place", "points.csv", line) in faults
    assert ("certified_place", "certified.toml", file) in faults


def test_either_side_may_name_the_other(spoiled: Any) -> None:
    """The pair is the same whichever point names its companion."""
    pairs = spoiled.load().mine.comparisons
    spoiled.replace("certified.toml", '\ncompare_with = "12301_T1"', "")
    rows = spoiled.text("points.csv").splitlines()
    wide = [f"{row}," for row in rows]
    wide[0] = f"{rows[0]},compare_with"
    wide[2] = f"{rows[2]},KJ_12301_T1"
    spoiled.write("points.csv", "\n".join(wide) + "\n")
    assert set(spoiled.load().mine.comparisons) == set(pairs)


def test_age_limits_and_comparisons_are_data(demo: Any) -> None:
    """Age limits are the dialect's; 0.20 %CH4 for 60 s and one person for 5 min are rules."""
    points = {each.id: each for each in demo.mine.points}
    assert points["KJ_12301_T1"].stale_ms == 90_000
    assert points["KJ_HEADCOUNT"].stale_ms == 900_000
    assert points["12301_T1"].stale_ms == 0
    rules = load_rules().comparisons
    assert all(rule.source.citation for rule in rules.values())
    pairs = {each.id: each for each in demo.mine.comparisons}
    assert (pairs["12301_T1"].more_than, pairs["12301_T1"].for_ms) == (20, 60_000)
    assert (pairs["KJ_HEADCOUNT"].more_than, pairs["KJ_HEADCOUNT"].for_ms) == (0, 300_000)
    assert pairs["KJ_HEADCOUNT"].kind is Kind.HEADCOUNT


def test_check_shows_what_is_compared() -> None:
    """The page of `check` names both sides of each pair and the rule."""
    result = CliRunner().invoke(main, ["check", str(DEMO)], env={"COLUMNS": "200"})
    assert "KJ_12301_T1" in result.stdout
    assert "0.2 %CH4" in result.stdout
