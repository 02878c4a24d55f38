"""The machine of a files line: which file counts, how old its values are, and when it is lost."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from minewatch_drivers.certified.files_line import BYTES_MAX, FilesLine, Moment
from minewatch_drivers.lines import ByteLine, open_line

from minewatch.model.image import Sample
from minewatch.model.kind import Kind
from minewatch.model.mine import Bus, Device, Mode, Point
from minewatch.model.quality import Quality

CODE = "000000000000"
T1 = f"{CODE}01MN0001T1"
START_MS = 1_782_864_000_000
BOOT_MS = 5_000_000
STALE_S = 90


def local(wall_ms: int, form: str) -> str:
    """Print a wall time as the files do."""
    return (datetime.fromtimestamp(wall_ms / 1000, UTC) + timedelta(hours=8)).strftime(form)


class Folder:
    """A folder in memory, a clock, and a line whose runner is this object."""

    def __init__(self, kit: Any, *, people: bool = False) -> None:
        bus = Bus("kj", "files:///nowhere")
        devices = [Device("gas", "kj", 1, "certified-cdss")]
        points = [Point("KJ_T1", "", Kind.METHANE, "z", "gas", T1, "certified")]
        if people:
            devices.append(Device("men", "kj", 2, "certified-ryss"))
            points.append(Point("KJ_N", "", Kind.HEADCOUNT, "mine", "men", "mine", "certified"))
        mine = kit.bare_mine(bus, tuple(devices), points=tuple(points), mode=Mode.MONITOR)
        self.line = FilesLine(mine, bus)
        self.files: dict[str, bytes] = {}
        self.stamps: dict[str, int] = {}
        self.now_s = 0.0
        self.wall_offset_s = 0.0
        self.reads = 0
        self.samples: list[Sample] = []

    def moment(self) -> Moment:
        """Return now on both clocks."""
        wall_ms = START_MS + round((self.now_s + self.wall_offset_s) * 1000)
        return Moment((BOOT_MS + round(self.now_s * 1000)) * 1000, wall_ms)

    def put(
        self,
        value: str = "0.52",
        *,
        ago_s: float = 0,
        kind: str = "CDSS",
        named_ago_s: float | None = None,
        spoil: Callable[[bytes], bytes] = lambda data: data,
    ) -> str:
        """Write a file as the certified system would, `ago_s` before its own clock's now."""
        wall_ms = START_MS + round((self.now_s - ago_s) * 1000)
        named_ms = START_MS + round((self.now_s - (named_ago_s or ago_s)) * 1000)
        time = local(wall_ms, "%Y-%m-%d %H:%M:%S")
        row = f"{T1};环境瓦斯;面;{value};%CH4;0;{time}~" if kind == "CDSS" else ""
        data = f"{CODE};矿;{time}~{row}||".encode()
        name = f"{CODE}_{kind}_{local(named_ms, '%Y%m%d%H%M%S')}.txt"
        self.files[name] = spoil(data)
        self.stamps[name] = self.stamps.get(name, 0) + 1
        return name

    def turn(self, seconds: float = 1) -> "Folder":
        """Let time pass, list the folder once and read what the line wants."""
        self.now_s += seconds
        for name in self.line.pick(list(self.files), self.moment()):
            stamp = (1, len(self.files[name]), self.stamps[name])
            if self.line.wants(name, stamp):
                self.reads += 1
                self.line.feed_file(name, stamp, self.files[name], self.moment())
        self.line.listed(self.moment())
        self.samples += self.line.take().samples
        return self

    @property
    def newest(self) -> tuple[int | None, Quality, float]:
        """Return value, quality and age in s of the newest sample."""
        sample = self.samples[-1]
        age_s = BOOT_MS / 1000 + self.now_s - sample.sampled_ms / 1000
        return sample.readings[0].value, sample.readings[0].quality, age_s

    @property
    def error(self) -> str:
        """Return what is wrong with the source; empty when it is up."""
        status = self.line.status()
        assert status.up == (status.error == "")
        return status.error


@pytest.fixture
def folder(kit: Any) -> Folder:
    """Return an empty folder that was looked at once."""
    return Folder(kit).turn()


def test_a_folder_is_a_line_without_a_wire_or_an_output(kit: Any) -> None:
    """The door gives a line that takes no bytes and drives nothing, in every mode."""
    for writes in (False, True):
        mine = kit.bare_mine(Bus("kj", "files:///nowhere"), ())
        line = open_line(mine, mine.buses[0], writes=writes)
        assert isinstance(line, FilesLine)
        assert not isinstance(line, ByteLine)
        assert line.outputs == ()
        line.want({"cut": False}, 0)
        line.urge(["x"], 200)
        assert line.status().error == "starting"


def test_a_value_is_as_old_as_its_file_says(folder: Folder) -> None:
    """The sample time is the file's time held against our clock, not the time of reading."""
    folder.put(ago_s=12)
    folder.turn(0.5)
    assert folder.newest == (52, Quality.GOOD, 12.5)
    assert folder.error == ""


def test_a_file_is_read_once(folder: Folder) -> None:
    """What was judged is not read again, and gives no second sample, until it changes."""
    folder.put()
    for _ in range(20):
        folder.turn()
    assert (folder.reads, len(folder.samples)) == (1, 1)


def test_the_newest_whole_file_wins(folder: Folder) -> None:
    """Of several files the newest by its own time counts, in whatever order they lie there."""
    for ago_s in (40, 10, 25, 70, 55):
        folder.put(f"0.{ago_s}", ago_s=ago_s)
    folder.turn()
    assert folder.newest[0] == 10


def test_an_older_file_never_comes_back(folder: Folder) -> None:
    """A file that is older than the last believed one changes nothing, whatever its name says."""
    folder.put("0.50", ago_s=5)
    folder.turn()
    folder.put("0.90", ago_s=20, named_ago_s=-1)
    folder.turn()
    assert [sample.readings[0].value for sample in folder.samples] == [50]


def test_a_file_cut_at_any_byte_leaves_the_one_before_to_age(kit: Any) -> None:
    """A half-written file gives no sample; the source is lost when the last whole one is old."""
    first = Folder(kit)
    for end in range(len(first.files[first.put()])):
        folder = Folder(kit).turn()
        folder.put("0.52")
        folder.turn(30)
        folder.put("0.99", spoil=lambda data, end=end: data[:end])
        folder.turn(30)
        assert [sample.readings[0].value for sample in folder.samples] == [52]
        assert folder.error == ""
        folder.turn(STALE_S - 60)
        assert folder.error == ""
        folder.turn(1)
        assert folder.error in ("unfinished", "encoding")


def test_a_file_that_is_completed_later_counts_then(folder: Folder) -> None:
    """The same name with more bytes is judged anew."""
    folder.put(spoil=lambda data: data[:-4])
    folder.turn()
    assert folder.error == "unfinished"
    folder.put(ago_s=1)
    folder.turn()
    assert folder.newest[:2] == (52, Quality.GOOD)
    assert folder.error == ""


def test_the_same_file_again_does_not_make_a_value_young(folder: Folder) -> None:
    """A stuck writer that renames its last file every 30 s is lost after the age limit."""
    folder.put()
    folder.turn()
    for n in range(3):
        folder.put("0.52", ago_s=folder.now_s - 1, named_ago_s=-n)
        folder.turn(30)
    assert len(folder.samples) == 1
    assert folder.error == "old_file"


def test_old_files_at_the_start_are_not_shown(folder: Folder) -> None:
    """A folder that nobody writes any more gives no value at all."""
    folder.put(ago_s=STALE_S + 1)
    folder.turn()
    assert folder.samples == []
    assert folder.error == "old_file"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda data: data.replace(CODE.encode(), b"111111111111", 1), "wrong_mine"),
        (lambda data: data.replace(b";", "；".encode()), "full_width"),
        (lambda data: data + b"\n", "control_characters"),
        (lambda data: data * 2, "after_end"),
        (lambda data: b"\xff" + data, "encoding"),
        (lambda data: b"x" * (BYTES_MAX + 1), "too_large"),
        (lambda data: b"", "unfinished"),
    ],
)
def test_a_refused_file_says_why(folder: Folder, spoil: Callable[[bytes], bytes], why: str) -> None:
    """Each fault of the only file is the line's error, counted, and gives no sample."""
    folder.put(spoil=spoil)
    folder.turn()
    assert folder.error == why
    assert folder.samples == []
    assert folder.line.status().violations == 1


def test_files_of_others_are_not_even_opened(folder: Folder) -> None:
    """Other mines, other types, other names: nothing of them is read."""
    for name in (
        "111111111111_CDSS_20260701080000.txt", f"{CODE}_CDDY_20260701080000.txt",
        f"{CODE}_CDSS_20260701080000.txt.tmp", f"{CODE}_CDSS_2026070108000.txt",
        f"{CODE}_CDSS_20260701080000.TXT", f".{CODE}_CDSS_20260701080000.txt",
    ):  # fmt: skip
        folder.files[name] = b"x"
        folder.stamps[name] = 1
    folder.turn()
    assert folder.reads == 0
    assert folder.error == "no_file"


def test_a_name_from_the_future_hides_nothing(folder: Folder) -> None:
    """Names dated years ahead do not keep the real files from being read."""
    for n in range(50):
        folder.put(named_ago_s=-86_400 * (400 + n))
    folder.put("0.61", ago_s=2)
    folder.turn()
    assert folder.newest[0] == 61
    assert folder.reads == 1


def test_a_turn_reads_a_bounded_number_of_files(folder: Folder) -> None:
    """However many files wait, a turn looks at the newest few."""
    for n in range(80):
        folder.put(ago_s=n)
    folder.turn()
    assert folder.reads <= 3


@pytest.mark.parametrize("ahead_s", [4, 60, 290])
def test_a_clock_ahead_is_believed_only_for_what_has_just_come(kit: Any, ahead_s: int) -> None:
    """From a writer whose clock is ahead nothing counts that may have lain there for long."""
    folder = Folder(kit)
    folder.put("0.40", ago_s=-ahead_s)
    folder.turn()
    assert folder.samples == []
    assert folder.error == "clock_ahead"
    folder.put("0.41", ago_s=-ahead_s)
    folder.turn()
    assert folder.newest == (41, Quality.GOOD, 0)
    folder.turn(STALE_S + 1)
    assert not folder.line.status().up


def test_a_clock_far_ahead_is_refused(folder: Folder) -> None:
    """Beyond five minutes the file's clock is no clock, also for what has just come."""
    for _ in range(3):
        folder.put(ago_s=-301)
        folder.turn(30)
    assert folder.samples == []
    assert folder.error == "clock_ahead"


def test_after_an_outage_a_clock_ahead_must_prove_itself_again(folder: Folder) -> None:
    """What came while the folder could not be listed may be of any age."""
    folder.put("0.40", ago_s=-60)
    folder.turn()
    folder.line.failed("open", folder.moment().now_us)
    folder.put("0.41", ago_s=-60)
    folder.turn(600)
    assert [sample.readings[0].value for sample in folder.samples] == [40]


def test_a_clock_that_is_put_back_is_followed_once_it_is_late(folder: Folder) -> None:
    """The certified system corrects its clock by an hour: after the age limit it counts again."""
    folder.put("0.50")
    folder.turn()
    folder.wall_offset_s = -3600
    for n in range(4):
        wall_s = folder.now_s - 3600
        folder.put(f"0.6{n}", ago_s=folder.now_s - wall_s)
        folder.turn(30)
    assert folder.samples[-1].readings[0].value in (62, 63)
    assert folder.error == ""


def test_the_folder_is_lost_and_comes_back(folder: Folder) -> None:
    """A folder that cannot be listed is down with its reason, and up with the next file."""
    folder.put()
    folder.turn()
    since_us = folder.line.status().since_us
    folder.line.failed("open", folder.moment().now_us)
    assert folder.error == "open"
    folder.put(ago_s=0)
    folder.turn()
    assert folder.error == ""
    assert folder.line.status().since_us >= since_us


def test_each_type_of_file_must_come(kit: Any) -> None:
    """A folder of gas and people is up only while both come; an empty snapshot is nobody."""
    folder = Folder(kit, people=True).turn()
    folder.put()
    folder.turn()
    assert folder.error == "no_file"
    folder.put(kind="RYSS")
    folder.turn()
    assert folder.error == ""
    assert folder.samples[-1].readings[0] == ("KJ_N", 0, Quality.GOOD)
    folder.turn(STALE_S + 5)
    assert folder.error == "old_file"


def test_the_mine_code_of_the_files_may_differ(kit: Any) -> None:
    """`code` in the url names the mine as the certified system knows it."""
    bus = Bus("kj", "files:///nowhere?dialect=2019-n&code=2201810046")
    mine = kit.bare_mine(bus, (Device("gas", "kj", 1, "certified-cdss"),))
    line = FilesLine(mine, bus)
    now = Moment(0, START_MS)
    assert line.pick(["2201810046_NCDSS_20260701000000.txt"], now) != ()
    assert line.pick([f"{CODE}_NCDSS_20260701000000.txt"], now) == ()


@pytest.mark.parametrize(
    "url",
    [
        "files:relative", "files://host/folder", "files:///x?dialekt=1", "files:///x?code=..",
        "files:///x#y", "files:///x?dialect=1&dialect=2", "files:",
    ],
)  # fmt: skip
def test_a_url_that_is_no_folder_is_refused(kit: Any, url: str) -> None:
    """What cannot be a folder is an error at the door."""
    mine = kit.bare_mine(Bus("kj", url), ())
    with pytest.raises(ValueError, match=r"folder|path|mine code"):
        open_line(mine, mine.buses[0], writes=False)
