"""The spelled table of points says what the core's view shows, and deltas rebuild it."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from minewatch.controller.points import changed_points, spell_points
from minewatch.core.readings.points import NEVER_MS, Live, PointsVolatile
from minewatch.core.shelves import Shelves, Writing
from minewatch.core.state import State, Volatile
from minewatch.core.view import view
from minewatch.model.mine import Mine, Mode
from minewatch.model.quality import Quality

MINE = Mine(
    code="0" * 12, name="m", county="0" * 6, language="en", gas_class="low", capacity_10kt=1,
    severe=False, mode=Mode.MONITOR, headcount_limit=1, headcount_citation="", profile="",
    zones=(), buses=(), devices=(), points=(), outputs=(), interlocks=(),
)  # fmt: skip
INTEGERS = st.one_of(st.none(), st.integers(-(2**40), 2**40))
LIVES = st.builds(
    Live,
    INTEGERS,
    st.sampled_from(Quality),
    st.sampled_from(Quality),
    st.one_of(st.just(NEVER_MS), st.integers(0, 2**40)),
    st.integers(0, 4),
    INTEGERS,
    st.integers(0, 2**40),
    INTEGERS,
    st.booleans(),
)
HOME = {name: name[0] for name in ("a", "ab", "aa", '"', '"a', "b", "ba")}
TABLES = st.dictionaries(st.text(alphabet='ab"\\%甲\n', max_size=3), LIVES, max_size=6)


def _table(live: dict[str, Live], before: Shelves[Live] | None = None) -> Shelves[Live]:
    """Return `live` on shelves by the names' first letters, sharing what `before` has already."""
    home = HOME if before is None else before.home
    writing = Writing(Shelves[Live](home) if before is None else before)
    known = {} if before is None else dict(before)
    for key in known.keys() - live.keys():
        del writing[key]
    writing.put((key, each) for key, each in live.items() if known.get(key) is not each)
    return writing.frozen()


def _shown(live: dict[str, Live]) -> Any:
    state = State(volatile=Volatile(points=PointsVolatile(_table(live))))
    return view(MINE, state, 0)["points"]


@given(live=TABLES)
def test_the_text_is_the_view(live: dict[str, Live]) -> None:
    """Strange names, missing values, points that never spoke: the very same entries."""
    assert json.loads(spell_points(_table(live))) == _shown(live)


@given(before=TABLES, fresh=TABLES, gone=st.sets(st.integers(0, 5)))
def test_a_delta_rebuilds_the_table(
    before: dict[str, Live], fresh: dict[str, Live], gone: set[int]
) -> None:
    """What was touched is in the delta, what is gone is null, what stands is left out."""
    kept = {key: each for n, (key, each) in enumerate(before.items()) if n not in gone}
    now = kept | fresh
    table = _table(before)
    delta = changed_points(table, _table(now, table))
    changes = {} if delta is None else json.loads(delta)
    rebuilt = {**_shown(before), **changes}
    assert {key: each for key, each in rebuilt.items() if each is not None} == _shown(now)
    assert not (kept.keys() - fresh.keys()) & changes.keys()
