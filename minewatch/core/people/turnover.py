"""How events change the roster: the folds of every kind that concerns people.

A fold reads nothing but the durable state and the event. A person leaves the roster by a read exit
(`badge_left`) or by two names (`person_closed`) and in no other way.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from minewatch.core.deadline import Deadline
from minewatch.core.folding import Fold, keep, with_entry, without
from minewatch.core.people.roster import UNBADGED, Doubt, Gap, Inside, PeopleDurable

if TYPE_CHECKING:
    from minewatch.core.state import Durable
    from minewatch.model.event import Event

GAPS_MAX = 64
"""Losses remembered; older ones are beyond what anybody has not been heard since."""

EVERYBODY = 5000
"""How many moves a reader that overflowed may have lost."""


def _people(durable: "Durable", **parts: Any) -> "Durable":
    return replace(durable, people=replace(durable.people, **parts))


def _entered(durable: "Durable", event: "Event") -> "Durable":
    people, data, now_ms = durable.people, event.data, event.now_ms
    person = Inside(
        data["zone"],
        data["reader"],
        Doubt(data["doubt"]),
        now_ms,
        event.wall_ms,
        event.wall_trusted,
        now_ms,
        sequence=data["sequence"],
    )
    missed = event.kind == "entry_missed"
    owed = people.came.more > 0
    return _people(
        durable,
        inside={**people.inside, data["badge"]: person},
        came=people.came.add(0, 1, now_ms) if owed or not missed else people.came,
        gaps_in=max(0, people.gaps_in - 1) if missed else people.gaps_in,
    )


def _left(durable: "Durable", event: "Event") -> "Durable":
    people, now_ms = durable.people, event.now_ms
    how = event.data["how"]
    unknown = how == "unknown_inside"
    came = people.came.add(0, 1, now_ms) if unknown and people.came.more > 0 else people.came
    return _people(
        durable,
        inside=without(people.inside, event.data["badge"]),
        came=came,
        went=people.went.add(0, 1, now_ms) if _reads_exit(people, how) else people.went,
        gaps_in=max(0, people.gaps_in - 1) if unknown else people.gaps_in,
        gaps_out=max(0, people.gaps_out - 1) if how == "implied" else people.gaps_out,
    )


def _reads_exit(people: PeopleDurable, how: str) -> bool:
    """Say whether an exit counts against the gate: an implied one only if the gate is owed it."""
    return how != "implied" or people.went.more > 0


def _closed(durable: "Durable", event: "Event") -> "Durable":
    people, badge, now_ms = durable.people, event.data["badge"], event.now_ms
    if badge == UNBADGED:
        came, went = people.came, people.went
        return _people(
            durable,
            came=came.add(0, 1, now_ms) if came.more > 0 else came,
            went=went.add(0, 1, now_ms) if came.more > 0 and went.more > 0 else went,
            gaps_in=max(0, people.gaps_in - 1),
        )
    return _people(
        durable,
        inside=without(people.inside, badge),
        went=people.went.add(0, 1, now_ms) if people.went.more > 0 else people.went,
        gaps_out=max(0, people.gaps_out - 1),
    )


def _moved(durable: "Durable", event: "Event") -> "Durable":
    inside = dict(durable.people.inside)
    for badge, zone, reader, also in event.data["moves"]:
        if badge in inside:
            inside[badge] = replace(
                inside[badge],
                zone=zone,
                reader=reader,
                sequence=None,
                also=also,
                seen_ms=event.now_ms,
                moved_ms=event.now_ms,
            )
    return _people(durable, inside=inside)


def _called(durable: "Durable", event: "Event") -> "Durable":
    """Fold a roll call: it names who was heard since the last one, and how long ago."""
    inside = dict(durable.people.inside)
    for badge, age_ms in event.data["heard"]:
        if badge in inside:
            inside[badge] = replace(inside[badge], seen_ms=event.now_ms - age_ms)
    return _people(durable, inside=inside)


def _doubted(durable: "Durable", event: "Event") -> "Durable":
    """Fold a doubt. A record that ends it is the newest: older ones told again after a start are
    known by its number (events of older versions do not name it).
    """
    inside = dict(durable.people.inside)
    badge, data = event.data["badge"], event.data
    proof = {each: data[each] for each in ("reader", "sequence", "zone") if each in data}
    doubt = Doubt(data["doubt"])
    inside[badge] = replace(inside[badge], doubt=doubt, seen_ms=event.now_ms, **proof)
    return _people(durable, inside=inside)


def _gate_counted(durable: "Durable", event: "Event") -> "Durable":
    people, data, now_ms = durable.people, event.data, event.now_ms
    came, went = data["came"], data["went"]
    return _people(
        durable,
        gates={**people.gates, **data["counters"]},
        came=people.came.add(came, 0, now_ms) if came else people.came,
        went=people.went.add(went, 0, now_ms) if went else people.went,
    )


def _gate_settled(durable: "Durable", event: "Event") -> "Durable":
    """Forget reads that ran ahead of the gates."""
    del event
    people = durable.people
    came, went = people.came, people.went
    return _people(
        durable,
        came=replace(came, reads=min(came.reads, came.gate)),
        went=replace(went, reads=min(went.reads, went.gate)),
    )


def _reads_lost(durable: "Durable", event: "Event") -> "Durable":
    people, data = durable.people, event.data
    gap = Gap(data["reader"], data["count"], event.now_ms)
    return _people(
        durable,
        gaps_in=people.gaps_in + data["widens"],
        gaps_out=people.gaps_out + data["widens"],
        gaps=(*people.gaps, gap)[-GAPS_MAX:],
    )


def _reads_found(durable: "Durable", event: "Event") -> "Durable":
    people, count = durable.people, event.data["widens"]
    return _people(
        durable,
        gaps_in=max(0, people.gaps_in - count),
        gaps_out=max(0, people.gaps_out - count),
    )


def _overflowed(durable: "Durable", event: "Event") -> "Durable":
    """Fold a reader's report that it lost records: perhaps everybody's."""
    people, data = durable.people, event.data
    gap = Gap(data["reader"], EVERYBODY, event.now_ms)
    return _people(
        durable,
        gaps=(*people.gaps, gap)[-GAPS_MAX:],
        blind_ms=event.now_ms if data["blind"] else people.blind_ms,
    )


def _reader_lost(durable: "Durable", event: "Event") -> "Durable":
    data = event.data
    return _people(
        durable, lost=with_entry(durable.people.lost, data["reader"], data["answered_ms"])
    )


def _reader_back(durable: "Durable", event: "Event") -> "Durable":
    """Fold a reader's return or restart; a `blind` one may have missed what passed it."""
    people, data = durable.people, event.data
    return _people(
        durable,
        lost=without(people.lost, data["reader"]) if event.kind == "reader_back" else people.lost,
        blind_ms=event.now_ms if data["blind"] else people.blind_ms,
    )


def _full(durable: "Durable", event: "Event") -> "Durable":
    return _people(durable, full_ms=event.now_ms if event.kind == "people_full" else None)


def _handover(durable: "Durable", event: "Event") -> "Durable":
    data = event.data
    return _people(durable, handover=Deadline(data["until_ms"], data["until_wall_ms"]))


def _started(durable: "Durable", event: "Event") -> "Durable":
    """Carry times over to the new run; a clock that began anew counts from the last event."""
    people, last_ms = durable.people, durable.now_ms
    shift_ms = min(0, event.now_ms - last_ms)
    inside = people.inside
    if shift_ms:
        inside = {badge: _rebased(each, event, shift_ms) for badge, each in inside.items()}
    return _people(
        durable,
        inside=inside,
        full_ms=None if people.full_ms is None else event.now_ms,
        gaps=tuple(each._replace(at_ms=each.at_ms + shift_ms) for each in people.gaps),
        lost={reader: at_ms + shift_ms for reader, at_ms in people.lost.items()},
        blind_ms=None if people.blind_ms is None else people.blind_ms + shift_ms,
        came=replace(people.came, at_ms=people.came.at_ms + shift_ms),
        went=replace(people.went, at_ms=people.went.at_ms + shift_ms),
        handover=people.handover.rebased(event, last_ms),
        latest_ms=last_ms + shift_ms,
    )


def _rebased(person: Inside, event: "Event", shift_ms: int) -> Inside:
    """Move a person to the new clock; the time away counts as time underground."""
    entered_ms = person.entered_ms + shift_ms
    if person.entered_trusted and event.wall_trusted:
        entered_ms = min(entered_ms, event.now_ms - (event.wall_ms - person.entered_wall_ms))
    return replace(
        person,
        entered_ms=entered_ms,
        seen_ms=person.seen_ms + shift_ms,
        moved_ms=person.moved_ms + shift_ms,
    )


FOLDS: dict[str, Fold] = {
    "badge_entered": _entered,
    "entry_missed": _entered,
    "badge_left": _left,
    "badges_moved": _moved,
    "badge_doubted": _doubted,
    "roll_call_taken": _called,
    "person_closed": _closed,
    "gate_counted": _gate_counted,
    "gate_reset": _gate_counted,
    "gate_settled": _gate_settled,
    "reads_lost": _reads_lost,
    "reads_found": _reads_found,
    "reads_replayed": keep,
    "reader_restarted": _reader_back,
    "reader_overflowed": _overflowed,
    "reader_lost": _reader_lost,
    "reader_back": _reader_back,
    "badge_unknown": keep,
    "badge_unseen": keep,
    "battery_low": keep,
    "people_full": _full,
    "people_full_ended": _full,
    "over_time_second": keep,
    "major_hazard": keep,
    "handover_started": _handover,
    "handover_ended": keep,
    "controller_started": _started,
}
