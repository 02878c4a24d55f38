"""What ran on a wire, taken apart: frames found again, units that are missing or late, captures."""

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minewatch_drivers.commission.capture import Capture
from minewatch_drivers.commission.frames import Heard, RtuWatcher, Tally, TcpWatcher
from minewatch_drivers.modbus_line.inquiry import Traffic
from minewatch_drivers.wire import modbus

UNIT = st.integers(1, 247)


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[int, bytes, bytes]:
    """Return a unit, a question and its proper answer."""
    unit, function = draw(UNIT), draw(st.sampled_from([1, 2, 3, 4, 5, 6, 15, 16]))
    address, count = draw(st.integers(0, 60_000)), draw(st.integers(1, 30))
    number = st.integers(0, 1 if function in (1, 2, 5, 15) else 0xFFFF)
    values = draw(st.lists(number, min_size=count, max_size=count))
    if function in modbus.READS:
        pdu = modbus.read_pdu(function, address, count)
    elif function == 5:
        pdu = modbus.write_coil_pdu(address, bool(values[0]))
    elif function == 6:
        pdu = modbus.write_register_pdu(address, values[0])
    elif function == 15:
        pdu = modbus.write_coils_pdu(address, [bool(each) for each in values])
    else:
        pdu = modbus.write_registers_pdu(address, values)
    request = modbus.parse_request(unit, pdu)
    return unit, pdu, modbus.reply_pdu(request, values)


def heard_in(pieces: list[bytes], watcher: RtuWatcher, gap_us: int = 1_000) -> list[Heard]:
    """Return what a passive watcher makes of pieces that come one after the other."""
    found: list[Heard] = []
    for number, piece in enumerate(pieces):
        found += watcher.take(Traffic(number * gap_us, False, piece), passive=True)
    return found + list(watcher.flush())


@given(st.lists(exchanges(), min_size=1, max_size=6), st.integers(1, 40))
@settings(max_examples=60)
def test_a_conversation_cut_anywhere_is_found_again(
    said: list[tuple[int, bytes, bytes]], size: int
) -> None:
    """Adapters hand bytes over in lumps of their own; questions and answers come out in order."""
    stream = b"".join(modbus.rtu_frame(unit, pdu) for unit, *both in said for pdu in both)
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]

    found = heard_in(pieces, RtuWatcher(4_000, 1_000.0))

    assert [(h.what, h.unit) for h in found] == [
        (what, unit) for unit, *_ in said for what in ("question", "answer")
    ]
    assert b"".join(h.data for h in found) == stream


@given(st.binary(max_size=400), st.integers(1, 50))
def test_noise_is_bounded_and_nothing_is_lost(noise: bytes, size: int) -> None:
    """Whatever runs on a wire comes out once, in order, as frames or as noise."""
    pieces = [noise[at : at + size] for at in range(0, len(noise), size)]

    found = heard_in(pieces, RtuWatcher(4_000, 1_000.0))

    assert b"".join(each.data for each in found) == noise


def test_noise_missing_late_and_refusing_units_are_told_apart() -> None:
    """One damaged frame, one unit without an answer, one late answer, one exception."""
    ask, read = modbus.read_pdu(3, 0, 1), bytes((3, 2, 0, 7))
    damaged = bytearray(modbus.rtu_frame(2, read))
    damaged[3] ^= 1
    pieces = [
        modbus.rtu_frame(1, ask), modbus.rtu_frame(2, ask), bytes(damaged),
        modbus.rtu_frame(3, ask), modbus.rtu_frame(1, read), modbus.rtu_frame(3, b"\x83\x02"),
    ]  # fmt: skip
    tally = Tally()
    for each in heard_in(pieces, RtuWatcher(4_000, 1_000.0), gap_us=30_000):
        tally.note(each)

    assert tally.missing == {1: 1, 2: 1}
    assert tally.late == {1: 1}
    assert tally.exceptions == {3: 1}
    assert tally.noise == 1
    assert tally.units == [1, 2, 3]


def test_both_ways_of_tcp_are_put_together() -> None:
    """A tap's halves of a frame wait for each other; what is no Modbus is noise."""
    ask = modbus.tcp_frame(1, 9, modbus.read_pdu(4, 5, 1))
    told = modbus.tcp_frame(1, 9, bytes((4, 2, 0, 1)))
    watcher = TcpWatcher()
    said = [(True, ask[:5]), (True, ask[5:]), (False, told[:8]), (False, told[8:])]

    found = [
        heard
        for n, (sent, data) in enumerate([*said, (False, b"\xff" * 9)])
        for heard in watcher.take(Traffic(n, sent, data), passive=False)
    ]

    assert [(h.what, h.unit, h.address) for h in found] == [
        ("question", 9, 5), ("answer", 9, 5), ("noise", -1, -1),
    ]  # fmt: skip


def test_several_questions_may_fly_on_tcp() -> None:
    """Answers in any order find their questions; late and missing ones are told apart."""
    watcher = TcpWatcher()
    ask, told = modbus.read_pdu(3, 0, 1), bytes((3, 2, 0, 1))
    said = [
        (0, True, 1, 5, ask), (10, True, 2, 6, ask), (20, True, 3, 7, ask),
        (30, False, 2, 6, told), (40, False, 1, 5, b"\x83\x02"), (50, False, 1, 5, told),
        (4_000_000, True, 4, 5, ask), (4_000_010, False, 4, 6, told),
    ]  # fmt: skip
    tally = Tally()
    for t_us, sent, transaction, unit, pdu in said:
        piece = Traffic(t_us, sent, modbus.tcp_frame(transaction, unit, pdu))
        for heard in watcher.take(piece, passive=False):
            tally.note(heard)

    assert tally.questions == {5: 2, 6: 1, 7: 1}
    assert (tally.answers, tally.exceptions) == ({6: 1}, {5: 1})
    assert (tally.missing, tally.late) == ({7: 1}, {5: 1, 6: 1})


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=40)), max_size=20))
def test_no_bytes_of_tcp_make_a_watcher_fall(said: list[tuple[bool, bytes]]) -> None:
    """Whatever a tap brings comes out once."""
    watcher = TcpWatcher()
    found = [
        heard
        for n, (sent, data) in enumerate(said)
        for heard in watcher.take(Traffic(n, sent, data), passive=False)
    ]
    found += watcher.flush()

    assert sum(len(each.data) for each in found) == sum(len(data) for _, data in said)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark (Debian) is not installed")
@pytest.mark.parametrize("serial", [True, False])
def test_tshark_reads_our_captures(serial: bool, tmp_path: Path) -> None:
    """Another maker's decoder sees a query and its response, nothing malformed."""
    ask, told = modbus.read_pdu(3, 0, 1), bytes((3, 2, 0, 7))
    file = io.BytesIO()
    capture = Capture(file, serial=serial)
    for sent, pdu in ((True, ask), (False, told)):
        data = modbus.rtu_frame(5, pdu) if serial else modbus.tcp_frame(1, 5, pdu)
        capture.put(1_000_000, data, sent=sent)
    path = tmp_path / "wire.pcap"
    path.write_bytes(file.getvalue())
    table = 'uat:user_dlts:"User 0 (DLT=147)","mbrtu","0","","0",""'

    seen = subprocess.run(
        ["tshark", "-r", path, "-o", table], capture_output=True, text=True, check=True, timeout=60
    ).stdout

    assert "Query" in seen
    assert "Response" in seen
    assert "Malformed" not in seen
