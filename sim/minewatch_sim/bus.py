"""One line with all its units: whole requests in, timed bytes out, faults of the wire between.

Used by real sockets, ptys and virtual wires alike, so that all three behave alike.
"""

from minewatch.model.mine import Bus
from minewatch_sim.bending import Timed
from minewatch_sim.devices import SimulatedDevice
from minewatch_sim.faults import Fault
from minewatch_sim.modbus_server import Request, RtuFraming, TcpFraming
from minewatch_sim.plant import Plant
from minewatch_sim.second_master import READS, SecondMaster

TURNAROUND_US = {"tcp": 1_000, "rtu+tcp": 3_000, "rtu": 3_000}
FRAMES_MAX = 1_000
"""Answers of one line that are kept until the plant changes."""

Framing = TcpFraming | RtuFraming


class SimulatedBus:
    """The devices behind one endpoint. Unknown units stay silent, as on a real line."""

    def __init__(self, bus: Bus, plant: Plant) -> None:
        self.bus = bus
        self.scheme = bus.url.partition("://")[0]
        self._plant = plant
        devices = [d for d in plant.mine.devices if d.bus == bus.id]
        self.devices = {d.unit: SimulatedDevice(d, plant) for d in devices}
        self.requests = 0
        self.unknown = 0
        self._second = SecondMaster(plant.faults.rng)
        self._frames: dict[bytes, bytes] = {}
        self._changes = -1

    def framing(self) -> Framing:
        """Return a fresh splitter for one connection or port."""
        return TcpFraming() if self.scheme == "tcp" else RtuFraming()

    def closed(self) -> bool:
        """Return whether the endpoint closes its connections now (reboot, accept-then-close)."""
        return self.refuses() or self._stands(Fault.ACCEPT_THEN_CLOSE)

    def refuses(self) -> bool:
        """Return whether nobody can connect at all now (reboot, adapter pulled)."""
        return self._stands(Fault.REBOOT) or self.unplugged()

    def unplugged(self) -> bool:
        """Return whether the adapter of this line is pulled."""
        return self._stands(Fault.UNPLUGGED)

    def renumbered(self) -> bool:
        """Return whether the adapter of this line sits under another one's path now."""
        return self._stands(Fault.RENUMBERED)

    def _stands(self, fault: Fault) -> bool:
        return self._plant.faults.has(self.bus.id, fault)

    def tick(self, now_us: int) -> None:
        """Let the devices' own time pass."""
        self._frames.clear()
        for device in self.devices.values():
            device.tick(now_us)

    def ready(self, data: bytes) -> bytes | None:
        """Return the frame that answers one whole Modbus TCP question, where it is known already.

        Between two changes of the plant the same question has the same answer.
        """
        if self._plant.changes != self._changes:
            self._changes = self._plant.changes
            self._frames.clear()
            return None
        known = self._frames.get(data[2:]) if self._plant.faults.quiet else None
        if known is None:
            return None
        self.requests += 1
        return data[:2] + known

    def _lasts(self, device: SimulatedDevice, request: Request) -> bool:
        """Return whether an answer holds until the plant changes: reading it changes nothing."""
        plain = device.watchdog is None and device.reader is None and not self._plant.series
        return plain and request.pdu[0] in READS and len(self._frames) < FRAMES_MAX

    def respond(self, request: Request, now_us: int) -> Timed:
        """Return the bytes that answer a whole request, each with its delay in µs from `now_us`."""
        self.requests += 1
        if request.unit == 0 and self.scheme != "tcp":
            for each in self.devices.values():
                each.answer(request.pdu, now_us)
            return []
        device = self.devices.get(request.unit)
        if device is None:
            self.unknown += 1
            return []
        pdu = device.answer(request.pdu, now_us)
        if pdu is None:
            return []
        targets = (self.bus.id, device.device.id)
        turnaround_us = TURNAROUND_US.get(self.scheme, 0)
        faults = self._plant.faults
        if not faults.any(*targets):
            frame = request.frame(pdu)
            if request.tid is not None and self._lasts(device, request):
                self._frames[request.frame(request.pdu)[2:]] = frame[2:]
            return [(turnaround_us, frame)]
        timed = [
            (delay_us + turnaround_us, data)
            for delay_us, data in faults.spoil(request, pdu, *targets)
        ]
        return timed + self._another_master(request, now_us, timed)

    def _another_master(self, request: Request, now_us: int, timed: Timed) -> Timed:
        """Let another master ask after us; on a serial line everybody hears it and its answer."""
        self._second.heard(request)
        foreign = self._plant.faults.foreign(self.bus.id)
        question = self._second.question(foreign[0]) if foreign is not None else None
        if foreign is None or question is None:
            return []
        self._plant.faults.struck[foreign[0].value] += 1
        reply = self.devices[question.unit].answer(question.pdu, now_us)
        if self.scheme == "tcp":
            return []
        asked_us = max((at_us for at_us, _ in timed), default=0) + foreign[1]
        told_us = asked_us + TURNAROUND_US[self.scheme]
        frames: Timed = [(asked_us, question.frame(question.pdu))]
        return frames if reply is None else [*frames, (told_us, question.frame(reply))]


def pairs(buses: dict[str, SimulatedBus]) -> dict[str, str]:
    """Return each serial line's partner: renumbered adapters change places with it."""
    serial = [key for key, bus in buses.items() if bus.scheme == "rtu"]
    found: dict[str, str] = {}
    for one, other in zip(serial[::2], serial[1::2], strict=False):
        found[one], found[other] = other, one
    return found
