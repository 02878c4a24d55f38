"""A vendor's serial line on a pty: simulated readers, a receiver or a modem, fed by the plant.

The plant's people pass the readers; the receiver tells this machine's time; what the modem was
given to send is kept and can be asked for. Bytes come at the pace of the wire.
"""

import asyncio
import os
import time
import tty
from collections.abc import Callable

from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.serial_model import Says
from minewatch_drivers.readers.reader_record import HEX_DIGITS_MIN

from minewatch.model.mine import Bus, Device
from minewatch_sim.faults import Fault
from minewatch_sim.plant import Plant
from minewatch_sim.pty_line import LineTiming
from minewatch_sim.vendor_devices import (
    CardModule,
    Modem,
    TagReader,
    TimeReceiver,
    VendorDevice,
)

READ_MAX = 1024


class VendorPort:
    """One `serial` bus, served. `url` names the side that a line opens."""

    def __init__(self, bus: Bus, plant: Plant, now_us: Callable[[], int]) -> None:
        self.bus = bus
        self.timing = LineTiming(bus.url)
        self.modem: Modem | None = None
        self._plant = plant
        self._now_us = now_us
        self._devices = {
            each.id: self._made(each) for each in plant.mine.devices if each.bus == bus.id
        }
        self._readers = [each for each in plant.mine.readers if each.device in self._devices]
        self._master = self._slave = -1
        self._name = ""
        self._free_us = 0

    @property
    def url(self) -> str:
        """Return the address that a line opens."""
        return f"serial://{self._name}" + (f"?{self.timing.query}" if self.timing.query else "")

    async def open(self) -> None:
        """Make the pty; its own slave end stays open, so that a line may come and go."""
        self._master, self._slave = os.openpty()
        tty.setraw(self._master)
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._name = os.ttyname(self._slave)
        asyncio.get_running_loop().add_reader(self._master, self._readable)

    async def follow(self) -> None:
        """Let people pass the readers and devices say what they say by themselves."""
        now_us = self._now_us()
        for reader in self._readers:
            device = self._devices[reader.device]
            for passed in self._plant.people.take(reader.id):
                if isinstance(device, CardModule | TagReader):
                    device.hold(_card(passed.badge), now_us)
        for device_id, device in self._devices.items():
            if isinstance(device, TimeReceiver):
                device.wall_ms = time.time_ns() // 1_000_000
            if not self._is_silent(device_id):
                self._send(device.tick(now_us))

    async def close(self) -> None:
        """Close both ends."""
        if self._master < 0:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1

    def _made(self, device: Device) -> VendorDevice:
        protocol = device_file.load(device.model).serial
        if protocol is None:
            raise ValueError(f"{device.id}: {device.model} speaks no vendor protocol")
        if protocol.says is Says.SMS:
            self.modem = Modem()
            return self.modem
        if protocol.says is Says.TIME:
            return TimeReceiver(protocol)
        if protocol.says is Says.INVENTORY:
            return TagReader(protocol, device.unit)
        return CardModule(protocol)

    def _is_silent(self, device_id: str) -> bool:
        faults = self._plant.faults
        return any(
            faults.has(each, fault)
            for each in (device_id, self.bus.id)
            for fault in (Fault.LOST, Fault.MUTE)
        )

    def _readable(self) -> None:
        data = os.read(self._master, READ_MAX)
        now_us = self._now_us()
        self._free_us = max(self._free_us, now_us) + round(len(data) * self.timing.byte_us)
        for device_id, device in self._devices.items():
            if not self._is_silent(device_id):
                self._send(device.hear(data, now_us))

    def _send(self, data: bytes) -> None:
        """Send when the last byte would have passed the wire."""
        if not data:
            return
        now_us = self._now_us()
        self._free_us = max(self._free_us, now_us) + round(len(data) * self.timing.byte_us)
        wait_s = (self._free_us - now_us) / 1e6
        asyncio.get_running_loop().call_later(wait_s, self._write, data)

    def _write(self, data: bytes) -> None:
        if self._master >= 0:
            try:
                os.write(self._master, data)
            except BlockingIOError:
                return  # nobody reads: a serial line drops what nobody takes


def _card(badge: str) -> str:
    """Return the hexadecimal number that a badge carries; a decimal badge in 24 digits."""
    return badge if len(badge) >= HEX_DIGITS_MIN else f"{int(badge):0{HEX_DIGITS_MIN}X}"
