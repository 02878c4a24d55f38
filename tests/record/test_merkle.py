"""The tree against RFC 6962's published vectors, an independent library, and its own proofs."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from minewatch.record.merkle import (
    EMPTY_ROOT,
    TILE,
    Frontier,
    consistency_holds,
    consistency_proof,
    frontier_of,
    inclusion_holds,
    inclusion_proof,
    leaf_hash,
    node_hash,
)

LEAVES = [
    bytes.fromhex(each)
    for each in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
"""The reference inputs of the Certificate Transparency project."""

ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

SIZES = st.integers(1, 700)


def _hashes(count: int) -> list[bytes]:
    return [leaf_hash(b"%d" % number) for number in range(count)]


def _root(hashes: list[bytes]) -> bytes:
    """Return the tree hash by the recursive definition of RFC 6962 §2.1."""
    if len(hashes) < 2:
        return hashes[0] if hashes else EMPTY_ROOT
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return node_hash(_root(hashes[:half]), _root(hashes[half:]))


def test_published_roots() -> None:
    """The roots of the first one to eight reference leaves are those published."""
    tree = Frontier()
    assert tree.root() == hashlib.sha256(b"").digest()
    for leaf, root in zip(LEAVES, ROOTS, strict=True):
        tree.append(leaf_hash(leaf))
        assert tree.root().hex() == root


def test_published_inclusion_paths() -> None:
    """Three published audit paths come out hash by hash."""
    hashes = [leaf_hash(each) for each in LEAVES]
    path = inclusion_proof(5, 8, lambda start, end: _root(hashes[start:end]))
    assert [each.hex() for each in path] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    assert inclusion_proof(0, 1, lambda start, end: _root(hashes[start:end])) == []
    last = inclusion_proof(2, 3, lambda start, end: _root(hashes[start:end]))
    assert [each.hex() for each in last] == [ROOTS[1]]


def test_published_consistency_path() -> None:
    """The published proof between six and eight leaves comes out hash by hash."""
    hashes = [leaf_hash(each) for each in LEAVES]
    path = consistency_proof(6, 8, lambda start, end: _root(hashes[start:end]))
    assert [each.hex() for each in path] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 21, 64, 200])
def test_root_as_another_library(count: int) -> None:
    """An independent implementation of RFC 6962 gives the same root."""
    other, tree = InmemoryTree(algorithm="sha256"), Frontier()
    for number in range(count):
        data = b"leaf %d" % number
        other.append_entry(data)
        tree.append(leaf_hash(data))
    assert tree.root() == other.get_root()


@given(size=SIZES)
@settings(max_examples=40)
def test_frontier_is_the_tree(size: int) -> None:
    """Growing leaf by leaf, and starting from tiles, both give the recursive definition's root."""
    hashes = _hashes(size)
    tree = Frontier()
    tiles = [tile for tile in map(tree.append, hashes) if tile is not None]
    assert tree.root() == _root(hashes)
    assert tiles == [_root(hashes[at : at + TILE]) for at in range(0, size - TILE + 1, TILE)]
    rest = hashes[len(tiles) * TILE :]
    assert frontier_of(tiles, rest).hashes == tree.hashes


@given(data=st.data(), size=SIZES)
@settings(max_examples=60)
def test_inclusion(data: st.DataObject, size: int) -> None:
    """Every leaf's path holds; with another leaf, place, root or path it does not."""
    hashes = _hashes(size)
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_proof(index, size, lambda start, end: _root(hashes[start:end]))
    root = _root(hashes)
    assert inclusion_holds(index, size, hashes[index], path, root)
    assert not inclusion_holds(index, size, leaf_hash(b"other"), path, root)
    assert not inclusion_holds(index, size, hashes[index], path, bytes(32))
    assert not inclusion_holds(index, size, hashes[index], [*path, bytes(32)], root)
    assert not inclusion_holds(size, size, hashes[index], path, root)
    if path:
        assert not inclusion_holds(index, size, hashes[index], path[:-1], root)
        assert not inclusion_holds(index ^ 1, size, hashes[index], path, root)


@given(data=st.data(), new=SIZES)
@settings(max_examples=60)
def test_consistency(data: st.DataObject, new: int) -> None:
    """A prefix is proved; a changed root, a changed path or a fork is not."""
    hashes = _hashes(new)
    old = data.draw(st.integers(1, new))
    path = consistency_proof(old, new, lambda start, end: _root(hashes[start:end]))
    first, second = _root(hashes[:old]), _root(hashes)
    assert consistency_holds(old, new, first, second, path)
    assert not consistency_holds(old, new, bytes(32), second, path)
    assert not consistency_holds(old, new, first, bytes(32), path)
    assert not consistency_holds(old, new, first, second, [*path, bytes(32)])
    forked = [leaf_hash(b"fork"), *hashes[1:old]]
    assert not consistency_holds(old, new, _root(forked), second, path)


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_no_path_outside_the_tree(index: int, size: int) -> None:
    """A leaf that is not there has no path."""
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_proof(index, size, lambda _start, _end: b"")


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3), (-1, 3)])
def test_no_consistency_outside_the_tree(old: int, new: int) -> None:
    """Nothing is consistent with nothing or with a smaller tree."""
    with pytest.raises(ValueError, match="no consistency"):
        consistency_proof(old, new, lambda _start, _end: b"")
