"""Readers that miss people without a trace are refused at a mouth where nothing else counts."""

from typing import Any

import pytest

MOUTHS = (("reader_dev_1", "reader_mouth_out"), ("reader_dev_2", "reader_mouth_in"))


def _without_gate(spoiled: Any) -> None:
    """Take the gate's points out of the demo mine; nothing else there needs them."""
    lines = spoiled.text("points.csv").splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(("GATE_IN,", "GATE_OUT,"))]
    spoiled.replace("points.csv", "".join(lines), "".join(kept))


def _with_model(spoiled: Any, device: str, model: str) -> None:
    before = f'id = "{device}"\nbus = "gw_people"\nunit = {device[-1]}\nmodel = '
    spoiled.replace("devices.toml", f'{before}"badge-reader-queue"', f'{before}"{model}"')
    name = dict(MOUTHS)[device]
    table = spoiled.text("people.toml").split(f'id = "{name}"')[1].split("[[")[0]
    undirected = table.replace("directed = true", "directed = false")
    spoiled.replace("people.toml", f'id = "{name}"{table}', f'id = "{name}"{undirected}')


def _codes(spoiled: Any) -> list[str]:
    return sorted(code for code, _, _ in spoiled.faults() if code == "reader_misses_unseen")


@pytest.mark.parametrize(
    ("models", "gate", "refused"),
    [
        (("badge-reader-snapshot", "badge-reader-snapshot"), True, 0),
        (("badge-reader-snapshot", "inveo-rfid-ind"), False, 2),
        (("badge-reader-queue", "badge-reader-snapshot"), False, 0),
        (("rf-reader-drain", "uwb-substation-generic"), False, 0),
        (("inveo-rfid-mb-10", "badge-reader-queue"), False, 0),
    ],
)
def test_a_mouth_rests_on_something_that_shows_its_losses(
    spoiled: Any, models: tuple[str, str], gate: bool, refused: int
) -> None:
    """A gate or a partner with numbers is enough; two lists or single cards alone are not."""
    if not gate:
        _without_gate(spoiled)
    for (device, _), model in zip(MOUTHS, models, strict=True):
        if model != "badge-reader-queue":
            _with_model(spoiled, device, model)

    assert len(_codes(spoiled)) == refused
