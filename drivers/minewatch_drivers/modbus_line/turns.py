"""Whose turn it is among the scans of a line: the earliest deadline first, the dead ones last.

A scan is due by its own phase and should be answered a period later: that is its deadline. Scans
of a unit that does not answer wait until nothing else is due, or take a quarter of the line's
time where something always is; while the unit is left alone they fail unasked. One scan is never
in here twice, and one that is being asked is not in here at all.
"""

from heapq import heappop, heappush

from minewatch_drivers.tasks.jobs import Poll

PROBE_REST = 4
"""A line with work to do asks dead units for at most this fraction of its time (1/4)."""

NEVER_US = 1 << 62

_Entry = tuple[int, int, Poll]
"""When or how urgent, the poll's ticket at that time, the poll; an older ticket counts nothing."""


class Turns:
    """The waiting room of the scans of one line. `dead_us` is what asking a mute unit costs."""

    def __init__(self, dead_us: int) -> None:
        self._rest_us = PROBE_REST * dead_us
        self.gates: dict[int, Poll] = {}
        """The polls that prove a unit, by the id of its state: the others wait for them."""
        self._waiting: list[_Entry] = []
        self._ready: list[_Entry] = []
        self._probes: list[_Entry] = []
        self._parked: dict[int, list[Poll]] = {}
        self._tickets = 0
        self._chosen: list[_Entry] = self._ready
        self.probe_us = 0

    def clear(self) -> None:
        """Start anew, without gates."""
        self.gates.clear()
        for heap in (self._waiting, self._ready, self._probes):
            heap.clear()
        self._parked.clear()
        self.probe_us = 0

    def add(self, poll: Poll) -> None:
        """Let `poll` wait for its due time, and look anew at what waited for it."""
        self._tickets = poll.ticket = ticket = self._tickets + 1
        heappush(self._waiting, (poll.due_us, ticket, poll))
        if self._parked:
            for each in self._parked.pop(id(poll.state), ()):
                self._wait(each, each.due_us)

    def next(self, now_us: int) -> Poll | None:
        """Take the poll whose turn it is, None where none may be asked now.

        Mostly one is due and nothing is in its way: then it is taken without a detour. What comes
        behind the first of a heap stands at its second or third place.
        """
        waiting = self._waiting
        if not (self._ready or self._probes):
            if not waiting or waiting[0][0] > now_us:
                return None
            _, ticket, poll = waiting[0]
            state = poll.state
            if (
                (ticket == poll.ticket and state.hold_us <= now_us)
                and not (state.streak or state.owing)
                and (state.proved or not self.gates or id(state) not in self.gates)
                and (len(waiting) < 2 or waiting[1][0] > now_us)
                and (len(waiting) < 3 or waiting[2][0] > now_us)
            ):
                heappop(waiting)
                poll.ticket = 0
                return poll
        return None if self.peek(now_us) is None else self.take(now_us)

    def peek(self, now_us: int) -> Poll | None:
        """Return the poll whose turn it is, None where none may be asked now."""
        waiting, ready = self._waiting, self._ready
        if not ready and not self._probes and (not waiting or waiting[0][0] > now_us):
            return None
        while waiting and waiting[0][0] <= now_us:
            _, ticket, poll = heappop(waiting)
            if ticket == poll.ticket:
                due_us = poll.due_us if poll.first_us is None else now_us
                heappush(ready, (due_us + poll.period_us, ticket, poll))
        healthy = self._first_healthy(now_us)
        self._chosen = ready
        if self._probes and (healthy is None or now_us >= self.probe_us):
            probe = self._first_probe(now_us)
            if probe is not None:
                self._chosen = self._probes
                return probe
        return healthy

    @property
    def deadline_us(self) -> int:
        """The deadline of what `peek` returned."""
        return self._chosen[0][0]

    def take(self, now_us: int) -> Poll | None:
        """Take what `peek` returned, or the gate that its unit must pass first, if that is free."""
        _, _, poll = heappop(self._chosen)
        poll.ticket = 0
        if self._chosen is self._probes:
            self.probed(now_us)
        if poll.state.proved:
            return poll
        gate = self.gates.get(id(poll.state))
        if gate is None or gate is poll:
            return poll
        self._park(poll)
        return self.take_gate(gate)

    def take_gate(self, gate: Poll) -> Poll | None:
        """Take `gate` out of turn; None where it is being asked already."""
        free = gate.ticket != 0
        gate.ticket = 0
        return gate if free else None

    def probed(self, now_us: int) -> None:
        """A dead unit is asked now: work that is due goes before the next one for a while."""
        self.probe_us = now_us + self._rest_us

    def due_us(self, now_us: int) -> int:
        """Return when the next poll will be due; `peek` comes first."""
        waiting = self._waiting
        while waiting and waiting[0][1] != waiting[0][2].ticket:
            heappop(waiting)
        if self._ready or self._probes:
            return now_us
        return waiting[0][0] if waiting else NEVER_US

    def drain(self, now_us: int) -> list[Poll]:
        """Take everything that is due out, whether it may be asked or not."""
        parked = [poll for polls in self._parked.values() for poll in polls]
        self._parked.clear()
        taken = [p for heap in (self._ready, self._probes) for _, t, p in heap if t == p.ticket]
        self._ready.clear()
        self._probes.clear()
        while self._waiting and self._waiting[0][0] <= now_us:
            _, ticket, poll = heappop(self._waiting)
            if ticket == poll.ticket:
                taken.append(poll)
        for poll in taken:
            poll.ticket = 0
        return taken + parked

    def _wait(self, poll: Poll, until_us: int) -> None:
        self._tickets += 1
        poll.ticket = self._tickets
        heappush(self._waiting, (until_us, self._tickets, poll))

    def _park(self, poll: Poll) -> None:
        poll.ticket = 0
        self._parked.setdefault(id(poll.state), []).append(poll)

    def _first_healthy(self, now_us: int) -> Poll | None:
        """Return the most urgent poll of a unit that answers; put elsewhere what may not go."""
        ready = self._ready
        while ready:
            _, ticket, poll = ready[0]
            state = poll.state
            if ticket != poll.ticket:
                heappop(ready)
            elif state.streak or state.hold_us > now_us or _waits_for_another(poll):
                self._put_off(heappop(ready), now_us)
            else:
                return poll
        return None

    def _first_probe(self, now_us: int) -> Poll | None:
        """Return the poll of a dead unit that has waited longest."""
        probes = self._probes
        while probes:
            _, ticket, poll = probes[0]
            state = poll.state
            if (
                ticket == poll.ticket
                and state.streak
                and max(state.skip_us, state.hold_us) <= now_us
            ):
                return poll
            entry = heappop(probes)
            if ticket == poll.ticket:
                self._put_off(entry, now_us)
        return None

    def _put_off(self, entry: _Entry, now_us: int) -> None:
        """Put a poll where it belongs: unasked failure, silence, its unit's retry, or last."""
        poll = entry[2]
        state = poll.state
        if state.skip_us > now_us:
            poll.ticket = 0
            poll.lose(now_us, now_us if poll.first_us is None else poll.first_us)
        elif state.hold_us > now_us:
            self._wait(poll, state.hold_us)
        elif _waits_for_another(poll):
            self._park(poll)
        elif state.streak:
            heappush(self._probes, entry)
        else:
            heappush(self._ready, entry)


def _waits_for_another(poll: Poll) -> bool:
    """Return whether another scan of the unit is asked once more first; a gate never waits.

    The scan that is asked again may have to pass that very gate: both would wait for ever.
    """
    return poll.state.owing not in (None, poll) and not poll.gate
