"""What a line does for one unit: what it remembers of it, and the scans of its poll blocks.

A job offers an `Exchange`, takes its answer (`accept`) or learns that there is none (`refuse`).
It knows when it is due; the line decides whose turn it is.
"""

import struct
from collections.abc import Callable, Iterable
from functools import partial
from itertools import repeat, starmap
from operator import add, getitem
from typing import Any, Protocol

from minewatch.model.image import Reading, Sample
from minewatch.model.quality import Quality
from minewatch_drivers.device_files.codec import Decoded
from minewatch_drivers.device_files.meaning import picker
from minewatch_drivers.pace.rhythm import ClassMeter
from minewatch_drivers.tasks.outbox import Outbox
from minewatch_drivers.tasks.plan import Block
from minewatch_drivers.wire import modbus
from minewatch_drivers.wire.exchange import Exchange

BACK_OFF_MAX_US = 5_000_000
"""A dead unit is asked at least this often: no later than the deadline of its alarm allows."""

SIZE_REFUSALS = frozenset({"exception_2", "exception_3"})
"""Refusals of an address or of a size: smaller questions find out which."""

STILL_MIN_US = 5_000_000
"""A heartbeat may stand still this long at least, whatever its own period."""


class UnitState:
    """What a line remembers of one unit: failures, silence owed, identity, heartbeat."""

    __slots__ = (
        "_beat", "_beat_us", "back_off_us", "beat_mask", "beats", "distrusted", "hold_us", "owing",
        "pause_us", "proved", "skip_us", "still_us", "streak", "why",
    )  # fmt: skip

    def __init__(self, heartbeat_every_ms: int | None, back_off_us: int = BACK_OFF_MAX_US) -> None:
        self.beats = heartbeat_every_ms is not None
        """Whether the device has a heartbeat; without one it never stands still."""
        self.still_us = max(STILL_MIN_US, 3000 * (heartbeat_every_ms or 0))
        self.back_off_us = min(back_off_us, BACK_OFF_MAX_US)
        self.streak = 0
        self.skip_us = 0
        self.hold_us = 0
        self.proved = False
        self.owing: Poll | None = None
        """The scan that is asked once more before anything else of this unit."""
        self.why = ""
        """The code of the last failure, set by the line before `retry` and `refuse` are called."""
        self.beat_mask = 0xFFFF
        """The bits of the heartbeat's register that are the heartbeat."""
        self.pause_us = 0
        """The rest that the device wants after each answer."""
        self.distrusted = False
        """The device is not the one, or has not the map, that its file describes."""
        self._beat: int | None = None
        self._beat_us = 0

    def reset(self, *, failures: bool = True) -> None:
        """Start anew with a new connection; the heartbeat's memory stays, `failures` perhaps."""
        if failures:
            self.streak = self.skip_us = 0
        self.hold_us = 0
        self.proved = False
        self.owing = None

    def answered(self) -> None:
        """The unit answered as it should."""
        self.why = ""
        self.heard()

    def heard(self) -> None:
        """The unit is alive, whatever it said."""
        self.streak = 0
        self.skip_us = 0

    def failed(self, now_us: int, period_us: int) -> None:
        """The unit did not answer at all, retry included: ask it more and more seldom."""
        self.proved = False
        wait = period_us << min(self.streak, 8)
        self.streak += 1
        self.skip_us = now_us + min(wait, self.back_off_us)

    def beat(self, value: int, now_us: int) -> None:
        """Remember the heartbeat counter."""
        value &= self.beat_mask
        if value != self._beat:
            self._beat = value
            self._beat_us = now_us

    def still(self, now_us: int) -> bool:
        """Return whether the heartbeat stands still: the device runs, its measuring does not.

        One that was never read stands still as well, from the first answer of its unit on.
        """
        if not self.beats:
            return False
        self._beat_us = self._beat_us or now_us
        return now_us - self._beat_us > self.still_us


class Keeper(Protocol):
    """What a poll tells whoever decides about turns."""

    def again(self, poll: "Poll", /) -> None:
        """The poll waits for its next turn at its `due_us`."""
        ...

    def divide(self, poll: "Poll", now_us: int, /) -> bool:
        """Put smaller polls in the place of one whose question is refused; False if it is least."""
        ...

    def said(self, poll: "Poll", code: str, /) -> None:
        """The device refuses the poll's question with `code`; empty: it answers again."""
        ...


class Job(Protocol):
    """Something a line can ask.

    `first_us` is the start of the first try while a retry is owed. The scans of a unit wait for
    its `gate`, the block that proves its identity.
    """

    exchange: Exchange
    state: UnitState
    first_us: int | None
    gate: bool

    def accept(self, pdu: bytes, first_us: int, now_us: int, /) -> str:
        """Take the answer; returns why it is refused after all, or nothing."""
        ...

    def retry(self, first_us: int, /) -> bool:
        """Say whether the same question stays due; `first_us` is the start of the first try."""
        ...

    def refuse(self, now_us: int, first_us: int, unit_dead: bool, /) -> None:
        """Learn that there is no answer; `unit_dead` where nothing at all came."""
        ...


_new = tuple.__new__
"""Builds a named tuple from its fields without the detour of a call in Python: 20 000 a second."""

_EACH_READING = repeat(Reading)


class Poll:
    """The scan of one block. `first_us` is set while a retry is owed.

    `ticket` and `due_us` are for whoever decides about turns, `meter` counts how punctual it is,
    `cost_us` is what its exchange took lately, `code` why the device refuses it.
    """

    __slots__ = (
        "_again", "_device", "_heartbeat", "_keeper", "_last_us", "_lost", "_meant", "_names",
        "_outbox", "_pick", "_points", "_sentinel", "_unpack", "block", "code", "cost_us", "due_us",
        "exchange", "first_us", "gate", "meter", "normal_meter", "normal_us", "period_us", "state",
        "ticket",
    )  # fmt: skip

    def __init__(
        self,
        device: str,
        block: Block,
        state: UnitState,
        outbox: Outbox,
        period_us: int,
        *,
        keeper: Keeper,
        meter: ClassMeter,
    ) -> None:
        self.block = block
        self.meter = self.normal_meter = meter
        self.ticket = 0
        self.cost_us = 0
        self.code = ""
        self._keeper = keeper
        self._again = keeper.again
        self._last_us = 0
        self.exchange = block.exchange
        self.state = state
        self.normal_us = self.period_us = period_us
        self.due_us = 0
        self.first_us: int | None = None
        self.gate = False
        self._device = device
        self._outbox = outbox
        self._points = block.points
        self._names = tuple((point,) for point in block.points)
        self._meant = _meanings_of(block)
        self._pick = tuple if _in_order(block) else picker(block.words)
        self._sentinel = block.sentinel
        self._heartbeat = block.heartbeat
        self._lost = tuple(Reading(point, None, Quality.COMM_FAULT) for point in block.points)
        registers = (block.exchange.reply_size - 2) // 2
        self._unpack = _bits if block.table.bits else struct.Struct(f">xx{registers}H").unpack

    @property
    def points(self) -> tuple[str, ...]:
        """The points that this block reads."""
        return self._points

    def accept(self, pdu: bytes, first_us: int, now_us: int) -> str:
        """Decode the answer into one sample."""
        # What a slot holds is taken out before it is called: that costs half of calling it there.
        state, unpack = self.state, self._unpack
        block = unpack(pdu)
        if self._sentinel is not None:
            if block[self._sentinel[0]] != self._sentinel[1]:
                return "identity"
            state.proved = True
        if self._heartbeat is not None:
            state.beat(block[self._heartbeat], now_us)
        if state.why or state.streak:
            state.answered()
        if state.pause_us:
            state.hold_us = max(state.hold_us, now_us + state.pause_us)
        self._measure(first_us, now_us)
        self._advance(now_us)
        if self._points:
            if state.distrusted or (state.beats and state.still(now_us)):
                readings = tuple([Reading(p, None, Quality.IMPLAUSIBLE) for p in self._points])
            else:
                # What the words of each signal mean, with the name of its point before it.
                pick, meant = self._pick, self._meant
                named = map(add, self._names, meant(pick(block)))
                # A zip that is used up at once hands the same tuple on again and again.
                arguments = zip(_EACH_READING, named, strict=False)
                readings = tuple(starmap(_new, arguments))
            self._outbox.samples.append(_new(Sample, (self._device, first_us // 1000, readings)))
        return ""

    def retry(self, first_us: int) -> bool:
        """Ask once more unless the unit is known to be dead or this was the second try."""
        if self.first_us is not None or self.state.streak:
            return False
        self.first_us = first_us
        self.state.owing = self
        self._keeper.again(self)
        return True

    def refuse(self, now_us: int, first_us: int, unit_dead: bool) -> None:
        """Ask in smaller parts where the device refuses the size, else say that nothing is known.

        A refusal comes from a unit that is alive; a part that cannot be smaller is asked seldom.
        """
        why = self.state.why
        refused = why.startswith("exception_")
        if why in SIZE_REFUSALS:
            self.state.heard()
            if self.state.owing is self:
                self.state.owing = None  # its parts, and all others of the unit, would wait for it
            if self._keeper.divide(self, now_us):
                return
        if unit_dead:
            self.state.failed(now_us, self.normal_us)
        if refused and not self.gate:
            self.code = why
            self._keeper.said(self, why)
        self.lose(now_us, first_us)
        if why in SIZE_REFUSALS and not self.gate:
            self.due_us = max(self.due_us, now_us + self.state.back_off_us)
            self._keeper.again(self)

    def lose(self, now_us: int, first_us: int) -> None:
        """Say COMM_FAULT for every point of the block; the scan is over."""
        self._last_us = 0
        self._advance(now_us)
        if self._points:
            self._outbox.samples.append(Sample(self._device, first_us // 1000, self._lost))

    def begin(self, due_us: int) -> None:
        """A new connection: due since `due_us`."""
        self.due_us = due_us
        self.first_us = None
        self._last_us = 0
        self._keeper.again(self)

    def urge(self, now_us: int, period_us: int, meter: ClassMeter) -> None:
        """Scan this often from now on, counted by `meter`."""
        if period_us != self.period_us:
            self.period_us = period_us
            self.meter = meter
            self._last_us = 0
            self.due_us = min(self.due_us, now_us + period_us)
            if self.ticket:
                self._keeper.again(self)

    def _measure(self, first_us: int, now_us: int) -> None:
        """Count how punctual the scan was and what it cost; a refusal is over."""
        last_us, self._last_us = self._last_us, first_us
        if last_us:
            late = now_us > self.due_us + self.period_us
            self.meter.note(first_us - last_us, now_us - last_us, late, now_us)
        if self.first_us is None:
            took_us, known_us = now_us - first_us, self.cost_us
            self.cost_us = took_us if took_us > known_us else known_us - (known_us >> 5)
        if self.code:
            self.code = ""
            self._keeper.said(self, "")

    def _advance(self, now_us: int) -> None:
        """The scan is over."""
        if self.first_us is not None:
            self.first_us = None
            if self.state.owing is self:
                self.state.owing = None
        due_us, later_us = self.due_us, self.due_us + self.period_us
        if due_us <= now_us < later_us:
            self.due_us = later_us
        else:
            self.due_us = next_due(due_us, self.period_us, now_us)
        again = self._again
        again(self)


def _meanings_of(block: Block) -> Callable[[Iterable[Any]], Iterable[Decoded]]:
    """Return words of each signal → what they mean; like signals share one memory."""
    meanings = block.meanings
    if len({id(each) for each in meanings}) == 1:
        return partial(map, meanings[0].__getitem__)
    return partial(map, getitem, meanings)


def _in_order(block: Block) -> bool:
    """Return whether the words of a reply are those of its signals, one after the other."""
    return [*block.words] == [{place} for place in range(len(block.words))]


def _bits(pdu: bytes) -> tuple[int, ...]:
    """Return the bits of a reply, as many as its bytes hold."""
    return modbus.unpack_bits(pdu[2:], 8 * pdu[1])


def next_due(due_us: int, period_us: int, now_us: int) -> int:
    """Return when a scan is due again; the phase stays, what was missed is not made up for."""
    if due_us > now_us:
        return now_us + period_us
    return due_us + period_us * (1 + (now_us - due_us) // period_us)
