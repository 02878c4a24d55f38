"""The question for a reader's state: one answer brings count, overflow, boot, identity, heartbeat.

It has no side effect at any reader, so it may be asked again whenever its answer is lost.
"""

import struct

from minewatch.model.mine import Device
from minewatch_drivers.device_files.device_model import DeviceModel
from minewatch_drivers.device_files.reader_file import header_places
from minewatch_drivers.device_files.reader_model import Drain, Queue, ReaderForm, Snapshot
from minewatch_drivers.tasks.jobs import UnitState
from minewatch_drivers.tasks.plan import read_exchange
from minewatch_drivers.wire import modbus


class Header:
    """The question of one device and how to read its answer by address."""

    def __init__(self, device: Device, model: DeviceModel, form: ReaderForm) -> None:
        self._table, places = header_places(model, form)
        self._model = model
        self._first = min(places)
        self._count = max(places) - self._first + 1
        self.exchange = read_exchange(device.unit, self._table, self._first, self._count)
        self._block: tuple[int, ...] = ()

    def read(self, pdu: bytes) -> bool:
        """Take the answer; False where another device gave it."""
        block = modbus.unpack_bits(pdu[2:], self._count) if self._table.bits else registers(pdu)
        sentinel = self._model.sentinel
        self._block = block
        return sentinel is None or self.at(sentinel.at.address) == sentinel.expected

    def at(self, address: int | None) -> int:
        """Return the word at an address of the last answer; 0 where the reader has none."""
        return 0 if address is None else self._block[address - self._first]

    def beat(self, state: UnitState, now_us: int) -> None:
        """Remember the heartbeat of the last answer."""
        heartbeat = self._model.heartbeat
        if heartbeat is not None:
            state.beat(self.at(heartbeat.at.address), now_us)


def header_of(device: Device, model: DeviceModel, form: ReaderForm) -> Header | None:
    """Return the header, None where a reader has nothing to say of its state."""
    return Header(device, model, form) if header_places(model, form)[1] else None


def registers(pdu: bytes) -> tuple[int, ...]:
    """Return the registers of a read's answer."""
    return struct.unpack(f">xx{pdu[1] // 2}H", pdu)


def page_sizes(form: Queue | Drain | Snapshot, registers_max: int) -> tuple[int, ...]:
    """Return how many records each question of the longest scan asks for."""
    if not isinstance(form, Snapshot):
        return (form.records_max,)
    page = registers_max // form.record_size
    whole, rest = divmod(form.records_max, page)
    return (page,) * whole + ((rest,) if rest else ())
