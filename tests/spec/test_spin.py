"""The models of spec/ under Spin: what the house does holds, and each wrong order fails."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SPEC = Path(__file__).parents[2] / "spec"
TOOLS = ("spin", "gcc")

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in TOOLS),
    reason="spin and gcc are needed (Debian packages spin, gcc)",
)


def _errors(model: str, order: str, folder: Path) -> tuple[int, int]:
    """Return (errors found, states stored) of a model, with a wrong order defined or none."""
    defined = [f"-D{order}"] if order else []

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("spin", "-a", *defined, str(SPEC / model))
    run("gcc", "-w", "-o", "pan", "pan.c")
    said = run("./pan", "-a", "-m100000")
    errors = re.search(r"errors: (\d+)", said)
    states = re.search(r"(\d+) states, stored", said)
    assert errors is not None, said
    assert states is not None, said
    assert "max search depth too small" not in said
    return int(errors[1]), int(states[1])


def _orders(model: str) -> list[str]:
    """Return the wrong orders that the model's first comment names."""
    comment = (SPEC / model).read_text(encoding="utf-8").partition("*/")[0]
    return re.findall(r"^ \*   ([A-Z_]+)", comment, flags=re.MULTILINE)


@pytest.mark.parametrize("model", ["latch.pml", "race.pml"])
def test_the_order_of_the_house_holds(model: str, tmp_path: Path) -> None:
    """No order of trips, releases, crashes and syncs gives power back that is owed to be off."""
    errors, states = _errors(model, "", tmp_path)
    assert errors == 0
    assert states > 10


@pytest.mark.parametrize(
    ("model", "order"),
    [(model, order) for model in ("latch.pml", "race.pml") for order in _orders(model)],
)
def test_a_wrong_order_fails(model: str, order: str, tmp_path: Path) -> None:
    """Each order that the model's first comment calls wrong is found to be wrong."""
    errors, _ = _errors(model, order, tmp_path)
    assert errors >= 1
