"""`verify` and `replay` on the command line: words in both languages, JSON, exit codes."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from minewatch import record
from minewatch.cli import exit_codes
from minewatch.cli.record import replay, verify
from minewatch.record.ledger import Ledger
from minewatch.text import Catalogue


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a state folder with six entries behind two checkpoints."""
    ledger = Ledger.open(tmp_path, origin="cli/test", writable=True)
    for number in range(2):
        body = b'{"cycle":0,"data":{},"kind":"k","v":1,"wall_ms":1790000000%03d}' % number
        ledger.append([(body, "")] * 3)
        ledger.sign_checkpoint()
    ledger.close()
    return tmp_path


def _spoil(folder: Path) -> None:
    path = folder / "ledger" / "ledger.db"
    path.write_bytes(path.read_bytes().replace(b"1790000000001}", b"1790000000007}", 1))


@pytest.mark.parametrize(("lang", "word"), [("en", "whole"), ("zh-CN", "完好")])
def test_sound(folder: Path, lang: str, word: str) -> None:
    """A whole record is said to be so and leaves with 0."""
    ran = CliRunner().invoke(verify, [str(folder), "--lang", lang])
    assert ran.exit_code == exit_codes.OK
    assert word in ran.output


@pytest.mark.parametrize(("lang", "word"), [("en", "3 and 6 entries"), ("zh-CN", "3 条与 6 条")])
def test_altered(folder: Path, lang: str, word: str) -> None:
    """An altered entry is named with the checkpoints around it and leaves with 1."""
    _spoil(folder)
    ran = CliRunner().invoke(verify, [str(folder), "--lang", lang])
    assert ran.exit_code == exit_codes.CHECK_FAILED
    assert word in ran.output


def test_json(folder: Path) -> None:
    """`--json` has code and place of every finding."""
    _spoil(folder)
    ran = CliRunner().invoke(verify, [str(folder), "--json"])
    body = json.loads(ran.output)
    assert body["sound"] is False
    assert {"entry_altered"} <= {each["code"] for each in body["findings"]}
    altered = next(each for each in body["findings"] if each["code"] == "entry_altered")
    assert (altered["after"], altered["before"]) == (3, 6)


@pytest.mark.parametrize("verb", [verify, replay])
def test_nothing_there(tmp_path: Path, verb: object) -> None:
    """An empty folder is unreadable, not whole: 74."""
    ran = CliRunner().invoke(verb, [str(tmp_path)])  # type: ignore[arg-type]
    assert ran.exit_code == exit_codes.IO_ERROR


@pytest.mark.parametrize("lang", ["en", "zh-CN"])
def test_every_finding_has_words(lang: str) -> None:
    """Each code that the verification can find is a sentence of the catalogue."""
    catalogue = Catalogue.load(lang)
    sources = "".join(path.read_text() for path in Path(record.__file__).parent.glob("*.py"))
    codes = set(re.findall(r"report\.add\(\s*\"(\w+)\"", sources))
    assert len(codes) > 15
    assert [code for code in codes if f"verify.{code}" not in catalogue] == []
