"""Unknown devices: every plausible meaning is shown, and what is written down loads."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minewatch_drivers.commission import device_check
from minewatch_drivers.commission.skeleton import Guess, decodings, skeleton
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.device_model import RawType, Table
from pymodbus.framer import FramerRTU


def frame(*data: int) -> bytes:
    """Return a whole RTU frame; the checksum is pymodbus'."""
    body = bytes(data)
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


ASKED = frame(3, 3, 0, 102, 0, 2)
TOLD = frame(3, 3, 4, 0x3F, 0xC0, 0, 0)
GUESS = Guess("methane", Table.HOLDING, 102, RawType.F32, "methane", "0", "5.00")


@pytest.mark.parametrize("number", [1.5, -12.25, 0.04, 1850.0])
@pytest.mark.parametrize("low_first", [False, True])
def test_a_float_is_among_the_plausible_meanings(number: float, low_first: bool) -> None:
    """Whatever the word order, the right one is offered beside the counts."""
    words = list(struct.unpack(">HH", struct.pack(">f", number)))
    found = decodings(102, words[::-1] if low_first else words)

    floats = [d for d in found if d.type is RawType.F32 and d.low_word_first is low_first]

    assert [float(each.text) for each in floats] == [pytest.approx(number, rel=1e-5)]
    assert [d.address for d in found if d.type is RawType.U16] == [102, 103]


@given(st.lists(st.integers(0, 0xFFFF), max_size=125))
def test_no_words_crash_and_the_answer_is_bounded(words: list[int]) -> None:
    """At most six meanings a register, each with an address of the block."""
    found = decodings(7, words)

    assert len(found) <= 6 * len(words)
    assert {d.address for d in found} == set(range(7, 7 + len(words)))


def test_a_skeleton_loads_and_still_asks_for_the_meaning() -> None:
    """The file is a device file at once; its check says what a person has yet to compare."""
    text = skeleton("Head", "Someone", "read on the bench", [(ASKED, TOLD)], [GUESS])

    model = device_file.parse("head", "gas", text)

    assert model.maturity == "experimental"
    assert [p.code for p in device_check.check(model)] == ["not_shown"]
    filled = text.replace("expect = {}", 'expect = { methane = ["1.50", "good"] }')
    assert device_check.check(device_file.parse("head", "gas", filled)) == ()


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_any_words_of_a_person_can_be_written_down(identity: str, maker: str) -> None:
    """Quotes, line ends and Chinese characters come back as they were said."""
    text = skeleton(identity, maker, "s", [(ASKED, TOLD)], [GUESS])

    model = device_file.parse("head", "gas", text)

    assert (model.identity, model.maker) == (identity, maker)
