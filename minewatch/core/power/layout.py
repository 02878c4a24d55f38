"""Layout of the power room: votes, local fans and permissives of one mine, as flat tables.

Part of the plan (`core/plan.py`): derived from the mine, rebuilt with it, never changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from minewatch.model.mine import Condition, Interlock, LocalFan, Mine, Scheme


@dataclass(frozen=True, slots=True)
class VoteGroup:
    """Redundant heads of one place. With `decides` their trips act by vote alone."""

    id: str
    zone: str
    heads: tuple[str, ...]
    needed: int
    spread: int | None
    outputs: tuple[str, ...]

    @property
    def decides(self) -> bool:
        """Say whether a single head does not cut by itself: one of them is enough at 1oo2."""
        return self.needed > 1


@dataclass(frozen=True, slots=True)
class FanSet:
    """The local fans of a heading, the interlocks about them, and what their stop cuts.

    `zones` are the heading and all places within it: who is there is ordered out by a stop.
    """

    row: LocalFan
    zones: tuple[str, ...]
    fans: tuple[str, ...]
    interlocks: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PowerPlan:
    """Everything that the power room looks up.

    `voters` and `fan_points` wake their rooms; `ventilates` finds the fans behind a point that is
    a run state or a duct wind; `permissives` are the points that an output's release needs normal.
    """

    votes: tuple[VoteGroup, ...] = ()
    voters: frozenset[str] = frozenset()
    fans: Mapping[str, FanSet] = field(default_factory=dict)
    fan_points: frozenset[str] = frozenset()
    fan_devices: frozenset[str] = frozenset()
    ventilates: Mapping[str, str] = field(default_factory=dict)
    start_of: Mapping[str, str] = field(default_factory=dict)
    permissives: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def voters(interlock: Interlock) -> tuple[str, ...]:
    """Return the heads of an interlock whose trip is decided by vote alone."""
    return _trip_heads(interlock) if interlock.votes_needed > 1 else ()


def build(mine: Mine) -> PowerPlan:
    """Return the power room's part of the plan of `mine`."""
    votes = tuple(_group(mine, each) for each in mine.interlocks if each.votes_needed)
    fans = {row.id: _fan_set(mine, row) for row in mine.local_fans}
    of_fans = {
        point: row.id
        for row in mine.local_fans
        for point in (row.main, *((row.standby,) if row.standby else ()), *row.duct)
    }
    return PowerPlan(
        votes=votes,
        voters=frozenset(head for each in votes for head in each.heads),
        fans=fans,
        fan_points=frozenset(of_fans),
        fan_devices=frozenset(mine.point(each).device for each in of_fans),
        ventilates=of_fans,
        start_of={row.start: row.id for row in mine.local_fans if row.start},
        permissives=_permissives(mine),
    )


def _group(mine: Mine, interlock: Interlock) -> VoteGroup:
    heads = _trip_heads(interlock)
    return VoteGroup(
        id=interlock.id,
        zone=mine.point(heads[0]).zone,
        heads=heads,
        needed=interlock.votes_needed,
        spread=interlock.spread,
        outputs=interlock.outputs,
    )


def _trip_heads(interlock: Interlock) -> tuple[str, ...]:
    return tuple(each.point for each in interlock.causes if each.condition is Condition.TRIP)


def _fan_set(mine: Mine, row: LocalFan) -> FanSet:
    """Collect what the stop of these fans cuts: the fan-electric interlocks of their heading."""
    fans = (row.main,) if row.standby is None else (row.main, row.standby)
    watched = {*fans, *row.duct}
    about = [
        each
        for each in mine.interlocks
        if (each.scheme is Scheme.FAN_ELECTRIC and row.zone in each.zones)
        or any(c.condition is Condition.OFF and c.point in watched for c in each.causes)
    ]
    outputs = {output for each in about for output in each.outputs}
    interlocks = tuple(each.id for each in about)
    return FanSet(row, _within(mine, row.zone), fans, interlocks, tuple(sorted(outputs)))


def _within(mine: Mine, zone: str) -> tuple[str, ...]:
    """Return a zone and all zones below it in the mine's tree, sorted."""
    found, before = {zone}, 0
    while len(found) > before:
        before = len(found)
        found |= {each.id for each in mine.zones if each.parent in found}
    return tuple(sorted(found))


def _permissives(mine: Mine) -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for each in mine.interlocks:
        for output in each.outputs if each.permissives else ():
            table[output] = tuple(dict.fromkeys((*table.get(output, ()), *each.permissives)))
    return table
