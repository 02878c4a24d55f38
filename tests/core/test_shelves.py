"""Shelves are a table like any other, and nothing written in a step shows in the table before."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from minewatch.core.shelves import Shelves, Writing

KEYS = st.sampled_from("abcdef")
HOMES = st.dictionaries(KEYS, st.sampled_from(["x", "y", ""]))
TABLES = st.dictionaries(KEYS, st.integers(0, 3).map(lambda number: [number]))
WRITES = st.lists(st.tuples(KEYS, st.one_of(st.none(), st.integers(4, 9).map(lambda n: [n]))))

Table = dict[str, list[int]]


def _on_shelves(home: dict[str, str], table: Table) -> Shelves[list[int]]:
    writing = Writing(Shelves[list[int]](home))
    writing.put(table.items())
    return writing.frozen()


@given(home=HOMES, table=TABLES)
def test_it_reads_as_a_dict(home: dict[str, str], table: Table) -> None:
    """Length, entries, membership and equality, wherever a key lies and if it lies anywhere."""
    shelves = _on_shelves(home, table)
    assert shelves == table
    assert len(shelves) == len(table)
    assert sorted(shelves) == sorted(table)
    for key in "abcdefg":
        assert (key in shelves) is (key in table)
        assert shelves.get(key) is table.get(key)


@given(home=HOMES, table=TABLES, writes=WRITES)
def test_a_step_writes_to_its_own(home: dict[str, str], table: Table, writes: Any) -> None:
    """What was frozen stays as it was; the working copy is read as it is written."""
    before = _on_shelves(home, table)
    writing, now = Writing(before), dict(table)
    reading = writing.table()
    for key, value in writes:
        if value is not None:
            writing[key] = now[key] = value
        elif key in now:
            del writing[key]
            del now[key]
        assert reading == now
    after = writing.frozen()
    assert before == table
    assert after == now
    moved, gone = after.changed(before)
    assert dict(moved) == {key: each for key, each in now.items() if table.get(key) is not each}
    assert sorted(gone) == sorted(table.keys() - now.keys())


@given(home=HOMES, other=HOMES, table=TABLES)
def test_another_mine_keeps_the_entries(
    home: dict[str, str], other: dict[str, str], table: Table
) -> None:
    """Where points move to other devices, their entries move with them, as the same objects."""
    shelves = _on_shelves(home, table)
    moved = shelves.rehomed(other)
    assert moved == table
    assert moved.home is other
    assert all(moved[key] is table[key] for key in table)


def test_what_is_not_written_is_shared() -> None:
    """A shelf that no write touches is the very same object in the next table."""
    before = _on_shelves({"a": "x", "b": "y"}, {"a": [1], "b": [2]})
    writing = Writing(before)
    writing["a"] = [3]
    after = writing.frozen()
    assert after.shelves["y"] is before.shelves["y"]
    assert after.shelves["x"] is not before.shelves["x"]
