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
from contextlib import closing, suppress
from functools import partial, reduce
from pathlib import Path
from typing import Any

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
PART = "run, first_cycle, last_cycle, cycles, first_wall_ms, last_wall_ms, sha256, marks, lines"
KEYS = ("run", "first_cycle", "last_cycle", "cycles", "sha256", "digest")
NOTE = re.compile(
    rb"(([^\n]+)\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n)"
    rb"\n\xe2\x80\x94 ([^ \n]+) ([A-Za-z0-9+/]{91}=)\n"
)
UNREADABLE = (sqlite3.Error, ValueError)
Point = tuple[int, int, int, int]


def sha(*parts: bytes) -> bytes:
    """Return the SHA-256 of some bytes."""
    return hashlib.sha256(b"".join(parts)).digest()


def decode_point(data: bytes) -> Point | None:
    """Return a point of Ed25519 (RFC 8032 section 5.1.3), None where the bytes are none."""
    sign, y = divmod(int.from_bytes(data, "little"), 1 << 255)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)


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
    found: Point = (0, 1, 1, 0)
    table = (found, base, other, add(base, other))
    for bit in range(max(s.bit_length(), k.bit_length()) - 1, -1, -1):
        found = add(add(found, found), table[(s >> bit & 1) | (k >> bit & 1) << 1])
    return found


BASE = decode_point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def ed25519_holds(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether an Ed25519 signature holds (RFC 8032 section 5.1.7)."""
    key, r = decode_point(public), decode_point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if BASE is None or key is None or r is None or s >= L or len(signature) != 64:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    minus_key = (P - key[0], key[1], 1, P - key[3])
    x, y, z, _ = multiply_both(s, BASE, k, minus_key)
    return (x - r[0] * z) % P == 0 and (y - r[1] * z) % P == 0


def grow(hashes: list[bytes], size: int, leaf: bytes) -> None:
    """Add leaf number `size` to the roots of the complete subtrees of an RFC 6962 tree."""
    while size & 1:
        leaf, size = sha(b"\x01", hashes.pop(), leaf), size >> 1
    hashes.append(leaf)


class Verifier:
    """Walks one state folder and prints what is wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: list[str] = []
        self.roots: dict[int, set[bytes]] = {}
        self.good: set[bytes] = set()
        self.said: dict[str, dict[str, Any]] = {"journal_sealed": {}, "journal_retired": {}}
        self.size = self.covered = self.chunks = self.near_ms = 0

    def fault(self, words: str) -> None:
        """Note and print one finding."""
        self.faults.append(words)
        print(f"FOUND 发现问题: {words}")

    def notes(self, name: str, data: bytes, key: str) -> list[bytes]:
        """Take the checkpoints of a file; return the good notes."""
        key_name, _, coded = key.strip().split("+", 2)
        public = base64.b64decode(coded)[1:]
        key_hash = sha(key_name.encode(), b"\n\x01", public)[:4]
        good, place = [], 0
        for match in [*NOTE.finditer(data), None]:
            end = match.start() if match else len(data)
            if data[place:end].strip(b"\n"):
                self.fault(f"{name} bytes {place}-{end - 1}: not a checkpoint")
            if match is None:
                break
            place = match.end()
            text, origin, size, root, signer, coded_signature = match.groups()
            raw, head = base64.b64decode(coded_signature), base64.b64decode(root)
            named = origin == signer == key_name.encode() and raw[:4] == key_hash
            named &= base64.b64encode(raw) == coded_signature and base64.b64encode(head) == root
            if match[0] in self.good or (named and ed25519_holds(public, text, raw[4:])):
                self.roots.setdefault(int(size), set()).add(head)
                self.good.add(match[0])
                good.append(match[0])
            else:
                self.fault(f"{name} byte {match.start()}: bad signature, size {int(size)}")
        return good

    def ledger(self, database: sqlite3.Connection) -> None:
        """Check entries, tree and stored frontier."""
        stored, hashes = database.execute("SELECT size, hashes FROM frontier").fetchone()
        end = max(self.roots, default=0)
        sound, expected = True, 0
        tree: list[bytes] = []
        for index, leaf, text, hashed in self.entries(database):
            if index != expected:
                self.fault(f"entries {expected}-{index - 1} are missing")
                sound = False
            expected = index + 1
            if leaf is None or sha(b"\x00", leaf) != hashed:
                self.fault(f"entry {index} {self.bounds(index)}: altered or unreadable")
            else:
                self.leaf(index, leaf, text)
            if sound:
                grow(tree, index, hashed or sha(b"\x00", leaf or b""))
                sound = self.meet(tree, expected)
            if expected == stored and sound and b"".join(tree) != hashes:
                self.fault("the stored frontier is not that of the entries")
        if expected < max(end, stored):
            self.fault(f"entries {expected}-{max(end, stored) - 1} are missing")
        self.size = expected

    def entries(self, database: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
        """Yield (index, leaf, text, hash), None for what is unreadable."""
        query = "SELECT idx, CAST(leaf AS BLOB), CAST(text AS BLOB), hash FROM entry WHERE idx"
        many, start = f"{query} >= ? ORDER BY idx LIMIT 1000", 0
        while True:
            try:
                rows = database.execute(many, (start,)).fetchall()
            except UNREADABLE as error:
                self.fault(f"entries from {start} on cannot all be read: {error}")
                rows = []
                for index in range(start, min(start + 1000, max(self.roots, default=0))):
                    with suppress(*UNREADABLE):
                        rows += database.execute(f"{query} = ?", (index,)).fetchall()
            for index, *rest in rows:
                yield index, *(each if isinstance(each, bytes) else None for each in rest)
            if not rows:
                return
            start = rows[-1][0] + 1
            if sys.stderr.isatty():
                print(f"\r{start} entries", end="", file=sys.stderr)

    def leaf(self, index: int, leaf: bytes, text: bytes | None) -> None:
        """Read an event."""
        try:
            body = json.loads(leaf)
            kind, data, self.near_ms = body["kind"], body["data"], body["wall_ms"]
        except (ValueError, KeyError, TypeError):
            self.fault(f"entry {index} {self.bounds(index)}: not an event")
            return
        if text is None or (sha(text).hex() if text else None) != body.get("text_sha256"):
            self.fault(f"entry {index} {self.bounds(index)}: the text beside it was altered")
        if kind in {"journal_sealed", "journal_retired"}:
            self.said[kind][data["subject"]] = data

    def meet(self, tree: list[bytes], size: int) -> bool:
        """Compare with the checkpoints of this size; False ends the comparison."""
        for signed in self.roots.get(size, ()):
            if signed != reduce(lambda right, left: sha(b"\x01", left, right), reversed(tree)):
                self.fault(f"entries differ from those signed {self.bounds(size - 1)}")
                return False
            self.covered = size
        return True

    def bounds(self, index: int) -> str:
        """Say between which checkpoints an entry lies."""
        after = max((size for size in self.roots if size <= index), default=0)
        before = min((size for size in self.roots if size > index), default="none")
        return f"(between checkpoints {after} and {before}, after wall_ms {self.near_ms})"

    def chunks_of(self, file: str, database: sqlite3.Connection) -> None:
        """Check the chunks of one journal file."""
        query = f"SELECT {PART} FROM part WHERE number = ?"
        found: dict[int, tuple[Any, list[str]]] = {}
        for number, chunk in database.execute("SELECT number, chunk FROM part ORDER BY number"):
            digest, failed = found.setdefault(chunk, (hashlib.sha256(), []))
            try:
                row = database.execute(query, (number,)).fetchone()
                lines = zlib.decompressobj().decompress(row[-1], 1 << 26)
                at = [line[1:].split(b",", 3) for line in lines.split(b"\n") if line[:1] == b"["]
                seen = b"%s %s %d %s %s" % (at[0][0], at[-1][0], len(at), at[0][2], at[-1][2])
            except (*UNREADABLE, zlib.error, TypeError, IndexError) as error:
                failed.append(f"part {number} is unreadable: {error}")
                continue
            digest.update(lines)
            if seen != " ".join(map(str, row[1:6])).encode() or sha(lines).hex() != row[6]:
                failed.append(f"part {number}, cycles {row[1]}-{row[2]}, was altered")
        query = f"SELECT {', '.join(KEYS)} FROM chunk WHERE number = ?"
        for name, data in sorted(self.said["journal_sealed"].items()):
            if name[:6] == file:
                self.chunks += 1
                digest, failed = found.get(int(name[7:]), (hashlib.sha256(), []))
                row = database.execute(query, (int(name[7:]),)).fetchone()
                if failed or row != tuple(map(data.get, KEYS)) or row[4] != digest.hexdigest():
                    span = f"cycles {data['first_cycle']}-{data['last_cycle']}"
                    self.fault(f"journal chunk {name}, {span}: altered or missing; {failed}")

    def opened(self, path: Path, check: Callable[[sqlite3.Connection], None]) -> None:
        """Open a database, let SQLite check it, then check it ourselves."""
        mode = "mode=ro" if Path(f"{path}-wal").exists() else "immutable=1"
        try:
            uri = path.absolute().as_uri()
            with closing(sqlite3.connect(f"{uri}?{mode}", uri=True)) as database:
                said = database.execute("PRAGMA integrity_check(5)").fetchall()
                if said != [("ok",)]:
                    self.fault(f"{path.name}: {said}")
                check(database)
        except (*UNREADABLE, TypeError, KeyError, AttributeError) as error:
            self.fault(f"{path.name}: unreadable: {error}")

    def database(self, listed: list[bytes], key: str, database: sqlite3.Connection) -> None:
        """Check the ledger's file: its copies of the checkpoints, then its entries."""
        query = "SELECT size, CAST(note AS BLOB) FROM checkpoint ORDER BY size"
        rows = [(size, note or b"") for size, note in database.execute(query).fetchall()]
        if any(note.split(b"\n")[1:2] != [b"%d" % size] for size, note in rows):
            self.fault("ledger.db: a checkpoint is filed under another size")
        if database.execute("SELECT origin FROM meta").fetchone() != (key.partition("+")[0],):
            self.fault("ledger.db: belongs to another ledger than the key")
        good = self.notes("ledger.db", b"\n".join(note for _, note in rows), key)
        if set(good[:-1]) - set(listed) or set(listed) - set(good):
            self.fault("checkpoints.txt and ledger.db do not hold the same checkpoints")
        self.ledger(database)

    def run(self, outside: Path | None, key: str | None) -> None:
        """Check everything."""
        home = self.folder / "ledger"
        key = key or (home / "key.pub").read_text(encoding="utf-8")
        own = home / "checkpoints.txt"
        listed = self.notes(own.name, own.read_bytes(), key) if own.exists() else []
        if outside is not None:
            self.notes(outside.name, outside.read_bytes(), key)
        self.opened(home / "ledger.db", partial(self.database, listed, key))
        kept = {path.stem: path for path in sorted((self.folder / "journal").glob("[0-9]*.db"))}
        for stem, path in kept.items():
            self.opened(path, partial(self.chunks_of, stem))
        for name in sorted({chunk[:6] for chunk in self.said["journal_sealed"]} - kept.keys()):
            if name not in self.said["journal_retired"] or name > min(kept, default=name):
                self.fault(f"journal/{name}.db is missing")


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
    told = f"{len(verifier.faults)} FAULTS 处问题" if verifier.faults else "SOUND 完好"
    print(f"{verifier.size} entries 条记录, {verifier.covered} signed 已签名,")
    print(f"{len(verifier.good)} checkpoints 检查点, {verifier.chunks} chunks 日志块: {told}")
    return 1 if verifier.faults else 0


if __name__ == "__main__":
    sys.exit(main())
