"""`device …`: shipped files, one's own against its frames and a live device, a new one."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from minewatch_drivers.device_files import device_file
from minewatch_drivers.wire import modbus

from minewatch.cli import exit_codes
from minewatch.cli.device import device

VALUE = 21.5
HIGH, LOW = struct.unpack(">HH", struct.pack(">f", VALUE))
UNKNOWN = {(3, 100): HIGH, (3, 101): LOW, (3, 102): 3, (1, 0): 1, (1, 1): 0}
"""A device without a file: a float, a count and two coils."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in an empty folder, with the shipped device files alone."""
    monkeypatch.chdir(tmp_path)
    device_file.provide(())
    yield
    device_file.provide(())


def run(*arguments: object) -> Result:
    """Run a `device` verb."""
    return CliRunner().invoke(device, [str(each) for each in arguments])


def test_every_shipped_file_is_listed() -> None:
    """The list has each name once, with maker and maturity."""
    rows = json.loads(run("list", "--json").output)

    assert sorted(each["name"] for each in rows) == list(device_file.catalogue())
    assert all(each["maker"] and each["maturity"] for each in rows)


@pytest.mark.parametrize("name", ["lambrecht-air-speed", "relay-module-8-watchdog"])
def test_a_file_is_shown_with_its_traps(name: str) -> None:
    """Signals or channels and every trap stand on the screen."""
    shown = run("show", name)

    words = " ".join(shown.output.split())
    model = device_file.load(name)
    assert shown.exit_code == exit_codes.OK
    assert all(" ".join(trap.split()) in words for trap in model.traps)


@pytest.mark.parametrize(
    "name",
    [
        "methane-head-generic",
        "crowcon-vortex-methane",
        "uhfreader18",
        "nmea-receiver",
        "rf-reader-drain",
    ],
)
def test_a_shipped_file_holds(name: str) -> None:
    """What its frames mean is shown beside what they must mean, and agrees."""
    ended = run("test", name, "--json")

    assert ended.exit_code == exit_codes.OK
    assert json.loads(ended.output)["problems"] == []


def test_a_wrong_expectation_is_named(tmp_path: Path) -> None:
    """A file whose frame means something else leaves with 1 and says frame, signal and both."""
    shipped = Path(device_file.__file__).parents[1] / "devices/gas/methane-head-generic.toml"
    text = shipped.read_text("utf-8")
    (tmp_path / "mine.toml").write_text(text.replace('"1.02"', '"1.03"'), "utf-8")

    ended = run("test", "mine.toml")

    assert ended.exit_code == exit_codes.CHECK_FAILED
    assert "must be 1.03 normal but is 1.02 normal" in " ".join(ended.output.split())


def test_a_wrong_example_of_a_vendor_protocol_is_named(tmp_path: Path) -> None:
    """A card that a frame does not tell is a problem like any other."""
    shipped = Path(device_file.__file__).parents[1] / "devices/people/rdm6300-card.toml"
    text = shipped.read_text("utf-8")
    assert text.count('"13005D1DA5"') == 1
    (tmp_path / "card.toml").write_text(text.replace('"13005D1DA5"', '"13005D1DA6"'), "utf-8")

    ended = run("test", "card.toml", "--json")

    assert ended.exit_code == exit_codes.CHECK_FAILED
    (problem,) = json.loads(ended.output)["problems"]
    assert (problem["code"], problem["found"]) == ("example", "13005D1DA5")


def test_a_live_device_with_another_identity_fails(tcp: Any, slave: Any) -> None:
    """Its values look right, but the line would believe none of them: 1, and said."""
    url = tcp(slave({7: {(4, 0): 0x1234, (4, 1): 7, (4, 2): 0, (4, 3): 44}}))

    ended = run("test", "methane-head-generic", "--on", url, 7)

    assert ended.exit_code == exit_codes.CHECK_FAILED
    assert "is not this device's" in " ".join(ended.output.split())


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (None, exit_codes.IO_ERROR, "cannot be read"),
        (b"[device]\nidentitty = 1\n", exit_codes.CONFIGURATION, "identity"),
        (b"not toml", exit_codes.CONFIGURATION, "TOML"),
        (b"\xff\xfe", exit_codes.IO_ERROR, "UTF-8"),
    ],
)
def test_what_is_no_device_file_is_said(
    tmp_path: Path, text: bytes | None, code: int, words: str
) -> None:
    """No file, no text, no TOML, a wrong key: each with its exit code and the place."""
    if text is not None:
        (tmp_path / "mine.toml").write_bytes(text)

    ended = run("test", "mine.toml")

    assert ended.exit_code == code
    assert words in ended.output


def test_an_unknown_device_becomes_a_file_that_a_person_finishes(
    tcp: Any, slave: Any, tmp_path: Path
) -> None:
    """The walk: survey, a file that loads, values as comments, then filled in and proved live."""
    made = slave({7: dict(UNKNOWN)})
    url = tcp(made)

    begun = run("new", "north-air", "--from", url, 7)
    assert begun.exit_code == exit_codes.OK
    assert all(pdu[0] in modbus.READS for _, pdu in made.asked)
    path = tmp_path / "north-air.toml"
    text = path.read_text("utf-8")
    assert "#   100: " in text
    assert "f32 21.5" in text
    assert device_file.parse("north-air", "site", text).signals.keys() >= {"holding100", "coil0"}
    assert run("test", path).exit_code == exit_codes.CHECK_FAILED

    path.write_text(_finished(text), "utf-8")
    ended = run("test", path, "--on", url, 7, "--json")

    assert ended.exit_code == exit_codes.OK, ended.output
    seen = json.loads(ended.output)["live"]["signals"]["air"]
    assert (seen["value"], seen["quality"], seen["raw"]) == (2150, "GOOD", [HIGH, LOW])


def _finished(text: str) -> str:
    """Return the file as a person leaves it: one signal named and expected, the others gone."""
    head = text[: text.index("# name, kind and range")]
    signal = (
        '[signals.air]\ntable = "holding"\naddress = 100\ntype = "f32"\nscale = "1"\n'
        'kind = "air_speed"\nlow = "0"\nhigh = "60"\n\n'
    )
    frame = text[text.index("[[frames]]") :].split("\n\n", maxsplit=1)[0]
    return head + signal + frame.replace("expect = {}", 'expect = { air = ["21.50", "good"] }')


def test_the_file_of_the_handbook_holds(tmp_path: Path) -> None:
    """The device file at the end of the walk in docs/commissioning.md is proved by its frame."""
    text = (Path(__file__).parents[2] / "docs/commissioning.md").read_text("utf-8")
    (tmp_path / "carbon-head.toml").write_text(text.split("```toml\n")[1].split("```")[0], "utf-8")

    ended = run("test", "carbon-head.toml")

    assert ended.exit_code == exit_codes.OK, ended.output


def test_nothing_is_overwritten(tcp: Any, slave: Any, tmp_path: Path) -> None:
    """A file that is there, a shipped name and a name that is none are refused unasked."""
    made = slave({7: dict(UNKNOWN)})
    url = tcp(made)
    (tmp_path / "north-air.toml").write_text("mine")

    codes = [
        run("new", name, "--from", url, 7).exit_code
        for name in ("north-air", "methane-head-generic", "../x")
    ]

    assert codes == [exit_codes.IO_ERROR, exit_codes.CONFIGURATION, exit_codes.USAGE]
    assert (tmp_path / "north-air.toml").read_text() == "mine"
    assert made.asked == []


def test_a_device_that_gives_nothing_or_falls_mute_is_said(tcp: Any, slave: Any) -> None:
    """No readable address is 74; running out of questions says that the survey is not complete."""
    url = tcp(slave({7: {}, 8: dict(UNKNOWN)}))

    assert run("new", "empty", "--from", url, 7).exit_code == exit_codes.IO_ERROR
    short = run("new", "short", "--from", url, 8, "--questions", 58)
    assert short.exit_code == exit_codes.OK
    assert "not complete" in short.output
    mute = run("new", "mute", "--from", url, 9, "--timeout", 30)
    assert mute.exit_code == exit_codes.IO_ERROR
    assert "does not answer" in mute.output
    there = run("new", "there", "--from", url, 8, "--at", "holding", 100, 2)
    assert (there.exit_code, "1 questions" in there.output) == (exit_codes.OK, True)
