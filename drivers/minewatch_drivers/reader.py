"""A personnel reader's queue: read → deliver → acknowledge by sequence.

Records are acknowledged only after the controller has taken them and half a second has passed, so
that they are in the record by then; read again before that, they are recognised and dropped.
"""

from minewatch.model.image import Reading, Sample, Sighting
from minewatch.model.mine import Device, Reader
from minewatch.model.quality import Quality
from minewatch_drivers import modbus
from minewatch_drivers.device_model import DeviceModel, Queue
from minewatch_drivers.exchange import Exchange, write_exchange
from minewatch_drivers.jobs import Outbox, UnitState, next_due
from minewatch_drivers.plan import read_exchange

DELIVERED_US = 500_000
ACKNOWLEDGE_RETRY_US = 1_000_000
NEVER_US = 1 << 62


class QueueReader:
    """Scans one reader. `exchange` is its next question: state of the queue or its records."""

    gate = False

    def __init__(
        self,
        *,
        reader: Reader,
        device: Device,
        model: DeviceModel,
        state: UnitState,
        outbox: Outbox,
        period_us: int,
    ) -> None:
        if model.queue is None:
            raise ValueError(f"{reader.id}: {model.name} has no queue")
        self.state = state
        self.period_us = period_us
        self.due_us = 0
        self.first_us: int | None = None
        self.acknowledge_us = NEVER_US
        self._reader = reader
        self._device = device
        self._model = model
        self._queue: Queue = model.queue
        self._outbox = outbox
        self._header, self._first = header_exchange(device, model)
        self.exchange: Exchange = self._header
        self._last: int | None = None
        self._boot: int | None = None
        self._newest: int | None = None
        self._mark = 0
        self._more = False

    def reset(self, now_us: int) -> None:
        """A new connection: start with the state of the queue."""
        self.exchange = self._header
        self.first_us = None
        self.due_us = now_us

    def accept(self, pdu: bytes, first_us: int, now_us: int) -> str:
        """Take the answer to `exchange`."""
        block = tuple(pdu[n] << 8 | pdu[n + 1] for n in range(2, len(pdu), 2))
        if self.exchange is not self._header:
            self._records(block, first_us, now_us)
            return ""
        sentinel = self._model.sentinel
        if sentinel is not None and block[sentinel.at.address - self._first] != sentinel.expected:
            return "identity"
        self.state.answered()
        self._header_read(block, first_us, now_us)
        return ""

    def retry(self, first_us: int) -> bool:
        """Ask once more unless the unit is known to be dead or this was the second try."""
        if self.first_us is not None or self.state.streak:
            return False
        self.first_us = first_us
        return True

    def refuse(self, now_us: int, first_us: int, unit_dead: bool) -> None:
        """Say that the reader is lost."""
        if unit_dead:
            self.state.failed(now_us, self.period_us)
        self._finish(now_us)
        self._say(None, Quality.COMM_FAULT, first_us)

    def acknowledge(self, now_us: int) -> "Acknowledge | None":
        """Return the write that drops what was delivered, once it is due and was taken."""
        early = now_us < self.acknowledge_us or self._outbox.sightings_taken < self._mark
        if early or self._newest is None:
            return None
        return Acknowledge(self, self._device.unit, self._queue.acknowledge, self._newest)

    def acknowledged(self, sequence: int, now_us: int) -> None:
        """The reader has dropped everything up to `sequence`."""
        if sequence == self._newest:
            self.acknowledge_us = NEVER_US
        if self._more:
            self.due_us = now_us

    def unacknowledged(self, now_us: int) -> None:
        """The reader did not answer; its records come again and are recognised."""
        self.acknowledge_us = now_us + ACKNOWLEDGE_RETRY_US

    def _header_read(self, block: tuple[int, ...], first_us: int, now_us: int) -> None:
        queue, first = self._queue, self._first
        heartbeat = self._model.heartbeat
        if heartbeat is not None and heartbeat.at.table is queue.table:
            self.state.beat(block[heartbeat.at.address - first], now_us)
        boot = None if queue.boot is None else block[queue.boot - first]
        if boot != self._boot:
            self._boot, self._last = boot, None
        overflow = int(block[queue.overflow - first] != 0)
        if self.state.still(now_us):
            self._say(None, Quality.IMPLAUSIBLE, first_us)
        else:
            self._say(overflow, Quality.GOOD, first_us)
        waiting = min(block[queue.count - first], queue.records_max)
        self._more = block[queue.count - first] > waiting
        if waiting and self.acknowledge_us == NEVER_US and not self._outbox.full:
            count = waiting * queue.record_size
            self.exchange = read_exchange(self._device.unit, queue.table, queue.records, count)
            self.first_us = None
        else:
            self._finish(now_us)

    def _records(self, block: tuple[int, ...], first_us: int, now_us: int) -> None:
        size = self._queue.record_size
        self._newest = None
        for start in range(0, len(block), size):
            self._record(block[start : start + size], first_us)
        if self._newest is not None:
            self.acknowledge_us = now_us + DELIVERED_US
        self._mark = self._outbox.sightings_put
        self._finish(now_us)

    def _record(self, record: tuple[int, ...], first_us: int) -> None:
        queue = self._queue
        sequence = record[queue.sequence]
        badge = record[queue.badge] << 16 | record[queue.badge + 1]
        if badge == 0:
            return
        self._newest = sequence
        if self._last is not None and not 0 < (sequence - self._last) & 0xFFFF < 0x8000:
            return
        self._last = sequence
        direction = 0
        if queue.direction is not None and self._reader.directed:
            direction = {1: 1, 0xFFFF: -1}.get(record[queue.direction], 0)
        time_s = None
        if queue.time_s is not None:
            time_s = record[queue.time_s] << 16 | record[queue.time_s + 1]
        flags = 0 if queue.flags is None else record[queue.flags]
        self._outbox.sight(
            Sighting(
                self._reader.id, str(badge), first_us // 1000, direction, flags, sequence, time_s
            )
        )

    def _finish(self, now_us: int) -> None:
        """The scan is over; the next begins with the state of the queue."""
        self.exchange = self._header
        self.first_us = None
        self.due_us = next_due(self.due_us, self.period_us, now_us)

    def _say(self, overflow: int | None, quality: Quality, first_us: int) -> None:
        reading = Reading(self._reader.id, overflow, quality)
        self._outbox.samples.append(Sample(self._device.id, first_us // 1000, (reading,)))


class Acknowledge:
    """The one write that a reader needs: its own sequence back."""

    first_us: int | None = None
    gate = False

    def __init__(self, reader: QueueReader, unit: int, register: int, sequence: int) -> None:
        self.state = reader.state
        self.exchange = write_exchange(unit, modbus.write_register_pdu(register, sequence))
        self._reader = reader
        self._sequence = sequence

    def accept(self, _pdu: bytes, _first_us: int, now_us: int) -> str:
        """The reader has dropped the records."""
        self._reader.acknowledged(self._sequence, now_us)
        return ""

    def retry(self, _first_us: int) -> bool:
        """Leave the next try to the reader's own pace."""
        return False

    def refuse(self, now_us: int, _first_us: int, _unit_dead: bool) -> None:
        """Keep the records unacknowledged."""
        self._reader.unacknowledged(now_us)


def header_exchange(device: Device, model: DeviceModel) -> tuple[Exchange, int]:
    """Return the question for the state of the queue and the first address that it reads.

    One answer brings count, overflow, boot, identity and heartbeat.
    """
    queue = model.queue
    if queue is None:
        raise ValueError(f"{model.name} has no queue")
    wanted = [queue.count, queue.overflow]
    wanted += [] if queue.boot is None else [queue.boot]
    for mark in (model.sentinel, model.heartbeat):
        if mark is not None and mark.at.table is queue.table:
            wanted.append(mark.at.address)
    first = min(wanted)
    return read_exchange(device.unit, queue.table, first, max(wanted) - first + 1), first
