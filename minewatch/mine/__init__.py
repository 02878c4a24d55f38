"""Loads a mine: TOML and CSV files → one frozen `Mine`, or every fault at once.

`load(path)` is the whole of the room. Inside, in this order: `source` reads files, `shape` gives
types (pydantic lives there and in `schema` only), `device_files` adds the mine's own, `build`
resolves limits and quotas against the statutory tables of `rules/`, the checks follow wires and
rules of practice.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from minewatch.mine import (
    check_certified,
    check_duty,
    check_ids,
    check_interlocks,
    check_local_fans,
    check_rules,
    check_safety,
    check_serial,
    check_values,
    check_wiring,
    device_files,
)
from minewatch.mine.build import Builder
from minewatch.mine.fault import Fault, Faults, Severity
from minewatch.mine.rules import load_rules
from minewatch.mine.shape import shape
from minewatch.mine.source import read
from minewatch.model.mine import Mine

__all__ = ["Fault", "Loaded", "Severity", "load"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A mine, or None with at least one error; warnings may stand beside a mine."""

    mine: Mine | None
    faults: tuple[Fault, ...]


def load(path: Path | str) -> Loaded:
    """Load the folder (its `mine.toml`) or file at `path`; never raises for what is in it."""
    faults = Faults()
    shaped = shape(read(Path(path), faults), faults)
    own = device_files.read(shaped, faults)
    rules = load_rules()
    builder = Builder(shaped, rules, faults)
    mine = builder.build()
    if mine is not None and own:
        mine = replace(mine, device_files=own)
    check_ids.check(shaped, rules, faults)
    check_wiring.check(shaped, faults)
    check_certified.check(shaped, rules, faults)
    check_serial.check(shaped, faults)
    check_values.check(shaped, faults)
    check_duty.check(shaped, faults)
    check_rules.check(shaped, rules, faults)
    check_safety.check(shaped, builder.points, rules, faults)
    check_interlocks.check(shaped, builder.points, rules, faults)
    check_local_fans.check(shaped, builder.points, faults)
    return Loaded(None if faults.refuse else mine, faults.sorted())
