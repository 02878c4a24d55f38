"""Scenarios: what happens in the plant, when, and under which condition; read from TOML.

A scenario file has one `[scenario]` table (habits of people, pace, captions), any number of
`[[action]]` tables and at most one `[recorded]` table. The names of the actions are those of
`minewatch_sim.actions`; an unknown name or key is an error when the file is loaded.
"""

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

from minewatch_sim.people import Habits

ACTION_KEYS = frozenset({"at_s", "do", "when", "then_s", "note", "times", "every_s", "points"})
ACTIONS_MAX = 10_000


class ScenarioError(ValueError):
    """A scenario file is not one: says where and why."""


@dataclass(frozen=True, slots=True)
class Condition:
    """True while all of it holds: a point's value and the coil of an output.

    `at_least` and `below` are in the unit that people read; `energised` and `dropped` name outputs.
    """

    point: str = ""
    at_least: float | None = None
    below: float | None = None
    energised: str = ""
    dropped: str = ""

    def value_holds(self, value: float) -> bool:
        """Return whether a value of `point` fulfils its part of the condition."""
        if self.at_least is not None and value < self.at_least:
            return False
        return self.below is None or value < self.below


@dataclass(frozen=True, slots=True)
class Action:
    """One act: done once, at the first step not before `at_s` at which `when` has come true.

    `then_s` waits further once the condition has held for the first time.
    """

    at_s: float
    do: str
    arguments: dict[str, Any]
    when: Condition | None = None
    then_s: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A column of a CSV file (plain or gzip) played into a point's registers.

    `advance` is "read" (one row per read of the device) or "time" (one row per `every_s`).
    """

    file: Path
    column: str
    point: str
    advance: str = "read"
    every_s: float = 30.0
    first: int = 0
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story: habits of people, acts in order of their time, perhaps a recorded series."""

    name: str
    habits: Habits = field(default_factory=Habits)
    dilution_s: float = 90.0
    actions: tuple[Action, ...] = ()
    recorded: Recorded | None = None
    title_zh: str = ""
    title_en: str = ""

    @classmethod
    def load(cls, name_or_path: str | Path) -> "Scenario":
        """Read a scenario of this package by name, or any file by path.

        Raises:
            ScenarioError: no such scenario, or a fault in the file.
        """
        path = Path(name_or_path)
        try:
            if path.suffix == ".toml":
                text = path.read_text(encoding="utf-8")
            else:
                text = _shipped().joinpath(f"{name_or_path}.toml").read_text(encoding="utf-8")
            return _from_table(path.stem, tomllib.loads(text), path.parent)
        except OSError as error:
            known = ", ".join(scenario_names())
            raise ScenarioError(f"no scenario {name_or_path}; there are: {known}") from error
        except (tomllib.TOMLDecodeError, TypeError, KeyError) as error:
            raise ScenarioError(f"{name_or_path}: {error}") from error


def scenario_names() -> list[str]:
    """Return the names of the scenarios that come with the simulator."""
    return sorted(
        each.name.removesuffix(".toml") for each in _shipped().iterdir() if "toml" in each.name
    )


def data_folder() -> Path | None:
    """Return the folder of recorded real data that MINEWATCH_TEST_DATA names, if it is there."""
    named = os.environ.get("MINEWATCH_TEST_DATA")
    return Path(named) if named and Path(named).is_dir() else None


def _shipped() -> Any:
    return resources.files("minewatch_sim") / "scenarios"


def _from_table(name: str, table: dict[str, Any], folder: Path) -> Scenario:
    unknown = set(table) - {"scenario", "action", "recorded"}
    if unknown:
        raise ScenarioError(f"{name}: unknown tables {sorted(unknown)}")
    head = dict(table.get("scenario", {}))
    own = {key: head.pop(key) for key in ("dilution_s", "title_zh", "title_en") if key in head}
    habits = Habits(**{key: head.pop(key) for key in _names(Habits) if key in head})
    if head:
        raise ScenarioError(f"{name}: unknown keys in [scenario]: {sorted(head)}")
    actions = tuple(each for row in table.get("action", []) for each in _actions(name, row))
    if len(actions) > ACTIONS_MAX:
        raise ScenarioError(f"{name}: more than {ACTIONS_MAX} actions")
    recorded = _recorded(table["recorded"], folder) if "recorded" in table else None
    return Scenario(name, habits, actions=actions, recorded=recorded, **own)


def _actions(name: str, table: dict[str, Any]) -> Iterator[Action]:
    """Yield the actions of one table: one, or `times` of them `every_s` apart over `points`."""
    if "do" not in table or "at_s" not in table:
        raise ScenarioError(f"{name}: an action needs at_s and do: {table}")
    arguments = {key: value for key, value in table.items() if key not in ACTION_KEYS}
    when = Condition(**table["when"]) if "when" in table else None
    points = table.get("points", [])
    for turn in range(min(table.get("times", 1), ACTIONS_MAX)):
        own = {"point": points[turn % len(points)]} if points else {}
        yield Action(
            at_s=table["at_s"] + turn * table.get("every_s", 0.0),
            do=table["do"],
            arguments={**arguments, **own},
            when=when,
            then_s=table.get("then_s", 0.0),
            note=table.get("note", ""),
        )


def _recorded(table: dict[str, Any], folder: Path) -> Recorded:
    unknown = set(table) - set(_names(Recorded))
    if unknown:
        raise ScenarioError(f"unknown keys in [recorded]: {sorted(unknown)}")
    given = Path(table["file"])
    data = data_folder()
    places = [given, folder / given, *([data / given] if data else [])]
    file = next((each for each in places if each.is_file()), given)
    return Recorded(**{**table, "file": file})


def _names(owner: type) -> list[str]:
    return [each.name for each in fields(owner)]
