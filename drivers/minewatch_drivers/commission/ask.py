"""The door that tools ask through, whoever owns the port, and the questions that they have."""

import struct
from typing import Protocol

from minewatch_drivers.device_files.device_model import READ_FUNCTION, Table
from minewatch_drivers.wire import modbus


class AskError(Exception):
    """A question brought no answer; `code` as in `inquiry.InquiryReply.error`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code

    @property
    def refused(self) -> bool:
        """Whether the device itself said no: it is there, and heard us."""
        return self.code.startswith("exception_") and self.code not in GATEWAY_REFUSALS


GATEWAY_REFUSALS = frozenset({"exception_10", "exception_11"})
"""A gateway that cannot reach the unit says so in the unit's name."""


class Asker(Protocol):
    """Something that takes a question to a unit and brings the answer back."""

    def ask(self, unit: int, pdu: bytes) -> bytes:
        """Return the PDU that answers `pdu`, every check of an exchange passed.

        Raises:
            AskError: there is none; the code says why.
            OSError: the port or the daemon is gone.
        """
        ...


def read_block(asker: Asker, unit: int, table: Table, first: int, count: int) -> tuple[int, ...]:
    """Return `count` registers or bits of `unit` from address `first`.

    Raises:
        AskError, OSError: see `Asker.ask`.
    """
    reply = asker.ask(unit, modbus.read_pdu(READ_FUNCTION[table], first, count))
    if table.bits:
        return modbus.unpack_bits(reply[2:], count)
    return struct.unpack(f">{count}H", reply[2:])
