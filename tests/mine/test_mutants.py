"""One slip in the demo mine gives one fault: right code, right file, right line, nothing else."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from minewatch.cli import exit_codes, main
from minewatch.text import Catalogue

MUTANTS = tomllib.loads(Path(__file__).with_name("mutants.toml").read_text(encoding="utf-8"))

HEAD = "12301_T1,12301工作面甲烷T1,methane,face_12301,head_12301_T1,methane,face,670 240,0.80,,,,,"
FAST = "scan_ms = 1000\ntimeout_ms = 300"


@pytest.mark.parametrize("mutant", MUTANTS["mutant"], ids=lambda each: str(each["name"]))
def test_one_slip_is_one_fault_and_leaves_with_78(mutant: dict[str, Any], spoiled: Any) -> None:
    """`check` says the right code in the right file on the right line, alone, and refuses."""
    line = spoiled.replace(mutant["file"], mutant["old"], mutant["new"]) + mutant.get("offset", 0)
    file = mutant["file"]
    if "at" in mutant:
        file, text = mutant["at"]
        line = spoiled.text(file)[: spoiled.text(file).index(text)].count("\n") + 1

    result = CliRunner().invoke(main, ["check", str(spoiled.folder), "--json"])

    faults = json.loads(result.stdout)["faults"]
    places = {(each["code"], Path(each["file"]).name, each["line"]) for each in faults}
    assert places >= {(mutant["code"], file, line)}
    assert {each["code"] for each in faults} == {mutant["code"]}
    assert result.exit_code == exit_codes.CONFIGURATION


DROP_ALL = """
[[device]]
id = "relay_4"
bus = "line_headings"
unit = 21
model = "relay-drop-all"
"""


def test_an_all_off_relay_is_refused_for_a_siren(spoiled: Any) -> None:
    """A relay that can only drop everything would silence the siren with the controller."""
    spoiled.append("devices.toml", DROP_ALL)
    line = spoiled.replace(
        "outputs.toml",
        'device = "relay_3"\nsignal = "coil_1"',
        'device = "relay_4"\nsignal = "coil_1"',
    )

    assert spoiled.faults() == {("relay_at_loss", "outputs.toml", line)}


def test_the_same_relay_may_cut_power(spoiled: Any) -> None:
    """Dropping everything is what a power cut needs."""
    spoiled.append("devices.toml", DROP_ALL)
    spoiled.replace(
        "outputs.toml",
        'device = "relay_1"\nsignal = "coil_3"',
        'device = "relay_4"\nsignal = "coil_3"',
    )

    assert spoiled.faults() == set()


@pytest.mark.parametrize("key", ["alarm_delay_s", "on_delay", "trip_delay_ms", "DELAY"])
def test_a_delay_on_methane_is_refused(key: str, spoiled: Any) -> None:
    """No key that would delay a methane alarm exists, and the fault says why (practice 6)."""
    rows = spoiled.text("points.csv").splitlines()
    wide = [f"{row}," for row in rows]
    wide[0] = f"{rows[0]},{key}"
    wide[2] = f"{rows[2]},3"
    spoiled.write("points.csv", "\n".join(wide) + "\n")

    assert spoiled.faults() == {("delay_on_methane", "points.csv", 3)}


def test_a_delay_in_a_toml_point_is_refused(spoiled: Any) -> None:
    """A point written as TOML is held to the same rule."""
    line = spoiled.append(
        "devices.toml",
        '\n[[point]]\nid = "X1"\nname = "X1"\nkind = "methane"\nzone = "district_return"\n'
        'device = "head_DR_CH4_1"\nsignal = "methane"\nplace = "district_return"\n'
        "alarm_delay_s = 3\n",
    )

    assert ("delay_on_methane", "devices.toml", line + 9) in spoiled.faults()


@pytest.mark.parametrize(
    ("seconds", "signer", "codes"),
    [
        ("10", "", set()),
        ("30", "S004", set()),
        ("30", "", {"fault_time_unsigned"}),
        ("30", "S001", {"fault_time_unsigned"}),
        ("31", "S004", {"looser_bound"}),
        ("soon", "", {"wrong_type"}),
    ],
)
def test_a_fault_time_is_signed_and_bounded(
    seconds: str, signer: str, codes: set[str], spoiled: Any
) -> None:
    """10 s by default, up to 30 s with the chief engineer's signature, never more."""
    rows = spoiled.text("points.csv").splitlines()
    wide = [f"{row},," for row in rows]
    wide[0] = f"{rows[0]},fault_after_s,fault_after_signed_by"
    wide[2] = f"{rows[2]},{seconds},{signer}"
    spoiled.write("points.csv", "\n".join(wide) + "\n")

    assert spoiled.faults() == {(code, "points.csv", 3) for code in codes}


def test_all_faults_come_at_once(fresh: Callable[[], Any]) -> None:
    """Faults of shape, reference, limits and safety in four files are shown in one run."""
    spoiled = fresh()
    slips = [
        ("out_of_bounds", 0, "buses.toml", FAST, "scan_ms = 1\ntimeout_ms = 300"),
        ("duplicate_unit", 0, "devices.toml", "unit = 18", "unit = 17"),
        ("looser_limit", 0, "points.csv", HEAD, HEAD.replace("0.80,,,,,", "0.80,1.10,,,,")),
        ("forbidden_load", 0, "outputs.toml", '"substation"', '"local_fan"'),
        ("looser_bound", 0, "mine.toml", "minutes = 60", "minutes = 121"),
    ]  # fmt: skip
    wanted = {
        (code, file, spoiled.replace(file, old, new) + offset)
        for code, offset, file, old, new in slips
    }

    assert spoiled.faults() == wanted


def test_a_file_that_cannot_be_parsed_makes_no_other_faults(spoiled: Any) -> None:
    """What a broken file would have held is not reported as missing."""
    spoiled.write("devices.toml", "[[device\n")

    assert {code for code, _, _ in spoiled.faults()} == {"toml_syntax"}


def test_faults_say_what_why_and_what_to_do_in_both_languages(spoiled: Any) -> None:
    """A fault renders to whole sentences, with the place of the rule and a suggestion."""
    spoiled.replace("points.csv", HEAD, HEAD.replace("0.80,,,,,", "0.80,1.10,,,,"))
    spoiled.replace("buses.toml", FAST, "scan_mss = 1000")
    misspelt, looser = spoiled.load().faults
    chinese = looser.say(Catalogue.load("zh-CN", strict=True))
    english = misspelt.say(Catalogue.load("en", strict=True))

    assert "1.10" in chinese.what
    assert "1.00" in chinese.what
    assert "AQ 1029" in chinese.why
    assert "scan_ms?" in english.do
    assert Path(english.where.rpartition(":")[0]).name == "buses.toml"
