"""Simulated devices: the registers of one configured device, answered from the plant.

Built from the same device files as the drivers. A device answers whole PDUs; envelopes, faults of
the wire and several units on one endpoint are `minewatch_sim.bus`.
"""

from collections.abc import Mapping, Sequence

from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.codec import needs
from minewatch_drivers.device_files.device_model import (
    READ_FUNCTION,
    DeviceModel,
    Register,
    Signal,
    Table,
)
from minewatch_drivers.device_files.encode import Write, encode
from minewatch_drivers.device_files.reader_model import Drain

from minewatch.model.kind import Kind
from minewatch.model.mine import Device, Point
from minewatch.model.quality import Quality
from minewatch_sim.faults import Fault
from minewatch_sim.modbus_server import ILLEGAL_ADDRESS, Refusal, answer
from minewatch_sim.plant import Plant
from minewatch_sim.readers import memory_of
from minewatch_sim.relay import RelayWatchdog

TABLE_OF_FUNCTION = {function: table for table, function in READ_FUNCTION.items()}
SPAN_MAX = 0x10000

Shown = tuple[int | None, Quality]


class SimulatedDevice:
    """One device: `answer` a PDU, `tick` its own clock; both on the wire's time in µs."""

    def __init__(self, device: Device, plant: Plant, model: DeviceModel | None = None) -> None:
        self.device = device
        self.model = model or device_file.load(device.model)
        self._plant = plant
        self._points = {p.signal: p for p in plant.mine.points if p.device == device.id}
        self._readers = [r.id for r in plant.mine.readers if r.device == device.id]
        self._words: dict[Table, dict[int, int]] = {table: {} for table in Table}
        self._shown: dict[str, tuple[Shown, tuple[Write, ...]]] = {}
        for setting in self.model.settings:
            shift = setting.part.shift if setting.part else 0
            self.put(setting.at, setting.low << shift)
        self._coils = {c.coil: c.name for c in self.model.channels.values()}
        self.coil_on = self.model.coil_on
        self._used = _registers(self.model, self._points)
        self._unused = [name for name in self.model.signals if name not in self._points]
        used = [(s.at.table, each) for s in self.model.signals.values() for each in needs(s)]
        self._apart = len(used) == len(set(used))
        """No two signals share a register: what shows the same need not be written again."""
        self._now_us = 0
        self._lost = False
        self._frozen: dict[Table, dict[int, int]] | None = None
        watchdog = self.model.watchdog
        lies = [plant.people.lies[reader] for reader in self._readers]
        self.reader = memory_of(self.model.reader, lies[0]) if lies else None
        self.watchdog = RelayWatchdog(self.model, watchdog) if watchdog is not None else None
        self._refresh()

    def answer(self, pdu: bytes, now_us: int) -> bytes | None:
        """Return the reply PDU; None where the device has no power."""
        self.tick(now_us)
        if self._lost or not pdu:
            return None
        reply = answer(pdu, self)
        if self.watchdog is not None and not reply[0] & 0x80:
            self.watchdog.heard(now_us)
        return reply

    def tick(self, now_us: int) -> None:
        """Let the device's own time pass: loss of power, freezing, watchdog, full memory."""
        self._now_us = now_us
        self._follow_power()
        self._follow_freeze()
        if self.watchdog is not None and not self._lost:
            for channel, energised in self.watchdog.expire(now_us):
                self._plant.put_coil(self.device.id, channel.name, energised)
        if self.reader is not None and not self._lost:
            for reader_id in self._readers:
                self.reader.tick(self._plant.people.take(reader_id), self._plant.now_ms)

    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        """Return bits or registers; an address that the device file forbids is refused."""
        table = TABLE_OF_FUNCTION[function]
        if self._frozen is None:
            self._refresh()
        words = (self._frozen or self._words)[table]
        self._refuse_unknown(words, address, count)
        self._say_read(table, address, count)
        numbers = [words.get(each, 0) for each in range(address, address + count)]
        if self.reader is not None:
            self.reader.was_read(table, address, count)
        if self.model.stride == 1:
            return numbers
        return [word for number in numbers for word in (number >> 16, number & 0xFFFF)]

    def write(self, function: int, address: int, values: Sequence[int]) -> None:
        """Write coils or holding registers; addresses that hold nothing are refused."""
        for place, value in enumerate(values, address):
            if function in (5, 15):
                if self.reader is not None and self.reader.write(Table.COIL, place, int(value)):
                    continue
                if place not in self._coils:
                    raise Refusal(ILLEGAL_ADDRESS)
                self._plant.put_coil(self.device.id, self._coils[place], bool(value))
            elif not self._write_register(place, value):
                raise Refusal(ILLEGAL_ADDRESS)

    def show(self, signal: str, value: int | None, quality: Quality = Quality.GOOD) -> None:
        """Put a value into the registers of a signal that no point uses; for tests and tools."""
        self._put(self.model.signals[signal], value, quality)

    def put(self, at: Register, value: int) -> None:
        """Put a number where no signal stands: a setting, an identity; for tests and tools."""
        self._words[at.table][at.address] = value

    def _write_register(self, address: int, value: int) -> bool:
        if self.reader is not None and self.reader.write(Table.HOLDING, address, value):
            return True
        return self.watchdog is not None and self.watchdog.write(address, value, self._now_us)

    def _refuse_unknown(self, words: dict[int, int], address: int, count: int) -> None:
        last = address + count - 1
        if not words or last > max(words) or last >= SPAN_MAX:
            raise Refusal(ILLEGAL_ADDRESS)
        if not self.model.may_read(address, last) and not self._is_drained(address):
            raise Refusal(ILLEGAL_ADDRESS)

    def _is_drained(self, address: int) -> bool:
        """Return whether records are asked for that go with their answer."""
        form = self.model.reader
        return isinstance(form, Drain) and address == form.records

    def _say_read(self, table: Table, address: int, count: int) -> None:
        for name, point in self._points.items():
            at = self.model.signals[name].at
            if at.table is table and address <= at.address < address + count:
                self._plant.was_read(point.id)

    def _refresh(self) -> None:
        """Bring the registers up to what the plant shows now."""
        late = []
        signals, known, apart = self.model.signals, self._shown, self._apart
        for name, point in self._points.items():
            signal = signals[name]
            shown = self._see(signal, point)
            if apart and name in known and known[name][0] == shown:
                continue
            if shown[1] is Quality.GOOD:
                self._put(signal, *shown)
            else:
                late.append((signal, shown))
        for signal, shown in late:
            self._put(signal, *shown)
        for name in self._unused:
            if name not in self._shown:
                self._rest(self.model.signals[name])
        self._refresh_house()

    def _refresh_house(self) -> None:
        for channel in self.model.channels.values():
            energised = self._plant.coils.get(self.device.id, channel.name)
            self._words[Table.COIL][channel.coil] = int(energised)
        sentinel, heartbeat = self.model.sentinel, self.model.heartbeat
        if sentinel is not None:
            self._words[sentinel.at.table][sentinel.at.address] = sentinel.expected
        if heartbeat is not None:
            beats = self._now_us // (heartbeat.every_ms * 1000)
            lowest = heartbeat.mask & -heartbeat.mask
            words, at = self._words[heartbeat.at.table], heartbeat.at.address
            words[at] = words.get(at, 0) & ~heartbeat.mask | beats * lowest & heartbeat.mask
        if self.reader is not None:
            for table, words in self.reader.registers().items():
                self._words[table].update(words)
        if self.watchdog is not None:
            self._words[Table.HOLDING].update(self.watchdog.registers)

    def _see(self, signal: Signal, point: Point) -> Shown:
        value = self._plant.value(point)
        for state in self._plant.head_states.get(self.device.id, ()):
            return value, Quality[state.upper()]
        if signal.high is not None and value > signal.high:
            return None, Quality.OVER_RANGE
        if signal.low is not None and value < signal.low:
            return None, Quality.UNDER_RANGE
        return value, Quality.GOOD

    def _put(self, signal: Signal, value: int | None, quality: Quality) -> None:
        known = self._shown.get(signal.name)
        if known is not None and known[0] == (value, quality):
            writes = known[1]
        else:
            writes = encode(self.model, signal.name, value, quality)
            self._shown[signal.name] = ((value, quality), writes)
        self._write(writes)

    def _write(self, writes: tuple[Write, ...]) -> None:
        for write in writes:
            words = self._words[write.at.table]
            old = words.get(write.at.address, 0)
            words[write.at.address] = old & ~write.mask | write.value & write.mask

    def _rest(self, signal: Signal) -> None:
        """Show a quiet value where no point does, beside those that share its registers.

        A port that may carry one of several heads has a signal for each, all in one register.
        """
        resting = _resting(signal)
        writes = encode(self.model, signal.name, resting, Quality.GOOD)
        free = tuple(write for write in writes if write.at not in self._used)
        self._shown[signal.name] = ((resting, Quality.GOOD), free)
        self._write(free)

    def _follow_power(self) -> None:
        lost = self._plant.faults.has(self.device.id, Fault.LOST)
        if lost == self._lost:
            return
        self._lost = lost
        if not lost:
            return
        for channel in self.model.channels.values():
            self._plant.put_coil(self.device.id, channel.name, False)
        if self.reader is not None:
            self.reader.restart()
        if self.watchdog is not None:
            self.watchdog.restart()

    def _follow_freeze(self) -> None:
        frozen = self._plant.faults.has(self.device.id, Fault.FROZEN)
        if not frozen:
            self._frozen = None
        elif self._frozen is None:
            self._frozen = {table: dict(words) for table, words in self._words.items()}


def _registers(model: DeviceModel, points: Mapping[str, Point]) -> frozenset[Register]:
    """Return every register that a signal with a point reads."""
    return frozenset(
        Register(model.signals[name].at.table, address)
        for name in points
        for address in needs(model.signals[name])
    )


def _resting(signal: Signal) -> int:
    """Return what a signal shows that no point uses: 0, or the nearest value that it can show."""
    if signal.kind is Kind.OXYGEN:
        return 2090
    low = signal.low if signal.low is not None else 0
    high = signal.high if signal.high is not None else 1
    return min(max(0, low), high)
