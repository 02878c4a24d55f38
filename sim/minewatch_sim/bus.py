"""One line with all its units: whole requests in, timed bytes out, faults of the wire between.

Used by real sockets, ptys and virtual wires alike, so that all three behave alike.
"""

from minewatch.model.mine import Bus
from minewatch_sim.bending import Timed
from minewatch_sim.devices import SimulatedDevice
from minewatch_sim.faults import CLOSING, Fault
from minewatch_sim.modbus_server import Request, RtuFraming, TcpFraming
from minewatch_sim.plant import Plant

TURNAROUND_US = {"tcp": 1_000, "rtu+tcp": 3_000, "rtu": 3_000}
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

    def framing(self) -> Framing:
        """Return a fresh splitter for one connection or port."""
        return TcpFraming() if self.scheme == "tcp" else RtuFraming()

    def closed(self) -> bool:
        """Return whether the endpoint closes its connections now (reboot, accept-then-close)."""
        return any(self._plant.faults.has(self.bus.id, each) for each in CLOSING)

    def refuses(self) -> bool:
        """Return whether the endpoint takes no connection at all now (reboot)."""
        return self._plant.faults.has(self.bus.id, Fault.REBOOT)

    def tick(self, now_us: int) -> None:
        """Let the devices' own time pass."""
        for device in self.devices.values():
            device.tick(now_us)

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
        spoiled = self._plant.faults.spoil(request, pdu, self.bus.id, device.device.id)
        turnaround_us = TURNAROUND_US.get(self.scheme, 0)
        return [(delay_us + turnaround_us, data) for delay_us, data in spoiled]
