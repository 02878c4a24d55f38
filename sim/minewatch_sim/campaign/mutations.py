"""Planted bugs: one or more against each invariant, each a small patch that can be taken back.

`planted(name)` plants one; the campaign must then find a violation of the invariant that it is
against. `search` looks for the first seed that does; the recorded ones stand in
tests/simulation/mutations.toml.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from minewatch_sim.campaign import bugs
from minewatch_sim.campaign.bugs import Patch
from minewatch_sim.campaign.run import run
from minewatch_sim.campaign.schedule import Mode


@dataclass(frozen=True, slots=True)
class Mutation:
    """A bug: its function in `bugs`, the invariant that must see it, what it breaks in words, and
    the mode in which it is looked for.
    """

    name: str
    code: str
    says: str
    mode: Mode = Mode.SAFETY

    def plant(self, patch: Patch) -> None:
        """Put the bug where it belongs."""
        getattr(bugs, self.name)(patch)


@contextmanager
def planted(name: str) -> Iterator[Mutation]:
    """Plant one bug for as long as the block lasts."""
    undo: list[Callable[[], None]] = []

    def patch(owner: Any, attribute: str, value: Any) -> None:
        known = owner[attribute] if isinstance(owner, dict) else getattr(owner, attribute)
        put = owner.__setitem__ if isinstance(owner, dict) else _setter(owner)
        undo.append(lambda: put(attribute, known))
        put(attribute, value)

    mutation = MUTATIONS[name]
    try:
        mutation.plant(patch)
        yield mutation
    finally:
        for each in reversed(undo):
            each()


def search(name: str, seeds: range) -> int | None:
    """Return the first seed of a range that finds a planted bug, None where none does."""
    logging.disable(logging.ERROR)
    with planted(name) as mutation:
        for seed in seeds:
            if catches(mutation, seed):
                return seed
    return None


def catches(mutation: Mutation, seed: int) -> bool:
    """Say whether a seed finds the bug that is planted now; a crash of the core finds it too."""
    result = run(seed, mutation.mode)
    return any(each.code == mutation.code for each in result.violations)


def _setter(owner: Any) -> Callable[[str, Any], None]:
    return lambda attribute, value: setattr(owner, attribute, value)


_ROWS = (
    Mutation("trip_sometimes", "I1", "one trip in three is not heard"),
    Mutation("failure_unsaid", "I1", "a switch that fails raises no alarm"),
    Mutation("lock_once", "I2", "a lost head does not cut while something is held"),
    Mutation("fault_unsaid", "I2", "a lost head raises no alarm"),
    Mutation("power_returns", "I3", "power comes back by itself after 10 s"),
    Mutation("release_early", "I3", "a release asks for no calm minute", Mode.LIVENESS),
    Mutation("release_unwritten", "I3", "a release acts before it is on disk"),
    Mutation("restart_clears", "I4", "a restart ends a withdrawal"),
    Mutation("two_fewer", "I6", "two fewer people are shown"),
    Mutation("limit_unsaid", "I8", "too many people raise no alarm"),
    Mutation("always_good", "I9", "a page shows every value as GOOD"),
    Mutation("any_answer", "I10", "the answer before is taken for the answer"),
    Mutation("bad_clears", "I11", "an alarm ends when its head is lost"),
    Mutation("answered_vanishes", "I12", "an answered alarm is shown no more"),
    Mutation("everything_shelved", "I13", "any alarm may be put aside"),
    Mutation("shelved_for_good", "I13", "a shelf has no end"),
    Mutation("siren_falls", "I18", "sirens fall silent without a feed"),
    Mutation("gate_forgotten", "I18", "the wanted table lacks the gate"),
    Mutation("feed_starves", "I18", "a relay is energised again before its watchdog is armed"),
    Mutation("fed_for_ever", "I19", "a hung loop still feeds its relays"),
    Mutation("gap_unseen", "I20", "a gap in time is not noticed"),
    Mutation("jump_unseen", "I20", "a jump of the wall clock is not noticed"),
    Mutation("wall_delays", "I20", "delays run on the wall clock"),
    Mutation("any_configuration", "I21", "a configuration that guards less is taken up"),
    Mutation("open_is_fine", "I22", "an open contact is closed by a start"),
    Mutation("start_at_once", "I22", "a start waits for no read-back"),
    Mutation("trip_waits", "I23", "a trip waits for the disk"),
    Mutation("boundless", "I24", "the queue of commands has no end"),
    Mutation("release_wins", "I25", "a demand is deaf while a release waits"),
    Mutation("anybody", "I26", "anybody may do anything"),
    Mutation("test_forgotten", "I27", "an overdue test is not told"),
    Mutation("fold_of_chance", "I28", "a fold depends on chance"),
    Mutation("never_released", "L1", "a granted release never acts", Mode.LIVENESS),
)
MUTATIONS: dict[str, Mutation] = {each.name: each for each in _ROWS}
"""Every planted bug by its name, which is that of its function in `bugs`."""
