"""The stand-alone verifier: its own Ed25519, its command line, its independence of the rest."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from minewatch.record.ledger import Ledger

TOOL = Path(__file__).parents[2] / "tools" / "verify.py"

VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]
"""RFC 8032 section 7.1, tests 1 to 3."""


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """Return the tool as a module."""
    spec = importlib.util.spec_from_file_location("stand_alone_verify", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_published_signatures(tool: ModuleType, public: str, message: str, signature: str) -> None:
    """The signatures of RFC 8032 hold, and not for another message."""
    given_bytes = [bytes.fromhex(each) for each in (public, message, signature)]
    assert tool.ed25519_holds(*given_bytes)
    assert not tool.ed25519_holds(given_bytes[0], b"another", given_bytes[2])


@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=80), data=st.data())
@settings(max_examples=40, deadline=None)
def test_signatures_as_another_library(seed: bytes, message: bytes, data: st.DataObject) -> None:
    """What `cryptography` signs holds; with any bit of signature or key changed it does not."""
    spec = importlib.util.spec_from_file_location("stand_alone_verify", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), bytearray(key.sign(message))
    assert module.ed25519_holds(public, message, bytes(signature))
    bit = data.draw(st.integers(0, 511))
    signature[bit // 8] ^= 1 << bit % 8
    assert not module.ed25519_holds(public, message, bytes(signature))


def test_standard_library_only() -> None:
    """It imports the standard library alone and stays short enough to be read."""
    text = TOOL.read_text(encoding="utf-8")
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    assert names <= sys.stdlib_module_names
    assert len(text.splitlines()) <= 300


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a small state folder with two checkpoints."""
    ledger = Ledger.open(tmp_path, origin="tool/test", writable=True)
    for number in range(2):
        body = b'{"data":{},"kind":"k","v":1,"wall_ms":%d}' % number
        ledger.append([(body, "")] * 3)
        ledger.sign_checkpoint()
    ledger.close()
    return tmp_path


def _run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", str(TOOL), *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_line(folder: Path, tmp_path: Path) -> None:
    """Sound is 0, altered is 1 with the entry named, unreadable is 74; it runs without packages."""
    assert _run(folder).returncode == 0
    path = folder / "ledger" / "ledger.db"
    path.write_bytes(path.read_bytes().replace(b'"wall_ms":1}', b'"wall_ms":7}', 1))
    ran = _run(folder)
    assert ran.returncode == 1
    assert "between checkpoints 3 and 6" in ran.stdout
    assert _run(tmp_path / "nowhere").returncode == 74


def test_checkpoints_from_outside(folder: Path, tmp_path: Path) -> None:
    """A rewritten ledger with a new key passes by itself, but not against what left the mine."""
    kept, key = tmp_path / "kept.txt", (folder / "ledger" / "key.pub").read_text()
    kept.write_bytes((folder / "ledger" / "checkpoints.txt").read_bytes())
    forged = tmp_path / "forged"
    ledger = Ledger.open(forged, origin="tool/test", writable=True)
    ledger.append([(b'{"data":{},"kind":"forged","v":1,"wall_ms":0}', "")] * 6)
    ledger.sign_checkpoint()
    ledger.close()
    assert _run(forged).returncode == 0
    assert _run(forged, "--checkpoints", kept).returncode == 1
    assert _run(forged, "--checkpoints", kept, "--key", key).returncode == 1
    assert _run(folder, "--checkpoints", kept, "--key", key).returncode == 0
