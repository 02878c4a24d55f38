"""Acts and notices name their objects by numbers of one world; another world has other numbers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from minewatch.core.alarms.duty import CLOCK, COUNTY, Check
from minewatch.core.deadline import Deadline
from minewatch.core.desk.planned_work import ACKNOWLEDGED, Work
from minewatch.core.state import Durable
from minewatch.core.withdrawals.past import Over
from minewatch.mine import load
from minewatch.model.image import Command, Image, Notice
from minewatch.replay.counterfactual import Translation, Worlds

DEMO = Path(__file__).parents[2] / "config" / "demo-mine"
IMAGE = Image(7, 60_000, 1_790_000_060_000, True, 40)


def work(notice: str, begins_ms: int, point: str = "T1") -> Work:
    """Return a notice of work at a head."""
    begins, until = Deadline(begins_ms, begins_ms), Deadline(begins_ms + 60_000, 0)
    return Work(notice, "calibration", "S6", "S6", (), (point,), "S6", 3, begins, until)


def over(withdrawal: str, raised_ms: int, cleared_ms: int) -> Over:
    """Return a withdrawal that has ended."""
    return Over(withdrawal, ("face",), ("gas:T1",), raised_ms, cleared_ms - raised_ms)


def durable(works: list[Work], checks: list[Check], past: list[Over]) -> Durable:
    """Return what a world knows of these."""
    known = Durable()
    over_ = replace(known.withdrawal.past, over={each.id: each for each in past})
    return replace(
        known,
        works=replace(known.works, open={each.id: each for each in works}),
        duty=replace(known.duty, checks={each.id: each for each in checks}),
        withdrawal=replace(known.withdrawal, past=over_),
    )


RECORDED = durable(
    [work("N3", 0), work("N5", 9_000), work("N8", 0, "T2")],
    [Check("D4", CLOCK, 1_000), Check("D6", COUNTY, 2_000, "n1"), Check("D9", COUNTY, 2_000, "n2")],
    [over("W2", 100, 900), over("W7", 2_000, 3_000)],
)
OTHER = durable(
    [work("N5", 0), work("N8", 9_000)],
    [Check("D6", CLOCK, 1_000), Check("D9", COUNTY, 2_000, "n1")],
    [over("W7", 50, 900)],
)


@pytest.fixture
def translation() -> Translation:
    """Return a translation for the demo mine."""
    mine = load(DEMO).mine
    assert mine is not None
    return Translation(mine)


@pytest.mark.parametrize(
    ("kind", "name", "recorded", "other"),
    [
        ("start_work", "notice", "N3", "N5"),
        ("end_work", "notice", "N5", "N8"),
        ("start_work", "notice", "N8", None),
        ("on_duty", "check", "D4", "D6"),
        ("on_duty", "check", "D6", "D9"),
        ("on_duty", "check", "D9", None),
        ("classify_withdrawal", "withdrawal", "W2", "W7"),
        ("classify_withdrawal", "withdrawal", "W7", None),
        ("classify_withdrawal", "withdrawal", "W1", None),
    ],
)
def test_an_act_finds_its_object_or_stays_away(
    translation: Translation, kind: str, name: str, recorded: str, other: str | None
) -> None:
    """The same work, question and withdrawal are meant, though their numbers belong to others."""
    command = Command("c1", kind, "S1", "page:d1", {name: recorded}, "")
    image = replace(IMAGE, commands=(command,))
    after = translation.image(image, Worlds(RECORDED, OTHER, {}, {})).commands
    wanted: list[dict[str, Any]] = [] if other is None else [{name: other}]
    assert [each.arguments for each in after] == wanted
    assert translation.without_object == (other is None)


def test_what_the_broker_has_is_counted_in_the_other_ledger(translation: Translation) -> None:
    """It has as many cycles of either ledger; what was before the run is the same in both."""
    worlds = Worlds(RECORDED, OTHER, {}, {})
    begun = replace(Durable(), index=5)
    translation.begin(begun, begun)
    for recorded, other in ((10, 14), (20, 25), (30, 31)):
        translation.decided(replace(RECORDED, index=recorded), replace(OTHER, index=other))
    said: list[Any] = [
        translation.image(
            replace(IMAGE, durable_index=30, notices=(Notice(ACKNOWLEDGED, "", {"index": index}),)),
            worlds,
        )
        .notices[0]
        .data["index"]
        for index in (3, 5, 9, 10, 29, 30, None)
    ]
    assert said == [3, 5, 5, 14, 25, 31, None]
    other = Notice("upload_lost", "county", {"index": 3})
    assert translation.image(replace(IMAGE, notices=(other,)), worlds).notices == (other,)
