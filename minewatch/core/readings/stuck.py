"""Stuck heads: a value that stands still while what it should follow moves (catalogue, 19).

Only points whose companions the configuration names are watched: another head of the same air,
the coal-cutting flag of the face. Time is counted in slots of a minute; a slot counts while the
value is the very same and every companion, all GOOD, moves: a measured one changes, a flag is on
throughout.
After the point's time of such slots the head is FROZEN: what it raised holds, it clears nothing and
counts as lost. Any change of the value ends that at once. A head that stands on zero never is: the
zero of a healthy head is cut off there. What only looks odd, a value that stands still for a day or
on zero beside moving companions, and a passage that repeats value by value (a buffer that is played
back), is an event that asks for a look: statistics accuse wrongly, so they lower and cut nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from minewatch.core.folding import Fold, with_entry, without
from minewatch.core.readings import points, repetition
from minewatch.model.event import Event
from minewatch.model.quality import Quality

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.plan import PointPlan
    from minewatch.core.state import Durable, State

SLOT_MS = 60_000
CONSTANT, ZERO, REPEATED = "constant", "zero", "repeated"
"""Why a point wants a look."""

SUSPECTS_MAX = 256
"""At most so many points wait for a look at one time; more are not told apart."""


class Frozen(NamedTuple):
    """A head that is FROZEN: the value that it stands on, and since when it has stood there."""

    value: int
    since_ms: int


class Suspect(NamedTuple):
    """What looks odd about a point, as a code, and since when."""

    reason: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class StuckDurable:
    """Heads that are FROZEN, and those that want a look, by point."""

    frozen: Mapping[str, Frozen] = field(default_factory=dict)
    suspects: Mapping[str, Suspect] = field(default_factory=dict)


class Track(NamedTuple):
    """A watched head on one value: since when, and for how many slots its companions moved.

    `marks` are the companions' values at the begin of the running slot, `moved` whether each of
    them has moved in it, `whole` whether nothing has spoilt it.
    """

    value: int
    since_ms: int
    slot_ms: int
    marks: tuple[int | None, ...]
    moved: tuple[bool, ...]
    whole: bool
    moving_ms: int


@dataclass(frozen=True, slots=True)
class StuckVolatile:
    """Tracks of watched heads, and their last values for `repetition`."""

    tracks: Mapping[str, Track] = field(default_factory=dict)
    passages: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def observe(draft: "Draft") -> None:
    """Look at the watched heads whose devices have answered in this cycle."""
    if draft.durable.stuck.frozen or draft.durable.stuck.suspects:
        _drop_unwatched(draft)
    watched = draft.plan.watched
    samples = [each for each in draft.image.samples if each.device in watched] if watched else ()
    if not samples:
        return
    tracks = dict(draft.volatile.stuck.tracks)
    passages = dict(draft.volatile.stuck.passages)
    for device, sampled_ms, readings in samples:
        names, at_ms = watched[device], min(sampled_ms, draft.image.now_ms)
        for point_id, value, quality in readings:
            if point_id not in names:
                continue
            track = tracks.get(point_id)
            if quality != Quality.GOOD or value is None:
                tracks.pop(point_id, None)
            elif track is not None and track.value == value:
                tracks[point_id] = _still(draft, draft.plan.points[point_id], track, at_ms)
            else:
                plan, before = draft.plan.points[point_id], passages.get(point_id, ())
                tracks[point_id] = _moved(draft, plan, track, value, at_ms)
                passages[point_id] = _listen(draft, plan, before, value)
    draft.update_volatile(stuck=StuckVolatile(tracks, passages))


def _drop_unwatched(draft: "Draft") -> None:
    """Let go of what another configuration watches no longer: nothing else could end it."""
    stuck = draft.durable.stuck
    for point_id in sorted(stuck.frozen):
        if not _is_watched(draft, point_id):
            draft.emit("frozen_ended", point=point_id, reason="unwatched", value=None)
    for point_id in sorted(stuck.suspects):
        if not _is_watched(draft, point_id):
            draft.emit("suspicion_ended", point=point_id)


def _is_watched(draft: "Draft", point_id: str) -> bool:
    plan = draft.plan.points.get(point_id)
    return plan is not None and bool(plan.companions)


def _moved(draft: "Draft", plan: "PointPlan", track: Track | None, value: int, at_ms: int) -> Track:
    """Begin the track of a head that shows another value; its first slot counts for nothing."""
    frozen = draft.durable.stuck.frozen.get(plan.id)
    if frozen is not None and frozen.value != value:
        draft.emit("frozen_ended", point=plan.id, reason="moved", value=value)
    if track is not None:
        _unsuspect(draft, plan.id, CONSTANT, ZERO)
    return Track(value, at_ms, at_ms, (), (), False, 0)


def _still(draft: "Draft", plan: "PointPlan", track: Track, at_ms: int) -> Track:
    """Return the track of a head that shows the same value once more."""
    if track.whole:
        track = _followed(draft, plan, track)
    if at_ms - track.slot_ms < SLOT_MS:
        return track
    if track.whole and all(track.moved):
        track = track._replace(moving_ms=track.moving_ms + SLOT_MS)
    _judge(draft, plan, track, at_ms)
    marks = tuple(draft.live[each].value for each, _ in plan.companions)
    moved = tuple(is_flag for _, is_flag in plan.companions)
    begun = track._replace(slot_ms=at_ms, marks=marks, moved=moved, whole=True)
    return _followed(draft, plan, begun)


def _followed(draft: "Draft", plan: "PointPlan", track: Track) -> Track:
    """Return the track after a look at the companions.

    A measured one must leave the value that it had at the begin of the slot, a flag must stay on.
    """
    moved = []
    for (companion, is_flag), mark, has in zip(
        plan.companions, track.marks, track.moved, strict=True
    ):
        live = draft.live[companion]
        if live.quality is not Quality.GOOD:
            return track._replace(whole=False)
        moved.append(has and live.value == 1 if is_flag else has or live.value != mark)
    return track._replace(moved=tuple(moved))


def _judge(draft: "Draft", plan: "PointPlan", track: Track, at_ms: int) -> None:
    """Decide at the end of a slot whether the head is stuck, or wants a look."""
    is_due = plan.point.stuck_after_ms > 0 and track.moving_ms >= plan.point.stuck_after_ms
    if is_due and track.value != 0:
        _freeze(draft, plan, track)
    elif is_due:
        _suspect(draft, plan, ZERO, track.value, track.since_ms)
    elif at_ms - track.since_ms >= draft.mine.values.suspect_ms:
        _suspect(draft, plan, CONSTANT, track.value, track.since_ms)


def _freeze(draft: "Draft", plan: "PointPlan", track: Track) -> None:
    if plan.id in draft.durable.stuck.frozen:
        return
    draft.emit(
        "frozen_found",
        companions=[each for each, _ in plan.companions],
        moving_ms=track.moving_ms,
        point=plan.id,
        since_ms=track.since_ms,
        value=track.value,
        zone=plan.zone,
    )
    points.freeze(draft, plan.id)


def _listen(
    draft: "Draft", plan: "PointPlan", passage: tuple[int, ...], value: int
) -> tuple[int, ...]:
    """Return the values that a head has taken one after the other, with one more.

    How long it stood on each is left out: it depends on our own pace. Once the passage is full it
    is looked at, and its newer half kept.
    """
    half = draft.mine.values.replay_values_max
    passage = (*passage, value)
    if len(passage) < 2 * half:
        return passage
    if repetition.is_replayed(passage, draft.mine.values.replay_changes_min):
        _suspect(draft, plan, REPEATED, value, draft.image.now_ms)
    else:
        _unsuspect(draft, plan.id, REPEATED)
    return passage[half:]


def _suspect(draft: "Draft", plan: "PointPlan", reason: str, value: int, since_ms: int) -> None:
    """Ask once for a look at a point; nothing is lowered, nothing is cut."""
    suspects = draft.durable.stuck.suspects
    if plan.id in suspects or len(suspects) >= SUSPECTS_MAX:
        return
    draft.emit(
        "value_suspected",
        point=plan.id,
        reason=reason,
        since_ms=since_ms,
        value=value,
        zone=plan.zone,
    )


def _unsuspect(draft: "Draft", point_id: str, *reasons: str) -> None:
    suspect = draft.durable.stuck.suspects.get(point_id)
    if suspect is not None and suspect.reason in reasons:
        draft.emit("suspicion_ended", point=point_id)


def view(state: "State") -> dict[str, Any]:
    """Return the frame's `frozen` heads and the `suspects` that want a look."""
    stuck = state.durable.stuck
    return {
        "frozen": {each: held._asdict() for each, held in stuck.frozen.items()},
        "suspects": {each: held._asdict() for each, held in stuck.suspects.items()},
    }


def _found(durable: "Durable", event: Event) -> "Durable":
    data, stuck = event.data, durable.stuck
    frozen = with_entry(stuck.frozen, data["point"], Frozen(data["value"], data["since_ms"]))
    return replace(durable, stuck=replace(stuck, frozen=frozen))


def _ended(durable: "Durable", event: Event) -> "Durable":
    stuck = durable.stuck
    frozen = without(stuck.frozen, event.data["point"])
    return replace(durable, stuck=replace(stuck, frozen=frozen))


def _suspected(durable: "Durable", event: Event) -> "Durable":
    data, stuck = event.data, durable.stuck
    suspect = Suspect(data["reason"], data["since_ms"])
    suspects = with_entry(stuck.suspects, data["point"], suspect)
    return replace(durable, stuck=replace(stuck, suspects=suspects))


def _unsuspected(durable: "Durable", event: Event) -> "Durable":
    stuck = durable.stuck
    suspects = without(stuck.suspects, event.data["point"])
    return replace(durable, stuck=replace(stuck, suspects=suspects))


def _rebased(durable: "Durable", event: Event) -> "Durable":
    """Carry ages over to the new run's clock where it began anew (a reboot)."""
    shift_ms, stuck = min(0, event.now_ms - durable.now_ms), durable.stuck
    return replace(
        durable,
        stuck=StuckDurable(
            {
                k: each._replace(since_ms=each.since_ms + shift_ms)
                for k, each in stuck.frozen.items()
            },
            {
                k: each._replace(since_ms=each.since_ms + shift_ms)
                for k, each in stuck.suspects.items()
            },
        ),
    )


FOLDS: dict[str, Fold] = {
    "frozen_found": _found,
    "frozen_ended": _ended,
    "value_suspected": _suspected,
    "suspicion_ended": _unsuspected,
    "controller_started": _rebased,
    "clock_stepped": _rebased,
}
