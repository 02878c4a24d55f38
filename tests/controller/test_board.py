"""The board keeps everything between two freezes, in order, and says what cannot wait."""

from types import SimpleNamespace
from typing import Any

import pytest

from minewatch.controller.board import COMMANDS_MAX, NOTICES_MAX, Board
from minewatch.model.image import Command, Notice, Reading, Sample
from minewatch.model.kind import Kind
from minewatch.model.mine import Limits, Point
from minewatch.model.quality import Quality
from minewatch.ports import WallTime

LIMITS = {
    "head": Limits(pre_alarm=80, alarm=100, trip=150),
    "oxygen": Limits(low_alarm=2000),
    "free": Limits(),
}


class Lines:
    """A line that brings what the test puts on it."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []

    def take(self) -> Any:
        """Hand over and forget."""
        taken, self.samples = tuple(self.samples), []
        return SimpleNamespace(samples=taken, sightings=(), read_backs=())


@pytest.fixture
def line() -> Lines:
    """Return the one line of the board."""
    return Lines()


@pytest.fixture
def board(line: Lines) -> Board:
    """Return a board over three points."""
    points = [
        Point(key, key, Kind.METHANE, "zone", "device", "signal", "place", limits)
        for key, limits in LIMITS.items()
    ]
    mine = SimpleNamespace(points=points)
    return Board(mine, [line])  # type: ignore[arg-type, list-item]  # stand-ins of the same shape


CLOCK = SimpleNamespace(now_ms=lambda: 7000, wall=lambda: WallTime(9000, True))


def _sample(point: str, value: int | None, quality: Quality = Quality.GOOD) -> Sample:
    return Sample("device", 6900, (Reading(point, value, quality),))


@pytest.mark.parametrize(
    ("point", "value", "quality", "urgent"),
    [
        ("head", 79, Quality.GOOD, False),
        ("head", 80, Quality.GOOD, True),
        ("head", 400, Quality.GOOD, True),
        ("head", None, Quality.OVER_RANGE, True),
        ("head", None, Quality.COMM_FAULT, False),
        ("head", 160, Quality.CALIBRATION, False),
        ("oxygen", 2000, Quality.GOOD, False),
        ("oxygen", 1999, Quality.GOOD, True),
        ("free", 9999, Quality.GOOD, False),
        ("unknown", 9999, Quality.GOOD, False),
    ],
)
def test_only_what_stands_at_a_limit_is_urgent(
    board: Board, line: Lines, point: str, value: int | None, quality: Quality, urgent: bool
) -> None:
    """A reading at or beyond its first limit, or over range, turns the loop at once."""
    line.samples.append(_sample(point, value, quality))
    board.collect()

    assert board.urgent is urgent


def test_no_exceedance_is_lost_between_two_freezes(board: Board, line: Lines) -> None:
    """Three samples of one point in one cycle are three samples of the image, in order."""
    for value in (70, 170, 70):
        line.samples.append(_sample("head", value))
        board.collect()
    image = board.freeze(3, CLOCK, 11)  # type: ignore[arg-type]  # a stand-in clock

    assert [sample.readings[0].value for sample in image.samples] == [70, 170, 70]
    assert (image.cycle, image.now_ms, image.wall_ms, image.durable_index) == (3, 7000, 9000, 11)


def test_a_freeze_empties_the_board(board: Board, line: Lines) -> None:
    """What was frozen once is never frozen again."""
    line.samples.append(_sample("head", 170))
    board.notice(Notice("cycle_overrun", "controller", {}))
    board.collect()
    board.freeze(0, CLOCK, 0)  # type: ignore[arg-type]  # a stand-in clock
    second = board.freeze(1, CLOCK, 0)  # type: ignore[arg-type]  # a stand-in clock

    assert (second.samples, second.notices, board.urgent) == ((), (), False)


def test_a_full_board_refuses_commands_and_sheds_notices(board: Board) -> None:
    """Both queues have a limit; commands are refused at the door, facts beyond it are shed."""
    command = Command("1", "silence", "", "local:0", {}, "")
    taken = [board.command(command) for _ in range(COMMANDS_MAX + 1)]
    for _ in range(NOTICES_MAX + 5):
        board.notice(Notice("cycle_overrun", "controller", {}))
    image = board.freeze(0, CLOCK, 0)  # type: ignore[arg-type]  # a stand-in clock

    assert taken == [True] * COMMANDS_MAX + [False]
    assert (len(image.commands), len(image.notices)) == (COMMANDS_MAX, NOTICES_MAX)
