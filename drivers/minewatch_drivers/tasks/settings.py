"""What must stand in a device when it is connected: identity, safe values, watchdog.

Read at each connection and every minute after it, with questions of their own. A wrong or unread
identity makes every value of the device implausible until it is right; a wrong setting is said
once when it is found and once when it is gone. Nothing here writes: commissioning is a person's.
"""

import struct
from collections.abc import Collection
from dataclasses import dataclass

from minewatch.model.image import Notice
from minewatch.model.mine import Device
from minewatch_drivers.device_files.device_model import DeviceModel, Setting
from minewatch_drivers.tasks.jobs import UnitState
from minewatch_drivers.tasks.outbox import Outbox
from minewatch_drivers.tasks.outputs import NEVER_US
from minewatch_drivers.tasks.plan import read_exchange
from minewatch_drivers.wire import modbus
from minewatch_drivers.wire.exchange import Exchange

AGAIN_US = 60_000_000
"""How often settings are read while they are right."""

WRONG_AGAIN_US = 5_000_000
"""How often while one is wrong or unread: a person may be setting it right now."""

PACE_US = 1_000_000
"""How soon a due question should be asked: behind the gases, before anything slow."""


@dataclass(frozen=True, slots=True)
class Page:
    """One question for neighbouring settings."""

    exchange: Exchange
    first: int
    bits: bool
    settings: tuple[Setting, ...]


def used_settings(model: DeviceModel, channels: Collection[str]) -> tuple[Setting, ...]:
    """Return what matters of a device whose `channels` are used by outputs."""
    return tuple(
        each for each in model.settings if each.channel is None or each.channel in channels
    )


def pages_of(unit: int, model: DeviceModel, settings: Collection[Setting]) -> tuple[Page, ...]:
    """Return the questions for `settings`: neighbours together, identity first."""
    pages: list[list[Setting]] = []
    order = sorted(settings, key=lambda s: (not s.identity, s.at.table, s.at.address))
    for setting in order:
        last = pages[-1][-1] if pages else None
        if last is not None and _together(model, pages[-1], last, setting):
            pages[-1].append(setting)
        else:
            pages.append([setting])
    return tuple(_page(unit, model, each) for each in pages)


def _together(model: DeviceModel, page: list[Setting], last: Setting, new: Setting) -> bool:
    first = page[0].at.address
    return (
        last.at.table is new.at.table
        and last.identity is new.identity
        and new.at.address - last.at.address - 1 <= model.gap_max
        and new.at.address - first < model.registers_max
        and model.may_read(first, new.at.address)
    )


def _page(unit: int, model: DeviceModel, settings: list[Setting]) -> Page:
    at = settings[0].at
    count = settings[-1].at.address - at.address + 1
    exchange = read_exchange(unit, at.table, at.address, count, model.stride)
    return Page(exchange, at.address, at.table.bits, tuple(settings))


class SettingsScan:
    """Reads `settings` (at least one) of a device; scheduled like a reader, it never writes."""

    gate = False
    acknowledge_us = NEVER_US

    def __init__(
        self,
        device: Device,
        model: DeviceModel,
        settings: Collection[Setting],
        state: UnitState,
        outbox: Outbox,
    ) -> None:
        self.state = state
        self.period_us = PACE_US
        self.due_us = 0
        self.first_us: int | None = None
        self._device = device.id
        self._outbox = outbox
        self._stride = model.stride
        self._pages = pages_of(device.unit, model, settings)
        self._place = 0
        self.exchange = self._pages[0].exchange
        self._wrong: set[str] = set()
        self._bad = False
        self._doubted = any(each.identity for page in self._pages for each in page.settings)
        state.distrusted = self._doubted

    def reset(self, now_us: int) -> None:
        """A new connection: perhaps another device, so its identity is in doubt again."""
        self._turn_to(0)
        self._bad = False
        self.first_us = None
        self.due_us = now_us
        self.state.distrusted = self._doubted

    def accept(self, pdu: bytes, first_us: int, now_us: int) -> str:
        """Hold the answer against what must stand there."""
        del first_us
        self.state.answered()
        page = self._pages[self._place]
        words = self._words(page, pdu)
        for setting in page.settings:
            raw = words[(setting.at.address - page.first) * (1 if page.bits else self._stride)]
            self._judge(setting, raw)
        self._next(now_us)
        return ""

    def retry(self, first_us: int) -> bool:
        """Ask once more unless the unit is known to be dead or this was the second try."""
        if self.first_us is not None or self.state.streak:
            return False
        self.first_us = first_us
        return True

    def refuse(self, now_us: int, first_us: int, unit_dead: bool) -> None:
        """Who refuses the question has not what it must; who is not heard has nothing to say."""
        del first_us
        if unit_dead or not self.state.why.startswith("exception_"):
            self._turn_to(0)
            self.first_us = None
            self.due_us = now_us + WRONG_AGAIN_US
            return
        for setting in self._pages[self._place].settings:
            self._judge(setting, None)
        self._next(now_us)

    def acknowledge(self, now_us: int) -> None:
        """Nothing is ever written."""
        del now_us

    def _words(self, page: Page, pdu: bytes) -> tuple[int, ...]:
        if page.bits:
            return modbus.unpack_bits(pdu[2:], 8 * pdu[1])
        return struct.unpack(f">{pdu[1] // 2}H", pdu[2:])

    def _judge(self, setting: Setting, raw: int | None) -> None:
        """Say once that a setting is wrong, and once that it is right again."""
        good = raw is not None and setting.holds(raw)
        if not good:
            self._bad = True
            if setting.identity:
                self.state.distrusted = True
        if good == (setting.name not in self._wrong):
            return
        said = {"setting": setting.name, "found": raw, "low": setting.low, "high": setting.high}
        kind = "device_restored" if good else "device_fault"
        (self._wrong.discard if good else self._wrong.add)(setting.name)
        data = {"code": "setting_wrong", **said}
        self._outbox.notices.append(Notice(kind, f"{self._device}.{setting.name}", data))

    def _next(self, now_us: int) -> None:
        """Go on with the next question, or rest; a whole round without a fault ends the doubt."""
        self.first_us = None
        if self._place + 1 < len(self._pages):
            self._turn_to(self._place + 1)
            self.due_us = now_us
            return
        self._turn_to(0)
        identity_wrong = any(
            each.identity and each.name in self._wrong
            for page in self._pages
            for each in page.settings
        )
        self.state.distrusted = identity_wrong
        self.due_us = now_us + (WRONG_AGAIN_US if self._bad else AGAIN_US)
        self._bad = False

    def _turn_to(self, place: int) -> None:
        self._place = place
        self.exchange = self._pages[place].exchange
