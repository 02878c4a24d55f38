"""What device files and rules say of heads: element, companions, how long they may stand still."""

import shutil
from pathlib import Path

import pytest

from minewatch.mine import load
from minewatch.mine.check_values import fits
from minewatch.mine.rules.values import load_values, stuck_after_ms
from minewatch.mine.schema import PointTable
from minewatch.model.codec import mine_from_json, mine_to_json
from minewatch.model.kind import Kind

DEMO = Path(__file__).parents[2] / "config" / "demo-mine"


@pytest.fixture
def demo(tmp_path: Path):
    """Return a way to load the demo mine with companions of its points written into it."""

    def build(companions: dict[str, str]):
        folder = tmp_path / "mine"
        shutil.copytree(DEMO, folder, dirs_exist_ok=True)
        path = folder / "points.csv"
        lines = path.read_text("utf-8").splitlines()
        known = "companions" in lines[0].split(",")
        assert not known, "the demo mine has companions of its own: write them elsewhere"
        rows = [lines[0] + ",companions"]
        rows += [f"{each},{companions.get(each.split(',')[0], '')}" for each in lines[1:]]
        path.write_text("\n".join(rows) + "\n", "utf-8")
        beside = folder / "certified.toml"
        text = beside.read_text("utf-8")
        for point, names in companions.items():
            text = text.replace(f'id = "{point}"\n', f'id = "{point}"\ncompanions = ["{names}"]\n')
        beside.write_text(text, "utf-8")
        return load(folder)

    return build


def test_companions_and_their_time_are_resolved(demo) -> None:
    """Names in a cell become companions; a head of 0.01 %CH4 has its 15 minutes; it travels."""
    loaded = demo({"12301_T1": "12301_T2 12301_T0"})
    assert loaded.mine is not None, loaded.faults
    point = loaded.mine.point("12301_T1")
    assert point.companions == ("12301_T2", "12301_T0")
    assert point.stuck_after_ms == 15 * 60_000
    assert loaded.mine.point("12301_T2").stuck_after_ms == 0
    assert mine_from_json(mine_to_json(loaded.mine)).point("12301_T1") == point


@pytest.mark.parametrize(("quantum", "minutes"), [(1, 15), (2, 45), (10, 45), (11, 0), (100, 0)])
def test_a_coarser_head_may_stand_still_longer(quantum: int, minutes: int) -> None:
    """The row of its step, and no time at all for one that reads more coarsely than any row."""
    assert stuck_after_ms(quantum) == minutes * 60_000


def test_the_values_are_cited() -> None:
    """What the shipped rules hold, each tolerance with its citation."""
    values = load_values()
    assert (values.oxygen_low, values.oxygen_clear) == (1200, 1250)
    assert values.hand_check_ms == 8 * 3_600_000
    assert values.tolerance(Kind.METHANE) == 20
    assert values.tolerance(Kind.RAIN) is None
    assert all(each.citation for each in values.tolerances)
    assert (values.clear_ms, values.repeat_ms) == (3_000, 600_000)


def test_a_head_that_does_not_say_counts_as_catalytic() -> None:
    """Generic heads burn the gas, other kinds do not; strictly where the device file is silent."""
    mine = load(DEMO).mine
    assert mine is not None
    methane = [each for each in mine.points if each.kind is Kind.METHANE]
    others = [each for each in mine.points if each.kind is not Kind.METHANE]
    assert all(each.catalytic for each in methane if not mine.bus(_bus(mine, each)).certified)
    assert not any(each.catalytic for each in others)


def _bus(mine, point) -> str:
    return mine.device(point.device).bus


@pytest.mark.parametrize(
    ("point", "companion", "code"),
    [
        ("12301_T1", "12301_T1", "bad_companion"),
        ("12301_T1", "nowhere", "unknown_reference"),
        ("12301_T1", "@switch", "bad_companion"),
        ("@switch", "12301_T1", "bad_companion"),
        ("12301_T1", "@certified", "bad_companion"),
        ("@certified", "12301_T1", "bad_companion"),
    ],
)
def test_a_companion_that_says_nothing_is_refused(
    demo, point: str, companion: str, code: str
) -> None:
    """Itself, a state, the certified system's point, or nothing: an error that says why."""
    mine = load(DEMO).mine
    assert mine is not None
    some = {
        "@switch": next(each.id for each in mine.points if each.kind is Kind.DOOR),
        "@certified": next(
            each.id
            for each in mine.points
            if mine.bus(_bus(mine, each)).certified and each.kind is Kind.METHANE
        ),
    }
    loaded = demo({some.get(point, point): some.get(companion, companion)})
    assert loaded.mine is None
    assert [each.code for each in loaded.faults] == [code]


def test_the_cutting_flag_may_stand_beside_a_value() -> None:
    """The one state that says something about a head; any other state says nothing."""
    point = PointTable(
        id="H", name="H", kind=Kind.METHANE, zone="z", device="d", signal="s", place="p"
    )
    flag = point.model_copy(update={"id": "C", "kind": Kind.COAL_CUTTING})
    fan = point.model_copy(update={"id": "F", "kind": Kind.FAN_RUN})
    assert fits(point, flag, set())
    assert not fits(point, fan, set())
    assert not fits(flag, point, set())
