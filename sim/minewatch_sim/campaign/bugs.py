"""Planted bugs: one or more against each invariant, each a small patch that can be taken back.

`planted(name)` plants one; the campaign must then find a violation of the invariant that it is
against. `CAUGHT_BY` names, for each, a seed that finds it; `search` looks for one.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from minewatch_drivers.modbus_line import desk
from minewatch_drivers.tasks import outputs as relay_outputs
from minewatch_drivers.wire import exchange

from minewatch.controller import adopt as adoption
from minewatch.controller import board
from minewatch.core import fold, house, view
from minewatch.core.alarms import alarm, holds, shelving
from minewatch.core.desk import commands, due
from minewatch.core.draft import Draft
from minewatch.core.people import headcount
from minewatch.core.plan import PointPlan
from minewatch.core.power import interlock, outputs, release, start
from minewatch.core.readings import fault
from minewatch.core.state import Durable
from minewatch.model.alarm import AlarmKind
from minewatch.model.event import Event
from minewatch.model.mine import OutputRole
from minewatch_sim.campaign.schedule import Mode

Patch = Callable[[Any, str, Any], None]
NEVER = 10**12


@dataclass(frozen=True, slots=True)
class Mutation:
    """A bug: what it breaks in words, the invariant that must see it, in which mode it is looked
    for, and how it is planted.
    """

    code: str
    says: str
    plant: Callable[[Patch], None]
    mode: Mode = Mode.SAFETY


# ---------------------------------------------------------------- power


def _trip_sometimes(patch: Patch) -> None:
    """One trip in three is not heard."""
    known = interlock.demand

    def demand(draft: Draft, kind: str, about: str, points: Any, held: Any) -> None:
        if kind != "trip" or draft.image.cycle % 3:
            known(draft, kind, about, points, held)

    patch(interlock, "demand", demand)


def _failure_unsaid(patch: Patch) -> None:
    """A switch that does not act raises no alarm."""
    known = alarm.raise_

    def raise_(draft: Draft, kind: AlarmKind, source: str, **said: Any) -> None:
        if kind is not AlarmKind.FAILED_ACTUATION:
            known(draft, kind, source, **said)

    patch(alarm, "raise_", raise_)


def _lock_once(patch: Patch) -> None:
    """A lost head cuts nothing while something else is latched."""
    known = fault.lock

    def lock(draft: Draft, plan: PointPlan) -> None:
        if not draft.durable.interlock.held:
            known(draft, plan)

    patch(fault, "lock", lock)


def _fault_unsaid(patch: Patch) -> None:
    """A lost head raises no alarm."""
    patch(fault, "ALARM_MS", NEVER)


def _level_of_cuts(patch: Patch, level: Callable[[Draft, str, bool], bool]) -> None:
    """Let every power cut of the wanted table pass through `level`."""
    known = outputs.wanted

    def wanted(draft: Draft) -> Any:
        table = known(draft)
        cuts = {o.id for o in draft.mine.outputs if o.role is OutputRole.POWER_CUT}
        return table and {k: level(draft, k, v) if k in cuts else v for k, v in table.items()}

    patch(outputs, "wanted", wanted)


def _power_returns(patch: Patch) -> None:
    """Power comes back by itself ten seconds after the newest cut."""

    def level(draft: Draft, output: str, known: bool) -> bool:
        causes = draft.durable.interlock.causes.values()
        newest_ms = max((c.since_ms for c in causes if output in c.outputs), default=NEVER)
        return known or draft.image.now_ms - newest_ms > 10_000

    _level_of_cuts(patch, level)


def _release_early(patch: Patch) -> None:
    """A release asks for no calm minute."""
    patch(release, "BELOW_MS", 0)


def _release_unwritten(patch: Patch) -> None:
    """A release acts before its grant is on disk."""
    patch(Draft, "is_on_disk", lambda *_: True)


def _bad_clears(patch: Patch) -> None:
    """An alarm of a value ends when its head is lost."""
    known = fault._check

    def check(draft: Draft, plan: PointPlan, *, line_lost: bool) -> None:
        known(draft, plan, line_lost=line_lost)
        for kind in (AlarmKind.TRIP, AlarmKind.GAS_OVER_LIMIT, AlarmKind.WITHDRAW):
            alarm.clear(draft, kind, plan.id)

    patch(fault, "_check", check)


def _release_wins(patch: Patch) -> None:
    """A demand is not heard while a release of its output waits."""
    known = interlock.demand

    def demand(draft: Draft, kind: str, about: str, points: Any, held: Any) -> None:
        wanted = set(held)
        pending = draft.durable.interlock.pending.values()
        if not any(wanted & set(each.outputs) for each in pending):
            known(draft, kind, about, points, wanted)

    patch(interlock, "demand", demand)


# ---------------------------------------------------------------- house


def _restart_clears(patch: Patch) -> None:
    """A restart ends a withdrawal."""

    def forget(durable: Durable, _: Event) -> Durable:
        part = durable.withdrawal
        return replace(durable, withdrawal=replace(part, standing=None))

    known = fold.FOLDS["controller_started"]
    patch(fold.FOLDS, "controller_started", (*known, forget))


def _siren_falls(patch: Patch) -> None:
    """No channel keeps its state when nobody feeds the relay."""
    patch(relay_outputs, "_keep_mask", lambda *_: 0)


def _gate_forgotten(patch: Patch) -> None:
    """The table of a withdrawal lacks the gate."""
    known = outputs.wanted

    def wanted(draft: Draft) -> Any:
        table = known(draft)
        if table is None or draft.durable.withdrawal.standing is None:
            return table
        gates = {o.id for o in draft.mine.outputs if o.role is OutputRole.GATE}
        return {key: level for key, level in table.items() if key not in gates}

    patch(outputs, "wanted", wanted)


def _fed_for_ever(patch: Patch) -> None:
    """A line goes on with a table that nobody renews."""
    patch(desk, "WANTED_AGE_MAX_US", NEVER)


def _gap_unseen(patch: Patch) -> None:
    """A gap in time is not noticed."""
    patch(house, "GAP_MS", NEVER)


def _jump_unseen(patch: Patch) -> None:
    """A jump of the wall clock is not noticed."""
    patch(house, "STEP_MS", NEVER)


def _wall_delays(patch: Patch) -> None:
    """Delays run on the wall clock."""
    known = board.Board.freeze
    first: dict[int, int] = {}

    def freeze(self: board.Board, cycle: int, clock: Any, durable_index: int) -> Any:
        image = known(self, cycle, clock, durable_index)
        offset_ms = first.setdefault(id(self), image.wall_ms - image.now_ms)
        return replace(image, now_ms=max(0, image.wall_ms - offset_ms))

    patch(board.Board, "freeze", freeze)


def _any_configuration(patch: Patch) -> None:
    """A configuration is taken up whatever is latched."""
    patch(adoption, "refusals", lambda *_: ())


def _open_is_fine(patch: Patch) -> None:
    """A contact that stands open at a start is closed."""
    patch(start, "_is_lost", lambda *_: False)


def _start_at_once(patch: Patch) -> None:
    """A start waits for no read-back."""
    patch(start, "is_proving", lambda _: False)


def _trip_waits(patch: Patch) -> None:
    """A trip waits for the disk."""

    def level(draft: Draft, output: str, known: bool) -> bool:
        causes = draft.durable.interlock.causes.values()
        held = [each.index for each in causes if output in each.outputs]
        return known or not any(draft.is_on_disk(index) for index in held)

    _level_of_cuts(patch, level)


def _boundless(patch: Patch) -> None:
    """The queue of commands has no end."""
    patch(board, "COMMANDS_MAX", NEVER)


def _fold_of_chance(patch: Patch) -> None:
    """The fold of an entry depends on how often it was folded."""
    count = itertools.count()
    known = fold.FOLDS["cause_latched"]

    def again(durable: Durable, event: Event) -> Durable:
        cause = durable.interlock.causes[event.data["cause"]]
        changed = {**durable.interlock.causes, cause.id: replace(cause, since_ms=next(count))}
        return replace(durable, interlock=replace(durable.interlock, causes=changed))

    patch(fold.FOLDS, "cause_latched", (*known, again))


# ---------------------------------------------------------------- people


def _two_fewer(patch: Patch) -> None:
    """The headcount shows two fewer than may be there."""
    known = headcount.view

    def shown(*of: Any) -> dict[str, Any]:
        said = known(*of)
        count = said["headcount"]
        if count["hi"] is not None:
            count |= {"hi": max(0, count["hi"] - 2), "lo": max(0, count["lo"] - 2)}
        return said

    patch(headcount, "view", shown)


def _limit_unsaid(patch: Patch) -> None:
    """Nobody is told that too many are underground."""
    patch(headcount, "_judge", lambda *_: None)


def _always_good(patch: Patch) -> None:
    """A page shows every value as GOOD."""
    known = view._point
    patch(view, "_point", lambda live: known(live) | {"quality": "GOOD"})


def _any_answer(patch: Patch) -> None:
    """Whatever arrives is the answer to what was asked last."""
    check = exchange.Exchange.check
    patch(exchange.Exchange, "check", lambda self, _, pdu: check(self, self.unit, pdu))
    known = exchange.TcpEnvelope._from_buffer
    patch(exchange.TcpEnvelope, "_from_buffer", _blind(known))


def _blind(known: Callable[[Any], bytes | None]) -> Callable[[Any], bytes | None]:
    """Return a reader of frames that takes the transaction of each for its own."""

    def from_buffer(self: Any) -> bytes | None:
        if len(self._buffer) >= 2:
            self._buffer[0:2] = self._transaction.to_bytes(2, "big")
        return known(self)

    return from_buffer


def _answered_vanishes(patch: Patch) -> None:
    """An alarm that somebody has answered is shown no more."""
    known = view._alarms

    def shown(*of: Any) -> dict[str, Any]:
        return {k: a for k, a in known(*of).items() if not a["acknowledged_by"]}

    patch(view, "_alarms", shown)


def _everything_shelved(patch: Patch) -> None:
    """Any kind of alarm may be put aside."""
    patch(shelving, "SHELVABLE", frozenset(AlarmKind))
    patch(holds, "SHELVABLE", frozenset(AlarmKind))


def _shelved_for_good(patch: Patch) -> None:
    """A shelf has no end."""
    patch(shelving, "MINUTE_MS", NEVER)


def _anybody(patch: Patch) -> None:
    """Anybody may do anything."""
    patch(commands, "_role", lambda *_: ())


def _test_forgotten(patch: Patch) -> None:
    """An overdue test of a cut-off is not told."""
    known = due._tell

    def tell(draft: Draft, kind: AlarmKind, late: list[str]) -> None:
        if kind is not AlarmKind.TEST_OVERDUE:
            known(draft, kind, late)

    patch(due, "_tell", tell)


def _never_released(patch: Patch) -> None:
    """A granted release never acts."""
    patch(release, "_act", lambda *_: None)


MUTATIONS: dict[str, Mutation] = {
    "trip_sometimes": Mutation("I1", "one trip in three is not heard", _trip_sometimes),
    "failure_unsaid": Mutation("I1", "a switch that fails raises no alarm", _failure_unsaid),
    "lock_once": Mutation("I2", "a lost head does not cut while something is held", _lock_once),
    "fault_unsaid": Mutation("I2", "a lost head raises no alarm", _fault_unsaid),
    "power_returns": Mutation("I3", "power comes back by itself after 10 s", _power_returns),
    "release_early": Mutation("I3", "a release asks for no calm minute", _release_early,
                              Mode.LIVENESS),
    "release_unwritten": Mutation("I3", "a release acts before it is on disk", _release_unwritten),
    "restart_clears": Mutation("I4", "a restart ends a withdrawal", _restart_clears),
    "two_fewer": Mutation("I6", "two fewer people are shown", _two_fewer),
    "limit_unsaid": Mutation("I8", "too many people raise no alarm", _limit_unsaid),
    "always_good": Mutation("I9", "a page shows every value as GOOD", _always_good),
    "any_answer": Mutation("I10", "any answer is the answer", _any_answer),
    "bad_clears": Mutation("I11", "an alarm ends when its head is lost", _bad_clears),
    "answered_vanishes": Mutation("I12", "an answered alarm is shown no more", _answered_vanishes),
    "everything_shelved": Mutation("I13", "any alarm may be put aside", _everything_shelved),
    "shelved_for_good": Mutation("I13", "a shelf has no end", _shelved_for_good),
    "siren_falls": Mutation("I18", "sirens fall silent without a feed", _siren_falls),
    "gate_forgotten": Mutation("I18", "the wanted table lacks the gate", _gate_forgotten),
    "fed_for_ever": Mutation("I19", "a hung loop still feeds its relays", _fed_for_ever),
    "gap_unseen": Mutation("I20", "a gap in time is not noticed", _gap_unseen),
    "jump_unseen": Mutation("I20", "a jump of the wall clock is not noticed", _jump_unseen),
    "wall_delays": Mutation("I20", "delays run on the wall clock", _wall_delays),
    "any_configuration": Mutation("I21", "a configuration that guards less is taken up",
                                  _any_configuration),
    "open_is_fine": Mutation("I22", "an open contact is closed by a start", _open_is_fine),
    "start_at_once": Mutation("I22", "a start waits for no read-back", _start_at_once),
    "trip_waits": Mutation("I23", "a trip waits for the disk", _trip_waits),
    "boundless": Mutation("I24", "the queue of commands has no end", _boundless),
    "release_wins": Mutation("I25", "a demand is deaf while a release waits", _release_wins),
    "anybody": Mutation("I26", "anybody may do anything", _anybody),
    "test_forgotten": Mutation("I27", "an overdue test is not told", _test_forgotten),
    "fold_of_chance": Mutation("I28", "a fold depends on chance", _fold_of_chance),
    "never_released": Mutation("L1", "a granted release never acts", _never_released,
                               Mode.LIVENESS),
}  # fmt: skip
