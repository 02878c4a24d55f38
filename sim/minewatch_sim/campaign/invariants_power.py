"""Invariants of power: what cuts, what holds a cut, what gives power back.

I1, I2, I3, I11, I25 of the safety case.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from minewatch.model.event import Event
from minewatch.model.mine import OutputRole
from minewatch.model.quality import Quality
from minewatch_sim.campaign.invariant import Frame, Invariant, Words
from minewatch_sim.campaign.witness import Turn, Vote, Witness

CYCLE_MS = 100
SLACK_MS = 700
"""A second's look, a cycle and the coalescing of turns."""

BELOW_MS = 60_000
HAND_MS = 15 * 60_000
PROOF_MS = 4_500
ALARM_MS = 10_000
GRACE_MS = 11_000
"""Heads of a line that has just come back are told one by one only after this time."""


def demands(w: Witness, t: Turn) -> Iterator[tuple[str, str]]:
    """Yield (point, output) for every reading of a cycle that calls for a cut."""
    wiring = w.wiring
    for sample in t.image.samples:
        for point, value, quality in sample.readings:
            trips = wiring.trips.get(point)
            if trips is None:
                continue
            limit = wiring.points[point].limits.trip
            over = quality == Quality.OVER_RANGE or (
                quality == Quality.GOOD and value is not None and limit is not None
                and value >= limit
            )  # fmt: skip
            off = quality == Quality.GOOD and value == 0
            outputs = (trips if over else frozenset()) | (wiring.offs[point] if off else set())
            if outputs and not w.out_of_service(point, t.image):
                yield from ((point, each) for each in sorted(outputs))


class TripCuts(Invariant):
    """I1: gas at the trip limit cuts in the same cycle, and what does not act is said."""

    code = "I1"
    reads = True
    says = "a reading at its trip limit cuts in its own cycle; within 2T it is proved or alarmed"

    def turn(self, w: Witness, t: Turn) -> Words:
        """A demand of this image leaves its output wanted off."""
        if t.outputs is not None:
            for point, output in demands(w, t):
                if t.outputs.get(output, False):
                    yield f"{point} calls for {output}, which stays on"
            for vote in w.wiring.votes:
                yield from self._voted(w, t, vote)

    def _voted(self, w: Witness, t: Turn, vote: Vote) -> Words:
        """Heads that stand at their trip limit and are enough leave nothing on."""
        asking = [each for each in vote.heads if w.asks(each, t)]
        on = [each for each in sorted(vote.outputs) if t.outputs and t.outputs.get(each)]
        if len(asking) >= vote.needed and on:
            yield f"{asking} call for {on}, which stay on"

    def second(self, w: Witness, frame: Frame) -> Words:
        """A cut that stands for 2T is seen in the plant, or its failure is alarmed."""
        del frame
        now_ms, plant = w.house.now_ms, w.house.plant
        for output in w.wiring.driven.values():
            if output.role is not OutputRole.POWER_CUT or w.outputs is None:
                continue
            if w.outputs.get(output.id, True) or output.proof is None:
                continue
            dead_ms = w.dead_ms.get(output.id, 0)
            since_ms = max(w.wanted_ms[output.id], w.proved_ms or 0, dead_ms)
            proof = w.wiring.points[output.proof]
            if now_ms - since_ms < PROOF_MS or w.lies(proof, now_ms):
                continue
            said = w.account.stands("failed_actuation", output.id) or w.account.stands(
                "feed_abnormal", output.id
            )
            line = f"line:{w.wiring.bus(proof.id)}"
            said = said or w.account.stands("sensor_fault", proof.id, line)
            if dead_ms >= w.wanted_ms[output.id] and w.is_blind(proof.id, now_ms):
                continue  # it acted, and came alive again while nobody could see it
            if plant.power.feeders[output.id].live and not said:
                yield f"{output.id} is live {now_ms - since_ms} ms after its cut, unsaid"


class LostIsCut(Invariant):
    """I2: a head that is not GOOD raises its alarm and cuts its place in time."""

    code = "I2"
    says = "a wired point without a GOOD sample alarms within 10 s and cuts within its fault time"

    def second(self, w: Witness, frame: Frame) -> Words:
        """Look at every wired point's last GOOD sample."""
        del frame
        now_ms = w.house.now_ms
        for point, outputs in w.wiring.faults.items():
            if not outputs:
                continue
            since_ms = last_good_ms(w, point)
            if w.account.touched(point):
                continue
            late_ms = now_ms - since_ms - SLACK_MS
            if late_ms > w.wiring.points[point].fault_after_ms:
                on = [each for each in sorted(outputs) if w.outputs and w.outputs.get(each)]
                if on:
                    yield f"{point} has not been GOOD for {now_ms - since_ms} ms and {on} stay on"
            line = f"line:{w.wiring.bus(point)}"
            if late_ms > ALARM_MS and not (
                w.account.stands("sensor_fault", point, line)
                or w.account.stands("over_range", point)
                or now_ms - w.account.restored_ms.get(line, -(10**9)) < GRACE_MS
            ):
                yield f"{point} has not been GOOD for {now_ms - since_ms} ms and nothing says so"

        for kind, point in w.account.acts:
            if kind in ("calibration", "bypass") and w.outputs is not None:
                yield from self._unguarded(w, now_ms, w.outputs, point)

    def _unguarded(self, w: Witness, now_ms: int, wanted: Mapping[str, bool], point: str) -> Words:
        """A head under an open calibration or bypass whose place nobody guards still cuts."""
        outputs = w.wiring.faults.get(point, frozenset())
        if not outputs or ("cover", point) in w.account.acts:
            return
        act_ms = max(a.at_ms for (_, p), a in w.account.acts.items() if p == point)
        since_ms = max(w.guarded_ms.get(point, 0), last_good_ms(w, point), act_ms)
        if now_ms - since_ms > w.wiring.points[point].fault_after_ms + 12_000 + 2 * SLACK_MS:
            on = [each for each in sorted(outputs) if wanted.get(each)]
            if on:
                yield f"{point} is out of service, nothing guards its place, and {on} stay on"


def last_good_ms(w: Witness, point: str) -> int:
    """Return from when a point's fault time runs: a GOOD sample, the end of an act, the start."""
    ended_ms = w.account.ended_ms.get(point, 0)
    return max(w.seen[point].good_ms, w.began_ms, ended_ms)


class CutHolds(Invariant):
    """I3: a cut holds until two names release it, every place GOOD and below for 60 s."""

    code = "I3"
    says = "a latched output stays off until a release by two names, every place GOOD and below"

    def turn(self, w: Witness, t: Turn) -> Words:
        """Compare the wanted table with the latches, and each release with its conditions."""
        for event in t.events:
            if event.kind == "released":
                yield from self._release(w, t, event)
        for key, wanted in (t.outputs or {}).items():
            is_cut = w.wiring.driven[key].role is OutputRole.POWER_CUT
            if is_cut and wanted and w.account.held(key):
                yield f"{key} is latched and wanted on"

    def _release(self, w: Witness, t: Turn, event: Event) -> Words:
        release = event.data["release"]
        granted = [
            (n, each.data)
            for n, each in enumerate(w.house.bench.store.events)
            if each.kind == "release_granted" and each.data["release"] == release
        ]
        if not granted:
            yield f"{release} acted although its grant is not on disk"
        for index, data in granted:
            if index >= t.image.durable_index:
                yield f"{release} acted before its grant was on disk"
            if data["by"] == data["second"] or not data["second"]:
                yield f"{release} has one name only"
        for name in event.data["causes"]:
            cause = w.account.freed[name]
            if cause.kind == "fan":
                yield from self._fans(w, name, cause.points)
                continue
            for point in cause.points:
                yield from self._place(w, t, point)

    def _fans(self, w: Witness, name: str, fans: tuple[str, ...]) -> Words:
        """Power returns to a heading only while a fan is known to run."""
        seen = [w.seen[each] for each in fans]
        if not any(each.quality is Quality.GOOD and each.value == 1 for each in seen):
            yield f"{name} was released although no fan runs"

    def _place(self, w: Witness, t: Turn, point: str) -> Words:
        seen = w.seen.get(point)
        if seen is None:
            return
        in_force = {kind for kind, p in w.account.acts if p == point}
        covered = "cover" in in_force and not Quality(seen.quality).raises
        bypassed = "bypass" in in_force and t.now_ms - w.guarded_ms.get(point, -(10**9)) < 12_000
        if not (covered or bypassed):
            if seen.quality is not Quality.GOOD or w.out_of_service(point, t.image):
                yield f"released although {point} is {seen.quality.name}"
            elif seen.below_ms is None or t.now_ms - seen.below_ms < BELOW_MS:
                yield f"released although {point} has not been below for 60 s"
        if not w.wiring.is_switch(point):
            hand = w.account.hands.get(point)
            if hand is None or t.now_ms - hand.at_ms > HAND_MS:
                yield f"released without a hand value at {point}"
            elif not w.wiring.permits(point, hand.value):
                yield f"released although {hand.value} was measured by hand at {point}"


class OnlyGoodClears(Invariant):
    """I11: what is not GOOD ends no alarm."""

    code = "I11"
    says = "an alarm of a value ends by GOOD values below its limit alone"

    LIMITS: ClassVar[dict[str, str]] = {
        "pre_alarm": "pre_alarm",
        "gas_over_limit": "alarm",
        "trip": "trip",
        "withdraw": "withdraw",
        "over_range": "alarm",
    }

    def turn(self, w: Witness, t: Turn) -> Words:
        """Look at each alarm that ends."""
        for event in t.events:
            if event.kind != "alarm_cleared":
                continue
            kind, source = event.data["alarm_kind"], event.data["source"]
            seen = w.seen.get(source)
            if seen is None or t.event("controller_started") is not None:
                continue
            if ("cover", source) in w.account.acts:
                continue
            if kind in self.LIMITS:
                yield from self._value(w, t, kind, source)
            elif kind == "sensor_fault" and seen.quality is not Quality.GOOD:
                yield f"{kind} of {source} ended on {seen.quality.name}"

    def _value(self, w: Witness, t: Turn, kind: str, source: str) -> Words:
        seen = w.seen[source]
        if seen.quality is not Quality.GOOD or w.out_of_service(source, t.image):
            yield f"{kind} of {source} ended on {seen.quality.name}"
            return
        limit = getattr(w.wiring.points[source].limits, self.LIMITS[kind])
        if limit is not None and seen.value is not None and seen.value >= limit:
            yield f"{kind} of {source} ended at {seen.value}, its limit is {limit}"
        if w.wiring.offs[source] and kind == "trip" and seen.value == 0:
            yield f"{kind} of {source} ended while it is off"


class TripWins(Invariant):
    """I25: a demand and a release in one cycle: the demand wins."""

    code = "I25"
    says = "a release that meets a demand in its cycle is void and the output stays off"

    def __init__(self) -> None:
        self._pending: set[str] = set()

    def turn(self, w: Witness, t: Turn) -> Words:
        """Look at demands of this cycle against releases that waited for it."""
        pending = self._pending
        self._pending = {o for each in w.account.grants.values() for o in each.outputs}
        waited = pending | {o for e in t.events if e.kind == "released" for o in e.data["outputs"]}
        if not waited or t.outputs is None:
            return
        for point, output in demands(w, t):
            if output in waited and t.outputs.get(output, False):
                yield f"{output} was released against {point}"
            if any(output in each.outputs for each in w.account.grants.values()):
                yield f"a release of {output} still waits after {point}"


POWER = (TripCuts, LostIsCut, CutHolds, OnlyGoodClears, TripWins)
