#!/usr/bin/env python3
"""Stand-alone verifier of a minewatch record: Python's standard library only, nothing of ours.

    python3 verify.py STATE_FOLDER [--checkpoints FILE] [--key VERIFIER_KEY]

It is written from docs/record.md alone and shares no code with the program, so that a county
engineer can read all of it. Exit codes: 0 sound, 1 something was found, 74 nothing could be read.
"""

import argparse
import base64
import hashlib
import json
import re
import sqlite3
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)
NOTE = re.compile(
    rb"(([^\n]+)\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n)"
    rb"\n\xe2\x80\x94 ([^ \n]+) ([A-Za-z0-9+/]{91}=)\n"
)

UNREADABLE = (sqlite3.Error, ValueError)

Point = tuple[int, int, int, int]


def recover_x(y: int, sign: int) -> int | None:
    """Return the x of a point of Ed25519 (RFC 8032 section 5.1.3), None where there is none."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


def decode_point(data: bytes) -> Point | None:
    """Return a point in extended coordinates, None where the bytes are none."""
    number = int.from_bytes(data, "little")
    y = number & ((1 << 255) - 1)
    x = recover_x(y, number >> 255)
    return None if x is None else (x, y, 1, x * y % P)


def add(first: Point, second: Point) -> Point:
    """Add two points."""
    a = (first[1] - first[0]) * (second[1] - second[0]) % P
    b = (first[1] + first[0]) * (second[1] + second[0]) % P
    c = 2 * first[3] * second[3] * D % P
    d = 2 * first[2] * second[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply_both(s: int, base: Point, k: int, other: Point) -> Point:
    """Return s * base + k * other, bit by bit for both."""
    table = (None, base, other, add(base, other))
    found: Point = (0, 1, 1, 0)
    for bit in range(max(s.bit_length(), k.bit_length()) - 1, -1, -1):
        found = add(found, found)
        chosen = table[(s >> bit & 1) | (k >> bit & 1) << 1]
        if chosen is not None:
            found = add(found, chosen)
    return found


BASE_Y = 4 * pow(5, -1, P) % P
BASE_X = recover_x(BASE_Y, 0) or 0
BASE: Point = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def ed25519_holds(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether an Ed25519 signature holds (RFC 8032 section 5.1.7)."""
    key, r = decode_point(public), decode_point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if key is None or r is None or s >= L or len(signature) != 64:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    minus_key = (P - key[0], key[1], 1, P - key[3])
    x, y, z, _ = multiply_both(s, BASE, k, minus_key)
    return (x - r[0] * z) % P == 0 and (y - r[1] * z) % P == 0


class Tree:
    """The growing edge of an RFC 6962 tree."""

    def __init__(self) -> None:
        self.size = 0
        self.hashes: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash."""
        rest = self.size
        while rest & 1:
            leaf = hashlib.sha256(b"\x01" + self.hashes.pop() + leaf).digest()
            rest >>= 1
        self.hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the tree head."""
        if not self.hashes:
            return hashlib.sha256(b"").digest()
        root = self.hashes[-1]
        for each in reversed(self.hashes[:-1]):
            root = hashlib.sha256(b"\x01" + each + root).digest()
        return root


class Verifier:
    """Walks one state folder and prints what is wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: list[str] = []
        self.roots: dict[int, list[bytes]] = {}
        self.good: set[bytes] = set()
        self.sealed: dict[str, dict[str, Any]] = {}
        self.retired: set[str] = set()
        self.size = self.covered = self.chunks = 0

    def fault(self, words: str) -> None:
        """Note and print one finding."""
        self.faults.append(words)
        print(f"FOUND 发现问题: {words}")

    def notes(self, name: str, data: bytes, key: str) -> list[bytes]:
        """Take the checkpoints of a file; return the good notes."""
        key_name, digest, coded = key.strip().split("+", 2)
        public = base64.b64decode(coded)[1:]
        key_hash = hashlib.sha256(key_name.encode() + b"\n\x01" + public).digest()[:4]
        if key_hash.hex() != digest:
            self.fault("the verifier key contradicts itself")
        good, place = [], 0
        for match in NOTE.finditer(data):
            self.between(name, data, place, match.start())
            place = match.end()
            text, origin, size, root, signer, coded_signature = match.groups()
            raw = base64.b64decode(coded_signature)
            canonical = base64.b64encode(raw) == coded_signature
            canonical &= base64.b64encode(base64.b64decode(root)) == root
            named = origin == signer == key_name.encode() and raw[:4] == key_hash
            known = match[0] in self.good
            if known or (named and canonical and ed25519_holds(public, text, raw[4:])):
                self.roots.setdefault(int(size), []).append(base64.b64decode(root))
                self.good.add(match[0])
                good.append(match[0])
            else:
                self.fault(f"{name} byte {match.start()}: bad signature, size {int(size)}")
        self.between(name, data, place, len(data))
        return good

    def between(self, name: str, data: bytes, start: int, end: int) -> None:
        """Complain about bytes that are no checkpoint."""
        if data[start:end].strip(b"\n"):
            self.fault(f"{name} bytes {start}-{end - 1}: not a checkpoint")

    def ledger(self, database: sqlite3.Connection) -> None:
        """Check entries, tree and stored frontier."""
        rows = database.execute("SELECT size, hashes FROM frontier").fetchall()
        stored, hashes = rows[0] if len(rows) == 1 else (None, b"")
        newest = max(self.roots, default=0)
        tree, sound, expected, near = Tree(), True, 0, 0
        for index, leaf, text, hashed in self.entries(database):
            where = f"entry {index} ({self.bounds(index)}, after wall_ms {near})"
            if index != expected:
                self.fault(f"entries {expected}-{index - 1} are missing")
                sound = False
            expected = index + 1
            computed = hashlib.sha256(b"\x00" + leaf).digest() if leaf is not None else None
            if computed is None or computed != hashed:
                self.fault(f"{where}: altered or unreadable")
            else:
                near = self.leaf(where, leaf, text) or near
            leaf_hash = hashed or computed
            sound = sound and leaf_hash is not None
            if sound and leaf_hash is not None:
                tree.append(leaf_hash)
                sound = self.meet(tree)
            if expected == stored and sound and b"".join(tree.hashes) != hashes:
                self.fault("the stored frontier is not that of the entries")
        if expected < max(newest, stored or 0) or stored is None:
            self.fault(f"entries {expected}-{max(newest, stored or 0) - 1} are missing")
        self.size = expected

    def entries(self, database: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
        """Yield (index, leaf, text, hash), None for what is unreadable."""
        query = "SELECT idx, CAST(leaf AS BLOB), CAST(text AS BLOB), hash FROM entry WHERE idx = ?"
        start, newest = 0, max(self.roots, default=0)
        while True:
            try:
                many = query.replace("= ?", ">= ? ORDER BY idx LIMIT 1000")
                rows = database.execute(many, (start,)).fetchall()
            except UNREADABLE as error:
                self.fault(f"entries from {start} on cannot all be read: {error}")
                rows = []
                for index in range(start, min(start + 1000, newest)):
                    try:
                        rows += database.execute(query, (index,)).fetchall()
                    except UNREADABLE:
                        rows.append((index, None, None, None))
            if not rows:
                return
            for index, *rest in rows:
                yield index, *(each if isinstance(each, bytes) else None for each in rest)
            start = rows[-1][0] + 1
            if sys.stderr.isatty():
                print(f"\r{start} entries", end="", file=sys.stderr)

    def leaf(self, where: str, leaf: bytes, text: bytes | None) -> int:
        """Read an event; return its wall time."""
        try:
            body = json.loads(leaf)
            kind, data, wall_ms = body["kind"], body["data"], body["wall_ms"]
        except (ValueError, KeyError, TypeError):
            self.fault(f"{where}: not an event")
            return 0
        wanted = body.get("text_sha256")
        if text is None or (hashlib.sha256(text).hexdigest() if text else None) != wanted:
            self.fault(f"{where}: the text beside it was altered")
        if kind == "journal_sealed":
            self.sealed[data["subject"]] = data
        if kind == "journal_retired":
            self.retired.add(data["subject"])
        return int(wall_ms)

    def meet(self, tree: Tree) -> bool:
        """Compare with the checkpoints of this size; False ends the comparison."""
        for root in self.roots.get(tree.size, ()):
            if root != tree.root():
                self.fault(
                    f"entries {self.covered}-{tree.size - 1} are not those signed: the change lies "
                    f"between the checkpoints of size {self.covered} and {tree.size}"
                )
                return False
            self.covered = tree.size
        return True

    def bounds(self, index: int) -> str:
        """Say between which checkpoints an entry lies."""
        after = max((size for size in self.roots if size <= index), default=0)
        before = min((size for size in self.roots if size > index), default="none")
        return f"between checkpoints {after} and {before}"

    def journal(self) -> None:
        """Check every sealed chunk."""
        present = sorted((self.folder / "journal").glob("[0-9]*.db"))
        kept = {path.stem for path in present}
        for path in present:
            self.opened(path, partial(self.chunks_of, path.stem))
        for name in sorted({chunk.partition("-")[0] for chunk in self.sealed} - kept):
            if name not in self.retired or name > min(kept, default=name):
                self.fault(f"journal/{name}.db is missing")

    def chunks_of(self, file: str, database: sqlite3.Connection) -> None:
        """Check the chunks of one journal file."""
        query = "SELECT lines, sha256, first_cycle, last_cycle FROM part WHERE number = ?"
        found: dict[int, tuple[Any, list[str]]] = {}
        for number, chunk in database.execute("SELECT number, chunk FROM part ORDER BY number"):
            digest, failed = found.setdefault(chunk, (hashlib.sha256(), []))
            try:
                packed, wanted, first, last = database.execute(query, (number,)).fetchone()
                lines = zlib.decompress(packed)
            except (*UNREADABLE, zlib.error, TypeError) as error:
                failed.append(f"part {number} is unreadable: {error}")
                continue
            digest.update(lines)
            if hashlib.sha256(lines).hexdigest() != wanted:
                failed.append(f"part {number}, cycles {first}-{last}, was altered")
        for name, data in sorted(self.sealed.items()):
            if name.partition("-")[0] != file:
                continue
            self.chunks += 1
            digest, failed = found.get(int(name.partition("-")[2]), (hashlib.sha256(), []))
            if digest.hexdigest() != data["sha256"]:
                span = f"cycles {data['first_cycle']}-{data['last_cycle']}"
                self.fault(f"journal chunk {name}, {span}: altered or missing; {failed}")

    def opened(self, path: Path, check: Callable[[sqlite3.Connection], None]) -> None:
        """Open a database, let SQLite check it, then check it ourselves."""
        mode = "mode=ro" if Path(f"{path}-wal").exists() else "immutable=1"
        try:
            uri = path.absolute().as_uri()
            with closing(sqlite3.connect(f"{uri}?{mode}", uri=True)) as database:
                for (words,) in database.execute("PRAGMA integrity_check(5)").fetchall():
                    if words != "ok":
                        self.fault(f"{path.name}: {words}")
                check(database)
        except (*UNREADABLE, TypeError, KeyError) as error:
            self.fault(f"{path.name}: unreadable: {error}")

    def run(self, outside: Path | None, key: str | None) -> None:
        """Check everything."""
        home = self.folder / "ledger"
        key = key or (home / "key.pub").read_text(encoding="utf-8")
        text = home / "checkpoints.txt"
        listed = self.notes(text.name, text.read_bytes() if text.exists() else b"", key)
        if outside is not None:
            self.notes(outside.name, outside.read_bytes(), key)

        def check(database: sqlite3.Connection) -> None:
            query = "SELECT size, CAST(note AS BLOB) FROM checkpoint ORDER BY size"
            rows = database.execute(query).fetchall()
            stored = [note for _, note in rows]
            if any(note.split(b"\n")[1:2] != [str(size).encode()] for size, note in rows):
                self.fault("ledger.db: a checkpoint is filed under another size")
            if database.execute("SELECT origin FROM meta").fetchall() != [(key.split("+")[0],)]:
                self.fault("ledger.db: belongs to another ledger than the key")
            good = self.notes("ledger.db", b"\n".join(stored), key)
            if set(good[:-1]) - set(listed) or len(set(listed) - set(good)) > 1:
                self.fault("checkpoints.txt and ledger.db do not hold the same checkpoints")
            self.ledger(database)

        self.opened(home / "ledger.db", check)
        self.journal()


def main(arguments: list[str] | None = None) -> int:
    """Verify and print; return the exit code."""
    parser = argparse.ArgumentParser(description="Verify a minewatch record 校验记录")
    parser.add_argument("state", type=Path, help="state folder, or a copy of it")
    parser.add_argument("--checkpoints", type=Path, help="checkpoints that left the mine earlier")
    parser.add_argument("--key", help="verifier key that you already trust (name+hash+base64)")
    given = parser.parse_args(arguments)
    verifier = Verifier(given.state)
    try:
        verifier.run(given.checkpoints, given.key)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        print(f"cannot read 无法读取: {error}", file=sys.stderr)
        return 74
    print(
        f"{verifier.size} entries 条记录, {verifier.covered} signed 已签名, "
        f"{len(verifier.good)} checkpoints 检查点, {verifier.chunks} journal chunks 日志块: "
        + (f"{len(verifier.faults)} FAULTS 处问题" if verifier.faults else "SOUND 完好")
    )
    return 1 if verifier.faults else 0


if __name__ == "__main__":
    sys.exit(main())
