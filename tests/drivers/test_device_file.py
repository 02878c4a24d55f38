"""Device files: every file of the house proves itself, every fault has file, key and reason."""

import tomllib
from importlib import resources
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minewatch_drivers.commission import device_check
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.device_file import DeviceFileError
from minewatch_drivers.device_files.device_model import AtLoss, Frame
from minewatch_drivers.wire import modbus
from pymodbus.framer import FramerRTU

from minewatch.model.quality import Quality

NAMES = device_file.catalogue()
PROMISED = {
    "methane-head-generic",
    "environment-head-generic",
    "switch-module-8",
    "relay-module-8-watchdog",
    "weather-station-generic",
    "gate-counter-generic",
    "badge-reader-queue",
    "honeywell-xrl-methane",
    "draeger-polytron-8000-methane",
    "icpdas-tm-r5",
    "waveshare-relay-8",
}
FRAMES = [
    pytest.param(name, frame, id=f"{name}-{number}")
    for name in NAMES
    for number, frame in enumerate(device_file.load(name).frames)
]
HEAD = resources.files("minewatch_drivers") / "devices/gas/methane-head-generic.toml"
TEXT = HEAD.read_text(encoding="utf-8")


def test_the_catalogue_holds_what_the_demo_mine_and_the_handbook_name() -> None:
    """Names are a promise: configurations use them."""
    assert set(NAMES) >= PROMISED


def test_an_unknown_name_is_a_clear_error() -> None:
    """A typing mistake in a configuration names the file that is not there."""
    with pytest.raises(DeviceFileError, match=r"no-such-head\.toml: no device file"):
        device_file.load("no-such-head")


@pytest.mark.parametrize(("name", "frame"), FRAMES)
def test_frames_from_another_source_carry_a_right_crc(name: str, frame: Frame) -> None:
    """pymodbus and this project agree on the checksum of every frame."""
    for data in (frame.request, frame.reply):
        assert FramerRTU.compute_CRC(data[:-2]) == int.from_bytes(data[-2:], "big")
        assert modbus.crc16(data[:-2]) == int.from_bytes(data[-2:], "little")


@pytest.mark.parametrize("name", NAMES)
def test_every_file_of_the_house_keeps_what_its_frames_promise(name: str) -> None:
    """A wrong file cannot agree with itself: its frames were not made with this codec."""
    assert device_check.check(device_file.load(name)) == ()


@pytest.mark.parametrize("name", NAMES)
def test_every_file_says_where_it_comes_from_and_how_sure_it_is(name: str) -> None:
    """A source, a maturity and the source of each frame; a real device also has traps in words."""
    model = device_file.load(name)

    assert model.source
    assert model.maturity in device_file.MATURITY
    assert all(frame.source for frame in model.frames)
    assert model.traps or model.maker == "generic"


def test_what_a_relay_does_at_loss_is_known_for_each_channel() -> None:
    """Practice 7 can be checked: settable, all open, no watchdog, and safe values."""
    models = [device_file.load(name) for name in NAMES]

    can = {m.name: {c.at_loss for c in m.channels.values()} for m in models if m.channels}

    assert can == {
        "relay-module-8-watchdog": {(AtLoss.OPEN, AtLoss.KEEP)},
        "relay-drop-all": {(AtLoss.OPEN,)},
        "waveshare-relay-8": {(AtLoss.KEEP,)},
        "icpdas-tm-r5": {(AtLoss.OPEN, AtLoss.CLOSE)},
        "moxa-iologik-e1214": {(AtLoss.OPEN, AtLoss.CLOSE)},
        "advantech-adam-4056so": {(AtLoss.OPEN, AtLoss.CLOSE)},
        "relay-board-4-0100": {(AtLoss.KEEP,)},
    }


def test_watchdogs_act_within_five_seconds() -> None:
    """A cut must come by the relay's own means in at most 5 s."""
    times = [w.time_ms for n in NAMES if (w := device_file.load(n).watchdog) is not None]

    assert times
    assert max(times) <= 5_000


MUTANTS: list[tuple[str, str, str, str]] = [
    ('maker = "generic"\n', "", "device.maker", "missing"),
    ('maker = "generic"', "maker = 3", "device.maker", "text"),
    ('maturity = "stable"', 'maturity = "perfect"', "device.maturity", "not one of"),
    ("registers_max = 32", "registers_max = 126", "read.registers_max", "1 to 125"),
    ("registers_max = 32", "registers_max = true", "read.registers_max", "integer"),
    ("registers_max = 32", "registers_max = 1", "signals.methane", "single read"),
    ("gap_max = 4", "gapp_max = 4", "read.gapp_max", "unknown key"),
    ("expected = 0x4D48", "expected = 0x1FFFF", "sentinel.expected", "65535"),
    ("every_ms = 1000", "every_ms = 0", "heartbeat.every_ms", "10 to"),
    ('1 = "warmup"', '1 = "frozen"', "status.state.bits", "not one of"),
    ('1 = "warmup"', '16 = "warmup"', "status.state.16", "0 to 15"),
    ('1 = "warmup"', 'x = "warmup"', "status.state.x", "integer"),
    ('type = "s16"', 'type = "u64"', "signals.methane.type", "not one of"),
    ('type = "s16"', 'type = "bit"', "signals.methane.type", "coil or discrete"),
    ('scale = "0.01"', "scale = 0.01", "signals.methane.scale", "written as text"),
    ('scale = "0.01"', 'scale = "0"', "signals.methane.scale", "above 0"),
    ('scale = "0.01"', 'scale = "1/3"', "signals.methane.scale", "decimal"),
    ('kind = "methane"\n', "", "signals.methane", "needs a kind"),
    ('high = "4.00"', 'high = "4.001"', "signals.methane.high", "finer"),
    ('high = "4.00"', 'high = "-1"', "signals.methane.high", "low < high"),
    ('high = "4.00"\n', "", "signals.methane.high", "low < high"),
    ('status = ["state"]', 'status = ["mode"]', "signals.methane.status", r"\[status.mode\]"),
    ('32767 = "implausible"', '"-1" = "implausible"', "signals.methane.-1", "integer"),
    ('table = "input"\naddress = 3', 'table = "coil"\naddress = 3', "signals.methane.type", "bits"),
    ("address = 3", "address = 70000", "signals.methane.address", "65535"),
    ("[device]", "[device", "", "not TOML"),
    ('request = "02', 'request = "0x', "frames", "hexadecimal"),
]


@pytest.mark.parametrize(("old", "new", "key", "why"), MUTANTS)
def test_every_fault_names_file_key_and_reason(old: str, new: str, key: str, why: str) -> None:
    """One wrong line gives one error that a field engineer can act on."""
    assert old in TEXT
    with pytest.raises(DeviceFileError, match=why) as caught:
        device_file.parse("mutant", "gas", TEXT.replace(old, new, 1))

    assert caught.value.file == "gas/mutant.toml"
    assert key in caught.value.key


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just([1, "a"])
)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_no_tree_crashes_the_loader(data: st.DataObject) -> None:
    """Any value in any place gives a model or a DeviceFileError, nothing else."""
    tree = tomllib.loads(TEXT)
    at: Any = tree
    path = []
    while isinstance(at, dict) and at:
        key = data.draw(st.sampled_from(sorted(at)))
        path.append(key)
        if not isinstance(at[key], dict) or data.draw(st.booleans()):
            break
        at = at[key]
    at[path[-1]] = data.draw(SCALARS)

    refused = None
    try:
        device_file.build("mutant", "gas", tree)
    except DeviceFileError as error:
        refused = error

    assert refused is None or refused.file == "gas/mutant.toml"


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_text_crashes_the_loader(text: str) -> None:
    """Whatever stands in a file, it is refused with a DeviceFileError."""
    with pytest.raises(DeviceFileError):
        device_file.parse("mutant", "gas", text)


def test_switch_inputs_take_the_kind_of_their_point() -> None:
    """A contact means what its point says; the file leaves the kind open."""
    signals = device_file.load("switch-module-8").signals

    assert sorted(signals) == [f"input_{n}" for n in range(1, 9)]
    assert {signal.kind for signal in signals.values()} == {None}


def test_a_head_in_inhibit_is_not_good_although_its_value_stands_still() -> None:
    """The XRL freezes its reading in inhibit: only the mode word tells."""
    model = device_file.load("honeywell-xrl-methane")

    assert {q for f in model.frames for _, _, q in f.expect} >= {Quality.INHIBITED, Quality.GOOD}
