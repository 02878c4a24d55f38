"""The simulated certified system: its files say what the plant is, or lie as they were told to."""

from pathlib import Path
from typing import Any

import pytest
from minewatch_drivers.certified.files_line import FilesLine, Moment
from minewatch_sim.certified import KEPT_MAX, CertifiedFolder, CertifiedSystem, Trouble

from minewatch.model.quality import Quality

PERIOD_MS = 30_000
START_MS = 1_782_864_000_000
POINT = "KJ_12301_T1"


class Bench:
    """A plant, its certified system and the line that reads it."""

    def __init__(self, plant: Any) -> None:
        self.plant = plant
        bus = plant.mine.bus("certified")
        self.system = CertifiedSystem(plant.mine, bus, plant)
        self.line = FilesLine(plant.mine, bus)
        self.now_ms = 0
        self.values: dict[str, tuple[int | None, Quality]] = {}
        self.files: dict[str, bytes] = {}
        self.turn(0)

    def turn(self, ms: int = PERIOD_MS) -> int:
        """Let time pass in steps of a second; return how many files came."""
        came = 0
        for _ in range(max(1, ms // 1000)):
            self.now_ms += 1000
            now = Moment(self.now_ms * 1000, START_MS + self.now_ms)
            written = {each.name: each.data for each in self.system.due(now.wall_ms)}
            self.files |= written
            came += len(written)
            for name in self.line.pick(written, now) if written else ():
                self.line.feed_file(name, (0, 0, self.now_ms), written[name], now)
            self.line.listed(now)
            for sample in self.line.take().samples:
                self.values |= {point: (value, q) for point, value, q in sample.readings}
        return came


@pytest.fixture
def bench(make_plant: Any) -> Bench:
    """Return a bench on a quiet demo mine whose first files were read."""
    return Bench(make_plant())


def test_the_files_say_what_the_plant_is(bench: Bench) -> None:
    """Every value that comes through the files is that of the point beside it, and of the truth."""
    mine, plant = bench.plant.mine, bench.plant
    plant.advance(60_000)
    assert bench.turn() == 2
    for pair in mine.comparisons:
        truth = plant.truth().total if pair.ours == "mine" else plant.value(mine.point(pair.ours))
        assert bench.values[pair.theirs] == (truth, Quality.GOOD)
    assert bench.line.status().up


def test_both_files_come_every_period(bench: Bench) -> None:
    """Two types every 30 s, on the period, however often they are asked for."""
    assert sum(bench.turn(1000) for _ in range(300)) == 20


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (Trouble.SILENT, "old_file"), (Trouble.STUCK, "old_file"), (Trouble.HALF, "unfinished"),
        (Trouble.WRONG_MINE, "wrong_mine"), (Trouble.FULL_WIDTH, "full_width"),
    ],
)  # fmt: skip
def test_a_trouble_is_read_as_what_it_is(bench: Bench, trouble: Trouble, error: str) -> None:
    """Each trouble leaves the last values and ends in its own word once they are old."""
    before = dict(bench.values)
    bench.plant.do("certified", trouble=trouble.value)
    bench.turn(60_000)
    assert bench.values == before
    assert bench.line.status().up
    bench.turn(60_000)
    assert bench.line.status().error in (error, "encoding")
    bench.plant.do("certified")
    bench.turn()
    assert bench.line.status().up


def test_gbk_is_no_trouble_and_another_unit_is(bench: Bench) -> None:
    """The same truth in GBK is read; methane in %LEL is never a value."""
    bench.plant.do("certified", trouble="gbk")
    bench.turn()
    assert bench.values[POINT][1] is Quality.GOOD
    bench.plant.do("certified", trouble="wrong_unit")
    bench.turn()
    assert bench.values[POINT] == (None, Quality.IMPLAUSIBLE)
    assert bench.values["KJ_HEADCOUNT"][1] is Quality.GOOD


def test_shifts_move_a_value_and_a_count(bench: Bench) -> None:
    """A shift is exactly that, in methane and in people, both ways."""
    value, count = bench.values[POINT][0], bench.values["KJ_HEADCOUNT"][0]
    assert value is not None
    assert count is not None
    for shift, people in ((0.35, 3), (-0.05, -2)):
        bench.plant.do("certified", point=POINT, shift=shift)
        bench.plant.do("certified", point="KJ_HEADCOUNT", shift=people)
        bench.turn()
        assert bench.values[POINT][0] == value + round(shift * 100)
        assert bench.values["KJ_HEADCOUNT"][0] == count + people


def test_the_clock_of_the_files_may_be_wrong(bench: Bench) -> None:
    """Ten minutes ahead is refused as such; late files are older and still right."""
    bench.plant.do("certified", clock_s=600)
    bench.turn(150_000)
    assert bench.line.status().error == "clock_ahead"
    bench.plant.do("certified", late_s=20)
    bench.turn(60_000)
    assert bench.line.status().up


def test_a_folder_holds_whole_files_and_not_too_many(bench: Bench, tmp_path: Path) -> None:
    """Files stand under their names only when whole, in a bounded number; the url names them."""
    folder = CertifiedFolder(bench.system, tmp_path / "out")
    folder.open()
    for n in range(1, 30):
        folder.tick(START_MS + 10_000_000 + n * PERIOD_MS)
    names = sorted(each.name for each in (tmp_path / "out").iterdir())
    assert len(names) == KEPT_MAX
    assert not [name for name in names if name.startswith(".")]
    assert all((tmp_path / "out" / name).read_bytes().endswith(b"~||") for name in names)
    assert folder.url == f"files://{tmp_path / 'out'}?dialect=2019"
