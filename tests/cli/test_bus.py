"""`bus …` against real sockets and ptys: what is shown, what is refused, what is never sent."""

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from minewatch_drivers.address import parse_address
from minewatch_drivers.commission import scan as scanning
from minewatch_drivers.wire import modbus

from minewatch.cli import bus_door, exit_codes
from minewatch.cli.bus import bus
from minewatch.cli.bus_door import Door, listen_first
from minewatch.folder import Folder
from minewatch.model.mine import Bus
from minewatch.text import Catalogue

HEAD = {
    (4, 0): 0x4D48, (4, 1): 7, (4, 2): 0, (4, 3): 44,
}  # fmt: skip
"""A `methane-head-generic`: identity, heartbeat, status, 0.44 %."""

LISTEN = ["--listen", "0.2"]


def run(*arguments: object, typed: str = "") -> Result:
    """Run a `bus` verb."""
    return CliRunner().invoke(bus, [str(each) for each in arguments], input=typed)


def floats(first: int, number: float) -> dict[tuple[int, int], int]:
    """Return the holding registers of a float."""
    high, low = struct.unpack(">HH", struct.pack(">f", number))
    return {(3, first): high, (3, first + 1): low}


def test_raw_words_stand_beside_what_they_could_mean(tcp: Any, slave: Any) -> None:
    """A float is shown as one, and its order is the one that is plausible."""
    url = tcp(slave({3: floats(100, 1.5)}))

    shown = run("read", url, 3, "holding", 100, 2)
    rows = json.loads(run("read", url, 3, "holding", 100, 2, "--json").output)

    assert shown.exit_code == exit_codes.OK
    assert "f32 1.5" in shown.output
    assert "3FC0" in shown.output
    found = [each for each in rows[0]["meanings"] if each["type"] == "f32" and each["plausible"]]
    assert ("ABCD", "1.5") in {(each["order"], each["text"]) for each in found}


def test_a_device_file_turns_words_into_signals(tcp: Any, slave: Any) -> None:
    """With `--model` the signals are shown with unit and quality, and the identity is judged."""
    shown = run("read", tcp(slave({1: dict(HEAD)})), 1, "--model", "methane-head-generic")

    assert shown.exit_code == exit_codes.OK
    assert "0.44 %CH4" in shown.output
    assert "identity register is right" in shown.output


def test_watching_repeats(tcp: Any, slave: Any) -> None:
    """`--watch` reads again and again until `--times`."""
    made = slave({1: dict(HEAD)})

    shown = run("read", tcp(made), 1, "input", 0, 4, "--watch", 0.2, "--times", 3, "--json")

    assert len(shown.output.splitlines()) == len(made.asked) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((1, "holding", 9, 1), exit_codes.IO_ERROR, "exception 2"),
        ((2, "holding", 9, 1, "--timeout", 100), exit_codes.IO_ERROR, "nothing came"),
        ((0, "holding", 9, 1), exit_codes.USAGE, "0"),
        ((1, "holding"), exit_codes.USAGE, "--model"),
        ((1, "holding", 0, 126), exit_codes.USAGE, "125"),
        ((1, "--model", "no-such-thing"), exit_codes.CONFIGURATION, "no-such-thing"),
        ((1, "input", 0, 1, "--foreign"), exit_codes.NOT_PERMITTED, "未经联检不得连接"),
    ],
)
def test_what_cannot_be_read_is_said(
    tcp: Any, slave: Any, arguments: tuple[object, ...], code: int, words: str
) -> None:
    """Each failure has its exit code and says why; no number is shown for it."""
    ended = run("read", tcp(slave({1: dict(HEAD)})), *arguments)

    assert ended.exit_code == code
    assert words in ended.output


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:1", "rtu:///nowhere/at/all"])
def test_a_bus_that_cannot_be_opened_is_an_io_error(url: str) -> None:
    """No port, no answer: 74 with the url, or the port that is not there."""
    ended = run("read", url, 1, "holding", 0, 1, *LISTEN)

    assert ended.exit_code == exit_codes.IO_ERROR
    assert url.removeprefix("rtu://") in ended.output


def test_where_another_master_speaks_nothing_is_sent(pty: Any, slave: Any, talk: Any) -> None:
    """Reading, writing and scanning listen first and refuse, showing what was heard."""
    port = pty(slave({1: dict(HEAD)}), 9600)
    question = modbus.rtu_frame(9, modbus.read_pdu(3, 0, 2))
    talk(port.master, question)

    ended = [
        run("read", port.url, 1, "input", 0, 2, *LISTEN),
        run("write", port.url, 1, "coil", 0, 1, "--yes", "--reason", "test", *LISTEN),
        run("scan", port.url, "--units", "1-2", *LISTEN),
    ]

    assert [each.exit_code for each in ended] == [exit_codes.NOT_PERMITTED] * 3
    assert all("未经联检不得连接" in each.output for each in ended)
    assert question.hex(" ") in ended[0].output
    assert port.heard == b""


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("tcp://127.0.0.1:502", "rtu+tcp://localhost:502", True),
        ("tcp://127.0.0.1:502", "tcp://127.0.0.1:503", False),
        ("tcp://10.0.0.1:502", "tcp://10.0.0.2:502", False),
        ("rtu:///dev/null?baud=9600", "rtu:///dev/../dev/null?baud=19200&parity=N", True),
        ("rtu:///dev/null", "tcp://10.0.0.2:502", False),
    ],
)
def test_a_bus_is_known_by_its_place_however_it_is_spelled(
    one: str, other: str, same: bool
) -> None:
    """A name, a number, a link or another speed leads to the same owner."""
    assert bus_door._is_same(parse_address(one), parse_address(other)) is same


@pytest.mark.parametrize(
    ("configured", "foreign", "listen_s", "seconds"),
    [
        (True, False, None, 2), (False, False, None, 10), (False, False, 0.2, 0.2),
        (True, True, None, 10), (False, True, 0.2, 10), (False, True, 30.0, 30),
    ],
)  # fmt: skip
def test_how_long_is_listened(
    configured: bool, foreign: bool, listen_s: float | None, seconds: float
) -> None:
    """Two seconds on a line of ours, ten on any other; what is foreign is never heard shorter."""
    asked: list[float] = []

    def listen(wanted: float, *_: object) -> int:
        asked.append(wanted)
        return 0

    address = parse_address("rtu:///dev/null")
    say = Catalogue.load("en")
    ours = Bus("line", "rtu:///dev/null") if configured else None
    door = Door(say, Folder(Path()), "rtu:///dev/null", address, None, ours, running=False)
    wire: Any = SimpleNamespace(listen=listen)
    listen_first(door, wire, foreign=foreign, listen_s=listen_s)

    assert asked == [seconds]


def test_a_scan_finds_units_and_speed(pty: Any, slave: Any) -> None:
    """Three units at 19200; other speeds are left after a little noise; files fit by identity."""
    made = slave({2: dict(HEAD), 5: floats(0, 1.5), 9: {(3, 0): 1}})
    port = pty(made, 19200)

    ended = run("scan", port.url, "--units", "1-10", "--bauds", "9600,2400,19200,115200",
                "--parity", "E", "--timeout", 50, "--json", *LISTEN)  # fmt: skip

    body = json.loads(ended.stdout)
    assert ended.exit_code == exit_codes.OK
    assert [(each["unit"], each["baud"], each["parity"]) for each in body["units"]] == [
        (2, 19200, "E"), (5, 19200, "E"), (9, 19200, "E"),
    ]  # fmt: skip
    assert body["units"][0]["fits"][0]["model"] == "methane-head-generic"
    assert body["units"][0]["fits"][0]["reason"] == "identity"
    assert [each["baud"] for each in body["noise"]] == [9600, 2400]
    assert all(pdu[0] in modbus.READS for _, pdu in made.asked)


def test_the_speed_of_the_url_is_tried_first(pty: Any, slave: Any) -> None:
    """An engineer who names speed and parity finds the unit there, no other speed is tried."""
    port = pty(slave({3: dict(HEAD)}), 2400)

    url = f"{port.url.partition('?')[0]}?baud=2400&parity=O"
    ended = run("scan", url, "--units", "3", "--json", *LISTEN)

    body = json.loads(ended.stdout)
    assert [(each["baud"], each["parity"]) for each in body["units"]] == [(2400, "O")]
    assert body["noise"] == []


def test_one_device_that_answers_for_every_unit_is_seen(tcp: Any, slave: Any) -> None:
    """A direct TCP device does not look at the unit: said after eight, not asked 247 times."""
    made = slave({1: {(3, 0): 1}}, every_unit=True)

    body = json.loads(run("scan", tcp(made), "--models", "methane-head-generic", "--json").stdout)

    assert body["any_unit"]
    asked = {unit for unit, _ in made.asked}
    assert asked == {*range(1, scanning.ALIKE_MAX + 1), *scanning.STRANGERS}


def test_like_devices_behind_a_gateway_are_not_taken_for_one(tcp: Any, slave: Any) -> None:
    """Twelve heads that all refuse alike are twelve units."""
    url = tcp(slave({unit: dict(HEAD) for unit in range(1, 13)}))

    body = json.loads(run("scan", url, "--units", "1-13", "--timeout", 60, "--json").stdout)

    assert not body["any_unit"]
    assert [each["unit"] for each in body["units"]] == list(range(1, 13))


def test_nobody_there_is_a_failed_check(tcp: Any, slave: Any) -> None:
    """A scan that finds nobody says so and leaves with 1."""
    ended = run("scan", tcp(slave({})), "--units", "1-2", "--timeout", 50)

    assert ended.exit_code == exit_codes.CHECK_FAILED
    assert "nobody answered" in ended.output


def test_an_interrupted_scan_shows_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C loses nothing: units found so far are in the table."""
    address = parse_address("tcp://127.0.0.1:1")

    def cut(*_: object) -> Iterator[scanning.Step]:
        yield scanning.Found(address, 77, "value", ())
        raise KeyboardInterrupt

    monkeypatch.setattr(scanning, "scan", cut)

    ended = run("scan", "tcp://127.0.0.1:1")

    assert ended.exit_code == exit_codes.OK
    assert "interrupted" in ended.output
    assert "77" in ended.output


def test_a_write_wants_the_unit_again_and_reads_back(tcp: Any, slave: Any) -> None:
    """Before and after are shown; nothing is written while the unit was not typed again."""
    made = slave({4: {(3, 7): 10, (3, 8): 11}})
    url = tcp(made)

    refused = run("write", url, 4, "holding", 7, 20, 21, "--reason", "trial", typed="5\n")
    assert refused.exit_code == exit_codes.NOT_PERMITTED
    assert made.units[4] == {(3, 7): 10, (3, 8): 11}

    done = run("write", url, 4, "holding", 7, 20, 21, "--reason", "trial", typed="4\n")
    assert done.exit_code == exit_codes.OK
    assert "10 → 20" in done.output
    assert made.units[4] == {(3, 7): 20, (3, 8): 21}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((4, "coil", 0, 1, "--yes"), exit_codes.USAGE),
        ((0, "coil", 0, 1, "--yes", "--reason", "r"), exit_codes.USAGE),
        ((4, "coil", 0, 2, "--yes", "--reason", "r"), exit_codes.USAGE),
        ((4, "input", 0, 1, "--yes", "--reason", "r"), exit_codes.USAGE),
        ((4, "holding", 3, 1, "--yes", "--reason", "r", "--model", "oldham-itrans-2"),
         exit_codes.NOT_PERMITTED),
    ],
)  # fmt: skip
def test_what_must_not_be_written_is_not(
    tcp: Any, slave: Any, arguments: tuple[object, ...], code: int
) -> None:
    """No reason, broadcast, no bit, a table for reading, a device file's never: nothing is sent."""
    made = slave({4: {(1, 0): 0, (3, 3): 0}})

    assert run("write", tcp(made), *arguments).exit_code == code
    assert not [pdu for _, pdu in made.asked if pdu[0] not in modbus.READS]


def test_a_write_that_does_not_hold_is_a_failed_check(tcp: Any, slave: Any) -> None:
    """A device that echoes and forgets is told from one that obeys."""
    url = tcp(slave({4: {(1, 0): 0}}, stuck=True))

    ended = run("write", url, 4, "coil", 0, 1, "--yes", "--reason", "trial")

    assert ended.exit_code == exit_codes.CHECK_FAILED
    assert "does not hold" in ended.output


def test_a_monitor_listens_and_never_sends(pty: Any, slave: Any, talk: Any, tmp_path: Path) -> None:
    """Question, answer, noise and a missing unit come out in words; the capture holds them."""
    port = pty(slave({}), 9600)
    words = [
        modbus.rtu_frame(3, modbus.read_pdu(3, 100, 2)),
        modbus.rtu_frame(3, bytes((3, 4, 0x3F, 0xC0, 0, 0))),
        modbus.rtu_frame(8, modbus.read_pdu(4, 5, 1)),
    ]
    talk(port.master, b"".join(words))
    file = tmp_path / "wire.pcap"

    ended = run("monitor", port.url, "--seconds", 0.6, "--pcap", file)

    assert ended.exit_code == exit_codes.OK
    assert "unit 3 is asked: read holding registers 100+2" in ended.output
    assert "unit 3 answers" in ended.output
    assert "unit 8 had not answered" in ended.output
    assert port.heard == b""
    assert words[0] in file.read_bytes()


def test_a_silent_wire_and_a_capture_that_is_there_are_said(
    pty: Any, slave: Any, tmp_path: Path
) -> None:
    """Silence is a sentence, not an empty table; no capture is overwritten, whose path is named."""
    port = pty(slave({}), 9600)
    there = tmp_path / "there.pcap"
    there.write_bytes(b"mine")

    assert "nothing was heard" in run("monitor", port.url, "--seconds", 0.3).output
    for file in (there, tmp_path / "no" / "wire.pcap"):
        ended = run("monitor", port.url, "--seconds", 0.3, "--pcap", file)
        assert ended.exit_code == exit_codes.IO_ERROR
        assert file.name in "".join(ended.output.split())
    assert there.read_bytes() == b"mine"


def test_nobody_can_listen_to_tcp(tcp: Callable[[Any], str], slave: Any) -> None:
    """Without the daemon that owns it there is nothing to hear on TCP: 69, and what to do."""
    ended = run("monitor", tcp(slave({})))

    assert ended.exit_code == exit_codes.UNREACHABLE
    assert "--state" in ended.output
