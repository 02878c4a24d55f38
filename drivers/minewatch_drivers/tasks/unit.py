"""The scans of one device: its polls by plan, the gate that proves it, and their smaller parts.

A question that the device refuses is divided until the address that it does not know stands
alone; that lasts for the connection.
"""

from collections.abc import Sequence
from typing import NamedTuple

from minewatch.model.mine import Device, Point
from minewatch_drivers.device_files.device_model import DeviceModel
from minewatch_drivers.pace.rhythm import ClassMeter
from minewatch_drivers.pace.timing import Timing
from minewatch_drivers.tasks.jobs import Keeper, Poll, UnitState
from minewatch_drivers.tasks.outbox import Outbox
from minewatch_drivers.tasks.plan import (
    RIDE_MAX,
    Block,
    DevicePlan,
    heartbeat_block,
    identity_block,
    parts_of,
    plan_device,
)

GATE_MS = 2_000
GATE_WITHOUT_HEARTBEAT_MS = 10_000
"""How often an identity block of its own is read where nothing has failed."""

QUESTION_BYTES = 30
"""What a question of its own costs on a serial line beside its registers, in bytes (8 + 5 and two
silences), with the device's turnaround beside it."""

UNCOUNTED = ClassMeter(0, 1_000_000)
"""Takes the figures of scans that read no point; nobody asks for them."""


def plan_unit(
    device: Device, model: DeviceModel, points: Sequence[Point], timing: Timing, scan_ms: int
) -> DevicePlan:
    """Return the plan of one device on a line of pace `scan_ms`.

    A slow point rides along with a fast block where its registers, read at the faster pace, cost
    the line less than a question of its own at the slower one.
    """
    paces = [point.scan_ms or scan_ms for point in points]
    byte_us = timing.address.byte_us
    ride_max = RIDE_MAX
    if paces and byte_us:
        ratio = max(paces) / min(paces)
        question = QUESTION_BYTES + model.turnaround_ms * 1000 / byte_us
        ride_max = min(RIDE_MAX, int(question / (2 * max(ratio - 1, 0.01))))
    return plan_device(device, model, points, scan_ms=scan_ms, ride_max=ride_max)


def gate_ms(model: DeviceModel, scan_ms: int) -> int:
    """Return how often identity or heartbeat are read where they need a question of their own."""
    return max(scan_ms, GATE_MS if model.heartbeat else GATE_WITHOUT_HEARTBEAT_MS)


class Surroundings(NamedTuple):
    """What the units of one line share. `meters` are those of its scan classes, by ms."""

    timing: Timing
    scan_ms: int
    keeper: Keeper
    outbox: Outbox
    meters: dict[int, ClassMeter]


class Unit:
    """One device of a line. `polls` are its scans now, `gate` the one that all others wait for."""

    def __init__(
        self,
        device: Device,
        model: DeviceModel,
        points: Sequence[Point],
        state: UnitState,
        line: Surroundings,
    ) -> None:
        self.state = state
        self.longest_us = 0
        self._device = device
        self._model = model
        self._points = points
        self._line = line
        plan = plan_unit(device, model, points, line.timing, line.scan_ms)
        self._planned = [self._poll(block) for block in plan.blocks]
        self._proof = None if plan.identity is None else self._gate(plan.identity)
        if self._proof is not None:
            self._planned.append(self._proof)
        if plan.heartbeat is not None:
            self._planned.append(self._poll(plan.heartbeat))
        self.polls: list[Poll] = []
        self.gate: Poll | None = None
        self.whole()

    def whole(self) -> None:
        """Ask as planned again, whatever was refused."""
        self.polls, self.gate = list(self._planned), self._proof

    def divided(self, poll: Poll) -> list[Poll]:
        """Put the parts of `poll` in its place and return what is new; nothing if it is least.

        Where a part no longer shows identity or heartbeat, they get a question of their own.
        """
        blocks = parts_of(self._device, self._model, self._points, poll.block)
        if not blocks:
            return []
        fresh = [self._poll(block) for block in blocks]
        self.polls.remove(poll)
        self.polls += fresh
        if poll is self.gate:
            (self.gate,) = fresh
            self.gate.gate = True
        identity = identity_block(self._device, self._model)
        if self.gate is None and identity and any(p.block.sentinel is None for p in fresh):
            self.gate = self._gate(identity)
            fresh.append(self.gate)
            self.polls.append(self.gate)
        beats = heartbeat_block(self._device, self._model)
        if beats is not None and all(p.block.heartbeat is None for p in self.polls):
            fresh.append(self._poll(beats))
            self.polls.append(fresh[-1])
        return fresh

    def _gate(self, block: Block) -> Poll:
        gate = self._poll(block)
        gate.gate = True
        return gate

    def _poll(self, block: Block) -> Poll:
        line = self._line
        scan_ms = block.scan_ms or gate_ms(self._model, line.scan_ms)
        meter = line.meters.get(scan_ms) if block.points else UNCOUNTED
        if meter is None:
            meter = line.meters[scan_ms] = ClassMeter(scan_ms, scan_ms * 1000)
        poll = Poll(
            self._device.id, block, self.state, line.outbox, scan_ms * 1000,
            keeper=line.keeper, meter=meter,
        )  # fmt: skip
        poll.cost_us = line.timing.exchange_us(self._model, block.exchange)
        self.longest_us = max(self.longest_us, poll.cost_us)
        return poll
