"""`[repeat]`: one description for many like channels, and every mistake in it."""

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.device_file import DeviceFileError
from minewatch_drivers.device_files.repeat_file import unroll

TEXT = """
[device]
identity = "Three ports"
maker = "test"
maturity = "beta"
source = "made for this test"
[status.whole]
table = "input"
address = 0
bits = { 0 = "implausible" }
[repeat.port]
count = 3
step = 4
[repeat.port.status.state]
table = "input"
address = 10
bits = { 1 = "warmup" }
[repeat.port.require.unit]
table = "input"
address = 12
expected = [5]
means = "%vol"
[repeat.port.signals.gas]
table = "input"
address = 11
type = "u16"
scale = "0.01"
kind = "methane"
low = "0"
high = "5.00"
status = ["whole", "state", "unit"]
[repeat.port.signals.gas.divisor]
address = 13
allowed = [1, 10]
[repeat.port.channels.coil]
step = 1
coil = 16
at_loss = ["keep"]
[repeat.port.settings.safe]
table = "coil"
address = 128
expected = 0
channel = "coil"
needed = "safe value open"
[[frames]]
source = "none"
request = "01"
reply = "01"
expect = {}
"""


def test_a_port_said_once_becomes_all_ports() -> None:
    """Addresses move by the step, names are numbered, references stay within their port."""
    model = device_file.parse("made", "station", TEXT)

    assert list(model.signals) == ["gas_1", "gas_2", "gas_3"]
    third = model.signals["gas_3"]
    assert third.at.address == 19
    assert [(w.name, w.at.address) for w in third.status] == [
        ("whole", 0), ("state_3", 18), ("unit_3", 20),
    ]  # fmt: skip
    assert third.factors[0].at.address == 21
    assert [c.coil for c in model.channels.values()] == [16, 17, 18]
    assert [(s.name, s.at.address, s.channel) for s in model.settings] == [
        ("safe_1", 128, "coil_1"), ("safe_2", 132, "coil_2"), ("safe_3", 136, "coil_3"),
    ]  # fmt: skip


def test_a_repeat_is_what_a_patient_person_would_have_written() -> None:
    """The same file written out by hand gives the same model."""
    tree = tomllib.loads(TEXT)
    flat = unroll("x", tree)

    assert "repeat" not in flat
    assert "repeat" in tree
    by_hand = device_file.build("made", "station", flat)
    assert by_hand == device_file.parse("made", "station", TEXT)


MUTANTS = [
    ("count = 3", "count = 1", "repeat.port.count", "2 to 256"),
    ("count = 3", "count = 257", "repeat.port.count", "2 to 256"),
    ("count = 3\n", "", "repeat.port.count", "missing"),
    ("step = 4", "step = 0", "repeat.port.step", "1 to"),
    ("step = 4", "step = 4\nstride = 2", "repeat.port.stride", "did you mean step"),
    ("step = 4", "step = 40000", "status.state_3.address", "65535"),
    ("step = 1", 'step = "x"', "channels.coil.step", "integer"),
    ('"state", "unit"]', '"stat", "unit"]', "signals.gas_1.status", r"no \[status.stat\]"),
    ('channel = "coil"', 'channel = "relay"', "settings.safe_1.channel", "no .channels.relay"),
    ("[repeat.port.signals.gas]", "[repeat.port.signal.gas]", "repeat.port.signal", "did you mean"),
    ("[status.whole]", '[status.state_2]\ntable = "input"\naddress = 1\n'
     'bits = { 0 = "implausible" }\n[status.whole]', "repeat.port.status.state", "there already"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "key", "why"), MUTANTS)
def test_every_mistake_in_a_repeat_names_its_key(old: str, new: str, key: str, why: str) -> None:
    """A wrong repeat is refused where the file says it, or at the port that it breaks."""
    assert old in TEXT
    with pytest.raises(DeviceFileError, match=why) as caught:
        device_file.parse("made", "station", TEXT.replace(old, new, 1))

    assert key in caught.value.key


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_no_repeat_crashes_the_loader_or_grows_without_bound(data: st.DataObject) -> None:
    """Any value in any place of a repeat gives a bounded model or a DeviceFileError."""
    tree = tomllib.loads(TEXT)
    at: Any = tree["repeat"]
    key = ""
    while isinstance(at, dict) and at:
        parent, key = at, data.draw(st.sampled_from(sorted(at)))
        at = at[key]
        if data.draw(st.booleans()):
            break
    parent[key] = data.draw(
        st.one_of(st.none(), st.integers(), st.text(max_size=4), st.just({}), st.just([1, "a"]))
    )

    try:
        model = device_file.build("made", "station", tree)
    except DeviceFileError:
        return
    assert len(model.signals) <= 256
