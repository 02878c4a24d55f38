"""Vendor serial protocols: frames as data, what they mean, and what no frame may become."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.serial_model import Says
from minewatch_drivers.vendor.nmea import TimeSentences
from minewatch_drivers.vendor.serial_decode import cards
from minewatch_drivers.wire.framing import Cut, Form, Framer, Framing, Sum, checksum, wrap

FILES = [name for name in device_file.catalogue() if device_file.load(name).serial is not None]

MARKED = [
    Framing(Cut.MARKED, b"\x02", b"\x03", 0, 64, sum_, form, mark)
    for sum_ in Sum
    for form, mark in ((Form.TEXT, b"*"), (Form.HEX, b""))
]
COUNTED = [
    Framing(Cut.COUNTED, start, b"", 0, 64, sum_, Form.BYTES, b"")
    for start in (b"", b"\xa5\x5a")
    for sum_ in (Sum.XOR, Sum.ADD, Sum.CRC_MODBUS, Sum.CRC_MCRF4XX)
]
DIGITS = st.binary(min_size=1, max_size=12).map(lambda data: data.hex().upper().encode("ascii"))


@pytest.mark.parametrize("name", FILES)
def test_examples_of_a_file_mean_what_their_source_says(name: str) -> None:
    """Each example frame of a vendor file is cut, proved and decoded as stated beside it."""
    protocol = device_file.load(name).serial
    assert protocol is not None
    if protocol.says is Says.SMS:
        assert protocol.framing is None
        return
    assert protocol.framing is not None
    for example in protocol.examples:
        (payload,) = Framer(protocol.framing).feed(example.told)
        if protocol.says is Says.TIME:
            at_ms = TimeSentences().take(payload)
            assert at_ms is not None
            assert _iso(at_ms) == example.time
        elif protocol.answer is None or payload[3] not in protocol.answer.empty:
            assert [each.lstrip("0") for each in cards(protocol, payload)] == list(example.cards)
        if protocol.ask is not None:
            assert wrap(protocol.framing, protocol.ask.to(0)) == example.asked


def _iso(at_ms: int) -> str:
    from datetime import UTC, datetime

    whole = datetime.fromtimestamp(at_ms // 1000, tz=UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


@pytest.mark.parametrize("framing", [*MARKED, *COUNTED], ids=str)
@given(payloads=st.lists(DIGITS, min_size=1, max_size=4), cuts=st.lists(st.integers(1, 7)))
def test_frames_survive_any_pieces(
    framing: Framing, payloads: list[bytes], cuts: list[int]
) -> None:
    """Whole frames come out in order, whatever pieces the wire cuts them into."""
    stream = b"".join(wrap(framing, payload) for payload in payloads)
    framer, found = Framer(framing), []
    while stream:
        size = cuts.pop() if cuts else len(stream)
        found += framer.feed(stream[:size])
        stream = stream[size:]
    assert [_bare(framing, payload) for payload in found] == payloads
    assert framer.damaged == 0
    assert not framer.waiting


def _bare(framing: Framing, payload: bytes) -> bytes:
    """Return a payload without the length byte of a counted frame."""
    return payload[1:] if framing.cut is Cut.COUNTED else payload


@given(payload=DIGITS, place=st.integers(0, 200), bit=st.integers(0, 7))
@pytest.mark.parametrize(
    "framing", [each for each in MARKED if each.sum in (Sum.CRC_MODBUS, Sum.XOR)], ids=str
)
def test_a_flipped_bit_never_makes_another_payload(
    framing: Framing, payload: bytes, place: int, bit: int
) -> None:
    """One flipped bit of a frame gives the same payload in other letters, or none and a count."""
    frame = bytearray(wrap(framing, payload))
    frame[place % len(frame)] ^= 1 << bit
    framer = Framer(framing)
    for found in framer.feed(bytes(frame) + framing.end):
        assert found.upper() == payload
    assert framer.damaged or found.upper() == payload


@given(noise=st.binary(max_size=300))
@pytest.mark.parametrize("framing", [*MARKED, *COUNTED], ids=str)
def test_noise_is_bounded_and_proves_nothing_by_itself(framing: Framing, noise: bytes) -> None:
    """What comes out of noise has a right checksum, and what is kept of it is bounded."""
    framer = Framer(framing)
    for payload in framer.feed(noise):
        proof = checksum(framing, payload)
        assert framing.sum is Sum.NONE or proof in noise.upper() or proof.lower() in noise
    assert len(framer._buffer) <= framing.bytes_max + 300
