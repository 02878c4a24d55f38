"""`device_check` finds what a file promises and does not keep; one mutation per problem."""

import struct

import pytest
from minewatch_drivers.commission import device_check
from minewatch_drivers.device_files import device_file
from pymodbus.framer import FramerRTU

HEAD = """
[device]
identity = "A head, a relay and a float"
maker = "test"
maturity = "beta"
source = "made for this test"
[read]
forbidden = [[40, 40]]
[write]
never = [["coil", 8, 9]]
[signals.methane]
table = "holding"
address = 2
type = "f32"
kind = "methane"
low = "0"
high = "5.00"
[channels.coil_1]
coil = 0
at_loss = ["keep"]
"""


def close(*parts: int | bytes) -> str:
    """Return a frame in hexadecimal; the checksum is pymodbus'."""
    body = b"".join(bytes((each,)) if isinstance(each, int) else each for each in parts)
    return (body + FramerRTU.compute_CRC(body).to_bytes(2, "big")).hex(" ")


def ask(function: int, first: int, value: int) -> str:
    """Return a question of unit 1."""
    return close(1, function, struct.pack(">HH", first, value))


def told(*words: int) -> str:
    """Return an answer of unit 1 to function 3."""
    return close(1, 3, 2 * len(words), struct.pack(f">{len(words)}H", *words))


def framed(request: str, reply: str, expect: str = "") -> str:
    """Return a frame of a device file."""
    lines = ("[[frames]]", 'source = "test"', f'request = "{request}"', f'reply = "{reply}"')
    return "\n".join((*lines, f"expect = {{ {expect} }}", ""))


RIGHT = framed(ask(3, 2, 2), told(0x3FC0, 0), 'methane = ["1.50", "good"]')
SET = framed(ask(5, 0, 0xFF00), ask(5, 0, 0xFF00))


def problems(*frames: str, head: str = HEAD) -> list[str]:
    """Return the codes of what is wrong with a file."""
    model = device_file.parse("made", "gas", head + "\n".join(frames))
    return [problem.code for problem in device_check.check(model)]


def test_a_file_that_keeps_its_promises_has_no_problem() -> None:
    """Reads, writes and a float whose word order shows."""
    assert problems(RIGHT, SET) == []


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (RIGHT.replace("3f c0", "3f c1"), "checksum"),
        (framed(ask(3, 2, 2)[:-6], told(0x3FC0, 0)), "checksum"),
        (framed(close(1, 3, 0), told(0x3FC0, 0)), "size"),
        (framed(ask(3, 2, 3), told(0x3FC0, 0)), "reply"),
        (framed(ask(4, 2, 2), told(0x3FC0, 0)), "reply"),
        (framed(ask(3, 2, 2), close(2, 3, 4, struct.pack(">HH", 0x3FC0, 0))), "reply"),
        (framed(ask(3, 2, 2), close(1, 0x83, 2)), "reply"),
        (framed(ask(3, 40, 1), told(7)), "side_effect"),
        (framed(ask(3, 2, 2), told(0x3FC0, 0), 'methane = ["1.51", "good"]'), "meaning"),
        (framed(ask(3, 2, 2), told(0x3FC0, 0), 'methane = ["1.50", "warmup"]'), "meaning"),
        (framed(ask(3, 3, 2), told(0x3FC0, 0), 'methane = ["1.50", "good"]'), "meaning"),
        (framed(ask(5, 8, 0xFF00), ask(5, 8, 0xFF00)), "never_write"),
        (framed(close(1, 15, struct.pack(">HHBB", 7, 2, 1, 3)), ask(15, 7, 2)), "never_write"),
        (framed(ask(5, 0, 0x5500), ask(5, 0, 0x5500)), "coil_value"),
        (framed(ask(5, 0, 0xFF00), ask(5, 0, 0)), "reply"),
        (framed(ask(8, 0, 1), ask(8, 0, 1)), "reply"),
    ],
)
def test_each_broken_promise_has_its_code(frame: str, code: str) -> None:
    """A wrong frame beside a right one is found, and the right one is not blamed."""
    assert problems(RIGHT, SET, frame) == [code]


def test_a_signal_that_no_frame_shows_is_named() -> None:
    """A file that measures shows each kind of signal at least once."""
    more = HEAD + '[signals.door]\ntable = "coil"\naddress = 7\n'

    assert problems(RIGHT, head=more) == ["not_shown"]


def test_a_frame_that_holds_in_both_word_orders_proves_nothing() -> None:
    """Zero looks the same with its words swapped: another frame must tell the order."""
    zero = framed(ask(3, 2, 2), told(0, 0), 'methane = ["0.00", "good"]')

    assert problems(zero) == ["word_order"]
    assert problems(zero, RIGHT) == []


def test_the_wrong_word_order_of_a_file_is_found_by_its_frames() -> None:
    """A file with the words the wrong way round cannot pass its own frames (fault 15)."""
    other = HEAD.replace('type = "f32"', 'type = "f32"\nword_order = "low_first"')

    assert problems(RIGHT, head=other) == ["meaning"]
