"""The wire format, held against pymodbus and against random bytes."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minewatch_drivers.wire import modbus
from minewatch_drivers.wire.exchange import next_transaction
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadDiscreteInputsRequest,
    WriteMultipleCoilsRequest,
    WriteSingleCoilRequest,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

QUESTIONS: list[tuple[bytes, ModbusPDU]] = [
    (modbus.read_pdu(1, 3, 9), ReadCoilsRequest(address=3, count=9, dev_id=5)),
    (modbus.read_pdu(2, 3, 9), ReadDiscreteInputsRequest(address=3, count=9, dev_id=5)),
    (modbus.read_pdu(3, 500, 2), ReadHoldingRegistersRequest(address=500, count=2, dev_id=5)),
    (modbus.read_pdu(4, 0, 125), ReadInputRegistersRequest(address=0, count=125, dev_id=5)),
    (modbus.write_coil_pdu(7, True), WriteSingleCoilRequest(address=7, bits=[True], dev_id=5)),
    (modbus.write_coil_pdu(7, False), WriteSingleCoilRequest(address=7, bits=[False], dev_id=5)),
    (
        modbus.write_register_pdu(9, 4711),
        WriteSingleRegisterRequest(address=9, registers=[4711], dev_id=5),
    ),
    (
        modbus.write_coils_pdu(0, [True, False, True] * 3),
        WriteMultipleCoilsRequest(address=0, bits=[True, False, True] * 3, dev_id=5),
    ),
    (
        modbus.write_registers_pdu(4, [1, 2, 65535]),
        WriteMultipleRegistersRequest(address=4, registers=[1, 2, 65535], dev_id=5),
    ),
]


@pytest.mark.parametrize(("ours", "theirs"), QUESTIONS)
def test_both_envelopes_equal_those_of_another_maker(ours: bytes, theirs: ModbusPDU) -> None:
    """Every question that a line asks is, byte for byte, what pymodbus would send."""
    theirs.transaction_id = 258
    decoder = DecodePDU(False)

    assert modbus.rtu_frame(5, ours) == FramerRTU(decoder).buildFrame(theirs)
    assert modbus.tcp_frame(258, 5, ours) == FramerSocket(decoder).buildFrame(theirs)


@pytest.mark.parametrize(("ours", "_theirs"), QUESTIONS)
def test_a_question_is_parsed_back(ours: bytes, _theirs: ModbusPDU) -> None:
    """The server's side reads what the client's side wrote, and knows its length on RTU."""
    request = modbus.parse_request(5, ours)

    assert (request.unit, request.function) == (5, ours[0])
    assert request.address == int.from_bytes(ours[1:3], "big")
    assert modbus.rtu_request_length(modbus.rtu_frame(5, ours)) == len(ours) + 3


@given(st.binary(max_size=260))
@settings(max_examples=1000, deadline=None)
def test_no_question_crashes_a_server(pdu: bytes) -> None:
    """Random bytes are a proper request or a Modbus exception, nothing else."""
    request, code = None, 0
    try:
        request = modbus.parse_request(1, pdu)
    except modbus.ModbusError as refused:
        code = refused.code

    if request is None:
        assert code in (modbus.ILLEGAL_FUNCTION, modbus.ILLEGAL_VALUE)
    else:
        reply = modbus.reply_pdu(request, [0] * request.count)
        assert len(reply) == modbus.reply_length(request.function, request.count)


@given(st.binary(max_size=400))
@settings(max_examples=1000, deadline=None)
def test_splitting_a_stream_always_ends(data: bytes) -> None:
    """Every frame taken off makes the buffer shorter; what is no Modbus TCP is a ValueError."""
    buffer = bytearray(data)
    frames = 0
    while True:
        before = len(buffer)
        try:
            frame = modbus.split_tcp(buffer)
        except ValueError:
            break
        if frame is None:
            break
        frames += 1
        assert len(buffer) < before
    assert frames <= len(data) // 8


@given(st.lists(st.booleans(), min_size=1, max_size=64))
def test_bits_are_packed_lowest_first(bits: list[bool]) -> None:
    """Packing and unpacking are inverse; the first bit is the lowest of the first byte."""
    packed = modbus.pack_bits(bits)

    assert modbus.unpack_bits(packed, len(bits)) == tuple(map(int, bits))
    assert packed[0] & 1 == bits[0]


def test_transaction_numbers_are_far_apart_and_all_used() -> None:
    """No number is 0, none returns before all 65 535 were used, and neighbours are never close."""
    numbers, number = [], 0
    for _ in range(65_535):
        numbers.append(number := next_transaction(number))
    assert len(set(numbers)) == 65_535
    assert 0 not in numbers
    assert all(abs(b - a) > 2 for a, b in itertools.pairwise(numbers))
