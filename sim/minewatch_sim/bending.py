"""What a fault of the wire does to the bytes of one answer; the one place that bends frames.

Simulated buses and the proxy hand in the question, the right reply PDU and the faults that struck;
out come bytes, each piece with its delay. Seeded: the same calls give the same bytes.
"""

import random
from collections.abc import Mapping
from typing import Protocol

from minewatch_sim.modbus_server import Request

NOISE_BYTES = 8
PIECES_MAX = 4
FLOOD_BYTES = 4096
FLOOD_PIECE = 256
SWAPPED_FUNCTION = {1: 2, 2: 1, 3: 4, 4: 3, 5: 6, 6: 5, 15: 16, 16: 15}
OTHER_TRANSACTIONS = (-2, -1, 1, 7)

Timed = list[tuple[int, bytes]]
"""Bytes to send, each with its delay in µs after the moment of the honest answer."""


class Shape(Protocol):
    """How a fault shows; see `faults.Setting`."""

    @property
    def delay_ms(self) -> int:
        """Return how late."""
        ...

    @property
    def code(self) -> int:
        """Return which exception."""
        ...


Struck = Mapping[str, Shape]
"""The faults that hit one exchange, by name."""


class Bender:
    """Bends the answers of one wire or of many; remembers the answer that is one behind."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._cut = 0
        self._behind: tuple[bool, bytes] | None = None

    def bend(self, request: Request, pdu: bytes, struck: Struck) -> Timed:
        """Return what is sent instead of the reply `pdu` to `request`."""
        data = self._frame(request, self._lie(request, pdu, struck), struck)
        if "one_behind" in struck:
            data = self._swap(request.tid is None, data)
        if not data:
            return []
        delay_us = struck["late"].delay_ms * 1000 if "late" in struck else 0
        timed = self._cut_up(data, delay_us, struck)
        if "echo" in struck:
            timed.insert(0, (0, request.frame(request.pdu)))
        if "duplicated" in struck:
            timed.append((timed[-1][0] + struck["duplicated"].delay_ms * 1000, data))
        if "flood" in struck:
            last_us = timed[-1][0]
            pieces = FLOOD_BYTES // FLOOD_PIECE
            timed += [(last_us, self._rng.randbytes(FLOOD_PIECE)) for _ in range(pieces)]
        return timed

    def _lie(self, request: Request, pdu: bytes, struck: Struck) -> bytes:
        """Return another PDU than the right one; the frame around it will be right."""
        if "exception" in struck:
            pdu = bytes((request.pdu[0] | 0x80, struck["exception"].code))
        if "wrong_function" in struck:
            pdu = bytes((SWAPPED_FUNCTION.get(pdu[0], pdu[0] ^ 1),)) + pdu[1:]
        if "wrong_count" in struck and pdu[0] < 5:
            pdu = self._miscount(pdu)
        if "echo_opposite" in struck and pdu[0] == 5:
            pdu = pdu[:3] + bytes((pdu[3] ^ 0xFF, pdu[4]))
        if "forged" in struck and len(pdu) > 2:
            pdu = self._flip(pdu, 2 if pdu[0] < 5 else 1)
        return pdu

    def _miscount(self, pdu: bytes) -> bytes:
        """Return a register or bit too few or too many, or a count that its bytes belie."""
        width = 1 if pdu[0] < 3 else 2
        short = bytes((pdu[0], max(0, pdu[1] - width))) + pdu[2 : max(2, len(pdu) - width)]
        long = bytes((pdu[0], pdu[1] + width)) + pdu[2:] + bytes(width)
        belied = bytes((pdu[0], pdu[1] + width)) + pdu[2:]
        return self._rng.choice((short, long, belied, bytes((pdu[0], 0))))

    def _frame(self, request: Request, pdu: bytes, struck: Struck) -> bytes:
        offset = 0
        if "wrong_transaction" in struck:
            offset = self._rng.choice(OTHER_TRANSACTIONS)
        elif "zero_transaction" in struck and request.tid is not None:
            offset = -request.tid
        data = request.frame(pdu, self._unit(request, struck), offset & 0xFFFF)
        if "corrupt" in struck:
            # A flipped bit of a value shows on a serial line only: there is a checksum.
            data = self._flip(data, 0, 7 if request.tid is not None else None)
        if "mangled" in struck:
            data = self._rng.randbytes(len(data))
        if "truncated" in struck:
            data = data[: -self._rng.randint(1, len(data) - 1)]
        if "noise" in struck:
            data = self._noise(request) + data
        if "noise_after" in struck:
            data += self._noise(request)
        return data

    def _unit(self, request: Request, struck: Struck) -> int | None:
        if "wrong_unit" not in struck:
            return None
        return self._rng.choice([u for u in (0, 255, request.unit + 1 & 0xFF) if u != request.unit])

    def _noise(self, request: Request) -> bytes:
        """Return noise that likes to look like the beginning of an answer."""
        size = self._rng.randint(1, NOISE_BYTES)
        likely = (0, 0xFF, request.unit, request.pdu[0], request.pdu[0] | 0x80)
        return bytes(self._rng.choice((*likely, self._rng.randrange(256))) for _ in range(size))

    def _flip(self, data: bytes, first: int, end: int | None = None) -> bytes:
        place = self._rng.randrange(first, len(data) if end is None else end)
        flipped = data[place] ^ (1 << self._rng.randrange(8))
        return data[:place] + bytes((flipped,)) + data[place + 1 :]

    def _swap(self, serial: bool, data: bytes) -> bytes:
        """Keep this answer for the next question; return the one kept, nothing at first."""
        behind, self._behind = self._behind, (serial, data)
        return behind[1] if behind is not None and behind[0] == serial else b""

    def _cut_up(self, data: bytes, delay_us: int, struck: Struck) -> Timed:
        if "halves" in struck and len(data) > 1:
            self._cut += 1
            at = 1 + self._cut % (len(data) - 1)
            second_us = delay_us + struck["halves"].delay_ms * 1000
            return [(delay_us, data[:at]), (second_us, data[at:])]
        if "split" in struck and len(data) > 1:
            step_us = struck["split"].delay_ms * 1000
            return [(delay_us + n * step_us, part) for n, part in enumerate(self._pieces(data))]
        return [(delay_us, data)]

    def _pieces(self, data: bytes) -> list[bytes]:
        cuts = sorted(self._rng.sample(range(1, len(data)), min(PIECES_MAX, len(data)) - 1))
        return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
