"""How long an exchange takes on a line: the wire by baud and bytes, the device by its file.

The one place that knows; the prediction (`budget`) and the schedule's room for fast scans use it.
Times are worst cases of a device that answers properly.
"""

import math

from minewatch.model.mine import Bus
from minewatch_drivers.address import Address, parse_address
from minewatch_drivers.device_files.device_model import DeviceModel
from minewatch_drivers.wire.exchange import Exchange

OVERHEAD_US = 2_000
"""Our own time for one exchange: waking up, decoding, a loaded machine."""

QUIET_MARGIN_US = 20_000
QUIET_MAX_US = 2_000_000

FRAME_EXTRA = 4
"""Bytes of two checksums."""


class Timing:
    """The times of one bus. `gap_us` is the silence that it keeps between two exchanges."""

    def __init__(self, bus: Bus) -> None:
        self.address: Address = parse_address(bus.url)
        self.timeout_us = bus.timeout_ms * 1000
        self.gap_us = max(self.address.silence_us, bus.pause_ms * 1000)

    def exchange_us(self, model: DeviceModel, exchange: Exchange) -> int:
        """Return the time of `exchange` with a device of `model`, in µs."""
        return self.frames_us(model, len(exchange.pdu) + 1, exchange.reply_size + 1)

    def frames_us(self, model: DeviceModel, asked: int, told: int) -> int:
        """Return the time of an exchange whose frames have these bytes without checksums, in µs."""
        wire_us = math.ceil((asked + told + FRAME_EXTRA) * self.address.byte_us)
        silence_us = max(self.gap_us, model.pause_ms * 1000)
        return wire_us + silence_us + model.turnaround_ms * 1000 + OVERHEAD_US

    def dead_us(self, worst_us: int) -> int:
        """Return what one try at a mute unit costs the line, in µs: the timeout and the silence.

        `worst_us` is the longest proper exchange of the line; the silence is longer than it.
        """
        if not self.address.serial:
            return self.timeout_us + OVERHEAD_US
        frames_us = math.ceil(64 * self.address.byte_us)
        return self.timeout_us + frames_us + self.quiet_us(worst_us) + OVERHEAD_US

    def quiet_us(self, worst_us: int) -> int:
        """Return how long the line keeps silent after a failure, in µs; 0 on Modbus TCP."""
        if not self.address.serial:
            return 0
        return min(max(3 * worst_us, self.timeout_us) // 2 + QUIET_MARGIN_US, QUIET_MAX_US)
