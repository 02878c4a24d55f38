"""The roadways of a mine as a graph of zones: who borders on whom, and how long a walk takes.

Derived from the zones' map paths alone; change the map in the configuration, not here.
"""

from collections import deque
from collections.abc import Iterator
from itertools import pairwise

from minewatch.model.mine import Mine, Zone, ZoneKind

Place = tuple[int, int]

ABOVE_GROUND = frozenset({ZoneKind.MINE, ZoneKind.SURFACE, ZoneKind.MOUTH})
SHORTEST_LEG_S = 30


class Roadways:
    """Zones that can be walked, their neighbours and the ways between them.

    Two zones are neighbours where an end of one path lies on the other path. Zones without a path
    hang on the first underground zone, so that a mine without a map can be walked as well.
    """

    def __init__(self, mine: Mine) -> None:
        self._zones = {zone.id: zone for zone in mine.zones if zone.kind is not ZoneKind.MINE}
        self.underground = tuple(z.id for z in mine.zones if z.kind not in ABOVE_GROUND)
        above = [z.id for z in self._zones.values() if z.kind in ABOVE_GROUND]
        self.surface = above[0] if above else ""
        self._neighbours: dict[str, list[str]] = {zone_id: [] for zone_id in self._zones}
        for one, other in self._joints():
            self._neighbours[one].append(other)
            self._neighbours[other].append(one)
        self._ways: dict[tuple[str, str], tuple[str, ...]] = {}

    def kind(self, zone_id: str) -> ZoneKind:
        """Return what a zone is."""
        return self._zones[zone_id].kind

    def way(self, start: str, goal: str) -> tuple[str, ...]:
        """Return the zones after `start` up to and with `goal`; empty where there is no way."""
        key = (start, goal)
        if key not in self._ways:
            self._ways[key] = self._search(start, goal)
        return self._ways[key]

    def leg_s(self, one: str, other: str) -> int:
        """Return the walking time in s between two neighbours, at least half a minute."""
        return max(SHORTEST_LEG_S, abs(self._depth_s(one) - self._depth_s(other)))

    def _depth_s(self, zone_id: str) -> int:
        zone = self._zones[zone_id]
        return 0 if zone.kind in ABOVE_GROUND else zone.walk_out_s

    def _search(self, start: str, goal: str) -> tuple[str, ...]:
        came_from: dict[str, str] = {start: ""}
        queue = deque([start])
        while queue and goal not in came_from:
            here = queue.popleft()
            for zone_id in self._neighbours.get(here, []):
                if zone_id not in came_from:
                    came_from[zone_id] = here
                    queue.append(zone_id)
        if goal not in came_from:
            return ()
        way = []
        here = goal
        while here != start:
            way.append(here)
            here = came_from[here]
        return tuple(reversed(way))

    def _joints(self) -> Iterator[tuple[str, str]]:
        zones = list(self._zones.values())
        for position, one in enumerate(zones):
            for other in zones[position + 1 :]:
                if _touch(one, other):
                    yield one.id, other.id
        if not self.underground:
            return
        bottom = self.underground[0]
        for zone in zones:
            if not zone.path and zone.id != bottom:
                yield bottom, zone.id
        if not self._zones[bottom].path and self.surface and self._zones[self.surface].path:
            yield self.surface, bottom


def _touch(one: Zone, other: Zone) -> bool:
    ends = [place for place in (*one.path[:1], *one.path[-1:]) if _on_path(place, other.path)]
    back = [place for place in (*other.path[:1], *other.path[-1:]) if _on_path(place, one.path)]
    return bool(ends or back)


def _on_path(place: Place, path: tuple[Place, ...]) -> bool:
    return any(_on_piece(place, a, b) for a, b in pairwise(path))


def _on_piece(place: Place, a: Place, b: Place) -> bool:
    cross = (b[0] - a[0]) * (place[1] - a[1]) - (b[1] - a[1]) * (place[0] - a[0])
    return (
        cross == 0
        and min(a[0], b[0]) <= place[0] <= max(a[0], b[0])
        and min(a[1], b[1]) <= place[1] <= max(a[1], b[1])
    )
