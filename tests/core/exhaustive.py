"""Exhaustive search through the real `step`: a place with two heads, everything that may happen.

A node is the core's whole state, the ledger entries that are not yet on disk, and what the relays
hold. Times are ticks of one second (the tests shorten the core's limits to a few ticks); two nodes
are the same when nothing but the hour, the numbers of entries and the names of alarms differ.
Every edge is one call of `step`, or a crash with some prefix of the unsynced entries followed by
one. The search also writes the table of its edges: who reads it walks whole histories without
calling the core again.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from minewatch.core.fold import apply
from minewatch.core.state import Durable, State
from minewatch.core.step import Step, step
from minewatch.model.image import Command, Image, ReadBack, Reading, Sample
from minewatch.model.mine import Mine
from minewatch.model.quality import Quality

TICK_MS = 1_000
LONG = 6
"""Ticks beyond which an age makes no difference: more than any limit of a search."""

START_MS, WALL_MS = 1_000_000, 1_700_000_000_000
LOW, HIGH = 10, 200
Said = dict[str, int | Quality]


class Node(NamedTuple):
    """Where the search stands. `prefixes` are the durable states that a crash now may leave."""

    state: State
    prefixes: tuple[Durable, ...]
    written: tuple[tuple[str, bool], ...]
    tick: int


class Move(NamedTuple):
    """One thing that happens in one tick.

    `crash` picks the prefix that survives: 0 all that is on disk and no more, -1 everything.
    """

    name: str
    said: Said
    commands: tuple[Command, ...] = ()
    synced: bool = True
    crash: int | None = None
    silent_relays: bool = False


class Edge(NamedTuple):
    """A move from one node to another, with what it wrote (None: nothing yet) and recorded."""

    move: Move
    before: Node
    after: Node
    decided: Step


@dataclass
class Search:
    """The breadth-first search. `table` holds, per node number, (move, next node) of each edge."""

    mine: Mine
    moves: Callable[[Node], Iterator[Move]]
    check: Callable[[Edge], None]
    edges: int = 0
    table: dict[int, list[tuple[str, int]]] = field(default_factory=dict)
    levels: dict[int, tuple[bool | None, ...]] = field(default_factory=dict)

    def run(self, edges_max: int, path: tuple[str, ...] = ()) -> bool:
        """Search until nothing new is found (True) or so many edges are walked (False).

        The search starts where the moves of `path` lead from the mine in service.
        """
        first = self.begin()
        for name in path:
            (move,) = [each for each in self.moves(first) if each.name == name]
            edge = self.walk(first, move)
            self.check(edge)
            first = edge.after
        self.levels[0] = tuple(level for _, level in first.written)
        numbers = {key_of(first): 0}
        waiting = deque([(0, first)])
        while waiting:
            number, node = waiting.popleft()
            out = self.table[number] = []
            for move in self.moves(node):
                edge = self.walk(node, move)
                self.edges += 1
                self.check(edge)
                key = key_of(edge.after)
                known = numbers.get(key)
                if known is None:
                    known = numbers[key] = len(numbers)
                    self.levels[known] = tuple(level for _, level in edge.after.written)
                    waiting.append((known, edge.after))
                out.append((move.name, known))
            if self.edges >= edges_max:
                return not waiting
        return True

    def begin(self) -> Node:
        """Return the mine in service: proven, everything low, everything on disk."""
        names = [output.id for output in self.mine.outputs]
        closed = [output.role.value in ("power_cut", "gate") for output in self.mine.outputs]
        node = Node(State(), (Durable(),), tuple(zip(names, closed, strict=True)), 0)
        quiet = Move("begin", {point.id: LOW for point in self.mine.points})
        for _ in range(3):
            node = self.walk(node, quiet).after
        return node

    def walk(self, node: Node, move: Move) -> Edge:
        """Make one move through the real `step`."""
        state, prefixes, written = node.state, node.prefixes, dict(node.written)
        if move.crash is not None:
            survived = prefixes[move.crash]
            state, prefixes = State(survived), (survived,)
            cuts = [o.id for o in self.mine.outputs if o.role.value == "power_cut"]
            written.update(dict.fromkeys(cuts, False))
        elif move.synced:
            prefixes = prefixes[-1:]
        tick = node.tick + 1
        now_ms = START_MS + tick * TICK_MS
        backs = () if move.silent_relays else written.items()
        image = Image(
            tick,
            now_ms,
            WALL_MS + tick * TICK_MS,
            True,
            prefixes[0].index,
            self._samples(move.said, now_ms),
            (),
            tuple(ReadBack(output, level, now_ms) for output, level in backs),
            move.commands,
        )
        decided = step(self.mine, state, image)
        for event in decided.events:
            prefixes = (*prefixes, apply(prefixes[-1], event))
        assert prefixes[-1] == decided.state.durable, "the fold of the ledger is what survives"
        if decided.outputs is not None:
            written.update(decided.outputs)
        after = Node(decided.state, prefixes, tuple(written.items()), tick)
        return Edge(move, node, after, decided)

    def _samples(self, said: Said, now_ms: int) -> tuple[Sample, ...]:
        readings: dict[str, list[Reading]] = {}
        for point, value in said.items():
            bad = isinstance(value, Quality)
            reading = Reading(point, None, value) if bad else Reading(point, value, Quality.GOOD)
            readings.setdefault(self.mine.point(point).device, []).append(reading)
        return tuple(Sample(device, now_ms, tuple(each)) for device, each in readings.items())


def key_of(node: Node) -> Any:
    """Return what makes a node the same as another one."""
    now_ms = START_MS + node.tick * TICK_MS
    on_disk = node.prefixes[0].index
    paper = tuple(_paper(each, now_ms, on_disk) for each in node.prefixes)
    return paper, _live(node.state, now_ms), node.written


def _age(now_ms: int, at_ms: int | None) -> int | None:
    """Return an age, or what is left of a time, in ticks; LONG and more are all the same."""
    if at_ms is None:
        return None
    return max(-LONG, min((now_ms - at_ms) // TICK_MS, LONG))


def _paper(durable: Durable, now_ms: int, on_disk: int) -> Any:
    def age(at_ms: int) -> int | None:
        return _age(now_ms, at_ms)

    interlock, withdrawal = durable.interlock, durable.withdrawal
    standing = withdrawal.standing
    return (
        tuple(sorted((each.id, each.points, each.outputs) for each in interlock.causes.values())),
        tuple(sorted((p.outputs, p.causes, p.index < on_disk) for p in interlock.pending.values())),
        tuple((p, v.value, age(v.until.ms)) for p, v in sorted(interlock.hand_values.items())),
        tuple(sorted(durable.points.over)),
        tuple(
            (p, c.index < on_disk, age(c.until.ms), c.extended)
            for p, c in sorted(durable.calibrations.open.items())
        ),
        tuple(sorted((a.kind, a.by, age(a.until.ms)) for a in durable.approvals.open.values())),
        None
        if standing is None
        else (
            standing.zones,
            standing.cleared_index is not None and standing.cleared_index < on_disk,
            standing.cleared_index is not None,
        ),
        withdrawal.no_descent,
        tuple(sorted((a.kind, a.source, a.state, a.closed) for a in durable.alarms.items.values())),
        tuple(sorted(durable.house.faults)),
    )


def _live(state: State, now_ms: int) -> Any:
    points, house = state.volatile.points, state.volatile.house
    heads = tuple(
        (
            point,
            live.raw,
            live.quality,
            live.value,
            _age(now_ms, live.sampled_ms),
            live.level,
            _age(now_ms, live.guarded_ms),
            _age(now_ms, live.below_ms),
            _age(now_ms, points.wheel.at.get(point)),
        )
        for point, live in sorted(points.live.items())
    )
    return heads, _age(now_ms, house.proving_since_ms), house.prior


class Monitor(NamedTuple):
    """A history that the table is walked with. `after` takes (memory, move, levels before, after).

    It returns the new memory; it asserts what may not happen.
    """

    begin: Any
    after: Callable[[Any, str, tuple[bool | None, ...], tuple[bool | None, ...]], Any]


def walk_histories(search: Search, monitor: Monitor) -> int:
    """Walk every edge of the table with every memory that can stand before it; count the walks."""
    seen = {(0, monitor.begin)}
    waiting = deque(seen)
    walked = 0
    while waiting:
        number, memory = waiting.popleft()
        for name, after in search.table.get(number, ()):
            walked += 1
            levels = search.levels[number], search.levels[after]
            key = (after, monitor.after(memory, name, *levels))
            if key not in seen:
                seen.add(key)
                waiting.append(key)
    return walked


def command(kind: str, by: str, /, **arguments: Any) -> Command:
    """Return a command from the dispatch page; a search needs no different ids."""
    return Command("c", kind, by, "page:d1", arguments, "")
