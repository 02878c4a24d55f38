"""The short way to a turn takes the same scan as the long one, whatever stands in the way."""

import random
from types import SimpleNamespace
from typing import Any

from minewatch_drivers.modbus_line.turns import Turns

UNITS, SCANS = 3, 2
PERIODS_US = (9_000, 14_000, 40_000)

HAPPENINGS = ("next",) * 12 + ("hold", "dead", "alive", "retry", "proved", "urged")


class Room:
    """A waiting room with scans of a few units; the first scan of unit 0 is its gate."""

    def __init__(self, short: bool) -> None:
        self.turns = Turns(2_000)
        self.short = short
        self.said: list[object] = []
        self.asked: Any = None
        self.states = [
            SimpleNamespace(streak=0, skip_us=0, hold_us=0, owing=None, proved=False)
            for _ in range(UNITS)
        ]
        self.polls = [self._poll(unit, scan) for unit in range(UNITS) for scan in range(SCANS)]
        self.turns.gates[id(self.states[0])] = self.polls[0]
        for poll in self.polls:
            self.turns.add(poll)

    def _poll(self, unit: int, scan: int) -> Any:
        name = f"{unit}/{scan}"
        poll = SimpleNamespace(
            name=name, ticket=0, due_us=0, first_us=None, period_us=PERIODS_US[unit],
            state=self.states[unit], gate=(unit, scan) == (0, 0),
        )  # fmt: skip

        def lose(now_us: int, _first_us: int) -> None:
            self.said.append(("lost", name))
            poll.due_us = now_us + poll.period_us
            self.turns.add(poll)

        poll.lose = lose
        return poll

    def next(self, now_us: int) -> Any:
        """Take a turn, by the way that is under test or by the one that looks at everything."""
        if self.short:
            return self.turns.next(now_us)
        return None if self.turns.peek(now_us) is None else self.turns.take(now_us)

    def do(self, what: str, number: int, wait_us: int, now_us: int) -> None:
        """Let one thing happen; what was asked is answered before the next turn."""
        poll = self.polls[number]
        state = poll.state
        if what == "next":
            self.answer(now_us)
            self.asked = self.next(now_us)
            self.said.append(self.asked and self.asked.name)
        elif what == "hold":
            state.hold_us = now_us + wait_us
        elif what == "dead":
            state.streak, state.skip_us = 1, now_us + wait_us
        elif what == "alive":
            state.streak = state.skip_us = 0
        elif what == "proved":
            state.proved = not state.proved
        elif what == "urged" and poll.ticket:
            poll.due_us = now_us + wait_us
            self.turns.add(poll)
        elif what == "retry" and self.asked is not None and self.asked.first_us is None:
            asked, self.asked = self.asked, None
            asked.first_us, asked.state.owing = now_us, asked
            self.turns.add(asked)

    def answer(self, now_us: int) -> None:
        """What was asked is over and due again a period later."""
        asked, self.asked = self.asked, None
        if asked is not None:
            if asked.state.owing is asked:
                asked.state.owing = None
            asked.first_us = None
            asked.due_us += asked.period_us * (1 + max(0, now_us - asked.due_us) // asked.period_us)
            self.turns.add(asked)


def test_the_short_way_takes_the_same_scan() -> None:
    """Holds, dead units, retries, gates and overtaken entries: both ways give the same scans."""
    asked: set[str] = set()
    for seed in range(150):
        chance, now_us = random.Random(seed), 0
        short, long = Room(short=True), Room(short=False)
        for _ in range(200):
            now_us += chance.randint(0, 4_000)
            happens = chance.choice(HAPPENINGS), chance.randrange(UNITS * SCANS)
            wait_us = chance.randint(0, 20_000)
            short.do(*happens, wait_us, now_us)
            long.do(*happens, wait_us, now_us)
        assert short.said == long.said, seed
        asked.update(name for name in short.said if isinstance(name, str))
    assert len(asked) == UNITS * SCANS


def test_one_due_scan_is_taken_alone() -> None:
    """Where one scan of six is due at a time, each is taken at its time and none before."""
    room = Room(short=True)
    room.turns.gates.clear()
    for place, poll in enumerate(room.polls):
        poll.due_us = 10_000 * place
        room.turns.add(poll)
    for place, poll in enumerate(room.polls):
        assert room.next(10_000 * place) is poll
        assert room.next(10_000 * place + 9_999) is None
