"""The watchdog of a simulated relay module: what its channels do when nobody feeds it."""

from collections.abc import Iterator

from minewatch_drivers.device_files.device_model import AtLoss, Channel, DeviceModel, Watchdog


class RelayWatchdog:
    """Counts from the last feed, armed by the first; `now_us` is the wire's time.

    Registers `feed`, `time`, `keep` are held here; 0 in `time` leaves the module's own time.
    """

    def __init__(self, model: DeviceModel, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        self._channels = list(model.channels.values())
        self.restart()

    def restart(self) -> None:
        """Forget settings and feeds, as at a loss of power."""
        self._fed_us: int | None = None
        self._time_ms = self._watchdog.time_ms
        self.expired = False
        self.registers = {
            address: 0
            for address in (self._watchdog.feed, self._watchdog.time, self._watchdog.keep)
            if address is not None
        }

    @property
    def armed_us(self) -> int | None:
        """Return when the module was fed last; None before the first time and after it expired."""
        return self._fed_us

    def heard(self, now_us: int) -> None:
        """Take note of a valid request; it feeds a module that has no feed register."""
        if self._watchdog.feed is None:
            self._feed(now_us)

    def write(self, address: int, value: int, now_us: int) -> bool:
        """Write one of the registers; False where it is none of them."""
        if address not in self.registers:
            return False
        self.registers[address] = value
        if address == self._watchdog.time and value:
            self._time_ms = value * self._watchdog.time_unit_ms
        if address == self._watchdog.feed:
            self._feed(now_us)
        return True

    def expire(self, now_us: int) -> Iterator[tuple[Channel, bool]]:
        """Yield once, at expiry, each channel that the module now moves, and to which state."""
        if self._fed_us is None or now_us - self._fed_us < self._time_ms * 1000:
            return
        self._fed_us = None
        self.expired = True
        for position, channel in enumerate(self._channels):
            act = self._at_loss(position, channel)
            if act is not AtLoss.KEEP:
                yield channel, act is AtLoss.CLOSE

    def rebase(self, gone_us: int) -> None:
        """Follow a clock of the wire that began anew `gone_us` earlier; the module knows none."""
        if self._fed_us is not None:
            self._fed_us -= gone_us

    def _feed(self, now_us: int) -> None:
        self._fed_us = now_us
        self.expired = False

    def _at_loss(self, position: int, channel: Channel) -> AtLoss:
        if self._watchdog.keep is None:
            return channel.at_loss[0]
        kept = self.registers[self._watchdog.keep] >> position & 1
        if kept and AtLoss.KEEP in channel.at_loss:
            return AtLoss.KEEP
        moving = [each for each in channel.at_loss if each is not AtLoss.KEEP]
        return moving[0] if moving else AtLoss.KEEP
