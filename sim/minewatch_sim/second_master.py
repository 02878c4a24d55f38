"""Another master on the bus: it has heard our questions and asks its own.

The worst that it can ask is what we ask ourselves: its answers then look like ours. A writer sets
coils that we have set, to the opposite.
"""

import random
from collections import deque

from minewatch_sim.faults import Fault
from minewatch_sim.modbus_server import Request

REMEMBERED = 16
WRITE_COIL, WRITE_COILS = 5, 15
READS = frozenset({1, 2, 3, 4})


class SecondMaster:
    """Remembers the questions of one bus and says what another master asks next."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._reads: deque[Request] = deque(maxlen=REMEMBERED)
        self._write: Request | None = None

    def heard(self, request: Request) -> None:
        """Take note of a question of ours."""
        function = request.pdu[0] if request.pdu else 0
        if function in READS:
            self._reads.append(request)
        elif function in (WRITE_COIL, WRITE_COILS) and len(request.pdu) >= 5:
            self._write = request

    def question(self, fault: Fault) -> Request | None:
        """Return what is asked or written now; None while nothing has been heard."""
        if fault is Fault.SECOND_MASTER:
            return self._rng.choice(self._reads) if self._reads else None
        if self._write is None:
            return None
        return Request(self._write.unit, _opposite(self._write.pdu), self._write.tid)


def _opposite(pdu: bytes) -> bytes:
    """Return the question that sets the same coils the other way round."""
    if pdu[0] == WRITE_COIL:
        return pdu[:3] + (b"\x00\x00" if pdu[3] else b"\xff\x00")
    count = pdu[3] << 8 | pdu[4]
    bits = ~int.from_bytes(pdu[6:], "little") & (1 << count) - 1
    return pdu[:6] + bits.to_bytes(len(pdu) - 6, "little")
