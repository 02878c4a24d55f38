"""Bugs to plant: each is one small function that puts a wrong piece into the house.

They are handed `patch(owner, attribute, value)`, which remembers what stood there. What each is
against, and who must see it, stands in `mutations`.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from minewatch_drivers.modbus_line import desk
from minewatch_drivers.tasks import jobs
from minewatch_drivers.tasks import outputs as relay_outputs

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

Patch = Callable[[Any, str, Any], None]
NEVER = 10**12


# ---------------------------------------------------------------- power


def trip_sometimes(patch: Patch) -> None:
    """One trip in three is not heard."""
    known = interlock.demand

    def demand(draft: Draft, kind: str, about: str, points: Any, held: Any) -> None:
        if kind != "trip" or draft.image.cycle % 3:
            known(draft, kind, about, points, held)

    patch(interlock, "demand", demand)


def failure_unsaid(patch: Patch) -> None:
    """A switch that does not act raises no alarm."""
    known = alarm.raise_

    def raise_(draft: Draft, kind: AlarmKind, source: str, **said: Any) -> None:
        if kind is not AlarmKind.FAILED_ACTUATION:
            known(draft, kind, source, **said)

    patch(alarm, "raise_", raise_)


def lock_once(patch: Patch) -> None:
    """A lost head cuts nothing while something else is latched."""
    known = fault.lock

    def lock(draft: Draft, plan: PointPlan) -> None:
        if not draft.durable.interlock.held:
            known(draft, plan)

    patch(fault, "lock", lock)


def fault_unsaid(patch: Patch) -> None:
    """A lost head raises no alarm."""
    patch(fault, "ALARM_MS", NEVER)


def level_of_cuts(patch: Patch, level: Callable[[Draft, str, bool], bool]) -> None:
    """Let every power cut of the wanted table pass through `level`."""
    known = outputs.wanted

    def wanted(draft: Draft) -> Any:
        table = known(draft)
        cuts = {o.id for o in draft.mine.outputs if o.role is OutputRole.POWER_CUT}
        return table and {k: level(draft, k, v) if k in cuts else v for k, v in table.items()}

    patch(outputs, "wanted", wanted)


def power_returns(patch: Patch) -> None:
    """Power comes back by itself ten seconds after the newest cut."""

    def level(draft: Draft, output: str, known: bool) -> bool:
        causes = draft.durable.interlock.causes.values()
        newest_ms = max((c.since_ms for c in causes if output in c.outputs), default=NEVER)
        return known or draft.image.now_ms - newest_ms > 10_000

    level_of_cuts(patch, level)


def release_early(patch: Patch) -> None:
    """A release asks for no calm minute."""
    patch(release, "BELOW_MS", 0)


def release_unwritten(patch: Patch) -> None:
    """A release acts before its grant is on disk."""
    patch(Draft, "is_on_disk", lambda *_: True)


def bad_clears(patch: Patch) -> None:
    """An alarm of a value ends when its head is lost."""
    known = fault._check

    def check(draft: Draft, plan: PointPlan, *, line_lost: bool) -> None:
        known(draft, plan, line_lost=line_lost)
        for kind in (AlarmKind.TRIP, AlarmKind.GAS_OVER_LIMIT, AlarmKind.WITHDRAW):
            alarm.clear(draft, kind, plan.id)

    patch(fault, "_check", check)


def release_wins(patch: Patch) -> None:
    """A demand is not heard while a release of its output waits."""
    known = interlock.demand

    def demand(draft: Draft, kind: str, about: str, points: Any, held: Any) -> None:
        wanted = set(held)
        pending = draft.durable.interlock.pending.values()
        if not any(wanted & set(each.outputs) for each in pending):
            known(draft, kind, about, points, wanted)

    patch(interlock, "demand", demand)


# ---------------------------------------------------------------- house


def restart_clears(patch: Patch) -> None:
    """A restart ends a withdrawal."""

    def forget(durable: Durable, _: Event) -> Durable:
        part = durable.withdrawal
        return replace(durable, withdrawal=replace(part, standing=None))

    known = fold.FOLDS["controller_started"]
    patch(fold.FOLDS, "controller_started", (*known, forget))


def siren_falls(patch: Patch) -> None:
    """No channel keeps its state when nobody feeds the relay."""
    patch(relay_outputs, "_keep_mask", lambda *_: 0)


def gate_forgotten(patch: Patch) -> None:
    """The table of a withdrawal lacks the gate."""
    known = outputs.wanted

    def wanted(draft: Draft) -> Any:
        table = known(draft)
        if table is None or draft.durable.withdrawal.standing is None:
            return table
        gates = {o.id for o in draft.mine.outputs if o.role is OutputRole.GATE}
        return {key: level for key, level in table.items() if key not in gates}

    patch(outputs, "wanted", wanted)


def feed_starves(patch: Patch) -> None:
    """A relay is energised again whether or not its watchdog is known to be armed."""
    known = relay_outputs.Bank.next_task

    def next_task(self: Any, now_us: int, wanted: Any) -> Any:
        self._arms = False
        return known(self, now_us, wanted)

    patch(relay_outputs.Bank, "next_task", next_task)
    patch(relay_outputs.Bank, "_until_armed", lambda _, wanted, __: wanted)


def fed_for_ever(patch: Patch) -> None:
    """A line goes on with a table that nobody renews."""
    patch(desk, "WANTED_AGE_MAX_US", NEVER)


def gap_unseen(patch: Patch) -> None:
    """A gap in time is not noticed."""
    patch(house, "GAP_MS", NEVER)


def jump_unseen(patch: Patch) -> None:
    """A jump of the wall clock is not noticed."""
    patch(house, "STEP_MS", NEVER)


def wall_delays(patch: Patch) -> None:
    """Delays run on the wall clock."""
    known = board.Board.freeze
    first: dict[int, int] = {}

    def freeze(self: board.Board, cycle: int, clock: Any, durable_index: int) -> Any:
        image = known(self, cycle, clock, durable_index)
        offset_ms = first.setdefault(id(self), image.wall_ms - image.now_ms)
        return replace(image, now_ms=max(0, image.wall_ms - offset_ms))

    patch(board.Board, "freeze", freeze)


def any_configuration(patch: Patch) -> None:
    """A configuration is taken up whatever is latched."""
    patch(adoption, "refusals", lambda *_: ())


def open_is_fine(patch: Patch) -> None:
    """A contact that stands open at a start is closed."""
    patch(start, "_is_lost", lambda *_: False)


def start_at_once(patch: Patch) -> None:
    """A start waits for no read-back."""
    patch(start, "is_proving", lambda _: False)


def trip_waits(patch: Patch) -> None:
    """A trip waits for the disk."""

    def level(draft: Draft, output: str, known: bool) -> bool:
        causes = draft.durable.interlock.causes.values()
        held = [each.index for each in causes if output in each.outputs]
        return known or not any(draft.is_on_disk(index) for index in held)

    level_of_cuts(patch, level)


def boundless(patch: Patch) -> None:
    """The queue of commands has no end."""
    patch(board, "COMMANDS_MAX", NEVER)


def fold_of_chance(patch: Patch) -> None:
    """The fold of an entry depends on how often it was folded."""
    count = itertools.count()
    known = fold.FOLDS["cause_latched"]

    def again(durable: Durable, event: Event) -> Durable:
        cause = durable.interlock.causes[event.data["cause"]]
        changed = {**durable.interlock.causes, cause.id: replace(cause, since_ms=next(count))}
        return replace(durable, interlock=replace(durable.interlock, causes=changed))

    patch(fold.FOLDS, "cause_latched", (*known, again))


# ---------------------------------------------------------------- people


def two_fewer(patch: Patch) -> None:
    """The headcount shows two fewer than may be there."""
    known = headcount.view

    def shown(*of: Any) -> dict[str, Any]:
        said = known(*of)
        count = said["headcount"]
        if count["hi"] is not None:
            count |= {"hi": max(0, count["hi"] - 2), "lo": max(0, count["lo"] - 2)}
        return said

    patch(headcount, "view", shown)


def limit_unsaid(patch: Patch) -> None:
    """Nobody is told that too many are underground."""
    patch(headcount, "_judge", lambda *_: None)


def always_good(patch: Patch) -> None:
    """A page shows every value as GOOD."""
    known = view._point
    patch(view, "_point", lambda live: known(live) | {"quality": "GOOD"})


def any_answer(patch: Patch) -> None:
    """Now and then the answer before is taken for the answer."""
    known = jobs.Poll.accept
    before: list[bytes] = [b""]
    count = itertools.count()

    def accept(self: jobs.Poll, pdu: bytes, first_us: int, now_us: int) -> str:
        last, before[0] = before[0], pdu
        late = next(count) % 40 == 39 and len(last) == len(pdu)
        return known(self, last if late else pdu, first_us, now_us)

    patch(jobs.Poll, "accept", accept)


def answered_vanishes(patch: Patch) -> None:
    """An alarm that somebody has answered is shown no more."""
    known = view._alarms

    def shown(*of: Any) -> dict[str, Any]:
        return {k: a for k, a in known(*of).items() if not a["acknowledged_by"]}

    patch(view, "_alarms", shown)


def everything_shelved(patch: Patch) -> None:
    """Any kind of alarm may be put aside."""
    patch(shelving, "SHELVABLE", frozenset(AlarmKind))
    patch(holds, "SHELVABLE", frozenset(AlarmKind))


def shelved_for_good(patch: Patch) -> None:
    """A shelf has no end."""
    patch(shelving, "MINUTE_MS", NEVER)


def anybody(patch: Patch) -> None:
    """Anybody may do anything."""
    patch(commands, "_role", lambda *_: ())


def test_forgotten(patch: Patch) -> None:
    """An overdue test of a cut-off is not told."""
    known = due._tell

    def tell(draft: Draft, kind: AlarmKind, late: list[str]) -> None:
        if kind is not AlarmKind.TEST_OVERDUE:
            known(draft, kind, late)

    patch(due, "_tell", tell)


def never_released(patch: Patch) -> None:
    """A granted release never acts."""
    patch(release, "_act", lambda *_: None)
