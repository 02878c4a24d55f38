"""Real comings and goings, real gaps and repeats: over-limit and counting against bare sums."""

import csv
import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minewatch.model.mine import Reader, Zone, ZoneKind

ROOMS = (1, 2, 3, 4)
ROOM_LIMITS = {1: 30, 2: 14, 3: 18, 4: 20}
MINE_LIMIT = 75


def rows(name: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a recorded series, or skip where it is absent."""
    roots = [os.environ.get("MINEWATCH_TEST_DATA"), Path(__file__).parents[4] / "shared" / "data"]
    for root in roots:
        if root is not None and (Path(root) / name).exists():
            with gzip.open(Path(root) / name, "rt") as lines:
                yield from csv.DictReader(lines)
            return
    pytest.skip(f"{name} not found: set MINEWATCH_TEST_DATA to the folder that holds it")


def building(rig_of: Callable[..., Any]) -> Any:
    """Return a rig of four rooms below one mouth, each with a reader and a limit."""
    zones = (
        Zone("mine", "mine", ZoneKind.MINE),
        Zone("surface", "surface", ZoneKind.SURFACE, "mine"),
        Zone("pit", "pit", ZoneKind.INTAKE, "mine"),
        *(
            Zone(f"room{n}", "", ZoneKind.ROOM, "mine", headcount_limit=ROOM_LIMITS[n])
            for n in ROOMS
        ),
    )
    readers = (
        Reader("above", "", "surface", "d_above", mouth=True, directed=True),
        *(Reader(f"r{n}", "", f"room{n}", f"d{n}", outer="pit") for n in ROOMS),
    )
    return rig_of(gates=False, zones=zones, readers=readers, headcount_limit=MINE_LIMIT)


def follow(rig: Any, there: dict[int, list[str]], wanted: dict[int, int]) -> None:
    """Let people walk in and out until every room holds as many as wanted; say it as reads."""
    outside = [f"p{n}" for n in range(200)]
    for badges in there.values():
        outside = [each for each in outside if each not in badges]
    for room, count in wanted.items():
        leaving, there[room] = there[room][count:], there[room][:count]
        rig.sees("above", *leaving, way=-1)
    for room, count in wanted.items():
        coming = [outside.pop() for _ in range(count - len(there[room]))]
        rig.sees(f"r{room}", *coming)
        there[room] += coming


DAYS = (pytest.param(2, id="two days"), pytest.param(9, id="all", marks=pytest.mark.nightly))


@pytest.mark.parametrize("days", DAYS)
def test_over_limit_equals_a_bare_comparison(rig_of: Callable[..., Any], days: int) -> None:
    """Four rooms, minute by minute: an alarm stands exactly while a sum is above its limit.

    A minute of the series is 10 s here, with a poll between two moves.
    """
    rig = building(rig_of)
    rig.rest(4)
    there: dict[int, list[str]] = {n: [] for n in ROOMS}
    over_minutes = wrong = 0
    for row in rows("building_headcount_60s.csv.gz"):
        if int(row["t_s"]) >= days * 86_400:
            break
        wanted = {n: int(float(row[f"OCC_room{n}"])) for n in ROOMS}
        follow(rig, there, wanted)
        rig.turn(passed_ms=5000)
        bare = {f"room{n}" for n in ROOMS if wanted[n] > ROOM_LIMITS[n]}
        bare |= {"mine"} if sum(wanted.values()) > MINE_LIMIT else set()
        shown = {source for kind, source in rig.alarms() if kind.endswith("over_limit")}
        over_minutes += bool(bare)
        wrong += shown != bare
        rig.turn(passed_ms=5000)
    assert over_minutes > 50
    assert wrong == 0


def test_real_gaps_and_repeats_count_nobody_twice(rig_of: Callable[..., Any]) -> None:
    """Twelve badges heard with 21 % repeats and gaps up to 41 s are twelve people throughout."""
    rig = building(rig_of)
    rig.rest(4)
    start_ms, seen = rig.now_ms, set[str]()
    for row in rows("ble_corridor_12tags.csv.gz"):
        at_ms = start_ms + int(row["t_ms"])
        while rig.now_ms + 500 <= at_ms:
            rig.turn(passed_ms=500)
            assert rig.span == (len(seen), len(seen))
        rig.sees("r1", row["tag"])
        seen.add(row["tag"])
    rig.turn()
    assert len(seen) == 12
    assert rig.span == (12, 12)
    assert rig.kinds().count("entry_missed") == 12
    assert "badge_left" not in rig.kinds()
