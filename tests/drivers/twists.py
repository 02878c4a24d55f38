"""How a scripted slave lies: each takes the right reply PDU and returns [(delay_us, bytes)].

Numbers 1-6 of the fault catalogue and their neighbours; `TWISTS` lists them by name.
"""

from collections.abc import Callable
from typing import Any

Replies = list[tuple[int, bytes]]
Twist = Callable[[Any, Any, bytes], Replies]


def mute(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Accept and never answer."""
    return []


def late(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Answer between half and three times the timeout."""
    delay_us = int(slave.timeout_us * slave.rng.uniform(0.5, 2.9))
    return [(delay_us, slave.wrap(envelope.tag, envelope.unit, pdu))]


def one_behind(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Answer always a little later than the timeout."""
    return [(int(slave.timeout_us * 1.2), slave.wrap(envelope.tag, envelope.unit, pdu))]


def wrong_transaction(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Answer another transaction."""
    tag = (envelope.tag + slave.rng.choice((-2, -1, 1, 7))) % 0x10000
    return [(slave.delay_us, slave.wrap(tag, envelope.unit, pdu))]


def zero_transaction(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Answer with transaction 0."""
    return [(slave.delay_us, slave.wrap(0, envelope.unit, pdu))]


def wrong_unit(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Answer in the name of another unit."""
    unit = slave.rng.choice((0, 2, 3, 255))
    return [(slave.delay_us, slave.wrap(envelope.tag, unit, pdu))]


def wrong_function(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Answer another function, also as an exception."""
    function = slave.rng.choice((1, 2, 3, 6, 0x83, 0x90))
    return [(slave.delay_us, slave.wrap(envelope.tag, envelope.unit, bytes((function,)) + pdu[1:]))]


def wrong_count(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Answer with none, more, or another number of registers than it says."""
    other = slave.rng.choice(
        (b"\x04\x00", b"\x04\x04\x00\x01\x00\x02", b"\x04\x02\x00", b"\x04\x08\x00\x01")
    )
    return [(slave.delay_us, slave.wrap(envelope.tag, envelope.unit, other))]


def split(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Answer in two parts, the second anywhere up to twice the timeout later."""
    data = slave.wrap(envelope.tag, envelope.unit, pdu)
    at = slave.rng.randrange(1, len(data))
    pause_us = int(slave.timeout_us * slave.rng.uniform(0, 2))
    return [(slave.delay_us, data[:at]), (slave.delay_us + pause_us, data[at:])]


def noise(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Put one to eight bytes before the answer."""
    size = slave.rng.randrange(1, 9)
    front = bytes(slave.rng.choice((0, 0xFF, envelope.unit, 4, 0x84)) for _ in range(size))
    return [(slave.delay_us, front + slave.wrap(envelope.tag, envelope.unit, pdu))]


def damaged(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Flip a bit; on TCP only in the header, where nothing else would show it."""
    data = bytearray(slave.wrap(envelope.tag, envelope.unit, pdu))
    data[slave.rng.randrange(len(data) if slave.rtu else 7)] ^= 1 << slave.rng.randrange(8)
    return [(slave.delay_us, bytes(data))]


def exceptions(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Refuse with the codes that gateways use."""
    code = slave.rng.choice((1, 2, 3, 4, 5, 6, 10, 11))
    reply = bytes((pdu[0] | 0x80, code))
    return [(slave.delay_us, slave.wrap(envelope.tag, envelope.unit, reply))]


def twice(slave: Any, envelope: Any, pdu: bytes) -> Replies:
    """Answer twice, the second time while the next question may be open."""
    data = slave.wrap(envelope.tag, envelope.unit, pdu)
    return [(slave.delay_us, data), (slave.delay_us + 1_000, data)]


BOTH = (mute, late, one_behind, wrong_unit, wrong_function, wrong_count, split, damaged)
TWISTS: dict[str, Twist] = {
    each.__name__: each
    for each in (*BOTH, wrong_transaction, zero_transaction, exceptions, twice, noise)
}
