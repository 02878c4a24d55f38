"""One turn of the mine: the order of decisions, top to bottom, and nothing else.

Observation comes first, then every demand, then what people ask for: when a demand and a release
arrive in one cycle, the demand wins.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from minewatch.core import house, profile, snapshot
from minewatch.core.alarms import duty, escalation, flood, holds, shelving
from minewatch.core.desk import approval, commands, due, interlock_test, planned_work
from minewatch.core.draft import Draft
from minewatch.core.people import headcount, people
from minewatch.core.power import fans, outputs, proof, release, start, votes
from minewatch.core.readings import (
    calibration,
    comparison,
    cover,
    gas,
    hand_check,
    head_move,
    oxygen,
    points,
    production,
    rise,
    stuck,
    warm_up,
)
from minewatch.core.state import State
from minewatch.core.withdrawals import emergencies, grades, withdrawal
from minewatch.model.event import Event
from minewatch.model.image import Image
from minewatch.model.mine import Mine


@dataclass(frozen=True, slots=True)
class Step:
    """What one cycle decided. `outputs` is the complete wanted table (True = energised).

    It is None while the proving inputs have not yet answered after a start: then nothing is
    written at all.
    """

    state: State
    events: tuple[Event, ...]
    outputs: Mapping[str, bool] | None


def step(mine: Mine, state: State, image: Image) -> Step:
    """Decide one cycle. Pure: the same mine, state and image give the same step, bit for bit."""
    draft = Draft(mine, state, image)
    points.meet(draft)
    house.observe(draft)
    profile.observe(draft)
    calibration.observe(draft)
    planned_work.observe(draft)
    head_move.observe(draft)
    warm_up.observe(draft)
    cover.decide(draft)
    hand_check.decide(draft)
    points.observe(draft)
    stuck.observe(draft)
    oxygen.observe(draft)
    people.observe(draft)
    start.observe(draft)
    gas.decide(draft)
    votes.decide(draft)
    fans.decide(draft)
    rise.decide(draft)
    proof.decide(draft)
    interlock_test.decide(draft)
    headcount.decide(draft)
    comparison.decide(draft)
    production.decide(draft)
    emergencies.decide(draft)
    withdrawal.decide(draft)
    grades.decide(draft)
    approval.expire(draft)
    commands.decide(draft)
    release.decide(draft)
    due.decide(draft)
    duty.decide(draft)
    shelving.decide(draft)
    holds.decide(draft)
    escalation.decide(draft)
    flood.decide(draft)
    snapshot.decide(draft)
    wanted = outputs.wanted(draft)
    return Step(draft.state(), tuple(draft.events), wanted)
