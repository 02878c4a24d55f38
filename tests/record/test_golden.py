"""A ledger of every release opens, verifies and recovers for ever.

`golden/<version>/` is never edited. A new release adds a folder; `state.json` is what the core
recovered from it then, and every later core must recover at least that.
"""

import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from minewatch.core.fold import recover
from minewatch.core.snapshot import durable_to_json
from minewatch.record.ledger import Ledger
from minewatch.record.recover import read_state
from minewatch.record.verify import verify

GOLDEN = sorted((Path(__file__).parent / "golden").iterdir())


@pytest.fixture(params=GOLDEN, ids=lambda path: path.name)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a copy of one release's record."""
    return Path(shutil.copytree(request.param, tmp_path / "golden"))


def _holds(whole: Any, part: Any) -> bool:
    """Tell whether `whole` has everything that `part` has; fields may have been added."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key in whole and _holds(whole[key], value) for key, value in part.items()
        )
    return bool(whole == part)


def test_opens(golden: Path) -> None:
    """Entries, checkpoints and proofs of an old ledger are read."""
    ledger = Ledger.open(golden, origin="", writable=False)
    newest = ledger.newest_checkpoint()
    assert newest is not None
    assert newest.size == ledger.size == len(list(ledger.all_entries()))
    assert ledger.root(newest.size) == newest.root
    ledger.close()


def test_verifies(golden: Path, stand_alone: ModuleType) -> None:
    """Both verifiers still find it whole, with its journal."""
    report = verify(golden)
    assert report.findings == []
    assert report.chunks > 0
    assert stand_alone.main([str(golden)]) == 0


def test_recovers(golden: Path) -> None:
    """Its events fold to what they folded to then."""
    wanted = json.loads((golden / "state.json").read_text(encoding="utf-8"))
    recovered = durable_to_json(recover(read_state(golden).events))
    assert _holds(recovered, wanted)
