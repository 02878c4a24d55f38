"""Invariants of the house: the wanted table, the wire, starts, clocks, configurations, bounds.

I18, I19, I20, I21, I22, I24, I28 of the safety case.
"""

import json
from typing import ClassVar

from minewatch.controller.board import COMMANDS_MAX, NOTICES_MAX
from minewatch.core.fold import recover
from minewatch.core.snapshot import durable_to_json
from minewatch.core.state import Durable
from minewatch.model.canonical import canonical
from minewatch.model.event import Event
from minewatch.model.mine import Mine, OutputRole
from minewatch.model.quality import Quality
from minewatch_sim.campaign.house import hash_of
from minewatch_sim.campaign.invariant import Frame, Invariant, Words
from minewatch_sim.campaign.invariants_power import CYCLE_MS
from minewatch_sim.campaign.plant import QUEUE_MAX
from minewatch_sim.campaign.witness import GAP_MS, SOUNDERS, Turn, Witness

PROVING_MS = 2_000
LOSS_MS = 5_000
"""W: what a relay does by itself is done by then."""

WIRE_MS = 2_000
FRESH_MS = 500
WRITES = frozenset({5, 6, 15, 16})
STEP_MS = 1_000


class WholeTable(Invariant):
    """I18: a complete wanted table every cycle, on the wire in time; relays act by role alone."""

    code = "I18"
    says = (
        "every cycle wants every output; the wire follows; an unfed relay acts by its role in 5 s"
    )

    def __init__(self) -> None:
        self._kept: dict[str, tuple[int, bool]] = {}

    def turn(self, w: Witness, t: Turn) -> Words:
        """The table is complete, or nothing at all for two seconds after a start."""
        if t.outputs is None:
            if t.now_ms - w.began_ms > PROVING_MS + 2 * CYCLE_MS:
                yield f"nothing is wanted {t.now_ms - w.began_ms} ms after the start"
        elif t.outputs.keys() != w.wiring.driven.keys():
            yield f"the table lacks {sorted(w.wiring.driven.keys() ^ t.outputs.keys())}"

    def second(self, w: Witness, frame: Frame) -> Words:
        """Coils on a line that nothing disturbs stand as wanted."""
        del frame
        now_ms, plant = w.house.now_ms, w.house.plant
        for output in w.wiring.driven.values():
            if w.outputs is None or output.id not in w.outputs:
                continue
            if now_ms - w.wanted_ms[output.id] < WIRE_MS:
                continue
            if w.is_calm(output.device, now_ms):
                coil = plant.coils.get(output.device, output.signal)
                if coil is not w.outputs[output.id]:
                    yield f"{output.id} is wanted {w.outputs[output.id]} and stands {coil}"
        yield from self._unfed(w, now_ms)

    def dark(self, w: Witness, now_ms: int) -> Words:
        """Relays that nobody feeds act by the role of each output."""
        yield from self._unfed(w, now_ms)

    def _unfed(self, w: Witness, now_ms: int) -> Words:
        plant, fed = w.house.plant, w.unfed_ms(now_ms)
        if now_ms == w.shaken_ms:
            return  # the box has just come out of its drawer, and the modules with it
        for output in w.house.plant.mine.outputs:
            silent_ms = fed.get(output.device)
            coil = plant.coils.get(output.device, output.signal)
            if silent_ms is None or silent_ms <= LOSS_MS:
                self._kept[output.id] = (now_ms, coil)
            elif output.role is OutputRole.POWER_CUT and coil:
                yield f"{output.id} is on although nobody has fed its relay for {silent_ms} ms"
            elif output.role in SOUNDERS and self._kept.get(output.id, (0, coil))[1] and not coil:
                yield f"{output.id} fell silent when its relay was not fed"


class FedByTheLiving(Invariant):
    """I19: a relay is written only while the loop that decides is alive."""

    code = "I19"
    says = "no write leaves for a relay when the last turn is older than 500 ms"

    def sent(self, w: Witness, bus: str, function: int, now_ms: int) -> Words:
        """Look at each write on a line with relays."""
        age_ms = now_ms - w.turned_ms
        if function in WRITES and w.has_relays(bus) and age_ms > FRESH_MS + CYCLE_MS:
            yield f"function {function} left on {bus} {age_ms} ms after the last turn"


class OwnTime(Invariant):
    """I20: delays run on monotonic time; jumps of the wall clock are recorded and move nothing."""

    code = "I20"
    says = "a delay is right to one cycle whatever the wall clock does; gaps and jumps are entries"

    def turn(self, w: Witness, t: Turn) -> Words:
        """A jump or gap is said in its cycle; a fault lock comes at its time, not before."""
        if abs(t.wall_step_ms) > STEP_MS and t.event("clock_stepped") is None:
            yield f"the wall clock jumped {t.wall_step_ms} ms, unrecorded"
        if t.gap_ms > GAP_MS and t.event("time_gap") is None:
            yield f"nothing ran for {t.gap_ms} ms, unrecorded"
        for event in t.events:
            if event.kind == "cause_latched" and event.data["cause_kind"] == "fault":
                yield from self._early(w, t, event)

    def second(self, w: Witness, frame: Frame) -> Words:
        """No act that lowers protection lives longer than it may, by a clock that never jumps."""
        del frame
        now_ms = w.house.now_ms
        for (kind, point), act in w.account.acts.items():
            if act.most_ms is None or kind == "warm_up" or now_ms - w.began_ms < STEP_MS:
                continue
            if now_ms - act.at_ms > act.most_ms + 2 * STEP_MS and not w.rebooted_since(act.at_ms):
                yield f"{kind} of {point} has stood for {now_ms - act.at_ms} ms"

    def _early(self, w: Witness, t: Turn, event: Event) -> Words:
        for point in event.data["points"]:
            if point not in w.wiring.points or w.account.touched(point):
                continue
            good_ms = w.seen[point].good_ms
            since_ms = good_ms if good_ms > 0 else w.began_ms
            waited_ms = t.now_ms - max(since_ms, w.account.ended_ms.get(point, 0))
            due_ms = w.wiring.points[point].fault_after_ms
            just_ended = t.now_ms == w.account.ended_ms.get(point)
            over = w.seen[point].quality is Quality.OVER_RANGE
            if waited_ms < due_ms and not just_ended and not over:
                yield f"{point} was locked {waited_ms} ms after its last GOOD sample"


class BoundConfiguration(Invariant):
    """I21: what is active is within bounds, named in the ledger, and lowers nothing latched."""

    code = "I21"
    says = (
        "a configuration is within the statutory bounds, in the ledger, and lowers nothing latched"
    )

    TRIP_MOST: ClassVar[dict[str, int]] = {
        "face_return_corner": 150,
        "face": 150,
        "face_return": 100,
        "face_intake_high_gas": 50,
        "heading": 150,
        "heading_return": 100,
        "district_return": 100,
    }

    def __init__(self) -> None:
        self._mine: Mine | None = None

    def born(self, w: Witness) -> Words:
        """Compare what is taken up with what was in force."""
        old, new = self._mine, w.house.mine
        self._mine = new
        yield from self._bounds(new)
        if old is None or old is new:
            return
        places = {o.id: (o.device, o.signal) for o in old.outputs}
        moved = {o.id for o in new.outputs if places.get(o.id) != (o.device, o.signal)}
        for name, cause in w.account.causes.items():
            if there := sorted(moved & set(cause.outputs)):
                yield f"{name} holds {there}, which is wired elsewhere now"
            driven = {o.id for o in new.outputs if o.id in w.wiring.driven}
            if gone := sorted(set(cause.outputs) - driven):
                yield f"{name} holds {gone}, which nobody drives any more"
            for point in cause.points:
                yield from self._lowered(old, new, point)

    def turn(self, w: Witness, t: Turn) -> Words:
        """The first entry of a run names its configuration."""
        started = t.event("controller_started")
        if started is not None and started.data["config"] != hash_of(w.house.mine):
            yield "the ledger names another configuration"

    def _bounds(self, mine: Mine) -> Words:
        for point in mine.points:
            most, trip = self.TRIP_MOST.get(point.place), point.limits.trip
            if most is not None and (trip is None or trip > most):
                yield f"{point.id} trips at {trip}, at most {most} is allowed"

    def _lowered(self, old: Mine, new: Mine, point: str) -> Words:
        try:
            before, after = old.point(point).limits, new.point(point).limits
        except KeyError:
            yield f"{point} is gone while its cut is latched"
            return
        for name in ("alarm", "trip", "restore", "withdraw"):
            one, other = getattr(before, name), getattr(after, name)
            if one is not None and (other is None or other > one):
                yield f"{name} of {point} went from {one} to {other} while its cut is latched"


class SafeStart(Invariant):
    """I22: nothing is written before it is proven; then disk, read-back or silence keeps a cut."""

    code = "I22"
    says = "after a start or a gap an output is on only if disk and read-back both permit it"

    def turn(self, w: Witness, t: Turn) -> Words:
        """Look at the first table after a start or a gap."""
        if t.outputs is None or w.proved_ms != t.now_ms:
            return
        for output in w.wiring.driven.values():
            back = w.read_backs.get(output.id)
            wanted = t.outputs.get(output.id, False)
            if output.role is OutputRole.POWER_CUT and wanted:
                if back is None:
                    yield f"{output.id} is wanted on although its contact never answered"
                elif not back and w.prior != "first":
                    yield f"{output.id} is wanted on although its contact is open"
            elif output.role in SOUNDERS and back and not wanted and w.prior in ("crash", "clean"):
                yield f"{output.id} sounds and is silenced by the start"

    def sent(self, w: Witness, bus: str, function: int, now_ms: int) -> Words:
        """Nothing is written to a relay before the first table.

        Of the turn in which a process dies nobody has heard: it may have been the first.
        """
        proven = w.proved_ms is not None or w.house.doomed
        if function in WRITES and w.has_relays(bus) and not proven and now_ms > w.began_ms:
            yield f"function {function} left on {bus} before anything was proven"


class Bounded(Invariant):
    """I24: queues hold what they may; what is shed is telemetry, never an event."""

    code = "I24"
    says = "queues stay within their bounds, and the ledger is all events of a run in their order"

    ALARMS_MAX = 1_500

    def turn(self, w: Witness, t: Turn) -> Words:
        """Look at what one image holds."""
        del w
        if (n := len(t.image.commands)) > COMMANDS_MAX:
            yield f"{n} commands in one image"
        if (n := len(t.image.notices)) > NOTICES_MAX:
            yield f"{n} notices in one image"

    def second(self, w: Witness, frame: Frame) -> Words:
        """Look at the queues."""
        controller = w.house.controller
        if controller is None:
            return
        if (n := controller.board.commands_waiting) > COMMANDS_MAX:
            yield f"{n} commands wait"
        if (n := controller.board.notices_waiting) > NOTICES_MAX:
            yield f"{n} notices wait"
        if (n := w.house.bench.store.images_waiting) > QUEUE_MAX:
            yield f"{n} images wait for the disk"
        if len(frame["alarms"]) > self.ALARMS_MAX:
            yield f"{len(frame['alarms'])} alarms are kept"
        durable = w.house.bench.store.events
        waiting = w.account.index - len(durable)
        if waiting != sum(len(each) for each in w.house.bench.store.events_waiting()):
            yield f"{waiting} events should wait for the disk"


class SameFold(Invariant):
    """I28: what survives is the fold of the ledger, byte for byte."""

    code = "I28"
    says = "the same ledger gives the same state, and the same seed the same decisions"

    def __init__(self) -> None:
        self._states: dict[int, Durable] = {}

    def turn(self, w: Witness, t: Turn) -> Words:
        """Keep the state after each entry until the disk has passed it."""
        if t.events and w.house.controller is not None:
            durable = w.house.controller.state.durable
            self._states[durable.index] = durable
        yield from ()

    def died(self, w: Witness) -> Words:
        """Fold what the disk holds and compare it with what was known then."""
        events = w.house.bench.store.events
        known = self._states.get(len(events))
        if known is not None and spelled(recover(events)) != spelled(known):
            yield f"the fold of {len(events)} entries is another state than the one that was"
        self._states.clear()


def spelled(durable: Durable) -> bytes:
    """Return the canonical bytes of what survives."""
    return canonical(json.loads(json.dumps(durable_to_json(durable))))


HOUSE = (WholeTable, FedByTheLiving, OwnTime, BoundConfiguration, SafeStart, Bounded, SameFold)
