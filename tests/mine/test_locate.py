"""The locator finds the line of every key that tomllib finds, in texts of any style."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minewatch.mine.locate import Path, Where, lines_of

BARE = st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True)
QUOTED = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=6)
KEYS = st.one_of(BARE, QUOTED)
SCALARS = st.one_of(
    st.integers(-(10**9), 10**9),
    st.booleans(),
    st.sampled_from(["", "a", "#no comment", "] } , =", "中文", "it's", 'say "x"', "back\\slash"]),
    st.sampled_from(["two\nlines", "three\n\n[not.a.table]\n"]),
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
LEAVES = st.dictionaries(KEYS, VALUES, max_size=4)
TABLES = st.recursive(
    LEAVES,
    lambda inner: st.dictionaries(
        KEYS,
        st.one_of(VALUES, inner, st.lists(inner.filter(bool), min_size=1, max_size=3)),
        max_size=4,
    ),
    max_leaves=8,
)


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "a").replace("-", "a").isalnum()
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return key if bare else f'"{escaped}"'


def _scalar(value: Any, wide: bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        inside = [_scalar(each, wide) for each in value]
        return "[ # list\n" + ",\n".join([*inside, ""]) + "]" if wide else f"[{', '.join(inside)}]"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"""\n{escaped}"""' if "\n" in value else f'"{escaped}"'


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _write(tree: dict[str, Any], prefix: str, wide: bool) -> str:
    """Write a tree as TOML: values first, then tables, with comments and blank lines between."""
    lines = []
    for key, value in tree.items():
        if not isinstance(value, dict) and not _is_tables(value):
            lines.append(f"{_key(key)} = {_scalar(value, wide)} # why")
    for key, value in tree.items():
        name = f"{prefix}{_key(key)}"
        if isinstance(value, dict):
            lines += ["", f"[{name}]", _write(value, f"{name}.", wide)]
        elif _is_tables(value):
            for each in value:
                lines += ["# next", f"[[ {name} ]]", _write(each, f"{name}.", wide)]
    return "\n".join(lines)


def _paths(value: Any, path: Path = ()) -> list[Path]:
    found = [path] if path else []
    if isinstance(value, dict):
        found += [p for key, each in value.items() for p in _paths(each, (*path, key))]
    elif isinstance(value, list):
        found += [p for index, each in enumerate(value) for p in _paths(each, (*path, index))]
    return found


@given(TABLES, st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_every_path_of_tomllib_has_a_line(tree: dict[str, Any], wide: bool, end: str) -> None:
    """Whatever tomllib reads can be located, and nothing else is."""
    text = _write(tree, "", wide).replace("\n", end)
    read = tomllib.loads(text)

    lines = lines_of(text)

    assert set(lines) == set(_paths(read))
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


@given(st.lists(BARE, min_size=1, max_size=20, unique=True), st.data())
def test_a_key_stands_on_its_own_line(keys: list[str], data: st.DataObject) -> None:
    """The line of a key is the line that it was written on."""
    text, wanted = "", {}
    for key in keys:
        text += "\n" * data.draw(st.integers(0, 2)) + data.draw(st.sampled_from(["", "# x = 1\n"]))
        wanted[(key,)] = text.count("\n") + 1
        text += f"{key} = {_scalar(data.draw(SCALARS), wide=False)}\n"

    assert lines_of(text) == wanted


STYLES = [
    ("a.b.c = 1", {("a",): 1, ("a", "b"): 1, ("a", "b", "c"): 1}),
    ("a = {b = 1, c = [2, 3]}", {("a", "b"): 1, ("a", "c"): 1, ("a", "c", 1): 1}),
    ("[[x]]\n[[x]]\n[x.y]\nz = 1", {("x", 0): 1, ("x", 1): 2, ("x", 1, "y", "z"): 4}),
    ("[[x]]\n[[x.y]]\n[[x]]\n[[x.y]]\nk=1", {("x", 0, "y", 0): 2, ("x", 1, "y", 0, "k"): 5}),
    ("'a b'.\"c\\u0041\" = 1", {("a b", "cA"): 1}),
    ('k = """a""""\nb = 2', {("k",): 1, ("b",): 2}),
    ("k = '''a\n''''\nb = 2", {("k",): 1, ("b",): 3}),
    ('k = """\\\n  "" \\""" x"""\nb = 2', {("b",): 3}),
    ("d = 1979-05-27 07:32:00 # t\nf = -1.5e3\nb = 2", {("b",): 3}),
    ("a = [\n # c ]\n {x = 1},\n [\n 2 ] ]\nb = 2", {("a", 0, "x"): 3, ("a", 1, 0): 5, ("b",): 6}),
]


@pytest.mark.parametrize(("text", "wanted"), STYLES)
def test_styles(text: str, wanted: dict[Path, int]) -> None:
    """Each way of writing a key that TOML knows is followed."""
    tomllib.loads(text)
    lines = lines_of(text)

    assert {path: lines[path] for path in wanted} == wanted


def test_a_missing_key_is_reported_at_its_table() -> None:
    """A key that is not there has the line of the table that lacks it."""
    where = Where("f", lines=lines_of("\n[[zone]]\nid = 1\n[[zone]]\nid = 2\n"))

    assert where.inside("zone", 1).line("name") == 4
    assert where.inside("zone", 1).line("id") == 5
    assert where.inside("zone", 1).line("id.0.x") == 5
    assert where.line("nothing") == 1
