"""The Merkle tree of RFC 6962, section 2.1: frontier, roots, proofs and their checks.

Pure functions on 32-byte SHA-256 hashes; nothing here knows files. The frontier holds the roots of
the complete subtrees that make up the tree, largest first; it grows by one leaf in O(log n).
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence

TILE_LEVEL = 8
TILE = 1 << TILE_LEVEL
"""Roots of complete runs of 256 leaves are kept, so that a proof never hashes the whole log."""

EMPTY_ROOT = hashlib.sha256(b"").digest()

RangeRoot = Callable[[int, int], bytes]
"""Gives the Merkle tree hash of the leaves start ≤ i < end."""


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of one leaf's bytes."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The growing edge of the tree: `size` leaves and the roots of its complete subtrees."""

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)
        if len(self.hashes) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} complete subtrees")

    def append(self, leaf: bytes) -> bytes | None:
        """Add one leaf hash; return the root of the tile of 256 leaves that it completes."""
        tile = None
        grown, level, rest = leaf, 0, self.size
        while rest & 1:
            grown = node_hash(self.hashes.pop(), grown)
            level, rest = level + 1, rest >> 1
            if level == TILE_LEVEL:
                tile = grown
        self.hashes.append(grown)
        self.size += 1
        return tile

    def root(self) -> bytes:
        """Return the Merkle tree hash; that of no leaves is SHA-256 of nothing."""
        if not self.hashes:
            return EMPTY_ROOT
        *left, root = self.hashes
        for each in reversed(left):
            root = node_hash(each, root)
        return root

    def copy(self) -> "Frontier":
        """Return a frontier that grows apart from this one."""
        return Frontier(self.size, self.hashes)


def frontier_of(tiles: Iterable[bytes], leaves: Iterable[bytes]) -> Frontier:
    """Return the frontier of complete tiles followed by fewer than 256 leaf hashes."""
    upper, lower = Frontier(), Frontier()
    for tile in tiles:
        upper.append(tile)
    for leaf in leaves:
        lower.append(leaf)
    return Frontier(upper.size * TILE + lower.size, upper.hashes + lower.hashes)


def inclusion_proof(index: int, size: int, root_of: RangeRoot) -> list[bytes]:
    """Return the audit path of leaf `index` in the tree of the first `size` leaves (§2.1.1)."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    return _path(index, 0, size, root_of)


def consistency_proof(old: int, new: int, root_of: RangeRoot) -> list[bytes]:
    """Return the proof that the tree of `old` leaves is the start of that of `new` (§2.1.2)."""
    if not 0 < old <= new:
        raise ValueError(f"no consistency between trees of {old} and {new}")
    return _subproof(old, 0, new, root_of, complete=True)


def _split(count: int) -> int:
    """Return the largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1


def _path(index: int, start: int, end: int, root_of: RangeRoot) -> list[bytes]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        return [*_path(index, start, middle, root_of), root_of(middle, end)]
    return [*_path(index, middle, end, root_of), root_of(start, middle)]


def _subproof(old: int, start: int, end: int, root_of: RangeRoot, complete: bool) -> list[bytes]:
    if old == end:
        return [] if complete else [root_of(start, end)]
    middle = start + _split(end - start)
    if old <= middle:
        return [*_subproof(old, start, middle, root_of, complete), root_of(middle, end)]
    return [*_subproof(old, middle, end, root_of, False), root_of(start, middle)]


def inclusion_holds(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> bool:
    """Tell whether `proof` leads from leaf hash `leaf` to `root` (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf
    for each in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(each, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, each)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def consistency_holds(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Tell whether `proof` shows the old tree as a prefix of the new one (RFC 9162 §2.1.4.2)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        return False
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    low = high = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            low, high = node_hash(each, low), node_hash(each, high)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            high = node_hash(high, each)
        place, last = place >> 1, last >> 1
    return last == 0 and low == old_root and high == new_root
