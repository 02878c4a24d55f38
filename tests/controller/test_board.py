"""The board keeps everything between two freezes, in order, and says what cannot wait."""

from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minewatch_drivers.tasks.outbox import Taken

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

    def take(self) -> Taken:
        """Hand over and forget."""
        taken, self.samples = tuple(self.samples), []
        return Taken(taken, (), ())


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


READINGS = st.lists(
    st.builds(
        Reading,
        st.sampled_from([*LIMITS, "unknown"]),
        st.one_of(st.none(), st.sampled_from([0, 79, 80, 1999, 2000, 4000])),
        st.sampled_from(Quality),
    ),
    max_size=6,
)


def _is_urgent(reading: Reading) -> bool:
    if reading.quality is not Quality.GOOD or reading.value is None:
        return reading.quality is Quality.OVER_RANGE
    limits = LIMITS.get(reading.point, Limits())
    return (limits.pre_alarm is not None and reading.value >= limits.pre_alarm) or (
        limits.low_alarm is not None and reading.value < limits.low_alarm
    )


@given(exchanges=st.lists(READINGS, min_size=1, max_size=4))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_exchange_is_as_urgent_as_its_readings(
    board: Board, line: Lines, exchanges: list[list[Reading]]
) -> None:
    """Whatever stands beside it, and however often its points came before, none is missed."""
    for readings in exchanges:
        board.urgent = False
        line.samples.append(Sample("device", 6900, tuple(readings)))
        board.collect()
        assert board.urgent is any(map(_is_urgent, readings))


def test_one_line_is_drained_alone(line: Lines) -> None:
    """What another line brought stays with it until its own turn, and is then not lost."""
    other = Lines()
    mine = SimpleNamespace(points=[])
    board = Board(mine, [line, other])  # type: ignore[arg-type, list-item]  # stand-ins
    line.samples.append(_sample("head", 1))
    other.samples.append(_sample("head", 2))
    board.collect_from(line)  # type: ignore[arg-type]  # a stand-in line
    assert (line.samples, len(other.samples)) == ([], 1)
    board.collect()
    image = board.freeze(0, CLOCK, 0)
    assert [sample.readings[0].value for sample in image.samples] == [1, 2]


def test_no_exceedance_is_lost_between_two_freezes(board: Board, line: Lines) -> None:
    """Three samples of one point in one cycle are three samples of the image, in order."""
    for value in (70, 170, 70):
        line.samples.append(_sample("head", value))
        board.collect()
    image = board.freeze(3, CLOCK, 11)

    assert [sample.readings[0].value for sample in image.samples] == [70, 170, 70]
    assert (image.cycle, image.now_ms, image.wall_ms, image.durable_index) == (3, 7000, 9000, 11)


def test_a_freeze_empties_the_board(board: Board, line: Lines) -> None:
    """What was frozen once is never frozen again."""
    line.samples.append(_sample("head", 170))
    board.notice(Notice("cycle_overrun", "controller", {}))
    board.collect()
    board.freeze(0, CLOCK, 0)
    second = board.freeze(1, CLOCK, 0)

    assert (second.samples, second.notices, board.urgent) == ((), (), False)


def test_a_full_board_refuses_commands_and_sheds_notices(board: Board) -> None:
    """Both queues have a limit; commands are refused at the door, facts beyond it are shed."""
    command = Command("1", "silence", "", "local:0", {}, "")
    taken = [board.command(command) for _ in range(COMMANDS_MAX + 1)]
    for _ in range(NOTICES_MAX + 5):
        board.notice(Notice("cycle_overrun", "controller", {}))
    image = board.freeze(0, CLOCK, 0)

    assert taken == [True] * COMMANDS_MAX + [False]
    assert (len(image.commands), len(image.notices)) == (COMMANDS_MAX, NOTICES_MAX)
