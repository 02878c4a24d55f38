"""Signed checkpoints as C2SP `tlog-checkpoint` notes, and the Ed25519 key that signs them.

    <origin>
    <size>
    <base64 of the root>
    <empty line>
    — <origin> <base64 of 4 bytes key hash and 64 bytes signature>

`checkpoints.txt` is a row of such notes, each followed by an empty line. The private key stays in
a file of mode 0600 that the controller alone opens; `key.pub` is the C2SP verifier key.
"""

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from minewatch.record import DamageError, RecordError

ED25519 = b"\x01"
KEY_FILE, PUBLIC_FILE = "key", "key.pub"

_NOTE = re.compile(
    rb"(?P<text>(?P<origin>[^\n]+)\n(?P<size>0|[1-9][0-9]{0,15})\n(?P<root>[A-Za-z0-9+/]{43}=)\n)"
    rb"\n\xe2\x80\x94 (?P<name>[^ \n]+) (?P<signature>[A-Za-z0-9+/]{91}=)\n"
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One signed tree head; `note` is its whole text."""

    origin: str
    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a checkpoint file: a note, or bytes that are none; `start` is its byte offset."""

    start: int
    end: int
    checkpoint: Checkpoint | None


class Signer:
    """The signing key of one ledger."""

    def __init__(self, origin: str, seed: bytes) -> None:
        self.origin = origin
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, size: int, root: bytes) -> str:
        """Return the note of the tree head (size, root)."""
        text = f"{self.origin}\n{size}\n{base64.b64encode(root).decode()}\n"
        signature = key_hash(self.origin, self.public) + self._key.sign(text.encode())
        return f"{text}\n\u2014 {self.origin} {base64.b64encode(signature).decode()}\n"


def check_origin(origin: str) -> None:
    """Refuse a name that a note cannot carry.

    Raises:
        RecordError: empty, longer than 200 characters, or with spaces, control signs or a plus.
    """
    if not 0 < len(origin) <= 200 or not origin.isprintable() or re.search(r"[\s+]", origin):
        raise RecordError(f"not a name for a ledger: {origin!r}")


def key_hash(name: str, public: bytes) -> bytes:
    """Return the 4 bytes that name a key in a signature line (C2SP signed-note)."""
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public).digest()[:4]


def verifier_key(name: str, public: bytes) -> str:
    """Return the C2SP verifier key `name+hash+base64`."""
    coded = base64.b64encode(ED25519 + public).decode()
    return f"{name}+{key_hash(name, public).hex()}+{coded}"


def parse_verifier_key(text: str) -> tuple[str, bytes]:
    """Return name and public key.

    Raises:
        RecordError: not a verifier key of Ed25519.
    """
    try:
        name, digest, coded = text.strip().split("+", 2)
        raw = base64.b64decode(coded, validate=True)
    except (ValueError, binascii.Error) as error:
        raise RecordError(f"not a verifier key: {text.strip()[:80]!r}") from error
    public = raw[1:]
    if raw[:1] != ED25519 or len(public) != 32 or key_hash(name, public).hex() != digest:
        raise RecordError(f"not a verifier key: {text.strip()[:80]!r}")
    return name, public


def signature_holds(checkpoint: Checkpoint, name: str, public: bytes) -> bool:
    """Tell whether `checkpoint` was signed by the key `public` under `name`."""
    match = _NOTE.fullmatch(checkpoint.note.encode())
    if match is None or match["name"].decode(errors="replace") != name:
        return False
    raw = base64.b64decode(match["signature"])
    if raw[:4] != key_hash(name, public) or checkpoint.origin != name:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(raw[4:], match["text"])
    except InvalidSignature:
        return False
    return _canonical_base64(match["signature"]) and _canonical_base64(match["root"])


def parse_notes(data: bytes) -> Iterator[Stretch]:
    """Yield the notes of a checkpoint file in order, and what stands between them that is none."""
    place = 0
    for match in _NOTE.finditer(data):
        if data[place : match.start()].strip(b"\n"):
            yield Stretch(place, match.start(), None)
        note = match[0].decode(errors="replace")
        origin = match["origin"].decode(errors="replace")
        root = base64.b64decode(match["root"])
        yield Stretch(
            match.start(), match.end(), Checkpoint(origin, int(match["size"]), root, note)
        )
        place = match.end()
    if data[place:].strip(b"\n"):
        yield Stretch(place, len(data), None)


def _canonical_base64(coded: bytes) -> bool:
    return base64.b64encode(base64.b64decode(coded)) == coded


def load_signer(folder: Path, origin: str, *, create: bool) -> Signer:
    """Open the key of the ledger folder, or make it where `create` permits.

    Raises:
        DamageError: the key is missing although the ledger exists.
        RecordError: the key is unreadable, belongs to another name or is open to others.
    """
    path = folder / KEY_FILE
    if not path.exists():
        if not create:
            raise DamageError(f"{path}: the signing key of this ledger is gone")
        return _create_signer(folder, origin)
    if path.stat().st_mode & 0o077:
        raise RecordError(f"{path}: readable by others; set its mode to 0600")
    try:
        private, kind, name, _, coded = path.read_text().strip().split("+", 4)
        seed = base64.b64decode(coded, validate=True)[1:]
        if (private, kind, name, len(seed)) != ("PRIVATE", "KEY", origin, 32):
            raise ValueError("another name or another kind of key")
    except (ValueError, binascii.Error) as error:
        raise RecordError(f"{path}: not the key of {origin}: {error}") from error
    return Signer(origin, seed)


def _create_signer(folder: Path, origin: str) -> Signer:
    seed = os.urandom(32)
    signer = Signer(origin, seed)
    digest, coded = key_hash(origin, signer.public).hex(), base64.b64encode(ED25519 + seed).decode()
    _write_new(folder / PUBLIC_FILE, verifier_key(origin, signer.public) + "\n", 0o644)
    _write_new(folder / KEY_FILE, f"PRIVATE+KEY+{origin}+{digest}+{coded}\n", 0o600)
    return signer


def _write_new(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
