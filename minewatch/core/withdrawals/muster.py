"""Muster: who of those ordered out is still there, who is missed, whether everybody is told.

A badge in the zones of a withdrawal that is not heard for one and a half times the zone's walk-out
time and a margin is unaccounted (practice 25). It is never given up: the alarm names its last place
until the badge is heard, out, or closed by two names.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from minewatch.core.alarms import alarm
from minewatch.model.alarm import AlarmKind
from minewatch.model.mine import Mine, OutputRole

if TYPE_CHECKING:
    from minewatch.core.draft import Draft

NOTIFY_MS = 180_000
"""All people underground are told within three minutes (the provinces' rule, domain facts §5.4)."""

LOOK_MS = 1000
"""How often the zones are looked over."""

CALL_MS = 10_000
"""How often the ledger is told who was heard, so that a crash makes nobody look silent."""

MARGIN_MIN_S = 60
"""A margin below this stands alone, without the walk: it is for demonstrations and rehearsals."""

WALK_OUT_S = 1800
"""Walk from a zone that a new configuration has dropped while somebody is there."""

_SOUNDERS = frozenset({OutputRole.SIREN, OutputRole.BROADCAST})


def decide(draft: "Draft", zones: tuple[str, ...]) -> None:
    """Count who is in the zones once a second and raise or clear who is missed."""
    now_ms = draft.image.now_ms
    volatile = draft.volatile.withdrawal
    if now_ms - volatile.looked_ms < LOOK_MS and volatile.looked_ms:
        return
    there = _badges(draft, zones)
    missed = tuple(badge for badge in there if _is_missed(draft, badge))
    for badge in missed:
        zone = draft.volatile.people.tracks[badge].zone
        alarm.raise_(draft, AlarmKind.UNACCOUNTED, badge, zone=zone)
    _clear_all_but(draft, missed)
    unbadged = max(0, draft.durable.people.came.more) if "mine" in zones else 0
    draft.update_volatile(
        withdrawal=replace(
            draft.volatile.withdrawal,
            missed=missed,
            underground=len(there) + unbadged,
            looked_ms=now_ms,
        )
    )
    if now_ms - draft.volatile.withdrawal.called_ms >= CALL_MS:
        _call(draft, there)


def _call(draft: "Draft", there: list[str]) -> None:
    """Take the roll: put on record who has surely been heard since the last call."""
    now_ms, tracks = draft.image.now_ms, draft.volatile.people.tracks
    inside = draft.durable.people.inside
    heard = [
        [badge, now_ms - tracks[badge].earliest_ms]
        for badge in there
        if tracks[badge].earliest_ms > inside[badge].seen_ms
    ]
    draft.update_volatile(withdrawal=replace(draft.volatile.withdrawal, called_ms=now_ms))
    if heard:
        draft.emit("roll_call_taken", there=len(there), heard=heard)


def forget(draft: "Draft") -> None:
    """End the search with the withdrawal."""
    _clear_all_but(draft, ())
    draft.update_volatile(
        withdrawal=replace(draft.volatile.withdrawal, missed=(), underground=0, looked_ms=0)
    )


def is_told(draft: "Draft", zones: tuple[str, ...]) -> bool:
    """Say whether every sounder of the zones is proved to sound and no zone is without one."""
    wants = draft.volatile.interlock.wants
    heard: set[str] = set()
    for output in draft.plan.driven.values():
        covers = output.covers or (output.zone,)
        if output.role not in _SOUNDERS or not ("mine" in zones or set(covers) & set(zones)):
            continue
        want = wants.get(output.id)
        if want is None or not (want.energised and want.proved):
            return False
        heard.update(covers)
    return bool(heard) and ("mine" in zones or heard >= set(zones))


def limit_ms(mine: Mine, zone: str) -> int:
    """Return how long a badge of the zone may be unheard before it is missed."""
    margin_s = mine.unaccounted_margin_s
    if margin_s < MARGIN_MIN_S:
        return margin_s * 1000
    walk_out_s = next((z.walk_out_s for z in mine.zones if z.id == zone), WALK_OUT_S)
    return walk_out_s * 1500 + margin_s * 1000


def _badges(draft: "Draft", zones: tuple[str, ...]) -> list[str]:
    inside, tracks = draft.durable.people.inside, draft.volatile.people.tracks
    if "mine" in zones:
        return sorted(inside)
    scope = frozenset(zones)
    return sorted(b for b in inside if tracks[b].zone in scope or tracks[b].also in scope)


def _is_missed(draft: "Draft", badge: str) -> bool:
    """Say whether nobody has surely heard the badge for too long since the order.

    A record that waited in a silent reader says where somebody was, not that he is well.
    """
    standing = draft.durable.withdrawal.standing
    assert standing is not None
    track = draft.volatile.people.tracks[badge]
    since_ms = max(standing.raised_ms, track.earliest_ms)
    return draft.image.now_ms - since_ms > limit_ms(draft.mine, track.zone)


def _clear_all_but(draft: "Draft", missed: tuple[str, ...]) -> None:
    if not missed and not draft.volatile.withdrawal.missed and draft.volatile.withdrawal.looked_ms:
        return
    kept = frozenset(missed)
    for key in sorted(draft.durable.alarms.standing):
        kind, _, badge = key.partition("/")
        if kind == AlarmKind.UNACCOUNTED and badge not in kept:
            alarm.clear(draft, AlarmKind.UNACCOUNTED, badge)
